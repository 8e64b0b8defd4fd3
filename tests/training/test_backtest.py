"""Rolling origins: planned within the history, blind to what comes after them, summed up with honest intervals."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from configs.errors import HistoryError
from configs.settings import Settings, Training
from features.netting import net_orders
from features.orders import Cleaned
from models import accuracy
from training.backtest import LOWER_IS_BETTER, Backtest
from training.backtest_run import SHORTEST_STEP, Origins, backtest, plan_origins, planned, steps
from training.backtest_summary import _draws, _summaries
from training.candidates import BTYD, NAIVE, PERFECT, SERVED, SILENCE, TWO_PART, Context, Judged
from training.panel import Snapshot

Floats = npt.NDArray[np.float64]
FIRST = 10_000
trainings = st.builds(
    Training, cutoff_step_days=st.integers(1, 120), max_cutoffs=st.integers(1, 60), min_history_days=st.integers(1, 400)
)


@given(st.integers(1, 3000), st.integers(1, 400), st.integers(1, 12), trainings)
def test_origins_lie_within_the_history_and_their_training_before_them(
    history: int, horizon: int, wanted: int, training: Training
) -> None:
    last = FIRST + history - 1
    if history < 2 * horizon + training.min_history_days:
        with pytest.raises(HistoryError, match="backtest"):
            plan_origins(FIRST, last, horizon, training, wanted)
        return
    plan = plan_origins(FIRST, last, horizon, training, wanted)
    days = list(plan.cutoffs)
    assert days == sorted(days)
    assert 1 <= len(days) <= wanted
    assert days[-1] + horizon == plan.as_of == last + 1
    assert days[0] >= FIRST + training.min_history_days + horizon
    gaps = {later - earlier for earlier, later in itertools.pairwise(days)}
    assert len(gaps) <= 1
    assert all(1 <= gap <= max(1, horizon // 2) for gap in gaps)
    for origin, cutoffs in plan.cutoffs.items():
        assert cutoffs
        assert all(cutoff + horizon <= origin for cutoff in cutoffs)
        assert all(cutoff >= FIRST + training.min_history_days for cutoff in cutoffs)
    assert set(plan.snapshots) == {*days, *itertools.chain(*plan.cutoffs.values())}


@given(st.integers(14, 365), st.integers(2, 8), trainings)
def test_there_are_as_many_origins_as_wanted_where_a_week_lies_between(horizon: int, wanted: int, training: Training) -> None:
    history = 2 * horizon + training.min_history_days + SHORTEST_STEP * (wanted - 1)
    assert len(plan_origins(FIRST, FIRST + history - 1, horizon, training, wanted).cutoffs) == wanted
    assert len(plan_origins(FIRST, FIRST + 5000, horizon, training, wanted).cutoffs) == wanted


@given(st.integers(1, 1000), st.integers(1, 600), trainings)
def test_a_history_that_is_too_short_names_the_longest_horizon_that_it_can_judge(
    history: int, horizon: int, training: Training
) -> None:
    if history >= 2 * horizon + training.min_history_days:
        return
    with pytest.raises(HistoryError) as found:
        plan_origins(FIRST, FIRST + history - 1, horizon, training)
    words = str(found.value).split("can judge is ")
    if len(words) == 2:
        usable = int(words[1].split(",")[0])
        assert plan_origins(FIRST, FIRST + history - 1, usable, training).cutoffs
        with pytest.raises(HistoryError):
            plan_origins(FIRST, FIRST + history - 1, usable + 1, training)
    else:
        with pytest.raises(HistoryError):
            plan_origins(FIRST, FIRST + history - 1, 1, training)
        assert plan_origins(FIRST, FIRST + training.min_history_days + 1, 1, training).cutoffs


@pytest.fixture(scope="module")
def two_origins(sample: Cleaned, sample_settings: Settings) -> Origins:
    return planned(sample, sample_settings, wanted=2)


@pytest.fixture(scope="module")
def settings(sample_settings: Settings) -> Settings:
    return sample_settings.model_copy(update={"attributes": {"odd": "whether the customer's number is odd"}})


@pytest.fixture(scope="module")
def cleaned(sample: Cleaned) -> Cleaned:
    """The sample, with an attribute that is known of every second order."""
    odd = (nw.col("customer_id").cast(nw.Int64) % 2).cast(nw.String)
    return replace(sample, orders=sample.orders.with_columns(odd=nw.when(nw.col("order_day") % 2 == 0).then(odd)))


@pytest.fixture(scope="module")
def found(cleaned: Cleaned, settings: Settings, two_origins: Origins) -> tuple[Backtest, list[str]]:
    said: list[str] = []
    return backtest(cleaned, settings, two_origins, said.append), said


def test_every_step_is_told(found: tuple[Backtest, list[str]], two_origins: Origins) -> None:
    assert len(found[1]) == steps(two_origins)


def test_an_origin_knows_nothing_of_what_comes_after_it(
    found: tuple[Backtest, list[str]], cleaned: Cleaned, settings: Settings, two_origins: Origins
) -> None:
    """Everything on or after the first origin becomes garbage: what was said there stays, what happened does not."""
    first = min(two_origins.cutoffs)
    columns = ["customer_id", "order_id", "ordered_at", "order_day", "amount", "items", "odd"]
    frame = cleaned.orders.select(*columns).collect(backend="polars").to_native()
    before, after = frame.filter(pl.col("order_day") < first), frame.filter(pl.col("order_day") >= first)
    dice = np.random.default_rng(1)
    garbage = after.with_columns(
        customer_id=pl.Series(dice.choice(before["customer_id"].to_numpy(), len(after))),
        amount=pl.Series(np.round(dice.choice([0.0, 1e6, 7.5], len(after)), 4)).cast(after.schema["amount"]),
        odd=pl.lit("garbage"),
    )
    rewritten = net_orders(nw.from_native(pl.concat([before, garbage.select(columns)]).lazy()))
    other = backtest(
        replace(cleaned, orders=nw.from_native(rewritten.to_native().collect().lazy())), settings,
        replace(two_origins, cutoffs={first: two_origins.cutoffs[first]}),
    )  # fmt: skip
    there, here = other.origins[0], found[0].origins[0]
    for name in ("decile_predicted", "risk_predicted"):
        np.testing.assert_allclose(there.curves[name], here.curves[name], rtol=1e-12)
    assert [row.customers for row in there.tiers] == [row.customers for row in here.tiers]
    assert [(row.low, row.high) for row in there.coverage] == [(row.low, row.high) for row in here.coverage]
    assert [row.name for row in there.slices] == [row.name for row in here.slices]
    assert there.realised_value != here.realised_value


def test_all_candidates_stand_side_by_side(found: tuple[Backtest, list[str]]) -> None:
    rows = {row.candidate: row for row in found[0].value}
    assert set(rows) == {SERVED, TWO_PART, BTYD, PERFECT, *NAIVE}
    assert {row.candidate for row in found[0].churn} == {SERVED, "BG/NBD", SILENCE}
    assert all("brier_skill" in row.metrics for row in found[0].churn)
    assert rows[PERFECT].metrics["normalized_gini"].value == 1.0
    assert all(rows[SERVED].metrics["normalized_gini"].value > rows[rule].metrics["normalized_gini"].value for rule in NAIVE)


def test_the_summary_is_the_mean_of_the_origins_within_its_interval(found: tuple[Backtest, list[str]]) -> None:
    result = found[0]
    for part in ("value", "churn"):
        for row in getattr(result, part):
            of_origin = [next(one for one in getattr(each, part) if one.candidate == row.candidate) for each in result.origins]
            for metric, estimate in row.metrics.items():
                assert estimate.low <= estimate.high
                if metric != "absolute_bias":
                    assert estimate.value == pytest.approx(np.mean([getattr(one, metric) for one in of_origin]), rel=1e-12)
                if metric in LOWER_IS_BETTER or metric in ("total_bias", "auc", "normalized_gini"):
                    assert estimate.low <= estimate.value + 1e-9
                    assert estimate.value <= estimate.high + 1e-9
    for lead in result.served.lead.values():
        assert (lead.value, lead.low, lead.high) == (0.0, 0.0, 0.0)


def test_tiers_slices_and_movement_add_up(found: tuple[Backtest, list[str]]) -> None:
    result = found[0]
    for one in result.origins:
        for rows in (one.tiers, one.past_tiers, one.movement):
            assert sum(row.customers for row in rows) == one.customers
            assert sum(row.realised_value for row in rows) == pytest.approx(one.realised_value)
        assert sum(row.value_share for row in one.tiers) == pytest.approx(1.0)
        kept = sum(row.customers * (row.retention or 0.0) for row in one.tiers)
        assert kept == pytest.approx(one.buyers_share * one.customers)
        sliced = {row.name: row for row in one.slices}
        both = [sliced["one-time buyers"], sliced["repeat buyers"]]
        assert sum(row.customers for row in both) == one.customers
        assert sum(row.realised_value for row in both) == pytest.approx(one.realised_value)
        assert sliced["odd: 0"].customers + sliced["odd: 1"].customers <= one.customers
        everybody, *tiers = one.coverage
        assert everybody.group == "all"
        covered = sum((row.shared or 0.0) * row.customers for row in tiers)
        assert covered == pytest.approx((everybody.shared or 0.0) * everybody.customers)
    assert sum(row.value_share for row in result.tiers) == pytest.approx(1.0)


def test_it_is_written_as_json_and_the_same_twice(
    found: tuple[Backtest, list[str]], cleaned: Cleaned, settings: Settings, two_origins: Origins
) -> None:
    text = json.dumps(found[0].as_dict(), allow_nan=False)
    assert json.loads(text)["grade"]["letter"] in ("A", "B", "C", "D")
    assert json.dumps(backtest(cleaned, settings, two_origins).as_dict(), allow_nan=False) == text


def test_where_nothing_can_be_judged_the_reason_is_given(
    sample: Cleaned, sample_settings: Settings, two_origins: Origins
) -> None:
    free = replace(sample, orders=sample.orders.with_columns(amount=nw.col("amount") * 0))
    with pytest.raises(HistoryError, match="nothing was spent"):
        backtest(free, sample_settings, two_origins)


def judged(dice: np.random.Generator, customers: npt.NDArray[np.intp], taste: Floats) -> Judged:
    """An origin whose customers buy by their taste: what is said of them is right, and noisy."""
    n = len(customers)
    chance = 1 / (1 + np.exp(-taste[customers]))
    active = (dice.random(n) < chance).astype(np.float64)
    value = active * np.exp(taste[customers]) * dice.exponential(1.0, n)
    features = pd.DataFrame({"T": np.zeros(n)}, index=customers.astype(str))
    said = chance * np.exp(taste[customers])
    amounts = {SERVED: said, TWO_PART: 1.2 * said * dice.lognormal(0, 1, n)}
    holdout = Snapshot(0, features, active, value)
    return Judged(holdout, 90, features, ("A",), amounts, {}, {SERVED: 1 - chance}, {}, Context())


Truth = Callable[[Judged], float]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Simulation with known parameters: total bias 1 and the AUC of a very large log, over two origins of the same people."""
    worlds, held = 80, {"total_bias": 0, "auc": 0, "lead": 0}
    large = np.random.default_rng(7)
    taste = large.normal(-1.0, 0.7, 200_000)
    at_large = [judged(large, np.arange(len(taste)), taste)]
    truth = {name: value for name, value in _means_of(at_large).items() if name in held}
    for world in range(worlds):
        dice = np.random.default_rng((1, world))
        taste = dice.normal(-1.0, 0.7, 400)
        origins = [judged(dice, np.arange(400), taste), judged(dice, np.arange(50, 400), taste)]
        value, churn = _draws(origins, world, 100)
        at_hand = _means_of(origins)
        for name, draws in (("total_bias", value), ("auc", churn)):
            [row] = _summaries([(SERVED, {name: at_hand[name]})], draws, [name])
            held[name] += row.metrics[name].low <= truth[name] <= row.metrics[name].high
        means = [
            (SERVED, {"normalized_gini": at_hand["gini"]}),
            (TWO_PART, {"normalized_gini": at_hand["gini"] - at_hand["lead"]}),
        ]
        lead = _summaries(means, value, ["normalized_gini"])[1].lead["normalized_gini"]
        held["lead"] += lead.low <= truth["lead"] <= lead.high
    # 90 %, within three standard errors of 80 worlds.
    assert all(0.80 <= count / worlds <= 1.0 for count in held.values()), held


def _means_of(origins: list[Judged]) -> dict[str, float]:
    def mean(figure: Truth) -> float:
        return float(np.mean([figure(one) for one in origins]))

    def gini(name: str) -> float:
        return mean(lambda one: accuracy.normalized_gini(one.holdout.value, one.amounts[name]))

    return {
        "total_bias": mean(lambda one: accuracy.total_bias(one.holdout.value, one.amounts[SERVED])),
        "auc": mean(lambda one: float(roc_auc_score(one.churned, one.risks[SERVED]))),
        "gini": gini(SERVED),
        "lead": gini(SERVED) - gini(TWO_PART),
    }
