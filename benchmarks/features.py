"""Features from millions of orders: orders a second and peak memory, beside lifetimes' own summary.

    python benchmarks/features.py [--orders 20000000] [--threads 2] [--memory-gb 1.5]

The orders are generated (a hash of the row number, so the same on every run), written to Parquet in a temporary folder
in no order, and read by a fresh process for each measurement, so that its peak memory is its own:

whole path      orders -> history columns -> every feature at one cutoff, in one lazy query -> Parquet
history         orders -> history columns -> Parquet sorted by customer, as cleaning leaves them: once per log
features        orders with their history -> every feature at one cutoff -> Parquet: once per cutoff
model input     the same, as the sorted float64 frame that the models take
lifetimes       its summary (4 of the features) on a sample of whole customers that it can bear

The processor time stands beside the clock: on a machine that others use, only the former can be compared.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from features.catalog import CATALOG
from features.customers import customer_features, feature_frame
from features.engine import connect, literal, relation_of
from features.netting import MONEY_UNIT, canonical, with_history

ORDERS = 20_000_000
ORDERS_PER_CUSTOMER = 13.3
PEER_ORDERS = 200_000
FIRST_DAY, DAYS = 14_000, 900
CUTOFF = FIRST_DAY + DAYS

GENERATE = """
COPY (
    WITH draws AS (
        SELECT i, (hash(i, 1) >> 11) / 2e0**53 AS u1, (hash(i, 2) >> 11) / 2e0**53 AS u2,
               (hash(i, 3) >> 11) / 2e0**53 AS u3, (hash(i, 4) >> 11) / 2e0**53 AS u4
        FROM range({orders}) AS rows(i)
    ), owned AS (
        SELECT *, CAST(floor({customers} * pow(u1, 1.7)) AS BIGINT) AS customer FROM draws
    ), born AS (
        SELECT *, pow((hash(customer, 5) >> 11) / 2e0**53, 2) AS birth FROM owned
    ), dated AS (
        SELECT *, CAST({first_day} + floor({days} * (birth + (1 - birth) * u2)) AS BIGINT) AS order_day FROM born
    )
    SELECT lpad(CAST(customer AS VARCHAR), 9, '0') AS customer_id, CAST(i AS VARCHAR) AS order_id,
           make_timestamp(order_day * 86400000000 + i % 86400 * 1000000) AS ordered_at, order_day,
           floor(100 * exp(2 + 2 * sqrt(u3))) / CASE WHEN u4 < 0.03 THEN -100 ELSE 100 END AS amount,
           CASE WHEN u4 < 0.95 THEN 1 + floor(5 * u2 * u3) END AS items
    FROM dated
) TO {file} (ROW_GROUP_SIZE 200000)
"""


@dataclass(frozen=True)
class Measured:
    """One measurement of one fresh process."""

    orders: int
    customers: int
    seconds: float
    processor_seconds: float
    peak_gb: float


# ------------------------------------------------------------------------------------------- what a fresh process does


def history(rows: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Canonical orders out of generated ones, which need no netting: one row is one order."""
    units = (nw.col("amount") * MONEY_UNIT).round()
    summed = rows.with_columns(
        _units=units.cast(nw.Int64),
        _item_units=(nw.col("items") * MONEY_UNIT).round().cast(nw.Int64),
        _item_lines=nw.when(nw.col("items").is_null()).then(nw.lit(0)).otherwise(nw.lit(1)),
        _lines=nw.lit(1),
        _refund_lines=nw.when(nw.col("amount") < 0).then(nw.lit(1)).otherwise(nw.lit(0)),
    )
    return canonical(with_history(summed.drop("amount", "items")))


class Work:
    """The measured steps; each returns how many customers (or orders) it wrote."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
        self._connection, self._folder = connection, folder

    def generate(self, orders: int) -> int:
        """Write the orders."""
        customers = max(1, round(orders / ORDERS_PER_CUSTOMER))
        file = literal(str(self._folder / "orders.parquet"))
        self._connection.execute(GENERATE.format(orders=orders, customers=customers, first_day=FIRST_DAY, days=DAYS, file=file))
        return orders

    def whole_path(self) -> int:
        """Orders to features in one query."""
        return self._write(customer_features(history(self._read("orders")), CUTOFF), "features")

    def history(self) -> int:
        """Orders to orders with their history."""
        return self._write(history(self._read("orders")).sort("customer_id", "order_day", "order_id"), "canonical")

    def features(self) -> int:
        """Orders with their history to features."""
        return self._write(customer_features(self._read("canonical"), CUTOFF), "features")

    def model_input(self) -> int:
        """Orders with their history to what the models take."""
        return len(feature_frame(self._read("canonical"), CUTOFF))

    def _read(self, name: str) -> nw.LazyFrame[Any]:
        return nw.from_native(self._connection.read_parquet(str(self._folder / f"{name}.parquet")))

    def _write(self, frame: nw.LazyFrame[Any], name: str) -> int:
        relation_of(frame).to_parquet(str(self._folder / f"{name}.parquet"), row_group_size=200_000)
        [(rows,)] = self._read(name).select(nw.len()).collect("pyarrow").rows()
        return int(rows)


def lifetimes_summary(folder: Path) -> tuple[int, int, float]:
    """Orders, customers and seconds of lifetimes' summary on whole customers with about ``PEER_ORDERS`` orders."""
    file = literal(str(folder / "orders.parquet"))
    log = duckdb.sql(
        f"""
        WITH sized AS (SELECT customer_id, count(*) AS size FROM {file} WHERE amount >= 0 GROUP BY ALL),
        chosen AS (SELECT customer_id, sum(size) OVER (ORDER BY md5(customer_id)) AS so_far FROM sized)
        SELECT customer_id, date_trunc('day', ordered_at) AS day, amount FROM {file}
        SEMI JOIN (FROM chosen WHERE so_far <= {PEER_ORDERS}) USING (customer_id) WHERE amount >= 0
        """
    ).df()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from lifetimes.utils import summary_data_from_transaction_data

        start = time.perf_counter()
        summary = summary_data_from_transaction_data(log, "customer_id", "day", "amount")
    return len(log), len(summary), time.perf_counter() - start


def measure(step: str, folder: Path, orders: int, threads: int, memory_gb: float) -> Measured:
    """Do one step in this process and say what it took."""
    start, used = time.perf_counter(), _processor_seconds()
    if step == "lifetimes":
        orders, customers, seconds = lifetimes_summary(folder)
    else:
        work = Work(connect(threads=threads, memory_gb=memory_gb, folder=folder), folder)
        steps: dict[str, Callable[[], int]] = {
            "generate": lambda: work.generate(orders),
            "whole path": work.whole_path,
            "history": work.history,
            "features": work.features,
            "model input": work.model_input,
        }
        customers = steps[step]()
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return Measured(orders, customers, seconds, _processor_seconds() - used, peak)


def _processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


# ------------------------------------------------------------------------------------------------------------ the table


def in_fresh_process(step: str, folder: Path, options: argparse.Namespace) -> Measured:
    """Run ``measure`` in a process of its own."""
    command = [
        sys.executable, __file__, "--step", step, "--folder", str(folder), "--orders", str(options.orders),
        "--threads", str(options.threads), "--memory-gb", str(options.memory_gb),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def table_of(measured: dict[str, Measured], options: argparse.Namespace) -> Table:
    """The measurements, each beside lifetimes."""
    title = f"Features of {options.orders:,} orders ({options.threads} threads, {options.memory_gb:g} GB for DuckDB)"
    table = Table(title=title, caption=f"{len(CATALOG)} features; lifetimes: 4 of them, from {PEER_ORDERS:,} orders")
    table.add_column("step", no_wrap=True)
    for heading in ("orders", "customers", "clock s", "CPU s", "orders/s", "x lifetimes", "peak GB"):
        table.add_column(heading, justify="right", no_wrap=True)
    peer = measured["lifetimes"].orders / measured["lifetimes"].seconds
    for step, one in measured.items():
        speed = one.orders / one.seconds
        customers = "" if step == "history" else f"{one.customers:,}"
        table.add_row(
            step, f"{one.orders:,}", customers, f"{one.seconds:.2f}", f"{one.processor_seconds:.1f}",
            f"{speed:,.0f}", f"{speed / peer:.1f}", f"{one.peak_gb:.2f}",
        )  # fmt: skip
    return table


def main() -> None:
    """Generate, measure, print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--memory-gb", type=float, default=1.5)
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        done = measure(options.step, options.folder, options.orders, options.threads, options.memory_gb)
        print(json.dumps(asdict(done)), flush=True)
        os._exit(0)  # DuckDB's bindings complain of leaks at exit
    console, measured = Console(width=104), dict[str, Measured]()
    with tempfile.TemporaryDirectory(prefix="foretier-benchmark-") as name:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            for step in ("generate", "whole path", "history", "features", "model input", "lifetimes"):
                task = progress.add_task(step)
                measured[step] = in_fresh_process(step, Path(name), options)
                progress.remove_task(task)
    del measured["generate"]
    console.print(table_of(measured, options))


if __name__ == "__main__":
    main()
