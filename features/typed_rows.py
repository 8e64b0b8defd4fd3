"""The SQL that turns raw rows into typed rows, and says why where it cannot.

Three nested SELECTs over the raw table: the mapped cells as the expressions give them (``m:`` columns), the canonical
values cast from them, and one reason per row: the first that applies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from configs.errors import ColumnError
from configs.settings import Settings
from features.csv_files import UNREADABLE
from features.engine import Workbench, literal, quoted
from features.expressions import Expression, checked

LARGEST_AMOUNT = 1e12
EARLIEST_DAY = date(1900, 1, 1)

_WHOLE = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT")
_FLOAT = ("FLOAT", "DOUBLE")
_NESTED = ("STRUCT", "MAP", "UNION", "[]", "]", "BLOB", "LIST")
_ROWS = "<the raw rows\x00>"
_BLANK = r"E' \t\r\n'"
_ISO_LOCAL = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$"
_ISO_OFFSET = r"^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)? ?([Zz]|[+-]\d{2}(:?\d{2})?)$"


@dataclass(frozen=True)
class TypedRows:
    """The checked mapping of one source."""

    source: str
    pattern: str
    raw_columns: tuple[str, ...]
    reads: tuple[str, ...]
    attributes: tuple[str, ...]
    cast_columns: tuple[str, ...]
    has_lines: bool

    @property
    def sql(self) -> str:
        """The SQL of the rows that are part of the run.

        It selects every raw column, the canonical ones as ``c:...``, the cells that could not be cast as ``failed:...``, and
        ``x:reason``: null for a row that can be used.
        """
        return self.over(self.source)

    def over(self, rows: str) -> str:
        """The same SQL over some of the raw rows."""
        return self.pattern.replace(_ROWS, rows)

    @property
    def canonical_columns(self) -> tuple[str, ...]:
        """The typed columns, attributes last."""
        return ("customer_id", "order_id", "ordered_at", "order_day", "amount", "items", *self.attributes)


def typed_rows(
    bench: Workbench, source: str, columns: Mapping[str, str], settings: Settings, *, today: date, until: date | None
) -> TypedRows:
    """Check the mapping of ``settings`` against a raw table and write the SQL of its typed rows.

    ``columns`` are the raw columns with their DuckDB types. Raises ColumnError: see ``features.expressions.checked``; a
    date format that is none.
    """
    raw = [name for name in columns if name != UNREADABLE]
    _check_date_format(bench, settings.cleaning.date_format)

    def expression(key: str, text: str) -> Expression:
        return checked(bench, source, raw, key, text)

    mapped = {
        name: expression(f"columns.{name}", text) for name, text in settings.columns.model_dump().items() if text is not None
    }
    attributes = {name: expression(f"attributes.{name}", text) for name, text in settings.attributes.items()}
    rules = {name: expression(f"cleaning.reject.{name}", text) for name, text in settings.cleaning.reject.items()}
    for rule in rules.values():
        if rule.type not in ("BOOLEAN", '"NULL"'):
            raise ColumnError(f"{rule.key}: a rule must be true or false, found {rule.type}; write a comparison")
    cells = {f"m:{name}": one.sql for name, one in (mapped | attributes).items()}
    inner = f"SELECT *, {_select(cells)} FROM {_ROWS}"
    typed = f"SELECT *, {_select(_values(mapped, attributes, settings))} FROM ({inner})"
    reasons = _reasons(mapped, rules, settings, today, has_lines=UNREADABLE in columns)
    outer = f'SELECT *, {_failed(mapped)}, CASE {reasons} END AS "x:reason" FROM ({typed})'
    if until is not None:
        outer += f' WHERE "c:ordered_at" IS NULL OR "c:ordered_at" < {_day(until)}'
    everything = (*mapped.values(), *attributes.values(), *rules.values())
    reads = tuple(dict.fromkeys(column for one in everything for column in one.reads))
    casts = tuple(name for name in ("ordered_at", "amount", "items") if name in mapped)
    return TypedRows(source, outer, tuple(raw), reads, tuple(attributes), casts, UNREADABLE in columns)


def _check_date_format(bench: Workbench, date_format: str | None) -> None:
    if date_format is None:
        return
    try:
        bench.run(f"SELECT try_strptime('', {literal(date_format)})")
    except duckdb.Error as error:
        reason = str(error).rpartition(": ")[2]
        raise ColumnError(
            f"cleaning.date_format: {date_format!r} is no strptime format ({reason}); expected one such as %d.%m.%Y %H:%M"
        ) from None


def _select(named: Mapping[str, str]) -> str:
    return ", ".join(f"{sql} AS {quoted(name)}" for name, sql in named.items())


def _values(mapped: Mapping[str, Expression], attributes: Mapping[str, Expression], settings: Settings) -> dict[str, str]:
    """Canonical column = SQL over the ``m:`` cells."""
    rule = settings.cleaning.whole_float_ids
    ordered_at = _moment(mapped["ordered_at"], settings)
    values = {
        "customer_id": _identifier(mapped["customer_id"], rule),
        "order_id": _identifier(mapped["order_id"], rule) if "order_id" in mapped else "CAST(NULL AS VARCHAR)",
        "ordered_at": ordered_at,
        "order_day": f"date_diff('day', DATE '1970-01-01', CAST({ordered_at} AS DATE))",
        "amount": _number(mapped["amount"], settings.source.csv.decimal_sign),
        "items": _number(mapped["items"], settings.source.csv.decimal_sign) if "items" in mapped else "CAST(NULL AS DOUBLE)",
    }
    values |= {name: f"CAST({_cell(name)} AS VARCHAR)" for name in attributes}
    return {f"c:{name}": sql for name, sql in values.items()}


def _cell(name: str) -> str:
    return quoted(f"m:{name}")


def _name(expression: Expression) -> str:
    return expression.key.partition(".")[2]


def _is_text(kind: str) -> bool:
    return kind in ("VARCHAR", '"NULL"') or kind.startswith("ENUM")


def _text(cell: str) -> str:
    """A cell as text without the blanks around it; null when nothing is left."""
    return f"nullif(trim(CAST({cell} AS VARCHAR), {_BLANK}), '')"


def _identifier(expression: Expression, whole_float_ids: str) -> str:
    """An id as exact text; null when it is null, blank or NaN."""
    cell = _cell(_name(expression))
    if expression.type.endswith(_NESTED) or expression.type.startswith(_NESTED):
        raise ColumnError(f"{expression.key}: an id must be text or a number, found {expression.type}")
    text = f"CAST({cell} AS VARCHAR)"
    value = f"CASE WHEN {_text(cell)} IS NOT NULL THEN {text} END"
    if expression.type in _FLOAT:
        whole = f"CAST(CAST({cell} AS BIGINT) AS VARCHAR)"
        dropped = f"WHEN {cell} = floor({cell}) AND abs({cell}) < 9007199254740992 THEN {whole} "
        keep = "" if whole_float_ids == "keep" else dropped
        value = (
            f"CASE WHEN isfinite({cell}) THEN CASE {keep}ELSE {text} END END"
            if keep
            else f"CASE WHEN isfinite({cell}) THEN {text} END"
        )
    elif whole_float_ids == "drop_point_zero" and (expression.type == "VARCHAR" or expression.type.startswith("DECIMAL")):
        value = rf"regexp_replace({value}, '^([+-]?\d+)\.0+$', '\1')"
    return value


def _moment(expression: Expression, settings: Settings) -> str:
    """A moment in the business time zone, naive; null when it cannot be one."""
    cell, kind = _cell(_name(expression)), expression.type
    zone, date_format = literal(settings.time_zone), settings.cleaning.date_format
    if _is_text(kind) or (kind in _WHOLE and date_format is not None):
        value = _parsed_moment(_text(cell), zone, date_format)
    elif kind == "DATE" or kind in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"):
        value = f"TRY_CAST({cell} AS TIMESTAMP)"
    elif kind == "TIMESTAMP WITH TIME ZONE":
        value = f"timezone({zone}, {cell})"
    else:
        raise ColumnError(
            f"{expression.key}: expected a date, a timestamp or text, found {kind}; set cleaning.date_format for numbers "
            "such as 20240131, or write to_timestamp(...) for seconds since 1970"
        )
    return f"CASE WHEN isfinite({value}) AND {value} >= {_day(EARLIEST_DAY)} THEN {value} END"


def _parsed_moment(text: str, zone: str, date_format: str | None) -> str:
    if date_format is None:
        with_offset = f"timezone({zone}, TRY_CAST({text} AS TIMESTAMPTZ))"
        return (
            f"CASE WHEN regexp_matches({text}, {literal(_ISO_LOCAL)}) THEN TRY_CAST({text} AS TIMESTAMP) "
            f"WHEN regexp_matches({text}, {literal(_ISO_OFFSET)}) THEN {with_offset} END"
        )
    parsed = f"try_strptime({text}, {literal(date_format)})"
    return f"timezone({zone}, {parsed})" if "%z" in date_format else parsed


def _number(expression: Expression, decimal_sign: str) -> str:
    """A finite number below the largest amount; null when it cannot be one."""
    cell, kind = _cell(_name(expression)), expression.type
    if _is_text(kind):
        text = _text(cell)
        foreign = "_" if decimal_sign == "." else "._"
        plain = f"replace({text}, ',', '.')" if decimal_sign == "," else text
        value = f"CASE WHEN translate({text}, '{foreign}', '') = {text} THEN TRY_CAST({plain} AS DOUBLE) END"
    elif kind in _WHOLE or kind in _FLOAT or kind.startswith("DECIMAL"):
        value = f"CAST({cell} AS DOUBLE)"
    else:
        raise ColumnError(f"{expression.key}: expected a number or text, found {kind}")
    return f"CASE WHEN abs({value}) <= {LARGEST_AMOUNT!r} THEN {value} END"


def _failed(mapped: Mapping[str, Expression]) -> str:
    """The text of each cell that holds something of which no value could be made."""
    flags = {
        f"failed:{name}": f"CASE WHEN {quoted(f'c:{name}')} IS NULL THEN {_text(_cell(name))} END"
        for name in ("ordered_at", "amount", "items")
        if name in mapped
    }
    return _select(flags)


def _reasons(
    mapped: Mapping[str, Expression], rules: Mapping[str, Expression], settings: Settings, today: date, *, has_lines: bool
) -> str:
    """The WHEN branches, first that applies."""
    tests: dict[str, str] = {}
    if has_lines:
        tests["unreadable_line"] = f"{UNREADABLE} IS NOT NULL"
    tests["no_customer_id"] = '"c:customer_id" IS NULL'
    tests["bad_ordered_at"] = '"c:ordered_at" IS NULL'
    tests["bad_amount"] = '"c:amount" IS NULL'
    if "items" in mapped:
        tests["bad_items"] = f'"c:items" IS NULL AND {_text(_cell("items"))} IS NOT NULL'
    tests["in_the_future"] = f'CAST("c:ordered_at" AS DATE) > {_day(today)}'
    if "currency" in mapped:
        tests["other_currency"] = f"upper({_text(_cell('currency'))}) IS DISTINCT FROM {literal(settings.currency)}"
    tests |= {name: f"coalesce({rule.sql}, false)" for name, rule in rules.items()}
    return " ".join(f"WHEN {test} THEN {literal(name)}" for name, test in tests.items())


def _day(day: date) -> str:
    return f"DATE '{day.isoformat()}'"


def select_canonical(names: Sequence[str]) -> str:
    """The canonical columns under their own names."""
    return ", ".join(f"{quoted(f'c:{name}')} AS {quoted(name)}" for name in names)
