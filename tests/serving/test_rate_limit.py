"""The rate limit against its definition, and against a bucket written out in exact fractions."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from serving.rate_limit import FEWEST_TO_FORGET, RateLimit

START = 100_000.0
# Times in 1/64 s and rates in quarters are exact as floats, so that the oracle below is asked the very same.
RATES = st.integers(4, 200).map(lambda quarters: quarters / 4)
GAPS = st.lists(st.integers(0, 128).map(lambda steps: steps / 64), min_size=1, max_size=120)


def times(gaps: list[float]) -> list[float]:
    """The moments of requests that follow each other by these gaps."""
    moments, now = [], START
    for gap in gaps:
        now += gap
        moments.append(now)
    return moments


@given(RATES, GAPS)
def test_it_is_a_token_bucket(rate: float, gaps: list[float]) -> None:
    limit, burst = RateLimit(), max(Fraction(1), Fraction(rate))
    tokens, last = burst, Fraction(START)
    for now in times(gaps):
        tokens = min(burst, tokens + (Fraction(now) - last) * Fraction(rate))
        last = Fraction(now)
        wait = limit.wait("a", rate, now)
        missing = (1 - tokens) / Fraction(rate)
        assert abs(wait - max(0, missing)) < 3e-6
        if wait == 0.0:
            tokens -= 1


@given(RATES, GAPS)
def test_no_window_holds_more_than_its_share_and_the_burst(rate: float, gaps: list[float]) -> None:
    limit = RateLimit()
    through = [now for now in times(gaps) if limit.wait("a", rate, now) == 0.0]
    for first, start in enumerate(through):
        for last in range(first, len(through)):
            assert last - first + 1 <= rate * (through[last] - start) + max(1.0, rate) + 1e-3


@given(st.floats(0.1, 1000.0), st.lists(st.floats(0.0, 0.1), min_size=1, max_size=200))
def test_who_keeps_to_the_rate_is_never_refused(rate: float, more: list[float]) -> None:
    limit = RateLimit()
    assert all(limit.wait("a", rate, now) == 0.0 for now in times([1.0 / rate + extra for extra in more]))


@given(RATES, GAPS)
def test_who_waits_as_told_is_let_through_and_not_before(rate: float, gaps: list[float]) -> None:
    limit = RateLimit()
    for now in times(gaps):
        limit.wait("a", rate, now)
    if wait := limit.wait("a", rate, now):
        assert limit.wait("a", rate, now + wait / 2) > 0.0
        assert limit.wait("a", rate, now + wait) == 0.0


def test_callers_do_not_share_and_no_limit_is_none() -> None:
    limit = RateLimit()
    assert [limit.wait("a", 1.0, START) for _ in range(3)] == [0.0, 1.0, 1.0]
    assert limit.wait("b", 1.0, START) == 0.0
    assert [limit.wait("a", None, START) for _ in range(1000)] == [0.0] * 1000


def test_callers_of_long_ago_are_forgotten_and_present_ones_are_not() -> None:
    limit = RateLimit()
    for number in range(10 * FEWEST_TO_FORGET):
        assert limit.wait(f"caller-{number}", 1.0, START + number / 100) == 0.0
    assert len(limit._full_at) <= FEWEST_TO_FORGET
    assert limit.wait(f"caller-{number}", 1.0, START + number / 100) > 0.99
