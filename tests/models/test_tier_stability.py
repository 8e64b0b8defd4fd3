"""Stable tiers: the vectorised rule against one written for a single customer, and what must hold of it for any input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.tier_stability import NO_TIER, Stability, stable_rank
from models.tiers import Tiers

NAMES = ("Platinum", "Gold", "Silver", "Bronze")
amounts = st.floats(0.0, 1e6, allow_subnormal=False)
shares = st.sampled_from([0.0, 0.05, 0.1, 0.25, 0.5, 0.9])
thresholds = st.lists(amounts, min_size=3, max_size=3).map(lambda found: tuple(sorted(found, reverse=True)))
ranks = st.integers(0, 3)
stays = st.sampled_from([0, 30])


@dataclass(frozen=True)
class Case:
    """One customer."""

    value: float
    tiers: Tiers
    before: int
    days: int
    stability: Stability

    def rank(self) -> int:
        [found] = stable_rank([self.value], self.tiers, [self.before], [self.days], self.stability)
        return int(found)


# Values at the thresholds and at the ends of their bands are what the rule is about.
@st.composite
def cases(draw: st.DrawFn, minimum_stay: st.SearchStrategy[int] = stays) -> Case:
    limits, share = draw(thresholds), draw(shares)
    corners = [limit * factor for limit in limits for factor in (1.0 - share, 1.0, 1.0 + share)]
    value = draw(st.one_of(amounts, st.sampled_from(corners)))
    return Case(value, Tiers(NAMES, limits), draw(ranks), draw(st.integers(0, 60)), Stability(share, draw(minimum_stay)))


def told_step_by_step(case: Case) -> int:
    """The rule as one would tell it: climb while the next threshold is clearly passed, else fall while one is clearly missed."""
    share, limits, rank = case.stability.hysteresis, case.tiers.thresholds, case.before
    while rank > 0 and case.value >= limits[rank - 1] + share * limits[rank - 1]:
        rank -= 1
    if rank < case.before:
        return rank
    if case.days < case.stability.minimum_stay_days:
        return rank
    while rank < len(limits) and case.value < limits[rank] - share * limits[rank]:
        rank += 1
    return rank


@given(cases())
def test_it_is_the_rule_told_step_by_step(case: Case) -> None:
    assert case.rank() == told_step_by_step(case)


@given(cases())
def test_unchanged_values_move_nobody_twice(case: Case) -> None:
    once = Case(case.value, case.tiers, case.rank(), 1000, case.stability)
    if case.days >= case.stability.minimum_stay_days:
        assert once.rank() == case.rank()


@given(cases(minimum_stay=st.just(0)))
def test_inside_the_bands_nobody_moves(case: Case) -> None:
    share, limits = case.stability.hysteresis, case.tiers.thresholds
    floor = limits[case.before] - share * limits[case.before] if case.before < 3 else -np.inf
    ceiling = limits[case.before - 1] + share * limits[case.before - 1] if case.before > 0 else np.inf
    if floor <= case.value < ceiling:
        assert case.rank() == case.before
    else:
        assert (case.rank() > case.before) == (case.value < floor)
        assert case.rank() != case.before


@given(cases())
def test_a_move_never_goes_beyond_the_plain_tier(case: Case) -> None:
    plain = int(case.tiers.rank([case.value])[0])
    assert min(plain, case.before) <= case.rank() <= max(plain, case.before)


@given(cases(minimum_stay=st.just(30)))
def test_a_minimum_stay_stops_downgrades_only(case: Case) -> None:
    free = Case(case.value, case.tiers, case.before, case.days, Stability(case.stability.hysteresis, 0)).rank()
    blocked = case.days < 30 and free > case.before
    assert case.rank() == (case.before if blocked else free)


@given(cases(), amounts)
def test_more_value_never_means_a_worse_tier(case: Case, more: float) -> None:
    richer = Case(case.value + more, case.tiers, case.before, case.days, case.stability)
    assert richer.rank() <= case.rank()


@given(st.lists(amounts, min_size=1, max_size=20), thresholds, shares)
def test_new_customers_get_the_plain_tier(values: list[float], limits: tuple[float, ...], share: float) -> None:
    tiers, none = Tiers(NAMES, limits), [NO_TIER] * len(values)
    assert stable_rank(values, tiers, none, [0] * len(values), Stability(share, 30)).tolist() == tiers.rank(values).tolist()


@given(st.lists(st.tuples(amounts, ranks), min_size=1, max_size=20), thresholds)
def test_switched_off_it_is_the_plain_tier(customers: list[tuple[float, int]], limits: tuple[float, ...]) -> None:
    values, before = zip(*customers, strict=True)
    tiers = Tiers(NAMES, limits)
    assert stable_rank(values, tiers, before, [0] * len(values), Stability()).tolist() == tiers.rank(values).tolist()


def test_what_is_no_rank_or_no_rule_is_refused() -> None:
    tiers = Tiers(("Gold", "Silver"), (100.0,))
    with pytest.raises(ValueError, match="ranks before must be from 0 to 1"):
        stable_rank([1.0], tiers, [2], [0], Stability(0.1))
    with pytest.raises(ValueError, match="hysteresis must be in"):
        Stability(1.0)
    with pytest.raises(ValueError, match="hysteresis must be in"):
        Stability(0.1, -1)
