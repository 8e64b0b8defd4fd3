"""The training run: evaluate on the last complete horizon, refit on everything, register, ask the gate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from configs.days import date_of
from configs.errors import BundleError
from configs.settings import Environment, Settings
from features.customers import feature_frame
from features.history_check import resolve_horizon
from features.orders import Cleaned
from models.btyd_record import btyd_sentence
from models.bundle import Origin, save_bundle
from models.fitting import FIT_STEPS, fit
from models.reference import reference_of
from models.registry import (
    BUNDLE_FOLDER,
    CHALLENGER,
    TRIAL_FOLDER,
    load_logged_bundle,
    move_alias,
    open_tracking,
    register_bundle,
    registry_errors,
)
from models.value_model import ValueModel
from training.context import attributes_of
from training.decisions import Decision
from training.evaluation import Evaluation
from training.grade import Grade
from training.leak_check import LeakReport, check_leaks
from training.panel import Plan, Snapshot, plan_cutoffs, sampled, snapshot, training_set
from training.promotion import Attributes, promote
from training.told import Told
from training.tracking import log_evaluation, log_grade, log_settings, tracked_run
from training.trial import tried

if TYPE_CHECKING:
    import pandas as pd

    from models.registry import MlflowClient

Progress = Callable[[str], None]
CHECKED_CUSTOMERS = 200


@dataclass(frozen=True)
class Trained:
    """What a training run made, and what the gate decided. ``evaluation`` is None where ``not_evaluated`` says why."""

    model: ValueModel
    version: str
    run_id: str
    plan: Plan
    customers: int
    evaluation: Evaluation | None
    not_evaluated: Told | None
    grade: Grade
    decision: Decision
    leaks: LeakReport

    @property
    def as_of(self) -> date:
        """The first day not observed."""
        return date_of(self.plan.as_of)


def plan(cleaned: Cleaned, settings: Settings) -> Plan:
    """Plan the run on what cleaning left. Raises HistoryError: too little history."""
    report = cleaned.report
    horizon_days = resolve_horizon(report, settings)
    return plan_cutoffs(report.first_order_day, report.last_order_day, horizon_days, settings.training)


def steps(planned: Plan) -> int:
    """How often ``train`` calls its ``progress``."""
    fits = 2 if planned.trial else 1
    return len(planned.cutoffs) + fits * FIT_STEPS + 4


def train(
    cleaned: Cleaned, settings: Settings, environment: Environment, planned: Plan, progress: Progress = lambda _: None,
    *, at: datetime,
) -> Trained:  # fmt: skip
    """Train, evaluate, grade, log and register a challenger; the gate decides whether it becomes champion.

    ``at`` is the moment of that decision, with its time zone; nothing else depends on it. Raises HistoryError: nothing to
    learn from. LeakError: what is learned from knows the future. RegistryError: MLflow cannot be used.
    """
    client = open_tracking(environment)
    with registry_errors(environment), tracked_run(client, environment, f"train as of {date_of(planned.as_of)}") as run_id:
        log_settings(client, run_id, settings.without_secrets(), cleaned.report.fingerprint)
        snapshots = _snapshots(cleaned, planned, settings, progress)
        progress("Looking for leaks from the future")
        learned_from = [sampled(snapshots[cutoff], _rows(planned, settings), settings.training.seed) for cutoff in planned.final]
        leaks = check_leaks(cleaned.orders, learned_from, planned.horizon_days, seed=settings.training.seed)
        trial = tried(cleaned, snapshots, planned, settings, progress)
        current = feature_frame(cleaned.orders, planned.as_of)
        fitted = fit(training_set(learned_from, current, planned.as_of, planned.horizon_days), settings, progress=progress)
        model = replace(fitted, grade=trial.grade.letter)
        earlier = {one.cutoff: one.features for one in learned_from}
        reference = reference_of(model, current, planned.as_of, earlier, threads=settings.training.threads)
        progress("Logging to MLflow")
        origin = Origin(
            as_of=planned.as_of, cutoffs=planned.final, fingerprint=cleaned.report.fingerprint,
            settings=settings.without_secrets(), metrics=trial.metrics, reference=reference,
        )  # fmt: skip
        _log_bundles(client, run_id, model, origin, trial.model, planned)
        log_grade(client, run_id, trial.grade)
        if trial.evaluation is not None:
            log_evaluation(client, run_id, trial.evaluation, settings.currency)
        progress("Checking and registering")
        _check_reload(environment, str(client.get_run(run_id).info.artifact_uri), model, current, planned.as_of)
        version = register_bundle(client, environment, run_id)
        move_alias(client, environment, CHALLENGER, version)
    progress("Challenger against champion")

    def window(cutoff: int, _: int) -> tuple[Snapshot, Attributes]:
        return snapshots[cutoff], attributes_of(cleaned.orders, snapshots[cutoff], settings)

    decision = promote(environment, settings, window, at=at, version=version)
    return Trained(model, version, run_id, planned, len(current), trial.evaluation, trial.reason, trial.grade, decision, leaks)


def _log_bundles(
    client: MlflowClient, run_id: str, model: ValueModel, origin: Origin, trial: ValueModel | None, planned: Plan
) -> None:
    """The model, and beside it the trial model, by which a later challenger can be compared with this one."""
    with TemporaryDirectory(prefix="foretier-bundle-") as folder:
        save_bundle(model, origin, Path(folder) / BUNDLE_FOLDER)
        if trial is not None:
            before = replace(origin, as_of=planned.holdout, cutoffs=planned.trial, metrics={}, reference=None)
            save_bundle(trial, before, Path(folder) / TRIAL_FOLDER)
        client.log_artifacts(run_id, folder)


def _snapshots(cleaned: Cleaned, planned: Plan, settings: Settings, progress: Progress) -> Mapping[int, Snapshot]:
    """Each cutoff once, though the trial fit and the final fit share most of them. The held-back one is whole."""
    snapshots = {}
    for cutoff in planned.cutoffs:
        progress(f"Features as of {date_of(cutoff)}")
        everybody = snapshot(cleaned.orders, cutoff, planned.horizon_days)
        whole = cutoff == planned.holdout
        snapshots[cutoff] = everybody if whole else sampled(everybody, _rows(planned, settings), settings.training.seed)
    return snapshots


def _rows(planned: Plan, settings: Settings) -> int:
    """Rows of one cutoff to fit on, at most."""
    return max(1, settings.training.max_rows // len(planned.cutoffs))


def _check_reload(environment: Environment, artifact_uri: str, model: ValueModel, current: pd.DataFrame, as_of: int) -> None:
    """Nothing is registered that does not load again and predict the very same."""
    loaded = load_logged_bundle(environment, f"{artifact_uri}/{BUNDLE_FOLDER}")
    some = current.iloc[:CHECKED_CUSTOMERS]
    if not loaded.predict(some, as_of=as_of).equals(model.predict(some, as_of=as_of)):
        raise BundleError("the logged bundle predicts otherwise than the fitted model: nothing was registered")


def summary(trained: Trained) -> dict[str, Any]:
    """What ``foretier train --json`` writes."""
    return {
        "model_version": trained.version,
        "run_id": trained.run_id,
        "as_of": trained.as_of.isoformat(),
        "horizon_days": trained.plan.horizon_days,
        "currency": trained.model.currency,
        "customers": trained.customers,
        "training_cutoffs": [date_of(cutoff).isoformat() for cutoff in trained.plan.final],
        "tiers": trained.model.tiers.to_json(),
        "evaluation": trained.evaluation.as_dict() if trained.evaluation else None,
        "not_evaluated": None if trained.not_evaluated is None else trained.not_evaluated.en,
        "leaks": trained.leaks.sentence,
        "btyd": btyd_sentence(trained.model.btyd),
        "grade": trained.grade.as_dict(),
        "decision": trained.decision.as_dict(),
    }
