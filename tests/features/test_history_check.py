"""Which horizons a history supports: three times, and why not."""

from __future__ import annotations

from typing import Any

import pytest

from configs.errors import HistoryError
from configs.settings import Settings, parse_settings
from features.cleaning_report import CleaningReport
from features.history_check import horizon_support, resolve_horizon
from training.panel import plan_cutoffs


def settings_with(**more: Any) -> Settings:
    columns = {"customer_id": "c", "ordered_at": "t", "amount": "a"}
    return parse_settings({"source": {"path": "x"}, "columns": columns, "currency": "EUR", **more}, where="test")


def history(days: int) -> CleaningReport:
    return CleaningReport(
        rows_in=1,
        used=1,
        duplicates=0,
        rejected={},
        failed_casts={},
        orders=1,
        refunds=0,
        cancelled_same_day=0,
        customers=1,
        first_order_day=10_000,
        last_order_day=10_000 + days - 1,
        one_time_share=1.0,
        fingerprint="",
    )


@pytest.mark.parametrize(
    ("days", "expected"), [(120, 30), (269, 30), (270, 90), (539, 90), (540, 180), (1094, 180), (1095, 365), (9999, 365)]
)
def test_auto_takes_the_longest_that_fits_three_times(days: int, expected: int) -> None:
    assert resolve_horizon(history(days), settings_with()) == expected


def test_every_standard_horizon_is_told_with_its_reason() -> None:
    told = horizon_support(history(546), settings_with())
    assert [(one.horizon_days, one.supported) for one in told] == [(365, False), (180, True), (90, True), (30, True)]
    assert told[0].reason == "needs 1095 days of history (3 x 365), found 546: 549 days short"
    assert told[1].reason == "the history holds it 3.0 times"
    assert [one.horizon_days for one in horizon_support(history(546), settings_with(horizon_days=60))] == [365, 180, 90, 60, 30]


def test_too_short_for_any() -> None:
    with pytest.raises(HistoryError, match=r"has 119 days \(1997-05-19 to 1997-09-14\).* needs 120"):
        resolve_horizon(history(119), settings_with())
    with pytest.raises(HistoryError, match="has 1 day "):
        resolve_horizon(history(1), settings_with())


def test_a_given_horizon_leaves_room_to_learn_from() -> None:
    assert resolve_horizon(history(455), settings_with(horizon_days=365)) == 365
    with pytest.raises(HistoryError, match=r"horizon_days: 365 needs at least 455"):
        resolve_horizon(history(454), settings_with(horizon_days=365))


@pytest.mark.parametrize("horizon_days", ["auto", 30, 60, 200, 365])
@pytest.mark.parametrize("min_history_days", [1, 90, 300])
def test_a_supported_horizon_is_one_that_training_can_plan(horizon_days: Any, min_history_days: int) -> None:
    settings = settings_with(horizon_days=horizon_days, training={"min_history_days": min_history_days})
    for days in range(1, 1200, 7):
        told = {one.horizon_days: one.supported for one in horizon_support(history(days), settings)}
        for horizon, supported in told.items():
            try:
                plan_cutoffs(10_000, 10_000 + days - 1, horizon, settings.training)
            except HistoryError:
                assert not supported, (days, horizon)
            else:
                assert supported or horizon != horizon_days, (days, horizon)


def test_what_is_too_short_for_a_given_horizon_is_told_in_words() -> None:
    told = horizon_support(history(100), settings_with())[-1]
    assert told.reason == (
        "needs 120 days of history (the horizon and training.min_history_days: 90 before it), found 100: 20 days short"
    )
    given = horizon_support(history(455), settings_with(horizon_days=365))[0]
    assert (given.supported, given.reason) == (True, "the history holds it 1.2 times, set by horizon_days (auto wants 3)")
    assert horizon_support(history(454), settings_with(horizon_days=365))[0].reason.endswith("found 454: 1 day short")
