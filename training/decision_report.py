"""What ``foretier train``, ``promote``, ``rollback`` and ``decisions`` show of grades and decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from configs.language import Language
from training.decisions import Decision
from training.grade import Grade
from training.grade_words import GRADE_WORDS

UNITS = {"size of the bundle": "MB", "latency of one prediction": "ms"}
COLORS = {"A": "bold green", "B": "green", "C": "yellow", "D": "red", None: "yellow"}
HEADLINES = {
    "promoted": "Version {version} is champion: {why}.",
    "forced": "Version {version} is champion, against the gate: {why}.",
    "refused": "Version {version} stays a challenger: {why}.",
    "rolled back": "Version {version} is champion again: {why}.",
    "found": "Version {version} was found as champion: {why}.",
}
STYLES = {"promoted": "bold green", "forced": "bold yellow", "refused": "bold yellow", "rolled back": "bold", "found": "dim"}


def grade_text(grade: Grade, language: Language = "en") -> RenderableType:
    """The letter and what it means, and the rule it was given by."""
    words = GRADE_WORDS[language]
    letter = words.none if grade.letter is None else grade.letter
    first = Text.assemble(words.grade, (letter, COLORS[grade.letter]), f"{words.colon}{grade.said(language)}{words.stop}")
    return Group(first, Text(words.rule, style="dim"))


def decision_report(decision: Decision) -> RenderableType:
    """The decision in one sentence, who is champion now, and every figure that was looked at."""
    said = HEADLINES[decision.action].format(version=decision.version, why=decision.why.rstrip("."))
    parts: list[RenderableType] = [Text(said, style=STYLES[decision.action])]
    if decision.action == "refused":
        parts.append(Text(_who_stays(decision)))
    elif decision.champion_before is not None:
        parts.append(Text(_way_back(decision)))
    if decision.checks:
        parts += [Text(), checks_table(decision.checks)]
    return Group(*parts)


def checks_table(checks: Sequence[Mapping[str, Any]]) -> Table:
    """What the gate looked at."""
    table = Table(
        title="What the gate looked at", title_justify="left", caption_justify="left",
        caption="Golden rows: made-up customers, of whom the model must say what it said when it was saved. "
        "Lead: 90 % interval of how much better the challenger is (below 0: worse).",
    )  # fmt: skip
    table.add_column("Looked at", overflow="fold")
    for name in ("Challenger", "Champion or limit", "Lead"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Passed")
    for check in checks:
        passed = Text("yes", style="green") if check["passed"] else Text("no", style="bold red")
        figure, against = (_number(check[key], UNITS.get(check["name"])) for key in ("figure", "against"))
        table.add_row(check["name"], figure, against, _lead(check["lead"]), passed)
    return table


def decisions_table(decisions: Sequence[Decision]) -> RenderableType:
    """The decision log."""
    if not decisions:
        return Text("No decision yet: foretier train makes the first.")
    table = Table(title="Decisions, the oldest first", title_justify="left")
    for name in ("When", "What", "Version", "Champion", "Grade"):
        table.add_column(name, no_wrap=True)
    table.add_column("Why", overflow="fold")
    for one in decisions:
        moved = (
            one.champion_after
            if one.champion_after == one.champion_before
            else f"{one.champion_before or '-'} → {one.champion_after}"
        )
        action = Text(one.action, style=STYLES[one.action])
        table.add_row(_moment(one.time), action, one.version, moved or "-", one.grade or "-", Text(one.why))
    return table


def _way_back(decision: Decision) -> str:
    """How to undo it: a rollback is undone by a promotion, for the next rollback goes one champion further back."""
    before = decision.champion_before
    if decision.action == "rolled back":
        return f"Version {before} was champion until now: foretier promote {before} --force --why TEXT returns to it."
    return f"The champion before was version {before}: foretier rollback returns to it."


def _who_stays(decision: Decision) -> str:
    stays = decision.champion_before
    now = "There is no champion yet" if stays is None else f"Version {stays} stays champion"
    return f"{now}. foretier promote {decision.version} --force --why TEXT overrules the gate."


def _moment(time: str) -> str:
    """Day above, hour below: the reason needs the width."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d\n%H:%M %Z}"


def _number(figure: float | None, unit: str | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.3f}" if unit is None else f"{figure:.1f} {unit}"


def _lead(lead: Mapping[str, float | None] | None) -> str:
    if lead is None or lead["low"] is None or lead["high"] is None:
        return ""
    return f"{lead['low']:+.3f} to {lead['high']:+.3f}"
