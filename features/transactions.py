"""Raw transactions as a lazy frame on DuckDB: CSV or Parquet files, or a table or query of a database.

All raw columns arrive as text or with their declared type; nothing is guessed, nothing is dropped.
"""

from __future__ import annotations

from typing import Any

import duckdb
import narwhals as nw

from configs.settings import Source, source_path
from features.csv_files import read_csv
from features.databases import read_database
from features.engine import connect, enough_memory
from features.files import find_files
from features.parquet_files import read_parquet


@enough_memory()
def read_transactions(source: Source, *, connection: duckdb.DuckDBPyConnection | None = None) -> nw.LazyFrame[Any]:
    """Read the transactions of one source, on ``connection`` or one of its own.

    Parquet stays where it is and is scanned when needed; CSV and databases are read once, here. A CSV source has the
    extra column ``unreadable_line``: rows that could not be parsed hold their place, text and fault in it.

    Raises SourceError: missing, empty, unreadable, of another format than its name says, or without rows. InputError: too little
    memory.
    """
    connection = connect() if connection is None else connection
    if source.url is not None:
        return nw.from_native(read_database(connection, source))
    files = find_files(source_path(source.path or ""), source.format)
    if files.format == "parquet":
        return nw.from_native(read_parquet(connection, files.paths))
    return nw.from_native(read_csv(connection, files.paths, source.csv))
