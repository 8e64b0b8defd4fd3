"""How figures are shown: progress while they are measured, tables, and one line for each thing that was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from load_client import percentile
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One thing that was asked, and what was measured; ``met`` is None where nothing but printing was asked."""

    what: str
    asked: str
    measured: str
    met: bool | None


class Show(Protocol):
    """Told how far a part is: ``show(share, words)``, share between 0 and 1."""

    def __call__(self, share: float, words: str = "") -> None: ...


@contextmanager
def progress(console: Console, title: str) -> Iterator[Show]:
    """Show a bar that is gone at the end."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True, refresh_per_second=2) as bars:
        bar = bars.add_task(title, total=1.0, words="")
        yield lambda share, words="": bars.update(bar, completed=share, words=words)


def table(title: str, *headings: str, text: int = 1, caption: str = "") -> Table:
    """A table whose first ``text`` columns are words, and the others numbers."""
    made = Table(title=title, title_justify="left", title_style="bold", caption=caption or None, caption_justify="left")
    for number, heading in enumerate(headings):
        made.add_column(heading, justify="left" if number < text else "right")
    return made


def milliseconds(seconds: Sequence[float], *shares: float) -> list[str]:
    """Percentiles in milliseconds."""
    return [f"{percentile(list(seconds), share) * 1000:.1f}" for share in shares]


def answer(met: bool | None) -> str:  # noqa: FBT001 (what it says)
    """yes, no, or nothing."""
    return "" if met is None else "[green]yes[/green]" if met else "[bold red]no[/bold red]"


def summary(figures: Sequence[Figure]) -> Table:
    """All figures of a run."""
    made = table("What was asked, and what was measured in this run", "", "asked", "measured", "met", text=4)
    for figure in figures:
        made.add_row(figure.what, figure.asked, figure.measured, answer(figure.met))
    return made
