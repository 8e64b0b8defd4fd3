"""The grade against simulated worlds whose truth is known, and its bootstrap against the textbook."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from training import resampling
from training.grade import CLEARLY, FEWEST, Window, grade
from training.resampling import Interval, Pool, interval, weights

Floats = npt.NDArray[np.float64]


def world(seed: int, customers: int, buyers: float, *, model_noise: float = 1.0, rule_noise: float = 1.0) -> Window:
    """Customers with a hidden rate and order size; model and rules see both through noise, of equal size: equally well."""
    random = np.random.default_rng(seed)
    rate, size = random.normal(0, 1.2, customers), random.normal(0, 0.8, customers)
    chance = 1.0 / (1.0 + np.exp(-rate - np.log(buyers / (1.0 - buyers))))
    active = (random.random(customers) < chance).astype(np.float64)
    value = active * np.exp(3.0 + size + random.normal(0, 0.9, customers))

    def seen(truth: Floats, noise: float) -> Floats:
        return np.asarray(truth + random.normal(0, noise, customers))

    return Window(
        customers=pd.Index([f"c{number}" for number in range(customers)], dtype="str"), value=value, active=active,
        predicted_value=np.exp(seen(rate + size, model_noise)), churn_risk=1.0 / (1.0 + np.exp(seen(rate, model_noise))),
        value_rules={"spend": seen(rate + size, rule_noise)}, churn_rules={"silence": -seen(rate, rule_noise)},
    )  # fmt: skip


def test_every_draw_has_as_many_customers() -> None:
    drawn = list(weights(50, seed=1, draws=20))
    assert {float(one.sum()) for one in drawn} == {50.0}
    assert len({one.tobytes() for one in drawn}) == 20
    assert all(np.array_equal(one, two) for one, two in zip(drawn, weights(50, seed=1, draws=20), strict=True))


def test_who_is_in_two_windows_is_drawn_in_both_together() -> None:
    windows = [pd.Index(["a", "b", "c"]), pd.Index(["c", "a", "z", "y"])]
    pool = Pool.of(windows, seed=1)
    assert pool.customers == 5
    for weight, (first, second) in zip(weights(5, seed=3, draws=30), pool.draws(seed=3, draws=30), strict=True):
        assert (first[0], first[2]) == (second[1], second[0])
        assert sorted([*first, *second[2:]]) == sorted(weight)


def test_of_very_many_customers_a_sample_is_drawn_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "MOST_CUSTOMERS", 40)
    windows = [pd.Index([f"c{number}" for number in range(start, start + 60)]) for start in (0, 30)]
    pool = Pool.of(windows, seed=1)
    assert pool.customers == 40
    kept = [set(window[rows]) for window, rows in zip(windows, pool.rows, strict=True)]
    assert len(kept[0] | kept[1]) == 40
    assert kept[0] & set(windows[1]) == kept[1] & set(windows[0])
    drawn = next(pool.draws(seed=1, draws=1))
    assert [len(weight) for weight in drawn] == [len(some) for some in kept]


def test_the_interval_of_a_mean_is_that_of_the_textbook() -> None:
    """1.645 standard errors on both sides."""
    sample = np.random.default_rng(1).normal(10.0, 2.0, 900)
    found = interval(sample.mean(), np.array([np.average(sample, weights=one) for one in weights(900, seed=2, draws=2000)]))
    error = 1.645 * sample.std() / 30.0
    assert found.low == pytest.approx(sample.mean() - error, abs=0.15 * error)
    assert found.high == pytest.approx(sample.mean() + error, abs=0.15 * error)


def test_nothing_known_bounds_nothing() -> None:
    assert interval(0.5, np.array([np.nan])) == Interval(0.5, -np.inf, np.inf)


def test_a_model_that_is_the_simple_rule_itself_is_a_c() -> None:
    window = world(1, 2000, 0.3)
    same = replace(
        window,
        value_rules={"spend": window.predicted_value, "noise": np.arange(2000.0)},
        churn_rules={"silence": window.churn_risk},
    )
    found = grade([same], 90)
    assert found.letter == "C"
    assert found.value is not None
    assert (found.value.rule, found.value.gain) == ("spend", Interval(0.0, 0.0, 0.0))


@pytest.mark.parametrize(("customers", "buyers"), [(70, 0.5), (150, 0.25), (1000, 0.3)])
def test_a_model_as_good_as_a_rule_hardly_ever_gets_an_a_or_b(customers: int, buyers: float) -> None:
    """As good, not equal: model and rule see the same through noise of their own. Down to the fewest buyers that are graded."""
    found = [grade([world(seed, customers, buyers)], 90).letter for seed in range(40)]
    assert found.count("A") == 0
    assert found.count("B") <= 2
    assert found.count("C") + found.count(None) >= 30


def test_the_better_model_is_found_and_the_worse_one_too() -> None:
    better = [grade([world(seed, 3000, 0.3, model_noise=0.4, rule_noise=1.5)], 90).letter for seed in range(5)]
    worse = [grade([world(seed, 3000, 0.3, model_noise=1.5, rule_noise=0.4)], 90).letter for seed in range(5)]
    assert (better, worse) == (["A"] * 5, ["D"] * 5)


def test_the_better_model_of_a_few_customers_is_not_surely_so() -> None:
    letters = [grade([world(seed, 120, 0.4, model_noise=0.7)], 90).letter for seed in range(10)]
    assert letters.count("A") < 5
    assert letters.count("D") <= 1


def test_better_at_one_thing_and_worse_at_the_other_is_a_d() -> None:
    good, bad = world(3, 3000, 0.3, model_noise=0.4), world(3, 3000, 0.3, model_noise=3.0)
    assert grade([replace(good, churn_risk=bad.churn_risk)], 90).letter == "D"
    assert grade([replace(good, predicted_value=bad.predicted_value)], 90).letter == "D"


def test_the_interval_holds_the_true_gain_as_often_as_it_says() -> None:
    """The truth by 100,000 customers of the same world."""
    big = world(99, 100_000, 0.3, model_noise=0.7)
    everything = grade([big], 90)
    assert everything.value is not None
    assert everything.churn is not None
    held = {"value": 0, "churn": 0}
    for seed in range(40):
        found = grade([world(seed, 800, 0.3, model_noise=0.7)], 90)
        assert found.value is not None
        assert found.churn is not None
        held["value"] += found.value.gain.low <= everything.value.gain.estimate <= found.value.gain.high
        held["churn"] += found.churn.gain.low <= everything.churn.gain.estimate <= found.churn.gain.high
    assert all(32 <= count <= 40 for count in held.values()), held


def test_the_same_customers_in_two_windows_say_no_more_than_in_one() -> None:
    window = world(5, 1500, 0.3, model_noise=0.8)
    once, twice = grade([window], 90), grade([window, window], 90)
    assert twice == once
    strangers = replace(window, customers=pd.Index([f"d{number}" for number in range(1500)], dtype="str"))
    apart = grade([window, strangers], 90)
    assert apart.value is not None
    assert once.value is not None
    width = (apart.value.gain.high - apart.value.gain.low) / (once.value.gain.high - once.value.gain.low)
    assert width == pytest.approx(0.5**0.5, abs=0.12)


def test_too_little_is_not_graded_and_says_what_is_missing() -> None:
    window = world(1, 400, 0.3)
    few = replace(window, active=np.where(np.cumsum(window.active) <= FEWEST - 1, window.active, 0.0))
    few = replace(few, value=few.value * few.active)
    found = grade([few], 90)
    assert (found.letter, found.value) == (None, None)
    assert "29 bought and 371 did not, a grade needs at least 30 of both" in found.sentence
    loyal = replace(window, active=np.ones(400))
    assert "400 bought and 0 did not" in grade([loyal], 90).sentence
    gifts = replace(window, value=np.zeros(400))
    assert "0 have net revenue" in grade([gifts], 90).sentence
    assert grade([], 90).letter is None
    assert grade([few, window], 90) == grade([window], 90)


def test_it_is_written_as_json_with_the_rule() -> None:
    written = json.loads(json.dumps(grade([world(1, 500, 0.3)], 90).as_dict(), allow_nan=False))
    assert written["value"]["rule"] == "spend"
    assert f"{CLEARLY:.0%}".replace("%", " %") in written["rule"]


def test_a_perfect_rule_leaves_nothing_to_gain() -> None:
    window = world(2, 500, 0.3)
    perfect = replace(window, value_rules={"oracle": window.value}, churn_rules={"oracle": 1.0 - window.active})
    assert grade([perfect], 90).letter == "D"
    both = replace(perfect, predicted_value=window.value, churn_risk=1.0 - window.active)
    assert grade([both], 90).letter == "C"
