"""Features of customers against what others say they are: plain Python, lifetimes, a published table, invariants."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import ColumnError
from features.arrays import ArrayPlan
from features.catalog import FEATURE_NAMES
from features.customers import NEEDED, customer_features, feature_frame
from features.netting import net_orders
from features.sums import HALF_LIVES, WINDOWS

EPOCH = date(1970, 1, 1)
Order = tuple[int, datetime, str, Fraction, Fraction | None]
"""Day, moment, order id, amount, items."""


def day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def canonical(rows: pl.DataFrame) -> pl.DataFrame:
    return net_orders(nw.from_native(rows.lazy())).to_native().collect()


@lru_cache
def recorded(cutoff: int) -> ArrayPlan:
    nullable = ("items", "previous_order_day", "spend_before")
    return ArrayPlan(lambda orders: customer_features(orders, cutoff), NEEDED, nullable=nullable)


def on_arrays(orders: pl.DataFrame, cutoff: int) -> pd.DataFrame:
    ids = sorted(set(orders["customer_id"]))
    rank = {each: place for place, each in enumerate(ids)}
    numbers = orders.with_columns(customer_id=pl.col("customer_id").replace_strict(rank, return_dtype=pl.Int64))
    found = recorded(cutoff).run({name: numbers[name].to_numpy() for name in NEEDED})
    customers = pd.Index([ids[place] for place in found.pop("customer_id")], dtype="str", name="customer_id")
    return pd.DataFrame({name: np.broadcast_to(column, len(customers)) for name, column in found.items()}, index=customers)


def on_polars(orders: pl.DataFrame, cutoff: int) -> pd.DataFrame:
    return feature_frame(nw.from_native(orders.lazy()), cutoff)


def on_duckdb(orders: pl.DataFrame, cutoff: int, threads: int = 2) -> pd.DataFrame:
    with duckdb.connect(config={"threads": threads}) as connection:
        connection.register("given", orders.to_arrow())
        connection.execute("CREATE TABLE orders AS SELECT * FROM given")
        return feature_frame(nw.from_native(connection.table("orders")), cutoff)


# ------------------------------------------------------------------------------------ plain Python, by the definitions


def by_the_definitions(orders: list[Order], cutoff: int) -> dict[str, float]:
    """Every feature of one customer, in loops and fractions."""
    past = sorted(order for order in orders if order[0] < cutoff)
    bought = [order for order in past if order[3] >= 0]
    amounts = [amount for _, _, _, amount, _ in bought]
    paid, net = sum(amounts), sum(amount for _, _, _, amount, _ in past)
    days = sorted({order[0] for order in bought})
    per_day = [sum(order[3] for order in bought if order[0] == each) for each in days]
    gaps = [later - earlier for earlier, later in pairwise(days)]
    with_items = [items for *_, items in bought if items is not None]
    waiting = cutoff - days[-1]

    def within(first: int, end: int) -> tuple[float, float]:
        orders = [order for order in past if first <= order[0] < end]
        return float(sum(order[3] >= 0 for order in orders)), float(sum(order[3] for order in orders))

    def weight(order: Order, half_life: int) -> float:
        return 2.0 ** (-(cutoff - 1 - order[0]) / half_life)

    known = {
        "frequency": len(days) - 1,
        "recency": days[-1] - days[0],
        "T": cutoff - 1 - days[0],
        "monetary_value": Fraction(sum(per_day[1:])) / (len(days) - 1) if gaps else 0.0,
        "order_count": len(bought),
        "total_spend": net,
        "days_since_last_order": waiting,
        "gap_mean": Fraction(sum(gaps), len(gaps)) if gaps else math.nan,
        "gap_spread": math.sqrt(variance(gaps)) if gaps else math.nan,
        "gap_last": gaps[-1] if gaps else math.nan,
        "overdue_ratio": waiting / Fraction(sum(gaps), len(gaps)) if gaps else math.nan,
        "order_value_mean": paid / Fraction(len(bought)),
        "order_value_spread": math.sqrt(variance([Fraction(math.log1p(amount)) for amount in amounts])),
        "order_value_max": max(amounts),
        "order_value_last": amounts[-1],
        "refund_share": (paid - net) / paid if paid else math.nan,
        "items_per_order": Fraction(sum(with_items)) / len(with_items) if with_items else math.nan,
    }
    for length in WINDOWS:
        known[f"orders_{length}d"], known[f"spend_{length}d"] = within(cutoff - length, cutoff)
    for half_life in HALF_LIVES:
        known[f"weighted_orders_{half_life}d"] = math.fsum(weight(order, half_life) for order in bought)
        known[f"weighted_spend_{half_life}d"] = math.fsum(weight(order, half_life) * order[3] for order in past)
    for years in (1, 2):
        first = cutoff - 364 * years
        known[f"orders_same_season_{years}y"], known[f"spend_same_season_{years}y"] = within(first, first + 90)
    recent, weights = math.fsum(weight(order, 90) * order[3] for order in bought), known["weighted_orders_90d"]
    comparable = len(bought) > 1 and weights >= 2**-10 and paid
    known["order_value_trend"] = recent / weights / (paid / len(bought)) if comparable else math.nan
    turn = 2 * math.pi * ((EPOCH + timedelta(days=cutoff)).timetuple().tm_yday - 1) / 365.25
    known["season_sin"], known["season_cos"] = math.sin(turn), math.cos(turn)
    return {name: float(value) for name, value in known.items()}


def variance(values: Iterable[int | Fraction]) -> Fraction:
    values = list(values)
    mean = Fraction(sum(values)) / len(values)
    return sum((value - mean) ** 2 for value in values) / Fraction(len(values))


def rounding(name: str, orders: pd.DataFrame) -> float:
    """What fixed point may cost a feature: half a ten-thousandth, or 2**-31, per order."""
    if name.startswith("weighted_spend"):
        return float(len(orders) * 0.5e-4 + orders["amount"].abs().sum() * 2**-31)
    if name.startswith("weighted_orders"):
        return len(orders) * 2.0**-31
    return {"order_value_spread": 1.01e-4, "order_value_trend": 2e-3}.get(name, 0.0)


def check_against_the_definitions(orders: pl.DataFrame, cutoff: int) -> None:
    found = on_arrays(orders, cutoff)
    by_customer = {str(key): group for key, group in orders.to_pandas().groupby("customer_id")}
    expected_ids = [key for key, group in by_customer.items() if (group[group["amount"] >= 0]["order_day"] < cutoff).any()]
    assert list(found.index) == sorted(expected_ids)
    assert list(found.columns) == list(FEATURE_NAMES)
    for customer, row in found.iterrows():
        group = by_customer[str(customer)]
        expected = by_the_definitions([exact(order) for order in group.itertuples()], cutoff)
        assert expected.keys() == set(FEATURE_NAMES)
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, rel=1e-12, abs=1e-12 + rounding(name, group), nan_ok=True), (
                f"{name} of customer {customer} as of {cutoff}"
            )


def exact(order: Any) -> Order:
    items = None if math.isnan(order.items) else Fraction(round(order.items * 10_000), 10_000)
    return order.order_day, order.ordered_at, order.order_id, Fraction(round(order.amount * 10_000), 10_000), items


@pytest.mark.parametrize("cutoff", ["1997-02-01", "1998-01-01", "1998-07-01"])
def test_cdnow_by_the_definitions(cdnow_rows: pl.DataFrame, cutoff: str) -> None:
    chosen = cdnow_rows.filter(pl.col("customer_id").cast(pl.Int64) % 118 == 7)
    assert chosen["customer_id"].n_unique() == 200
    check_against_the_definitions(canonical(chosen), day(cutoff))


@pytest.mark.parametrize("cutoff", ["2010-03-01", "2011-06-12", "2011-12-10"])
def test_online_retail_by_the_definitions(retail_rows: pl.DataFrame, cutoff: str) -> None:
    orders = canonical(retail_rows)
    assert (orders["amount"] < 0).sum() > 100, "refunds are part of this test"
    check_against_the_definitions(orders, day(cutoff))


def test_long_silence_and_lasting_refunds_by_the_definitions() -> None:
    rows = typed([(0, 0, 50.0, 1), (900, 0, 70.0, 2), (901, 0, -200.0, None), (2000, 0, 0.0, None), (2000, 1, 9.99, 3)])
    for cutoff in (1, 901, 902, 2001, 4000, 12_000):
        check_against_the_definitions(canonical(rows), cutoff)


def typed(rows: list[tuple[int, int, float, float | None]], customer: str = "a") -> pl.DataFrame:
    """Typed rows out of (day, minute, amount, items)."""
    start = datetime(1970, 1, 1)
    return pl.DataFrame(
        {
            "customer_id": [customer] * len(rows),
            "order_id": [str(number) for number in range(len(rows))],
            "ordered_at": [start + timedelta(days=order_day, minutes=minute) for order_day, minute, _, _ in rows],
            "order_day": [order_day for order_day, *_ in rows],
            "amount": [amount for _, _, amount, _ in rows],
            "items": [items for *_, items in rows],
        },
        schema={
            "customer_id": pl.String, "order_id": pl.String, "ordered_at": pl.Datetime("us"),
            "order_day": pl.Int64, "amount": pl.Float64, "items": pl.Float64,
        },
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ lifetimes


@pytest.fixture(scope="module")
def lifetimes_summary() -> Callable[..., pd.DataFrame]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # importing lifetimes warns about its own docstrings
        from lifetimes.utils import summary_data_from_transaction_data
    return summary_data_from_transaction_data


@pytest.mark.parametrize("cutoff", ["1997-04-15", "1997-10-01", "1998-07-01"])
def test_the_four_inputs_of_lifetimes(
    cdnow_sample_rows: pl.DataFrame, lifetimes_summary: Callable[..., pd.DataFrame], cutoff: str
) -> None:
    log = cdnow_sample_rows.select("customer_id", "ordered_at", "amount").to_pandas()
    last_day = EPOCH + timedelta(days=day(cutoff) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lifetimes is archived and uses pandas as it was
        theirs = lifetimes_summary(log, "customer_id", "ordered_at", "amount", observation_period_end=last_day)
    ours = on_arrays(canonical(cdnow_sample_rows), day(cutoff))[list(theirs.columns)]
    assert len(ours) > 1000
    pd.testing.assert_frame_equal(ours, theirs.sort_index(), check_names=False, check_index_type=False, rtol=1e-12)


def test_the_published_summary_of_2357_customers(cdnow_sample_rows: pl.DataFrame) -> None:
    spec = find_spec("lifetimes")
    assert spec is not None
    assert spec.origin is not None
    published = pd.read_csv(Path(spec.origin).parent / "datasets" / "cdnow_customers_summary.csv", index_col="ID")
    ours = on_arrays(canonical(cdnow_sample_rows), day("1997-10-01"))
    ours.index = ours.index.astype(int)
    ours = ours.sort_index()
    assert len(ours) == len(published) == 2357
    assert (ours["frequency"] == published["frequency"]).all()
    for column in ("recency", "T"):
        assert np.abs(ours[column] / 7 - published[column]).max() <= 0.005 + 1e-9, f"{column} in weeks, to two decimals"


# ----------------------------------------------------------------------------------------------------------- invariants

AMOUNTS = st.one_of(st.just(0.0), st.integers(-5_000, 20_000).map(lambda cents: cents / 100))
ROW = st.tuples(st.integers(0, 60), st.integers(0, 2), AMOUNTS, st.one_of(st.none(), st.integers(1, 9).map(float)))
LOG = st.dictionaries(st.sampled_from(["a", "b", "ä", "00"]), st.lists(ROW, min_size=1, max_size=12), min_size=1)


def log_of(drawn: dict[str, list[tuple[int, int, float, float | None]]], prefix: str = "") -> pl.DataFrame:
    frames = [typed(rows, customer) for customer, rows in drawn.items()]
    return pl.concat(frames).with_columns(order_id=prefix + pl.col("order_id"))


@settings(max_examples=60, deadline=None)
@given(past=LOG, future=LOG, cutoff=st.integers(1, 70))
def test_orders_on_or_after_the_cutoff_change_nothing(past: dict[str, Any], future: dict[str, Any], cutoff: int) -> None:
    before = log_of(past)
    later = log_of(future, prefix="later-").with_columns(
        pl.col("order_day") + cutoff, pl.col("ordered_at") + pl.duration(days=cutoff)
    )
    known = on_arrays(canonical(before.filter(pl.col("order_day") < cutoff)), cutoff)
    pd.testing.assert_frame_equal(known, on_arrays(canonical(pl.concat([later, before])), cutoff), check_exact=True)


@settings(max_examples=40, deadline=None)
@given(log=LOG, cutoff=st.integers(1, 70), seed=st.integers(0, 99))
def test_any_log_by_the_definitions_in_any_row_order(log: dict[str, Any], cutoff: int, seed: int) -> None:
    orders = canonical(log_of(log))
    check_against_the_definitions(orders, cutoff)
    shuffled = orders.sample(fraction=1.0, shuffle=True, seed=seed)
    pd.testing.assert_frame_equal(on_arrays(orders, cutoff), on_arrays(shuffled, cutoff), check_exact=True)


def test_neither_row_order_nor_threads_change_a_bit(cdnow_rows: pl.DataFrame) -> None:
    orders = canonical(cdnow_rows)
    many = pl.concat([orders.with_columns(customer_id=pl.col("customer_id") + f"/{copy}") for copy in range(6)])
    shuffled = many.sample(fraction=1.0, shuffle=True, seed=1)
    one = on_duckdb(many, day("1998-03-01"), threads=1)
    four = on_duckdb(shuffled, day("1998-03-01"), threads=4)
    pd.testing.assert_frame_equal(one, four, check_exact=True)


def test_requests_in_many_threads_see_their_own_rows(cdnow_rows: pl.DataFrame) -> None:
    orders = canonical(cdnow_rows.filter(pl.col("customer_id") < "00200"))
    batch = on_arrays(orders, day("1998-07-01"))
    start = threading.Barrier(4)

    def answer(customers: list[str]) -> list[pd.DataFrame]:
        start.wait()
        return [on_arrays(orders.filter(pl.col("customer_id") == each), day("1998-07-01")) for each in customers]

    with ThreadPoolExecutor(4) as pool:
        parts = [part for answers in pool.map(answer, np.array_split(list(batch.index), 4)) for part in answers]
    pd.testing.assert_frame_equal(pd.concat(parts), batch, check_exact=True)


# ------------------------------------------------------------------------------------------------------------ contracts


def test_the_frame_is_one_block_of_float64_sorted_by_id() -> None:
    orders = canonical(pl.concat([typed([(3, 0, 1.0, None)], customer) for customer in ("b", "B", "ä", "0", "10", "9")]))
    frame = on_duckdb(orders, 5)
    assert list(frame.index) == sorted(frame.index) == ["0", "10", "9", "B", "b", "ä"]
    assert frame.index.name == "customer_id"
    assert set(frame.dtypes) == {np.dtype("float64")}
    assert np.shares_memory(frame.to_numpy(), frame.to_numpy()), "to_numpy needs no copy of one block"
    assert frame["gap_mean"].isna().all()


def test_no_purchase_before_the_cutoff_is_no_customer() -> None:
    frame = on_arrays(canonical(typed([(3, 0, 5.0, None), (4, 0, -5.0, None)])), 3)
    assert frame.shape == (0, len(FEATURE_NAMES))
    assert set(frame.dtypes) == {np.dtype("float64")}


def test_huge_amounts_neither_overflow_nor_turn_nan() -> None:
    orders = pl.DataFrame(
        {
            "customer_id": ["a"] * 100_000,
            "order_day": np.arange(100_000) // 5,
            "amount": np.full(100_000, 1e9),
            "items": np.full(100_000, 1e6),
            "first_order_day": np.zeros(100_000, dtype=np.int64),
            "previous_order_day": np.maximum(np.arange(100_000) - 1, 0) // 5,
            "spend_before": np.arange(100_000) * 1e9,
        }
    )
    for frame in (on_arrays(orders, 20_000), on_duckdb(orders, 20_000)):
        assert frame["total_spend"].item() == pytest.approx(1e14, rel=1e-12)
        assert frame["order_value_last"].item() == pytest.approx(1e9, rel=1e-9)
        assert frame["order_value_spread"].item() == pytest.approx(0.0, abs=1e-3)
        assert frame["gap_spread"].item() == 0.0
        assert frame.notna().all(axis=None)


@pytest.mark.parametrize("engine", [on_polars, on_duckdb])
def test_orders_without_their_history_are_refused(engine: Callable[[pl.DataFrame, int], pd.DataFrame]) -> None:
    orders = canonical(typed([(3, 0, 5.0, None)])).drop("spend_before")
    with pytest.raises(ColumnError, match=r"missing: spend_before .* run features.orders.net_orders first"):
        engine(orders, 5)


def test_features_are_lazy() -> None:
    orders = nw.from_native(canonical(typed([(3, 0, 5.0, None)])).lazy())
    features = customer_features(orders, 5)
    assert isinstance(features, nw.LazyFrame)
    assert features.collect_schema().names() == ["customer_id", *FEATURE_NAMES]
    assert set(features.drop("customer_id").collect_schema().dtypes()) == {nw.Float64}
