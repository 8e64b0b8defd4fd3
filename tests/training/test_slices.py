"""Groups of customers that are hard to understand, out of orders written by hand."""

from __future__ import annotations

from datetime import date, datetime, time

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from configs.days import date_of
from features.netting import net_orders
from models import accuracy
from training.candidates import SERVED, Context, Judged
from training.context import context_of
from training.panel import Snapshot, snapshot
from training.slices import BULK, GIANT, NEW, ONE_TIME, REPEAT, RETURNERS, SEASONAL, merged, slice_of, slices

CUTOFF = (date(2024, 11, 1) - date(1970, 1, 1)).days
EACH = 30
"""Customers of every kind, so that no group is too small to tell of."""

KINDS = {
    # Days before the cutoff and amounts.
    "once": [(200, 10.0)],
    "fresh": [(30, 10.0), (20, 10.0)],
    "regular": [(500, 10.0), (300, 10.0), (100, 12.0)],
    "returner": [(400, 10.0), (350, -5.0), (300, 10.0)],
    "christmas": [(364 * 2 - 30, 20.0), (364 - 40, 20.0)],
    "old": [(600, 10.0)],
}


def orders() -> nw.LazyFrame[pl.LazyFrame]:
    told: dict[str, list[tuple[int, float]]] = {f"{kind}{number:02}": KINDS[kind] for kind in KINDS for number in range(EACH)}
    # Very large orders: of half of them nearly all that was ever bought, the others buy much all the time.
    for number in range(25):
        told[f"giant{number:02}"] = [(250, 80_995.0), (150, 5.0)]
        told[f"bulk{number:02}"] = [(250, 90_000.0), (200, 90_000.0), (100, 90_000.0)]
    rows = [(customer, ago, amount) for customer, history in told.items() for ago, amount in history]
    times = [datetime.combine(date_of(CUTOFF - ago), time(9)) for _, ago, _ in rows]
    frame = pl.DataFrame(rows, schema=["customer_id", "ago", "amount"], orient="row")
    day = CUTOFF - pl.col("ago")
    frame = frame.select(
        "customer_id", pl.format("o{}", pl.int_range(pl.len())).alias("order_id"),
        pl.Series("ordered_at", times),
        day.cast(pl.Int32).alias("order_day"), pl.col("amount").cast(pl.Decimal(18, 4)), pl.lit(1.0).alias("items"),
        pl.col("customer_id").str.slice(0, 1).alias("letter"),
    )  # fmt: skip
    return nw.from_native(net_orders(nw.from_native(frame.lazy())).to_native().collect().lazy())


@pytest.fixture(scope="module")
def judged() -> Judged:
    found = orders()
    holdout = snapshot(found, CUTOFF, 90)
    dice = np.random.default_rng(1)
    active = (dice.random(len(holdout.features)) < 0.4).astype(np.float64)
    happened = Snapshot(CUTOFF, holdout.features, active, active * dice.exponential(10.0, len(active)))
    beside = context_of(found, happened, 90, _WithLetter(), None)  # type: ignore[arg-type]
    context = Context(None, beside.purchases, beside.largest_order, {"letter": beside.attributes["letter"].where(active >= 0)})
    said = dice.exponential(5.0, len(active))
    return Judged(happened, 90, holdout.features, ("A",), {SERVED: said}, {}, {SERVED: dice.random(len(active))}, {}, context)


class _WithLetter:
    attributes = {"letter": "the first letter of the id"}  # noqa: RUF012 (read only)


def kinds(judged: Judged, name: str, chosen: dict[str, int]) -> None:
    [row] = [one for one in slices(judged) if one.name == name]
    assert row.customers == sum(chosen.values()), row


def test_each_group_holds_whom_it_says(judged: Judged) -> None:
    kinds(judged, ONE_TIME, {"once": EACH, "old": EACH})
    kinds(judged, REPEAT, {"fresh": EACH, "regular": EACH, "returner": EACH, "christmas": EACH, "giant": 25, "bulk": 25})
    kinds(judged, NEW, {"fresh": EACH})
    kinds(judged, RETURNERS, {"returner": EACH})
    kinds(judged, SEASONAL, {"christmas": EACH})


def test_bulk_and_giant_orders_are_told_apart(judged: Judged) -> None:
    """A hundredth of 230 customers are 3, but equal largest orders are never parted."""
    kinds(judged, BULK, {"bulk": 25})
    assert GIANT not in {one.name for one in slices(judged)}
    largest = judged.context.largest_order
    assert largest is not None
    only_giants = np.where(largest > 80_995.0, 1.0, largest)
    context = Context(None, judged.context.purchases, only_giants, judged.context.attributes)
    few = Judged(judged.holdout, 90, judged.predicted, ("A",), judged.amounts, {}, judged.risks, {}, context)
    kinds(few, GIANT, {"giant": 25})


def test_attributes_have_a_group_for_every_common_value(judged: Judged) -> None:
    rows = {one.name: one.customers for one in slices(judged) if one.name.startswith("letter")}
    assert rows == {
        "letter: o": 2 * EACH, "letter: r": 2 * EACH, "letter: c": EACH, "letter: f": EACH, "letter: b": 25, "letter: g": 25,
    }  # fmt: skip


def test_figures_of_a_group_are_those_of_its_customers(judged: Judged) -> None:
    chosen = np.arange(len(judged.holdout.value)) % 3 == 0
    found = slice_of(judged, "thirds", chosen)
    value, said = judged.holdout.value[chosen], judged.amounts[SERVED][chosen]
    assert found.total_bias == pytest.approx(said.sum() / value.sum())
    assert found.normalized_gini == pytest.approx(accuracy.normalized_gini(value, said))
    assert found.churned == pytest.approx(1 - judged.holdout.active[chosen].mean())
    none = np.zeros(len(chosen))
    silent = Snapshot(CUTOFF, judged.holdout.features, none, none)
    nobody = Judged(silent, 90, pd.DataFrame(), ("A",), judged.amounts, {}, judged.risks, {}, judged.context)
    spent_nothing = slice_of(nobody, "thirds", chosen)
    assert (spent_nothing.total_bias, spent_nothing.normalized_gini) == (None, None)
    both = merged([found, spent_nothing])
    assert both.realised_value == pytest.approx(found.realised_value / 2)
    assert both.total_bias == pytest.approx(2 * found.predicted_value / found.realised_value)
    assert both.normalized_gini == found.normalized_gini
