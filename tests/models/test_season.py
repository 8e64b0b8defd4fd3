"""The purchase probability of BTYD against simulated customers and numeric integration; totals against plain ratios."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import quad

from models.btyd import Btyd, FitRecord
from models.btyd_fit import fit_btyd
from models.fitting import TrainingSet
from models.season import MOST_BUYERS, expectation, same_season

Floats = npt.NDArray[np.float64]
RECORD = FitRecord(converged=True, log_likelihood=0.0, gradient_norm=0.0, penalizer=0.0, customers=0, rows=0)
TRUTH = Btyd("bg_nbd", 0.6, 40.0, 0.8, 2.5, "gamma_gamma", 6.0, 4.0, 15.0, RECORD, RECORD)
OBSERVED, HORIZON = 270.0, 90.0


@pytest.fixture(scope="module")
def simulated() -> tuple[pd.DataFrame, Floats]:
    """Customers of the BG/NBD process, in continuous time: their history until T, and whether they buy in the horizon."""
    random, customers = np.random.default_rng(9), 200_000
    rate = random.gamma(TRUTH.r, 1.0 / TRUTH.alpha, customers)
    dropout = random.beta(TRUTH.a, TRUTH.b, customers)
    now, last, count = np.zeros(customers), np.zeros(customers), np.zeros(customers)
    bought = np.zeros(customers, dtype=bool)
    alive = np.arange(customers)
    while len(alive):
        now[alive] += random.exponential(1.0, len(alive)) / np.maximum(rate[alive], 1e-300)
        alive = alive[now[alive] < OBSERVED + HORIZON]
        seen = alive[now[alive] < OBSERVED]
        count[seen] += 1
        last[seen] = now[seen]
        bought[alive[now[alive] >= OBSERVED]] = True
        alive = alive[random.random(len(alive)) >= dropout[alive]]
    history = pd.DataFrame({"frequency": count, "recency": last, "T": OBSERVED, "monetary_value": 0.0})
    return history, bought.astype(np.float64)


def test_said_and_happened_agree_for_every_kind_of_history(simulated: tuple[pd.DataFrame, Floats]) -> None:
    history, bought = simulated
    said = TRUTH.purchase_probability(history, float(HORIZON))
    kinds = history["frequency"].clip(upper=6) * 10 + (history["recency"] > OBSERVED / 2)
    for kind in np.unique(kinds):
        rows = (kinds == kind).to_numpy()
        margin = 4.5 * np.sqrt((said[rows] * (1 - said[rows])).sum()) / rows.sum()
        assert abs(said[rows].mean() - bought[rows].mean()) < margin
    order = np.argsort(said)
    for rows in np.array_split(order, 10):
        margin = 4.5 * np.sqrt((said[rows] * (1 - said[rows])).sum()) / len(rows)
        assert abs(said[rows].mean() - bought[rows].mean()) < margin


@pytest.mark.parametrize(("x", "t_x", "age"), [(0, 0.0, 30.0), (1, 5.0, 200.0), (4, 180.0, 200.0), (12, 90.0, 365.0)])
@pytest.mark.parametrize("horizon", [1, 90, 365])
def test_it_is_the_integral_over_all_rates_and_dropouts(x: int, t_x: float, age: float, horizon: int) -> None:
    """Fader, Hardie & Lee (2005), eq. 3: the likelihood of one customer given a rate and a dropout probability."""
    rates = stats.gamma(TRUTH.r, scale=1 / TRUTH.alpha).pdf
    dropouts = stats.beta(TRUTH.a, TRUTH.b).pdf

    def over_rates(silence: float) -> float:
        top = 60.0 * (TRUTH.r + x) / (TRUTH.alpha + silence)
        # The rate is the square of the variable: its density has a pole at 0.
        return quad(lambda s: (s * s) ** x * np.exp(-s * s * silence) * rates(s * s) * 2 * s, 0, np.sqrt(top), epsabs=0)[0]

    def over_dropouts(weight: object) -> float:
        # Likewise at p = 0.
        return quad(lambda s: weight(s * s) * dropouts(s * s) * 2 * s, 0, 1, epsabs=0)[0]  # type: ignore[operator]

    survived = over_dropouts(lambda p: (1 - p) ** x)
    gone = over_dropouts(lambda p: p * (1 - p) ** (x - 1)) if x > 0 else 0.0
    likelihood = survived * over_rates(age) + gone * over_rates(t_x)
    silent = survived * over_rates(age + horizon) + gone * over_rates(t_x)
    history = pd.DataFrame({"frequency": [x], "recency": [t_x], "T": [age], "monetary_value": [1.0]}, dtype=np.float64)
    assert TRUTH.purchase_probability(history, horizon)[0] == pytest.approx(1 - silent / likelihood, abs=1e-6)


def test_more_time_never_makes_a_purchase_less_likely(simulated: tuple[pd.DataFrame, Floats]) -> None:
    history = simulated[0].head(2000)
    said = np.array([TRUTH.purchase_probability(history, float(days)) for days in (0, 1, 30, 365, 10_000, 10**9)])
    assert (np.diff(said, axis=0) >= 0.0).all()
    assert not said[0].any()
    assert (said[-1] <= TRUTH.probability_alive(history)).all()


def then_and_now(training: TrainingSet) -> tuple[pd.DataFrame, Floats, Floats]:
    year_ago = same_season(np.unique(training.cutoff), training.as_of)
    assert year_ago is not None
    rows = training.cutoff == year_ago
    return training.features[rows], training.active[rows], training.value[rows]


def test_a_year_like_the_last_is_expected_to_end_as_it_did(sample_training: TrainingSet) -> None:
    features, active, value = then_and_now(sample_training)
    found = expectation((fit_btyd(features), features), (features, active, value), 90)
    assert found is not None
    assert found.revenue == pytest.approx(value.sum(), rel=1e-9)
    assert found.buyers == pytest.approx(active.mean(), rel=1e-9)


def test_twice_the_customers_are_expected_to_bring_twice_the_revenue(sample_training: TrainingSet) -> None:
    features, active, value = then_and_now(sample_training)
    twice = pd.concat([features, features])
    found = expectation((fit_btyd(twice), twice), (features, active, value), 90)
    assert found is not None
    assert found.revenue == pytest.approx(2 * value.sum(), rel=1e-4)
    assert found.buyers == pytest.approx(active.mean(), rel=1e-4)


def test_twice_the_prices_are_expected_to_bring_twice_the_revenue(sample_training: TrainingSet) -> None:
    features, active, value = then_and_now(sample_training)
    dearer = features.assign(monetary_value=features["monetary_value"] * 2, order_value_mean=features["order_value_mean"] * 2)
    found = expectation((fit_btyd(dearer), dearer), (features, active, value), 90)
    assert found is not None
    assert found.revenue == pytest.approx(2 * value.sum(), rel=1e-3)
    assert found.buyers == pytest.approx(active.mean(), rel=1e-9)


def test_a_season_that_beat_its_expectation_twofold_is_expected_to_do_so_again(sample_training: TrainingSet) -> None:
    features, active, value = then_and_now(sample_training)
    btyd = fit_btyd(features)
    usual, booming = (expectation((btyd, features), (features, active, money), 90) for money in (value, 2 * value))
    assert usual is not None
    assert booming is not None
    assert booming.revenue == pytest.approx(2 * usual.revenue, rel=1e-12)
    assert booming.buyers == usual.buyers


def test_no_season_corrects_by_more_than_three(sample_training: TrainingSet) -> None:
    features, active, value = then_and_now(sample_training)
    btyd = fit_btyd(features)
    said = btyd.value(features, 90.0).sum()
    for factor, limit in ((1e3, 3.0), (1e-3, 1.0 / 3.0)):
        found = expectation((btyd, features), (features, active, factor * value), 90)
        assert found is not None
        assert found.revenue == pytest.approx(limit * said, rel=1e-9)


def test_never_everybody_is_expected_to_buy(sample_training: TrainingSet) -> None:
    features, active, value = then_and_now(sample_training)
    busy = features.assign(frequency=features["T"], recency=features["T"])
    found = expectation((fit_btyd(busy), busy), (features, np.ones_like(active), value), 90)
    assert found is not None
    assert found.buyers == MOST_BUYERS


def test_a_year_ago_without_revenue_says_nothing(sample_training: TrainingSet) -> None:
    features, active, value = then_and_now(sample_training)
    now = (fit_btyd(features), features)
    assert expectation(now, (features, active, 0 * value), 90) is None
    assert expectation(now, (features, 0 * active, value), 90) is None


def test_the_same_season_is_within_twenty_days_of_52_weeks_ago() -> None:
    as_of = 12_000
    year_ago = as_of - 364
    assert same_season(np.array([year_ago - 25, year_ago + 10, year_ago - 11]), as_of) == year_ago + 10
    assert same_season(np.array([year_ago + 20]), as_of) == year_ago + 20
    assert same_season(np.array([year_ago - 20]), as_of) == year_ago - 20
    assert same_season(np.array([year_ago - 21, year_ago + 21]), as_of) is None
