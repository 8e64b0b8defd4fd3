"""What changed between two scoring runs as events of a webhook, and their delivery: each is sent once.

Events are pages of the changes, of at most 500 customers, in their order. What an event says depends on the two runs, the
settings and the language alone: made again, it has the same bytes and so the same id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from configs.errors import DeliveryError
from configs.language import Language
from serving.changes import Comparison, changes
from serving.changes_table import wire_change, wire_run
from serving.refusal import json_bytes
from serving.store import ChangePosition, Store, Wanted
from serving.webhook import Receiver, Time, event_id, refused, send
from serving.webhook_store import DeliveryStore

EVENT_TYPE = "customers.changed"
EVENT_ROWS = 500
ROWS_READ_AT_ONCE = 10 * EVENT_ROWS
"""Read in one go and closed again: a receiver may keep us waiting for long, and the store must not wait with us."""


@dataclass(frozen=True, slots=True)
class Event:
    """One event: ``body`` is what is sent, in UTF-8; pages are counted from 1."""

    identifier: str
    page: int
    pages: int
    customers: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one event in this call; ``already``: it had been delivered before, and was not sent again."""

    event: Event
    already: bool
    attempts: int
    status: int | None


def events(store: Store, found: Comparison, wanted: Wanted, *, language: Language = "en") -> Iterator[Event]:
    """Make the events of all changes that are wanted, page by page as they are used; none where nobody changed.

    Raises NotFoundError: a run is no longer kept.
    """
    total = store.changed(found.rules, wanted)
    pages = -(-total // EVENT_ROWS)
    page, position = 0, None
    while page < pages:
        rows, position = _rows(store, found, wanted, position, language)
        for part in (rows[begin : begin + EVENT_ROWS] for begin in range(0, len(rows), EVENT_ROWS)):
            page += 1
            body = _body(found, wanted, {"page": page, "pages": pages, "total": total, "customers": part})
            yield Event(event_id(body), page, pages, len(part), body)


def _rows(
    store: Store, found: Comparison, wanted: Wanted, after: ChangePosition | None, language: Language
) -> tuple[list[dict[str, Any]], ChangePosition]:
    rows = list(changes(store, found, wanted, top=ROWS_READ_AT_ONCE, after=after, language=language))
    return [wire_change(row) for row in rows], rows[-1].position


def _body(found: Comparison, wanted: Wanted, of_the_page: dict[str, Any]) -> bytes:
    data = {
        "from": wire_run(found.before),
        "to": wire_run(found.after),
        "counts": {kind: found.counts[kind] for kind in wanted.kinds},
        **of_the_page,
    }
    return json_bytes({"type": EVENT_TYPE, "timestamp": found.after.created_at.isoformat(), "data": data})


def deliver(
    all_events: Iterator[Event], deliveries: DeliveryStore, to: Receiver, time: Time, *, again: bool = False
) -> Iterator[Delivery]:
    """Send events in their order, and tell of each; those that were delivered before only ``again``.

    What was sent is recorded before the next event is made: a call that ends early leaves the rest to the next one. One that
    is killed after the receiver took an event and before that is recorded sends it once more, under the same id.

    Raises DeliveryError at the first event that the receiver does not take; those after it are not sent.
    """
    for event in all_events:
        if not again and deliveries.delivered(event.identifier, to.url):
            yield Delivery(event, already=True, attempts=0, status=None)
            continue
        outcome = send(event.identifier, event.body, to, time)
        taken = not outcome.problem
        deliveries.record(event.identifier, to.url, outcome.status, outcome.attempts, time.now() if taken else None)
        if not taken:
            raise _stopped(event, refused(outcome, to))
        yield Delivery(event, already=False, attempts=outcome.attempts, status=outcome.status)


def _stopped(event: Event, error: DeliveryError) -> DeliveryError:
    return DeliveryError(f"event {event.page} of {event.pages} was not delivered: {error}")
