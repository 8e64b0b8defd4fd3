"""Paired bootstrap over customers: how sure a difference between two ways to predict the same customers is.

One draw gives every customer a weight, the number of times they were drawn with replacement, and every metric of that draw
is computed with the same weights: what two rankings have in common cancels (Efron & Tibshirani 1993, "An Introduction to the
Bootstrap", ch. 8). With weights of 1 the metrics equal those of ``models.accuracy``; ties are shared in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

DRAWS = 400
MOST_CUSTOMERS = 100_000
"""Of more customers a seeded sample stands for all: bounds grow a little wider than they need be, never narrower."""
CONFIDENCE = 0.90


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
    """The percentile interval of the draws; draws in which the figure is undefined (NaN) are left out.

    Without any draw left nothing is bounded: the interval is the whole line.
    """
    known = draws[np.isfinite(draws)]
    if len(known) == 0 or not np.isfinite(estimate):
        return Interval(float(estimate), -np.inf, np.inf)
    tail = 100.0 * (1.0 - CONFIDENCE) / 2.0
    low, high = np.percentile(known, [tail, 100.0 - tail])
    return Interval(float(estimate), float(low), float(high))


def weights(customers: int, seed: int, draws: int = DRAWS) -> Iterator[Floats]:
    """One array of ``customers`` weights per draw; their sum is ``customers``."""
    random = np.random.default_rng(seed)
    for _ in range(draws):
        drawn = random.integers(0, customers, customers)
        yield np.bincount(drawn, minlength=customers).astype(np.float64)


@dataclass(frozen=True)
class Ranking:
    """Customers in groups of equal score, by rising score: ``order`` (n) and where in it each group begins."""

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]

    @classmethod
    def by(cls, score: Floats) -> Ranking:
        """Rank by a score. Raises ValueError: no customers, or a score that is NaN or infinite."""
        if len(score) == 0 or not np.isfinite(score).all():
            raise ValueError(f"{len(score)} scores, {int((~np.isfinite(score)).sum())} of them NaN or infinite, cannot be ranked")
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        return cls(order, np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]])))

    def groups(self, column: Floats) -> Floats:
        """Sums of a column by group, lowest score first."""
        return np.asarray(np.add.reduceat(column[self.order], self.starts))


def sum_of_products(one: Floats, other: Floats) -> float:
    """Their inner product, without BLAS: its threads wait for each other by the hundredfold where other work needs the cores."""
    return float(np.einsum("i,i->", one, other))


def gini(ranking: Ranking, weight: Floats, value: Floats) -> float:
    """Gini coefficient of ``value`` along the ranking, as ``models.accuracy.gini``; NaN where there is no value."""
    held, people = ranking.groups(weight * value), ranking.groups(weight)
    middle = np.cumsum(people) - people / 2.0
    total = held.sum() * people.sum()
    return 2.0 * sum_of_products(held, middle) / total - 1.0 if total > 0.0 else float("nan")


def top_capture(ranking: Ranking, weight: Floats, value: Floats, share: float) -> float:
    """Share of the value held by the ``share`` ranked highest, as ``models.accuracy.top_capture``; NaN without value."""
    held, people = ranking.groups(weight * value)[::-1], ranking.groups(weight)[::-1]
    wanted = max(1, round(share * float(people.sum())))
    before = np.cumsum(people) - people
    # A group that nobody was drawn from holds nothing.
    taken = np.clip(wanted - before, 0.0, people) / np.where(people > 0.0, people, 1.0)
    total = held.sum()
    return sum_of_products(held, taken) / total if total > 0.0 else float("nan")


def auc(ranking: Ranking, weight: Floats, happened: Floats) -> float:
    """Probability that one to whom it happened ranks above one to whom it did not, half for ties; NaN where all are alike."""
    those, people = ranking.groups(weight * happened), ranking.groups(weight)
    others = people - those
    below = np.cumsum(others) - others / 2.0
    pairs = those.sum() * others.sum()
    return sum_of_products(those, below) / pairs if pairs > 0.0 else float("nan")
