"""What the commands of marketers show in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from configs.command import one_line
from configs.language import Language
from serving.list_table import list_notes
from serving.list_words import LIST_WORDS
from serving.lists import ContactList
from serving.store import Campaign, Suppressed

SHOWN_SUPPRESSED = 50
_OF_THE_PLAN = ("note_contacts", "note_held_out", "note_saved", "note_in_vain", "note_net_value", "note_left_out")


def plan_table(of: ContactList, language: Language) -> RenderableType:
    """What a list is expected to do, and who is not on it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    asked = {"note_held_out": of.plan.holdout > 0.0, "note_net_value": of.plan.budget_per_contact > 0.0}
    shown = [name for name in _OF_THE_PLAN if asked.get(name, True)]
    for label, text in list_notes(of, LIST_WORDS[language], shown):
        table.add_row(label, text)
    return table


def suppressed_table(entries: Sequence[Suppressed]) -> RenderableType:
    """Who is on no list, the latest first."""
    if not entries:
        return Text("Nobody is suppressed.")
    more = len(entries) - SHOWN_SUPPRESSED
    table = Table(
        title=f"{len(entries):,} customers are on no list",
        title_justify="left",
        caption=f"and {more:,} more: --json FILE writes all" if more > 0 else None,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for name in ("Customer", "Since", "Until", "Reason"):
        table.add_column(name, overflow="fold")
    for entry in reversed(entries[-SHOWN_SUPPRESSED:]):
        until = "for good" if entry.until is None else entry.until.isoformat()
        table.add_row(Text(one_line(entry.customer_id)), entry.since.date().isoformat(), until, Text(one_line(entry.reason)))
    return table


def campaigns_table(campaigns: Sequence[Campaign]) -> RenderableType:
    """The campaigns that were saved."""
    if not campaigns:
        return Text("No campaign was saved yet: foretier list churn-risk --save NAME saves one.")
    table = Table(title="Campaigns", title_justify="left", box=SIMPLE_HEAD)
    for name, justify in (
        ("Name", "left"),
        ("Contact from", "left"),
        ("Contacts", "right"),
        ("Held out", "right"),
        ("Horizon", "right"),
    ):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for one in campaigns:
        day, horizon = one.contact_day.isoformat(), f"{one.horizon_days} days"
        table.add_row(Text(one.name), day, f"{one.contacts:,}", f"{one.held_out:,}", horizon)
    return table
