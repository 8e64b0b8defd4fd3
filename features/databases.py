"""A table or query of a database, streamed through SQLAlchemy into a DuckDB table.

Cells arrive as text, then each column takes the type its values really had: SQLite lets any value into any column, and
a PostgreSQL query declares none. A column with text in it stays text, to the letter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from configs.addresses import without_password
from configs.errors import SourceError, nearest
from configs.settings import Source
from features.engine import Workbench, quoted

BATCH_ROWS = 50_000
# Digits of a decimal that DuckDB keeps in 8 bytes, and of the longest it has.
_SHORT, _LONG = 18, 38


def read_database(connection: duckdb.DuckDBPyConnection, source: Source) -> duckdb.DuckDBPyRelation:
    """All rows of ``source.table`` or ``source.query``.

    Raises SourceError: no such database, table or driver, a query that fails, columns of the same name, no rows.
    """
    engine = _engine(source)
    try:
        with engine.connect().execution_options(**_read_only(engine)) as database:
            query = source.query if source.query is not None else _select_all(database, source.table or "")
            return _load(connection, database, query)
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise SourceError(f"{without_password(engine.url)}: {' '.join(str(cause).split())}") from None
    finally:
        engine.dispose()


def _engine(source: Source) -> sa.Engine:
    try:
        url = sa.make_url(source.url or "")
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise SourceError(
            f"source.url is not usable: {error}; expected a form like postgresql+psycopg://user@host/name or sqlite:///file.db"
        ) from None
    if url.get_backend_name() == "sqlite" and url.database and not Path(url.database).is_file():
        raise SourceError(f"there is no SQLite file {url.database} (from the folder {Path.cwd()})")
    return engine


def _read_only(engine: sa.Engine) -> dict[str, Any]:
    return {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}


def _select_all(database: sa.Connection, table: str) -> str:
    schema, _, name = table.rpartition(".")
    inspector = sa.inspect(database)
    if not (inspector.has_table(name, schema=schema or None)):
        known = [*inspector.get_table_names(schema=schema or None), *inspector.get_view_names(schema=schema or None)]
        raise SourceError(f'{without_password(database.engine.url)} has no table or view "{table}"; {nearest(name, known)}')
    quote = database.dialect.identifier_preparer.quote_identifier
    return "SELECT * FROM " + ".".join(quote(part) for part in (schema, name) if part)


def _load(connection: duckdb.DuckDBPyConnection, database: sa.Connection, query: str) -> duckdb.DuckDBPyRelation:
    # Without parameters, drivers leave percent signs in the query alone.
    options: dict[str, Any] = {"stream_results": True, "yield_per": BATCH_ROWS, "no_parameters": True}
    result = database.execution_options(**options).exec_driver_sql(query)
    if not result.returns_rows:
        raise SourceError("source.query returns no rows; expected one SELECT")
    names = list(result.keys())
    twice = sorted({name for name in names if [other.lower() for other in names].count(name.lower()) > 1})
    if twice:
        raise SourceError(f"the query returns {', '.join(twice)} more than once; give each column a name of its own")
    bench = Workbench(connection.sql("SELECT 1"))
    table = bench.fresh("database_rows")
    bench.run(f"CREATE TABLE {table} ({', '.join(f'{quoted(name)} VARCHAR' for name in names)})")
    kinds: list[set[type]] = [set() for _ in names]
    rows = 0
    for batch in _batches(result, kinds):
        rows += len(batch[0])
        columns = pa.table([pa.array(cells, pa.string()) for cells in batch], names=[f"c{i}" for i in range(len(names))])
        connection.register("arriving", columns)
        connection.execute(f"INSERT INTO {table} FROM arriving")
        connection.unregister("arriving")
    if rows == 0:
        raise SourceError(f"{without_password(database.engine.url)}: the table or query has no rows")
    return bench.relation(
        f"SELECT {', '.join(_typed(bench, table, *one) for one in zip(names, kinds, strict=True))} FROM {table}"
    )


def _batches(result: sa.CursorResult[Any], kinds: Sequence[set[type]]) -> Iterator[list[list[str | None]]]:
    """Batches of columns as text; ``kinds`` collects the types seen in each column."""
    for rows in result.partitions(BATCH_ROWS):
        columns = [list(cells) for cells in zip(*rows, strict=True)]
        for cells, kind in zip(columns, kinds, strict=True):
            kind.update(map(type, cells))
        yield [[None if cell is None else _as_text(cell) for cell in cells] for cells in columns]


def _as_text(cell: Any) -> str:
    match cell:
        case str():
            return cell
        case Decimal():
            return format(cell, "f") if cell.is_finite() else str(cell)
        case datetime(tzinfo=zone) if zone is not None:
            return cell.astimezone(UTC).isoformat()
        case date():
            return cell.isoformat()
        case bytes() | memoryview():
            try:
                return bytes(cell).decode()
            except UnicodeDecodeError:
                raise SourceError(
                    f"a column holds bytes that are no text, such as {bytes(cell)[:20]!r}; leave it out of the query"
                ) from None
        case _:
            return str(cell)


def _typed(bench: Workbench, table: str, name: str, kinds: set[type]) -> str:
    """The column with the one type that holds all its values without loss, else as text."""
    column = quoted(name)
    kinds = kinds - {type(None)}
    target = "VARCHAR"
    if kinds == {bool}:
        target = "BOOLEAN"
    elif kinds == {int}:
        target = _fitting(bench, table, column, ("BIGINT", "HUGEINT"))
    elif kinds and kinds <= {int, float}:
        target = "DOUBLE"
    elif kinds and kinds <= {int, Decimal}:
        target = _decimal(bench, table, column)
    elif kinds == {date}:
        target = "DATE"
    elif kinds == {datetime}:
        target = _moments(bench, table, column)
    return column if target == "VARCHAR" else f"CAST({column} AS {target}) AS {column}"


def _fitting(bench: Workbench, table: str, column: str, targets: Sequence[str]) -> str:
    """The first type every value can be cast to, else VARCHAR."""
    for target in targets:
        [(lost,)] = bench.run(
            f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL AND TRY_CAST({column} AS {target}) IS NULL"
        )
        if lost == 0:
            return target
    return "VARCHAR"


def _decimal(bench: Workbench, table: str, column: str) -> str:
    [(scale, whole)] = bench.run(
        f"SELECT max(length(split_part({column}, '.', 2))), max(length(ltrim(split_part({column}, '.', 1), '-'))) FROM {table}"
    )
    width = _SHORT if scale + whole <= _SHORT else _LONG
    return _fitting(bench, table, column, (f"DECIMAL({width}, {scale})",)) if scale + whole <= _LONG else "VARCHAR"


def _moments(bench: Workbench, table: str, column: str) -> str:
    [(aware, moments)] = bench.run(f"SELECT count(*) FILTER ({column} LIKE '%+00:00'), count({column}) FROM {table}")
    return {0: "TIMESTAMP", moments: "TIMESTAMPTZ"}.get(aware, "VARCHAR")
