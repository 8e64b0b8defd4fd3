"""Predictions with known parameters: against lifetimes, against 30-digit values, and by their own laws."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.btyd import Btyd, FitRecord, Method, typical_customer
from models.btyd_shapley import log_buyer_value_shapley, log_odds_shapley

RECORD = FitRecord(converged=True, log_likelihood=-1.0, gradient_norm=0.0, penalizer=0.0, customers=10, rows=5)
CDNOW = Btyd("bg_nbd", 0.2426, 30.8952, 0.7929, 2.4259, "gamma_gamma", 6.25, 3.74, 15.44, purchases_fit=RECORD, value_fit=RECORD)

# (r, alpha, a, b, x, T, t, E[Y(t) | alive at T]): the integral over p in 30-digit arithmetic (mpmath 1.4, logit p).
REFERENCE = [
    (0.2426, 30.9, 0.7929, 2.4259, 0, 300, 1, 0.0007328132385069801),
    (0.2426, 30.9, 0.7929, 2.4259, 1, 30, 1, 0.02033376101452941),
    (0.2426, 30.9, 0.7929, 2.4259, 1, 30, 90, 1.4538270128364696),
    (0.2426, 30.9, 0.7929, 2.4259, 2, 272, 3650, 10.088411537202393),
    (0.2426, 30.9, 0.7929, 2.4259, 300, 700, 3650, 652.8000657004588),
    (1.2, 60, 1.0, 2.0, 1, 30, 1, 0.024336473619586182),
    (1.2, 60, 1.0, 2.0, 300, 700, 365, 118.19059798202518),
    (0.5, 20, 0.3, 0.7, 0, 0, 90, 1.4721791536636095),
    (0.5, 20, 0.3, 0.7, 0, 0, 3650, 21.727704651454797),
    (0.5, 20, 0.3, 0.7, 300, 700, 3650, 1087.2587603429067),
    (0.01, 0.5, 20, 3, 1, 30, 365, 1.101081243273836),
    (0.01, 0.5, 20, 3, 3000, 7000, 3650, 158.99514194792513),
    (5, 3, 0.01, 0.02, 0, 0, 365, 382.1612555953471),
    (5, 3, 0.01, 0.02, 300, 700, 90, 39.02250217152773),
    (50, 500, 0.001, 4, 0, 0, 3650, 363.65117215492427),
    (50, 500, 0.001, 4, 3000, 7000, 3650, 1484.0153887913207),
    (0.7, 7, 1000, 5000, 30, 500, 1, 0.06023945421471412),
    (0.7, 7, 1000, 5000, 3000, 7000, 3650, 9.008008008008009),
    (2, 1, 0.05, 0.1, 3000, 7000, 365, 156.30994399205485),
]


@pytest.fixture(scope="module")
def lifetimes() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes

        yield lifetimes


def customers(seed: int = 1, number: int = 500) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(0, 700, number).astype(float)
    frequency = np.minimum(random.geometric(0.3, number) - 1.0, age)
    recency = np.where(frequency > 0, np.maximum(frequency, np.floor(age * random.random(number))), 0.0)
    first = np.round(random.gamma(2.0, 20.0, number), 2)
    monetary = np.where(frequency > 0, np.round(random.gamma(2.0, 20.0, number), 2), 0.0)
    return pd.DataFrame(
        {"frequency": frequency, "recency": recency, "T": age, "monetary_value": monetary, "order_value_mean": first},
        index=[f"c{i}" for i in range(number)],
    )


@pytest.mark.parametrize("row", REFERENCE)
def test_expected_purchases_equal_thirty_digit_values(row: tuple[float, ...]) -> None:
    r, alpha, a, b, x, age, horizon, expected = row
    model = replace(CDNOW, r=r, alpha=alpha, a=a, b=b)
    log_if_alive = model._log_purchases_if_alive(np.array([float(x)]), np.array([float(age)]), horizon)
    assert math.exp(log_if_alive[0]) == pytest.approx(expected, rel=2e-9)


@pytest.mark.parametrize(("method", "fitter"), [("bg_nbd", "BetaGeoFitter"), ("mbg_nbd", "ModifiedBetaGeoFitter")])
@pytest.mark.parametrize("horizon", [1, 30, 365])
def test_purchases_and_alive_equal_lifetimes(lifetimes: Any, method: Method, fitter: str, horizon: int) -> None:
    model, frame = replace(CDNOW, method=method), customers()
    theirs = getattr(lifetimes, fitter)()
    theirs.params_ = pd.Series({"r": model.r, "alpha": model.alpha, "a": model.a, "b": model.b})
    history = frame["frequency"], frame["recency"], frame["T"]
    expected = theirs.conditional_expected_number_of_purchases_up_to_time(horizon, *history)
    np.testing.assert_allclose(model.expected_purchases(frame, horizon), expected, rtol=1e-9)
    np.testing.assert_allclose(model.probability_alive(frame), theirs.conditional_probability_alive(*history), rtol=1e-12)


def test_order_values_of_repeat_buyers_equal_lifetimes(lifetimes: Any) -> None:
    frame = customers()
    repeaters = frame[frame["frequency"] > 0]
    theirs = lifetimes.GammaGammaFitter()
    theirs.params_ = pd.Series({"p": CDNOW.p, "q": CDNOW.q, "v": CDNOW.v})
    expected = theirs.conditional_expected_average_profit(repeaters["frequency"], repeaters["monetary_value"])
    np.testing.assert_allclose(CDNOW.expected_order_value(repeaters), expected, rtol=1e-12)


def test_one_time_buyers_are_known_by_their_first_purchase() -> None:
    frame = pd.DataFrame({"frequency": 0.0, "recency": 0.0, "T": 100.0, "monetary_value": 0.0}, index=range(3))
    mean = CDNOW.population_order_value
    np.testing.assert_allclose(CDNOW.expected_order_value(frame), mean)
    weight = CDNOW.p / (CDNOW.p + CDNOW.q - 1)
    first = np.array([0.0, 10.0, np.nan])
    expected = (1 - weight) * mean + weight * np.where(np.isnan(first), mean, first)
    np.testing.assert_allclose(CDNOW.expected_order_value(frame.assign(order_value_mean=first)), expected)


def test_nobody_drops_out_in_the_nbd_limit() -> None:
    frame = customers()
    model = replace(CDNOW, method="nbd", a=0.0, b=1.0)
    rate = (model.r + frame["frequency"]) / (model.alpha + frame["T"])
    np.testing.assert_allclose(model.expected_purchases(frame, 30), 30 * rate)
    np.testing.assert_array_equal(model.probability_alive(frame), 1.0)
    nearly = replace(CDNOW, a=1e-14, b=1.0)
    np.testing.assert_allclose(nearly.expected_purchases(frame, 30), 30 * rate, rtol=1e-5)


positive = st.floats(1e-5, 1e5)


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["bg_nbd", "mbg_nbd", "nbd"]), r=st.floats(1e-3, 1e3), alpha=st.floats(0.1, 1e6), a=positive,
    b=st.floats(1e-3, 1e5), seed=st.integers(0, 10**6), scale=st.sampled_from([1.0, 50.0]),
)  # fmt: skip
def test_any_parameters_give_finite_rising_predictions(
    method: Method, r: float, alpha: float, a: float, b: float, seed: int, scale: float
) -> None:
    model = replace(CDNOW, method=method, r=r, alpha=alpha, a=a, b=b)
    frame = customers(seed, 20)
    frame[["recency", "T"]] *= scale
    curve = np.array([model.expected_purchases(frame, horizon) for horizon in (0, 1, 30, 31, 365, 3650)])
    assert np.isfinite(curve).all()
    assert (curve[0] == 0).all()
    assert (np.diff(curve, axis=0) >= -1e-9 * curve[1:]).all()
    alive = model.probability_alive(frame)
    assert ((alive >= 0) & (alive <= 1)).all()
    shape, rate = r + frame["frequency"], alpha + frame["T"]
    assert (curve[5] <= 3650 * shape / rate * (1 + 1e-9)).all(), "more than those who never drop out"
    likely = model.purchase_probability(frame, 365)
    assert ((likely >= 0) & (likely <= 1)).all()
    assert (likely <= curve[4] * (1 + 1e-9)).all(), "a probability above the expected number"
    for said in (log_odds_shapley, log_buyer_value_shapley):
        assert np.isfinite(list(said(model, frame, 365.0, typical_customer(frame)).effects.values())).all()


def test_horizons_may_differ_by_customer_and_rows_stand_alone() -> None:
    frame = customers(number=60_000)
    together = CDNOW.value(frame, np.arange(60_000) % 400)
    for row in (0, 1, 40_000, 59_999):
        assert CDNOW.value(frame.iloc[[row]], row % 400)[0] == together[row]
    assert CDNOW.value(frame.head(0), 90).shape == (0,)


def test_parameters_travel_as_plain_json() -> None:
    record = replace(RECORD, at_bound=("a at its lowest",), tried=("bg_nbd: not converged",))
    model = replace(CDNOW, purchases_fit=record)
    text = json.dumps(model.to_json(), allow_nan=False)
    assert Btyd.from_json(json.loads(text)) == model
