"""Plans recorded as array steps against the same plans on Polars, which is held against the other engines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta

import narwhals as nw
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.arrays import ArrayPlan
from features.customers import feature_frame, features_of_rows
from features.netting import TYPED_COLUMNS, ZeroRule, net_orders

Row = tuple[int, str | None, datetime, float, float | None]
START, CUTOFF = datetime(2010, 6, 1), 15_137
SCHEMA = {
    "customer_id": pl.String(), "order_id": pl.String(), "ordered_at": pl.Datetime("us"), "order_day": pl.Int64(),
    "amount": pl.Float64(), "items": pl.Float64(),
}  # fmt: skip

lines = st.tuples(
    st.integers(0, 3),
    st.sampled_from([None, "1", "10", "2"]),
    st.integers(0, 120).map(lambda steps: START + timedelta(hours=77 * steps, microseconds=steps % 3)),
    st.sampled_from([0.0, 0.01, 12.5, 12.5, -12.5, -3.0, -0.01, 1e-5, 99.99, 1e9, -1e9]),
    st.sampled_from([None, 0.0, 3.0, 1.5]),
)
rules: st.SearchStrategy[ZeroRule] = st.sampled_from(["purchase", "reject"])


def day(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1)).days


def arrays(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    names = [order or at.isoformat() for _, order, at, _, _ in rows]
    return {
        "customer_id": np.array([row[0] for row in rows]),
        "order_id": np.unique(names, return_inverse=True)[1],
        "ordered_at": np.array([row[2] for row in rows], dtype="M8[us]").astype(np.int64),
        "order_day": np.array([day(row[2]) for row in rows]),
        "amount": np.array([row[3] for row in rows]),
        "items": np.array([math.nan if row[4] is None else row[4] for row in rows]),
    }


@given(st.lists(lines, min_size=1, max_size=25), rules)
@settings(max_examples=25, deadline=None)
def test_features_of_few_rows_are_those_of_the_other_engines(rows: list[Row], rule: ZeroRule) -> None:
    typed = [(str(customer), order, at, day(at), amount, items) for customer, order, at, amount, items in rows]
    frame = nw.from_native(pl.DataFrame(typed, schema=SCHEMA, orient="row").lazy())
    expected = feature_frame(net_orders(frame, zero_amount_orders=rule), CUTOFF)
    customers, found = features_of_rows(arrays(rows), CUTOFF, zero_amount_orders=rule)
    assert [str(customer) for customer in customers] == expected.index.tolist()
    assert list(found) == expected.columns.tolist()
    for name, column in found.items():
        np.testing.assert_array_equal(column, expected[name].to_numpy(), err_msg=name)


@given(st.lists(lines, min_size=1, max_size=25), st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None)
def test_features_of_a_customer_depend_on_nobody_else_and_on_no_order_of_rows(rows: list[Row], random: object) -> None:
    customers, together = features_of_rows(arrays(rows), CUTOFF)
    for place, customer in enumerate(customers.tolist()):
        own = [row for row in rows if row[0] == customer]
        random.shuffle(own)  # type: ignore[attr-defined]
        _, alone = features_of_rows(arrays(own), CUTOFF)
        for name, column in alone.items():
            np.testing.assert_array_equal(column, together[name][[place]], err_msg=name)


def test_no_purchase_gives_no_customer() -> None:
    customers, features = features_of_rows(arrays([(7, None, START, -5.0, None)]), CUTOFF)
    assert (len(customers), {len(column) for column in features.values()}) == (0, {0})


@pytest.mark.parametrize(
    "expression",
    [nw.col("order_id").cast(nw.String), nw.col("ordered_at").dt.year(), nw.col("amount").sin()],
)
def test_what_no_plan_has_needed_is_refused(expression: nw.Expr) -> None:
    with pytest.raises(NotImplementedError, match="not there on arrays"):
        ArrayPlan(lambda rows: rows.group_by("customer_id").agg(expression.max().alias("found")), TYPED_COLUMNS)
