"""Whether a campaign worked: published examples, plain Python, simulation with a known effect, and a replay on real orders."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from configs.days import day_number
from configs.errors import HistoryError, SettingsError
from serving.campaign_measure import (
    CampaignResult,
    adjusted_difference,
    compare,
    customers_needed,
    difference_of_shares,
    measure,
    outcomes,
    stratified_difference,
    wilson,
)
from serving.campaign_report import campaign_as_dict, campaign_table
from serving.cli import app
from serving.store import Campaign, Member

START = date(2011, 6, 1)
FIRST = day_number(START)
CAMPAIGN = Campaign(
    name="spring", created_at=datetime(2011, 6, 1, tzinfo=UTC), contact_day=START, run_id=1, horizon_days=90, currency="GBP",
    model_version="3", plan={"asked": {"save_rate": 0.2, "budget_per_contact": 1.5}}, contacts=4, held_out=2, campaign_id=1,
)  # fmt: skip


# Published figures


@pytest.mark.parametrize(
    ("events", "number", "other_events", "other_number", "low", "high"),
    [  # Newcombe (1998), table II, method 10, examples (a) to (h)
        (56, 70, 48, 80, 0.0524, 0.3339),
        (9, 10, 3, 10, 0.1705, 0.8090),
        (6, 7, 2, 7, 0.0582, 0.8062),
        (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775),
        (0, 10, 0, 10, -0.2775, 0.2775),
        (10, 10, 0, 20, 0.6791, 1.0000),
        (10, 10, 0, 10, 0.6075, 1.0000),
    ],
)
def test_intervals_of_shares_are_newcombes(
    events: int, number: int, other_events: int, other_number: int, low: float, high: float
) -> None:
    found = difference_of_shares(events, number, other_events, other_number)
    assert (found.low, found.high) == (pytest.approx(low, abs=6e-5), pytest.approx(high, abs=6e-5))
    assert found.estimate == pytest.approx(events / number - other_events / other_number)


@given(st.integers(1, 400).flatmap(lambda number: st.tuples(st.integers(0, number), st.just(number))))
def test_score_intervals_are_scipys(counted: tuple[int, int]) -> None:
    from scipy.stats import binomtest

    theirs = binomtest(*counted).proportion_ci(method="wilson")
    assert wilson(*counted) == (pytest.approx(theirs.low, abs=1e-12), pytest.approx(theirs.high, abs=1e-12))


def test_the_customers_needed_find_the_effect_as_often_as_they_should() -> None:
    rng = np.random.default_rng(1)
    retention, effect, share = 0.3, 0.05, 0.2
    number = customers_needed(retention, effect, share)
    assert number is not None
    held_out, tries = round(number * share), 4_000
    others = number - held_out
    one, other = rng.binomial(others, retention + effect, tries), rng.binomial(held_out, retention, tries)
    found = [difference_of_shares(int(a), others, int(b), held_out).low > 0 for a, b in zip(one, other, strict=True)]
    assert 0.77 < np.mean(found) < 0.83
    assert customers_needed(0.3, 0.0, 0.2) is None
    assert customers_needed(1.0, 0.1, 0.2) is None


# Simulation


def simulated(rng: np.random.Generator, number: int, share: float, rate: float) -> tuple[pd.DataFrame, float, float]:
    """Customers with many zeros and a long tail; contact brings a share ``rate`` of those back who would not have bought.

    Gives their table, and what contact truly changed: in retention and in value per customer.
    """
    predicted, chance = rng.lognormal(3, 1, number), rng.beta(1.2, 2, number)
    amount = predicted * rng.lognormal(-0.18, 0.6, number)
    buys, held_out = rng.random(number) < chance, rng.random(number) < share
    saved = ~buys & (rng.random(number) < rate)
    bought = buys | (saved & ~held_out)
    table = pd.DataFrame({
        "held_out": held_out, "tier": "Gold", "churn_risk": 1 - chance, "predicted_value": predicted * chance,
        "bought": bought, "value": bought * amount,
    })  # fmt: skip
    return table, float(saved.mean()), float((saved * amount).mean())


@pytest.mark.parametrize(("number", "share", "rate"), [(120, 0.2, 0.0), (300, 0.1, 0.15), (1000, 0.1, 0.15)])
def test_intervals_hold_the_truth_as_often_as_they_say(number: int, share: float, rate: float) -> None:
    rng, tries = np.random.default_rng(7), 300
    held = np.zeros(2)
    for _ in range(tries):
        table, retention, value = simulated(rng, number, share, rate)
        found = compare(table, 0.15)
        if found.retention is None or found.value is None:  # fewer than ten were held out
            tries -= 1
            continue
        held += (found.retention.low <= retention <= found.retention.high, found.value.low <= value <= found.value.high)
    # A coverage of 95 %, less four standard deviations of the binomial count.
    assert (held / tries >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / tries)).all(), held / tries


def test_the_prediction_makes_the_interval_narrower() -> None:
    rng = np.random.default_rng(3)
    table, _, _ = simulated(rng, 2_000, 0.2, 0.1)
    value, contacted = table["value"].to_numpy(), ~table["held_out"].to_numpy()
    with_it = adjusted_difference(value, table["predicted_value"].to_numpy(), contacted)
    without = adjusted_difference(value, np.ones(len(table)), contacted)
    assert with_it.high - with_it.low < 0.95 * (without.high - without.low)
    assert without.estimate == pytest.approx(value[contacted].mean() - value[~contacted].mean())


def test_a_large_effect_works_and_one_turned_round_harms() -> None:
    table, _, _ = simulated(np.random.default_rng(5), 2_000, 0.3, 0.5)
    there, back = compare(table, 0.5), compare(table.assign(held_out=~table["held_out"]), 0.5)
    assert (there.verdict, back.verdict) == ("works", "harms")
    assert there.retention is not None
    assert back.retention is not None
    assert back.retention.estimate == pytest.approx(-there.retention.estimate)
    assert (back.retention.low, back.retention.high) == pytest.approx((-there.retention.high, -there.retention.low))


def test_another_currency_only_scales_the_value() -> None:
    table, _, _ = simulated(np.random.default_rng(6), 500, 0.2, 0.2)
    in_pence = table.assign(value=table["value"] * 100, predicted_value=table["predicted_value"] * 100)
    one, other = compare(table, 0.2), compare(in_pence, 0.2)
    assert one.value is not None
    assert other.value is not None
    assert one.retention == other.retention
    assert [other.value.low, other.value.high] == pytest.approx([100 * one.value.low, 100 * one.value.high])


@pytest.mark.parametrize(("contacted", "held_out"), [(9, 300), (300, 9), (0, 20), (20, 0)])
def test_groups_below_ten_are_too_small(contacted: int, held_out: int) -> None:
    number = contacted + held_out
    table = pd.DataFrame({
        "held_out": [False] * contacted + [True] * held_out, "tier": "Gold", "churn_risk": 0.5, "predicted_value": 1.0,
        "bought": [place % 3 == 0 for place in range(number)], "value": 1.0,
    })  # fmt: skip
    found = compare(table, 0.1)
    assert (found.verdict, found.retention, found.value) == ("too_small", None, None)
    assert found.needed is None


def test_nothing_is_said_to_be_no_effect_too_early_or_where_none_could_be_shown() -> None:
    rng = np.random.default_rng(9)
    large, _, _ = simulated(rng, 40_000, 0.2, 0.0)
    assert compare(large, 0.1, complete=False).verdict == "too_early"
    everybody = large.head(72).assign(held_out=[False] * 60 + [True] * 12, bought=True)
    assert (compare(everybody, 0.1).verdict, compare(everybody, 0.1).needed) == ("too_small", None)


def tiered(rng: np.random.Generator, number: int, share: float) -> pd.DataFrame:
    """Customers of four tiers that differ much in retention; contact does nothing."""
    tier = rng.choice(4, number, p=[0.05, 0.15, 0.3, 0.5])
    bought = rng.random(number) < np.array([0.9, 0.7, 0.4, 0.1])[tier]
    return pd.DataFrame({"held_out": rng.random(number) < share, "tier": tier.astype(str), "bought": bought})


def test_tiers_are_compared_within_themselves() -> None:
    rng, tries = np.random.default_rng(4), 400
    found, pooled = [], []
    for _ in range(tries):
        table = tiered(rng, 600, 0.2)
        found.append(stratified_difference(table))
        pooled.append(stratified_difference(table.assign(tier="one")).estimate)
    held = np.mean([one.low <= 0.0 <= one.high for one in found])
    assert held >= 0.95 - 4 * math.sqrt(0.95 * 0.05 / tries), held
    assert np.std([one.estimate for one in found]) < 0.93 * np.std(pooled)


def test_a_draw_that_falls_on_one_tier_is_no_effect() -> None:
    # Within each tier both groups buy equally often; more of those held out are of the tier that seldom buys.
    rows = [("A", False, 400, 320), ("A", True, 50, 40), ("B", False, 100, 20), ("B", True, 150, 30)]
    table = pd.concat([
        pd.DataFrame({"tier": tier, "held_out": held_out, "bought": [True] * buyers + [False] * (number - buyers)})
        for tier, held_out, number, buyers in rows
    ])  # fmt: skip
    found = stratified_difference(table)
    assert found.estimate == pytest.approx(0.0)
    assert found.low < 0.0 < found.high
    assert stratified_difference(table.assign(tier="one")).low > 0.0


def test_small_tiers_are_taken_together() -> None:
    table = pd.DataFrame({
        "tier": ["A"] * 8 + ["B"] * 40 + ["C"] * 40, "held_out": [True, False] * 44,
        "bought": [place % 3 == 0 for place in range(88)],
    })  # fmt: skip
    merged = table.assign(tier=table["tier"].replace({"A": "B"}))
    one, other = stratified_difference(table), stratified_difference(merged)
    assert (one.estimate, one.low, one.high) == pytest.approx((other.estimate, other.low, other.high))
    # Tiers of six, six and seven a group: the two smallest make a stratum, and the last has to join it.
    small = pd.DataFrame({"tier": list("A" * 12 + "B" * 12 + "C" * 14), "held_out": [True, False] * 19, "bought": True})
    everybody = stratified_difference(small.assign(tier="one"))
    assert stratified_difference(small) == everybody


def test_too_small_and_no_difference_are_told_apart() -> None:
    rng = np.random.default_rng(9)
    small, _, _ = simulated(rng, 200, 0.2, 0.0)
    large, _, _ = simulated(rng, 40_000, 0.2, 0.0)
    assert compare(small, 0.1).verdict == "too_small"
    assert compare(large, 0.1).verdict == "no_difference"
    assert compare(large, 0.1).needed is None


# Outcomes


def orders_of(*rows: tuple[str, int, float]) -> nw.LazyFrame[Any]:
    frame = pl.DataFrame(rows, schema={"customer_id": pl.String, "order_day": pl.Int64, "amount": pl.Float64}, orient="row")
    return nw.from_native(frame.lazy())


def member(customer_id: str, *, held_out: bool = False, tier: str = "Gold", risk: float = 0.5) -> Member:
    return Member(customer_id, held_out, tier, risk, 100.0, 200.0, 100.0)


def test_the_window_is_half_open_and_refunds_are_no_purchases() -> None:
    orders = orders_of(
        ("before", FIRST - 1, 50.0), ("first", FIRST, 10.0), ("last", FIRST + 89, 7.5), ("after", FIRST + 90, 50.0),
        ("refund", FIRST + 3, -20.0), ("both", FIRST + 1, 30.1), ("both", FIRST + 2, -10.2), ("free", FIRST + 5, 0.0),
        ("stranger", FIRST + 5, 99.0),
    )  # fmt: skip
    members = [member(name) for name in ("both", "refund", "first", "last", "before", "after", "free", "silent")]
    table = outcomes(orders, members, FIRST, FIRST + 90)
    assert table["bought"].to_dict() == {
        "after": False, "before": False, "both": True, "first": True, "free": True, "last": True, "refund": False,
        "silent": False,
    }  # fmt: skip
    assert table["value"].to_dict() == {
        "after": 0.0, "before": 0.0, "both": 19.9, "first": 10.0, "free": 0.0, "last": 7.5, "refund": -20.0, "silent": 0.0,
    }  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(FIRST - 3, FIRST + 93), st.integers(-5000, 50_000)), max_size=30),
    st.integers(1, 90),
)
def test_outcomes_equal_plain_python(rows: list[tuple[str, int, int]], days: int) -> None:
    orders = orders_of(*((who, day, cents / 100) for who, day, cents in rows))
    table = outcomes(orders, [member(name) for name in "abcd"], FIRST, FIRST + days)
    for name in "abcd":
        inside = [cents for who, day, cents in rows if who == name and FIRST <= day < FIRST + days]
        assert table.loc[name, "value"] == pytest.approx(sum(inside) / 100)
        assert table.loc[name, "bought"] == any(cents >= 0 for cents in inside)


def test_a_window_that_is_open_is_told() -> None:
    members = [member("a"), member("b", held_out=True), member("c"), member("d", tier="Silver"), member("e", held_out=True)]
    orders = orders_of(("a", FIRST + 10, 5.0), ("b", FIRST + 60, 5.0))
    result = measure(CAMPAIGN, members, orders, START + timedelta(30))
    assert (result.days, result.end, result.cost) == (30, START + timedelta(30), 6.0)
    assert (result.overall.contacted.buyers, result.overall.held_out.buyers) == (1, 0)
    assert measure(CAMPAIGN, members, orders, START + timedelta(365)).days == 90
    with pytest.raises(HistoryError, match="no day of it has passed"):
        measure(CAMPAIGN, members, orders, START)
    with pytest.raises(SettingsError, match="held nobody out"):
        measure(replace(CAMPAIGN, held_out=0), members, orders, START + timedelta(30))


# What is said


def result_of(rate: float, number: int = 3_000) -> CampaignResult:
    table, _, _ = simulated(np.random.default_rng(11), number, 0.25, rate)
    tiers = np.where(table["predicted_value"] > table["predicted_value"].median(), "Platinum", "Bronze")
    rows = [compare(table[tiers == tier], 0.2, tier) for tier in ("Platinum", "Bronze")]
    campaign = replace(CAMPAIGN, contacts=int((~table["held_out"]).sum()), held_out=int(table["held_out"].sum()))
    return CampaignResult(campaign, START + timedelta(90), 90, compare(table, 0.2), tuple(rows), 100.0)


@pytest.mark.parametrize(
    ("rate", "number", "language", "said"),
    [
        (0.3, 3_000, "en", ("Verdict", "works", "customers saved", "All 90 days have passed.", "100 GBP")),
        (0.0, 60, "en", ("too small to tell",)),
        (0.0, 40_000, "en", ("no difference shown", "No effect is shown")),
        (0.3, 3_000, "zh", ("结论", "有效", "挽回", "触达成本 100 GBP")),
        (0.0, 60, "zh", ("人数太少",)),
    ],
)
def test_it_is_said_in_both_languages(rate: float, number: int, language: Any, said: tuple[str, ...]) -> None:
    console = Console(width=160, record=True)
    console.print(campaign_table(result_of(rate, number), language))
    text = console.export_text()
    assert all(words in text for words in said), text
    assert "nan" not in text


def test_json_holds_what_was_measured() -> None:
    result = result_of(0.3)
    told = campaign_as_dict(result)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    overall, row = told["overall"], result.overall
    assert row.retention is not None
    assert overall["customers_saved"]["estimate"] == pytest.approx(row.retention.estimate * row.contacted.customers)
    assert [one["tier"] for one in told["tiers"]] == ["Platinum", "Bronze"]
    assert overall["contacted"]["customers"] + overall["held_out"]["customers"] == 3_000


# The command, on real orders


def run(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_a_saved_list_is_measured_on_real_orders(
    state: Any, make_champion: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORETIER_CONFIG", str(state.settings_path))
    monkeypatch.setenv("FORETIER_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "160")
    make_champion(tmp_path)
    run("score", "--as-of", "1998-01-01")
    run(
        "list", "churn-risk", "--include-gone", "--holdout", "0.4", "--holdout-seed", "5", "--save", "spring", "--capacity", "500"
    )
    text = run("campaign", "measure", "spring", "--json", str(tmp_path / "spring.json"))
    assert "500 contacted from 1998-01-01" in text
    told = json.loads((tmp_path / "spring.json").read_text())
    # Nobody was contacted in 1998: the same customers, counted by plain Python.
    from serving.store import Store

    with Store(f"sqlite:///{tmp_path / 'scores.db'}") as store:
        _, members = store.members("spring")
    rows = state.orders.select("customer_id", "order_day", "amount").collect().to_pandas()
    first = day_number(date(1998, 1, 1))
    inside = rows[rows.order_day.between(first, first + 89)]
    spent = inside.groupby("customer_id").amount.sum().to_dict()
    for group, held_out in (("contacted", False), ("held_out", True)):
        ids = [one.customer_id for one in members if one.held_out == held_out]
        assert told["overall"][group]["customers"] == len(ids)
        assert told["overall"][group]["buyers"] == sum(one in spent for one in ids)
        assert told["overall"][group]["mean_value"] == pytest.approx(sum(float(spent.get(one, 0)) for one in ids) / len(ids))
    retention = told["overall"]["retention"]
    assert retention["low"] <= 0.0 <= retention["high"]
    run("campaign", "measure", "spring", "--as-of", "1998-02-01", "--json", str(tmp_path / "earlier.json"))
    assert json.loads((tmp_path / "earlier.json").read_text())["days"] == 31
    assert CliRunner().invoke(app, ["campaign", "measure", "sprign"]).exit_code == 2
    euros = tmp_path / "euros.yaml"
    euros.write_text(state.settings_path.read_text().replace("USD", "EUR"))
    refused = CliRunner().invoke(app, ["campaign", "measure", "spring", "--config", str(euros)])
    assert (refused.exit_code, "is in USD and the settings say EUR" in refused.output) == (2, True)


# A replay on real orders with an effect of known size


@pytest.fixture(scope="module")
def replayed() -> Any:
    """The module of benchmarks/campaign.py and a campaign of the past, of a small model."""
    path = Path(__file__).parents[2] / "benchmarks" / "campaign.py"
    spec = importlib.util.spec_from_file_location("campaign_replay", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if not module.RETAIL.exists():
        pytest.skip(f"Online Retail II is not at {module.RETAIL.name}")
    return module, module.replay(module.RETAIL, boosting_rounds=40, max_cutoffs=4)


@pytest.mark.parametrize("rate", [0.0, 0.2])
def test_an_effect_of_known_size_is_found_again_within_its_interval(replayed: Any, rate: float) -> None:
    module, played = replayed
    tries = 40
    found = list(module.draws(played, rate, tries))
    assert np.mean([one.retention for one in found]) == pytest.approx(0.6 * rate, abs=0.05)  # some six in ten had not bought
    held = np.array([one.held() for one in found]).sum(axis=0)
    # Of 40 intervals that hold the truth with 95 %, fewer than 33 do in one run of 500.
    assert (held >= 33).all(), held
    works = sum(one.measured.verdict == "works" for one in found)
    assert works <= 4 if rate == 0.0 else works >= 36
