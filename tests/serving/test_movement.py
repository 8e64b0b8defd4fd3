"""Movement between two runs: the matrix against SQL of another engine, the reasons against what was done to a customer."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import date
from typing import Any

import duckdb
import pandas as pd
import pytest

from configs.days import day_number
from configs.errors import NotFoundError, SettingsError
from serving.exports import csv_chunks
from serving.movement import COLUMNS, Movement, movement, movement_table, moves, wire_movement
from serving.predictions import CustomerScore, Terms
from serving.store import ScoringRun, Store

MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]
TIERS = ("Platinum", "Gold", "Silver", "Bronze")
LATER = Terms(date(2011, 6, 19), 180, "GBP", "3")


def publish_as(store: Store, scores: list[CustomerScore], terms: Terms, created: ScoringRun) -> ScoringRun:
    """Write and publish a run of other terms."""
    with store.writing(terms, tier_names=TIERS, created_at=created.created_at) as writer:
        writer.add(scores)
        return writer.publish(keep_runs=12)


@pytest.fixture
def compared(store: Store, make_scores: MakeScores, publish: Publish) -> Movement:
    """Two runs with customers in common, and some that only one of them knows."""
    first = publish(store, make_scores([f"{place:03d}" for place in range(300)], seed=1))
    publish_as(store, make_scores([f"{place:03d}" for place in range(40, 340)], seed=2), LATER, first)
    return movement(store)


def frame(store: Store, run: ScoringRun) -> pd.DataFrame:
    return pd.DataFrame([asdict(score) for score in store.page(run_id=run.run_id, limit=1000)[1]])


def test_the_matrix_is_what_sql_says(store: Store, compared: Movement) -> None:
    before, after = frame(store, compared.before), frame(store, compared.after)
    engine = duckdb.connect()
    engine.register("run_before", before[["customer_id", "tier", "predicted_value"]])
    engine.register("run_after", after[["customer_id", "tier", "predicted_value"]])
    wanted = engine.sql(
        "SELECT b.tier, a.tier, count(*), coalesce(sum(b.predicted_value), 0), coalesce(sum(a.predicted_value), 0) "
        "FROM run_before b FULL OUTER JOIN run_after a USING (customer_id) GROUP BY ALL"
    ).fetchall()
    found = {(pair.tier_before, pair.tier): pair for pair in compared.pairs}
    assert len(found) == len(compared.pairs) == len(wanted) == len(before.tier.unique()) * 4 + 8
    for tier_before, tier, customers, value_before, value in wanted:
        pair = found[tier_before, tier]
        assert (pair.customers, compared.customers(tier_before, tier)) == (customers, customers)
        assert (pair.value_before, pair.value) == pytest.approx((value_before, value))
    assert (compared.new_customers, compared.gone_customers) == (40, 40)
    assert compared.moved + compared.stayed == 260


def test_who_moved_comes_by_change_of_value(store: Store, compared: Movement) -> None:
    before, after = (frame(store, run).set_index("customer_id") for run in (compared.before, compared.after))
    both = before.add_suffix("_before").join(after, how="inner")
    changed = both[both.tier != both.tier_before]
    wanted = changed.assign(change=(changed.predicted_value - changed.predicted_value_before).abs())
    order = wanted.reset_index().sort_values(["change", "customer_id"], ascending=[False, True])
    told = list(moves(store, compared))
    assert [one.customer_id for one in told] == order.customer_id.tolist()
    for one in told:
        row = changed.loc[one.customer_id]
        assert (one.tier_before, one.tier) == (row.tier_before, row.tier)
        assert (one.value_before, one.value) == (row.predicted_value_before, row.predicted_value)
        assert one.reason
    assert list(moves(store, compared, top=7)) == told[:7]
    assert compared.moved == len(told)


def drivers(**value: float) -> str:
    facts = {"recency": 9.0, "order_history": 3.0, "recent_spend": 120.0}
    effects = [[group, facts[group], effect] for group, effect in value.items()]
    return json.dumps({"average": {"value": 0.0, "churn": 0.5}, "value": effects, "churn": []})


def customer(score: CustomerScore, **changes: Any) -> CustomerScore:
    plain = {
        "tier": "Gold", "predicted_value": 300.0, "order_count": 3, "total_spend": 500.0,
        "last_order_day": day_number(date(2011, 5, 1)),
        "drivers": drivers(recency=100.0, order_history=100.0, recent_spend=100.0),
    }  # fmt: skip
    return replace(score, **(plain | {"tier_by_value": changes.get("tier", "Gold")} | changes))


@pytest.mark.parametrize(
    ("was", "now", "model", "wanted"),
    [
        (
            {},
            {"tier": "Silver", "predicted_value": 180.0, "drivers": drivers(recency=-20, order_history=105, recent_spend=95)},
            "3",
            "No order since 2011-05-01; ordered 9 days ago: takes 120 GBP",
        ),
        (
            {"tier": "Silver"},
            {"order_count": 5, "predicted_value": 420.0, "drivers": drivers(recency=-50, order_history=240, recent_spend=230)},
            "3",
            "Ordered twice since 2011-06-12; placed 3 orders in total: adds 140 GBP",
        ),
        (
            {},
            {"tier": "Bronze", "total_spend": 380.0, "predicted_value": 20.0, "drivers": drivers(recent_spend=-180)},
            "3",
            "120 GBP of earlier orders refunded; spent 120 GBP in the last 365 days: takes 280 GBP",
        ),
        ({}, {"tier": "Silver", "order_count": 2}, "3", "1 order fewer than before, refunded or corrected"),
        ({}, {"tier": "Silver"}, "4", "New model (version 4 after 3); no order since 2011-05-01"),
        (
            {"tier": "Platinum", "tier_by_value": "Gold"},
            {},
            "3",
            "Was held in Platinum until now; no order since 2011-05-01",
        ),
    ],
)
def test_the_reason_is_what_happened(
    tmp_path: Any, make_scores: MakeScores, publish: Publish, was: Any, now: Any, model: str, wanted: str
) -> None:
    [score] = make_scores(["1"])
    with Store(f"sqlite:///{tmp_path / 'scores.db'}") as store:
        first = publish(store, [customer(score, **was)])
        publish_as(store, [customer(score, **now)], replace(LATER, model_version=model), first)
        [told] = moves(store, movement(store))
    assert told.reason == wanted


@pytest.mark.parametrize(
    ("model", "wanted"),
    [("4", "New model (version 4 after 3)"), ("3", "The same day, model and orders: held in a tier otherwise than before")],
)
def test_between_two_runs_of_one_day_nobody_could_order(
    tmp_path: Any, make_scores: MakeScores, publish: Publish, model: str, wanted: str
) -> None:
    [score] = make_scores(["1"])
    with Store(f"sqlite:///{tmp_path / 'scores.db'}") as store:
        first = publish(store, [customer(score)])
        publish_as(store, [customer(score, tier="Silver")], replace(store.published().terms, model_version=model), first)
        [told] = moves(store, movement(store))
    assert told.reason == wanted


def test_who_is_held_has_not_moved(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    [score] = make_scores(["1"])
    first = publish(store, [customer(score)])
    publish_as(store, [customer(score, tier_by_value="Silver", predicted_value=290.0)], LATER, first)
    found = movement(store)
    assert (found.moved, found.stayed, found.after.held) == (0, 1, 1)
    assert list(moves(store, found)) == []


def test_runs_that_cannot_be_compared_are_refused(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    with pytest.raises(NotFoundError, match="run foretier score first"):
        movement(store)
    scores = make_scores(["1"])
    first = publish(store, scores)
    with pytest.raises(NotFoundError, match="no run before 1 of the same horizon"):
        movement(store)
    longer = publish_as(store, scores, replace(LATER, horizon_days=365), first)
    with pytest.raises(NotFoundError, match="no run before 2 of the same horizon"):
        movement(store)
    with pytest.raises(SettingsError, match="in 180 days in GBP, run 2 in 365 days in GBP"):
        movement(store, first.run_id, longer.run_id)
    last = publish_as(store, scores, LATER, first)
    assert movement(store).before == first
    with pytest.raises(SettingsError, match="give the earlier one as --from"):
        movement(store, last.run_id, first.run_id)
    with pytest.raises(NotFoundError, match="no scoring run 9"):
        movement(store, 9)


def test_the_wire_and_the_table_hold_the_same(store: Store, compared: Movement) -> None:
    told = wire_movement(compared)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["from"]["as_of"], told["to"]["as_of"]) == ("2011-06-12", "2011-06-19")
    assert sum(cell["customers"] for cell in told["tiers"]) == 340
    assert told["moved"] + told["stayed"] + told["new_customers"] + told["gone_customers"] == 340
    text = b"".join(csv_chunks(movement_table(compared, moves(store, compared)))).decode("utf-8-sig").splitlines()
    assert text[0] == ",".join(f'"{column.name}"' for column in COLUMNS)
    assert len(text) == 1 + compared.moved
