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

    ``order`` (n) sorts them, ``starts`` is where in it each group begins, ``group`` (n, as sorted) is the group of each;
    both None where no two scores are equal, and every customer is a group.
    """

    order: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp] | None
    group: npt.NDArray[np.intp] | None

    @classmethod
    def by(cls, score: Floats) -> Ranked:
        """Rank by a finite score."""
        order = np.argsort(score, kind="stable")
        ranked = score[order]
        first = np.concatenate([[True], ranked[1:] != ranked[:-1]])
        return cls(order, None, None) if first.all() else cls(order, np.flatnonzero(first), np.cumsum(first) - 1)

    def sums(self, column: Floats) -> Floats:
        """Sums by group of a column that is already sorted."""
        return column if self.starts is None else np.asarray(np.add.reduceat(column, self.starts))

    def spread(self, by_group: Floats) -> Floats:
        """The figure of its group for every customer, as sorted."""
        return by_group if self.group is None else by_group[self.group]


class Draw:
    """One set of weights along one ranking, everything by group, lowest score first.

    ``people`` and ``held`` (weight x outcome), ``people_below`` and ``held_below`` (what all lower groups have, with the total at
    the end: one more entry), and their sums.
    """

    def __init__(self, ranked: Ranked, weight: Floats, outcome: Floats) -> None:
        """``weight`` in the order of the customers, ``outcome`` as sorted by the ranking."""
        self.ranked, self.weight = ranked, weight[ranked.order]
        self.people, self.held = ranked.sums(self.weight), ranked.sums(self.weight * outcome)
        self.people_below, self.held_below = _below(self.people), _below(self.held)
        self.all_people, self.all_held = float(self.people_below[-1]), float(self.held_below[-1])

    def middle_ranks(self) -> Floats:
        """Rank of each group, ties shared, counted from 0 to the sum of the weights."""
        return self.people_below[:-1] + self.people / 2.0

    def lowest(self, below: Floats, people: Floats) -> Floats:
        """How much of a column the lowest ``people`` have, a group being spread evenly; ``below`` as ``held_below``."""
        return np.asarray(np.interp(people, self.people_below, below))

    def gini(self) -> float:
        """Gini coefficient of the outcome along the ranking."""
        return float(2.0 * np.dot(self.held, self.middle_ranks()) / (self.all_held * self.all_people) - 1.0)

    def decile_gap(self, said: Floats) -> float:
        """Mean absolute difference of the means of ``said`` (as sorted) and of the outcome, over ten groups."""
        steps = np.linspace(0.0, self.all_people, min(DECILES, len(self.weight)) + 1)
        of_said = self.lowest(_below(self.ranked.sums(self.weight * said)), steps)
        return float(np.abs(np.diff(of_said - self.lowest(self.held_below, steps))).sum() / self.all_people)


def _below(column: Floats) -> Floats:
    below = np.empty(len(column) + 1)
    below[0] = 0.0
    np.cumsum(column, out=below[1:])
    return below


@dataclass(frozen=True)
class Perfect:
    """What one draw says of the realised values.

    ``gini`` of their own ranking; ``rank`` (n) of every customer's value less the mean rank; ``squares``: the weighted sum of
    its squares.
    """

    gini: float
    rank: Floats
    squares: float


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

    def metrics(self, weight: Floats, perfect: Perfect) -> Metrics:
        """All metrics of one draw; ``weight`` in the order of the customers, ``perfect`` of the same draw."""
        draw = Draw(self.ranked, weight, self.value)
        if draw.all_held <= 0.0:
            return {}
        wanted = [max(1.0, float(round(share * draw.all_people))) for share in CAPTURES.values()]
        missed = draw.lowest(draw.held_below, draw.all_people - np.array(wanted)) / draw.all_held
        found = {
            "normalized_gini": draw.gini() / perfect.gini if perfect.gini > 0.0 else _NOTHING,
            "rank_correlation": _correlation(draw, perfect),
            **dict(zip(CAPTURES, (1.0 - missed).tolist(), strict=True)),
        }
        if self.said is not None:
            bias = float(np.dot(draw.weight, self.said)) / draw.all_held
            found |= {
                "total_bias": bias,
                "absolute_bias": abs(bias - 1.0),
                "decile_error": draw.decile_gap(self.said) * draw.all_people / draw.all_held,
                "mean_absolute_error": float(np.dot(draw.weight, np.abs(self.said - self.value))) / draw.all_people,
            }
        return found

    def perfect(self, weight: Floats) -> Perfect:
        """What a draw says of the values, if the score is the value itself."""
        draw = Draw(self.ranked, weight, self.value)
        middle = draw.middle_ranks() - draw.all_people / 2.0
        rank = np.empty(len(weight))
        rank[self.ranked.order] = self.ranked.spread(middle)
        return Perfect(draw.gini() if draw.all_held > 0.0 else 0.0, rank, float(np.dot(draw.people, middle**2)))


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
        draw = Draw(self.ranked, weight, self.churned)
        people, gone = draw.all_people, draw.all_held
        if not 0.0 < gone < people:
            return {}
        stayed = draw.people - draw.held
        below = (draw.people_below - draw.held_below)[:-1]
        found = {
            "auc": float(np.dot(draw.held, below + stayed / 2.0)) / (gone * (people - gone)),
            "average_precision": _average_precision(draw),
        }
        if self.said is not None and self.log_losses is not None:
            base = gone * (people - gone) / people
            found |= {
                "brier_skill": 1.0 - float(np.dot(draw.weight, (self.said - self.churned) ** 2)) / base,
                "log_loss": float(np.dot(draw.weight, self.log_losses)) / people,
                "calibration_error": draw.decile_gap(self.said),
            }
        return found


def _correlation(draw: Draw, perfect: Perfect) -> float:
    """Pearson correlation of middle ranks, whose means both are half the sum of the weights."""
    middle = draw.middle_ranks() - draw.all_people / 2.0
    spread = float(np.dot(draw.people, middle**2)) * perfect.squares
    together = draw.ranked.sums(draw.weight * perfect.rank[draw.ranked.order])
    return float(np.dot(together, middle)) / spread**0.5 if spread > 0.0 else _NOTHING


def _average_precision(draw: Draw) -> float:
    """Sum over falling thresholds of the precision there times the recall gained there."""
    found, asked = draw.all_held - draw.held_below[:-1], draw.all_people - draw.people_below[:-1]
    precision = np.divide(found, asked, out=np.zeros_like(found), where=asked > 0.0)
    return float(np.dot(draw.held, precision)) / draw.all_held
