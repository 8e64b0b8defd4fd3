"""The churn-risk list: who is about to take the most value away, why, and what to do about it.

Customers come by falling value at risk. A list is always of one scoring run: a page that is asked for with the cursor
of an earlier page comes from the same run, even if a newer one has been published in between.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count
from typing import Any

from configs.days import day_number
from configs.errors import NotFoundError, SettingsError, nearest
from configs.settings import Settings
from serving.exports import Column, Table
from serving.predictions import CustomerScore, Driver, Terms, last_order, next_order, stored_drivers, value_interval
from serving.store import MAX_ID_BYTES, Position, ScoringRun, Store

CHURN_RISK = "churn-risk"
PAGE_ROWS = 100
MOST_PAGE_ROWS = 1_000
EXPORT_BATCH_ROWS = 5_000
CURSOR = re.compile(
    r"[1-9][0-9]{0,17}\.[1-9][0-9]{0,11}"
    r"\.(?:[0-689a-e][0-9a-f]{2}|[7f](?:[0-9a-e][0-9a-f]|f[0-9a-e]))[0-9a-f]{13}"
    rf"\.(?:0[1-9a-f]|[1-9a-f][0-9a-f]){{1,{MAX_ID_BYTES}}}"
)
"""Run, rank, value at risk as a finite IEEE 754 number, customer id in UTF-8 without U+0000, the last two in hexadecimal.

Whatever matches can be read: a place in the list of that run, if the run is kept.
"""
REASONS = 3
LEAST_CHURN_REASON = 0.01
LEAST_VALUE_REASON = 0.05
"""Effects below a point, or below a twentieth of what moves the value most, are no reason to tell anyone."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Which customers a list holds: these ``tiers`` (all when empty), with a churn risk of at least ``min_risk``."""

    tiers: tuple[str, ...] = ()
    min_risk: float = 0.0


@dataclass(frozen=True, slots=True)
class ListRow:
    """One customer of the list. ``reasons`` are sentences; ``action`` is empty where the playbook is silent."""

    rank: int
    customer_id: str
    tier: str
    churn_risk: float
    risk_band: str
    predicted_value: float
    value_low: float | None
    value_high: float | None
    uncertain: bool | None
    value_at_risk: float
    last_order: date
    days_since_last_order: int
    next_order: date | None
    lifecycle_stage: str
    rfm_segment: str
    past_spend_tier: str
    movement: str
    reasons: tuple[str, ...]
    action: str


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page. ``total`` counts all customers of the list; ``next_cursor`` is None on the last page."""

    run: ScoringRun
    filters: Filters
    total: int
    rows: tuple[ListRow, ...]
    next_cursor: str | None


def churn_risk_page(
    store: Store,
    settings: Settings,
    filters: Filters,
    *,
    limit: int = PAGE_ROWS,
    cursor: str | None = None,
    run: ScoringRun | None = None,
) -> ListPage:
    """Give one page of the churn-risk list of the run that ``cursor`` belongs to, else of ``run``, else of the published run.

    Raises NotFoundError: no published run, an unknown tier (the nearest is named), a run that is no longer kept.
    Raises SettingsError: a limit, risk or cursor that is none.
    """
    if not 1 <= limit <= MOST_PAGE_ROWS:
        raise SettingsError(f"limit must be from 1 to {MOST_PAGE_ROWS}, found {limit}")
    run_id, position, rank = (None, None, 0) if cursor is None else _read_cursor(cursor)
    if run is None or run_id not in (None, run.run_id):
        run = _run(store, run_id)
    check_filters(filters, run)
    _, scores = store.page(run_id=run.run_id, tiers=filters.tiers, min_risk=filters.min_risk, limit=limit + 1, after=position)
    rows = tuple(
        list_row(place, score, run.terms, settings) for place, score in zip(count(rank + 1), scores[:limit], strict=False)
    )
    more = _cursor(run, rows[-1]) if len(scores) > limit else None
    total = store.matching(run.run_id, tiers=filters.tiers, min_risk=filters.min_risk)
    return ListPage(run, filters, total, rows, more)


def churn_risk_rows(
    store: Store, settings: Settings, filters: Filters, *, top: int | None = None, run: ScoringRun | None = None
) -> tuple[ScoringRun, Iterator[ListRow]]:
    """Give the published run, or ``run``, and all rows of its churn-risk list (only the first ``top``), read as they are used.

    Raises NotFoundError: no published run, an unknown tier. Raises SettingsError: a risk that is none.
    """
    run = run or _run(store, None)
    check_filters(filters, run)
    return run, _rows(store, settings, filters, run, top)


def check_filters(filters: Filters, run: ScoringRun) -> None:
    """Refuse tiers that the run does not know (NotFoundError) and a risk outside 0 to 1 (SettingsError)."""
    for tier in filters.tiers:
        if tier not in run.tier_names:
            raise NotFoundError(f'there is no tier "{tier[:100]}"; {nearest(tier[:100], run.tier_names)}')
    if not 0.0 <= filters.min_risk <= 1.0:
        raise SettingsError(f"the least churn risk must be from 0 to 1, found {filters.min_risk}")


def list_row(rank: int, score: CustomerScore, terms: Terms, settings: Settings) -> ListRow:
    """Turn one score into a row of the list."""
    drivers = stored_drivers(score)
    return ListRow(
        rank=rank,
        customer_id=score.customer_id,
        tier=score.tier,
        churn_risk=score.churn_risk,
        risk_band=risk_band(score.churn_risk, settings.scoring.risk_bands),
        predicted_value=score.predicted_value,
        value_low=score.value_low,
        value_high=score.value_high,
        uncertain=score.uncertain,
        value_at_risk=score.value_at_risk,
        last_order=last_order(score),
        days_since_last_order=day_number(terms.as_of) - score.last_order_day,
        next_order=next_order(score),
        lifecycle_stage=score.lifecycle_stage,
        rfm_segment=score.rfm_segment,
        past_spend_tier=score.past_spend_tier,
        movement=score.movement,
        reasons=tuple(driver.text(terms.currency) for driver in reasons(drivers.value, drivers.churn)),
        action=suggested_action(settings.playbook, score.tier, score.lifecycle_stage),
    )


def risk_band(churn_risk: float, bands: Mapping[str, float]) -> str:
    """Name the band of a churn risk; a risk at the limit is in it. ``bands`` are listed highest first and end at 0."""
    return next(name for name, least in bands.items() if churn_risk >= least)


def suggested_action(playbook: Mapping[str, Mapping[Any, str]], tier: str, stage: str) -> str:
    """Look up the playbook: the tier's entry for the stage, its ``any``, then the same of the tier ``any``."""
    for entry in (playbook.get(tier, {}), playbook.get("any", {})):
        for key in (stage, "any"):
            if key in entry:
                return entry[key]
    return ""


def reasons(value: Sequence[Driver], churn: Sequence[Driver]) -> tuple[Driver, ...]:
    """Choose three drivers: the two that raise the churn risk most, the one that makes the customer most worth keeping.

    A group is told once. Where one kind runs short the other fills up, and last come the drivers that lower the risk.
    """
    leaving = [driver for driver in churn if driver.effect >= LEAST_CHURN_REASON]
    staying = [driver for driver in churn if driver.effect <= -LEAST_CHURN_REASON]
    told = {driver.group for driver in leaving[:2]}
    least = LEAST_VALUE_REASON * max((abs(driver.effect) for driver in value), default=0.0)
    worth = [driver for driver in value if driver.effect > 0.0 and driver.effect >= least and driver.group not in told]
    chosen: dict[str, Driver] = {}
    for driver in (*leaving[:2], *worth[:1], *leaving[2:], *worth[1:], *staying):
        chosen.setdefault(driver.group, driver)
    return tuple(chosen.values())[:REASONS]


# The wire and the files


def wire_page(page: ListPage) -> dict[str, Any]:
    """Give a page as an application reads it: plain types, ISO dates, full-precision numbers."""
    return {
        **_wire_terms(page.run, page.filters),
        "total": page.total,
        "customers": [wire_row(row) for row in page.rows],
        "next_cursor": page.next_cursor,
    }


def wire_list(store: Store, run: ScoringRun, filters: Filters, *, top: int | None = None) -> dict[str, Any]:
    """Give what stands above the customers of a whole list, in the same shape; ``total`` counts them."""
    matching = store.matching(run.run_id, tiers=filters.tiers, min_risk=filters.min_risk)
    return {**_wire_terms(run, filters), "total": matching if top is None else min(top, matching)}


def _wire_terms(run: ScoringRun, filters: Filters) -> dict[str, Any]:
    terms = run.terms
    return {
        "list": CHURN_RISK,
        "as_of": terms.as_of.isoformat(),
        "horizon_days": terms.horizon_days,
        "horizon_end": terms.horizon_end.isoformat(),
        "currency": terms.currency,
        "model_version": terms.model_version,
        "grade": terms.grade,
        "scoring_run": run.run_id,
        "tiers": list(filters.tiers),
        "min_risk": filters.min_risk,
    }


def wire_row(row: ListRow) -> dict[str, Any]:
    """Give a row in plain types; dates in ISO format."""
    wired = {
        "value_low": ("value_interval", value_interval(row.value_low, row.value_high)),
        "last_order": ("last_order", row.last_order.isoformat()),
        "next_order": ("next_order", None if row.next_order is None else row.next_order.isoformat()),
        "reasons": ("reasons", list(row.reasons)),
    }
    names = [name for name in ListRow.__dataclass_fields__ if name != "value_high"]
    return dict(wired.get(name, (name, getattr(row, name))) for name in names)


COLUMNS: tuple[Column, ...] = (
    Column("rank", "Rank", "whole", 7),
    Column("customer_id", "Customer", "text", 22),
    Column("tier", "Tier", "text", 10),
    Column("churn_risk", "Churn risk", "percent", 12, bar=True),
    Column("risk_band", "Risk band", "text", 10),
    Column("predicted_value", "Predicted value", "money", 13),
    Column("value_at_risk", "Value at risk", "money", 13),
    Column("value_low", "Value, low", "money", 12),
    Column("value_high", "Value, high", "money", 12),
    Column("uncertain", "Tier uncertain", "text", 10),
    Column("last_order", "Last order", "date", 12),
    Column("days_since_last_order", "Days since last order", "whole", 12),
    Column("next_order", "Next order expected", "date", 12),
    Column("lifecycle_stage", "Lifecycle stage", "text", 11),
    Column("rfm_segment", "RFM segment", "text", 18),
    Column("past_spend_tier", "Tier by past spend", "text", 11),
    Column("movement", "Movement", "text", 11),
    Column("action", "Suggested action", "text", 46),
    *(Column(f"reason_{place}", f"Reason {place}", "text", 66) for place in range(1, REASONS + 1)),
    Column("horizon_days", "Horizon in days", "whole", 10),
    Column("currency", "Currency", "text", 10),
    Column("as_of", "As of", "date", 12),
    Column("grade", "Grade of the model", "text", 10),
)


def list_table(run: ScoringRun, filters: Filters, rows: Iterator[ListRow]) -> Table:
    """Give the list as a table for :mod:`serving.exports`."""
    terms = run.terms
    return Table(
        title="Churn risk",
        columns=COLUMNS,
        rows=(_cells(row, terms) for row in rows),
        notes=_notes(run, filters),
        created_at=run.created_at,
        mark_numbers=run.zero_padded_ids,
    )


def _cells(row: ListRow, terms: Terms) -> list[Any]:
    spare = [""] * (REASONS - len(row.reasons))
    known = {
        **{f"reason_{place}": reason for place, reason in enumerate((*row.reasons, *spare), start=1)},
        "uncertain": None if row.uncertain is None else "yes" if row.uncertain else "no",
        "horizon_days": terms.horizon_days,
        "currency": terms.currency,
        "as_of": terms.as_of,
        "grade": terms.grade,
    }
    return [known[column.name] if column.name in known else getattr(row, column.name) for column in COLUMNS]


def _notes(run: ScoringRun, filters: Filters) -> tuple[tuple[str, str], ...]:
    terms = run.terms
    return (
        ("Predicted as of", f"{terms.as_of.isoformat()}: orders before this day are known to the model"),
        ("Horizon", f"{terms.horizon_days} days, up to {terms.horizon_end.isoformat()}"),
        ("Currency", terms.currency),
        ("Tiers", ", ".join(filters.tiers) or "all"),
        ("Least churn risk", f"{filters.min_risk:.0%}"),
        ("Customers scored", f"{run.customers:,}"),
        ("Model version", terms.model_version),
        ("Grade of the model", terms.grade or "not graded"),
        ("Scoring run", f"{run.run_id}, written {run.created_at.date().isoformat()}"),
        ("Churn risk", "Probability that the customer places no order within the horizon"),
        ("Predicted value", "Expected net revenue from the customer within the horizon"),
        ("Value, low and high", "With a probability of 80 %, what the customer spends within the horizon lies between them"),
        ("Tier uncertain", "yes: the spending may well be that of another tier, or the customer is held in this one"),
        ("Next order expected", "The first day by whose end an order is as likely as not; empty where none can be named"),
        ("Value at risk", "What is lost if the customer leaves: expected value if active, times the churn risk"),
        ("Order of the list", "Highest value at risk first"),
        ("Movement", "Tier by predicted value against tier by past spend: up, same or down"),
        ("Customer", "Exact text: leading zeros and long numbers are kept"),
    )  # fmt: skip


def _run(store: Store, run_id: int | None) -> ScoringRun:
    run = store.published() if run_id is None else store.run(run_id)
    if run is None:
        raise NotFoundError("no scoring run is published yet: run foretier score first")
    return run


def _rows(store: Store, settings: Settings, filters: Filters, run: ScoringRun, top: int | None) -> Iterator[ListRow]:
    rank, after = 0, None
    while top is None or rank < top:
        batch = EXPORT_BATCH_ROWS if top is None else min(EXPORT_BATCH_ROWS, top - rank)
        _, scores = store.page(run_id=run.run_id, tiers=filters.tiers, min_risk=filters.min_risk, limit=batch, after=after)
        for score in scores:
            rank += 1
            yield list_row(rank, score, run.terms, settings)
        if len(scores) < batch:
            return
        after = Position(scores[-1].value_at_risk, scores[-1].customer_id)


def _cursor(run: ScoringRun, row: ListRow) -> str:
    value = struct.pack(">d", row.value_at_risk).hex()
    return f"{run.run_id}.{row.rank}.{value}.{row.customer_id.encode().hex()}"


def _read_cursor(cursor: str) -> tuple[int, Position, int]:
    if not CURSOR.fullmatch(cursor):
        raise SettingsError("the cursor is none that a page of this list gave; start again without it")
    run_id, rank, value, customer_id = cursor.split(".")
    [value_at_risk] = struct.unpack(">d", bytes.fromhex(value))
    return int(run_id), Position(value_at_risk, bytes.fromhex(customer_id).decode(errors="replace")), int(rank)
