"""SIGTERM under load: whatever was sent before it gets its whole answer.

Small requests, large ones, and connections that lay idle and ask in the very moment of the signal.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from load_client import Connection, LostError, Request, run
from load_connections import large_requests
from load_figures import Figure, progress, table
from load_requests import LOOKUP, PREDICT, Served, lookups, predictions, served_at
from load_servers import Home, Server, ours
from rich.console import Console

REPEATS = 10
LOAD_SECONDS = 1.0
LATE = "asked of an idle connection in that moment"
LARGE = "POST /v1/predictions, 300 customers"
LARGE_CUSTOMERS = 300
SMALL_CONNECTIONS, LARGE_CONNECTIONS, IDLE_CONNECTIONS, LATE_CONNECTIONS = 6, 2, 20, 10


@dataclass
class Drained:
    """What became of requests that were in flight at the signals, and of those sent later."""

    in_flight: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    later: Counter[str] = field(default_factory=Counter)
    said: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    left: int = 0


@dataclass
class Asking:
    """One connection that asks, and whether what it asked last had left before the signal."""

    connection: Connection
    kind: str
    in_flight: bool = False


def drain(home: Home, console: Console) -> list[Figure]:
    """End ten servers under load."""
    found = Drained()
    with progress(console, "drain: starting a server") as show:
        for number in range(REPEATS):
            show(number / REPEATS, f"server {number + 1} of {REPEATS}")
            with ours(home) as server:
                run(_ended(server, served_at(server.port), found))
    made = table(
        f"{REPEATS} servers ended by SIGTERM under load", "request", "in flight", "lost", caption="\n".join(found.said[:5])
    )
    for kind in (LOOKUP, PREDICT, LARGE, LATE):
        made.add_row(kind, f"{found.in_flight[kind]:,}", f"{found.lost[kind]:,}")
    made.add_section()
    for words, count in sorted(found.later.items()):
        made.add_row(f"sent after the signal: {words}", f"{count:,}", "")
    console.print(made)
    return [_figure(found)]


def _figure(found: Drained) -> Figure:
    lost, total = sum(found.lost.values()), sum(found.in_flight.values())
    codes = ", ".join(map(str, sorted(set(found.codes))))
    told = f"{lost} of {total:,} lost; exit code {codes} after at most {max(found.seconds):.1f} s, {found.left} processes left"
    met = lost == 0 and total > 0 and set(found.codes) == {0} and found.left == 0
    return Figure(f"SIGTERM under load, {REPEATS} times", "nothing in flight is lost", told, met)


async def _ended(server: Server, served: Served, found: Drained) -> None:
    """Ask over many connections, end the server, and wait for the end of all."""
    signalled = asyncio.Event()
    large = (request._replace(kind=LARGE) for request in large_requests(served, LARGE_CUSTOMERS))
    small = [(lookups(served.ids), SMALL_CONNECTIONS), (predictions(served.as_of), SMALL_CONNECTIONS)]
    loads: list[tuple[Iterator[Request], int]] = [*small, (large, LARGE_CONNECTIONS)]
    asking = [Asking(await Connection.to(server.port), "") for _, number in loads for _ in range(number)]
    turns = iter(asking)
    tasks = [asyncio.create_task(_ask(next(turns), load, signalled, found)) for load, number in loads for _ in range(number)]
    idle = [await Connection.to(server.port) for _ in range(IDLE_CONNECTIONS + LATE_CONNECTIONS)]
    for connection in idle:
        await connection.ask(next(loads[0][0]).raw)
    await asyncio.sleep(LOAD_SECONDS + random.random() / 2)
    late = [Asking(connection, LATE) for connection in idle[:LATE_CONNECTIONS]]
    tasks += [asyncio.create_task(_late(one, next(loads[number % 2][0]), found)) for number, one in enumerate(late)]
    await _signal(server, [*asking, *late], signalled, found)
    await asyncio.gather(*tasks)


async def _signal(server: Server, asking: list[Asking], signalled: asyncio.Event, found: Drained) -> None:
    """Send SIGTERM as soon as what was asked has left, and wait in a thread for the server's end."""
    tree = server.tree()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    signalled.set()
    for one in asking:
        one.in_flight = one.connection.waits
        found.in_flight[one.kind] += one.in_flight
    code, seconds, left = await asyncio.to_thread(server.ended, tree, began)
    found.codes.append(code)
    found.seconds.append(seconds)
    found.left += left


async def _ask(one: Asking, requests: Iterator[Request], signalled: asyncio.Event, found: Drained) -> None:
    """Ask until the server closes the connection."""
    while not one.connection.closed:
        request, late = next(requests), signalled.is_set()
        one.kind, one.in_flight = request.kind, False
        try:
            answer = await one.connection.ask(request.raw)
        except LostError as error:
            _count_lost(one, str(error), found)
            return
        if one.in_flight and answer.status != 200:
            _count_lost(one, f"{answer.status} {answer.body[:200].decode(errors='replace')}", found)
        elif late:
            found.later[f"answered {answer.status}"] += 1


async def _late(one: Asking, request: Request, found: Drained) -> None:
    try:
        answer = await one.connection.ask(request.raw)
    except LostError as error:
        _count_lost(one, str(error), found)
        return
    if answer.status != 200:
        _count_lost(one, f"{answer.status} {answer.body[:200].decode(errors='replace')}", found)
    one.connection.close()


def _count_lost(one: Asking, words: str, found: Drained) -> None:
    if one.in_flight:
        found.lost[one.kind] += 1
        found.said.append(f"{one.kind}: {words}")
    else:
        found.later[words] += 1
