"""Past-looking views against a plain-Python oracle, one customer at a time."""

from __future__ import annotations

import json
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.settings import Settings, parse_settings
from models.past_views import PAST_VIEW_COLUMNS, RFM_SEGMENTS, PastViews, fit_past_views
from models.tiers import learn_thresholds

NAMES = ("Platinum", "Gold", "Silver", "Bronze")


def settings_with(**extra: object) -> Settings:
    raw = {
        "source": {"path": "orders.csv"}, "currency": "EUR",
        "columns": {"customer_id": "id", "ordered_at": "day", "amount": "amount"}, **extra,
    }  # fmt: skip
    return parse_settings(raw, where="test")


def customers(number: int, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    age = random.integers(0, 900, number).astype(float)
    orders = random.geometric(0.4, number).astype(float)
    days = np.where(orders == 1, age + 1, np.ceil((age + 1) * random.random(number)))
    spend = np.round(random.gamma(0.7, 100.0, number) * orders - 5, 2)
    return pd.DataFrame(
        {"days_since_last_order": days, "order_count": orders, "total_spend": spend, "T": age},
        index=[f"c{i}" for i in range(number)],
    )


def predicted(frame: pd.DataFrame, seed: int = 2) -> np.ndarray:
    values = np.random.default_rng(seed).gamma(0.5, 50.0, len(frame))
    return learn_thresholds(values, settings_with().tiers).assign(values)


def plain_score(value: float, training: list[float]) -> int:
    """1 plus the quintile boundaries below the value; boundary k is the smallest value with k/5 of all at or below it."""
    ranked = sorted(training)
    boundaries = [ranked[max(math.ceil(len(ranked) * k / 5 - 1e-9), 1) - 1] for k in (1, 2, 3, 4)]
    return 1 + sum(boundary < value for boundary in boundaries)


def plain_segment(r: int, fm: int) -> str:
    """The published grid, read cell by cell."""
    rows = {
        5: ("New", "Potential loyalist", "Potential loyalist", "Champions", "Champions"),
        4: ("Promising", "Potential loyalist", "Potential loyalist", "Loyal", "Loyal"),
        3: ("About to sleep", "About to sleep", "Need attention", "Loyal", "Loyal"),
        2: ("Hibernating", "Hibernating", "At risk", "At risk", "Cannot lose them"),
        1: ("Lost", "Hibernating", "At risk", "At risk", "Cannot lose them"),
    }
    return rows[r][fm - 1]


def test_every_cell_has_a_segment() -> None:
    assert {(r, v): plain_segment(r, v) for r in range(1, 6) for v in range(1, 6)} == RFM_SEGMENTS
    assert len(set(RFM_SEGMENTS.values())) == 11


@given(st.integers(1, 60), st.integers(0, 10**6))
def test_rfm_equals_the_plain_oracle(number: int, seed: int) -> None:
    frame = customers(number, seed)
    views = fit_past_views(frame, settings_with(), horizon_days=90, predicted_tiers=predicted(frame))
    days, orders, spend = (frame[name].tolist() for name in ("days_since_last_order", "order_count", "total_spend"))
    scores = views.rfm_scores(frame)
    segments = views.rfm_segment(frame)
    for i in range(number):
        r, f, m = 6 - plain_score(days[i], days), plain_score(orders[i], orders), plain_score(spend[i], spend)
        assert tuple(scores[letter][i] for letter in "RFM") == (r, f, m)
        assert segments[i] == plain_segment(r, (f + m + 1) // 2)


@pytest.mark.parametrize(
    ("lifecycle", "limits"),
    [
        ({}, (90, 180, 360)),
        ({"new_days": 30, "active_days": 60, "lost_days": 200}, (30, 60, 200)),
        ({"active_days": 400}, (90, 400, 400)),
    ],
)
def test_lifecycle_equals_the_plain_oracle(lifecycle: dict[str, int], limits: tuple[int, int, int]) -> None:
    frame = customers(2000)
    views = fit_past_views(frame, settings_with(lifecycle=lifecycle), horizon_days=180, predicted_tiers=predicted(frame))
    new, active, lost = limits
    for stage, days, age in zip(views.lifecycle_stage(frame), frame["days_since_last_order"], frame["T"], strict=True):
        if age + 1 <= new:
            assert stage == "new"
        else:
            assert stage == ("active" if days <= active else "dormant" if days <= lost else "lost")


def test_lifecycle_limits_are_closed() -> None:
    frame = pd.DataFrame(
        {
            "days_since_last_order": [90.0, 91, 180, 181, 360, 361],
            "T": [89.0, 90, 500, 500, 500, 500],
            "order_count": 1.0,
            "total_spend": 1.0,
        }
    )
    views = fit_past_views(frame, settings_with(), horizon_days=180, predicted_tiers=["Bronze"] * 6)
    assert list(views.lifecycle_stage(frame)) == ["new", "active", "active", "dormant", "dormant", "lost"]


def test_abc_classes_hold_their_share_of_spend() -> None:
    frame = customers(500)
    views = fit_past_views(frame, settings_with(), horizon_days=90, predicted_tiers=predicted(frame))
    classes = dict(zip(frame.index, views.apply(frame, predicted(frame))["abc_class"], strict=True))
    spend = frame["total_spend"].clip(lower=0).sort_values(ascending=False, kind="stable")
    before = spend.cumsum().shift(fill_value=0.0) / spend.sum()
    for customer, share in before.items():
        tied = spend[spend == spend[customer]].index
        first_share = before[tied].min()
        assert classes[customer] == ("A" if first_share < 0.8 else "B" if first_share < 0.95 else "C"), share


def test_past_spend_tiers_are_as_large_as_the_predicted_ones() -> None:
    frame = customers(3000)
    tiers = predicted(frame)
    views = fit_past_views(frame, settings_with(), horizon_days=90, predicted_tiers=tiers)
    table = views.apply(frame, tiers)
    past, future = Counter(table["past_spend_tier"]), Counter(tiers)
    for name in NAMES:
        assert abs(past[name] - future[name]) <= 3
    rank = {name: position for position, name in enumerate(NAMES)}
    for movement, old, new in zip(table["movement"], table["past_spend_tier"], tiers, strict=True):
        gain = rank[old] - rank[new]
        assert movement == ("up" if gain > 0 else "down" if gain < 0 else "same")


def test_shares_follow_the_predicted_tiers_of_any_policy() -> None:
    frame = customers(1000)
    policy = settings_with(tiers={"method": "limits", "limits": {"Top": 200.0, "Mid": 100.0}, "rest": "Low"})
    views = fit_past_views(frame, policy, horizon_days=90, predicted_tiers=np.array(["Mid"] * 300 + ["Low"] * 700, dtype=object))
    table = views.apply(frame, np.array(["Low"] * 1000, dtype=object))
    counts = Counter(table["past_spend_tier"])
    assert abs(counts["Mid"] - 300) <= 2
    assert "Top" not in counts
    assert set(table["movement"]) == {"down", "same"}


def test_views_of_one_customer_do_not_depend_on_the_others() -> None:
    frame = customers(500)
    tiers = predicted(frame)
    views = fit_past_views(frame, settings_with(), horizon_days=90, predicted_tiers=tiers)
    together = views.apply(frame, tiers)
    assert tuple(together) == PAST_VIEW_COLUMNS
    for row in (0, 17, 499):
        alone = views.apply(frame.iloc[[row]], tiers[[row]])
        assert {name: view[0] for name, view in alone.items()} == {name: view[row] for name, view in together.items()}
    assert {len(view) for view in views.apply(frame.head(0), tiers[:0]).values()} == {0}


def test_boundaries_travel_as_plain_json() -> None:
    frame = customers(500)
    views = fit_past_views(frame, settings_with(), horizon_days=90, predicted_tiers=predicted(frame))
    assert PastViews.from_json(json.loads(json.dumps(views.to_json(), allow_nan=False))) == views


def test_tiers_of_other_settings_are_refused() -> None:
    frame = customers(3)
    with pytest.raises(ValueError, match="predicted tiers must be 3 names out of Platinum, Gold, Silver, Bronze"):
        fit_past_views(frame, settings_with(), horizon_days=90, predicted_tiers=["Gold", "Gold", "Golden"])
