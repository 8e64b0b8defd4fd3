"""How good the model is on the held-back window, beside the rules people use without a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from models import accuracy
from models.value_model import ValueModel
from training.candidates import PAST_SPEND, PERFECT, SERVED, Context, Judged, judge
from training.evaluation_rows import ChurnAccuracy, Coverage, Evaluation, Movement, Slice, TierOutcome, ValueAccuracy
from training.panel import Snapshot
from training.slices import slices

__all__ = [
    "PAST_SPEND",
    "PERFECT",
    "SERVED",
    "ChurnAccuracy",
    "Coverage",
    "Evaluation",
    "Movement",
    "Slice",
    "TierOutcome",
    "ValueAccuracy",
    "can_evaluate",
    "evaluate",
    "evaluation_of",
    "gain_curve",
]

Floats = npt.NDArray[np.float64]
EVERYBODY = "all"


def evaluate(model: ValueModel, holdout: Snapshot, *, threads: int, context: Context | None = None) -> Evaluation:
    """Score the customers of ``holdout`` with a model that knows nothing after its cutoff, and compare with what happened."""
    return evaluation_of(judge(model, holdout, context or Context(), threads=threads))


def evaluation_of(judged: Judged) -> Evaluation:
    """Compare what was said of all customers of an origin with what they did."""
    holdout, churned = judged.holdout, judged.churned
    value = [_value_row(name, holdout.value, score, amount=True) for name, score in judged.amounts.items()]
    value += [_value_row(name, holdout.value, score, amount=False) for name, score in judged.rankings.items()]
    value += [_value_row(PERFECT, holdout.value, holdout.value, amount=True)]
    churn = [_churn_row(name, churned, order, risk) for name, (order, risk) in judged.churn_scores.items()]
    return Evaluation(
        cutoff=holdout.cutoff, horizon_days=judged.horizon_days, customers=len(churned),
        buyers_share=float(holdout.active.mean()), realised_value=float(holdout.value.sum()),
        value=tuple(value), churn=tuple(churn), curves=_curves(judged),
        tiers=tuple(_tier_outcomes(judged, "tier")), past_tiers=tuple(_tier_outcomes(judged, "past_spend_tier")),
        slices=slices(judged), coverage=tuple(_coverages(judged)), movement=tuple(_movements(judged)),
    )  # fmt: skip


def can_evaluate(holdout: Snapshot) -> bool:
    """Whether the window can tell good from bad: some customers bought, others did not, and money was spent."""
    return 0.0 < holdout.active.mean() < 1.0 and float(holdout.value.sum()) > 0.0


def gain_curve(value: Floats, score: Floats, points: int = 201) -> Floats:
    """Share of the total value held by the best-ranked share of customers, at ``points`` even steps from 0 to 1.

    Customers of equal score are taken in any order: their mean value stands for each of them.
    """
    _, group, counts = np.unique(-score, return_inverse=True, return_counts=True)
    means = np.bincount(group, weights=value) / counts
    held = np.concatenate([[0.0], np.cumsum(np.repeat(means, counts))]) / value.sum()
    return np.asarray(np.interp(np.linspace(0.0, 1.0, points), np.linspace(0.0, 1.0, len(held)), held))


def _curves(judged: Judged) -> dict[str, Floats]:
    value, served = judged.holdout.value, judged.amounts[SERVED]
    expected, happened = accuracy.decile_means(value, served)
    risk, gone = accuracy.decile_means(judged.churned, judged.risks[SERVED])
    return {
        **{name: gain_curve(value, score) for name, score in {**judged.amounts, **judged.rankings, PERFECT: value}.items()},
        "decile_predicted": expected, "decile_realised": happened,
        "risk_predicted": risk, "risk_realised": gone,
    }  # fmt: skip


def _tier_outcomes(judged: Judged, column: str) -> Iterator[TierOutcome]:
    value, active, purchases = judged.holdout.value, judged.holdout.active, judged.context.purchases
    for tier, rows in _by_tier(judged, column):
        count, held = int(rows.sum()), float(value[rows].sum())
        bought = 0.0 if purchases is None else float(purchases[rows].sum())
        yield TierOutcome(
            tier=tier, customers=count, realised_value=held, value_share=held / float(value.sum()),
            retention=float(active[rows].mean()) if count else None,
            order_value=held / bought if bought > 0.0 else None,
        )  # fmt: skip


def _coverages(judged: Judged) -> Iterator[Coverage]:
    if "value_low" not in judged.predicted.columns:
        return
    from models.intervals import coverage

    value = judged.holdout.value
    low, high = (judged.predicted[name].to_numpy(np.float64) for name in ("value_low", "value_high"))
    shared = coverage(value, low, high, judged.risks[SERVED])
    plain = ((low <= value) & (value <= high)).astype(np.float64)
    for group, rows in [(EVERYBODY, np.ones(len(value), dtype=bool)), *_by_tier(judged, "tier")]:
        means = [float(column[rows].mean()) if rows.any() else None for column in (shared, plain, low, high)]
        yield Coverage(group, int(rows.sum()), *means)


def _movements(judged: Judged) -> Iterator[Movement]:
    for past, before in _by_tier(judged, "past_spend_tier"):
        for tier, now in _by_tier(judged, "tier"):
            both = before & now
            yield Movement(past, tier, int(both.sum()), float(judged.holdout.value[both].sum()))


def _by_tier(judged: Judged, column: str) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
    """Every tier, best first, with who is in it."""
    tiers = judged.predicted[column].to_numpy()
    for tier in judged.tier_names:
        yield tier, tiers == tier


def _value_row(name: str, value: Floats, score: Floats, *, amount: bool) -> ValueAccuracy:
    def of_amount(metric: Callable[[Floats, Floats], float]) -> float | None:
        return metric(value, score) if amount else None

    correlation = accuracy.rank_correlation(value, score)
    return ValueAccuracy(
        candidate=name,
        normalized_gini=accuracy.normalized_gini(value, score),
        rank_correlation=None if np.isnan(correlation) else correlation,
        capture_5=accuracy.top_capture(value, score, 0.05),
        capture_10=accuracy.top_capture(value, score, 0.10),
        capture_20=accuracy.top_capture(value, score, 0.20),
        total_bias=of_amount(accuracy.total_bias),
        decile_error=of_amount(accuracy.decile_calibration_error),
        mean_absolute_error=of_amount(lambda realised, said: float(np.abs(realised - said).mean())),
    )


def _churn_row(name: str, churned: Floats, order: Floats, risk: Floats | None) -> ChurnAccuracy:
    def of_probability(metric: Callable[[Floats, Floats], float]) -> float | None:
        return None if risk is None else float(metric(churned, risk))

    return ChurnAccuracy(
        candidate=name,
        auc=float(roc_auc_score(churned, order)),
        average_precision=float(average_precision_score(churned, order)),
        brier_skill=of_probability(accuracy.brier_skill),
        log_loss=of_probability(log_loss),
        calibration_error=of_probability(accuracy.expected_calibration_error),
    )
