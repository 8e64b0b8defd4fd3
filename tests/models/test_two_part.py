"""Both parts against functions they should learn from simulated customers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy.special import expit

from models.two_part import TwoPart, fit_two_part, log_logistic, logistic

Floats = npt.NDArray[np.float64]
Simulated = tuple[pd.DataFrame, Floats, Floats, Floats, Floats]
CUSTOMERS = 20_000


@pytest.fixture(scope="module")
def simulated() -> Simulated:
    """Inputs, who bought, for how much; and the chance and the mean value that made them so."""
    random = np.random.default_rng(11)
    inputs = pd.DataFrame(random.uniform(-2.0, 2.0, (CUSTOMERS, 4)), columns=["a", "b", "c", "d"])
    inputs.loc[random.random(CUSTOMERS) < 0.2, "c"] = np.nan
    chance = np.asarray(expit(1.5 * inputs["a"] - 1.0 + inputs["c"].isna() * 1.2))
    mean = np.exp(3.0 + 0.8 * inputs["b"].to_numpy())
    active = (random.random(CUSTOMERS) < chance).astype(np.float64)
    return inputs, active, active * mean * random.gamma(2.0, 0.5, CUSTOMERS), chance, mean


@pytest.fixture(scope="module")
def fitted(simulated: Simulated) -> TwoPart:
    inputs, active, value, _, _ = simulated
    return fit_two_part(inputs, active, value, rounds=200, seed=3, threads=2)


def test_the_chance_of_a_purchase_is_learned(fitted: TwoPart, simulated: Simulated) -> None:
    inputs, _, _, chance, _ = simulated
    said = logistic(fitted.log_odds(inputs, threads=2))
    # Saying the mean of everybody would miss by 0.26.
    assert np.abs(said - chance).mean() < 0.045
    assert abs(said.mean() - chance.mean()) < 0.01


def test_the_value_of_a_buyer_is_learned_as_a_mean(fitted: TwoPart, simulated: Simulated) -> None:
    inputs, _, _, chance, mean = simulated
    sure = np.full(CUSTOMERS, 40.0)
    of_buyer = fitted.value(inputs, sure, threads=2)
    # A median or a mean of logarithms would lie a fifth lower: these order values are that skewed.
    assert abs(np.average(of_buyer / mean, weights=chance) - 1.0) < 0.02
    # Saying the mean of all buyers would miss by 0.8.
    assert np.abs(np.log(of_buyer / mean)).mean() < 0.11
    log_odds = fitted.log_odds(inputs, threads=2)
    np.testing.assert_allclose(fitted.value(inputs, log_odds, threads=2), expit(log_odds) * of_buyer, rtol=1e-12)


def test_same_bytes_whatever_the_threads(simulated: Simulated) -> None:
    inputs, active, value, _, _ = simulated

    def text(threads: int) -> list[list[str]]:
        model = fit_two_part(inputs[:5000], active[:5000], value[:5000], rounds=20, seed=3, threads=threads)
        boosters = (model.booster_purchase, model.booster_value)
        return [booster.model_to_string().splitlines() for booster in boosters]

    one, again, two = text(1), text(1), text(2)
    assert one == again
    for mine, theirs in zip(one, two, strict=True):
        assert [pair for pair in zip(mine, theirs, strict=True) if pair[0] != pair[1]] == [
            ("[num_threads: 1]", "[num_threads: 2]")
        ]


def test_another_seed_is_another_model(simulated: Simulated) -> None:
    inputs, active, value, _, _ = simulated
    first, second = (fit_two_part(inputs[:2000], active[:2000], value[:2000], rounds=10, seed=seed, threads=1) for seed in (1, 2))
    assert first.booster_purchase.model_to_string() != second.booster_purchase.model_to_string()


def test_purchases_that_were_refunded_teach_the_chance_but_no_value(
    simulated: Simulated,
) -> None:
    inputs, active, value, _, _ = (one[:3000] for one in simulated)
    refunded = np.arange(3000) % 7 == 0
    value = np.where(refunded, 0.0, value)
    active = np.where(refunded, 1.0, active)
    strange = inputs.copy()
    strange[refunded] = 1e6
    plain, other = (fit_two_part(one, active, value, rounds=10, seed=1, threads=1) for one in (inputs, strange))
    assert plain.booster_value.model_to_string() == other.booster_value.model_to_string()
    assert plain.booster_purchase.model_to_string() != other.booster_purchase.model_to_string()


def test_logarithms_of_probabilities_stay_exact_where_probabilities_do_not() -> None:
    log_odds = np.array([-800.0, -40.0, 0.0, 40.0, 800.0])
    np.testing.assert_allclose(log_logistic(log_odds), [-800.0, -40.0, -np.log(2.0), -np.exp(-40.0), 0.0], rtol=1e-12)
    np.testing.assert_allclose(logistic(log_odds) + logistic(-log_odds), 1.0)
