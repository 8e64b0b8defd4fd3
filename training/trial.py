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

SHORTEST_HORIZON = 7
"""Days; a shorter horizon is not offered instead."""


@dataclass(frozen=True)
class Tried:
    """The trial ``model`` with its evaluation and grade; each is None (the grade without a letter) where ``reason`` says why."""

    model: ValueModel | None
    evaluation: Evaluation | None
    grade: Grade
    reason: str | None

    @property
    def metrics(self) -> dict[str, Any]:
        """What the bundle keeps of it."""
        letter: dict[str, Any] = {"grade": self.grade.as_dict()}
        if self.grade.letter is None:
            letter["not_graded"] = self.grade.sentence
        if self.evaluation is None:
            return {"not_evaluated": self.reason, **letter}
        return {**self.evaluation.as_dict(), **letter}


def tried(
    cleaned: Cleaned, snapshots: Mapping[int, Snapshot], planned: Plan, settings: Settings, progress: Callable[[str], None]
) -> Tried:
    """Fit on what was known at the held-back cutoff and compare with what happened; or say why that cannot be done."""
    if not planned.trial:
        needed = 2 * planned.horizon_days + settings.training.min_history_days
        reason = f"holding back {planned.horizon_days} days needs at least {needed} days of history"
        return _none(reason, nearest_answer(cleaned.report.history_days, planned.horizon_days, settings))
    holdout = snapshots[planned.holdout]
    if not can_evaluate(holdout):
        return _none("in the held-back window everybody bought, or nobody did", _other_window(holdout))
    known = training_set([snapshots[cutoff] for cutoff in planned.trial], holdout.features, planned.holdout, planned.horizon_days)
    try:
        model = fit(known, settings, progress=progress)
    except HistoryError as error:
        return _none(f"before the held-back window, {error}", "bring a longer history")
    return _compared(cleaned, model, known, holdout, settings)


def nearest_answer(history_days: int, horizon_days: int, settings: Settings) -> str:
    """What can be had of a history too short to hold ``horizon_days`` back.

    >>> from configs.settings import Columns, Source
    >>> settings = Settings(source=Source(path="x"), columns=Columns(customer_id="c", ordered_at="t", amount="a"), currency="EUR")
    >>> nearest_answer(250, 90, settings)
    'horizon_days: 30 can be graded on this history, 90 after 20 more days'
    >>> nearest_answer(140, 90, settings)
    'horizon_days: 25 can be graded on this history, 90 after 130 more days'
    >>> nearest_answer(95, 90, settings)
    '90 days can be graded after 175 more days'
    """
    before = settings.training.min_history_days
    missing = count(2 * horizon_days + before - history_days, "more day")
    longest = (history_days - before) // 2
    if longest < SHORTEST_HORIZON:
        return f"{horizon_days} days can be graded after {missing}"
    shorter = max((choice for choice in HORIZON_CHOICES if choice <= longest), default=longest)
    return f"horizon_days: {shorter} can be graded on this history, {horizon_days} after {missing}"


def _none(reason: str, answer: str) -> Tried:
    return Tried(None, None, ungraded(f"{reason}; {answer}"), reason)


def _compared(cleaned: Cleaned, model: ValueModel, known: TrainingSet, holdout: Snapshot, settings: Settings) -> Tried:
    context = context_of(cleaned.orders, holdout, model.horizon_days, settings, known)
    judged = judge(model, holdout, context, threads=settings.training.threads)
    found = graded([judged], seed=settings.training.seed)
    if found.letter is None:
        found = ungraded(f"{found.sentence}; {_other_window(holdout)}")
    return Tried(model, evaluation_of(judged), found, None)


def _other_window(holdout: Snapshot) -> str:
    """A longer horizon has more buyers, a shorter one more who did not buy."""
    buyers = int(holdout.active.sum())
    others = len(holdout.active) - buyers
    if buyers < FEWEST <= others:
        return "set a longer horizon_days, or bring more customers"
    return "set a shorter horizon_days, or bring more customers" if others < FEWEST <= buyers else "bring more customers"
