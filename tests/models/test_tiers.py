"""Tiers: shares respected as nearly as ties allow, nobody straddles a threshold, frozen thresholds travel as JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from configs.settings import TierLimits, TierPareto, TierShares
from models.tiers import Tiers, learn_thresholds, tiers_by_count

SHARES = TierShares()
money = st.floats(0.0, 1e6).map(lambda amount: round(amount, 2)) | st.floats(0.0, 1e-3) | st.sampled_from([0.0, 10.0, 20.0])
values_strategy = st.lists(money, min_size=1, max_size=80)


def plain_tiers(values: list[float], policy: TierShares) -> list[str]:
    """Oracle: of all ways to cut between distinct values, the one nearest to each cumulative share."""
    distinct = sorted(set(values), reverse=True)
    best_in = [0] * len(policy.shares)
    wanted = 0.0
    for tier, share in enumerate(policy.shares.values()):
        wanted += share
        sizes = [sum(value >= limit for value in values) for limit in distinct]
        gaps = [abs(size - wanted * len(values)) for size in [0, *sizes]]
        best_in[tier] = gaps.index(min(gaps))
    names = [*policy.shares, policy.rest]
    return [names[next((tier for tier, cut in enumerate(best_in) if distinct.index(value) < cut), -1)] for value in values]


@given(values_strategy)
@example([1.0] * 10)
@example([0.0, 5e-324])
def test_shares_equal_the_plain_oracle(values: list[float]) -> None:
    assert list(learn_thresholds(values, SHARES).assign(values)) == plain_tiers(values, SHARES)


def test_distinct_values_get_the_very_shares() -> None:
    values = np.random.default_rng(1).permutation(np.arange(1000) / 7)
    names, counts = np.unique(learn_thresholds(values, SHARES).assign(values), return_counts=True)
    assert dict(zip(names, counts, strict=True)) == {"Platinum": 50, "Gold": 150, "Silver": 300, "Bronze": 500}


@given(
    values_strategy,
    st.sampled_from(
        [SHARES, TierPareto(method="pareto"), TierPareto(method="pareto", value_shares={"A": 0.8, "B": 0.15}, rest="C")]
    ),
)
def test_equal_values_share_a_tier_and_better_values_never_rank_lower(
    values: list[float], policy: TierShares | TierPareto
) -> None:
    tiers = learn_thresholds(values, policy)
    ranks = tiers.rank(sorted(values, reverse=True))
    assert (np.diff(ranks) >= 0).all()
    assert len({(value, rank) for value, rank in zip(values, tiers.rank(values), strict=True)}) == len(set(values))
    assert Tiers.from_json(json.loads(json.dumps(tiers.to_json(), allow_nan=False))) == tiers
    assert list(tiers.assign(values)) == [tiers.names[rank] for rank in tiers.rank(values)]


@given(values_strategy)
def test_a_tier_does_not_depend_on_the_other_customers(values: list[float]) -> None:
    tiers = learn_thresholds(values, SHARES)
    assert list(tiers.assign(values)) == [tiers.assign([value])[0] for value in values]


def test_a_customer_at_the_threshold_is_in_the_tier() -> None:
    tiers = learn_thresholds([1.0], TierLimits(method="limits", limits={"High": 100.0, "Middle": 10.0}, rest="Low"))
    assert list(tiers.assign([100.0, 99.999, 10.0, 9.999, -3.0])) == ["High", "Middle", "Middle", "Low", "Low"]
    assert tiers.thresholds == (100.0, 10.0)


@given(values_strategy.filter(lambda values: sum(values) > 0))
def test_pareto_takes_the_fewest_customers_who_hold_the_share(values: list[float]) -> None:
    tiers = learn_thresholds(values, TierPareto(method="pareto"))
    core = [value for value, tier in zip(values, tiers.assign(values), strict=True) if tier == "Core"]
    assert sum(core) >= 0.8 * sum(values) * (1 - 1e-9)
    without_the_last = [value for value in core if value > min(core)]
    assert sum(without_the_last) < 0.8 * sum(values) * (1 + 1e-9)


def test_pareto_of_worthless_customers_leaves_the_best_tier_empty() -> None:
    assert set(learn_thresholds([0.0, 0.0, -5.0], TierPareto(method="pareto")).assign([0.0, -5.0])) == {"Others"}


def test_thresholds_are_whole_cents_between_the_customers() -> None:
    tiers = tiers_by_count(("top", "rest"), [10.0, 20.123456, 30.0, 40.0], [0.5])
    assert tiers.thresholds == (25.06,)
    close = tiers_by_count(("top", "rest"), [1.0, 1.0000001], [0.5])
    assert 1.0 < close.thresholds[0] <= 1.0000001


def test_empty_tiers_and_full_tiers() -> None:
    tiers = tiers_by_count(("a", "b", "c"), [1.0, 2.0, 3.0], [0.0, 1.0])
    assert list(tiers.assign([1.0, 3.0])) == ["b", "b"]


def test_one_value_of_a_million_is_quick() -> None:
    values = np.random.default_rng(2).gamma(0.3, 100.0, 1_000_000)
    assert np.bincount(learn_thresholds(values, SHARES).rank(values)).tolist() == [50_000, 150_000, 300_000, 500_000]


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0, float("inf")]])
def test_what_cannot_be_ranked_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"no customers|NaN or infinite"):
        learn_thresholds(values, SHARES)


def test_thresholds_must_fit_the_names() -> None:
    with pytest.raises(ValueError, match="2 distinct tier names need 1 thresholds"):
        Tiers(("a", "b"), (3.0, 2.0))
    with pytest.raises(ValueError, match="best tier first"):
        Tiers(("a", "b", "c"), (1.0, 2.0))
