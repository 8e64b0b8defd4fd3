"""What a service must bear: a registry that goes away, and champions whose files are damaged."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from load_client import Tally, hammer, run
from load_figures import Figure, Show, answer, progress, table
from load_requests import mixed, served_at
from load_servers import BENCHMARKS, ROOT, Home, Server, free_port, mlflow_server, ours
from rich.console import Console

CONNECTIONS = 8
POST_SHARE = 0.2
LEAST_SECONDS = 5.0
KNOWN_SECONDS = 60.0
REFUSE_SECONDS = 3.0
Step = Callable[[], object]


@dataclass(frozen=True)
class Borne:
    """One fault: what was answered meanwhile, what ``/readyz`` said of it, and of its end where there was one."""

    what: str
    tally: Tally
    said: str
    mended: bool | None

    @property
    def met(self) -> bool:
        """All were answered with 200, and ``/readyz`` told the truth."""
        return self.tally.requests > 0 and not self.tally.failed and bool(self.said) and self.mended is not False


@dataclass(frozen=True)
class Refused:
    """A start that was refused."""

    what: str
    code: int
    seconds: float
    lines: list[str]

    @property
    def met(self) -> bool:
        return self.code > 0 and self.seconds < REFUSE_SECONDS and len(self.lines) == 1


def faults(home: Home, console: Console) -> list[Figure]:
    """Let things fail, and print how it is borne."""
    with progress(console, "faults") as show:
        borne = list(_all_borne(home, show))
        show(0.9, "damaged champion at start")
        refused = [*_damaged_at_start(home.copy("damaged-at-start"))]
    made = table(f"Faults while {CONNECTIONS} connections ask", "", "/readyz says", "requests", "not 200", "well again", text=2)
    for one in borne:
        made.add_row(one.what, one.said or "nothing", f"{one.tally.requests:,}", f"{one.tally.failed:,}", answer(one.mended))
    made.add_section()
    for start in refused:
        made.add_row(start.what, " ".join(start.lines), f"exit code {start.code}", f"{start.seconds:.1f} s", answer(start.met))
    console.print(made)
    return [*(_figure(one) for one in borne), *(_refusal_figure(one) for one in refused)]


def _all_borne(home: Home, show: Show) -> list[Borne]:
    show(0.0, "registry file away")
    found = [_registry_file_away(home.copy("registry-away"))]
    show(0.3, "tracking server killed")
    found.append(_tracking_server_killed(home.copy("tracking-away")))
    show(0.6, "damaged champion at reload")
    found.append(_damaged_at_reload(home.copy("damaged")))
    return found


def _figure(one: Borne) -> Figure:
    told = f"{one.tally.requests:,} requests, {one.tally.failed:,} not 200; /readyz {'says so' if one.said else 'says nothing'}"
    again = {None: "", True: ", and is well again", False: ", and stays so when it is over"}[one.mended]
    return Figure(one.what, "all 200, and /readyz says so", told + again, one.met)


def _refusal_figure(one: Refused) -> Figure:
    told = f"exit code {one.code} after {one.seconds:.1f} s, {len(one.lines)} line of output"
    return Figure(one.what, f"exit code and one line within {REFUSE_SECONDS:g} s", told, one.met)


def _registry_file_away(home: Home) -> Borne:
    file, elsewhere = home.folder / "mlflow.db", home.folder / "elsewhere.db"
    with ours(home) as server:
        return run(_borne("registry's file moved away", server, lambda: file.rename(elsewhere), lambda: elsewhere.replace(file)))


def _tracking_server_killed(home: Home) -> Borne:
    with mlflow_server(home) as tracking, ours(replace(home, tracking=f"http://127.0.0.1:{tracking.port}")) as server:
        return run(_borne("tracking server killed", server, lambda: [one.kill() for one in tracking.tree()], None))


def _damaged_at_reload(home: Home) -> Borne:
    with ours(home) as server:
        return run(_borne("damaged champion promoted", server, lambda: _damage(home), lambda: _damage(home, "back")))


async def _borne(what: str, server: Server, begin: Step, end: Step | None) -> Borne:
    """Let it happen under load until ``/readyz`` tells it, and then end until ``/readyz`` is well again."""
    tally, over, served = Tally(), asyncio.Event(), await asyncio.to_thread(served_at, server.port)
    requests = mixed(served, POST_SHARE)
    asking = asyncio.create_task(hammer(server.port, CONNECTIONS, requests, lambda: not over.is_set(), tally))
    await asyncio.sleep(1.0)
    await asyncio.to_thread(begin)
    said = await _until(server, faulty=True)
    await asyncio.sleep(LEAST_SECONDS)
    mended = None
    if end is not None:
        await asyncio.to_thread(end)
        mended = not await _until(server, faulty=False)
    over.set()
    await asking
    return Borne(what, tally, said, mended)


async def _until(server: Server, *, faulty: bool) -> str:
    """Wait until ``/readyz`` tells a fault, or none; gives what it said last."""
    until, said = time.monotonic() + KNOWN_SECONDS, ""
    while time.monotonic() < until:
        said = "; ".join(await asyncio.to_thread(server.faults))
        if bool(said) == faulty:
            return said
        await asyncio.sleep(0.2)
    return said


def _damaged_at_start(home: Home) -> Iterator[Refused]:
    """Start twice: what was promoted by another program has to be asked of MLflow, which is known the second time."""
    _damage(home)
    for what in ("damaged champion at start, new to this machine", "damaged champion at start, known from before"):
        yield _start(what, home)


def _start(what: str, home: Home) -> Refused:
    command = [sys.executable, str(ROOT / "foretier.py"), "serve", "--port", str(free_port())]
    began = time.monotonic()
    try:
        ran = subprocess.run(
            command, cwd=ROOT, env=home.variables(), capture_output=True, text=True, check=False, timeout=KNOWN_SECONDS
        )
    except subprocess.TimeoutExpired:
        return Refused(what, 0, KNOWN_SECONDS, [])
    seconds = time.monotonic() - began
    return Refused(what, ran.returncode, seconds, [line for line in (ran.stdout + ran.stderr).splitlines() if line.strip()])


def _damage(home: Home, *arguments: str) -> None:
    command = [sys.executable, "-P", str(BENCHMARKS / "load_damage.py"), *arguments]
    ran = subprocess.run(command, env=home.variables(), capture_output=True, text=True, check=False)
    if ran.returncode:
        raise SystemExit(f"{' '.join(command[2:])} failed: {ran.stderr[-2000:]}")
