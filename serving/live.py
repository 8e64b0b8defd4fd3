"""What the running service answers from: the settings, the champion model and the published scoring run.

Each may be missing when the service starts and is picked up later, without a restart; :meth:`Live.check_ready` says
what is missing. When a run by another model version is published, the champion is fetched again: lookups and
predictions then speak of the same model. Work that blocks (the database, the model) runs in two small thread pools, so
that a large request never delays the others for long: neither the event loop nor the reads wait for the model.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from configs.errors import ForetierError
from configs.settings import Environment, Settings, load_settings
from serving.refusal import Refusal
from serving.store import ScoringRun, Store

if TYPE_CHECKING:
    from models.registry import LoadedModel

RETRY_SECONDS = 2.0
PUBLISHED_SECONDS = 1.0
MODEL_THREADS = 2
READ_THREADS = 4

logger = logging.getLogger("foretier.serving")
Result = TypeVar("Result")


class Live:
    """The service's state. ``load_champion`` fetches the champion, or raises ForetierError while there is none."""

    def __init__(
        self,
        settings_file: Path,
        environment: Environment,
        load_champion: Callable[[Environment], LoadedModel] | None = None,
    ) -> None:
        self._settings_file = settings_file
        self._environment = environment
        self._load_champion = load_champion or _from_registry
        self._settings: Settings | None = None
        self._champion: LoadedModel | None = None
        self._store: Store | None = None
        self._faults: dict[str, str] = {}
        self._compared: int | None = None
        self._published: ScoringRun | None = None
        self._published_until = 0.0
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="read")
        self._scorers = ThreadPoolExecutor(MODEL_THREADS, thread_name_prefix="model")
        self._task: asyncio.Task[None] | None = None

    # Start and stop

    async def start(self) -> None:
        """Begin to pick up what is there; returns at once."""
        self._task = asyncio.get_running_loop().create_task(self._pick_up())

    async def stop(self) -> None:
        """Stop picking up; let running work end; close the store."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        for pool in (self._scorers, self._readers):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        if self._store is not None:
            self._store.close()

    async def _pick_up(self) -> None:
        while True:
            await self._in(self._readers, self._fetch)
            await asyncio.sleep(RETRY_SECONDS)

    def _fetch(self) -> None:
        """Try for everything that is still missing; note why it cannot be had."""
        if self._settings is None:
            self._settings = self._attempt("settings", lambda: load_settings(self._settings_file))
        if self._store is None:
            self._store = self._attempt("store", lambda: Store(self._environment.store_url))
        if self._champion is None:
            self._champion = self._attempt("model", lambda: self._load_champion(self._environment))
        elif (run_id := self._run_of_another_model()) is not None:
            found = self._attempt("model", lambda: self._load_champion(self._environment))
            if found is not None:
                self._champion, self._compared = found, run_id

    def _run_of_another_model(self) -> int | None:
        """Give the published run, if another version than the loaded one made it and no champion was fetched for it."""
        try:
            run = None if self._store is None else self._store.published()
        except ForetierError:
            return None
        if run is None or self._champion is None or run.run_id == self._compared:
            return None
        return run.run_id if run.terms.model_version != str(self._champion.version) else None

    def _attempt(self, what: str, fetch: Callable[[], Result]) -> Result | None:
        try:
            found = fetch()
        except ForetierError as error:
            fault = str(error)
        except Exception as error:
            fault = f"the {what} cannot be loaded ({type(error).__name__}); the log of the service tells more"
            if self._faults.get(what) != fault:
                logger.exception("the %s cannot be loaded", what)
        else:
            self._faults.pop(what, None)
            logger.info("the %s is loaded", what)
            return found
        if self._faults.get(what) != fault:
            logger.warning("the %s is not there yet: %s", what, fault)
        self._faults[what] = fault
        return None

    # What is there

    def settings(self) -> Settings:
        """The settings. Raises Refusal (503)."""
        if self._settings is None:
            raise self._missing("settings", "the settings are being read")
        return self._settings

    def champion(self) -> LoadedModel:
        """The champion. Raises Refusal (503)."""
        if self._champion is None:
            raise self._missing("model", "the champion model is being loaded")
        return self._champion

    def store(self) -> Store:
        """The store. Raises Refusal (503)."""
        if self._store is None:
            raise self._missing("store", "the score store is being opened")
        return self._store

    async def published(self) -> ScoringRun:
        """The published run, at most a second old. Raises Refusal (503): there is none yet."""
        now = time.monotonic()
        if self._published is None or now >= self._published_until:
            self._published = await self.read(self.store().published)
            self._published_until = now + PUBLISHED_SECONDS
        if self._published is None:
            raise not_ready("no scoring run is published yet: run foretier score")
        return self._published

    async def check_ready(self) -> None:
        """Raise Refusal (503) while settings, a champion that fits them or a run that fits it is missing."""
        settings, champion = self.settings(), self.champion()
        if champion.model.currency != settings.currency:
            raise not_ready(
                f"the champion predicts {champion.model.currency} and the settings say {settings.currency}: "
                "use the settings it was trained with, or train again"
            )
        run = await self.published()
        if run.tier_horizon_days != champion.model.horizon_days:
            raise not_ready(
                f"the published run is by a model of {run.tier_horizon_days} days and the champion "
                f"is one of {champion.model.horizon_days}: run foretier score again"
            )

    def _missing(self, what: str, otherwise: str) -> Refusal:
        return not_ready(self._faults.get(what, otherwise))

    # Work

    async def read(self, work: Callable[[], Result]) -> Result:
        """Run a read of the store off the event loop."""
        return await self._in(self._readers, work)

    async def score(self, work: Callable[[], Result]) -> Result:
        """Run the model off the event loop, in a pool of its own."""
        return await self._in(self._scorers, work)

    @staticmethod
    async def _in(pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(pool, work)


def not_ready(reason: str) -> Refusal:
    """Give the answer while something needed is missing."""
    return Refusal(503, "not_ready", reason, headers={"retry-after": "2"})


def _from_registry(environment: Environment) -> LoadedModel:
    from models.registry import champion

    import_module("serving.request_scoring")  # now, so that no request has to wait for it
    return champion(environment)
