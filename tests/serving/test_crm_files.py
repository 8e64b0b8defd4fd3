"""Import files of CRMs: names by each vendor's rules, exact ids and numbers, read back by csv and openpyxl."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from configs.errors import SettingsError
from serving.crm_files import CRM_COLUMNS, CRM_TARGETS, CrmTarget, crm_columns
from serving.list_files import check_list_suffix, write_list
from serving.list_plan import Expected, Plan
from serving.lists import ContactList, ListRow
from serving.predictions import Terms
from serving.store import Choice, LeftOut, ScoringRun

CREATED = datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
TERMS = Terms(date(2011, 6, 12), 180, "GBP", "3", "B")
RUN = ScoringRun(7, TERMS, 2, CREATED, (), (), zero_padded_ids=True, tier_horizon_days=180, held=0)
OF = ContactList(RUN, Plan(), date(2011, 7, 1), Choice(), Expected(2, 0, 0.1, 20.0, 0.0, 20.0, 1.9, 1.0, 0.9, LeftOut()))
ROW = ListRow(
    rank=1, customer_id="00123", tier="Platinum", churn_risk=0.173456, risk_band="high", predicted_value=1234567.891,
    value_low=1.0, value_high=2.0, uncertain=False, value_at_risk=0.005, last_order=date(2011, 2, 1),
    days_since_last_order=131, next_order=None, lifecycle_stage="dormant", rfm_segment="Loyal", past_spend_tier="Gold",
    movement="up", reasons=("Ordered 131 days ago: raises the risk", 'Spends, "much"'), action="Call within two days",
    channel="phone", contact_cap=2,
)  # fmt: skip

# The vendors' rules for the names of fields.
NAMES = {
    "hubspot": r"[a-z][a-z0-9_]{0,99}",
    "salesforce": r"(?!.*__.*__c)[A-Za-z](?:_?[A-Za-z0-9]){0,39}__c",
    "marketo": r"[A-Za-z][A-Za-z0-9]{0,254}",
    "jiandaoyun": r"[\w\u4e00-\u9fff ]{1,50}",
}
# Ids that no spreadsheet runs, however strange.
QUIET_IDS = [
    "00123", "12345678901234567890", "+8613800138000", "+86 138-0013-8000", "-5", "1-2", "MAR1", "1E5", "TRUE", "a,b",
    'say "hi"', "a\nb", "a\r\nb", "'quoted", "王小明", "😀", "e\u0301", "\u202e123", " 12", "12 ", "NULL", "#N/A",
    "alice@example.org", "a;b", "<b>&amp;", "",
]  # fmt: skip
LIVE_IDS = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", " =1+1", "＝1+1", "\t=1", "a;=1+1", "\u200b@x"]


def list_of(ids: Iterable[str]) -> list[ListRow]:
    return [replace(ROW, customer_id=one, rank=place) for place, one in enumerate(ids, start=1)]


def read_csv(path: Path) -> list[dict[str, str]]:
    text = path.read_bytes().decode("utf-8")  # not utf-8-sig: a mark would be part of the first name
    return list(csv.DictReader(io.StringIO(text, newline="")))


def read_xlsx(path: Path) -> list[dict[str, Any]]:
    book = openpyxl.load_workbook(path)
    assert len(book.worksheets) == 1
    head, *rows = book.worksheets[0].iter_rows()
    return [{str(name.value): cell.value for name, cell in zip(head, row, strict=True)} for row in rows]


with_csv = pytest.mark.parametrize(
    "target", [target for target in CRM_TARGETS if ".csv" in target.suffixes], ids=lambda one: one.name
)
with_xlsx = pytest.mark.parametrize(
    "target", [target for target in CRM_TARGETS if ".xlsx" in target.suffixes], ids=lambda one: one.name
)


@pytest.mark.parametrize("target", CRM_TARGETS, ids=lambda one: one.name)
def test_names_are_valid_and_different(target: CrmTarget) -> None:
    names = [column.name for column in crm_columns(target)]
    assert [name for name in names if not re.fullmatch(NAMES[target.name], name)] == []
    assert len({name.lower() for name in names}) == len(names) == len(CRM_COLUMNS)


def test_names_are_those_documented() -> None:
    assert [crm_columns(target)[0].name for target in CRM_TARGETS] == [
        "foretier_customer_id", "Foretier_Customer_Id__c", "foretierCustomerId", "客户编号",
    ]  # fmt: skip
    assert [crm_columns(target)[5].name for target in CRM_TARGETS] == [
        "foretier_churn_risk", "Foretier_Churn_Risk__c", "foretierChurnRisk", "流失风险",
    ]  # fmt: skip


@with_csv
def test_csv_is_what_the_system_reads(target: CrmTarget, tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    rows = [ROW, replace(ROW, customer_id="7", next_order=date(2012, 2, 29), action="=SUM(A1)", contact_cap=None, reasons=())]
    assert write_list(path, OF, rows, "en", target.name) == 2
    name = target.property_of
    first, second = read_csv(path)
    assert b"\r" not in path.read_bytes()
    assert list(first) == [name(one) for one in CRM_COLUMNS]
    assert (first[name("customer_id")], second[name("customer_id")]) == ("00123", "7")
    assert first[name("churn_risk")] == ("0.1735" if target.name == "hubspot" else "17.35")
    assert (first[name("predicted_value")], first[name("value_at_risk")]) == ("1234567.89", "0.01")
    assert (first[name("last_order")], first[name("next_order")]) == ("2011-02-01", "")
    assert (second[name("next_order")], second[name("contact_day")]) == ("2012-02-29", "2011-07-01")
    assert (first[name("as_of")], first[name("contact_cap")], second[name("contact_cap")]) == ("2011-06-12", "2", "")
    assert first[name("reasons")] == 'Ordered 131 days ago: raises the risk; Spends, "much"'
    assert (second[name("action")], second[name("reasons")]) == ("'=SUM(A1)", "")
    assert (first[name("lifecycle_stage")], first[name("movement")], first[name("channel")]) == ("dormant", "up", "phone")
    assert (first[name("currency")], first[name("horizon_days")], first[name("model_version")]) == ("GBP", "180", "3")


@with_xlsx
def test_xlsx_is_what_the_system_reads(target: CrmTarget, tmp_path: Path) -> None:
    path = tmp_path / "contacts.xlsx"
    assert write_list(path, OF, [ROW, replace(ROW, customer_id="=1+1", action="=SUM(A1)")], "en", target.name) == 2
    name = target.property_of
    first, second = read_xlsx(path)
    assert list(first) == [name(one) for one in CRM_COLUMNS]
    assert (first[name("customer_id")], second[name("customer_id")], second[name("action")]) == ("00123", "=1+1", "=SUM(A1)")
    assert (first[name("churn_risk")], first[name("predicted_value")]) == (0.1735, 1234567.89)
    assert (first[name("last_order")], first[name("next_order")]) == (datetime(2011, 2, 1), None)
    stage = "沉睡" if target.name == "jiandaoyun" else "dormant"
    assert (first[name("lifecycle_stage")], first[name("tier")]) == (stage, "Platinum")
    formats = {cell.number_format for cell in openpyxl.load_workbook(path).worksheets[0][2]}
    assert formats == {"@", "0", "0.00", "0.0000", "yyyy-mm-dd"}


@with_csv
def test_csv_holds_every_id_exactly(target: CrmTarget, tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    assert write_list(path, OF, list_of(QUIET_IDS), "en", target.name) == len(QUIET_IDS)
    assert [row[target.property_of("customer_id")] for row in read_csv(path)] == QUIET_IDS


@with_xlsx
def test_xlsx_holds_every_id_exactly_those_like_formulas_too(target: CrmTarget, tmp_path: Path) -> None:
    path = tmp_path / "contacts.xlsx"
    ids = [one for one in [*QUIET_IDS, *LIVE_IDS] if one and not set(one) & {"\t", "\r"}]  # openpyxl leaves _x0009_ as it is
    write_list(path, OF, list_of(ids), "en", target.name)
    assert [row[target.property_of("customer_id")] for row in read_xlsx(path)] == ids


@with_csv
@pytest.mark.parametrize("customer_id", LIVE_IDS)
def test_an_id_that_would_run_is_neither_written_nor_changed(target: CrmTarget, customer_id: str, tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    path.write_text("old")
    rows = list_of(["1", customer_id, *map(str, range(3000)), customer_id])
    with pytest.raises(SettingsError, match=r"^2 customers of this list have ids .*\.xlsx .*foretier suppress add") as caught:
        write_list(path, OF, rows, "en", target.name)
    assert customer_id.strip() not in str(caught.value).replace("= + - or @", "")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_empty_list_is_a_head(tmp_path: Path) -> None:
    path = tmp_path / "contacts.csv"
    assert write_list(path, OF, [], "en", "hubspot") == 0
    assert path.read_text().startswith('"foretier_customer_id",')


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("a.xlsx", "salesforce", r'salesforce imports \.csv files, found "a\.xlsx"; give --out FILE\.csv'),
        ("a.csv", "jiandaoyun", r'jiandaoyun imports \.xlsx files, found "a\.csv"; give --out FILE\.xlsx'),
        ("a.parquet", "hubspot", r"hubspot imports \.csv or \.xlsx files"),
        ("a.csv", "hubspt", 'not written for "hubspt"; did you mean "hubspot"'),
        ("a.txt", None, "written as .csv, .xlsx or .parquet"),
    ],
)
def test_other_files_and_systems_are_refused(name: str, target: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        check_list_suffix(Path(name), target)
