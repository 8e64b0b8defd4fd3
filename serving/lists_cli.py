"""The commands of marketers: ``foretier list churn-risk``, ``suppress`` and ``campaign``."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from configs.command import (
    ConfigFile,
    JsonFile,
    OrdersPath,
    console,
    given_day,
    one_line,
    read_settings,
    reported,
    write_json,
    write_json_list,
)

if TYPE_CHECKING:
    from rich.console import Console

    from configs.settings import Settings
    from serving.lists import ContactList
    from serving.store import Store

SHOWN_ROWS = 20
WIDE_SCREEN = 110

lists = typer.Typer(no_args_is_help=True, help="Write the lists that marketers work with.")
suppress = typer.Typer(no_args_is_help=True, help="Leave customers out of every list.")
campaign = typer.Typer(no_args_is_help=True, help="Lists that were saved: whom they hold, and whether they worked.")

TierNames = Annotated[list[str] | None, typer.Option("--tier", help="Only this tier; may be repeated.", show_default=False)]
MinRisk = Annotated[float, typer.Option("--min-risk", help="Only customers with at least this churn risk, 0 to 1.")]
MaxRisk = Annotated[float, typer.Option("--max-risk", help="Only customers with at most this churn risk, 0 to 1.")]
MinValue = Annotated[
    float | None,
    typer.Option("--min-value", help="Only customers with at least this predicted value.", show_default=False),
]
IncludeGone = Annotated[
    bool, typer.Option("--include-gone", help="Also customers in the lifecycle stages that the settings call gone.")
]
Capacity = Annotated[
    int | None, typer.Option("--capacity", min=1, help="So many contacts at most, by value at risk.", show_default=False)
]
Budget = Annotated[
    float | None,
    typer.Option("--budget-per-contact", show_default=False, help="Nobody of whom a contact is expected to save less than this."),
]
SaveRate = Annotated[
    float | None,
    typer.Option("--save-rate", help="Share of those about to leave whom a contact keeps, 0 to 1.", show_default=False),
]
Holdout = Annotated[
    float | None,
    typer.Option("--holdout", help="Share drawn not to be contacted, 0 to 0.5, to measure the effect.", show_default=False),
]
HoldoutSeed = Annotated[int | None, typer.Option("--holdout-seed", min=0, help="Seed of that draw.", show_default=False)]
ContactDay = Annotated[
    datetime | None,
    typer.Option(
        "--contact-day", parser=given_day, show_default=False,
        metavar="DATE", help="Day from which on they are contacted, YYYY-MM-DD (default: the day of the run).",
    ),
]  # fmt: skip
SaveAs = Annotated[
    str | None,
    typer.Option("--save", metavar="NAME", help="Save the list as a campaign, its hold-out group with it.", show_default=False),
]
ListFile = Annotated[
    Path | None, typer.Option("--out", help="Write the list to this .csv, .xlsx or .parquet file.", show_default=False)
]
Target = Annotated[
    str | None,
    typer.Option(
        "--for", metavar="SYSTEM", show_default=False,
        help="Write --out as the import file of a CRM: hubspot, salesforce, marketo or jiandaoyun.",
    ),
]  # fmt: skip
CustomerIds = Annotated[list[str] | None, typer.Argument(help="Exact ids.", show_default=False)]
IdsFile = Annotated[
    Path | None,
    typer.Option(
        "--from", exists=True, dir_okay=False, show_default=False,
        help="Read ids from this file: one per line, or the column customer_id of a .csv file.",
    ),
]  # fmt: skip
Reason = Annotated[str, typer.Option("--reason", help="Why, in your own words.")]
Until = Annotated[
    datetime | None,
    typer.Option(
        "--until", parser=given_day, show_default=False,
        metavar="DATE", help="First day on which they may be contacted again, YYYY-MM-DD (default: never).",
    ),
]  # fmt: skip
MeasuredAsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of", parser=given_day, show_default=False,
        metavar="DATE", help="First day not looked at, YYYY-MM-DD (default: the day after the last order).",
    ),
]  # fmt: skip
CampaignName = Annotated[str, typer.Argument(help="Name of the campaign.", show_default=False)]


@lists.command("churn-risk")
@reported
def churn_risk(
    config: ConfigFile = None,
    tier: TierNames = None,
    min_risk: MinRisk = 0.0,
    max_risk: MaxRisk = 1.0,
    min_value: MinValue = None,
    include_gone: IncludeGone = False,  # noqa: FBT002 (a flag)
    capacity: Capacity = None,
    budget_per_contact: Budget = None,
    save_rate: SaveRate = None,
    holdout: Holdout = None,
    holdout_seed: HoldoutSeed = None,
    contact_day: ContactDay = None,
    save: SaveAs = None,
    target: Target = None,
    out: ListFile = None,
    json_file: JsonFile = None,
) -> None:
    """List whom to contact by value at risk, with reasons, the action of the playbook, and what to expect of it."""
    from configs.settings import Environment
    from serving.campaigns import check_name, save_campaign
    from serving.list_plan import plan_of
    from serving.list_report import plan_table
    from serving.lists import contact_list, list_rows, wire_list, wire_row
    from serving.report import churn_risk_table
    from serving.store import Store

    screen, settings = console(json_file), read_settings(config)
    plan = plan_of(
        settings.lists, tiers=tuple(tier or ()), min_risk=min_risk, max_risk=max_risk, min_value=min_value,
        include_gone=include_gone, capacity=capacity, budget_per_contact=budget_per_contact, save_rate=save_rate,
        holdout=holdout, holdout_seed=holdout_seed,
    )  # fmt: skip
    _check_out(out, target)
    if save is not None:
        check_name(save)
    with Store(Environment.read().store_url) as store:
        of = contact_list(store, settings, plan, contact_day=None if contact_day is None else contact_day.date())
        if json_file is not None:
            write_json_list(json_file, wire_list(of), "customers", map(wire_row, list_rows(store, settings, of)))
        if out is not None:
            _write_list(store, settings, of, out, target, screen)
        else:
            first = list(islice(list_rows(store, settings, of), SHOWN_ROWS))
            screen.print(churn_risk_table(of.run, first, wide=screen.width >= WIDE_SCREEN, language=settings.language))
        screen.print("", plan_table(of, settings.language), sep="\n")
        if save is not None:
            saved = save_campaign(store, of, save, at=datetime.now(UTC))
            screen.print(
                f"Saved as campaign {saved.name}: {saved.contacts:,} to contact from {saved.contact_day} on, {saved.held_out:,} "
                f"held out; foretier campaign measure {saved.name} tells what it did",
                markup=False, highlight=False,
            )  # fmt: skip


def _check_out(out: Path | None, target: str | None) -> None:
    from configs.errors import SettingsError
    from serving.crm_files import crm_target
    from serving.list_files import check_list_suffix

    if out is not None:
        check_list_suffix(out, target)
    elif target is not None:
        system = crm_target(target)
        raise SettingsError(f"--for {system.name} writes a file: say which one with --out FILE{system.suffixes[0]}")


def _write_list(store: Store, settings: Settings, of: ContactList, out: Path, target: str | None, screen: Console) -> None:
    from serving.list_files import write_list
    from serving.lists import list_rows

    with screen.status("Writing the list"):
        written = write_list(out, of, list_rows(store, settings, of), settings.language, target)
    screen.print(f"{written:,} customers written to {out}", markup=False, highlight=False)


@suppress.command("add")
@reported
def suppress_add(
    customer_ids: CustomerIds = None,
    ids_file: IdsFile = None,
    reason: Reason = "asked not to be contacted",
    until: Until = None,
    json_file: JsonFile = None,
) -> None:
    """Leave customers out of every list from now on, also of campaigns that were saved before."""
    ids = _given_ids(customer_ids, ids_file)
    day = None if until is None else until.date()
    with _store() as store:
        number = store.suppress(ids, reason=reason, until=day, at=datetime.now(UTC))
    _told(json_file, {"suppressed": number, "until": day}, f"{number:,} customers are on no list {_until_words(day)}")


@suppress.command("remove")
@reported
def suppress_remove(customer_ids: CustomerIds = None, ids_file: IdsFile = None, json_file: JsonFile = None) -> None:
    """Let customers be listed again."""
    with _store() as store:
        number = store.unsuppress(_given_ids(customer_ids, ids_file))
    _told(json_file, {"removed": number}, f"{number:,} customers may be listed again")


@suppress.command("list")
@reported
def suppress_list(json_file: JsonFile = None) -> None:
    """Show who is left out of every list, since when, how long and why."""
    from dataclasses import asdict

    from serving.list_report import suppressed_table

    with _store() as store:
        entries = store.suppressed()
    console(json_file).print(suppressed_table(entries))
    if json_file is not None:
        write_json(json_file, {"suppressed": [asdict(entry) for entry in entries]})


@campaign.command("list")
@reported
def campaign_list(json_file: JsonFile = None) -> None:
    """Show all campaigns, the newest first."""
    from serving.campaigns import wire_campaign
    from serving.list_report import campaigns_table

    with _store() as store:
        found = store.campaigns()
    console(json_file).print(campaigns_table(found))
    if json_file is not None:
        write_json(json_file, {"campaigns": [wire_campaign(one) for one in found]})


@campaign.command("measure")
@reported
def campaign_measure(
    name: CampaignName,
    config: ConfigFile = None,
    orders: OrdersPath = None,
    as_of: MeasuredAsOf = None,
    json_file: JsonFile = None,
) -> None:
    """Say whether a campaign worked: those contacted against those held out, by tier, with intervals."""
    from configs.days import date_of
    from configs.errors import SettingsError
    from configs.settings import Environment
    from serving.campaign_measure import measure
    from serving.campaign_report import campaign_as_dict, campaign_table
    from serving.read_log import cleaned_orders
    from serving.store import Store

    screen, settings, environment = console(json_file), read_settings(config, orders), Environment.read()
    with Store(environment.store_url) as store:
        saved, members = store.members(name)
    if saved.currency != settings.currency:
        raise SettingsError(
            f'the campaign "{saved.name}" is in {saved.currency} and the settings say {settings.currency}: use the settings that '
            "its list was made with"
        )
    cleaned = cleaned_orders(settings, environment, screen)
    known = date_of(cleaned.report.last_order_day + 1)
    end = known if as_of is None else min(as_of.date(), known)
    result = measure(saved, members, cleaned.orders, end)
    screen.print(campaign_table(result, settings.language))
    if json_file is not None:
        write_json(json_file, campaign_as_dict(result))


def _store() -> Store:
    from configs.settings import Environment
    from serving.store import Store

    return Store(Environment.read().store_url)


def _given_ids(customer_ids: list[str] | None, ids_file: Path | None) -> list[str]:
    from configs.errors import SettingsError
    from serving.id_files import read_ids

    ids = [*(customer_ids or ()), *([] if ids_file is None else read_ids(ids_file))]
    if not ids:
        raise SettingsError("no customer is named: give ids, or a file of ids with --from FILE")
    return ids


def _until_words(day: date | None) -> str:
    return "any more" if day is None else f"before {day}"


def _told(json_file: Path | None, data: dict[str, object], sentence: str) -> None:
    console(json_file).print(one_line(sentence), markup=False, highlight=False)
    if json_file is not None:
        write_json(json_file, data)
