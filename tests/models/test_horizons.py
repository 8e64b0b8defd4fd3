"""The shape of time: BTYD's own curve, additive and monotone, for any customer and any parameters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.btyd import Btyd, FitRecord
from models.horizons import FARTHEST_DAYS, next_order_days, time_shape

RECORD = FitRecord(converged=True, log_likelihood=-1.0, gradient_norm=0.0, penalizer=0.0, customers=10, rows=5)
CDNOW = Btyd("bg_nbd", 0.2426, 30.8952, 0.7929, 2.4259, "gamma_gamma", 6.25, 3.74, 15.44, purchases_fit=RECORD, value_fit=RECORD)


def customers(number: int = 400, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(0, 900, number).astype(float)
    frequency = np.minimum(random.geometric(0.2, number) - 1.0, age)
    recency = np.where(frequency > 0, np.maximum(frequency, np.floor(age * random.random(number))), 0.0)
    return pd.DataFrame(
        {"frequency": frequency, "recency": recency, "T": age, "monetary_value": np.where(frequency > 0, 9.0, 0.0)}
    )


def test_where_btyd_is_the_whole_truth_its_own_curve_comes_back() -> None:
    """Predictions that are BTYD's at one horizon are BTYD's at every other."""
    frame = customers()
    value, chance = CDNOW.value(frame, 90.0), CDNOW.purchase_probability(frame, 90.0)
    for days in (1, 30, 89, 90, 91, 365, 3000):
        shape = time_shape(CDNOW, frame, 90, days)
        np.testing.assert_allclose(value * shape.value, CDNOW.value(frame, float(days)), rtol=1e-9)
        expected = CDNOW.purchase_probability(frame, float(days))
        np.testing.assert_allclose(-np.expm1(shape.hazard * np.log1p(-chance)), expected, rtol=1e-6, atol=1e-12)


@settings(max_examples=80, deadline=None)
@given(
    method=st.sampled_from(["bg_nbd", "mbg_nbd", "nbd", "pooled"]), r=st.floats(1e-3, 100.0), alpha=st.floats(0.1, 1e4),
    a=st.floats(1e-3, 50.0), b=st.floats(1e-2, 50.0), trained=st.integers(1, 400), days=st.integers(1, 5000),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_time_only_adds(method: str, r: float, alpha: float, a: float, b: float, trained: int, days: int, seed: int) -> None:
    model, frame = replace(CDNOW, method=method, r=r, alpha=alpha, a=a, b=b), customers(20, seed)  # type: ignore[arg-type]
    near, far = time_shape(model, frame, trained, days), time_shape(model, frame, trained, days + 1)
    for before, after in ((near.value, far.value), (near.hazard, far.hazard)):
        assert np.isfinite(after).all()
        assert (before > 0.0).all()
        assert (after >= before * (1.0 - 1e-8)).all()
    whole = time_shape(model, frame, trained, trained)
    assert (whole.value == 1.0).all()
    assert (whole.hazard == 1.0).all()


def test_the_next_order_is_btyds_median_where_btyd_is_the_whole_truth() -> None:
    frame = customers()
    days = next_order_days(CDNOW, frame, 90, np.log1p(-CDNOW.purchase_probability(frame, 90.0)))
    known = ~np.isnan(days)
    assert 0.1 < known.mean() < 0.9
    until = [CDNOW.purchase_probability(frame.iloc[[row]], days[row])[0] for row in np.flatnonzero(known)]
    before = [CDNOW.purchase_probability(frame.iloc[[row]], days[row] - 1.0)[0] for row in np.flatnonzero(known)]
    assert min(until) >= 0.5 - 1e-9
    assert max(before) < 0.5 + 1e-9
    assert (CDNOW.purchase_probability(frame[~known], float(FARTHEST_DAYS)) < 0.5 + 1e-9).all()


@pytest.mark.parametrize(("log_churn", "expected"), [(-50.0, 1.0), (-1e-9, np.nan)])
def test_the_surest_order_tomorrow_and_the_least_never(log_churn: float, expected: float) -> None:
    frame = customers()
    days = next_order_days(CDNOW, frame, 90, np.full(len(frame), log_churn))
    if np.isnan(expected):
        assert np.isnan(days).all()
    else:
        assert np.median(days) <= 2 * expected
