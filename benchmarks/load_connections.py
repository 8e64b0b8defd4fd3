"""A thousand connections at once, and small requests beside large ones.

The server runs with the 1,024 open files that systems give a process by default.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import cycle

from load_client import Answer, Connection, Request, Tally, every, for_seconds, hammer, percentile, run
from load_figures import Figure, milliseconds, progress, table
from load_requests import LOOKUP, Served, get, histories, lookups, mixed, post, served_at
from load_servers import Home, ours
from rich.console import Console
from rich.table import Table

CONNECTIONS = 1_000
OPEN_FILES = 1_024
POST_SHARE = 0.2
HEALTH, METRICS = "GET /livez", "GET /metrics"
HEALTH_SECONDS = 0.05
LARGE, PAGE = "POST of 1,000 customers", "GET of 1,000 rows of the list"
LARGE_ONES = 2
MOST_SERIES = 300


def connections(home: Home, console: Console, *, seconds: float) -> list[Figure]:
    """Let 1,000 connections ask at once, first without and then with regard to Retry-After."""
    with progress(console, f"{CONNECTIONS:,} connections: starting the server") as show, ours(home, OPEN_FILES) as server:
        served = served_at(server.port)
        crowds = []
        for number, (words, patient) in enumerate((("asking again at once", False), ("heeding Retry-After", True))):
            show(number / 2, words)
            crowds.append((words, *run(_crowd(server.port, served, seconds, patient=patient))))
        series = run(_series(server.port))
    made = table(
        f"{CONNECTIONS:,} connections at once, GET and POST mixed; the server is begun with {OPEN_FILES:,} open files",
        "connections", "200", "503", "other", "lost", "503, no Retry-After", "GET p99 ms", "/livez p50 ms", "p99 ms", "max ms",
        caption="\n".join(tally.said for _, tally, _, _ in crowds if tally.said),
    )  # fmt: skip
    for words, tally, hasty, health in crowds:
        counts = (f"{count:,}" for count in (*_counts(tally), hasty))
        times = (*milliseconds(tally.seconds.get(LOOKUP, []), 0.99), *milliseconds(health, 0.5, 0.99, 1.0))
        made.add_row(words, *counts, *times)
    console.print(made)
    return [_figure([(tally, hasty) for _, tally, hasty, _ in crowds]), _series_figure(series)]


async def _crowd(port: int, served: Served, seconds: float, *, patient: bool) -> tuple[Tally, int, list[float]]:
    """Ask over 1,000 connections, all opened first; gives what came, 503s without Retry-After, and seconds of health checks."""
    tally, hasty, health, requests = Tally(), 0, [], mixed(served, POST_SHARE)
    go_on = for_seconds(seconds)

    def note(_: Request, answer: Answer) -> float:
        nonlocal hasty
        if answer.status != 503:
            return 0.0
        wait = answer.header("retry-after")
        hasty += wait is None
        return float(wait or 1) * random.uniform(1.0, 2.0) if patient else 0.0

    async def check() -> None:
        health.append((await probe.ask(get("/livez"))).seconds)

    probe = await Connection.to(port)
    checking = asyncio.create_task(every(HEALTH_SECONDS, check))
    await hammer(port, CONNECTIONS, requests, go_on, tally, note)
    checking.cancel()
    await asyncio.gather(checking, return_exceptions=True)
    probe.close()
    return tally, hasty, health


async def _series(port: int) -> int:
    """Count the series of the metrics after requests for what there is not, under many names."""
    connection = await Connection.to(port)
    for number in range(500):
        await connection.ask(get(f"/v1/customers/nobody-{number}"))
        await connection.ask(get(f"/nothing/{number}?x={number}"))
    lines = (await connection.ask(get("/metrics"))).body.decode().splitlines()
    connection.close()
    return sum(bool(line) and not line.startswith("#") for line in lines)


def _counts(tally: Tally) -> tuple[int, int, int, int]:
    """200, 503, anything else, lost."""
    found = tally.by_status()
    return found[200], found[503], sum(found.values()) - found[200] - found[503], sum(tally.lost.values())


def _figure(crowds: list[tuple[Tally, int]]) -> Figure:
    counts: Counter[str] = Counter()
    for tally, hasty in crowds:
        counts.update(dict(zip(("200", "503", "other", "lost"), _counts(tally), strict=True)))
        counts["503 without Retry-After"] += hasty
    told = ", ".join(f"{name}: {counts[name]:,}" for name in counts)
    met = not (counts["other"] or counts["lost"] or counts["503 without Retry-After"]) and counts["200"] > 0
    return Figure(f"{CONNECTIONS:,} connections at once", "200 or 503, nothing else", told, met)


def _series_figure(series: int) -> Figure:
    return Figure(
        "series of /metrics, after 500 unknown ids and paths", f"at most {MOST_SERIES}", str(series), series <= MOST_SERIES
    )


def large(home: Home, console: Console, *, seconds: float) -> list[Figure]:
    """Lookups alone, and while large requests and whole lists are worked on."""
    with progress(console, "large requests: starting the server") as show, ours(home) as server:
        served = served_at(server.port)
        beside: dict[str, list[Iterator[Request]]] = {
            "alone": [],
            f"beside {LARGE_ONES} x {LARGE}": [large_requests(served)] * LARGE_ONES,
            f"beside {LARGE_ONES} x {PAGE}": [cycle([Request(PAGE, get("/v1/lists/churn-risk?limit=1000"))])] * LARGE_ONES,
        }
        found = {}
        for number, (words, others) in enumerate(beside.items()):
            show(number / len(beside), words)
            found[words] = run(_lookups(server.port, served, seconds, others))
    console.print(_large_table(found, seconds))
    return [_large_figure(found)]


async def _lookups(port: int, served: Served, seconds: float, others: list[Iterator[Request]]) -> Tally:
    """Look up over 8 connections, beside one connection for each of the others."""
    tally, go_on = Tally(), for_seconds(seconds)
    crowds = [hammer(port, 1, other, go_on, tally) for other in others]
    await asyncio.gather(hammer(port, 8, lookups(served.ids), go_on, tally), *crowds)
    return tally


def _large_table(found: Mapping[str, Tally], seconds: float) -> Table:
    made = table("Lookups on 8 connections beside large requests", "", "requests/s", "p50 ms", "p95 ms", "p99 ms", "max ms")
    for words, tally in found.items():
        for kind, taken in tally.seconds.items():
            what = f"lookups {words}" if kind == LOOKUP else f"  {kind}"
            made.add_row(what, f"{len(taken) / seconds:,.1f}", *milliseconds(taken, 0.5, 0.95, 0.99, 1.0))
    return made


def _large_figure(found: Mapping[str, Tally]) -> Figure:
    told = ", ".join(f"{percentile(tally.seconds[LOOKUP], 0.99) * 1000:.0f} ms {words}" for words, tally in found.items())
    failed = sum(tally.failed for tally in found.values())
    return Figure("p99 of lookups beside large requests", "printed", f"{told}{f'; {failed} not 200' if failed else ''}", None)


def large_requests(served: Served, customers: int = 1_000) -> Iterator[Request]:
    """Requests of so many customers, each with 8 to 12 orders: of 1,000, some 600 kB."""
    bodies = histories(served.as_of, seed=11, orders=(7, 11))
    while True:
        body = ",".join(next(bodies) for _ in range(customers))
        yield Request(LARGE, post("/v1/predictions", f'{{"customers":[{body}]}}'))
