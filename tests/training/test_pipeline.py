"""Training runs from clean orders to the registered champion."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from configs.errors import HistoryError, RegistryError
from configs.settings import Environment, Settings, parse_settings
from features.customers import feature_frame
from features.orders import Cleaned, clean_orders
from features.transactions import read_transactions
from models.fitting import fit
from models.manifest import read_manifest
from models.registry import champion, open_tracking
from training import pipeline
from training.context import context_of
from training.evaluation import evaluate
from training.panel import snapshot, training_set
from training.pipeline import Trained, plan, steps, summary, train
from training.promotion import promote

Bought = Callable[[int], bool]
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def shop(
    folder: Path, days: int, *, customers: int = 150, open_on: Bought = lambda _: True, stray: int | None = None, **more: Any
) -> tuple[Cleaned, Settings]:
    """Clean orders of a small shop, with money spent on the last of ``days`` days, and on one day ``stray`` days before."""
    random = np.random.default_rng(1)
    rows = [("last", days - 1, 10.0)] + ([] if stray is None else [("stray", -stray, 10.0)])
    for number in range(customers):
        day, rate = float(random.integers(0, days // 2)), random.gamma(1.0, 1 / 20)
        while day < days and random.random() < 0.9:
            if open_on(int(day)):
                rows.append((f"c{number}", int(day), round(float(random.lognormal(3.0, 0.5)), 2)))
            day += 1.0 + random.exponential(1.0 / max(rate, 1e-3))
    begin = date(2020, 1, 1)
    table = pl.DataFrame([(c, str(begin + timedelta(day)), a) for c, day, a in rows], schema=["c", "d", "a"], orient="row")
    table.write_parquet(folder / "orders.parquet")
    raw: dict[str, Any] = {
        "source": {"path": str(folder / "orders.parquet")},
        "columns": {"customer_id": "c", "ordered_at": "d", "amount": "a"},
        "cleaning": {"date_format": "%Y-%m-%d", "exact_duplicates": "keep"},
        "currency": "EUR",
        "horizon_days": 30,
        "training": {"boosting_rounds": 10},
    }
    settings = parse_settings(raw | more, where="test")
    return clean_orders(read_transactions(settings.source), settings, today=date(2026, 1, 1)), settings


@pytest.fixture
def environment(new_home: Callable[[], Path]) -> Environment:
    return Environment.read({"FORETIER_HOME": str(new_home())})


def test_the_same_input_makes_the_same_bundle(trained_home: Any) -> None:
    first, second = (
        trained_home.environment.home / "artifacts" / run.run_id / "artifacts" / "bundle" for run in trained_home.runs
    )
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_the_bundle_says_what_it_was_made_from(trained_home: Any, sample: Cleaned) -> None:
    trained = trained_home.runs[0]
    folder = trained_home.environment.home / "artifacts" / trained.run_id / "artifacts" / "bundle"
    manifest = read_manifest(folder)
    assert manifest["fingerprint"] == sample.report.fingerprint
    assert (manifest["as_of"], manifest["horizon_days"]) == (trained.plan.as_of, 90)
    assert manifest["cutoffs"] == list(trained.plan.final)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["value"][0]["normalized_gini"] == trained.evaluation.served.normalized_gini


def test_it_is_evaluated_by_what_was_known_and_refitted_on_everything(trained_home: Any, sample: Cleaned) -> None:
    """The run step by step, by hand."""
    trained, settings = trained_home.runs[0], trained_home.settings
    planned = trained.plan
    snapshots = {cutoff: snapshot(sample.orders, cutoff, 90) for cutoff in planned.cutoffs}
    holdout = snapshots[planned.holdout]
    trial = training_set([snapshots[cutoff] for cutoff in planned.trial], holdout.features, planned.holdout, 90)
    context = context_of(sample.orders, holdout, 90, settings, trial)
    by_hand = evaluate(fit(trial, settings), holdout, threads=2, context=context)
    assert by_hand.as_dict() == trained.evaluation.as_dict()
    current = feature_frame(sample.orders, planned.as_of)
    final = fit(training_set([snapshots[cutoff] for cutoff in planned.final], current, planned.as_of, 90), settings)
    final = replace(final, grade=trained.grade.letter)
    ours, theirs = (model.predict(current, as_of=planned.as_of) for model in (final, trained.model))
    pd.testing.assert_frame_equal(theirs, ours, check_exact=True)
    assert trained.customers == len(current)
    assert trained.as_of == date(1998, 7, 1)


def test_progress_is_told_as_often_as_promised_and_a_short_history_trains(environment: Environment, tmp_path: Path) -> None:
    """Under a year: no same season to look back to, so one of the rules says 0 for everybody."""
    cleaned, settings = shop(tmp_path, 220)
    told: list[str] = []
    planned = plan(cleaned, settings)
    trained = train(cleaned, settings, environment, planned, told.append, at=AT)
    assert len(told) == steps(planned)
    assert trained.evaluation is not None
    text = json.dumps(summary(trained), allow_nan=False)
    assert json.loads(text)["model_version"] == "1"
    [row] = [row for row in trained.evaluation.value if row.candidate == "same season last year"]
    assert row.rank_correlation is None
    loaded = champion(environment)
    assert (loaded.version, loaded.model.grade) == ("1", trained.grade.letter)
    assert trained.grade.letter is not None


def test_a_window_with_too_few_buyers_is_evaluated_but_not_graded(environment: Environment, tmp_path: Path) -> None:
    cleaned, settings = shop(tmp_path, 220, customers=60)
    trained = train(cleaned, settings, environment, plan(cleaned, settings), at=AT)
    assert trained.evaluation is not None
    assert (trained.grade.letter, trained.model.grade) == (None, None)
    assert "a grade needs at least 30 of both" in trained.grade.sentence
    assert_challenger_only(environment, trained)


def test_too_short_to_hold_anything_back_trains_and_says_so(environment: Environment, tmp_path: Path) -> None:
    cleaned, settings = shop(tmp_path, 140)
    planned = plan(cleaned, settings)
    told: list[str] = []
    trained = train(cleaned, settings, environment, planned, told.append, at=AT)
    assert len(told) == steps(planned)
    assert planned.trial == ()
    assert trained.evaluation is None
    assert trained.not_evaluated is not None
    assert trained.not_evaluated.en == "holding back 30 days needs at least 150 days of history"
    assert "horizon_days: 25 can be graded on this history, 30 after 10 more days" in trained.decision.why
    assert_challenger_only(environment, trained)
    promote(environment, settings, no_window, at=AT, force_why="the shop opens tomorrow")
    loaded = champion(environment)
    assert (loaded.version, loaded.model.grade) == ("1", None)
    features = feature_frame(cleaned.orders, planned.as_of)
    ours, theirs = (model.predict(features, as_of=planned.as_of) for model in (trained.model, loaded.model))
    assert theirs.equals(ours)


def assert_challenger_only(environment: Environment, trained: Trained) -> None:
    """It is registered, nothing scores with it, and who asks is told the way to it."""
    assert (trained.decision.action, trained.decision.champion_after) == ("refused", None)
    assert trained.grade.sentence in trained.decision.why
    with pytest.raises(RegistryError, match=f"no champion model yet: version {trained.version} is only a challenger"):
        champion(environment)


def no_window(*_: int) -> Any:
    raise AssertionError("nothing is to be compared here")


def test_a_shop_that_closes_for_months_trains(environment: Environment, tmp_path: Path) -> None:
    """Horizons in which nobody could buy anything are among those the blend is learned on, and at the end."""
    cleaned, settings = shop(tmp_path, 400, open_on=lambda day: day % 120 < 45)
    trained = train(cleaned, settings, environment, plan(cleaned, settings), at=AT)
    predicted = trained.model.predict(feature_frame(cleaned.orders, trained.plan.as_of), as_of=trained.plan.as_of)
    assert np.isfinite(predicted["predicted_value"]).all()


def test_a_run_that_cannot_learn_is_failed_and_registers_nothing(environment: Environment, tmp_path: Path) -> None:
    """Everybody bought once, on the first days: nobody ever came back."""
    cleaned, settings = shop(tmp_path, 300, open_on=lambda day: day < 30)
    with pytest.raises(HistoryError, match="bought within 30 days"):
        train(cleaned, settings, environment, plan(cleaned, settings), at=AT)
    client = open_tracking(environment)
    runs = client.search_runs([client.get_experiment_by_name("foretier").experiment_id])
    assert [run.info.status for run in runs] == ["FAILED"]
    assert client.search_registered_models() == []


def test_no_history_to_speak_of_is_refused(tmp_path: Path) -> None:
    cleaned, settings = shop(tmp_path, 100)
    with pytest.raises(HistoryError, match="the history has 100 days"):
        plan(cleaned, settings)


def test_a_trial_with_nothing_to_learn_from_is_no_end_of_the_run(environment: Environment, tmp_path: Path) -> None:
    """One row of long ago moves the trial's cutoffs to where there is nobody; the final fit has all it needs."""
    cleaned, settings = shop(tmp_path, 140, stray=5000, horizon_days=75)
    trained = train(cleaned, settings, environment, plan(cleaned, settings), at=AT)
    assert trained.evaluation is None
    assert trained.not_evaluated is not None
    assert trained.not_evaluated.en.startswith("before the held-back window, ")
    assert_challenger_only(environment, trained)


def test_no_cutoff_has_more_rows_than_its_share(tmp_path: Path) -> None:
    cleaned, settings = shop(tmp_path, 220)
    planned = plan(cleaned, settings)
    few = settings.model_copy(update={"training": settings.training.model_copy(update={"max_rows": 20 * len(planned.cutoffs)})})
    snapshots = pipeline._snapshots(cleaned, planned, few, lambda _: None)
    assert {len(one.features) for cutoff, one in snapshots.items() if cutoff != planned.holdout} == {20}
    assert len(snapshots[planned.holdout].features) > 20
    held_back = pipeline.sampled(snapshots[planned.holdout], pipeline._rows(planned, few), few.training.seed)
    assert len(held_back.features) == 20
