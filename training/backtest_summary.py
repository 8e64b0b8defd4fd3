"""Many origins as one: means over the origins, and how sure they are, by a bootstrap over customers.

A customer who is known at several origins is drawn at all of them together, for what they do at one says much of what they do at
the next: origins are no independent repetitions. A draw is a weight for every customer (``training.resampling``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.backtest import CHURN_METRICS, VALUE_METRICS, Backtest, CandidateSummary, Estimate
from training.candidates import NAIVE, PERFECT, SERVED, SILENCE, Judged
from training.evaluation_rows import ChurnAccuracy, Coverage, Evaluation, Slice, TierOutcome, ValueAccuracy
from training.grade import Grade, Window, grade
from training.resampling import Pool, bounds
from training.slices import merged
from training.told import Told
from training.weighted_metrics import ChurnMetrics, Metrics, ValueMetrics

Floats = npt.NDArray[np.float64]
Figures = dict[tuple[str, str], float]
"""A metric of a candidate, by (candidate, metric)."""

RESAMPLES = 200
OF_DISTANCES = frozenset({"absolute_bias", "decile_error", "calibration_error"})
"""Metrics that any noise makes larger, that of the drawing too: their draws are moved back to the estimate."""


def summarised(
    evaluations: Sequence[Evaluation],
    judged: Sequence[Judged],
    *,
    currency: str,
    history: tuple[int, int],
    seed: int,
    skipped: tuple[tuple[int, Told], ...] = (),
    resamples: int = RESAMPLES,
) -> Backtest:
    """Sum up origins (at least one, earliest first); ``history`` is its first day and the first day not observed.

    ``judged`` are what ``evaluations`` were made of, in the same order.
    """
    value_draws, churn_draws = _draws(judged, seed, resamples)
    value = _summaries([_of_value(row) for row in _rows(evaluations, "value")], value_draws, VALUE_METRICS)
    churn = _summaries([_of_churn(row) for row in _rows(evaluations, "churn")], churn_draws, CHURN_METRICS)
    return Backtest(
        horizon_days=evaluations[0].horizon_days, currency=currency, first_day=history[0], as_of=history[1],
        origins=tuple(evaluations), value=value, churn=churn,
        tiers=_tiers([one.tiers for one in evaluations], evaluations),
        past_tiers=_tiers([one.past_tiers for one in evaluations], evaluations),
        slices=_slices(evaluations), coverage=_coverage(evaluations), curves=_curves(evaluations),
        resamples=resamples, grade=graded(judged, seed=seed), skipped=skipped,
    )  # fmt: skip


def graded(judged: Sequence[Judged], *, seed: int) -> Grade:
    """The grade of the served model over one or several origins of one horizon."""
    return grade([_window(one) for one in judged], judged[0].horizon_days, seed=seed)


def _window(judged: Judged) -> Window:
    scores = {**judged.amounts, **judged.rankings}
    return Window(
        customers=judged.holdout.features.index, value=judged.holdout.value, active=judged.holdout.active,
        predicted_value=judged.amounts[SERVED], churn_risk=judged.risks[SERVED],
        value_rules={name: scores[name] for name in NAIVE},
        churn_rules={SILENCE: judged.silences[SILENCE]},
    )  # fmt: skip


def _rows(evaluations: Sequence[Evaluation], part: str) -> Iterator[list[Any]]:
    """The rows of each candidate, one for each origin."""
    for rows in zip(*(getattr(one, part) for one in evaluations), strict=True):
        yield list(rows)


def _of_value(rows: Sequence[ValueAccuracy]) -> tuple[str, Mapping[str, float]]:
    """A candidate and the means of its metrics over the origins; those that are missing anywhere are left out."""
    columns: dict[str, list[float | None]] = {
        name: [getattr(row, name) for row in rows] for name in VALUE_METRICS if name != "absolute_bias"
    }
    columns["absolute_bias"] = [None if row.total_bias is None else abs(row.total_bias - 1.0) for row in rows]
    return rows[0].candidate, _means(columns)


def _of_churn(rows: Sequence[ChurnAccuracy]) -> tuple[str, Mapping[str, float]]:
    return rows[0].candidate, _means({name: [getattr(row, name) for row in rows] for name in CHURN_METRICS})


def _means(columns: Mapping[str, Sequence[float | None]]) -> dict[str, float]:
    known = {name: np.array(column, dtype=np.float64) for name, column in columns.items()}
    return {name: float(column.mean()) for name, column in known.items() if np.isfinite(column).all()}


def _summaries(
    means: Sequence[tuple[str, Mapping[str, float]]], draws: Sequence[Figures], names: Sequence[str]
) -> tuple[CandidateSummary, ...]:
    of_served = dict(means)[SERVED]

    def drawn(candidate: str, metric: str, middle: float) -> Floats:
        column = np.array([draw.get((candidate, metric), np.nan) for draw in draws])
        return column - np.nanmean(column) + middle if metric in OF_DISTANCES and np.isfinite(column).any() else column

    def summary(candidate: str, found: Mapping[str, float]) -> CandidateSummary:
        metrics, lead = {}, {}
        for metric in (name for name in names if name in found):
            column = drawn(candidate, metric, found[metric])
            metrics[metric] = _estimate(found[metric], column, least=0.0 if metric in OF_DISTANCES else None)
            if metric in of_served:
                served = drawn(SERVED, metric, of_served[metric])
                lead[metric] = _estimate(of_served[metric] - found[metric], served - column)
        return CandidateSummary(candidate, metrics, lead)

    return tuple(summary(candidate, found) for candidate, found in means)


def _estimate(value: float, draws: Floats, *, least: float | None = None) -> Estimate:
    """The percentile interval; where no draw knows the metric it is the estimate alone."""
    low, high = bounds(draws) or (value, value)
    return Estimate(value, low if least is None else max(low, least), high)


def _draws(judged: Sequence[Judged], seed: int, resamples: int) -> tuple[list[Figures], list[Figures]]:
    """Means over the origins of every metric of every candidate, one of each for every draw."""
    pool = Pool.of([one.holdout.features.index for one in judged], seed)
    value = [_value_metrics(one, rows) for one, rows in zip(judged, pool.rows, strict=True)]
    churn = [_churn_metrics(one, rows) for one, rows in zip(judged, pool.rows, strict=True)]
    drawn_value, drawn_churn = [], []
    for by_origin in pool.draws(seed, resamples):
        drawn_value.append(_mean_figures([ask(of) for ask, of in zip(value, by_origin, strict=True)]))
        drawn_churn.append(_mean_figures([ask(of) for ask, of in zip(churn, by_origin, strict=True)]))
    return drawn_value, drawn_churn


def _mean_figures(by_origin: Sequence[Mapping[str, Metrics]]) -> Figures:
    """Means over the origins; what one of them does not know is not known."""
    first = by_origin[0]
    keys = [(name, metric) for name in first for metric in first[name]]
    return {(name, metric): float(np.mean([origin[name].get(metric, np.nan) for origin in by_origin])) for name, metric in keys}


def _value_metrics(judged: Judged, rows: npt.NDArray[np.bool_]) -> Callable[[Floats], dict[str, Metrics]]:
    value = judged.holdout.value[rows]
    best = ValueMetrics.of(value, value, amount=True)
    asked = {name: ValueMetrics.of(value, score[rows], amount=True) for name, score in judged.amounts.items()}
    asked |= {name: ValueMetrics.of(value, score[rows], amount=False) for name, score in judged.rankings.items()}
    asked[PERFECT] = best

    def ask(weight: Floats) -> dict[str, Metrics]:
        perfect = best.perfect(weight)
        return {name: one.metrics(weight, perfect) for name, one in asked.items()}

    return ask


def _churn_metrics(judged: Judged, rows: npt.NDArray[np.bool_]) -> Callable[[Floats], dict[str, Metrics]]:
    churned = judged.churned[rows]
    asked = {
        name: ChurnMetrics.of(churned, order[rows], None if risk is None else risk[rows])
        for name, (order, risk) in judged.churn_scores.items()
    }
    return lambda weight: {name: one.metrics(weight) for name, one in asked.items()}


def _tiers(by_origin: Sequence[Sequence[TierOutcome]], evaluations: Sequence[Evaluation]) -> tuple[TierOutcome, ...]:
    total = float(np.mean([one.realised_value for one in evaluations]))
    return tuple(_tier(rows, total) for rows in zip(*by_origin, strict=True))


def _tier(rows: Sequence[TierOutcome], total: float) -> TierOutcome:
    held = float(np.mean([row.realised_value for row in rows]))
    kept = sum(row.customers * (row.retention or 0.0) for row in rows)
    purchases = sum(row.realised_value / row.order_value for row in rows if row.order_value)
    spent = sum(row.realised_value for row in rows if row.order_value)
    customers = sum(row.customers for row in rows)
    return TierOutcome(
        tier=rows[0].tier, customers=customers / len(rows), realised_value=held, value_share=held / total,
        retention=kept / customers if customers else None, order_value=spent / purchases if purchases > 0.0 else None,
    )  # fmt: skip


def _slices(evaluations: Sequence[Evaluation]) -> tuple[Slice, ...]:
    by_name: dict[str, list[Slice]] = {}
    for one in evaluations:
        for row in one.slices:
            by_name.setdefault(row.name, []).append(row)
    return tuple(merged(rows) for rows in by_name.values())


def _coverage(evaluations: Sequence[Evaluation]) -> tuple[Coverage, ...]:
    return tuple(_covered(rows) for rows in zip(*(one.coverage for one in evaluations), strict=True))


def _covered(rows: Sequence[Coverage]) -> Coverage:
    weight = np.array([row.customers for row in rows])

    def mean(name: str) -> float | None:
        column = np.array([getattr(row, name) or 0.0 for row in rows])
        return float(np.average(column, weights=weight)) if weight.sum() > 0.0 else None

    return Coverage(rows[0].group, float(weight.mean()), mean("shared"), mean("plain"), mean("low"), mean("high"))


def _curves(evaluations: Sequence[Evaluation]) -> dict[str, Floats]:
    """Means of curves of as many points; origins with fewer than ten customers have shorter ones, which are left out."""
    return {
        name: np.mean([one.curves[name] for one in evaluations if len(one.curves[name]) == len(curve)], axis=0)
        for name, curve in evaluations[-1].curves.items()
    }
