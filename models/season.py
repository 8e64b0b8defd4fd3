"""What the same season one year earlier says of the totals to come.

The last months say little of the next season. How far reality was from the buy-till-you-die (BTYD) expectation in the
same season a year before says much: that ratio, applied to today's BTYD expectation, gives the total revenue and the share of
buyers to expect of today's customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.sums import YEAR_OF_WEEKS
from models.btyd import Btyd
from models.btyd_fit import fit_btyd

Floats = npt.NDArray[np.float64]

TOLERANCE_DAYS = 20
"""How far a training cutoff may lie from 52 weeks ago to count as the same season."""
MOST_CORRECTION = 3.0
"""No season does more: beyond it, the young log of a year ago was not understood, and says nothing of today."""
MOST_BUYERS = 0.99


@dataclass(frozen=True)
class Expectation:
    """Of all customers of today in the horizon: ``revenue`` in currency, ``buyers`` as a share of them (0 to 1)."""

    revenue: float
    buyers: float


def same_season(cutoffs: npt.NDArray[np.int64], as_of: int) -> int | None:
    """The cutoff nearest to 52 weeks before ``as_of``, if there is one within ``TOLERANCE_DAYS``."""
    nearest = int(cutoffs[np.argmin(np.abs(cutoffs - (as_of - YEAR_OF_WEEKS)))])
    return nearest if abs(nearest - (as_of - YEAR_OF_WEEKS)) <= TOLERANCE_DAYS else None


def expectation(
    now: tuple[Btyd, pd.DataFrame], then: tuple[pd.DataFrame, Floats, Floats], horizon_days: int
) -> Expectation | None:
    """Revenue and buyers to expect of today's customers.

    ``now``: BTYD and features of today; ``then``: features of a year ago, and who bought (0 or 1) and for how much in the
    horizon that followed. None where one of the sums is zero, so that no ratio exists.
    """
    btyd, current = now
    features, active, value = then
    earlier = fit_btyd(features)
    sums = np.array([
        [btyd.value(current, float(horizon_days)).sum(), btyd.purchase_probability(current, float(horizon_days)).mean()],
        [value.sum(), active.mean()],
        [earlier.value(features, float(horizon_days)).sum(), earlier.purchase_probability(features, float(horizon_days)).mean()],
    ])  # fmt: skip
    if sums.min() <= 0.0:
        return None
    correction = np.clip(sums[1] / sums[2], 1.0 / MOST_CORRECTION, MOST_CORRECTION)
    revenue, buyers = sums[0] * correction
    return Expectation(float(revenue), float(min(buyers, MOST_BUYERS)))
