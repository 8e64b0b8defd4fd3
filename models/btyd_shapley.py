"""Exact Shapley values of what buy till you die (BTYD) says, over its inputs, against one reference customer.

All coalitions of inputs are looked at: those in the coalition are the customer's, the others the reference's. ``recency``
moves as the silence since the last purchase, ``T - t_x``, which is what people mean by it. A mixture that is no possible
history is given its nearest meaning: silence is cut at T; and where frequency is not 0 but the silence comes from a one-time
buyer, hence says nothing about repeats, t_x is ``T x / (x + 1)``: where the last of x purchases spread evenly over T is
expected. ``monetary_value`` of a one-time buyer is the first purchase (see ``models.btyd``), so that input moves as one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from math import factorial

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.btyd import Btyd, Customer
from models.stacking import btyd_log_odds

Floats = npt.NDArray[np.float64]
Worth = Callable[[dict[str, Floats]], Floats]


@dataclass(frozen=True)
class Shapley:
    """``base`` is what is said of the reference; ``base + effects.sum(axis=1)`` what is said of each customer."""

    base: float
    effects: pd.DataFrame


def log_odds_shapley(btyd: Btyd, features: pd.DataFrame, horizon_days: float, reference: Customer) -> Shapley:
    """Of the log-odds of a purchase in the horizon (``models.stacking.btyd_log_odds``), over frequency, recency and T."""

    def worth(mixture: dict[str, Floats]) -> Floats:
        return btyd_log_odds(btyd.purchase_probability(_history(mixture), horizon_days))

    return _shapley(worth, ("frequency", "recency", "T"), features, reference)


def log_buyer_value_shapley(btyd: Btyd, features: pd.DataFrame, horizon_days: float, reference: Customer) -> Shapley:
    """Of ln(expected money in the horizon, given a purchase), over frequency, T and monetary_value.

    Whether the customer is alive cancels out: ``E[Y] / P(Y > 0)`` is that of a customer who is.
    """

    def purchases(mixture: dict[str, Floats]) -> Floats:
        alive = _history({**mixture, "recency": np.zeros(1)})
        likely = btyd.purchase_probability_if_alive(alive, horizon_days)
        return np.log(btyd.purchases_if_alive(alive, horizon_days) / likely)

    def order_value(mixture: dict[str, Floats]) -> Floats:
        money = mixture["monetary_value"]
        return np.log(btyd.expected_order_value(_history({**mixture, "recency": np.zeros(1), "T": np.zeros(1)}, money)))

    count = _shapley(purchases, ("frequency", "T"), features, reference)
    money = _shapley(order_value, ("frequency", "monetary_value"), features, reference, observed=_observed(btyd, features))
    effects = count.effects.add(money.effects, fill_value=0.0)[["frequency", "T", "monetary_value"]]
    return Shapley(count.base + money.base, effects)


def _shapley(
    worth: Worth, players: tuple[str, ...], features: pd.DataFrame, reference: Customer, observed: Floats | None = None
) -> Shapley:
    """Weighted mean of what each player adds to every coalition of the others."""
    own = _silent({name: features[name].to_numpy(np.float64) for name in ("frequency", "recency", "T")})
    own["monetary_value"] = features["monetary_value"].to_numpy(np.float64) if observed is None else observed
    other = _silent({name: np.array([float(getattr(reference, name))]) for name in ("frequency", "recency", "T")})
    other["monetary_value"] = np.array([float(reference.monetary_value)])
    said = {
        members: worth({name: own[name] if name in members else other[name] for name in players})
        for size in range(len(players) + 1)
        for members in combinations(players, size)
    }
    effects = {}
    for player in players:
        total: Floats = np.zeros(len(features))
        for members, without in said.items():
            if player not in members:
                joined = tuple(name for name in players if name in members or name == player)
                weight = factorial(len(members)) * factorial(len(players) - len(members) - 1) / factorial(len(players))
                total = total + weight * (said[joined] - without)
        effects[player] = total
    return Shapley(float(said[()][0]), pd.DataFrame(effects, index=features.index))


def _silent(history: dict[str, Floats]) -> dict[str, Floats]:
    """The same with the days since the last purchase as recency; NaN for one-time buyers, of whose repeats they say nothing."""
    x, t_x, age = history["frequency"], history["recency"], history["T"]
    return {"frequency": x, "recency": np.where(x > 0.0, age - t_x, np.nan), "T": age}


def _history(mixture: dict[str, Floats], money: Floats | None = None) -> pd.DataFrame:
    """The nearest possible history to a mixture of two customers, as BTYD reads it."""
    spent = np.zeros(1) if money is None else money
    x, silence, age, observed = np.broadcast_arrays(mixture["frequency"], mixture["recency"], mixture["T"], spent)
    last = np.where(np.isnan(silence), age * x / (x + 1.0), np.maximum(age - silence, 0.0))
    columns = {"frequency": x, "recency": np.where(x > 0.0, last, 0.0), "T": age, "monetary_value": observed}
    # The first purchase of one-time buyers is their one observation.
    return pd.DataFrame({**columns, "order_value_mean": observed})


def _observed(btyd: Btyd, features: pd.DataFrame) -> Floats:
    """Mean value of the purchases that inform on the order value."""
    first = features["order_value_mean"] if "order_value_mean" in features.columns else np.nan
    observed = features["monetary_value"].where(features["frequency"] > 0.0, first)
    return observed.fillna(btyd.population_order_value).to_numpy(np.float64)
