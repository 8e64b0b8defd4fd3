"""What fitting learns: which model to believe, at which level; and the same bytes for the same customers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest

from configs.errors import HistoryError
from configs.settings import Settings, parse_settings, source_path
from features.catalog import FEATURE_NAMES
from features.customers import feature_frame
from features.orders import clean_orders
from features.transactions import read_transactions
from models import fitting
from models.bundle import Origin, save_bundle
from models.fitting import EQUAL_WEIGHT, FIT_STEPS, SEASON_FEATURES, TrainingSet, fit
from models.season import expectation, same_season
from models.stacking import UNLEARNED
from models.two_part import logistic
from models.value_model import Outlook, ValueModel, outlook
from training.panel import Plan, snapshot, training_set

Floats = npt.NDArray[np.float64]
NAME = "kundin-№-"


def tuning_set(values: dict[int, Floats]) -> TrainingSet:
    """Cutoffs with what was spent after them; nothing else is looked at."""
    value = np.concatenate(list(values.values()))
    nothing = pd.DataFrame(index=range(len(value)))
    cutoff = np.concatenate([np.full(len(spent), day) for day, spent in values.items()])
    return TrainingSet(nothing, cutoff, (value > 0).astype(np.float64), value, nothing, 10**6, 90)


def best_weight(rows: TrainingSet, two_part: Floats, btyd: Floats) -> float:
    """The weight where both models are sure of every purchase to the same degree, and say these values."""
    nothing = np.zeros(len(two_part))
    seen = Outlook(nothing, nothing, np.log(np.maximum(two_part, 1e-9)), np.log(np.maximum(btyd, 1e-9)), one_time=nothing > 0)
    return fitting._best_weight(rows, seen, nothing)


def believed_by(model: ValueModel, training: TrainingSet) -> TrainingSet:
    """The customers as the model sees them, without the excess of giant orders."""
    return replace(training, features=model.believed(training.features), current=model.believed(training.current))


@pytest.fixture
def spent() -> Floats:
    random = np.random.default_rng(1)
    return random.gamma(0.3, 50.0, 400) * (random.random(400) < 0.5)


def test_the_blend_believes_the_model_that_ranks_better(spent: Floats) -> None:
    random = np.random.default_rng(2)
    good, noise = spent + 1.0, random.gamma(1.0, 10.0, 400)
    cutoffs = tuning_set({1: spent[:200], 2: spent[200:]})
    assert best_weight(cutoffs, good, noise) > 0.5
    assert best_weight(cutoffs, noise, good) < 0.5
    # Where the other says the opposite, nearly all weight goes to the one.
    assert best_weight(cutoffs, good, 1.0 / good) >= 0.8
    assert best_weight(cutoffs, 1.0 / good, good) <= 0.2


def test_two_models_that_each_know_one_half_are_blended(spent: Floats) -> None:
    first = np.arange(400) % 2 == 0
    of_first, of_others = np.where(first, spent, spent.mean()), np.where(first, spent.mean(), spent)
    assert 0.3 <= best_weight(tuning_set({1: spent}), of_first, of_others) <= 0.7


def test_the_scale_of_a_model_does_not_move_its_weight(spent: Floats) -> None:
    random = np.random.default_rng(3)
    one, other = (spent * random.lognormal(0.0, 1.0, 400) + 1.0 for _ in range(2))
    weight = best_weight(tuning_set({1: spent}), one, other)
    assert 0.0 < weight < 1.0
    assert best_weight(tuning_set({1: spent}), one * 1e6, other) == weight


def test_a_cutoff_after_which_nobody_spent_has_no_say(spent: Floats) -> None:
    random = np.random.default_rng(4)
    good, noise = spent + 1.0, random.gamma(1.0, 10.0, 400)
    silent = tuning_set({1: spent[:200], 2: np.zeros(200), 3: spent[200:]})
    two_part, btyd = np.insert(good, 200, noise[:200]), np.insert(1.0 / good, 200, noise[:200])
    assert best_weight(silent, two_part, btyd) > 0.5
    assert best_weight(silent, btyd, two_part) < 0.5
    assert best_weight(tuning_set({1: np.zeros(200), 2: np.ones(200)}), good, noise) == EQUAL_WEIGHT


def test_blend_and_calibration_are_learned_on_cutoffs_the_trial_has_not_seen(
    sample_training: TrainingSet, sample_model: ValueModel, sample_settings: Settings
) -> None:
    """Outcomes that were not yet known at the first of them could be anything."""
    names = list(sample_model.two_part.inputs)
    tuning = np.unique(sample_training.cutoff[fitting._tuning_rows(sample_training)])
    assert tuning.tolist() == np.unique(sample_training.cutoff)[-3:].tolist()
    unknown = (sample_training.cutoff > tuning[0] - 90) & (sample_training.cutoff < tuning[0])
    assert unknown.sum() > 2000
    garbled = replace(
        sample_training,
        active=np.where(unknown, 1.0 - sample_training.active, sample_training.active),
        value=np.where(unknown, 1e6, sample_training.value),
    )
    learned = fitting._tune(sample_training, names, sample_settings)
    assert learned is not None
    assert fitting._tune(garbled, names, sample_settings) == learned
    # Nor do today's customers, of whom everything is known by now, say anything.
    unborn = replace(sample_training, current=sample_training.current.iloc[:0])
    assert fitting._tune(unborn, names, sample_settings) == learned
    assert 0.25 <= learned.weight <= 0.75, "half of it is learned"


@pytest.mark.parametrize(
    ("cutoffs", "tuning"),
    [([0, 30, 60, 90, 120], [90, 120]), ([0, 30, 60], []), ([0, 30, 60, 90], [90]), (range(0, 400, 30), [330, 360, 390])],
)
def test_cutoffs_to_tune_on_leave_one_whose_horizon_had_ended(cutoffs: list[int], tuning: list[int]) -> None:
    rows = tuning_set({cutoff: np.ones(2) for cutoff in cutoffs})
    assert np.unique(rows.cutoff[fitting._tuning_rows(rows)]).tolist() == tuning


def test_the_level_is_what_the_same_season_a_year_ago_says(sample_training: TrainingSet, sample_model: ValueModel) -> None:
    believed = believed_by(sample_model, sample_training)
    year_ago = same_season(np.unique(believed.cutoff), believed.as_of)
    then = believed.rows(believed.cutoff == year_ago)
    now = (sample_model.btyd, believed.current)
    expected = expectation(now, (then.features, then.active, then.value), sample_training.horizon_days)
    assert expected is not None
    predicted = sample_model.predict(sample_training.current, as_of=sample_training.as_of)
    assert predicted["predicted_value"].sum() == pytest.approx(expected.revenue, rel=1e-9)
    assert predicted["purchase_probability"].mean() == pytest.approx(expected.buyers, rel=1e-9)


def test_without_a_year_to_look_back_to_the_level_is_two_thirds_that_of_btyd(
    sample_training: TrainingSet, sample_settings: Settings
) -> None:
    young = sample_training.rows(sample_training.cutoff > sample_training.as_of - 300)
    model = fit(young, sample_settings)
    young = replace(young, current=model.believed(young.current))
    inputs = fitting.model_inputs(young.current, model.btyd, 90)
    of_trees = model.two_part.value(inputs, model.two_part.log_odds(inputs, threads=1), threads=1).sum()
    of_btyd = fitting_value(model, young)
    predicted = model.predict(young.current, as_of=young.as_of)
    assert predicted["predicted_value"].sum() == pytest.approx((of_trees + 2.0 * of_btyd) / 3.0)
    said = logistic(model.two_part.log_odds(inputs, threads=1)).mean()
    likely = model.btyd.purchase_probability(young.current, 90.0).mean()
    assert predicted["purchase_probability"].mean() == pytest.approx((said + 2.0 * likely) / 3.0, rel=1e-9)


def fitting_value(model: ValueModel, training: TrainingSet) -> float:
    """What BTYD alone expects of the customers of today."""
    return float(model.btyd.value(training.current, float(training.horizon_days)).sum())


def test_both_models_are_brought_to_one_total_before_they_are_weighed(
    sample_training: TrainingSet, sample_settings: Settings, sample_model: ValueModel
) -> None:
    """The trees' part of the predicted total is the weight, whatever level either model had."""
    believed = believed_by(sample_model, sample_training)
    learned = fitting._tune(believed, list(sample_model.two_part.inputs), sample_settings)
    assert learned is not None
    seen = outlook(sample_model.two_part, sample_model.btyd, believed.current, 90, threads=2)
    chance = logistic(seen.log_odds(sample_model.stacking))
    of_trees = sample_model.blend.two_part * (chance @ np.exp(seen.log_trees))
    of_btyd = sample_model.blend.btyd * (chance @ np.exp(seen.log_btyd))
    assert of_trees / (of_trees + of_btyd) == pytest.approx(learned.weight)
    assert sample_model.blend.one_time == learned.one_time


def test_one_time_buyers_get_the_share_of_the_total_they_had() -> None:
    one_time = np.array([True, True, False, False])
    realised, predicted = np.array([1.0, 1.0, 4.0, 4.0]), np.array([2.0, 2.0, 3.0, 3.0])
    assert fitting._one_time_factor(realised, predicted, one_time) == pytest.approx(0.2 / 0.4)
    assert fitting._one_time_factor(predicted, realised, one_time) == pytest.approx(2.0)
    assert fitting._one_time_factor(realised, predicted / [1e3, 1e3, 1, 1], one_time) == fitting.MOST_ONE_TIME
    for nobody in (np.zeros(4, dtype=bool), one_time & (realised > 2.0)):
        assert fitting._one_time_factor(realised, predicted, nobody) == 1.0


def test_a_history_too_short_for_a_trial_still_gives_intervals(sample_training: TrainingSet, sample_settings: Settings) -> None:
    short = sample_training.rows(sample_training.cutoff >= sample_training.as_of - 120)
    assert fitting._tune(short, list(FEATURE_NAMES), sample_settings) is None
    model = fit(short, sample_settings)
    assert (model.stacking.trees, model.stacking.btyd) == (UNLEARNED.trees, UNLEARNED.btyd)
    predicted = model.predict(short.current, as_of=short.as_of)
    assert (predicted["value_high"] >= predicted["value_low"]).all()
    assert predicted["value_high"].max() > predicted["predicted_value"].median()


def test_tiers_hold_the_shares_of_the_settings(sample_training: TrainingSet, sample_model: ValueModel) -> None:
    predicted = sample_model.predict(sample_training.current, as_of=sample_training.as_of)
    shares = predicted["tier"].value_counts(normalize=True)
    for name, share in {"Platinum": 0.05, "Gold": 0.15, "Silver": 0.30, "Bronze": 0.50}.items():
        assert shares[name] == pytest.approx(share, abs=0.01)
    lowest, highest = (predicted.groupby("tier")["predicted_value"].agg(how) for how in ("min", "max"))
    assert lowest["Platinum"] > highest["Gold"]
    assert lowest["Gold"] > highest["Silver"]
    assert lowest["Silver"] > highest["Bronze"]


def test_the_season_is_no_input_until_cutoffs_span_two_years(sample_model: ValueModel) -> None:
    assert not set(SEASON_FEATURES) & set(sample_model.two_part.inputs)
    for days, wanted in ((729, False), (730, True)):
        names = fitting._input_names(np.array([0, days]))
        assert set(SEASON_FEATURES).issubset(names) is wanted


def first_buyers(one: TrainingSet, number: int) -> TrainingSet:
    kept = (one.active > 0) & (np.cumsum(one.active) <= number)
    return replace(one, active=one.active * kept, value=one.value * kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: replace(one, active=0 * one.active, value=0 * one.value), "0 bought within 90 days"),
        (lambda one: replace(one, active=0 * one.active + 1), "bought within 90 days: there is nothing to tell"),
        (lambda one: first_buyers(one, 9), r"only 9 bought within 90 days, at least 10 are needed to learn from: set a longer"),
        (lambda one: replace(first_buyers(one, 3), horizon_days=1), "only 3 bought within 1 day, "),
        (lambda one: replace(one, value=0 * one.value), "0 have net revenue in that time, at least 10 are needed"),
        (lambda one: replace(one, value=one.value * (np.cumsum(one.value > 0) <= 9)), "9 have net revenue"),
    ],
)
def test_too_little_to_learn_from_is_said(
    sample_training: TrainingSet, sample_settings: Settings, change: Callable[[TrainingSet], TrainingSet], message: str
) -> None:
    with pytest.raises(HistoryError, match=message):
        fit(change(sample_training), sample_settings)


def test_ten_spenders_are_enough_to_train(sample_training: TrainingSet, sample_settings: Settings) -> None:
    few = replace(
        sample_training,
        value=sample_training.value * (np.cumsum(sample_training.value > 0) <= 10),
    )
    predicted = fit(few, sample_settings).predict(few.current, as_of=few.as_of)
    assert np.isfinite(predicted["predicted_value"]).all()


def test_progress_is_told_as_often_as_promised(sample_training: TrainingSet, sample_settings: Settings) -> None:
    told: list[str] = []
    fit(sample_training.rows(sample_training.cutoff >= sample_training.as_of - 120), sample_settings, progress=told.append)
    assert len(told) == len(set(told)) == FIT_STEPS


@pytest.fixture(scope="module")
def written(sample_model: ValueModel, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The bundle of the sample's model, file by file."""
    return bundle_files(sample_model, tmp_path_factory.mktemp("bundle"))


def bundle_files(model: ValueModel, folder: Path) -> dict[str, bytes]:
    save_bundle(model, Origin(10408, (10318,), "f" * 64, {"a": 1}, {}), folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_orders_in_any_row_order_under_any_names_make_the_same_bytes(
    written: dict[str, bytes], sample_settings: Settings, sample_plan: Plan, tmp_path: Path
) -> None:
    """From shuffled rows of renamed customers to the bundle: what it holds depends on neither, so names no customer."""
    lines = Path(source_path("package:lifetimes/datasets/CDNOW_sample.txt")).read_text().splitlines()
    cells = [line.split() for line in lines if line.strip()]
    rows = pl.DataFrame([(NAME + c[1], c[2], c[3], c[4]) for c in cells], schema=["id", "day", "items", "amount"], orient="row")
    rows.sample(fraction=1.0, shuffle=True, seed=7).write_parquet(tmp_path / "orders.parquet")
    raw = sample_settings.model_dump(mode="json") | {
        "source": {"path": str(tmp_path / "orders.parquet")},
        "columns": {"customer_id": "id", "ordered_at": "day", "items": "items", "amount": "amount"},
    }
    settings = parse_settings(raw, where="test")
    orders = clean_orders(read_transactions(settings.source), settings, today=date(1998, 7, 1)).orders
    horizon, as_of = sample_plan.horizon_days, sample_plan.as_of
    snapshots = [snapshot(orders, cutoff, horizon) for cutoff in sample_plan.final]
    current = feature_frame(orders, as_of)
    assert current.index[0] == f"{NAME}0001"
    files = bundle_files(fit(training_set(snapshots, current, as_of, horizon), settings), tmp_path / "bundle")
    assert files == written
    assert not any(NAME.encode() in content or b"kundin" in content for content in files.values())


def test_one_thread_or_two_make_the_same_model(
    written: dict[str, bytes], sample_training: TrainingSet, sample_settings: Settings, tmp_path: Path
) -> None:
    alone = sample_settings.model_copy(update={"training": sample_settings.training.model_copy(update={"threads": 1})})
    files = bundle_files(fit(sample_training, alone), tmp_path)
    for name in written.keys() - {"manifest.json"}:
        # LightGBM writes the number of threads among its parameters, and nothing else differs.
        assert files[name].replace(b"[num_threads: 1]", b"[num_threads: 2]") == written[name], name
