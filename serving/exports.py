"""Tables as files: CSV and XLSX for people with a spreadsheet, Parquet for programs.

A file appears whole or not at all; the same table gives the same bytes.
"""

from __future__ import annotations

import csv
import io
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

from configs.errors import SettingsError
from configs.files import replacing
from serving.spreadsheet_text import disarmed, guarded, live

if TYPE_CHECKING:
    import xlsxwriter
    from xlsxwriter.format import Format
    from xlsxwriter.worksheet import Worksheet

Kind = Literal["text", "whole", "money", "percent", "points", "date"]
"""``percent`` is a share from 0 to 1, ``points`` are percentage points from 0 to 100."""
CSV_DECIMALS: dict[Kind, int] = {"money": 2, "percent": 4, "points": 2}
CSV_BATCH_ROWS = 1_000
XLSX_MOST_ROWS = 1_048_575
XLSX_MOST_LETTERS = 32_767


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``name`` heads it in CSV, ``label`` in XLSX; ``bar`` draws the number as a bar between 0 and 1.

    ``exact``: a text that must never be written otherwise, such as an id; see ``for_programs`` of :class:`Table`.
    """

    name: str
    label: str
    kind: Kind
    width: int
    bar: bool = False
    exact: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of plain values in the order of ``columns``; ``None`` is an empty cell.

    ``notes`` are pairs of label and text for a second sheet, called ``notes_title``. ``created_at`` is the time written into the
    file: that of the scoring run, never that of the export. ``mark_numbers``: in CSV, texts that are whole numbers are marked as
    texts too (see :func:`serving.spreadsheet_text.guarded`).

    ``for_programs``: the file is imported, not read. CSV has no mark for UTF-8, and lines end in LF; XLSX is one plain sheet
    without notes, whose columns are headed by ``name``, and whose numbers are rounded as in CSV and have no separators. Texts
    are as they are, but in CSV a text that a spreadsheet would run gets an apostrophe. Where that text is ``exact`` the file is
    refused: it can be harmless or exact, and must be both.
    """

    title: str
    columns: tuple[Column, ...]
    rows: Iterable[Sequence[Any]]
    notes: tuple[tuple[str, str], ...]
    created_at: datetime
    mark_numbers: bool = False
    notes_title: str = "About this list"
    for_programs: bool = False


def write_table(path: Path, table: Table) -> int:
    """Write ``.csv`` or ``.xlsx`` by the suffix of ``path``; gives the number of rows.

    Raises SettingsError: another suffix, a folder that cannot be written, more rows than a sheet can hold.
    """
    check_suffix(path)
    writer = write_csv if path.suffix.lower() == ".csv" else write_xlsx
    with replacing(path) as temporary, temporary.open("wb") as file:
        return writer(file, table)


def check_suffix(path: Path) -> None:
    """Raise SettingsError unless ``path`` ends in a suffix that :func:`write_table` knows."""
    if path.suffix.lower() not in (".csv", ".xlsx"):
        raise SettingsError(f'a list is written as .csv or .xlsx, found "{path.name}"; give --out one of these suffixes')


# CSV


def write_csv(file: BinaryIO, table: Table) -> int:
    """Write RFC 4180 in UTF-8 with its mark; texts are guarded and quoted. Gives the number of rows.

    Raises SettingsError for a table ``for_programs``, after its last row, if exact texts would be formulas.
    """
    rows = -1
    for batch, lines in _csv_batches(table):
        file.write(batch)
        rows += lines
    return rows


def csv_chunks(table: Table) -> Iterator[bytes]:
    """Give the bytes of :func:`write_csv` piece by piece."""
    return (batch for batch, _ in _csv_batches(table))


def _csv_batches(table: Table) -> Iterator[tuple[bytes, int]]:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n" if table.for_programs else "\r\n")
    buffer.write("" if table.for_programs else "\ufeff")
    writer.writerow([column.name for column in table.columns])
    lines, unfit = 1, 0
    for row in table.rows:
        cells = list(zip(row, table.columns, strict=True))
        writer.writerow([_csv_cell(value, column, table) for value, column in cells])
        lines += 1
        if table.for_programs:
            unfit += any(column.exact and value is not None and live(str(value)) for value, column in cells)
        if lines == CSV_BATCH_ROWS:
            yield _encoded(buffer.getvalue()), lines
            buffer.seek(0)
            buffer.truncate()
            lines = 0
    if unfit:
        raise _live_ids(unfit)
    yield _encoded(buffer.getvalue()), lines


def _csv_cell(value: Any, column: Column, table: Table) -> Any:
    if value is None:
        return ""
    if column.kind == "text":
        return _csv_text(str(value), column, table)
    return value.isoformat() if column.kind == "date" else _rounded(value, column.kind)


def _csv_text(text: str, column: Column, table: Table) -> str:
    if not table.for_programs:
        return guarded(text, numbers=table.mark_numbers)
    return text if column.exact else disarmed(text)


def _rounded(value: Any, kind: Kind) -> Any:
    return round(value, CSV_DECIMALS[kind]) if kind in CSV_DECIMALS else value


def _live_ids(rows: int) -> SettingsError:
    return SettingsError(
        f"{rows:,} customers of this list have ids that a spreadsheet runs as formulas (they begin with = + - or @), and an "
        "import file must hold ids exactly: write a .xlsx file where the system takes one, in which they are text, or leave "
        "these customers out with foretier suppress add"
    )


# Half a surrogate pair is no character: no file can hold it, and no store keeps it in an id.
_HALF_PAIRS = re.compile("[\ud800-\udfff]")


def _encoded(text: str) -> bytes:
    return _sound(text).encode()


def _sound(text: str) -> str:
    """Give the text with the sign for "no character" in place of half surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HALF_PAIRS.sub("\ufffd", text)
    return text


# XLSX


def write_xlsx(file: BinaryIO, table: Table) -> int:
    """Write one sheet of data and, for people, one of notes; texts are text cells, never formulas. Gives the number of rows.

    Raises SettingsError for more rows than a sheet can hold.
    """
    with _workbook(file, table.created_at) as workbook:
        formats = _formats(workbook, for_programs=table.for_programs)
        sheet = _new_sheet(workbook, table.title)
        _lay_out(sheet, table, formats)
        last = 0
        for last, row in enumerate(table.rows, start=1):
            if last > XLSX_MOST_ROWS:
                raise SettingsError(
                    f"a sheet holds {XLSX_MOST_ROWS:,} rows at most, the list is longer: use --top or a .csv file"
                )
            for place, (value, column) in enumerate(zip(row, table.columns, strict=True)):
                shown = _rounded(value, column.kind) if table.for_programs and value is not None else value
                _write_cell(sheet, last, place, shown, column.kind, formats)
        if not table.for_programs:
            _furnish(sheet, table.columns, last)
            _write_notes(_new_sheet(workbook, table.notes_title), table.notes, formats)
    return last


def _furnish(sheet: Worksheet, columns: Sequence[Column], last: int) -> None:
    sheet.autofilter(0, 0, last, len(columns) - 1)
    for place, column in enumerate(columns):
        if column.bar and last:
            sheet.conditional_format(1, place, last, place, _BAR)


def xlsx_bytes(table: Table) -> bytes:
    """Give the bytes of :func:`write_xlsx`."""
    buffer = io.BytesIO()
    write_xlsx(buffer, table)
    return buffer.getvalue()


_BAR = {
    "type": "data_bar", "bar_solid": True, "bar_color": "#F4B183", "bar_border_color": "#F4B183",
    "min_type": "num", "min_value": 0, "max_type": "num", "max_value": 1,
}  # fmt: skip


@contextmanager
def _workbook(file: BinaryIO, created_at: datetime) -> Iterator[xlsxwriter.Workbook]:
    import xlsxwriter

    options = {
        "constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
        "nan_inf_to_errors": False,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="foretier-") as folder:
        workbook = xlsxwriter.Workbook(file, {**options, "tmpdir": folder})
        workbook.set_properties({"title": "Foretier", "created": created_at.astimezone(UTC).replace(tzinfo=None)})
        try:
            yield workbook
            workbook.close()
        finally:  # when a row cannot be had, XlsxWriter would leave its rows on disk and open
            workbook.fileclosed = True
            for sheet in workbook.worksheets():
                sheet._opt_close()  # noqa: SLF001


# How programs that read what a cell shows, not what it holds, get the number all the same.
_PLAIN_NUMBERS = {"whole": "0", "money": "0.00", "percent": "0.0000", "points": "0.00"}


def _formats(workbook: xlsxwriter.Workbook, *, for_programs: bool) -> dict[str, Format]:
    """One format per kind. The quote prefix keeps a text a text even after someone edits the cell."""
    looks: dict[str, dict[str, Any]] = {
        "text": {
            "num_format": "@",
            "quote_prefix": True,
            "valign": "top",
            "align": "left",
            "indent": 1,
            "reading_order": 1,
        },
        "whole": {"num_format": "#,##0", "valign": "top"},
        "money": {"num_format": "#,##0.00", "valign": "top"},
        "percent": {"num_format": "0%", "valign": "top"},
        "points": {"num_format": "0.00", "valign": "top"},
        "date": {"num_format": "yyyy-mm-dd", "align": "center", "valign": "top"},
        "head": {"bold": True, "bg_color": "#1F3864", "font_color": "#FFFFFF", "text_wrap": True, "valign": "vcenter"},
        "note": {"num_format": "@", "quote_prefix": True, "valign": "top", "text_wrap": True},
        "strong": {"bold": True, "valign": "top"},
    }
    if for_programs:
        looks |= {name: {"num_format": number} for name, number in _PLAIN_NUMBERS.items()}
    return {name: workbook.add_format(look) for name, look in looks.items()}


def _lay_out(sheet: Worksheet, table: Table, formats: dict[str, Format]) -> None:
    sheet.freeze_panes(1, 2)
    sheet.set_row(0, 32)
    sheet.set_landscape()
    sheet.set_paper(8)  # A3: the reasons need the room
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    for place, column in enumerate(table.columns):
        sheet.set_column(place, place, column.width)
        sheet.write_string(0, place, column.name if table.for_programs else column.label, formats["head"])


def _write_cell(sheet: Worksheet, row: int, place: int, value: Any, kind: Kind, formats: dict[str, Format]) -> None:
    if value is None or value == "":
        sheet.write_blank(row, place, None, formats[kind])
    elif kind == "text":
        sheet.write_string(row, place, _shortened(_sound(str(value))), formats["text"])
    elif kind == "date":
        sheet.write_datetime(row, place, value, formats[kind])
    else:
        sheet.write_number(row, place, value, formats[kind])


# ECMA-376 22.9.2.19: _xHHHH_ stands for a character that XML cannot hold, and the underscore of such a text is escaped itself.
_NOT_IN_XML = "\x00-\x08\x0b-\x1f\ufffe\uffff"
_LIKE_AN_ESCAPE = re.compile(rf"_(?=x[0-9a-fA-F]{{4}}[_{_NOT_IN_XML}])")
_UNFIT_FOR_XML = re.compile(f"[{_NOT_IN_XML}]")


def _new_sheet(workbook: xlsxwriter.Workbook, title: str) -> Worksheet:
    """Add a sheet that escapes by our rule: XlsxWriter's own loses one of two escapes that share an underscore."""
    sheet = workbook.add_worksheet(title)
    sheet._escape_control_characters = _escaped  # noqa: SLF001
    return sheet


def _escaped(text: Any) -> Any:
    """Write a text so that a spreadsheet reads it back exactly; numbers come through here too."""
    if not isinstance(text, str):
        return text
    text = _LIKE_AN_ESCAPE.sub("_x005F_", text)
    text = _UNFIT_FOR_XML.sub(lambda found: f"_x{ord(found[0]):04X}_", text)
    if text.startswith("<r>"):  # XlsxWriter would take it for markup of its own
        return f"_x003C_{text[1:]}"
    return text


def _shortened(text: str) -> str:
    """Cut a text to what a cell can hold, counted as Excel counts (UTF-16), and say so by a final dot dot dot."""
    if len(text) * 2 <= XLSX_MOST_LETTERS:
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    if len(units) // 2 <= XLSX_MOST_LETTERS:
        return text
    return units[: (XLSX_MOST_LETTERS - 1) * 2].decode("utf-16-le", "ignore") + "…"


def _write_notes(sheet: Worksheet, notes: Sequence[tuple[str, str]], formats: dict[str, Format]) -> None:
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 90)
    for row, (label, text) in enumerate(notes):
        sheet.write_string(row, 0, label, formats["strong"])
        sheet.write_string(row, 1, _shortened(_sound(text)), formats["note"])


# Parquet


def check_parquet_suffix(path: Path) -> None:
    """Raise SettingsError unless ``path`` is named as a Parquet file."""
    if path.suffix.lower() not in (".parquet", ".pq"):
        raise SettingsError(f'scores are written as .parquet or .pq, found "{path.name}"; give --out one of these suffixes')


class ParquetParts:
    """Writes one Parquet file out of parts with equal columns."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._writer: Any = None

    def add(self, columns: Mapping[str, Sequence[Any]], types: Mapping[str, str] = MappingProxyType({})) -> None:
        """Append rows, given as columns; ``types`` are those of columns that may hold nothing but None (Arrow's names)."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        def array(values: Sequence[Any], kind: str | None) -> Any:
            try:
                return pa.array(values, kind)
            except UnicodeEncodeError:
                return pa.array([_sound(value) if isinstance(value, str) else value for value in values], kind)

        table = pa.table({name: array(values, types.get(name)) for name, values in columns.items()})
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, table.schema, compression="zstd")
        self._writer.write_table(table)

    def close(self) -> None:
        """Write the end of the file; without it the file cannot be read."""
        if self._writer is not None:
            self._writer.close()
