"""What a value model says of each customer: the columns of a prediction, and its drivers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import pandas as pd

from features.catalog import GROUPS
from models.columns import Floats

GROUP_NAMES = tuple(group.name for group in GROUPS)
"""The driver groups, in the order in which contributions stand."""

PREDICTION_COLUMNS = (
    "predicted_value",
    "purchase_probability",
    "churn_risk",
    "value_if_active",
    "value_at_risk",
    "tier",
    "past_spend_tier",
    "movement",
    "lifecycle_stage",
    "rfm_segment",
    "abc_class",
    "last_order_day",
    "order_count",
    "total_spend",
    "value_low",
    "value_high",
    "tier_probability",
    "uncertain",
    "expected_orders",
    "expected_order_value",
    "next_order_day",
)
"""``predicted_value``, ``value_if_active``, ``value_at_risk``, ``total_spend`` in currency; probabilities in 0..1;
``last_order_day`` in days since 1970-01-01; ``movement`` up, same or down from past-spend tier to tier.
``value_low`` and ``value_high``: 80 % interval of what will be spent, in currency; ``tier_probability``: probability that it
lies within the bounds of the tier; ``uncertain``: the interval crosses such a bound, or lies beyond one. ``expected_orders``
times ``expected_order_value`` is the predicted value. ``next_order_day``: the first day by whose end the customer has ordered
with probability 1/2, NaN where none can be named."""


@dataclass(frozen=True)
class Drivers:
    """Why each prediction is what it is, by driver group (``features.catalog.GROUPS``).

    ``value`` (customers x groups, in currency) and ``churn`` (customers x groups, in probability) are signed, and
    ``value_average + value.sum(axis=1) = predicted_value``, ``churn_average + churn.sum(axis=1) = churn_risk``.
    The averages are those of a customer about whom the model knows nothing: the same for everybody.
    """

    value_average: float
    churn_average: float
    value: pd.DataFrame
    churn: pd.DataFrame


@dataclass(frozen=True)
class Contributions:
    """``Drivers`` as plain arrays: customers x groups, in the order of ``GROUP_NAMES``."""

    value_average: float
    churn_average: float
    value: Floats
    churn: Floats

    def table(self, customers: pd.Index[str]) -> Drivers:
        """The same with the customers' ids."""
        value, churn = (pd.DataFrame(parts, customers, list(GROUP_NAMES)) for parts in (self.value, self.churn))
        return Drivers(self.value_average, self.churn_average, value, churn)


@dataclass(frozen=True)
class Explained:
    """Predictions (``PREDICTION_COLUMNS``, by name) and drivers of the same customers, in their order."""

    predictions: dict[str, npt.NDArray[Any]]
    drivers: Contributions
