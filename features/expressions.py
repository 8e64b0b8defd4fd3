"""Mapping expressions of the settings: SQL that is checked before it meets any row.

An expression is configuration and trusted as such; these checks are there to explain mistakes: a statement where an
expression belongs, a column that is not there, a function that does not fit the column's type.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from configs.errors import ColumnError, nearest
from features.engine import Workbench, literal, quoted

_TEXT_HINT = "text columns must be cast before arithmetic, for example CAST(Quantity AS INTEGER) * CAST(Price AS DOUBLE)"


@dataclass(frozen=True)
class Expression:
    """One checked expression: the settings key it came from, its SQL, its DuckDB type, the raw columns it reads."""

    key: str
    sql: str
    type: str
    reads: tuple[str, ...]


def checked(bench: Workbench, source: str, columns: Sequence[str], key: str, text: str) -> Expression:
    """Check one expression against the columns of the table ``source``.

    A value that an expression cannot compute (an overflow, a text that is no number) becomes null, never an error.

    A text that is exactly the name of a column is that column, also when it holds blanks or is an SQL word.

    Raises ColumnError: not one single expression, an unknown column (the nearest is named), types that do not fit.
    """
    if not text.strip():
        raise ColumnError(f"{key} is blank; expected a column or an SQL expression")
    named = next((column for column in columns if column.lower() == text.strip().lower()), None)
    text = text if named is None else quoted(named)
    node = _parsed(bench, key, text)
    reads = _known_columns(node, columns, key, text)
    # TRY has its price, and a bare column cannot fail.
    sql = f"({text}\n)" if node["class"] == "COLUMN_REF" else f"TRY({text}\n)"
    try:
        # Beside all columns, an aggregate has no place and is refused.
        *_, (_, type_name, *_) = bench.run(f'DESCRIBE SELECT *, {sql} AS "ft:value" FROM {source}')
    except duckdb.Error as error:
        reason = str(error).split("\n")[0]
        if "volatile" in reason:
            reason = "it has to give the same value for the same row, always"
        hint = f"; {_TEXT_HINT}" if "VARCHAR" in str(error) else ""
        raise ColumnError(f"{key}: {text!r} does not fit the columns: {reason}{hint}") from None
    return Expression(key, sql, str(type_name), reads)


def _parsed(bench: Workbench, key: str, text: str) -> dict[str, Any]:
    """The parse tree of the expression."""
    [(answer,)] = bench.run(f"SELECT json_serialize_sql({literal(f'SELECT ({text}{chr(10)})')})")
    tree = json.loads(answer)
    if tree.get("error"):
        message = str(tree.get("error_message", "")).split("\n")[0]
        if message.startswith("Only SELECT statements"):
            message = "only one expression is allowed here, found a statement"
        raise ColumnError(
            f"{key}: {text!r} is no SQL expression: {message}; expected one like Quantity * Price, with names that hold "
            "blanks or are SQL words in double quotes"
        )
    statements = tree["statements"]
    node = statements[0]["node"]
    single = (
        len(statements) == 1
        and node["type"] == "SELECT_NODE"
        and node["from_table"]["type"] == "EMPTY"
        and len(node["select_list"]) == 1
        and not node["select_list"][0]["alias"]
        and not any(node.get(part) for part in ("where_clause", "having", "qualify", "group_expressions", "modifiers"))
    )
    if not single:
        raise ColumnError(f"{key}: {text!r} must be one single expression over the columns of a row")
    expression: dict[str, Any] = node["select_list"][0]
    for part in _nodes(expression):
        if part.get("class") in ("SUBQUERY", "WINDOW", "STAR", "PARAMETER"):
            raise ColumnError(f"{key}: {text!r} must compute its value from one row: no sub-query, window, * or parameter")
    return expression


def _known_columns(node: dict[str, Any], columns: Sequence[str], key: str, text: str) -> tuple[str, ...]:
    """The raw columns an expression reads, as the source spells them."""
    spelled = {column.lower(): column for column in columns}
    lambdas = any(part.get("class") == "LAMBDA" for part in _nodes(node))
    reads: dict[str, None] = {}
    for part in _nodes(node):
        if part.get("class") != "COLUMN_REF":
            continue
        names = part["column_names"]
        found = next((spelled[name.lower()] for name in names if name.lower() in spelled), None)
        if found is not None:
            reads[found] = None
        elif not lambdas:
            raise ColumnError(f'{key}: the source has no column "{names[-1]}" (in {text!r}); {nearest(names[-1], columns)}')
    return tuple(reads)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for value in tree.values():
            yield from _nodes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _nodes(value)
