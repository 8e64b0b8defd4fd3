"""Metrics of weighted customers: what a bootstrap draw computes, many hundred times, in one pass over a kept ranking.

With weights of 1 every metric equals that of ``models.accuracy`` or scikit-learn; a customer of weight 2 counts as two. Ties
are shared in the same way. Weights are 0 or more, and not all 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.accuracy import DECILES

Floats = npt.NDArray[np.float64]
Metrics = dict[str, float]

CAPTURES = {"capture_5": 0.05, "capture_10": 0.10, "capture_20": 0.20}
_NOTHING = float("nan")


@dataclass(frozen=True)
class Ranked:
    """Customers of one score, in groups of equal score by rising score.

    ``order`` (n) sorts them, ``starts`` is where in it each group begins, ``group`` (n, as sorted) is the group of each.
    """

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]
    group: npt.NDArray[np.intp]

    @classmethod
    def by(cls, score: Floats) -> Ranked:
        """Rank by a finite score."""
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        first = np.concatenate([[True], ranked[1:] != ranked[:-1]])
        return cls(order, np.flatnonzero(first), np.cumsum(first) - 1)

    def groups(self, column: Floats) -> Floats:
        """Sums by group of a column that is already sorted."""
        if len(self.starts) == len(self.order):
            return column
        return np.asarray(np.add.reduceat(column, self.starts))


@dataclass(frozen=True)
class Draw:
    """One set of weights along one ranking, everything by group: ``people`` and ``held`` (weight x outcome), and their sums."""

    ranked: Ranked
    weight: Floats
    people: Floats
    held: Floats

    @classmethod
    def of(cls, ranked: Ranked, weight: Floats, outcome: Floats) -> Draw:
        """``weight`` and ``outcome`` are given as sorted by the ranking."""
        return cls(ranked, weight, ranked.groups(weight), ranked.groups(weight * outcome))

    def middle_ranks(self) -> Floats:
        """Rank of each group, ties shared, counted from 0 to the sum of the weights."""
        return np.asarray(np.cumsum(self.people) - self.people / 2.0)

    def below(self, column: Floats, shares: Floats) -> Floats:
        """How much of ``column`` (by group) the lowest ``shares`` of people hold, a group being spread evenly."""
        reached = np.concatenate([[0.0], np.cumsum(self.people)])
        return np.asarray(np.interp(shares * reached[-1], reached, np.concatenate([[0.0], np.cumsum(column)])))

    def decile_gap(self, said: Floats) -> float:
        """Mean absolute difference of the means of ``said`` (as sorted) and of the outcome, over ten groups."""
        steps = np.linspace(0.0, 1.0, min(DECILES, len(self.weight)) + 1)
        gaps = np.diff(self.below(self.ranked.groups(self.weight * said) - self.held, steps))
        return float(np.abs(gaps).sum() / self.people.sum())


@dataclass(frozen=True)
class ValueMetrics:
    """One candidate's value of the customers of one origin; arrays as sorted by its own score. ``said`` None: no amounts."""

    ranked: Ranked
    value: Floats
    said: Floats | None

    @classmethod
    def of(cls, value: Floats, score: Floats, *, amount: bool) -> ValueMetrics:
        """Keep what every draw needs."""
        ranked = Ranked.by(score)
        return cls(ranked, value[ranked.order], score[ranked.order] if amount else None)

    def metrics(self, weight: Floats, perfect: tuple[float, Floats]) -> Metrics:
        """All metrics of one draw; ``weight`` in the order of the customers.

        ``perfect``: Gini of the perfect ranking in this draw and middle rank of every customer's value, see ``perfect``.
        """
        draw = Draw.of(self.ranked, weight[self.ranked.order], self.value)
        people, held = float(draw.people.sum()), float(draw.held.sum())
        if held <= 0.0:
            return {}
        best, value_rank = perfect
        found = {
            "normalized_gini": _gini(draw) / best if best > 0.0 else _NOTHING,
            "rank_correlation": _correlation(draw, value_rank[self.ranked.order]),
        }
        for name, share in CAPTURES.items():
            wanted = max(1.0, float(round(share * people)))
            found[name] = 1.0 - float(draw.below(draw.held, np.array([1.0 - wanted / people]))[0]) / held
        if self.said is not None:
            bias = float(np.dot(draw.weight, self.said)) / held
            found |= {
                "total_bias": bias,
                "absolute_bias": abs(bias - 1.0),
                "decile_error": draw.decile_gap(self.said) * people / held,
                "mean_absolute_error": float(np.dot(draw.weight, np.abs(self.said - self.value))) / people,
            }
        return found

    def perfect(self, weight: Floats) -> tuple[float, Floats]:
        """Gini and middle ranks (in the order of the customers), if the score is the value itself."""
        draw = Draw.of(self.ranked, weight[self.ranked.order], self.value)
        ranks = np.empty(len(weight))
        ranks[self.ranked.order] = draw.middle_ranks()[self.ranked.group]
        return (_gini(draw) if draw.held.sum() > 0.0 else 0.0), ranks


@dataclass(frozen=True)
class ChurnMetrics:
    """One candidate's churn risk at one origin; arrays as sorted by it. ``said`` None: a ranking, no probability."""

    ranked: Ranked
    churned: Floats
    said: Floats | None
    log_losses: Floats | None

    @classmethod
    def of(cls, churned: Floats, score: Floats, *, probability: bool) -> ChurnMetrics:
        """Keep what every draw needs."""
        ranked = Ranked.by(score)
        happened, said = churned[ranked.order], score[ranked.order]
        if not probability:
            return cls(ranked, happened, None, None)
        least = np.finfo(np.float64).eps  # as scikit-learn's log_loss
        inside = np.clip(said, least, 1.0 - least)
        return cls(ranked, happened, said, -np.log(np.where(happened > 0.0, inside, 1.0 - inside)))

    def metrics(self, weight: Floats) -> Metrics:
        """All metrics of one draw; ``weight`` in the order of the customers."""
        draw = Draw.of(self.ranked, weight[self.ranked.order], self.churned)
        people, gone = float(draw.people.sum()), float(draw.held.sum())
        if not 0.0 < gone < people:
            return {}
        stayed = draw.people - draw.held
        found = {
            "auc": float(np.dot(draw.held, np.cumsum(stayed) - stayed / 2.0)) / (gone * (people - gone)),
            "average_precision": _average_precision(draw, gone),
        }
        if self.said is not None and self.log_losses is not None:
            base = gone * (people - gone) / people
            found |= {
                "brier_skill": 1.0 - float(np.dot(draw.weight, (self.said - self.churned) ** 2)) / base,
                "log_loss": float(np.dot(draw.weight, self.log_losses)) / people,
                "calibration_error": draw.decile_gap(self.said),
            }
        return found


def _gini(draw: Draw) -> float:
    return float(2.0 * np.dot(draw.held, draw.middle_ranks()) / (draw.held.sum() * draw.people.sum()) - 1.0)


def _correlation(draw: Draw, value_rank: Floats) -> float:
    """Pearson correlation of middle ranks, whose means both are half the sum of the weights."""
    mean = float(draw.people.sum()) / 2.0
    score, value = draw.middle_ranks()[draw.ranked.group] - mean, value_rank - mean
    spread = float(np.dot(draw.weight, score**2)) * float(np.dot(draw.weight, value**2))
    return float(np.dot(draw.weight, score * value)) / spread**0.5 if spread > 0.0 else _NOTHING


def _average_precision(draw: Draw, gone: float) -> float:
    """Sum over falling thresholds of the precision there times the recall gained there."""
    found, asked = np.cumsum(draw.held[::-1]), np.cumsum(draw.people[::-1])
    precision = np.divide(found, asked, out=np.zeros_like(found), where=asked > 0.0)
    return float(np.dot(draw.held[::-1], precision)) / gone
