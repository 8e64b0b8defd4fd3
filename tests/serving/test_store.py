"""The score store, on SQLite and on PostgreSQL."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from configs.errors import NotFoundError, StoreError
from serving.predictions import CustomerScore, Terms
from serving.store import MAX_ID_BYTES, Choice, Position, ScoringRun, Store, storable
from serving.store_engine import open_engine, scorer_connection, store_address

TIERS = ("Platinum", "Gold", "Silver", "Bronze")
CREATED = datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
STRANGE_IDS = [
    "00123", "123", "12345.0", " 12", "12 ", "a", "A", "ä", "ß", "ss", "é", "e\u0301", "\\N", "\\", "\t",
    "a\tb", "a\nb", "a\r\nb",
    "'", '"', "=1+1", "%", "_", "NULL", "", "\u202e123", "٣", "😀", "\uffff", "\x01", "x" * MAX_ID_BYTES,
]  # fmt: skip

MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]


def ids(number: int) -> list[str]:
    return [f"{place:05d}" for place in range(number)]


def listed(scores: list[CustomerScore]) -> list[CustomerScore]:
    """The order of a list, in plain Python, which compares text by code point."""
    return sorted(scores, key=lambda score: (-score.value_at_risk, score.customer_id))


def test_nothing_is_published_in_a_new_store(store: Store) -> None:
    assert store.published() is None
    assert store.published_run_id() is None
    assert store.runs() == ()
    with pytest.raises(NotFoundError, match="run foretier score first"):
        store.page()
    with pytest.raises(NotFoundError, match="run foretier score first"):
        store.customer("1")
    with pytest.raises(NotFoundError, match="no scoring run 7"):
        store.run(7)


def test_every_score_is_read_back_exactly(store: Store, make_scores: MakeScores, publish: Publish, terms: Terms) -> None:
    scores = make_scores(STRANGE_IDS)
    scores += [
        replace(
            score, predicted_value=number, churn_risk=1, value_low=None, uncertain=None, tier="\\N\t", last_order_day=-1,
            order_count=2**63 - 1, next_order_day=number, tier_by_value=None, tier_since_day=None, drivers="\\.\n\r\t\\\\",
        )
        for score, number in zip(make_scores(["tiny", "huge", "sum"]), (5e-324, -1.7976931348623157e308, 0.1 + 0.2), strict=True)
    ]  # fmt: skip
    run = publish(store, scores)
    assert (run.customers, run.terms, run.created_at) == (len(scores), terms, CREATED)
    assert store.published() == run == store.run(run.run_id)
    for score in scores:
        assert store.customer(score.customer_id) == (run, score)
    assert store.page(limit=1000)[1] == tuple(listed(scores))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=40), max_size=20, unique=True))
def test_any_text_is_an_exact_id_or_refused(
    store: Store, make_scores: MakeScores, publish: Publish, given_ids: list[str]
) -> None:
    fit = [one for one in given_ids if storable(one)]
    publish(store, make_scores(fit), keep_runs=50)
    assert {score.customer_id for score in store.page(limit=100)[1]} == set(fit)
    for one in given_ids:
        if storable(one):
            assert store.customer(one)[1].customer_id == one
        else:
            with pytest.raises(NotFoundError):
                store.customer(one)


def test_ids_are_compared_exactly(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    publish(store, make_scores(["00123", "A", "é"]))
    for other in ("123", "0123", "00123 ", "a", "e\u0301", "e", "\0", "\ud800"):
        with pytest.raises(NotFoundError, match="compared exactly"):
            store.customer(other)


def test_readers_see_the_old_run_until_the_new_one_is_published(
    store: Store, make_scores: MakeScores, publish: Publish, terms: Terms
) -> None:
    old = publish(store, make_scores(ids(10), seed=1))
    new_scores = make_scores(ids(20), seed=2)
    with store.writing(terms, tier_names=TIERS, created_at=CREATED) as writer:
        writer.add(new_scores)
        assert store.published() == old
        assert store.runs() == (old,)
        assert store.page()[0] == old
        with pytest.raises(NotFoundError):
            store.run(writer.run_id)
        with pytest.raises(NotFoundError):
            store.page(run_id=writer.run_id)
        new = writer.publish(keep_runs=12)
    assert store.published() == new
    assert store.page(limit=100) == (new, tuple(listed(new_scores)))
    assert store.runs() == (new, old)


def test_a_run_that_fails_leaves_nothing_behind(store: Store, make_scores: MakeScores, publish: Publish, terms: Terms) -> None:
    old = publish(store, make_scores(ids(10)))
    with pytest.raises(ZeroDivisionError), store.writing(terms, tier_names=TIERS, created_at=CREATED) as writer:  # noqa: PT012
        writer.add(make_scores(ids(10)))
        raise ZeroDivisionError
    assert store.runs() == (old,)
    assert _rows(store) == {old.run_id: 10}


def test_pages_and_filters_equal_plain_python(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    scores = make_scores(ids(300))
    even = [replace(score, value_at_risk=float(place // 7)) for place, score in enumerate(scores)]  # many ties
    run = publish(store, even)
    for tiers, min_risk in [((), 0.0), (("Gold",), 0.0), (("Gold", "Bronze"), 0.4), ((), 0.9), ((), 1.0)]:
        wanted = [one for one in listed(even) if one.churn_risk >= min_risk and (not tiers or one.tier in tiers)]
        assert store.sums(run.run_id, Choice(tiers, min_risk)).customers == len(wanted)
        found: list[CustomerScore] = []
        while True:
            after = Position(found[-1].value_at_risk, found[-1].customer_id) if found else None
            _, page = store.page(choice=Choice(tiers, min_risk), limit=17, after=after)
            found += page
            if len(page) < 17:
                break
        assert found == wanted


def test_equal_values_are_ordered_by_code_point(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    mixed = ["b", "B", "a", "A", "Ä", "ä", "z", "_", "10", "9", " 1", "é", "😀", "\ufb01"]
    publish(store, [replace(score, value_at_risk=1.0) for score in make_scores(mixed)])
    assert [score.customer_id for score in store.page()[1]] == sorted(mixed)


def test_tiers_are_summed_up(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    scores = [score for score in make_scores(ids(400)) if score.tier != "Silver"]
    run = publish(store, scores)
    assert run.tier_names == TIERS
    for tier in run.tiers:
        members = [score for score in scores if score.tier == tier.tier]
        assert tier.customers == len(members)
        assert tier.predicted_value == pytest.approx(sum(score.predicted_value for score in members))
        assert tier.value_at_risk == pytest.approx(sum(score.value_at_risk for score in members))
        if members:
            assert tier.mean_churn_risk == pytest.approx(sum(score.churn_risk for score in members) / len(members))
        else:
            assert (tier.tier, tier.mean_churn_risk) == ("Silver", None)
    cells: dict[tuple[str, str], int] = defaultdict(int)
    for score in scores:
        cells[score.past_spend_tier, score.tier] += 1
    assert {(cell.past_spend_tier, cell.tier): cell.customers for cell in run.movement} == cells


def test_old_runs_are_removed_and_the_published_one_never(
    store: Store, make_scores: MakeScores, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.store_writer.REMOVED_ROWS", 2)
    runs = [publish(store, make_scores(ids(5), seed), keep_runs=3) for seed in range(5)]
    assert store.runs() == tuple(reversed(runs[2:]))
    assert _rows(store) == {run.run_id: 5 for run in runs[2:]}
    with pytest.raises(NotFoundError, match="no longer kept"):
        store.page(run_id=runs[0].run_id)
    with store._engine.begin() as connection:  # what a scorer leaves that dies while it removes old runs
        connection.exec_driver_sql(f"UPDATE scoring_runs SET status = 'removed' WHERE run_id = {runs[2].run_id}")
    assert store.runs() == tuple(reversed(runs[3:]))
    last = publish(store, make_scores(ids(5)), keep_runs=1)
    assert store.runs() == (last, runs[4])
    assert _rows(store) == {runs[4].run_id: 5, last.run_id: 5}
    assert last.run_id not in {run.run_id for run in runs}


def test_one_scorer_at_a_time(store: Store, store_url: str, make_scores: MakeScores, publish: Publish, terms: Terms) -> None:
    with Store(store_url) as other, store.writing(terms, tier_names=TIERS, created_at=CREATED) as writer:
        writer.add(make_scores(ids(3)))
        with pytest.raises(StoreError, match="another scoring run is being written"):
            publish(other, make_scores(ids(4)))
        first = writer.publish(keep_runs=3)
        assert other.published() == first
    assert publish(store, make_scores(ids(4))).customers == 4


def test_the_scorers_lock_is_given_back_before_its_connection_is_closed(
    postgres_server: str,
) -> None:
    """A server ends a closed session some time later: until then the lock would keep the next scorer out."""
    engine = open_engine(store_address(postgres_server))
    held: list[int] = []

    @sa.event.listens_for(engine, "close_detached")
    def _count_locks(connection: Any) -> None:
        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = %s"
        with psycopg.connect(
            make_url(postgres_server).set(drivername="postgresql").render_as_string(hide_password=False)
        ) as other:
            held.extend(other.execute(query, [connection.info.backend_pid]).fetchone() or ())

    with scorer_connection(engine):
        pass
    with pytest.raises(sa.exc.ProgrammingError), scorer_connection(engine) as connection:
        connection.exec_driver_sql("SELECT 1 FROM there_is_no_such_table")
    engine.dispose()
    assert held == [0, 0]


@pytest.fixture(scope="module")
def processes() -> Iterator[Pool]:
    """Four of them, which take seconds to start."""
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        yield pool


def test_many_processes_may_open_a_new_store_at_once(store_url: str, processes: Pool) -> None:
    assert processes.map(_open, [store_url] * 8, chunksize=1) == [True] * 8


def test_ids_that_no_database_keeps_are_refused_without_telling_them(
    store: Store, make_scores: MakeScores, publish: Publish
) -> None:
    for unfit in ("secret\0id", "s" * (MAX_ID_BYTES + 1), "secret\ud800"):
        with pytest.raises(StoreError, match="1 customer ids cannot be stored") as caught:
            publish(store, make_scores(["1", unfit]))
        assert "secret" not in str(caught.value)
        assert store.published() is None
    for unfit in (2**31, -(2**63)):
        with pytest.raises(StoreError, match="1 days of the scores cannot be stored"):
            publish(store, [replace(score, last_order_day=unfit) for score in make_scores(["1"])])


def test_errors_of_the_database_tell_no_customer(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    with pytest.raises(StoreError, match="cannot be used") as caught:
        publish(store, make_scores(["secret-id", "secret-id"]))
    text = str(caught.value)
    assert "secret-id" not in text
    assert "\n" not in text
    assert caught.value.__cause__ is None
    assert _rows(store) == {}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("mysql://me:hunter2@host/db", "works on SQLite and PostgreSQL"),
        ("nonsense with hunter2", "is no database address"),
        ("sqlite:////proc/none/scores.db", "cannot be"),
        ("postgresql://me:hunter2@127.0.0.1:1/db", "cannot be used: .*refused"),
        ("postgresql+psycopg://me:hunter2@127.0.0.1:1/hunter2?password=hunter2", "cannot be used"),
    ],
)
def test_a_store_that_cannot_be_used_is_said_in_one_line(url: str, message: str) -> None:
    with pytest.raises(StoreError, match=message) as caught:
        Store(url)
    assert "\n" not in str(caught.value)
    if "/hunter2" not in url:
        assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "scores.db"
    file.write_text("customer,secret\n" * 1000)
    with pytest.raises(StoreError, match=r"scores\.db cannot be used: file is not a database"):
        Store(f"sqlite:///{file}")


def test_a_store_that_goes_away_is_said_in_one_line(tmp_path: Path, make_scores: MakeScores, publish: Publish) -> None:
    file = tmp_path / "scores.db"
    with Store(f"sqlite:///{file}") as store:
        publish(store, make_scores(ids(3)))
        with sqlite3.connect(file) as connection:
            connection.execute("DROP TABLE customer_scores")
        connection.close()
        with pytest.raises(StoreError, match="no such table"):
            store.page()


def test_lists_are_read_from_the_index(tmp_path: Path, make_scores: MakeScores, publish: Publish) -> None:
    file = tmp_path / "scores.db"
    with Store(f"sqlite:///{file}") as store:
        publish(store, make_scores(ids(50)))
    with sqlite3.connect(file) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT * FROM customer_scores WHERE run_id = 1 AND value_at_risk <= 5 AND "
            "(value_at_risk < 5 OR customer_id > 'x') ORDER BY value_at_risk DESC, customer_id LIMIT 10"
        ).fetchall()
    connection.close()
    assert [row[3] for row in plan] == [
        "SEARCH customer_scores USING INDEX customer_scores_by_value_at_risk (run_id=? AND value_at_risk<?)"
    ]


_FIRST_TABLES = """
CREATE TABLE scoring_runs (run_id INTEGER PRIMARY KEY {serial}, status TEXT NOT NULL, created_at TEXT NOT NULL,
  as_of_day INTEGER NOT NULL, horizon_days INTEGER NOT NULL, currency TEXT NOT NULL, model_version TEXT NOT NULL,
  customers BIGINT NOT NULL, summary TEXT NOT NULL);
CREATE TABLE customer_scores (run_id BIGINT, customer_id TEXT, predicted_value DOUBLE PRECISION NOT NULL,
  purchase_probability DOUBLE PRECISION NOT NULL, churn_risk DOUBLE PRECISION NOT NULL,
  value_if_active DOUBLE PRECISION NOT NULL, value_at_risk DOUBLE PRECISION NOT NULL, tier TEXT NOT NULL,
  past_spend_tier TEXT NOT NULL, movement TEXT NOT NULL, lifecycle_stage TEXT NOT NULL, rfm_segment TEXT NOT NULL,
  abc_class TEXT NOT NULL, last_order_day INTEGER NOT NULL, order_count BIGINT NOT NULL,
  total_spend DOUBLE PRECISION NOT NULL, drivers TEXT NOT NULL, PRIMARY KEY (run_id, customer_id));
CREATE TABLE published (slot INTEGER PRIMARY KEY, run_id INTEGER NOT NULL REFERENCES scoring_runs (run_id));
INSERT INTO scoring_runs VALUES (1, 'complete', '2011-06-12T04:30:00+00:00', 15137, 180, 'GBP', '3', 1,
  '{{"tiers":["Gold","Bronze"],"cells":[["Gold","Gold",1,5.0,0.5,5.0]],"zero_padded_ids":true}}');
INSERT INTO customer_scores VALUES (1, '00123', 5.0, 0.5, 0.5, 10.0, 5.0, 'Gold', 'Gold', 'same', 'active', 'Loyal', 'A',
  15100, 3, 99.5, '{{}}');
INSERT INTO published VALUES (1, 1);
{after}"""


@pytest.fixture
def first_store(store_url: str) -> str:
    """The address of a store as the first version made it, with one published run of one customer."""
    engine = sa.create_engine(store_url)
    sqlite = engine.dialect.name == "sqlite"
    serial = "AUTOINCREMENT" if sqlite else "GENERATED BY DEFAULT AS IDENTITY"
    after = "" if sqlite else "ALTER TABLE scoring_runs ALTER COLUMN run_id RESTART WITH 2;"
    with engine.begin() as connection:
        for statement in filter(str.strip, _FIRST_TABLES.format(serial=serial, after=after).split(";\n")):
            connection.exec_driver_sql(statement.replace("%", "%%"))
    engine.dispose()
    return store_url


def test_a_store_of_the_first_version_is_read_and_written_on(first_store: str, make_scores: MakeScores, publish: Publish) -> None:
    with Store(first_store) as store:
        run, score = store.customer("00123")
        assert (run.run_id, run.terms.grade, run.tier_horizon_days, run.held) == (1, None, 180, 0)
        assert (score.predicted_value, score.total_spend, score.drivers) == (5.0, 99.5, "{}")
        assert {score.value_low, score.uncertain, score.tier_by_value, score.tier_since_day} == {None}
        assert store.tiers_of(1, "0", "1") == [("00123", "Gold", None)]
        scores = make_scores(["00123", "7"])
        new = publish(store, scores)
        assert store.customer("7") == (new, scores[1])
        assert store.customer("00123", run_id=1) == (run, score)


def test_many_processes_may_open_an_older_store_at_once(first_store: str, processes: Pool) -> None:
    assert processes.map(_open, [first_store] * 8, chunksize=1) == [False] * 8


def test_an_older_store_that_may_not_be_changed_says_what_to_do(postgres_server: str) -> None:
    schema, user = f"foretier_{os.getpid()}_old", f"foretier_reader_{os.getpid()}"
    engine = sa.create_engine(postgres_server)
    reader = make_url(postgres_server).set(username=user, password="hunter2")  # noqa: S106
    try:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {schema}; SET search_path TO {schema}")
            tables = _FIRST_TABLES.format(serial="GENERATED BY DEFAULT AS IDENTITY", after="")
            for statement in filter(str.strip, tables.split(";\n")):
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"CREATE ROLE {user} LOGIN PASSWORD 'hunter2'")
            connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA {schema} TO {user}")
            connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {user}")
        url = reader.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
        with pytest.raises(StoreError, match=r"older version.*run foretier score once as the owner") as caught:
            Store(url)
        assert "hunter2" not in str(caught.value)
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE; DROP ROLE IF EXISTS {user}")
        engine.dispose()


def test_tiers_of_a_range_of_customers(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    mixed = ["B", "a", "Z", "é", "😀", "10", "9"]
    scores = sorted(make_scores(mixed), key=lambda score: score.customer_id)
    run = publish(store, scores)
    rows = [(one.customer_id, one.tier, one.tier_since_day) for one in scores]
    for first in range(len(rows)):
        for last in range(first, len(rows)):
            assert sorted(store.tiers_of(run.run_id, rows[first][0], rows[last][0])) == rows[first : last + 1]
    assert sorted(store.tiers_of(run.run_id, "\0", "\ud800")) == rows
    assert store.tiers_of(run.run_id + 1, "", "z") == []


def test_held_customers_are_counted(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    scores = [replace(score, tier_by_value=TIERS[place % 4]) for place, score in enumerate(make_scores(ids(80)))]
    assert publish(store, scores).held == sum(score.tier != score.tier_by_value for score in scores)


def _rows(store: Store) -> dict[int, int]:
    """Rows by run, complete or not."""
    import sqlalchemy as sa

    with store._engine.connect() as connection:
        found = connection.execute(sa.text("SELECT run_id, count(*) FROM customer_scores GROUP BY run_id"))
        return dict(tuple(row) for row in found)


def _open(url: str) -> bool:
    with Store(url) as store:
        return store.published() is None


def test_a_lookup_in_a_known_run_gives_the_same_row(store: Store, make_scores: MakeScores, publish: Publish) -> None:
    run = publish(store, make_scores(["a", "00123", "é/ b"]))
    for customer_id in ("a", "00123", "é/ b"):
        assert store.find(run.run_id, customer_id) == store.customer(customer_id)[1]
    for customer_id in ("A", "123", "a\0", "\ud800", ""):
        assert store.find(run.run_id, customer_id) is None
    assert store.find(run.run_id + 1, "a") is None
    assert store.published_run_id() == run.run_id
    found = store.find(run.run_id, "a")
    assert found is not None
    assert type(found.uncertain) is bool
