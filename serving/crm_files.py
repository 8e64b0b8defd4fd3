"""Contact lists as the import files of CRMs: which columns they have, how each system names them, how values are written.

What the vendors document:

- HubSpot ("Set up import files", knowledge.hubspot.com): CSV in UTF-8 or XLSX of one sheet, the first row heads the columns;
  days as year-month-day; options of one property are separated by semicolons. Records are found again by Record ID, Email or
  a custom property that requires unique values. Internal names of properties are in lower case.
- Salesforce ("Prepare CSV Files", developer.salesforce.com): CSV in UTF-8 whose heads are API names, those of custom fields
  ending in ``__c``; days as yyyy-MM-dd; lines end in LF unless the job says otherwise. Records are found again by a custom
  field with the attribute External ID. Its tools have refused files that begin with the mark for UTF-8
  (forcedotcom/dataloader#182, forcedotcom/cli#720).
- Marketo ("Bulk Lead Import" and "Field Types", experienceleague.adobe.com): CSV of less than 10 MB whose heads are the REST
  names of fields; days as 2010-05-07; the field type Percent takes whole numbers. Records are found again by ``lookupField``.
- Jiandaoyun ("Importing Data", help.jodoo.com, the manual of its edition abroad): Excel files of up to 50,000 rows and 200
  columns; a day is a date cell or a text such as 2015-04-20.

What is our choice: which columns there are, and the names, each made of ``foretier`` and ours; that the id is a column of its
own, since Foretier knows no e-mail address; for Jiandaoyun the titles of the Chinese list, and codes in Chinese words. Churn
risk is a share (0.1734) for HubSpot and Jiandaoyun, whose fields show it as a percentage, and percentage points (17.34) for
Salesforce, whose fields of type Percent hold these, and Marketo, as a Float.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from configs.errors import SettingsError, nearest
from configs.language import Language
from serving.code_words import band_words, channel_words, movement_words, segment_words, stage_words
from serving.exports import Column, Kind, Table
from serving.list_words import LIST_WORDS
from serving.lists import ContactList, ListRow

CRM_COLUMNS: dict[str, Kind] = {
    "customer_id": "text",
    "rank": "whole",
    "tier": "text",
    "past_spend_tier": "text",
    "movement": "text",
    "churn_risk": "percent",
    "risk_band": "text",
    "predicted_value": "money",
    "value_at_risk": "money",
    "last_order": "date",
    "next_order": "date",
    "lifecycle_stage": "text",
    "rfm_segment": "text",
    "action": "text",
    "channel": "text",
    "contact_cap": "whole",
    "contact_day": "date",
    "reasons": "text",
    "as_of": "date",
    "horizon_days": "whole",
    "currency": "text",
    "model_version": "text",
}
"""Our names of the columns of every import file, in their order."""

_CODES: dict[str, Callable[[str, Language], str]] = {
    "risk_band": band_words,
    "lifecycle_stage": stage_words,
    "rfm_segment": segment_words,
    "movement": movement_words,
    "channel": channel_words,
}
_CHINESE = {"customer_id": "客户编号", "reasons": "原因", "contact_day": "触达起始日", "model_version": "模型版本"}
"""Titles that the Chinese list has no column for, or a shorter one."""


@dataclass(frozen=True, slots=True)
class CrmTarget:
    """A system that imports lists: what files it takes, best first, how its columns are called (``property_of`` our name).

    ``risk``: churn risk as a share or in percentage points. ``codes_in``: codes are said in this language, else kept.
    """

    name: str
    suffixes: tuple[str, ...]
    property_of: Callable[[str], str]
    risk: Kind
    codes_in: Language | None = None


def _hubspot(name: str) -> str:
    return f"foretier_{name}"


def _salesforce(name: str) -> str:
    return f"Foretier_{name.title()}__c"


def _marketo(name: str) -> str:
    return f"foretier{name.title().replace('_', '')}"


def _jiandaoyun(name: str) -> str:
    return _CHINESE.get(name) or str(getattr(LIST_WORDS["zh"], name))


CRM_TARGETS: tuple[CrmTarget, ...] = (
    CrmTarget("hubspot", (".csv", ".xlsx"), _hubspot, "percent"),
    CrmTarget("salesforce", (".csv",), _salesforce, "points"),
    CrmTarget("marketo", (".csv",), _marketo, "points"),
    CrmTarget("jiandaoyun", (".xlsx",), _jiandaoyun, "percent", codes_in="zh"),
)


def crm_target(name: str) -> CrmTarget:
    """Give the system of this name. Raises SettingsError, with the nearest name, where there is none."""
    found = {target.name: target for target in CRM_TARGETS}.get(name)
    if found is None:
        names = [target.name for target in CRM_TARGETS]
        raise SettingsError(f'lists are not written for "{name[:100]}"; {nearest(name[:100], names)}')
    return found


def crm_table(target: CrmTarget, of: ContactList, rows: Iterable[ListRow]) -> Table:
    """Give a list as a table for :func:`serving.exports.write_table`, in a file of one of ``target.suffixes``."""
    return Table(
        title="Foretier",
        columns=crm_columns(target),
        rows=(_cells(row, of, target) for row in rows),
        notes=(),
        created_at=of.run.created_at,
        for_programs=True,
    )


def crm_columns(target: CrmTarget) -> tuple[Column, ...]:
    """The columns of an import file of ``target``."""
    return tuple(_column(name, kind, target) for name, kind in CRM_COLUMNS.items())


def _column(name: str, kind: Kind, target: CrmTarget) -> Column:
    kind = target.risk if name == "churn_risk" else kind
    return Column(target.property_of(name), name, kind, width=18, exact=name == "customer_id")


def _cells(row: ListRow, of: ContactList, target: CrmTarget) -> list[Any]:
    terms = of.run.terms
    cells: dict[str, Any] = {
        **{name: getattr(row, name, None) for name in CRM_COLUMNS},
        "churn_risk": 100.0 * row.churn_risk if target.risk == "points" else row.churn_risk,
        "reasons": "; ".join(row.reasons),
        "contact_day": of.contact_day,
        "as_of": terms.as_of,
        "horizon_days": terms.horizon_days,
        "currency": terms.currency,
        "model_version": terms.model_version,
    }
    if target.codes_in is not None:
        cells |= {name: say(cells[name], target.codes_in) for name, say in _CODES.items()}
    return list(cells.values())
