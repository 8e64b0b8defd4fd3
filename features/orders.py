"""Clean orders out of raw transactions: every row is used, dropped as a duplicate, or rejected with a reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw

from configs.errors import HistoryError, RejectedRowsError, SourceError
from configs.files import replacing
from configs.settings import Settings
from features.cleaning_report import CleaningReport
from features.csv_files import UNREADABLE
from features.engine import Workbench, connect, enough_memory, relation_of
from features.netting import net_orders
from features.order_table import OrderTable
from features.row_split import RowSplit
from features.transactions import read_transactions
from features.typed_rows import typed_rows

__all__ = ["Cleaned", "clean_orders", "net_orders", "write_rejected"]


@dataclass(frozen=True)
class Cleaned:
    """Canonical orders sorted by (customer_id, order_day, order_id), rejected raw rows with their ``reason``, the report."""

    orders: nw.LazyFrame[Any]
    rejected: nw.LazyFrame[Any]
    report: CleaningReport


@enough_memory()
def clean_orders(
    transactions: nw.LazyFrame[Any],
    settings: Settings,
    *,
    today: date,
    until: date | None = None,
    rejected_to: Path | None = None,
) -> Cleaned:
    """Map, cast, check, deduplicate and net the transactions of one source.

    Rows ordered on or after ``until`` are no part of the run: neither used nor counted. Rows ordered after ``today`` are
    rejected. A row has one reason, the first that applies. ``rejected_to`` is where the rejected rows are written, even
    when they are too many.

    Raises ColumnError: the mapping does not fit the source. RejectedRowsError: more than ``max_rejected_share`` rejected.
    HistoryError: no purchase is left. SourceError: the source fails while it is read.
    InputError: too little memory.
    """
    relation = relation_of(transactions)
    bench = Workbench(relation)
    source = bench.view(relation, "source")
    columns = {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
    _check_cut(list(columns), settings)
    with _reading():
        typed = typed_rows(bench, source, columns, settings, today=today, until=until)
        rows_in = bench.count(f"({typed.sql})")
        if rows_in == 0:
            raise HistoryError(f"the source has no row before {until}; give a later day")
        split = RowSplit(bench, typed, settings.cleaning)
        orders = OrderTable(bench, split.usable, split.usable_rows, zero_amount_orders=settings.cleaning.zero_amount_orders)
        split.reject_orders("zero_amount", orders.zero_orders)
        split.reject_orders("refund_without_purchase", orders.orphan_days)
        split.close()
    report = _report(rows_in, split, orders)
    rejected = split.rejected_frame()
    if rejected_to is not None:
        write_rejected(rejected, rejected_to)
    _check_share(report, settings, rejected_to)
    if report.customers == 0:
        raise HistoryError(f"no purchase is left of {rows_in:,} rows; check columns.amount and the rules of cleaning")
    return Cleaned(orders.frame(), rejected, report)


def read_orders(settings: Settings, *, today: date, until: date | None = None, rejected_to: Path | None = None) -> Cleaned:
    """Read the source of the settings and clean it: ``read_transactions``, then ``clean_orders``."""
    connection = connect(threads=settings.training.threads, memory_gb=settings.training.memory_gb)
    transactions = read_transactions(settings.source, connection=connection)
    return clean_orders(transactions, settings, today=today, until=until, rejected_to=rejected_to)


@enough_memory()
def write_rejected(rejected: nw.LazyFrame[Any], path: Path) -> None:
    """Write the rejected rows to a Parquet file that appears whole or not at all.

    Raises SettingsError: its folder cannot be written to. InputError: too little memory.
    """
    with replacing(path) as unfinished:
        relation_of(rejected).write_parquet(str(unfinished), compression="zstd")


def _check_cut(columns: list[str], settings: Settings) -> None:
    """Tell a wrong delimiter from a wrong column name: a header that was not cut is one column with delimiters in it."""
    [*first, last] = columns
    if len(first) == 1 and last == UNREADABLE and any(sign in first[0] for sign in ",;\t|"):
        csv = settings.source.csv
        if csv.column_names is None:
            raise SourceError(
                f"the CSV has one column {first[0]!r} when cut at the delimiter {csv.delimiter!r}; set "
                "source.csv.delimiter to the one it is written with"
            )


def _report(rows_in: int, split: RowSplit, orders: OrderTable) -> CleaningReport:
    """Count everything, and check that no row is lost."""
    rejected = split.rejected()
    refused = sum(rejected[reason].count for reason in ("zero_amount", "refund_without_purchase") if reason in rejected)
    used = split.usable_rows - refused
    total = sum(found.count for found in rejected.values())
    if used + split.duplicates + total != rows_in:
        raise AssertionError(f"{rows_in} rows in, but {used} used, {split.duplicates} duplicates, {total} rejected")
    return CleaningReport(
        rows_in=rows_in,
        used=used,
        duplicates=split.duplicates,
        rejected=rejected,
        failed_casts=split.failed_casts(),
        **orders.facts(),
    )


@contextmanager
def _reading() -> Iterator[None]:
    """Say in our words when the source fails while it is read."""
    try:
        yield
    except (duckdb.IOException, duckdb.InvalidInputException) as error:
        raise SourceError(f"the source cannot be read to its end: {str(error).splitlines()[0]}") from error


def _check_share(report: CleaningReport, settings: Settings, rejected_to: Path | None) -> None:
    limit = settings.cleaning.max_rejected_share
    if report.rejected_share <= limit:
        return
    counts = ", ".join(f"{reason} {found.count:,}" for reason, found in report.rejected.items())
    [(most, found), *_] = report.rejected.items()
    where = f" All of them: {rejected_to}." if rejected_to is not None else ""
    raise RejectedRowsError(
        f"{report.rejected_rows:,} of {report.rows_in:,} rows were rejected ({report.rejected_share:.1%}), more than "
        f"cleaning.max_rejected_share allows ({limit:.1%}): {counts}. Examples of {most}: {' | '.join(found.examples)}."
        f"{where} Mend the mapping or the source, or raise the share if these rows may be left out"
    )
