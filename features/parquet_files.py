"""Parquet files as one DuckDB relation, scanned where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb

from configs.errors import SourceError
from features.engine import enough_memory


def read_parquet(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> duckdb.DuckDBPyRelation:
    """All rows of the files, columns united by name.

    Raises SourceError: damaged files, columns whose types cannot be united, no rows at all.
    """
    names = [str(path) for path in paths]
    try:
        with enough_memory():
            relation = connection.read_parquet(names, union_by_name=True, hive_partitioning=False)
            [(rows,)] = relation.count("*").fetchall()
    except duckdb.Error as error:
        shown = ", ".join(names[:5])
        raise SourceError(f"{shown}: not readable as Parquet: {str(error).splitlines()[0]}") from None
    if rows == 0:
        raise SourceError(f"{', '.join(names[:5])}: no rows in it")
    return relation
