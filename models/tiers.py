"""Tiers by value: money thresholds learned once and frozen, so a tier never depends on who else is in a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from configs.settings import TierLimits, TierPareto, TierShares

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tiers:
    """Tier names, best first, and for each but the last the lowest value that is still in it (closed below).

    ``thresholds`` never rise. A tier whose threshold equals the one before it is empty.
    """

    names: tuple[str, ...]
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.thresholds) + 1 or len(set(self.names)) != len(self.names):
            raise ValueError(f"{len(self.names)} distinct tier names need {len(self.names) - 1} thresholds")
        if not np.isfinite(self.thresholds).all() or list(self.thresholds) != sorted(self.thresholds, reverse=True):
            raise ValueError(f"thresholds must be finite and listed best tier first, found {self.thresholds}")

    def rank(self, values: npt.ArrayLike) -> npt.NDArray[np.intp]:
        """Position of each value's tier in ``names`` (0 = best). Raises ValueError on NaN or infinity."""
        ascending = np.asarray(self.thresholds[::-1], dtype=np.float64)
        return len(ascending) - np.searchsorted(ascending, _finite(values), side="right")

    def assign(self, values: npt.ArrayLike) -> npt.NDArray[np.object_]:
        """Tier name of each value, same order. Raises ValueError on NaN or infinity."""
        return np.asarray(self.names, dtype=object)[self.rank(values)]

    def to_json(self) -> dict[str, Any]:
        """Plain lists of names and thresholds."""
        return {"names": list(self.names), "thresholds": list(self.thresholds)}

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Tiers:
        """The inverse of ``to_json``."""
        return cls(tuple(stored["names"]), tuple(float(threshold) for threshold in stored["thresholds"]))


def learn_thresholds(values: npt.ArrayLike, policy: TierShares | TierLimits | TierPareto) -> Tiers:
    """Learn the thresholds of a tier policy from the values of the customers at training.

    Customers with equal values are never split: of the cuts between distinct values, the one nearest to the wanted
    number of customers is taken (the smaller tier when two are equally near), so a tier can be empty. A threshold lies
    between the values on both sides of its cut, on a whole cent where one fits.

    Raises ValueError: no values, NaN or infinity.
    """
    if isinstance(policy, TierLimits):
        return Tiers((*policy.limits, policy.rest), tuple(policy.limits.values()))
    if isinstance(policy, TierShares):
        return tiers_by_count((*policy.shares, policy.rest), values, np.cumsum(list(policy.shares.values())))
    distinct, counts = _distinct_descending(values)
    cuts = _cuts_by_value(distinct, counts, np.cumsum(list(policy.value_shares.values())))
    return Tiers((*policy.value_shares, policy.rest), tuple(_between(distinct, cut) for cut in cuts))


def tiers_by_count(names: tuple[str, ...], values: npt.ArrayLike, cumulative_shares: npt.ArrayLike) -> Tiers:
    """Tiers that hold the best customers up to each cumulative share of their number, as nearly as ties allow.

    ``cumulative_shares`` has one entry for each name but the last, rising within [0, 1]; an entry equal to the one
    before makes an empty tier. Raises ValueError: no values, NaN or infinity.
    """
    distinct, counts = _distinct_descending(values)
    cuts = _cuts_by_count(counts, np.asarray(cumulative_shares, dtype=np.float64))
    return Tiers(names, tuple(_between(distinct, cut) for cut in cuts))


def _distinct_descending(values: npt.ArrayLike) -> tuple[Floats, npt.NDArray[np.int64]]:
    finite = _finite(values)
    if finite.size == 0:
        raise ValueError("tiers cannot be learned from no customers")
    distinct, counts = np.unique(finite, return_counts=True)
    return distinct[::-1], counts[::-1].astype(np.int64)


def _cuts_by_count(counts: npt.NDArray[np.int64], shares: Floats) -> list[int]:
    """For each cumulative share, how many distinct values to take so that the customers come nearest to it."""
    customers = np.concatenate([[0], np.cumsum(counts)])
    return [int(np.argmin(np.abs(customers - share * customers[-1]))) for share in shares]


def _cuts_by_value(distinct: Floats, counts: npt.NDArray[np.int64], shares: Floats) -> list[int]:
    """For each cumulative share, how many distinct values to take until they hold at least that share of the sum.

    Negative values (customers with more refunds than purchases) count as zero.
    """
    held = np.cumsum(np.maximum(distinct, 0.0) * counts)
    if held[-1] <= 0.0:
        return [0] * len(shares)
    # The last distinct values may add nothing, or rounding may keep the sum a hair below its own share of it.
    return [int(min(np.searchsorted(held, share * held[-1] * (1.0 - 1e-12)) + 1, len(held))) for share in shares]


def _between(distinct: Floats, cut: int) -> float:
    """A threshold that separates the first ``cut`` distinct values (descending) from the others."""
    if cut == 0:
        return float(np.nextafter(distinct[0], np.inf))
    lowest_in = float(distinct[cut - 1])
    if cut == len(distinct):
        return lowest_in
    highest_out = float(distinct[cut])
    middle = highest_out + (lowest_in - highest_out) / 2.0
    for candidate in (round(middle, 2), middle):
        if highest_out < candidate <= lowest_in:
            return candidate
    return lowest_in


def _finite(values: npt.ArrayLike) -> Floats:
    numbers = np.asarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{int((~np.isfinite(numbers)).sum())} of {numbers.size} values are NaN or infinite")
    return numbers
