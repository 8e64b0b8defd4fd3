"""The query parameters of the churn-risk list, strictly read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from serving.lists import CURSOR, MOST_PAGE_ROWS, PAGE_ROWS, Filters
from serving.refusal import Fault
from serving.schemas import invalid

PAGED = ("tier", "min_risk", "limit", "cursor")
WHOLE = ("tier", "min_risk", "top")
MAX_TIERS = 50
MAX_TOP = 10_000_000
MAX_SHEET_ROWS = 50_000

_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What is asked of the list. ``limit`` and ``cursor`` are for pages, ``top`` for whole files."""

    filters: Filters
    limit: int
    cursor: str | None
    top: int | None


def list_query(values: Mapping[str, Sequence[str]]) -> ListQuery:
    """Check parameters. Raises Refusal (400) with the path ``query.NAME``."""
    risk = _single(values, "min_risk")
    filters = Filters(_tiers(values.get("tier", ())), 0.0 if risk is None else _risk(risk))
    cursor = _single(values, "cursor")
    if cursor is not None and not CURSOR.fullmatch(cursor):
        raise _bad("cursor", "is none that a page of this list gave; start again without it")
    limit = _whole(values, "limit", MOST_PAGE_ROWS)
    return ListQuery(filters, PAGE_ROWS if limit is None else limit, cursor, _whole(values, "top", MAX_TOP))


def _tiers(names: Sequence[str]) -> tuple[str, ...]:
    if len(names) > MAX_TIERS:
        raise _bad("tier", f"may be given {MAX_TIERS} times")
    return tuple(names)


def _risk(text: str) -> float:
    if not _DECIMAL.fullmatch(text) or not 0.0 <= float(text) <= 1.0:
        raise _bad("min_risk", "must be a number from 0 to 1")
    return abs(float(text))  # -0.0 is 0


def _whole(values: Mapping[str, Sequence[str]], name: str, most: int) -> int | None:
    text = _single(values, name)
    if text is None:
        return None
    if not _INTEGER.fullmatch(text) or not 1 <= int(text) <= most:
        raise _bad(name, f"must be a whole number from 1 to {most}")
    return int(text)


def _single(values: Mapping[str, Sequence[str]], name: str) -> str | None:
    given = values.get(name, ())
    if len(given) > 1:
        raise _bad(name, "is given more than once")
    return given[0] if given else None


def _bad(name: str, message: str) -> Exception:
    return invalid([Fault(f"query.{name}", message)])
