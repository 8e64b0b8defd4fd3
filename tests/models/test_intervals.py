"""Intervals and tier probabilities against simulated customers whose distribution is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from models.intervals import GROUP_SHARES, HIGH, LEVELS, LOW, Spread, coverage, residual_quantiles, spread_at

Floats = npt.NDArray[np.float64]
NORMAL = tuple(norm.ppf(LEVELS).tolist())
ONE_GROUP = Spread((), (NORMAL,))


def spenders(rows: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """What is spent, predicted value and probability; outcomes scatter less around large values."""
    random = np.random.default_rng(seed)
    probability, if_active = random.beta(1.0, 1.5, rows), random.lognormal(3.0, 1.0, rows)
    value = probability * if_active
    scatter = np.where(value > np.quantile(value, 0.8), 0.3, 1.2)
    spent = if_active * np.exp(random.normal(-(scatter**2) / 2.0, scatter))
    return spent * (random.random(rows) < probability), value, probability


def test_intervals_learned_on_some_cover_others_overall_and_in_every_group() -> None:
    spent, value, probability = spenders(40_000, 1)
    spread = spread_at(value, residual_quantiles(spent, value, probability, np.repeat([1, 2], 20_000)))
    spent, value, probability = spenders(40_000, 2)
    group = spread.group(value)
    low, high = (spread.quantile(level, 1 - probability, value / probability, group) for level in (LOW, HIGH))
    covered = coverage(spent, low, high, 1 - probability)
    assert covered.mean() == pytest.approx(0.8, abs=0.01)
    for number in range(len(GROUP_SHARES) + 1):
        assert covered[group == number].mean() == pytest.approx(0.8, abs=0.03)


def test_the_level_of_a_cutoff_does_not_widen_its_spread() -> None:
    """A season that doubles all spending is told by the level, not by the interval."""
    spent, value, probability = spenders(20_000, 3)
    cutoff = np.repeat([1, 2], 10_000)
    doubled = np.where(cutoff == 1, spent, 2.0 * spent)
    plain, season = (residual_quantiles(said, value, probability, cutoff) for said in (spent, doubled))
    np.testing.assert_allclose(season, plain, atol=1e-9)


def test_quantiles_of_a_known_distribution() -> None:
    """P(spent <= q) by the normal distribution, with the probability of no purchase below."""
    churn, if_active, group = np.array([0.0, 0.05, 0.3, 0.95]), np.full(4, 10.0), np.zeros(4, dtype=np.intp)
    high = ONE_GROUP.quantile(HIGH, churn, if_active, group)
    expected = [10 * np.exp(norm.ppf((0.9 - c) / (1 - c))) if c < 0.9 else 0.0 for c in churn]
    np.testing.assert_allclose(high, expected, rtol=2e-3)
    low = ONE_GROUP.quantile(LOW, churn, if_active, group)
    np.testing.assert_allclose(low[:2], [10 * np.exp(norm.ppf((0.1 - c) / (1 - c))) for c in churn[:2]], rtol=2e-3)
    assert low[2:].tolist() == [0.0, 0.0]
    money = np.full(4, 25.0)
    below = ONE_GROUP.below(money, churn, if_active, group)
    np.testing.assert_allclose(below, churn + (1 - churn) * norm.cdf(np.log(2.5)), atol=2e-3)
    assert ONE_GROUP.below(np.full(4, np.inf), churn, if_active, group).tolist() == [1.0] * 4


@settings(max_examples=100, deadline=None)
@given(churn=st.floats(1e-9, 1.0 - 1e-9), if_active=st.floats(1e-6, 1e9), level=st.floats(0.02, 0.98), step=st.floats(0.0, 0.5))
def test_quantiles_and_probabilities_are_inverse_and_rise(churn: float, if_active: float, level: float, step: float) -> None:
    risk, active, group = np.array([churn]), np.array([if_active]), np.zeros(1, dtype=np.intp)
    money = ONE_GROUP.quantile(level, risk, active, group)
    assert np.isfinite(money).all()
    assert ONE_GROUP.quantile(min(level + step, 1.0), risk, active, group)[0] >= money[0]
    if 0.02 < (level - churn) / (1.0 - churn) < 0.98:
        assert ONE_GROUP.below(money, risk, active, group)[0] == pytest.approx(level, abs=1e-6)


def test_few_spenders_of_a_group_take_the_spread_of_all() -> None:
    spent, value, probability = spenders(400, 4)
    best = value > np.quantile(value, GROUP_SHARES[-1])
    groups = residual_quantiles(spent, value, probability, np.zeros(400, dtype=np.int64))
    assert best.sum() < 30
    everybody = np.log((spent * probability / value * value.sum() / spent.sum())[spent > 0])
    np.testing.assert_allclose(groups[-1], np.quantile(everybody, LEVELS, method="weibull"))


def test_coverage_is_the_part_between_the_quantiles() -> None:
    """Of customers whose risk is exactly right, 80 % are covered, be the risk small or large."""
    random = np.random.default_rng(5)
    for risk in (0.02, 0.3, 0.5, 0.85, 0.97):
        churn, if_active, group = np.full(50_000, risk), np.ones(50_000), np.zeros(50_000, dtype=np.intp)
        spent = np.exp(random.normal(size=50_000)) * (random.random(50_000) >= risk)
        low, high = (ONE_GROUP.quantile(level, churn, if_active, group) for level in (LOW, HIGH))
        assert coverage(spent, low, high, churn).mean() == pytest.approx(0.8, abs=0.01)


def test_a_spread_travels_as_plain_lists_and_refuses_holes() -> None:
    spread = Spread((1.0, 5.0), (NORMAL, NORMAL, NORMAL))
    assert Spread.from_json(spread.to_json()) == spread
    with pytest.raises(ValueError, match="2 bounds need 3 groups"):
        Spread((1.0, 5.0), (NORMAL,))
    with pytest.raises(ValueError, match="finite"):
        Spread((np.nan,), (NORMAL, NORMAL))
