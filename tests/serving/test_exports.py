"""Files for spreadsheets: exact ids, no formula, same bytes. Read back by csv, openpyxl and an XML parser."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import openpyxl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import SettingsError
from serving.exports import Column, ParquetParts, Table, csv_chunks, write_table, xlsx_bytes
from serving.spreadsheet_text import guarded, unguarded

CREATED = datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
TEXTS = (Column("customer_id", "Customer", "text", 20), Column("note", "Note", "text", 40))
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"

DANGEROUS = "=+-@,;\t\r\n\"'|aA01_x<>r/&\u200b\u202e\u200f＝−\ufeff \x00\x01\x1b\ufffe"
FORMULAS = [
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", "\n=1+1", " =1+1", "＝1+1", "＋1", "－1", "＠SUM(A1)",
    "\u200b=1+1",
    "\ufeff=1+1", "\u202e=1+1", '"=1+1', "'=1+1", "a;=1+1;", "a\t=1+1\t", 'a,"=1+1"', "a\n=1+1", "a; \u200b@x",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://example.org","x")', "{=1+1}", "−1", "﹣1", "⁻1",
]  # fmt: skip
MANGLED = [
    "00123", "12345678901234567890", "123456789012", "1-2", "1/2", "3-4-2011", "MAR1", "Sept 5", "1E5",
    "12e3456", "TRUE", "false",
    "Wahr", "12:30", "1,234", "12.50", "10%", "$5", "(5)", "٣", " 123", "123 ", "0x1F", "'123", "1_000", ".5", "",
]  # fmt: skip
PLAIN = [
    "12347",
    "0",
    "CUST-000123",
    "C123",
    "Müller",
    "alice@example.org",
    "AB12CD",
    "123e4567-e89b-12d3-a456-426614174000",
    "東京",
]
BROKEN_XML = [
    "<r><t>x</t></r>", "<r></r>", "_x0041_", "_x0041_x0042_", "_x005F_x0041_", "a\x01\x1f",
    "x\x07y", "\ufffe\uffff", "a&b<c>d\"e'f",
    "\x7f\x85\x9f", "]]>", "<!--", "  both  ", "\n", "\r\n", "\t", "😀" * 10,
]  # fmt: skip

hostile = st.one_of(
    st.sampled_from([*FORMULAS, *MANGLED, *PLAIN, *BROKEN_XML]),
    st.text(st.sampled_from(DANGEROUS), max_size=30),
    st.text(max_size=50),
    st.tuples(st.sampled_from(FORMULAS), st.text(max_size=20)).map("".join),
).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))


def table(rows: Iterable[Sequence[Any]], columns: tuple[Column, ...] = TEXTS) -> Table:
    return Table("Churn risk", columns, rows, (("As of", "2011-06-12"),), CREATED)


def csv_text(rows: Iterable[Sequence[Any]], columns: tuple[Column, ...] = TEXTS) -> str:
    return b"".join(csv_chunks(table(rows, columns))).decode("utf-8-sig")


def starts_a_formula(cell: str) -> bool:
    """Judge as a careful spreadsheet would: skip what cannot be seen, fold letters that look alike."""
    for letter in cell:
        if letter == "'":  # the mark for text
            return False
        if letter == '"' or unicodedata.category(letter) in ("Cc", "Cf", "Zs", "Zl", "Zp") or letter.isspace():
            continue
        return unicodedata.normalize("NFKC", letter)[0] in "=+-@−"
    return False


# CSV


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(hostile, hostile), min_size=1, max_size=5))
def test_csv_keeps_every_text_and_holds_no_formula(rows: list[tuple[str, str]]) -> None:
    text = csv_text(rows)
    read = list(csv.reader(io.StringIO(text, newline="")))[1:]
    assert [tuple(unguarded(cell) for cell in row) for row in read] == rows
    assert not [cell for row in read for cell in row if starts_a_formula(cell)]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(hostile, hostile), min_size=1, max_size=3), st.sampled_from(";\t|"))
def test_csv_holds_no_formula_where_the_separator_is_another(rows: list[tuple[str, str]], separator: str) -> None:
    text = csv_text(rows)
    cells = [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator) for cell in row]
    naive = re.split(rf"[\r\n{re.escape(separator)}]", text)
    assert not [cell for cell in (*cells, *naive) if starts_a_formula(cell)]


@given(hostile)
def test_guarding_can_be_undone(text: str) -> None:
    assert unguarded(guarded(text)) == unguarded(guarded(text, numbers=True)) == text


@pytest.mark.parametrize("text", [*FORMULAS, *MANGLED[:-1]])
def test_what_a_spreadsheet_would_change_is_marked_as_text(text: str) -> None:
    assert guarded(text) != text
    assert not starts_a_formula(guarded(text))


@pytest.mark.parametrize("text", PLAIN)
def test_what_a_spreadsheet_leaves_alone_is_left_alone(text: str) -> None:
    assert guarded(text) == text


def test_csv_is_rfc_4180_with_a_mark_for_utf_8() -> None:
    columns = (
        *TEXTS,
        Column("risk", "Risk", "percent", 9),
        Column("value", "Value", "money", 9),
        Column("day", "Day", "date", 9),
    )
    rows: list[list[Any]] = [["Zoë", 'says "hi",\nbye', 0.123456, -3.14159, date(2011, 6, 12)], ["7", None, 1.0, 1e6, None]]
    assert (
        b"".join(csv_chunks(table(rows, columns)))
        == (
            '\ufeff"customer_id","note","risk","value","day"\r\n'
            '"Zoë","says ""hi"",\nbye",0.1235,-3.14,"2011-06-12"\r\n'
            '"7","",1.0,1000000.0,""\r\n'
        ).encode()
    )


def test_csv_of_many_rows_is_whole() -> None:
    text = csv_text([[f"C{row}", ""] for row in range(2500)])
    assert [row[0] for row in csv.reader(io.StringIO(text, newline=""))][1:] == [f"C{row}" for row in range(2500)]
    assert csv_text([]).count("\r\n") == 1


# XLSX


@settings(max_examples=120, deadline=None)
@given(st.lists(hostile, min_size=1, max_size=8))
def test_xlsx_keeps_every_text_in_text_cells(texts: list[str]) -> None:
    file = xlsx_bytes(table([[text, ""] for text in texts]))
    assert excel_texts(file) == texts
    sheet = opened(file).worksheets[0]
    assert {cell.data_type for row in sheet.iter_rows(min_row=2) for cell in row if cell.value is not None} <= {"s"}
    assert b"<f>" not in sheet_xml(file)


@pytest.mark.parametrize("text", [*FORMULAS, *MANGLED[:-1], *PLAIN, *BROKEN_XML])
def test_xlsx_keeps_this_text(text: str) -> None:
    assert excel_texts(xlsx_bytes(table([[text, ""]]))) == [text]


def test_openpyxl_reads_the_ids() -> None:
    ids = [*FORMULAS, *MANGLED[:-1], *PLAIN]
    readable = [one for one in ids if not re.search(r"[\x00-\x1f]", one)]  # openpyxl leaves _x0009_ as it is
    sheet = opened(xlsx_bytes(table([[one, ""] for one in readable]))).worksheets[0]
    cells = list(sheet["A"])[1:]
    assert [cell.value for cell in cells] == readable
    assert all(cell.number_format == "@" and cell.quotePrefix for cell in cells)


def test_a_text_beyond_what_a_cell_holds_is_cut_and_says_so() -> None:
    [wide, emoji, fits] = excel_texts(xlsx_bytes(table([["x" * 40_000, ""], ["😀" * 20_000, ""], ["y" * 32_767, ""]])))
    assert wide == "x" * 32_766 + "…"
    assert emoji == "😀" * 16_383 + "…"
    assert fits == "y" * 32_767


def test_xlsx_is_laid_out_for_people() -> None:
    columns = (
        *TEXTS, Column("risk", "Churn risk", "percent", 9, bar=True), Column("value", "Value", "money", 9),
        Column("day", "Last order", "date", 12),
    )  # fmt: skip
    file = xlsx_bytes(table([["00123", "x", 0.5, 1234.5, date(2011, 6, 12)], ["7", None, 1.0, 0.0, None]], columns))
    book = opened(file)
    sheet = book.worksheets[0]
    assert book.sheetnames == ["Churn risk", "About this list"]
    assert [cell.value for cell in sheet[1]] == ["Customer", "Note", "Churn risk", "Value", "Last order"]
    assert [cell.value for cell in sheet[2]] == ["00123", "x", 0.5, 1234.5, datetime(2011, 6, 12)]
    assert [cell.number_format for cell in sheet[2]] == ["@", "@", "0%", "#,##0.00", "yyyy-mm-dd"]
    assert (sheet.freeze_panes, sheet.auto_filter.ref) == ("C2", "A1:E3")
    assert b"<x14:dataBar" in sheet_xml(file)
    assert [cell.value for cell in book.worksheets[1][1]] == ["As of", "2011-06-12"]
    assert book.properties.created == datetime(2011, 6, 12, 4, 30)


def test_an_empty_list_is_a_sheet_with_a_head() -> None:
    sheet = opened(xlsx_bytes(table([]))).worksheets[0]
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [["Customer", "Note"]]


def test_more_rows_than_a_sheet_holds_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("serving.exports.XLSX_MOST_ROWS", 3)
    path = tmp_path / "list.xlsx"
    with pytest.raises(SettingsError, match=r"a sheet holds 3 rows at most.*\.csv"):
        write_table(path, table([[str(row), ""] for row in range(4)]))
    assert list(tmp_path.iterdir()) == []


# Files


@pytest.mark.parametrize("suffix", [".csv", ".xlsx", ".XLSX"])
def test_the_same_list_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    files = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for file in files:
        assert write_table(file, table([["00123", "x"], ["=1", "y"]])) == 2
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("name", ["list.xls", "list", "list.txt"])
def test_another_suffix_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=rf'written as .csv or .xlsx, found "{name}"'):
        write_table(tmp_path / name, table([]))


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_a_list_that_fails_leaves_the_old_file(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"list{suffix}"
    file.write_bytes(b"old")

    def rows() -> Any:
        yield ["1", ""]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_table(file, table(rows()))
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_parquet_is_written_in_parts(tmp_path: Path) -> None:
    file = tmp_path / "scores.parquet"
    with file.open("wb") as opened_file:
        parts = ParquetParts(opened_file)
        types = {"next_order": "date32"}
        parts.add({"customer_id": ["00123", "=1+1"], "value": [0.1, 1e300], "next_order": [None, None]}, types)
        parts.add({"customer_id": ["x\0y"], "value": [-0.5], "next_order": [date(2012, 2, 29)]}, types)
        parts.close()
    assert pq.read_table(file).to_pydict() == {
        "customer_id": ["00123", "=1+1", "x\0y"],
        "value": [0.1, 1e300, -0.5],
        "next_order": [None, None, date(2012, 2, 29)],
    }


def opened(file: bytes) -> openpyxl.Workbook:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Conditional Formatting extension|Unknown extension", UserWarning)
        return openpyxl.load_workbook(io.BytesIO(file))


def sheet_xml(file: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        return archive.read("xl/worksheets/sheet1.xml")


def excel_texts(file: bytes) -> list[str]:
    """The first column as Excel shows it: ECMA-376 22.9.2.19 undoes _xHHHH_ in each piece of text, left to right."""
    texts = []
    for row in ET.fromstring(sheet_xml(file)).iter(f"{MAIN}row"):
        if row.get("r") == "1":
            continue
        cell = row.find(f"{MAIN}c")
        assert cell is not None
        pieces = [piece.text or "" for piece in cell.iter(f"{MAIN}t")]
        texts.append("".join(re.sub("_x([0-9A-Fa-f]{4})_", lambda found: chr(int(found[1], 16)), piece) for piece in pieces))
    return texts
