"""Generated requests against the running service, held against its OpenAPI description by schemathesis, with all its checks.

    python benchmarks/contract.py [--config configs/cdnow.yaml] [--requests 10000] [--seed 1] [--json FILE] [--url URL]

A tenth of the requests come without an API key, while there is none, the others with one. Uses the champion under
``FORETIER_HOME`` where there is one, otherwise trains first; works on a copy of the state, in which a few customers are scored,
so that whole lists are short. What schemathesis takes for an answer is in ``schemathesis.toml``. Prints what the service
counted, by path and status, and every failure; exit code 1 if there is one.

``--url``: of a service that runs already, on the state under ``FORETIER_HOME``: it is used as it is, and a key is created in it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from configs.settings import Environment, load_settings
from serving.key_store import KeyStore
from serving.keys import SCOPES, new_key

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
CUSTOMERS = 150
REQUESTS_PER_EXAMPLE = 10
"""At least: of one more example for each operation, and one more chain of linked requests."""
COVERAGE_REQUESTS = 420
RANDOM_PHASES = "fuzzing,stateful"


@dataclass
class Found:
    """What the runs found: test cases, answers by (path, status) as the service counted them, failures by check."""

    requests: int = 0
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def server_errors(self) -> int:
        return sum(count for (_, status), count in self.answers.items() if status >= 500)


def main() -> None:
    arguments = _arguments()
    found = Found()
    with (
        tempfile.TemporaryDirectory(prefix="foretier-contract-") as folder,
        _service(arguments, Path(folder)) as (url, store_url),
    ):
        _explore(found, url, None, arguments.seed, arguments.requests // 10, Path(folder))
        key = _new_key(store_url, url)
        _explore(found, url, key, arguments.seed, arguments.requests, Path(folder))
    _print(found)
    if arguments.json is not None:
        Path(arguments.json).write_text(json.dumps(_document(found)))
    sys.exit(1 if found.failures or found.server_errors else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--config", default=str(ROOT / "configs" / "cdnow.yaml"))
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="also write the counts to this file")
    parser.add_argument("--url", help="of a service that runs on the state under FORETIER_HOME, in which a key will be created")
    return parser.parse_args()


# The service


@contextmanager
def _service(arguments: argparse.Namespace, folder: Path) -> Iterator[tuple[str, str]]:
    """Give the address of the service, and of its store."""
    if arguments.url is not None:
        yield arguments.url, Environment.read().store_url
        return
    environment = _prepare(Path(arguments.config).absolute(), folder / "home")
    with _server(arguments.config, environment) as url:
        yield url, Environment.read(environment).store_url


def _prepare(config: Path, home: Path) -> dict[str, str]:
    """Make a state folder with a champion and a published run of a few customers; give the environment of its processes."""
    given = os.environ.get("FORETIER_HOME")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETIER_", "MLFLOW_"))}
    environment = {**kept, "FORETIER_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(ROOT)}
    if given is not None:
        shutil.copytree(given, home)
        for scores in home.glob("scores.db*"):
            scores.unlink()
    else:
        subprocess.run([sys.executable, "foretier.py", "train", "--config", str(config)], cwd=ROOT, env=environment, check=True)
    _publish(config, environment)
    return environment


def _publish(config: Path, variables: dict[str, str]) -> None:
    import narwhals as nw

    from features.orders import read_orders
    from models.registry import champion
    from serving.scoring import Scoring, default_as_of, score
    from serving.store import Store

    settings, environment, now = load_settings(config), Environment.read(variables), datetime.now(UTC)
    cleaned = read_orders(settings, today=now.date() + timedelta(days=1), rejected_to=None)
    ids = cleaned.orders.select("customer_id").unique().sort("customer_id").head(CUSTOMERS).collect()["customer_id"].to_list()
    found, as_of = champion(environment), default_as_of(cleaned.report.last_order_day)
    with Store(environment.store_url) as store:
        few = cleaned.orders.filter(nw.col("customer_id").is_in(ids))
        score(few, as_of - timedelta(days=30), found.model, store, Scoring(str(found.version), now))
        score(few, as_of, found.model, store, Scoring(str(found.version), now))


def _new_key(store_url: str, url: str) -> str:
    """Create a key that may do everything, and wait until the service asks for it."""
    record, key = new_key("contract", created_at=datetime.now(UTC), scopes=SCOPES)
    with KeyStore(store_url) as store:
        store.create(record)
    until = time.monotonic() + START_SECONDS
    while httpx.get(f"{url}/v1/model").status_code != 401:
        assert time.monotonic() < until, "the key was never asked for"
        time.sleep(0.1)
    return key


@contextmanager
def _server(config: str, environment: dict[str, str]) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = Path(environment["FORETIER_HOME"]) / "serve.log"
    command = [sys.executable, "foretier.py", "serve", "--config", str(Path(config).absolute()), "--port", str(port)]
    with log.open("w") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True)
    try:
        _wait(process, f"http://127.0.0.1:{port}/readyz", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(ready).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"{ready} is not ready: {log.read_text()[-2000:]}")


# The requests


def _explore(found: Found, url: str, key: str | None, seed: int, wanted: int, folder: Path) -> None:
    """Let schemathesis generate requests until there are as many as wanted, from one seed after the other.

    The phase that tries every bound of the description once comes first, where there is room for it, and only once.
    """
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    before, began = _answers(url, headers), time.monotonic()
    phases = "examples,coverage,fuzzing,stateful" if wanted > COVERAGE_REQUESTS else RANDOM_PHASES
    while (left := wanted - found.requests) > 0:
        spare = left if phases == RANDOM_PHASES else left - COVERAGE_REQUESTS
        examples = max(5, min(1000, spare // REQUESTS_PER_EXAMPLE))
        _schemathesis(found, url, headers, folder / "report.json", {"seed": seed, "max-examples": examples, "phases": phases})
        phases, seed = RANDOM_PHASES, seed + 1
    found.answers += _answers(url, headers) - before
    found.seconds += time.monotonic() - began


def _schemathesis(found: Found, url: str, headers: dict[str, str], report: Path, how: dict[str, Any]) -> None:
    options = how | {
        "checks": "all", "request-timeout": 60, "generation-database": "none", "report": "json", "report-json-path": report,
        "warnings": "off",
    }  # fmt: skip
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(ROOT / "schemathesis.toml"), "run"]
    command += [f"{url}/openapi.json", "--no-color", "--continue-on-failure"]
    command += [f"--{name}={value}" for name, value in options.items()]
    command += [f"--header={name}: {value}" for name, value in headers.items()]
    variables = {**os.environ, "SCHEMATHESIS_HOOKS": "benchmarks.contract_checks", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=report.parent, env=variables, capture_output=True, text=True, check=False)
    if not report.exists():
        raise SystemExit(done.stdout[-4000:] + done.stderr[-4000:])
    told = json.loads(report.read_text())
    report.unlink()
    found.requests += told["test_cases"]["generated"]
    for failure in told["failures"]:
        found.failures[f"{failure['title']}: {', '.join(failure['operations'])}"] += failure["count"]
    for error in told["errors"]:
        found.failures[error["title"]] += error["count"]
    if told["failures"] or told["errors"]:
        lines = (line[:1000] for line in done.stdout.splitlines())
        Console(stderr=True).print("\n".join(lines), markup=False, highlight=False)


def _answers(url: str, headers: dict[str, str]) -> Counter[tuple[str, int]]:
    """What the service counted."""
    text = httpx.get(f"{url}/metrics", headers=headers).raise_for_status().text
    samples = [one for family in text_string_to_metric_families(text) for one in family.samples]
    counted = (one for one in samples if one.name == "foretier_requests_total")
    return Counter({(one.labels["route"], int(one.labels["status"])): int(one.value) for one in counted})


# The figures


def _document(found: Found) -> dict[str, Any]:
    return {
        "requests": found.requests,
        "answers": [{"path": path, "status": status, "count": count} for (path, status), count in sorted(found.answers.items())],
        "failures": dict(found.failures),
        "server_errors": found.server_errors,
    }


def _print(found: Found) -> None:
    statuses = sorted({status for _, status in found.answers})
    table = Table(title=f"{found.requests:,} generated requests in {found.seconds:,.0f} s, answers by path and status")
    for heading in ("path", *map(str, statuses)):
        table.add_column(heading, justify="left" if heading == "path" else "right")
    for path in sorted({path for path, _ in found.answers}):
        table.add_row(path, *(f"{found.answers[path, status]:,}" if found.answers[path, status] else "" for status in statuses))
    table.add_section()
    table.add_row("all", *(f"{sum(n for (_, one), n in found.answers.items() if one == status):,}" for status in statuses))
    screen = Console()
    screen.print(table)
    screen.print(f"5xx: {found.server_errors}; failures: {found.failures.total()}")
    for failure, count in found.failures.most_common():
        screen.print(f"  {count:,} x {failure}", markup=False, highlight=False)


if __name__ == "__main__":
    main()
