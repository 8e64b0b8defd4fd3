"""Start the BentoML server from Python: what ``foretier serve`` runs."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path
from tempfile import TemporaryDirectory

from configs.errors import SettingsError
from configs.settings import Environment, load_settings

SERVICE = "serving.service:Foretier"
LAST_PORT = 65535


def run_server(host: str, port: int, settings_path: Path) -> None:
    """Serve until SIGINT or SIGTERM; running requests are answered first.

    The champion and the published run may come later; ``/readyz`` tells what is missing.
    Raises SettingsError: settings that cannot be used, a host that is no address of this machine, a port that is taken.
    """
    load_settings(settings_path)
    address = _address(host)
    _check_free(address, port)
    os.environ.update(_variables(settings_path))
    with TemporaryDirectory(prefix="foretier-bentoml-") as folder:
        # Servers that share BentoML's home empty each other's metrics.
        os.environ.setdefault("BENTOML_HOME", folder)
        import bentoml

        root = Path(__file__).resolve().parent.parent
        bentoml.serve(SERVICE, working_dir=str(root), host=address, port=port, blocking=True)


def _variables(settings_path: Path) -> dict[str, str]:
    """Environment of the server's processes, which run in the folder of the packages: all paths absolute."""
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
