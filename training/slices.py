"""Groups of customers that are hard to understand, and how well each is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from models import accuracy
from training.candidates import SERVED, Judged
from training.evaluation_rows import Slice
from training.figures import written

Floats = npt.NDArray[np.float64]
Chosen = npt.NDArray[np.bool_]

NEW_DAYS = 90
BULK_SHARE = 0.01
GIANT_SHARE = 0.8
RETURNED_SHARE = 0.25
FEWEST_CUSTOMERS = 20
"""Smaller groups say more of their few customers than of the model."""
MOST_VALUES = 10
"""Of an attribute the most common values only."""

ONE_TIME, REPEAT, NEW = "one-time buyers", "repeat buyers", "new customers"
BULK, GIANT, RETURNERS, SEASONAL = "bulk buyers", "single giant order", "heavy returners", "seasonal buyers"

MEANING = {
    ONE_TIME: "bought on one day only",
    REPEAT: "bought on two days or more",
    NEW: f"first ordered within {NEW_DAYS} days before the origin",
    BULK: f"largest order among the highest {written(BULK_SHARE, '.0%')} of all customers' largest orders",
    GIANT: f"bulk buyers whose largest order is at least {written(GIANT_SHARE, '.0%')} of all they bought",
    RETURNERS: f"got at least {written(RETURNED_SHARE, '.0%')} of what they bought refunded",
    SEASONAL: "bought on two days or more, always in this season (90 days from the origin on) of earlier years",
}


def slices(judged: Judged) -> tuple[Slice, ...]:
    """Every group of ``MEANING`` and of the attributes that has at least ``FEWEST_CUSTOMERS`` customers."""
    found = [*_behaviour(judged), *_by_attribute(judged)]
    return tuple(slice_of(judged, name, chosen) for name, chosen in found if chosen.sum() >= FEWEST_CUSTOMERS)


def slice_of(judged: Judged, name: str, chosen: Chosen) -> Slice:
    """How well the served model understands the chosen customers (at least one)."""
    value, said = judged.holdout.value[chosen], judged.amounts[SERVED][chosen]
    churned, risk = judged.churned[chosen], judged.risks[SERVED][chosen]
    gini = accuracy.normalized_gini(value, said)
    return Slice(
        name=name, customers=int(chosen.sum()),
        realised_value=float(value.sum()), predicted_value=float(said.sum()),
        total_bias=accuracy.total_bias(value, said) if value.sum() > 0.0 else None,
        normalized_gini=None if np.isnan(gini) else gini,
        churned=float(churned.mean()), churn_risk=float(risk.mean()),
        churn_calibration_error=accuracy.expected_calibration_error(churned, risk),
    )  # fmt: skip


def merged(parts: Sequence[Slice]) -> Slice:
    """One group over several origins: customers and money are means, ratios of the sums, the rest means by customers."""
    weights = np.array([one.customers for one in parts])
    realised = float(np.mean([one.realised_value for one in parts]))
    predicted = float(np.mean([one.predicted_value for one in parts]))

    def mean(numbers: Sequence[float | None]) -> float | None:
        column = np.array(numbers, dtype=np.float64)
        known = np.isfinite(column)
        return float(np.average(column[known], weights=weights[known])) if known.any() else None

    return Slice(
        name=parts[0].name, customers=float(weights.mean()), realised_value=realised, predicted_value=predicted,
        total_bias=predicted / realised if realised > 0.0 else None,
        normalized_gini=mean([one.normalized_gini for one in parts]),
        churned=float(np.average(np.array([one.churned for one in parts]), weights=weights)),
        churn_risk=float(np.average(np.array([one.churn_risk for one in parts]), weights=weights)),
        churn_calibration_error=mean([one.churn_calibration_error for one in parts]),
    )  # fmt: skip


def _behaviour(judged: Judged) -> Iterator[tuple[str, Chosen]]:
    features = judged.holdout.features
    once = features["frequency"].to_numpy() == 0.0
    yield ONE_TIME, once
    yield REPEAT, ~once
    yield NEW, features["T"].to_numpy() < NEW_DAYS
    largest = judged.context.largest_order
    if largest is not None:
        bulk = largest >= np.quantile(largest, 1.0 - BULK_SHARE, method="higher")
        bought = (features["order_value_mean"] * features["order_count"]).to_numpy()
        yield BULK, bulk
        yield GIANT, bulk & (largest >= GIANT_SHARE * bought)
    yield RETURNERS, features["refund_share"].to_numpy() >= RETURNED_SHARE
    in_season = features["orders_same_season_1y"] + features["orders_same_season_2y"]
    yield SEASONAL, (in_season == features["order_count"]).to_numpy() & ~once


def _by_attribute(judged: Judged) -> Iterator[tuple[str, Chosen]]:
    for attribute, values in judged.context.attributes.items():
        for value in _most_common(values):
            yield f"{attribute}: {value}", (values == value).fillna(value=False).to_numpy(bool)


def _most_common(values: pd.Series) -> list[str]:
    """At most ``MOST_VALUES`` values, the most common first, equally common ones by name."""
    counts = values.value_counts()
    return sorted(counts.index, key=lambda value: (-counts[value], value))[:MOST_VALUES]
