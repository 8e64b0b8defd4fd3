"""The laws of a prediction, on every customer of the CDNOW sample and on customers nobody has seen."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from configs.errors import BundleError
from features.catalog import FEATURE_NAMES
from features.orders import Cleaned
from models.fitting import TrainingSet
from models.prediction import PREDICTION_COLUMNS, Drivers
from models.stacking import Stacking
from models.value_model import GROUP_NAMES, Blend, ValueModel, btyd_value, model_inputs

Floats = npt.NDArray[np.float64]
STANDING = ["tier", "tier_probability", "uncertain", "next_order_day"]
NUMBERS = ["predicted_value", "purchase_probability", "churn_risk", "value_if_active", "value_at_risk"]


@pytest.fixture(scope="module")
def features(sample_training: TrainingSet) -> pd.DataFrame:
    return sample_training.current


@pytest.fixture(scope="module")
def predicted(sample_model: ValueModel, sample_training: TrainingSet) -> pd.DataFrame:
    return sample_model.predict(sample_training.current, as_of=sample_training.as_of, threads=2)


@pytest.fixture(scope="module")
def drivers(sample_model: ValueModel, features: pd.DataFrame) -> Drivers:
    return sample_model.drivers(features)


def test_the_contract_of_a_prediction(predicted: pd.DataFrame, features: pd.DataFrame, sample_model: ValueModel) -> None:
    assert tuple(predicted.columns) == PREDICTION_COLUMNS
    assert predicted.index.equals(features.index)
    assert not predicted.drop(columns="next_order_day").isna().any(axis=None)
    assert (predicted[NUMBERS] >= 0.0).all(axis=None)
    assert set(predicted["tier"]) <= set(sample_model.tiers.names)
    assert set(predicted["movement"]) <= {"up", "same", "down"}
    assert set(predicted["abc_class"]) <= set("ABC")
    assert set(predicted["lifecycle_stage"]) <= {"new", "active", "dormant", "lost"}


def test_value_and_churn_cannot_contradict_each_other(predicted: pd.DataFrame) -> None:
    chance, if_active = predicted["purchase_probability"], predicted["value_if_active"]
    np.testing.assert_allclose(predicted["churn_risk"], 1 - chance, rtol=1e-12)
    np.testing.assert_allclose(predicted["value_at_risk"], if_active * predicted["churn_risk"], rtol=1e-12)
    np.testing.assert_allclose(predicted["predicted_value"], if_active * chance, rtol=1e-12)


def test_the_prediction_is_what_the_parts_make(predicted: pd.DataFrame, features: pd.DataFrame, sample_model: ValueModel) -> None:
    """The formulas of the module's page, on the plain boosters."""
    model, features = sample_model, sample_model.believed(features)
    inputs = model_inputs(features, model.btyd, 90)
    table = inputs[list(model.two_part.inputs)].to_numpy()
    margin, of_buyer = model.two_part.booster_purchase.predict(table, raw_score=True), model.two_part.booster_value.predict(table)
    of_btyd = model.btyd.purchase_probability(features, 90.0)
    believed = np.clip(of_btyd, 1e-6, 1 - 1e-6)
    one_time = (features["frequency"] == 0).to_numpy()
    stacking = model.stacking
    chance = expit(stacking.trees * margin + stacking.btyd * logit(believed) + stacking.one_time * one_time + stacking.intercept)
    btyd = model.btyd.value(features, 90.0)
    np.testing.assert_allclose(btyd_value(inputs), btyd, rtol=1e-12)
    np.testing.assert_allclose(predicted["purchase_probability"], chance, rtol=1e-9)
    expected = chance * (model.blend.two_part * of_buyer + model.blend.btyd * btyd / of_btyd)
    expected *= np.where(one_time, model.blend.one_time, 1.0)
    np.testing.assert_allclose(predicted["predicted_value"], expected, rtol=1e-9)


def test_what_is_said_of_the_past_is_what_the_orders_say(
    predicted: pd.DataFrame, sample: Cleaned, sample_training: TrainingSet
) -> None:
    orders = sample.orders.to_native()
    truth = orders.query(
        "orders",
        "SELECT customer_id, max(order_day) AS last, count(*) AS orders, sum(amount) AS spend FROM orders GROUP BY ALL",
    )
    expected = truth.df().set_index("customer_id").loc[predicted.index]
    assert (predicted["last_order_day"] == expected["last"]).all()
    assert (predicted["order_count"] == expected["orders"]).all()
    np.testing.assert_allclose(predicted["total_spend"], expected["spend"], atol=1e-4)
    assert predicted["last_order_day"].max() < sample_training.as_of


def test_value_drivers_add_up_for_every_customer(predicted: pd.DataFrame, drivers: Drivers) -> None:
    assert tuple(drivers.value.columns) == GROUP_NAMES
    total = drivers.value_average + drivers.value.sum(axis=1)
    np.testing.assert_allclose(total, predicted["predicted_value"], rtol=0, atol=1e-6)


def test_churn_drivers_add_up_for_every_customer(predicted: pd.DataFrame, drivers: Drivers) -> None:
    assert tuple(drivers.churn.columns) == GROUP_NAMES
    total = drivers.churn_average + drivers.churn.sum(axis=1)
    np.testing.assert_allclose(total, predicted["churn_risk"], rtol=0, atol=1e-9)


@pytest.mark.parametrize("blend", [Blend(1.0, 0.0), Blend(0.0, 1.3), Blend(0.2, 1.1, 0.6)])
@pytest.mark.parametrize("stacking", [Stacking(9.0, 0.0, 0.0, -3.0), Stacking(0.0, 1.5, 0.5, 1.0), Stacking(0.6, 0.4, -0.3)])
@pytest.mark.parametrize("horizon_days", [None, 1, 30, 400])
def test_drivers_add_up_whatever_the_blend_the_stacking_and_the_horizon(
    sample_model: ValueModel, features: pd.DataFrame, blend: Blend, stacking: Stacking, horizon_days: int | None
) -> None:
    model = replace(sample_model, blend=blend, stacking=stacking)
    some = features.iloc[::25]
    predicted = model.predict(some, as_of=10408, horizon_days=horizon_days)
    drivers = model.drivers(some, horizon_days=horizon_days)
    value = drivers.value_average + drivers.value.sum(axis=1)
    np.testing.assert_allclose(value, predicted["predicted_value"], rtol=1e-9, atol=1e-6)
    churn = drivers.churn_average + drivers.churn.sum(axis=1)
    np.testing.assert_allclose(churn, predicted["churn_risk"], rtol=0, atol=1e-9)


def test_what_btyd_says_is_told_by_its_own_four_inputs(sample_model: ValueModel, features: pd.DataFrame) -> None:
    """Nothing of BTYD is told by any other group, and nothing of the chance to buy by the value of an order."""
    of_btyd = replace(sample_model, blend=Blend(0.0, 1.0), stacking=Stacking(0.0, 1.0))
    drivers = of_btyd.drivers(features.iloc[::5])
    told = {"order_history", "recency", "tenure", "order_value"}
    for group in GROUP_NAMES:
        assert drivers.value[group].any() == (group in told)
        assert drivers.churn[group].any() == (group in told - {"order_value"})


def test_other_horizons_add_up_and_never_turn_back(sample_model: ValueModel, features: pd.DataFrame) -> None:
    """Value, orders and probability rise with the horizon; the tier, its probability and the next order stay."""
    ahead = {days: sample_model.predict(features, as_of=10408, horizon_days=days) for days in (1, 30, 60, 90, 180, 365, 3650)}
    for near, far in pairwise(ahead.values()):
        for name in ("predicted_value", "purchase_probability", "expected_orders", "value_if_active"):
            assert (far[name] >= near[name] * (1.0 - 1e-9)).all(), name
        pd.testing.assert_frame_equal(near[STANDING], far[STANDING], check_exact=True)
    trained = sample_model.predict(features, as_of=10408)
    pd.testing.assert_frame_equal(ahead[90], trained, check_exact=True)
    for frame in ahead.values():
        np.testing.assert_allclose(frame["churn_risk"], 1.0 - frame["purchase_probability"], rtol=1e-9)
        np.testing.assert_allclose(frame["value_at_risk"], frame["value_if_active"] * frame["churn_risk"], rtol=1e-12)


def test_orders_and_order_value_make_the_value(predicted: pd.DataFrame) -> None:
    np.testing.assert_allclose(predicted["expected_orders"] * predicted["expected_order_value"], predicted["predicted_value"])
    assert (predicted["expected_orders"] >= predicted["purchase_probability"]).all()


def test_the_next_order_is_the_day_by_which_every_second_has_ordered(
    sample_model: ValueModel, features: pd.DataFrame, predicted: pd.DataFrame, sample_training: TrainingSet
) -> None:
    days = predicted["next_order_day"] - sample_training.as_of + 1
    known = days.notna()
    assert 0.05 < known.mean() < 0.95
    assert (days[known] == days[known].round()).all()
    assert days[known].between(1, 730).all()
    for count in (days.min(), days.median(), days.max()):
        some = features[(days == count).to_numpy()]
        if len(some):
            until = sample_model.predict(some, as_of=10408, horizon_days=int(count))["purchase_probability"]
            assert (until >= 0.5 - 1e-9).all()
            if count > 1:
                before = sample_model.predict(some, as_of=10408, horizon_days=int(count) - 1)["purchase_probability"]
                assert (before < 0.5 + 1e-9).all()
    never = sample_model.predict(features[~known.to_numpy()], as_of=10408, horizon_days=730)["purchase_probability"]
    assert (never < 0.5 + 1e-9).all()


def test_intervals_and_tier_probabilities_belong_together(predicted: pd.DataFrame, sample_model: ValueModel) -> None:
    low, high, chance = predicted["value_low"], predicted["value_high"], predicted["tier_probability"]
    assert ((low >= 0.0) & (low <= high)).all()
    assert (high[predicted["churn_risk"] >= 0.9] == 0.0).all()
    assert (low[predicted["churn_risk"] >= 0.1] == 0.0).all()
    assert chance.between(0.0, 1.0).all()
    tiers = sample_model.tiers
    inside = (tiers.assign(low) == predicted["tier"]) & (tiers.assign(high) == predicted["tier"])
    np.testing.assert_array_equal(predicted["uncertain"], ~inside)
    assert (chance[inside] >= 0.8 - 1e-9).all(), "an interval within the tier holds 80 % of the outcomes"


def test_drivers_point_the_way_the_features_do(drivers: Drivers, predicted: pd.DataFrame, features: pd.DataFrame) -> None:
    """Who ordered lately is less likely to stay away for that reason, and worth more for it."""
    recent = features["days_since_last_order"] <= 14
    old = features["days_since_last_order"] > 300
    assert recent.sum() > 20
    assert drivers.churn.loc[recent, "recency"].mean() < 0 < drivers.churn.loc[old, "recency"].mean()
    assert drivers.value.loc[recent, "recency"].mean() > drivers.value.loc[old, "recency"].mean()
    best = predicted["predicted_value"].nlargest(20).index
    assert drivers.value.loc[best].sum(axis=1).min() > 0


def test_nobody_elses_row_changes_a_prediction(
    sample_model: ValueModel, sample_training: TrainingSet, predicted: pd.DataFrame
) -> None:
    features = sample_training.current
    for row in range(0, len(features), 61):
        alone = sample_model.predict(features.iloc[[row]], as_of=sample_training.as_of)
        pd.testing.assert_frame_equal(alone, predicted.iloc[[row]], check_exact=True)
    some = sample_model.predict(features.iloc[::-3], as_of=sample_training.as_of, threads=1)
    pd.testing.assert_frame_equal(some, predicted.iloc[::-3], check_exact=True)


@pytest.mark.parametrize(("rows", "horizon"), [(1, None), (1, 30), (2, None), (7, 365), (64, None)])
def test_columns_of_a_few_give_the_bits_of_the_table_of_all(
    sample_model: ValueModel, features: pd.DataFrame, rows: int, horizon: int | None
) -> None:
    table = sample_model.predict(features, as_of=10408, horizon_days=horizon)
    drivers = sample_model.drivers(features, horizon_days=horizon)
    for start in range(0, len(features), 61):
        few = features.iloc[start : start + rows]
        columns = {name: few[name].to_numpy().copy() for name in few.columns}
        found = sample_model.explain(columns, as_of=10408, horizon_days=horizon)
        assert (found.drivers.value_average, found.drivers.churn_average) == (drivers.value_average, drivers.churn_average)
        np.testing.assert_array_equal(found.drivers.value, drivers.value.loc[few.index])
        np.testing.assert_array_equal(found.drivers.churn, drivers.churn.loc[few.index])
        pd.testing.assert_frame_equal(pd.DataFrame(found.predictions, few.index), table.loc[few.index], check_exact=True)


def test_nobody_gets_no_prediction(sample_model: ValueModel, features: pd.DataFrame) -> None:
    assert sample_model.predict(features.iloc[:0], as_of=10408).shape == (0, len(PREDICTION_COLUMNS))
    nobody = sample_model.drivers(features.iloc[:0])
    assert nobody.value.shape == nobody.churn.shape == (0, len(GROUP_NAMES))


def test_columns_out_of_place_are_refused(sample_model: ValueModel, features: pd.DataFrame) -> None:
    swapped = [FEATURE_NAMES[1], FEATURE_NAMES[0], *FEATURE_NAMES[2:]]
    for wrong in (features[swapped], features.iloc[:, 1:], features.assign(shoe_size=42.0), features.rename(columns=str.upper)):
        for method in (lambda one: sample_model.predict(one, as_of=10408), sample_model.drivers):
            with pytest.raises(BundleError, match="in a fixed order"):
                method(wrong)


@pytest.mark.parametrize(
    "factors", [(0.0, 0.0), (-0.1, 1.0), (math.nan, 1.0), (1.0, math.inf), (1.0, 1.0, 0.0), (1.0, 1.0, math.nan)]
)
def test_a_blend_of_nothing_is_refused(factors: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="two factors of 0 or more"):
        Blend(*factors)


@st.composite
def customers(draw: st.DrawFn) -> dict[str, float]:
    """One customer as the catalog could describe her: one-time buyers, centuries, fortunes, refunds, cells unknown."""
    money = st.one_of(st.just(0.0), st.floats(1e-4, 1e9))
    age = draw(st.integers(0, 36_500))
    silence = draw(st.integers(1, age + 1))
    repeats = draw(st.integers(0, age + 1 - silence)) if draw(st.booleans()) else 0
    recency = float(age + 1 - silence) if repeats else 0.0
    orders = repeats + 1 + draw(st.integers(0, 1000))
    values = {name: draw(money) for name in FEATURE_NAMES if "spend" in name or name.startswith("order_value")}
    if draw(st.booleans()):
        values |= {"total_spend": -draw(money), "spend_365d": -draw(money)}
    counts = {
        name: float(draw(st.integers(0, orders))) for name in FEATURE_NAMES if name.startswith(("orders_", "weighted_orders"))
    }
    once = {"gap_mean": math.nan, "gap_spread": math.nan, "gap_last": math.nan, "overdue_ratio": math.nan}
    rhythm = {"gap_mean": recency / max(repeats, 1), "gap_spread": 0.0, "gap_last": 1.0, "overdue_ratio": silence * 1.0}
    known = {
        **values, **counts, **(rhythm if repeats else once),
        "frequency": float(repeats), "recency": recency, "T": float(age if repeats else silence - 1),
        "monetary_value": draw(money) if repeats else 0.0, "order_count": float(orders),
        "days_since_last_order": float(silence), "order_value_spread": draw(st.floats(0.0, 20.0)),
        "order_value_trend": draw(st.one_of(st.just(math.nan), st.floats(0.0, 1e6))),
        "season_sin": draw(st.floats(-1.0, 1.0)), "season_cos": draw(st.floats(-1.0, 1.0)),
        "refund_share": draw(st.one_of(st.just(math.nan), st.floats(0.0, 1e4))),
        "items_per_order": draw(st.one_of(st.just(math.nan), st.floats(0.0, 1e6))),
    }  # fmt: skip
    return {name: known[name] for name in FEATURE_NAMES}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(rows=st.lists(customers(), min_size=1, max_size=8))
def test_every_customer_gets_a_number_and_reasons_that_add_up(sample_model: ValueModel, rows: list[dict[str, float]]) -> None:
    features = pd.DataFrame(rows, columns=list(FEATURE_NAMES), dtype=np.float64)
    predicted, drivers = sample_model.predict(features, as_of=20_000), sample_model.drivers(features)
    assert np.isfinite(predicted[NUMBERS].to_numpy()).all()
    assert not predicted.drop(columns="next_order_day").isna().any(axis=None)
    assert ((predicted["churn_risk"] > 0.0) & (predicted["churn_risk"] < 1.0)).all()
    value = drivers.value_average + drivers.value.sum(axis=1)
    np.testing.assert_allclose(value, predicted["predicted_value"], rtol=1e-9, atol=1e-6)
    churn = drivers.churn_average + drivers.churn.sum(axis=1)
    np.testing.assert_allclose(churn, predicted["churn_risk"], rtol=0, atol=1e-9)
