"""What all commands of the command line share: options, error lines, machine-readable output.

A command is a Typer function that takes the options below and is wrapped in :func:`reported`.
"""

from __future__ import annotations

import functools
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, datetime, time
from pathlib import Path
from threading import Event, current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, ParamSpec, TypeVar

import typer
from typer.core import TyperGroup

from configs.errors import ForetierError
from configs.files import replacing

if TYPE_CHECKING:
    from rich.console import Console

    from configs.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="Settings file (default: $FORETIER_CONFIG, else foretier.yaml here).", show_default=False),
]
OrdersPath = Annotated[
    str | None,
    typer.Option("--orders", help="Read the transactions from this file, folder or glob instead.", show_default=False),
]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", help="Write the result as JSON to this file; - is standard output.", show_default=False),
]

STANDARD_OUTPUT = Path("-")
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def reported(command: Callable[P, R]) -> Callable[P, R]:
    """Turn a ForetierError of ``command`` into one line on standard error and exit code 2.

    Anything else is a bug and keeps its traceback.
    """

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except ForetierError as error:
            typer.echo(f"error: {one_line(str(error))}", err=True)
            raise typer.Exit(EXIT_BAD_INPUT) from None

    return run


class Commands(TyperGroup):
    """A group of commands whose usage errors are one line too: ``typer.Typer(cls=Commands)`` for the outermost group."""

    def main(self, args: Sequence[str] | None = None, *more: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command line; ends the process unless ``standalone_mode`` is off."""
        run = functools.partial(super().main, args, *more, **extra)
        if not standalone_mode:
            return run(standalone_mode=False)
        interrupted = _interruption()
        try:
            code = run(standalone_mode=False)
        except Exception as error:
            if interrupted.is_set():
                sys.exit(EXIT_INTERRUPTED)
            # Typer keeps the class of usage errors to itself; what they have and others have not is this method.
            if not hasattr(error, "format_message"):
                raise
            if message := one_line(error.format_message()):  # empty where only the help was to be shown
                typer.echo(f"error: {message}", err=True)
            sys.exit(EXIT_BAD_INPUT)
        sys.exit(code if isinstance(code, int) else 0)


def _interruption() -> Event:
    """Give an event that Ctrl-C sets: libraries written in C turn the interruption into errors of their own."""
    interrupted = Event()

    def stop(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.default_int_handler(number, frame)

    if current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    return interrupted


def one_line(text: str) -> str:
    r"""Collapse white space and leave out what a terminal would obey instead of show.

    >>> one_line("first\n second\x1b[2J")
    'first second[2J'
    """
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


def given_day(text: str) -> datetime:
    """Midnight of the day an option names as YYYY-MM-DD. Raises typer.BadParameter, which says so."""
    try:
        return datetime.combine(date.fromisoformat(text.strip()), time())
    except ValueError:
        raise typer.BadParameter(f'expected a day as YYYY-MM-DD, found "{text}"') from None


def read_settings(config: Path | None, orders: str | None = None) -> Settings:
    """Read the settings a command was given: ``--config`` and ``--orders`` as they came from the command line."""
    from configs.settings import load_settings, settings_file

    return load_settings(settings_file(config), orders=orders)


def write_json(path: Path, data: Any) -> None:
    """Write ``data`` as JSON to ``path`` (whole or not at all); ``-`` is standard output.

    Raises ValueError on NaN and infinities: no command may write them.
    """
    text = _json(data) + "\n"
    with _written(path) as file:
        file.write(_encoded(text))


def write_json_list(path: Path, head: Mapping[str, Any], name: str, rows: Iterable[Any]) -> None:
    """Write ``{**head, name: [*rows]}`` as :func:`write_json` does, row by row: any number of them needs no memory.

    ``head`` must not be empty. Raises ValueError on NaN and infinities.
    """
    with _written(path) as file:
        file.write(_encoded(_json(head).removesuffix("\n}") + f",\n  {_json(name)}: ["))
        between = ""
        for row in rows:
            # A line end within a text is escaped: every one found here is of the layout.
            file.write(_encoded(f"{between}\n{_json(row)}".replace("\n", "\n    ")))
            between = ","
        file.write(b"\n  ]\n}\n" if between else b"]\n}\n")


def _json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, indent=2, allow_nan=False, default=str)


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")  # half a surrogate pair, which UTF-8 cannot hold, becomes JSON's own escape


@contextmanager
def _written(path: Path) -> Iterator[BinaryIO]:
    if path == STANDARD_OUTPUT:
        yield sys.stdout.buffer
        sys.stdout.flush()
        return
    with replacing(path) as temporary, temporary.open("wb") as file:
        yield file


def console(json_file: Path | None = None) -> Console:
    """Give the console for people: standard error when standard output carries the JSON.

    Names of tiers and rules, paths and ids are shown as they are: none of them is markup.
    """
    from rich.console import Console

    return Console(stderr=json_file == STANDARD_OUTPUT, soft_wrap=False, markup=False)
