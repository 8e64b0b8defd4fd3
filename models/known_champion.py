"""Where the champion's files lie, as MLflow last said, to be known again at once while the registry is the same.

To ask MLflow takes seconds, most of them spent on importing it. As long as nobody has written to the registry's SQLite file since
it was asked, it would say the same. Only for registries that are such a file, with artifacts in folders of this machine;
of any other nothing is ever known here.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from configs.errors import SettingsError
from configs.files import replacing
from configs.settings import Environment

FILE = "champion.json"
SQLITE = "sqlite:///"

CHANGE_COUNTER = slice(24, 28)  # of the header of an SQLite file (its file format, section 1.3.7)


def registry_stamp(environment: Environment) -> list[int] | None:
    """Tell the registry's present state: another one after every write. None: it is no SQLite file, or there is none yet.

    SQLite counts the writes in the file itself; those in a write-ahead log show in the size and time of change of the log.
    """
    if not environment.tracking_url.startswith(SQLITE):
        return None
    file = Path(environment.tracking_url.removeprefix(SQLITE))
    log = file.with_name(f"{file.name}-wal")
    with suppress(OSError), file.open("rb") as database:
        counter = int.from_bytes(database.read(CHANGE_COUNTER.stop)[CHANGE_COUNTER], "big")
        stats = [one.stat() for one in (file, log) if one == file or log.exists()]
        return [counter, *(number for stat in stats for number in (stat.st_size, stat.st_mtime_ns))]
    return None


def remember_champion(environment: Environment, stamp: list[int] | None, version: str, source: str) -> None:
    """Keep what MLflow said of a registry whose stamp was taken before it was asked. A home that is read only keeps nothing."""
    folder = _folder(source)
    if stamp is None or folder is None:
        return
    text = json.dumps([environment.tracking_url, stamp, version, str(folder)]) + "\n"
    file = environment.home / FILE
    with suppress(OSError, UnicodeDecodeError):
        if file.read_text(encoding="utf-8") == text:
            return
    with suppress(OSError, SettingsError), replacing(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def known_champion(environment: Environment) -> tuple[str, Path] | None:
    """Give version and folder of the champion; None where MLflow has to be asked."""
    try:
        url, stamp, version, folder = json.loads((environment.home / FILE).read_text(encoding="utf-8"))
        same = url == environment.tracking_url and stamp == registry_stamp(environment)
        return (str(version), Path(folder)) if same and Path(folder).is_dir() else None
    except (OSError, ValueError, TypeError):
        return None


def _folder(source: str) -> Path | None:
    parts = urlsplit(source)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        return None
    return Path(url2pathname(parts.path) if parts.scheme else source)
