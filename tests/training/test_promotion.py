"""Promotion on a real registry: a planted worse challenger is refused, people may overrule, nothing is lost when killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from configs.errors import RegistryError
from configs.settings import Environment, Settings, parse_settings
from features.orders import Cleaned
from models.bundle import Origin
from models.fitting import fit
from models.registry import CHALLENGER, CHAMPION, MODEL_NAME, champion, move_alias, move_champion, open_tracking, register_bundle
from models.value_model import ValueModel
from training.decisions import FILE, read_decisions
from training.panel import Plan, Snapshot, plan_cutoffs, snapshot, training_set
from training.pipeline import _log_bundles
from training.promotion import Attributes, promote, rollback
from training.tracking import tracked_run

ROOT = Path(__file__).resolve().parents[2]
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PROMOTE = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from configs.errors import RegistryError
from configs.settings import Environment, parse_settings
from training.promotion import promote
import json
settings = parse_settings(json.loads(sys.argv[1]), where="test")
at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
try:
    print(promote(Environment.read(), settings, None, at=at, version=sys.argv[2], force_why="both at once").action)
except RegistryError as error:
    print(error)
"""
KILLED = """
import os
import training.promotion as promotion
promotion.move_champion = lambda *_: os._exit(9)
"""


@dataclass(frozen=True)
class Models:
    """A good model and one fitted on shuffled outcomes, both blind to the held-back window."""

    good: ValueModel
    worse: ValueModel
    holdout: Snapshot
    planned: Plan
    settings: Settings


@pytest.fixture(scope="module")
def models(sample: Cleaned, sample_settings: Settings) -> Models:
    raw = sample_settings.model_dump(mode="json") | {"training": {"boosting_rounds": 20, "max_cutoffs": 4}}
    settings = parse_settings(raw, where="test")
    report = sample.report
    planned = plan_cutoffs(report.first_order_day, report.last_order_day, 90, settings.training)
    holdout = snapshot(sample.orders, planned.holdout, 90)
    known = training_set([snapshot(sample.orders, one, 90) for one in planned.trial], holdout.features, planned.holdout, 90)
    order = np.random.default_rng(1).permutation(len(known.active))
    shuffled = replace(known, active=known.active[order], value=known.value[order])
    return Models(fit(known, settings), fit(shuffled, settings), holdout, planned, settings)


@pytest.fixture
def environment(new_home: Callable[[], Path]) -> Environment:
    return Environment.read({"FORETIER_HOME": str(new_home())})


def registered(
    environment: Environment, models: Models, model: ValueModel, *, letter: str | None = "B", trial: bool = True, seen: int = 0
) -> str:
    """A version as training logs it; ``seen``: days of the window that its trial model knew."""
    client, planned = open_tracking(environment), replace(models.planned, holdout=models.planned.holdout + seen)
    metrics = {"cutoff": models.planned.holdout, "grade": {"letter": letter}, "not_graded": "too few bought"}
    origin = Origin(models.planned.as_of, models.planned.final, "ab" * 32, {}, metrics)
    with tracked_run(client, environment, "test") as run_id:
        _log_bundles(client, run_id, replace(model, grade=letter), origin, model if trial else None, planned)
    version = register_bundle(client, environment, run_id)
    move_alias(client, environment, CHALLENGER, version)
    return version


@pytest.fixture
def asked(environment: Environment, models: Models) -> Callable[..., Any]:
    def ask(version: str | None = None, **more: Any) -> Any:
        def window(cutoff: int, horizon_days: int) -> tuple[Snapshot, Attributes]:
            assert (cutoff, horizon_days) == (models.planned.holdout, 90)
            return models.holdout, {}

        return promote(environment, models.settings, window, at=AT, version=version, **more)

    return ask


def failed(decision: Any) -> set[str]:
    return {check["name"] for check in decision.checks if not check["passed"]}


def test_the_first_is_champion_by_its_grade_and_an_equal_one_follows(
    environment: Environment, models: Models, asked: Callable[..., Any]
) -> None:
    registered(environment, models, models.good)
    first = asked()
    assert (first.action, first.champion_before, first.champion_after, first.grade) == ("promoted", None, "1", "B")
    registered(environment, models, models.good)
    second = asked()
    assert (second.action, second.champion_before, second.champion_after) == ("promoted", "1", "2")
    assert champion(environment).version == "2"
    tags = open_tracking(environment).get_model_version(MODEL_NAME, "2").tags
    assert tags["foretier.decision"] == "2026-01-02T03:04:05+00:00 promoted"
    assert tags["foretier.gate.normalized_Gini"].startswith("passed, figure 0.")
    with pytest.raises(RegistryError, match="version 2 is champion already"):
        asked()


def test_one_fitted_on_shuffled_outcomes_is_refused_and_can_be_forced_and_rolled_back(
    environment: Environment, models: Models, asked: Callable[..., Any]
) -> None:
    registered(environment, models, models.good)
    asked()
    registered(environment, models, models.worse, letter="A")
    refused = asked()
    assert (refused.action, refused.champion_after) == ("refused", "1")
    # Who buys at all is still told by BTYD, which learns from no outcome: the AUC alone would let it pass.
    assert {"normalized Gini", "Brier score"} <= failed(refused)
    assert champion(environment).version == "1"
    forced = asked(force_why="a bet")
    assert (forced.action, forced.champion_before, forced.why) == ("forced", "1", "a bet")
    assert failed(forced) == failed(refused)
    assert champion(environment).version == "2"
    back = rollback(environment, at=AT, why="lost")
    assert (back.action, back.champion_before, back.champion_after) == ("rolled back", "2", "1")
    assert champion(environment).version == "1"
    with pytest.raises(RegistryError, match="no champion before"):
        rollback(environment, at=AT, why="again")
    log = read_decisions(environment.home)
    assert [one.action for one in log] == ["promoted", "refused", "forced", "rolled back"]
    assert json.loads((environment.home / FILE).read_text().splitlines()[1])["checks"] == list(refused.checks)


def test_without_a_grade_there_is_no_first_champion(environment: Environment, models: Models, asked: Callable[..., Any]) -> None:
    registered(environment, models, models.good, letter=None)
    assert asked().why == "it has no grade (too few bought)"
    with pytest.raises(RegistryError, match="only a challenger"):
        champion(environment)
    assert asked(force_why="we must begin").champion_after == "1"


@pytest.mark.parametrize(("seen", "trial", "said"), [(1, True, "knows what happened up to"), (0, False, "has no trial model")])
def test_grades_decide_where_the_champion_cannot_be_compared(
    environment: Environment, models: Models, asked: Callable[..., Any], seen: int, trial: bool, said: str
) -> None:
    registered(environment, models, models.good, letter="B", trial=trial, seen=seen)
    asked()
    registered(environment, models, models.good, letter="C")
    refused = asked()
    assert refused.action == "refused"
    assert said in refused.why
    registered(environment, models, models.good, letter="B")
    promoted = asked()
    assert promoted.action == "promoted"
    assert said in promoted.why


def test_another_horizon_or_currency_needs_force(environment: Environment, models: Models, asked: Callable[..., Any]) -> None:
    registered(environment, models, models.good)
    asked()
    for other in (replace(models.good, horizon_days=60), replace(models.good, currency="EUR")):
        registered(environment, models, other)
        assert "only --force" in asked().why
    assert asked(force_why="we moved to Europe").champion_after == "3"


def test_size_latency_and_golden_rows_count_for_the_first_too(
    environment: Environment, models: Models, asked: Callable[..., Any]
) -> None:
    registered(environment, models, models.good)
    tight = models.settings.model_copy(update={"gate": models.settings.gate.model_copy(update={"max_bundle_mb": 0.001})})
    found = promote(environment, tight, lambda *_: None, at=AT)  # type: ignore[arg-type, return-value]
    assert found.action == "refused"
    assert "gate.max_bundle_mb: 0.001" in found.why
    assert asked().action == "promoted"


def test_what_was_moved_elsewhere_is_found_and_written_down(
    environment: Environment, models: Models, asked: Callable[..., Any]
) -> None:
    for _ in range(3):
        registered(environment, models, models.good)
    asked("1")
    move_champion(open_tracking(environment), environment, "2")
    asked("3")
    assert [(one.action, one.champion_after) for one in read_decisions(environment.home)] == [
        ("promoted", "1"), ("found", "2"), ("promoted", "3"),
    ]  # fmt: skip
    assert rollback(environment, at=AT, why="x").champion_after == "2"
    assert rollback(environment, at=AT, why="x").champion_after == "1"


def test_nothing_to_promote_is_said(environment: Environment, asked: Callable[..., Any]) -> None:
    with pytest.raises(RegistryError, match="no challenger to promote"):
        asked()
    with pytest.raises(RegistryError, match="no model version 7"):
        asked("7")
    with pytest.raises(RegistryError, match="no champion before"):
        rollback(environment, at=AT, why="x")


def process(environment: Environment, settings: Settings, version: str, before: str = "") -> subprocess.Popen[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW", "FORETIER"))}
    variables = {**kept, "FORETIER_HOME": str(environment.home), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", before + PROMOTE, json.dumps(settings.model_dump(mode="json")), version]
    return subprocess.Popen(command, env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_killed_between_line_and_alias_and_two_at_once(
    environment: Environment, models: Models, asked: Callable[..., Any]
) -> None:
    """The alias is the truth: the killed one's line is set right by the next; of two at once, one waits for the other."""
    registered(environment, models, models.good, letter=None)
    registered(environment, models, models.good, letter=None)
    asked("1", force_why="first")
    killed = process(environment, models.settings, "2", KILLED)
    killed.communicate(timeout=120)
    assert killed.returncode == 9
    assert [one.champion_after for one in read_decisions(environment.home)] == ["1", "2"]
    assert champion(environment).version == "1"
    both = [process(environment, models.settings, "2") for _ in range(2)]
    said = sorted(one.communicate(timeout=120)[0].strip() for one in both)
    assert said == ["forced", "version 2 is champion already: name another version"]
    actions = [(one.action, one.champion_before, one.champion_after) for one in read_decisions(environment.home)]
    assert actions == [("forced", None, "1"), ("forced", "1", "2"), ("found", "2", "1"), ("forced", "1", "2")]
    assert str(open_tracking(environment).get_model_version_by_alias(MODEL_NAME, CHAMPION).version) == "2"
    assert rollback(environment, at=AT, why="x").champion_after == "1"
