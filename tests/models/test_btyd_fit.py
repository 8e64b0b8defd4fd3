"""Fitting: equal to plain lifetimes where that works, sound where it does not, the same for any order of rows."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from autograd import value_and_grad
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import check_grad

from configs.errors import HistoryError
from configs.settings import load_settings
from features.customers import feature_frame
from features.orders import clean_orders
from features.transactions import read_transactions
from models.btyd import Btyd
from models.btyd_fit import fit_btyd
from models.btyd_likelihood import GammaGammaRows, PurchaseRows, collapse

PROJECT = Path(__file__).resolve().parents[2]
ONLINE_RETAIL = PROJECT.parent / "shared" / "data" / "online_retail_II.parquet"


@pytest.fixture(scope="module")
def lifetimes() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes

        yield lifetimes


def simulated(
    number: int, r: float, alpha: float, a: float, b: float, *, days: int = 500, seed: int = 1, first: bool = False
) -> pd.DataFrame:
    """Histories of the BG/NBD process (MBG/NBD if customers can drop out ``first`` thing) in continuous time."""
    random = np.random.default_rng(seed)
    rate, dropout = random.gamma(r, 1 / alpha, number), random.beta(a, b, number)
    age = random.integers(days // 2, days, number).astype(float)
    x, last, now = np.zeros(number), np.zeros(number), np.zeros(number)
    alive = np.arange(number)
    if first:
        alive = alive[random.random(number) >= dropout]
    while len(alive):
        now[alive] += random.exponential(1.0, len(alive)) / np.maximum(rate[alive], 1e-200)
        alive = alive[now[alive] < age[alive]]
        x[alive] += 1
        last[alive] = now[alive]
        alive = alive[random.random(len(alive)) >= dropout[alive]]
    return pd.DataFrame({"frequency": x, "recency": last, "T": age, "monetary_value": spent(random, x)})


def spent(random: np.random.Generator, x: np.ndarray, p: float = 6.0, q: float = 4.0, v: float = 15.0) -> np.ndarray:
    """Mean order values of the Gamma-Gamma process."""
    scale = random.gamma(q, 1 / v, len(x))
    return np.where(x > 0, random.gamma(p * np.maximum(x, 1)) / (np.maximum(x, 1) * scale), 0.0)


def in_whole_days(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(recency=np.where(frame["frequency"] > 0, np.clip(np.ceil(frame["recency"]), 1, frame["T"]), 0.0))


def assert_sound(model: Btyd, frame: pd.DataFrame) -> None:
    stored = model.to_json()
    numbers = [stored[name] for name in ("r", "alpha", "a", "b", "p", "q", "v")]
    assert np.isfinite(numbers).all()
    assert model.alpha > 0
    assert model.r > 0
    assert model.q > 1
    for predicted in (model.expected_purchases(frame, 90), model.expected_order_value(frame), model.value(frame, 90)):
        assert np.isfinite(predicted).all()
        assert (predicted >= 0).all()


def test_parameters_of_a_simulation_are_recovered() -> None:
    model = fit_btyd(simulated(60_000, r=0.5, alpha=20.0, a=0.8, b=2.5))
    assert model.method == "bg_nbd"
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx((0.5, 20.0, 0.8, 2.5), rel=0.06)
    assert (model.p, model.q, model.v) == pytest.approx((6.0, 4.0, 15.0), rel=0.06)
    assert model.value_method == "gamma_gamma"


def test_collapsed_fit_equals_plain_lifetimes(lifetimes: Any) -> None:
    frame = in_whole_days(simulated(4000, r=0.4, alpha=30.0, a=0.7, b=2.0, days=300))
    model = fit_btyd(frame)
    assert model.purchases_fit.rows < 0.7 * len(frame)
    theirs = lifetimes.BetaGeoFitter()
    theirs.fit(frame["frequency"], frame["recency"], frame["T"], tol=1e-8)
    assert (model.r, model.alpha, model.a, model.b) == pytest.approx(tuple(theirs.params_), rel=1e-4)
    repeaters = frame[frame["frequency"] > 0]
    values = lifetimes.GammaGammaFitter()
    values.fit(repeaters["frequency"], repeaters["monetary_value"], tol=1e-8)
    assert (model.p, model.q, model.v) == pytest.approx(tuple(values.params_), rel=1e-4)


@pytest.mark.parametrize("fitter", ["BetaGeoFitter", "ModifiedBetaGeoFitter"])
@pytest.mark.parametrize("point", [(-1.4, 3.4, -0.2, 0.9), (2.0, 0.5, -5.0, -3.0), (-4.0, -2.0, 5.0, 7.0)])
def test_likelihood_equals_that_of_lifetimes(lifetimes: Any, fitter: str, point: tuple[float, ...]) -> None:
    frame = in_whole_days(simulated(1000, r=0.5, alpha=20.0, a=0.8, b=2.5))
    columns = [frame[name].to_numpy() for name in ("frequency", "recency", "T")]
    (x, t_x, age), weights = collapse(*columns)
    rows, first = PurchaseRows(x, t_x, age, weights), fitter == "ModifiedBetaGeoFitter"
    theirs = value_and_grad(getattr(lifetimes, fitter)._negative_log_likelihood)
    for penalizer in (0.0, 0.01):
        loss, gradient = rows.dropout(np.array(point), penalizer, first=first)
        expected, expected_gradient = theirs(np.array(point), *columns, np.ones(1000), penalizer)
        assert loss == pytest.approx(float(expected), rel=1e-10)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-7, atol=1e-10)


def test_nbd_likelihood_is_the_limit_without_dropout() -> None:
    frame = in_whole_days(simulated(500, r=0.5, alpha=20.0, a=0.8, b=2.5))
    (x, t_x, age), weights = collapse(*(frame[name].to_numpy() for name in ("frequency", "recency", "T")))
    rows = PurchaseRows(x, t_x, age, weights)
    loss, gradient = rows.nbd(np.array([-0.5, 3.0]))
    limit, limit_gradient = rows.dropout(np.array([-0.5, 3.0, -60.0, 0.0]))
    assert loss == pytest.approx(limit, rel=1e-12)
    np.testing.assert_allclose(gradient, limit_gradient[:2], rtol=1e-8)


def test_gamma_gamma_likelihood_equals_that_of_lifetimes(lifetimes: Any) -> None:
    frame = simulated(500, r=0.5, alpha=20.0, a=0.8, b=2.5)
    repeaters = frame[frame["frequency"] > 0]
    x, m = repeaters["frequency"].to_numpy(), repeaters["monetary_value"].to_numpy()
    rows, point = GammaGammaRows(x, m, np.ones(len(x))), np.array([1.5, 1.2, 2.5])
    theirs = value_and_grad(lifetimes.GammaGammaFitter._negative_log_likelihood)
    for penalizer in (0.0, 0.01):
        loss, gradient = rows.gamma_gamma(point, penalizer)
        expected, expected_gradient = theirs(point, x, m, np.ones(len(x)), penalizer)
        assert loss == pytest.approx(float(expected), rel=1e-12)
        np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-8, atol=1e-10)
    assert check_grad(lambda at: rows.anchored(at, 30.0)[0], lambda at: rows.anchored(at, 30.0)[1], point[:2]) < 1e-5
    held = rows.anchored(point[:2], 30.0)[0]
    p, excess = np.exp(point[:2])
    assert held == pytest.approx(rows.gamma_gamma(np.log([p, 1 + excess, 30.0 * excess / p]))[0], rel=1e-12)


@pytest.mark.parametrize("fractional", [False, True])
def test_collapse_counts_like_a_dictionary(fractional: bool) -> None:
    random = np.random.default_rng(4)
    columns = [random.integers(0, 4, 500) / (3.0 if fractional else 1.0) for _ in range(3)]
    expected: dict[tuple[float, ...], int] = {}
    for row in zip(*columns, strict=True):
        expected[row] = expected.get(row, 0) + 1
    distinct, weights = collapse(*columns)
    assert dict(zip(zip(*distinct, strict=True), weights, strict=True)) == expected
    assert list(zip(*distinct, strict=True)) == sorted(expected)


def test_the_order_of_customers_changes_nothing() -> None:
    frame = in_whole_days(simulated(3000, r=0.5, alpha=20.0, a=0.8, b=2.5))
    assert fit_btyd(frame) == fit_btyd(frame.sample(frac=1.0, random_state=1))


def test_first_thing_dropouts_prefer_the_modified_model_when_bg_nbd_fails() -> None:
    frame = simulated(3000, r=3.0, alpha=30.0, a=0.5, b=1.0, first=True)
    assert_sound(fit_btyd(frame), frame)


def test_nobody_drops_out_is_named() -> None:
    random = np.random.default_rng(2)
    age = random.integers(100, 300, 3000).astype(float)
    x = random.poisson(random.gamma(2.0, 1 / 50.0, 3000) * age).astype(float)
    last = np.array([0.0 if count == 0 else max(random.uniform(0, span, int(count))) for count, span in zip(x, age, strict=True)])
    frame = pd.DataFrame({"frequency": x, "recency": last, "T": age, "monetary_value": 10.0 * (x > 0)})
    model = fit_btyd(frame)
    assert model.expected_purchases(frame, 30).sum() == pytest.approx(30 * (x.sum() + 0.0) / age.sum() * 3000, rel=0.1)
    if model.method == "nbd":
        assert "a at its lowest" in model.purchases_fit.tried[0]
        assert (model.r, model.alpha) == pytest.approx((2.0, 50.0), rel=0.1)
    assert_sound(model, frame)


def test_bad_inputs_are_refused_with_the_rows() -> None:
    good = {"frequency": [1.0, 0.0], "recency": [5.0, 0.0], "T": [9.0, 3.0], "monetary_value": [2.0, 0.0]}
    for column, value, message in (
        ("T", 4.0, "recency above T"), ("frequency", -1.0, "negative"), ("monetary_value", np.nan, "NaN"),
        ("frequency", 0.0, "recency without a repeat"),
    ):  # fmt: skip
        bad = pd.DataFrame({**good, column: [value, good[column][1]]})
        with pytest.raises(HistoryError, match=f"1 customers with .*{message}.*rows 0"):
            fit_btyd(bad)


def heavy(number: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = np.full(number, 400.0)
    return pd.DataFrame(
        {"frequency": random.integers(300, 400, number) * 1.0, "recency": age - 1, "T": age, "monetary_value": 5.0}
    )


def one_time(number: int, days: int, amount: float) -> pd.DataFrame:
    age = np.arange(number, dtype=float) % days
    return pd.DataFrame(
        {"frequency": 0.0, "recency": 0.0, "T": age, "monetary_value": 0.0, "order_value_mean": amount},
        index=range(number),
    )


def clockwork(number: int) -> pd.DataFrame:
    return pd.DataFrame({"frequency": 12.0, "recency": 360.0, "T": 365.0, "monetary_value": 9.99}, index=range(number))


def decades(seed: int) -> pd.DataFrame:
    frame = simulated(2000, r=0.3, alpha=900.0, a=0.8, b=2.5, days=15_000, seed=seed)
    return in_whole_days(frame)


def gone_at_once(number: int) -> pd.DataFrame:
    return pd.DataFrame({"frequency": 1.0, "recency": 1.0, "T": 700.0, "monetary_value": 1e7}, index=range(number))


LOGS = {
    "nobody at all": one_time(0, 1, 0.0),
    "one customer": one_time(1, 1, 3.0),
    "one day of history": one_time(500, 1, 20.0),
    "all one-time": one_time(500, 300, 20.0),
    "all one-time, free": one_time(500, 300, 0.0),
    "two customers, one repeat": pd.DataFrame(
        {"frequency": [1.0, 0.0], "recency": [3.0, 0.0], "T": [3.0, 1.0], "monetary_value": [8.0, 0.0]}
    ),
    "all heavy": heavy(50, 1),
    "equal clockwork": clockwork(40),
    "five alike": clockwork(5),
    "gone at once": gone_at_once(200),
    "decades": decades(1),
    "one heavy among one-timers": pd.concat([heavy(6, 2), one_time(2000, 400, 20.0).drop(columns="order_value_mean")]),
    "tiny amounts": simulated(500, 0.5, 20.0, 0.8, 2.5).assign(monetary_value=lambda f: f["monetary_value"] * 1e-6),
    "huge amounts": simulated(500, 0.5, 20.0, 0.8, 2.5).assign(monetary_value=lambda f: f["monetary_value"] * 1e9),
    "free repeats": simulated(500, 0.5, 20.0, 0.8, 2.5).assign(monetary_value=0.0),
    "no spread in amounts": simulated(500, 0.5, 20.0, 0.8, 2.5).assign(monetary_value=lambda f: 7.0 * (f["frequency"] > 0)),
    "heavy-tailed amounts": simulated(3000, 0.5, 20.0, 0.8, 2.5).assign(
        monetary_value=lambda f: np.where(f["frequency"] > 0, np.random.default_rng(1).pareto(0.7, 3000) + 1, 0.0)
    ),
}


@pytest.mark.parametrize("name", list(LOGS))
def test_every_log_gives_finite_parameters(name: str) -> None:
    frame = LOGS[name].reset_index(drop=True)
    model = fit_btyd(frame)
    assert_sound(model, frame)
    assert Btyd.from_json(model.to_json()) == model
    assert model.purchases_fit.customers == len(frame)


def test_a_mean_that_does_not_exist_is_anchored() -> None:
    model = fit_btyd(LOGS["heavy-tailed amounts"])
    assert model.value_method == "anchored"
    repeats = LOGS["heavy-tailed amounts"].query("frequency > 0")
    assert model.population_order_value == pytest.approx(np.average(repeats["monetary_value"], weights=repeats["frequency"]))


@settings(max_examples=40, deadline=None)
@given(data=st.data(), number=st.integers(1, 60), longest=st.sampled_from([1, 5, 60, 800, 20_000]))
def test_random_small_logs_never_fail(data: st.DataObject, number: int, longest: int) -> None:
    random = np.random.default_rng(data.draw(st.integers(0, 10**6)))
    age = random.integers(0, longest + 1, number).astype(float)
    x = np.minimum(random.geometric(data.draw(st.sampled_from([0.02, 0.3, 0.8])), number) - 1.0, age)
    recency = np.where(x > 0, np.maximum(x, np.floor(age * random.random(number))), 0.0)
    money = np.where(x > 0, np.round(random.lognormal(3, data.draw(st.sampled_from([0.1, 1.0, 3.0])), number), 2), 0.0)
    frame = pd.DataFrame({"frequency": x, "recency": recency, "T": age, "monetary_value": money})
    assert_sound(fit_btyd(frame), frame)


@pytest.mark.skipif(not ONLINE_RETAIL.exists(), reason="Online Retail II is not in ../shared/data")
def test_every_month_of_online_retail_can_be_fitted() -> None:
    retail = load_settings(PROJECT / "configs" / "online_retail.yaml", orders=str(ONLINE_RETAIL))
    orders = clean_orders(read_transactions(retail.source), retail, today=date(2012, 1, 1)).orders
    first = (date(2009, 12, 2) - date(1970, 1, 1)).days
    methods = []
    for cutoff in range(first, first + 738, 30):
        frame = feature_frame(orders, cutoff)
        model = fit_btyd(frame)
        assert_sound(model, frame)
        assert model.method == "pooled" or model.purchases_fit.converged
        methods.append(model.method)
    assert methods[-1] == "bg_nbd"
    assert "nbd" in methods, "months in which nobody seems to drop out are known to be there"


def test_one_day_of_history_predicts_about_one_purchase_a_year() -> None:
    frame = LOGS["one day of history"]
    assert fit_btyd(frame).expected_purchases(frame, 365) == pytest.approx(np.ones(500))


def test_importing_the_models_does_not_import_lifetimes() -> None:
    probe = "import sys, models.btyd, models.btyd_fit; sys.exit('lifetimes' in sys.modules or 'autograd' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], cwd=PROJECT, check=False).returncode == 0


def test_fitting_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    fit_btyd(LOGS["equal clockwork"])
    assert capfd.readouterr() == ("", "")
