"""What the store knows of a scoring run as a whole: its terms, its tiers in numbers, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from configs.days import date_of
from configs.errors import NotFoundError
from serving.predictions import Terms
from serving.store_tables import published, scoring_runs
from serving.tier_summary import MovementCell, TierCount, TierSummary

WRITING = "writing"
COMPLETE = "complete"
REMOVED = "removed"
"""Of a run that readers no longer see, while its rows are removed."""

PUBLISHED_RUN = sa.select(published.c.run_id).where(published.c.slot == 1)


@dataclass(frozen=True, slots=True)
class ScoringRun:
    """One complete batch prediction of all customers: ``tiers`` best first, ``movement`` without empty cells.

    ``zero_padded_ids``: some ids are numbers with leading zeros, so that all ids are to be handled as text.
    ``tier_horizon_days``: the horizon that the tiers are of, whatever horizon the values look ahead. ``held``: customers
    who are kept in another tier than their value alone would give.
    """

    run_id: int
    terms: Terms
    customers: int
    created_at: datetime
    tiers: tuple[TierCount, ...]
    movement: tuple[MovementCell, ...]
    zero_padded_ids: bool
    tier_horizon_days: int
    held: int

    @property
    def tier_names(self) -> tuple[str, ...]:
        """All tiers of the model that scored this run, best first."""
        return tuple(count.tier for count in self.tiers)


def find_run(connection: sa.Connection, run_id: int | None) -> ScoringRun | None:
    """Give a complete run, or the published one where no ``run_id`` is given; None where there is none."""
    wanted = PUBLISHED_RUN.scalar_subquery() if run_id is None else run_id
    query = sa.select(scoring_runs).where(scoring_runs.c.run_id == wanted, scoring_runs.c.status == COMPLETE)
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else _run(row)


def run_to_read(connection: sa.Connection, run_id: int | None) -> ScoringRun:
    """Give what :func:`find_run` gives. Raises NotFoundError where there is none."""
    run = find_run(connection, run_id)
    if run is not None:
        return run
    if run_id is None:
        raise NotFoundError("no scoring run is published yet: run foretier score first")
    raise NotFoundError(f"there is no scoring run {run_id}: it was never written, or is no longer kept")


def complete_runs(connection: sa.Connection) -> tuple[ScoringRun, ...]:
    """All complete runs, newest first."""
    query = sa.select(scoring_runs).where(scoring_runs.c.status == COMPLETE).order_by(scoring_runs.c.run_id.desc())
    return tuple(_run(row) for row in connection.execute(query).mappings())


def _run(row: sa.RowMapping) -> ScoringRun:
    summary = TierSummary.from_json(row["summary"])
    return ScoringRun(
        run_id=row["run_id"],
        terms=Terms(date_of(row["as_of_day"]), row["horizon_days"], row["currency"], row["model_version"], row["grade"]),
        customers=row["customers"],
        created_at=datetime.fromisoformat(row["created_at"]),
        tiers=summary.tiers,
        movement=summary.movement,
        zero_padded_ids=summary.zero_padded_ids,
        tier_horizon_days=row["tier_horizon_days"] or row["horizon_days"],
        held=summary.held,
    )
