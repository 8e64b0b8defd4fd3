"""Fitting BG/NBD and Gamma-Gamma: the likelihoods of lifetimes, on collapsed rows, by a search that cannot fail.

Customers with identical inputs are one row with a weight. The search runs on our own evaluation of the likelihood,
which computes every term once per distinct value instead of once per row and has its gradient in closed form; the
likelihood of lifetimes has the last word: the search is finished on it, and the recorded log-likelihood and gradient
are its own.

Purchases, first that is sound (converged, no parameter on a bound of the search):

1. ``bg_nbd`` from several starts, without a penalty, then with a growing one (the penalty of lifetimes);
2. ``mbg_nbd`` likewise: customers can drop out after the first purchase too;
3. ``nbd``: the limit of both where nobody drops out;
4. ``pooled``: too little to learn a spread from. Everybody has the prior Gamma(1, alpha), whose mean is the pooled rate
   with half a purchase in half a year added, so that it is never 0 and one day of history does not say 0 or 365 a year.

Order values: ``gamma_gamma``; where q <= 1 (its mean does not exist) or its mean is far from the observed one,
``anchored``: Gamma-Gamma whose population mean is held at that of the repeat purchases (also free ones); with too few
repeat buyers, ``pooled``: the mean of what is known, weighing as much as two purchases.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from configs.errors import HistoryError
from models.btyd import INPUTS, Btyd, FitRecord, Method, ValueMethod
from models.btyd_likelihood import GammaGammaRows, PurchaseRows, collapse
from models.columns import Floats

MIN_REPEATERS = 5
MEAN_RATIO = 2.0
HALF_A_YEAR = 182.5
PENALIZERS = (0.0, 1e-4, 1e-3, 1e-2)
GRADIENT_TOLERANCE = 1e-5
LEAST_VALUE = 1e-4
"""The smallest amount there is stands for a mean of 0, with which no parameter would be left."""
START_ROWS = 20_000
NO_DROPOUT = "a at its lowest"
_NO_DROPOUT_POINT = (-60.0, 0.0)

Objective = Callable[[Floats], tuple[float, Floats]]
Bounds = dict[str, tuple[float, float]]

_VALUE_BOUNDS: Bounds = {
    "p": (math.log(1e-3), math.log(1e4)),
    "q": (math.log(1e-2), math.log(1e4)),
    "v": (math.log(1e-6), math.log(1e6)),
}
_ANCHORED_BOUNDS: Bounds = {"p": (math.log(1e-3), math.log(1e4)), "q": (math.log(0.05), math.log(1e4))}
_VALUE_STARTS = ((6.0, 4.0, 0.5), (1.0, 2.0, 1.0))


@dataclass(frozen=True)
class _Optimum:
    """A point in log-parameters; the gradient leaves out components that push against a bound."""

    point: Floats
    loss: float
    gradient_norm: float
    at_bound: tuple[str, ...]

    @property
    def converged(self) -> bool:
        return math.isfinite(self.loss) and self.gradient_norm < GRADIENT_TOLERANCE

    @property
    def why_left(self) -> str:
        """Why the point is no sound fit; empty if it is one."""
        if not self.converged:
            return f"not converged (gradient {self.gradient_norm:.1e})"
        return ", ".join(self.at_bound)


def fit_btyd(summary: pd.DataFrame) -> Btyd:
    """Learn all parameters from one row per customer: frequency, recency, T (days) and monetary_value (currency).

    Deterministic, whatever the order of the rows. Raises HistoryError: NaN, negative or impossible inputs (recency
    above T, recency not 0 without a repeat). Anything else gives finite parameters; ``Btyd.purchases_fit`` and
    ``value_fit`` say how they were found.
    """
    x, t_x, age, money = (summary[name].to_numpy(np.float64) for name in INPUTS)
    _check(x, t_x, age, money)
    first = summary.get("order_value_mean", summary["monetary_value"]).to_numpy(np.float64)
    # Threads would make the last digits depend on their number, and slow down a search whose matrices are 4 x 4.
    with threadpool_limits(1):
        return Btyd(**_fit_purchases(x, t_x, age), **_fit_order_values(x, money, first))


def _check(x: Floats, t_x: Floats, age: Floats, money: Floats) -> None:
    faults = {
        "NaN or infinite": ~np.isfinite(x + t_x + age + money),
        "negative days, purchases or money": (x < 0) | (t_x < 0) | (age < 0) | (money < 0),
        "recency above T": t_x > age,
        "recency without a repeat purchase": (x == 0) & (t_x != 0),
    }
    for fault, rows in faults.items():
        if rows.any():
            where = ", ".join(str(row) for row in np.flatnonzero(rows)[:5])
            raise HistoryError(f"BTYD inputs: {rows.sum()} customers with {fault} (rows {where}); check the features")


def _fit_purchases(x: Floats, t_x: Floats, age: Floats) -> dict[str, Any]:
    """``method``, r, alpha, a, b and ``purchases_fit`` of the first sound model of the ladder."""
    if np.sum(x > 0) < MIN_REPEATERS:
        return _pooled_purchases(x, age, (f"fewer than {MIN_REPEATERS} customers with a repeat purchase",))
    span = float(age.max())
    (x, t_x, age), weights = collapse(x, t_x, age)
    scaled = PurchaseRows(x, t_x / span, age / span, weights)
    tried: tuple[str, ...] = ()
    methods: tuple[Method, ...] = ("bg_nbd", "mbg_nbd")
    for method in methods:
        for penalizer in PENALIZERS:
            optimum = _search(scaled, method, penalizer, span)
            if not optimum.why_left:
                return _purchases(scaled, method, penalizer, span, optimum, tried)
            tried = (*tried, f"{method}, penalizer {penalizer:g}: {optimum.why_left}")
            if NO_DROPOUT in optimum.at_bound:
                break  # A penalty draws parameters towards 0: it cannot lead away from there.
    optimum = _search(scaled, "nbd", 0.0, span)
    return _purchases(scaled, "nbd", 0.0, span, optimum, tried)


def _search(rows: PurchaseRows, method: Method, penalizer: float, span: float) -> _Optimum:
    """Best of several starts on a part of the rows, then all rows from there."""
    bounds = {name: limits for name, limits in _bounds(span).items() if method != "nbd" or name in ("r", "alpha")}

    def minimized(part: PurchaseRows, start: Floats) -> _Optimum:
        def objective(point: Floats) -> tuple[float, Floats]:
            if method == "nbd":
                return part.nbd(point, penalizer)
            return part.dropout(point, penalizer, first=method == "mbg_nbd")

        return _minimize(objective, start[: len(bounds)], bounds)

    thinned = rows.thinned(START_ROWS)
    best = min((minimized(thinned, start) for start in _starts(rows)), key=lambda optimum: optimum.loss)
    return best if len(thinned.x) == len(rows.x) else minimized(rows, best.point)


def _bounds(span: float) -> Bounds:
    """Limits of the search in log-parameters, times in spans: wide for any customers, narrow enough to stay finite."""
    return {
        "r": (math.log(1e-3), math.log(1e3)),
        "alpha": (math.log(0.1 / span), math.log(1e4)),
        "a": (math.log(1e-5), math.log(1e4)),
        "b": (math.log(1e-3), math.log(1e5)),
    }


def _starts(rows: PurchaseRows) -> list[Floats]:
    """(ln r, ln alpha, ln a, ln b) from the moments of the purchase rates, with three ideas of dropping out."""
    x, age, weights = rows.x, rows.age, rows.weights
    mean = float(weights @ x) / float(weights @ age)
    square = float(weights @ (x * (x - 1.0))) / float(weights @ age**2)
    r = float(np.clip(mean**2 / max(square - mean**2, 1e-9), 0.05, 20.0))
    rate = [math.log(r), math.log(r / mean)]
    return [np.array([*rate, math.log(a), math.log(b)]) for a, b in ((0.8, 2.5), (0.1, 2.0), (5.0, 50.0))]


def _minimize(objective: Objective, start: Floats, bounds: Bounds) -> _Optimum:
    low, high = np.array(list(bounds.values())).T
    result = minimize(
        objective, np.clip(start, low, high), jac=True, method="L-BFGS-B", bounds=list(zip(low, high, strict=True)),
        options={"maxiter": 500, "maxfun": 1000, "maxls": 50, "ftol": 1e-15, "gtol": 1e-8},
    )  # fmt: skip
    point = np.asarray(result.x, dtype=np.float64)
    gradient = np.asarray(result.jac, dtype=np.float64)
    at_low, at_high = point <= low + 1e-6, point >= high - 1e-6
    free = np.where(at_low, np.minimum(gradient, 0.0), np.where(at_high, np.maximum(gradient, 0.0), gradient))
    names = [f"{name} at its lowest" for name, hit in zip(bounds, at_low, strict=True) if hit]
    names += [f"{name} at its highest" for name, hit in zip(bounds, at_high, strict=True) if hit]
    return _Optimum(point, float(result.fun), float(np.abs(free).max()), tuple(names))


def _purchases(
    rows: PurchaseRows, method: Method, penalizer: float, span: float, optimum: _Optimum, tried: tuple[str, ...]
) -> dict[str, Any]:
    """Finish on the likelihood of lifetimes, and turn the point into parameters in days."""
    bounds = _bounds(span)
    if method == "nbd":
        # BG/NBD at ln a = -60 is its limit to the last digit: nobody drops out.
        optimum = replace(optimum, point=np.append(optimum.point, _NO_DROPOUT_POINT))
        bounds |= {"a": (_NO_DROPOUT_POINT[0],) * 2, "b": (_NO_DROPOUT_POINT[1],) * 2}
    fitter = "ModifiedBetaGeoFitter" if method == "mbg_nbd" else "BetaGeoFitter"
    columns = (rows.x, rows.t_x, rows.age, rows.weights)
    final, log_likelihood = _finish(fitter, columns, penalizer, optimum, bounds)
    r, alpha, a, b = (float(parameter) for parameter in np.exp(final.point))
    a = 0.0 if method == "nbd" else a
    record = FitRecord(
        converged=final.converged,
        # A density per span and repeat purchase becomes one per day.
        log_likelihood=log_likelihood - math.log(span) * float(rows.weights @ rows.x),
        gradient_norm=final.gradient_norm,
        penalizer=penalizer,
        customers=int(rows.customers),
        rows=len(rows.x),
        at_bound=tuple(hit for hit in final.at_bound if method != "nbd" or not hit.startswith(("a ", "b "))),
        tried=tried,
    )
    return {"method": method, "r": r, "alpha": alpha * span, "a": a, "b": b, "purchases_fit": record}


def _pooled_purchases(x: Floats, age: Floats, tried: tuple[str, ...]) -> dict[str, Any]:
    """Gamma(1, alpha) for everybody: mean rate (purchases + 1/2) / (days observed + half a year)."""
    alpha = (float(age.sum()) + HALF_A_YEAR) / (float(x.sum()) + 0.5)
    record = _unfitted(len(x), tried)
    return {"method": "pooled", "r": 1.0, "alpha": alpha, "a": 0.0, "b": 1.0, "purchases_fit": record}


def _fit_order_values(x: Floats, money: Floats, first: Floats) -> dict[str, Any]:
    """``value_method``, p, q, v and ``value_fit``; ``first`` is the mean order value of one-time buyers too."""
    repeats = (x > 0) & (money > 0)
    if repeats.sum() < MIN_REPEATERS:
        return _pooled_values(
            np.where(x > 0, money, first), (f"fewer than {MIN_REPEATERS} customers with paid repeat purchases",)
        )
    # Free repeats are no data for Gamma-Gamma, whose values are above 0, but they do lower the mean.
    expected = float(x @ money) / float(x.sum())
    unit = float(money[repeats].mean())
    (counts, values), weights = collapse(x[repeats], money[repeats] / unit)
    rows = GammaGammaRows(counts, values, weights)
    mean = expected / unit
    found = [_minimize(rows.gamma_gamma, np.log(start), _VALUE_BOUNDS) for start in _VALUE_STARTS]
    plain = min(found, key=lambda optimum: optimum.loss)
    p, q, v = np.exp(plain.point)
    reason = plain.why_left or _implausible(p, q, v, mean)
    if not reason:
        return _values(rows, "gamma_gamma", plain, _VALUE_BOUNDS, unit, ())
    anchored = _minimize(lambda point: rows.anchored(point, mean), np.log([4.0, 3.0]), _ANCHORED_BOUNDS)
    p, excess = np.exp(anchored.point)
    held = replace(anchored, point=np.log([p, 1.0 + excess, mean * excess / p]))
    return _values(rows, "anchored", held, {}, unit, (f"gamma_gamma: {reason}",))


def _implausible(p: float, q: float, v: float, mean: float) -> str:
    """Why a population mean cannot be used; empty if it can."""
    if q <= 1.0:
        return f"the population mean does not exist (q = {q:.3g})"
    ratio = p * v / (q - 1.0) / mean
    return "" if 1.0 / MEAN_RATIO < ratio < MEAN_RATIO else f"the population mean is {ratio:.3g} times the observed one"


def _values(
    rows: GammaGammaRows, method: ValueMethod, optimum: _Optimum, bounds: Bounds, unit: float, tried: tuple[str, ...]
) -> dict[str, Any]:
    columns = (rows.x, rows.m, rows.weights)
    final, log_likelihood = _finish("GammaGammaFitter", columns, 0.0, optimum, bounds)
    p, q, v = (float(parameter) for parameter in np.exp(final.point))
    customers = float(rows.weights.sum())
    record = FitRecord(
        converged=final.converged,
        # A density of the mean value in units becomes one in currency.
        log_likelihood=log_likelihood - math.log(unit) * customers,
        gradient_norm=final.gradient_norm,
        penalizer=0.0,
        customers=int(customers),
        rows=len(rows.x),
        at_bound=final.at_bound,
        tried=tried,
    )
    return {"value_method": method, "p": p, "q": q, "v": v * unit, "value_fit": record}


def _pooled_values(known: Floats, tried: tuple[str, ...]) -> dict[str, Any]:
    """Population mean = mean of the known values, weighing as much as two purchases; 1 if nothing is known."""
    mean = max(float(known.mean()), LEAST_VALUE) if len(known) else 1.0
    record = _unfitted(len(known), tried)
    return {"value_method": "pooled", "p": 1.0, "q": 3.0, "v": 2.0 * mean, "value_fit": record}


def _unfitted(customers: int, tried: tuple[str, ...]) -> FitRecord:
    return FitRecord(
        converged=False, log_likelihood=0.0, gradient_norm=0.0, penalizer=0.0, customers=customers, rows=0, tried=tried
    )


def _finish(
    fitter: str, columns: tuple[Floats, ...], penalizer: float, start: _Optimum, bounds: Bounds
) -> tuple[_Optimum, float]:
    """Go on from ``start`` on the likelihood of lifetimes; also its log-likelihood there, without the penalty.

    Without ``bounds`` the point stays as it is.
    """
    with _quiet():
        import lifetimes
        from autograd import value_and_grad

        loss = getattr(lifetimes, fitter)._negative_log_likelihood  # noqa: SLF001 - lifetimes offers no other way to it
        slope = value_and_grad(loss)
        final = _minimize(lambda point: slope(point, *columns, penalizer), start.point, bounds) if bounds else start
        return final, -float(loss(final.point, *columns, 0.0)) * float(columns[-1].sum())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence lifetimes: it warns when imported, changes the warning filters when evaluated, and prints."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield
