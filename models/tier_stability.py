"""Stable tiers: a customer leaves the tier of the run before only when the value says so clearly.

A value near a threshold would carry its customer to and fro from one scoring run to the next, with nothing having
happened but time. Two rules prevent it. **Hysteresis**: around every threshold t lies a band ``[t - h |t|, t + h |t|)``
within which the customer stays where he was (a Schmitt trigger). **Minimum stay**: nobody is moved down before so many
days in a tier. A customer without an earlier tier gets the plain one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.tiers import Tiers

NO_TIER = -1
"""The rank of a customer that has no earlier tier."""


@dataclass(frozen=True)
class Stability:
    """How hard it is to change tier. ``hysteresis`` is a share of the threshold in [0, 1), 0 switches it off.

    ``minimum_stay_days`` is how many days a customer keeps a tier before a downgrade; upgrades never wait.
    """

    hysteresis: float = 0.0
    minimum_stay_days: int = 0

    def __post_init__(self) -> None:
        if not 0.0 <= self.hysteresis < 1.0 or self.minimum_stay_days < 0:
            raise ValueError(f"hysteresis must be in [0, 1) and the minimum stay 0 or more days, found {self}")


FREE = Stability()
"""Nobody is held."""


def stable_rank(
    values: npt.ArrayLike, tiers: Tiers, previous: npt.ArrayLike, days_in_tier: npt.ArrayLike, stability: Stability
) -> npt.NDArray[np.intp]:
    """Rank of each customer's tier (0 = best), given the rank before and the days spent in it.

    ``values`` in currency, ``previous`` ranks within ``tiers`` or ``NO_TIER``, ``days_in_tier`` whole days (not read where
    there is no earlier tier); all (customers,). ``tiers`` holds the thresholds of now, whatever they were before.
    Raises ValueError on NaN or infinite values and on a rank that is none.

    >>> tiers = Tiers(("Gold", "Silver"), (100.0,))
    >>> stable_rank([95.0, 95.0, 89.0, 105.0, 110.0], tiers, [0, 1, 0, 1, 1], [30] * 5, Stability(0.10)).tolist()
    [0, 1, 1, 1, 0]
    """
    before = np.asarray(previous, dtype=np.intp)
    if ((before < NO_TIER) | (before >= len(tiers.names))).any():
        raise ValueError(f"ranks before must be from 0 to {len(tiers.names) - 1}, or {NO_TIER} for none")
    # With all thresholds lowered, the best tier that the value can keep; with all raised, the worst it must accept.
    best = _with_thresholds_moved(tiers, -stability.hysteresis).rank(values)
    worst = _with_thresholds_moved(tiers, stability.hysteresis).rank(values)
    now = np.clip(before, best, worst)
    too_early = (now > before) & (np.asarray(days_in_tier) < stability.minimum_stay_days)
    return np.where(before == NO_TIER, tiers.rank(values), np.where(too_early, before, now))


def _with_thresholds_moved(tiers: Tiers, share: float) -> Tiers:
    return Tiers(tiers.names, tuple(threshold + share * abs(threshold) for threshold in tiers.thresholds))
