"""The BG/NBD, MBG/NBD, NBD and Gamma-Gamma log-likelihoods on collapsed rows, with gradients in closed form.

They equal those of lifetimes (tests compare value and gradient) but compute each logarithm and gamma function once per
distinct number of purchases or days instead of once per row. All are mean negative log-likelihoods per customer, in
log-parameters, plus ``penalizer * sum(parameter^2)`` as in lifetimes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import digamma, gammaln

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

PACKED_BITS = 62


def collapse(*columns: Floats) -> tuple[tuple[Floats, ...], Floats]:
    """Distinct rows in ascending order, and how often each occurs."""
    packed = _pack(columns)
    if packed is not None:
        keys, counts = np.unique(packed, return_counts=True)
        return _unpack(keys, columns), counts.astype(np.float64)
    order = np.lexsort(columns[::-1])
    sorted_columns = tuple(column[order] for column in columns)
    starts = np.flatnonzero(np.any([np.diff(column, prepend=np.nan) != 0 for column in sorted_columns], axis=0))
    counts = np.diff(np.append(starts, len(order)))
    return tuple(column[starts] for column in sorted_columns), counts.astype(np.float64)


def _pack(columns: tuple[Floats, ...]) -> npt.NDArray[np.int64] | None:
    """One integer per row that orders like the row, if all columns are whole numbers >= 0 and small enough."""
    if any(len(column) == 0 or column.min() < 0 or np.any(column != np.floor(column)) for column in columns):
        return None
    if np.sum([np.log2(column.max() + 1.0) for column in columns]) > PACKED_BITS:
        return None
    packed = np.zeros(len(columns[0]), dtype=np.int64)
    for column in columns:
        packed = packed * (int(column.max()) + 1) + column.astype(np.int64)
    return packed


def _unpack(keys: npt.NDArray[np.int64], columns: tuple[Floats, ...]) -> tuple[Floats, ...]:
    unpacked = []
    for column in reversed(columns):
        keys, digits = np.divmod(keys, int(column.max()) + 1)
        unpacked.append(digits.astype(np.float64))
    return tuple(reversed(unpacked))


@dataclass(frozen=True)
class PurchaseRows:
    """Collapsed (x, t_x, T) with weights; times in any unit."""

    x: Floats
    t_x: Floats
    age: Floats
    weights: Floats

    @property
    def customers(self) -> float:
        """Number of customers behind the rows."""
        return float(self.weights.sum())

    def thinned(self, rows: int) -> PurchaseRows:
        """About ``rows`` of the rows, evenly spread over the sorted table."""
        step = -(-len(self.x) // rows)
        return PurchaseRows(self.x[::step], self.t_x[::step], self.age[::step], self.weights[::step])

    def nbd(self, point: Floats, penalizer: float = 0.0) -> tuple[float, Floats]:
        """Loss and gradient of the NBD (nobody drops out) at (ln r, ln alpha)."""
        r, alpha = np.exp(point)
        value, gradient = self._poisson_gamma(r, alpha)
        return self._loss(value, gradient, np.array([r, alpha]), penalizer)

    def dropout(self, point: Floats, penalizer: float = 0.0, *, first: bool = False) -> tuple[float, Floats]:
        """Loss and gradient of BG/NBD at (ln r, ln alpha, ln a, ln b); MBG/NBD if drop-out can come ``first`` thing.

        Fader, Hardie & Lee (2005), section 7, with the larger of the two terms ("still alive" and "dropped out right
        after the last purchase") taken out: ``... (1 + odds)``, ``odds = a / (b + y - 1) ((alpha + T) / (alpha +
        t_x))^(r + x)``, where y counts the purchases survived.
        """
        r, alpha, a, b = np.exp(point)
        distinct = self._purchases
        survived = distinct.values + first
        value, gradient_rate = self._poisson_gamma(r, alpha)
        by_count = gammaln(a + b) - gammaln(b) + gammaln(b + survived) - gammaln(a + b + survived)
        value += float(distinct.weights @ by_count)
        both = digamma(a + b) - digamma(a + b + survived)
        slope_a = float(distinct.weights @ both)
        slope_b = float(distinct.weights @ (both + digamma(b + survived) - digamma(b)))
        rows = self._all_rows if first else self._repeat_rows
        dropped, gone, slope_r, slope_alpha = rows.dropped(r, alpha, np.log(a) - _log_positive(b + survived - 1.0))
        value += dropped
        slope_a += float(gone.sum()) / a
        slope_b -= float(np.divide(gone, b + survived - 1.0, out=np.zeros_like(gone), where=gone > 0).sum())
        gradient = np.array([gradient_rate[0] + slope_r, gradient_rate[1] + slope_alpha, slope_a, slope_b])
        return self._loss(value, gradient, np.array([r, alpha, a, b]), penalizer)

    def _poisson_gamma(self, r: float, alpha: float) -> tuple[float, Floats]:
        """Log-likelihood of the counts x over exposure T (without x!), and its slopes in r and alpha."""
        distinct, ages = self._purchases, self._ages
        logs = np.log(alpha + ages.values)
        mass = r * ages.weights + self._purchases_by_age
        value = float(distinct.weights @ (gammaln(r + distinct.values) - gammaln(r)) - mass @ logs)
        slope_r = float(distinct.weights @ (digamma(r + distinct.values) - digamma(r)) - ages.weights @ logs)
        slope_alpha = float(-(mass / (alpha + ages.values)).sum())
        n = self.customers
        return value + n * r * np.log(alpha), np.array([slope_r + n * np.log(alpha), slope_alpha + n * r / alpha])

    def _loss(self, value: float, slopes: Floats, parameters: Floats, penalizer: float) -> tuple[float, Floats]:
        """Mean negative log-likelihood with penalty; slopes become those in log-parameters."""
        n = self.customers
        loss = -value / n + penalizer * float(parameters @ parameters)
        return loss, -slopes * parameters / n + 2.0 * penalizer * parameters**2

    @cached_property
    def _purchases(self) -> _Distinct:
        return _Distinct.of(self.x, self.weights)

    @cached_property
    def _ages(self) -> _Distinct:
        return _Distinct.of(self.age, self.weights)

    @cached_property
    def _purchases_by_age(self) -> Floats:
        return _sum_by(self._ages.codes, self.weights * self.x, len(self._ages.values))

    @cached_property
    def _all_rows(self) -> _Rows:
        return self._rows(np.ones(len(self.x), dtype=bool))

    @cached_property
    def _repeat_rows(self) -> _Rows:
        return self._rows(self.x > 0)

    def _rows(self, kept: npt.NDArray[np.bool_]) -> _Rows:
        days, codes = np.unique(np.concatenate([self.t_x[kept], self.age[kept]]), return_inverse=True)
        half = int(kept.sum())
        count_codes = self._purchases.codes[kept]
        return _Rows(self.x[kept], self.weights[kept], count_codes, len(self._purchases.values), days, codes[:half], codes[half:])


@dataclass(frozen=True)
class _Distinct:
    """Distinct values of one column, the weight of each, and the position of each row's value."""

    values: Floats
    weights: Floats
    codes: Codes

    @classmethod
    def of(cls, column: Floats, weights: Floats) -> _Distinct:
        values, codes = np.unique(column, return_inverse=True)
        return cls(values, _sum_by(codes, weights, len(values)), codes)


@dataclass(frozen=True)
class _Rows:
    """Rows that need an evaluation each: those whose customer may have dropped out."""

    x: Floats
    weights: Floats
    count_codes: Codes
    counts: int
    days: Floats
    t_x_codes: Codes
    age_codes: Codes

    def dropped(self, r: float, alpha: float, log_prior_odds: Floats) -> tuple[float, Floats, float, float]:
        """Sum of ln(1 + odds), sum of P(dropped out) by distinct x, and slopes in r and alpha."""
        logs = np.log(alpha + self.days)
        inverse = 1.0 / (alpha + self.days)
        silence = logs[self.age_codes] - logs[self.t_x_codes]
        shape = r + self.x
        log_odds = log_prior_odds[self.count_codes] + shape * silence
        small = np.exp(-np.abs(log_odds))
        value = float(self.weights @ (np.maximum(log_odds, 0.0) + np.log1p(small)))
        gone = self.weights * np.where(log_odds >= 0.0, 1.0, small) / (1.0 + small)
        slope_alpha = float((gone * shape) @ (inverse[self.age_codes] - inverse[self.t_x_codes]))
        return value, _sum_by(self.count_codes, gone, self.counts), float(gone @ silence), slope_alpha


@dataclass(frozen=True)
class GammaGammaRows:
    """Collapsed (x, m) of repeat buyers, m > 0, with weights."""

    x: Floats
    m: Floats
    weights: Floats

    def gamma_gamma(self, point: Floats, penalizer: float = 0.0) -> tuple[float, Floats]:
        """Loss and gradient at (ln p, ln q, ln v): Fader & Hardie (2013), note 025, eq. 1a."""
        p, q, v = parameters = np.exp(point)
        value, slopes = self._value(p, q, v)
        n = self.weights.sum()
        loss = -value / n + penalizer * float(parameters @ parameters)
        return loss, -slopes * parameters / n + 2.0 * penalizer * parameters**2

    def anchored(self, point: Floats, mean: float) -> tuple[float, Floats]:
        """Loss and gradient at (ln p, ln(q - 1)) with ``v = mean (q - 1) / p``: the population mean is held."""
        p, excess = np.exp(point)
        v = mean * excess / p
        value, (slope_p, slope_q, slope_v) = self._value(p, 1.0 + excess, v)
        n = self.weights.sum()
        return -value / n, -np.array([p * slope_p - v * slope_v, excess * slope_q + v * slope_v]) / n

    def _value(self, p: float, q: float, v: float) -> tuple[float, Floats]:
        distinct = self._counts
        shape = p * distinct.values
        spent = self.x * self.m + v
        logs, inverse = np.log(spent), 1.0 / spent
        n = float(self.weights.sum())
        sum_log, sum_x_log = float(self.weights @ logs), float(self._weighted_x @ logs)
        by_count = gammaln(shape + q) - gammaln(shape) - gammaln(q)
        value = float(distinct.weights @ by_count) + n * q * np.log(v) + p * self._sum_x_log_xm - self._sum_log_m
        value -= p * sum_x_log + q * sum_log
        both = digamma(shape + q)
        slope_p = float((distinct.weights * distinct.values) @ (both - digamma(shape))) + self._sum_x_log_xm - sum_x_log
        slope_q = float(distinct.weights @ (both - digamma(q))) + n * np.log(v) - sum_log
        slope_v = n * q / v - p * float(self._weighted_x @ inverse) - q * float(self.weights @ inverse)
        return value, np.array([slope_p, slope_q, slope_v])

    @cached_property
    def _counts(self) -> _Distinct:
        return _Distinct.of(self.x, self.weights)

    @cached_property
    def _weighted_x(self) -> Floats:
        return self.weights * self.x

    @cached_property
    def _sum_x_log_xm(self) -> float:
        return float(self._weighted_x @ np.log(self.x * self.m))

    @cached_property
    def _sum_log_m(self) -> float:
        return float(self.weights @ np.log(self.m))


def _sum_by(codes: Codes, values: Floats, groups: int) -> Floats:
    return np.asarray(np.bincount(codes, values, groups), dtype=np.float64)


def _log_positive(values: Floats) -> Floats:
    """Logarithm, and 0 where a value is not above 0 (no row uses those)."""
    return np.log(np.where(values > 0.0, values, 1.0))
