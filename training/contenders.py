"""Model versions as the gate sees them: bundle, golden rows, size, latency, and the trial model of the same training run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.errors import BundleError
from configs.settings import Environment
from models.bundle import GOLDEN, METRICS, load_bundle, read_file
from models.golden import check_golden, golden_features
from models.manifest import read_manifest
from models.registry import BUNDLE_FOLDER, TRIAL_FOLDER, Registered, fetched, registry_errors
from models.value_model import ValueModel
from training.grade import Letter
from training.told import Told

if TYPE_CHECKING:
    from models.registry import MlflowClient

MEGABYTE = 1_000_000
LATENCY_TRIES = 15


@dataclass(frozen=True)
class Trial:
    """The model of the same run that was fitted without the held-back window; it knows nothing from day ``as_of`` on."""

    model: ValueModel
    as_of: int


@dataclass(frozen=True)
class Contender:
    """A version with what the gate looks at.

    ``grade``: None where it was not graded, and ``ungraded`` says why. ``held_back``: the cutoff of its held-back window.
    ``golden``: what the golden rows say against it, None where nothing. ``latency_ms``: median time of one customer's
    prediction. ``trial``: None where the run logged none, or it cannot be read.
    """

    version: str
    horizon_days: int
    currency: str
    grade: Letter | None
    ungraded: Told | None
    held_back: int | None
    golden: Told | None
    megabytes: float
    latency_ms: float
    trial: Trial | None


def contender(client: MlflowClient, environment: Environment, registered: Registered) -> Contender:
    """Fetch, verify and measure a version. Raises RegistryError: it cannot be fetched. BundleError: it is damaged."""
    with fetched(environment, registered.source) as folder:
        model, manifest = load_bundle(folder), read_manifest(folder)
        metrics, golden = read_file(folder, METRICS) or {}, read_file(folder, GOLDEN)
        size = sum(file.stat().st_size for file in folder.iterdir())
    graded: Mapping[str, Any] = metrics.get("grade") or {}
    letter = graded.get("letter")
    return Contender(
        version=registered.version, horizon_days=model.horizon_days, currency=model.currency,
        grade=letter, ungraded=None if letter else _ungraded(metrics),
        held_back=metrics.get("cutoff"), golden=_golden_fault(model, golden), megabytes=size / MEGABYTE,
        latency_ms=_latency(model, golden, manifest["as_of"]), trial=_trial(client, environment, registered),
    )  # fmt: skip


def _trial(client: MlflowClient, environment: Environment, registered: Registered) -> Trial | None:
    with registry_errors(environment):
        if not client.list_artifacts(registered.run_id, TRIAL_FOLDER):
            return None
    try:
        with fetched(environment, registered.source.removesuffix(BUNDLE_FOLDER) + TRIAL_FOLDER) as folder:
            return _read_trial(folder)
    except BundleError:
        return None


def _read_trial(folder: Path) -> Trial:
    return Trial(load_bundle(folder), read_manifest(folder)["as_of"])


def _ungraded(metrics: Mapping[str, Any]) -> Told:
    if "not_graded" not in metrics:
        return Told("it was trained without grading", "训练时没有评级")
    return Told(metrics["not_graded"], metrics.get("not_graded_zh", metrics["not_graded"]))


def _golden_fault(model: ValueModel, golden: Mapping[str, Any] | None) -> Told | None:
    if golden is None:
        return Told("the bundle holds no golden rows: train again with this version", "模型包里没有黄金样本：请用此版本重新训练")
    try:
        check_golden(model, golden)
    except BundleError as error:
        return Told(str(error), f"黄金样本结果不一致（{error}）")
    return None


def _latency(model: ValueModel, golden: Mapping[str, Any] | None, as_of: int) -> float:
    """Milliseconds; the first prediction only warms up."""
    if golden is None:
        return 0.0
    customer = golden_features(golden).iloc[:1]
    times = []
    for _ in range(LATENCY_TRIES + 1):
        begun = time.perf_counter()
        model.predict(customer, as_of=as_of)
        times.append(time.perf_counter() - begun)
    return 1000.0 * statistics.median(times[1:])
