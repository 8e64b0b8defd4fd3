"""The reports of training in Chinese hold no English but names, line up, and leave the English ones as they were."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from configs.settings import Columns, Settings, Source
from training import gate, slices
from training.candidates import BTYD, BTYD_CHURN, NAIVE, PERFECT, SERVED, SILENCE, TWO_PART
from training.decision_report import grade_text
from training.evaluation import ChurnAccuracy, Evaluation, ValueAccuracy
from training.grade import Window, grade
from training.name_words import name_words
from training.report import accuracy_table, churn_table
from training.trial import nearest_answer

ENGLISH = Path(__file__).parent / "reports_en"
"""Written by the reports when they spoke English only."""
EnglishIn = Callable[..., set[str]]


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
def test_tables_of_accuracy_are_chinese_and_line_up(width: int, english_in: EnglishIn) -> None:
    for table in (accuracy_table(evaluation(), "zh"), churn_table(evaluation(), "zh")):
        text = shown(table, width)
        assert english_in(text) == set()
        assert "…" not in text
        frame = [line for line in text.splitlines() if line[:1] in "┏┃┡│└"]
        assert len({cell_len(line) for line in frame}) == 1


def test_english_tables_of_accuracy_are_as_before_there_were_languages() -> None:
    before = (ENGLISH / "accuracy.txt").read_text(encoding="utf-8")
    assert shown(accuracy_table(evaluation())) + shown(churn_table(evaluation(), "en")) == before


def window(noise: float, customers: int = 600) -> Window:
    """Customers whose model sees their value through this noise, and whose rules are the names that are printed."""
    random = np.random.default_rng(7)
    active = (random.random(customers) < 0.4).astype(np.float64)
    value = active * np.exp(random.normal(3.0, 1.0, customers))
    seen = value + random.normal(0.0, noise, customers)
    rules = random.normal(0.0, 1.0, (5, customers)) + 0.02 * value
    ids = pd.Index([str(number) for number in range(customers)], dtype="str")
    return Window(ids, value, active, seen, -seen, dict(zip(NAIVE, rules[:4], strict=True)), {SILENCE: -rules[4]})


def test_grades_are_told_in_both_languages(english_in: EnglishIn) -> None:
    letters = set()
    for one in (window(1.0), window(60.0), window(4000.0)):
        found = grade([one], 90)
        letters.add(found.letter)
        assert f"{found.sentence}." in " ".join(shown(grade_text(found), 400).split())
        text = shown(grade_text(found, "zh"), 400)
        assert english_in(text) == set()
        assert found.letter is not None
        assert f"评级 {found.letter}：" in text
        assert "told" not in found.as_dict()
    assert len(letters) > 1


def test_what_is_not_graded_says_why_in_chinese(english_in: EnglishIn) -> None:
    one = window(1.0)
    few = replace(one, active=np.zeros(len(one.active)))
    gifts = replace(one, value=np.zeros(len(one.value)))
    for windows in ([few], [gifts], [few, gifts], []):
        assert english_in(shown(grade_text(grade(windows, 90), "zh"))) == set()
    settings = Settings(source=Source(path="x"), columns=Columns(customer_id="c", ordered_at="t", amount="a"), currency="EUR")
    for days in (250, 95):
        assert english_in(nearest_answer(days, 90, settings).zh, "horizon_days") == set()


def test_every_name_that_the_gate_looks_at_is_said_in_chinese(english_in: EnglishIn) -> None:
    for name in (*gate.MARGINS, "grade", "golden rows", "size of the bundle", "latency of one prediction", *slices.MEANING):
        assert english_in(name_words(name, "zh")) == set(), name
        assert name_words(name, "en") == name
    for measure in gate.SLICE_MARGINS:
        assert name_words(f"{measure} of {slices.NEW}", "zh").startswith("新客户的")
