"""The value model: catalog features in, predictions and their drivers out. Frozen, and the same for one row or millions.

Let z be the calibrated log-odds of a purchase in the horizon, m the expected value of a buyer (two-part model) and b the
expected value by BTYD. Then

    p = 1 / (1 + exp(-z))                            purchase_probability; churn_risk = 1 - p
    v = two_part * p * m + btyd * b                  predicted_value, with two frozen factors (see ``Blend``)
    value_if_active = v / p                          value_at_risk = value_if_active * churn_risk

so that value and churn can never contradict each other. z and ln(p m) are sums of contributions, which become probability
and money by the logarithmic mean (see ``ValueModel.drivers``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.errors import BundleError
from features.catalog import CATALOG, FEATURE_NAMES, GROUPS
from models.btyd import Btyd, Customer
from models.past_views import PastViews
from models.prediction import PREDICTION_COLUMNS, Drivers
from models.tiers import Tiers
from models.tree_shapley import tree_shapley
from models.two_part import TwoPart, log_logistic, logistic

Floats = npt.NDArray[np.float64]
Curve = Callable[[Floats], Floats]
NEAR = 1e-7

BTYD_INPUTS = ("btyd_expected_purchases", "btyd_probability_alive", "btyd_expected_order_value")
GROUP_NAMES = tuple(group.name for group in GROUPS)
_GROUP_OF_INPUT = {
    **{feature.name: feature.group for feature in CATALOG},
    "btyd_expected_purchases": "order_history",
    "btyd_probability_alive": "recency",
    "btyd_expected_order_value": "order_value",
}
# BTYD takes its recency as silence: see Btyd.shapley.
_GROUP_OF_BTYD = {"frequency": "order_history", "recency": "recency", "T": "tenure", "monetary_value": "order_value"}


@dataclass(frozen=True)
class Blend:
    """How the two-part value and the BTYD value become one: ``two_part * their value + btyd * its value``.

    Both factors hold a weight (they would sum to 1) and the level at which that model is believed.
    """

    two_part: float
    btyd: float

    def __post_init__(self) -> None:
        if not (0.0 <= self.two_part < np.inf and 0.0 <= self.btyd < np.inf and self.two_part + self.btyd > 0.0):
            raise ValueError(f"a blend needs two factors of 0 or more, not both 0, found {self}")

    def value(self, two_part: Floats, btyd: Floats) -> Floats:
        """The blended value, one per customer."""
        return self.two_part * two_part + self.btyd * btyd


@dataclass(frozen=True)
class ValueModel:
    """Everything a prediction needs. ``features`` in the methods is what ``features.customers.feature_frame`` gives."""

    horizon_days: int
    currency: str
    two_part: TwoPart
    btyd: Btyd
    btyd_reference: Customer
    blend: Blend
    tiers: Tiers
    past_views: PastViews

    def predict(self, features: pd.DataFrame, *, as_of: int, threads: int = 1) -> pd.DataFrame:
        """Predictions of every customer: index of ``features``, columns ``PREDICTION_COLUMNS``.

        ``as_of`` is the cutoff of ``features`` (integer day, the first not observed). Raises BundleError: the columns are not
        those the model was trained on, in that order.
        """
        inputs = model_inputs(features, self.btyd, self.horizon_days)
        log_odds = self.two_part.log_odds(inputs, threads=threads)
        value = self.blend.value(self.two_part.value(inputs, log_odds, threads=threads), btyd_value(inputs))
        churn_risk = logistic(-log_odds)
        value_if_active = value / logistic(log_odds)
        tier = self.tiers.assign(value)
        numbers = {
            "predicted_value": value,
            "purchase_probability": logistic(log_odds),
            "churn_risk": churn_risk,
            "value_if_active": value_if_active,
            "value_at_risk": value_if_active * churn_risk,
            "tier": tier,
            "last_order_day": (as_of - features["days_since_last_order"].to_numpy()).astype(np.int64),
            "order_count": features["order_count"].to_numpy().astype(np.int64),
            "total_spend": features["total_spend"].to_numpy(),
        }
        views = self.past_views.apply(features, tier)
        columns = {**numbers, **{name: views[name].to_numpy() for name in views.columns}}
        return pd.DataFrame({name: columns[name] for name in PREDICTION_COLUMNS}, index=features.index)

    def drivers(self, features: pd.DataFrame, *, threads: int = 1) -> Drivers:
        """Exact drivers of every customer's value and churn risk.

        TreeSHAP contributions c to the logarithm of the two-part value become money by the logarithmic mean,
        ``c * (x - x0) / (ln x - ln x0)``, where x0 is the average; those to the log-odds become probability, and parts of
        ln p, by the same rule on their own scales. BTYD's part is its exact Shapley values in money. All are summed by
        driver group.
        """
        inputs = self.two_part.read(model_inputs(features, self.btyd, self.horizon_days))
        odds, chance = self._chance_parts(inputs, threads)
        log_odds = odds + chance.sum(axis=1)
        to_log_chance = _mean_slope(log_logistic, _logistic_of_opposite, log_odds, odds)[:, None]
        buyer, value = tree_shapley(self.two_part.booster_value, inputs, threads=threads)
        two_part_average, two_part = _money(float(log_logistic(odds)) + buyer, chance * to_log_chance + value)
        shapley = self.btyd.shapley(features, self.horizon_days, self.btyd_reference)
        of_trees = _by_group(self.two_part.inputs, _GROUP_OF_INPUT)
        of_btyd = _by_group(shapley.effects.columns, _GROUP_OF_BTYD)
        to_churn = -_mean_slope(logistic, _logistic_slope, log_odds, odds)[:, None]

        def frame(parts: Floats) -> pd.DataFrame:
            return pd.DataFrame(parts, index=features.index, columns=list(GROUP_NAMES))

        return Drivers(
            value_average=self.blend.two_part * two_part_average + self.blend.btyd * shapley.base,
            churn_average=float(logistic(-odds)),
            value=frame(self.blend.two_part * two_part @ of_trees + self.blend.btyd * shapley.effects.to_numpy() @ of_btyd),
            churn=frame(chance * to_churn @ of_trees),
        )

    def _chance_parts(self, inputs: pd.DataFrame, threads: int) -> tuple[float, Floats]:
        """Base and contributions of the calibrated log-odds."""
        base, parts = tree_shapley(self.two_part.booster_purchase, inputs, threads=threads)
        calibration = self.two_part.calibration
        return calibration.slope * base + calibration.intercept, calibration.slope * parts


def model_inputs(features: pd.DataFrame, btyd: Btyd, horizon_days: int) -> pd.DataFrame:
    """Catalog features and the three BTYD predictions, one float64 block, columns in a fixed order.

    Raises BundleError: the columns are not the catalog's, in its order. LightGBM itself would take them silently.
    """
    if tuple(features.columns) != FEATURE_NAMES:
        strange = [name for name in features.columns if name not in FEATURE_NAMES][:5]
        missing = [name for name in FEATURE_NAMES if name not in features.columns][:5]
        raise BundleError(
            f"the model reads {len(FEATURE_NAMES)} features in a fixed order, found {features.shape[1]} columns "
            f"(missing: {missing or 'none'}, unknown: {strange or 'none'}): use features.customers.feature_frame"
        )
    predicted = (
        btyd.expected_purchases(features, float(horizon_days)),
        btyd.probability_alive(features),
        btyd.expected_order_value(features),
    )
    block = np.column_stack([features.to_numpy(np.float64), *predicted])
    return pd.DataFrame(block, index=features.index, columns=[*FEATURE_NAMES, *BTYD_INPUTS])


def btyd_value(inputs: pd.DataFrame) -> Floats:
    """BTYD's expected money in the horizon, out of ``model_inputs``."""
    value = inputs["btyd_expected_purchases"] * inputs["btyd_expected_order_value"]
    return value.to_numpy(np.float64)


def _by_group(inputs: Iterable[str], groups: Mapping[str, str]) -> Floats:
    """(inputs x groups) matrix of 0 and 1 that sums contributions by driver group."""
    return np.array([[float(groups[name] == group) for group in GROUP_NAMES] for name in inputs])


def _money(log_average: float, log_parts: Floats) -> tuple[float, Floats]:
    """Average in money, and the contributions to ln x as contributions to x."""
    log_value = log_average + log_parts.sum(axis=1)
    return float(np.exp(log_average)), log_parts * _mean_slope(np.exp, np.exp, log_value, log_average)[:, None]


def _logistic_slope(log_odds: Floats) -> Floats:
    return logistic(log_odds) * logistic(-log_odds)


def _logistic_of_opposite(log_odds: Floats) -> Floats:
    """Derivative of ln p by the log-odds: 1 - p."""
    return logistic(-log_odds)


def _mean_slope(function: Curve, derivative: Curve, at: Floats, base: float) -> Floats:
    """(f(x) - f(x0)) / (x - x0), and the derivative where x and x0 nearly coincide."""
    step = at - base
    # Below this step cancellation costs more digits than the midpoint rule does.
    near = np.abs(step) < NEAR
    rise = function(at) - function(np.full(1, base))
    return np.asarray(np.where(near, derivative(base + step / 2.0), rise / np.where(near, 1.0, step)), dtype=np.float64)
