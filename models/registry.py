"""The model registry: bundles as MLflow model versions of ``foretier``, found again by the alias ``champion``.

MLflow only keeps and finds the files. Bundles are read by ``models.bundle``, which verifies them first; MLflow's own model
loading is never used, since it runs code out of the artifacts.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from configs.errors import BundleError, RegistryError
from configs.settings import Environment
from models.bundle import load_bundle, load_reference
from models.reference import Reference
from models.value_model import ValueModel

if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_NAME = "foretier"
CHAMPION = "champion"
BUNDLE_FOLDER = "bundle"
LONGEST_REASON = 300
CONNECT_SECONDS = 10
PASSWORD = re.compile(r"(?<=://)([^\s/:@]*:)[^\s/@]*(?=@)|(?<=[?&])(password=)[^\s&]*")


@dataclass(frozen=True)
class LoadedModel:
    """A value model with the version under which the registry knows it."""

    version: str
    model: ValueModel


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
    with registry_errors(environment):
        client.set_registered_model_alias(MODEL_NAME, CHAMPION, version)


def champion(environment: Environment) -> LoadedModel:
    """The champion, verified and loaded.

    Raises RegistryError: there is none yet, or the registry cannot be reached. BundleError: its files are damaged.
    """
    client = open_tracking(environment)
    from mlflow.exceptions import MlflowException

    with registry_errors(environment):
        try:
            version = client.get_model_version_by_alias(MODEL_NAME, CHAMPION)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                raise
            raise RegistryError("there is no champion model yet: run foretier train first") from None
    return LoadedModel(str(version.version), load_logged_bundle(environment, str(version.source)))


def load_logged_bundle(environment: Environment, artifact_uri: str) -> ValueModel:
    """Fetch a bundle by its artifact address, verify and load it.

    Raises RegistryError: it cannot be fetched. BundleError: it is damaged.
    """
    _quieten()
    from mlflow.artifacts import download_artifacts

    with TemporaryDirectory(prefix="foretier-bundle-") as folder:
        with registry_errors(environment):
            local = download_artifacts(artifact_uri=artifact_uri, dst_path=folder, tracking_uri=environment.tracking_url)
        return load_bundle(Path(local))


def scored_by(environment: Environment, version: str) -> tuple[ValueModel, Reference | None] | None:
    """The model of a version and its reference, to look back at what it scored; None where the version is gone.

    A version whose features this program no longer computes, or of an older format, counts as gone. Raises RegistryError:
    the registry cannot be reached.
    """
    client = open_tracking(environment)
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    with registry_errors(environment), TemporaryDirectory(prefix="foretier-bundle-") as folder:
        try:
            source = str(client.get_model_version(MODEL_NAME, version).source)
            local = Path(download_artifacts(artifact_uri=source, dst_path=folder, tracking_uri=environment.tracking_url))
            return load_bundle(local), load_reference(local)
        except MlflowException as error:
            if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
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
    from mlflow import MlflowClient

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
