"""Binned reference distributions: counted as numpy counts, compared as scipy compares, stored without a customer."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import chi2_contingency

from features.catalog import FEATURE_NAMES
from models.fitting import TrainingSet
from models.reference import (
    CLOCKS,
    SCORES,
    WATCHED,
    WATCHED_FEATURES,
    Reference,
    binned,
    contrast,
    fit_reference,
    reference_of,
)
from models.value_model import ValueModel

VALUES = arrays(np.float64, st.integers(1, 80), elements=st.one_of(st.floats(-1e6, 1e6), st.just(np.nan), st.just(0.0)))


def frame(values: npt.ArrayLike) -> pd.DataFrame:
    return pd.DataFrame({"x": np.asarray(values, dtype=np.float64)})


def learned(values: npt.ArrayLike) -> Reference:
    return fit_reference(frame(values), 100, {})


@given(VALUES)
def test_every_value_is_counted_once_in_the_bin_that_holds_it(values: npt.NDArray[np.float64]) -> None:
    [found] = learned(values).distributions
    bounds = [-np.inf, *found.edges, np.inf]
    for count, low, high in zip(found.counts, bounds, bounds[1:], strict=False):
        assert count == sum(low < value <= high for value in values.tolist())
    assert found.missing == sum(np.isnan(values))
    assert sum(found.all_counts) == len(values)


def test_continuous_values_fall_into_tenths() -> None:
    [found] = learned(np.random.default_rng(1).normal(size=5000)).distributions
    assert found.counts == (500,) * 10


def test_values_below_and_above_a_constant_are_noticed() -> None:
    [found] = learned(np.full(500, 7.0)).distributions
    for other in (6.9, 7.1):
        assert found.contrast(np.full(500, other)).shift > 1.0
    assert found.contrast(np.full(500, 7.0)).shift == 0.0


def test_a_column_that_is_missing_throughout_is_compared_too() -> None:
    [found] = learned(np.full(300, np.nan)).distributions
    assert (found.counts, found.missing, found.median) == ((0,), 300, None)
    assert found.contrast(np.full(200, np.nan)).statistic == 0.0
    assert found.contrast(np.ones(200)).shift > 1.0


@given(st.lists(st.tuples(st.integers(60, 500), st.integers(60, 500)), min_size=3, max_size=11))
def test_the_statistic_is_scipys(table: list[tuple[int, int]]) -> None:
    before, after = np.array(table).T
    found, expected = contrast(before, after), chi2_contingency([before, after], correction=False)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert found.freedom == expected.dof == len(table) - 1


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=11))
def test_sparse_bins_are_joined_until_five_are_expected_in_each(table: list[tuple[int, int]]) -> None:
    before, after = np.array(table).T
    if not before.sum() or not after.sum():
        with pytest.raises(ValueError, match="empty"):
            contrast(before, after)
        return
    found = contrast(before, after)
    smaller = min(before.sum(), after.sum())
    assert 0 <= found.freedom < len(table)
    assert smaller >= 5.0 * (found.freedom + 1) or found.freedom == 0
    assert np.isfinite([found.statistic, found.psi, found.shift]).all()


def test_psi_and_shift_are_free_of_sampling_noise() -> None:
    random = np.random.default_rng(2)
    found = [learned(random.normal(size=300)).distributions[0].contrast(random.normal(size=300)) for _ in range(400)]
    raw_expectation = 9 * (1 / 300 + 1 / 300)
    assert abs(np.mean([one.psi for one in found])) < 0.1 * raw_expectation
    assert np.mean([one.statistic for one in found]) == pytest.approx(9.0, abs=0.6)


@pytest.mark.parametrize("shift", [0.2, 0.4])
def test_the_shift_of_a_mean_is_measured_in_standard_deviations(shift: float) -> None:
    random = np.random.default_rng(3)
    found = learned(random.normal(size=200_000)).distributions[0].contrast(random.normal(shift, size=200_000))
    assert found.shift == pytest.approx(shift, rel=0.1)
    assert found.psi == pytest.approx(shift**2, rel=0.1)


def test_json_gives_the_reference_back() -> None:
    random = np.random.default_rng(4)
    earlier = {70: frame(random.normal(size=90)), 40: frame(random.normal(0.5, size=80))}
    reference = fit_reference(frame([*random.normal(size=100), np.nan]), 100, earlier)
    assert Reference.from_json(json.loads(json.dumps(reference.to_json(), allow_nan=False))) == reference
    assert reference.lags == (30, 60)


def test_the_usual_shift_is_the_most_over_the_lags_so_far() -> None:
    random = np.random.default_rng(5)
    earlier = {cutoff: frame(random.normal(mean, size=20_000)) for cutoff, mean in ((70, 0.3), (40, 0.1), (10, 0.6))}
    reference = fit_reference(frame(random.normal(size=20_000)), 100, earlier)
    expected = {0: 0.3, 30: 0.3, 60: 0.3, 89: 0.3, 90: 0.6, 500: 0.6}
    for days, shift in expected.items():
        assert reference.usual_shift("x", days) == pytest.approx(shift, abs=0.05)
    assert learned([1.0, 2.0]).usual_shift("x", 30) == 0.0


def test_without_customers_there_is_no_reference() -> None:
    with pytest.raises(ValueError, match="no customers"):
        learned([])


def test_neither_clocks_nor_the_calendar_are_watched() -> None:
    assert set(WATCHED) == set(WATCHED_FEATURES) | set(SCORES)
    left_out = set(FEATURE_NAMES) - set(WATCHED_FEATURES)
    assert left_out == {*CLOCKS, *(name for name in FEATURE_NAMES if "season" in name)}


def test_the_reference_of_a_model_is_that_of_its_customers(sample_model: ValueModel, sample_training: TrainingSet) -> None:
    training = sample_training
    earlier = {int(cutoff): training.features[training.cutoff == cutoff] for cutoff in np.unique(training.cutoff)}
    reference = reference_of(sample_model, training.current, training.as_of, earlier, threads=2)
    assert [one.name for one in reference.distributions] == list(WATCHED)
    assert reference.customers == len(training.current) == 2357
    assert 0 < len(reference.lags) <= 6
    assert reference.lags[0] == training.horizon_days
    median = sample_model.predict(training.current, as_of=training.as_of)["churn_risk"].median()
    assert next(one.median for one in reference.distributions if one.name == "churn_risk") == median
    assert len(json.dumps(reference.to_json())) < 50_000
    assert all(len(one.counts) <= 11 and len(one.edges) <= 10 for one in reference.distributions)


def test_binned_keeps_its_length_without_values() -> None:
    assert binned(np.empty(0), (1.0, 2.0)).tolist() == [0, 0, 0, 0]
