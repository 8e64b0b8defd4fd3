"""What ``foretier train``, ``promote``, ``rollback`` and ``decisions`` show of grades and decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from configs.language import Language
from training.decision_words import DECISION_WORDS, DecisionWords
from training.decisions import Decision
from training.grade import Grade
from training.grade_words import GRADE_WORDS
from training.name_words import name_words

UNITS = {"size of the bundle": "MB", "latency of one prediction": "ms"}
COLORS = {"A": "bold green", "B": "green", "C": "yellow", "D": "red", None: "yellow"}
STYLES = {"promoted": "bold green", "forced": "bold yellow", "refused": "bold yellow", "rolled back": "bold", "found": "dim"}


def grade_text(grade: Grade, language: Language = "en") -> RenderableType:
    """The letter and what it means, and the rule it was given by."""
    words = GRADE_WORDS[language]
    letter = words.none if grade.letter is None else grade.letter
    first = Text.assemble(words.grade, (letter, COLORS[grade.letter]), f"{words.colon}{grade.said(language)}{words.stop}")
    return Group(first, Text(words.rule, style="dim"))


def decision_report(decision: Decision, language: Language = "en") -> RenderableType:
    """The decision in one sentence, who is champion now, and every figure that was looked at."""
    words = DECISION_WORDS[language]
    why = decision.reason(language).rstrip(".。")
    said = words.headlines[decision.action].format(version=decision.version, why=why)
    parts: list[RenderableType] = [Text(said, style=STYLES[decision.action])]
    if decision.action == "refused":
        parts.append(Text(_who_stays(decision, words)))
    elif decision.champion_before is not None:
        parts.append(Text(_way_back(decision, words)))
    if decision.checks:
        parts += [Text(), checks_table(decision.checks, language)]
    return Group(*parts)


def checks_table(checks: Sequence[Mapping[str, Any]], language: Language = "en") -> Table:
    """What the gate looked at."""
    words = DECISION_WORDS[language]
    first, *figures, last = words.gate_head
    table = Table(title=words.gate, title_justify="left", caption=words.gate_caption, caption_justify="left")
    table.add_column(first, overflow="fold")
    for name in figures:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column(last)
    for check in checks:
        passed = Text(words.yes, style="green") if check["passed"] else Text(words.no, style="bold red")
        figure, against = (_number(check[key], UNITS.get(check["name"])) for key in ("figure", "against"))
        table.add_row(name_words(check["name"], language), figure, against, _lead(check["lead"], words), passed)
    return table


def decisions_table(decisions: Sequence[Decision], language: Language = "en") -> RenderableType:
    """The decision log; reasons are in the language that the log has them in."""
    words = DECISION_WORDS[language]
    if not decisions:
        return Text(words.nothing_yet)
    *short, why = words.decisions_head
    table = Table(title=words.decisions, title_justify="left")
    for name in short:
        table.add_column(name, no_wrap=True)
    table.add_column(why, overflow="fold")
    for one in decisions:
        moved = (
            one.champion_after
            if one.champion_after == one.champion_before
            else f"{one.champion_before or '-'} → {one.champion_after}"
        )
        action = Text(words.actions[one.action], style=STYLES[one.action])
        table.add_row(_moment(one.time), action, one.version, moved or "-", one.grade or "-", Text(one.reason(language)))
    return table


def _way_back(decision: Decision, words: DecisionWords) -> str:
    """How to undo it: a rollback is undone by a promotion, for the next rollback goes one champion further back."""
    way = words.after_rollback if decision.action == "rolled back" else words.after_promotion
    return way.format(before=decision.champion_before)


def _who_stays(decision: Decision, words: DecisionWords) -> str:
    stays = decision.champion_before
    now = words.no_champion if stays is None else words.stays.format(stays)
    return words.overrule.format(now=now, version=decision.version)


def _moment(time: str) -> str:
    """Day above, hour below: the reason needs the width."""
    return f"{datetime.fromisoformat(time):%Y-%m-%d\n%H:%M %Z}"


def _number(figure: float | None, unit: str | None) -> str:
    if figure is None:
        return ""
    return f"{figure:.3f}" if unit is None else f"{figure:.1f} {unit}"


def _lead(lead: Mapping[str, float | None] | None, words: DecisionWords) -> str:
    if lead is None or lead["low"] is None or lead["high"] is None:
        return ""
    return words.lead.format(f"{lead['low']:+.3f}", f"{lead['high']:+.3f}")
