"""Which horizons the history of a cleaned log supports, and why not the others."""

from __future__ import annotations

from dataclasses import dataclass

from configs.errors import HistoryError
from configs.settings import HORIZON_CHOICES, Settings
from features.cleaning_report import CleaningReport
from features.phrases import count

HORIZONS_NEEDED = 3
"""``auto`` wants the history to hold a horizon this often: to learn from, to choose by, to be judged by."""


@dataclass(frozen=True)
class HorizonSupport:
    """Whether the history is long enough for one horizon; ``reason`` says why, in words."""

    horizon_days: int
    supported: bool
    reason: str


def horizon_support(report: CleaningReport, settings: Settings) -> tuple[HorizonSupport, ...]:
    """The standard horizons, longest first, and the one of the settings where it is another."""
    wanted = () if settings.horizon_days == "auto" else (settings.horizon_days,)
    horizons = sorted({*HORIZON_CHOICES, *wanted}, reverse=True)
    return tuple(_support(horizon, report) for horizon in horizons)


def resolve_horizon(report: CleaningReport, settings: Settings) -> int:
    """The horizon in days: the one of the settings, or for ``auto`` the longest standard one the history holds three times.

    Raises HistoryError: no standard horizon fits; or the one of the settings leaves less than
    ``training.min_history_days`` before it.
    """
    if settings.horizon_days != "auto":
        _check_given(settings.horizon_days, report, settings)
        return settings.horizon_days
    supported = [one.horizon_days for one in horizon_support(report, settings) if one.supported]
    if not supported:
        shortest = min(HORIZON_CHOICES)
        raise HistoryError(
            f"{_span(report)}; the shortest standard horizon is {shortest} days and needs {HORIZONS_NEEDED * shortest}. "
            "Bring a longer history, or set horizon_days yourself"
        )
    return max(supported)


def _support(horizon: int, report: CleaningReport) -> HorizonSupport:
    needed = HORIZONS_NEEDED * horizon
    held = report.history_days / horizon
    if report.history_days >= needed:
        return HorizonSupport(horizon, supported=True, reason=f"the history holds it {held:.1f} times")
    return HorizonSupport(
        horizon,
        supported=False,
        reason=f"needs {needed} days of history ({HORIZONS_NEEDED} x {horizon}), found {report.history_days}: "
        f"{needed - report.history_days} days short",
    )


def _check_given(horizon: int, report: CleaningReport, settings: Settings) -> None:
    needed = horizon + settings.training.min_history_days
    if report.history_days < needed:
        raise HistoryError(
            f"{_span(report)}; horizon_days: {horizon} needs at least {needed} (the horizon and "
            f"training.min_history_days: {settings.training.min_history_days} before it). Set a shorter horizon"
        )


def _span(report: CleaningReport) -> str:
    return f"the history has {count(report.history_days, 'day')} ({report.first_date} to {report.last_date})"
