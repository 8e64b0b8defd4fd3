"""Whether a challenger may replace the champion: figures in, a verdict out. Nothing is loaded, logged or moved here.

Both are compared by their trial models, fitted without the challenger's held-back window, on all customers of that window: the
paired bootstrap of ``training.resampling`` bounds the challenger's lead in each measure (positive is better), and the lead
must surely (lower end of the 90 % interval) not be below the stated margin. A group of ``SLICE_CUSTOMERS`` or more must not be
clearly worse: surely worse, and by more than its margin.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from models.accuracy import DECILES
from training.figures import written
from training.grade import FEWEST, SEED, TOP, Letter
from training.name_words import name_words
from training.resampling import Interval, drawn_from, interval, weights
from training.told import Told, listed
from training.weighted_metrics import along, inner, normalized

Floats = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]
Figures = dict[str, float]

GINI, CAPTURE, AUC, BRIER, BIAS, CALIBRATION = (
    "normalized Gini", f"top {written(TOP, '.0%')} capture", "AUC", "Brier score", "total bias", "churn calibration error"
)  # fmt: skip
MARGINS = {GINI: 0.02, CAPTURE: 0.02, AUC: 0.02, BRIER: 0.01, BIAS: 0.10, CALIBRATION: 0.02}
"""By how much each measure may be worse: the lower end of the lead must be above it. Total bias by its distance from 1."""
SLICE_CUSTOMERS = 200
SLICE_MARGINS = {GINI: 0.03, AUC: 0.03}
GROUP_CUSTOMERS = 100
"""Churn calibration is looked at in ten groups, or fewer: in smaller ones chance alone is larger than its margin."""
LETTERS = "ABCD"


@dataclass(frozen=True)
class Said:
    """What one model says of each customer: ``value`` in currency, ``risk`` the churn risk."""

    value: Floats
    risk: Floats


@dataclass(frozen=True)
class Duel:
    """Two models on one window: realised ``value`` (at least 0) and ``active`` (0 or 1) per customer, groups by name."""

    value: Floats
    active: Floats
    challenger: Said
    champion: Said
    groups: Mapping[str, Chosen]

    def rows(self, chosen: Chosen) -> Duel:
        """The same of some customers, without groups."""
        return Duel(
            self.value[chosen], self.active[chosen],
            Said(self.challenger.value[chosen], self.challenger.risk[chosen]),
            Said(self.champion.value[chosen], self.champion.risk[chosen]), {},
        )  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One thing the gate looks at.

    ``figure`` is the challenger's, ``against`` the champion's or a limit; ``lead`` bounds how much better the challenger is
    (below 0: worse).
    """

    name: str
    passed: bool
    figure: float | None
    against: float | None
    sentence: Told
    lead: Interval | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the sentence in English."""
        plain = asdict(self) | {"sentence": self.sentence.en}
        if self.lead is not None:
            # JSON has no infinity: a side that nothing bounds is null.
            plain["lead"] = {name: bound if np.isfinite(bound) else None for name, bound in self.lead.as_dict().items()}
        return plain


@dataclass(frozen=True)
class Verdict:
    """Whether the challenger may become champion, why in one sentence, and everything that was looked at."""

    passed: bool
    reason: Told
    checks: tuple[Check, ...] = ()


def verdict(checks: tuple[Check, ...], otherwise: Told) -> Verdict:
    """Pass where every check does, for the reason ``otherwise``; else the failed ones are the reason."""
    failed = [check.sentence for check in checks if not check.passed]
    return Verdict(not failed, listed(failed) if failed else otherwise, checks)


def within(name: str, figure: float, limit: float, unit: str, key: str) -> Check:
    """A figure that must not be above the limit which the settings give under ``key``."""
    passed = figure <= limit
    sentence = Told(
        f"{name} {figure:,.1f} {unit} is {'within' if passed else 'above'} {key}: {limit:g}",
        f"{name_words(name, 'zh')} {figure:,.1f} {unit}，{'未超过' if passed else '超过'} {key}: {limit:g}",
    )
    return Check(name, passed, figure, limit, sentence)


def by_grade(challenger: Letter, champion: Letter | None, why: Told) -> Check:
    """The rule where both cannot be compared: the challenger's grade is no D, and no worse than the champion's, if it has one."""
    at_least = champion if champion is not None and champion != "D" else "C"
    passed = LETTERS.index(challenger) <= LETTERS.index(at_least)
    sentence = Told(
        f"{why.en}, so the grades decide: the challenger has {challenger}, at least {at_least} is needed",
        f"{why.zh}，因此由评级决定：挑战者为 {challenger}，至少需要 {at_least}",
    )
    return Check("grade", passed, None, None, sentence)


def duel_checks(duel: Duel, seed: int = SEED) -> Iterator[Check]:
    """Every measure on all customers, then every group that is large enough."""
    duel = _no_more_than_are_drawn_from(duel, seed)
    yield from (_no_worse(name, *lead) for name, lead in _leads(duel, seed).items())
    for group, chosen in duel.groups.items():
        some = duel.rows(chosen)
        if chosen.sum() < SLICE_CUSTOMERS or min(some.active.sum(), (1.0 - some.active).sum()) < FEWEST:
            continue
        leads = _leads(some, seed)
        yield from (_not_clearly_worse(f"{name} of {group}", margin, *leads[name]) for name, margin in SLICE_MARGINS.items())


def _no_more_than_are_drawn_from(duel: Duel, seed: int) -> Duel:
    chosen = drawn_from(len(duel.value), seed)
    some = duel.rows(chosen)
    return Duel(
        some.value, some.active, some.challenger, some.champion, {name: rows[chosen] for name, rows in duel.groups.items()}
    )


def _no_worse(name: str, ours: float, theirs: float, lead: Interval) -> Check:
    margin = MARGINS[name]
    passed = lead.low >= -margin
    verb, said = ("surely no worse", "确定不更差") if passed else ("not surely as good", "不能确定同样好")
    low, high = f"{lead.low:+.3f}", f"{lead.high:+.3f}"
    sentence = Told(
        f"{name} {ours:.3f} against {theirs:.3f}: {verb} by a margin of {margin:g} (lead {low} to {high})",
        f"{name_words(name, 'zh')} {ours:.3f} 对 {theirs:.3f}：按容差 {margin:g} {said}（领先 {low} 至 {high}）",
    )
    return Check(name, passed, ours, theirs, sentence, lead)


def _not_clearly_worse(name: str, margin: float, ours: float, theirs: float, lead: Interval) -> Check:
    passed = not (lead.high < 0.0 and lead.estimate < -margin)
    verb, said = ("not clearly worse", "没有明显更差") if passed else ("clearly worse", "明显更差")
    low, high = f"{lead.low:+.3f}", f"{lead.high:+.3f}"
    sentence = Told(
        f"{name} {ours:.3f} against {theirs:.3f}: {verb} (lead {low} to {high}, margin {margin:g})",
        f"{name_words(name, 'zh')} {ours:.3f} 对 {theirs:.3f}：{said}（领先 {low} 至 {high}，容差 {margin:g}）",
    )
    return Check(name, passed, ours, theirs, sentence, lead)


def _leads(duel: Duel, seed: int) -> dict[str, tuple[float, float, Interval]]:
    """By measure: the challenger's figure, the champion's, and the lead."""
    ours, theirs = _measured(duel, duel.challenger), _measured(duel, duel.champion)
    one = np.ones(len(duel.value))
    us, them = ours(one), theirs(one)
    draws = [(ours(weight), theirs(weight)) for weight in weights(len(duel.value), seed)]

    def lead(name: str) -> Interval:
        differences = np.array([_goodness(name, a[name]) - _goodness(name, b[name]) for a, b in draws])
        return interval(_goodness(name, us[name]) - _goodness(name, them[name]), differences)

    return {name: (us[name], them[name], lead(name)) for name in MARGINS}


def _goodness(name: str, figure: float) -> float:
    """Higher is better."""
    if name == BIAS:
        return -abs(figure - 1.0)
    return -figure if name in (BRIER, CALIBRATION) else figure


def _measured(duel: Duel, said: Said) -> Callable[[Floats], Figures]:
    """A function of weights that gives every measure of one model; what needs sorting is sorted once."""
    churned = 1.0 - duel.active
    perfect, by_value, by_risk = along(duel.value, duel.value), along(said.value, duel.value), along(said.risk, churned)
    squared = (said.risk - churned) ** 2
    group = np.empty(len(churned), dtype=np.intp)
    groups = int(np.clip(len(churned) // GROUP_CUSTOMERS, 1, DECILES))
    group[np.argsort(said.risk, kind="stable")] = np.arange(len(churned)) * groups // len(churned)

    def figures(weight: Floats) -> Figures:
        drawn = by_value(weight)
        total = drawn.all_held
        excess = np.bincount(group, weights=weight * (said.risk - churned), minlength=DECILES)
        return {
            GINI: normalized(drawn.gini(), perfect(weight).gini()),
            CAPTURE: drawn.capture(TOP),
            AUC: by_risk(weight).auc(),
            BRIER: inner(weight, squared) / drawn.all_people,
            BIAS: inner(weight, said.value) / total if total > 0.0 else float("nan"),
            CALIBRATION: float(np.abs(excess).sum()) / drawn.all_people,
        }

    return figures
