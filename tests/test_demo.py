"""The demo as a new user runs it: real processes, and the commands and requests of the documents after it."""

from __future__ import annotations

import csv
import json
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import polars as pl
import pytest

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Demo:
    """What the demo printed and wrote."""

    folder: Path
    printed: str
    result: dict[str, Any]

    @property
    def home(self) -> Path:
        """The demo's own state."""
        return self.folder / ".foretier" / "demo"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command on the demo's state."""
        return foretier(self.folder, *words, "--config", str(ROOT / "configs" / "cdnow.yaml"), home=str(self.home))


def foretier(folder: Path, *words: str, home: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "foretier", *words]
    return subprocess.run(command, cwd=folder, env=variables(home), capture_output=True, text=True, timeout=300, check=False)


def variables(home: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETIER", "MLFLOW"))}
    return {**kept, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **({"FORETIER_HOME": home} if home else {})}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    folder = tmp_path_factory.mktemp("demo")
    done = foretier(folder, "demo", "--json", "demo.json")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return Demo(folder, done.stdout, json.loads((folder / "demo.json").read_text()))


def test_it_ends_with_tiers_accuracy_and_the_customers_at_risk(demo: Demo) -> None:
    for words in ("69,659 rows in = 69,659 used", "Foretier", "total past spend", "Platinum", "Mean churn risk", "Next"):
        assert words in demo.printed
    assert re.search(r"[\d,]+ are in another tier than by past spend", demo.printed)
    assert sum(tier["customers"] for tier in demo.result["tiers"]) == 23_570
    assert demo.result["training"]["horizon_days"] == 90


def test_every_file_it_names_is_there(demo: Demo) -> None:
    named = re.findall(r"^  (\.foretier/demo/\S+)", demo.printed, flags=re.MULTILINE)
    assert len(named) == 5
    assert all((demo.folder / name).stat().st_size > 0 for name in named)


def test_files_and_store_hold_the_same_customers(demo: Demo) -> None:
    scores = pl.read_parquet(demo.home / "scores.parquet")
    sheet = openpyxl.load_workbook(demo.home / "churn-risk.xlsx", read_only=True).worksheets[0]
    lines = (demo.home / "churn-risk.csv").read_text(encoding="utf-8-sig").splitlines()
    assert scores.height == 23_570
    assert len(lines) - 1 == sheet.max_row - 1 == 500
    by_tier = dict(scores.group_by("tier").len().iter_rows())
    assert by_tier == {tier["tier"]: tier["customers"] for tier in demo.result["tiers"]}


def test_the_next_commands_it_names_work(demo: Demo) -> None:
    customer = re.search(r"explain (\d{5})", demo.printed)
    assert customer is not None
    explained = demo.run("explain", customer[1])
    assert explained.returncode == 0, explained.stderr
    assert f"Customer {customer[1]}" in explained.stdout


def test_a_list_can_be_asked_for(demo: Demo) -> None:
    done = demo.run("list", "churn-risk", "--tier", "Gold", "--min-risk", "0.5", "--capacity", "7", "--out", "list.csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader((demo.folder / "list.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert len(rows) == 7
    assert {row["tier"] for row in rows} == {"Gold"}
    assert min(float(row["churn_risk"]) for row in rows) >= 0.5


def test_bad_input_is_one_line_and_exit_code_2(demo: Demo) -> None:
    for words in (("explain", "nobody"), ("list", "churn-risk", "--tier", "Glod"), ("score", "--orders", "nowhere.csv")):
        done = demo.run(*words)
        assert done.returncode == 2
        assert done.stderr.startswith("error: ")
        assert done.stderr.count("\n") == 1


def test_requests_of_the_documents_are_answered(demo: Demo) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "foretier", "serve", "--port", str(port)]
    command += ["--config", str(ROOT / "configs" / "cdnow.yaml")]
    log = demo.folder / "serve.log"
    with log.open("w") as file:
        server = subprocess.Popen(command, cwd=demo.folder, env=variables(str(demo.home)), stdout=file, stderr=subprocess.STDOUT)
        try:
            _ask(f"http://127.0.0.1:{port}", server, log)
        finally:
            server.terminate()
            server.wait(timeout=20)


def _ask(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    page = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    body = re.search(r"```json\n(\{\n  \"as_of\".*?\n\})\n```", page, flags=re.DOTALL)
    assert body is not None
    with httpx.Client(base_url=address, timeout=30) as client:
        _wait_until_ready(client, server, log)
        for path in ("/v1/customers/08830", "/v1/lists/churn-risk?tier=Platinum&min_risk=0.5&limit=50"):
            assert client.get(path).status_code == 200, path
        answer = client.post("/v1/predictions", content=body[1], headers={"content-type": "application/json"})
        assert answer.status_code == 200, answer.text
        prediction = answer.json()["predictions"][0]
        drivers = sum(driver["effect"] for driver in prediction["drivers"]["value"])
        assert prediction["average"]["predicted_value"] + drivers == pytest.approx(prediction["predicted_value"], abs=0.01)
        missing = client.get("/v1/customers/nobody")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "customer_not_found")


def _wait_until_ready(client: httpx.Client, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(120):
        assert server.poll() is None, log.read_text()
        try:
            if client.get("/readyz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text())
