"""The BentoML service that ``foretier serve`` runs.

BentoML's own command, from the project root: ``BENTOML_DO_NOT_TRACK=True bentoml serve serving.service:Foretier``.
Settings come from the file that ``FORETIER_CONFIG`` names (default ``foretier.yaml``), addresses from the environment:
see ``configs.settings``.
"""

from __future__ import annotations

import os

# For this process and the ones it starts. BentoML's own commands have read theirs before they import this module: whoever
# runs them sets BENTOML_DO_NOT_TRACK outside (docs/commands.md).
os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
# One process counts, in its own memory: prometheus_client reads this when it is imported, and would keep its counts in files.
os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)

import asyncio
import gc
import signal
from contextlib import suppress
from typing import Any

import bentoml

from configs.errors import SettingsError
from configs.settings import Environment, Serving, load_settings, settings_file
from serving.app import Api
from serving.guard import Guard
from serving.live import Live, from_registry
from serving.metrics import Metrics
from serving.openapi import openapi
from serving.refusal import Refusal

SUPERVISOR_SECONDS = 1.0


class GuardedService(bentoml.Service[Any]):  # type: ignore[misc]  # BentoML loads its names lazily: mypy sees Any
    """A BentoML service whose routes are those of the guard; BentoML's app starts and stops it, and is asked for nothing else."""

    def to_asgi(self, is_main: bool = True) -> Any:  # noqa: FBT001, FBT002 - BentoML's signature
        """Make the ASGI app that the worker serves."""
        from serving import http_protocol
        from serving.request_log import log_as_json

        log_as_json()
        http_protocol.install(_serving().header_seconds)

        current = bentoml.get_current_service  # BentoML looks its names up anew at every use

        def live() -> Live:
            return current().live  # type: ignore[no-any-return]

        return Guard(
            Api(live).handlers(),
            lifespan=super().to_asgi(is_main=is_main),
            serving=lambda: live().serving(),
            keys=lambda: live().keys(),
            metrics=METRICS,
        )

    @property
    def openapi_spec(self) -> Any:
        """The true description: BentoML writes it into a Bento."""
        return openapi()


METRICS = Metrics()


def _serving() -> Serving:
    """What the settings say of the service; the defaults where they cannot be read, which ``/readyz`` tells."""
    try:
        return load_settings(settings_file(None)).serving
    except SettingsError:
        return Serving()


@bentoml.service(name="foretier", service_class=GuardedService, workers=1, metrics={"enabled": False})
class Foretier:
    """Customer value prediction over HTTP; see ``/docs``."""

    def __init__(self) -> None:
        environment = Environment.read()
        self.live = Live(settings_file(None), environment, from_registry(environment), METRICS)
        self._supervisor = os.getppid()
        self._tasks: list[asyncio.Task[None]] = []

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Begin to load the champion and to look for a published run."""
        await self.live.start()
        for work in (self._end_with_supervisor(), self._spare_collector()):
            self._tasks.append(asyncio.get_running_loop().create_task(work))

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Let running work end."""
        for task in self._tasks:
            task.cancel()
        await self.live.stop()

    async def _spare_collector(self) -> None:
        """Once all is loaded, take it out of the garbage collector's rounds: each would hold up every request for 0.3 s."""
        while True:
            await asyncio.sleep(SUPERVISOR_SECONDS)
            with suppress(Refusal):
                self.live.check_ready()
                break
        gc.collect()
        gc.freeze()

    async def _end_with_supervisor(self) -> None:
        """Stop this worker when the process that started it was killed: otherwise it would hold the port for ever."""
        while os.getppid() == self._supervisor:  # noqa: ASYNC110 - the dead set no event
            await asyncio.sleep(SUPERVISOR_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
