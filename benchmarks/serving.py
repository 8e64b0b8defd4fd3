"""Latency of the HTTP service at 8 connections, beside a bare BentoML echo in the same run, on loopback.

    python benchmarks/serving.py [--config configs/cdnow.yaml] [--seconds 5] [--connections 8]

Uses the champion and the published run under ``FORETIER_HOME`` where there are any; otherwise trains and scores first,
in a folder of its own. Every connection sends its next request when the last one is answered; the client is a bare
socket, so that it takes little of the processors that the server needs. Prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
ORDERS = [
    {"ordered_at": f"199{year}-{month:02d}-15", "amount": 10.0 + month, "items": 2} for year in (7,) for month in range(1, 13, 2)
]


@dataclass(frozen=True)
class Load:
    """One kind of request; ``bodies`` are sent in turn."""

    name: str
    port: int
    requests: list[bytes]


def main() -> None:
    """Run all loads and print them."""
    arguments = _arguments()
    home = Path(os.environ.get("FORETIER_HOME") or tempfile.mkdtemp(prefix="foretier-benchmark-"))
    environment = {**os.environ, "FORETIER_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONPATH": str(ROOT)}
    config = str(Path(arguments.config).absolute())
    _prepare(config, environment)
    port, echo_port = _free_port(), _free_port()
    serve = [sys.executable, "foretier.py", "serve", "--config", config, "--port", str(port)]
    echo = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "echo_service:Echo",
        "--host",
        "127.0.0.1",
        "--port",
        str(echo_port),
    ]
    table = Table(title=f"{arguments.connections} connections, {arguments.seconds:g} s each, {os.cpu_count()} processors")
    for heading in ("request", "requests/s", "p50 ms", "p95 ms", "p99 ms", "answers"):
        table.add_column(heading, justify="left" if heading == "request" else "right")
    with (
        tempfile.TemporaryDirectory() as bentoml_home,
        _server(serve, ROOT, environment, f"http://127.0.0.1:{port}/readyz"),
        _server(echo, ROOT / "benchmarks", {**environment, "BENTOML_HOME": bentoml_home}, f"http://127.0.0.1:{echo_port}/readyz"),
    ):
        for load in _loads(port, echo_port):
            asyncio.run(_measure(load, arguments.connections, 1.0))
            latencies = asyncio.run(_measure(load, arguments.connections, arguments.seconds))
            table.add_row(load.name, *_figures(latencies, arguments.seconds))
    Console().print(table)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--config", default=str(ROOT / "configs" / "cdnow.yaml"))
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=8)
    return parser.parse_args()


def _prepare(config: str, environment: dict[str, str]) -> None:
    if (Path(environment["FORETIER_HOME"]) / "scores.db").exists():
        return
    for command in ("train", "score"):
        subprocess.run([sys.executable, "foretier.py", command, "--config", config], cwd=ROOT, env=environment, check=True)


@contextmanager
def _server(command: list[str], folder: Path, environment: dict[str, str], ready: str) -> Iterator[None]:
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(process, ready)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _wait(process: subprocess.Popen[bytes], ready: str) -> None:
    until, last = time.monotonic() + START_SECONDS, "no answer"
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(ready, timeout=2).read()  # noqa: S310 - loopback
        except urllib.error.HTTPError as error:
            last = error.read().decode()
        except OSError as error:
            last = str(error)
        else:
            return
        time.sleep(0.1)
    raise SystemExit(f"{ready} is not ready: {last}")


def _loads(port: int, echo_port: int) -> Iterator[Load]:
    page = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/lists/churn-risk?limit=1000"))
    ids = [row["customer_id"] for row in page["customers"]]
    one, ten = _body(1), _body(10)
    yield Load("GET /v1/customers/{id}", port, [_request("GET", f"/v1/customers/{quote(one_id, safe='')}") for one_id in ids])
    yield Load("POST /v1/predictions, 1 customer", port, [_request("POST", "/v1/predictions", one)])
    yield Load("POST /v1/predictions, 10 customers", port, [_request("POST", "/v1/predictions", ten)])
    yield Load("GET /livez", port, [_request("GET", "/livez")])
    yield Load("bare BentoML echo, POST of 1 customer", echo_port, [_request("POST", "/echo", {"payload": one})])


def _body(customers: int) -> dict[str, Any]:
    return {"customers": [{"customer_id": f"new-{number}", "orders": ORDERS} for number in range(customers)]}


def _request(method: str, path: str, document: Any = None) -> bytes:
    body = b"" if document is None else json.dumps(document).encode()
    headers = f"host: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\n{headers}\r\n".encode() + body


async def _measure(load: Load, connections: int, seconds: float) -> list[float]:
    until = time.perf_counter() + seconds
    found = await asyncio.gather(*(_connection(load, number, until) for number in range(connections)))
    return [latency for one in found for latency in one]


async def _connection(load: Load, number: int, until: float) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", load.port)
    latencies, turn = [], number
    while (start := time.perf_counter()) < until:
        writer.write(load.requests[turn % len(load.requests)])
        await _answer(reader)
        latencies.append(time.perf_counter() - start)
        turn += 1
    writer.close()
    await writer.wait_closed()
    return latencies


async def _answer(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
    body = await reader.readexactly(length)
    if b" 200 " not in lines[0]:
        raise SystemExit(f"not 200: {lines[0].decode()} {body[:300].decode()}")


def _figures(latencies: list[float], seconds: float) -> tuple[str, ...]:
    ordered = sorted(latencies)
    percentiles = (ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000 for share in (0.50, 0.95, 0.99))
    return f"{len(ordered) / seconds:,.0f}", *(f"{value:.1f}" for value in percentiles), f"{len(ordered):,}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
