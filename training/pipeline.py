"""The training run: evaluate on the last complete horizon, refit on everything, register, move the alias."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from configs.days import date_of
from configs.errors import BundleError, HistoryError
from configs.settings import Environment, Settings
from features.customers import feature_frame
from features.history_check import resolve_horizon
from features.orders import Cleaned
from models.bundle import Origin, save_bundle
from models.fitting import FIT_STEPS, fit
from models.reference import reference_of
from models.registry import BUNDLE_FOLDER, load_logged_bundle, move_champion, open_tracking, register_bundle, registry_errors
from models.value_model import ValueModel
from training.evaluation import Evaluation, can_evaluate, evaluate
from training.panel import Plan, Snapshot, plan_cutoffs, sampled, snapshot, training_set
from training.tracking import log_evaluation, log_settings, tracked_run

if TYPE_CHECKING:
    import pandas as pd

Progress = Callable[[str], None]
CHECKED_CUSTOMERS = 200


@dataclass(frozen=True)
class Trained:
    """What a training run made. ``evaluation`` is None where ``not_evaluated`` says why."""

    model: ValueModel
    version: str
    run_id: str
    plan: Plan
    customers: int
    evaluation: Evaluation | None
    not_evaluated: str | None

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
    return len(planned.cutoffs) + fits * FIT_STEPS + 2


def train(
    cleaned: Cleaned, settings: Settings, environment: Environment, planned: Plan, progress: Progress = lambda _: None
) -> Trained:
    """Train, evaluate, log and register; the alias ``champion`` moves last, when everything else is safe.

    Raises HistoryError: nothing to learn from. RegistryError: MLflow cannot be used.
    """
    client = open_tracking(environment)
    with registry_errors(environment), tracked_run(client, environment, f"train as of {date_of(planned.as_of)}") as run_id:
        log_settings(client, run_id, settings.without_secrets(), cleaned.report.fingerprint)
        snapshots = _snapshots(cleaned, planned, settings, progress)
        evaluation, reason = _evaluated(snapshots, planned, settings, progress)
        current = feature_frame(cleaned.orders, planned.as_of)
        known = [sampled(snapshots[cutoff], _rows(planned, settings), settings.training.seed) for cutoff in planned.final]
        model = fit(training_set(known, current, planned.as_of, planned.horizon_days), settings, progress=progress)
        earlier = {one.cutoff: one.features for one in known}
        reference = reference_of(model, current, planned.as_of, earlier, threads=settings.training.threads)
        progress("Logging to MLflow")
        origin = Origin(
            as_of=planned.as_of, cutoffs=planned.final, fingerprint=cleaned.report.fingerprint,
            settings=settings.without_secrets(), metrics=evaluation.as_dict() if evaluation else {"not_evaluated": reason},
            reference=reference,
        )  # fmt: skip
        with TemporaryDirectory(prefix="foretier-bundle-") as folder:
            save_bundle(model, origin, Path(folder) / BUNDLE_FOLDER)
            client.log_artifacts(run_id, folder)
        if evaluation is not None:
            log_evaluation(client, run_id, evaluation, settings.currency)
        progress("Checking and registering")
        _check_reload(environment, str(client.get_run(run_id).info.artifact_uri), model, current, planned.as_of)
        version = register_bundle(client, environment, run_id)
        move_champion(client, environment, version)
    return Trained(model, version, run_id, planned, len(current), evaluation, reason)


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


def _evaluated(
    snapshots: Mapping[int, Snapshot], planned: Plan, settings: Settings, progress: Progress
) -> tuple[Evaluation | None, str | None]:
    """Fit on what was known at the held-back cutoff and compare with what happened; or say why that cannot be done."""
    if not planned.trial:
        needed = 2 * planned.horizon_days + settings.training.min_history_days
        return None, f"holding back {planned.horizon_days} days needs at least {needed} days of history"
    holdout = snapshots[planned.holdout]
    if not can_evaluate(holdout):
        return None, "in the held-back window everybody bought, or nobody did"
    known = [snapshots[cutoff] for cutoff in planned.trial]
    rivals = training_set(known, holdout.features, planned.holdout, planned.horizon_days)
    try:
        model = fit(rivals, settings, progress=progress)
    except HistoryError as error:
        return None, f"before the held-back window, {error}"
    return evaluate(model, holdout, threads=settings.training.threads), None


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
        "not_evaluated": trained.not_evaluated,
    }
