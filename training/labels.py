"""What customers did in the horizon after a cutoff. Kept in training, where serving cannot reach it."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from features.netting import MONEY_UNIT


def horizon_labels(orders: nw.LazyFrame[Any], cutoff: int, horizon_days: int) -> nw.LazyFrame[Any]:
    """Purchases and net revenue in ``[cutoff, cutoff + horizon_days)`` of everybody with an order or refund in it.

    ``orders`` are canonical orders. Columns: ``customer_id``, ``purchases`` (number; refunds are none), ``revenue`` (sum of
    amounts, refunds deducted, may be negative). Customers with neither have no row.
    """
    within = orders.filter(nw.col("order_day") >= cutoff, nw.col("order_day") < cutoff + horizon_days)
    # Whole ten-thousandths add up exactly in any order, see features.sums.
    rows = within.select(
        "customer_id",
        purchase=(nw.col("amount") >= 0).cast(nw.Int64),
        units=(nw.col("amount") * MONEY_UNIT + 0.5).floor(),
    )
    sums = rows.group_by("customer_id").agg(nw.col("purchase").sum(), nw.col("units").sum())
    return sums.select(
        "customer_id",
        purchases=nw.col("purchase").cast(nw.Int64),
        # Polars divides by a constant by multiplying with its inverse: rounding heals it.
        revenue=(nw.col("units").cast(nw.Float64) / MONEY_UNIT).round(4),
    )
