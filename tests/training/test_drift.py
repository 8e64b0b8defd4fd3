"""Drift: the false alarm rate is the one stated at any number of customers, and what is planted is found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from models.reference import Contrast, contrast, fit_reference
from training.drift import FALSE_ALARMS, SMALLEST_SHIFT, Drift, drift, no_more_than

FEATURES = 20


def customers(seed: int, size: int, shift: float = 0.0, missing: float = 0.0) -> pd.DataFrame:
    """Correlated features of all kinds: heavy-tailed money, counts that are mostly 0, shares, missing values."""
    random = np.random.default_rng(seed)
    common = random.normal(size=size)
    columns = {}
    for place in range(FEATURES):
        values = 0.5 * common + 0.75**0.5 * random.normal(size=size) + (shift if place == 0 else 0.0)
        kind = place % 4
        if kind == 1:
            values = np.exp(2.0 * values)
        elif kind == 2:
            values = np.floor(np.clip(values * 2.0, 0.0, None))
        elif kind == 3:
            values = np.where(random.random(size) < 0.3 + (missing if place == 3 else 0.0), np.nan, values)
        columns[f"f{place}"] = values
    return pd.DataFrame(columns)


def drifted(before: pd.DataFrame, now: pd.DataFrame, earlier: dict[int, pd.DataFrame] | None = None) -> list[Drift]:
    return [one for one in drift(fit_reference(before, 100, earlier or {}), now, 130) if one.drifted]


@pytest.mark.parametrize(("size", "runs"), [(200, 200), (200_000, 2)])
def test_without_drift_there_is_no_alarm(size: int, runs: int) -> None:
    alarms = sum(bool(drifted(customers(2 * seed, size), customers(2 * seed + 1, size))) for seed in range(runs))
    assert alarms <= 1 + 2 * FALSE_ALARMS * runs


def test_a_test_at_the_very_limit_of_what_is_tolerated_keeps_its_level() -> None:
    """Two samples whose true shift is exactly the smallest: the share of p-values below 0.05 is 0.05 at most."""
    random = np.random.default_rng(1)
    p, limit = np.full(10, 0.1), 0.0
    step = np.array([1, -1] * 5)
    # w**2 = sum((p - q)**2 / mean(p, q)) for samples of equal size.
    for size in np.linspace(0.0, 0.05, 2001):
        if np.sum((size * step) ** 2 / (p + size * step / 2)) ** 0.5 <= SMALLEST_SHIFT:
            limit = float(size)
    found = [
        no_more_than(contrast(*(np.append(random.multinomial(5000, q), 0) for q in (p, p + limit * step))), SMALLEST_SHIFT)
        for _ in range(2000)
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize(("size", "shift"), [(200, 1.0), (2_000, 0.5), (50_000, 0.35)])
def test_a_planted_shift_is_found_and_nothing_else(size: int, shift: float) -> None:
    found = [{one.name for one in drifted(customers(seed, size), customers(seed + 99, size, shift))} for seed in range(20)]
    assert np.mean(["f0" in names for names in found]) >= 0.95
    assert sum(bool(names - {"f0"}) for names in found) <= 1


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_a_trifle_is_no_drift_however_sure_it_is(size: int) -> None:
    assert drifted(customers(1, size), customers(2, size, shift=0.1)) == []


def test_values_that_go_missing_are_drift() -> None:
    found = drifted(customers(1, 3_000), customers(2, 3_000, missing=0.3))
    assert [one.name for one in found] == ["f3"]
    assert (found[0].missing_before, found[0].missing_now) == pytest.approx((0.3, 0.6), abs=0.03)


def test_what_always_moved_so_far_is_not_drift() -> None:
    """A base that ages: each month its mean moves by half a standard deviation, before training as after."""
    month = {70: customers(1, 5_000, shift=0.0)}
    before, after, much_later = (customers(seed, 5_000, shift) for seed, shift in ((2, 0.5), (3, 1.0), (4, 2.0)))
    assert [one.name for one in drifted(before, after)] == ["f0"]
    assert drifted(before, after, month) == []
    assert [one.name for one in drifted(before, much_later, month)] == ["f0"]


def test_the_surest_comes_first_with_its_medians() -> None:
    first = drift(fit_reference(customers(1, 2_000), 100, {}), customers(2, 2_000, shift=0.8), 130)[0]
    assert first.name == "f0"
    assert first.median_before == pytest.approx(0.0, abs=0.1)
    assert first.median_now == pytest.approx(0.8, abs=0.1)
    assert first.p_value <= first.adjusted <= FALSE_ALARMS


def test_p_values_of_a_million_customers_are_those_of_the_normal_limit() -> None:
    size, shift, freedom = 500_000.0, 0.3, 9
    mean, variance = freedom + size * shift**2, 2.0 * (freedom + 2.0 * size * shift**2)
    for above in (-2.0, 0.0, 2.0):
        statistic = mean + above * variance**0.5
        assert no_more_than(Contrast(statistic, freedom, size, 0.0), shift) == pytest.approx(norm.sf(above), abs=0.005)


def test_one_bin_says_nothing() -> None:
    assert no_more_than(Contrast(0.0, 0, 50.0, 0.0), 0.2) == 1.0
