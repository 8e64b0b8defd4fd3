"""What a person reads of decisions: how to undo each, figures with their units, reasons that can be read at 80 columns."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import get_args

import pytest
from rich.cells import cell_len
from rich.console import Console, RenderableType

from training.decision_report import decision_report, decisions_table
from training.decisions import Action, Decision
from training.gate import MARGINS
from training.told import Told

WHY = "the trial model of version 2 knows what happened up to 1998-04-02, so the grades decide"


def shown(what: RenderableType, width: int = 80) -> str:
    screen = Console(width=width, file=io.StringIO(), record=True)
    screen.print(what)
    return screen.export_text()


def test_a_promotion_is_undone_by_a_rollback_and_a_rollback_by_a_promotion() -> None:
    """A second rollback goes one champion further back: it never undoes the first."""
    promoted = Decision("2026-11-24T17:13:25+00:00", "promoted", "2", "1", "2", "A", "no worse")
    back = Decision("2026-11-24T17:14:25+00:00", "rolled back", "1", "2", "1", None, "off")
    assert "version 1: foretier rollback returns to it" in " ".join(shown(decision_report(promoted)).split())
    assert "foretier promote 2 --force --why TEXT returns to it" in " ".join(shown(decision_report(back)).split())
    assert "foretier rollback" not in shown(decision_report(back))


def test_limits_have_their_units() -> None:
    names = ("size of the bundle", "latency of one prediction")
    checks = tuple({"name": name, "figure": 0.6, "against": 50.0, "lead": None, "passed": True} for name in names)
    text = shown(decision_report(Decision("2026-11-24T17:13:25+00:00", "promoted", "2", "1", "2", "A", "no worse", checks)))
    assert "50.0 MB" in text
    assert "50.0 ms" in text


def test_words_of_the_reason_stay_whole_at_80_columns() -> None:
    text = shown(decisions_table([Decision("2026-11-24T17:13:25+01:00", "rolled back", "10", "11", "10", "B", WHY)]))
    assert "2026-11-24" in text
    assert "17:13 UTC+01:00" in text
    for word in WHY.split():
        assert word in text


@pytest.mark.parametrize("action", get_args(Action))
@pytest.mark.parametrize("before", ["1", None])
def test_in_chinese_nothing_is_left_in_english(action: Action, before: str | None, english_in: Callable[..., set[str]]) -> None:
    names = (*MARGINS, "grade", "golden rows", "size of the bundle", "latency of one prediction", "AUC of new customers")
    lead = {"low": -0.1, "high": 0.2}
    checks = tuple({"name": name, "figure": 0.6, "against": 5.0, "lead": lead, "passed": name == "grade"} for name in names)
    told = Told("it has no grade", "没有评级")
    decision = Decision("2026-11-24T17:13:25+00:00", action, "2", before, "2", "A", told.en, checks, told=told)
    allowed = ("foretier promote 2 --force --why TEXT", "foretier promote 1 --force --why TEXT", "foretier rollback", "UTC")
    for width in (80, 120):
        for what in (decision_report(decision, "zh"), decisions_table([decision], "zh"), decisions_table([], "zh")):
            text = shown(what, width)
            assert english_in(text, *allowed, "foretier train") == set()
            for table in re.findall(r"(?:^[┏┃┡│└].*\n)+", text, re.MULTILINE):
                assert len({cell_len(line) for line in table.splitlines()}) == 1
    assert "没有评级" in shown(decision_report(decision, "zh"))


def test_the_log_keeps_the_english_and_a_reason_from_it_is_shown_as_it_is() -> None:
    told = Told("it has no grade", "没有评级")
    line = Decision("2026-11-24T17:13:25+00:00", "refused", "2", None, None, None, told.en, told=told).as_dict()
    assert "told" not in line
    assert Decision(**line).reason("zh") == "it has no grade"
