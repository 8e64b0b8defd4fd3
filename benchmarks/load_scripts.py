"""The scripts beside this one that measure more of the service: the contract, and publishing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from load_figures import Figure, progress
from load_servers import BENCHMARKS, ROOT, Home
from rich.console import Console

GENERATED = 10_000
CUSTOMERS = 1_000_000
PUBLISH_SECONDS = 60.0


def contract(home: Home, console: Console) -> list[Figure]:
    """Generated requests, held against the service's OpenAPI description."""
    found = _run(home, console, "contract", "--config", str(home.config), "--requests", str(GENERATED))
    failures, errors = sum(found["failures"].values()), found["server_errors"]
    told = f"{found['requests']:,} requests, {failures:,} failures of checks, {errors:,} answers 5xx"
    met = failures == errors == 0 and found["requests"] >= GENERATED
    return [Figure(f"{GENERATED:,} generated requests, all checks of schemathesis", "all pass, no 5xx", told, met)]


def publishing(home: Home, console: Console) -> list[Figure]:
    """A million customers with drivers, published to SQLite and PostgreSQL."""
    found = _run(home, console, "publishing", "--customers", str(CUSTOMERS))
    what = f"{CUSTOMERS:,} customers with drivers are published to"
    return [_published(f"{what} {store}", seconds) for store, seconds in found["seconds_until_readers_see_it"].items()]


def _published(what: str, seconds: list[float]) -> Figure:
    """``seconds``: into an empty store, and beside an old run; empty where there is no such database."""
    asked = f"under {PUBLISH_SECONDS:g} s"
    if not seconds:
        return Figure(what, asked, "not measured: there is no such database here", None)
    told = " and ".join(
        f"{one:.1f} s {where}" for one, where in zip(seconds, ("into an empty store", "beside a run"), strict=True)
    )
    return Figure(what, asked, told, max(seconds) < PUBLISH_SECONDS)


def _run(home: Home, console: Console, name: str, *arguments: str) -> dict[str, Any]:
    """Run a script, show what it prints, and read the figures it wrote."""
    file = home.scratch / f"{name}.json"
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), "--json", str(file), *arguments]
    with progress(console, f"{name}: takes some minutes"):
        ran = subprocess.run(command, cwd=ROOT, env=home.variables(), capture_output=True, text=True, check=False)
    console.print(ran.stdout, markup=False, highlight=False)
    if not file.exists():
        raise SystemExit(f"{Path(command[1]).name} failed: {ran.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(file.read_text())
    return found
