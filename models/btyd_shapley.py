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

from models.btyd import INPUTS, Btyd, Customer
from models.columns import Columns, Customers, Floats, column
from models.stacking import btyd_log_odds

Worth = Callable[[Columns], Floats]


@dataclass(frozen=True)
class Shapley:
    """``base`` is what is said of the reference; ``base`` + the sum of all effects what is said of each customer."""

    base: float
    effects: Columns


def log_odds_shapley(btyd: Btyd, features: Customers, horizon_days: float, reference: Customer) -> Shapley:
    """Of the log-odds of a purchase in the horizon (``models.stacking.btyd_log_odds``), over frequency, recency and T."""

    def worth(mixture: Columns) -> Floats:
        return btyd_log_odds(btyd.purchase_probability(_history(mixture), horizon_days))

    return _shapley(worth, ("frequency", "recency", "T"), _own(btyd, features), reference)


def log_buyer_value_shapley(btyd: Btyd, features: Customers, horizon_days: float, reference: Customer) -> Shapley:
    """Of ln(expected money in the horizon, given a purchase), over frequency, T and monetary_value.

    Whether the customer is alive cancels out: ``E[Y] / P(Y > 0)`` is that of a customer who is.
    """

    def purchases(mixture: Columns) -> Floats:
        alive = _history({**mixture, "recency": np.zeros(1)})
        likely = btyd.purchase_probability_if_alive(alive, horizon_days)
        return np.log(btyd.purchases_if_alive(alive, horizon_days) / likely)

    def order_value(mixture: Columns) -> Floats:
        money = mixture["monetary_value"]
        return np.log(btyd.expected_order_value(_history({**mixture, "recency": np.zeros(1), "T": np.zeros(1)}, money)))

    own = _own(btyd, features)
    count = _shapley(purchases, ("frequency", "T"), own, reference)
    money = _shapley(order_value, ("frequency", "monetary_value"), own, reference)
    effects = {**count.effects, **money.effects, "frequency": count.effects["frequency"] + money.effects["frequency"]}
    return Shapley(count.base + money.base, effects)


def _shapley(worth: Worth, players: tuple[str, ...], own: Columns, reference: Customer) -> Shapley:
    """Weighted mean of what each player adds to every coalition of the others."""
    coalitions = [members for size in range(len(players) + 1) for members in combinations(players, size)]
    other = _silent({name: np.array([float(getattr(reference, name))]) for name in INPUTS})
    # The reference stands behind the customers, so that there is somebody to ask about when there are none.
    everybody = {name: np.append(own[name], other[name]) for name in players}
    inside = {name: np.array([name in members for members in coalitions])[:, None] for name in players}
    mixtures = {name: np.where(inside[name], everybody[name], other[name]).ravel() for name in players}
    said = dict(zip(coalitions, worth(mixtures).reshape(len(coalitions), -1), strict=True))
    effects = {}
    for player in players:
        total: Floats = np.zeros(len(everybody[player]))
        for members, without in said.items():
            if player not in members:
                joined = tuple(name for name in players if name in members or name == player)
                weight = factorial(len(members)) * factorial(len(players) - len(members) - 1) / factorial(len(players))
                total = total + weight * (said[joined] - without)
        effects[player] = total[:-1]
    return Shapley(float(said[()][-1]), effects)


def _own(btyd: Btyd, features: Customers) -> Columns:
    """The customers' own inputs, with the mean value of the purchases that inform on the order value."""
    own = {name: column(features, name) for name in INPUTS}
    first = column(features, "order_value_mean") if "order_value_mean" in features else np.nan
    observed = np.where(own["frequency"] > 0.0, own["monetary_value"], first)
    return _silent({**own, "monetary_value": np.where(np.isnan(observed), btyd.population_order_value, observed)})


def _silent(history: Columns) -> Columns:
    """The same with the days since the last purchase as recency; NaN for one-time buyers, of whose repeats they say nothing."""
    silence = np.where(history["frequency"] > 0.0, history["T"] - history["recency"], np.nan)
    return {**history, "recency": silence}


def _history(mixture: Columns, money: Floats | None = None) -> Columns:
    """The nearest possible history to a mixture of two customers, as BTYD reads it."""
    spent = np.zeros(1) if money is None else money
    x, silence, age, observed = np.broadcast_arrays(mixture["frequency"], mixture["recency"], mixture["T"], spent)
    last = np.where(np.isnan(silence), age * x / (x + 1.0), np.maximum(age - silence, 0.0))
    # The first purchase of one-time buyers is their one observation.
    known = {"frequency": x, "recency": np.where(x > 0.0, last, 0.0), "T": age}
    return {**known, "monetary_value": observed, "order_value_mean": observed}
