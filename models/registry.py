"""The model registry: bundles as MLflow model versions of ``foretier``, found again by ``champion`` and ``challenger``.

MLflow only keeps and finds the files. Bundles are read by ``models.bundle``, which verifies them first; MLflow's own model
loading is never used, since it runs code out of the artifacts.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from configs.errors import BundleError, RegistryError, nearest
from configs.settings import Environment
from models.known_champion import known_champion, registry_stamp, remember_champion
from models.manifest import verified_texts

if TYPE_CHECKING:
    from mlflow import MlflowClient as MlflowClient  # noqa: PLC0414 (for those who may not import mlflow)
    from mlflow.entities.model_registry import ModelVersion

    from models.reference import Reference
    from models.value_model import ValueModel

MODEL_NAME = "foretier"
CHAMPION = "champion"
CHALLENGER = "challenger"
BUNDLE_FOLDER = "bundle"
TRIAL_FOLDER = "trial"
ABSENT = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
LONGEST_REASON = 300
LONGEST_TAG = 4000
CONNECT_SECONDS = 10
PASSWORD = re.compile(r"(?<=://)([^\s/:@]*:)[^\s/@]*(?=@)|(?<=[?&])(password=)[^\s&]*")


@dataclass(frozen=True)
class Registered:
    """A model version: its number, the run that made it, and where its bundle lies."""

    version: str
    run_id: str
    source: str


@dataclass(frozen=True)
class LoadedModel:
    """A value model with the version under which the registry knows it.

    ``metrics``: what its bundle says of the held-back window (``models.bundle``).
    """

    version: str
    model: ValueModel
    metrics: Mapping[str, Any] = field(default_factory=dict)


def open_tracking(environment: Environment) -> MlflowClient:
    """A client of the tracking server or file that the environment names; a new SQLite file is set up first.

    Raises RegistryError: it cannot be reached.
    """
    _quieten()
    url = environment.tracking_url
    with registry_errors(environment):
        if not url.startswith("sqlite:///"):
            _check_database(url)
            return _working_client(url)
        file = Path(url.removeprefix("sqlite:///"))
        # A file that is kept open would be read on after it was moved away and another one put in its place.
        os.environ.setdefault("MLFLOW_SQLALCHEMYSTORE_POOLCLASS", "NullPool")
        # Several processes that set up one fresh file at once would leave all but one of them dead.
        with _lock(file):
            if not file.exists():
                _set_up(file)
            return _working_client(url)


def register_bundle(client: MlflowClient, environment: Environment, run_id: str) -> str:
    """Make a model version of the bundle that run ``run_id`` has logged, and return its number. No alias moves."""
    with registry_errors(environment):
        if not client.search_registered_models(f"name = '{MODEL_NAME}'"):
            client.create_registered_model(MODEL_NAME, description="Customer value and churn risk, by Foretier")
        source = f"{client.get_run(run_id).info.artifact_uri}/{BUNDLE_FOLDER}"
        return str(client.create_model_version(MODEL_NAME, source, run_id).version)


def move_champion(client: MlflowClient, environment: Environment, version: str) -> None:
    """Point the alias ``champion`` to a version."""
    move_alias(client, environment, CHAMPION, version)


def move_alias(client: MlflowClient, environment: Environment, alias: str, version: str) -> None:
    """Point an alias to a version. Raises RegistryError: there is no such version, or the registry cannot be reached."""
    with registry_errors(environment):
        client.set_registered_model_alias(MODEL_NAME, alias, version)


def with_alias(client: MlflowClient, environment: Environment, alias: str) -> Registered | None:
    """The version an alias points to; None where there is none."""
    from mlflow.exceptions import MlflowException

    with registry_errors(environment):
        try:
            return _registered(client.get_model_version_by_alias(MODEL_NAME, alias))
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return None


def find_version(client: MlflowClient, environment: Environment, version: str) -> Registered:
    """One version. Raises RegistryError: there is none of this number (the known ones are named)."""
    with registry_errors(environment):
        known = [_registered(one) for one in client.search_model_versions(f"name = '{MODEL_NAME}'")]
    for one in known:
        if one.version == version:
            return one
    versions = sorted((one.version for one in known), key=int, reverse=True)
    raise RegistryError(f"there is no model version {version}; {nearest(version, versions)}")


def tag_version(client: MlflowClient, environment: Environment, version: str, tags: Mapping[str, str]) -> None:
    """Write tags of a version, over those of the same names."""
    with registry_errors(environment):
        for name, value in tags.items():
            client.set_model_version_tag(MODEL_NAME, version, name, value[:LONGEST_TAG])


@contextmanager
def fetched(environment: Environment, artifact_uri: str) -> Iterator[Path]:
    """A local copy of a folder of artifacts, gone when the block ends. Raises RegistryError: it cannot be fetched."""
    _quieten()
    from mlflow.artifacts import download_artifacts

    with TemporaryDirectory(prefix="foretier-bundle-") as folder:
        with registry_errors(environment):
            local = download_artifacts(artifact_uri=artifact_uri, dst_path=folder, tracking_uri=environment.tracking_url)
        yield Path(local)


def champion(environment: Environment) -> LoadedModel:
    """The champion, verified and loaded.

    Raises RegistryError: there is none yet, or the registry cannot be reached. BundleError: its files are damaged.
    """
    return load_version(environment, champion_version(open_tracking(environment), environment))


def champion_version(client: MlflowClient, environment: Environment) -> Registered:
    """The champion's version. Raises RegistryError: there is none yet, or the registry cannot be reached."""
    _check_there(environment)
    stamp = registry_stamp(environment)
    found = with_alias(client, environment, CHAMPION)
    if found is None:
        raise RegistryError(f"there is no champion model yet: {_way_to_one(with_alias(client, environment, CHALLENGER))}")
    remember_champion(environment, stamp, found.version, found.source)
    return found


def load_version(environment: Environment, found: Registered) -> LoadedModel:
    """A version, verified and loaded. Raises RegistryError: it cannot be fetched. BundleError: it is damaged."""
    from models.bundle import METRICS, load_bundle, read_file

    with fetched(environment, found.source) as folder, _named(folder, found.source):
        return LoadedModel(found.version, load_bundle(folder), read_file(folder, METRICS) or {})


def check_champion(environment: Environment) -> None:
    """Verify the champion's files without loading them; where there is no champion, there is nothing to verify.

    Raises RegistryError: the registry cannot be reached. BundleError: a file is damaged, or this version cannot use it.
    """
    known = known_champion(environment)
    if known is not None:
        version, folder = known
        _verify(folder, version)
        return
    url = environment.tracking_url
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return
    client, stamp = open_tracking(environment), registry_stamp(environment)
    found = with_alias(client, environment, CHAMPION)
    if found is not None:
        remember_champion(environment, stamp, found.version, found.source)
        with fetched(environment, found.source) as folder, _named(folder, found.source):
            _verify(folder, found.version)


def _verify(folder: Path, version: str) -> None:
    try:
        verified_texts(folder)
    except BundleError as error:
        raise BundleError(f"the champion, version {version}, cannot be served: {error}") from None


@contextmanager
def _named(folder: Path, artifact_uri: str) -> Iterator[None]:
    """Let a BundleError name where the files came from, instead of the copy that will be gone."""
    try:
        yield
    except BundleError as error:
        raise BundleError(str(error).replace(str(folder), _masked(artifact_uri))) from None


def _check_there(environment: Environment) -> None:
    """Raise RegistryError: the registry's SQLite file is gone; to open it would make an empty one."""
    file = environment.tracking_url.removeprefix("sqlite:///")
    if file != environment.tracking_url and not Path(file).exists():
        raise RegistryError(f"the model registry's file {file} is gone: put it back")


def _way_to_one(challenger: Registered | None) -> str:
    if challenger is None:
        return "run foretier train first"
    return f"version {challenger.version} is only a challenger: foretier promote says why, and with --force --why promotes it"


def _registered(found: ModelVersion) -> Registered:
    return Registered(str(found.version), str(found.run_id), str(found.source))


def load_logged_bundle(environment: Environment, artifact_uri: str) -> ValueModel:
    """Fetch a bundle by its artifact address, verify and load it.

    Raises RegistryError: it cannot be fetched. BundleError: it is damaged.
    """
    from models.bundle import load_bundle

    with fetched(environment, artifact_uri) as folder, _named(folder, artifact_uri):
        return load_bundle(folder)


def scored_by(environment: Environment, version: str) -> tuple[ValueModel, Reference | None] | None:
    """The model of a version and its reference, to look back at what it scored; None where the version is gone.

    A version whose features this program no longer computes, or of an older format, counts as gone. Raises RegistryError:
    the registry cannot be reached.
    """
    client = open_tracking(environment)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    from models.bundle import load_bundle, load_reference

    with registry_errors(environment), TemporaryDirectory(prefix="foretier-bundle-") as folder:
        try:
            source = str(client.get_model_version(MODEL_NAME, version).source)
            local = Path(download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=environment.tracking_url))
            return load_bundle(local), load_reference(local)
        except MlflowException as error:
            if error.error_code not in ABSENT:
                raise
            return None
        except BundleError:
            return None


def _quieten() -> None:
    """Set before MLflow is imported: nothing is sent to anybody, only warnings are said, a dead server fails soon."""
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _check_database(url: str) -> None:
    """Connect once to a database server: MLflow itself would try for two minutes. Raises what SQLAlchemy raises."""
    from sqlalchemy import create_engine

    if not url.startswith(("postgresql", "mysql")):
        return
    engine = create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS})
    try:
        engine.connect().close()
    finally:
        engine.dispose()


def _working_client(url: str) -> MlflowClient:
    from mlflow import MlflowClient as MlflowClient  # noqa: PLC0414 (for those who may not import mlflow)

    client = MlflowClient(tracking_uri=url, registry_uri=url)
    client.search_experiments(max_results=1)
    return client


def _set_up(file: Path) -> None:
    """Make MLflow's tables under another name first: it never mends a file whose set-up was interrupted."""
    unfinished = file.with_name(f".{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    _working_client(f"sqlite:///{unfinished}")
    unfinished.replace(file)


@contextmanager
def _lock(database: Path) -> Iterator[None]:
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_suffix(".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _masked(text: str) -> str:
    return PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", text)


@contextmanager
def registry_errors(environment: Environment) -> Iterator[None]:
    """Give one clear line for whatever MLflow answers, addresses without passwords. Raises RegistryError."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, RequestException, SQLAlchemyError, OSError) as error:
        address = _masked(environment.tracking_url)
        reason = _masked(" ".join(str(error).split()))
        raise RegistryError(f"the model registry at {address} cannot be used: {reason[:LONGEST_REASON]}") from None
