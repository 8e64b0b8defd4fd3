"""What befalls a store in service: swaps under readers, killed scorers, connections that are cut, a server that hangs."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from configs.errors import StoreError
from serving.predictions import CustomerScore, Terms
from serving.store import RunWriter, ScoringRun, Store
from serving.store_choice import EVERYBODY

TIERS = ("Platinum", "Gold", "Silver", "Bronze")
CREATED = datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
IDS = [f"{place:05d}" for place in range(50)]

MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]

in_postgresql = pytest.mark.parametrize("store_url", ["postgresql"], indirect=True)


def published_whole(store: Store) -> ScoringRun:
    """Read the published run in every way that a service does; all must be of that one run."""
    run_id = store.published_run_id()
    assert run_id is not None
    run = store.run(run_id)
    of, page = store.page(run_id=run_id, limit=1000)
    assert of == run
    assert len(page) == run.customers == store.sums(run_id, EVERYBODY).customers
    assert {score.rfm_segment for score in page} == {run.terms.model_version}
    assert store.find(run_id, page[7].customer_id) == page[7]
    return run


def test_every_answer_is_of_one_whole_run_while_runs_are_swapped(store_url: str, make_scores: MakeScores, terms: Terms) -> None:
    answered = [0, 0]
    seen: list[set[int]] = [set(), set()]
    done = threading.Event()

    def read(reader: int) -> None:
        with Store(store_url) as store:
            while not done.is_set():
                seen[reader].add(published_whole(store).run_id)
                answered[reader] += 1

    with Store(store_url) as store, ThreadPoolExecutor(2) as readers:
        swap(store, make_scores, terms, 0)
        reading = [readers.submit(read, reader) for reader in (0, 1)]
        try:
            for version in range(1, 12):
                before = list(answered)
                wait_until(lambda: all(now > then for now, then in zip(answered, before, strict=True)), reading)  # noqa: B023
                swap(store, make_scores, terms, version)
        finally:
            done.set()
        assert [reader.result() for reader in reading] == [None, None]
    assert min(len(runs) for runs in seen) > 5


def swap(store: Store, make_scores: MakeScores, terms: Terms, version: int) -> ScoringRun:
    """Publish a run that is unlike all others in its version, its number of customers and every row."""
    scores = [replace(score, rfm_segment=str(version)) for score in make_scores(IDS[: 20 + version])]
    new_run = store.writing(replace(terms, model_version=str(version)), tier_names=TIERS, created_at=CREATED)
    with new_run as writer:
        writer.add(scores[:9])
        writer.add(scores[9:])
        return writer.publish(keep_runs=1)


_SCORER = """
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from serving.predictions import CustomerScore, Terms
from serving.store import Store
score = CustomerScore("1", 1., .5, .5, 2., 1., "Gold", "Gold", "same", "new", "x", "A", 1, 1, 1., "{}")
terms, created = Terms(date(2011, 6, 12), 180, "GBP", "3"), datetime(2011, 6, 12, tzinfo=UTC)
with Store(sys.argv[1]).writing(terms, tier_names=("Gold",), created_at=created) as writer:
    for chunk in range(10**6):
        writer.add([replace(score, customer_id=f"{chunk} {place}") for place in range(500)])
        print(chunk, flush=True)
"""


def test_a_scorer_killed_while_it_writes_leaves_the_published_run_whole(
    store: Store, store_url: str, make_scores: MakeScores, terms: Terms
) -> None:
    old = swap(store, make_scores, terms, 1)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with subprocess.Popen([sys.executable, "-c", _SCORER, store_url], stdout=subprocess.PIPE, env=environment) as scorer:
        assert scorer.stdout is not None
        assert [scorer.stdout.readline() for _ in range(2)] == [b"0\n", b"1\n"]
        with pytest.raises(StoreError, match="another scoring run is being written"):
            swap(store, make_scores, terms, 2)
        assert published_whole(store) == old
        scorer.kill()
    assert scorer.returncode == -signal.SIGKILL
    assert published_whole(store) == old
    assert len(rows(store)) == 2
    new = eventually(lambda: swap(store, make_scores, terms, 2))
    assert rows(store) == {old.run_id: old.customers, new.run_id: new.customers}


# PostgreSQL


@pytest.fixture
def program() -> str:
    """The name by which the connections of one store are known to the server."""
    return f"foretier {uuid.uuid4().hex[:8]}"


@pytest.fixture
def named_url(store_url: str, program: str) -> str:
    """The address of a store whose connections have that name."""
    return make_url(store_url).update_query_dict({"application_name": program}).render_as_string(hide_password=False)


@pytest.fixture
def server(store_url: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of an administrator to the same schema."""
    address = make_url(store_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


@contextmanager
def locked_scores(store_url: str) -> Iterator[None]:
    """Let nobody read a score."""
    address = make_url(store_url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(address) as connection:
        connection.execute("LOCK TABLE customer_scores")
        yield


def cut(server: psycopg.Connection[Any], program: str) -> int:
    """Cut all connections of a program, and wait until they are gone; gives their number."""
    number = server.execute(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = %s", [program]
    ).fetchone()
    there = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s"
    wait_until(lambda: server.execute(there, [program]).fetchone() is None)
    assert number is not None
    return int(number[0])


@in_postgresql
def test_connections_cut_while_they_are_idle_are_no_error(
    named_url: str, program: str, server: psycopg.Connection[Any], make_scores: MakeScores, terms: Terms
) -> None:
    with Store(named_url) as store:
        run = swap(store, make_scores, terms, 1)
        for _ in range(2):
            assert published_whole(store) == run
            assert cut(server, program) >= 2
        assert store.find(run.run_id, IDS[0]) is not None
        cut(server, program)
        assert store.published_run_id() == run.run_id


@in_postgresql
def test_connections_cut_while_they_are_used_are_one_line_and_the_next_read_works(
    named_url: str, program: str, server: psycopg.Connection[Any], make_scores: MakeScores, terms: Terms
) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s AND wait_event_type = 'Lock'"
    with Store(named_url) as store, ThreadPoolExecutor(2) as readers:
        run = swap(store, make_scores, terms, 1)
        score = store.find(run.run_id, IDS[0])
        with locked_scores(named_url):
            page, lookup = readers.submit(store.page), readers.submit(store.find, run.run_id, IDS[0])
            wait_until(lambda: server.execute(waiting, [program]).fetchone() == (2,))
            server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s", [program])
            with pytest.raises(
                StoreError,
                match=r"^the score store \S+ cannot be used: [^\n]*connection[^\n]*$",
            ):
                page.result(10)
        assert lookup.result(10) == score
        assert published_whole(store) == run


@in_postgresql
def test_a_scorer_whose_connection_is_cut_says_so_and_leaves_its_successor_alone(
    named_url: str, store_url: str, program: str, server: psycopg.Connection[Any], make_scores: MakeScores, terms: Terms
) -> None:
    scores = make_scores(IDS)
    with Store(named_url) as store, Store(store_url) as other, ExitStack() as successor:
        old = swap(store, make_scores, terms, 1)
        writing: list[RunWriter] = []

        def cut_on_the_way() -> Iterator[CustomerScore]:
            yield from scores[:5]
            cut(server, program)
            writing.append(successor.enter_context(other.writing(terms, tier_names=TIERS, created_at=CREATED)))
            writing[0].add(scores)
            yield from scores[5:]

        with (
            pytest.raises(StoreError, match=r"^the score store \S+ cannot be used: [^\n]*connection[^\n]*$"),
            store.writing(terms, tier_names=TIERS, created_at=CREATED) as writer,
        ):
            writer.add(cut_on_the_way())
        assert store.published() == old
        new = writing[0].publish(keep_runs=2)
        assert store.published() == new
        assert rows(store) == {old.run_id: old.customers, new.run_id: 50}


class Gate:
    """A way to the server that can be shut: then nothing passes, and nobody is told."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._ends: list[socket.socket] = []
        self.open = threading.Event()
        self.open.set()
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.open.set()
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._ends += [client, server]
                for one, other in ((client, server), (server, client)):
                    threading.Thread(target=self._pass_on, args=(one, other), daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                self.open.wait()
                other.sendall(data)
            other.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def gate(store_url: str) -> Iterator[Gate]:
    address = make_url(store_url)
    gate = Gate(address.host or "127.0.0.1", address.port or 5432)
    yield gate
    gate.close()


@in_postgresql
def test_a_server_that_hangs_or_cannot_be_reached_keeps_no_reader_for_ever(
    store: Store, store_url: str, gate: Gate, make_scores: MakeScores, terms: Terms
) -> None:
    run = swap(store, make_scores, terms, 1)
    through = make_url(store_url).set(host="127.0.0.1", port=gate.port).update_query_dict({"connect_timeout": "2"})
    with (
        Store(through.render_as_string(hide_password=False), answer_seconds=0.2) as behind_gate,
        ThreadPoolExecutor(3) as readers,
    ):
        assert published_whole(behind_gate) == run
        gate.open.clear()
        reads = [lambda: behind_gate.find(run.run_id, IDS[0]), behind_gate.page, behind_gate.published_run_id]
        try:
            for read in [readers.submit(read) for read in reads]:
                with pytest.raises(StoreError, match=r"^the score store \S+ cannot be used: [^\n]*(no answer|timeout)[^\n]*$"):
                    read.result(20)
        finally:
            gate.open.set()
        assert published_whole(behind_gate) == run


@in_postgresql
def test_a_read_that_takes_too_long_is_ended_by_the_server(store_url: str, make_scores: MakeScores, terms: Terms) -> None:
    with Store(store_url, answer_seconds=0.2) as store:
        run = swap(store, make_scores, terms, 1)
        with locked_scores(store_url):
            for read in (store.page, lambda: store.find(run.run_id, IDS[0])):
                with pytest.raises(StoreError, match=r"^[^\n]* statement timeout$"):
                    read()
        assert published_whole(store) == run
    strict = make_url(store_url)
    strict = strict.update_query_dict({"options": f"{strict.query['options']} -cstatement_timeout=123"})
    with Store(strict.render_as_string(hide_password=False), answer_seconds=60) as store, store._engine.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "123ms"


@in_postgresql
def test_a_run_is_known_to_the_planner_when_it_is_published(
    store: Store, server: psycopg.Connection[Any], make_scores: MakeScores, publish: Publish
) -> None:
    known = "SELECT reltuples, relallvisible > 0 FROM pg_class WHERE oid = 'customer_scores'::regclass"
    for scores in (300, 200, 400):
        publish(store, make_scores([str(place) for place in range(scores)]), keep_runs=1)
        kept = sum(run.customers for run in store.runs())
        assert server.execute(known).fetchone() == (kept, True)
    columns = {name for (name,) in server.execute("SELECT attname FROM pg_stats WHERE tablename = 'customer_scores'")}
    assert {"run_id", "customer_id", "tier", "churn_risk", "value_at_risk"} <= columns
    assert "drivers" not in columns


@in_postgresql
def test_what_the_server_refuses_tells_no_row(
    store: Store, server: psycopg.Connection[Any], make_scores: MakeScores, publish: Publish
) -> None:
    secret = replace(make_scores(["secret-id"])[0], total_spend=98765.25)
    server.execute("ALTER TABLE customer_scores ADD CHECK (total_spend < 9)")
    for refused, message in [(secret, "violates check constraint"), (replace(secret, tier="secret\0"), "refused a value")]:
        with pytest.raises(StoreError, match=message) as caught:
            publish(store, [refused])
        assert not re.search("secret|98765|\n", str(caught.value))
        assert caught.value.__cause__ is None
    assert rows(store) == {}


def rows(store: Store) -> dict[int, int]:
    """Rows by run, complete or not."""
    with store._engine.connect() as connection:
        found = connection.execute(sa.text("SELECT run_id, count(*) FROM customer_scores GROUP BY run_id"))
        return dict(tuple(row) for row in found)


def wait_until(done: Callable[[], bool], threads: list[Any] | None = None) -> None:
    """Wait; a thread that ended before tells why."""
    until = time.monotonic() + 30
    while not done():
        assert time.monotonic() < until, "waited in vain"
        for thread in threads or []:
            if thread.done():
                thread.result()
        time.sleep(0.002)


def eventually(work: Callable[[], Any]) -> Any:
    """PostgreSQL notices a killed client a moment later."""
    for _ in range(100):
        try:
            return work()
        except StoreError:
            time.sleep(0.05)
    return work()
