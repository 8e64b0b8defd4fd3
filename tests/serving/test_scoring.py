"""Batch scoring end to end: a real small model, real orders, a real store."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow.parquet as pq
import pytest

from configs.days import day_number
from configs.errors import HistoryError
from features.customers import feature_frame
from models.prediction import Drivers
from serving import scoring
from serving.predictions import CustomerScore, Terms, predicted, wire
from serving.scoring import Scoring, default_as_of, score
from serving.store import ScoringRun, Store

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
    for one in predicted(state.model, features, state.run.terms):
        stored, direct = wire(scores[one.customer_id], state.run.terms), wire(one, state.run.terms)
        assert {**stored, "drivers": None} == {**direct, "drivers": None}
        for what in ("value", "churn"):
            by_group = {driver["group"]: driver for driver in direct["drivers"][what]}
            for driver in stored["drivers"][what]:
                assert driver["value"] == by_group[driver["group"]]["value"]
                assert driver["effect"] == pytest.approx(by_group[driver["group"]]["effect"], abs=2e-4)


def test_a_customer_alone_is_scored_as_among_others(state: Any, scores: dict[str, CustomerScore]) -> None:
    for customer_id in list(scores)[::400]:
        orders = state.orders.filter(nw.col("customer_id") == customer_id)
        [alone] = predicted(state.model, feature_frame(orders, day_number(state.run.terms.as_of)), state.run.terms)
        assert replace(alone, drivers="") == replace(scores[customer_id], drivers="")


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
