"""One catalog, three engines, the same bytes."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from features.customers import feature_frame
from features.netting import net_orders

CUTOFFS = tuple((date.fromisoformat(text) - date(1970, 1, 1)).days for text in ("1997-02-01", "1998-03-02", "2012-01-01"))


@pytest.fixture(scope="module")
def order_files(cdnow_rows: pl.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write canonical orders as Parquet: a third of CDNOW, and a log of odd amounts, refunds, ties, missing items."""
    folder = tmp_path_factory.mktemp("orders")
    logs = {"cdnow": cdnow_rows.filter(pl.col("customer_id").cast(pl.Int64) % 3 == 0), "hard": hard_rows()}
    for name, rows in logs.items():
        net_orders(nw.from_native(rows.lazy())).to_native().collect().write_parquet(folder / f"{name}.parquet")
    return {name: folder / f"{name}.parquet" for name in logs}


def hard_rows() -> pl.DataFrame:
    """20,000 rows of 600 customers: amounts from 0.0001 to a hundred million, a tenth refunds, ten years, many ties."""
    dice = np.random.default_rng(7)
    size = 20_000
    amounts = np.round(10 ** dice.uniform(-4, 8, size), 4) * np.where(dice.random(size) < 0.1, -1, 1)
    days = 9_000 + np.floor(6_000 * dice.random(size) ** 0.2).astype(np.int64)
    return pl.DataFrame(
        {
            "customer_id": np.char.add("c", dice.integers(0, 600, size).astype(str)),
            "order_id": dice.integers(0, 15_000, size).astype(str),
            "ordered_at": pl.Series(days).cast(pl.Int32).cast(pl.Date).cast(pl.Datetime("us")),
            "order_day": days,
            "amount": np.where(dice.random(size) < 0.02, 0.0, amounts),
            "items": pl.Series(np.round(dice.uniform(0.5, 40, size), 1)).set(pl.Series(dice.random(size) < 0.2), None),
        }
    )


def on_polars(file: Path, cutoff: int) -> pd.DataFrame:
    return feature_frame(nw.from_native(pl.scan_parquet(file)), cutoff)


def on_duckdb(file: Path, cutoff: int) -> pd.DataFrame:
    with duckdb.connect(config={"threads": 3}) as connection:
        return feature_frame(nw.from_native(connection.read_parquet(str(file))), cutoff)


@pytest.mark.parametrize("log", ["cdnow", "hard"])
@pytest.mark.parametrize("cutoff", CUTOFFS)
def test_duckdb_and_polars_agree_to_the_bit(order_files: dict[str, Path], log: str, cutoff: int) -> None:
    file = order_files[log]
    pd.testing.assert_frame_equal(on_duckdb(file, cutoff), on_polars(file, cutoff), check_exact=True)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # pyspark leaves its sockets to the garbage collector
@pytest.mark.parametrize("log", ["cdnow", "hard"])
def test_spark_agrees_to_the_bit(spark: Any, order_files: dict[str, Path], log: str) -> None:
    file, cutoff = order_files[log], CUTOFFS[1]
    on_spark = feature_frame(nw.from_native(spark.read.parquet(str(file))), cutoff)
    pd.testing.assert_frame_equal(on_spark, on_polars(file, cutoff), check_exact=True)
