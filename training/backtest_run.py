"""Running a backtest: origins back in time, everything fitted again at each of them on what was known then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from configs.days import date_of
from configs.errors import HistoryError
from configs.settings import Settings, Training
from features.history_check import resolve_horizon
from features.orders import Cleaned
from features.phrases import count
from models.fitting import FIT_STEPS, fit
from training.backtest import Backtest
from training.backtest_summary import summarised
from training.candidates import Judged, judge
from training.context import context_of
from training.evaluation import Evaluation, can_evaluate, evaluation_of
from training.panel import Snapshot, sampled, snapshot, training_cutoffs, training_set
from training.told import Told

Progress = Callable[[str], None]

ORIGINS = 4
SHORTEST_STEP = 7
"""Days between origins, where the history allows: nearer ones look at nearly the same customers doing nearly the same."""

ALL_ALIKE = Told(
    "in the horizon everybody bought, or nobody did, or nothing was spent",
    "预测期内所有客户都下了单，或都没有下单，或没有任何消费",
)


@dataclass(frozen=True)
class Origins:
    """Which origins a backtest looks at, earliest first, and the training cutoffs of each, latest first; integer days.

    The history is ``[first_day, as_of)``; no horizon of an origin ends after ``as_of``, and none of its training cutoffs
    after the origin.
    """

    first_day: int
    as_of: int
    horizon_days: int
    cutoffs: Mapping[int, tuple[int, ...]]

    @property
    def snapshots(self) -> tuple[int, ...]:
        """Every day that features are computed for, each once, earliest first."""
        return tuple(sorted({*self.cutoffs, *(cutoff for each in self.cutoffs.values() for cutoff in each)}))


def plan_origins(first_day: int, last_day: int, horizon_days: int, training: Training, wanted: int = ORIGINS) -> Origins:
    """Plan ``wanted`` origins (at least 1), or as many as the orders of ``[first_day, last_day]`` hold.

    The latest is ``horizon_days`` before the end; the others go back in even steps of at most half a horizon and at least a
    week (less where the horizon is shorter than two), as far as training leaves them a cutoff whose horizon had ended.

    Raises HistoryError: not even one origin can be fitted and judged.
    """
    as_of, latest = last_day + 1, last_day + 1 - horizon_days
    earliest = first_day + training.min_history_days + horizon_days
    if latest < earliest:
        raise HistoryError(_too_short(as_of - first_day, horizon_days, training))
    step = _step(latest - earliest, horizon_days, wanted)
    days = [latest - back * step for back in range(wanted)]
    return Origins(
        first_day, as_of, horizon_days,
        {day: training_cutoffs(day - horizon_days, first_day, training) for day in reversed(days) if day >= earliest},
    )  # fmt: skip


def _step(available: int, horizon_days: int, wanted: int) -> int:
    longest = max(1, horizon_days // 2)
    return min(max(available // max(1, wanted - 1), min(SHORTEST_STEP, longest)), longest)


def _too_short(history: int, horizon_days: int, training: Training) -> str:
    before = training.min_history_days
    needed, usable = 2 * horizon_days + before, (history - before) // 2
    cure = f"the longest horizon_days it can judge is {usable}" if usable >= 1 else f"it needs {before + 2} days for any horizon"
    return (
        f"the history has {count(history, 'day')}; a backtest {horizon_days} days ahead needs at least {needed} "
        f"(2 x {horizon_days}, and training.min_history_days: {before} before): {cure}, or bring a longer history"
    )


def planned(cleaned: Cleaned, settings: Settings, wanted: int = ORIGINS) -> Origins:
    """Plan the origins on what cleaning left. Raises HistoryError: too little history."""
    report = cleaned.report
    horizon_days = resolve_horizon(report, settings)
    return plan_origins(report.first_order_day, report.last_order_day, horizon_days, settings.training, wanted)


def steps(origins: Origins) -> int:
    """How often ``backtest`` calls its ``progress``."""
    return len(origins.snapshots) + len(origins.cutoffs) * (FIT_STEPS + 1) + 1


def backtest(cleaned: Cleaned, settings: Settings, origins: Origins, progress: Progress = lambda _: None) -> Backtest:
    """Fit and judge at every origin, and sum up.

    Raises HistoryError: none of the origins could be judged; with the reason of the latest.
    """
    evaluations: list[Evaluation] = []
    judged: list[Judged] = []
    skipped: list[tuple[int, Told]] = []
    for origin, found in _judged(cleaned, settings, origins, progress):
        if isinstance(found, Judged):
            judged.append(found)
            evaluations.append(evaluation_of(found))
        else:
            skipped.append((origin, found))
    if not judged:
        raise HistoryError(f"no origin could be judged; as of {date_of(skipped[-1][0])}, {skipped[-1][1].en}")
    progress("Drawing customers anew for the intervals")
    return summarised(
        evaluations, judged, currency=settings.currency, history=(origins.first_day, origins.as_of),
        seed=settings.training.seed, skipped=tuple(skipped),
    )  # fmt: skip


def _judged(cleaned: Cleaned, settings: Settings, origins: Origins, progress: Progress) -> Iterator[tuple[int, Judged | Told]]:
    """What the candidates said at each origin, or why they could not be asked."""
    training, horizon, orders = settings.training, origins.horizon_days, cleaned.orders
    rows = max(1, training.max_rows // len(origins.snapshots))
    kept: dict[int, Snapshot] = {}

    def taken(cutoff: int) -> Snapshot:
        """Everybody at a cutoff; a sample of them is kept for the origins that learn from it."""
        progress(f"Features as of {date_of(cutoff)}")
        everybody = snapshot(orders, cutoff, horizon)
        kept[cutoff] = sampled(everybody, rows, training.seed)
        return everybody

    for origin, cutoffs in origins.cutoffs.items():
        for cutoff in cutoffs:
            if cutoff not in kept:
                taken(cutoff)
        holdout = taken(origin)
        if not can_evaluate(holdout):
            yield origin, ALL_ALIKE
            continue
        known = training_set([kept[cutoff] for cutoff in cutoffs], holdout.features, origin, horizon)
        try:
            model = fit(known, settings, progress=_saying(progress, origin))
        except HistoryError as error:
            yield origin, Told(str(error), f"无法训练（{error}）")
            continue
        _saying(progress, origin)("Comparing with what happened")
        context = context_of(orders, holdout, horizon, settings, known)
        yield origin, judge(model, holdout, context, threads=training.threads)


def _saying(progress: Progress, origin: int) -> Progress:
    """The same, with the origin before what begins."""
    return lambda what: progress(f"{date_of(origin)}: {what}")
