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

import asyncio
import signal
from typing import Any

import bentoml

from configs.settings import Environment, settings_file
from serving.app import Api
from serving.guard import Guard
from serving.live import Live
from serving.openapi import openapi
from serving.routes import METRICS, ROUTES

REQUEST_SECONDS = 60
SUPERVISOR_SECONDS = 1.0
LATENCY_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0]


class GuardedService(bentoml.Service[Any]):  # type: ignore[misc]  # BentoML loads its names lazily: mypy sees Any
    """A BentoML service with the guard outside of it: of BentoML's own pages only ``/metrics`` can be reached."""

    def to_asgi(self, is_main: bool = True) -> Any:  # noqa: FBT001, FBT002 - BentoML's signature
        """Make the ASGI app that the worker serves."""
        app: Any = super().to_asgi(is_main=is_main)
        offered = (METRICS.template, "")  # BentoML's metrics, and the mounted app
        app.router.routes[:] = [route for route in app.router.routes if route.path in offered]
        return Guard(app, ROUTES)

    @property
    def openapi_spec(self) -> Any:
        """The true description: BentoML writes it into a Bento."""
        return openapi()


@bentoml.asgi_app(Api(lambda: bentoml.get_current_service().live).app())
@bentoml.service(
    name="foretier",
    service_class=GuardedService,
    workers=1,
    traffic={"timeout": REQUEST_SECONDS},
    metrics={"duration": {"buckets": LATENCY_BUCKETS}},
)
class Foretier:
    """Customer value prediction over HTTP; see ``/docs``."""

    def __init__(self) -> None:
        self.live = Live(settings_file(None), Environment.read())
        self._supervisor = os.getppid()
        self._watch: asyncio.Task[None] | None = None

    @bentoml.on_startup  # type: ignore[untyped-decorator]
    async def start(self) -> None:
        """Begin to load the champion and to look for a published run."""
        await self.live.start()
        self._watch = asyncio.get_running_loop().create_task(self._end_with_supervisor())

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    async def stop(self) -> None:
        """Let running work end."""
        if self._watch is not None:
            self._watch.cancel()
        await self.live.stop()

    async def _end_with_supervisor(self) -> None:
        """Stop this worker when the process that started it was killed: otherwise it would hold the port for ever."""
        while os.getppid() == self._supervisor:  # noqa: ASYNC110 - the dead set no event
            await asyncio.sleep(SUPERVISOR_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)
