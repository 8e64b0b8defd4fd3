"""Contributions against LightGBM's own, against the raw score, and against Shapley's formula over every coalition."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
import pytest

from models import tree_shapley as module
from models.tree_shapley import FEW_ROWS, tree_shapley
from models.two_part import fit_two_part

CUSTOMERS = 2500


@pytest.fixture(scope="module")
def inputs() -> pd.DataFrame:
    """Numbers, counts with many ties, a column with missing cells, one without, one of two values, one constant."""
    random = np.random.default_rng(5)
    return pd.DataFrame(
        {
            "count": random.poisson(1.0, CUSTOMERS).astype(np.float64),
            "money": np.exp(random.normal(3.0, 1.5, CUSTOMERS)),
            "gap": np.where(random.random(CUSTOMERS) < 0.4, np.nan, random.integers(1, 90, CUSTOMERS)),
            "flag": (random.random(CUSTOMERS) < 0.5).astype(np.float64),
            "season": 0.25,
            "noise": random.normal(size=CUSTOMERS),
        }
    )


@pytest.fixture(scope="module", params=["purchase", "value"])
def booster(request: pytest.FixtureRequest, inputs: pd.DataFrame) -> lgb.Booster:
    random = np.random.default_rng(6)
    chance = 1 / (1 + np.exp(-(inputs["count"] - 1 + inputs["flag"] - inputs["gap"].fillna(120) / 60)))
    active = (random.random(CUSTOMERS) < chance).to_numpy(np.float64)
    value = active * inputs["money"].to_numpy() * random.gamma(2.0, 0.5, CUSTOMERS)
    fitted = fit_two_part(inputs, active, value, rounds=60, seed=1, threads=2)
    return fitted.booster_purchase if request.param == "purchase" else fitted.booster_value


def strange(inputs: pd.DataFrame) -> pd.DataFrame:
    """The same with cells missing where training had none, rows of nothing but missing cells, zeros and extremes."""
    table = inputs.copy()
    table.iloc[0::5, 0] = np.nan
    table.iloc[1::5, 1:] = np.nan
    table.iloc[2:200:5] = np.nan
    table.iloc[3:200:5] = 0.0
    table.iloc[4:200:5] = 1e300
    table.iloc[204:400:5] = -1e300
    return table


@pytest.mark.parametrize("make", [pd.DataFrame.copy, strange])
def test_many_rows_get_what_lightgbm_gives(
    booster: lgb.Booster, inputs: pd.DataFrame, make: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    table = make(inputs)
    assert len(table) > FEW_ROWS
    base, parts = tree_shapley(booster, table.to_numpy(), threads=2)
    theirs = booster.predict(table.to_numpy(), pred_contrib=True)
    np.testing.assert_allclose(parts, theirs[:, :-1], rtol=0, atol=1e-9)
    np.testing.assert_allclose(base, theirs[:, -1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("rows", [1, FEW_ROWS, FEW_ROWS + 1, CUSTOMERS])
def test_contributions_add_up_to_the_raw_score(booster: lgb.Booster, inputs: pd.DataFrame, rows: int) -> None:
    table = strange(inputs).iloc[:rows]
    base, parts = tree_shapley(booster, table.to_numpy(), threads=1)
    raw = booster.predict(table.to_numpy(), raw_score=True)
    np.testing.assert_allclose(base + parts.sum(axis=1), raw, rtol=0, atol=1e-9)


def test_a_row_alone_gets_what_it_gets_among_many(booster: lgb.Booster, inputs: pd.DataFrame) -> None:
    table = strange(inputs)
    base, parts = tree_shapley(booster, table.to_numpy(), threads=1)
    for row in range(0, CUSTOMERS, 97):
        alone_base, alone = tree_shapley(booster, table.iloc[[row]].to_numpy(), threads=1)
        assert alone_base == base
        np.testing.assert_allclose(alone[0], parts[row], rtol=0, atol=1e-9)


def test_batches_change_nothing(booster: lgb.Booster, inputs: pd.DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = tree_shapley(booster, inputs.to_numpy(), threads=1)[1]
    monkeypatch.setattr(module, "BATCH_ROWS", 500)
    np.testing.assert_allclose(tree_shapley(booster, inputs.to_numpy(), threads=1)[1], whole, rtol=0, atol=1e-12)


def test_nobody_has_no_contributions(booster: lgb.Booster, inputs: pd.DataFrame) -> None:
    base, parts = tree_shapley(booster, inputs.iloc[:0].to_numpy(), threads=1)
    assert parts.shape == (0, inputs.shape[1])
    assert base == tree_shapley(booster, inputs.iloc[:1].to_numpy(), threads=1)[0]


def test_a_booster_that_could_learn_nothing_gives_its_base_to_everybody() -> None:
    same = pd.DataFrame({"a": np.ones(2400), "b": np.zeros(2400)})
    active = np.tile([1.0, 0.0, 0.0], 800)
    fitted = fit_two_part(same, active, active * 2.0, rounds=20, seed=1, threads=1)
    base, parts = tree_shapley(fitted.booster_value, same.to_numpy(), threads=1)
    assert not parts.any()
    assert base == pytest.approx(math.log(2.0))


def test_nothing_is_printed(booster: lgb.Booster, inputs: pd.DataFrame, capfd: pytest.CaptureFixture[str]) -> None:
    tree_shapley(booster, inputs.to_numpy(), threads=1)
    assert capfd.readouterr() == ("", "")


@pytest.fixture(scope="module")
def small() -> tuple[lgb.Booster, pd.DataFrame]:
    """Six trees of three features that come back on one path, with missing cells."""
    random = np.random.default_rng(8)
    table = pd.DataFrame(random.normal(size=(400, 3)), columns=list("abc"))
    table.loc[random.random(400) < 0.3, "b"] = np.nan
    target = table["a"] * table["b"].fillna(2.0) + np.sin(3 * table["c"])
    data = lgb.Dataset(table.to_numpy(), target.to_numpy(), feature_name=list("abc"))
    plain = {"verbose": -1, "num_leaves": 12, "min_data_in_leaf": 5, "num_threads": 1, "deterministic": True}
    return lgb.train(plain, data, num_boost_round=6), table


@pytest.mark.parametrize("path", ["one by one", "batch"])
def test_contributions_are_shapley_values_of_the_path_dependent_game(small: tuple[lgb.Booster, pd.DataFrame], path: str) -> None:
    booster, table = small
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    many = pd.concat([table] * 6)
    assert len(many) > FEW_ROWS
    base, parts = tree_shapley(booster, (many if path == "batch" else table.iloc[:5]).to_numpy(), threads=1)
    assert base == pytest.approx(sum(worth(tree, table.iloc[0], frozenset()) for tree in trees), abs=1e-12)
    for row in range(5):
        by_formula = [shapley(trees, table.iloc[row], player) for player in range(3)]
        np.testing.assert_allclose(parts[row], by_formula, rtol=0, atol=1e-12)


def shapley(trees: list[dict[str, Any]], row: pd.Series, player: int) -> float:
    """Shapley (1953): the mean over all orders of the players of what this one adds when its turn comes."""
    total = 0.0
    for order in itertools.permutations(range(3)):
        before = frozenset(order[: order.index(player)])
        total += sum(worth(tree, row, before | {player}) - worth(tree, row, before) for tree in trees)
    return total / math.factorial(3)


def worth(node: dict[str, Any], row: pd.Series, known: frozenset[int]) -> float:
    """Expected output of a tree when only ``known`` features are: both ways, by customers, at a split of another one."""
    if "leaf_value" in node:
        return float(node["leaf_value"])
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] not in known:
        weights = [customers(left), customers(right)]
        return (weights[0] * worth(left, row, known) + weights[1] * worth(right, row, known)) / sum(weights)
    cell = row.iloc[node["split_feature"]]
    if math.isnan(cell) and node["missing_type"] == "NaN":
        return worth(left if node["default_left"] else right, row, known)
    return worth(left if cell <= node["threshold"] else right, row, known)


def customers(node: dict[str, Any]) -> int:
    return int(node.get("leaf_count") or node["internal_count"])
