"""The churn-risk list: which customers, in which order, why, and what to do."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import NotFoundError, SettingsError
from configs.settings import DEFAULT_PLAYBOOK, Settings, parse_settings
from serving.exports import csv_chunks
from serving.lists import (
    COLUMNS,
    Filters,
    ListRow,
    churn_risk_page,
    churn_risk_rows,
    list_table,
    reasons,
    risk_band,
    suggested_action,
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
    },
    where="test",
)
EVERYONE = Filters()
IDS = [f"{place:04d}" for place in range(120)]


@pytest.fixture
def scores(make_scores: MakeScores) -> list[CustomerScore]:
    return make_scores(IDS)


@pytest.fixture
def run(store: Store, scores: list[CustomerScore], publish: Publish) -> ScoringRun:
    return publish(store, scores)


def all_rows(store: Store, filters: Filters = EVERYONE, top: int | None = None) -> list[ListRow]:
    return list(churn_risk_rows(store, SETTINGS, filters, top=top)[1])


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
        assert row.action == DEFAULT_PLAYBOOK[row.tier if row.tier != "Bronze" else "any"][row.lifecycle_stage]  # type: ignore[index]
        sentences = {driver["text"] for of in wire(score, run.terms)["drivers"].values() for driver in of}
        assert len(row.reasons) == len(sentences & set(row.reasons)) == 3


@pytest.mark.usefixtures("run")
def test_filters_and_top(store: Store, scores: list[CustomerScore]) -> None:
    assert {row.tier for row in all_rows(store, Filters(("Gold", "Silver")))} == {"Gold", "Silver"}
    risky = all_rows(store, Filters(min_risk=0.8))
    assert len(risky) == sum(score.churn_risk >= 0.8 for score in scores)
    assert all_rows(store, Filters(min_risk=0.8), top=5) == risky[:5]
    assert all_rows(store, top=10_000) == all_rows(store)


@pytest.mark.usefixtures("run")
def test_an_unknown_tier_names_the_nearest(store: Store) -> None:
    for tier in ("gold", "Glod"):
        with pytest.raises(NotFoundError, match=f'there is no tier "{tier}"; did you mean "Gold"'):
            churn_risk_rows(store, SETTINGS, Filters((tier,)))
        with pytest.raises(NotFoundError, match="did you mean"):
            churn_risk_page(store, SETTINGS, Filters((tier,)))


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("risk", [-0.1, 1.1, float("nan"), float("inf")])
def test_a_risk_that_is_none_is_refused(store: Store, risk: float) -> None:
    with pytest.raises(SettingsError, match="from 0 to 1"):
        churn_risk_rows(store, SETTINGS, Filters(min_risk=risk))


def test_without_a_published_run_there_is_no_list(store: Store) -> None:
    with pytest.raises(NotFoundError, match="run foretier score first"):
        churn_risk_page(store, SETTINGS, Filters())
    with pytest.raises(NotFoundError, match="run foretier score first"):
        churn_risk_rows(store, SETTINGS, Filters())


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("filters", [Filters(), Filters(("Gold",), 0.3)])
def test_pages_make_up_the_whole_list(store: Store, filters: Filters) -> None:
    found: list[ListRow] = []
    cursor = None
    while True:
        page = churn_risk_page(store, SETTINGS, filters, limit=7, cursor=cursor)
        found += page.rows
        assert page.total == len(all_rows(store, filters))
        if (cursor := page.next_cursor) is None:
            break
        assert len(page.rows) == 7
    assert found == all_rows(store, filters)


def test_a_cursor_stays_with_its_run(store: Store, run: ScoringRun, make_scores: MakeScores, publish: Publish) -> None:
    whole = all_rows(store)
    first = churn_risk_page(store, SETTINGS, Filters(), limit=50)
    newer = publish(store, make_scores(IDS, seed=2))
    second = churn_risk_page(store, SETTINGS, Filters(), limit=100, cursor=first.next_cursor)
    assert (second.run, [*first.rows, *second.rows]) == (run, whole)
    assert churn_risk_page(store, SETTINGS, Filters()).run == newer
    publish(store, make_scores(IDS, seed=3), keep_runs=1)
    with pytest.raises(NotFoundError, match="no longer kept"):
        churn_risk_page(store, SETTINGS, Filters(), cursor=first.next_cursor)


def test_a_list_that_began_before_a_newer_run_ends_whole(
    store: Store, run: ScoringRun, make_scores: MakeScores, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, first = all_rows(store), churn_risk_page(store, SETTINGS, EVERYONE, limit=50)
    monkeypatch.setattr("serving.lists.EXPORT_BATCH_ROWS", 9)
    of, rows = churn_risk_rows(store, SETTINGS, EVERYONE)
    begun = [next(rows) for _ in range(5)]
    newer = publish(store, make_scores(IDS, seed=2), keep_runs=1)
    assert (of, [*begun, *rows]) == (run, whole)
    second = churn_risk_page(store, SETTINGS, EVERYONE, limit=100, cursor=first.next_cursor, run=newer)
    assert (second.run, [*first.rows, *second.rows]) == (run, whole)
    assert list(churn_risk_rows(store, SETTINGS, EVERYONE, run=run)[1]) == whole
    assert churn_risk_page(store, SETTINGS, EVERYONE, limit=120, run=run).rows == tuple(whole)


@pytest.mark.usefixtures("run")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: __import__("base64").urlsafe_b64encode(raw).decode()))
def test_a_cursor_that_is_none_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises((SettingsError, NotFoundError)):
        churn_risk_page(store, SETTINGS, Filters(), cursor=cursor)


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("place", ["[1,2,3,4]", '[1,"nan","x",1]', '[true,"0x1p0","x",1]', "[1e400]", "{}", "[" * 5000])
def test_a_forged_cursor_is_refused(store: Store, place: str) -> None:
    import base64

    cursor = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")
    with pytest.raises(SettingsError, match="start again without it"):
        churn_risk_page(store, SETTINGS, Filters(), cursor=cursor)


@pytest.mark.parametrize(("risk", "band"), [(1.0, "high"), (0.7, "high"), (0.6999, "medium"), (0.4, "medium"), (0.0, "low")])
def test_a_risk_at_the_limit_is_in_the_band(risk: float, band: str) -> None:
    assert risk_band(risk, SETTINGS.scoring.risk_bands) == band


def test_the_playbook_falls_back() -> None:
    playbook = {"Gold": {"active": "a", "any": "b"}, "Silver": {"new": "c"}, "any": {"active": "d", "any": "e"}}
    assert suggested_action(playbook, "Gold", "active") == "a"
    assert suggested_action(playbook, "Gold", "lost") == "b"
    assert suggested_action(playbook, "Silver", "new") == "c"
    assert suggested_action(playbook, "Silver", "active") == "d"
    assert suggested_action(playbook, "Other", "lost") == "e"
    assert suggested_action({}, "Gold", "active") == ""


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
    page = churn_risk_page(store, SETTINGS, Filters(("Gold",), 0.25), limit=3)
    told = wire_page(page)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    for row, wired in zip(page.rows, told["customers"], strict=True):
        assert wired["value_interval"] == {"low": row.value_low, "high": row.value_high, "level": 0.8}
        assert wired["next_order"] in (None, "2011-06-12", "2012-06-09")
    assert list(told) == [
        "list", "as_of", "horizon_days", "horizon_end", "currency", "model_version", "grade", "scoring_run", "tiers",
        "min_risk", "total",
        "customers", "next_cursor",
    ]  # fmt: skip
    assert (told["tiers"], told["min_risk"], told["scoring_run"], told["horizon_end"]) == (
        ["Gold"], 0.25, run.run_id, "2011-12-09",
    )  # fmt: skip
    whole = wire_list(store, run, page.filters)
    assert whole == {name: told[name] for name in list(told)[:-2]}
    assert whole["total"] == len(all_rows(store, page.filters))
    assert wire_list(store, run, page.filters, top=2)["total"] == 2
    assert wire_list(store, run, page.filters, top=1000)["total"] == whole["total"]


@pytest.mark.usefixtures("run")
def test_the_table_has_a_cell_for_every_column(store: Store) -> None:
    run, rows = churn_risk_rows(store, SETTINGS, Filters())
    table = list_table(run, Filters(), rows)
    cells = list(table.rows)
    assert {len(row) for row in cells} == {len(COLUMNS)}
    assert [column.name for column in table.columns][:7] == [
        "rank", "customer_id", "tier", "churn_risk", "risk_band", "predicted_value", "value_at_risk",
    ]  # fmt: skip


def test_where_some_ids_are_zero_padded_all_numbers_are_marked_as_text(
    store: Store, make_scores: MakeScores, publish: Publish
) -> None:
    for ids, wanted in [(["08830", "10197", "C1234"], {"'08830", "'10197", "C1234"}), (["8830", "0"], {"8830", "0"})]:
        publish(store, make_scores(ids))
        run, rows = churn_risk_rows(store, SETTINGS, EVERYONE)
        text = b"".join(csv_chunks(list_table(run, EVERYONE, rows))).decode("utf-8-sig")
        assert {row["customer_id"] for row in csv.DictReader(io.StringIO(text, newline=""))} == wanted


def test_a_customer_without_drivers_still_has_a_row(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    bare = '{"average":{"value":1.0,"churn":0.5},"value":[],"churn":[]}'
    publish(store, [replace(make_scores(["1"])[0], drivers=bare)])
    run, rows = churn_risk_rows(store, SETTINGS, Filters())
    [cells] = list_table(run, Filters(), rows).rows
    assert cells[[column.name for column in COLUMNS].index("reason_1")] == ""
