"""Golden rows catch a model that says something else than when it was saved, and hold no customer."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import lightgbm as lgb
import numpy as np
import pytest

from configs.errors import BundleError
from models.fitting import TrainingSet
from models.golden import CUSTOMERS, check_golden, golden_features, golden_rows
from models.value_model import ValueModel, model_inputs

AS_OF = 10408


@pytest.fixture(scope="module")
def golden(sample_model: ValueModel) -> dict[str, Any]:
    """As it is read from a bundle."""
    found: dict[str, Any] = json.loads(json.dumps(golden_rows(sample_model, AS_OF), allow_nan=False))
    return found


def test_the_model_that_was_saved_says_the_very_same(sample_model: ValueModel, golden: dict[str, Any]) -> None:
    check_golden(sample_model, golden)
    assert golden_rows(sample_model, AS_OF) == golden


def test_all_kinds_of_histories_are_among_them(golden: dict[str, Any]) -> None:
    features = golden_features(golden)
    assert len(features) == CUSTOMERS
    assert 20 < (features["frequency"] == 0).sum() < 60
    assert features["frequency"].max() > 5
    assert features["days_since_last_order"].min() < 15
    assert features["days_since_last_order"].max() > 200
    assert (features["refund_share"] > 0).any()
    assert features["monetary_value"].nunique() > 50


@pytest.mark.parametrize("part", ["booster_purchase", "booster_value"])
def test_most_leaves_are_reached(sample_model: ValueModel, golden: dict[str, Any], part: str) -> None:
    booster = getattr(sample_model.two_part, part)
    inputs = model_inputs(golden_features(golden), sample_model.btyd, sample_model.horizon_days)
    reached = booster.predict(sample_model.two_part.matrix(inputs), pred_leaf=True)
    leaves = sum(tree["num_leaves"] for tree in booster.dump_model()["tree_info"])
    assert sum(len(np.unique(tree)) for tree in reached.T) > 0.6 * leaves


def test_none_is_a_real_customer(golden: dict[str, Any], sample_training: TrainingSet) -> None:
    real = {tuple(row) for row in np.nan_to_num(sample_training.current.to_numpy(), nan=-1.0)}
    assert real.isdisjoint(tuple(row) for row in np.nan_to_num(golden_features(golden).to_numpy(), nan=-1.0))


@pytest.mark.parametrize("part", ["booster_purchase", "booster_value"])
def test_a_flipped_leaf_is_caught(sample_model: ValueModel, golden: dict[str, Any], part: str) -> None:
    """The leaf of the first tree that most made-up customers reach, its sign flipped."""
    flipped = lgb.Booster(model_str=getattr(sample_model.two_part, part).model_to_string())
    inputs = model_inputs(golden_features(golden), sample_model.btyd, sample_model.horizon_days)
    reached = np.asarray(flipped.predict(sample_model.two_part.matrix(inputs), pred_leaf=True), dtype=np.int64)
    leaf = int(np.bincount(reached[:, 0]).argmax())
    flipped.set_leaf_output(0, leaf, -flipped.get_leaf_output(0, leaf))
    damaged = replace(sample_model, two_part=replace(sample_model.two_part, **{part: flipped}))
    with pytest.raises(BundleError, match="golden rows: of 100 made-up customers the model says another predicted_value"):
        check_golden(damaged, golden)


def test_other_thresholds_and_columns_are_caught(sample_model: ValueModel, golden: dict[str, Any]) -> None:
    tiers = replace(sample_model.tiers, thresholds=tuple(3.0 * one for one in sample_model.tiers.thresholds))
    with pytest.raises(BundleError, match=r"another (tier|movement)"):
        check_golden(replace(sample_model, tiers=tiers), golden)
    with pytest.raises(BundleError, match="does not predict luck any more"):
        check_golden(sample_model, {**golden, "predictions": {"luck": [1.0] * CUSTOMERS}})


def test_the_last_bit_may_differ(sample_model: ValueModel, golden: dict[str, Any]) -> None:
    predictions = golden["predictions"]
    nudged = {**predictions, "predicted_value": [one * (1.0 + 1e-12) for one in predictions["predicted_value"]]}
    check_golden(sample_model, {**golden, "predictions": nudged})
