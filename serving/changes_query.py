"""``GET /v1/changes``: its query parameters, strictly read, and its answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from configs.change_kinds import CHANGE_KINDS
from configs.errors import NotFoundError, SettingsError, nearest
from configs.language import Language
from configs.settings import Settings
from serving.changes import CURSOR, ChangesPage, changes_page
from serving.changes_table import wire_changes_page
from serving.list_query import language_of, limit_of, tiers_of
from serving.refusal import Fault, Refusal
from serving.schemas import invalid
from serving.store import ScoringRun, Store, Wanted

CHANGES_PAGED = ("kind", "tier", "limit", "cursor", "language")
MAX_KINDS = 50


@dataclass(frozen=True, slots=True)
class ChangesQuery:
    """What is asked of the changes."""

    wanted: Wanted
    limit: int
    cursor: str | None
    language: Language | None


def changes_query(values: Mapping[str, Sequence[str]]) -> ChangesQuery:
    """Check parameters. Raises Refusal (400) with the path ``query.NAME``."""
    asked = values.get("kind", ())
    if len(asked) > MAX_KINDS:
        raise _bad("kind", f"may be given {MAX_KINDS} times")
    if odd := [kind for kind in asked if kind not in CHANGE_KINDS]:
        raise _bad("kind", f"is no change; {nearest(odd[0][:100], CHANGE_KINDS)}")
    cursors = values.get("cursor", ())
    if len(cursors) > 1:
        raise _bad("cursor", "is given more than once")
    if cursors and not CURSOR.fullmatch(cursors[0]):
        raise _bad("cursor", "is none that a page of this list gave; start again without it")
    kinds = tuple(kind for kind in CHANGE_KINDS if kind in asked)
    return ChangesQuery(Wanted(kinds, tiers_of(values)), limit_of(values), cursors[0] if cursors else None, language_of(values))


def changes_document(store: Store, settings: Settings, query: ChangesQuery, run: ScoringRun) -> dict[str, Any]:
    """Give a page of the changes up to ``run``, or between the runs of the cursor.

    Raises Refusal: 400 for a tier that there is not or a cursor of two runs that do not belong together, 404 where there is no
    earlier run or one of the cursor is gone.
    """
    if odd := [tier for tier in query.wanted.tiers if tier not in run.tier_names]:
        message = f'there is no tier "{odd[0][:100]}"; {nearest(odd[0][:100], run.tier_names)}'
        raise Refusal(400, "invalid_request", message, [Fault("query.tier", message)])
    try:
        return wire_changes_page(_page(store, settings, query, run))
    except NotFoundError as error:
        faults = [] if query.cursor is None else [Fault("query.cursor", str(error))]
        raise Refusal(404, "run_not_found", str(error), faults) from None
    except SettingsError:  # both runs are there, and were never compared
        raise _bad("cursor", "is none that a page of this list gave; start again without it") from None


def _page(store: Store, settings: Settings, query: ChangesQuery, run: ScoringRun) -> ChangesPage:
    how: dict[str, Any] = {"limit": query.limit, "cursor": query.cursor, "language": query.language or settings.language}
    bands = settings.scoring.risk_bands
    try:
        return changes_page(store, bands, query.wanted, run=run.run_id, **how)
    except NotFoundError:
        if query.cursor is not None or any(one.run_id == run.run_id for one in store.runs()):
            raise
        return changes_page(store, bands, query.wanted, **how)  # two runs were published since, and this one is gone


def _bad(name: str, message: str) -> Exception:
    return invalid([Fault(f"query.{name}", message)])
