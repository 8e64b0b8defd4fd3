"""Whatever happens on or after a day changes nothing that is known, learned or predicted as of that day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.days import date_of
from configs.settings import Settings, parse_settings, source_path
from features.customers import feature_frame
from features.engine import connect
from features.netting import net_orders
from features.orders import clean_orders
from models.fitting import fit
from training.panel import snapshot, training_set

HORIZON = 90
ORIGIN = 10_318
"""1998-04-02, of the 1/10 sample of CDNOW."""
TODAY = date(2030, 1, 1)
Rows = pl.DataFrame


@pytest.fixture(scope="module")
def cdnow() -> Rows:
    """Raw lines of the sample with an order id and an attribute; some orders are paid back in part, some of it later."""
    cells = [line.split() for line in Path(source_path("package:lifetimes/datasets/CDNOW_sample.txt")).read_text().splitlines()]
    random = np.random.default_rng(1)
    rows = []
    for number, (_, customer, day, items, amount) in enumerate(one for one in cells if one):
        when = datetime.fromisoformat(day)
        rows.append((customer, f"o{number}", when, float(amount), int(items), "NL" if number % 2 else "DE"))
        if number % 10 == 0:
            later = when + timedelta(days=int(random.integers(0, 60)))
            rows.append((customer, f"r{number}", later, -0.7 * float(amount), -1, "NL"))
    columns = ["customer", "order", "ordered", "amount", "items", "country"]
    return pl.DataFrame(rows, schema=columns, orient="row")


def as_settings(path: Path) -> Settings:
    raw = {
        "source": {"path": str(path)},
        "columns": {
            "customer_id": "customer", "order_id": '"order"', "ordered_at": "ordered", "amount": "amount", "items": "items",
        },
        "attributes": {"country": "country"},
        "cleaning": {"max_rejected_share": 1.0},
        "currency": "USD", "horizon_days": HORIZON,
        "training": {"boosting_rounds": 15, "max_cutoffs": 6},
    }  # fmt: skip
    return parse_settings(raw, where="test")


SETTINGS = as_settings(Path("orders.parquet"))


def cleaned(rows: Rows, until: date | None = None) -> nw.LazyFrame[Any]:
    """From raw rows, through the real cleaning, to canonical orders."""
    connection = connect(threads=2, memory_gb=1.0)
    connection.register("raw_rows", rows.to_arrow())
    transactions = nw.from_native(connection.table("raw_rows"))
    return clean_orders(transactions, SETTINGS, today=TODAY, until=until).orders


def day_of(rows: Rows) -> pl.Series:
    return (rows["ordered"].cast(pl.Date) - date(1970, 1, 1)).dt.total_days()


def rewritten(rows: Rows, cutoff: int, seed: int) -> Rows:
    """Everything on or after ``cutoff`` becomes garbage; what came before stays, and rows change places."""
    random = np.random.default_rng(seed)
    day = day_of(rows).to_numpy()
    past, future = rows.filter(day < cutoff), rows.filter(day >= cutoff)
    count = len(future)
    start = datetime(1970, 1, 1) + timedelta(days=cutoff)
    known, orders = past["customer"].unique(maintain_order=True), past["order"].unique(maintain_order=True)
    garbage = pl.DataFrame(
        {
            # Known customers, strangers, and nobody; orders that exist already on earlier days, and new ones.
            "customer": [
                random.choice(known) if random.random() < 0.8 else random.choice(["strange", "", None]) for _ in range(count)
            ],
            "order": [random.choice(orders) if random.random() < 0.5 else f"x{i}" for i in range(count)],
            "ordered": [start + timedelta(seconds=int(random.integers(0, 86_400 * 400))) for _ in range(count)],
            "amount": random.choice([-168_469.6, -20.0, 0.0, 0.0001, 14.5, 1e9, 1e12, float("nan")], count),
            "items": random.integers(-80_995, 80_995, count),
            "country": [random.choice(["NL", "??", None]) for _ in range(count)],
        },
        schema=past.schema,
    )
    # Every known customer gets a refund of more than all that was ever spent, on the very first day that is not known.
    refunds = pl.DataFrame(
        {
            "customer": known, "order": [f"back{i}" for i in range(len(known))], "ordered": [start] * len(known),
            "amount": [-1e9] * len(known), "items": [-1] * len(known), "country": ["NL"] * len(known),
        },
        schema=past.schema,
    )  # fmt: skip
    return pl.concat([past, garbage, refunds]).sample(fraction=1.0, shuffle=True, seed=seed)


def training(orders: nw.LazyFrame[Any]) -> Any:
    """All that is known at the origin: six cutoffs with their horizons, and today's features."""
    cutoffs = range(ORIGIN - HORIZON, ORIGIN - HORIZON - 6 * 30, -30)
    snapshots = [snapshot(orders, cutoff, HORIZON) for cutoff in cutoffs]
    return training_set(snapshots, feature_frame(orders, ORIGIN), ORIGIN, HORIZON)


@pytest.fixture(scope="module")
def honest(cdnow: Rows) -> Any:
    return training(cleaned(cdnow))


@pytest.fixture(scope="module")
def predicted(honest: Any) -> pd.DataFrame:
    return fit(honest, SETTINGS).predict(honest.current, as_of=ORIGIN)


def futures(cdnow: Rows) -> Iterator[Rows]:
    yield rewritten(cdnow, ORIGIN, seed=1)
    yield rewritten(cdnow, ORIGIN, seed=2)
    yield cdnow.filter(day_of(cdnow).to_numpy() < ORIGIN)


def test_garbage_from_the_origin_on_changes_no_feature_no_label_and_no_prediction(
    cdnow: Rows, honest: Any, predicted: pd.DataFrame
) -> None:
    """Raw transactions, cleaning, features, labels, fit, prediction: the whole way, to the last bit."""
    for seed, rows in enumerate(futures(cdnow)):
        other = training(cleaned(rows))
        pd.testing.assert_frame_equal(other.features, honest.features, check_exact=True)
        pd.testing.assert_frame_equal(other.current, honest.current, check_exact=True)
        np.testing.assert_array_equal(other.active, honest.active)
        np.testing.assert_array_equal(other.value, honest.value)
        if seed == 0:
            again = fit(other, SETTINGS).predict(other.current, as_of=ORIGIN)
            pd.testing.assert_frame_equal(again, predicted, check_exact=True)


def test_the_test_itself_can_see_a_change(cdnow: Rows, honest: Any) -> None:
    """Garbage one day earlier is known at the origin, and changes what is learned."""
    other = training(cleaned(rewritten(cdnow, ORIGIN - 1, seed=1)))
    assert not other.current.reindex(honest.current.index).equals(honest.current)


@pytest.mark.parametrize("days_back", [0, 30, 200, 400])
def test_cleaning_until_a_day_is_what_cutting_off_at_it_gives(cdnow: Rows, days_back: int) -> None:
    cutoff = ORIGIN - days_back
    whole = feature_frame(cleaned(rewritten(cdnow, cutoff, seed=3)), cutoff)
    pd.testing.assert_frame_equal(feature_frame(cleaned(cdnow, until=date_of(cutoff)), cutoff), whole, check_exact=True)


lines = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["1", "2", "3", None]),
    st.integers(0, 40),
    st.sampled_from([-1e6, -30.0, -20.0, -10.0, -0.0001, 0.0, 0.0001, 10.0, 20.0, 30.0, 80_995.0]),
    st.sampled_from([None, -2, 0, 1, 5]),
)


def as_rows(drawn: list[tuple[Any, ...]]) -> Rows:
    start = datetime(2020, 1, 1, 12)
    return pl.DataFrame(
        [(who, order, start + timedelta(days=day), amount, items, "NL") for who, order, day, amount, items in drawn],
        schema={
            "customer": pl.String, "order": pl.String, "ordered": pl.Datetime("us"),
            "amount": pl.Float64, "items": pl.Int64, "country": pl.String,
        },
        orient="row",
    )  # fmt: skip


SMALL = 18_262 + 41
"""The cutoff of the small logs: 41 days after 2020-01-01."""
ANCHOR = [("z", "0", 0, 5.0, 1)]
"""Keeps one purchase in a log whose refunds all come first."""
logs = st.lists(lines, max_size=25)


def later(drawn: list[Any]) -> list[Any]:
    return [(who, order, day + 41, amount, items) for who, order, day, amount, items in drawn]


def netted(rows: Rows) -> nw.LazyFrame[Any]:
    """Netting alone, in process, as a request for one customer has it."""
    typed = rows.select(
        "amount", customer_id="customer", order_id="order", ordered_at="ordered",
        order_day=day_of(rows), items=pl.col("items").cast(pl.Float64),
    )  # fmt: skip
    return net_orders(nw.from_native(typed.lazy()))


@settings(max_examples=100, deadline=None)
@given(past=logs, future=logs, other=logs)
def test_two_futures_of_one_past_net_to_the_same_features(past: list[Any], future: list[Any], other: list[Any]) -> None:
    """Refunds of one day undo orders of that day alone: never those of a day before the cutoff."""
    known = feature_frame(netted(as_rows(ANCHOR + past)), SMALL)
    for ahead in (future, other):
        found = feature_frame(netted(as_rows(ANCHOR + past + later(ahead))), SMALL)
        pd.testing.assert_frame_equal(found, known, check_exact=True)


@settings(max_examples=8, deadline=None)
@given(past=logs, future=logs)
def test_a_future_changes_nothing_on_the_way_from_raw_rows(past: list[Any], future: list[Any]) -> None:
    known = feature_frame(cleaned(as_rows(ANCHOR + past)), SMALL)
    found = feature_frame(cleaned(as_rows(later(future) + ANCHOR + past)), SMALL)
    pd.testing.assert_frame_equal(found, known, check_exact=True)


def test_duplicates_are_told_apart_by_their_day(cdnow: Rows) -> None:
    """A row of the future that equals one of the past in all but its day takes nothing away from it."""
    cutoff = ORIGIN - 100
    past = cdnow.filter(day_of(cdnow).to_numpy() < cutoff)
    echo = past.with_columns(ordered=pl.lit(datetime(1970, 1, 1) + timedelta(days=cutoff)))
    frames = [feature_frame(cleaned(rows), cutoff) for rows in (past, pl.concat([echo, past]))]
    pd.testing.assert_frame_equal(frames[0], frames[1], check_exact=True)
