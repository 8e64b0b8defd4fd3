"""Tempering: what a giant order leaves, by hand, and what it never does to anybody else."""

from __future__ import annotations

from datetime import datetime, timedelta

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.customers import feature_frame
from features.netting import net_orders
from models.giant_orders import LIMIT_MEDIANS, SPEND, TIMES_OTHERS, order_limit, tempered

CUTOFF = 500
LIMIT = 800.0
CENTS = st.integers(-1_000_000, 100_000_000).map(lambda cents: cents / 100.0)


def customer(orders: list[tuple[int, float]]) -> pd.DataFrame:
    """Features of one customer with these orders (day, amount)."""
    days, amounts = [day for day, _ in orders], [amount for _, amount in orders]
    frame = pl.LazyFrame(
        {
            "customer_id": ["a"] * len(orders), "order_id": [f"{number}" for number in range(len(orders))],
            "ordered_at": [datetime(1970, 1, 1) + timedelta(days=day) for day in days],
            "order_day": days, "amount": amounts, "items": [None] * len(orders),
        },
        schema_overrides={"items": pl.Float64, "order_day": pl.Int32},
    )  # fmt: skip
    return feature_frame(net_orders(nw.from_native(frame)), CUTOFF)


@pytest.mark.parametrize(
    ("orders", "left"),
    [
        ([(10, 170_000.0)], 800.0),
        ([(10, 170_000.0), (400, 100.0), (450, 200.0)], 1_100.0),
        ([(10, 100.0), (400, 200.0), (450, 170_000.0)], 1_100.0),
        # One who orders for much is believed more: three times the mean of the others.
        ([(10, 1_000.0), (400, 1_000.0), (450, 9_000.0)], 5_000.0),
    ],
)
def test_all_sums_end_at_what_is_left(orders: list[tuple[int, float]], left: float) -> None:
    before = customer(orders)
    after = tempered(before, LIMIT).iloc[0]
    assert after["total_spend"] == pytest.approx(left)
    assert after["order_value_mean"] == pytest.approx(left / len(orders))
    assert after[[name for name in before.columns if name.startswith(SPEND)]].max() <= left + 1e-9
    assert after["monetary_value"] * after["frequency"] <= left + 1e-9
    assert after["order_value_last"] <= max(LIMIT, TIMES_OTHERS * 1_000.0)
    counts = ["frequency", "recency", "T", "order_count", "days_since_last_order", "orders_365d"]
    pd.testing.assert_series_equal(after[counts], before.iloc[0][counts])


def test_windows_without_the_giant_keep_theirs() -> None:
    after = tempered(customer([(10, 170_000.0), (400, 100.0), (450, 200.0)]), LIMIT).iloc[0]
    assert (after["spend_180d"], after["spend_60d"]) == (300.0, 200.0)
    assert after["monetary_value"] == 150.0, "the giant was the first order, the repeats are as they were"


@pytest.mark.parametrize(
    "orders", [[(10, 800.0)], [(10, 2_000.0), (20, 2_500.0)], [(10, 0.0), (20, 5.0)], [(day, 900.0 + day) for day in range(300)]]
)
def test_orders_like_the_others_are_left_alone(orders: list[tuple[int, float]]) -> None:
    before = customer(orders)
    assert tempered(before, LIMIT) is before


@settings(max_examples=50, deadline=None)
@given(
    orders=st.lists(
        st.tuples(st.integers(0, CUTOFF - 1), st.floats(-1e4, 1e6).map(lambda x: round(x, 2))), min_size=1, max_size=8
    )
)
def test_nothing_ever_grows_and_twice_is_once(orders: list[tuple[int, float]]) -> None:
    if max(amount for _, amount in orders) < 0.0:
        return
    before = customer(orders)
    if before.empty:
        return
    once = tempered(before, LIMIT)
    assert ((once <= before) | before.isna()).all(axis=None)
    assert (once.isna() == before.isna()).all(axis=None)
    spend = [name for name in before.columns if name.startswith(SPEND)]
    np.testing.assert_allclose(tempered(once, LIMIT)[spend], once[spend], rtol=1e-6, atol=1e-6)


def test_the_limit_follows_the_usual_order() -> None:
    frame = pd.DataFrame({"order_value_mean": [0.0, 10.0, 20.0, 30.0, 1e9]})
    assert order_limit(frame) == LIMIT_MEDIANS * 25.0
    assert order_limit(frame.iloc[:1]) == 0.0
