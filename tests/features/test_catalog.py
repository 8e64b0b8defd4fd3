"""The catalog as a document: complete, in its agreed order, said in words; and the proof that its weights are safe."""

from __future__ import annotations

import math
import re
from decimal import Decimal, localcontext

import pytest

from features.catalog import CATALOG, FEATURE_NAMES, GROUPS, Feature
from features.phrases import money
from features.sums import HALF_LIVES, LN2, WEIGHT_UNIT, sums, terms

NAMES = """
frequency recency T monetary_value order_count total_spend days_since_last_order
orders_30d orders_60d orders_90d orders_180d orders_365d orders_730d
spend_30d spend_60d spend_90d spend_180d spend_365d spend_730d
weighted_orders_30d weighted_orders_90d weighted_orders_180d weighted_orders_365d
weighted_spend_30d weighted_spend_90d weighted_spend_180d weighted_spend_365d
gap_mean gap_spread gap_last overdue_ratio
order_value_mean order_value_spread order_value_max order_value_last order_value_trend
orders_same_season_1y spend_same_season_1y orders_same_season_2y spend_same_season_2y season_sin season_cos
refund_share items_per_order
"""
UNITS = {"days", "orders", "money", "share", "items", "ratio", "none"}
LIMITS = {"days": 1e6, "orders": 1e6, "share": 1e3, "items": 1e6, "ratio": 30, "none": 1.1}
"""Unit: what its values stay below."""
VALUES = (0.0, 0.001, 0.4, 1.0, 1.5, 2.0, 9.99, 1234.5, 1e9, -0.004, -250.0)


def test_names_and_their_order_are_the_agreed_ones() -> None:
    assert list(FEATURE_NAMES) == NAMES.split()


def test_groups_partition_the_features_and_have_a_headline_of_their_own() -> None:
    assert len({group.name for group in GROUPS}) == len(GROUPS)
    assert {feature.group for feature in CATALOG} == {group.name for group in GROUPS}
    group_of = {feature.name: feature.group for feature in CATALOG}
    assert all(group_of[group.headline] == group.name for group in GROUPS)


@pytest.mark.parametrize("feature", CATALOG, ids=lambda feature: feature.name)
def test_every_feature_is_documented(feature: Feature) -> None:
    assert feature.unit in UNITS
    assert feature.label
    assert feature.label[0].isupper()
    assert feature.definition.endswith(".")
    assert len(feature.definition) > 20


@pytest.mark.parametrize("feature", CATALOG, ids=lambda feature: feature.name)
def test_every_value_has_words(feature: Feature) -> None:
    possible = VALUES if feature.unit == "money" else [value for value in VALUES if 0 <= value < LIMITS[feature.unit]]
    for value in (*possible, None, math.nan):
        words = feature.phrase(value, "GBP")
        assert words[0].isupper()
        assert not words.endswith(".")
        assert not re.search(r"\bnan\b|None|\binf\b|-0\b|\s\s|\{|\d{4}", words), words
    assert feature.phrase(None, "GBP") == feature.phrase(math.nan, "GBP")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("days_since_last_order", 9, "Ordered 9 days ago"),
        ("days_since_last_order", 1, "Ordered yesterday"),
        ("days_since_last_order", 1200, "Ordered 1,200 days ago"),
        ("orders_365d", 3, "Placed 3 orders in the last 365 days"),
        ("orders_30d", 1, "Placed 1 order in the last 30 days"),
        ("orders_30d", 0, "Placed no orders in the last 30 days"),
        ("spend_365d", 120.4, "Spent 120 GBP in the last 365 days"),
        ("spend_365d", 0, "Spent nothing in the last 365 days"),
        ("spend_90d", -1234.5, "Got 1,234 GBP more back than spent in the last 90 days"),
        ("gap_mean", None, "Has ordered on one day only"),  # perhaps twice on that day
        ("gap_mean", 1.6, "Orders so far came 1.6 days apart on average"),  # two orders are no habit, nor is the past one
        ("gap_mean", 1, "Orders so far came 1 day apart on average"),
        ("gap_mean", 30.25, "Orders so far came 30 days apart on average"),
        ("overdue_ratio", 2.31, "Has waited 2.3 times as long as usual between orders"),
        ("order_value_last", 4.5, "The last order was 4.50 GBP"),
        ("refund_share", 0.004, "Got less than 1 % of the spend refunded"),
        ("refund_share", 0, "Never had a refund"),
        ("items_per_order", None, "Number of items not known"),
        ("T", 0, "First ordered yesterday"),
        ("spend_same_season_1y", 52, "Spent 52 GBP in this season one year ago"),
    ],
)
def test_words_a_marketer_reads(name: str, value: float | None, words: str) -> None:
    [feature] = [feature for feature in CATALOG if feature.name == name]
    assert feature.phrase(value, "GBP") == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(1234.4, "1,234 EUR"), (0, "0 EUR"), (-0.0, "0 EUR"), (9.996, "10 EUR"), (0.004, "0 EUR"), (-3.5, "-3.50 EUR")],
)
def test_money_for_reading(value: float, words: str) -> None:
    assert money(value, "EUR") == words


def test_nothing_is_computed_in_vain() -> None:
    features = " ".join(repr(feature.expression(10_000)) for feature in CATALOG)
    assert [name for name in sums(10_000) if f"col({name})" not in features] == []
    added_up = " ".join(map(repr, sums(10_000).values()))
    assert [name for name in terms(10_000) if f"col({name})" not in added_up] == []


@pytest.mark.parametrize("half_life", HALF_LIVES)
def test_no_weight_is_near_a_rounding_limit(half_life: int) -> None:
    """Engines compute exp to within a unit in the last place or two; no age can tell them apart.

    Checked for every age from 0 to the day when the weight has become zero for good, in 50 digits.
    """
    with localcontext() as context:
        context.prec = 50
        step = Decimal(LN2) / half_life
        age = 0
        while True:
            weight = (-step * age).exp() * WEIGHT_UNIT
            past_limit = (weight + Decimal("0.5")) % 1
            # What an engine may be wrong by: the argument by three roundings, exp by four.
            wrong = weight * Decimal(2) ** -53 * (4 + 3 * step * age)
            assert wrong < min(past_limit, 1 - past_limit), f"age {age}"
            if weight < Decimal("0.4"):
                break
            age += 1
