"""The query parameters of lists, strictly read, and the same names in the body that saves a campaign."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import get_args

from configs.language import Language
from configs.sections import MOST_HELD_OUT
from configs.settings import Lists
from serving.list_plan import MAX_AMOUNT, MAX_CAPACITY, MAX_SEED, MAX_TIERS, Plan, plan_of
from serving.lists import CURSOR, MOST_PAGE_ROWS, PAGE_ROWS
from serving.refusal import Fault
from serving.schemas import invalid

PLANNED = (
    "tier", "min_risk", "max_risk", "min_value", "include_gone", "capacity", "budget_per_contact", "save_rate", "holdout",
    "holdout_seed", "contact_day", "language",
)  # fmt: skip
PAGED = (*PLANNED, "limit", "cursor")
WHOLE = PLANNED
MAX_SHEET_ROWS = 50_000

_DECIMAL = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,3})?")
_INTEGER = re.compile(r"[0-9]{1,12}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What is asked of the list; ``limit`` and ``cursor`` are for pages. None: as the settings or the run say."""

    plan: Plan
    contact_day: date | None
    language: Language | None
    limit: int
    cursor: str | None


def list_query(values: Mapping[str, Sequence[str]], lists: Lists) -> ListQuery:
    """Check parameters; what is not asked for is as ``lists`` says. Raises Refusal (400) with the path ``query.NAME``."""
    plan = plan_of(
        lists,
        tiers=tiers_of(values),
        min_risk=_number(values, "min_risk", 1.0),
        max_risk=_number(values, "max_risk", 1.0),
        min_value=_number(values, "min_value", MAX_AMOUNT),
        include_gone=_flag(values, "include_gone"),
        capacity=_whole(values, "capacity", MAX_CAPACITY),
        budget_per_contact=_number(values, "budget_per_contact", MAX_AMOUNT),
        save_rate=_save_rate(values),
        holdout=_number(values, "holdout", MOST_HELD_OUT),
        holdout_seed=_whole(values, "holdout_seed", MAX_SEED, least=0),
    )
    cursor = _single(values, "cursor")
    if cursor is not None and not CURSOR.fullmatch(cursor):
        raise _bad("cursor", "is none that a page of this list gave; start again without it")
    return ListQuery(plan, _day(values, "contact_day"), language_of(values), limit_of(values), cursor)


def limit_of(values: Mapping[str, Sequence[str]]) -> int:
    """Give the parameter ``limit``, of pages. Raises Refusal (400)."""
    limit = _whole(values, "limit", MOST_PAGE_ROWS)
    return PAGE_ROWS if limit is None else limit


def language_of(values: Mapping[str, Sequence[str]]) -> Language | None:
    """Give the parameter ``language``. Raises Refusal (400): one that Foretier does not speak."""
    text = _single(values, "language")
    for language in get_args(Language):
        if text == language:
            return language  # type: ignore[no-any-return]
    if text is not None:
        raise _bad("language", "must be en or zh")
    return None


def tiers_of(values: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Give the parameters ``tier``. Raises Refusal (400): too many of them."""
    names = values.get("tier", ())
    if len(names) > MAX_TIERS:
        raise _bad("tier", f"may be given {MAX_TIERS} times")
    return tuple(names)


def _number(values: Mapping[str, Sequence[str]], name: str, most: float) -> float | None:
    text = _single(values, name)
    if text is None:
        return None
    if not _DECIMAL.fullmatch(text) or not 0.0 <= float(text) <= most:
        raise _bad(name, f"must be a number from 0 to {most:g}")
    return abs(float(text))  # -0.0 is 0


def _save_rate(values: Mapping[str, Sequence[str]]) -> float | None:
    rate = _number(values, "save_rate", 1.0)
    if rate == 0.0:
        raise _bad("save_rate", "must be above 0")
    return rate


def _whole(values: Mapping[str, Sequence[str]], name: str, most: int, *, least: int = 1) -> int | None:
    text = _single(values, name)
    if text is None:
        return None
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= most:
        raise _bad(name, f"must be a whole number from {least} to {most}")
    return int(text)


def _flag(values: Mapping[str, Sequence[str]], name: str) -> bool | None:
    text = _single(values, name)
    if text not in (None, "true", "false"):
        raise _bad(name, "must be true or false")
    return None if text is None else text == "true"


def _day(values: Mapping[str, Sequence[str]], name: str) -> date | None:
    text = _single(values, name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else _no_day(name)
    except ValueError:
        return _no_day(name)


def _no_day(name: str) -> date:
    raise _bad(name, "must be a day, such as 2011-06-12")


def _single(values: Mapping[str, Sequence[str]], name: str) -> str | None:
    given = values.get(name, ())
    if len(given) > 1:
        raise _bad(name, "is given more than once")
    return given[0] if given else None


def _bad(name: str, message: str) -> Exception:
    return invalid([Fault(f"query.{name}", message)])
