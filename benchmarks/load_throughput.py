"""Requests a second and latency beside ``mlflow models serve`` of the same booster and a bare BentoML echo.

All servers run at the same time, with the one worker that each has by default, and are asked in turn, round after round: what
else this machine does meets them all alike. A figure is the median of its rounds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from load_client import Request, Tally, for_seconds, hammer, percentile, run
from load_figures import Figure, Show, answer, progress, table
from load_requests import ECHO, LOOKUP, MLFLOW, PREDICT, PREDICT_TEN, echoes, lookups, model_rows, predictions, served_at
from load_servers import BENCHMARKS, Home, Server, bare_bentoml, mlflow_models, ours
from rich.console import Console
from rich.table import Table

ROUNDS = 3
WARM_UP_SECONDS = 0.5
PEERS = {PREDICT: (MLFLOW, 4.0), LOOKUP: (ECHO, 1.0)}
"""With what a kind of request is compared, and how many times its requests a second it should have."""


@dataclass(frozen=True)
class Load:
    """One kind of request, and its server."""

    kind: str
    server: Server
    requests: Iterator[Request]


@dataclass(frozen=True)
class Round:
    """One round of one load: requests a second, seconds of the processor for each, and seconds by percentile."""

    rate: float
    processor: float
    p50: float
    p95: float
    p99: float


Found = Mapping[tuple[str, int], list[Round]]


def throughput(home: Home, console: Console, *, seconds: float, connections: list[int]) -> list[Figure]:
    """Measure all servers, and print them beside each other."""
    with progress(console, "throughput: starting the servers") as show, ours(home) as our, bare_bentoml(home) as echo:
        model, columns = _saved_booster(home)
        with mlflow_models(home, model) as peer:
            served = served_at(our.port)
            loads = [
                Load(PREDICT, our, predictions(served.as_of)),
                Load(MLFLOW, peer, model_rows(columns)),
                Load(LOOKUP, our, lookups(served.ids)),
                Load(ECHO, echo, echoes(served.ids)),
                Load(PREDICT_TEN, our, predictions(served.as_of, 10, PREDICT_TEN)),
            ]
            found = _rounds(loads, connections, seconds / ROUNDS, show)
    for number in connections:
        console.print(_table(found, number, seconds))
    return [_figure(found, kind, connections) for kind in PEERS]


def _saved_booster(home: Home) -> tuple[Path, list[str]]:
    """Save the champion's purchase booster for MLflow, in a process of its own; gives the names of its inputs too."""
    folder = home.scratch / "booster"
    command = [
        sys.executable,
        "-P",
        str(BENCHMARKS / "load_booster.py"),
        str(folder),
    ]  # -P: features.py beside it is not ours to import
    ran = subprocess.run(command, env=home.variables(), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"the booster cannot be saved for MLflow: {ran.stderr[-2000:]}")
    return folder, json.loads(ran.stdout.splitlines()[-1])


def _rounds(loads: list[Load], connections: list[int], seconds: float, show: Show) -> Found:
    found: dict[tuple[str, int], list[Round]] = {}
    turns = [(load, number) for _ in range(ROUNDS) for number in connections for load in loads]
    for turn, (load, number) in enumerate(turns):
        show(turn / len(turns), f"{load.kind}, {number} connections")
        _measured(load, number, WARM_UP_SECONDS)
        found.setdefault((load.kind, number), []).append(_measured(load, number, seconds))
    return found


def _measured(load: Load, connections: int, seconds: float) -> Round:
    tally, used = Tally(), load.server.processor_seconds()
    run(hammer(load.server.port, connections, load.requests, for_seconds(seconds), tally))
    used = load.server.processor_seconds() - used
    taken = tally.seconds.get(load.kind, [])
    if len(taken) != tally.requests:
        raise SystemExit(f"{load.kind}: not all answers are 200: {tally.strange or tally.by_status()} {dict(tally.lost)}")
    return Round(len(taken) / seconds, used / len(taken), *(percentile(taken, share) for share in (0.50, 0.95, 0.99)))


def _table(found: Found, connections: int, seconds: float) -> Table:
    plural = "s" if connections > 1 else ""
    caption = f"{seconds:g} s each in {ROUNDS} rounds, taken in turn; medians; CPU: of all processes of the server"
    made = table(f"{connections} connection{plural}", *_HEADINGS, caption=caption)
    for kind in (one for one, number in found if number == connections):
        rounds = found[kind, connections]
        columns = zip(*((one.p50, one.p95, one.p99, one.processor) for one in rounds), strict=True)
        times = (f"{median(values) * 1000:.2f}" for values in columns)
        made.add_row(kind, f"{_rate(found, kind, connections):,.0f}", *times, *_beside(found, kind, connections))
    return made


_HEADINGS = ("request", "requests/s", "p50 ms", "p95 ms", "p99 ms", "CPU ms each", "times the peer", "asked", "met")


def _beside(found: Found, kind: str, connections: int) -> tuple[str, str, str]:
    if kind not in PEERS:
        return "", "", ""
    ratio, asked = _ratio(found, kind, connections), PEERS[kind][1]
    return f"{ratio:.2f}", f"{asked:g}", answer(ratio >= asked)


def _ratio(found: Found, kind: str, connections: int) -> float:
    """The median of the rounds' ratios: the two of a round are neighbours in time."""
    pairs = zip(found[kind, connections], found[PEERS[kind][0], connections], strict=True)
    return median(ours.rate / theirs.rate for ours, theirs in pairs)


def _figure(found: Found, kind: str, connections: list[int]) -> Figure:
    """What each server can do at its best is compared, and told beside it what they do at each number of connections."""
    peer, asked = PEERS[kind]
    ours, theirs = (max(_rate(found, one, number) for number in connections) for one in (kind, peer))
    ratios = ", ".join(f"{_ratio(found, kind, number):.2f} at {number}" for number in connections)
    told = f"{ours / theirs:.2f} times at their best ({ours:,.0f} and {theirs:,.0f}); {ratios} connections"
    return Figure(f"requests/s of {kind}, beside {peer}", f"at least {asked:g} times", told, ours / theirs >= asked)


def _rate(found: Found, kind: str, connections: int) -> float:
    return median(one.rate for one in found[kind, connections])
