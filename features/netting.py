"""Orders out of typed transaction rows: lines summed, refunds netted, the customer's past beside each order.

Written in Narwhals, so that it runs on DuckDB (a whole history), Spark (a cluster) and Polars (the orders of one HTTP
request) alike. Money and items are summed as integer ten-thousandths: exact, whatever the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import narwhals as nw

MONEY_UNIT = 10_000
"""All sums of money and items are made in ten-thousandths."""

ZeroRule = Literal["purchase", "reject"]
TYPED_COLUMNS = ("customer_id", "order_id", "ordered_at", "order_day", "amount", "items")
HISTORY_COLUMNS = ("first_order_day", "previous_order_day", "spend_before")
ORDER_COLUMNS = (*TYPED_COLUMNS, *HISTORY_COLUMNS)

_NEVER = 2**31 - 1
_DAY = ("customer_id", "order_day")


def net_orders(rows: nw.LazyFrame[Any], *, zero_amount_orders: ZeroRule = "purchase") -> nw.LazyFrame[Any]:
    """Make canonical orders of typed rows, in no particular order.

    ``rows`` holds ``customer_id`` text, ``order_id`` text or null, ``ordered_at`` naive timestamp, ``order_day`` int,
    ``amount`` and ``items`` float64 (``items`` may be null), and attributes as text. Every row must be usable: no null
    but in ``order_id``, ``items`` and attributes, nothing not finite.

    A row of the result is a purchase when ``amount >= 0`` and a refund when ``amount < 0``. Refunds before the first
    purchase of their customer are left out, and so are days whose refunds cancel their purchases to the cent.
    """
    orders = net_days(sum_lines(rows), zero_amount_orders=zero_amount_orders)
    return canonical(with_history(orders))


def sum_lines(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Sum the lines of each (customer, day, order).

    ``_units`` and ``_item_units`` are ten-thousandths; ``_lines`` counts the rows and ``_refund_lines`` those below zero.
    Rows without an ``order_id`` are one order per customer and moment, named by that moment in ISO format.
    """
    attributes = _attributes(rows.collect_schema().names(), TYPED_COLUMNS)
    units = _units("amount")
    return (
        rows.with_columns(
            order_id=order_name(),
            _units=units,
            _item_units=_units("items"),
            _refund_lines=nw.when(units < 0).then(nw.lit(1)).otherwise(nw.lit(0)),
        )
        .group_by("customer_id", "order_day", "order_id")
        .agg(
            nw.col("ordered_at").min(),
            nw.col("_units").sum().cast(nw.Int64),
            nw.col("_item_units").sum().cast(nw.Int64),
            nw.col("_item_units").count().cast(nw.Int64).alias("_item_lines"),
            nw.len().cast(nw.Int64).alias("_lines"),
            nw.col("_refund_lines").sum().cast(nw.Int64),
            *(nw.col(name).min() for name in attributes),
        )
    )


def order_name(order_id: str = "order_id", ordered_at: str = "ordered_at") -> nw.Expr:
    """The id of a row's order; the moment of the order where it has none."""
    return nw.coalesce(nw.col(order_id), _moment(ordered_at))


def is_zero_order() -> nw.Expr:
    """Whether a summed order cost nothing, without a refund in it."""
    return (nw.col("_units") == 0) & (nw.col("_refund_lines") == 0)


def net_days(orders: nw.LazyFrame[Any], *, zero_amount_orders: ZeroRule = "purchase") -> nw.LazyFrame[Any]:
    """Net the refunds of each (customer, day) that holds any.

    A day that nets below zero becomes one refund, a day that nets to zero becomes nothing, another day keeps its orders
    as they are. An order whose own lines cancel to zero is gone in every case.
    """
    if zero_amount_orders == "reject":
        orders = orders.filter(~is_zero_order())
    refunded = (nw.col("_units") < 0) | ((nw.col("_units") == 0) & (nw.col("_refund_lines") > 0))
    days = orders.filter(refunded).select(*_DAY).unique()
    touched = orders.join(days, on=list(_DAY), how="semi")
    totals = _day_totals(touched)
    kept_days = totals.filter(nw.col("_units") > 0).select(*_DAY)
    kept = touched.join(kept_days, on=list(_DAY), how="semi").filter((nw.col("_units") != 0) | is_zero_order())
    columns = orders.collect_schema().names()
    parts = [orders.join(days, on=list(_DAY), how="anti"), kept, totals.filter(nw.col("_units") < 0)]
    return nw.concat([part.select(columns) for part in parts], how="vertical")


def with_history(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Put the past of the customer beside each order: ``first_order_day``, ``previous_order_day``, ``_units_before``.

    ``first_order_day`` of a refund is later than the refund when no purchase came before it.
    """
    purchase = nw.col("_units") >= 0
    # Refunds have no purchase day and sort first: the row above a purchase is the purchase before it, or says nothing.
    past: dict[str, Any] = {"order_by": ["_purchase_day", "ordered_at", "order_id"]}
    orders = orders.with_columns(
        _purchase_day=nw.when(purchase).then(nw.col("order_day")),
        _paid=nw.when(purchase).then(nw.col("_units")),
    )
    first = nw.col("_purchase_day").min().over("customer_id")
    paid_so_far = nw.col("_paid").cum_sum().over("customer_id", **past)
    return orders.with_columns(
        first_order_day=first.fill_null(_NEVER).cast(nw.Int64),
        previous_order_day=nw.col("_purchase_day").shift(1).over("customer_id", **past).cast(nw.Int64),
        _units_before=(paid_so_far - nw.col("_paid")).cast(nw.Int64),
    ).drop("_purchase_day", "_paid")


def has_purchase_before() -> nw.Expr:
    """Whether a row of ``with_history`` is a purchase, or a refund on or after its customer's first purchase."""
    return nw.col("first_order_day") <= nw.col("order_day")


def canonical(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Canonical orders out of ``with_history``: refunds without a purchase left out, units turned into amounts."""
    names = orders.collect_schema().names()
    internal = ("_units", "_item_units", "_item_lines", "_lines", "_refund_lines", "_units_before")
    attributes = _attributes(names, (*ORDER_COLUMNS, *internal))
    items = nw.when(nw.col("_item_lines") > 0).then(_amount("_item_units"))
    return orders.filter(has_purchase_before()).select(
        "customer_id",
        "order_id",
        "ordered_at",
        nw.col("order_day").cast(nw.Int64),
        _amount("_units").alias("amount"),
        items.alias("items"),
        *attributes,
        "first_order_day",
        "previous_order_day",
        _amount("_units_before").alias("spend_before"),
    )


def _day_totals(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """One row per (customer, day), named after the first of its refunded orders."""
    summed = ("_units", "_item_units", "_item_lines", "_lines", "_refund_lines")
    attributes = _attributes(orders.collect_schema().names(), (*TYPED_COLUMNS, *summed))
    refunded = nw.when(nw.col("_units") < 0).then(nw.col("order_id"))
    return (
        orders.with_columns(order_id=refunded)
        .group_by(*_DAY)
        .agg(
            nw.col("order_id").min(),
            nw.col("ordered_at").min(),
            *(nw.col(name).sum().cast(nw.Int64) for name in summed),
            *(nw.col(name).min() for name in attributes),
        )
    )


def _attributes(names: Sequence[str], known: Sequence[str]) -> list[str]:
    return [name for name in names if name not in known]


def _units(name: str) -> nw.Expr:
    """Ten-thousandths, halves rounded away from zero; floor is the same on every engine, round is not."""
    size = (nw.col(name).abs() * MONEY_UNIT + 0.5).floor().cast(nw.Int64)
    return nw.when(nw.col(name) < 0).then(-size).otherwise(size)


def _amount(name: str) -> nw.Expr:
    """Ten-thousandths -> units. Polars divides by a constant by multiplying with its inverse: rounding heals it."""
    return (nw.col(name).cast(nw.Float64) / MONEY_UNIT).round(4)


def _moment(name: str) -> nw.Expr:
    """A timestamp in ISO format, with its microseconds only where there are some, as Python's isoformat."""
    seconds = nw.col(name).dt.to_string("%Y-%m-%dT%H:%M:%S")
    micros = nw.col(name).dt.microsecond()
    fraction = nw.concat_str([nw.lit("."), micros.cast(nw.String).str.zfill(6)])
    return nw.when(micros > 0).then(nw.concat_str([seconds, fraction])).otherwise(seconds)
