"""What is remembered of the champion is what MLflow would say, or nothing."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from configs.errors import RegistryError
from configs.settings import Environment
from models.known_champion import FILE, known_champion, registry_stamp
from models.registry import CHAMPION, MODEL_NAME, champion_version, open_tracking

if TYPE_CHECKING:  # MLflow reads how much it is to say when it is imported, which models.registry decides
    from mlflow import MlflowClient

# MLflow configures its mappers with what SQLAlchemy 2.1 has come to deprecate.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:sqlalchemy.exc.SADeprecationWarning")


@pytest.fixture
def registry(new_home: Callable[[], Path]) -> tuple[Environment, MlflowClient]:
    """A registry with two versions, the first of them the champion, each of a folder with a blank in its name."""
    environment = Environment.read({"FORETIER_HOME": str(new_home())})
    client = open_tracking(environment)
    client.create_registered_model(MODEL_NAME)
    for number in (1, 2):
        folder = environment.home / f"bundle {number}"
        folder.mkdir()
        client.create_model_version(MODEL_NAME, folder.as_uri() if number == 1 else str(folder))
    client.set_registered_model_alias(MODEL_NAME, CHAMPION, "1")
    return environment, client


def test_it_is_known_until_anybody_writes_to_the_registry(registry: tuple[Environment, MlflowClient]) -> None:
    environment, client = registry
    assert known_champion(environment) is None
    champion_version(client, environment)
    assert known_champion(environment) == ("1", environment.home / "bundle 1")
    written = (environment.home / FILE).stat()
    champion_version(client, environment)
    assert (environment.home / FILE).stat() == written
    for write in (
        lambda: client.set_registered_model_alias(MODEL_NAME, CHAMPION, "2"),
        lambda: client.set_model_version_tag(MODEL_NAME, "1", "colour", "red"),
        lambda: client.delete_registered_model_alias(MODEL_NAME, CHAMPION),
    ):
        write()
        assert known_champion(environment) is None
        try:
            said = champion_version(client, environment).version
        except RegistryError:
            assert known_champion(environment) is None
        else:
            assert known_champion(environment) == (said, environment.home / f"bundle {said}")


def test_writes_that_leave_size_and_time_as_they_were_are_seen(registry: tuple[Environment, MlflowClient]) -> None:
    """A clock may stand still between two writes."""
    environment, client = registry
    champion_version(client, environment)
    file = environment.home / "mlflow.db"
    before = file.stat()
    client.set_registered_model_alias(MODEL_NAME, CHAMPION, "2")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_size == before.st_size
    assert known_champion(environment) is None


def test_what_cannot_be_relied_on_is_not_known(registry: tuple[Environment, MlflowClient]) -> None:
    environment, client = registry
    champion_version(client, environment)
    file = environment.home / FILE
    kept = file.read_text()
    for text in ("", "[]", "null", "{}", "[1, 2, 3, 4]", '"abcd"', kept[:-5], "\udcff"):
        file.write_bytes(text.encode(errors="surrogateescape"))
        assert known_champion(environment) is None
    file.write_text(kept)
    assert known_champion(environment) is not None
    for url in ("http://127.0.0.1:9", f"sqlite:///{environment.home / 'other.db'}"):
        elsewhere = environment.model_copy(update={"tracking_url": url})
        assert registry_stamp(elsewhere) is None
        assert known_champion(elsewhere) is None
    (environment.home / "bundle 1").rmdir()
    assert known_champion(environment) is None


def test_artifacts_of_other_machines_are_never_known(registry: tuple[Environment, MlflowClient]) -> None:
    environment, client = registry
    for version, source in enumerate(("s3://bucket/bundle", "file://server/bundle", "mlflow-artifacts:/1/bundle"), start=3):
        client.create_model_version(MODEL_NAME, source)
        client.set_registered_model_alias(MODEL_NAME, CHAMPION, str(version))
        assert champion_version(client, environment).source == source
        assert known_champion(environment) is None


def test_a_home_that_cannot_be_written_to_is_no_fault(registry: tuple[Environment, MlflowClient]) -> None:
    environment, client = registry
    (environment.home / FILE).mkdir()
    assert champion_version(client, environment).version == "1"
    assert known_champion(environment) is None
    assert json.loads(json.dumps(registry_stamp(environment))) == registry_stamp(environment)
