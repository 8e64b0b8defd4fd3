"""Who is champion: the gate decides, people may overrule it, and every decision is written down before an alias moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from configs.days import date_of
from configs.errors import BundleError, RegistryError
from configs.settings import Environment, Settings
from models.registry import (
    CHALLENGER,
    CHAMPION,
    Registered,
    find_version,
    move_champion,
    open_tracking,
    tag_version,
    with_alias,
)
from models.value_model import ValueModel
from training.contenders import Contender, contender
from training.decisions import Action, Decision, append, champions, deciding, read_decisions, stamp
from training.gate import SLICE_CUSTOMERS, Check, Chosen, Duel, Said, Verdict, by_grade, duel_checks, verdict, within
from training.panel import Snapshot
from training.slices import MOST_VALUES, NEW, NEW_DAYS, ONE_TIME, REPEAT
from training.told import Told

if TYPE_CHECKING:
    from models.registry import MlflowClient

REPRODUCED = Told("the golden rows reproduce", "黄金样本结果一致")
Attributes = Mapping[str, "pd.Series[str]"]
Window = Callable[[int, int], tuple[Snapshot, Attributes]]
"""All customers at a cutoff with what they did in the so many days after it, and their attributes then."""


def promote(
    environment: Environment, settings: Settings, window: Window, *, at: datetime,
    version: str | None = None, force_why: str | None = None,
) -> Decision:  # fmt: skip
    """Make a version (the challenger, where none is named) champion if the gate lets it pass, or if ``force_why`` says why.

    ``window`` is only called where two models have to be compared. ``at`` is the moment of the decision, with time zone.
    Raises RegistryError: no such version, nothing to promote, or the registry cannot be reached. BundleError: it is damaged.
    """
    client = open_tracking(environment)
    with deciding(environment.home):
        before = _settled(client, environment, at)
        chosen = _chosen(client, environment, version, before)
        ours = contender(client, environment, chosen)
        found = gate(ours, _champion(client, environment, before), settings, window)
        if force_why is not None and not found.passed:
            return _move(client, environment, _decision("forced", ours, before, Told(force_why, force_why), found, at))
        if found.passed:
            return _move(client, environment, _decision("promoted", ours, before, found.reason, found, at))
        refused = _decision("refused", ours, before, found.reason, found, at)
        append(environment.home, refused)
        _tag(client, environment, refused)
        return refused


def rollback(environment: Environment, *, at: datetime, why: str) -> Decision:
    """Return to the champion before the present one, as the decision log tells.

    Raises RegistryError: there was none before, or the registry cannot be reached.
    """
    client = open_tracking(environment)
    with deciding(environment.home):
        present = _settled(client, environment, at)
        line = champions(read_decisions(environment.home))
        if present is None or len(line) < 2:  # noqa: PLR2004
            raise RegistryError(
                f"the decision log knows no champion before{'' if present is None else f' version {present.version}'}: "
                "foretier promote VERSION --force --why TEXT makes a version champion"
            )
        before = find_version(client, environment, line[-2])
        decision = Decision(stamp(at), "rolled back", before.version, present.version, before.version, None, why)
        return _move(client, environment, decision)


def gate(challenger: Contender, champion: Contender | Told | None, settings: Settings, window: Window) -> Verdict:
    """Look at a challenger; ``champion`` is None where there is none, and what says why where it cannot be loaded."""
    checks = [*_technical(challenger, settings)]
    if challenger.grade is None:
        sentence = Told("it has no grade ({})", "没有评级（{}）").filled(challenger.ungraded or Told("", ""))
        return verdict((*checks, Check("grade", passed=False, figure=None, against=None, sentence=sentence)), sentence)
    if champion is None:
        return verdict(
            tuple(checks),
            Told(f"there was no champion, and its grade is {challenger.grade}", f"此前没有冠军，其评级为 {challenger.grade}"),
        )
    if isinstance(champion, Told):
        checks.append(by_grade(challenger.grade, None, champion))
        return verdict(tuple(checks), checks[-1].sentence)
    if other := _other_question(challenger, champion):
        return verdict((*checks, Check("question", passed=False, figure=None, against=None, sentence=other)), other)
    duel = _duel(challenger, champion, window)
    if isinstance(duel, Told):
        checks.append(by_grade(challenger.grade, champion.grade, duel))
        return verdict(tuple(checks), checks[-1].sentence)
    otherwise = Told(
        f"no worse than version {champion.version} in anything that was looked at",
        f"所检查的各项都不比版本 {champion.version} 差",
    )
    return verdict((*checks, *duel_checks(duel)), otherwise)


def _technical(one: Contender, settings: Settings) -> Iterator[Check]:
    yield Check("golden rows", one.golden is None, None, None, one.golden or REPRODUCED)
    budget = settings.gate
    yield within("size of the bundle", one.megabytes, budget.max_bundle_mb, "MB", "gate.max_bundle_mb")
    yield within("latency of one prediction", one.latency_ms, budget.max_latency_ms, "ms", "gate.max_latency_ms")


def _other_question(challenger: Contender, champion: Contender) -> Told | None:
    """Models of other horizons or currencies answer other questions: neither is better."""
    ours, theirs = (
        Told(f"{one.horizon_days} days in {one.currency}", f"{one.horizon_days} 天、以 {one.currency} 计")
        for one in (challenger, champion)
    )
    if ours == theirs:
        return None
    return Told(
        f"it predicts {ours.en}, the champion (version {champion.version}) {theirs.en}: only --force --why TEXT changes that",
        f"它预测 {ours.zh}，冠军（版本 {champion.version}）预测 {theirs.zh}：只能用 --force --why TEXT 更换",
    )


def _duel(challenger: Contender, champion: Contender, window: Window) -> Duel | Told:
    """Both trial models on the challenger's held-back window, or why they cannot be compared there."""
    if challenger.trial is None or challenger.held_back is None:
        return Told("the challenger's trial model is missing", "缺少挑战者的试验模型")
    if champion.trial is None:
        return Told(
            f"version {champion.version} has no trial model to compare with", f"版本 {champion.version} 没有可供比较的试验模型"
        )
    if champion.trial.as_of > challenger.held_back:
        seen, begins = date_of(champion.trial.as_of), date_of(challenger.held_back)
        return Told(
            f"the trial model of version {champion.version} knows what happened up to {seen}, after {begins}",
            f"版本 {champion.version} 的试验模型已知道 {seen} 之前的事，晚于 {begins}",
        )
    holdout, attributes = window(challenger.held_back, challenger.horizon_days)
    ours, theirs = (_said(one.model, holdout) for one in (challenger.trial, champion.trial))
    return Duel(holdout.value, holdout.active, ours, theirs, groups_of(holdout, attributes))


def _said(model: ValueModel, holdout: Snapshot) -> Said:
    predicted = model.predict(holdout.features, as_of=holdout.cutoff)
    value, risk = (predicted[name].to_numpy(np.float64) for name in ("predicted_value", "churn_risk"))
    return Said(value, risk)


def groups_of(holdout: Snapshot, attributes: Attributes) -> dict[str, Chosen]:
    """One-time, repeat and new customers, and those of the most common values of each attribute."""
    once = holdout.features["frequency"].to_numpy() == 0.0
    groups = {ONE_TIME: once, REPEAT: ~once, NEW: holdout.features["T"].to_numpy() < NEW_DAYS}
    for attribute, values in attributes.items():
        counts = values.value_counts()
        common = sorted(counts.index[counts >= SLICE_CUSTOMERS], key=lambda value, of=counts: (-of[value], value))  # type: ignore[misc]
        groups |= {f"{attribute}: {value}": (values == value).to_numpy(bool, na_value=False) for value in common[:MOST_VALUES]}
    return groups


def _chosen(client: MlflowClient, environment: Environment, version: str | None, champion: Registered | None) -> Registered:
    chosen = with_alias(client, environment, CHALLENGER) if version is None else find_version(client, environment, version)
    if chosen is None:
        raise RegistryError("there is no challenger to promote: run foretier train first, or name a version")
    if champion is not None and chosen.version == champion.version:
        raise RegistryError(f"version {chosen.version} is champion already: name another version")
    return chosen


def _champion(client: MlflowClient, environment: Environment, registered: Registered | None) -> Contender | Told | None:
    if registered is None:
        return None
    try:
        return contender(client, environment, registered)
    except (BundleError, RegistryError) as error:
        return Told(f"version {registered.version} cannot be loaded ({error})", f"版本 {registered.version} 无法加载（{error}）")


def _settled(client: MlflowClient, environment: Environment, at: datetime) -> Registered | None:
    """The champion by the registry; where the log says another, a line that sets it right is written first."""
    present = with_alias(client, environment, CHAMPION)
    line = champions(read_decisions(environment.home))
    if present is not None and line[-1:] != (present.version,):
        last = line[-1] if line else None
        why = f"the registry's champion is version {present.version}, the log's {last}: interrupted, or moved elsewhere"
        append(environment.home, Decision(stamp(at), "found", present.version, last, present.version, None, why))
    return present


def _decision(action: Action, ours: Contender, before: Registered | None, why: Told, found: Verdict, at: datetime) -> Decision:
    present = None if before is None else before.version
    after = present if action == "refused" else ours.version
    checks = tuple(check.as_dict() for check in found.checks)
    return Decision(stamp(at), action, ours.version, present, after, ours.grade, why.en, checks, told=why)


def _move(client: MlflowClient, environment: Environment, decision: Decision) -> Decision:
    """Line first, alias second: see ``training.decisions``."""
    present = with_alias(client, environment, CHAMPION)
    if (None if present is None else present.version) != decision.champion_before:
        raise RegistryError("the champion was changed elsewhere in the meantime: nothing was moved, decide again")
    append(environment.home, decision)
    move_champion(client, environment, decision.version)
    _tag(client, environment, decision)
    return decision


def _tag(client: MlflowClient, environment: Environment, decision: Decision) -> None:
    figures: dict[str, Any] = {
        check["name"]: {key: check[key] for key in ("passed", "figure", "against", "lead")} for check in decision.checks
    }
    tag_version(
        client, environment, decision.version,
        {
            "foretier.decision": f"{decision.time} {decision.action}", "foretier.why": decision.why,
            "foretier.champion_before": decision.champion_before or "none", "foretier.grade": decision.grade or "none",
            **{f"foretier.gate.{_tag_name(name)}": _figures_line(found) for name, found in figures.items()},
        },
    )  # fmt: skip


def _tag_name(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


def _figures_line(found: Mapping[str, Any]) -> str:
    said = [f"{key} {found[key]:.4f}" for key in ("figure", "against") if found[key] is not None]
    return ", ".join(["passed" if found["passed"] else "failed", *said])
