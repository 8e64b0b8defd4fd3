"""Campaigns: lists that were saved, with those to contact and those held out, so that their effect can be measured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

from configs.errors import NotFoundError, SettingsError
from configs.language import Language
from serving.list_plan import Expected, Plan, choice_of
from serving.lists import EXPORT_BATCH_ROWS, ContactList, ListRow, drawn, list_row
from serving.schemas import NAME_PATTERN
from serving.store import Campaign, LeftOut, Member, Position, Store

if TYPE_CHECKING:
    from configs.settings import Settings
    from serving.predictions import CustomerScore


def check_name(name: str) -> None:
    """Raise SettingsError unless a campaign may be called so."""
    if not re.fullmatch(NAME_PATTERN, name):
        raise SettingsError(
            f'"{name[:100]}" cannot be the name of a campaign: it begins with a letter or digit, and holds up to 64 letters, '
            "digits, dots, hyphens and underscores"
        )


def save_campaign(store: Store, of: ContactList, name: str, *, at: datetime) -> Campaign:
    """Keep a list under a name, its hold-out group with it; ``at`` is the time of that, with a time zone.

    Raises SettingsError: the name cannot be one, or is taken; nobody is on the list.
    """
    check_name(name)
    if not of.expected.contacts:
        raise SettingsError("nobody is on this list: there is no campaign to save; the plan's left-out counts say why")
    campaign = Campaign(
        name=name,
        created_at=at,
        contact_day=of.contact_day,
        run_id=of.run.run_id,
        horizon_days=of.run.terms.horizon_days,
        currency=of.run.terms.currency,
        model_version=of.run.terms.model_version,
        plan={"asked": {**asdict(of.plan), "tiers": list(of.plan.tiers)}, "expected": asdict(of.expected)},
    )
    members = (_member(score, held_out) for held_out, score in drawn(store, of, EXPORT_BATCH_ROWS))
    return store.save_campaign(campaign, members)


def campaign_list(store: Store, settings: Settings, campaign: Campaign) -> ContactList:
    """Give the list that a campaign was saved of. Raises NotFoundError: its scoring run is no longer kept."""
    try:
        run = store.run(campaign.run_id)
    except NotFoundError as error:
        raise NotFoundError(f'the list of the campaign "{campaign.name}" cannot be written anew: {error}') from None
    asked, told = campaign.plan["asked"], campaign.plan["expected"]
    plan = Plan(**{**asked, "tiers": tuple(asked["tiers"])})
    outlook = Expected(**{**told, "left_out": LeftOut(**told["left_out"])})
    return ContactList(run, plan, campaign.contact_day, choice_of(plan, settings, run, campaign.contact_day), outlook)


def campaign_rows(store: Store, settings: Settings, campaign: Campaign, language: Language | None = None) -> Iterator[ListRow]:
    """Give the customers to contact, without those suppressed since. Raises NotFoundError as :func:`campaign_list` does."""
    terms = store.run(campaign.run_id).terms
    return (list_row(rank, score, terms, settings, language) for rank, score in enumerate(_contacts(store, campaign), start=1))


def wire_campaign(campaign: Campaign) -> dict[str, object]:
    """Give a campaign in plain types."""
    return {
        "name": campaign.name,
        "created_at": campaign.created_at.isoformat(),
        "contact_day": campaign.contact_day.isoformat(),
        "scoring_run": campaign.run_id,
        "horizon_days": campaign.horizon_days,
        "currency": campaign.currency,
        "model_version": campaign.model_version,
        "contacts": campaign.contacts,
        "held_out": campaign.held_out,
    }


def _contacts(store: Store, campaign: Campaign) -> Iterator[CustomerScore]:
    after = None
    while True:
        scores = store.contacts(campaign, limit=EXPORT_BATCH_ROWS, after=after)
        yield from scores
        if len(scores) < EXPORT_BATCH_ROWS:
            return
        after = Position(scores[-1].value_at_risk, scores[-1].customer_id)


def _member(score: CustomerScore, held_out: bool) -> Member:  # noqa: FBT001
    return Member(
        customer_id=score.customer_id,
        held_out=held_out,
        tier=score.tier,
        churn_risk=score.churn_risk,
        predicted_value=score.predicted_value,
        value_if_active=score.value_if_active,
        value_at_risk=score.value_at_risk,
    )
