"""The tables of training in the terminals that people have."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from training.evaluation import ChurnAccuracy, Evaluation, ValueAccuracy
from training.report import accuracy_table, churn_table


@pytest.mark.parametrize("width", [60, 80, 120])
def test_numbers_are_whole_in_every_terminal(width: int) -> None:
    names = ("Foretier", "BG/NBD x Gamma-Gamma", "spend of the last horizon")
    value = tuple(ValueAccuracy(name, 0.789, -0.123, 0.301, 0.495, 0.7034, 12.31, None, None) for name in names)
    churn = tuple(ChurnAccuracy(name, 0.896, 0.5, 0.353, 0.4, 0.126) for name in names)
    evaluation = Evaluation(10_000, 180, 409, 0.25, 1000.0, value, churn, {})
    screen = Console(width=width, file=io.StringIO(), record=True)
    screen.print(accuracy_table(evaluation))
    screen.print(churn_table(evaluation))
    shown = screen.export_text()
    assert "…" not in shown
    for text in ("Gini", "Rank", "Top 10 %", "Top 20 %", "Total", "AUC"):
        assert " ".join(shown.split()).count(text) >= 1, text
    for number in ("0.789", "-0.123", "49.5 %", "70.3 %", "12.31", "0.896", "0.353", "0.126"):
        assert shown.count(number) == len(names), number
