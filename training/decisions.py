"""The decision log: every promotion, refusal and rollback with its figures, one JSON line each, only ever appended.

The registry's alias is the truth about who is champion. A decision is written and flushed to disk before the alias moves, so
that a process killed between both leaves a line whose move did not happen; whoever decides next finds the alias elsewhere than
the log says, and first writes a ``found`` line that sets the log right.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from configs.errors import ForetierError, RegistryError
from configs.language import Language
from training.told import Told

Action = Literal["promoted", "forced", "refused", "rolled back", "found"]

FILE = "decisions.jsonl"
LOCK = "decisions.lock"
MOVES = ("promoted", "forced", "rolled back", "found")


@dataclass(frozen=True)
class Decision:
    """One line of the log.

    ``time``: ISO 8601 with time zone; ``version``: the one decided about; ``champion_before`` and ``champion_after``: None
    where there is none; ``why``: the gate's reason, or what the person who forced it says; ``checks``: all figures looked at.
    ``told``: the reason in every language, which the log does not keep: it is None in what was read from there.
    """

    time: str
    action: Action
    version: str
    champion_before: str | None
    champion_after: str | None
    grade: str | None
    why: str
    checks: Sequence[Mapping[str, Any]] = ()
    told: Told | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON and for the log."""
        return {name: value for name, value in asdict(self).items() if name != "told"}

    def reason(self, language: Language) -> str:
        """Why, in a language; as it was written where only that is known."""
        return self.why if self.told is None else self.told.told(language)


def stamp(moment: datetime) -> str:
    """A moment as the log writes it. Raises ValueError: it has no time zone."""
    if moment.tzinfo is None:
        raise ValueError(f"a decision needs a moment with its time zone, found {moment}")
    return moment.isoformat(timespec="seconds")


@contextmanager
def deciding(home: Path) -> Iterator[None]:
    """One decision at a time in a state folder: others wait. Raises RegistryError: the folder cannot be written to."""
    try:
        home.mkdir(parents=True, exist_ok=True)
        file = (home / LOCK).open("a")
    except OSError as error:
        raise RegistryError(f"{home} cannot be written ({error.strerror}): set FORETIER_HOME to another folder") from None
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def append(home: Path, decision: Decision) -> None:
    """Write one line and flush it to disk; lines before it stay as they are, also one that was torn by a kill."""
    path = home / FILE
    line = json.dumps(decision.as_dict(), ensure_ascii=False, allow_nan=False, sort_keys=True) + "\n"
    try:
        with path.open("ab") as file:
            if _torn(path):
                file.write(b"\n")
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise RegistryError(f"{path} cannot be written ({error.strerror}): no decision is made without its line") from None


def read_decisions(home: Path) -> tuple[Decision, ...]:
    """All decisions, the oldest first; a torn line is left out. Raises ForetierError: the file cannot be read."""
    try:
        text = (home / FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise ForetierError(f"{home / FILE} cannot be read: {error.strerror}") from None
    found = (_parsed(line) for line in text.splitlines())
    return tuple(decision for decision in found if decision is not None)


def champions(decisions: Sequence[Decision]) -> tuple[str, ...]:
    """The champions one could roll back through, the present one last: a rollback takes the last one away.

    >>> def moved(action: Action, version: str) -> Decision:
    ...     return Decision("", action, version, None, version, None, "")
    >>> champions([moved("promoted", "1"), moved("promoted", "2"), moved("rolled back", "1"), moved("promoted", "3")])
    ('1', '3')
    """
    line: list[str] = []
    for decision in decisions:
        after = decision.champion_after
        if decision.action not in MOVES or after is None or line[-1:] == [after]:
            continue
        # A move that was written and never made is undone like one that was rolled back.
        if decision.action in ("rolled back", "found") and line[-2:-1] == [after]:
            line.pop()
        else:
            line.append(after)
    return tuple(line)


def _torn(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _parsed(line: str) -> Decision | None:
    try:
        return Decision(**json.loads(line))
    except (json.JSONDecodeError, TypeError):
        return None
