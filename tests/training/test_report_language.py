"""The reports of training in Chinese hold no English but names, line up, and leave the English ones as they were."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from training.candidates import BTYD, BTYD_CHURN, NAIVE, PERFECT, SERVED, SILENCE, TWO_PART
from training.evaluation import ChurnAccuracy, Evaluation, ValueAccuracy
from training.report import accuracy_table, churn_table

ENGLISH = Path(__file__).parent / "reports_en"
"""Written by the reports when they spoke English only."""
NAMES = {"AUC", "BG", "Brier", "Foretier", "Gamma", "Gini", "LightGBM", "MB", "MBG", "NBD", "ms"}


def english_in(text: str, *allowed: str) -> set[str]:
    """Words of Latin letters that are no names; ``allowed`` (texts of settings, commands, options) are taken out first."""
    for one in allowed:
        text = text.replace(one, " ")
    return set(re.findall(r"[A-Za-z]{2,}", text)) - NAMES


def shown(what: RenderableType, width: int = 100) -> str:
    screen = Console(width=width, file=io.StringIO(), record=True)
    screen.print(what)
    return screen.export_text()


def evaluation() -> Evaluation:
    value = tuple(
        ValueAccuracy(name, 0.789, -0.123, 0.301, 0.495, 0.7034, 12.31, None, None)
        for name in (SERVED, TWO_PART, BTYD, *NAIVE, PERFECT)
    )
    churn = tuple(ChurnAccuracy(name, 0.896, 0.5, 0.353, 0.4, 0.126) for name in (SERVED, TWO_PART, BTYD_CHURN, SILENCE))
    return Evaluation(10_000, 180, 409, 0.25, 1000.0, value, churn, {})


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_of_accuracy_are_chinese_and_line_up(width: int) -> None:
    for table in (accuracy_table(evaluation(), "zh"), churn_table(evaluation(), "zh")):
        text = shown(table, width)
        assert english_in(text) == set()
        assert "…" not in text
        frame = [line for line in text.splitlines() if line[:1] in "┏┃┡│└"]
        assert len({cell_len(line) for line in frame}) == 1


def test_english_tables_of_accuracy_are_as_before_there_were_languages() -> None:
    before = (ENGLISH / "accuracy.txt").read_text(encoding="utf-8")
    assert shown(accuracy_table(evaluation())) + shown(churn_table(evaluation(), "en")) == before
