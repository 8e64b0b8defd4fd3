"""Stacking against simulated outcomes of known slopes, and against the likelihood it maximizes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from models.stacking import LEAST_PROBABILITY, UNLEARNED, Stacking, at_share, btyd_log_odds, fit_stacking
from models.two_part import logistic

Floats = npt.NDArray[np.float64]


def simulated(slopes: tuple[float, ...], rows: int, seed: int = 2) -> tuple[Floats, Floats, npt.NDArray[np.bool_], Floats]:
    """Margins, BTYD's log-odds, one-time buyers, and who bought by the stated slopes and intercept."""
    random = np.random.default_rng(seed)
    margin, btyd, one_time = random.normal(-1.0, 1.5, rows), random.normal(-0.5, 1.0, rows), random.random(rows) < 0.4
    chance = expit(slopes[0] * margin + slopes[1] * btyd + slopes[2] * one_time + slopes[3])
    return margin, btyd, one_time, (random.random(rows) < chance).astype(np.float64)


@pytest.mark.parametrize("slopes", [(1.0, 0.1, 0.0, 0.0), (0.6, 0.7, -0.4, -0.7), (0.3, 1.2, 0.5, 1.1)])
def test_the_slopes_of_simulated_buyers_are_found_again(slopes: tuple[float, ...]) -> None:
    margin, btyd, one_time, active = simulated(slopes, 100_000)
    found = fit_stacking(margin, btyd, one_time, active)
    assert (found.trees, found.btyd, found.one_time, found.intercept) == pytest.approx(slopes, abs=0.05)
    assert logistic(found.log_odds(margin, btyd, one_time)).mean() == pytest.approx(active.mean(), abs=1e-4)


def test_it_is_platts_likelihood_at_its_highest() -> None:
    margin, btyd, one_time, active = simulated((1.0, 0.8, -0.5, 0.2), 80, seed=4)
    buyers = active.sum()
    target = np.where(active > 0, (buyers + 1) / (buyers + 2), 1 / (80 - buyers + 2))

    def loss(point: Floats) -> float:
        said = point[0] * margin + point[1] * btyd + point[2] * one_time + point[3]
        return float((np.logaddexp(0.0, said) - target * said).sum())

    best = minimize(loss, [1.0, 1.0, 0.0, 0.0], method="BFGS", options={"gtol": 1e-9}).x
    found = fit_stacking(margin, btyd, one_time, active)
    assert (found.trees, found.btyd, found.one_time, found.intercept) == pytest.approx(tuple(best), abs=2e-3)


@pytest.mark.parametrize("customers", [10, 1000])
def test_log_odds_that_part_buyers_from_others_make_nobody_certain(customers: int) -> None:
    margin = np.linspace(-3.0, 3.0, customers)
    active, nothing = (margin > 0.5).astype(np.float64), np.zeros(customers)
    said = logistic(fit_stacking(margin, nothing, nothing > 0, active).log_odds(margin, nothing, nothing > 0))
    # No surer than Laplace's rule of succession allows after so many customers, give or take the straight line.
    assert np.abs(logit(said)).max() < 5 * np.log(customers + 2)
    assert said[-1] > 0.5 > said[0]


def test_a_model_that_is_wrong_about_the_order_is_left_out() -> None:
    margin, btyd, one_time, active = simulated((1.0, -0.8, 0.3, 0.0), 20_000)
    found = fit_stacking(margin, btyd, one_time, active)
    assert found.btyd == 0.0
    assert found.trees > 0.5
    found = fit_stacking(-margin, -btyd, one_time, active)
    assert found.trees == 0.0
    assert found.btyd > 0.5


def test_what_teaches_nothing_is_not_learned() -> None:
    margin, nobody = np.array([-1.0, 0.0, 1.0, 2.0]), np.zeros(4, dtype=bool)
    for active in (np.ones(4), np.zeros(4), np.array([1.0, 1.0, 0.0, 0.0])):
        assert fit_stacking(margin, margin, nobody, active) == UNLEARNED
    assert fit_stacking(np.zeros(4), np.zeros(4), ~nobody, np.array([1.0, 0.0, 1.0, 0.0])) == UNLEARNED


@pytest.mark.parametrize("share", [1e-6, 0.03, 0.5, 0.97])
def test_the_intercept_gives_the_share_asked_for_and_keeps_the_order(share: float) -> None:
    margin, btyd, one_time, _ = simulated((1.0, 0.5, 0.0, 0.0), 5000)
    before = Stacking(1.0, 0.5, 0.2, 3.0)
    after = at_share(before, before.log_odds(margin, btyd, one_time), share)
    assert logistic(after.log_odds(margin, btyd, one_time)).mean() == pytest.approx(share, rel=1e-9)
    assert (after.trees, after.btyd, after.one_time) == (1.0, 0.5, 0.2)


def test_btyd_is_never_quite_sure() -> None:
    said = btyd_log_odds(np.array([0.0, 1e-30, 0.25, 1.0]))
    assert said.tolist() == pytest.approx([logit(LEAST_PROBABILITY)] * 2 + [-np.log(3.0), -logit(LEAST_PROBABILITY)])


@pytest.mark.parametrize("slopes", [(0.0, 0.0), (-1.0, 1.0), (1.0, -0.1), (np.nan, 1.0), (1.0, np.inf)])
def test_slopes_that_could_turn_the_ranking_are_refused(slopes: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="slopes of 0 or more"):
        Stacking(*slopes)
