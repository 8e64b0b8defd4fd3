"""What a backtest found: one evaluation for each origin, and all of them together with bootstrap intervals.

Only what was found is here. ``training.backtest_run`` makes it, ``training.backtest_summary`` sums it up.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from configs.days import date_of
from training.candidates import SERVED
from training.evaluation_rows import Coverage, Evaluation, Slice, TierOutcome
from training.grade import Grade
from training.resampling import CONFIDENCE
from training.told import Told

Floats = npt.NDArray[np.float64]

VALUE_METRICS = (
    "normalized_gini", "rank_correlation", "capture_5", "capture_10", "capture_20",
    "total_bias", "absolute_bias", "decile_error", "mean_absolute_error",
)  # fmt: skip
"""As in ``training.evaluation.ValueAccuracy``; ``absolute_bias`` is ``|total_bias - 1|``."""
CHURN_METRICS = ("auc", "average_precision", "brier_skill", "log_loss", "calibration_error")
LOWER_IS_BETTER = frozenset({"absolute_bias", "decile_error", "mean_absolute_error", "log_loss", "calibration_error"})


@dataclass(frozen=True)
class Estimate:
    """The mean of a metric over the origins, and the bounds of its 90 % interval (5 % and 95 % bootstrap quantiles)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class CandidateSummary:
    """One candidate over all origins.

    ``metrics``: by name (``VALUE_METRICS`` or ``CHURN_METRICS``); a metric that the candidate does not have at every origin (a
    ranking has no bias) is left out. ``lead``: the served model's metric less this candidate's, of the same customers in every
    replicate: above 0 the served one has more of it (see ``LOWER_IS_BETTER`` for whether more is good). The lead over itself
    is 0.
    """

    candidate: str
    metrics: Mapping[str, Estimate]
    lead: Mapping[str, Estimate]


@dataclass(frozen=True)
class Backtest:
    """Rolling origins, everything fitted again at each of them on what was known then.

    ``origins``: earliest first; the horizon of each is ``[cutoff, cutoff + horizon_days)``. ``first_day`` and ``as_of`` bound the
    history, ``[first_day, as_of)``, integer days. ``value`` and ``churn``: candidates over all origins, the served one first.
    ``tiers``, ``past_tiers``, ``slices``, ``coverage``: customers and money are means over the origins (of a slice: over
    those where it has enough customers), shares and ratios those of all origins together. ``curves``: means of the origins'.
    ``grade``: of all origins together. ``skipped``: planned origins that could not be judged, each with the reason.
    """

    horizon_days: int
    currency: str
    first_day: int
    as_of: int
    origins: tuple[Evaluation, ...]
    value: tuple[CandidateSummary, ...]
    churn: tuple[CandidateSummary, ...]
    tiers: tuple[TierOutcome, ...]
    past_tiers: tuple[TierOutcome, ...]
    slices: tuple[Slice, ...]
    coverage: tuple[Coverage, ...]
    curves: Mapping[str, Floats]
    resamples: int
    grade: Grade
    skipped: tuple[tuple[int, Told], ...] = ()

    @property
    def served(self) -> CandidateSummary:
        """The value of the model that is served."""
        return next(row for row in self.value if row.candidate == SERVED)

    @property
    def served_churn(self) -> CandidateSummary:
        """The churn risk of the model that is served."""
        return next(row for row in self.churn if row.candidate == SERVED)

    @property
    def customers(self) -> int:
        """Customers judged, those of all origins together."""
        return sum(one.customers for one in self.origins)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; days as dates."""
        return {
            "horizon_days": self.horizon_days, "currency": self.currency,
            "first_day": date_of(self.first_day).isoformat(), "as_of": date_of(self.as_of).isoformat(),
            "grade": self.grade.as_dict(), "interval": CONFIDENCE, "resamples": self.resamples,
            "value": [asdict(row) for row in self.value], "churn": [asdict(row) for row in self.churn],
            "tiers": [asdict(row) for row in self.tiers], "past_tiers": [asdict(row) for row in self.past_tiers],
            "slices": [asdict(row) for row in self.slices], "coverage": [asdict(row) for row in self.coverage],
            "origins": [{"origin": date_of(one.cutoff).isoformat(), **one.as_dict()} for one in self.origins],
            "skipped": [{"origin": date_of(origin).isoformat(), "reason": reason.en} for origin, reason in self.skipped],
        }  # fmt: skip
