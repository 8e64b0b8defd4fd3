"""The commands that use a trained model, as a person types them."""

from __future__ import annotations

import csv
import json
import warnings
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from configs.settings import Environment
from models.bundle import Origin, save_bundle
from models.registry import BUNDLE_FOLDER, move_champion, open_tracking, register_bundle
from serving.cli import app
from serving.list_plan import Plan
from serving.lists import contact_list, list_rows
from serving.predictions import wire
from serving.spreadsheet_text import unguarded
from serving.store import Store

# MLflow configures its mappers with what SQLAlchemy 2.1 has come to deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def at_home(state: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The settings and the store of the fixture's state, in a wide terminal."""
    monkeypatch.setenv("FORETIER_CONFIG", str(state.settings_path))
    monkeypatch.setenv("FORETIER_HOME", str(state.home))
    monkeypatch.setenv("FORETIER_STORE_URL", state.store_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    return state


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def refused(*words: str) -> str:
    """The one line a command ends with on bad input."""
    result = run(*words)
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("error: ")
    return line


def test_the_list_on_the_screen(at_home: Any) -> None:
    result = run("list", "churn-risk", "--capacity", "3", "--include-gone")
    assert result.exit_code == 0, result.output
    with Store(at_home.store_url) as store:
        plan = Plan(capacity=3, include_gone=True)
        for row in list_rows(store, at_home.settings, contact_list(store, at_home.settings, plan)):
            assert row.customer_id in result.output
    assert "as of 1998-07-01, 90 days ahead" in result.output


@pytest.mark.usefixtures("at_home")
def test_the_list_as_csv_xlsx_and_json_is_the_same(tmp_path: Path) -> None:
    for suffix in ("csv", "xlsx"):
        result = run(
            "list", "churn-risk", "--min-risk", "0.2", "--capacity", "200", "--out", f"list.{suffix}", "--json", "list.json"
        )
        assert result.exit_code == 0, result.output
        assert f"200 customers written to list.{suffix}" in result.output
    with (tmp_path / "list.csv").open(encoding="utf-8-sig", newline="") as file:
        ids = [unguarded(row["customer_id"]) for row in csv.DictReader(file)]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Conditional Formatting extension|Unknown extension", UserWarning)
        sheet = openpyxl.load_workbook(tmp_path / "list.xlsx").worksheets[0]
    assert [row[1] for row in sheet.iter_rows(min_row=2, values_only=True)] == ids
    data = json.loads((tmp_path / "list.json").read_text())
    assert [row["customer_id"] for row in data["customers"]] == ids
    assert min(row["churn_risk"] for row in data["customers"]) >= 0.2


@pytest.mark.usefixtures("at_home")
def test_both_files_of_a_list_are_of_one_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Store] = []
    published = Store.published
    monkeypatch.setattr(Store, "published", lambda store: asked.append(store) or published(store))
    assert run("list", "churn-risk", "--out", "list.csv", "--json", "list.json").exit_code == 0
    assert len(asked) == 1


def test_json_on_standard_output_is_nothing_but_json(at_home: Any) -> None:
    result = run("list", "churn-risk", "--tier", "Gold", "--json", "-")
    assert {row["tier"] for row in json.loads(result.stdout)["customers"]} == {"Gold"}
    result = run("explain", "00045", "--json", "-")
    with Store(at_home.store_url) as store:
        found, score = store.customer("00045")
    assert json.loads(result.stdout) == wire(score, found.terms)


def test_a_customer_in_words(at_home: Any) -> None:
    with Store(at_home.store_url) as store:
        for customer_id in ("00045", "..\\x?y#z&=+", "{customer_id}", "Zoë 😀%2F"):
            result = run("explain", customer_id)
            assert result.exit_code == 0, result.output
            _, score = store.customer(customer_id)
            assert f"Customer {customer_id}" in result.output
            for word in (score.tier, score.rfm_segment, "Why", "in 90 days from 1998-07-01 to before 1998-09-29", "ABC class"):
                assert word in result.output


@pytest.mark.usefixtures("at_home")
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    assert 'there is no tier "gold"; did you mean "Gold"?' in refused("list", "churn-risk", "--tier", "gold")
    assert "from 0 to 1, found 40.0" in refused("list", "churn-risk", "--min-risk", "40")
    assert ".csv, .xlsx or .parquet" in refused("list", "churn-risk", "--out", "list.xls")
    assert 'written as .parquet or .pq, found "scores.csv"' in refused("score", "--out", "scores.csv")
    assert 'there is no customer "45"' in refused("explain", "45")
    assert "no settings file nowhere.yaml" in refused("explain", "45", "--config", "nowhere.yaml")
    assert "cannot be written" in refused("list", "churn-risk", "--out", "/proc/list.csv")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("at_home")
def test_an_empty_store_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORETIER_STORE_URL", f"sqlite:///{tmp_path / 'new.db'}")
    assert "run foretier score first" in refused("list", "churn-risk")
    assert "run foretier score first" in refused("explain", "1")


@pytest.mark.usefixtures("at_home")
def test_a_store_that_cannot_be_reached_shows_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETIER_STORE_URL", "postgresql://me:hunter2@127.0.0.1:1/db")
    line = refused("explain", "1")
    assert "hunter2" not in line
    assert "me:***@127.0.0.1" in line


@pytest.fixture(scope="module")
def registered(state: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder whose registry has the state's model as champion."""
    home = tmp_path_factory.mktemp("registry")
    environment = Environment.read({"FORETIER_HOME": str(home)})
    client = open_tracking(environment)
    experiment = client.create_experiment("foretier", artifact_location=(home / "artifacts").as_uri())
    logged = client.create_run(experiment).info.run_id
    origin = Origin(10408, (), "0" * 64, {}, {})
    save_bundle(state.model, origin, home / BUNDLE_FOLDER)
    client.log_artifacts(logged, str(home / BUNDLE_FOLDER), BUNDLE_FOLDER)
    move_champion(client, environment, register_bundle(client, environment, logged))
    return home


@pytest.fixture
def at_registry(at_home: Any, registered: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The state with a champion and an empty store."""
    monkeypatch.setenv("FORETIER_HOME", str(registered))
    monkeypatch.setenv("FORETIER_STORE_URL", f"sqlite:///{tmp_path / 'scores.db'}")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return at_home


def test_score_publishes_what_the_champion_says(at_registry: Any, tmp_path: Path) -> None:
    result = run("score", "--out", "scores.parquet", "--json", "run.json")
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "run.json").read_text())
    assert (told["as_of"], told["customers"], told["model_version"]) == ("1998-07-01", 2357, "1")
    assert pq.read_metadata(tmp_path / "scores.parquet").num_rows == 2357
    assert "6,919 rows in = 6,919 used + 0 duplicates + 0 rejected" in result.output
    with Store(at_registry.store_url) as before, Store(f"sqlite:///{tmp_path / 'scores.db'}") as now:
        assert [replace(one, drivers="") for one in now.page(limit=10_000)[1]] == [
            replace(one, drivers="") for one in before.page(limit=10_000)[1]
        ]


def test_another_horizon_leaves_the_tiers_as_they_are(at_registry: Any, tmp_path: Path) -> None:
    assert run("score").exit_code == 0
    result = run("score", "--horizon-days", "180", "--json", "run.json")
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "run.json").read_text())
    assert (told["horizon_days"], told["tier_horizon_days"], told["horizon_end"]) == (180, 90, "1998-12-28")
    assert "by predicted value in 90 days" in result.output
    with Store(at_registry.store_url) as before, Store(f"sqlite:///{tmp_path / 'scores.db'}") as now:
        trained = {one.customer_id: one for one in before.page(limit=10_000)[1]}
        longer = now.page(limit=10_000)[1]
    for one in longer:
        assert one.tier == trained[one.customer_id].tier
        assert one.predicted_value >= trained[one.customer_id].predicted_value
        assert one.churn_risk <= trained[one.customer_id].churn_risk
    assert sum(one.predicted_value for one in longer) > 1.2 * sum(one.predicted_value for one in trained.values())
    for wrong in ("0", "-1", "36501", "90.5", "x"):
        assert run("score", "--horizon-days", wrong).exit_code == 2


@pytest.mark.usefixtures("at_registry")
def test_changes_tell_who_changed_and_why(tmp_path: Path) -> None:
    assert run("score", "--as-of", "1998-06-01").exit_code == 0
    assert "changes can be told after the next foretier score" in refused("changes")
    assert run("score").exit_code == 0
    result = run("changes", "--json", "changes.json")
    assert result.exit_code == 0, result.output
    told = json.loads((tmp_path / "changes.json").read_text())
    assert (told["from"]["scoring_run"], told["to"]["scoring_run"]) == (1, 2)
    assert (told["from"]["as_of"], told["to"]["as_of"]) == ("1998-06-01", "1998-07-01")
    assert told["total"] == len(told["customers"]) > 20
    assert all(told["counts"].values())
    assert {cell["tier_before"] for cell in told["movement"]} == {"Platinum", "Gold", "Silver", "Bronze"}
    for row in told["customers"]:
        assert ("upgraded" in row["kinds"] or "downgraded" in row["kinds"]) == (row["tier_before"] != row["tier"])
        assert ("newly_at_risk" in row["kinds"]) == (row["churn_risk"] >= 0.7 > row["churn_risk_before"])
        if "won_back" in row["kinds"]:
            assert row["lifecycle_stage_before"] in ("dormant", "lost")
            assert "since 1998-06-01" in row["reason"]
        assert "o order since" in row["reason"] or "rdered" in row["reason"] or "refunded" in row["reason"]
    assert "Tiers from 1998-06-01 to 1998-07-01" in result.output
    for suffix in ("csv", "xlsx"):
        written = run("changes", "--from", "1", "--to", "2", "--top", "15", "--out", f"changes.{suffix}")
        assert f"15 customers written to changes.{suffix}" in written.output
    with (tmp_path / "changes.csv").open(encoding="utf-8-sig", newline="") as file:
        ids = [unguarded(row["customer_id"]) for row in csv.DictReader(file)]
    assert ids == [row["customer_id"] for row in told["customers"][:15]]
    assert "there is no scoring run 9" in refused("changes", "--from", "9")
    assert ".csv or .xlsx" in refused("changes", "--out", "changes.txt")
    back = run("changes", "--kind", "won_back", "--tier", "Gold", "--tier", "Platinum", "--json", "back.json")
    assert "Won back" not in back.output
    assert "won back" in back.output
    of_them = json.loads((tmp_path / "back.json").read_text())
    assert (of_them["kinds"], of_them["tiers"]) == (["won_back"], ["Gold", "Platinum"])
    wanted = [
        row
        for row in told["customers"]
        if "won_back" in row["kinds"] and {row["tier"], row["tier_before"]} & {"Gold", "Platinum"}
    ]
    assert of_them["customers"] == wanted
    assert of_them["total"] == len(wanted) > 0
    assert 'there is no change "upgrade"; did you mean "upgraded"?' in refused("changes", "--kind", "upgrade")
    assert 'there is no tier "gold"; did you mean "Gold"?' in refused("changes", "--tier", "gold")
    assert "webhook.url is not set" in refused("notify")


@pytest.mark.usefixtures("at_registry")
def test_a_run_that_nobody_can_be_held_to_is_told() -> None:
    assert run("score").exit_code == 0
    result = run("score", "--as-of", "1998-06-01")
    words = " ".join(result.output.split())
    assert "Note: the published run 1 is of a later day (1998-07-01): nobody is held in the tier of that run." in words


@pytest.mark.usefixtures("at_registry")
def test_a_day_beyond_the_log_is_told(tmp_path: Path) -> None:
    result = run("score", "--as-of", "1998-09-01")
    assert "the log ends 62 days before --as-of" in " ".join(result.output.split())
    assert "no customer has a purchase before 1990-01-01" in refused("score", "--as-of", "1990-01-01")
    with Store(f"sqlite:///{tmp_path / 'scores.db'}") as store:
        assert [run.terms.as_of.isoformat() for run in store.runs()] == ["1998-09-01"]


@pytest.mark.usefixtures("at_registry")
def test_days_that_nobody_has_observed_are_refused(tmp_path: Path) -> None:
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    for day in (tomorrow + timedelta(days=2), date(9999, 12, 31)):
        assert f"--as-of {day} lies in the future" in refused("score", "--as-of", day.isoformat())
    assert run("score", "--as-of", tomorrow.isoformat()).exit_code == 0
    with Store(f"sqlite:///{tmp_path / 'scores.db'}") as store:
        assert [run.terms.as_of for run in store.runs()] == [tomorrow]


def test_a_champion_of_another_currency_is_refused(at_registry: Any, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(at_registry.settings_path.read_text().replace("currency: USD", "currency: EUR"))
    assert "was trained on USD and the settings say EUR" in refused("score", "--config", str(other))


@pytest.mark.usefixtures("at_home")
def test_without_a_champion_there_is_nothing_to_score_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FORETIER_HOME", str(tmp_path / "empty"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert "run foretier train first" in refused("score")


def test_a_day_that_is_none_is_refused_with_what_is_expected() -> None:
    result = run("score", "--as-of", "1997-13-01")
    assert result.exit_code == 2
    assert 'expected a day as YYYY-MM-DD, found "1997-13-01"' in " ".join(result.output.replace("│", " ").split())


@pytest.mark.usefixtures("at_home")
def test_a_list_of_nobody_says_why() -> None:
    assert run("list", "churn-risk", "--min-risk", "1").output.startswith("No customer fits these filters.\n\nContacts ")
