"""The churn-risk list: which customers, in which order, why, and what to do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import NotFoundError, SettingsError
from configs.playbook import DEFAULT_PLAYBOOK, Play, play_for
from configs.settings import Settings, parse_settings
from serving.exports import csv_chunks
from serving.list_plan import Plan
from serving.list_table import list_columns, list_table
from serving.list_words import EN
from serving.lists import (
    ContactList,
    ListRow,
    churn_risk_page,
    contact_list,
    list_rows,
    reasons,
    risk_band,
    wire_list,
    wire_page,
)
from serving.predictions import CustomerScore, Driver, wire
from serving.store import ScoringRun, Store

MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]

SETTINGS: Settings = parse_settings(
    {
        "source": {"path": "orders.csv"},
        "columns": {"customer_id": "id", "ordered_at": "day", "amount": "amount"},
        "currency": "GBP",
        "playbook": [play.model_dump() | {"contact_cap": None} for play in DEFAULT_PLAYBOOK["en"]],
    },
    where="test",
)
EVERYONE = Plan(include_gone=True)
IDS = [f"{place:04d}" for place in range(120)]


@pytest.fixture
def scores(make_scores: MakeScores) -> list[CustomerScore]:
    return make_scores(IDS)


@pytest.fixture
def run(store: Store, scores: list[CustomerScore], publish: Publish) -> ScoringRun:
    return publish(store, scores)


def all_rows(store: Store, plan: Plan = EVERYONE) -> list[ListRow]:
    return list(list_rows(store, SETTINGS, contact_list(store, SETTINGS, plan)))


def begun_list(store: Store, plan: Plan = EVERYONE, run: ScoringRun | None = None) -> tuple[ContactList, Iterator[ListRow]]:
    of = contact_list(store, SETTINGS, plan, run=run)
    return of, list_rows(store, SETTINGS, of)


@pytest.mark.usefixtures("run")
def test_rows_come_by_falling_value_at_risk(store: Store, scores: list[CustomerScore]) -> None:
    rows = all_rows(store)
    assert [row.customer_id for row in rows] == [
        score.customer_id for score in sorted(scores, key=lambda score: (-score.value_at_risk, score.customer_id))
    ]
    assert [row.rank for row in rows] == list(range(1, 121))


def test_a_row_tells_the_score(store: Store, scores: list[CustomerScore], run: ScoringRun) -> None:
    by_id = {score.customer_id: score for score in scores}
    for row in all_rows(store):
        score = by_id[row.customer_id]
        for name in ("tier", "churn_risk", "predicted_value", "value_at_risk", "lifecycle_stage", "movement"):
            assert getattr(row, name) == getattr(score, name)
        assert row.days_since_last_order == (date(2011, 6, 12) - row.last_order).days >= 1
        assert row.risk_band == ("high" if row.churn_risk >= 0.7 else "medium" if row.churn_risk >= 0.4 else "low")
        play = play_for(SETTINGS.playbook, row.tier, row.lifecycle_stage, row.movement)
        assert play is not None
        assert (row.action, row.channel, row.contact_cap) == (play.action, play.channel, None)
        sentences = {driver["text"] for of in wire(score, run.terms)["drivers"].values() for driver in of}
        assert len(row.reasons) == len(sentences & set(row.reasons)) == 3


@pytest.mark.usefixtures("run")
def test_filters_and_capacity(store: Store, scores: list[CustomerScore]) -> None:
    assert {row.tier for row in all_rows(store, replace(EVERYONE, tiers=("Gold", "Silver")))} == {"Gold", "Silver"}
    risky = all_rows(store, replace(EVERYONE, min_risk=0.8))
    assert len(risky) == sum(score.churn_risk >= 0.8 for score in scores)
    assert all_rows(store, replace(EVERYONE, min_risk=0.8, capacity=5)) == risky[:5]
    assert all_rows(store, replace(EVERYONE, capacity=10_000)) == all_rows(store)


@pytest.mark.usefixtures("run")
def test_an_unknown_tier_names_the_nearest(store: Store) -> None:
    for tier in ("gold", "Glod"):
        with pytest.raises(NotFoundError, match=f'there is no tier "{tier}"; did you mean "Gold"'):
            contact_list(store, SETTINGS, Plan((tier,)))
        with pytest.raises(NotFoundError, match="did you mean"):
            churn_risk_page(store, SETTINGS, Plan((tier,)))


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("risk", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_risk_that_is_none_is_refused(store: Store, risk: float) -> None:
    with pytest.raises(SettingsError, match="from 0 to 1"):
        contact_list(store, SETTINGS, Plan(min_risk=risk))


def test_without_a_published_run_there_is_no_list(store: Store) -> None:
    with pytest.raises(NotFoundError, match="run foretier score first"):
        churn_risk_page(store, SETTINGS, EVERYONE)
    with pytest.raises(NotFoundError, match="run foretier score first"):
        contact_list(store, SETTINGS, EVERYONE)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("plan", [EVERYONE, replace(EVERYONE, tiers=("Gold",), min_risk=0.3)])
def test_pages_make_up_the_whole_list(store: Store, plan: Plan) -> None:
    found: list[ListRow] = []
    cursor = None
    while True:
        page = churn_risk_page(store, SETTINGS, plan, limit=7, cursor=cursor)
        found += page.rows
        assert page.of.expected.contacts == len(all_rows(store, plan))
        if (cursor := page.next_cursor) is None:
            break
        assert len(page.rows) == 7
    assert found == all_rows(store, plan)


def test_a_cursor_stays_with_its_run(store: Store, run: ScoringRun, make_scores: MakeScores, publish: Publish) -> None:
    whole = all_rows(store)
    first = churn_risk_page(store, SETTINGS, EVERYONE, limit=50)
    newer = publish(store, make_scores(IDS, seed=2))
    second = churn_risk_page(store, SETTINGS, EVERYONE, limit=100, cursor=first.next_cursor)
    assert (second.of.run, [*first.rows, *second.rows]) == (run, whole)
    assert churn_risk_page(store, SETTINGS, EVERYONE).of.run == newer
    publish(store, make_scores(IDS, seed=3), keep_runs=1)
    with pytest.raises(NotFoundError, match="no longer kept"):
        churn_risk_page(store, SETTINGS, EVERYONE, cursor=first.next_cursor)


def test_a_list_that_began_before_a_newer_run_ends_whole(
    store: Store, run: ScoringRun, make_scores: MakeScores, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, first = all_rows(store), churn_risk_page(store, SETTINGS, EVERYONE, limit=50)
    monkeypatch.setattr("serving.lists.EXPORT_BATCH_ROWS", 9)
    of, rows = begun_list(store)
    begun = [next(rows) for _ in range(5)]
    newer = publish(store, make_scores(IDS, seed=2), keep_runs=1)
    assert (of.run, [*begun, *rows]) == (run, whole)
    second = churn_risk_page(store, SETTINGS, EVERYONE, limit=100, cursor=first.next_cursor, run=newer)
    assert (second.of.run, [*first.rows, *second.rows]) == (run, whole)
    assert list(begun_list(store, run=run)[1]) == whole
    assert churn_risk_page(store, SETTINGS, EVERYONE, limit=120, run=run).rows == tuple(whole)


@pytest.mark.usefixtures("run")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: __import__("base64").urlsafe_b64encode(raw).decode()))
def test_a_cursor_that_is_none_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises((SettingsError, NotFoundError)):
        churn_risk_page(store, SETTINGS, EVERYONE, cursor=cursor)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("place", ["[1,2,3,4]", '[1,"nan","x",1]', '[true,"0x1p0","x",1]', "[1e400]", "{}", "[" * 5000])
def test_a_forged_cursor_is_refused(store: Store, place: str) -> None:
    import base64

    cursor = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
    with pytest.raises(SettingsError, match="start again without it"):
        churn_risk_page(store, SETTINGS, EVERYONE, cursor=cursor)


@pytest.mark.parametrize(("risk", "band"), [(1.0, "high"), (0.7, "high"), (0.6999, "medium"), (0.4, "medium"), (0.0, "low")])
def test_a_risk_at_the_limit_is_in_the_band(risk: float, band: str) -> None:
    assert risk_band(risk, SETTINGS.scoring.risk_bands) == band


def test_the_first_play_that_fits_holds() -> None:
    playbook = [
        Play(tier="Gold", stage="active", movement="down", action="a"),
        Play(tier="Gold", stage="active", action="b"),
        Play(tier="Gold", action="c"),
        Play(stage="active", action="d"),
    ]

    def action(*of: str) -> str | None:
        play = play_for(playbook, *of)
        return None if play is None else play.action

    assert action("Gold", "active", "down") == "a"
    assert action("Gold", "active", "up") == "b"
    assert action("Gold", "lost", "down") == "c"
    assert action("Silver", "active", "down") == "d"
    assert action("Silver", "lost", "down") is None


def drivers(what: Literal["value", "churn"], **effects: float) -> list[Driver]:
    return [Driver(what, group, 1.0, effect) for group, effect in effects.items()]


def test_reasons_are_two_for_leaving_and_one_for_keeping() -> None:
    churn = drivers("churn", a=0.2, b=-0.1, c=0.09, d=0.05, e=0.001)
    value = drivers("value", a=90.0, b=80.0, c=-10.0, d=5.0)

    def told(value: list[Driver], churn: list[Driver]) -> list[str]:
        return [f"{driver.what} {driver.group}" for driver in reasons(value, churn)]

    assert told(value, churn) == ["churn a", "churn c", "value b"]
    assert told([], churn) == ["churn a", "churn c", "churn d"]
    assert told(value, churn[:1]) == ["churn a", "value b", "value d"]
    assert told(value[2:3], churn[1:2]) == ["churn b"]
    assert told(value, drivers("churn", a=0.009, b=-0.009)) == ["value a", "value b", "value d"]
    assert told(drivers("value", a=-90.0, b=4.4), churn[:1]) == ["churn a"]
    assert told([], []) == []


@pytest.mark.usefixtures("run")
def test_the_wire_is_plain_json(store: Store, run: ScoringRun) -> None:
    page = churn_risk_page(store, SETTINGS, replace(EVERYONE, tiers=("Gold",), min_risk=0.25), limit=3)
    told = wire_page(page)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    for row, wired in zip(page.rows, told["customers"], strict=True):
        assert wired["value_interval"] == {"low": row.value_low, "high": row.value_high, "level": 0.8}
        assert wired["next_order"] in (None, "2011-06-12", "2012-06-09")
    assert list(told) == [
        "list", "as_of", "horizon_days", "horizon_end", "currency", "model_version", "grade", "scoring_run", "contact_day",
        "tiers", "min_risk", "max_risk", "total", "plan",
        "customers", "next_cursor",
    ]  # fmt: skip
    assert (told["tiers"], told["min_risk"], told["scoring_run"], told["horizon_end"]) == (
        ["Gold"], 0.25, run.run_id, "2011-12-09",
    )  # fmt: skip
    whole = wire_list(page.of)
    assert whole == {name: told[name] for name in list(told)[:-2]}
    assert whole["total"] == len(all_rows(store, page.of.plan))
    assert contact_list(store, SETTINGS, replace(page.of.plan, capacity=2)).expected.contacts == 2
    assert contact_list(store, SETTINGS, replace(page.of.plan, capacity=1000)).expected.contacts == whole["total"]


@pytest.mark.usefixtures("run")
def test_the_table_has_a_cell_for_every_column(store: Store) -> None:
    table = list_table(*begun_list(store), "en", said=True)
    cells = list(table.rows)
    assert {len(row) for row in cells} == {len(list_columns(EN))}
    assert [column.name for column in table.columns][:7] == [
        "rank", "customer_id", "tier", "churn_risk", "risk_band", "predicted_value", "value_at_risk",
    ]  # fmt: skip


def test_where_some_ids_are_zero_padded_all_numbers_are_marked_as_text(
    store: Store, make_scores: MakeScores, publish: Publish
) -> None:
    for ids, wanted in [(["08830", "10197", "C1234"], {"'08830", "'10197", "C1234"}), (["8830", "0"], {"8830", "0"})]:
        publish(store, make_scores(ids))
        text = b"".join(csv_chunks(list_table(*begun_list(store), "en", said=False))).decode("utf-8-sig")
        assert {row["customer_id"] for row in csv.DictReader(io.StringIO(text, newline=""))} == wanted


def test_a_customer_without_drivers_still_has_a_row(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    bare = '{"average":{"value":1.0,"churn":0.5},"value":[],"churn":[]}'
    publish(store, [replace(make_scores(["1"])[0], drivers=bare)])
    [cells] = list_table(*begun_list(store), "en", said=True).rows
    assert cells[[column.name for column in list_columns(EN)].index("reason_1")] == ""
