"""The gate on simulated customers whose truth is known: an equal model passes, a planted worse one does not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from models import accuracy
from training import gate, resampling
from training.gate import AUC, BIAS, BRIER, CALIBRATION, CAPTURE, GINI, Check, Duel, Said, by_grade, duel_checks, verdict, within
from training.told import Told

Floats = npt.NDArray[np.float64]

FINE, W = Told("fine", "通过"), Told("w", "无法比较")
DIFFER = Told("golden rows differ", "黄金样本不一致")


def world(seed: int, customers: int = 3000, *, noise: tuple[float, float] = (0.5, 0.5)) -> Duel:
    """Challenger and champion see rate and order size of each customer through noise of their own; both are calibrated."""
    random = np.random.default_rng(seed)
    rate, size = random.normal(-0.8, 1.2, customers), random.normal(3.0, 0.8, customers)
    active = (random.random(customers) < 1.0 / (1.0 + np.exp(-rate))).astype(np.float64)
    value = active * np.exp(size + random.normal(0, 0.7, customers))

    def said(much: float) -> Said:
        seen = -0.8 + (rate + 0.8 + random.normal(0, much, customers)) * (1.44 / (1.44 + much**2))
        chance = 1.0 / (1.0 + np.exp(-seen))
        amount = chance * np.exp(size + random.normal(0, much, customers))
        return Said(amount * value.sum() / amount.sum(), 1.0 - chance)

    return Duel(value, active, said(noise[0]), said(noise[1]), {"small": rate > 1.6, "large": size > 3.0})


def failed(duel: Duel) -> set[str]:
    return {check.name for check in duel_checks(duel) if not check.passed}


def test_the_same_model_passes_with_no_lead_at_all() -> None:
    duel = world(1, 400)
    checks = list(duel_checks(replace(duel, champion=duel.challenger)))
    assert all(check.passed for check in checks)
    assert {(check.lead.low, check.lead.high) for check in checks if check.lead} == {(0.0, 0.0)}


@pytest.mark.parametrize("seed", range(5))
def test_a_better_one_passes_and_a_clearly_worse_one_does_not(seed: int) -> None:
    assert failed(world(seed, noise=(0.3, 1.0))) == set()
    assert {GINI, AUC} <= failed(world(seed, noise=(1.5, 0.3)))


def test_shuffled_predictions_are_refused() -> None:
    duel = world(2)
    order = np.random.default_rng(1).permutation(len(duel.value))
    shuffled = Said(duel.champion.value[order], duel.champion.risk[order])
    assert {GINI, CAPTURE, AUC, BRIER} <= failed(replace(duel, challenger=shuffled))


Damage = Callable[[Said], Said]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        (lambda said: replace(said, value=1.3 * said.value), {BIAS}),
        (lambda said: replace(said, value=0.6 * said.value), {BIAS}),
        (lambda said: replace(said, risk=np.clip(said.risk - 0.15, 0, 1)), {BRIER, CALIBRATION}),
    ],
)
def test_a_wrong_level_is_refused_though_the_ranking_is_the_same(damage: Damage, found: set[str]) -> None:
    duel = world(3)
    assert found <= failed(replace(duel, challenger=damage(duel.champion))) <= {*found, AUC}


def test_a_group_that_is_clearly_worse_is_refused_and_a_small_one_is_not_looked_at() -> None:
    duel = world(4, 12_000)
    random = np.random.default_rng(1)
    hit = np.flatnonzero(duel.groups["large"] & (np.arange(12_000) % 20 == 0))
    group = np.zeros(12_000, dtype=bool)
    group[hit] = True
    value, risk = duel.champion.value.copy(), duel.champion.risk.copy()
    value[hit], risk[hit] = random.permutation(value[hit]), random.permutation(risk[hit])
    damaged = replace(duel, challenger=Said(value, risk), groups={"hit": group})
    assert 200 < group.sum() < 450
    assert failed(damaged) == {f"{GINI} of hit", f"{AUC} of hit"}
    group[hit[199:]] = False
    assert {check.name for check in duel_checks(replace(damaged, groups={"hit": group}))} == set(gate.MARGINS)


def test_every_figure_is_that_of_the_plain_metric() -> None:
    duel = world(5, 1000)
    churned = 1.0 - duel.active
    value, risk = duel.challenger.value, duel.challenger.risk
    found = {check.name: check.figure for check in duel_checks(duel)}
    plain = {
        GINI: accuracy.normalized_gini(duel.value, value), CAPTURE: accuracy.top_capture(duel.value, value, 0.1),
        AUC: roc_auc_score(churned, risk), BRIER: brier_score_loss(churned, risk),
        BIAS: accuracy.total_bias(duel.value, value), CALIBRATION: accuracy.expected_calibration_error(churned, risk),
    }  # fmt: skip
    for name, expected in plain.items():
        assert found[name] == pytest.approx(expected, abs=1e-9), name


def test_more_customers_than_are_drawn_from_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resampling, "MOST_CUSTOMERS", 2000)
    few, all_of_them = (list(duel_checks(world(6, 2000 * times))) for times in (1, 2))
    assert [check.name for check in all_of_them] == [check.name for check in few]


def test_grades_decide_where_nothing_can_be_compared() -> None:
    assert by_grade("A", "B", W).passed
    assert by_grade("B", "B", W).passed
    assert not by_grade("C", "B", W).passed
    assert by_grade("C", None, W).passed
    assert by_grade("C", "D", W).passed
    assert not by_grade("D", "D", W).passed
    assert not by_grade("D", None, W).passed


def test_a_verdict_names_everything_that_failed() -> None:
    good, bad = within("size", 1.0, 2.0, "MB", "gate.x"), within("latency", 3.0, 2.0, "ms", "gate.y")
    assert verdict((good,), FINE).reason == FINE
    found = verdict(
        (
            good,
            bad,
            Check("golden rows", passed=False, figure=None, against=None, sentence=Told("golden rows differ", "黄金样本不一致")),
        ),
        FINE,
    )
    assert not found.passed
    assert found.reason.en == "latency 3.0 ms is above gate.y: 2; golden rows differ"
    json.dumps([check.as_dict() for check in [*found.checks, *duel_checks(world(1, 300))]], allow_nan=False)


def test_what_the_gate_found_is_told_in_chinese_too(english_in: Callable[..., set[str]]) -> None:
    """Every check that passes and every one that fails, of all customers and of groups."""
    worse = world(3, noise=(3.0, 0.3))
    found = [*duel_checks(world(1)), *duel_checks(worse)]
    found += [within("size of the bundle", size, 2.0, "MB", "gate.max_bundle_mb") for size in (1.0, 3.0)]
    found += [by_grade("C", champion, W) for champion in ("A", None)]
    assert {check.passed for check in found} == {True, False}
    for check in found:
        assert english_in(check.sentence.zh, "gate.max_bundle_mb", "small", "large") == set(), check.sentence.zh
        assert check.as_dict()["sentence"] == check.sentence.en
