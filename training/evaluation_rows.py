"""What an evaluation found, in rows: accuracy by candidate, outcomes by tier, slices, coverage, movement."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from training.candidates import SERVED, SILENCE

Floats = npt.NDArray[np.float64]

CHURN_CAPTION = (
    "AUC: 1 = perfect ranking, 0.5 = random. Calibration error: how far said and realised risk lie apart. "
    f"Of {SILENCE} the AUC is that of the days themselves, the rest that of the risk learned from them."
)
"""Beneath a table of the ways to predict churn."""


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
    """One way to predict churn; scores that are no probabilities have a ranking quality (``auc``, ``average_precision``) only.

    ``training.candidates.SILENCE`` has that of the days themselves, and the rest of the probability made of them (isotonic).
    """

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
        """Plain values for JSON, without the curves but those of calibration."""
        return {
            "cutoff": self.cutoff, "horizon_days": self.horizon_days, "customers": self.customers,
            "buyers_share": self.buyers_share, "realised_value": self.realised_value,
            "value": [asdict(row) for row in self.value], "churn": [asdict(row) for row in self.churn],
            "tiers": [asdict(row) for row in self.tiers], "past_tiers": [asdict(row) for row in self.past_tiers],
            "slices": [asdict(row) for row in self.slices], "coverage": [asdict(row) for row in self.coverage],
            "movement": [asdict(row) for row in self.movement],
            "calibration": {"value": self._deciles("decile"), "risk": self._deciles("risk")},
        }  # fmt: skip

    def _deciles(self, what: str) -> list[dict[str, float]]:
        """Ten groups by rising prediction: what was said of each and what happened, means; none where they were not computed."""
        said, happened = (self.curves.get(f"{what}_{side}", ()) for side in ("predicted", "realised"))
        return [{"predicted": float(one), "realised": float(other)} for one, other in zip(said, happened, strict=True)]
