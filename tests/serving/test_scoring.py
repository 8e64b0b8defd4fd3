"""Batch scoring end to end: a real small model, real orders, a real store."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pandas as pd
import pyarrow.parquet as pq
import pytest

from configs.days import day_number
from configs.errors import HistoryError
from features.customers import feature_frame
from models.prediction import Drivers
from models.tier_stability import Stability
from models.value_model import ValueModel
from serving import scoring
from serving.predictions import CustomerScore, Terms, customer_scores, predictions_and_drivers, wire
from serving.scoring import Scoring, default_as_of, score
from serving.stable_tiers import tiers_before
from serving.store import ScoringRun, Store

BAND = Stability(0.10)
HOW = Scoring("1", datetime(1998, 7, 1, 6, tzinfo=UTC), threads=2)


@pytest.fixture(scope="module")
def scores(state: Any) -> dict[str, CustomerScore]:
    """What the fixture's scoring run holds."""
    with Store(state.store_url) as store:
        return {one.customer_id: one for one in store.page(limit=10_000)[1]}


def test_every_customer_is_scored(state: Any, scores: dict[str, CustomerScore]) -> None:
    customers = set(state.orders.select("customer_id").collect().to_pandas().customer_id)
    assert set(scores) == customers
    assert state.run.customers == len(customers) == sum(tier.customers for tier in state.run.tiers)
    assert state.run.tier_names == state.model.tiers.names


def test_stored_scores_are_those_of_the_model(state: Any, scores: dict[str, CustomerScore]) -> None:
    features = feature_frame(state.orders, day_number(state.run.terms.as_of))
    for one in customer_scores(features, *predictions_and_drivers(state.model, features, state.run.terms)):
        stored, direct = wire(scores[one.customer_id], state.run.terms), wire(one, state.run.terms)
        assert stored["tier_since"] == "1998-07-01"
        assert {**stored, "drivers": None, "tier_since": None} == {**direct, "drivers": None}
        for what in ("value", "churn"):
            by_group = {driver["group"]: driver for driver in direct["drivers"][what]}
            for driver in stored["drivers"][what]:
                assert driver["value"] == by_group[driver["group"]]["value"]
                assert driver["effect"] == pytest.approx(by_group[driver["group"]]["effect"], abs=2e-4)


@pytest.mark.parametrize(
    ("day", "said"),
    [
        (date(1998, 4, 1), "knows what happened up to 1998-07-01, after the day scored"),
        (date(1998, 7, 1), None),
        (date(1998, 9, 29), None),
        (date(1998, 9, 30), "is of 1998-07-01, more than its horizon ago"),
    ],
)
def test_a_model_of_another_time_is_said(state: Any, tmp_path: Path, day: date, said: str | None) -> None:
    notes: list[str] = []
    with Store(f"sqlite:///{tmp_path / 'scores.db'}") as store:
        score(state.orders, day, state.model, store, replace(HOW, note=notes.append))
    assert len(notes) == (said is not None)
    assert said is None or said in notes[0]


def test_a_customer_alone_is_scored_as_among_others(state: Any, scores: dict[str, CustomerScore]) -> None:
    for customer_id in list(scores)[::400]:
        orders = state.orders.filter(nw.col("customer_id") == customer_id)
        features = feature_frame(orders, day_number(state.run.terms.as_of))
        [alone] = customer_scores(features, *predictions_and_drivers(state.model, features, state.run.terms))
        assert replace(alone, drivers="") == replace(scores[customer_id], drivers="", tier_since_day=None, order_history=None)


def test_average_and_effects_are_the_prediction(state: Any, scores: dict[str, CustomerScore]) -> None:
    for one in scores.values():
        prediction = wire(one, state.run.terms)
        for what, target, tolerance in (("value", "predicted_value", 0.01), ("churn", "churn_risk", 0.0001)):
            total = prediction["average"][target] + sum(driver["effect"] for driver in prediction["drivers"][what])
            assert math.isclose(total, prediction[target], abs_tol=tolerance)
        assert math.isclose(prediction["value_at_risk"], prediction["value_if_active"] * prediction["churn_risk"], rel_tol=1e-9)


def test_orders_after_the_day_change_nothing(state: Any, store: Store) -> None:
    early = date(1998, 3, 1)
    run = score(state.orders, early, state.model, store, HOW)
    known = state.orders.filter(nw.col("order_day") < day_number(early))
    again = score(known, early, state.model, store, HOW)
    assert store.page(run_id=run.run_id, limit=10_000)[1] == store.page(run_id=again.run_id, limit=10_000)[1]
    assert run.terms.as_of == early


def test_chunks_change_nothing(
    state: Any, store: Store, scores: dict[str, CustomerScore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "CHUNK_CUSTOMERS", 1000)
    seen: list[tuple[int, int]] = []
    how = replace(HOW, progress=lambda done, total: seen.append((done, total)))
    score(state.orders, state.run.terms.as_of, state.model, store, how)
    found = {one.customer_id: one for one in store.page(limit=10_000)[1]}
    assert {key: replace(one, drivers="") for key, one in found.items()} == {
        key: replace(one, drivers="") for key, one in scores.items()
    }
    assert seen == [(1000, 2357), (2000, 2357), (2357, 2357)]


def test_the_parquet_file_holds_the_run(state: Any, store: Store, tmp_path: Path) -> None:
    files = [tmp_path / "a.parquet", tmp_path / "deep" / "b.parquet"]
    for file in files:
        score(state.orders, state.run.terms.as_of, state.model, store, replace(HOW, out=file))
    assert files[0].read_bytes() == files[1].read_bytes()
    rows = pq.read_table(files[0]).to_pylist()
    assert len(rows) == 2357
    for row in rows[::100]:
        run, one = store.customer(row["customer_id"])
        for name in (
            "predicted_value",
            "churn_risk",
            "value_at_risk",
            "tier",
            "movement",
            "order_count",
            "total_spend",
        ):
            assert row[name] == getattr(one, name)
        prediction = wire(one, run.terms)
        assert row["last_order"] < row["as_of"] == run.terms.as_of
        assert row["last_order"] == date(1970, 1, 1) + timedelta(days=one.last_order_day)
        for driver in prediction["drivers"]["value"]:
            assert row[f"value_driver_{driver['group']}"] == driver["effect"]
        assert (row["currency"], row["horizon_days"], row["model_version"]) == ("USD", 90, "1")


def test_scoring_that_fails_publishes_nothing_and_leaves_no_file(
    state: Any,
    store: Store,
    tmp_path: Path,
    make_scores: Callable[..., list[CustomerScore]],
    publish: Callable[..., ScoringRun],
) -> None:
    old = publish(store, make_scores(["1"]))
    file = tmp_path / "new" / "scores.parquet"

    def fail(_done: int, _total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        score(state.orders, state.run.terms.as_of, state.model, store, replace(HOW, out=file, progress=fail))
    assert store.runs() == (old,)
    assert list(file.parent.iterdir()) == []


def held(store: Store, state: Any, as_of: date, stability: Stability = BAND, **how: Any) -> dict[str, CustomerScore]:
    """Score with stable tiers; the rows of that run by customer."""
    run = score(state.orders, as_of, state.model, store, replace(HOW, stability=stability, **how))
    return {one.customer_id: one for one in store.page(run_id=run.run_id, limit=10_000)[1]}


def test_customers_are_held_to_their_tiers_of_the_published_run(state: Any, store: Store) -> None:
    """Against the rule in plain Python, over three runs, with new customers and new orders in each."""
    tiers, known = state.model.tiers, {}
    first = date(1997, 3, 20)
    for as_of in (first, first + timedelta(days=20), first + timedelta(days=27)):
        found = held(store, state, as_of)
        for customer_id, one in found.items():
            plain = int(tiers.rank([one.predicted_value])[0])
            assert one.tier_by_value == tiers.names[plain]
            was = known.get(customer_id)
            before = plain if was is None else tiers.names.index(was.tier)
            while before > 0 and one.predicted_value >= 1.1 * tiers.thresholds[before - 1]:
                before -= 1
            while before < len(tiers.thresholds) and one.predicted_value < 0.9 * tiers.thresholds[before]:
                before += 1
            assert one.tier == tiers.names[before]
            stays = was is not None and was.tier == one.tier
            assert one.tier_since_day == (was.tier_since_day if stays else day_number(as_of))
            past = tiers.names.index(one.past_spend_tier)
            assert one.movement == ("up" if before < past else "down" if before > past else "same")
            if one.tier != one.tier_by_value:
                assert (one.tier_probability, one.uncertain) == (None, True)
        known = found
    assert any(one.tier != one.tier_by_value for one in known.values())


def test_scoring_the_same_day_again_moves_nobody(state: Any, store: Store) -> None:
    day = state.run.terms.as_of
    held(store, state, day - timedelta(days=30))
    assert held(store, state, day) == held(store, state, day)


def test_a_week_without_orders_moves_few(state: Any, store: Store) -> None:
    """The same orders a week later: time alone moves fewer than 5 % when held, and the best tenth captures as much value."""
    as_of = date(1998, 5, 1)
    known = state.orders.filter(nw.col("order_day") < day_number(as_of))
    runs = []
    for day in (as_of, as_of + timedelta(days=7)):
        run = score(known, day, state.model, store, replace(HOW, stability=BAND))
        runs.append({one.customer_id: one for one in store.page(run_id=run.run_id, limit=10_000)[1]})
    moved = sum(runs[1][one].tier != runs[0][one].tier for one in runs[0]) / len(runs[0])
    plain = sum(runs[1][one].tier_by_value != runs[0][one].tier for one in runs[0]) / len(runs[0])
    assert moved < 0.05
    assert moved < plain
    later = state.orders.filter(nw.col("order_day") >= day_number(as_of) + 7).collect().to_pandas()
    spent = later.groupby("customer_id").amount.sum()
    names, scores = state.model.tiers.names, runs[1].values()

    def captured(tier: str) -> float:
        best = sorted(scores, key=lambda one: (names.index(getattr(one, tier)), -one.predicted_value))[: len(scores) // 10]
        return float(spent.reindex([one.customer_id for one in best]).sum() / spent.sum())

    assert captured("tier") == pytest.approx(captured("tier_by_value"), rel=0.01)


def test_tiers_of_an_older_version_are_taken_to_begin_with_their_run(
    store: Store, make_scores: Callable[..., list[CustomerScore]], publish: Callable[..., ScoringRun]
) -> None:
    scores = [replace(one, tier_since_day=None) for one in make_scores(["1", "2", "3"])]
    run = publish(store, scores)
    before = tiers_before(store, run, pd.Index(["2", "25", "3"], dtype="str"))
    assert before.tier.to_dict() == {one.customer_id: one.tier for one in scores[1:]}
    assert set(before.tier_since_day) == {day_number(run.terms.as_of)}
    assert tiers_before(store, None, pd.Index(["2"], dtype="str")).empty


def test_a_minimum_stay_stops_downgrades(state: Any, store: Store) -> None:
    first, second = date(1998, 1, 1), date(1998, 3, 1)
    before = held(store, state, first)
    names = state.model.tiers.names
    waiting = held(store, state, second, Stability(0.1, 90))
    assert all(names.index(waiting[one].tier) <= names.index(before[one].tier) for one in before)
    free = held(store, state, date(1998, 6, 1), Stability(0.1, 90))
    assert any(names.index(free[one].tier) > names.index(before[one].tier) for one in before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda model: replace(model, horizon_days=60), "are of 90 days, those of the model of 60"),
        (lambda model: replace(model, currency="EUR"), "is in USD"),
        (
            lambda model: replace(
                model,
                tiers=replace(model.tiers, names=("P", *model.tiers.names[1:])),
                past_views=replace(
                    model.past_views,
                    spend_tiers=replace(model.past_views.spend_tiers, names=("P", *model.tiers.names[1:])),
                ),
            ),
            "has other tiers (Platinum, Gold, Silver, Bronze)",
        ),
    ],
)
def test_nobody_is_held_to_a_run_of_another_kind(
    state: Any, store: Store, change: Callable[[ValueModel], ValueModel], words: str
) -> None:
    said: list[str] = []
    how = replace(HOW, stability=BAND, note=said.append)
    # As if trained then: else it is said that the model knows what came later.
    score(state.orders, date(1998, 3, 1), replace(state.model, as_of=day_number(date(1998, 3, 1))), store, how)
    assert said == []
    run = score(state.orders, date(1998, 7, 1), change(state.model), store, how)
    [note] = said
    assert words in note
    assert run.held == 0
    assert {one.tier_since_day for one in store.page(limit=10_000)[1]} == {day_number(date(1998, 7, 1))}


def test_tiers_are_of_the_trained_horizon_whatever_is_asked(state: Any, store: Store) -> None:
    first, second = date(1998, 3, 1), date(1998, 4, 1)
    held(store, state, first)
    usual = held(store, state, second)
    with_other_horizon = held(store, state, second, horizon_days=365)
    assert {key: (one.tier, one.tier_since_day) for key, one in with_other_horizon.items()} == {
        key: (one.tier, one.tier_since_day) for key, one in usual.items()
    }
    run = store.published()
    assert run is not None
    assert (run.terms.horizon_days, run.tier_horizon_days) == (365, 90)


def test_a_day_before_all_orders_is_refused(state: Any, store: Store) -> None:
    with pytest.raises(HistoryError, match="no customer has a purchase before 1990-01-01"):
        score(state.orders, date(1990, 1, 1), state.model, store, HOW)
    assert store.published() is None


def test_the_default_day_follows_the_last_order() -> None:
    assert default_as_of(day_number(date(2011, 12, 9))) == date(2011, 12, 10)


def test_terms_are_half_open() -> None:
    assert Terms(date(2011, 6, 12), 180, "GBP", "3").horizon_end == date(2011, 12, 9)
    assert Terms(date(2012, 2, 28), 1, "GBP", "3").horizon_end == date(2012, 2, 29)


def test_drivers_are_the_models_own() -> None:
    assert list(Drivers.__dataclass_fields__) == ["value_average", "churn_average", "value", "churn"]
