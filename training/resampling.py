"""Paired bootstrap over customers: how sure a figure is, or the difference between two ways to predict the same customers.

One draw gives every customer a weight, the number of times they were drawn with replacement, and every metric of that draw
(``training.weighted_metrics``) is computed with the same weights: what two rankings have in common cancels (Efron & Tibshirani
1993, "An Introduction to the Bootstrap", ch. 8).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

DRAWS = 400
MOST_CUSTOMERS = 100_000
"""Of more customers a seeded sample stands for all: bounds grow a little wider than they need be, never narrower."""
CONFIDENCE = 0.90
"""Share of the draws within the bounds of a figure: each bound by itself holds with 95 %."""


@dataclass(frozen=True)
class Interval:
    """An estimate with its two-sided 90 % bootstrap interval: below ``low`` with probability 0.05, as above ``high``."""

    estimate: float
    low: float
    high: float

    def as_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}


def interval(estimate: float, draws: Floats) -> Interval:
    """The percentile interval of the draws; where ``bounds`` knows none, it is the whole line."""
    known = bounds(draws) if np.isfinite(estimate) else None
    return Interval(float(estimate), *(known or (-np.inf, np.inf)))


def bounds(draws: Floats) -> tuple[float, float] | None:
    """Bounds that hold the middle ``CONFIDENCE`` of the draws; undefined draws (NaN) are left out, None without any other."""
    known = draws[np.isfinite(draws)]
    if len(known) == 0:
        return None
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.quantile(known, [tail, 1.0 - tail])
    return float(low), float(high)


def weights(customers: int, seed: int, draws: int = DRAWS) -> Iterator[Floats]:
    """One array of ``customers`` weights per draw; their sum is ``customers``."""
    random = np.random.default_rng(seed)
    for _ in range(draws):
        drawn = random.integers(0, customers, customers)
        yield np.bincount(drawn, minlength=customers).astype(np.float64)


def drawn_from(customers: int, seed: int) -> npt.NDArray[np.bool_]:
    """Which of the customers the draws are made from: all of them, or a seeded sample of ``MOST_CUSTOMERS``."""
    if customers <= MOST_CUSTOMERS:
        return np.ones(customers, dtype=bool)
    chosen = np.zeros(customers, dtype=bool)
    chosen[np.random.default_rng(seed).choice(customers, MOST_CUSTOMERS, replace=False)] = True
    return chosen


@dataclass(frozen=True)
class Pool:
    """The customers of several windows: who is in more than one is drawn in all of them together.

    ``rows``: by window, which of its rows are drawn from; ``numbers``: by window, the customer of each of these rows, counted
    from 0; ``customers``: how many there are.
    """

    rows: tuple[npt.NDArray[np.bool_], ...]
    numbers: tuple[npt.NDArray[np.intp], ...]
    customers: int

    @classmethod
    def of(cls, windows: Sequence[pd.Index[str]], seed: int) -> Pool:
        """Pool the customer ids of each window."""
        codes, distinct = pd.factorize(pd.concat([window.to_series() for window in windows], ignore_index=True))
        chosen = drawn_from(len(distinct), seed)
        number = np.cumsum(chosen) - 1
        each = np.split(codes, np.cumsum([len(window) for window in windows])[:-1])
        rows = tuple(chosen[code] for code in each)
        numbers = tuple(number[code[some]] for code, some in zip(each, rows, strict=True))
        return cls(rows, numbers, int(chosen.sum()))

    def draws(self, seed: int, draws: int = DRAWS) -> Iterator[list[Floats]]:
        """For every draw the weights of the rows of each window."""
        for weight in weights(self.customers, seed, draws):
            yield [weight[number] for number in self.numbers]
