"""Orders -> one row per customer as of a cutoff: the one way to features, in training, scoring and serving."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from configs.errors import ColumnError
from features.array_steps import Array
from features.arrays import ArrayPlan
from features.catalog import CATALOG, FEATURE_NAMES
from features.engine import enough_memory
from features.netting import HISTORY_COLUMNS, TYPED_COLUMNS, ZeroRule, net_orders
from features.sums import sums, terms

Floats = npt.NDArray[np.float64]
NEEDED = ("customer_id", "order_day", "amount", "items", *HISTORY_COLUMNS)
"""The columns of the canonical orders that the features read."""


def customer_features(orders: nw.LazyFrame[Any], cutoff: int) -> nw.LazyFrame[Any]:
    """Compute the features of every customer with a purchase before ``cutoff``; pure and lazy, on any engine.

    ``orders`` are the canonical orders with their three history columns (``features.orders.net_orders``), in any row
    order; rows on or after ``cutoff`` (integer day, the first NOT observed) are not read. The result holds
    ``customer_id`` and the columns of ``CATALOG``, all Float64, NULL where a feature is undefined, in the engine's own
    row order.

    Raises ColumnError: a column is missing.
    """
    _check(orders.collect_schema().names())
    row_terms, customer_sums, features = _expressions(cutoff)
    before = orders.filter(nw.col("order_day") < cutoff).select("customer_id", *row_terms)
    by_customer = before.group_by("customer_id").agg(*customer_sums)
    return by_customer.filter(nw.col("purchases") > 0).select("customer_id", *features)


@enough_memory()
def feature_frame(orders: nw.LazyFrame[Any], cutoff: int) -> pd.DataFrame:
    """Compute ``customer_features`` as the models take them.

    One row per customer: index ``customer_id`` (text, sorted by code point), columns ``FEATURE_NAMES`` in that order,
    one block of float64, NaN where a feature is undefined.

    Raises ColumnError: a column is missing. InputError: too little memory.
    """
    table: pa.Table = customer_features(orders, cutoff).collect(backend="pyarrow").to_native()
    order = pc.sort_indices(table["customer_id"]).to_numpy()
    block = np.empty((len(FEATURE_NAMES), table.num_rows))
    for row, name in zip(block, FEATURE_NAMES, strict=True):
        row[:] = table[name].to_numpy()[order]
    customers = pd.Index(table["customer_id"].to_numpy()[order], dtype="str", name="customer_id")
    return pd.DataFrame(block.T, index=customers, columns=list(FEATURE_NAMES), copy=False)


def features_of_rows(
    rows: Mapping[str, Array], cutoff: int, *, zero_amount_orders: ZeroRule = "purchase"
) -> tuple[Array, dict[str, Floats]]:
    """``net_orders`` and ``customer_features`` of a few customers, in process: what one HTTP request needs.

    ``rows`` holds ``TYPED_COLUMNS`` as numbers: ``customer_id`` any whole number, ``order_id`` the rank of the order's name
    (``features.netting.order_name``) among all, ``ordered_at`` in microseconds, ``items`` NaN where not known. Returns
    the customers with a purchase before ``cutoff``, ascending, and their columns in the order of ``FEATURE_NAMES``.
    """
    found = _plan_of_rows(cutoff, zero_amount_orders).run(rows)
    customers = found.pop("customer_id")
    return customers, {name: _for_all(column, customers) for name, column in found.items()}


def _for_all(column: Any, customers: Array) -> Floats:
    """A column, also of one number that holds for everybody."""
    return column if getattr(column, "ndim", 0) else np.full(len(customers), column, dtype=np.float64)


@lru_cache(maxsize=64)
def _plan_of_rows(cutoff: int, zero_amount_orders: ZeroRule) -> ArrayPlan:
    """Kept: requests of one day share it."""
    return ArrayPlan(
        lambda rows: customer_features(net_orders(rows, zero_amount_orders=zero_amount_orders), cutoff),
        TYPED_COLUMNS,
        nullable=("items",),
    )


@lru_cache(maxsize=256)
def _expressions(cutoff: int) -> tuple[list[nw.Expr], list[nw.Expr], list[nw.Expr]]:
    """Terms, sums and features for one cutoff, each expression under its name."""
    row_terms = [expression.alias(name) for name, expression in terms(cutoff).items()]
    customer_sums = [expression.alias(name) for name, expression in sums(cutoff).items()]
    features = [feature.expression(cutoff).cast(nw.Float64).alias(feature.name) for feature in CATALOG]
    return row_terms, customer_sums, features


def _check(columns: list[str]) -> None:
    missing = [name for name in NEEDED if name not in columns]
    if not missing:
        return
    cure = "run features.orders.net_orders first" if set(missing) & set(HISTORY_COLUMNS) else "give canonical orders"
    raise ColumnError(
        f"features need the columns {', '.join(NEEDED)}; missing: {', '.join(missing)} (found: {', '.join(columns[:20])}): {cure}"
    )
