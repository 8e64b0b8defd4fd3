"""What a person reads of decisions: how to undo each, figures with their units, reasons that can be read at 80 columns."""

from __future__ import annotations

import io

from rich.console import Console, RenderableType

from training.decision_report import decision_report, decisions_table
from training.decisions import Decision

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
