"""CSV files as DuckDB tables, read exactly as declared; lines that cannot be parsed are kept with their fault."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import duckdb

from configs.errors import SourceError
from configs.settings import Csv
from features.engine import Workbench, enough_memory, literal

UNREADABLE = "unreadable_line"
"""Extra column of a CSV source: where, why and what, of a line that could not be read; null in every readable row."""

_HEAD_BYTES = 1 << 16
_SHOWN = 5
_CODECS = {"utf-8": "utf-8-sig", "utf-16": "utf-16", "latin-1": "latin-1"}
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_csv(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path], dialect: Csv) -> duckdb.DuckDBPyRelation:
    """All rows of the files, every column as text, columns united by name.

    Raises SourceError: not in the declared encoding, a broken header, no readable row.
    """
    by_header: dict[tuple[str, ...], list[Path]] = {}
    for path in paths:
        by_header.setdefault(_columns(path, dialect), []).append(path)
    bench = Workbench(connection.sql("SELECT 1"))
    tables = [_load(bench, columns, group, dialect) for columns, group in by_header.items()]
    relation = bench.relation(" UNION ALL BY NAME ".join(f"FROM {table}" for table in tables))
    _check_rows(relation, paths, dialect)
    return relation


def _load(bench: Workbench, columns: tuple[str, ...], paths: list[Path], dialect: Csv) -> str:
    """Read files of one header into a table."""
    faults = bench.fresh("csv_faults")
    scans = bench.fresh("csv_scans")
    types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in columns)
    options = {
        "columns": f"{{{types}}}",
        "auto_detect": "false",
        "header": str(dialect.header).lower(),
        "delim": literal(dialect.delimiter),
        "quote": literal(dialect.quote),
        "escape": literal(dialect.quote),
        "skip": str(dialect.skip_lines),
        "encoding": literal(dialect.encoding),
        "ignore_errors": "true",
        "store_rejects": "true",
        "rejects_table": literal(faults),
        "rejects_scan": literal(scans),
        "rejects_limit": "0",
    }
    files = ", ".join(literal(str(path)) for path in paths)
    given = ", ".join(f"{name} = {value}" for name, value in options.items())
    try:
        with enough_memory():
            table = bench.table(f"SELECT *, CAST(NULL AS VARCHAR) AS {UNREADABLE} FROM read_csv([{files}], {given})", "csv_rows")
            _keep_faults(bench, table, faults, scans)
    except duckdb.Error as error:
        raise SourceError(f"{_shown(paths)}: not readable as CSV: {str(error).splitlines()[0]}") from None
    bench.drop(faults, scans)
    return table


def _keep_faults(bench: Workbench, table: str, faults: str, scans: str) -> None:
    """Put each line that could not be parsed into the table, once, whatever number of faults it has."""
    joined = f"{faults} JOIN (SELECT DISTINCT scan_id, file_id, file_path FROM {scans}) USING (scan_id, file_id)"
    wrong = bench.run(f"SELECT file_path, line FROM {joined} WHERE error_type = 'INVALID ENCODING' ORDER BY ALL LIMIT 5")
    if wrong:
        places = ", ".join(f"{Path(path).name} line {line}" for path, line in wrong)
        raise SourceError(f"{places}: not in the declared encoding; set source.csv.encoding to the one the file has")
    text = r"trim(csv_line, E'\r\n')"
    place = f"parse_filename(file_path) || ' line ' || line || ' (' || error_message || '): ' || {text}"
    bench.run(
        f"INSERT INTO {table} ({UNREADABLE}) SELECT min({place}) FROM {joined} "
        "GROUP BY file_path, line_byte_position ORDER BY file_path, line_byte_position"
    )


def _columns(path: Path, dialect: Csv) -> tuple[str, ...]:
    """The column names of one file."""
    head = _head(path)
    _check_encoding(path, head, dialect)
    if dialect.column_names is not None:
        return dialect.column_names
    with _open(path) as file:
        text = io.TextIOWrapper(file, encoding=_CODECS[dialect.encoding], errors="replace", newline="")
        for _ in range(dialect.skip_lines):
            text.readline()
        names = _header(text, dialect)
    if any("\ufffd" in name for name in names):
        raise SourceError(f"{path} line 1: not in the declared encoding; set source.csv.encoding to the one the file has")
    if not names:
        raise SourceError(f"{path} has no header line after {dialect.skip_lines} skipped lines")
    names = [name or f"column_{place}" for place, name in enumerate(names, start=1)]
    twice = [name for name, count in Counter(name.lower() for name in [*names, UNREADABLE]).items() if count > 1]
    if twice:
        raise SourceError(f"{path}: the header names {', '.join(twice[:5])} twice (case does not tell columns apart)")
    return tuple(names)


def _header(text: io.TextIOWrapper, dialect: Csv) -> list[str]:
    if len(dialect.delimiter) > 1:
        cells = text.readline().rstrip("\r\n").split(dialect.delimiter)
        return [cell.strip(dialect.quote) if dialect.quote else cell for cell in cells]
    if not dialect.quote:
        return next(csv.reader(text, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE), [])
    return next(csv.reader(text, delimiter=dialect.delimiter, quotechar=dialect.quote), [])


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", gzip.open(path, "rb")) if path.name.lower().endswith(".gz") else path.open("rb")


def _head(path: Path) -> bytes:
    try:
        with _open(path) as file:
            return file.read(_HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from None


def _check_encoding(path: Path, head: bytes, dialect: Csv) -> None:
    """Refuse a file whose first part contradicts the declared encoding."""
    declared = dialect.encoding
    marked = next((name for mark, name in _BYTE_ORDER_MARKS.items() if head.startswith(mark)), None)
    if marked not in (None, declared):
        raise SourceError(f"{path} begins with the mark of {marked}, but source.csv.encoding is {declared}; set it to {marked}")
    if (b"\x00" in head) != (declared == "utf-16"):
        found = "bytes of zero: UTF-16, or no text at all" if b"\x00" in head else "single bytes: no UTF-16"
        raise SourceError(f"{path} holds {found}, but source.csv.encoding is {declared}; declare the encoding it has")


def _check_rows(relation: duckdb.DuckDBPyRelation, paths: Sequence[Path], dialect: Csv) -> None:
    [(rows, unreadable, examples)] = relation.aggregate(f"count(*), count({UNREADABLE}), min({UNREADABLE}, 3)").fetchall()
    if rows == 0:
        raise SourceError(f"{_shown(paths)}: a header at most, and no rows")
    if rows == unreadable:
        shown = " | ".join(line[:200] for line in examples)
        raise SourceError(
            f"{_shown(paths)}: none of {rows:,} lines could be read with delimiter {dialect.delimiter!r} and quote "
            f"{dialect.quote!r}: {shown}; declare them under source.csv"
        )


def _shown(paths: Sequence[Path]) -> str:
    return ", ".join(str(path) for path in paths[:_SHOWN]) + (" ..." if len(paths) > _SHOWN else "")
