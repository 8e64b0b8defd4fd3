"""The views for BI tools against what the store itself says, on SQLite and PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from configs.days import date_of, day_number
from serving.predictions import CustomerScore, Terms, last_order, next_order, tier_since
from serving.store import Campaign, Member, ScoringRun, Store
from serving.store_views import VERSION, view_definitions

TIERS = ("Platinum", "Gold", "Silver", "Bronze")
CREATED = datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
IDS = [*(f"{place:05d}" for place in range(60)), "=1+1", "é", "a'b", "\u202ex"]
COLUMNS = [
    "customer_id", "tier", "past_spend_tier", "movement", "predicted_value", "value_low", "value_high", "churn_risk",
    "value_at_risk", "lifecycle_stage", "rfm_segment", "abc_class", "last_order", "next_order", "tier_since", "order_count",
    "total_spend", "as_of", "horizon_days", "currency", "model_version",
]  # fmt: skip

MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]


@contextmanager
def outside(url: str) -> Iterator[sa.Connection]:
    """A connection that knows nothing of the store, as a BI tool's."""
    engine = sa.create_engine(url)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def read(url: str, view: str) -> list[dict[str, Any]]:
    with outside(url) as connection:
        return [dict(row) for row in connection.exec_driver_sql(f"SELECT * FROM {view}").mappings()]


def as_date(value: Any) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) else value


def test_customers_are_those_of_the_published_run(
    store: Store, store_url: str, make_scores: MakeScores, publish: Publish, terms: Terms
) -> None:
    assert read(store_url, "foretier_customers") == []
    publish(store, make_scores(IDS, seed=1))
    scores = {score.customer_id: score for score in make_scores(IDS[5:], seed=2)}
    scores["far"] = replace(make_scores(["far"])[0], next_order_day=9e15, last_order_day=-1, value_low=None, tier_since_day=None)
    publish(store, list(scores.values()))
    rows = read(store_url, "foretier_customers")
    assert {row["customer_id"] for row in rows} == scores.keys()
    for row in rows:
        score = scores[row["customer_id"]]
        assert list(row) == COLUMNS
        assert (as_date(row["last_order"]), as_date(row["next_order"])) == (last_order(score), next_order(score))
        assert (as_date(row["tier_since"]), as_date(row["as_of"])) == (tier_since(score), terms.as_of)
        same = [name for name in COLUMNS if name in CustomerScore.__dataclass_fields__]
        assert {name: row[name] for name in same} == {name: getattr(score, name) for name in same}
        assert (row["horizon_days"], row["currency"], row["model_version"]) == (180, "GBP", "3")


def test_dates_are_dates(store: Store, store_url: str, make_scores: MakeScores, publish: Publish) -> None:
    publish(store, make_scores(IDS))
    [row] = [row for row in read(store_url, "foretier_customers") if row["customer_id"] == "00007"]
    assert type(row["last_order"]) is (str if store_url.startswith("sqlite") else date)
    scores = [replace(score, last_order_day=2**31 - 1) for score in make_scores(["x"])]
    publish(store, scores)
    assert [row["last_order"] for row in read(store_url, "foretier_customers")] == [None]


def test_tiers_and_movement_are_those_of_the_run(
    store: Store, store_url: str, make_scores: MakeScores, publish: Publish, terms: Terms
) -> None:
    assert read(store_url, "foretier_tiers") == read(store_url, "foretier_movement") == []
    scores = [score for score in make_scores(IDS) if score.tier != "Silver"]
    run = publish(store, scores)
    tiers = sorted(read(store_url, "foretier_tiers"), key=lambda row: row["tier_rank"])
    assert [row["tier"] for row in tiers] == list(TIERS)
    for row in tiers:
        members = [score for score in scores if score.tier == row["tier"]]
        assert row["customers"] == len(members)
        assert type(row["customers"]) is int
        assert row["predicted_value"] == pytest.approx(sum(score.predicted_value for score in members))
        assert row["value_at_risk"] == pytest.approx(sum(score.value_at_risk for score in members))
        risk = sum(score.churn_risk for score in members) / len(members) if members else None
        assert row["mean_churn_risk"] == (None if risk is None else pytest.approx(risk))
        assert as_date(row["as_of"]) == terms.as_of
    cells = {(row["past_spend_tier"], row["tier"]): row["customers"] for row in read(store_url, "foretier_movement")}
    assert cells == {(cell.past_spend_tier, cell.tier): cell.customers for cell in run.movement}


def test_runs_are_the_complete_ones(
    store: Store, store_url: str, make_scores: MakeScores, publish: Publish, terms: Terms
) -> None:
    publish(store, make_scores(IDS[:3]))
    publish(store, make_scores(IDS[:5]))
    with store.writing(terms, tier_names=TIERS, created_at=CREATED) as writer:
        writer.add(make_scores(IDS))
        rows = {row["run_id"]: row for row in read(store_url, "foretier_runs")}
        assert rows.keys() == {run.run_id for run in store.runs()}
        assert len(read(store_url, "foretier_customers")) == 5
    for run in store.runs():
        row = rows[run.run_id]
        assert (row["customers"], bool(row["published"])) == (run.customers, run == store.published())
        assert (as_date(row["as_of"]), as_date(row["horizon_end"])) == (terms.as_of, terms.horizon_end)
        assert (row["tier_horizon_days"], row["grade"]) == (run.tier_horizon_days, None)


def test_contactable_are_those_not_suppressed_today(
    store: Store, store_url: str, make_scores: MakeScores, publish: Publish
) -> None:
    publish(store, make_scores(["free", "for good", "long", "past"]))
    store.suppress(["for good"], reason="asked", until=None, at=CREATED)
    store.suppress(["long"], reason="asked", until=date(9999, 1, 1), at=CREATED)
    store.suppress(["past"], reason="asked", until=date(2011, 7, 1), at=CREATED)
    rows = read(store_url, "foretier_contactable")
    assert {row["customer_id"] for row in rows} == {"free", "past"}
    assert list(rows[0]) == COLUMNS
    today = "SELECT CURRENT_DATE"  # whichever day it is for the database: on the day itself contact is allowed, before it is not
    with outside(store_url) as connection:
        day = as_date(connection.exec_driver_sql(today).scalar_one())
    assert day is not None
    store.suppress(["free"], reason="asked", until=day, at=CREATED)
    store.suppress(["past"], reason="asked", until=date_of(day_number(day) + 1), at=CREATED)
    assert [row["customer_id"] for row in read(store_url, "foretier_contactable")] == ["free"]


def test_campaigns_are_those_saved(store: Store, store_url: str) -> None:
    contact = Member(
        "a", held_out=False, tier="Gold", churn_risk=0.5, predicted_value=1.0, value_if_active=2.0, value_at_risk=1.0
    )
    members = [contact, replace(contact, customer_id="b", held_out=True)]
    campaign = Campaign("spring", CREATED, date(2011, 7, 1), 7, 180, "GBP", "3", {})
    saved = store.save_campaign(campaign, members)
    [row] = read(store_url, "foretier_campaigns")
    assert (row["name"], row["contacts"], row["held_out"], row["scoring_run"]) == ("spring", 1, 1, saved.run_id)
    assert (as_date(row["contact_day"]), as_date(row["horizon_end"])) == (date(2011, 7, 1), date(2011, 12, 28))


def test_no_view_shows_drivers_keys_or_reasons(store: Store, store_url: str) -> None:
    with outside(store_url) as connection:
        inspector = sa.inspect(connection)
        names = set(inspector.get_view_names())
        columns = {column["name"] for name in names for column in inspector.get_columns(name)}
    assert names == set(view_definitions("sqlite")) == set(view_definitions("postgresql"))
    assert not columns & {"drivers", "order_history", "reason", "plan", "summary", "secret", "key_id"}
    assert store.published() is None


# Making and renewing


def made(url: str) -> dict[str, Any]:
    """Something that is another whenever a view is made anew."""
    with outside(url) as connection:
        if url.startswith("sqlite"):
            return {"schema": connection.exec_driver_sql("PRAGMA schema_version").scalar_one()}
        query = (
            "SELECT relname, xmin::text FROM pg_class WHERE starts_with(relname, 'foretier_') "
            "AND relnamespace = current_schema()::regnamespace"
        )
        return dict(tuple(row) for row in connection.exec_driver_sql(query))


def test_views_that_are_there_are_left_alone(store: Store, store_url: str) -> None:
    assert store.published() is None
    before = made(store_url)
    with Store(store_url):
        assert made(store_url) == before


def test_views_of_an_older_version_are_renewed(store: Store, store_url: str, make_scores: MakeScores, publish: Publish) -> None:
    publish(store, make_scores(["1"]))
    with outside(store_url) as connection:
        for name in reversed(view_definitions("sqlite")):
            connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.exec_driver_sql("CREATE VIEW foretier_runs AS SELECT run_id FROM scoring_runs")
        connection.commit()
    with Store(store_url):
        assert len(read(store_url, "foretier_customers")) == 1
    if store_url.startswith("sqlite"):  # PostgreSQL only ever adds columns at the end, as we do
        assert len(read(store_url, "foretier_runs")[0]) > 1


def test_views_of_a_newer_version_are_left_alone(store: Store, store_url: str) -> None:
    assert store.published() is None
    with outside(store_url) as connection:
        if store_url.startswith("sqlite"):
            connection.exec_driver_sql("DROP VIEW foretier_campaigns")
            connection.exec_driver_sql("CREATE VIEW foretier_campaigns AS /* foretier views 99 */ SELECT 1 AS one")
        else:
            connection.exec_driver_sql("COMMENT ON VIEW foretier_campaigns IS 'foretier views 99 '")
        connection.commit()
    before = made(store_url)
    with Store(store_url):
        assert made(store_url) == before


def test_a_renewed_view_keeps_its_grants_and_the_views_upon_it(store: Store, store_url: str) -> None:
    if store_url.startswith("sqlite"):
        pytest.skip("SQLite has no grants")
    assert store.published() is None
    with outside(store_url) as connection:
        connection.exec_driver_sql("GRANT SELECT ON foretier_tiers TO PUBLIC")
        connection.exec_driver_sql("CREATE VIEW ours AS SELECT tier FROM foretier_tiers")
        connection.exec_driver_sql("COMMENT ON VIEW foretier_tiers IS 'foretier views 0 '")
        connection.commit()
    Store(store_url).close()
    assert version_of(store_url, "foretier_tiers") == VERSION
    with outside(store_url) as connection:
        query = "SELECT relacl::text FROM pg_class WHERE oid = 'foretier_tiers'::regclass"
        assert "=r/" in str(connection.exec_driver_sql(query).scalar_one())
    assert read(store_url, "ours") == []


def version_of(url: str, view: str) -> int:
    with outside(url) as connection:
        return int(str(connection.exec_driver_sql(f"SELECT obj_description('{view}'::regclass)").scalar_one()).split()[-1])


def test_a_view_that_changes_has_a_new_version() -> None:
    """Stores keep the views of their version: raise VERSION when this digest changes, and write the new one here."""
    texts = [f"{name} {text}" for dialect in ("sqlite", "postgresql") for name, text in view_definitions(dialect).items()]
    assert (VERSION, hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]) == (1, "90108b2cc28c018b")


def test_a_name_that_is_taken_is_no_reason_not_to_open_the_store(store_url: str) -> None:
    with outside(store_url) as connection:
        connection.exec_driver_sql("CREATE TABLE foretier_tiers (ours integer)")
        connection.commit()
    with Store(store_url) as store:
        assert store.published() is None
    assert read(store_url, "foretier_tiers") == []


def test_a_file_that_cannot_be_written_is_read_without_views(tmp_path: Path) -> None:
    file = tmp_path / "scores.db"
    Store(f"sqlite:///{file}").close()
    with sqlite3.connect(file) as connection:
        connection.execute("DROP VIEW foretier_tiers")
    connection.close()
    with Store(f"sqlite:///file:{file}?mode=ro&uri=true") as store:
        assert store.published() is None


def test_many_may_open_a_store_without_views_at_once(store: Store, store_url: str) -> None:
    assert store.published() is None
    with outside(store_url) as connection:
        for name in reversed(view_definitions("sqlite")):
            connection.exec_driver_sql(f"DROP VIEW {name}")
        connection.commit()
    with ThreadPoolExecutor(6) as opening:
        for opened in [opening.submit(Store, store_url) for _ in range(6)]:
            opened.result().close()
    assert read(store_url, "foretier_runs") == []


# Readers


def test_every_answer_is_of_one_whole_run_while_runs_are_swapped(
    store: Store, store_url: str, make_scores: MakeScores, terms: Terms
) -> None:
    """Each version has one customer more, of its own segment; what a view gives must be all of one of them."""
    done = threading.Event()

    def swap(version: int) -> None:
        scores = [replace(score, rfm_segment=str(version)) for score in make_scores(IDS[: 20 + version])]
        with store.writing(replace(terms, model_version=str(version)), tier_names=TIERS, created_at=CREATED) as writer:
            writer.add(scores[:9])
            writer.add(scores[9:])
            writer.publish(keep_runs=1)

    def read_on() -> int:
        seen = 0
        with outside(store_url) as connection:
            while not done.is_set():
                query = (
                    "SELECT min(rfm_segment), max(rfm_segment), min(model_version), count(*) FROM foretier_customers "
                    "UNION ALL SELECT min(model_version), max(model_version), min(model_version), sum(customers) "
                    "FROM foretier_tiers"
                )
                rows = connection.exec_driver_sql(query).all()
                connection.rollback()
                assert len({(low, high, version, int(count)) for low, high, version, count in rows}) == 1, rows
                assert rows[0][0] == rows[0][1] == rows[0][2] == str(int(rows[0][3]) - 20)
                seen += 1
        return seen

    swap(0)
    with ThreadPoolExecutor(1) as readers:
        reading = readers.submit(read_on)
        try:
            for version in range(1, 10):
                swap(version)
                time.sleep(0.02)
        finally:
            done.set()
        assert reading.result() > 5


@contextmanager
def postgres_role(url: str, grants: str) -> Iterator[str]:
    """The address of the same store for a role that may do nothing but ``grants``."""
    role = f"foretier_bi_{os.getpid()}"
    schema = make_url(url).query["options"].partition("search_path=")[2]  # type: ignore[union-attr]
    try:
        with outside(url) as connection:
            connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD 'bi'")
            connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
            connection.exec_driver_sql(grants.format(role=role, schema=schema))
            connection.commit()
        yield make_url(url).set(username=role, password="bi").render_as_string(hide_password=False)  # noqa: S106
    finally:
        with outside(url) as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {role}; DROP ROLE {role}")
            connection.commit()


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_role_that_may_only_read_views_reads_them_and_nothing_else(
    store: Store, store_url: str, make_scores: MakeScores, publish: Publish
) -> None:
    publish(store, make_scores(IDS))
    views = ", ".join(view_definitions("postgresql"))
    with postgres_role(store_url, f"GRANT SELECT ON {views} TO {{role}}") as url:
        for name in view_definitions("postgresql"):
            read(url, name)
        assert len(read(url, "foretier_contactable")) == len(IDS)
        for table in ("customer_scores", "suppressed_customers"):
            with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
                read(url, table)


@pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)
def test_a_reader_without_rights_opens_a_store_without_views(
    store: Store, store_url: str, make_scores: MakeScores, publish: Publish
) -> None:
    run = publish(store, make_scores(IDS))
    with outside(store_url) as connection:
        connection.exec_driver_sql("DROP VIEW foretier_tiers")
        connection.commit()
    with postgres_role(store_url, "GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}") as url:
        with Store(url) as reader:
            assert reader.published() == run
        options = f"{make_url(url).query['options']} -cdefault_transaction_read_only=on"
        with Store(make_url(url).update_query_dict({"options": options}).render_as_string(hide_password=False)) as reader:
            assert reader.published() == run
    with outside(store_url) as connection:
        assert "foretier_tiers" not in sa.inspect(connection).get_view_names()
