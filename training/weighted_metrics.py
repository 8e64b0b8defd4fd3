"""Metrics of weighted customers: what a bootstrap draw computes, many hundred times, in one pass over a kept ranking.

With weights of 1 every metric equals that of ``models.accuracy`` or scikit-learn; a customer of weight 2 counts as two. Ties
are shared in the same way. Weights are 0 or more, and not all 0. ``along`` is for those who ask little of a draw,
``ValueMetrics`` and ``ChurnMetrics`` for those who ask everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.accuracy import DECILES

Floats = npt.NDArray[np.float64]
Metrics = dict[str, float]

CAPTURES = {"capture_5": 0.05, "capture_10": 0.10, "capture_20": 0.20}
_NOTHING = float("nan")


def inner(one: Floats, other: Floats) -> float:
    """Their inner product, without BLAS: its threads wait for each other by the hundredfold where other work needs the cores."""
    return float(np.einsum("i,i->", one, other))


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
        """Rank by a score. Raises ValueError: no customers, or a score that is NaN or infinite."""
        if len(score) == 0 or not np.isfinite(score).all():
            raise ValueError(f"{len(score)} scores, {int((~np.isfinite(score)).sum())} of them NaN or infinite, cannot be ranked")
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

    ``people`` and ``held`` (weight x outcome), their sums, and ``people_below``: how many all lower groups have, with the total
    at the end (one more entry).
    """

    def __init__(self, ranked: Ranked, weight: Floats, outcome: Floats) -> None:
        """``weight`` in the order of the customers, ``outcome`` as sorted by the ranking."""
        self.ranked, self.weight = ranked, weight[ranked.order]
        self.people, self.held = ranked.sums(self.weight), ranked.sums(self.weight * outcome)
        self.people_below = _below(self.people)
        self.all_people, self.all_held = float(self.people_below[-1]), float(self.held.sum())

    @cached_property
    def middle_ranks(self) -> Floats:
        """Rank of each group, ties shared, counted from 0 to the sum of the weights."""
        return self.people_below[:-1] + self.people / 2.0

    def gini(self) -> float:
        """Gini coefficient of the outcome along the ranking; NaN where nothing is held."""
        total = self.all_held * self.all_people
        return 2.0 * inner(self.held, self.middle_ranks) / total - 1.0 if total > 0.0 else _NOTHING

    def capture(self, share: float) -> float:
        """Share of the outcome held by the ``share`` ranked highest (number rounded, at least one); NaN where nothing is held."""
        if self.all_held <= 0.0:
            return _NOTHING
        others = self.all_people - max(1.0, float(round(share * self.all_people)))
        border = int(np.searchsorted(self.people_below, others, side="right")) - 1
        left_out = self.held[border] * (others - self.people_below[border]) / self.people[border]
        return float(self.held[border:].sum() - left_out) / self.all_held

    def auc(self) -> float:
        """Probability that one to whom it happened (outcome 1, else 0) ranks above one to whom it did not, half for ties.

        NaN where all are alike. By the sum of ranks, less those to whom it happened among themselves (Mann & Whitney 1947).
        """
        pairs = self.all_held * (self.all_people - self.all_held)
        return (inner(self.held, self.middle_ranks) - self.all_held**2 / 2.0) / pairs if pairs > 0.0 else _NOTHING

    def decile_gap(self, excess: Floats) -> float:
        """Mean absolute excess (what is said less the outcome, as sorted) of ten groups; people of one score stand evenly."""
        steps = np.linspace(0.0, self.all_people, min(DECILES, len(self.weight)) + 1)
        below = np.interp(steps, self.people_below, _below(self.ranked.sums(self.weight * excess)))
        return float(np.abs(np.diff(below)).sum()) / self.all_people


def _below(column: Floats) -> Floats:
    below = np.empty(len(column) + 1)
    below[0] = 0.0
    np.cumsum(column, out=below[1:])
    return below


def along(score: Floats, outcome: Floats) -> Callable[[Floats], Draw]:
    """A function of weights that gives the draw along a score; what needs sorting is sorted once.

    Raises ValueError: as ``Ranked.by``.
    """
    ranked = Ranked.by(score)
    happened = outcome[ranked.order]
    return lambda weight: Draw(ranked, weight, happened)


def normalized(gini: float, perfect: float) -> float:
    """Gini as a share of the perfect ranking's; NaN where that is not above 0."""
    return gini / perfect if perfect > 0.0 else _NOTHING


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
        found = {
            "normalized_gini": normalized(draw.gini(), perfect.gini),
            "rank_correlation": _correlation(draw, perfect),
            **{name: draw.capture(share) for name, share in CAPTURES.items()},
        }
        if self.said is not None:
            bias = inner(draw.weight, self.said) / draw.all_held
            found |= {
                "total_bias": bias,
                "absolute_bias": abs(bias - 1.0),
                "decile_error": draw.decile_gap(self.said - self.value) * draw.all_people / draw.all_held,
                "mean_absolute_error": inner(draw.weight, np.abs(self.said - self.value)) / draw.all_people,
            }
        return found

    def perfect(self, weight: Floats) -> Perfect:
        """What a draw says of the values, if the score is the value itself."""
        draw = Draw(self.ranked, weight, self.value)
        middle = draw.middle_ranks - draw.all_people / 2.0
        rank = np.empty(len(weight))
        rank[self.ranked.order] = self.ranked.spread(middle)
        return Perfect(draw.gini(), rank, inner(draw.people, middle**2))


@dataclass(frozen=True)
class _Risk:
    """Churn probabilities of the customers of one origin; arrays as sorted by them."""

    ranked: Ranked
    churned: Floats
    said: Floats
    log_losses: Floats

    @classmethod
    def of(cls, churned: Floats, risk: Floats) -> _Risk:
        ranked = Ranked.by(risk)
        happened, said = churned[ranked.order], risk[ranked.order]
        least = np.finfo(np.float64).eps  # as scikit-learn's log_loss
        inside = np.clip(said, least, 1.0 - least)
        return cls(ranked, happened, said, -np.log(np.where(happened > 0.0, inside, 1.0 - inside)))

    def metrics(self, weight: Floats) -> Metrics:
        draw = Draw(self.ranked, weight, self.churned)
        base = draw.all_held * (draw.all_people - draw.all_held) / draw.all_people
        return {
            "brier_skill": 1.0 - inner(draw.weight, (self.said - self.churned) ** 2) / base,
            "log_loss": inner(draw.weight, self.log_losses) / draw.all_people,
            "calibration_error": draw.decile_gap(self.said - self.churned),
        }


@dataclass(frozen=True)
class ChurnMetrics:
    """What one candidate says of churn at one origin: an order of the customers, and a risk of each, or None."""

    along_order: Callable[[Floats], Draw]
    risk: _Risk | None

    @classmethod
    def of(cls, churned: Floats, order: Floats, risk: Floats | None) -> ChurnMetrics:
        """Keep what every draw needs: AUC and average precision are those of ``order``, the others those of ``risk``."""
        return cls(along(order, churned), None if risk is None else _Risk.of(churned, risk))

    def metrics(self, weight: Floats) -> Metrics:
        """All metrics of one draw; ``weight`` in the order of the customers."""
        draw = self.along_order(weight)
        if not 0.0 < draw.all_held < draw.all_people:
            return {}
        found = {"auc": draw.auc(), "average_precision": _average_precision(draw)}
        return found if self.risk is None else found | self.risk.metrics(weight)


def _correlation(draw: Draw, perfect: Perfect) -> float:
    """Pearson correlation of middle ranks, whose means both are half the sum of the weights."""
    middle = draw.middle_ranks - draw.all_people / 2.0
    spread = inner(draw.people, middle**2) * perfect.squares
    together = draw.ranked.sums(draw.weight * perfect.rank[draw.ranked.order])
    return inner(together, middle) / spread**0.5 if spread > 0.0 else _NOTHING


def _average_precision(draw: Draw) -> float:
    """Sum over falling thresholds of the precision there times the recall gained there."""
    found, asked = draw.all_held - _below(draw.held)[:-1], draw.all_people - draw.people_below[:-1]
    precision = np.divide(found, asked, out=np.zeros_like(found), where=asked > 0.0)
    return inner(draw.held, precision) / draw.all_held
