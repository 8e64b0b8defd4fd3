"""A request without refunds takes a shorter plan: it must give the very orders of the whole one."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from serving.guard import MAX_BODY_BYTES
from serving.openapi import openapi
from serving.refusal import Refusal
from serving.request_scoring import ROW_SCHEMA, _netting
from serving.schemas import MAX_ORDERS, prediction_request

START = datetime(2011, 1, 1)
lines = st.tuples(
    st.sampled_from(["a", "b"]),
    st.sampled_from([None, "1", "2"]),
    st.integers(0, 6).map(lambda hours: START + timedelta(hours=9 * hours)),
    st.sampled_from([0.0, 0.01, 12.5, 1e-5, 1e9]),
    st.sampled_from([None, 0.0, 3.0]),
)


@given(st.lists(lines, min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_without_refunds_there_is_nothing_to_net(
    rows: list[tuple[str, str | None, datetime, float, float | None]],
) -> None:
    typed = [
        (customer, order, at, (at - datetime(1970, 1, 1)).days, amount, items) for customer, order, at, amount, items in rows
    ]
    frame = pl.DataFrame(typed, schema=ROW_SCHEMA, orient="row")
    short, whole = (_netting("purchase", refunds=refunds).run(frame) for refunds in (False, True))
    keys = ["customer_id", "order_day", "ordered_at", "order_id"]
    assert_frame_equal(short.sort(keys), whole.sort(keys), check_exact=True)


def test_the_most_orders_of_a_request_can_be_sent() -> None:
    smallest = {"ordered_at": "2011-05-01", "amount": 1}
    document: dict[str, Any] = {"customers": [{"customer_id": "1", "orders": [smallest] * MAX_ORDERS}]}
    assert len(prediction_request(document).customers[0].orders) == MAX_ORDERS
    document["customers"].append({"customer_id": "2", "orders": [smallest]})
    assert len(json.dumps(document)) < MAX_BODY_BYTES
    with pytest.raises(Refusal, match="more than 20,000 orders"):
        prediction_request(document)
    assert "1,000 customers and 20,000 orders" in str(openapi()["paths"])
