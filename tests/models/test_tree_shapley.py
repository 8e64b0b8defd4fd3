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

from models.tree_shapley import CHUNK_ROWS, TreeShapley, tree_shapley
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


def prepared(booster: lgb.Booster) -> TreeShapley:
    """Every input a group of its own."""
    return tree_shapley(booster, range(booster.num_feature()), booster.num_feature())


@pytest.mark.parametrize("make", [pd.DataFrame.copy, strange])
def test_contributions_are_what_lightgbm_gives(
    booster: lgb.Booster, inputs: pd.DataFrame, make: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    table, trees = make(inputs).to_numpy(), prepared(booster)
    theirs = booster.predict(table, pred_contrib=True)
    np.testing.assert_allclose(trees.contributions(table), theirs[:, :-1], rtol=0, atol=1e-12)
    np.testing.assert_allclose(trees.base, theirs[:, -1], rtol=0, atol=1e-12)


def test_contributions_add_up_to_the_raw_score(booster: lgb.Booster, inputs: pd.DataFrame) -> None:
    table, trees = strange(inputs).to_numpy(), prepared(booster)
    raw = booster.predict(table, raw_score=True)
    np.testing.assert_allclose(trees.base + trees.contributions(table).sum(axis=1), raw, rtol=0, atol=1e-12)


def test_a_cell_at_a_threshold_goes_left_as_in_lightgbm(booster: lgb.Booster, inputs: pd.DataFrame) -> None:
    nodes = booster.trees_to_dataframe().dropna(subset="threshold")
    names = booster.feature_name()
    at_threshold = np.repeat(inputs.to_numpy()[:1], len(nodes), axis=0)
    at_threshold[np.arange(len(nodes)), [names.index(name) for name in nodes["split_feature"]]] = nodes["threshold"]
    theirs = booster.predict(at_threshold, pred_contrib=True)
    np.testing.assert_allclose(prepared(booster).contributions(at_threshold), theirs[:, :-1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("rows", [1, 2, 7, CHUNK_ROWS + 1])
def test_a_row_gets_the_same_bits_among_any_others(booster: lgb.Booster, inputs: pd.DataFrame, rows: int) -> None:
    table, trees = strange(inputs).to_numpy()[:500], prepared(booster)
    parts = [trees.contributions(table[start : start + rows]) for start in range(0, 500, rows)]
    np.testing.assert_array_equal(np.vstack(parts), trees.contributions(table))


def test_contributions_are_added_up_by_group(booster: lgb.Booster, inputs: pd.DataFrame) -> None:
    table = inputs.to_numpy()[:100]
    grouped = tree_shapley(booster, [0, 1, 1, 0, 2, 1], 3).contributions(table)
    each = prepared(booster).contributions(table)
    expected = [each[:, [0, 3]].sum(axis=1), each[:, [1, 2, 5]].sum(axis=1), each[:, 4]]
    np.testing.assert_allclose(grouped, np.column_stack(expected), rtol=0, atol=1e-12)


def test_nobody_has_no_contributions(booster: lgb.Booster, inputs: pd.DataFrame) -> None:
    assert prepared(booster).contributions(inputs.to_numpy()[:0]).shape == (0, inputs.shape[1])


def test_a_booster_that_could_learn_nothing_gives_its_base_to_everybody() -> None:
    same = pd.DataFrame({"a": np.ones(2400), "b": np.zeros(2400)})
    active = np.tile([1.0, 0.0, 0.0], 800)
    fitted = fit_two_part(same, active, active * 2.0, rounds=20, seed=1, threads=1)
    trees = prepared(fitted.booster_value)
    assert not trees.contributions(same.to_numpy()).any()
    assert trees.base == pytest.approx(math.log(2.0))


def test_trees_that_fitting_never_makes_are_refused(inputs: pd.DataFrame) -> None:
    plain = {"verbose": -1, "num_threads": 1, "min_data_in_leaf": 1, "num_leaves": 60}
    target = inputs["money"].to_numpy() ** 3
    deep = lgb.train(plain, lgb.Dataset(inputs.to_numpy(), target), num_boost_round=1)
    with pytest.raises(ValueError, match=r"splits deep, at most 8"):
        prepared(deep)
    by_name = lgb.Dataset(
        inputs[["count", "noise"]].to_numpy(), target, categorical_feature=[0], params={"min_data_per_group": 1}
    )
    with pytest.raises(ValueError, match="a split by =="):
        prepared(lgb.train({**plain, "max_depth": 5}, by_name, num_boost_round=5))


@pytest.fixture(scope="module")
def small() -> tuple[lgb.Booster, pd.DataFrame]:
    """Six trees of three features that come back on one path, with missing cells."""
    random = np.random.default_rng(8)
    table = pd.DataFrame(random.normal(size=(400, 3)), columns=list("abc"))
    table.loc[random.random(400) < 0.3, "b"] = np.nan
    target = table["a"] * table["b"].fillna(2.0) + np.sin(3 * table["c"])
    data = lgb.Dataset(table.to_numpy(), target.to_numpy(), feature_name=list("abc"))
    plain = {"verbose": -1, "num_leaves": 16, "max_depth": 7, "min_data_in_leaf": 5, "num_threads": 1, "deterministic": True}
    return lgb.train(plain, data, num_boost_round=6), table


def test_contributions_are_shapley_values_of_the_path_dependent_game(small: tuple[lgb.Booster, pd.DataFrame]) -> None:
    booster, table = small
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    found = prepared(booster)
    parts = found.contributions(table.to_numpy())
    assert found.base == pytest.approx(sum(worth(tree, table.iloc[0], frozenset()) for tree in trees), abs=1e-12)
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
