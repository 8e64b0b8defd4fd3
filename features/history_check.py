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
    """The standard horizons, longest first, and the one of the settings where it is another.

    The one of the settings is supported where training accepts it, the others where ``auto`` may choose them.
    """
    wanted = () if settings.horizon_days == "auto" else (settings.horizon_days,)
    horizons = sorted({*HORIZON_CHOICES, *wanted}, reverse=True)
    return tuple(_support(horizon, report, settings) for horizon in horizons)


def resolve_horizon(report: CleaningReport, settings: Settings) -> int:
    """The horizon in days: the one of the settings, or for ``auto`` the longest standard one the history holds three times.

    Raises HistoryError: no standard horizon fits; or one leaves less than ``training.min_history_days`` before it.
    """
    given = settings.horizon_days
    if given == "auto":
        supported = [one.horizon_days for one in horizon_support(report, settings) if one.supported]
        if supported:
            return max(supported)
        shortest = min(HORIZON_CHOICES)
        needed, why = _needed(shortest, settings)
        raise HistoryError(
            f"{_span(report)}; the shortest standard horizon is {shortest} days and needs {needed} ({why}). "
            "Bring a longer history, or set horizon_days or training.min_history_days yourself"
        )
    needed, why = _needed(given, settings)
    if report.history_days < needed:
        raise HistoryError(f"{_span(report)}; horizon_days: {given} needs at least {needed} ({why}). Set a shorter horizon")
    return given


def _needed(horizon: int, settings: Settings) -> tuple[int, str]:
    """Days of history that a horizon needs, and where they come from."""
    before = settings.training.min_history_days
    thrice = HORIZONS_NEEDED * horizon
    if horizon != settings.horizon_days and thrice >= horizon + before:
        return thrice, f"{HORIZONS_NEEDED} x {horizon}"
    return horizon + before, f"the horizon and training.min_history_days: {before} before it"


def _support(horizon: int, report: CleaningReport, settings: Settings) -> HorizonSupport:
    needed, why = _needed(horizon, settings)
    found = report.history_days
    if found < needed:
        reason = f"needs {needed} days of history ({why}), found {found}: {count(needed - found, 'day')} short"
        return HorizonSupport(horizon, supported=False, reason=reason)
    reason = f"the history holds it {found / horizon:.1f} times"
    if found < HORIZONS_NEEDED * horizon:
        reason += f", set by horizon_days (auto wants {HORIZONS_NEEDED})"
    return HorizonSupport(horizon, supported=True, reason=reason)


def _span(report: CleaningReport) -> str:
    return f"the history has {count(report.history_days, 'day')} ({report.first_date} to {report.last_date})"
