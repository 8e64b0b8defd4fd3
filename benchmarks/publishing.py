"""Writing and publishing a scoring run, and looking customers up in it, on SQLite and PostgreSQL.

    python benchmarks/publishing.py [--customers 1000000] [--json FILE]

Scores are drawn with drivers of the real size; the time to draw them is not counted. Two runs are published: one into an
empty store, and one while an old run of as many customers is removed. A reader asks all the time for the published run and
for a customer: it tells when it sees the new run, and how long it had to wait for an answer at most. The peers, in the
same run: a plain ``executemany`` of a sample into the same table, and the same lookup through SQLAlchemy.

PostgreSQL is the one of ``FORETIER_TEST_POSTGRES_URL``, in a schema of its own that is dropped at the end; SQLite is a file in
the folder for temporary files. The processor time is that of this process, without the server's.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table
from sqlalchemy.engine import make_url

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from serving.driver_words import HEADLINES
from serving.predictions import SCORE_COLUMNS, CustomerScore, Terms
from serving.store import Choice, Store
from serving.store_tables import customer_scores

POSTGRES_URL = os.environ.get("FORETIER_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
TIERS = ("Platinum", "Gold", "Silver", "Bronze")
TERMS, CREATED = Terms(date(2011, 6, 12), 180, "GBP", "3"), datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
CHUNK, SAMPLE, PROTOTYPES, LOOKUPS, THREADS = 20_000, 20_000, 10_000, 4_000, 4
TARGET = 60.0


def prototypes() -> list[CustomerScore]:
    """Customers whose numbers and drivers all others take."""
    dice = random.Random(20260101)
    return [prototype(dice) for _ in range(PROTOTYPES)]


def prototype(dice: random.Random) -> CustomerScore:
    chance, value, tier = dice.random(), dice.expovariate(1 / 200), dice.choice(TIERS)

    def effects(size: float, decimals: int) -> list[tuple[str, float | None, float]]:
        rows = [(group, float(dice.randrange(400)), round(dice.gauss(0, size), decimals)) for group in HEADLINES]
        return sorted(rows, key=lambda row: -abs(row[2]))

    drivers = {"average": {"value": 8.330302839026745, "churn": 0.8422114040561397}, "value": effects(100, 4)}
    return CustomerScore(
        "", chance * value, chance, 1.0 - chance, value, value * (1.0 - chance), tier, dice.choice(TIERS), "same", "active",
        "Loyal", "B", 15_000 - dice.randrange(500), dice.randrange(1, 50), dice.uniform(0, 5000),
        json.dumps({**drivers, "churn": effects(0.1, 6)}, separators=(",", ":")), 0.25 * value, 2.5 * value, dice.random(),
        chance > 0.5, 2.0 * chance, value / 2.0, dice.choice([None, 15_500.0]), tier, 15_000,
    )  # fmt: skip


def drawn(pool: Sequence[CustomerScore], first: int, number: int) -> list[CustomerScore]:
    dice = random.Random(first)
    return [
        replace(like, customer_id=f"{place:09d}", value_at_risk=like.value_at_risk * dice.random())
        for place, like in enumerate(dice.choices(pool, k=number), start=first)
    ]


@dataclass
class Watch:
    """A reader of a store, all the time; ``seen`` is when each run was seen first, ``longest`` the longest answer, in seconds."""

    url: str
    seen: dict[int | None, float] = field(default_factory=dict)
    longest: float = 0.0

    @contextmanager
    def watching(self) -> Iterator[None]:
        done = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            reader = pool.submit(self._read, done)
            try:
                yield
            finally:
                done.set()
            reader.result()

    def _read(self, done: threading.Event) -> None:
        with Store(self.url) as store:
            while not done.wait(0.005):
                asked = time.perf_counter()
                run_id = store.published_run_id()
                if run_id is not None:
                    store.find(run_id, "000000007")
                now = time.perf_counter()
                self.seen.setdefault(run_id, now)
                self.longest = max(self.longest, now - asked)


@dataclass(frozen=True)
class Published:
    """Seconds: to load, of processor, until a reader saw the run, until all was done; the reader's longest wait."""

    load: float
    processor: float
    visible: float
    everything: float
    longest: float


def published(store: Store, url: str, pool: Sequence[CustomerScore], customers: int) -> Published:
    """Write and publish a run, and time it."""
    watch, load, processor = Watch(url), 0.0, 0.0
    with watch.watching(), store.writing(TERMS, tier_names=TIERS, created_at=CREATED) as writer:
        for first in range(0, customers, CHUNK):
            chunk = drawn(pool, first, min(CHUNK, customers - first))
            clock, used = time.perf_counter(), time.process_time()
            writer.add(chunk)
            load, processor = load + time.perf_counter() - clock, processor + time.process_time() - used
        begun = time.perf_counter()
        run = writer.publish(keep_runs=1)
        rest = time.perf_counter() - begun
        time.sleep(0.1)
    return Published(load, processor, load + watch.seen[run.run_id] - begun, load + rest, watch.longest)


def by_executemany(engine: sa.Engine, scores: Sequence[CustomerScore]) -> float:
    """Rows a second of the plain way; they are removed again."""
    columns = ("run_id", *SCORE_COLUMNS)
    mark = "?" if engine.dialect.name == "sqlite" else "%s"
    insert = f"INSERT INTO customer_scores ({', '.join(columns)}) VALUES ({', '.join([mark] * len(columns))})"
    pooled = engine.raw_connection()
    cursor = pooled.cursor()
    if engine.dialect.name == "sqlite":
        cursor.execute("BEGIN IMMEDIATE")
    begun = time.perf_counter()
    cursor.executemany(insert, [(0, *(getattr(score, name) for name in SCORE_COLUMNS)) for score in scores])
    pooled.commit()
    seconds = time.perf_counter() - begun
    cursor.execute("DELETE FROM customer_scores WHERE run_id = 0")
    pooled.commit()
    pooled.close()
    return len(scores) / seconds


def by_sqlalchemy(engine: sa.Engine, run_id: int, customer_id: str) -> CustomerScore:
    query = sa.select(*(customer_scores.c[name] for name in SCORE_COLUMNS)).where(
        customer_scores.c.run_id == sa.bindparam("run_id"), customer_scores.c.customer_id == sa.bindparam("customer_id")
    )
    with engine.connect() as connection:
        return CustomerScore(*connection.execute(query, {"run_id": run_id, "customer_id": customer_id}).one())


def lookups(look_up: Callable[[str], object], ids: Sequence[str], threads: int) -> float:
    """Lookups a second."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(look_up, ids[:200]))
        begun = time.perf_counter()
        list(pool.map(look_up, ids, chunksize=1))
        return len(ids) / (time.perf_counter() - begun)


def measured(url: str, pool: Sequence[CustomerScore], customers: int) -> list[str]:
    """All figures of one database."""
    with Store(url) as store:
        engine = store._engine
        plain = by_executemany(engine, drawn(pool, 0, min(SAMPLE, customers)))
        first = published(store, url, pool, customers)
        published(store, url, pool, 1)
        second = published(store, url, pool, customers)
        run_id = store.published_run_id()
        assert run_id is not None
        ids = [f"{random.randrange(customers):09d}" for _ in range(LOOKUPS)]
        ours = [lookups(lambda one: store.find(run_id, one), ids, threads) for threads in (1, THREADS)]
        theirs = [lookups(lambda one: by_sqlalchemy(engine, run_id, one), ids, threads) for threads in (1, THREADS)]
        counted = timed(lambda: store.sums(run_id, Choice(min_risk=0.5)))
        page = timed(lambda: store.page(run_id=run_id, limit=100))
        return [
            f"{plain:,.0f}",
            *told(first, customers, plain),
            *told(second, customers, plain),
            *(f"{mine:,.0f} ({mine / other:.1f})" for mine, other in zip(ours, theirs, strict=True)),
            f"{counted * 1000:,.0f}",
            f"{page * 1000:,.1f}",
            f"{size(engine) / 2**20:,.0f}",
        ]


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def told(one: Published, customers: int, plain: float) -> tuple[str, ...]:
    rate = customers / one.load
    return (
        f"{one.load:.1f} ({one.processor:.1f})",
        f"{rate:,.0f} ({rate / plain:.1f})",
        f"{one.visible:.1f}",
        f"{one.everything:.1f}",
        f"{one.longest * 1000:,.0f}",
    )


def size(engine: sa.Engine) -> int:
    if engine.dialect.name == "sqlite":
        return Path(str(engine.url.database)).stat().st_size
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("SELECT pg_total_relation_size('customer_scores')").scalar_one())


@contextmanager
def postgres() -> Iterator[str]:
    """A schema of its own."""
    server, schema = make_url(POSTGRES_URL), f"foretier_{uuid.uuid4().hex}"
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    try:
        yield server.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.schema.DropSchema(schema, cascade=True))
        engine.dispose()


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--customers", type=int, default=1_000_000)
    arguments.add_argument("--json", type=Path, help="also write the times until readers see a run to this file")
    asked = arguments.parse_args()
    customers: int = asked.customers
    pool = prototypes()
    with tempfile.TemporaryDirectory() as folder:
        sqlite = measured(f"sqlite:///{folder}/scores.db", pool, customers)
    try:
        with postgres() as url:
            postgresql = measured(url, pool, customers)
    except sa.exc.OperationalError as error:
        print(f"no PostgreSQL at FORETIER_TEST_POSTGRES_URL: {str(error.orig).splitlines()[0]}")
        postgresql = ["-"] * len(sqlite)
    print_table(customers, sqlite, postgresql, sum(len(one.drivers) for one in pool) / len(pool))
    if asked.json is not None:
        seen = {"SQLite": [*map(float, sqlite[3:9:5])], "PostgreSQL": [float(one) for one in postgresql[3:9:5] if one != "-"]}
        asked.json.write_text(json.dumps({"seconds_until_readers_see_it": seen}))


def print_table(customers: int, sqlite: list[str], postgresql: list[str], letters: float) -> None:
    runs = [
        [
            "load, s (of processor)", "rows/s (times executemany)", f"until readers see it, s (target {TARGET:g})",
            f"until {done}, s", "longest wait of a reader, ms",
        ]
        for done in ("all is done", "the old run is removed too")
    ]  # fmt: skip
    names = ["rows/s by executemany (the peer)", *runs[0], *runs[1], "lookups/s, 1 thread (times SQLAlchemy)",
             f"lookups/s, {THREADS} threads (times SQLAlchemy)", "count of a filtered list, first time, ms",
             "first page of the list, ms", "two runs, MiB"]  # fmt: skip
    table = Table(title=f"{customers:,} customers with drivers ({letters:.0f} letters), {os.cpu_count()} processors")
    table.add_column("")
    for heading in ("SQLite", "PostgreSQL"):
        table.add_column(heading, justify="right")
    sections = {1: "into an empty store", 6: "with an old run of as many to remove", 11: "reading"}
    for place, row in enumerate(zip(names, sqlite, postgresql, strict=True)):
        if place in sections:
            table.add_section()
            table.add_row(f"[bold]{sections[place]}")
        table.add_row(*row)
    Console(width=max(Console().width, 100)).print(table)


if __name__ == "__main__":
    main()
