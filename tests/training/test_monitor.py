"""Past runs beside what happened: the sums are SQL's, open horizons count nobody as churned, the time shape is the model's."""

from __future__ import annotations

from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from features.customers import feature_frame
from features.netting import net_orders
from models.accuracy import normalized_gini
from training.monitor import Comparison, PastRun, UsedModel, compare, monitor, what_happened

AS_OF, HORIZON = 200, 60
TIERS = ("Gold", "Silver", "Bronze")


def log(seed: int = 1, customers: int = 300) -> nw.LazyFrame[Any]:
    """Orders of days 100 to 300, some refunded, of customers who come more or less often and spend more or less."""
    random = np.random.default_rng(seed)
    rows = []
    for number in range(customers):
        often, much = random.gamma(2.0, 1 / 80), random.lognormal(3.0, 0.7)
        days = [100 + int(random.integers(0, 90)), *np.flatnonzero(random.random(200) < often) + 100]
        rows += [
            (f"c{number}", f"{number}-{place}", int(day), round(float(much * random.lognormal(0.0, 0.3)), 2))
            for place, day in enumerate(sorted(days))
        ]
        rows += [(f"c{number}", f"{number}-r", int(max(days)) + 5, -3.0)] * (number % 7 == 0)
    names = ["customer_id", "order_id", "order_day", "amount"]
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(items=pl.lit(None, pl.Float64))
    moments = frame.with_columns(ordered_at=pl.datetime(1970, 1, 1) + pl.duration(days="order_day"))
    return net_orders(nw.from_native(moments.lazy()))


def scored(orders: nw.LazyFrame[Any], seed: int = 2, level: float = 1.0, **more: Any) -> PastRun:
    """A run whose predictions know something of the customers: their past rate, with noise, at ``level`` times its level."""
    random = np.random.default_rng(seed)
    features = feature_frame(orders, AS_OF)
    rate = features["order_count"] / features["T"].clip(lower=20.0)
    value = level * rate * features["order_value_mean"] * HORIZON * random.lognormal(0.0, 0.3, len(features))
    tier = pd.cut(value.rank(pct=True), [0.0, 0.5, 0.8, 1.0], labels=["Bronze", "Silver", "Gold"]).astype(str)
    scores = pd.DataFrame(
        {
            "predicted_value": value, "churn_risk": np.exp(-rate * HORIZON), "tier": tier,
            "total_spend": features["total_spend"], "expected_orders": rate * HORIZON,
            "value_low": 0.0, "value_high": 1e9,
        },
        index=features.index,
    )  # fmt: skip
    plain = {"run_id": 7, "as_of": AS_OF, "horizon_days": HORIZON, "currency": "EUR", "model_version": "3"}
    return PastRun(**{**plain, "tier_names": TIERS, "scores": scores, **more})  # type: ignore[arg-type]


def compared(run: PastRun, orders: nw.LazyFrame[Any], observed_until: int, used: UsedModel | None = None) -> Comparison:
    return compare(run, orders, feature_frame(orders, run.as_of), observed_until, used, threads=1)


@pytest.fixture(scope="module")
def orders() -> nw.LazyFrame[Any]:
    return log()


@pytest.mark.parametrize("days", [25, HORIZON])
def test_tiers_and_deciles_are_what_sql_adds_up(orders: nw.LazyFrame[Any], days: int) -> None:
    run = scored(orders)
    found = compared(run, orders, AS_OF + days)
    rows = orders.collect(backend="pyarrow").to_native()  # noqa: F841 (read by SQL)
    scores = run.scores.reset_index()  # noqa: F841 (read by SQL)
    sql = f"""
        WITH happened AS (
            SELECT customer_id, sum(amount) AS net, count(*) FILTER (amount >= 0) AS number
            FROM rows WHERE order_day >= {AS_OF} AND order_day < {AS_OF + days} GROUP BY customer_id),
        sided AS (
            SELECT s.*, greatest(coalesce(net, 0), 0) AS value, coalesce(number, 0) AS number,
                   ntile(10) OVER (ORDER BY predicted_value DESC) AS decile
            FROM scores s LEFT JOIN happened USING (customer_id))
        SELECT {{key}}, count(*), sum(value), sum(number)::INT, count(*) FILTER (number > 0), avg(churn_risk),
               sum(predicted_value) FROM sided GROUP BY 1"""
    for key, groups in (("tier", found.tiers), ("decile", found.deciles)):
        expected = {str(row[0]): row[1:] for row in duckdb.sql(sql.format(key=key)).fetchall()}
        assert [one.name for one in groups] == (list(TIERS) if key == "tier" else [str(place) for place in range(1, 11)])
        assert len(expected) == len(groups)
        for one in groups:
            size, value, number, buyers, risk, predicted = expected[one.name]
            assert (one.customers, one.orders, one.buyers) == (size, number, buyers)
            assert one.realised_value == pytest.approx(value, abs=1e-6)
            assert one.churn_risk == pytest.approx(risk)
            assert one.predicted_value == pytest.approx(predicted * days / HORIZON)
            assert one.churned == (pytest.approx((size - buyers) / size) if days == HORIZON else None)
            assert one.undecided == (0 if days == HORIZON else size - buyers)
    assert found.figures["level"].estimate == pytest.approx(found.total.realised_value / found.total.predicted_value)


def test_the_ranking_is_judged_by_the_normalized_gini(orders: nw.LazyFrame[Any]) -> None:
    run = scored(orders)
    found = compared(run, orders, AS_OF + HORIZON).figures
    value = what_happened(orders, run.scores.index, AS_OF, HORIZON)["value"].to_numpy()
    gini, spend = (normalized_gini(value, run.scores[name].to_numpy()) for name in ("predicted_value", "total_spend"))
    assert found["ranking"].estimate == pytest.approx(gini)
    assert found["over_past_spend"].estimate == pytest.approx(gini - spend)
    for one in found.values():
        assert one.low < one.estimate < one.high


@pytest.mark.parametrize("days", range(0, HORIZON, 7))
def test_while_a_horizon_is_open_nobody_has_churned(orders: nw.LazyFrame[Any], days: int) -> None:
    found = compared(scored(orders), orders, AS_OF + days)
    assert not found.complete
    for one in (found.total, *found.tiers, *found.deciles):
        assert one.churned is None or one.buyers == one.customers
        assert one.buyers + one.undecided == one.customers
    assert found.coverage is None


def test_rows_after_the_observed_days_change_nothing(orders: nw.LazyFrame[Any]) -> None:
    run = scored(orders)
    cut = orders.filter(nw.col("order_day") < AS_OF + 25)
    assert compared(run, orders, AS_OF + 25) == compared(run, cut, AS_OF + 25)


def test_without_its_model_value_is_spread_evenly_and_buyers_at_a_constant_rate(orders: nw.LazyFrame[Any]) -> None:
    run = scored(orders)
    found = compared(run, orders, AS_OF + 15)
    assert not found.exact_shape
    assert found.total.predicted_orders == pytest.approx(run.scores["expected_orders"].sum() / 4)
    assert found.total.expected_buyers == pytest.approx((1.0 - run.scores["churn_risk"] ** 0.25).sum())


def test_customers_of_another_log_are_left_out_and_counted(orders: nw.LazyFrame[Any]) -> None:
    run = scored(orders)
    strangers = run.scores.rename(index=lambda name: f"other {name}").iloc[:40]
    found = compared(scored(orders, scores=pd.concat([run.scores, strangers])), orders, AS_OF + HORIZON)
    assert found.unknown == 40
    assert found.total == compared(run, orders, AS_OF + HORIZON).total


def test_a_run_after_the_end_of_the_log_has_not_begun(orders: nw.LazyFrame[Any]) -> None:
    found = compared(scored(orders), orders, AS_OF - 10)
    assert (found.observed_days, found.total.buyers, found.total.realised_value) == (0, 0, 0.0)
    assert found.figures == {}


def test_few_buyers_are_not_judged() -> None:
    few = log(customers=25)
    assert compared(scored(few), few, AS_OF + HORIZON).figures == {}


def test_intervals_hold_the_level_as_often_as_they_say() -> None:
    """Logs of the same world, scored at its true mean level: nine in ten intervals hold the ratio of a very large one."""
    large = log(seed=99, customers=8_000)
    truth = compared(scored(large), large, AS_OF + HORIZON).figures["level"].estimate
    held = 0
    for seed in range(40):
        small = log(seed=seed, customers=200)
        level = compared(scored(small, seed=seed), small, AS_OF + HORIZON).figures["level"]
        held += level.low <= truth <= level.high
    assert held >= 31  # 36 expected; fewer than 31 has a chance below 0.01


def test_runs_are_read_one_by_one_newest_first(orders: nw.LazyFrame[Any]) -> None:
    told: list[str] = []
    runs = (scored(orders, run_id=number, as_of=AS_OF - 10 * back) for back, number in enumerate((9, 8)))
    found = monitor(runs, orders, AS_OF + 55, lambda _: None, threads=1, progress=told.append)
    assert [one.run_id for one in found.comparisons] == [9, 8]
    assert [one.complete for one in found.comparisons] == [False, True]
    assert told == ["Run 9", "Run 8"]
    assert found.drift is None
    assert "no longer in the registry" in str(found.no_drift_because)
