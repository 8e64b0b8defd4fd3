"""A campaign that was measured: as a table with a plain verdict, and as JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from configs.language import Language
from serving.campaign_measure import FEWEST, CampaignResult, Comparison, Effect, all_rows
from serving.campaign_words import CAMPAIGN_WORDS, CampaignWords

if TYPE_CHECKING:
    from rich.console import RenderableType

_STYLE = {"works": "green", "harms": "red", "no_difference": "", "too_early": "yellow", "too_small": "yellow"}


def campaign_table(result: CampaignResult, language: Language = "en") -> RenderableType:
    """Both groups by tier, and in words what the campaign did."""
    words, campaign = CAMPAIGN_WORDS[language], result.campaign
    table = Table(
        title=words.title.format(
            name=campaign.name, contacts=campaign.contacts, day=campaign.contact_day, held_out=campaign.held_out
        ),
        title_justify="left",
        caption=words.caption,
        caption_justify="left",
    )
    table.add_column(words.tier)
    for name in (words.customers, words.retention, words.difference):
        table.add_column(name, justify="right")
    table.add_column(words.value_saved.format(currency=campaign.currency), justify="right")
    table.add_column(words.verdict)
    for row in all_rows(result):
        table.add_row(*_cells(row, words), end_section=row.tier is None)
    return Group(table, Text(""), Text("\n".join(_told(result, words))))


def _cells(row: Comparison, words: CampaignWords) -> list[Text | str]:
    one, other, number = row.contacted, row.held_out, row.contacted.customers
    verdict = words.verdicts[row.verdict] if row.needed is None else words.needed.format(needed=row.needed)
    return [
        row.tier or words.everybody,
        words.versus.format(one=f"{one.customers:,}", other=f"{other.customers:,}"),
        words.versus.format(one=_percent(one.retention), other=_percent(other.retention)),
        _between(row.retention, 100.0, words, "{:+.1f}"),
        _between(row.value, number, words, "{:,.0f}"),
        Text(verdict, style=_STYLE[row.verdict]),
    ]


def _between(effect: Effect | None, times: float, words: CampaignWords, form: str) -> str:
    if effect is None:
        return words.nothing
    return words.between.format(**_said(effect, times, form))


def _said(effect: Effect, times: float, form: str) -> dict[str, str]:
    return {name: form.format(number * times + 0.0) for name, number in asdict(effect).items()}


def _told(result: CampaignResult, words: CampaignWords) -> list[str]:
    """The whole campaign in sentences."""
    campaign, row = result.campaign, result.overall
    passed = {"days": result.days, "horizon": campaign.horizon_days, "end": result.end}
    said = [(words.days if result.days == campaign.horizon_days else words.open_days).format(**passed)]
    if row.retention is None or row.value is None:
        return [*said, words.told_fewest.format(fewest=FEWEST)]
    said += [words.told_few] * (row.verdict == "too_small") + [words.told_early] * (row.verdict == "too_early")
    points, number = _said(row.retention, 100.0, "{:+.1f}"), row.contacted.customers
    saved, value = _said(row.retention, number, "{:,.0f}"), _said(row.value, number, "{:,.0f}")
    said.append(
        words.told_retention.format(
            share=_percent(row.contacted.retention), other=_percent(row.held_out.retention),
            difference=points["estimate"], low=points["low"], high=points["high"],
        )
    )  # fmt: skip
    said.append(words.told_saved.format(saved=saved["estimate"], low=saved["low"], high=saved["high"]))
    currency = campaign.currency
    said.append(words.told_value.format(value=value["estimate"], low=value["low"], high=value["high"], currency=currency))
    if result.cost > 0.0:
        net = row.value.estimate * number - result.cost
        said.append(words.told_cost.format(cost=f"{result.cost:,.0f}", net=f"{net:,.0f}", currency=currency))
    return [*said, *[words.told_nothing] * (row.verdict == "no_difference")]


def campaign_as_dict(result: CampaignResult) -> dict[str, Any]:
    """Give a result in plain types: differences of retention as shares, of value in the currency, per customer and in all."""
    campaign = result.campaign
    return {
        "campaign": campaign.name,
        "contact_day": campaign.contact_day.isoformat(),
        "end": result.end.isoformat(),
        "days": result.days,
        "horizon_days": campaign.horizon_days,
        "currency": campaign.currency,
        "level": 0.95,
        "cost": result.cost,
        "overall": _wired(result.overall),
        "tiers": [_wired(row) for row in result.tiers],
    }


def _wired(row: Comparison) -> dict[str, Any]:
    number = row.contacted.customers
    groups = {
        name: {**asdict(group), "retention": group.retention}
        for name, group in (("contacted", row.contacted), ("held_out", row.held_out))
    }
    effects = {
        "retention": row.retention,
        "value": row.value,
        "customers_saved": None if row.retention is None else row.retention.times(number),
        "value_saved": None if row.value is None else row.value.times(number),
    }
    told = {name: None if effect is None else asdict(effect) for name, effect in effects.items()}
    return {"tier": row.tier, **groups, **told, "verdict": row.verdict, "customers_needed": row.needed}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
