"""The wire shape of a prediction, its sentences and its drivers."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.prediction import PREDICTION_COLUMNS, Drivers
from serving.answers import Prediction
from serving.driver_words import HEADLINES, churn_sentence, value_sentence
from serving.predictions import (
    NUMBER_COLUMNS,
    SCORE_COLUMNS,
    SPARSE_COLUMNS,
    CustomerScore,
    Terms,
    customer_scores,
    last_order,
    wire,
)

MakeScores = Callable[..., list[CustomerScore]]
BEFORE = (
    "predicted_value", "purchase_probability", "churn_risk", "value_if_active", "value_at_risk", "tier", "past_spend_tier",
    "movement", "lifecycle_stage", "rfm_segment", "abc_class", "last_order_day", "order_count", "total_spend",
)  # fmt: skip
"""What the first version predicted."""
OF_THE_RUN = ("order_history", "customer_id", "drivers", "tier_by_value", "tier_since_day")


@dataclass(frozen=True)
class Frames:
    """What a model gives for some customers."""

    features: pd.DataFrame
    predictions: pd.DataFrame
    drivers: Drivers

    def scores(self) -> list[CustomerScore]:
        return list(customer_scores(self.features, self.predictions, self.drivers))


def frames(number: int = 50, seed: int = 1) -> Frames:
    dice = np.random.default_rng(seed)
    index = pd.Index([f"{place:03d}" for place in range(number)], name="customer_id")
    names = list(dict.fromkeys(feature.name for feature in HEADLINES.values()))
    features = pd.DataFrame(dice.uniform(0, 400, (number, len(names))).round(), index=index, columns=names)
    features.loc[index[::3], "gap_mean"] = np.nan
    value = pd.DataFrame(dice.normal(0, 100, (number, 10)), index=index, columns=list(HEADLINES))
    churn = pd.DataFrame(dice.normal(0, 0.02, (number, 10)), index=index, columns=list(HEADLINES))
    numbers = {
        "predicted_value": 200.0 + value.sum(axis=1),
        "churn_risk": 0.5 + churn.sum(axis=1),
        "last_order_day": np.full(number, 15128),
        "order_count": np.full(number, 3),
    }
    words = {
        "tier": "Gold",
        "past_spend_tier": "Silver",
        "movement": "up",
        "lifecycle_stage": "active",
        "rfm_segment": "Loyal",
        "abc_class": "A",
    }
    known = {**numbers, **words}
    of_the_model = [name for name in SCORE_COLUMNS if name not in OF_THE_RUN]
    columns = {name: known.get(name, 1.5) for name in of_the_model}
    return Frames(features, pd.DataFrame(columns, index=index), Drivers(200.0, 0.5, value, churn))


def test_the_columns_are_those_of_the_model_and_of_the_run() -> None:
    assert set(SCORE_COLUMNS) == {*PREDICTION_COLUMNS, *OF_THE_RUN}


def test_the_wire_has_the_fields_of_the_contract_in_order(make_scores: MakeScores, terms: Terms) -> None:
    prediction = wire(make_scores(["12347"])[0], terms)
    assert list(prediction) == [
        "customer_id", "as_of", "horizon_days", "horizon_end", "currency", "model_version", "grade", "tier",
        "tier_by_value", "tier_since", "tier_probability", "uncertain", "past_spend_tier", "movement",
        "predicted_value", "value_interval", "purchase_probability", "churn_risk", "value_if_active", "value_at_risk",
        "expected_orders", "expected_order_value", "next_order",
        "lifecycle_stage", "rfm_segment",
        "abc_class", "average", "drivers",
    ]  # fmt: skip
    assert (prediction["as_of"], prediction["horizon_end"]) == ("2011-06-12", "2011-12-09")
    assert list(prediction["average"]) == ["predicted_value", "churn_risk"]
    for what, unit in (("value", "GBP"), ("churn", "probability")):
        for driver in prediction["drivers"][what]:
            assert list(driver) == ["feature", "group", "value", "unit", "effect", "effect_unit", "text"]
            assert driver["effect_unit"] == unit
    assert json.loads(json.dumps(prediction, allow_nan=False)) == prediction


def test_a_driver_reads_as_the_design_says(make_scores: MakeScores, terms: Terms) -> None:
    drivers = '{"average":{"value":1.0,"churn":0.5},"value":[["recency",9.0,143.2]],"churn":[["recency",9.0,-0.1214]]}'
    found = wire(replace(make_scores(["1"])[0], drivers=drivers), terms)["drivers"]
    assert found["value"] == [
        {
            "feature": "days_since_last_order", "group": "recency", "value": 9.0, "unit": "days",
            "effect": 143.2, "effect_unit": "GBP",
            "text": "Ordered 9 days ago: raises the predicted value by 143 GBP",
        }
    ]  # fmt: skip
    assert found["churn"][0]["text"] == "Ordered 9 days ago: lowers the churn risk by 12 points"


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (143.2, "raises the predicted value by 143 GBP"),
        (-1234.5, "lowers the predicted value by 1,234 GBP"),
        (4.5, "raises the predicted value by 4.50 GBP"),
        (-0.004, "lowers the predicted value by less than 0.01 GBP"),
        (0.0, "leaves the predicted value as it is"),
    ],
)
def test_effects_on_value_in_words(effect: float, words: str) -> None:
    assert value_sentence("X", effect, "GBP") == f"X: {words}"


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (-0.121, "lowers the churn risk by 12 points"),
        (0.0099, "raises the churn risk by 1 point"),
        (0.0123, "raises the churn risk by 1 point"),
        (0.0094, "raises the churn risk by 0.9 points"),
        (-0.0004, "lowers the churn risk by less than 0.1 points"),
        (0.0, "leaves the churn risk as it is"),
    ],
)
def test_effects_on_churn_in_words(effect: float, words: str) -> None:
    assert churn_sentence("X", effect) == f"X: {words}"


def test_average_and_effects_add_up(terms: Terms) -> None:
    for score in frames().scores():
        prediction = wire(score, terms)
        for what, target in (("value", "predicted_value"), ("churn", "churn_risk")):
            effects = [driver["effect"] for driver in prediction["drivers"][what]]
            assert len(effects) == len(HEADLINES)
            assert effects == sorted(effects, key=abs, reverse=True)
            tolerance = 0.001 if what == "value" else 0.00001
            assert math.isclose(prediction["average"][target] + sum(effects), prediction[target], abs_tol=tolerance)


def test_headline_values_are_the_customers_own(terms: Terms) -> None:
    made = frames()
    for score in made.scores():
        for driver in wire(score, terms)["drivers"]["churn"]:
            wanted = made.features.loc[score.customer_id, driver["feature"]]
            assert driver["value"] == (None if math.isnan(wanted) else wanted)


def test_numbers_keep_their_full_precision() -> None:
    made = frames()
    for score in made.scores():
        assert score.predicted_value == made.predictions.loc[score.customer_id, "predicted_value"]
        assert last_order(score) == date(2011, 6, 3)
        assert {type(getattr(score, name)) for name in ("last_order_day", "order_count")} == {int}


@given(st.sampled_from(NUMBER_COLUMNS), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_number_that_is_none_never_leaves_the_model(name: str, number: float) -> None:
    made = frames(3)
    made.predictions.loc["001", name] = number
    with pytest.raises(ValueError, match=f"{name} that is not a finite number"):
        made.scores()


def test_what_cannot_be_said_is_null(terms: Terms) -> None:
    made = frames(3)
    made.predictions["next_order_day"] = [15137.0, math.nan, 15200.75]
    made.predictions["tier_probability"] = [math.nan, 0.4, 1.0]
    told = [wire(score, terms) for score in made.scores()]
    assert [one["next_order"] for one in told] == ["2011-06-12", None, "2011-08-14"]
    assert [one["tier_probability"] for one in told] == [None, 0.4, 1.0]
    assert {(one["tier"], one["tier_by_value"], one["tier_since"]) for one in told} == {("Gold", "Gold", None)}


def test_a_day_beyond_all_dates_is_the_last_date(make_scores: MakeScores, terms: Terms) -> None:
    assert wire(replace(make_scores(["1"])[0], next_order_day=1e12), terms)["next_order"] == "9999-12-31"


def test_a_score_of_an_older_version_says_null_for_what_it_does_not_know(make_scores: MakeScores, terms: Terms) -> None:
    names = [name for name in SCORE_COLUMNS if name not in OF_THE_RUN and name not in BEFORE]
    older = dict.fromkeys([*names, "tier_by_value", "tier_since_day"])
    told = wire(replace(make_scores(["1"])[0], **older), terms)
    nulls = {name for name, value in told.items() if value is None}
    assert nulls == {
        "grade", "tier_since", "tier_probability", "uncertain", "value_interval", "expected_orders", "expected_order_value",
        "next_order",
    }  # fmt: skip
    assert told["tier_by_value"] == told["tier"]
    Prediction.model_validate(told)


@pytest.mark.parametrize("name", SPARSE_COLUMNS)
def test_infinity_is_no_way_to_say_nothing(name: str) -> None:
    made = frames(3)
    made.predictions.loc["001", name] = math.inf
    with pytest.raises(ValueError, match=f"{name} that is not a finite number"):
        made.scores()


def test_a_driver_that_is_no_number_never_leaves_the_model() -> None:
    made = frames(3)
    made.drivers.value.loc["001", "recency"] = math.nan
    with pytest.raises(ValueError, match="a driver that is not a finite number"):
        made.scores()


def test_frames_of_other_customers_are_refused() -> None:
    made = frames(3)
    swapped = replace(made.drivers, churn=made.drivers.churn.iloc[::-1])
    with pytest.raises(ValueError, match="do not belong together"):
        replace(made, drivers=swapped).scores()
