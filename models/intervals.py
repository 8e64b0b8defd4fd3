"""What a customer may spend, not only what is expected: a distribution, its 80 % interval, and the probability of each tier.

With probability ``churn_risk`` nothing is spent; else ``value_if_active * exp(e)``, where e is what trial models were off by on
cutoffs they had not seen, among customers of like predicted value: split conformal prediction by groups (Vovk, Gammerman &
Shafer 2005, "Algorithmic learning in a random world", sections 4.2 and 4.5). Quantiles of n residuals are those of ranks
among n + 1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Reading = Callable[[Floats, npt.NDArray[np.bool_]], Floats]
"""What the quantiles of one group say of the customers in these rows."""

LOW, HIGH = 0.1, 0.9
LEVEL = HIGH - LOW
LEVELS = np.linspace(0.01, 0.99, 99)
GROUP_SHARES = (0.5, 0.8, 0.95)
"""Customers are grouped by predicted value at these shares of them: a like number of spenders in each, and the best apart."""
FEWEST_RESIDUALS = 30
"""Groups with fewer spenders take the residuals of all."""


@dataclass(frozen=True)
class Spread:
    """How far what is spent lies from the value if active, by group of customers.

    ``bounds``: predicted values (trained horizon, rising) that part the groups; ``log_ratios``: for each group the quantiles
    at ``LEVELS`` of ln(spent / value if active) among those who spent.
    """

    bounds: tuple[float, ...]
    log_ratios: tuple[tuple[float, ...], ...]

    def __post_init__(self) -> None:
        if len(self.log_ratios) != len(self.bounds) + 1 or any(len(group) != len(LEVELS) for group in self.log_ratios):
            raise ValueError(f"{len(self.bounds)} bounds need {len(self.bounds) + 1} groups of {len(LEVELS)} quantiles")
        if not (np.isfinite(self.log_ratios).all() and np.isfinite(self.bounds).all()):
            raise ValueError("bounds and quantiles must be finite")

    def quantile(self, level: float, churn_risk: Floats, value_if_active: Floats, group: npt.NDArray[np.intp]) -> Floats:
        """The amount that is exceeded with probability ``1 - level``; 0 where that is below the churn risk."""
        among_spenders = (level - churn_risk) / np.maximum(1.0 - churn_risk, np.finfo(np.float64).tiny)
        log_ratio = self._by_group(group, lambda ratios, rows: np.interp(among_spenders[rows], LEVELS, ratios))
        return np.where(among_spenders > 0.0, value_if_active * np.exp(log_ratio), 0.0)

    def below(self, money: Floats, churn_risk: Floats, value_if_active: Floats, group: npt.NDArray[np.intp]) -> Floats:
        """Probability that less than ``money`` (0 or above, one per customer, may be infinite) is spent; 0 at 0."""
        with np.errstate(divide="ignore"):
            log_ratio = np.log(money) - np.log(value_if_active)
        levels = self._by_group(
            group, lambda ratios, rows: np.interp(log_ratio[rows], ratios, LEVELS, left=0.0, right=1.0)
        )  # fmt: skip
        return np.where(money > 0.0, churn_risk + (1.0 - churn_risk) * levels, 0.0)

    def group(self, predicted_value: Floats) -> npt.NDArray[np.intp]:
        """Which group of residuals each customer has, by the value predicted for the trained horizon."""
        return np.searchsorted(np.asarray(self.bounds), predicted_value, side="right")

    def _by_group(self, group: npt.NDArray[np.intp], read: Reading) -> Floats:
        found = np.empty(len(group))
        for number, ratios in enumerate(self._ratios):
            rows = group == number
            if rows.any():
                found[rows] = read(ratios, rows)
        return found

    @cached_property
    def _ratios(self) -> Floats:
        return np.asarray(self.log_ratios)

    def to_json(self) -> dict[str, Any]:
        """Plain lists."""
        return {"bounds": list(self.bounds), "log_ratios": [list(group) for group in self.log_ratios]}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Spread:
        """The inverse of ``to_json``."""
        return cls(tuple(stored["bounds"]), tuple(tuple(group) for group in stored["log_ratios"]))


def residual_quantiles(
    spent: Floats, predicted_value: Floats, probability: Floats, cutoff: npt.NDArray[np.int64]
) -> tuple[tuple[float, ...], ...]:
    """Quantiles of ln(spent / value if active) by group of predicted value, of all cutoffs together.

    Each cutoff is first brought to its realised total, for the level of a season is predicted by other means
    (``models.season``), and grouped by its own ranking. Needs at least one customer who spent something.
    """
    level, group = np.empty(len(spent)), np.empty(len(spent), dtype=np.intp)
    for one in np.unique(cutoff):
        rows = cutoff == one
        level[rows] = spent[rows].sum() / predicted_value[rows].sum()
        group[rows] = np.searchsorted(_bounds(predicted_value[rows]), predicted_value[rows], side="right")
    spenders = spent > 0.0
    ratio = np.log(spent[spenders] * probability[spenders] / (level * predicted_value)[spenders])
    of_group = [ratio[group[spenders] == number] for number in range(len(GROUP_SHARES) + 1)]
    return tuple(
        tuple(np.quantile(own if len(own) >= FEWEST_RESIDUALS else ratio, LEVELS, method="weibull").tolist()) for own in of_group
    )


def spread_at(predicted_value: Floats, log_ratios: tuple[tuple[float, ...], ...]) -> Spread:
    """The residuals with the bounds of their groups among the customers of today, frozen."""
    return Spread(tuple(_bounds(predicted_value).tolist()), log_ratios)


def coverage(spent: Floats, low: Floats, high: Floats, churn_risk: Floats) -> Floats:
    """How far each outcome is covered by its interval, 0 to 1; the mean should be ``LEVEL``.

    An interval that holds 0 holds all of the probability of no purchase, often far more than 80 %. So an outcome of 0 counts
    by the part of that probability that lies between the quantiles ``LOW`` and ``HIGH``: the non-randomized probability
    integral transform (Czado, Gneiting & Held 2009, "Predictive model assessment for count data", Biometrics 65, section 2).

    >>> coverage(np.array([0.0, 5.0, 50.0]), np.zeros(3), np.array([0.0, 9.0, 9.0]), np.array([0.95, 0.5, 0.5])).round(3)
    array([0.842, 1.   , 0.   ])
    """
    of_nothing = (np.clip(churn_risk, LOW, HIGH) - LOW) / np.maximum(churn_risk, LOW)
    return np.where(spent <= 0.0, of_nothing, ((spent > low) & (spent <= high)).astype(np.float64))


def _bounds(predicted_value: Floats) -> Floats:
    return np.quantile(predicted_value, GROUP_SHARES)
