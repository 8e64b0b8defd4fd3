"""The servers under load, each a process of its own on loopback, and the home that ours serves from."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import psutil

BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
START_SECONDS = 120
END_SECONDS = 60
MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Home:
    """A state folder with a champion and a published run, the settings it is served with, and a folder for what is temporary.

    ``tracking``: the tracking server's address, where it is not a file in the folder.
    """

    folder: Path
    config: Path
    scratch: Path
    tracking: str = ""

    def variables(self) -> dict[str, str]:
        """Give the environment of processes that work on this home; nothing of theirs is left outside of ``scratch``."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETIER_", "MLFLOW_", "BENTOML_"))}
        home = {"FORETIER_HOME": str(self.folder), "FORETIER_CONFIG": str(self.config)}
        quiet = {"BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(ROOT)}
        tracking = {"MLFLOW_TRACKING_URI": self.tracking} if self.tracking else {}
        # MLflow starts uvicorn by its name.
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
        return {**kept, **home, **quiet, **tracking, "PATH": path, "TMPDIR": str(self.scratch)}

    def copy(self, name: str) -> Home:
        """Give a home of its own to what changes it. Bundles stay where they are."""
        folder = self.scratch / name
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("artifacts"))
        return replace(self, folder=folder)


def prepared(config: Path, scratch: Path) -> Home:
    """Copy the state in ``FORETIER_HOME``; where there is none, train and score in a home of its own."""
    given = os.environ.get("FORETIER_HOME")
    if given and (Path(given) / "scores.db").exists():
        return Home(Path(given).absolute(), config, scratch).copy("home")
    home = Home(scratch / "home", config, scratch)
    for command in ("train", "score"):
        ran = subprocess.run(
            [sys.executable, "foretier.py", command], cwd=ROOT, env=home.variables(), capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise SystemExit(f"foretier {command} failed: {ran.stderr[-2000:]}")
    return home


@dataclass(frozen=True)
class Server:
    """A running server: the process that was started, its port and its log."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def tree(self) -> list[psutil.Process]:
        """The process and all below it."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def worker(self) -> psutil.Process:
        """The process that answers: the largest of them."""
        return max(self.tree(), key=lambda one: one.memory_info().rss)

    def processor_seconds(self) -> float:
        """What all of them have used of the processors so far."""
        return sum(one.cpu_times().user + one.cpu_times().system for one in self.tree())

    def ready(self) -> tuple[int, dict[str, object]]:
        """Ask ``/readyz``: its status and what it says."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except HTTPError as error:
            return error.code, json.loads(error.read())

    def faults(self) -> list[str]:
        """What ``/readyz`` says is wrong."""
        found = self.ready()[1].get("faults", [])
        return [str(fault) for fault in found] if isinstance(found, list) else []

    def end(self) -> tuple[int, float, int]:
        """SIGTERM: the exit code, the seconds it took, and how many of its processes were left (and are killed)."""
        began = time.monotonic()
        tree = self.tree() if self.process.poll() is None else []
        self.process.send_signal(signal.SIGTERM)
        return self.ended(tree, began)

    def ended(self, tree: list[psutil.Process], began: float) -> tuple[int, float, int]:
        """Wait for the end of a server that was told to."""
        try:
            code = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            code = -1
        seconds = time.monotonic() - began
        _, left = psutil.wait_procs(tree, timeout=5)
        for one in left:
            one.kill()
        return code, seconds, len(left)


@contextmanager
def ours(home: Home, open_files: int | None = None) -> Iterator[Server]:
    """``foretier serve`` on a home; ``open_files`` limits it as systems do (soft limit)."""
    port = free_port()
    command = [sys.executable, str(ROOT / "foretier.py"), "serve", "--port", str(port)]
    with running(command, ROOT, home.variables(), port, home.scratch, "/readyz", open_files) as server:
        yield server


@contextmanager
def bare_bentoml(home: Home) -> Iterator[Server]:
    """A BentoML service that gives back what it gets."""
    port, bentoml_home = free_port(), home.scratch / "bentoml-echo"
    bentoml_home.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "bentoml", "serve", "echo_service:Echo", "--host", "127.0.0.1", "--port", str(port)]
    variables = {**home.variables(), "BENTOML_HOME": str(bentoml_home)}
    with running(command, BENCHMARKS, variables, port, home.scratch, "/readyz") as server:
        yield server


@contextmanager
def mlflow_models(home: Home, model: Path) -> Iterator[Server]:
    """``mlflow models serve`` of a saved model."""
    port = free_port()
    command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(model), "-p", str(port), "--env-manager", "local"]
    with running(command, home.scratch, home.variables(), port, home.scratch, "/ping") as server:
        yield server


@contextmanager
def mlflow_server(home: Home) -> Iterator[Server]:
    """A tracking server on the home's tracking database."""
    port = free_port()
    database = f"sqlite:///{home.folder / 'mlflow.db'}"
    command = [
        sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--artifacts-destination",
        str(home.scratch / "mlflow-artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
    ]  # fmt: skip
    with running(command, home.scratch, home.variables(), port, home.scratch, "/health") as server:
        yield server


@contextmanager
def running(
    command: list[str], folder: Path, variables: Mapping[str, str], port: int, scratch: Path, ready: str,
    open_files: int | None = None,
) -> Iterator[Server]:  # fmt: skip
    """Start a server and wait until it is ready; at the end, it and all that it started are gone."""
    if open_files is not None:
        command = ["sh", "-c", f'ulimit -S -n {open_files}; exec "$@"', "sh", *command]
    log = scratch / f"server-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=dict(variables), stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    server = Server(process, port, log)
    try:
        wait(server, ready)
        yield server
    finally:
        if process.poll() is None:
            server.end()
        log.unlink(missing_ok=True)


def wait(server: Server, path: str) -> None:
    """Wait until the server answers 200. Raises SystemExit with what it last said."""
    until, last = time.monotonic() + START_SECONDS, "no answer"
    while time.monotonic() < until and server.process.poll() is None:
        try:
            urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5).read()
        except HTTPError as error:
            last = error.read().decode()
        except OSError as error:
            last = str(error)
        else:
            return
        time.sleep(0.05)
    raise SystemExit(f"{path} on port {server.port} is not ready: {last}\n{server.log.read_text(errors='replace')[-2000:]}")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
