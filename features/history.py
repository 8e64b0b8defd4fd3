"""The last days on which each customer ordered, for people who look at one customer. No feature is made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from features.engine import enough_memory

SHOWN_DAYS = 24
DECIMALS = 2


@dataclass(frozen=True)
class OrderHistory:
    """Order days of all customers, sorted by customer id (code points), then day.

    ``first[i]`` and ``first[i + 1]`` bound the rows of the customer ``customers[i]``; ``day`` in days since 1970-01-01,
    ``amount`` the net value of that day, below 0 where more was returned than bought.
    """

    customers: pd.Index[str]
    first: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    amount: npt.NDArray[np.float64]

    def of(self, customers: pd.Index[str]) -> Iterator[list[tuple[int, float]]]:
        """Give the last ``SHOWN_DAYS`` days of each of these customers as (day, net value), the oldest first."""
        places = self.customers.get_indexer(customers)
        ends = np.where(places >= 0, self.first[places + 1], 0)
        starts = np.where(places >= 0, np.maximum(self.first[places], ends - SHOWN_DAYS), 0)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            yield list(zip(self.day[start:end].tolist(), self.amount[start:end].tolist(), strict=True))


@enough_memory()
def order_history(orders: nw.LazyFrame[Any], cutoff: int) -> OrderHistory:
    """Add up the canonical orders before ``cutoff`` (integer day, the first not observed) by customer and day."""
    by_day = (
        orders.filter(nw.col("order_day") < cutoff)
        .group_by("customer_id", "order_day")
        .agg(nw.col("amount").sum().cast(nw.Float64))
    )
    table: pa.Table = by_day.collect(backend="pyarrow").to_native()
    table = table.sort_by([("customer_id", "ascending"), ("order_day", "ascending")])
    ids = table["customer_id"].to_numpy()
    new = np.ones(len(ids), dtype=bool)
    new[1:] = ids[1:] != ids[:-1]
    starts = np.flatnonzero(new)
    return OrderHistory(
        customers=pd.Index(ids[starts], dtype="str"),
        first=np.append(starts, len(ids)).astype(np.int64),
        day=table["order_day"].to_numpy().astype(np.int64),
        amount=np.round(table["amount"].to_numpy().astype(np.float64), DECIMALS) + 0.0,
    )
