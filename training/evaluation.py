"""How good the model is on the held-back window, beside the rules people use without a model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from features.sums import SEASON_DAYS, WINDOWS
from models import accuracy
from models.season import purchase_probability
from models.value_model import ValueModel, btyd_value, model_inputs
from training.panel import Snapshot

Floats = npt.NDArray[np.float64]

PERFECT = "perfect foresight"
SERVED = "Foretier"
PAST_SPEND = "total past spend"


@dataclass(frozen=True)
class ValueAccuracy:
    """One way to predict value; ``calibrated`` candidates are amounts, the others rankings without a level (bias is None).

    ``normalized_gini``, ``rank_correlation`` (None where the candidate says the same of everybody), ``capture_5``, ``_10``,
    ``_20`` (share of the realised value held by the best 5, 10, 20 %): higher is better. ``total_bias``: predicted / realised
    total. ``decile_error``: see ``models.accuracy``. ``mean_absolute_error`` in currency.
    """

    candidate: str
    normalized_gini: float
    rank_correlation: float | None
    capture_5: float
    capture_10: float
    capture_20: float
    total_bias: float | None
    decile_error: float | None
    mean_absolute_error: float | None


@dataclass(frozen=True)
class ChurnAccuracy:
    """One way to predict churn; scores that are no probabilities have a ranking quality (``auc``, ``average_precision``) only."""

    candidate: str
    auc: float
    average_precision: float
    brier_skill: float | None
    log_loss: float | None
    calibration_error: float | None


@dataclass(frozen=True)
class TierOutcome:
    """What the customers of one tier did in the horizon.

    ``value_share``: of the realised value of all customers. ``retention``: share that bought; ``order_value``: realised value
    per purchase, in currency; None where nobody is in the tier, or nobody bought (or purchases were not counted).
    """

    tier: str
    customers: float
    realised_value: float
    value_share: float
    retention: float | None
    order_value: float | None


@dataclass(frozen=True)
class Slice:
    """How well a group of customers is understood; ``name`` is one of ``training.slices`` or ``attribute: value``.

    Values in currency. ``total_bias`` predicted / realised; ``churned`` and ``churn_risk``: share that stayed away, and mean
    risk; ``churn_calibration_error`` over ten groups. None where the group cannot tell (nothing spent, all alike).
    """

    name: str
    customers: float
    realised_value: float
    predicted_value: float
    total_bias: float | None
    normalized_gini: float | None
    churned: float
    churn_risk: float
    churn_calibration_error: float | None


@dataclass(frozen=True)
class Coverage:
    """How often the 80 % interval holds what was realised, of all customers (``group`` is "all") or of one tier.

    ``shared``: with the atom at zero shared (``models.intervals.coverage``), should be 0.8; ``plain``: low <= realised <= high.
    ``low``, ``high``: mean bounds in currency. None where nobody is in the group.
    """

    group: str
    customers: float
    shared: float | None
    plain: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Movement:
    """Customers of one past-spend tier that the model puts into one tier, and what they spent in the horizon (currency)."""

    past_spend_tier: str
    tier: str
    customers: int
    realised_value: float


@dataclass(frozen=True)
class Evaluation:
    """Accuracy on the held-back window ``[cutoff, cutoff + horizon_days)`` of all customers known at ``cutoff``.

    ``tiers`` and ``past_tiers`` (by past spend, of the same sizes up to ties) best first; ``coverage`` begins with all
    customers; ``movement`` holds every pair of tiers, past-spend tier by past-spend tier.
    """

    cutoff: int
    horizon_days: int
    customers: int
    buyers_share: float
    realised_value: float
    value: tuple[ValueAccuracy, ...]
    churn: tuple[ChurnAccuracy, ...]
    curves: dict[str, Floats]
    """201 even steps each, under the candidate's name: share of the value held by the best-ranked share of customers.
    ``decile_predicted``, ``decile_realised``: mean value of ten groups by rising prediction, in currency; ``risk_predicted``,
    ``risk_realised``: mean churn risk and share that stayed away of ten groups by rising risk."""
    tiers: tuple[TierOutcome, ...] = ()
    past_tiers: tuple[TierOutcome, ...] = ()
    slices: tuple[Slice, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    movement: tuple[Movement, ...] = ()

    @property
    def served(self) -> ValueAccuracy:
        """The row of the model that is served."""
        return next(row for row in self.value if row.candidate == SERVED)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, without the curves."""
        return {
            "cutoff": self.cutoff, "horizon_days": self.horizon_days, "customers": self.customers,
            "buyers_share": self.buyers_share, "realised_value": self.realised_value,
            "value": [asdict(row) for row in self.value], "churn": [asdict(row) for row in self.churn],
            "tiers": [asdict(row) for row in self.tiers], "past_tiers": [asdict(row) for row in self.past_tiers],
            "slices": [asdict(row) for row in self.slices], "coverage": [asdict(row) for row in self.coverage],
            "movement": [asdict(row) for row in self.movement],
        }  # fmt: skip


def evaluate(model: ValueModel, holdout: Snapshot, *, threads: int) -> Evaluation:
    """Score the customers of ``holdout`` with a model that knows nothing after its cutoff, and compare with what happened."""
    inputs = model_inputs(holdout.features, model.btyd, model.horizon_days)
    predicted = model.predict(holdout.features, as_of=holdout.cutoff, threads=threads)
    log_odds = model.two_part.log_odds(inputs, threads=threads)
    amounts = {
        SERVED: predicted["predicted_value"].to_numpy(np.float64),
        "two-part LightGBM": model.two_part.value(inputs, log_odds, threads=threads),
        "BG/NBD x Gamma-Gamma": btyd_value(inputs),
        "spend rate x horizon": _spend_rate(holdout.features) * model.horizon_days,
        "spend of the last horizon": _last_horizon(holdout.features, model.horizon_days),
        "same season last year": _last_season(holdout.features, model.horizon_days),
    }
    rankings = {PAST_SPEND: holdout.features["total_spend"].to_numpy(np.float64)}
    churned = 1.0 - holdout.active
    risks = {
        SERVED: predicted["churn_risk"].to_numpy(np.float64),
        "BG/NBD": 1.0 - purchase_probability(model.btyd, holdout.features, model.horizon_days),
    }
    silence = {"days since last order": holdout.features["days_since_last_order"].to_numpy(np.float64)}
    value = [_value_row(name, holdout.value, score, amount=True) for name, score in amounts.items()]
    value += [_value_row(name, holdout.value, score, amount=False) for name, score in rankings.items()]
    value += [_value_row(PERFECT, holdout.value, holdout.value, amount=True)]
    churn = [_churn_row(name, churned, score, probability=True) for name, score in risks.items()]
    churn += [_churn_row(name, churned, score, probability=False) for name, score in silence.items()]
    return Evaluation(
        cutoff=holdout.cutoff, horizon_days=model.horizon_days, customers=len(churned),
        buyers_share=float(holdout.active.mean()), realised_value=float(holdout.value.sum()),
        value=tuple(value), churn=tuple(churn), curves=_curves(holdout, amounts[SERVED], rankings[PAST_SPEND]),
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


def _curves(holdout: Snapshot, served: Floats, past_spend: Floats) -> dict[str, Floats]:
    expected, happened = accuracy.decile_means(holdout.value, served)
    return {
        SERVED: gain_curve(holdout.value, served),
        PAST_SPEND: gain_curve(holdout.value, past_spend),
        PERFECT: gain_curve(holdout.value, holdout.value),
        "decile_predicted": expected,
        "decile_realised": happened,
    }


def _spend_rate(features: pd.DataFrame) -> Floats:
    """Money per day since the first order."""
    return features["total_spend"].to_numpy(np.float64) / (features["T"].to_numpy(np.float64) + 1.0)


def _last_season(features: pd.DataFrame, horizon_days: int) -> Floats:
    """Spend of the same season a year before, scaled from the days it is counted over to those of the horizon."""
    return features["spend_same_season_1y"].to_numpy(np.float64) * (horizon_days / SEASON_DAYS)


def _last_horizon(features: pd.DataFrame, horizon_days: int) -> Floats:
    """Spend of as many days before as the horizon has, scaled from the catalog's nearest window."""
    window = min(WINDOWS, key=lambda days: abs(days - horizon_days))
    return features[f"spend_{window}d"].to_numpy(np.float64) * (horizon_days / window)


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


def _churn_row(name: str, churned: Floats, score: Floats, *, probability: bool) -> ChurnAccuracy:
    def of_probability(metric: Callable[[Floats, Floats], float]) -> float | None:
        return float(metric(churned, score)) if probability else None

    return ChurnAccuracy(
        candidate=name,
        auc=float(roc_auc_score(churned, score)),
        average_precision=float(average_precision_score(churned, score)),
        brier_skill=of_probability(accuracy.brier_skill),
        log_loss=of_probability(log_loss),
        calibration_error=of_probability(accuracy.expected_calibration_error),
    )
