"""What the customers of a model's last day looked like, binned: what later customers are compared with to find drift.

Kept are counts per bin, never a customer. Two distributions over the same bins are compared by the chi-square statistic of
homogeneity; its effect size is Cohen's w (Cohen 1988, "Statistical power analysis for the behavioral sciences", chapter 7):

    w**2 = sum((p - q)**2 / pooled)        with the shares p and q of the two samples in each bin

which for small shifts is the population stability index (PSI): w = 0.32 is the PSI of 0.1 that a rule of thumb calls a shift.

All distributions of a customer base move a little by themselves: it ages. How far each moved in the months before
training, which the model has learned from, is kept as its usual shift.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.catalog import CATALOG
from models.value_model import ValueModel

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

BINS = 10
FEWEST_EXPECTED = 5.0
"""Bins in which fewer are expected in either sample are joined with their neighbours: below it, chi-square is no chi-square."""
MOST_LAGS = 6
SCORES = ("predicted_value", "churn_risk")
CLOCKS = ("T",)
"""They grow by one a day whatever anybody does; a changed mix of new and old customers shows in the other features."""
WATCHED_FEATURES = tuple(feature.name for feature in CATALOG if feature.group != "season" and feature.name not in CLOCKS)
"""Features of the season tell the calendar, not the customers: they are not watched either."""
WATCHED = (*WATCHED_FEATURES, *SCORES)


@dataclass(frozen=True)
class Contrast:
    """How far two samples over the same bins are apart.

    ``statistic``: chi-square of homogeneity with ``freedom`` degrees; ``size``: n m / (n + m) for samples of n and m; ``psi``:
    population stability index, less what sampling alone adds to it.
    """

    statistic: float
    freedom: int
    size: float
    psi: float

    @property
    def shift(self) -> float:
        """Cohen's w without what sampling alone adds to it; 0 where that is more than all of it."""
        return float(np.sqrt(max(self.statistic - self.freedom, 0.0) / self.size))


@dataclass(frozen=True)
class Distribution:
    """One feature or score in bins: ``edges`` rise, bin i is ``(edges[i - 1], edges[i]]``, the outer bins are open.

    ``counts`` has one entry more than ``edges``; ``missing`` counts NaN; ``median`` is None where all are missing.
    ``usual_shift``: Cohen's w between these customers and those of each earlier day of ``Reference.lags``.
    """

    name: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    missing: int
    median: float | None
    usual_shift: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.counts) != len(self.edges) + 1 or not all(np.diff(self.edges) > 0.0):
            raise ValueError(f"{self.name}: {len(self.counts)} bins need {len(self.counts) - 1} rising edges")

    @property
    def all_counts(self) -> Counts:
        """Counts of the bins, then the number missing."""
        return np.array([*self.counts, self.missing], dtype=np.int64)

    def contrast(self, values: npt.ArrayLike) -> Contrast:
        """How far ``values`` (one per customer, NaN where missing) are from this distribution."""
        return contrast(self.all_counts, binned(np.asarray(values, dtype=np.float64), self.edges))


@dataclass(frozen=True)
class Reference:
    """The distributions of ``WATCHED`` over the ``customers`` of day ``as_of`` (the first not observed).

    ``lags``: how many days before ``as_of`` the earlier days were that tell the usual shifts, rising.
    """

    as_of: int
    customers: int
    lags: tuple[int, ...]
    distributions: tuple[Distribution, ...]

    def usual_shift(self, name: str, days: int) -> float:
        """The most that ``name`` shifted over any stored lag up to ``days``, or over the shortest; 0 where none is stored."""
        shifts = next(one for one in self.distributions if one.name == name).usual_shift
        within = [shift for lag, shift in zip(self.lags, shifts, strict=True) if lag <= max(days, self.lags[0])]
        return max(within, default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers and lists."""
        return {**asdict(self), "distributions": [asdict(one) for one in self.distributions]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Reference:
        """The inverse of ``to_json``."""
        return cls(
            as_of=stored["as_of"],
            customers=stored["customers"],
            lags=tuple(stored["lags"]),
            distributions=tuple(_distribution(one) for one in stored["distributions"]),
        )


def reference_of(
    model: ValueModel, features: pd.DataFrame, as_of: int, earlier: Mapping[int, pd.DataFrame], threads: int
) -> Reference:
    """Learn the reference of a fitted model.

    ``features`` are those of all customers as of ``as_of``, ``earlier`` those of earlier cutoffs by cutoff, whole or sampled.
    The latest ``MOST_LAGS`` of them tell the usual shifts.
    """
    latest = sorted((cutoff for cutoff in earlier if cutoff < as_of), reverse=True)[:MOST_LAGS]

    def seen(frame: pd.DataFrame, cutoff: int) -> pd.DataFrame:
        return watched(frame, model.predict(frame, as_of=cutoff, threads=threads))

    return fit_reference(seen(features, as_of), as_of, {cutoff: seen(earlier[cutoff], cutoff) for cutoff in latest})


def watched(features: pd.DataFrame, predictions: pd.DataFrame) -> pd.DataFrame:
    """The columns ``WATCHED`` of the same customers: features, and what was predicted."""
    return pd.concat([features[list(WATCHED_FEATURES)], predictions[list(SCORES)].astype(np.float64)], axis=1)


def fit_reference(customers: pd.DataFrame, as_of: int, earlier: Mapping[int, pd.DataFrame]) -> Reference:
    """Count the columns of ``customers``, a row each, in bins at their deciles; ``earlier``: the same columns by earlier day.

    Equal deciles are one edge, so a column with few distinct values has few bins. Raises ValueError: no customers.
    """
    if customers.empty:
        raise ValueError("a reference cannot be learned from no customers")
    cutoffs = sorted(earlier, reverse=True)
    distributions = [
        _learned(
            str(name), customers[name].to_numpy(np.float64), [earlier[cutoff][name].to_numpy(np.float64) for cutoff in cutoffs]
        )
        for name in customers.columns
    ]
    return Reference(as_of, len(customers), tuple(as_of - cutoff for cutoff in cutoffs), tuple(distributions))


def binned(values: Floats, edges: Sequence[float]) -> Counts:
    """How many values are in each bin, then how many are NaN.

    >>> binned(np.array([0.0, 1.0, 2.0, 9.0, np.nan]), (1.0, 5.0)).tolist()
    [2, 1, 1, 1]
    """
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(np.asarray(edges, dtype=np.float64), known, side="left"), minlength=len(edges) + 1)
    return np.append(counts, len(values) - len(known)).astype(np.int64)


def contrast(before: Counts, after: Counts) -> Contrast:
    """Compare two samples counted in the same bins, the last of which holds what is missing.

    ``psi`` is ``sum((q - p) ln(q / p))`` with half a customer added to each bin, less its expectation when nothing has changed,
    ``(bins - 1) (1 / n + 1 / m)`` (Yurdakul & Naranjo 2020, "Statistical properties of the population stability index").
    Raises ValueError: a sample is empty.
    """
    n, m = int(before.sum()), int(after.sum())
    if n == 0 or m == 0:
        raise ValueError("two samples are compared, and one of them is empty")
    groups = _joined(np.asarray((before + after) * (min(n, m) / (n + m)), dtype=np.float64))
    old, new = (np.bincount(groups, weights=counts) for counts in (before, after))
    bins, size = len(old), n * m / (n + m)
    pooled = (old + new) / (n + m)
    statistic = size * float(np.sum((old / n - new / m) ** 2 / pooled))
    p, q = (old + 0.5) / (n + 0.5 * bins), (new + 0.5) / (m + 0.5 * bins)
    psi = float(np.sum((q - p) * np.log(q / p))) - (bins - 1) / size
    return Contrast(statistic, bins - 1, size, psi)


def _joined(expected: Floats) -> npt.NDArray[np.intp]:
    """A group for each bin with at least ``FEWEST_EXPECTED`` in each; the missing, in the last bin, stay apart if they can."""
    group, held = 0, 0.0
    groups = []
    for number in expected[:-1]:
        if held >= FEWEST_EXPECTED:
            group, held = group + 1, 0.0
        groups.append(group)
        held += number
    if held < FEWEST_EXPECTED:  # the last group is short: it joins the one before
        groups = [min(one, max(group - 1, 0)) for one in groups]
    known, missing = expected[:-1].sum(), expected[-1]
    apart = min(known, missing) >= FEWEST_EXPECTED
    return np.array([*groups, groups[-1] + apart], dtype=np.intp)


def _learned(name: str, column: npt.ArrayLike, earlier: Sequence[npt.ArrayLike]) -> Distribution:
    values: Floats = np.asarray(column, dtype=np.float64)
    known: Floats = values[~np.isnan(values)]
    edges = _edges(known)
    counts = binned(values, edges)
    shifts = tuple(contrast(counts, binned(np.asarray(other, dtype=np.float64), edges)).shift for other in earlier)
    *bins, missing = counts.tolist()
    return Distribution(name, edges, tuple(bins), missing, float(np.median(known)) if len(known) else None, shifts)


def _edges(known: Floats) -> tuple[float, ...]:
    """The distinct deciles; where many share the least value, one more below it, so that smaller ones will be noticed."""
    if not len(known):
        return ()
    deciles = np.unique(np.quantile(known, np.arange(1, BINS) / BINS)).tolist()
    least = float(known.min())
    return (float(np.nextafter(least, -np.inf)), *deciles) if deciles[0] == least else tuple(deciles)


def _distribution(stored: Mapping[str, Any]) -> Distribution:
    return Distribution(
        name=stored["name"],
        edges=tuple(float(edge) for edge in stored["edges"]),
        counts=tuple(stored["counts"]),
        missing=stored["missing"],
        median=stored["median"],
        usual_shift=tuple(float(shift) for shift in stored["usual_shift"]),
    )
