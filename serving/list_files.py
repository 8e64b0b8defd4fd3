"""A contact list as a file: CSV or XLSX for people, Parquet for programs, or what a CRM imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from configs.errors import SettingsError
from configs.files import replacing
from configs.language import Language
from serving.crm_files import crm_table, crm_target
from serving.exports import ParquetParts, Table, write_table
from serving.list_table import list_table
from serving.lists import ContactList, ListRow

PARQUET = (".parquet", ".pq")
PART_ROWS = 50_000
_PARQUET_TYPES = {
    "text": "string",
    "whole": "int64",
    "money": "float64",
    "percent": "float64",
    "points": "float64",
    "date": "date32",
}


def check_list_suffix(path: Path, target: str | None = None) -> None:
    """Raise SettingsError unless a list can be written to a file of this name; ``target``: one that a CRM imports."""
    suffix = path.suffix.lower()
    if target is not None:
        system = crm_target(target)
        if suffix not in system.suffixes:
            kinds = " or ".join(system.suffixes)
            raise SettingsError(f'{system.name} imports {kinds} files, found "{path.name}"; give --out FILE{system.suffixes[0]}')
    elif suffix not in (".csv", ".xlsx", *PARQUET):
        raise SettingsError(
            f'a list is written as .csv, .xlsx or .parquet, found "{path.name}"; give --out one of these suffixes'
        )


def write_list(path: Path, of: ContactList, rows: Iterable[ListRow], language: Language, target: str | None = None) -> int:
    """Write a list by the suffix of ``path``, or as ``target`` imports it; gives the number of customers.

    Raises SettingsError as :func:`check_list_suffix` does, for more rows than a sheet can hold, and for ids that an import
    file in CSV cannot hold both exactly and harmlessly.
    """
    check_list_suffix(path, target)
    if target is not None:
        return write_table(path, crm_table(crm_target(target), of, rows))
    said = path.suffix.lower() == ".xlsx"
    table = list_table(of, rows, language, said=said)
    if path.suffix.lower() in PARQUET:
        return _write_parquet(path, table)
    return write_table(path, table)


def _write_parquet(path: Path, table: Table) -> int:
    types = {column.name: _PARQUET_TYPES[column.kind] for column in table.columns}
    written = 0
    with replacing(path) as temporary, temporary.open("wb") as file, closing(ParquetParts(file)) as parts:
        for some in _parts(iter(table.rows)):
            columns = dict(zip(types, map(list, zip(*some, strict=True)), strict=True)) if some else {name: [] for name in types}
            parts.add(columns, types=types)
            written += len(some)
    return written


def _parts(rows: Iterator[Any]) -> Iterator[list[Any]]:
    """Some rows at a time; at least one part, so that an empty list is a file with columns too."""
    some = list(islice(rows, PART_ROWS))
    while True:
        yield some
        some = list(islice(rows, PART_ROWS))
        if not some:
            return
