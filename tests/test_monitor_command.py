"""``foretier monitor`` as a person types it: trained on the past, scored twice, looked back at with what followed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from configs.days import day_number
from configs.settings import Environment, Settings
from features.customers import feature_frame
from features.orders import Cleaned
from foretier import app
from models.registry import champion, scored_by
from serving.store import Store
from training.labels import horizon_labels

CUT = "1998-01-15"


def typed(home: Path, *words: str) -> Result:
    variables = {"FORETIER_HOME": str(home), "FORETIER_CONFIG": str(home / "foretier.yaml"), "COLUMNS": "140"}
    return CliRunner().invoke(app, words, env=variables)


@pytest.fixture(scope="module")
def home(sample_settings: Settings, new_home: Callable[[], Path]) -> Path:
    """Trained on the CDNOW sample before ``CUT``, scored for that day, for one a month later and in hindsight."""
    folder = new_home()
    raw = sample_settings.model_dump(mode="json", exclude_defaults=True) | {"horizon_days": 60}
    raw["training"] = {"boosting_rounds": 10, "max_cutoffs": 6}
    (folder / "foretier.yaml").write_text(yaml.safe_dump(raw))
    done = [
        typed(folder, "train", "--until", CUT),
        *(typed(folder, "score", "--as-of", day) for day in (CUT, "1998-06-20", "1997-10-01")),
    ]
    assert [one.exit_code for one in done] == [0] * 4, [one.output for one in done]
    return folder


@pytest.fixture(scope="module")
def found(home: Path) -> Mapping[str, Any]:
    done = typed(home, "monitor", "--json", str(home / "monitor.json"))
    assert done.exit_code == 0, done.output
    result: dict[str, Any] = json.loads((home / "monitor.json").read_text())
    assert result["verdict"]["sentence"].split()[0] in "".join(done.output.split())
    return result


def test_runs_are_compared_as_far_as_the_log_goes(found: Mapping[str, Any]) -> None:
    assert [one["as_of"] for one in found["runs"]] == ["1998-06-20", CUT, "1997-10-01"]
    assert [one["observed_days"] for one in found["runs"]] == [11, 60, 60]
    assert [one["hindsight"] for one in found["runs"]] == [False, False, True]
    assert [one["total"]["churned"] is None for one in found["runs"]] == [True, False, False]
    assert found["observed_until"] == "1998-07-01"
    assert len(found["drift"]) > 30
    assert all(one["exact_shape"] for one in found["runs"])
    assert 0.7 < found["runs"][1]["coverage"] < 0.9


def test_a_complete_run_is_what_plain_python_adds_up(found: Mapping[str, Any], home: Path, sample: Cleaned) -> None:
    with Store(f"sqlite:///{home / 'scores.db'}") as store:
        run = next(one for one in store.runs() if one.terms.as_of.isoformat() == CUT)
        rows = store.columns(run.run_id, ("customer_id", "tier", "predicted_value", "churn_risk"))
    happened = horizon_labels(sample.orders, day_number(run.terms.as_of), 60).collect(backend="polars").to_native()
    spent = {customer: max(revenue, 0.0) for customer, _, revenue in happened.iter_rows()}
    bought = {customer for customer, purchases, _ in happened.iter_rows() if purchases}
    for tier in found["runs"][1]["tiers"]:
        own = [row for row in rows if row[1] == tier["name"]]
        assert tier["customers"] == len(own)
        assert tier["realised_value"] == pytest.approx(sum(spent.get(row[0], 0.0) for row in own))
        assert tier["predicted_value"] == pytest.approx(sum(row[2] for row in own))
        assert tier["churned"] == pytest.approx(sum(row[0] not in bought for row in own) / len(own))
        assert tier["expected_buyers"] == pytest.approx(sum(1.0 - row[3] for row in own))


def test_an_open_run_is_compared_with_what_its_model_says_of_the_days_so_far(
    found: Mapping[str, Any], home: Path, sample: Cleaned
) -> None:
    model = champion(Environment.read({"FORETIER_HOME": str(home)})).model
    as_of = day_number(np.datetime64("1998-06-20").item())
    expected = model.predict(feature_frame(sample.orders, as_of), as_of=as_of, horizon_days=11)
    total = found["runs"][0]["total"]
    assert total["predicted_value"] == pytest.approx(expected["predicted_value"].sum())
    assert total["expected_buyers"] == pytest.approx(expected["purchase_probability"].sum())
    assert total["predicted_orders"] == pytest.approx(expected["expected_orders"].sum())


def test_as_of_and_until_end_the_observation(home: Path) -> None:
    for words in (("--as-of", "1998-02-10"), ("--until", "1998-02-10")):
        done = typed(home, "monitor", *words, "--json", str(home / "early.json"))
        assert done.exit_code == 0, done.output
        early = json.loads((home / "early.json").read_text())
        assert early["observed_until"] in {"1998-02-10", "1998-02-09"}
        assert early["runs"][1]["total"]["churned"] is None
        assert early["runs"][0]["observed_days"] == 0


def test_without_a_run_it_says_what_to_do(tmp_path: Path, home: Path) -> None:
    done = typed(tmp_path, "monitor", "--config", str(home / "foretier.yaml"))
    assert done.exit_code == 2
    assert done.stderr.splitlines() == ["error: there is no scoring run in USD to look back at: run foretier score first"]


def test_the_model_of_a_version_comes_with_its_reference_and_a_version_that_is_gone_is_none(home: Path) -> None:
    environment = Environment.read({"FORETIER_HOME": str(home)})
    known = scored_by(environment, "1")
    assert known is not None
    assert known[1] is not None
    assert known[1].as_of == day_number(np.datetime64(CUT).item())
    assert known[1].customers > 2000
    assert scored_by(environment, "99") is None
