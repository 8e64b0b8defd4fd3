"""What ``foretier serve`` does not start with: strangers at the door, a champion that is damaged or of another version."""

from __future__ import annotations

import json
import shutil
import socket
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from configs.errors import BundleError, RegistryError
from configs.settings import Environment
from foretier import app
from models.bundle import Origin, save_bundle
from models.manifest import CHECKSUM, MANIFEST, checksum
from models.registry import BUNDLE_FOLDER, MODEL_NAME, check_champion, move_champion, open_tracking, register_bundle
from serving.key_store import KeyStore
from serving.keys import new_key

EVERYBODY = "0.0.0.0"  # noqa: S104 (what is tested is that it is refused)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)

NewHome = Callable[[], Path]

# MLflow configures its mappers with what SQLAlchemy 2.1 has come to deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, state: Any) -> Path:
    """A home in which nothing is yet."""
    home = tmp_path / "home"
    monkeypatch.setenv("FORETIER_HOME", str(home))
    monkeypatch.setenv("FORETIER_CONFIG", str(state.settings_path))
    for name in ("FORETIER_STORE_URL", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    return home


def registered(home: Path, state: Any) -> Path:
    """Make the state's model the champion of a home; gives the folder of its files in the registry."""
    environment = Environment.read({"FORETIER_HOME": str(home)})
    client = open_tracking(environment)
    experiment = client.create_experiment("served", artifact_location=(home / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    save_bundle(state.model, Origin(10408, (), "0" * 64, {}, {}), home / BUNDLE_FOLDER)
    client.log_artifacts(run, str(home / BUNDLE_FOLDER), BUNDLE_FOLDER)
    move_champion(client, environment, register_bundle(client, environment, run))
    return home / "artifacts" / run / "artifacts" / BUNDLE_FOLDER


def store_url(home: Path) -> str:
    return f"sqlite:///{home / 'scores.db'}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("host", [EVERYBODY, "::"])
def test_strangers_are_not_served_without_an_active_key(home: Path, host: str) -> None:
    with KeyStore(store_url(home)) as store:
        for which in ("none", "expired", "revoked"):
            if which == "expired":
                store.create(new_key("old", created_at=LONG_AGO, expires_at=LONG_AGO + timedelta(days=1))[0])
            elif which == "revoked":
                record, _ = new_key("gone", created_at=LONG_AGO)
                store.create(record)
                store.revoke(record.key.id, LONG_AGO)
            result = CliRunner().invoke(app, ["serve", "--host", host, "--port", str(free_port())])
            assert result.exit_code == 2, which
            [line] = result.stderr.splitlines()
            assert f"--host {host} lets other machines ask" in line
            assert "type foretier keys create NAME first" in line


def test_a_store_that_cannot_be_asked_for_keys_keeps_strangers_out(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORETIER_STORE_URL", "postgresql://me:hunter2@127.0.0.1:1/db")
    result = CliRunner().invoke(app, ["serve", "--host", EVERYBODY, "--port", str(free_port())])
    assert result.exit_code == 2
    assert "cannot be used" in result.stderr
    assert "hunter2" not in result.stderr
    assert not (home / "scores.db").exists()


def test_a_damaged_champion_is_not_served(new_home: NewHome, home: Path, state: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    damaged = new_home()
    flip_a_bit(registered(damaged, state) / "purchase.txt")
    monkeypatch.setenv("FORETIER_HOME", str(damaged))
    monkeypatch.setattr("serving.serve.CHECK_SECONDS", 120.0)  # however busy the machine is: it would start otherwise
    with KeyStore(store_url(damaged)) as store:
        store.create(new_key("proxy", created_at=LONG_AGO)[0])
    # With a key strangers may come; it is the champion that is in the way.
    result = CliRunner().invoke(app, ["serve", "--host", EVERYBODY, "--port", str(free_port())])
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("error: the champion, version 1, cannot be served: file:")
    assert f"{damaged.name}/artifacts/" in line
    assert "purchase.txt is not the file that was written" in line
    assert not home.exists()


def test_a_champion_that_is_known_is_verified_without_mlflow(
    new_home: NewHome, home: Path, state: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = new_home()
    bundle = registered(served, state)
    check_champion(Environment.read({"FORETIER_HOME": str(served)}))
    (bundle / "value.txt").unlink()
    monkeypatch.setenv("FORETIER_HOME", str(served))
    monkeypatch.setattr(sys, "executable", str(home / "no-python"))  # no other process can be started
    result = CliRunner().invoke(app, ["serve", "--port", str(free_port())])
    assert result.exit_code == 2, result.output
    assert f"the champion, version 1, cannot be served: {bundle / 'value.txt'} cannot be read" in result.stderr


def test_what_cannot_be_served_is_told_with_where_it_lies(new_home: NewHome, state: Any) -> None:
    home = new_home()
    environment = Environment.read({"FORETIER_HOME": str(home)})
    check_champion(environment)  # there is none yet
    bundle = registered(home, state)
    check_champion(environment)
    manifest = json.loads((bundle / MANIFEST).read_text())
    del manifest[CHECKSUM]
    # In the second round MLflow is asked again: the registry was written to.
    for where, changed, said in (
        (bundle, {"format": 1}, "expected bundle format 2, found 1"),
        (bundle.as_uri(), {"features": ["x"]}, "other features"),
    ):
        other = manifest | changed
        (bundle / MANIFEST).write_text(json.dumps({**other, CHECKSUM: checksum(other)}))
        with pytest.raises(BundleError, match=f"the champion, version 1, cannot be served: {where}.*{said}"):
            check_champion(environment)
        open_tracking(environment).set_registered_model_tag(MODEL_NAME, "told", said)
    shutil.rmtree(bundle)
    with pytest.raises(RegistryError):
        check_champion(environment)


def test_where_there_is_no_registry_none_is_made(tmp_path: Path) -> None:
    check_champion(Environment.read({"FORETIER_HOME": str(tmp_path / "new")}))
    assert list(tmp_path.iterdir()) == []


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
