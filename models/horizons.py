"""One prediction over time: the curve of buy till you die (BTYD) spreads what the trained horizon says over any other.

Let E(t) be a customer's expected purchases and S(t) the probability of none until t, both by BTYD, H the trained horizon and
v, c the predicted value and churn risk over H. Then over t days

    value       v E(t) / E(H)                       adds up over time: what falls between two days is the difference
    churn risk  c ** (ln S(t) / ln S(H))            proportional hazards: never rises with t, is c at H and 1 at 0

(Cox 1972, "Regression models and life-tables", section 2, with BTYD's hazard as the baseline of each customer.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.btyd import Btyd
from models.columns import Customers, Floats, column

FARTHEST_DAYS = 730
"""No date of a next order is named beyond this: the curve was never seen so far."""
LEAST_ALIVE = 1e-12
HALF = 0.5


@dataclass(frozen=True)
class TimeShape:
    """Another horizon beside the trained one, per customer: ``value`` is E(t) / E(H), ``hazard`` is ln S(t) / ln S(H)."""

    value: Floats
    hazard: Floats


def time_shape(btyd: Btyd, features: Customers, trained_days: int, asked_days: int) -> TimeShape:
    """How value and hazard over ``asked_days`` relate to those over ``trained_days``; ones where both are the same."""
    if asked_days == trained_days:
        ones = np.ones(len(column(features, "T")))
        return TimeShape(ones, ones)
    value = btyd.purchases_if_alive(features, float(asked_days)) / btyd.purchases_if_alive(features, float(trained_days))
    return TimeShape(value, _hazard(btyd, features, asked_days) / _hazard(btyd, features, trained_days))


def next_order_days(btyd: Btyd, features: Customers, trained_days: int, log_churn_risk: Floats) -> Floats:
    """Days until a customer has ordered with probability 1/2 (whole, at least 1); NaN beyond ``FARTHEST_DAYS`` or never.

    ``log_churn_risk`` is ln c over ``trained_days``. The hazard that makes the churn risk 1/2 is inverted in closed form:
    ``S(t) = 1 - alive (1 - u ** (r + x))`` with ``u = (alpha + T) / (alpha + T + t)``.
    """
    alive, waiting, shape = _rhythm(btyd, features)
    wanted = np.log(HALF) / log_churn_risk * _hazard(btyd, features, trained_days)
    gone = -np.expm1(-wanted) / alive
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        days = waiting * np.expm1(-np.log1p(-gone) / shape)
    days = np.maximum(np.ceil(days), 1.0)
    return np.where((gone < 1.0) & (days <= FARTHEST_DAYS), days, np.nan)


def _hazard(btyd: Btyd, features: Customers, days: int) -> Floats:
    """Return -ln S(t), above 0."""
    alive, waiting, shape = _rhythm(btyd, features)
    exposure = shape * np.log1p(days / waiting)
    likely = alive * -np.expm1(-exposure)
    # Near certainty 1 - likely would lose its digits.
    with np.errstate(divide="ignore"):
        far = -np.logaddexp(np.log1p(-alive), np.log(alive) - exposure)
    return np.where(likely < HALF, -np.log1p(-np.minimum(likely, HALF)), far)


def _rhythm(btyd: Btyd, features: Customers) -> tuple[Floats, Floats, Floats]:
    alive = np.maximum(btyd.probability_alive(features), LEAST_ALIVE)
    return alive, btyd.alpha + column(features, "T"), btyd.r + column(features, "frequency")
