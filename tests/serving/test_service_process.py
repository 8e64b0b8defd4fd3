"""The service as real processes on loopback: started, filled while it runs, asked, and ended."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import narwhals as nw
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
RUN_SERVER = """
import sys
from pathlib import Path
from serving.serve import run_server
run_server("127.0.0.1", int(sys.argv[1]), Path(sys.argv[2]))
"""
START_SECONDS = 60.0


class Server:
    """A server process and a client of it."""

    def __init__(self, process: subprocess.Popen[str], port: int, log: Path) -> None:
        self.process, self.port, self._log = process, port, log
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def wait(self, path: str, status: int) -> httpx.Response:
        """Ask until the answer has this status."""
        until, last = time.monotonic() + START_SECONDS, "nothing"
        while time.monotonic() < until:
            assert self.process.poll() is None, self.log()
            try:
                response = self.client.get(path)
            except httpx.TransportError as error:
                last = str(error)
            else:
                last = response.text
                if response.status_code == status:
                    return response
            time.sleep(0.05)
        raise AssertionError(f"{path} never answered {status}, but {last}; {self.log()}")

    def processes(self) -> list[psutil.Process]:
        """The process and all below it."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(errors="replace")


@contextmanager
def serving(command: list[str], folder: Path, variables: dict[str, str], port: int, log: Path) -> Iterator[Server]:
    """Run a server; whatever is left of it is killed at the end."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
        )
    server = Server(process, port, log)
    left: list[psutil.Process] = []
    try:
        yield server
    finally:
        server.client.close()
        if process.poll() is None:
            left = server.processes()
        for one in left:
            one.kill()
        process.wait()


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory, state: Any) -> dict[str, str]:
    """The environment of the servers: a home of its own, in which nothing is yet."""
    home = tmp_path_factory.mktemp("served")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETIER_", "MLFLOW_", "BENTOML_"))}
    return {
        **kept,
        "FORETIER_HOME": str(home),
        "FORETIER_CONFIG": str(state.settings_path),
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "2",
        "BENTOML_HOME": str(tmp_path_factory.mktemp("bentoml")),
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def publish(state: Any, variables: dict[str, str]) -> None:
    """Score and publish in a home."""
    from configs.settings import Environment
    from serving.scoring import Scoring, score
    from serving.store import Store

    with Store(Environment.read(variables).store_url) as store:
        score(state.orders, state.run.terms.as_of, state.model, store, Scoring("1", state.run.created_at))


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, variables: dict[str, str], state: Any, make_champion: Callable[[Path], None]
) -> Iterator[Server]:
    """A server that was started before there was anything to serve, and then got a champion and a published run."""
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    command = [sys.executable, "-c", RUN_SERVER, str(port), str(state.settings_path)]
    alone = {**variables, "TMPDIR": str(folder)}
    del alone["BENTOML_HOME"]
    with serving(command, folder, alone, port, folder / "log") as server:
        assert server.wait("/livez", 200).json() == {"status": "ok"}
        assert server.wait("/readyz", 503).json()["error"]["code"] == "not_ready"
        make_champion(Path(variables["FORETIER_HOME"]))
        publish(state, variables)
        assert server.wait("/readyz", 200).json() == {"status": "ok", "faults": []}
        yield server
        assert_ends_clean(server)
        assert list(folder.glob("foretier-bentoml-*")) == []


def assert_ends_clean(server: Server) -> None:
    """SIGTERM ends all processes soon, with exit code 0."""
    processes = server.processes()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0, server.log()
    _, left = psutil.wait_procs(processes, timeout=5)
    assert left == []


def big_request(customers: int = 400) -> dict[str, Any]:
    """A request that takes the model a while."""
    orders = [{"ordered_at": f"1997-{month:02d}-11", "amount": 10.5 + month} for month in range(1, 13)]
    return {"customers": [{"customer_id": f"c{number}", "orders": orders} for number in range(customers)]}


def test_lookups_and_requests_agree(server: Server, state: Any) -> None:
    for customer_id in ("0188", "a/b c", "Zoë 😀%2F", "..\\x?y#z&=+"):
        found = server.client.get(f"/v1/customers/{quote(customer_id, safe='')}")
        assert found.status_code == 200
        assert found.json()["customer_id"] == customer_id
        rows = state.orders.filter(nw.col("customer_id") == customer_id).collect().to_pandas()
        orders = [
            {
                "order_id": row.order_id,
                "ordered_at": row.ordered_at.isoformat(),
                "amount": row.amount,
                "items": row["items"],
            }
            for _, row in rows.iterrows()
        ]
        asked = {"customers": [{"customer_id": customer_id, "orders": orders}]}
        [prediction] = server.client.post("/v1/predictions", json=asked).json()["predictions"]
        for name in (
            "predicted_value", "churn_risk", "value_at_risk", "tier_probability", "expected_orders", "expected_order_value",
        ):  # fmt: skip
            assert prediction[name] == pytest.approx(found.json()[name], rel=1e-9, abs=1e-9)
        assert prediction["value_interval"] == pytest.approx(found.json()["value_interval"], rel=1e-9, abs=1e-9)
        for name in (
            "tier",
            "past_spend_tier",
            "lifecycle_stage",
            "rfm_segment",
            "abc_class",
            "as_of",
            "model_version",
            "grade",
            "tier_by_value",
            "uncertain",
            "next_order",
        ):
            assert prediction[name] == found.json()[name]
        [longer] = server.client.post("/v1/predictions", json=asked | {"horizon_days": 365}).json()["predictions"]
        assert (longer["horizon_days"], longer["horizon_end"], longer["tier"]) == (365, "1999-07-01", prediction["tier"])
        assert longer["predicted_value"] > prediction["predicted_value"]
        assert longer["churn_risk"] < prediction["churn_risk"]


@pytest.mark.parametrize(
    "path",
    [
        "/schema.json",
        "/docs.json",
        "/healthz",
        "/static_content/index.html",
        "/static_content/swagger-ui.css",
        "/api/predict",
        "/v1",
        "/%00",
        "/v1/customers/%FF",
    ],
)
def test_nothing_else_of_bentoml_can_be_reached(server: Server, path: str) -> None:
    response = server.client.get(path)
    assert response.status_code in (400, 404)
    assert set(response.json()) == {"error"}


def test_metrics_do_not_grow_with_ids_and_paths(server: Server) -> None:
    def series() -> set[str]:
        lines = server.client.get("/metrics").text.splitlines()
        return {line.rpartition(" ")[0] for line in lines if not line.startswith("#")}

    for path in ("/v1/customers/nobody", "/metrics", "/strange"):
        server.client.get(path)
    server.client.request("VERB", "/v1/tiers")
    before = series()
    assert any("/v1/customers/{customer_id}" in line for line in before)
    for number in range(150):
        server.client.get(f"/v1/customers/someone-{number}")
        server.client.get(f"/strange/{number}")
        server.client.request(f"VERB{number}", "/v1/tiers")
    assert series() == before
    assert "someone" not in server.log()


def test_a_body_declared_too_large_is_answered_before_it_is_sent(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plug:
        plug.sendall(
            b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 10000000000\r\nExpect: 100-continue\r\n\r\n"
        )
        answer = http.client.HTTPResponse(plug)
        answer.begin()
        assert answer.status == 413
        assert json.loads(answer.read())["error"]["code"] == "payload_too_large"
        assert plug.recv(100) == b""


def test_an_endless_body_is_cut_off(server: Server) -> None:
    head = b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    sent, chunk = 0, b"10000\r\n" + b" " * 65536 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plug:
        plug.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            while sent < 100_000_000:
                plug.sendall(chunk)
                sent += len(chunk)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert sent < 20_000_000


def test_what_is_no_http_and_what_wants_another_protocol_get_an_answer_in_our_shape(server: Server) -> None:
    def answer(sent: bytes) -> tuple[int, str]:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as plug:
            plug.sendall(sent)
            found = http.client.HTTPResponse(plug)
            found.begin()
            return found.status, json.loads(found.read())["error"]["code"]

    assert answer(b"HELLO\r\n\r\n") == (400, "invalid_request")
    upgrade = b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    assert answer(b"GET /nowhere HTTP/1.1\r\n" + upgrade + b"Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n\r\n")[0] == 404


def test_headers_that_do_not_come_are_not_waited_for(server: Server) -> None:
    """The settings of the state give headers one second."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as silent:
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
            slow.sendall(b"GET /livez HTTP/1.1\r\n")
            found = http.client.HTTPResponse(slow)
            found.begin()
            assert (found.status, json.loads(found.read())["error"]["code"]) == (408, "request_timeout")
            assert slow.recv(100) == b""
        assert silent.recv(12) == b"HTTP/1.1 408"


def test_head_answers_without_a_body(server: Server) -> None:
    response = server.client.head("/v1/tiers")
    assert (response.status_code, response.content) == (200, b"")


def test_a_large_request_does_not_hold_up_the_others(server: Server) -> None:
    answers: list[httpx.Response] = []
    large = threading.Thread(
        target=lambda: answers.append(
            httpx.post(f"http://127.0.0.1:{server.port}/v1/predictions", json=big_request(), timeout=60)
        )
    )
    large.start()
    answered_meanwhile = 0
    while large.is_alive():
        assert server.client.get("/v1/customers/0188").status_code == 200
        answered_meanwhile += large.is_alive()
    large.join()
    assert answers[0].status_code == 200
    assert len(answers[0].json()["predictions"]) == 400
    assert answered_meanwhile >= 1


def test_bentoml_serve_drains_what_is_running(server: Server, variables: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "bentoml",
        "serve",
        "serving.service:Foretier",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    assert server.process.poll() is None
    with serving(command, ROOT, variables, port, tmp_path / "log") as second:
        second.wait("/readyz", 200)
        answers: list[httpx.Response] = []
        running = threading.Thread(
            target=lambda: answers.append(second.client.post("/v1/predictions", json=big_request(), timeout=60))
        )
        running.start()
        time.sleep(0.1)
        assert_ends_clean(second)
        running.join()
        assert [answer.status_code for answer in answers] == [200]


def test_a_bento_serves_and_ends_with_its_supervisor(server: Server, variables: dict[str, str], tmp_path: Path) -> None:
    bentoml: Callable[..., list[str]] = lambda *arguments: [sys.executable, "-m", "bentoml", *arguments]  # noqa: E731
    assert server.process.poll() is None
    built = subprocess.run(
        bentoml("build", "--output", "tag"), cwd=ROOT, env=variables, capture_output=True, text=True, check=True
    )
    tag = next(line for line in built.stdout.splitlines() if line.startswith("__tag__:")).removeprefix("__tag__:")
    port = free_port()
    alone = {name: value for name, value in variables.items() if name != "PYTHONPATH"}
    command = bentoml("serve", tag, "--host", "127.0.0.1", "--port", str(port))
    with serving(command, tmp_path, alone, port, tmp_path / "log") as second:
        second.wait("/readyz", 200)
        assert second.client.get("/v1/customers/0188").status_code == 200
        processes = second.processes()
        second.process.kill()
        _, left = psutil.wait_procs(processes, timeout=15)
        assert left == []


def test_a_taken_port_and_a_strange_host_are_told_in_one_line(server: Server, state: Any) -> None:
    from configs.errors import SettingsError
    from serving.serve import run_server

    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        run_server("127.0.0.1", server.port, state.settings_path)
    with pytest.raises(SettingsError, match="--host takes an IP address"):
        run_server("example", 3000, state.settings_path)
    with pytest.raises(SettingsError, match="no settings file"):
        run_server("127.0.0.1", 3000, state.settings_path.with_name("none.yaml"))
