"""What is known of the customers of a snapshot besides their features: orders and attributes around its cutoff."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.settings import Settings
from models.fitting import TrainingSet
from training.candidates import Context
from training.labels import horizon_labels
from training.panel import Snapshot

Floats = npt.NDArray[np.float64]


def context_of(
    orders: nw.LazyFrame[Any], holdout: Snapshot, horizon_days: int, settings: Settings, known: TrainingSet | None = None
) -> Context:
    """Purchases in the horizon, the largest order and the attributes before the cutoff of every customer of a snapshot."""
    purchases, largest = _beside(orders, holdout, horizon_days)
    return Context(known, purchases, largest, attributes_of(orders, holdout, settings))


def attributes_of(orders: nw.LazyFrame[Any], holdout: Snapshot, settings: Settings) -> dict[str, pd.Series[str]]:
    """The latest value before the cutoff of every attribute: of several on the customer's last day with one, the highest."""
    found = {}
    before = orders.filter(nw.col("order_day") < holdout.cutoff)
    for name in settings.attributes:
        known = before.filter(~nw.col(name).is_null()).select("customer_id", "order_day", nw.col(name).cast(nw.String))
        last = known.group_by("customer_id").agg(order_day=nw.col("order_day").max())
        of_last_day = known.join(last, on=["customer_id", "order_day"], how="inner")
        values = _frame(of_last_day.group_by("customer_id").agg(nw.col(name).max()))[name]
        found[name] = values.reindex(holdout.features.index)
    return found


def _beside(orders: nw.LazyFrame[Any], holdout: Snapshot, horizon_days: int) -> tuple[Floats, Floats]:
    """Purchases in the horizon, and the amount of the largest purchase before the cutoff, of every customer."""
    after = _frame(horizon_labels(orders, holdout.cutoff, horizon_days))["purchases"]
    before = orders.filter(nw.col("order_day") < holdout.cutoff).group_by("customer_id")
    largest = _frame(before.agg(largest=nw.col("amount").max()).with_columns(nw.col("largest").cast(nw.Float64)))["largest"]
    customers = holdout.features.index
    return after.reindex(customers).fillna(0).to_numpy(np.float64), largest.reindex(customers).to_numpy(np.float64)


def _frame(rows: nw.LazyFrame[Any]) -> pd.DataFrame:
    table: pd.DataFrame = rows.collect(backend="pyarrow").to_native().to_pandas()
    return table.set_index("customer_id")
