"""Accuracy metrics against their definitions in plain Python, and against scikit-learn, SciPy and pandas."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from models import accuracy

Rows = list[tuple[int, int]]
rows_with_ties = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 4)), min_size=2, max_size=40)


def columns(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    value, score = zip(*rows, strict=True)
    return np.array(value, dtype=np.float64), np.array(score, dtype=np.float64)


def lorenz_gini(rows: Rows) -> float:
    """1 - 2 x the area under the Lorenz curve along rising score; a group of equal scores is one straight stretch."""
    total, n = sum(value for value, _ in rows), len(rows)
    area = height = 0.0
    for _, group in itertools.groupby(sorted(rows, key=lambda row: row[1]), key=lambda row: row[1]):
        held = [value for value, _ in group]
        step = sum(held) / total
        area += len(held) / n * (height + step / 2)
        height += step
    return 1.0 - 2.0 * area


@given(rows_with_ties)
def test_gini_is_the_area_of_the_lorenz_curve(rows: Rows) -> None:
    value, score = columns(rows)
    assume(value.sum() > 0)
    assert accuracy.gini(value, score) == pytest.approx(lorenz_gini(rows), abs=1e-12)


@given(rows_with_ties)
def test_gini_of_a_yes_or_no_outcome_is_twice_the_auc_minus_one(rows: Rows) -> None:
    value, score = columns(rows)
    happened = (value > 10).astype(np.float64)
    assume(0 < happened.sum() < len(happened))
    assert accuracy.normalized_gini(happened, score) == pytest.approx(2 * roc_auc_score(happened, score) - 1, abs=1e-12)


@given(rows_with_ties, st.randoms(use_true_random=False))
def test_no_metric_depends_on_the_order_of_the_rows_or_the_scale_of_the_score(rows: Rows, dice: object) -> None:
    value, score = columns(rows)
    assume(np.ptp(value) > 0)
    shuffled = rows.copy()
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    other_value, other_score = columns(shuffled)
    for metric in (accuracy.normalized_gini, accuracy.rank_correlation, lambda v, s: accuracy.top_capture(v, s, 0.3)):
        found = metric(value, score)
        assert metric(other_value, np.exp(other_score) * 7) == pytest.approx(found, abs=1e-12, nan_ok=True)


@given(rows_with_ties)
def test_perfect_foresight_is_one_and_its_opposite_minus_one(rows: Rows) -> None:
    value, _ = columns(rows)
    assume(np.ptp(value) > 0)
    assert accuracy.normalized_gini(value, value) == 1.0
    assert accuracy.normalized_gini(value, -value) == pytest.approx(-1.0)
    assert accuracy.normalized_gini(value, np.ones(len(value))) == pytest.approx(0.0, abs=1e-12)


def test_nothing_to_rank_has_no_gini() -> None:
    assert math.isnan(accuracy.normalized_gini(np.ones(4), np.arange(4.0)))
    assert math.isnan(accuracy.normalized_gini(np.zeros(4), np.arange(4.0)))


@given(rows_with_ties)
def test_rank_correlation_is_that_of_pandas(rows: Rows) -> None:
    value, score = columns(rows)
    found = accuracy.rank_correlation(value, score)
    if np.ptp(value) == 0 or np.ptp(score) == 0:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(pd.Series(value).corr(pd.Series(score), method="spearman"), abs=1e-12)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2)), min_size=1, max_size=6),
    st.sampled_from([0.05, 0.2, 0.34, 0.5, 1.0]),
)
def test_capture_is_the_mean_over_every_way_to_break_ties(rows: Rows, share: float) -> None:
    value, score = columns(rows)
    assume(value.sum() > 0)
    wanted = max(1, round(share * len(rows)))
    captured = [
        sum(held for held, _ in sorted(order, key=lambda row: -row[1])[:wanted]) / value.sum()
        for order in itertools.permutations(rows)
    ]
    assert accuracy.top_capture(value, score, share) == pytest.approx(sum(captured) / len(captured), abs=1e-12)


def test_total_bias_is_predicted_over_realised() -> None:
    assert accuracy.total_bias(np.array([1.0, 3.0]), np.array([5.0, 1.0])) == 1.5


def test_deciles_by_hand() -> None:
    predicted = np.arange(20.0)[::-1]
    value = np.where(predicted < 10, 0.0, 2.0)
    expected, happened = accuracy.decile_means(value, predicted)
    np.testing.assert_array_equal(expected, np.arange(0.5, 20, 2))
    np.testing.assert_array_equal(happened, [0.0] * 5 + [2.0] * 5)
    # |0.5 - 0| ... |8.5 - 0|, |10.5 - 2| ... |18.5 - 2|: mean 8.5, mean outcome 1.
    assert accuracy.decile_calibration_error(value, predicted) == 8.5
    assert len(accuracy.decile_means(np.ones(3), np.arange(3.0))[0]) == 3


def test_calibration_errors_by_hand() -> None:
    happened = np.array([0.0, 0.0, 0.0, 1.0] * 10)
    assert accuracy.expected_calibration_error(happened, np.full(40, 0.25)) == 0.0
    assert accuracy.expected_calibration_error(happened, np.full(40, 0.35)) == pytest.approx(0.1)
    # Ten groups of four with rising probability: the first half of them says 0.1 too little, the other 0.3 too much.
    said = np.repeat([0.15, 0.55], 20)
    assert accuracy.expected_calibration_error(happened, said) == pytest.approx(0.2)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 100)), min_size=2, max_size=30))
def test_brier_skill_is_scikit_learns_score_against_the_share(rows: Rows) -> None:
    happened, percent = columns(rows)
    probability = percent / 100
    if happened.min() == happened.max():
        assert math.isnan(accuracy.brier_skill(happened, probability))
        return
    always = brier_score_loss(happened, np.full(len(happened), happened.mean()))
    expected = 1 - brier_score_loss(happened, probability) / always
    assert accuracy.brier_skill(happened, probability) == pytest.approx(expected, abs=1e-12)
    assert accuracy.brier_skill(happened, happened) == 1.0
