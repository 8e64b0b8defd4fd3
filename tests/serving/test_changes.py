"""Changes between two runs: counts and rows against SQL of another engine, the reasons against what was done to a customer."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import openpyxl
import pandas as pd
import pytest

from configs.change_kinds import CHANGE_KINDS
from configs.days import day_number
from configs.errors import NotFoundError, SettingsError
from configs.settings import Scoring
from serving.change_words import CHANGE_WORDS
from serving.changes import CURSOR, Change, Comparison, changes, changes_page, check_wanted, compare
from serving.changes_table import change_columns, changes_table, wire_change, wire_changes_page, wire_comparison
from serving.exports import csv_chunks, write_table
from serving.predictions import CustomerScore, Terms
from serving.store import ScoringRun, Store, Wanted

MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]
TIERS = ("Platinum", "Gold", "Silver", "Bronze")
CREATED = datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
BANDS = Scoring().risk_bands
LATER = Terms(date(2011, 6, 19), 180, "GBP", "3")


def publish_as(store: Store, scores: list[CustomerScore], terms: Terms, created: ScoringRun) -> ScoringRun:
    """Write and publish a run of other terms."""
    with store.writing(terms, tier_names=TIERS, created_at=created.created_at) as writer:
        writer.add(scores)
        return writer.publish(keep_runs=12)


@pytest.fixture
def compared(store: Store, make_scores: MakeScores, publish: Publish) -> Comparison:
    """Two runs with customers in common, and some that only one of them knows."""
    first = publish(store, make_scores([f"{place:03d}" for place in range(300)], seed=1))
    later = make_scores([f"{place:03d}" for place in range(40, 340)], seed=2)
    # Every second one of them has ordered between the runs.
    later[::2] = [
        replace(score, last_order_day=day_number(date(2011, 6, 9)) + place % 10) for place, score in enumerate(later[::2])
    ]
    publish_as(store, later, LATER, first)
    return compare(store, BANDS)


def frame(store: Store, run: ScoringRun) -> pd.DataFrame:
    return pd.DataFrame([asdict(score) for score in store.page(run_id=run.run_id, limit=1000)[1]])


def test_the_matrix_is_what_sql_says(store: Store, compared: Comparison) -> None:
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


KINDS_IN_SQL = """
WITH compared AS (
    SELECT b.*, a.tier AS now, a.churn_risk AS risk, a.predicted_value AS value, a.lifecycle_stage AS stage,
        a.order_count AS orders, a.last_order_day AS last_day,
        list_position(['Bronze', 'Silver', 'Gold', 'Platinum'], b.tier) AS was_rank,
        list_position(['Bronze', 'Silver', 'Gold', 'Platinum'], a.tier) AS rank
    FROM run_before b JOIN run_after a USING (customer_id)
), judged AS (
    SELECT *, abs(value - predicted_value) AS change, list_filter([
        CASE WHEN risk >= 0.7 AND NOT churn_risk >= 0.7 THEN 'newly_at_risk' END,
        CASE WHEN rank > was_rank THEN 'upgraded' END,
        CASE WHEN rank < was_rank THEN 'downgraded' END,
        CASE WHEN lifecycle_stage IN ('dormant', 'lost') AND stage IN ('active', 'new') AND orders > order_count
            AND DATE '1970-01-01' + last_day::INTEGER >= DATE '2011-06-12' THEN 'won_back' END
    ], lambda kind: kind IS NOT NULL) AS kinds
    FROM compared
)
SELECT customer_id, kinds, tier, now, churn_risk, risk, predicted_value, value, lifecycle_stage, stage FROM judged
WHERE len(list_intersect(kinds, $kinds)) > 0 AND (len($tiers) = 0 OR tier IN $tiers OR now IN $tiers)
ORDER BY change DESC, customer_id
"""
"""Of the definitions in docs/commands.md, in another engine's words."""


def by_sql(store: Store, compared: Comparison, wanted: Wanted) -> list[tuple[Any, ...]]:
    engine = duckdb.connect()
    engine.register("run_before", frame(store, compared.before))
    engine.register("run_after", frame(store, compared.after))
    how = {"kinds": list(wanted.kinds or CHANGE_KINDS), "tiers": list(wanted.tiers)}
    return [(row[0], tuple(row[1]), *row[2:]) for row in engine.execute(KINDS_IN_SQL, how).fetchall()]


def without_reason(row: Change) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in Change.__dataclass_fields__ if name != "reason")


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        *(Wanted((kind,)) for kind in CHANGE_KINDS),
        Wanted(("won_back", "newly_at_risk"), ("Gold",)),
        Wanted((), ("Platinum", "Bronze")),
    ],
)
def test_who_changed_and_how_is_what_sql_says(store: Store, compared: Comparison, wanted: Wanted) -> None:
    rows = list(changes(store, compared, wanted))
    assert [without_reason(row) for row in rows] == by_sql(store, compared, wanted)
    assert rows
    assert all(row.reason for row in rows)
    assert store.changed(compared.rules, wanted) == len(rows)
    assert list(changes(store, compared, wanted, top=7)) == rows[:7]


def test_counts_are_those_of_the_rows(store: Store, compared: Comparison) -> None:
    rows = list(changes(store, compared))
    assert compared.counts == {kind: sum(kind in row.kinds for row in rows) for kind in CHANGE_KINDS}
    assert all(compared.counts.values())
    assert compared.moved == compared.counts["upgraded"] + compared.counts["downgraded"]


def test_pages_are_the_whole_list_of_the_same_two_runs(store: Store, compared: Comparison, make_scores: MakeScores) -> None:
    whole, rows, cursor = list(changes(store, compared)), [], None
    while True:
        page = changes_page(store, BANDS, Wanted(), limit=37, cursor=cursor)
        rows += page.rows
        assert page.total == len(whole)
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        assert CURSOR.fullmatch(cursor)
        if len(rows) == 37:
            publish_as(store, make_scores(["000"]), LATER, compared.after)
    assert rows == whole
    assert compare(store, BANDS).before == compared.after


def test_equal_changes_follow_each_other_by_id(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    ids = ["10", "9", "a", "B", "é", "\U0001f600", "z"]
    scores = [replace(score, tier="Gold", predicted_value=0.1 + 0.2) for score in make_scores(ids)]
    first = publish(store, scores)
    publish_as(store, [replace(score, tier="Silver", predicted_value=0.3) for score in scores], LATER, first)
    rows, cursor = [], None
    for _ in ids:
        page = changes_page(store, BANDS, Wanted(), limit=1, cursor=cursor)
        rows += [row.customer_id for row in page.rows]
        cursor = page.next_cursor
    assert (rows, cursor) == (sorted(ids), None)


FACTS = {"recency": 9.0, "order_history": 3.0, "recent_spend": 120.0}


def drivers(churn: dict[str, float] | None = None, **value: float) -> str:
    told = {
        what: [[group, FACTS[group], effect] for group, effect in effects.items()]
        for what, effects in (("value", value), ("churn", churn or {}))
    }
    return json.dumps({"average": {"value": 0.0, "churn": 0.5}, **told})


def customer(score: CustomerScore, **changes: Any) -> CustomerScore:
    plain = {
        "tier": "Gold", "predicted_value": 300.0, "order_count": 3, "total_spend": 500.0,
        "last_order_day": day_number(date(2011, 5, 1)), "churn_risk": 0.3, "lifecycle_stage": "active",
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
            {"churn_risk": 0.69, "drivers": drivers({"recency": 0.05, "order_history": 0.02}, recency=100)},
            {"churn_risk": 0.7, "drivers": drivers({"recency": 0.19, "order_history": 0.12}, recency=-100)},
            "3",
            "No order since 2011-05-01; ordered 9 days ago: adds 14 points to the churn risk",
        ),
        (
            {"drivers": drivers({"recency": 0.05}, recent_spend=100.0)},
            {
                "tier": "Bronze",
                "churn_risk": 0.9,
                "drivers": drivers({"recency": 0.06}, recent_spend=40.0),
                "predicted_value": 2.0,
            },
            "3",
            (
                "No order since 2011-05-01; spent 120 GBP in the last 365 days: takes 60 GBP; "
                "ordered 9 days ago: adds 1 point to the churn risk"
            ),
        ),
        (
            {"lifecycle_stage": "lost"},
            {"order_count": 4, "last_order_day": day_number(date(2011, 6, 12))},
            "3",
            "Was lost; ordered once since 2011-06-12",
        ),
        (
            {"lifecycle_stage": "dormant", "tier": "Silver"},
            {"order_count": 6, "last_order_day": day_number(date(2011, 6, 15)), "lifecycle_stage": "new"},
            "4",
            "New model (version 4 after 3); was dormant; ordered 3 times since 2011-06-12",
        ),
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
        [told] = changes(store, compare(store, BANDS))
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
        [told] = changes(store, compare(store, BANDS))
    assert told.reason == wanted


def test_who_is_held_has_not_moved(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    [score] = make_scores(["1"])
    first = publish(store, [customer(score)])
    publish_as(store, [customer(score, tier_by_value="Silver", predicted_value=290.0)], LATER, first)
    found = compare(store, BANDS)
    assert (found.moved, found.stayed, found.after.held) == (0, 1, 1)
    assert list(changes(store, found)) == []


def test_runs_that_cannot_be_compared_are_refused(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    with pytest.raises(NotFoundError, match="run foretier score first"):
        compare(store, BANDS)
    scores = make_scores(["1"])
    first = publish(store, scores)
    with pytest.raises(NotFoundError, match="no run before 1 of the same horizon"):
        compare(store, BANDS)
    longer = publish_as(store, scores, replace(LATER, horizon_days=365), first)
    with pytest.raises(NotFoundError, match="no run before 2 of the same horizon"):
        compare(store, BANDS)
    with pytest.raises(SettingsError, match="in 180 days in GBP, run 2 in 365 days in GBP"):
        compare(store, BANDS, first.run_id, longer.run_id)
    last = publish_as(store, scores, LATER, first)
    assert compare(store, BANDS).before == first
    with pytest.raises(SettingsError, match="give the earlier one as --from"):
        compare(store, BANDS, last.run_id, first.run_id)
    with pytest.raises(NotFoundError, match="no scoring run 9"):
        compare(store, BANDS, 9)


@pytest.mark.parametrize(
    ("was", "now"),
    [
        ({"churn_risk": 0.7}, {"churn_risk": 0.95}),  # was at risk before
        ({"churn_risk": 0.1}, {"churn_risk": 0.6999}),
        ({"lifecycle_stage": "lost"}, {"lifecycle_stage": "active"}),  # the limits of the stages changed
        ({"lifecycle_stage": "lost"}, {"lifecycle_stage": "lost", "order_count": 4, "last_order_day": 15_200}),
        ({"lifecycle_stage": "lost"}, {"order_count": 4, "last_order_day": day_number(date(2011, 6, 11))}),  # came late
        ({"lifecycle_stage": "active"}, {"order_count": 4, "last_order_day": day_number(date(2011, 6, 12))}),
        ({"tier": "Diamond"}, {"tier": "Gold"}),  # there is no such tier any more
    ],
)
def test_what_is_no_change(store: Store, make_scores: MakeScores, was: Any, now: Any) -> None:
    [score] = make_scores(["1"])
    with store.writing(replace(LATER, as_of=date(2011, 6, 12)), tier_names=("Diamond", *TIERS), created_at=CREATED) as writer:
        writer.add([customer(score, **was)])
        first = writer.publish(keep_runs=12)
    publish_as(store, [customer(score, **now)], LATER, first)
    found = compare(store, BANDS)
    assert list(changes(store, found)) == []
    assert set(found.counts.values()) == {0}
    assert found.moved == ("tier" in was)


def test_bands_of_ones_own_say_who_is_at_risk(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    [score] = make_scores(["1"])
    first = publish(store, [customer(score, churn_risk=0.2)])
    publish_as(store, [customer(score, churn_risk=0.5)], LATER, first)
    assert compare(store, BANDS).counts["newly_at_risk"] == 0
    assert compare(store, {"leaving": 0.5, "staying": 0.0}).counts["newly_at_risk"] == 1
    assert compare(store, {"all": 0.0}).counts["newly_at_risk"] == 0


def test_runs_that_are_gone_are_not_found(store: Store, compared: Comparison, make_scores: MakeScores, publish: Publish) -> None:
    page = changes_page(store, BANDS, Wanted(), limit=5)
    for _ in range(2):
        publish(store, make_scores(["1"]), keep_runs=1)
    with pytest.raises(NotFoundError, match="no longer kept"):
        list(changes(store, compared))
    with pytest.raises(NotFoundError, match="no longer kept"):
        changes_page(store, BANDS, Wanted(), limit=5, cursor=page.next_cursor)


@pytest.mark.parametrize("cursor", ["", "1", "1.2.3.4", "1.2.fff0000000000000.31", "0.1.3ff0000000000000.31"])
def test_a_cursor_that_is_none_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(SettingsError, match="start again without it"):
        changes_page(store, BANDS, Wanted(), limit=5, cursor=cursor)


def test_what_there_is_not_is_named(compared: Comparison) -> None:
    check_wanted(Wanted(("won_back",), ("Gold",)), compared)
    with pytest.raises(SettingsError, match='no change "upgrade"; did you mean "upgraded"'):
        check_wanted(Wanted(("upgrade",)), compared)  # type: ignore[arg-type]
    with pytest.raises(NotFoundError, match='no tier "gold"; did you mean "Gold"'):
        check_wanted(Wanted((), ("gold",)), compared)


def test_the_wire_and_the_table_hold_the_same(store: Store, compared: Comparison) -> None:
    told = wire_comparison(compared)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["from"]["as_of"], told["to"]["as_of"]) == ("2011-06-12", "2011-06-19")
    assert sum(cell["customers"] for cell in told["movement"]) == 340
    assert told["moved"] + told["stayed"] + told["new_customers"] + told["gone_customers"] == 340
    rows = list(changes(store, compared))
    text = b"".join(csv_chunks(changes_table(compared, Wanted(), rows))).decode("utf-8-sig")
    read = list(csv.DictReader(io.StringIO(text)))
    assert list(read[0]) == list(wire_change(rows[0])) == [column.name for column in change_columns(CHANGE_WORDS["en"])]
    assert [row["kinds"].split() for row in read] == [list(row.kinds) for row in rows]
    page = wire_changes_page(changes_page(store, BANDS, Wanted(), limit=len(rows)))
    assert page["customers"] == [wire_change(row) for row in rows]
    assert [float(row["predicted_value"]) for row in read] == [round(row.predicted_value, 2) for row in rows]


def test_chinese_is_spoken_and_codes_stay(tmp_path: Any, make_scores: MakeScores, publish: Publish) -> None:
    [score] = make_scores(["1"])
    was = customer(score, lifecycle_stage="lost", tier="Silver", drivers=drivers({"recency": 0.05}, recent_spend=40.0))
    told = drivers({"recency": 0.19}, recent_spend=100.0)
    back = {"order_count": 5, "last_order_day": day_number(date(2011, 6, 12)), "churn_risk": 0.8}
    with Store(f"sqlite:///{tmp_path / 'scores.db'}") as store:
        first = publish(store, [was])
        publish_as(store, [customer(score, drivers=told, **back)], replace(LATER, model_version="4"), first)
        found = compare(store, BANDS)
        [row] = changes(store, found, language="zh")
        table = changes_table(found, Wanted(), [row], "zh")
        write_table(tmp_path / "changes.xlsx", table)
    assert row.kinds == ("newly_at_risk", "upgraded", "won_back")
    assert row.reason.startswith("模型已更新（由版本 3 换为版本 4）；此前已流失；自 2011-06-12 起下单 2 次；")
    assert row.reason.endswith("流失风险因此上升 14 个百分点")
    assert "预测价值因此增加 60 GBP" in row.reason
    sheet, notes = openpyxl.load_workbook(tmp_path / "changes.xlsx").worksheets
    assert [cell.value for cell in sheet[1]][:4] == ["客户", "变化", "原等级", "现等级"]
    assert [cell.value for cell in sheet[2]][:4] == ["1", "newly_at_risk upgraded won_back", "Silver", "Gold"]
    assert ("回流 (won_back)", "1 位：此前沉睡或已流失，之后重新下单并恢复活跃") in list(notes.values)


def test_both_languages_fill_in_the_same() -> None:
    def places(words: Any, name: str) -> set[str]:
        return set(re.findall(r"\{(\w+)", repr(getattr(words, name))))

    en, zh = CHANGE_WORDS["en"], CHANGE_WORDS["zh"]
    for one in fields(en):
        assert places(en, one.name) == places(zh, one.name), one.name
    for one in fields(en.reasons):
        assert places(en.reasons, one.name) == places(zh.reasons, one.name), one.name
