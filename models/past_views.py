"""The views of a customer's past that people know: RFM segment, ABC class, lifecycle stage, past-spend tier, movement.

They are kept for comparison: Foretier decides by predicted value. Every boundary is learned at training and frozen, so
that a customer's views never depend on who else is in a request.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.settings import Settings, TierPareto
from models.columns import Customers, Floats, column
from models.tiers import Tiers, learn_thresholds, tiers_by_count

PAST_VIEW_COLUMNS = ("rfm_segment", "abc_class", "lifecycle_stage", "past_spend_tier", "movement")
Names = npt.NDArray[np.object_]
Scores = npt.NDArray[np.intp]
QUINTILES = (0.2, 0.4, 0.6, 0.8)
ABC_POLICY = TierPareto(method="pareto", value_shares={"A": 0.80, "B": 0.15}, rest="C")


def _segment_map() -> dict[tuple[int, int], str]:
    """Segment by (recency score, mean of frequency and monetary score).

    The grid published by Putler ("RFM analysis for successful customer segmentation", putler.com/rfm-analysis) in the
    5 x 5 form in which it is used most: every cell has exactly one segment.
    """
    segments = (
        ("Lost", (1,), (1,)),
        ("Hibernating", (1, 2), (1, 2)),
        ("At risk", (1, 2), (3, 4)),
        ("Cannot lose them", (1, 2), (5,)),
        ("About to sleep", (3,), (1, 2)),
        ("Need attention", (3,), (3,)),
        ("Promising", (4,), (1,)),
        ("New", (5,), (1,)),
        ("Potential loyalist", (4, 5), (2, 3)),
        ("Loyal", (3, 4), (4, 5)),
        ("Champions", (5,), (4, 5)),
    )
    grid: dict[tuple[int, int], str] = {}
    for name, recency_scores, value_scores in segments:
        for cell in product(recency_scores, value_scores):
            grid.setdefault(cell, name)
    return grid


RFM_SEGMENTS = _segment_map()


@dataclass(frozen=True)
class PastViews:
    """Frozen boundaries of the past-looking views.

    ``days_since_last_order``, ``order_count`` and ``total_spend`` hold the four inner quintile boundaries, ascending; a
    customer at a boundary falls in the lower part. ``active_days`` and ``lost_days`` are limits on the days since the
    last order.
    """

    days_since_last_order: tuple[float, ...]
    order_count: tuple[float, ...]
    total_spend: tuple[float, ...]
    abc: Tiers
    spend_tiers: Tiers
    new_days: int
    active_days: int
    lost_days: int

    def apply(self, features: Customers, predicted_tiers: npt.ArrayLike) -> dict[str, Names]:
        """All views of every customer, in their order: ``PAST_VIEW_COLUMNS``.

        ``features`` needs days_since_last_order, order_count, total_spend and T; ``predicted_tiers`` holds tier names
        in the same order.
        """
        spend = column(features, "total_spend")
        past_rank = self.spend_tiers.rank(spend)
        return {
            "rfm_segment": self.rfm_segment(features),
            "abc_class": self.abc.assign(spend),
            "lifecycle_stage": self.lifecycle_stage(features),
            "past_spend_tier": np.asarray(self.spend_tiers.names, dtype=object)[past_rank],
            "movement": self._movement(past_rank, predicted_tiers),
        }

    def rfm_scores(self, features: Customers) -> dict[str, Scores]:
        """Scores 1 to 5 (5 = best) as R, F, M: quintiles of days since the last order, orders, total spend."""
        days, orders, spend = (column(features, name) for name in _RFM_FEATURES)
        return {
            "R": 5 - np.searchsorted(self.days_since_last_order, days, side="left"),
            "F": 1 + np.searchsorted(self.order_count, orders, side="left"),
            "M": 1 + np.searchsorted(self.total_spend, spend, side="left"),
        }

    def rfm_segment(self, features: Customers) -> Names:
        """Named segment of each customer: ``RFM_SEGMENTS`` at (R, mean of F and M rounded half up)."""
        scores = self.rfm_scores(features)
        segments: Names = _SEGMENT_GRID[scores["R"], (scores["F"] + scores["M"] + 1) // 2]
        return segments

    def lifecycle_stage(self, features: Customers) -> Names:
        """Stage of each customer: new, active, dormant or lost.

        new: first purchase at most ``new_days`` before the cutoff; otherwise active: last order at most ``active_days``
        before it; dormant: at most ``lost_days``; lost: longer ago.
        """
        days = column(features, "days_since_last_order")
        # T counts from the last observed day, one day before the cutoff.
        age = column(features, "T") + 1.0
        cases = [age <= self.new_days, days <= self.active_days, days <= self.lost_days]
        return np.select(cases, ["new", "active", "dormant"], "lost").astype(object)

    def _movement(self, past_rank: npt.NDArray[np.intp], predicted_tiers: npt.ArrayLike) -> Names:
        rank_of = {name: rank for rank, name in enumerate(self.spend_tiers.names)}
        predicted_rank = np.array([rank_of[name] for name in np.asarray(predicted_tiers, dtype=object)], dtype=np.intp)
        movements: Names = np.array(["up", "same", "down"], dtype=object)[np.sign(predicted_rank - past_rank) + 1]
        return movements

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, lists and dicts."""
        stored = asdict(self)
        stored.update({name: list(stored[name]) for name in _RFM_FEATURES})
        return {**stored, "abc": self.abc.to_json(), "spend_tiers": self.spend_tiers.to_json()}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> PastViews:
        """The inverse of ``to_json``."""
        days, orders, spend = (tuple(float(limit) for limit in stored[name]) for name in _RFM_FEATURES)
        return cls(
            days_since_last_order=days,
            order_count=orders,
            total_spend=spend,
            abc=Tiers.from_json(stored["abc"]),
            spend_tiers=Tiers.from_json(stored["spend_tiers"]),
            new_days=int(stored["new_days"]),
            active_days=int(stored["active_days"]),
            lost_days=int(stored["lost_days"]),
        )


def fit_past_views(
    features: pd.DataFrame, settings: Settings, *, horizon_days: int, predicted_tiers: Sequence[str] | npt.ArrayLike
) -> PastViews:
    """Learn every boundary from the customers at training.

    The past-spend tiers take the shares that the predicted tiers have among the same customers, whatever the tier
    policy is, so that as many places are won as lost (but for ties). ABC: the best customers who hold the first 80 % of
    all past spend are A, the next up to 95 % are B. Lifecycle limits left empty in the settings follow the horizon:
    active means ordered within the last horizon (``active_days = horizon_days``), lost means no order for two of them
    (``lost_days = 2 * horizon_days``).

    Raises ValueError: ``predicted_tiers`` is not one tier name of the settings for each customer; no customers.
    """
    days, orders, total = (_quintiles(features[name].to_numpy(np.float64)) for name in _RFM_FEATURES)
    spend = features["total_spend"].to_numpy(np.float64)
    lifecycle = settings.lifecycle
    active = lifecycle.active_days if lifecycle.active_days is not None else horizon_days
    lost = lifecycle.lost_days if lifecycle.lost_days is not None else 2 * horizon_days
    return PastViews(
        days_since_last_order=days,
        order_count=orders,
        total_spend=total,
        abc=learn_thresholds(spend, ABC_POLICY),
        spend_tiers=_same_shares(spend, settings.tier_names, np.asarray(predicted_tiers, dtype=object)),
        new_days=lifecycle.new_days,
        active_days=active,
        lost_days=max(active, lost),
    )


_RFM_FEATURES = ("days_since_last_order", "order_count", "total_spend")
_SEGMENT_GRID = np.array([[RFM_SEGMENTS.get((r, v), "") for v in range(6)] for r in range(6)], dtype=object)


def _quintiles(values: Floats) -> tuple[float, ...]:
    # Observed values, so that equal customers get equal scores and a boundary reads as a real count of days or orders.
    return tuple(float(limit) for limit in np.quantile(values, QUINTILES, method="inverted_cdf"))


def _same_shares(spend: Floats, names: tuple[str, ...], predicted: Names) -> Tiers:
    """Spend thresholds that give each tier the share it has among the predicted tiers."""
    customers = [int(np.sum(predicted == name)) for name in names]
    if sum(customers) != len(spend):
        raise ValueError(f"predicted tiers must be {len(spend)} names out of {', '.join(names)}")
    return tiers_by_count(names, spend, np.cumsum(customers[:-1]) / len(spend))
