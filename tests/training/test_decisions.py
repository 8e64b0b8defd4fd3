"""The decision log: only ever appended, and read rightly after whatever a kill leaves behind."""

from __future__ import annotations

import json
import multiprocessing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import RegistryError
from training.decisions import FILE, Action, Decision, append, champions, deciding, read_decisions, stamp


def moved(action: Action, after: str | None, before: str | None = None) -> Decision:
    return Decision("2026-01-02T03:04:05+00:00", action, after or "9", before, after, "A", "größer", ({"name": "AUC"},))


def test_lines_are_only_added(tmp_path: Path) -> None:
    append(tmp_path, moved("promoted", "1"))
    first = (tmp_path / FILE).read_bytes()
    append(tmp_path, moved("forced", "2", "1"))
    whole = (tmp_path / FILE).read_bytes()
    assert whole.startswith(first)
    assert whole.count(b"\n") == 2
    assert [json.loads(line)["champion_after"] for line in whole.splitlines()] == ["1", "2"]
    assert [one.action for one in read_decisions(tmp_path)] == ["promoted", "forced"]
    assert read_decisions(tmp_path)[0].why == "größer"


@pytest.mark.parametrize("left", [1, 20, -2])
def test_a_torn_line_is_kept_and_left_out(tmp_path: Path, left: int) -> None:
    append(tmp_path, moved("promoted", "1"))
    append(tmp_path, moved("promoted", "2", "1"))
    path = tmp_path / FILE
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second[:left])
    append(tmp_path, moved("promoted", "3", "1"))
    assert path.read_bytes().startswith(first + second[:left] + b"\n")
    assert champions(read_decisions(tmp_path)) == ("1", "3")


def test_no_log_is_no_decision_and_an_unwritable_one_is_said(tmp_path: Path) -> None:
    assert read_decisions(tmp_path) == ()
    (tmp_path / FILE).mkdir()
    with pytest.raises(RegistryError, match="cannot be written"):
        append(tmp_path, moved("promoted", "1"))
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(RegistryError, match="cannot be written"), deciding(file / "below"):
        pass


def test_a_moment_has_its_time_zone() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1)))
    assert stamp(moment) == "2026-01-02T03:04:05+01:00"
    with pytest.raises(ValueError, match="time zone"):
        stamp(moment.replace(tzinfo=None))
    assert stamp(moment.astimezone(UTC)) == "2026-01-02T02:04:05+00:00"


@given(st.lists(st.one_of(st.none(), st.booleans()), max_size=25))
def test_rollbacks_undo_promotions_whatever_was_interrupted(steps: list[bool | None]) -> None:
    """Promote (True), roll back (False) or be killed between the line and the alias (None): the log is a stack of champions."""
    stack, log, number = ["1"], [moved("promoted", "1")], 1
    for step in steps:
        if step is False and len(stack) > 1:
            stack.pop()
            log.append(moved("rolled back", stack[-1]))
        elif step is not False:
            number += 1
            log.append(moved("promoted", str(number), stack[-1]))
            if step is None:
                log.append(moved("found", stack[-1], str(number)))
            else:
                stack.append(str(number))
        log.append(moved("refused", stack[-1], stack[-1]))
    assert champions(log) == tuple(stack)


def test_a_rollback_that_was_interrupted_can_be_made_again() -> None:
    log = [moved("promoted", "1"), moved("promoted", "2", "1"), moved("rolled back", "1", "2"), moved("found", "2", "1")]
    assert champions(log) == ("1", "2")
    assert champions([*log, moved("rolled back", "1", "2")]) == ("1",)


def test_a_champion_that_was_moved_elsewhere_is_one_to_roll_back_from() -> None:
    assert champions([moved("promoted", "1"), moved("found", "7", "1")]) == ("1", "7")
    assert champions([moved("found", "7")]) == ("7",)


def _count_up(home: Path, times: int) -> None:
    for _ in range(times):
        with deciding(home):
            append(home, moved("promoted", str(len(read_decisions(home)) + 1)))


def test_one_decides_at_a_time(tmp_path: Path) -> None:
    """Without the lock two processes read the same number of lines."""
    fork = multiprocessing.get_context("spawn")
    both = [fork.Process(target=_count_up, args=(tmp_path, 40)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join(timeout=60)
    assert [process.exitcode for process in both] == [0, 0]
    assert [one.version for one in read_decisions(tmp_path)] == [str(number) for number in range(1, 81)]
