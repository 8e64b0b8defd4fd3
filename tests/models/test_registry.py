"""The registry on real SQLite files with real training runs in it, and where there is none to reach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from configs.errors import BundleError, RegistryError
from configs.settings import Environment
from features.customers import feature_frame
from features.orders import Cleaned
from models.registry import CHAMPION, MODEL_NAME, champion, champion_version, move_champion, open_tracking
from training.pipeline import plan, train

ROOT = Path(__file__).resolve().parents[2]
OPEN = """
import sys, time
from configs.settings import Environment
from models.registry import open_tracking
time.sleep(max(0.0, float(sys.argv[1]) - time.time()))
print(open_tracking(Environment.read()).search_experiments()[0].name)
"""
ASK = """
from configs.errors import RegistryError
from configs.settings import Environment
from models.registry import champion
try:
    champion(Environment.read())
except RegistryError as error:
    print(error)
from mlflow.telemetry.client import get_telemetry_client
print("telemetry:", get_telemetry_client())
"""


def python(code: str, home: Path, *arguments: str) -> subprocess.Popen[str]:
    # MLflow keeps silent by itself where it sees a test or CI.
    seen = ("MLFLOW", "PYTEST", "CI", "GITHUB", "DO_NOT_TRACK")
    variables = {name: value for name, value in os.environ.items() if not name.startswith(seen)}
    variables |= {"FORETIER_HOME": str(home), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], env=variables, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[int, str, str]]]:
    """A home whose registry was set up by two processes at the same moment, and how they ended."""
    home = tmp_path_factory.mktemp("empty") / "not yet there"
    soon = str(time.time() + 2.5)
    both = [python(OPEN, home, soon) for _ in range(2)]
    ended = [(process.communicate(timeout=120), process.returncode) for process in both]
    return home, [(code, out, err) for (out, err), code in ended]


def test_two_processes_can_set_up_one_file_at_once(empty_home: tuple[Path, list[tuple[int, str, str]]]) -> None:
    home, ended = empty_home
    assert ended == [(0, "Default\n", "")] * 2
    assert (home / "mlflow.db").exists()


def test_a_set_up_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    """MLflow itself ends with "table already exists" for ever after."""
    unfinished = tmp_path / ".mlflow.db.unfinished"
    killed = python(OPEN, tmp_path, "0")
    while not (unfinished.exists() and unfinished.stat().st_size > 40_000):
        assert killed.poll() is None, "set up before it could be killed"
        time.sleep(0.002)
    killed.kill()
    killed.communicate(timeout=60)
    assert unfinished.exists()
    again = python(OPEN, tmp_path, "0")
    assert again.communicate(timeout=120) == ("Default\n", "")
    assert not unfinished.exists()


def test_passwords_are_masked_wherever_they_stand() -> None:
    for url in ("http://me:secret@127.0.0.1:9/x", "postgresql://127.0.0.1:9/x?user=me&password=secret"):
        with pytest.raises(RegistryError) as caught:
            open_tracking(Environment(home=Path("nowhere"), store_url="", tracking_url=url))
        assert "secret" not in str(caught.value)
        assert "***" in str(caught.value)


def test_no_champion_is_said_and_nothing_is_sent_to_anybody(empty_home: tuple[Path, list[tuple[int, str, str]]]) -> None:
    process = python(ASK, empty_home[0])
    out, err = process.communicate(timeout=60)
    assert out.splitlines() == ["there is no champion model yet: run foretier train first", "telemetry: None"]
    assert (process.returncode, err) == (0, "")


def test_versions_count_up_and_the_alias_is_on_the_last(trained_home: Any) -> None:
    first, second = trained_home.runs
    assert (first.version, second.version) == ("1", "2")
    client = open_tracking(trained_home.environment)
    versions = {str(one.version): one for one in client.search_model_versions(f"name = '{MODEL_NAME}'")}
    assert sorted(versions) == ["1", "2"]
    assert (versions["1"].run_id, versions["2"].run_id) == (first.run_id, second.run_id)
    assert str(client.get_model_version_by_alias(MODEL_NAME, CHAMPION).version) == "2"


def test_the_champion_is_the_model_that_was_trained(trained_home: Any, sample: Cleaned) -> None:
    loaded = champion(trained_home.environment)
    trained = trained_home.runs[1]
    features = feature_frame(sample.orders, trained.plan.as_of)
    ours, theirs = (one.predict(features, as_of=trained.plan.as_of) for one in (trained.model, loaded.model))
    assert loaded.version == "2"
    pd.testing.assert_frame_equal(theirs, ours, check_exact=True)


def test_the_alias_can_be_moved_back(trained_home: Any) -> None:
    client = open_tracking(trained_home.environment)
    try:
        move_champion(client, trained_home.environment, "1")
        assert champion(trained_home.environment).version == "1"
    finally:
        move_champion(client, trained_home.environment, "2")
    with pytest.raises(RegistryError, match="cannot be used"):
        move_champion(client, trained_home.environment, "77")
    assert champion(trained_home.environment).version == "2"


@pytest.mark.parametrize("name", ["purchase.txt", "btyd.json", "manifest.json"])
def test_a_damaged_champion_is_refused(trained_home: Any, name: str) -> None:
    path = bundle_of(trained_home, 1) / name
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BundleError, match=name):
            champion(trained_home.environment)
        path.unlink()
        with pytest.raises(BundleError, match=name):
            champion(trained_home.environment)
    finally:
        path.write_bytes(whole)
    assert champion(trained_home.environment).version == "2"


def test_a_champion_whose_files_are_gone_is_said(trained_home: Any) -> None:
    folder = bundle_of(trained_home, 1)
    away = folder.rename(folder.with_name("away"))
    try:
        with pytest.raises((RegistryError, BundleError)) as error:
            champion(trained_home.environment)
        assert len(str(error.value).splitlines()) == 1
    finally:
        away.rename(folder)


def bundle_of(home: Any, run: int) -> Path:
    return Path(home.environment.home / "artifacts" / home.runs[run].run_id / "artifacts" / "bundle")


def dead(url: str, home: Path) -> Environment:
    return Environment.read({"FORETIER_HOME": str(home), "MLFLOW_TRACKING_URI": url})


@pytest.mark.parametrize(
    "url",
    [
        "http://me:hunter2@127.0.0.1:9",
        "postgresql+psycopg://me:hunter2@127.0.0.1:9/mlflow",
        "oracle://me:hunter2@127.0.0.1:9/mlflow",
        "sqlite:////proc/no/mlflow.db",
    ],
)
def test_a_registry_that_cannot_be_reached_is_one_line_soon_and_without_password(url: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    with pytest.raises(RegistryError, match="cannot be used") as error:
        champion(dead(url, tmp_path))
    assert time.monotonic() - begun < 15
    text = str(error.value)
    assert len(text.splitlines()) == 1
    assert "hunter2" not in text
    assert text.count("me:***@127.0.0.1") >= ("me:" in url)


def test_training_without_a_registry_says_so_before_it_works(
    sample: Cleaned, sample_settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    told: list[str] = []
    environment = dead("http://me:hunter2@127.0.0.1:9", tmp_path)
    with pytest.raises(RegistryError, match=r"me:\*\*\*@127.0.0.1:9 cannot be used"):
        train(
            sample, sample_settings, environment, plan(sample, sample_settings), told.append, at=datetime(2026, 1, 1, tzinfo=UTC)
        )
    assert told == []


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is a letter, not a database\n" * 40)
    with pytest.raises(RegistryError, match="not a database"):
        champion(Environment.read({"FORETIER_HOME": str(tmp_path)}))


def test_a_file_that_is_moved_away_is_missed_and_the_one_put_in_its_place_is_read(trained_home: Any, tmp_path: Path) -> None:
    homes = [Environment.read({"FORETIER_HOME": str(tmp_path / name)}) for name in ("served", "restored")]
    for one in homes:
        shutil.copytree(trained_home.environment.home, one.home, ignore=shutil.ignore_patterns("artifacts"))
    served, restored = (one.home / "mlflow.db" for one in homes)
    move_champion(open_tracking(homes[1]), homes[1], "1")
    client = open_tracking(homes[0])
    assert champion_version(client, homes[0]).version == "2"
    served.rename(tmp_path / "away.db")
    with pytest.raises(RegistryError, match=f"file {served} is gone"):
        champion_version(client, homes[0])
    assert not served.exists()
    restored.rename(served)
    assert champion_version(client, homes[0]).version == "1"
