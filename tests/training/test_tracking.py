"""Runs in a real MLflow: what they hold, how they end, and what never stands in them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from configs.settings import Environment
from models.registry import open_tracking
from training.tracking import PROCESS_TAG, log_settings, tracked_run


@pytest.fixture
def registry(new_home: Callable[[], Path]) -> tuple[Any, Environment]:
    environment = Environment.read({"FORETIER_HOME": str(new_home())})
    return open_tracking(environment), environment


def status(client: Any, run: str) -> str:
    return str(client.get_run(run).info.status)


def test_a_run_that_ends_well_is_finished(registry: tuple[Any, Environment]) -> None:
    client, environment = registry
    with tracked_run(client, environment, "well") as run:
        assert status(client, run) == "RUNNING"
    assert status(client, run) == "FINISHED"
    assert client.get_run(run).info.artifact_uri.startswith((environment.home / "artifacts").as_uri())


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_run_that_fails_is_failed_and_says_why(registry: tuple[Any, Environment], failure: type[BaseException]) -> None:
    client, environment = registry
    with pytest.raises(failure), tracked_run(client, environment, "badly") as run:
        raise failure
    assert status(client, run) == "FAILED"


def test_runs_of_dead_processes_here_are_closed_and_no_others(registry: tuple[Any, Environment]) -> None:
    client, environment = registry
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with tracked_run(client, environment, "first") as run:
        experiment = client.get_run(run).info.experiment_id
    owners = {
        "dead": f"{socket.gethostname()}:{gone.pid}",
        "alive": f"{socket.gethostname()}:{os.getppid()}",
        "elsewhere": f"another-machine:{gone.pid}",
    }
    runs = {name: client.create_run(experiment, tags={PROCESS_TAG: owner}).info.run_id for name, owner in owners.items()}
    runs["nobody's"] = client.create_run(experiment).info.run_id
    with tracked_run(client, environment, "second"):
        pass
    found = {name: status(client, run) for name, run in runs.items()}
    assert found == {"dead": "KILLED", "alive": "RUNNING", "elsewhere": "RUNNING", "nobody's": "RUNNING"}


def test_strange_names_of_settings_can_be_logged(registry: tuple[Any, Environment]) -> None:
    client, environment = registry
    names = ["a/b//c", "../x", "/", "é €", "Top 5%", "[/VIP]", "a=b", "x" * 100, ".", "..", "A"]
    settings = {"playbook": {name: {"new": "x" * 9000} for name in names}, "none": None, "empty": "", "list": [1, "two"]}
    with tracked_run(client, environment, "strange") as run:
        log_settings(client, run, settings, "f" * 64)
    logged = client.get_run(run)
    assert sum(key.startswith("playbook.") for key in logged.data.params) == len(names)
    assert logged.data.params["list"] == "[1, 'two']"
    assert "none" not in logged.data.params
    assert logged.data.tags["foretier.data_fingerprint"] == "f" * 64


def test_names_that_differ_in_strange_signs_only_can_be_logged(registry: tuple[Any, Environment]) -> None:
    client, environment = registry
    with tracked_run(client, environment, "alike") as run:
        log_settings(client, run, {"limits": {"Top 5%": 1.0, "Top 5$": 2.0}}, "f" * 64)
    assert sorted(client.get_run(run).data.params.values()) == ["1.0", "2.0"]


def test_settings_metrics_plots_and_the_bundle_are_there(trained_home: Any) -> None:
    client = open_tracking(trained_home.environment)
    trained = trained_home.runs[0]
    run = client.get_run(trained.run_id)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "train as of 1998-07-01"
    params = run.data.params
    assert (params["training.boosting_rounds"], params["currency"], params["horizon_days"]) == ("10", "USD", "90")
    assert params["tiers.shares.Platinum"] == "0.05"
    assert run.data.metrics["value.normalized_gini"] == trained.evaluation.served.normalized_gini
    assert run.data.metrics["churn.auc"] == trained.evaluation.churn[0].auc
    assert [one.path for one in client.list_artifacts(trained.run_id)] == [
        "bundle", "grade.json", "plots", "settings.json", "trial",
    ]  # fmt: skip
    plots = [one.path for one in client.list_artifacts(trained.run_id, "plots")]
    assert plots == ["plots/decile_calibration.png", "plots/gain_chart.png"]
    assert "bundle/manifest.json" in [one.path for one in client.list_artifacts(trained.run_id, "bundle")]


def test_every_candidate_is_a_child_run_with_its_metrics(trained_home: Any) -> None:
    client = open_tracking(trained_home.environment)
    trained = trained_home.runs[0]
    experiment = client.get_run(trained.run_id).info.experiment_id
    children = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{trained.run_id}'")
    found = {child.info.run_name: child for child in children}
    value = {f"value: {row.candidate}": row.normalized_gini for row in trained.evaluation.value}
    churn = {f"churn: {row.candidate}": row.auc for row in trained.evaluation.churn}
    assert found.keys() == value.keys() | churn.keys()
    for name, child in found.items():
        assert child.info.status == "FINISHED"
        assert child.data.metrics["normalized_gini" if name in value else "auc"] == {**value, **churn}[name]


def test_no_file_of_the_state_holds_a_password(trained_home: Any) -> None:
    from urllib.parse import urlsplit

    password = urlsplit(trained_home.settings.source.url).password
    assert password
    files = [path for path in trained_home.environment.home.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        assert password.encode() not in path.read_bytes(), path
    settings = next(path for path in files if path.name == "settings.json").read_text()
    assert "reader:***@db.example" in settings
