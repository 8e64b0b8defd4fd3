"""How many customers change tier from week to week, and what holding them back costs.

    python benchmarks/stability.py [--config configs/online_retail.yaml] [--horizon-days 90] [--origins 3]

At each origin a model is trained on what was known then, and its tiers are frozen. "Re-scored": a week later, with the very
same orders, so that nothing has happened but time. "A week of orders": the mean of the eight weeks that follow, each scored
with its orders by the same model and held to the tiers of the week before. "Plain" is the tier by value alone, "stable" the
tier with the hysteresis of the settings. "Captured" is the share of the revenue that really came in the horizon held by the top
10 % of the customers (a tier of that size, frozen at the origin): stable tier first, by value within it, beside value alone.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from configs.days import date_of
from configs.settings import Settings, TierShares, load_settings
from features.customers import feature_frame
from features.orders import clean_orders
from features.transactions import read_transactions
from models.fitting import fit
from models.tier_stability import NO_TIER, Stability, stable_rank
from models.tiers import Tiers, learn_thresholds
from models.value_model import ValueModel
from training.panel import outcomes, plan_cutoffs, snapshot, training_set

ROOT = Path(__file__).resolve().parent.parent
WEEK, WEEKS = 7, 8
ORIGIN_STEP_DAYS = 60
TOP_SHARE = 0.10

Ranks = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Ranked:
    """Customers on one day: their values, and their tiers held and not held."""

    value: pd.Series
    stable: pd.Series
    plain: pd.Series


def ranked(values: pd.Series, tiers: Tiers, stability: Stability, before: pd.Series | None, days: int) -> Ranked:
    known = None if before is None else before.reindex(values.index).fillna(NO_TIER).astype(int)
    previous = np.full(len(values), NO_TIER) if known is None else known.to_numpy()
    stable = stable_rank(values, tiers, previous, np.full(len(values), days), stability)
    return Ranked(values, pd.Series(stable, values.index), pd.Series(tiers.rank(values), values.index))


def moved(before: pd.Series, now: pd.Series) -> float:
    """Share of the customers of the first day that are in another tier on the second."""
    return float((now.reindex(before.index) != before).mean())


def captured(found: Ranked, realised: pd.Series, *, stable: bool) -> float:
    tier = found.stable if stable else found.plain
    order = np.lexsort((-found.value.to_numpy(), tier.to_numpy()))
    best = found.value.index[order[: round(TOP_SHARE * len(order))]]
    return float(realised[best].sum() / realised.sum())


@dataclass(frozen=True)
class Measured:
    """One origin; shares of customers, and captured shares (plain, stable)."""

    rescored: tuple[float, float]
    weekly: tuple[float, float]
    captured_rescored: tuple[float, float]
    captured_weeks: tuple[float, float]


def measure(orders: nw.LazyFrame[Any], model: ValueModel, as_of: int, stability: Stability) -> Measured:
    def values(day: int, known_before: int) -> pd.Series:
        known = orders.filter(nw.col("order_day") < known_before)
        return model.predict(feature_frame(known, day), as_of=day)["predicted_value"]

    def realised(day: int, customers: pd.Index) -> pd.Series:
        return pd.Series(outcomes(orders, customers, day, model.horizon_days)[1], customers)

    first = values(as_of, as_of)
    top = learn_thresholds(first, TierShares(shares={"Top": TOP_SHARE}))
    later = values(as_of + WEEK, as_of)
    weeks = [values(as_of + WEEK * week, as_of + WEEK * week) for week in range(1, WEEKS + 1)]

    def chain(tiers: Tiers, following: list[pd.Series]) -> list[Ranked]:
        found = [ranked(first, tiers, stability, None, 0)]
        for week in following:
            found.append(ranked(week, tiers, stability, found[-1].stable, WEEK))
        return found

    start, rescored = chain(model.tiers, [later])
    lived = chain(model.tiers, weeks)
    pairs = list(pairwise(lived))
    top_rescored, top_weeks = chain(top, [later])[-1], chain(top, weeks)[-1]
    week_later, last = realised(as_of + WEEK, later.index), realised(as_of + WEEK * WEEKS, weeks[-1].index)
    return Measured(
        (moved(start.plain, rescored.plain), moved(start.stable, rescored.stable)),
        tuple(np.mean([[moved(a.plain, b.plain), moved(a.stable, b.stable)] for a, b in pairs], axis=0)),
        (captured(top_rescored, week_later, stable=False), captured(top_rescored, week_later, stable=True)),
        (captured(top_weeks, last, stable=False), captured(top_weeks, last, stable=True)),
    )


def trained(orders: nw.LazyFrame[Any], first_day: int, as_of: int, horizon: int, settings: Settings) -> ValueModel:
    known = orders.filter(nw.col("order_day") < as_of)
    plan = plan_cutoffs(first_day, as_of - 1, horizon, settings.training)
    snapshots = [snapshot(known, cutoff, horizon) for cutoff in plan.final]
    return fit(training_set(snapshots, feature_frame(known, as_of), as_of, horizon), settings)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, default=ROOT / "configs" / "online_retail.yaml")
    parser.add_argument("--horizon-days", type=int, default=90)
    parser.add_argument("--origins", type=int, default=3)
    given = parser.parse_args()
    settings, horizon = load_settings(given.config), given.horizon_days
    cleaned = clean_orders(read_transactions(settings.source), settings, today=date_of(1_000_000))
    first_day, last = cleaned.report.first_order_day, cleaned.report.last_order_day + 1 - horizon - WEEK * WEEKS
    rule = Stability(settings.tiers.hysteresis)
    table = Table(title=f"{given.config.stem}, {horizon} days, hysteresis {rule.hysteresis:.0%}: plain, stable")
    for name in ("origin", "moved when re-scored", "moved in a week of orders", "captured, re-scored", "captured, after 8 weeks"):
        table.add_column(name, justify="right")
    for as_of in range(last, last - given.origins * ORIGIN_STEP_DAYS, -ORIGIN_STEP_DAYS):
        found = measure(cleaned.orders, trained(cleaned.orders, first_day, as_of, horizon, settings), as_of, rule)
        pairs = (found.rescored, found.weekly, found.captured_rescored, found.captured_weeks)
        table.add_row(date_of(as_of).isoformat(), *(f"{plain:.2%}  {stable:.2%}" for plain, stable in pairs))
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
