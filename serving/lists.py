"""The churn-risk list: who is about to take the most value away, why, and what to do about it.

Customers come by falling value at risk, which is the order of what a contact is expected to save, too. A list holds those to
contact: who is gone, not worth a contact, contacted often enough, held out or suppressed is left out (``serving.store_choice``).
A list is always of one scoring run: a page that is asked for with the cursor of an earlier page comes from the same run, even if
a newer one has been published in between.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import count, islice
from typing import Any

from configs.days import day_number
from configs.errors import NotFoundError, SettingsError
from configs.language import Language
from configs.playbook import play_for
from configs.settings import Settings
from serving.list_plan import Expected, Plan, check_plan, choice_of, expected, wire_plan
from serving.predictions import CustomerScore, Driver, Terms, last_order, next_order, stored_drivers, value_interval
from serving.store import MAX_ID_BYTES, Choice, Position, ScoringRun, Store

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
class ListRow:
    """One customer to contact. ``reasons`` are sentences.

    Where the playbook is silent ``action`` is empty, ``channel`` none, and there is no ``contact_cap`` (contacts in 30 days).
    """

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
    channel: str
    contact_cap: int | None


@dataclass(frozen=True, slots=True)
class ContactList:
    """A list of a run as it was asked for, and what may be expected of it, without its rows."""

    run: ScoringRun
    plan: Plan
    contact_day: date
    choice: Choice
    expected: Expected


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page. ``next_cursor`` is None on the last one."""

    of: ContactList
    rows: tuple[ListRow, ...]
    next_cursor: str | None


def contact_list(
    store: Store, settings: Settings, plan: Plan, *, run: ScoringRun | None = None, contact_day: date | None = None
) -> ContactList:
    """Give the list that a plan asks of ``run`` (default: the published one), to be contacted from ``contact_day`` on.

    The default is the day of the run, from which on its predictions hold. Raises NotFoundError: no published run, an unknown tier
    (the nearest is named). SettingsError: a number outside its bounds.
    """
    run = run or published_run(store)
    check_plan(plan, run)
    day = contact_day or run.terms.as_of
    choice = choice_of(plan, settings, run, day)
    return ContactList(run, plan, day, choice, expected(store, run, choice, plan))


def churn_risk_page(
    store: Store,
    settings: Settings,
    plan: Plan,
    *,
    limit: int = PAGE_ROWS,
    cursor: str | None = None,
    run: ScoringRun | None = None,
    contact_day: date | None = None,
    language: Language | None = None,
) -> ListPage:
    """Give one page of the churn-risk list of the run that ``cursor`` belongs to, else of ``run``, else of the published run.

    Raises NotFoundError: no published run, an unknown tier (the nearest is named), a run that is no longer kept.
    Raises SettingsError: a limit or cursor that is none, a number of the plan outside its bounds.
    """
    if not 1 <= limit <= MOST_PAGE_ROWS:
        raise SettingsError(f"limit must be from 1 to {MOST_PAGE_ROWS}, found {limit}")
    run_id, position, rank = (None, None, 0) if cursor is None else _read_cursor(cursor)
    if run is None or run_id not in (None, run.run_id):
        run = published_run(store) if run_id is None else store.run(run_id)
    of = contact_list(store, settings, plan, run=run, contact_day=contact_day)
    scores = list(islice(_contacts(store, of, limit + 1, position, rank), limit + 1))
    rows = tuple(
        list_row(place, score, run.terms, settings, language)
        for place, score in zip(count(rank + 1), scores[:limit], strict=False)
    )
    return ListPage(of, rows, _cursor(run, rows[-1]) if len(scores) > limit else None)


def list_rows(store: Store, settings: Settings, of: ContactList, language: Language | None = None) -> Iterator[ListRow]:
    """Give all rows of a list, read as they are used."""
    scores = _contacts(store, of, EXPORT_BATCH_ROWS)
    return (list_row(rank, score, of.run.terms, settings, language) for rank, score in enumerate(scores, start=1))


def drawn(
    store: Store, of: ContactList, batch: int, after: Position | None = None, rank: int = 0
) -> Iterator[tuple[bool, CustomerScore]]:
    """Read the customers of a list with those held out, up to the last contact, as (held out, score).

    ``rank`` contacts were read before.
    """
    draw, capacity = of.plan.draw, of.plan.capacity
    while True:
        _, scores = store.page(run_id=of.run.run_id, choice=of.choice, limit=batch, after=after)
        for score in scores:
            if rank == capacity:
                return
            held_out = draw.holds_out(score.customer_id)
            rank += not held_out
            yield held_out, score
        if len(scores) < batch:
            return
        after = Position(scores[-1].value_at_risk, scores[-1].customer_id)


def _contacts(store: Store, of: ContactList, batch: int, after: Position | None = None, rank: int = 0) -> Iterator[CustomerScore]:
    return (score for held_out, score in drawn(store, of, batch, after, rank) if not held_out)


def published_run(store: Store) -> ScoringRun:
    """Give the published run. Raises NotFoundError: there is none."""
    run = store.published()
    if run is None:
        raise NotFoundError("no scoring run is published yet: run foretier score first")
    return run


def list_row(rank: int, score: CustomerScore, terms: Terms, settings: Settings, language: Language | None = None) -> ListRow:
    """Turn one score into a row of the list; in the language of the settings unless told otherwise."""
    drivers = stored_drivers(score)
    play = play_for(settings.playbook_in(language), score.tier, score.lifecycle_stage, score.movement)
    spoken = language or settings.language
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
        reasons=tuple(driver.text(terms.currency, spoken) for driver in reasons(drivers.value, drivers.churn)),
        action="" if play is None else play.action,
        channel="none" if play is None else play.channel,
        contact_cap=None if play is None else play.contact_cap,
    )


def risk_band(churn_risk: float, bands: Mapping[str, float]) -> str:
    """Name the band of a churn risk; a risk at the limit is in it. ``bands`` are listed highest first and end at 0."""
    return next(name for name, least in bands.items() if churn_risk >= least)


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


# The wire


def wire_page(page: ListPage) -> dict[str, Any]:
    """Give a page as an application reads it: plain types, ISO dates, full-precision numbers."""
    return {
        **wire_list(page.of),
        "customers": [wire_row(row) for row in page.rows],
        "next_cursor": page.next_cursor,
    }


def wire_list(of: ContactList) -> dict[str, Any]:
    """Give what stands above the customers of a list; ``total`` counts those to contact."""
    terms, plan = of.run.terms, of.plan
    return {
        "list": CHURN_RISK,
        "as_of": terms.as_of.isoformat(),
        "horizon_days": terms.horizon_days,
        "horizon_end": terms.horizon_end.isoformat(),
        "currency": terms.currency,
        "model_version": terms.model_version,
        "grade": terms.grade,
        "scoring_run": of.run.run_id,
        "contact_day": of.contact_day.isoformat(),
        "tiers": list(plan.tiers),
        "min_risk": plan.min_risk,
        "max_risk": plan.max_risk,
        "total": of.expected.contacts,
        "plan": wire_plan(plan, of.expected),
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


def _cursor(run: ScoringRun, row: ListRow) -> str:
    value = struct.pack(">d", row.value_at_risk).hex()
    return f"{run.run_id}.{row.rank}.{value}.{row.customer_id.encode().hex()}"


def _read_cursor(cursor: str) -> tuple[int, Position, int]:
    if not CURSOR.fullmatch(cursor):
        raise SettingsError("the cursor is none that a page of this list gave; start again without it")
    run_id, rank, value, customer_id = cursor.split(".")
    [value_at_risk] = struct.unpack(">d", bytes.fromhex(value))
    return int(run_id), Position(value_at_risk, bytes.fromhex(customer_id).decode(errors="replace")), int(rank)
