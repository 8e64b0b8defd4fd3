"""Files of customer ids: one per line, or a column of a CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

from configs.errors import SettingsError
from serving.spreadsheet_text import unguarded

ID_COLUMN = "customer_id"


def read_ids(path: Path) -> list[str]:
    """Read exact ids in UTF-8: of a ``.csv`` file its column ``customer_id``, of any other file each line that is not blank.

    In CSV the apostrophes are taken away that our own lists mark texts with. Raises SettingsError: the file cannot be read,
    or has no such column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() != ".csv":
                return [line for line in file.read().splitlines() if line.strip()]
            rows = csv.DictReader(file)
            if ID_COLUMN not in (rows.fieldnames or ()):
                found = ", ".join((rows.fieldnames or ())[:5]) or "nothing"
                raise SettingsError(f"{path} has no column {ID_COLUMN}: its first line holds {found}")
            return [unguarded(row[ID_COLUMN]) for row in rows if row[ID_COLUMN]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path} cannot be read as UTF-8 text: {error}") from None
