"""Twenty new champions and runs while requests are answered: none fails, and none mixes two versions.

The values of each version are so many times as high as the first one's. So the value of every answer tells which version it
was made by, and must agree with the version that the answer names; its drivers must add up to it.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

from load_client import Answer, Connection, Request, Tally, hammer, run
from load_figures import Figure, Show, milliseconds, progress, table
from load_requests import PREDICT, Served, get, lookups, predictions, served_at
from load_servers import BENCHMARKS, Home, ours
from rich.console import Console
from rich.table import Table

SWAPS = 20
REQUESTS = 10_000
CUSTOMERS = 2_000
CONNECTIONS = 8
BODIES = 200
PICK_UP_SECONDS = 5.0
GIVE_UP_SECONDS = 15.0
TOLERANCE = 1e-6
LIST = "GET /v1/lists/churn-risk"
WHAT = {"promoted": "champion", "published": "run"}


@dataclass
class Watch:
    """What every answer is held against, and when each version was first seen."""

    factors: dict[str, float] = field(default_factory=dict)
    base: dict[str, float] = field(default_factory=dict)
    changed: dict[tuple[str, str], float] = field(default_factory=dict)
    seen: dict[tuple[str, str], float] = field(default_factory=dict)
    checked: int = 0
    mixed: list[str] = field(default_factory=list)

    def note(self, request: Request, found: Answer) -> float:
        """Check one answer."""
        if found.status == 200:
            document = json.loads(found.body)
            what = "champion" if request.kind == PREDICT else "run"
            version = _version(document)
            self.seen.setdefault((what, version), time.monotonic())
            for key, value, fault in _values(request, document):
                factor = self.factors.get(version, math.nan)
                if fault or not math.isclose(value, self.base[key] * factor, rel_tol=TOLERANCE):
                    self.mixed.append(
                        f"{request.kind} {key} of version {version}: {value}, {value / self.base[key]:.6g} times {fault}"
                    )
            self.checked += 1
        return 0.0

    def pick_ups(self, what: str) -> list[float]:
        """Seconds from each change to the first answer by it; infinite where there never was one."""
        return [
            max(self.seen.get((what, version), math.inf) - at, 0.0)
            for (changed, version), at in self.changed.items()
            if changed == what
        ]


def swaps(home: Home, console: Console) -> list[Figure]:
    """Swap and ask, and print what came of it."""
    home = home.copy("swapped")
    with progress(console, "swaps: publishing the first run") as show:
        watch, tally = run(_swapped(home, show))
    console.print(_table(watch, tally))
    pick_ups = watch.pick_ups("champion") + watch.pick_ups("run")
    failed = f"{tally.requests:,} requests, {tally.failed:,} failed, {len(watch.mixed):,} mixed"
    enough = tally.requests >= REQUESTS and len(pick_ups) == 2 * SWAPS
    return [
        Figure(
            f"{REQUESTS:,} requests across {SWAPS} swaps of champion and run", "none fails, none mixes",
            f"{failed}{f' ({tally.said})' if tally.said else ''}", enough and not tally.failed and not watch.mixed,
        ),
        Figure(
            "a new champion or run is picked up", f"within {PICK_UP_SECONDS:g} s",
            f"at most {max(watch.pick_ups('champion')):.1f} s a champion, {max(watch.pick_ups('run')):.1f} s a run",
            max(pick_ups) < PICK_UP_SECONDS,
        ),
    ]  # fmt: skip


async def _swapped(home: Home, show: Show) -> tuple[Watch, Tally]:
    command = (sys.executable, "-P", str(BENCHMARKS / "load_swapper.py"), str(SWAPS), str(CUSTOMERS))
    pipe = asyncio.subprocess.PIPE
    swapper = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, env=home.variables())
    watch, tally = Watch(), Tally()
    try:
        await _told(swapper, watch, "begun")
        show(0.02, "starting the server")
        with ours(home) as server:
            requests = await _known(server.port, watch)
            done = asyncio.Event()
            asking = asyncio.create_task(
                hammer(
                    server.port, CONNECTIONS, requests, lambda: not done.is_set() or tally.requests < REQUESTS, tally, watch.note
                )
            )
            for number in range(SWAPS):
                show(number / SWAPS, f"swap {number + 1} of {SWAPS}, {tally.requests:,} requests")
                await _swap(swapper, watch)
            done.set()
            await asking
    finally:
        if swapper.returncode is None:
            swapper.kill()
        await swapper.wait()
    return watch, tally


async def _swap(swapper: asyncio.subprocess.Process, watch: Watch) -> None:
    """Let a version be promoted and published, and wait until both are seen."""
    assert swapper.stdin is not None
    swapper.stdin.write(b"next\n")
    version = await _told(swapper, watch, "published")
    until = time.monotonic() + GIVE_UP_SECONDS
    for what in ("champion", "run"):
        while time.monotonic() < until and (what, version) not in watch.seen:  # noqa: ASYNC110 (seen by many)
            await asyncio.sleep(0.02)


async def _told(swapper: asyncio.subprocess.Process, watch: Watch, last: str) -> str:
    """Read what the swapper tells until it says ``last``; gives the version."""
    assert swapper.stdout is not None
    while line := await swapper.stdout.readline():
        step: dict[str, Any] = json.loads(line)
        version = str(step["version"])
        watch.factors[version] = step["factor"]
        if step["what"] in WHAT:
            watch.changed[WHAT[step["what"]], version] = step["at"]
        if step["what"] == last:
            return version
    raise SystemExit("the swapper ended")


async def _known(port: int, watch: Watch) -> Iterator[Request]:
    """Ask everything once of the first version, and give the requests, for ever."""
    served = await asyncio.to_thread(served_at, port)
    known = list(_asked(served))
    connection = await Connection.to(port)
    for request in known:
        document = json.loads((await connection.ask(request.raw)).body)
        watch.base |= {key: value for key, value, _ in _values(request, document)}
    connection.close()
    return cycle(known)


def _asked(served: Served) -> Iterator[Request]:
    """Lookups and predictions in turn, and now and then a page of the list."""
    gets, posts = lookups(served.ids), list(islice(predictions(served.as_of), BODIES))
    page = Request(LIST, get("/v1/lists/churn-risk?limit=50"))
    for number in range(4 * BODIES):
        yield next(gets)
        if number % 2:
            yield posts[number // 2 % BODIES]._replace(key=f"posted {number // 2 % BODIES}")
        if number % 20 == 0:
            yield page


def _version(document: Mapping[str, Any]) -> str:
    return str(document["predictions"][0]["model_version"] if "predictions" in document else document["model_version"])


def _values(request: Request, document: Mapping[str, Any]) -> Iterator[tuple[str, float, str]]:
    """Give every predicted value of an answer, with what it is known by, and what is wrong within it in words."""
    if request.kind == LIST:
        for row in document["customers"]:
            yield row["customer_id"], row["predicted_value"], ""
        return
    one = document["predictions"][0] if "predictions" in document else document
    yield request.key, one["predicted_value"], _unlike_drivers(one)


def _unlike_drivers(one: Mapping[str, Any]) -> str:
    """Say that average and drivers do not add up to the value; they are rounded to 4 decimals."""
    total = one["average"]["predicted_value"] + sum(driver["effect"] for driver in one["drivers"]["value"])
    return "" if abs(total - one["predicted_value"]) < 0.005 + TOLERANCE * abs(total) else f"but its drivers make it {total}"


def _table(watch: Watch, tally: Tally) -> Table:
    caption = "\n".join(filter(None, (tally.said, *watch.mixed[:5])))
    made = table(
        f"{SWAPS} swaps of champion and run while {CONNECTIONS} connections ask",
        "",
        "requests",
        "p50 ms",
        "p99 ms",
        "max ms",
        caption=caption,
    )
    for kind, taken in sorted(tally.seconds.items()):
        made.add_row(kind, f"{len(taken):,}", *milliseconds(taken, 0.5, 0.99, 1.0))
    made.add_section()
    for what in ("champion", "run"):
        seconds = watch.pick_ups(what)
        made.add_row(f"a new {what} is answered from after", f"{len(seconds)} swaps", *milliseconds(seconds, 0.5, 0.99, 1.0))
    made.add_row("answers checked, of which mixed", f"{watch.checked:,}", "", "", f"{len(watch.mixed):,}")
    return made
