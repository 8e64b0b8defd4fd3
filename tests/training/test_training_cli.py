"""``foretier check`` and ``foretier train`` as a person types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner, Result

from configs.settings import Environment, source_path
from models.registry import champion, open_tracking
from training.cli import app

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = {
    "columns": {"customer_id": "customer", "ordered_at": "day", "items": "items", "amount": "amount"},
    "cleaning": {"date_format": "%Y%m%d", "exact_duplicates": "keep"},
    "currency": "USD",
    "horizon_days": 90,
    "training": {"boosting_rounds": 10, "max_cutoffs": 6},
}


def lines() -> list[list[str]]:
    """Customer, day, items and amount of every line of the CDNOW sample."""
    text = Path(source_path("package:lifetimes/datasets/CDNOW_sample.txt")).read_text()
    return [line.split()[1:] for line in text.splitlines() if line.strip()]


def write_orders(path: Path, rows: list[list[str]]) -> Path:
    pl.DataFrame(rows, schema=["customer", "day", "items", "amount"], orient="row").write_parquet(path)
    return path


def write_settings(folder: Path, orders: Path, **more: Any) -> Path:
    path = folder / "foretier.yaml"
    path.write_text(yaml.safe_dump({**SAMPLE, "source": {"path": str(orders)}, **more}))
    return path


@pytest.fixture
def folder(tmp_path: Path, new_home: Callable[[], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with settings and orders, and an empty registry."""
    for name in list(os.environ):
        if name.startswith(("FORETIER", "MLFLOW_TRACKING")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FORETIER_HOME", str(new_home()))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    write_settings(tmp_path, write_orders(tmp_path / "orders.parquet", lines()))
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def refused(*words: str) -> str:
    """The one line a command ends with on bad input."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


@pytest.mark.usefixtures("folder")
def test_check_accounts_for_every_row() -> None:
    result = run("check", "--json", "check.json")
    assert result.exit_code == 0, result.output
    found = json.loads(Path("check.json").read_text())
    assert found["rows_in"] == len(lines()) == found["used"] + found["duplicates"] + found["rejected_rows"]
    assert (found["customers"], found["first_date"], found["last_date"]) == (2357, "1997-01-01", "1998-06-30")
    assert {one["horizon_days"]: one["supported"] for one in found["horizons"]} == {365: False, 180: True, 90: True, 30: True}
    for text in (f"{len(lines()):,} rows in", "2,357", "1997-01-01 to 1998-06-30", "549 days short", "USD"):
        assert text in result.output


def test_check_writes_rejected_rows_and_shows_examples(folder: Path) -> None:
    rows = [*lines(), ["0001", "19970230", "1", "5.00"], ["0002", "19970301", "1", "five"], ["", "19970301", "1", "5.00"]]
    write_orders(folder / "orders.parquet", rows)
    result = run("check", "--json", "-")
    found = json.loads(result.stdout)
    assert {reason: one["count"] for reason, one in found["rejected"].items()} == {
        "bad_ordered_at": 1, "bad_amount": 1, "no_customer_id": 1,
    }  # fmt: skip
    assert "19970230" in result.stderr
    assert "five" in result.stderr
    rejected = pl.read_parquet(Path(os.environ["FORETIER_HOME"]) / "rejected.parquet")
    assert sorted(rejected["reason"]) == ["bad_amount", "bad_ordered_at", "no_customer_id"]


def test_train_shows_accuracy_and_registers_a_champion(folder: Path) -> None:
    result = run("train", "--json", "deep/train.json")
    assert result.exit_code == 0, result.output
    found = json.loads((folder / "deep" / "train.json").read_text())
    assert (found["model_version"], found["as_of"], found["horizon_days"]) == ("1", "1998-07-01", 90)
    assert (found["customers"], len(found["training_cutoffs"]), found["training_cutoffs"][0]) == (2357, 6, "1998-04-02")
    for row in found["evaluation"]["value"]:
        assert row["candidate"] in result.output
        assert f"{row['normalized_gini']:.3f}" in result.output
    for text in ("Churn", "AUC", "1998-04-02", "Version 1", "2,357 customers", "Grade", "Version 1 is champion"):
        assert text in result.output
    assert champion(Environment.read()).version == "1"


def test_backtest_shows_writes_and_logs_every_origin(folder: Path) -> None:
    result = run("backtest", "--origins", "2", "--json", "backtest.json", "--html", "deep/page.html")
    assert result.exit_code == 0, result.output
    found = json.loads((folder / "backtest.json").read_text())
    days = [one["origin"] for one in found["origins"]]
    assert (len(days), days[-1], found["as_of"]) == (2, "1998-04-02", "1998-07-01")
    assert f"Grade {found['grade']['letter']}" in result.output
    for text in ("90 % intervals", "perfect foresight", "Platinum", "one-time buyers", *days):
        assert text in result.output
    for row in found["value"]:
        assert f"{row['metrics']['normalized_gini']['value']:.3f}" in result.output
    page = (folder / "deep" / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    client = open_tracking(Environment.read())
    experiment = client.get_experiment_by_name("foretier")
    assert experiment is not None
    runs = {run.info.run_name: run for run in client.search_runs([experiment.experiment_id])}
    assert set(runs) == {"backtest", *(f"origin {day}" for day in days)}
    figures = {row["candidate"]: row["metrics"] for row in found["value"]}["Foretier"]
    assert runs["backtest"].data.metrics["value.normalized_gini.low"] == figures["normalized_gini"]["low"]
    assert {run.info.status for run in runs.values()} == {"FINISHED"}


def test_until_never_reads_what_comes_after(folder: Path) -> None:
    """Garbage on and after the day: the model is to the byte the one of a file that ends there."""
    until = "1998-03-01"
    before = [line for line in lines() if line[1] < "19980301"]
    garbage = [[line[0], line[1], "-7", "not money"] for line in lines() if line[1] >= "19980301"]
    garbage += [["0001", "19980301", "1", "9999999.99"], ["stranger", "19980301", "1", "1"], ["", "20991231", "", ""]]
    results = {}
    for name, rows in (("whole", before + garbage), ("cut", before)):
        write_orders(folder / "orders.parquet", rows)
        result = run("train", "--until", until, "--json", "-")
        assert result.exit_code == 0, result.output
        results[name] = json.loads(result.stdout)
        checked = json.loads(run("check", "--until", until, "--json", "-").stdout)
        assert (checked["rows_in"], checked["rejected_rows"]) == (len(before), 0)
    bundles = [bundle_of(one.pop("run_id")) for one in results.values()]
    assert [one.pop("model_version") for one in results.values()] == ["1", "2"]
    decisions = [one.pop("decision") for one in results.values()]
    assert [(one["action"], one["champion_before"], one["champion_after"]) for one in decisions] == [
        ("promoted", None, "1"), ("promoted", "1", "2"),
    ]  # fmt: skip
    assert all(check["lead"]["low"] == 0.0 for check in decisions[1]["checks"] if check["lead"])
    assert results["whole"] == results["cut"]
    assert bundles[0] == bundles[1]
    assert results["cut"]["as_of"] == "1998-03-01"


@pytest.mark.usefixtures("folder")
def test_promote_rollback_and_the_log() -> None:
    assert "no challenger to promote" in refused("promote")
    assert "No decision yet" in run("decisions").output
    for _ in range(2):
        assert run("train").exit_code == 0
    result = run("rollback", "--why", "the old one was fine", "--json", "-")
    assert (result.exit_code, json.loads(result.stdout)["champion_after"]) == (0, "1")
    assert "no champion before" in refused("rollback")
    result = run("promote", "--json", "promoted.json")
    assert result.exit_code == 0, result.output
    assert "Version 2 is champion" in result.output
    found = json.loads(Path("promoted.json").read_text())
    assert {"normalized Gini", "AUC", "total bias", "golden rows"} <= {check["name"] for check in found["checks"]}
    assert "version 2 is champion already" in refused("promote")
    assert "no model version 9" in refused("promote", "9")
    for words in (("--force",), ("--why", "x"), ("--force", "--why", " ")):
        assert "--force and --why TEXT go together" in refused("promote", "1", *words)
    write_settings(Path.cwd(), Path("orders.parquet"), gate={"max_bundle_mb": 0.001})
    result = run("promote", "1")
    assert result.exit_code == 1
    assert "gate.max_bundle_mb: 0.001" in result.output
    assert "Version 2 stays champion" in result.output
    result = run("promote", "1", "--force", "--why", "the disk is large")
    assert (result.exit_code, champion(Environment.read()).version) == (0, "1")
    log = json.loads(run("decisions", "--json", "-").stdout)["decisions"]
    assert [one["action"] for one in log] == ["promoted", "promoted", "rolled back", "promoted", "refused", "forced"]
    assert "the disk is large" in run("decisions").output


def bundle_of(run_id: str) -> dict[str, bytes]:
    folder = Path(os.environ["FORETIER_HOME"]) / "artifacts" / run_id / "artifacts" / "bundle"
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_bad_input_is_one_line_and_exit_code_2(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in ("check", "train"):
        assert "no settings file nowhere.yaml" in refused(command, "--config", "nowhere.yaml")
        assert "nowhere.parquet" in refused(command, "--orders", "nowhere.parquet")
        assert "no row before 1996-01-01" in refused(command, "--until", "1996-01-01")
    assert "the history has 100 days" in refused("train", "--until", "1997-04-11")
    write_settings(folder, folder / "orders.parquet", columns={**SAMPLE["columns"], "amount": "amuont"})  # type: ignore[dict-item]
    assert "amount" in refused("check")
    write_settings(folder, folder / "orders.parquet", horizont_days=90)
    assert 'did you mean "horizon_days"?' in refused("train")
    write_settings(folder, folder / "orders.parquet")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:hunter2@127.0.0.1:9/mlflow")
    line = refused("train")
    assert "me:***@127.0.0.1:9" in line
    assert "hunter2" not in line


@pytest.mark.usefixtures("folder")
def test_a_day_that_is_none_is_a_usage_error() -> None:
    result = run("train", "--until", "1998-02-30")
    assert result.exit_code == 2
    assert "1998-02-30" in result.stderr


def test_a_real_process_trains_and_says_nothing_else(folder: Path) -> None:
    """The installed command, warnings and logs of all libraries included."""
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "foretier", "train", "--config", str(folder / "foretier.yaml"), "--json", "train.json"]
    done = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, timeout=240, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Foretier" in done.stdout
    assert json.loads((folder / "train.json").read_text())["model_version"] == "1"
    done = subprocess.run(
        [*command[:4], "--config", "nowhere.yaml"],
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr
