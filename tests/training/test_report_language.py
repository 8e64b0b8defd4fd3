"""The reports of training in Chinese hold no English but names, line up, and leave the English ones as they were."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from configs.settings import Columns, Settings, Source
from features.catalog import FEATURE_NAMES
from models.btyd import Btyd, FitRecord
from models.btyd_record import btyd_sentence
from training import gate, slices
from training.candidates import BTYD, BTYD_CHURN, NAIVE, PERFECT, SERVED, SILENCE, TWO_PART
from training.decision_report import grade_text
from training.evaluation import ChurnAccuracy, Evaluation, ValueAccuracy
from training.grade import Window, grade
from training.leak_check import InputPower, InputReport, LeakReport
from training.name_words import name_words
from training.report import accuracy_table, churn_table, training_report
from training.trial import ALL_ALIKE, nearest_answer

ENGLISH = Path(__file__).parent / "reports_en"
"""Written by the reports when they spoke English only."""
UNCONVERGED = (False, 0.0, 1e-3, 0.1, 1, 0)
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


def test_what_training_says_is_chinese_from_the_first_line_to_the_last(trained_home: Any, english_in: EnglishIn) -> None:
    """The second run, whose challenger met a champion at the gate."""
    for trained in trained_home.runs:
        text = shown(training_report(trained, "zh"), 120)
        allowed = ("foretier rollback", "foretier promote", "--force --why TEXT", "gate.max_bundle_mb", "gate.max_latency_ms")
        assert english_in(text, *allowed, *FEATURE_NAMES) == set()
        assert "没有未来信息泄漏" in text
        unknown = replace(trained, evaluation=None, not_evaluated=ALL_ALIKE)
        assert english_in(shown(training_report(unknown, "zh"), 120), *allowed, *FEATURE_NAMES) == set()


@pytest.mark.parametrize(
    "tried",
    [
        "fewer than 5 customers with a repeat purchase",
        "fewer than 5 customers with paid repeat purchases",
        "mbg_nbd, penalizer 0.1: not converged (gradient 1.0e-02)",
        "bg_nbd, penalizer 0: a at its lowest, b at its highest",
        "gamma_gamma: the population mean does not exist (q = 0.9)",
        "gamma_gamma: the population mean is 3.1 times the observed one",
    ],
)
def test_why_a_model_of_purchases_was_left_is_said_in_chinese(tried: str, english_in: EnglishIn) -> None:
    left, bound = FitRecord(*UNCONVERGED, ("p at its lowest",), (tried,)), "pooled"
    for method, value_method in (("bg_nbd", "gamma_gamma"), ("mbg_nbd", "anchored"), ("nbd", "gamma_gamma"), (bound, bound)):
        found = Btyd(method, 0.2, 30.0, 0.8, 2.4, value_method, 1.0, 3.0, 40.0, left, left)  # type: ignore[arg-type]
        assert english_in(btyd_sentence(found, "zh")) == set()
        assert tried in btyd_sentence(found)


def test_leaks_are_told_in_chinese(english_in: EnglishIn) -> None:
    strong = InputPower("orders_30d", 0.99, 0.7)
    for inputs in (None, InputReport(strong, strong, 0.995, 0.9)):
        found = LeakReport((10_000, 10_100), 4_000, inputs)
        said = [found.told.zh, *([] if found.suspicion is None else [found.suspicion.zh])]
        assert english_in(" ".join(said), "orders_30d") == set()
        assert found.sentence.startswith("No leak from the future: 4,000 rows as of 1997-05-19 and 1997-08-27, computed again")
        assert found.sentence.endswith("are equal." if inputs is None else "AUC of 0.990, the limit is 0.995.")
