"""Any log, the whole way: a model with finite predictions for everybody, or a HistoryError that says why and what to do."""

from __future__ import annotations

from datetime import datetime, timedelta

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import HistoryError
from configs.settings import parse_settings
from features.customers import feature_frame
from features.netting import net_orders
from models.fitting import TrainingSet, fit
from models.value_model import ValueModel
from training.panel import plan_cutoffs, snapshot, training_set

SETTINGS = parse_settings(
    {
        "source": {"path": "orders.csv"},
        "columns": {"customer_id": "customer", "ordered_at": "day", "amount": "amount"},
        "currency": "EUR",
        "training": {"boosting_rounds": 10, "min_history_days": 30, "max_cutoffs": 5, "threads": 1},
    },
    where="test",
)
GIANT = 168_469.6
"""80,995 paper birds at 2.08: order 581483 of Online Retail II."""
Log = tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]


def orders(log: Log) -> nw.LazyFrame[pl.LazyFrame]:
    customers, days, amounts = (np.asarray(column) for column in log)
    start = datetime(1970, 1, 1)
    rows = pl.DataFrame(
        {
            "customer_id": [f"c{one}" for one in customers],
            "order_id": [f"o{number}" for number in range(len(days))],
            "ordered_at": pl.Series([start + timedelta(days=int(day)) for day in days], dtype=pl.Datetime("us")),
            "order_day": pl.Series(days, dtype=pl.Int64),
            "amount": amounts.astype(np.float64),
            "items": np.ones(len(days)),
        }
    )
    return net_orders(nw.from_native(rows.lazy()))


def known(log: Log, horizon: int) -> TrainingSet:
    """Everything to learn from on the last day of the log."""
    days = np.asarray(log[1])
    plan = plan_cutoffs(int(days.min()), int(days.max()), horizon, SETTINGS.training)
    table = orders(log)
    snapshots = [snapshot(table, cutoff, horizon) for cutoff in plan.final]
    return training_set(snapshots, feature_frame(table, plan.as_of), plan.as_of, horizon)


def assert_cure(message: str) -> None:
    assert any(cure in message for cure in ("longer history", "horizon_days")), f"no cure is named: {message}"


def assert_answer(log: Log, horizon: int) -> ValueModel | None:
    try:
        training = known(log, horizon)
        model = fit(training, SETTINGS)
    except HistoryError as error:
        assert_cure(str(error))
        return None
    predicted = model.predict(training.current, as_of=training.as_of)
    assert len(predicted) == len(training.current)
    numbers = predicted.drop(columns="next_order_day", errors="ignore").select_dtypes("number")
    assert np.isfinite(numbers.to_numpy(np.float64)).all(), list(numbers.columns[~np.isfinite(numbers.to_numpy()).all(axis=0)])
    assert (predicted["predicted_value"] >= 0.0).all()
    assert predicted["churn_risk"].between(0.0, 1.0).all()
    assert predicted["tier"].isin(model.tiers.names).all()
    return model


def once(customers: int, days: int) -> Log:
    return range(customers), np.random.default_rng(1).integers(0, days, customers), np.full(customers, 20.0)


def daily(customers: int, days: int, step: int = 1) -> Log:
    times = range(0, days, step)
    return np.repeat(range(customers), len(times)), list(times) * customers, np.full(customers * len(times), 3.0)


def some(amounts: npt.ArrayLike, seed: int = 2, customers: int = 150, days: int = 200) -> Log:
    random = np.random.default_rng(seed)
    count = len(np.asarray(amounts))
    return random.integers(0, customers, count), random.integers(0, days, count), amounts


def joined(*logs: Log) -> Log:
    """Several logs as one, each with customers of its own."""
    parts, first = [], 0
    for customers, days, amounts in logs:
        ids = np.asarray(customers) + first
        first = int(ids.max()) + 1
        parts.append((ids, np.asarray(days), np.asarray(amounts, np.float64)))
    return tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))  # type: ignore[return-value]


RANDOM = np.random.default_rng(3)
LOGS: dict[str, Log] = {
    "all one-time": once(200, 200),
    "one day of history": once(200, 1),
    "one customer, one order": ([0], [0], [5.0]),
    "one customer, daily": daily(1, 200),
    "two customers": ([0, 0, 1], [0, 10, 5], [1.0, 2.0, 3.0]),
    "two customers, daily": daily(2, 200),
    "everybody daily": daily(60, 150),
    "everybody weekly": daily(60, 200, step=7),
    "everybody once a year": daily(60, 2000, step=364),
    "decades": (RANDOM.integers(0, 200, 1500), RANDOM.integers(0, 365 * 60, 1500), RANDOM.lognormal(3, 1, 1500)),
    "one whale": joined(once(400, 300), daily(1, 300)),
    "gone for years, then back": joined(daily(8, 3000, step=3), (range(40), range(4100, 4140), np.full(40, 3.0))),
    "all gone but one": joined(daily(40, 60, step=9), ([0], [4000], [3.0])),
    "all free": some(np.zeros(900)),
    "mostly free": some(5.0 * (RANDOM.random(900) < 0.05)),
    "equal amounts": some(np.full(900, 7.0)),
    "giant amounts": some(RANDOM.lognormal(20, 2, 900)),
    "amounts at the limit": some(np.full(900, 1e12)),
    "smallest amounts": some(np.full(900, 0.0001)),
    "nothing or a fortune": some(np.where(RANDOM.random(900) < 0.5, 0.0001, 1e11)),
    "amounts without a mean": some(np.minimum(RANDOM.pareto(0.3, 900) + 0.01, 1e12)),
    "most of it refunded": some(np.where(RANDOM.random(900) < 0.45, -40.0, 50.0)),
    "refunds only, but for one": joined(([0], [0], [10.0]), some(np.full(300, -5.0))),
}


@pytest.mark.parametrize("horizon", [1, 30, 120])
@pytest.mark.parametrize("name", list(LOGS))
def test_every_log_gives_a_model_or_the_reason(name: str, horizon: int) -> None:
    assert_answer(LOGS[name], horizon)


@pytest.mark.parametrize("name", ["decades", "equal amounts", "giant amounts", "nothing or a fortune", "amounts without a mean"])
def test_awkward_amounts_are_no_reason_to_give_up(name: str) -> None:
    assert assert_answer(LOGS[name], 30) is not None


rows = st.tuples(st.integers(0, 25), st.integers(0, 150), st.sampled_from([-20.0, 0.0, 0.0001, 5.0, 20.0, 20.0, 1e9]))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(rows, min_size=1, max_size=150), st.sampled_from([7, 30]))
def test_any_log_gives_a_model_or_the_reason(drawn: list[tuple[int, int, float]], horizon: int) -> None:
    assert_answer(tuple(zip(*drawn, strict=True)), horizon)  # type: ignore[arg-type]


def shop() -> tuple[Log, pd.Series]:
    """Six hundred customers of known rates and known usual order values over two years."""
    random = np.random.default_rng(4)
    customers, span = 600, 730
    rate, usual = random.gamma(0.8, 1 / 80, customers), random.lognormal(3.5, 0.8, customers)
    ids = np.repeat(np.arange(customers), 1 + random.poisson(rate * span))
    return (ids, random.integers(0, span, len(ids)), usual[ids] * random.lognormal(0, 0.3, len(ids))), pd.Series(usual)


HARD = {
    "one giant order, of yesterday": [(729, GIANT)],
    "one giant order, of last winter": [(600, GIANT)],
    "a giant order after a small one": [(500, 30.0), (700, GIANT)],
    "a giant order before a small one": [(500, GIANT), (700, 30.0)],
}


@pytest.mark.parametrize("name", HARD)
def test_one_giant_order_alone_makes_no_platinum_customer(name: str) -> None:
    log, _ = shop()
    days, amounts = zip(*HARD[name], strict=True)
    training = known(joined(log, (np.zeros(len(days), dtype=int), days, amounts)), 90)
    model = fit(training, SETTINGS)
    predicted = model.predict(training.current, as_of=training.as_of)
    assert predicted.loc[f"c{int(np.asarray(log[0]).max()) + 1}", "tier"] != "Platinum"


def test_a_giant_order_cancelled_on_its_day_changes_nothing() -> None:
    """As 541431 and 581483 of Online Retail II were."""
    log, _ = shop()
    customer = int(np.asarray(log[0]).max())
    cancelled = tuple(
        np.append(column, extra) for column, extra in zip(log, ([customer] * 2, [650] * 2, [GIANT, -GIANT]), strict=True)
    )
    plain, undone = known(log, 90), known(cancelled, 90)
    pd.testing.assert_frame_equal(undone.current, plain.current, check_exact=True)
    pd.testing.assert_frame_equal(undone.features, plain.features, check_exact=True)
