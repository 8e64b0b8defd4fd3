"""Start the BentoML server from Python: what ``foretier serve`` runs."""

from __future__ import annotations

import ipaddress
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from configs.errors import BundleError, SettingsError
from models.champion_check import DAMAGED
from serving.keys import is_loopback

SERVICE = "serving.service:Foretier"
ROOT = Path(__file__).resolve().parent.parent
LAST_PORT = 65535
CHECK_SECONDS = 30.0
OPEN_FILES = 65_536


def run_server(host: str, port: int, settings_path: Path) -> None:
    """Serve until SIGINT or SIGTERM; running requests are answered first.

    The champion and the published run may come later; ``/readyz`` tells what is missing.
    Raises SettingsError: settings that cannot be used, a host that is no address of this machine, a port that is taken, an
    address that strangers reach while there is no API key. StoreError: keys cannot be read. BundleError: the champion is damaged.
    """
    with _champion_checked():
        from configs.settings import load_settings

        load_settings(settings_path)
        address, variables = _address(host), _variables(settings_path)
        _check_free(address, port)
        _check_keys(address, variables["FORETIER_STORE_URL"])
    os.environ.update(variables)
    _allow_connections()
    with TemporaryDirectory(prefix="foretier-bentoml-") as folder:
        # Servers that share BentoML's home empty each other's metrics.
        os.environ.setdefault("BENTOML_HOME", folder)
        import bentoml

        bentoml.serve(SERVICE, working_dir=str(ROOT), host=address, port=port, blocking=True)


@contextmanager
def _champion_checked() -> Iterator[None]:
    """Verify the champion's files beside what is done in the block. Raises BundleError, at its end at the latest: one is damaged.

    Where MLflow has to be asked for them, in a process of its own, so that the server need not keep what that takes. Where a
    registry does not answer in time, the service starts all the same: it goes on asking by itself.
    """
    from configs.settings import Environment
    from models.known_champion import known_champion
    from models.registry import check_champion

    environment = Environment.read()
    if known_champion(environment) is not None:
        check_champion(environment)
        yield
        return
    # -P: a folder of the user's named models is not ours.
    command = [sys.executable, "-P", "-m", "models.champion_check"]
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with subprocess.Popen(  # noqa: S603 (our own program)
        command, env={**os.environ, "PYTHONPATH": path}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    ) as check:  # fmt: skip
        try:
            yield
            _, said = check.communicate(timeout=CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            return
        finally:
            check.kill()
    if check.returncode == DAMAGED:
        raise BundleError(said.strip())


def _variables(settings_path: Path) -> dict[str, str]:
    """Environment of the server's processes, which run in the folder of the packages: all paths absolute."""
    from configs.settings import Environment

    environment = Environment.read()
    return {
        "BENTOML_DO_NOT_TRACK": "True",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "FORETIER_CONFIG": str(settings_path.absolute()),
        "FORETIER_HOME": str(environment.home),
        "FORETIER_STORE_URL": _absolute(environment.store_url),
        "MLFLOW_TRACKING_URI": _absolute(environment.tracking_url),
    }


def _absolute(url: str) -> str:
    """Make the path of an SQLite address absolute; anything else stays."""
    prefix, path = "sqlite:///", url.removeprefix("sqlite:///")
    return prefix + str(Path(path).absolute()) if url.startswith(prefix) and path not in ("", ":memory:") else url


def _check_keys(address: str, store_url: str) -> None:
    """Let strangers reach the service only where there is a key to ask them for."""
    if is_loopback(address):
        return
    from serving.key_store import KeyStore

    now = datetime.now(UTC)
    with KeyStore(store_url) as store:
        active = any(record.state(now) == "active" for record in store.records())
    if not active:
        raise SettingsError(
            f"--host {address} lets other machines ask, and there is no active API key: type foretier keys create NAME first, "
            "or serve on 127.0.0.1"
        )


def _allow_connections() -> None:
    """Let the server open as many files as its user may: past the usual limit, 1,024, connections are reset unanswered."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _address(host: str) -> str:
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise SettingsError(f'--host takes an IP address such as 127.0.0.1 or 0.0.0.0, or localhost; found "{host}"') from None


def _check_free(address: str, port: int) -> None:
    if not 1 <= port <= LAST_PORT:
        raise SettingsError(f"--port must be from 1 to {LAST_PORT}, found {port}")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise SettingsError(f"cannot listen on {address}:{port}: {error.strerror}; give another --port or --host") from None
