"""The value model: catalog features in, predictions and their drivers out. Frozen, and the same for one row or millions.

Let z be the log-odds of a purchase in the horizon (``models.stacking``: of trees and BTYD), m the expected value of a buyer by
the trees and q the same by BTYD. Then

    p = 1 / (1 + exp(-z))                            purchase_probability; churn_risk = 1 - p
    v = p * (two_part * m + btyd * q)                predicted_value, with frozen factors (see ``Blend``)
    value_if_active = v / p                          value_at_risk = value_if_active * churn_risk

so that value and churn can never contradict each other. z, ln(p m) and ln(p q) are sums of contributions, which become
probability and money by the logarithmic mean (see ``ValueModel.explain``). Other horizons than the trained one follow
``models.horizons``, the interval ``models.intervals``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.errors import BundleError
from features.catalog import CATALOG, FEATURE_NAMES
from models.btyd import Btyd, Customer
from models.btyd_shapley import log_buyer_value_shapley, log_odds_shapley
from models.columns import Columns, Customers, Floats, column, columns_of
from models.giant_orders import tempered, tempered_columns
from models.horizons import next_order_days, time_shape
from models.intervals import HIGH, LOW, Spread
from models.past_views import PastViews
from models.prediction import GROUP_NAMES, PREDICTION_COLUMNS, Contributions, Drivers, Explained
from models.stacking import Stacking, btyd_log_odds
from models.tiers import Tiers
from models.tree_shapley import TreeShapley, tree_shapley
from models.two_part import TwoPart, log_logistic, logistic, raw_score

Curve = Callable[[Floats], Floats]
NEAR = 1e-7

BTYD_INPUTS = ("btyd_expected_purchases", "btyd_probability_alive", "btyd_expected_order_value")
_GROUP_OF_INPUT = {
    **{feature.name: feature.group for feature in CATALOG},
    "btyd_expected_purchases": "order_history",
    "btyd_probability_alive": "recency",
    "btyd_expected_order_value": "order_value",
}
# BTYD takes its recency as silence: see models.btyd_shapley.
_GROUP_OF_BTYD = {"frequency": "order_history", "recency": "recency", "T": "tenure", "monetary_value": "order_value"}
_RHYTHM = GROUP_NAMES.index("order_history")
"""Where contributions of a customer's own rhythm go: of being a one-time buyer, and of the shape of time."""


@dataclass(frozen=True)
class Blend:
    """How the value of a buyer by the trees and by BTYD become one.

    ``two_part * m + btyd * q``, times ``one_time`` for one-time buyers.
    Both factors hold a weight (they would sum to 1) and the level at which that model is believed.
    """

    two_part: float
    btyd: float
    one_time: float = 1.0

    def __post_init__(self) -> None:
        finite = 0.0 <= self.two_part < np.inf and 0.0 <= self.btyd < np.inf and 0.0 < self.one_time < np.inf
        if not (finite and self.two_part + self.btyd > 0.0):
            raise ValueError(f"a blend needs two factors of 0 or more, not both 0, and one above 0, found {self}")

    def value(self, outlook: Outlook, log_odds: Floats) -> Floats:
        """The blended value in the trained horizon, one per customer."""
        of_buyer = self.two_part * np.exp(outlook.log_trees) + self.btyd * np.exp(outlook.log_btyd)
        return logistic(log_odds) * of_buyer * np.where(outlook.one_time, self.one_time, 1.0)


@dataclass(frozen=True)
class Outlook:
    """What both models say of each customer, before they are put together.

    ``margin`` and ``btyd_log_odds``: log-odds of a purchase by the trees and by BTYD; ``log_trees`` and ``log_btyd``: logarithm
    of the expected value of a buyer; ``one_time``: has bought on one day only.
    """

    margin: Floats
    btyd_log_odds: Floats
    log_trees: Floats
    log_btyd: Floats
    one_time: npt.NDArray[np.bool_]

    def log_odds(self, stacking: Stacking) -> Floats:
        """Log-odds of a purchase out of both models."""
        return stacking.log_odds(self.margin, self.btyd_log_odds, self.one_time)


@dataclass(frozen=True)
class Known:
    """What the models read of some customers, made once for predictions and drivers.

    ``told``: the features as people are told; ``believed``: without the excess of giant orders; ``matrix``: what the boosters
    read (customers x inputs).
    """

    told: Columns
    believed: Columns
    matrix: Floats
    btyd_order_value: Floats

    def __len__(self) -> int:
        return len(self.matrix)


@dataclass(frozen=True)
class ValueModel:
    """Everything a prediction needs. ``features`` in the methods is what ``features.customers.feature_frame`` gives.

    ``as_of``: the day up to which everything was known at training, not included (integer): level and season are those of that
    day. ``order_limit``: money up to which a single order is believed (``models.giant_orders``). ``grade``: A to D
    (``training.grade``), None where the model was not graded.
    """

    horizon_days: int
    as_of: int
    currency: str
    two_part: TwoPart
    btyd: Btyd
    btyd_reference: Customer
    stacking: Stacking
    blend: Blend
    spread: Spread
    tiers: Tiers
    past_views: PastViews
    order_limit: float
    grade: str | None = None

    def predict(self, features: pd.DataFrame, *, as_of: int, threads: int = 1, horizon_days: int | None = None) -> pd.DataFrame:
        """Predictions of every customer: index of ``features``, columns ``PREDICTION_COLUMNS``.

        ``as_of`` is the cutoff of ``features`` (integer day, the first not observed). ``horizon_days``: another horizon than
        the trained one, at least 1; tiers, their probability and the next order do not depend on it. Raises BundleError: the
        columns are not those the model was trained on, in that order. ValueError: ``horizon_days`` below 1.
        """
        asked = self._asked(horizon_days)
        return pd.DataFrame(self._predictions(self._known(columns_of(features)), as_of, asked, threads), index=features.index)

    def drivers(self, features: pd.DataFrame, *, horizon_days: int | None = None) -> Drivers:
        """Exact drivers of every customer's value and churn risk, as ``explain`` gives them."""
        return self._contributions(self._known(columns_of(features)), self._asked(horizon_days)).table(features.index)

    def explain(self, features: Columns, *, as_of: int, threads: int = 1, horizon_days: int | None = None) -> Explained:
        """What ``predict`` and ``drivers`` say, of and in plain arrays; a customer's numbers depend on nobody else.

        Contributions to the log-odds are TreeSHAP's of the trees and the exact Shapley values of BTYD, by their slopes; those
        to the logarithm of a buyer's value likewise. A contribution c to ln x becomes money by the logarithmic mean,
        ``c * (x - x0) / (ln x - ln x0)``, where x0 is the average; those to the log-odds become probability, and parts of
        ln p, by the same rule on their own scales. All are summed by driver group. For another horizon than the trained one
        they follow the customer's curve (``models.horizons``), whose difference to the average one counts as order history.
        """
        asked = self._asked(horizon_days)
        known = self._known(features)
        return Explained(self._predictions(known, as_of, asked, threads), self._contributions(known, asked))

    def _asked(self, horizon_days: int | None) -> int:
        if horizon_days is not None and horizon_days < 1:
            raise ValueError(f"horizon_days must be 1 or more, found {horizon_days}")
        return horizon_days or self.horizon_days

    def believed(self, features: pd.DataFrame) -> pd.DataFrame:
        """The customers as the models see them, without the excess of giant orders. Raises BundleError as ``predict`` does."""
        check_columns(features)
        return tempered(features, self.order_limit)

    def _known(self, features: Columns) -> Known:
        check_columns(features)
        believed = tempered_columns(features, self.order_limit)
        inputs = _inputs(believed, self.btyd, self.horizon_days)
        return Known(features, believed, self.two_part.matrix(inputs), inputs["btyd_expected_order_value"])

    def _predictions(self, known: Known, as_of: int, asked: int, threads: int) -> dict[str, npt.NDArray[Any]]:
        believed, told = known.believed, known.told
        seen = _outlook(self.two_part, self.btyd, known, self.horizon_days, threads)
        log_odds = seen.log_odds(self.stacking)
        trained_value = self.blend.value(seen, log_odds)
        tier = self.tiers.assign(trained_value)
        shape = time_shape(self.btyd, believed, self.horizon_days, asked)
        log_churn_trained = log_logistic(-log_odds)
        value, log_churn = trained_value * shape.value, log_churn_trained * shape.hazard
        churn_risk, probability = np.exp(log_churn), -np.expm1(log_churn)
        if_active = value / probability
        orders = np.maximum(probability, value / known.btyd_order_value)
        days = next_order_days(self.btyd, believed, self.horizon_days, log_churn_trained)
        group = self.spread.group(trained_value)
        columns = {
            "predicted_value": value,
            "purchase_probability": probability,
            "churn_risk": churn_risk,
            "value_if_active": if_active,
            "value_at_risk": if_active * churn_risk,
            "tier": tier,
            "last_order_day": (as_of - told["days_since_last_order"]).astype(np.int64),
            "order_count": told["order_count"].astype(np.int64),
            "total_spend": told["total_spend"],
            "value_low": self.spread.quantile(LOW, churn_risk, if_active, group),
            "value_high": self.spread.quantile(HIGH, churn_risk, if_active, group),
            **self._tier_outlook(trained_value, log_odds, group),
            "expected_orders": orders,
            "expected_order_value": value / orders,
            "next_order_day": as_of + days - 1.0,
            **self.past_views.apply(told, tier),
        }
        return {name: columns[name] for name in PREDICTION_COLUMNS}

    def _tier_outlook(self, value: Floats, log_odds: Floats, group: npt.NDArray[np.intp]) -> dict[str, npt.NDArray[Any]]:
        """How likely what is spent in the trained horizon lies in the tier, and whether its interval reaches another."""
        churn_risk, if_active = logistic(-log_odds), value / logistic(log_odds)
        low, high = (self.spread.quantile(level, churn_risk, if_active, group) for level in (LOW, HIGH))
        rank = self.tiers.rank(value)
        bounds = np.concatenate([[np.inf], np.maximum(self.tiers.thresholds, 0.0), [0.0]])
        upper, lower = (self.spread.below(bounds[side], churn_risk, if_active, group) for side in (rank, rank + 1))
        return {
            "tier_probability": np.clip(upper - lower, 0.0, 1.0),
            "uncertain": (self.tiers.rank(low) != rank) | (self.tiers.rank(high) != rank),
        }

    def _contributions(self, known: Known, asked: int) -> Contributions:
        odds, chance = self._chance_parts(known)
        log_odds = odds + chance.sum(axis=1)
        log_chance = chance * _mean_slope(log_logistic, _logistic_of_opposite, log_odds, odds)[:, None]
        log_churn = chance * _mean_slope(_log_churn, _log_churn_slope, log_odds, odds)[:, None]
        average, value = self._value_parts(known, float(log_logistic(odds)), log_chance)
        own = time_shape(self.btyd, known.believed, self.horizon_days, asked)
        usual = time_shape(self.btyd, self._reference_features(), self.horizon_days, asked)
        value = value * own.value[:, None]
        value[:, _RHYTHM] += average * (own.value - usual.value)
        log_average = float(_log_churn(np.array(odds)) * usual.hazard[0])
        log_churn = log_churn * own.hazard[:, None]
        log_churn[:, _RHYTHM] += _log_churn(np.array(odds)) * (own.hazard - usual.hazard)
        churn_average, churn = _money(log_average, log_churn)
        return Contributions(average * float(usual.value[0]), churn_average, value, churn)

    def _chance_parts(self, known: Known) -> tuple[float, Floats]:
        """Base and contributions (customers x groups) of the log-odds."""
        trees = self._purchase_trees
        btyd = log_odds_shapley(self.btyd, known.believed, float(self.horizon_days), self.btyd_reference)
        parts = self.stacking.trees * trees.contributions(known.matrix) + self.stacking.btyd * _of_btyd(btyd.effects)
        parts[:, _RHYTHM] += self.stacking.one_time * is_one_time(known.believed)
        return self.stacking.trees * trees.base + self.stacking.btyd * btyd.base + self.stacking.intercept, parts

    def _value_parts(self, known: Known, log_chance_average: float, log_chance: Floats) -> tuple[float, Floats]:
        """Average and contributions (customers x groups) of the value in the trained horizon, in money."""
        trees = self._value_trees
        btyd = log_buyer_value_shapley(self.btyd, known.believed, float(self.horizon_days), self.btyd_reference)
        log_chance = log_chance.copy()
        log_chance[:, _RHYTHM] += np.log(self.blend.one_time) * is_one_time(known.believed)
        average, total = 0.0, np.zeros_like(log_chance)
        for factor, log_average, parts in (
            (self.blend.two_part, trees.base, trees.contributions(known.matrix)),
            (self.blend.btyd, btyd.base, _of_btyd(btyd.effects)),
        ):
            of_model, money = _money(log_chance_average + log_average, log_chance + parts)
            average, total = average + factor * of_model, total + factor * money
        return average, total

    @cached_property
    def _purchase_trees(self) -> TreeShapley:
        return self._tree_shapley(self.two_part.booster_purchase)

    @cached_property
    def _value_trees(self) -> TreeShapley:
        return self._tree_shapley(self.two_part.booster_value)

    def _tree_shapley(self, booster: lgb.Booster) -> TreeShapley:
        groups = [GROUP_NAMES.index(_GROUP_OF_INPUT[name]) for name in self.two_part.inputs]
        return tree_shapley(booster, groups, len(GROUP_NAMES))

    def _reference_features(self) -> Columns:
        """The customer against whom BTYD is explained, as BTYD reads it."""
        reference = self.btyd_reference
        money = np.array([reference.monetary_value])
        history = {name: np.array([float(getattr(reference, name))]) for name in ("frequency", "recency", "T")}
        return {**history, "monetary_value": money, "order_value_mean": money}


def outlook(two_part: TwoPart, btyd: Btyd, features: pd.DataFrame, horizon_days: int, *, threads: int) -> Outlook:
    """What both models say of each customer in the trained horizon. Raises BundleError as ``model_inputs`` does."""
    check_columns(features)
    believed = columns_of(features)
    inputs = _inputs(believed, btyd, horizon_days)
    known = Known(believed, believed, two_part.matrix(inputs), inputs["btyd_expected_order_value"])
    return _outlook(two_part, btyd, known, horizon_days, threads)


def _outlook(two_part: TwoPart, btyd: Btyd, known: Known, horizon_days: int, threads: int) -> Outlook:
    features, horizon = known.believed, float(horizon_days)
    # Whether the customer is alive cancels out of E[Y] / P(Y > 0), and may be too small to divide by.
    orders = btyd.purchases_if_alive(features, horizon) / btyd.purchase_probability_if_alive(features, horizon)
    return Outlook(
        margin=raw_score(two_part.booster_purchase, known.matrix, threads),
        btyd_log_odds=btyd_log_odds(btyd.purchase_probability(features, horizon)),
        log_trees=raw_score(two_part.booster_value, known.matrix, threads),
        log_btyd=np.log(np.maximum(orders * known.btyd_order_value, np.finfo(np.float64).tiny)),
        one_time=is_one_time(features),
    )


def is_one_time(features: Customers) -> npt.NDArray[np.bool_]:
    """Whether each customer has bought on one day only."""
    return np.asarray(column(features, "frequency") == 0.0)


def model_inputs(features: pd.DataFrame, btyd: Btyd, horizon_days: int) -> pd.DataFrame:
    """Catalog features and the three BTYD predictions, one float64 block, columns in a fixed order.

    Raises BundleError: the columns are not the catalog's, in its order. LightGBM itself would take them silently.
    """
    check_columns(features)
    inputs = _inputs(columns_of(features), btyd, horizon_days)
    return pd.DataFrame(np.column_stack(list(inputs.values())), index=features.index, columns=list(inputs))


def _inputs(features: Columns, btyd: Btyd, horizon_days: int) -> Columns:
    predicted = (
        btyd.expected_purchases(features, float(horizon_days)),
        btyd.probability_alive(features),
        btyd.expected_order_value(features),
    )
    return {**features, **dict(zip(BTYD_INPUTS, predicted, strict=True))}


def check_columns(features: Customers) -> None:
    """Raise BundleError where the columns are not the catalog's, in its order."""
    found = tuple(features)
    if found != FEATURE_NAMES:
        strange = [name for name in found if name not in FEATURE_NAMES][:5]
        missing = [name for name in FEATURE_NAMES if name not in found][:5]
        raise BundleError(
            f"the model reads {len(FEATURE_NAMES)} features in a fixed order, found {len(found)} columns "
            f"(missing: {missing or 'none'}, unknown: {strange or 'none'}): use features.customers.feature_frame"
        )


def btyd_value(inputs: pd.DataFrame) -> Floats:
    """BTYD's expected money in the horizon, out of ``model_inputs``."""
    value = inputs["btyd_expected_purchases"] * inputs["btyd_expected_order_value"]
    return value.to_numpy(np.float64)


def _of_btyd(effects: Columns) -> Floats:
    """Contributions by driver group: (customers x groups)."""
    parts = np.zeros((len(next(iter(effects.values()))), len(GROUP_NAMES)))
    for name, effect in effects.items():
        parts[:, GROUP_NAMES.index(_GROUP_OF_BTYD[name])] += effect
    return parts


def _money(log_average: float, log_parts: Floats) -> tuple[float, Floats]:
    """Average in money, and the contributions to ln x as contributions to x."""
    log_value = log_average + log_parts.sum(axis=1)
    return float(np.exp(log_average)), log_parts * _mean_slope(np.exp, np.exp, log_value, log_average)[:, None]


def _log_churn(log_odds: Floats) -> Floats:
    """Logarithm of the churn risk."""
    return log_logistic(-log_odds)


def _log_churn_slope(log_odds: Floats) -> Floats:
    return -logistic(log_odds)


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
