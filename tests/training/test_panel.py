"""Cutoffs that never let the future in, and snapshots of customers with what they did next."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.errors import HistoryError
from configs.settings import Training
from features.customers import feature_frame
from features.orders import Cleaned
from models.season import TOLERANCE_DAYS, same_season
from training.panel import Plan, plan_cutoffs, sampled, snapshot, training_set

FIRST = 10_000
trainings = st.builds(
    Training,
    cutoff_step_days=st.integers(1, 120),
    max_cutoffs=st.integers(1, 60),
    min_history_days=st.integers(1, 400),
)


@given(st.integers(1, 3000), st.integers(1, 800), trainings)
def test_no_horizon_of_any_cutoff_reaches_what_must_not_be_known(history: int, horizon: int, training: Training) -> None:
    last = FIRST + history - 1
    if history < horizon + training.min_history_days:
        with pytest.raises(HistoryError, match=f"at least {horizon + training.min_history_days}"):
            plan_cutoffs(FIRST, last, horizon, training)
        return
    plan = plan_cutoffs(FIRST, last, horizon, training)
    assert plan.as_of == last + 1
    assert plan.holdout + horizon == plan.as_of
    assert plan.final[0] == plan.holdout
    for known_at, cutoffs in ((plan.as_of, plan.final), (plan.holdout, plan.trial)):
        assert all(cutoff + horizon <= known_at for cutoff in cutoffs)
        assert all(cutoff >= FIRST + training.min_history_days for cutoff in cutoffs)
        assert len(cutoffs) <= training.max_cutoffs
        assert all(later - earlier == training.cutoff_step_days for later, earlier in itertools.pairwise(cutoffs))
    enough = plan.holdout - horizon >= FIRST + training.min_history_days
    assert bool(plan.trial) is enough
    assert plan.cutoffs == tuple(sorted({plan.holdout, *plan.trial, *plan.final}))


@given(st.integers(1, 3000), st.integers(1, 365))
def test_the_same_season_a_year_earlier_is_among_the_cutoffs_where_the_history_holds_it(history: int, horizon: int) -> None:
    training = Training()
    if history < horizon + training.min_history_days:
        return
    plan = plan_cutoffs(FIRST, FIRST + history - 1, horizon, training)
    year_ago = plan.as_of - 364
    if year_ago >= FIRST + training.min_history_days + TOLERANCE_DAYS:
        found = same_season(np.array(plan.final), plan.as_of)
        assert found is not None
        assert abs(found - year_ago) <= TOLERANCE_DAYS
        assert found + horizon <= plan.as_of


def test_cutoffs_reach_back_as_far_as_the_history() -> None:
    plan = plan_cutoffs(FIRST, FIRST + 599, 90, Training())
    assert plan == Plan(
        horizon_days=90, as_of=FIRST + 600, holdout=FIRST + 510,
        trial=tuple(range(FIRST + 420, FIRST + 89, -30)), final=tuple(range(FIRST + 510, FIRST + 89, -30)),
    )  # fmt: skip


def test_a_snapshot_is_everybody_with_what_they_did_next(sample: Cleaned) -> None:
    cutoff = 10_318
    found = snapshot(sample.orders, cutoff, 90)
    rows = sample.orders.to_native().query("o", "SELECT customer_id, order_day, amount FROM o").fetchall()
    known = {customer for customer, day, _ in rows if day < cutoff}
    assert set(found.features.index) == known
    after = [(customer, amount) for customer, day, amount in rows if cutoff <= day < cutoff + 90]
    bought = {customer for customer, _ in after}
    spent = {customer: sum(amount for one, amount in after if one == customer) for customer in bought}
    assert found.active.tolist() == [float(customer in bought) for customer in found.features.index]
    expected = [spent.get(customer, 0.0) for customer in found.features.index]
    np.testing.assert_allclose(found.value, expected, rtol=0, atol=1e-9)


def test_of_too_many_customers_a_sample_is_taken_always_the_same(sample: Cleaned) -> None:
    whole = snapshot(sample.orders, 10_318, 90)
    some, again, other = (sampled(whole, 500, seed) for seed in (1, 1, 2))
    assert len(some.features) == 500
    assert some.features.index.equals(again.features.index)
    assert not some.features.index.equals(other.features.index)
    assert some.features.index.is_monotonic_increasing
    place = whole.features.index.get_indexer(some.features.index)
    assert some.features.equals(whole.features.iloc[place])
    np.testing.assert_array_equal(some.active, whole.active[place])
    np.testing.assert_array_equal(some.value, whole.value[place])


def test_a_stack_holds_every_snapshot_whole_and_refuses_the_future(sample: Cleaned) -> None:
    cutoffs = (10_318, 10_288, 10_258)
    snapshots = [sampled(snapshot(sample.orders, cutoff, 90), 300, seed=1) for cutoff in cutoffs]
    current = feature_frame(sample.orders, 10_408)
    stacked = training_set(snapshots, current, 10_408, 90)
    for one in snapshots:
        rows = stacked.cutoff == one.cutoff
        assert stacked.features[rows].equals(one.features)
        np.testing.assert_array_equal(stacked.active[rows], one.active)
        np.testing.assert_array_equal(stacked.value[rows], one.value)
    assert len(stacked.cutoff) == sum(len(one.features) for one in snapshots)
    with pytest.raises(ValueError, match=r"\[10318\] end after 10407: they would leak"):
        training_set(snapshots, current, 10_407, 90)
    assert replace(stacked, as_of=10_409).rows(stacked.cutoff == 10_288).features.equals(snapshots[1].features)
