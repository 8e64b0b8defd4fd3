"""Who is not to be contacted, and the lists that were: campaigns with those contacted and those held out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any, TypeVar

import sqlalchemy as sa

from configs.days import date_of, day_number
from configs.errors import NotFoundError, SettingsError, StoreError, nearest
from serving.store_choice import Position, by_value_at_risk, not_suppressed
from serving.store_tables import campaign_members, campaigns, customer_scores, suppressed_customers
from serving.store_writer import MAX_ID_BYTES, storable

BATCH_ROWS = 500
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A customer who is on no list before the day ``until``; None: for good. ``since`` has a time zone."""

    customer_id: str
    reason: str
    until: date | None
    since: datetime


@dataclass(frozen=True, slots=True)
class Campaign:
    """A list that was saved: its customers are contacted from ``contact_day`` on, those held out are not.

    ``plan``: what was asked of the list, in plain types. The run is that of the scores, which may no longer be kept.
    """

    name: str
    created_at: datetime
    contact_day: date
    run_id: int
    horizon_days: int
    currency: str
    model_version: str
    plan: dict[str, Any]
    contacts: int = 0
    held_out: int = 0
    campaign_id: int = 0


@dataclass(frozen=True, slots=True)
class Member:
    """One customer of a campaign, and what was predicted then."""

    customer_id: str
    held_out: bool
    tier: str
    churn_risk: float
    predicted_value: float
    value_if_active: float
    value_at_risk: float


MEMBER_COLUMNS = tuple(field.name for field in fields(Member))


# The suppressed


def suppress(connection: sa.Connection, customer_ids: Iterable[str], reason: str, until: date | None, at: datetime) -> int:
    """Add or renew entries; see :meth:`serving.store.Store.suppress`."""
    ids = list(dict.fromkeys(customer_ids))
    unfit = sum(not storable(customer_id) for customer_id in ids)
    if unfit:
        raise StoreError(
            f"{unfit} of the ids cannot be any customer's: an id holds no NUL character and at most {MAX_ID_BYTES} bytes"
        )
    unsuppress(connection, ids)
    entry = {
        "reason": reason,
        "until_day": None if until is None else day_number(until),
        "created_at": at.astimezone(UTC).isoformat(timespec="seconds"),
    }
    for some in _batches(ids):
        connection.execute(sa.insert(suppressed_customers), [{"customer_id": customer_id, **entry} for customer_id in some])
    return len(ids)


def unsuppress(connection: sa.Connection, customer_ids: Iterable[str]) -> int:
    """Remove entries; gives their number."""
    removed = 0
    for some in _batches(filter(storable, customer_ids)):
        found = connection.execute(sa.delete(suppressed_customers).where(suppressed_customers.c.customer_id.in_(some)))
        removed += found.rowcount
    return removed


def suppressed(connection: sa.Connection) -> tuple[Suppressed, ...]:
    """All entries, the earliest first."""
    table = suppressed_customers.c
    query = sa.select(table.customer_id, table.reason, table.until_day, table.created_at).order_by(table.entry)
    return tuple(
        Suppressed(customer_id, reason, None if until is None else date_of(until), datetime.fromisoformat(since))
        for customer_id, reason, until, since in connection.execute(query)
    )


# Campaigns


def save_campaign(connection: sa.Connection, campaign: Campaign, members: Iterable[Member]) -> Campaign:
    """Write a campaign and its members; see :meth:`serving.store.Store.save_campaign`."""
    if connection.execute(sa.select(campaigns.c.name).where(campaigns.c.name == campaign.name)).one_or_none():
        raise SettingsError(f'there is a campaign "{campaign.name}" already: give this one another name')
    row = sa.insert(campaigns).values(
        name=campaign.name,
        created_at=campaign.created_at.astimezone(UTC).isoformat(timespec="seconds"),
        contact_day=day_number(campaign.contact_day),
        run_id=campaign.run_id,
        horizon_days=campaign.horizon_days,
        currency=campaign.currency,
        model_version=campaign.model_version,
        plan=json.dumps(campaign.plan, ensure_ascii=False, allow_nan=False),
        contacts=0,
        held_out=0,
    )
    campaign_id = int(connection.execute(row.returning(campaigns.c.campaign_id)).scalar_one())
    total = held_out = 0
    for some in _batches(members):
        rows = [dict(zip(MEMBER_COLUMNS, astuple(member), strict=True), campaign_id=campaign_id) for member in some]
        connection.execute(sa.insert(campaign_members), rows)
        total += len(some)
        held_out += sum(member.held_out for member in some)
    counts = sa.update(campaigns).where(campaigns.c.campaign_id == campaign_id)
    connection.execute(counts.values(contacts=total - held_out, held_out=held_out))
    return replace(campaign, contacts=total - held_out, held_out=held_out, campaign_id=campaign_id)


def all_campaigns(connection: sa.Connection) -> tuple[Campaign, ...]:
    """All campaigns, newest first."""
    return tuple(map(_campaign, connection.execute(sa.select(campaigns).order_by(campaigns.c.campaign_id.desc())).mappings()))


def find_campaign(connection: sa.Connection, name: str) -> Campaign:
    """Give the campaign of this name. Raises NotFoundError, with the nearest name."""
    row = connection.execute(sa.select(campaigns).where(campaigns.c.name == name)).mappings().one_or_none()
    if row is not None:
        return _campaign(row)
    names = [campaign.name for campaign in all_campaigns(connection)]
    hint = nearest(name, names) if names else "none was saved yet: foretier list churn-risk --save NAME saves one"
    raise NotFoundError(f'there is no campaign "{name[:100]}"; {hint}')


def campaign_members_of(connection: sa.Connection, campaign: Campaign) -> list[Member]:
    """All customers of a campaign, in no order."""
    columns = [campaign_members.c[name] for name in MEMBER_COLUMNS]
    query = sa.select(*columns).where(campaign_members.c.campaign_id == campaign.campaign_id)
    return [Member(*row) for row in connection.execute(query)]


def contacts_of(
    campaign: Campaign, columns: Sequence[sa.ColumnElement[Any]], *, limit: int, after: Position | None
) -> sa.Select[Any]:
    """Read the scores of those to contact, without the suppressed."""
    same = customer_scores.c.customer_id == campaign_members.c.customer_id
    query = (
        sa.select(*columns)
        .join_from(customer_scores, campaign_members, same)
        .where(
            customer_scores.c.run_id == campaign.run_id,
            campaign_members.c.campaign_id == campaign.campaign_id,
            campaign_members.c.held_out.is_(False),
            not_suppressed(day_number(campaign.contact_day)),
        )
    )
    return by_value_at_risk(query, limit, after)


def _campaign(row: sa.RowMapping) -> Campaign:
    told = dict(row)
    return Campaign(
        **{
            **told,
            "created_at": datetime.fromisoformat(told["created_at"]),
            "contact_day": date_of(told["contact_day"]),
            "plan": json.loads(told["plan"]),
        }
    )


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    left = iter(items)
    while some := list(islice(left, BATCH_ROWS)):
        yield some
