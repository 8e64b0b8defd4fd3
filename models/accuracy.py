"""How good predictions were, once what happened is known. Arrays of one entry per customer; higher is better unless said.

Ties in a score are shared: all customers of one score count as their mean, so no metric depends on the order of the rows.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import rankdata, spearmanr

Floats = npt.NDArray[np.float64]
DECILES = 10


def gini(value: Floats, score: Floats) -> float:
    """Gini coefficient of ``value`` along rising ``score``: 0 for a ranking that says nothing; the more, the better.

    ``2 sum(value * rank) / (n sum(value)) - (n + 1) / n``, ranks 1..n averaged over ties.
    """
    n = len(value)
    ranks = rankdata(score)
    return float(2.0 * np.dot(value, ranks) / (n * value.sum()) - (n + 1) / n)


def normalized_gini(value: Floats, score: Floats) -> float:
    """Gini of ``score`` as a share of the perfect ranking's: 1 = perfect, 0 = random. NaN where all values are equal.

    >>> normalized_gini(np.array([0.0, 1.0, 5.0]), np.array([0.1, 0.2, 0.9]))
    1.0
    """
    perfect = gini(value, value) if value.sum() > 0.0 else 0.0
    return gini(value, score) / perfect if perfect > 0.0 else float("nan")


def rank_correlation(value: Floats, score: Floats) -> float:
    """Spearman's rank correlation; NaN where either is constant."""
    if np.ptp(value) == 0.0 or np.ptp(score) == 0.0:
        return float("nan")
    return float(spearmanr(value, score).statistic)


def top_capture(value: Floats, score: Floats, share: float) -> float:
    """Share of the total ``value`` held by the ``share`` of customers ranked highest (number rounded, at least one).

    >>> top_capture(np.array([9.0, 1.0, 0.0, 0.0]), np.array([4.0, 3.0, 2.0, 1.0]), 0.25)
    0.9
    """
    wanted = max(1, round(share * len(value)))
    distinct, group, counts = np.unique(-score, return_inverse=True, return_counts=True)
    held = np.bincount(group, weights=value, minlength=len(distinct))
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    taken = np.clip(wanted - before, 0, counts) / counts
    return float(np.dot(held, taken) / value.sum())


def total_bias(value: Floats, predicted: Floats) -> float:
    """Predicted total / realised total: 1 is right, above it too high."""
    return float(predicted.sum() / value.sum())


def decile_means(value: Floats, predicted: Floats) -> tuple[Floats, Floats]:
    """Mean prediction and mean outcome of ten groups of equal size by rising prediction (fewer customers: fewer groups).

    Who stands on the border of two groups counts in both, by parts; customers of equal predictions are spread evenly.
    """
    distinct, group, counts = np.unique(predicted, return_inverse=True, return_counts=True)
    groups = min(DECILES, len(value))
    reached, borders = np.concatenate([[0], np.cumsum(counts)]), np.linspace(0.0, len(value), groups + 1)

    def means(sums: Floats) -> Floats:
        below = np.interp(borders, reached, np.concatenate([[0.0], np.cumsum(sums)]))
        return np.asarray(np.diff(below) * (groups / len(value)))

    return means(distinct * counts), means(np.bincount(group, weights=value).astype(np.float64))


def decile_calibration_error(value: Floats, predicted: Floats) -> float:
    """Mean absolute difference of decile means, as a share of the mean outcome; lower is better."""
    expected, happened = decile_means(value, predicted)
    return float(np.abs(expected - happened).mean() / value.mean())


def expected_calibration_error(happened: Floats, probability: Floats) -> float:
    """Mean absolute difference of mean probability and share that happened, over ten groups of like size; lower is better.

    Naeini, Cooper & Hauskrecht (2015), "Obtaining well calibrated probabilities using Bayesian binning", with equal groups.
    """
    expected, share = decile_means(happened, probability)
    return float(np.abs(expected - share).mean())


def brier_skill(happened: Floats, probability: Floats) -> float:
    """1 - Brier score / Brier score of always saying the share that happened: 0 = no better than that, 1 = perfect."""
    base = float(np.mean((happened.mean() - happened) ** 2))
    return 1.0 - float(np.mean((probability - happened) ** 2)) / base if base > 0.0 else float("nan")
