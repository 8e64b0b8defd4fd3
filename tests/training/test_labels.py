"""Labels against SQL and plain Python, with edges half-open."""

from __future__ import annotations

from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.orders import Cleaned
from training.labels import horizon_labels

Order = tuple[str, int, int]
orders_of_few = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(90, 130), st.integers(-2_000_000, 90_000_000)), max_size=30
)


def frame(orders: list[Order]) -> pl.DataFrame:
    """Orders with amounts in whole ten-thousandths, as cleaning gives them."""
    rows = [(customer, day, units / 10_000) for customer, day, units in orders]
    return pl.DataFrame(rows, schema={"customer_id": pl.String, "order_day": pl.Int64, "amount": pl.Float64}, orient="row")


def labels(frame: Any, cutoff: int, horizon: int) -> dict[str, tuple[int, float]]:
    found = horizon_labels(nw.from_native(frame), cutoff, horizon).collect(backend="polars").to_native()
    assert found.columns == ["customer_id", "purchases", "revenue"]
    assert found["customer_id"].is_unique().all()
    return {customer: (purchases, revenue) for customer, purchases, revenue in found.iter_rows()}


@given(orders_of_few, st.integers(95, 110), st.integers(1, 20))
def test_labels_are_exact_sums_over_the_horizon_on_every_engine(orders: list[Order], cutoff: int, horizon: int) -> None:
    expected: dict[str, tuple[int, int]] = {}
    for customer, day, units in orders:
        if cutoff <= day < cutoff + horizon:
            purchases, total = expected.get(customer, (0, 0))
            expected[customer] = (purchases + (units >= 0), total + units)
    exact = {customer: (purchases, total / 10_000) for customer, (purchases, total) in expected.items()}
    rows = frame(orders)
    assert labels(rows.lazy(), cutoff, horizon) == exact
    assert labels(duckdb.from_arrow(rows.to_arrow()), cutoff, horizon) == exact


def test_the_first_day_counts_and_the_last_does_not() -> None:
    orders = [("before", 99, 10_000), ("first", 100, 20_000), ("last", 129, 30_000), ("after", 130, 40_000)]
    assert labels(frame(orders).lazy(), 100, 30) == {"first": (1, 2.0), "last": (1, 3.0)}


def test_refunds_are_no_purchases_and_purchases_for_nothing_are() -> None:
    orders = [("refund", 100, -50_000), ("gift", 100, 0), ("both", 100, 70_000), ("both", 105, -20_000)]
    assert labels(frame(orders).lazy(), 100, 30) == {"refund": (0, -5.0), "gift": (1, 0.0), "both": (1, 5.0)}


@pytest.mark.parametrize("cutoff", [9_900, 10_000, 10_318, 10_400, 10_500])
def test_labels_of_the_sample_are_what_sql_says(sample: Cleaned, cutoff: int) -> None:
    truth = sample.orders.to_native().query(
        "orders",
        f"""SELECT customer_id, count(*) FILTER (amount >= 0), sum(amount::DECIMAL(18, 4))::DOUBLE FROM orders
            WHERE order_day BETWEEN {cutoff} AND {cutoff} + 89 GROUP BY customer_id""",
    )
    expected = {customer: (purchases, revenue) for customer, purchases, revenue in truth.fetchall()}
    found = labels(sample.orders.to_native(), cutoff, 90)
    assert found.keys() == expected.keys()
    for customer, (purchases, revenue) in found.items():
        assert purchases == expected[customer][0]
        np.testing.assert_allclose(revenue, expected[customer][1], rtol=0, atol=1e-9)
