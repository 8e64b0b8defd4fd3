"""Golden rows: what a model must say of a few made-up customers, kept in its bundle and asked again before it is promoted.

The checksums of a bundle tell whether its files are those that were written; the golden rows tell whether these files still
mean the same to this version of this program and of its libraries. The customers are drawn from a seed, in the model's own
order of money: no real one is among them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl

from configs.days import date_of
from configs.errors import BundleError
from features.catalog import FEATURE_NAMES
from features.customers import feature_frame
from features.netting import net_orders
from models.value_model import ValueModel

CUSTOMERS = 100
"""Enough to reach some 70 % of all leaves of both boosters; every leaf would take thousands."""
SEED = 20260101
TOLERANCE = 1e-6
"""Relative: other processors may round otherwise, a changed leaf shows far above it."""


def golden_rows(model: ValueModel, as_of: int) -> dict[str, Any]:
    """Features of the made-up customers as of a day and what the model predicts for them, as plain JSON values."""
    features = feature_frame(_orders(as_of, max(model.btyd_reference.monetary_value, 1.0)), as_of)
    predicted = model.predict(features, as_of=as_of)
    return {
        "as_of": as_of,
        "features": {name: _plain(features[name]) for name in features.columns},
        "predictions": {name: _plain(predicted[name]) for name in predicted.columns},
    }


def golden_features(golden: Mapping[str, Any]) -> pd.DataFrame:
    """The features of golden rows, as ``ValueModel.predict`` takes them."""
    columns = {name: np.array(golden["features"][name], dtype=np.float64) for name in FEATURE_NAMES}
    customers = pd.Index([f"golden {number}" for number in range(len(columns[FEATURE_NAMES[0]]))], dtype="str")
    block = np.column_stack(list(columns.values()))
    return pd.DataFrame(block, index=customers, columns=list(FEATURE_NAMES))


def check_golden(model: ValueModel, golden: Mapping[str, Any]) -> None:
    """Raise BundleError where the model says anything else of the golden rows than what was written."""
    predicted = model.predict(golden_features(golden), as_of=golden["as_of"])
    for name, expected in golden["predictions"].items():
        if name not in predicted.columns:
            raise BundleError(f"golden rows: the model does not predict {name} any more: train again")
        found = _plain(predicted[name])
        wrong = [row for row, (is_, was) in enumerate(zip(found, expected, strict=True)) if not _same(is_, was)]
        if wrong:
            row = wrong[0]
            raise BundleError(
                f"golden rows: of {len(expected)} made-up customers the model says another {name} of {len(wrong)} than when "
                f"it was saved (the first: {found[row]}, was {expected[row]}): made by other versions, or damaged: train again"
            )


def _orders(as_of: int, money: float) -> nw.LazyFrame[Any]:
    """Orders of made-up customers: one-time and frequent, fresh and silent, small and large, with some refunds."""
    random = np.random.default_rng(SEED)
    rows = []
    for number in range(CUSTOMERS):
        orders = 1 if number % 3 == 0 else 1 + int(random.geometric(0.2))
        day = as_of - 1 - int(random.exponential(120.0))
        usual = money * float(random.lognormal(0.0, 1.0))
        for order in range(orders):
            amount = round(usual * float(random.lognormal(0.0, 0.4)), 2)
            rows.append((f"golden {number:03}", f"{number}-{order}", day, amount, float(random.integers(1, 9))))
            if order == 0 and number % 7 == 0:
                rows.append((f"golden {number:03}", f"{number}-back", day + 1, -round(amount / 3.0, 2), 1.0))
            day -= 1 + int(random.exponential(40.0))
    rows = [row for row in rows if row[2] < as_of]
    names = ["customer_id", "order_id", "order_day", "amount", "items"]
    table = pl.DataFrame(rows, schema=names, orient="row")
    moments = pl.Series("ordered_at", [date_of(day) for day in table["order_day"]]).cast(pl.Datetime("us"))
    ordered = table.with_columns(moments).select("customer_id", "order_id", "ordered_at", "order_day", "amount", "items")
    return net_orders(nw.from_native(ordered.lazy()))


def _plain(column: pd.Series[Any]) -> list[Any]:
    """JSON values; NaN is null."""
    values: list[Any] = json.loads(json.dumps(column.astype(object).where(column.notna(), None).tolist(), default=_number))
    return values


def _number(value: Any) -> Any:
    return value.item()


def _same(found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float | int):
        return bool(np.isclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE))
    return bool(found == expected)
