"""Exact Shapley values of BTYD against a plain-Python oracle over all orders of the inputs."""

from __future__ import annotations

import math
from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from models.btyd import Btyd, Customer, FitRecord, typical_customer
from models.btyd_shapley import log_buyer_value_shapley, log_odds_shapley
from models.stacking import LEAST_PROBABILITY

RECORD = FitRecord(converged=True, log_likelihood=-1.0, gradient_norm=0.0, penalizer=0.0, customers=10, rows=5)
CDNOW = Btyd("bg_nbd", 0.2426, 30.8952, 0.7929, 2.4259, "gamma_gamma", 6.25, 3.74, 15.44, purchases_fit=RECORD, value_fit=RECORD)
REFERENCE = Customer(frequency=2.0, recency=150.0, T=250.0, monetary_value=30.0)
INPUTS = ("frequency", "recency", "T", "monetary_value")


def customers(seed: int, number: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(0, 700, number).astype(float)
    frequency = np.minimum(random.geometric(0.3, number) - 1.0, age)
    recency = np.where(frequency > 0, np.maximum(frequency, np.floor(age * random.random(number))), 0.0)
    money = random.gamma(2.0, 20.0, number)
    return pd.DataFrame(
        {
            "frequency": frequency, "recency": recency, "T": age,
            "monetary_value": np.where(frequency > 0, money, 0.0), "order_value_mean": money,
        }
    )  # fmt: skip


def mixture(inputs: dict[str, float]) -> pd.DataFrame:
    """One mixture of two customers, where recency is the silence; with the documented rules for impossible ones."""
    x, silence, age, money = (inputs[name] for name in INPUTS)
    last = age * x / (x + 1) if math.isnan(silence) else max(age - silence, 0.0)
    row = {"frequency": x, "recency": last if x > 0 else 0.0, "T": age, "monetary_value": money, "order_value_mean": money}
    return pd.DataFrame([row])


def log_odds(inputs: dict[str, float]) -> float:
    chance = float(CDNOW.purchase_probability(mixture(inputs), 180.0)[0])
    return math.log(chance / (1.0 - chance))


def log_buyer_value(inputs: dict[str, float]) -> float:
    """The value of one who buys: of BTYD's whole value, the part that comes with at least one purchase."""
    frame = mixture(inputs)
    return float(np.log(CDNOW.value(frame, 180.0) / CDNOW.purchase_probability(frame, 180.0))[0])


@pytest.mark.parametrize(("said", "of_one"), [(log_odds_shapley, log_odds), (log_buyer_value_shapley, log_buyer_value)])
def test_shapley_is_the_mean_over_all_orders_of_the_inputs(said, of_one) -> None:  # type: ignore[no-untyped-def]
    """Replace the reference's inputs by the customer's, one after the other, in each of the 24 orders."""
    frame = customers(3, 15)
    shapley = said(CDNOW, frame, 180.0, REFERENCE)
    for place, (_, row) in enumerate(frame.iterrows()):
        own = {name: float(row[name]) for name in INPUTS}
        own["monetary_value"] = float(row["order_value_mean"])
        own["recency"] = row["T"] - row["recency"] if row["frequency"] > 0 else math.nan
        gains = dict.fromkeys(INPUTS, 0.0)
        for order in permutations(INPUTS):
            inputs = {name: float(getattr(REFERENCE, name)) for name in INPUTS}
            inputs["recency"] = REFERENCE.T - REFERENCE.recency
            before = of_one(inputs)
            for name in order:
                inputs[name] = own[name]
                after = of_one(inputs)
                gains[name] += (after - before) / 24
                before = after
        effects = {name: effect[place] for name, effect in shapley.effects.items()}
        np.testing.assert_allclose([effects.get(name, 0.0) for name in INPUTS], list(gains.values()), atol=1e-9)


def test_shapley_adds_up_to_what_is_said() -> None:
    frame = customers(5, 5000)
    reference = typical_customer(frame)
    chance = CDNOW.purchase_probability(frame, 365.0)
    believed = logit(np.clip(chance, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY))
    odds, value = (said(CDNOW, frame, 365.0, reference) for said in (log_odds_shapley, log_buyer_value_shapley))
    np.testing.assert_allclose(odds.base + sum(odds.effects.values()), believed, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(value.base + sum(value.effects.values()), np.log(CDNOW.value(frame, 365) / chance), atol=1e-9)


def test_shapley_of_the_reference_itself_is_zero() -> None:
    frame = pd.DataFrame({"frequency": [2.0], "recency": [150.0], "T": [250.0], "monetary_value": [30.0]})
    for said in (log_odds_shapley, log_buyer_value_shapley):
        np.testing.assert_array_equal(list(said(CDNOW, frame, 90.0, REFERENCE).effects.values()), 0.0)
