"""Metrics of weighted customers: a customer of weight 3 is three customers, for our own metrics and for scikit-learn's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from models import accuracy
from training.weighted_metrics import ChurnMetrics, Metrics, Ranked, ValueMetrics, along

Floats = npt.NDArray[np.float64]

# Value or outcome, score, weight; scores collide often.
rows = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 6), st.integers(0, 3)), min_size=2, max_size=40)


def columns(drawn: list[tuple[int, int, int]]) -> tuple[Floats, Floats, Floats]:
    first, second, third = (np.array(column, dtype=np.float64) for column in zip(*drawn, strict=True))
    return first, second, third


def value_metrics(value: Floats, score: Floats, weight: Floats) -> Metrics:
    perfect = ValueMetrics.of(value, value, amount=True).perfect(weight)
    return ValueMetrics.of(value, score, amount=True).metrics(weight, perfect)


def agree(found: float, expected: float) -> None:
    assert found == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(rows)
def test_a_weight_counts_a_customer_as_often(drawn: list[tuple[int, int, int]]) -> None:
    value, score, weight = columns(drawn)
    often = weight.astype(int)
    repeated, said = np.repeat(value, often), np.repeat(score, often)
    assume(repeated.sum() > 0)
    found = value_metrics(value, score, weight)
    agree(found["normalized_gini"], accuracy.normalized_gini(repeated, said))
    agree(found["rank_correlation"], accuracy.rank_correlation(repeated, said))
    for name, share in (("capture_5", 0.05), ("capture_10", 0.10), ("capture_20", 0.20)):
        agree(found[name], accuracy.top_capture(repeated, said, share))
    agree(found["total_bias"], said.sum() / repeated.sum())
    agree(found["absolute_bias"], abs(said.sum() / repeated.sum() - 1.0))
    agree(found["mean_absolute_error"], float(np.abs(said - repeated).mean()))
    # Groups are ten as soon as ten are looked at, drawn or not.
    if len(repeated) >= accuracy.DECILES and len(value) >= accuracy.DECILES:
        agree(found["decile_error"], accuracy.decile_calibration_error(repeated, said))


@given(rows)
def test_churn_is_as_scikit_learn_says_with_its_sample_weights(drawn: list[tuple[int, int, int]]) -> None:
    value, score, weight = columns(drawn)
    churned, risk = (value > 10).astype(np.float64), score / 6
    gone = float(np.dot(weight, churned))
    assume(0 < gone < weight.sum())
    found = ChurnMetrics.of(churned, risk, risk).metrics(weight)
    agree(found["auc"], roc_auc_score(churned, risk, sample_weight=weight))
    agree(found["average_precision"], average_precision_score(churned, risk, sample_weight=weight))
    agree(found["log_loss"], log_loss(churned, risk, sample_weight=weight, labels=[0, 1]))
    base = np.full(len(churned), gone / weight.sum())
    skill = 1 - brier_score_loss(churned, risk, sample_weight=weight) / brier_score_loss(churned, base, sample_weight=weight)
    agree(found["brier_skill"], skill)
    often = weight.astype(int)
    if often.sum() >= accuracy.DECILES and len(churned) >= accuracy.DECILES:
        expected = accuracy.expected_calibration_error(np.repeat(churned, often), np.repeat(risk, often))
        agree(found["calibration_error"], expected)


@given(rows)
def test_an_order_gives_the_ranking_and_a_coarser_risk_the_rest(drawn: list[tuple[int, int, int]]) -> None:
    value, score, weight = columns(drawn)
    churned, days, risk = (value > 10).astype(np.float64), score, (score // 2) / 4
    assume(0 < float(np.dot(weight, churned)) < weight.sum())
    found, of_risk = (ChurnMetrics.of(churned, order, risk).metrics(weight) for order in (days, risk))
    agree(found["auc"], roc_auc_score(churned, days, sample_weight=weight))
    agree(found["average_precision"], average_precision_score(churned, days, sample_weight=weight))
    for name in ("brier_skill", "log_loss", "calibration_error"):
        agree(found[name], of_risk[name])


@given(rows)
def test_a_draw_gives_the_plain_metrics_of_so_many_copies(drawn: list[tuple[int, int, int]]) -> None:
    value, score, weight = columns(drawn)
    often = weight.astype(int)
    repeated, said = np.repeat(value, often), np.repeat(score, often)
    assume(repeated.sum() > 0)
    draw = along(score, value)(weight)
    agree(draw.gini(), accuracy.gini(repeated, said))
    for share in (0.01, 0.1, 0.5, 0.99, 1.0):
        agree(draw.capture(share), accuracy.top_capture(repeated, said, share))


def test_what_cannot_be_ranked_is_refused() -> None:
    for scores in (np.array([]), np.array([1.0, np.nan])):
        with pytest.raises(ValueError, match="cannot be ranked"):
            Ranked.by(scores)


def test_where_nothing_is_held_or_all_are_alike_nothing_is_known() -> None:
    draw = along(np.arange(3.0), np.zeros(3))(np.ones(3))
    assert np.isnan([draw.gini(), draw.capture(0.5), draw.auc(), along(np.arange(3.0), np.ones(3))(np.ones(3)).auc()]).all()


@given(rows, st.randoms(use_true_random=False))
def test_no_metric_depends_on_the_order_of_the_customers(drawn: list[tuple[int, int, int]], dice: object) -> None:
    value, score, weight = columns(drawn)
    assume(np.dot(value, weight) > 0)
    shuffled = drawn.copy()
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    other = value_metrics(*columns(shuffled))
    for name, figure in value_metrics(value, score, weight).items():
        agree(other[name], figure)


def test_a_ranking_has_no_amounts_and_nothing_spent_no_metrics() -> None:
    value, score, ones = np.array([1.0, 0.0, 4.0]), np.array([3.0, 1.0, 2.0]), np.ones(3)
    perfect = ValueMetrics.of(value, value, amount=True).perfect(ones)
    assert set(ValueMetrics.of(value, score, amount=False).metrics(ones, perfect)) == {
        "normalized_gini", "rank_correlation", "capture_5", "capture_10", "capture_20",
    }  # fmt: skip
    assert set(ChurnMetrics.of((value > 0).astype(np.float64), score, None).metrics(ones)) == {"auc", "average_precision"}
    assert value_metrics(value, score, np.array([0.0, 2.0, 0.0])) == {}
    assert ChurnMetrics.of(np.ones(3), score, None).metrics(ones) == {}
