"""Each raw row to its place: usable, a duplicate of a usable one, or rejected with a reason."""

from __future__ import annotations

from typing import Any

import narwhals as nw

from configs.errors import ColumnError, nearest
from configs.settings import Cleaning
from features.cleaning_report import Found
from features.csv_files import UNREADABLE
from features.engine import Workbench, literal, quoted, relation_of
from features.netting import order_name
from features.typed_rows import TypedRows, select_canonical

_EXAMPLES = 5


class RowSplit:
    """The usable rows and the rejected rows of one run, as tables of the workbench.

    ``usable`` is the SQL of the typed rows that can be used, without duplicates; ``duplicates`` counts those left out.
    """

    def __init__(self, bench: Workbench, typed: TypedRows, cleaning: Cleaning) -> None:
        self._bench, self._typed = bench, typed
        self._drop = cleaning.exact_duplicates == "drop"
        ignored = _spelled(cleaning.duplicates_ignore, typed.raw_columns)
        self._compared = [quoted(name) for name in typed.raw_columns if name not in ignored]
        self._ignored = [quoted(name) for name in typed.raw_columns if name in ignored]
        rejected = f'SELECT {self._rejected_columns()} FROM ({typed.sql}) WHERE "x:reason" IS NOT NULL'
        self._rejected = bench.table(rejected, "rejected")
        self._room: list[str] = []
        self.duplicates = 0
        self.usable = self._usable()
        self.usable_rows = bench.count(f"({self.usable})")

    def reject_orders(self, reason: str, keys: str) -> None:
        """Reject usable rows whose orders were refused; ``keys`` is a table of columns that name these orders."""
        bench = self._bench
        if bench.count(keys) == 0:
            return
        rows = bench.frame(f'FROM ({self._typed.sql}) WHERE "x:reason" IS NULL')
        refused = bench.frame(f"FROM {keys}")
        names = refused.collect_schema().names()
        if "order_id" in names:
            rows = rows.with_columns(order_name("c:order_id", "c:ordered_at").alias("c:order_id"))
        matching = rows.join(refused, left_on=[f"c:{name}" for name in names], right_on=names, how="semi")
        view = bench.view(relation_of(matching), "matching")
        chosen = self._first_of_equals(view) if self._drop else f"FROM {view}"
        bench.run(f"INSERT INTO {self._rejected} SELECT {self._rejected_columns(literal(reason))} FROM ({chosen})")

    def close(self) -> None:
        """Give back the room of the usable rows; what was counted and rejected stays."""
        self._bench.drop(*self._room)

    def rejected(self) -> dict[str, Found]:
        """Reason: count and examples, most rows first."""
        cells = [f"{literal(name + '=')} || coalesce(CAST({quoted(name)} AS VARCHAR), '')" for name in self._typed.reads]
        example = f"left(concat_ws(', ', {', '.join(cells)}), 200)" if cells else "''"
        if self._typed.has_lines:
            example = f"coalesce(left({UNREADABLE}, 200), {example})"
        found = self._bench.run(
            f'SELECT "x:reason", count(*), min({example}, {_EXAMPLES}) FROM {self._rejected} GROUP BY 1 ORDER BY 2 DESC, 1'
        )
        return {reason: Found(count, tuple(examples)) for reason, count, examples in found}

    def failed_casts(self) -> dict[str, Found]:
        """Canonical column: how many cells held something of which no value could be made, and examples."""
        casts = {}
        for name in self._typed.cast_columns:
            cell = quoted(f"failed:{name}")
            [(count, examples)] = self._bench.run(
                f"SELECT count({cell}), min(DISTINCT left({cell}, 100), {_EXAMPLES}) FROM {self._rejected}"
            )
            casts[name] = Found(count, tuple(examples or ()))
        return casts

    def rejected_frame(self) -> nw.LazyFrame[Any]:
        """The raw columns of the rejected rows and ``reason``; a raw column of that name becomes ``raw_reason``."""
        columns = [f"{name} AS raw_reason" if name.lower() == '"reason"' else name for name in self._raw()]
        return self._bench.frame(f'SELECT {", ".join(columns)}, "x:reason" AS reason FROM {self._rejected}')

    def _usable(self) -> str:
        """Leave one of each set of rows that are equal in all compared columns.

        Hashes only find the candidates; whether they are equal is decided on the columns themselves.
        """
        bench, typed = self._bench, self._typed
        columns = select_canonical(typed.canonical_columns)
        names = ", ".join(quoted(name) for name in typed.canonical_columns)
        fingerprint = f', {self._row_hash()} AS "x:row_hash"' if self._drop else ""
        rows = bench.table(f'SELECT {columns}{fingerprint} FROM ({typed.sql}) WHERE "x:reason" IS NULL', "rows")
        self._room.append(rows)
        if not self._drop:
            return f"SELECT {names} FROM {rows}"
        repeated = bench.table(f'SELECT "x:row_hash" FROM {rows} GROUP BY 1 HAVING count(*) > 1', "repeated")
        self._room.append(repeated)
        if bench.count(repeated) == 0:
            return f"SELECT {names} FROM {rows}"
        alike = f"(FROM {typed.source} WHERE {self._row_hash()} IN (FROM {repeated}))"
        candidates = f'(FROM ({typed.over(alike)}) WHERE "x:reason" IS NULL)'
        kept = bench.table(f"SELECT {columns} FROM ({self._first_of_equals(candidates)})", "kept")
        self._room.append(kept)
        others = f'FROM {rows} WHERE "x:row_hash" NOT IN (FROM {repeated})'
        self.duplicates = bench.count(rows) - bench.count(kept) - bench.count(f"({others})")
        return f"SELECT {names} {others} UNION ALL SELECT {names} FROM {kept}"

    def _row_hash(self) -> str:
        return f"hash({', '.join(self._compared)})"

    def _first_of_equals(self, rows: str) -> str:
        """One of each set of equal rows; which one depends on the ignored columns only."""
        order = f" ORDER BY {', '.join(self._ignored)}" if self._ignored else ""
        return f"FROM {rows} QUALIFY row_number() OVER (PARTITION BY {', '.join(self._compared)}{order}) = 1"

    def _rejected_columns(self, reason: str = '"x:reason"') -> str:
        failed = [quoted(f"failed:{name}") for name in self._typed.cast_columns]
        return ", ".join([*self._raw(), *failed, f'{reason} AS "x:reason"'])

    def _raw(self) -> list[str]:
        technical = (UNREADABLE,) if self._typed.has_lines else ()
        return [quoted(name) for name in (*self._typed.raw_columns, *technical)]


def _spelled(names: tuple[str, ...], columns: tuple[str, ...]) -> set[str]:
    """Columns named in the settings, as the source spells them."""
    known = {column.lower(): column for column in columns}
    for name in names:
        if name.lower() not in known:
            raise ColumnError(f'cleaning.duplicates_ignore: the source has no column "{name}"; {nearest(name, columns)}')
    if len(known) == len({name.lower() for name in names}):
        raise ColumnError("cleaning.duplicates_ignore names every column: nothing is left to compare")
    return {known[name.lower()] for name in names}
