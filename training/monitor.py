"""Past scoring runs beside what happened since: per tier, per decile of predicted value, and as a whole.

A run's horizon ``[as_of, as_of + horizon_days)`` is complete when the log is observed to its end. Until then only what can be
compared is compared, over the days that have passed: value, orders and buyers against what was predicted *for these days*. A
customer who has bought is known not to have churned; one who has not is undecided, and never counted as churned.

What was predicted for the days that have passed is the stored prediction times a share of each customer, the time shape: what
the very model that scored the run predicts for these days, over what it predicts for the whole horizon. The stored
prediction stays what is judged, even where a correction of the log would have changed it. Where that model is gone, value
and orders are spread evenly and buyers at a constant rate; such figures are shown, and no verdict rests on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from features.customers import feature_frame
from models.accuracy import DECILES
from models.intervals import coverage
from models.reference import SCORES, WATCHED_FEATURES, Reference
from models.value_model import ValueModel
from training.drift import Drift, drift
from training.labels import horizon_labels
from training.resampling import Interval, drawn_from, interval, weights
from training.told import Told
from training.weighted_metrics import along, inner, normalized

Floats = npt.NDArray[np.float64]
Progress = Callable[[str], None]

FEWEST_BUYERS = 30
"""Figures that rest on fewer buyers are not judged."""
DRAWS = 200
SEED = 20260101
FIGURES = ("level", "buyers_gap", "ranking", "over_past_spend")
NEEDED_COLUMNS = ("predicted_value", "churn_risk", "tier", "total_spend")
NONE_REACHED = Told("every run was made for a day after the end of this log", "所有批次的基准日都晚于这份交易数据的结束日")
OPTIONAL_COLUMNS = ("expected_orders", "value_low", "value_high")


@dataclass(frozen=True)
class PastRun:
    """A scoring run as it was stored.

    ``as_of``: integer day, the first not observed; ``tier_names`` best first. ``scores``: index customer_id, columns
    ``NEEDED_COLUMNS``, and of ``OPTIONAL_COLUMNS`` those that every customer has.
    """

    run_id: int
    as_of: int
    horizon_days: int
    currency: str
    model_version: str
    tier_names: tuple[str, ...]
    scores: pd.DataFrame


@dataclass(frozen=True)
class UsedModel:
    """The model that scored a run, and what its customers looked like; None where it was trained by an older version."""

    model: ValueModel
    reference: Reference | None


@dataclass(frozen=True)
class GroupOutcome:
    """What was predicted of a group of customers for the observed days, and what happened in them.

    ``predicted_value`` and ``realised_value`` are sums in currency; ``predicted_orders`` is None in runs that did not store it;
    ``expected_buyers`` and ``buyers`` count who buys at all; ``undecided``: have not bought, and still may. ``churn_risk``: mean
    over the whole horizon; ``churned``: share, None while anybody is undecided.
    """

    name: str
    customers: int
    predicted_value: float
    realised_value: float
    predicted_orders: float | None
    orders: int
    expected_buyers: float
    buyers: int
    undecided: int
    churn_risk: float
    churned: float | None

    @property
    def ratio(self) -> float | None:
        """Realised / predicted value; None where nothing was predicted."""
        return self.realised_value / self.predicted_value if self.predicted_value > 0.0 else None


@dataclass(frozen=True)
class Comparison:
    """One past run beside what happened in its first ``observed_days`` days.

    ``unknown``: customers of the run without a purchase before ``as_of`` in this log, left out of everything else.
    ``figures`` by name, with 90 % intervals: ``level``, realised / predicted value; ``buyers_gap``, the share of customers who
    bought less the share expected to; ``ranking``, the normalized Gini of the predicted value; ``over_past_spend``, how much that
    is above ranking by past spend. Without ``FEWEST_BUYERS`` buyers there are none.
    ``coverage``: share of the 80 % intervals that held, once the horizon is complete.
    ``exact_shape``: whether the model that scored the run said what to expect of the observed days. ``hindsight``: whether the
    run was made for a day before the end of what its model had learned from, so that it says nothing of how good the model is.
    """

    run_id: int
    as_of: int
    horizon_days: int
    observed_days: int
    currency: str
    model_version: str
    unknown: int
    total: GroupOutcome
    tiers: tuple[GroupOutcome, ...]
    deciles: tuple[GroupOutcome, ...]
    figures: Mapping[str, Interval]
    coverage: float | None
    exact_shape: bool
    hindsight: bool

    @property
    def complete(self) -> bool:
        """Whether the whole horizon is observed."""
        return self.observed_days == self.horizon_days

    @property
    def unknown_share(self) -> float:
        """Unknown customers as a share of the run's."""
        return self.unknown / max(self.unknown + self.total.customers, 1)


@dataclass(frozen=True)
class Monitoring:
    """All past runs, newest first, and the drift of the newest that this log reaches against its model's reference.

    ``observed_until``: integer day, the first not observed. ``drift`` is None where ``no_drift_because`` says why.
    """

    observed_until: int
    comparisons: tuple[Comparison, ...]
    drift: tuple[Drift, ...] | None
    no_drift_because: Told | None

    @property
    def newest(self) -> Comparison:
        """The newest run that the log reaches, or the newest where it reaches none. Raises IndexError: there is no run."""
        reached = [one for one in self.comparisons if one.as_of <= self.observed_until]
        return (reached or list(self.comparisons))[0]


def monitor(
    runs: Iterable[PastRun],
    orders: nw.LazyFrame[Any],
    observed_until: int,
    used_model: Callable[[str], UsedModel | None],
    *,
    threads: int,
    progress: Progress = lambda _: None,
) -> Monitoring:
    """Compare past runs, newest first, with canonical ``orders`` before day ``observed_until``; only one is in memory at a time.

    ``used_model(version)`` gives the model of a version, or None where it is gone. Calls ``progress`` once for each run.
    """
    known_model = cache(used_model)
    comparisons: list[Comparison] = []
    found: tuple[tuple[Drift, ...] | None, Told | None] = (None, NONE_REACHED)
    looked = False
    for run in runs:
        progress(f"Run {run.run_id}")
        used = known_model(run.model_version)
        features = feature_frame(orders, run.as_of)
        if not looked and run.as_of <= observed_until:
            looked, found = True, _drift_of(run, features, used)
        comparisons.append(compare(run, orders, features, observed_until, used, threads=threads))
    return Monitoring(observed_until, tuple(comparisons), *found)


def first_day_not_observed(last_order_day: int, today: int, as_of: int | None = None) -> int:
    """Where the observation of a log ends: the day after its last order, earlier where ``as_of`` says so, never after ``today``.

    Days after the last order may not have been delivered yet, and today is not over: no silence of theirs counts as churn.

    >>> first_day_not_observed(100, today=100), first_day_not_observed(100, today=150), first_day_not_observed(100, 150, as_of=90)
    (100, 101, 90)
    """
    return min(last_order_day + 1, today, last_order_day + 1 if as_of is None else as_of)


def compare(
    run: PastRun,
    orders: nw.LazyFrame[Any],
    features: pd.DataFrame,
    observed_until: int,
    used: UsedModel | None,
    *,
    threads: int,
) -> Comparison:
    """Compare one run with what happened before ``observed_until``; ``features`` are those of the whole log at ``run.as_of``."""
    scores = run.scores[run.scores.index.isin(features.index)]
    days = int(np.clip(observed_until - run.as_of, 0, run.horizon_days))
    shape = time_shape(features.loc[scores.index], run, days, used, threads=threads)
    customers = _side_by_side(scores, shape, what_happened(orders, scores.index, run.as_of, days), run.horizon_days - days)
    return Comparison(
        run_id=run.run_id, as_of=run.as_of, horizon_days=run.horizon_days, observed_days=days,
        currency=run.currency, model_version=run.model_version,
        unknown=len(run.scores) - len(scores),
        total=_group("All", customers), tiers=_by_tier(customers, run.tier_names), deciles=_by_decile(customers),
        figures=_intervals(customers),
        coverage=_coverage(customers) if days == run.horizon_days else None,
        exact_shape=used is not None or days == run.horizon_days,
        hindsight=used is not None and used.reference is not None and run.as_of < used.reference.as_of,
    )  # fmt: skip


def what_happened(orders: nw.LazyFrame[Any], customers: pd.Index[str], cutoff: int, days: int) -> pd.DataFrame:
    """``orders`` and ``value`` (net, at least 0, as training counts it) of each customer in ``[cutoff, cutoff + days)``."""
    labels = horizon_labels(orders, cutoff, days).collect(backend="pyarrow").to_native().to_pandas()
    labels = labels.set_index("customer_id").reindex(customers)
    number = labels["purchases"].fillna(0).to_numpy(np.int64)
    return pd.DataFrame({"orders": number, "value": labels["revenue"].fillna(0.0).clip(lower=0.0)}, index=customers)


def time_shape(features: pd.DataFrame, run: PastRun, days: int, used: UsedModel | None, *, threads: int) -> pd.DataFrame:
    """Which share of each customer's ``value``, ``orders`` and probability to be a ``buyer`` belongs to the first ``days``."""
    part = days / run.horizon_days
    if days in {0, run.horizon_days}:
        return pd.DataFrame(part, index=features.index, columns=["value", "orders", "buyer"])
    if used is None:
        stays = run.scores.loc[features.index, "churn_risk"].to_numpy(np.float64)
        buyer = _share(1.0 - stays**part, 1.0 - stays, part)
        return pd.DataFrame({"value": part, "orders": part, "buyer": buyer}, index=features.index)
    begun, whole = (
        used.model.predict(features, as_of=run.as_of, threads=threads, horizon_days=horizon)
        for horizon in (days, run.horizon_days)
    )
    columns = {"value": "predicted_value", "orders": "expected_orders", "buyer": "purchase_probability"}
    return pd.DataFrame(
        {
            share: _share(begun[name].to_numpy(np.float64), whole[name].to_numpy(np.float64), part)
            for share, name in columns.items()
        },
        index=features.index,
    )


def _share(part: Floats, whole: Floats, otherwise: float) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full(len(whole), otherwise), where=whole > 0.0))


def _drift_of(run: PastRun, features: pd.DataFrame, used: UsedModel | None) -> tuple[tuple[Drift, ...] | None, Told | None]:
    if used is None:
        return None, Told(
            f"model version {run.model_version}, which scored run {run.run_id}, is no longer in the registry",
            f"为批次 {run.run_id} 评分的模型版本 {run.model_version} 已不在登记库中",
        )
    if used.reference is None:
        return None, Told(
            f"model version {run.model_version} was trained before references were kept: it will work after the next training",
            f"模型版本 {run.model_version} 训练时尚未保存参照分布，下次训练之后即可比较",
        )
    known = run.scores.index.intersection(features.index)
    if known.empty:
        return None, Told(f"no customer of run {run.run_id} is in this log", f"批次 {run.run_id} 的客户都不在这份交易数据里")
    watched = features.loc[known, list(WATCHED_FEATURES)]
    # Predictions of another horizon than the trained one have no reference.
    scores = list(SCORES) if run.horizon_days == used.model.horizon_days else []
    return drift(used.reference, pd.concat([watched, run.scores.loc[known, scores]], axis=1), run.as_of), None


def _side_by_side(scores: pd.DataFrame, shape: pd.DataFrame, happened: pd.DataFrame, days_left: int) -> pd.DataFrame:
    """One row per customer: the stored columns, what was expected of the observed days, and what happened."""
    bought = happened["orders"] > 0
    expected: dict[str, Any] = {
        "expected_value": scores["predicted_value"] * shape["value"],
        "expected_buyer": (1.0 - scores["churn_risk"]) * shape["buyer"],
        "value": happened["value"],
        "orders": happened["orders"],
        "bought": bought,
        "undecided": ~bought if days_left > 0 else False,
    }
    if "expected_orders" in scores:
        expected["orders_so_far"] = scores["expected_orders"] * shape["orders"]
    return scores.assign(**expected)


def _by_tier(customers: pd.DataFrame, names: Sequence[str]) -> tuple[GroupOutcome, ...]:
    return tuple(_group(name, customers[customers["tier"] == name]) for name in names)


def _by_decile(customers: pd.DataFrame) -> tuple[GroupOutcome, ...]:
    """Ten groups of like size, the highest predicted values first; fewer customers make fewer groups."""
    order = np.argsort(-customers["predicted_value"].to_numpy(np.float64), kind="stable")
    groups = np.array_split(order, min(DECILES, max(len(customers), 1)))
    return tuple(_group(str(place), customers.iloc[rows]) for place, rows in enumerate(groups, start=1))


def _group(name: str, customers: pd.DataFrame) -> GroupOutcome:
    size, undecided = len(customers), int(customers["undecided"].sum())
    buyers = int(customers["bought"].sum())
    return GroupOutcome(
        name=name, customers=size,
        predicted_value=float(customers["expected_value"].sum()), realised_value=float(customers["value"].sum()),
        predicted_orders=float(customers["orders_so_far"].sum()) if "orders_so_far" in customers else None,
        orders=int(customers["orders"].sum()),
        expected_buyers=float(customers["expected_buyer"].sum()), buyers=buyers, undecided=undecided,
        churn_risk=float(customers["churn_risk"].mean()) if size else 0.0,
        churned=None if undecided or not size else (size - buyers) / size,
    )  # fmt: skip


def _intervals(customers: pd.DataFrame) -> Mapping[str, Interval]:
    """The figures of a comparison as a whole, with their bootstrap intervals; none where too few bought."""
    if int(customers["bought"].sum()) < FEWEST_BUYERS:
        return {}
    chosen = customers[drawn_from(len(customers), SEED)]
    exact = _figures(customers)(np.ones(len(customers)))
    of_chosen = _figures(chosen)
    draws = np.array([of_chosen(weight) for weight in weights(len(chosen), SEED, DRAWS)])
    around = draws - of_chosen(np.ones(len(chosen))) + exact
    found = {name: interval(float(exact[at]), around[:, at]) for at, name in enumerate(FIGURES)}
    return {name: one for name, one in found.items() if np.isfinite([one.estimate, one.low, one.high]).all()}


def _figures(customers: pd.DataFrame) -> Callable[[Floats], Floats]:
    """A function of the customers' weights that gives ``FIGURES``; NaN where one is undefined."""
    value, bought, expected, buyers = _columns(customers, "value", "bought", "expected_value", "expected_buyer")
    rankings = [along(score, value) for score in _columns(customers, "predicted_value", "total_spend", "value")]

    def figures(weight: Floats) -> Floats:
        predicted, spend, perfect = (ranking(weight).gini() for ranking in rankings)
        total = inner(weight, expected)
        return np.array([
            inner(weight, value) / total if total > 0.0 else float("nan"),
            inner(weight, bought - buyers) / len(weight),
            normalized(predicted, perfect),
            normalized(predicted - spend, perfect),
        ])  # fmt: skip

    return figures


def _coverage(customers: pd.DataFrame) -> float | None:
    """Mean coverage of the 80 % intervals; None where they were not stored, or there are no customers."""
    if not {"value_low", "value_high"} <= set(customers.columns) or customers.empty:
        return None
    return float(np.mean(coverage(*_columns(customers, "value", "value_low", "value_high", "churn_risk"))))


def _columns(customers: pd.DataFrame, *names: str) -> Iterator[Floats]:
    return (customers[name].to_numpy(np.float64) for name in names)
