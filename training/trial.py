"""The trial of a training run: fitted without the held-back window, compared with what happened there, and graded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from configs.errors import HistoryError
from configs.settings import HORIZON_CHOICES, Settings
from features.orders import Cleaned
from features.phrases import count
from models.fitting import TrainingSet, fit
from models.value_model import ValueModel
from training.backtest_summary import graded
from training.candidates import judge
from training.context import context_of
from training.evaluation import Evaluation, can_evaluate, evaluation_of
from training.grade import FEWEST, Grade, ungraded
from training.panel import Plan, Snapshot, training_set
from training.told import Told, listed

SHORTEST_HORIZON = 7
"""Days; a shorter horizon is not offered instead."""
ALL_ALIKE = Told("in the held-back window everybody bought, or nobody did", "留出时段内所有客户都下了单，或都没有下单")


@dataclass(frozen=True)
class Tried:
    """The trial ``model`` with its evaluation and grade; each is None (the grade without a letter) where ``reason`` says why."""

    model: ValueModel | None
    evaluation: Evaluation | None
    grade: Grade
    reason: Told | None

    @property
    def metrics(self) -> dict[str, Any]:
        """What the bundle keeps of it."""
        letter: dict[str, Any] = {"grade": self.grade.as_dict()}
        if self.grade.letter is None:
            letter |= {"not_graded": self.grade.sentence, "not_graded_zh": self.grade.said("zh")}
        if self.evaluation is None:
            return {"not_evaluated": None if self.reason is None else self.reason.en, **letter}
        return {**self.evaluation.as_dict(), **letter}


def tried(
    cleaned: Cleaned, snapshots: Mapping[int, Snapshot], planned: Plan, settings: Settings, progress: Callable[[str], None]
) -> Tried:
    """Fit on what was known at the held-back cutoff and compare with what happened; or say why that cannot be done."""
    if not planned.trial:
        needed = 2 * planned.horizon_days + settings.training.min_history_days
        reason = Told(
            f"holding back {planned.horizon_days} days needs at least {needed} days of history",
            f"留出 {planned.horizon_days} 天需要至少 {needed} 天的历史",
        )
        return _none(reason, nearest_answer(cleaned.report.history_days, planned.horizon_days, settings))
    holdout = snapshots[planned.holdout]
    if not can_evaluate(holdout):
        return _none(ALL_ALIKE, _other_window(holdout))
    known = training_set([snapshots[cutoff] for cutoff in planned.trial], holdout.features, planned.holdout, planned.horizon_days)
    try:
        model = fit(known, settings, progress=progress)
    except HistoryError as error:
        return _none(
            Told(f"before the held-back window, {error}", f"留出时段之前的历史无法训练（{error}）"),
            Told("bring a longer history", "请提供更长的历史"),
        )
    return _compared(cleaned, model, known, holdout, settings)


def nearest_answer(history_days: int, horizon_days: int, settings: Settings) -> Told:
    """What can be had of a history too short to hold ``horizon_days`` back.

    >>> from configs.settings import Columns, Source
    >>> settings = Settings(source=Source(path="x"), columns=Columns(customer_id="c", ordered_at="t", amount="a"), currency="EUR")
    >>> nearest_answer(250, 90, settings).en
    'horizon_days: 30 can be graded on this history, 90 after 20 more days'
    >>> nearest_answer(140, 90, settings).en
    'horizon_days: 25 can be graded on this history, 90 after 130 more days'
    >>> nearest_answer(95, 90, settings).en
    '90 days can be graded after 175 more days'
    """
    before = settings.training.min_history_days
    days = 2 * horizon_days + before - history_days
    missing = count(days, "more day")
    longest = (history_days - before) // 2
    if longest < SHORTEST_HORIZON:
        return Told(f"{horizon_days} days can be graded after {missing}", f"再有 {days} 天历史即可评级 {horizon_days} 天")
    shorter = max((choice for choice in HORIZON_CHOICES if choice <= longest), default=longest)
    return Told(
        f"horizon_days: {shorter} can be graded on this history, {horizon_days} after {missing}",
        f"现有历史可评级 horizon_days: {shorter}，再有 {days} 天可评级 {horizon_days}",
    )


def _none(reason: Told, answer: Told) -> Tried:
    return Tried(None, None, ungraded(listed([reason, answer])), reason)


def _compared(cleaned: Cleaned, model: ValueModel, known: TrainingSet, holdout: Snapshot, settings: Settings) -> Tried:
    context = context_of(cleaned.orders, holdout, model.horizon_days, settings, known)
    judged = judge(model, holdout, context, threads=settings.training.threads)
    found = graded([judged], seed=settings.training.seed)
    if found.letter is None:
        found = ungraded(listed([found.told or Told(found.sentence, found.sentence), _other_window(holdout)]))
    return Tried(model, evaluation_of(judged), found, None)


def _other_window(holdout: Snapshot) -> Told:
    """A longer horizon has more buyers, a shorter one more who did not buy."""
    buyers = int(holdout.active.sum())
    others = len(holdout.active) - buyers
    if buyers < FEWEST <= others:
        return Told("set a longer horizon_days, or bring more customers", "请设更长的 horizon_days，或提供更多客户")
    if others < FEWEST <= buyers:
        return Told("set a shorter horizon_days, or bring more customers", "请设更短的 horizon_days，或提供更多客户")
    return Told("bring more customers", "请提供更多客户")
