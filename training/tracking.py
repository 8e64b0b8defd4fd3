"""A training run in MLflow: settings, data fingerprint, metrics, plots and the bundle.

One parent run, and one child run for each candidate, so that the page compares them side by side.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from configs.days import date_of
from configs.settings import Environment
from training.backtest import Backtest
from training.evaluation import Evaluation
from training.grade import Grade
from training.plots import decile_chart, gain_chart

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "foretier"
PROCESS_TAG = "foretier.process"
LONGEST_PARAMETER = 500
LONGEST_NAME = 240


@contextmanager
def tracked_run(client: MlflowClient, environment: Environment, name: str) -> Iterator[str]:
    """A parent run: finished when the block ends well, failed otherwise; runs of dead processes here are closed first."""
    experiment = _experiment(client, environment)
    _close_dead_runs(client, experiment)
    tags = {"mlflow.runName": name, PROCESS_TAG: _process(os.getpid())}
    run_id = client.create_run(experiment, tags=tags).info.run_id
    try:
        yield run_id
    except BaseException:
        # What went wrong first is what counts, even where MLflow can no longer be told.
        with suppress(Exception):
            client.set_terminated(run_id, status="FAILED")
        raise
    client.set_terminated(run_id, status="FINISHED")


def log_settings(client: MlflowClient, run_id: str, settings: Mapping[str, Any], fingerprint: str) -> None:
    """Log resolved settings as parameters and as a file, and the fingerprint of the cleaned orders."""
    for key, value in {key[:LONGEST_NAME]: value for key, value in _flat(settings)}.items():
        client.log_param(run_id, key, str(value)[:LONGEST_PARAMETER])
    client.log_text(run_id, json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False), "settings.json")
    client.set_tag(run_id, "foretier.data_fingerprint", fingerprint)


def log_grade(client: MlflowClient, run_id: str, grade: Grade) -> None:
    """Log the letter as a tag, and the whole grade as a file."""
    client.set_tag(run_id, "foretier.grade", grade.letter or "none")
    client.log_text(run_id, json.dumps(grade.as_dict(), indent=1, sort_keys=True, ensure_ascii=False), "grade.json")


def log_evaluation(client: MlflowClient, run_id: str, evaluation: Evaluation, currency: str) -> None:
    """Log metrics of the served model to the parent, of each candidate to a child run, and both plots."""
    for part, rows in (("value", evaluation.value), ("churn", evaluation.churn)):
        for row in rows:
            _log_child(client, run_id, f"{part}: {row.candidate}", _numbers(asdict(row)))
        _log_metrics(client, run_id, {f"{part}.{key}": number for key, number in _numbers(asdict(rows[0])).items()})
    with TemporaryDirectory(prefix="foretier-plots-") as folder:
        (Path(folder) / "gain_chart.png").write_bytes(gain_chart(evaluation, currency))
        (Path(folder) / "decile_calibration.png").write_bytes(decile_chart(evaluation, currency))
        client.log_artifacts(run_id, folder, "plots")


def log_backtest(client: MlflowClient, run_id: str, backtest: Backtest) -> None:
    """Log means and interval bounds of the served model to the parent, those of each origin to a child run, all as JSON."""
    for part, row in (("value", backtest.served), ("churn", backtest.served_churn)):
        for metric, found in row.metrics.items():
            bounds = {metric: found.value, f"{metric}.low": found.low, f"{metric}.high": found.high}
            _log_metrics(client, run_id, {f"{part}.{key}": number for key, number in bounds.items()})
    for one in backtest.origins:
        parts = {"value": asdict(one.served), "churn": asdict(one.churn[0])}
        numbers = {f"{part}.{key}": number for part, row in parts.items() for key, number in _numbers(row).items()}
        _log_child(client, run_id, f"origin {date_of(one.cutoff)}", numbers)
    client.log_dict(run_id, backtest.as_dict(), "backtest.json")
    client.set_tag(run_id, "foretier.grade", backtest.grade.letter or "none")


def _experiment(client: MlflowClient, environment: Environment) -> str:
    known = client.get_experiment_by_name(EXPERIMENT)
    if known is not None:
        return str(known.experiment_id)
    local = environment.tracking_url.startswith("sqlite:")
    # A tracking server has its own place for artifacts; a file has none but the working folder of whoever came first.
    location = (environment.home / "artifacts").as_uri() if local else None
    return str(client.create_experiment(EXPERIMENT, artifact_location=location))


def _close_dead_runs(client: MlflowClient, experiment: str) -> None:
    """A killed run stays RUNNING for ever: close those whose process on this machine is gone."""
    for run in client.search_runs([experiment], "attributes.status = 'RUNNING'"):
        host, _, number = run.data.tags.get(PROCESS_TAG, "").rpartition(":")
        if host == socket.gethostname() and not _lives(int(number)):
            client.set_terminated(run.info.run_id, status="KILLED")


def _process(number: int) -> str:
    return f"{socket.gethostname()}:{number}"


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _log_child(client: MlflowClient, parent: str, name: str, numbers: Mapping[str, float]) -> None:
    experiment = client.get_run(parent).info.experiment_id
    tags = {"mlflow.runName": name, "mlflow.parentRunId": parent, PROCESS_TAG: _process(os.getpid())}
    child = client.create_run(experiment, tags=tags).info.run_id
    _log_metrics(client, child, numbers)
    client.set_terminated(child)


def _log_metrics(client: MlflowClient, run_id: str, numbers: Mapping[str, float]) -> None:
    for key, number in numbers.items():
        client.log_metric(run_id, key, number)


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {key: value for key, value in row.items() if isinstance(value, float)}


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{_parameter_name(key)}.")
        elif value is not None:
            yield f"{prefix}{_parameter_name(key)}", value


def _parameter_name(key: str) -> str:
    """MLflow takes no other signs; each is written as its number, so that "5 %" and "5 $" stay apart."""
    return "".join(letter if letter.isalnum() or letter in "_-. " else f"_{ord(letter):x}_" for letter in key)
