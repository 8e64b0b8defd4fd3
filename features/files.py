"""Which files a path means, and whether they are what their names say."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from configs.errors import SourceError

Format = Literal["csv", "parquet"]

SUFFIXES: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".csv.gz": "csv",
    ".tsv.gz": "csv",
    ".txt.gz": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_SHOWN = 5
_KNOWN = "a .csv, .tsv, .txt (also .gz) or .parquet file"
_MAGIC = {
    b"PAR1": "Parquet",
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"\x1f\x8b": "gzip",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"SQLite format 3\x00": "an SQLite database",
    b"%PDF": "a PDF",
    b"ORC": "ORC",
    b"Obj\x01": "Avro",
}


@dataclass(frozen=True)
class Files:
    """Files of one format, in the order of their names."""

    format: Format
    paths: tuple[Path, ...]


def find_files(path: str, declared: Format | None) -> Files:
    """The files of a path, a glob, or a folder (with its subfolders; hidden files and those that begin with ``_`` left out).

    Raises SourceError: nothing there, both formats in one folder, a file that cannot be opened, is empty, or is not what
    its name or the settings say.
    """
    try:
        paths = _expand(path)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    formats = {declared or _format_of(one) for one in paths}
    if len(formats) > 1:
        raise SourceError(
            f"source.path {path} holds both CSV and Parquet files: {_some(paths)}; give a glob of one kind, such as {path}/*.csv"
        )
    [one_format] = formats
    for one in paths:
        _check_content(one, one_format)
    return Files(one_format, tuple(paths))


def _expand(path: str) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        found = [one for one in sorted(place.rglob("*")) if _counts(one, place)]
        if not found:
            raise SourceError(f"the folder {path} holds no CSV or Parquet file; expected {_KNOWN} in it")
        return found
    if place.exists():
        return [place]
    if glob.has_magic(path):
        found = [Path(one) for one in sorted(glob.glob(path, recursive=True)) if Path(one).is_file()]  # noqa: PTH207 (takes absolute patterns)
        if not found:
            raise SourceError(f"no file matches source.path {path} (from the folder {Path.cwd()})")
        return found
    raise SourceError(f"there is no file {path} (from the folder {Path.cwd()}); set source.path, or give --orders PATH")


def _counts(path: Path, folder: Path) -> bool:
    inside = path.relative_to(folder).parts
    return path.is_file() and _suffix(path) in SUFFIXES and not any(part.startswith((".", "_")) for part in inside)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), path.suffix.lower())


def _format_of(path: Path) -> Format:
    suffix = _suffix(path)
    if suffix not in SUFFIXES:
        raise SourceError(f"what is {path}? Expected {_KNOWN}; set source.format to csv or parquet if it is one")
    return SUFFIXES[suffix]


def _check_content(path: Path, expected: Format) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(16)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error.strerror}") from None
    if not head:
        raise SourceError(f"{path} is empty (0 bytes); remove it from the source, or export it again")
    found = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), "text")
    if expected == "parquet" and found != "Parquet":
        raise SourceError(f"{path} is no Parquet file: it begins like {found}; name it after what it is, or set source.format")
    zipped = found == "gzip" and path.name.lower().endswith(".gz")
    if expected == "csv" and found != "text" and not zipped:
        raise SourceError(f"{path} is no CSV file: it begins like {found}; name it after what it is, or set source.format")


def _some(paths: list[Path]) -> str:
    return ", ".join(path.name for path in paths[:_SHOWN]) + (" ..." if len(paths) > _SHOWN else "")
