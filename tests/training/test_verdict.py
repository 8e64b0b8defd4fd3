"""What is said of a model: one sentence for each case, and neither chance nor an open horizon is a reason."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

from configs.days import day_number
from models.reference import WATCHED, fit_reference
from training.drift import Drift, drift
from training.feature_words import label
from training.monitor import NONE_REACHED, Comparison, GroupOutcome, Monitoring
from training.monitor_report import monitoring_as_dict, monitoring_report, shown_run
from training.resampling import Interval
from training.told import Told
from training.verdict import verdict

START = day_number(date(2020, 1, 1))
GOOD = {
    "level": Interval(1.03, 0.97, 1.09),
    "buyers_gap": Interval(0.01, -0.01, 0.02),
    "ranking": Interval(0.70, 0.65, 0.75),
    "over_past_spend": Interval(0.03, 0.01, 0.05),
}


def group(name: str, *, undecided: int = 0) -> GroupOutcome:
    return GroupOutcome(name, 1000, 5000.0, 5150.0, 420.0, 430, 300.0, 310, undecided, 0.7, None if undecided else 0.69)


def run(run_id: int = 1, *, days: int = 90, figures: Mapping[str, Interval] | None = None, after: int = 0) -> Comparison:
    undecided = 0 if days == 90 else 690
    groups = tuple(group(name, undecided=undecided) for name in ("Gold", "Silver"))
    return Comparison(
        run_id=run_id, as_of=START + after, horizon_days=90, observed_days=days, currency="EUR", model_version="3", unknown=0,
        total=group("All", undecided=undecided), tiers=groups, deciles=groups,
        figures={**GOOD, **(figures or {})}, coverage=0.8 if days == 90 else None, exact_shape=True, hindsight=False,
    )  # fmt: skip


def drifts(shift: float) -> tuple[Drift, ...]:
    random = np.random.default_rng(1)
    names = ["churn_risk", "order_count", "items_per_order"]
    before, now = (pd.DataFrame(random.normal(size=(3000, 3)), columns=names) for _ in range(2))
    return drift(fit_reference(before, START, {}), now.assign(order_count=now["order_count"] + shift), START + 10)


def looked_back(*runs: Comparison, shift: float = 0.0) -> Monitoring:
    """Newest first."""
    end = max(one.as_of + one.observed_days for one in runs)
    return Monitoring(end, runs, drifts(shift), None)


TOO_LOW = {"level": Interval(1.30, 1.21, 1.40)}
SPEND_WINS = {"over_past_spend": Interval(-0.05, -0.08, -0.02)}
FEWER_BUY = {"buyers_gap": Interval(-0.06, -0.08, -0.04)}
FELL = {"ranking": Interval(0.50, 0.45, 0.55)}
CASES: dict[str, tuple[Monitoring, str, bool, str]] = {
    "fine": (looked_back(run()), "fine", False, "Keep the model: customers of run 1 spent 1.03 times what was predicted"),
    "begun": (
        looked_back(run(days=10)),
        "too early",
        False,
        (
            "10 of the 90 days of run 1 have passed, and the first judgement is "
            "possible from 2020-01-24 on. The customers are still like"
        ),
    ),
    "half, well": (looked_back(run(days=45)), "fine", False, "run 1 in its first 45 of 90 days"),
    "too few": (looked_back(replace(run(), figures={})), "too early", False, "only 310 customers have bought since"),
    "level": (
        looked_back(run(figures=TOO_LOW)),
        "biased level",
        True,
        (
            "Retrain: the level is off: customers of run 1 spent 30 % more "
            "than predicted (realised / predicted 1.30, 1.21 to 1.40)."
        ),
    ),
    "level by chance": (looked_back(run(figures={"level": Interval(1.3, 1.05, 1.6)})), "fine", False, "Keep the model"),
    "level of half": (looked_back(run(days=45, figures={"level": Interval(1.15, 1.12, 1.18)})), "fine", False, "Keep the model"),
    "level far off at half": (looked_back(run(days=45, figures=TOO_LOW)), "biased level", True, "in its first 45 of 90 days"),
    "ranking below past spend": (
        looked_back(run(figures=SPEND_WINS)),
        "ranking decayed",
        True,
        ("Retrain: the ranking has decayed: sorting by past spend would have found the value of run 1 better"),
    ),
    "ranking fell": (
        looked_back(run(2, after=30, figures=FELL), run(1)),
        "ranking decayed",
        True,
        ("normalized Gini fell from 0.700 in run 1 to 0.500 in run 2"),
    ),
    "ranking of an open run": (looked_back(run(2, after=30, days=60, figures=FELL), run(1)), "fine", False, "Keep the model"),
    "churn": (
        looked_back(run(figures=FEWER_BUY)),
        "churn off",
        True,
        ("churn risks are too low: 31.0 % of the customers of run 1 bought, 30.0 % were expected to"),
    ),
    "drift alone": (
        looked_back(run(days=10), shift=1.0),
        "drifted",
        True,
        ("Retrain: the customers are no longer like those the model learned on (Orders: median"),
    ),
    "drift beside good figures": (
        looked_back(run(), shift=1.0),
        "drifted",
        True,
        "Retrain soon: the predictions of run 1 held, but",
    ),
    "hindsight": (
        looked_back(replace(run(figures=TOO_LOW), hindsight=True)),
        "too early",
        False,
        "had already learned from what",
    ),
    "another log": (
        looked_back(replace(run(), unknown=400)),
        "another log",
        False,
        "29 % of the customers of run 1 have no purchase",
    ),
    "model gone": (
        looked_back(replace(run(days=45, figures=TOO_LOW), exact_shape=False)),
        "too early",
        False,
        ("when it is complete, on 2020-03-31"),
    ),
    "an older model": (
        looked_back(replace(run(2, days=5, after=85), model_version="4"), run(figures=TOO_LOW)),
        "too early",
        False,
        "5 of the 90 days of run 2",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_case_has_its_sentence(case: str) -> None:
    monitoring, state, retrain, words = CASES[case]
    found = verdict(monitoring)
    assert (found.state, found.retrain) == (state, retrain), found.sentence
    assert words in found.sentence
    assert found.sentence.endswith(".")
    assert ".." not in found.sentence


def test_all_reasons_are_told_the_gravest_first() -> None:
    found = verdict(looked_back(run(figures={**TOO_LOW, **SPEND_WINS, **FEWER_BUY}), shift=1.0))
    starts = ("the ranking has decayed", "the level is off", "churn risks", "the customers are no longer")
    assert all(reason.startswith(start) for reason, start in zip(found.reasons, starts, strict=True))


def test_runs_without_drift_say_why() -> None:
    unknown = replace(looked_back(run()), drift=None, no_drift_because=Told("model version 3 is gone", "模型版本 3 已不存在"))
    assert verdict(unknown).sentence.endswith("Drift is not known: model version 3 is gone.")


def test_without_a_run_nothing_is_judged() -> None:
    with pytest.raises(ValueError, match="nothing to judge"):
        verdict(Monitoring(START, (), None, Told("there is no run", "没有批次")))


def test_the_run_shown_is_the_latest_complete_one() -> None:
    runs = [run(3, after=80, days=10), run(2, after=1), run(1)]
    assert shown_run(runs) == runs[1]
    assert shown_run([replace(run(), observed_days=0)]) is None


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [80, 140])
def test_the_report_fits_the_screen_and_its_json_has_no_nan(case: str, width: int) -> None:
    monitoring = CASES[case][0]
    screen = Console(file=io.StringIO(), width=width)
    screen.print(monitoring_report(monitoring, verdict(monitoring), wide=width >= 110))
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, printed.splitlines())) <= width
    assert "…" not in printed
    assert "nan" not in printed
    written = json.loads(json.dumps(monitoring_as_dict(monitoring, verdict(monitoring)), allow_nan=False))
    assert written["verdict"]["sentence"] == verdict(monitoring).sentence
    assert len(written["runs"]) == len(monitoring.comparisons)


def test_open_horizons_show_undecided_customers_and_no_churn() -> None:
    monitoring = looked_back(run(days=45))
    shown: Callable[[], object] = lambda: monitoring_report(monitoring, verdict(monitoring), wide=True)  # noqa: E731
    screen = Console(file=io.StringIO(), width=140)
    screen.print(shown())
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "690" in printed
    assert "69 %" not in printed


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("width", [80, 140])
def test_in_chinese_nothing_is_left_in_english_and_tables_line_up(
    case: str, width: int, english_in: Callable[..., set[str]]
) -> None:
    monitoring = CASES[case][0]
    judged = verdict(monitoring, "zh")
    assert (judged.state, judged.retrain) == CASES[case][1:3]
    screen = Console(file=io.StringIO(), width=width)
    screen.print(monitoring_report(monitoring, judged, wide=width >= 110, language="zh"))
    printed = screen.file.getvalue()  # type: ignore[attr-defined]
    assert english_in(printed, "EUR", "Gold", "Silver", "Cohen", "PSI") == set()
    assert "…" not in printed
    assert max(map(cell_len, printed.splitlines())) <= width
    for table in re.findall(r"(?:^[┏┃┡│└].*\n)+", printed, re.MULTILINE):
        assert len({cell_len(line) for line in table.splitlines()}) == 1


def test_reasons_for_unknown_drift_and_names_of_features_are_said_in_chinese(english_in: Callable[..., set[str]]) -> None:
    unknown = replace(looked_back(run()), drift=None, no_drift_because=NONE_REACHED)
    assert english_in(verdict(unknown, "zh").sentence) == set()
    for name in WATCHED:
        assert english_in(label(name, "zh")) == set(), name
    assert label("order_count") == "Orders"
