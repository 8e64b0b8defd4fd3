"""Clean orders out of raw transactions: every row is used, dropped as a duplicate, or rejected with a reason."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw

from configs.errors import ColumnError, HistoryError, RejectedRowsError, SourceError, nearest
from configs.settings import Settings
from features.cleaning_report import CleaningReport, Found
from features.csv_files import UNREADABLE
from features.engine import Workbench, literal, quoted, relation_of
from features.netting import (
    canonical,
    has_purchase_before,
    is_zero_order,
    net_days,
    net_orders,
    order_name,
    sum_lines,
    with_history,
)
from features.typed_rows import TypedRows, select_canonical, typed_rows

__all__ = ["Cleaned", "clean_orders", "net_orders", "write_rejected"]

_ORDER_KEY = ("customer_id", "order_day", "order_id")
_ORDER_REASONS = ("zero_amount", "refund_without_purchase")


@dataclass(frozen=True)
class Cleaned:
    """Canonical orders sorted by (customer_id, order_day, order_id), rejected raw rows with their ``reason``, the report."""

    orders: nw.LazyFrame[Any]
    rejected: nw.LazyFrame[Any]
    report: CleaningReport


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
    """
    relation = relation_of(transactions)
    bench = Workbench(relation)
    source = bench.view(relation, "source")
    columns = {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
    with _reading():
        typed = typed_rows(bench, source, columns, settings, today=today, until=until)
        run = _Run(bench, typed, settings)
        rows_in = run.count(f"({typed.sql})")
        run.sort_out_rows()
        run.drop_duplicates()
        run.make_orders()
        run.reject_rows_of_orders()
    report = run.report(rows_in)
    rejected = run.rejected_frame()
    if rejected_to is not None:
        write_rejected(rejected, rejected_to)
    _check_share(report, settings, rejected_to)
    if report.customers == 0:
        raise HistoryError(f"no purchase is left of {rows_in:,} rows; see the mapping under columns, and the reject rules")
    return Cleaned(run.orders_frame(), rejected, report)


def write_rejected(rejected: nw.LazyFrame[Any], path: Path) -> None:
    """Write the rejected rows to a Parquet file that appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        relation_of(rejected).write_parquet(str(unfinished), compression="zstd")
        with unfinished.open("rb") as file:
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


class _Run:
    """The tables of one cleaning, made one after the other."""

    def __init__(self, bench: Workbench, typed: TypedRows, settings: Settings) -> None:
        self.bench, self.typed, self.settings = bench, typed, settings
        self.drop = settings.cleaning.exact_duplicates == "drop"
        ignored = _spelled(settings.cleaning.duplicates_ignore, typed.raw_columns)
        self.compared = [quoted(name) for name in typed.raw_columns if name not in ignored]
        self.ignored = [quoted(name) for name in typed.raw_columns if name in ignored]
        self.duplicates = 0

    def count(self, table: str) -> int:
        [(count,)] = self.bench.run(f"SELECT count(*) FROM {table}")
        return int(count)

    def sort_out_rows(self) -> None:
        """Split the rows into usable ones and rejected ones."""
        columns = select_canonical(self.typed.canonical_columns)
        fingerprint = f', {self._row_hash()} AS "row_hash"' if self.drop else ""
        usable = f'SELECT {columns}{fingerprint} FROM ({self.typed.sql}) WHERE "c:reason" IS NULL'
        self.rows = self.bench.table(usable, "rows")
        rejected = f'SELECT {self._rejected_columns()} FROM ({self.typed.sql}) WHERE "c:reason" IS NOT NULL'
        self.rejected = self.bench.table(rejected, "rejected")

    def drop_duplicates(self) -> None:
        """Leave one of each set of rows that are equal in all compared columns.

        Hashes only find the candidates; whether they are equal is decided on the columns themselves.
        """
        names = ", ".join(quoted(name) for name in self.typed.canonical_columns)
        if not self.drop:
            self.usable = f"SELECT {names} FROM {self.rows}"
            return
        repeated = self.bench.table(f"SELECT row_hash FROM {self.rows} GROUP BY row_hash HAVING count(*) > 1", "repeated")
        alike = f"(FROM {self.typed.source} WHERE {self._row_hash()} IN (FROM {repeated}))"
        candidates = f'FROM ({self.typed.over(alike)}) WHERE "c:reason" IS NULL'
        kept = self.bench.table(
            f"SELECT {select_canonical(self.typed.canonical_columns)} FROM ({self._first_of_equals(candidates)})", "kept"
        )
        others = f"FROM {self.rows} WHERE row_hash NOT IN (FROM {repeated})"
        self.duplicates = self.count(self.rows) - self.count(kept) - self.count(f"({others})")
        self.usable = f"SELECT {names} {others} UNION ALL SELECT {names} FROM {kept}"

    def make_orders(self) -> None:
        """Net the usable rows; the orders of the run, sorted."""
        bench, zero_rule = self.bench, self.settings.cleaning.zero_amount_orders
        self.summed = self._store(sum_lines(bench.frame(self.usable)), "summed")
        netted = net_days(bench.frame(f"FROM {self.summed}"), zero_amount_orders=zero_rule)
        self.netted = self._store(with_history(netted), "netted")
        orders = canonical(bench.frame(f"FROM {self.netted}")).sort("customer_id", "order_day", "order_id")
        self.orders = self._store(orders, "orders")

    def reject_rows_of_orders(self) -> None:
        """Reject the rows of orders that netting refused: their raw rows are looked up once more."""
        netted = self.bench.frame(f"FROM {self.netted}")
        orphans = netted.filter(~has_purchase_before())
        zeros = self.bench.frame(f"FROM {self.summed}").filter(is_zero_order())
        if self.settings.cleaning.zero_amount_orders == "reject":
            self._reject("zero_amount", zeros.select(*_ORDER_KEY))
        self._reject("refund_without_purchase", orphans.select(*_ORDER_KEY[:2]))

    def report(self, rows_in: int) -> CleaningReport:
        """Count everything, and check that no row is lost."""
        rejected = self._rejected()
        refused = sum(rejected[reason].count for reason in _ORDER_REASONS if reason in rejected)
        used = self.count(f"({self.usable})") - refused
        total = sum(found.count for found in rejected.values())
        if used + self.duplicates + total != rows_in:
            raise AssertionError(f"{rows_in} rows in, but {used} used, {self.duplicates} duplicates, {total} rejected")
        return CleaningReport(
            rows_in=rows_in,
            used=used,
            duplicates=self.duplicates,
            rejected=rejected,
            failed_casts=self._failed_casts(),
            **self._order_facts(),
        )

    def orders_frame(self) -> nw.LazyFrame[Any]:
        return self.bench.frame(f"FROM {self.orders}")

    def rejected_frame(self) -> nw.LazyFrame[Any]:
        """The raw columns of the rejected rows and ``reason``; a raw column of that name becomes ``raw_reason``."""
        columns = [f"{name} AS raw_reason" if name.lower() == '"reason"' else name for name in self._raw()]
        return self.bench.frame(f'SELECT {", ".join(columns)}, "c:reason" AS reason FROM {self.rejected}')

    def _row_hash(self) -> str:
        return f"hash({', '.join(self.compared)})"

    def _first_of_equals(self, rows: str) -> str:
        """One of each set of equal rows; which one depends on the ignored columns only."""
        order = f" ORDER BY {', '.join(self.ignored)}" if self.ignored else ""
        window = f"row_number() OVER (PARTITION BY {', '.join(self.compared)}{order})"
        return f"FROM ({rows}) QUALIFY {window} = 1"

    def _store(self, frame: nw.LazyFrame[Any], name: str) -> str:
        view = self.bench.view(relation_of(frame), f"{name}_query")
        table = self.bench.table(f"FROM {view}", name)
        self.bench.run(f"DROP VIEW {view}")
        return table

    def _reject(self, reason: str, keys: nw.LazyFrame[Any]) -> None:
        refused = self._store(keys, "refused")
        if self.count(refused) == 0:
            return
        rows = self.bench.frame(f'FROM ({self.typed.sql}) WHERE "c:reason" IS NULL')
        names = keys.collect_schema().names()
        if "order_id" in names:
            rows = rows.with_columns(order_name("c:order_id", "c:ordered_at").alias("c:order_id"))
        left = [f"c:{name}" for name in names]
        matching = rows.join(self.bench.frame(f"FROM {refused}"), left_on=left, right_on=names, how="semi")
        view = self.bench.view(relation_of(matching), "matching")
        chosen = self._first_of_equals(f"FROM {view}") if self.drop else f"FROM {view}"
        columns = self._rejected_columns(literal(reason))
        self.bench.run(f"INSERT INTO {self.rejected} SELECT {columns} FROM ({chosen})")

    def _rejected_columns(self, reason: str = '"c:reason"') -> str:
        failed = [quoted(f"failed:{name}") for name in self.typed.cast_columns]
        return ", ".join([*self._raw(), *failed, f'{reason} AS "c:reason"'])

    def _raw(self) -> list[str]:
        technical = (UNREADABLE,) if self.typed.has_lines else ()
        return [quoted(name) for name in (*self.typed.raw_columns, *technical)]

    def _rejected(self) -> dict[str, Found]:
        """Reason = count and examples, most rows first."""
        shown = [f"{literal(name + '=')} || coalesce(CAST({quoted(name)} AS VARCHAR), '')" for name in self.typed.reads]
        example = f"left(concat_ws(', ', {', '.join(shown)}), 200)" if shown else "''"
        if self.typed.has_lines:
            example = f"coalesce(left({UNREADABLE}, 200), {example})"
        found = self.bench.run(
            f'SELECT "c:reason", count(*), min({example}, 5) FROM {self.rejected} GROUP BY 1 ORDER BY 2 DESC, 1'
        )
        return {reason: Found(count, tuple(examples)) for reason, count, examples in found}

    def _failed_casts(self) -> dict[str, Found]:
        casts = {}
        for name in self.typed.cast_columns:
            failed = quoted(f"failed:{name}")
            [(count, examples)] = self.bench.run(
                f"SELECT count({failed}), min(DISTINCT left({failed}, 100), 5) FROM {self.rejected}"
            )
            casts[name] = Found(count, tuple(examples or ()))
        return casts

    def _order_facts(self) -> dict[str, Any]:
        # Of the purchases after the first day of their customer, exactly one has the first day as its previous one.
        second = "order_day > first_order_day AND previous_order_day = first_order_day AND amount >= 0"
        purchase = "count(*) FILTER (amount >= 0)"
        [(orders, refunds, customers, repeaters, first, last)] = self.bench.run(
            f"SELECT {purchase}, count(*) FILTER (amount < 0), "
            "count(*) FILTER (amount >= 0 AND previous_order_day IS NULL), "
            f"count(*) FILTER ({second}), coalesce(min(order_day), 0), coalesce(max(order_day), 0) FROM {self.orders}"
        )
        before = self.count(f"{self.summed} WHERE _units >= 0")
        zeros = self.count(f"{self.summed} WHERE _units = 0 AND _refund_lines = 0")
        refused = zeros if self.settings.cleaning.zero_amount_orders == "reject" else 0
        return {
            "orders": orders,
            "refunds": refunds,
            "cancelled_same_day": before - refused - orders,
            "customers": customers,
            "first_order_day": first,
            "last_order_day": last,
            "one_time_share": (customers - repeaters) / customers if customers else 0.0,
            "fingerprint": self._fingerprint(),
        }

    def _fingerprint(self) -> str:
        """The sum of a 128-bit hash of every order: independent of their order, and fast."""
        orders = relation_of(self.orders_frame())
        cells = [f"coalesce(CAST({quoted(name)} AS VARCHAR), chr(0))" for name in orders.columns]
        row = f"concat_ws(chr(31), {', '.join(cells)})"
        [sums] = self.bench.run(
            f"SELECT count(*), sum(CAST(md5_number_lower({row}) AS HUGEINT)), "
            f"sum(CAST(md5_number_upper({row}) AS HUGEINT)) FROM {self.orders}"
        )
        return sha256(repr((orders.columns, [str(one) for one in sums])).encode()).hexdigest()


def _spelled(names: tuple[str, ...], columns: tuple[str, ...]) -> set[str]:
    """Columns named in the settings, as the source spells them."""
    known = {column.lower(): column for column in columns}
    for name in names:
        if name.lower() not in known:
            raise ColumnError(
                f'cleaning.duplicates_ignore: the source has no column "{name}"; {nearest(name, columns)}'
            )
    return {known[name.lower()] for name in names}


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
    reasons = "; ".join(
        f"{reason}: {found.count:,} rows, for example {' | '.join(found.examples[:5])}"
        for reason, found in report.rejected.items()
    )
    where = f"; all of them with their reasons: {rejected_to}" if rejected_to is not None else ""
    raise RejectedRowsError(
        f"{report.rejected_rows:,} of {report.rows_in:,} rows were rejected ({report.rejected_share:.1%}), more than "
        f"cleaning.max_rejected_share allows ({limit:.1%}). {reasons}{where}. Mend the mapping or the source, or raise the "
        "share if these rows may be left out"
    )
