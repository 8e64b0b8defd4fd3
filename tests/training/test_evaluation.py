"""The held-back window: nothing of it is known to the model, and the rules beside it are what they say."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression
from sklearn.metrics import average_precision_score, roc_auc_score

from configs.days import date_of
from configs.settings import Settings
from features.customers import feature_frame
from features.netting import net_orders
from features.orders import Cleaned
from models import accuracy
from models.fitting import TrainingSet, fit
from models.value_model import ValueModel
from training.candidates import SILENCE, Context, last_horizon
from training.evaluation import PAST_SPEND, PERFECT, SERVED, Evaluation, can_evaluate, evaluate, gain_curve
from training.panel import Plan, Snapshot, snapshot, training_set

Floats = npt.NDArray[np.float64]


def known_at_holdout(orders: nw.LazyFrame[Any], planned: Plan, settings: Settings) -> tuple[ValueModel, Snapshot]:
    """The model of the held-back window, as training fits it."""
    holdout = snapshot(orders, planned.holdout, planned.horizon_days)
    return fit(learned_from(orders, planned, holdout), settings), holdout


def learned_from(orders: nw.LazyFrame[Any], planned: Plan, holdout: Snapshot) -> TrainingSet:
    trial = [snapshot(orders, cutoff, planned.horizon_days) for cutoff in planned.trial]
    return training_set(trial, holdout.features, planned.holdout, planned.horizon_days)


@pytest.fixture(scope="module")
def honest(sample: Cleaned, sample_plan: Plan, sample_settings: Settings) -> tuple[ValueModel, Snapshot]:
    return known_at_holdout(sample.orders, sample_plan, sample_settings)


@pytest.fixture(scope="module")
def evaluation(honest: tuple[ValueModel, Snapshot]) -> Evaluation:
    return evaluate(*honest, threads=2)


def test_rewriting_the_future_changes_no_prediction_at_the_cutoff(
    honest: tuple[ValueModel, Snapshot],
    evaluation: Evaluation,
    sample: Cleaned,
    sample_plan: Plan,
    sample_settings: Settings,
) -> None:
    """All orders on or after the cutoff become garbage: other customers, other days, fortunes, refunds, strangers."""
    rows = sample.orders.select("customer_id", "order_id", "ordered_at", "order_day", "amount", "items")
    frame = rows.collect(backend="polars").to_native()
    before, after = (
        frame.filter(keep) for keep in (pl.col("order_day") < sample_plan.holdout, pl.col("order_day") >= sample_plan.holdout)
    )
    random = np.random.default_rng(1)
    days = sample_plan.holdout + random.integers(0, 90, len(after))
    garbage = after.with_columns(
        customer_id=pl.Series(random.choice([*before["customer_id"].to_list(), "stranger"], len(after))),
        order_id=pl.Series([f"g{number}" for number in range(len(after))]),
        order_day=pl.Series(days),
        ordered_at=pl.Series([date_of(day) for day in days]).cast(pl.Datetime("us")) + timedelta(hours=1),
        amount=pl.Series(np.round(random.choice([-3.0, 0.0, 1e6, 7.5], len(after)), 4)),
    ).select(before.columns)
    rewritten = nw.from_native(net_orders(nw.from_native(pl.concat([before, garbage]).lazy())).to_native().collect().lazy())
    model, holdout = known_at_holdout(rewritten, sample_plan, sample_settings)
    there, here = (
        one.predict(features, as_of=sample_plan.holdout)
        for one, features in ((model, holdout.features), (honest[0], honest[1].features))
    )
    assert there.equals(here)
    other = evaluate(model, holdout, threads=2)
    np.testing.assert_array_equal(other.curves["decile_predicted"], evaluation.curves["decile_predicted"])
    assert other.realised_value != evaluation.realised_value


def test_each_rule_is_what_it_says(
    evaluation: Evaluation, honest: tuple[ValueModel, Snapshot], sample: Cleaned, sample_plan: Plan
) -> None:
    """Rules without a model, computed by SQL from the orders."""
    cutoff, holdout = sample_plan.holdout, honest[1]
    rules = sample.orders.to_native().query(
        "orders",
        f"""WITH o AS (SELECT customer_id, order_day, amount::DECIMAL(18, 4) AS amount FROM orders WHERE order_day < {cutoff})
            SELECT customer_id, sum(amount)::DOUBLE AS "{PAST_SPEND}",
                   coalesce(sum(amount) FILTER (order_day >= {cutoff} - 90), 0)::DOUBLE AS "spend of the last horizon",
                   sum(amount)::DOUBLE / ({cutoff} - min(order_day)) * 90 AS "spend rate x horizon",
                   coalesce(sum(amount) FILTER (order_day BETWEEN {cutoff} - 364 AND {cutoff} - 275), 0)::DOUBLE
                       AS "same season last year",
                   {cutoff} - max(order_day) AS "days since last order"
            FROM o GROUP BY customer_id""",
    )
    table = rules.df().set_index("customer_id").loc[holdout.features.index]
    value = {row.candidate: row for row in evaluation.value}
    for name in (PAST_SPEND, "spend of the last horizon", "spend rate x horizon", "same season last year"):
        score = table[name].to_numpy()
        assert value[name].normalized_gini == pytest.approx(accuracy.normalized_gini(holdout.value, score), abs=1e-9)
        if value[name].total_bias is not None:
            assert value[name].total_bias == pytest.approx(score.sum() / holdout.value.sum(), rel=1e-9)
            assert value[name].mean_absolute_error == pytest.approx(np.abs(score - holdout.value).mean(), rel=1e-9)
    churn = {row.candidate: row for row in evaluation.churn}
    silence = table["days since last order"].to_numpy()
    assert churn["days since last order"].auc == pytest.approx(roc_auc_score(1 - holdout.active, silence), abs=1e-12)
    assert churn["days since last order"].brier_skill is None
    assert value[PAST_SPEND].total_bias is None


def test_silence_ranks_by_its_days_and_has_the_level_of_what_was_learned_from_them(
    honest: tuple[ValueModel, Snapshot], sample: Cleaned, sample_plan: Plan
) -> None:
    model, holdout = honest
    known = learned_from(sample.orders, sample_plan, holdout)
    found = evaluate(model, holdout, threads=2, context=Context(known=known))
    [row] = [row for row in found.churn if row.candidate == SILENCE]
    churned, days = 1.0 - holdout.active, holdout.features["days_since_last_order"].to_numpy(np.float64)
    assert row.auc == pytest.approx(roc_auc_score(churned, days), abs=1e-12)
    assert row.average_precision == pytest.approx(average_precision_score(churned, days), abs=1e-12)
    # Rates of the learned days, pooled until they never fall.
    each, place, counts = np.unique(known.features["days_since_last_order"], return_inverse=True, return_counts=True)
    rates = isotonic_regression(np.bincount(place, weights=1.0 - known.active) / counts, sample_weight=counts)
    risk = np.interp(days, each, rates)
    assert row.brier_skill == pytest.approx(accuracy.brier_skill(churned, risk), abs=1e-6)
    assert row.calibration_error == pytest.approx(accuracy.expected_calibration_error(churned, risk), abs=1e-6)
    assert roc_auc_score(churned, risk) != row.auc


@pytest.mark.parametrize(("horizon", "window"), [(20, 30), (45, 30), (80, 90), (300, 365), (1000, 730)])
def test_spend_of_thelast_horizon_is_scaled_from_the_nearest_window(
    honest: tuple[ValueModel, Snapshot], horizon: int, window: int
) -> None:
    features = honest[1].features
    found = last_horizon(features, horizon)
    np.testing.assert_allclose(found, features[f"spend_{window}d"] / window * horizon, rtol=1e-12)


def test_the_served_row_is_the_models_own_prediction(evaluation: Evaluation, honest: tuple[ValueModel, Snapshot]) -> None:
    model, holdout = honest
    predicted = model.predict(holdout.features, as_of=holdout.cutoff)
    served, score = evaluation.served, predicted["predicted_value"].to_numpy()
    assert served.candidate == SERVED
    assert served.normalized_gini == accuracy.normalized_gini(holdout.value, score)
    assert served.capture_10 == accuracy.top_capture(holdout.value, score, 0.10)
    assert evaluation.churn[0].auc == pytest.approx(roc_auc_score(1 - holdout.active, predicted["churn_risk"]))
    assert evaluation.buyers_share == holdout.active.mean()
    assert (evaluation.cutoff, evaluation.horizon_days, evaluation.customers) == (holdout.cutoff, 90, len(holdout.value))


def test_nothing_beats_perfect_foresight(evaluation: Evaluation) -> None:
    [perfect] = [row for row in evaluation.value if row.candidate == PERFECT]
    assert (perfect.normalized_gini, perfect.total_bias, perfect.mean_absolute_error) == (1.0, 1.0, 0.0)
    for row in evaluation.value:
        assert row.normalized_gini <= 1.0
        assert row.capture_5 <= perfect.capture_5
        assert row.capture_10 <= perfect.capture_10
        assert row.capture_20 <= perfect.capture_20 + 1e-12
    curves = evaluation.curves
    assert (curves[SERVED] <= curves[PERFECT] + 1e-12).all()


def test_the_model_beats_the_rules_people_use(evaluation: Evaluation) -> None:
    rows = {row.candidate: row for row in evaluation.value}
    for rule in (PAST_SPEND, "spend rate x horizon", "spend of the last horizon", "same season last year"):
        assert rows[SERVED].normalized_gini > rows[rule].normalized_gini
        assert rows[SERVED].capture_10 > rows[rule].capture_10
    assert evaluation.churn[0].brier_skill is not None
    assert evaluation.churn[0].brier_skill > 0.2


def test_it_is_written_as_json(evaluation: Evaluation) -> None:
    text = json.dumps(evaluation.as_dict(), allow_nan=False)
    assert json.loads(text)["value"][0]["candidate"] == SERVED


def test_a_rule_that_says_the_same_of_everybody_has_no_rank_correlation(
    honest: tuple[ValueModel, Snapshot],
) -> None:
    """So it is where the history is shorter than a year: nobody spent anything in the same season."""
    model, holdout = honest
    young = Snapshot(holdout.cutoff, holdout.features.assign(spend_same_season_1y=0.0), holdout.active, holdout.value)
    found = evaluate(model, young, threads=1)
    [row] = [row for row in found.value if row.candidate == "same season last year"]
    assert (row.rank_correlation, row.total_bias) == (None, 0.0)
    assert row.normalized_gini == pytest.approx(0.0, abs=1e-12)
    json.dumps(found.as_dict(), allow_nan=False)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=30),
    st.integers(0, 10),
)
def test_the_gain_curve_says_what_the_capture_says(rows: list[tuple[int, int]], tenths: int) -> None:
    value, score = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    assume(value.sum() > 0)
    curve = gain_curve(value, score, points=len(rows) + 1)
    assert curve[0] == 0.0
    assert curve[-1] == pytest.approx(1.0)
    assert (np.diff(curve) >= -1e-12).all()
    taken = round(tenths / 10 * len(rows))
    if taken > 0:
        assert curve[taken] == pytest.approx(accuracy.top_capture(value, score, taken / len(rows)), abs=1e-9)


def test_a_window_without_buyers_or_with_nothing_else_cannot_tell(sample: Cleaned) -> None:
    features = feature_frame(sample.orders, 10_318).head(3)
    some, none, gifts = np.array([1.0, 0.0, 1.0]), np.zeros(3), np.array([0.0, 0.0, 0.0])
    assert can_evaluate(Snapshot(10_318, features, some, 5 * some))
    assert not can_evaluate(Snapshot(10_318, features, none, none))
    assert not can_evaluate(Snapshot(10_318, features, none + 1, none + 5))
    assert not can_evaluate(Snapshot(10_318, features, some, gifts))
