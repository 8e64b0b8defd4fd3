"""Two hundred thousand requests: latency over time, and whether memory, open files or threads grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from statistics import linear_regression

import psutil
from load_client import Answer, Request, Tally, hammer, percentile, run
from load_figures import Figure, Show, milliseconds, progress, table
from load_requests import LOOKUP, PREDICT, mixed, served_at
from load_servers import MEGABYTE, Home, ours
from rich.console import Console
from rich.table import Table

CONNECTIONS = 16
POST_SHARE = 0.2
WINDOWS = 10
WARM_UP = 0.2
"""Share of the requests in which memory may grow: caches fill, threads start."""
SAMPLES = 400
LIMIT_SECONDS = 420.0
SETTLE_SECONDS = 2.0
PER = 100_000


@dataclass(frozen=True)
class Held:
    """What the worker holds: open files (sockets among them), threads, resident memory in MB."""

    files: int
    threads: int
    megabytes: float


@dataclass
class Window:
    """A tenth of the requests."""

    tally: Tally = field(default_factory=Tally)
    seconds: float = 0.0
    megabytes: float = 0.0


@dataclass
class Soak:
    """What is known of a soak so far; ``samples``: requests answered, and MB of the worker then."""

    worker: psutil.Process
    requests: int
    show: Show
    began: float = field(default_factory=time.perf_counter)
    answered: int = 0
    samples: list[tuple[int, float]] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    def note(self, _: Request, __: Answer) -> float:
        """Count an answer, and look at the memory now and then."""
        self.answered += 1
        if self.answered % max(self.requests // SAMPLES, 1) == 0:
            self.samples.append((self.answered, _megabytes(self.worker)))
            self.show(self.answered / self.requests, f"{self.answered:,} requests, {self.samples[-1][1]:.0f} MB")
        return 0.0

    def within(self, requests: int) -> Callable[[], bool]:
        """Give what says whether so many are not answered yet, and there is time left."""
        return lambda: self.answered < requests and time.perf_counter() - self.began < LIMIT_SECONDS

    def slope(self) -> float:
        """MB per 100,000 requests after the warm-up, by least squares."""
        counts, megabytes = zip(*(one for one in self.samples if one[0] >= WARM_UP * self.requests), strict=True)
        return float(linear_regression(counts, megabytes).slope) * PER


def soak(home: Home, console: Console, *, requests: int) -> list[Figure]:
    """Ask so many times and print how the server bears it."""
    with progress(console, "soak: starting the server") as show, ours(home) as server:
        served, worker = served_at(server.port), server.worker()
        before, found = _held(worker), Soak(worker, requests, show)
        run(_asked(server.port, mixed(served, POST_SHARE), found))
        time.sleep(SETTLE_SECONDS)
        after = _held(worker)
    console.print(_windows(found), _growth(before, after, found))
    return _figures(before, after, found)


async def _asked(port: int, requests: Iterator[Request], found: Soak) -> None:
    for number in range(WINDOWS):
        window, start = Window(), time.perf_counter()
        upto = found.requests * (number + 1) // WINDOWS
        await hammer(port, CONNECTIONS, requests, found.within(upto), window.tally, found.note)
        window.seconds, window.megabytes = time.perf_counter() - start, _megabytes(found.worker)
        if window.tally.requests:
            found.windows.append(window)


def _windows(found: Soak) -> Table:
    made = table(
        f"{found.answered:,} requests over {CONNECTIONS} connections, {POST_SHARE:.0%} POST of 1 customer, the others GET",
        "requests", "requests/s", "GET p50 ms", "GET p99 ms", "POST p50 ms", "POST p99 ms", "not 200", "worker MB", text=0,
    )  # fmt: skip
    done = 0
    for window in found.windows:
        done += window.tally.requests
        gets, posts = (window.tally.seconds.get(kind, []) for kind in (LOOKUP, PREDICT))
        rate, failed = window.tally.requests / window.seconds, window.tally.failed
        times = (*milliseconds(gets, 0.5, 0.99), *milliseconds(posts, 0.5, 0.99))
        made.add_row(f"{done:,}", f"{rate:,.0f}", *times, f"{failed:,}", f"{window.megabytes:.1f}")
    return made


def _growth(before: Held, after: Held, found: Soak) -> Table:
    made = table("The worker process", "", "before", "after")
    made.add_row("resident memory, MB", f"{before.megabytes:.1f}", f"{after.megabytes:.1f}")
    made.add_row("open files and sockets", str(before.files), str(after.files))
    made.add_row("threads", str(before.threads), str(after.threads))
    made.add_row(f"MB per {PER:,} requests, by least squares after the first {WARM_UP:.0%}", "", f"{found.slope():+.2f}")
    return made


def _figures(before: Held, after: Held, found: Soak) -> list[Figure]:
    gets, posts = ([one for window in found.windows for one in window.tally.seconds.get(kind, [])] for kind in (LOOKUP, PREDICT))
    failed = sum(window.tally.failed for window in found.windows)
    said = next((window.tally.said for window in found.windows if window.tally.said), "")
    times = f"p99 GET {percentile(gets, 0.99) * 1000:.1f} ms, POST {percentile(posts, 0.99) * 1000:.1f} ms"
    what = f"soak of {found.requests:,} requests"
    done = f"{found.answered:,} answered, {failed:,} of them not 200{f' ({said})' if said else ''}"
    return [
        Figure(what, "all answered, p99 printed", f"{done}; {times}", failed == 0 and found.answered >= found.requests),
        Figure("memory slope of the worker", "printed", f"{found.slope():+.2f} MB per {PER:,} requests", None),
        Figure(
            "open files and threads of the worker over the soak", "printed",
            f"files {before.files} to {after.files}, threads {before.threads} to {after.threads}", None,
        ),
    ]  # fmt: skip


def _held(worker: psutil.Process) -> Held:
    return Held(worker.num_fds(), worker.num_threads(), _megabytes(worker))


def _megabytes(worker: psutil.Process) -> float:
    return float(worker.memory_info().rss) / MEGABYTE
