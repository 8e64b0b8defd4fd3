"""Typed rows of the two real logs, and a local Spark: shared by the tests of this room."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

RETAIL = Path(__file__).resolve().parents[3] / "shared" / "data" / "online_retail_II.parquet"


def lifetimes_file(name: str) -> Path:
    """Find a data file inside the lifetimes package; its own loader needs pkg_resources."""
    spec = find_spec("lifetimes")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "datasets" / name


def _cdnow(name: str, pattern: str) -> pl.DataFrame:
    text = pl.DataFrame({"line": lifetimes_file(name).read_text().splitlines()})
    fields = text.select(pl.col("line").str.extract_groups(pattern)).unnest("line").drop_nulls()
    day = pl.col("date").str.to_date("%Y%m%d")
    return fields.select(
        "customer_id",
        order_id=pl.lit(None, pl.String),
        ordered_at=day.cast(pl.Datetime("us")),
        order_day=day.cast(pl.Int32).cast(pl.Int64),
        amount=pl.col("amount").cast(pl.Float64),
        items=pl.col("items").cast(pl.Float64),
    )


@pytest.fixture(scope="session")
def cdnow_rows() -> pl.DataFrame:
    """Every line of the CDNOW master file as a typed row."""
    pattern = r"^\s*(?<customer_id>\d+)\s+(?<date>\d{8})\s+(?<items>\d+)\s+(?<amount>[\d.]+)\s*$"
    return _cdnow("CDNOW_master.txt", pattern)


@pytest.fixture(scope="session")
def cdnow_sample_rows() -> pl.DataFrame:
    """Every line of the CDNOW 1/10 sample, under the ids 1 to 2357 of the published summary."""
    pattern = r"^\s*\d+\s+0*(?<customer_id>\d+)\s+(?<date>\d{8})\s+(?<items>\d+)\s+(?<amount>[\d.]+)\s*$"
    return _cdnow("CDNOW_sample.txt", pattern)


@pytest.fixture(scope="session")
def retail_rows() -> pl.DataFrame:
    """Lines of 200 customers of Online Retail II as typed rows, exact duplicates dropped, refunds kept."""
    if not RETAIL.exists():
        pytest.skip(f"Online Retail II is not here: {RETAIL.name} belongs into the folder shared/data beside the project")
    return (
        duckdb.sql(
            f"""
            WITH lines AS (SELECT DISTINCT * EXCLUDE (sheet) FROM '{RETAIL}' WHERE "Customer ID" IS NOT NULL),
            chosen AS (SELECT DISTINCT "Customer ID" FROM lines ORDER BY md5("Customer ID"::VARCHAR) LIMIT 200)
            SELECT "Customer ID"::VARCHAR AS customer_id, Invoice AS order_id, InvoiceDate::TIMESTAMP AS ordered_at,
                   date_diff('day', DATE '1970-01-01', InvoiceDate::DATE) AS order_day,
                   (Quantity * Price)::DOUBLE AS amount, Quantity::DOUBLE AS items
            FROM lines SEMI JOIN chosen USING ("Customer ID") ORDER BY ALL
            """
        )
        .pl()
        .with_columns(pl.col("ordered_at").cast(pl.Datetime("us")))
    )


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Start one local Spark with two threads, without a web page and bound to loopback."""
    if shutil.which("java") is None:
        pytest.skip("Spark needs Java, and there is no java on the PATH (Debian: openjdk-17-jre-headless)")
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: pip install 'foretier[spark]'")
    # Workers would otherwise run the python3 of the PATH, which may be another version.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        sql.SparkSession.builder.master("local[2]")
        .appName("foretier-tests")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.warehouse.dir", str(tmp_path_factory.mktemp("spark")))
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
