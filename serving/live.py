"""What the running service answers from: settings, champion model, published scoring run and API keys, followed as they change.

A :class:`Generation` is what holds at one moment; it is replaced whole, so that a request, which takes one at its beginning,
never sees a half of two. A newer run or champion is loaded, verified and tried beside the present one, and takes its place
only when it works: one that is damaged or does not fit leaves the present one serving, and ``/readyz`` says so. What cannot be
reached for a time (registry, store) changes nothing either.

All that blocks runs in threads: each source is followed in one of its own, so that a registry that hangs delays no run.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from configs.days import date_of
from configs.errors import BundleError, ForetierError
from configs.settings import Environment, Serving, Settings, load_settings
from serving.batching import Batcher
from serving.key_store import KeyStore
from serving.keys import KeyRing
from serving.metrics import Metrics, age_seconds
from serving.refusal import not_ready
from serving.request_log import traceback_without_values
from serving.store import ScoringRun, Store

if TYPE_CHECKING:
    from models.registry import LoadedModel, Registered

RUN_SECONDS, CHAMPION_SECONDS, KEYS_SECONDS = 1.0, 2.0, 2.0
DAMAGED_SECONDS = 30.0
"""A damaged bundle is read again after this long, in case its files were restored."""
READ_THREADS, LIST_THREADS = 4, 2
ANSWER_SECONDS = 10.0
"""A PostgreSQL that takes longer over one read is taken to be away."""
SECONDS_OF_DAY = 86_400.0

logger = logging.getLogger("foretier.serving")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Champions:
    """How the champion is found and loaded; ``find`` raises RegistryError, ``load`` also BundleError."""

    find: Callable[[], Registered]
    load: Callable[[Registered], LoadedModel]


@dataclass(frozen=True, slots=True)
class Generation:
    """What one request is answered from, from its beginning to its end."""

    champion: LoadedModel | None = None
    run: ScoringRun | None = None


class Live:
    """The service's state. For one event loop."""

    def __init__(self, settings_file: Path, environment: Environment, champions: Champions, metrics: Metrics) -> None:
        self._settings_file, self._environment, self._champions = settings_file, environment, champions
        self.metrics = metrics
        self.batcher = Batcher()
        self._keys: KeyRing | None = None
        self._key_store: KeyStore | None = None
        self._generation = Generation()
        self._candidate: LoadedModel | None = None
        self._damaged: tuple[str, float] | None = None
        self._settings: Settings | None = None
        self._store: Store | None = None
        self._faults: dict[str, str] = {}
        self._readers = ThreadPoolExecutor(READ_THREADS, thread_name_prefix="read")
        self._list_readers = ThreadPoolExecutor(LIST_THREADS, thread_name_prefix="list")
        self._followers = ThreadPoolExecutor(3, thread_name_prefix="follow")
        self._tasks: list[asyncio.Task[None]] = []
        self._describe(metrics)

    # Start and stop

    async def start(self) -> None:
        """Begin to follow what is there; returns at once."""
        for follow, seconds in (
            (self._follow_run, RUN_SECONDS), (self._follow_champion, CHAMPION_SECONDS), (self._follow_keys, KEYS_SECONDS),
        ):  # fmt: skip
            self._tasks.append(asyncio.get_running_loop().create_task(_again_and_again(follow, seconds)))

    async def stop(self) -> None:
        """Stop following; let running work end; close the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.batcher.close()
        for pool in (self._readers, self._list_readers, self._followers):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)
        for store in (self._store, self._key_store):
            if store is not None:
                store.close()

    # What is there

    def serving(self) -> Serving:
        """What the service takes: the defaults until the settings are read."""
        return Serving() if self._settings is None else self._settings.serving

    def settings(self) -> Settings:
        """The settings. Raises Refusal (503)."""
        if self._settings is None:
            raise not_ready(self._faults.get("settings", "the settings are being read"))
        return self._settings

    def keys(self) -> KeyRing:
        """All API keys. Raises Refusal (503): they were not read yet, and nobody is let in for that."""
        if self._keys is None:
            raise not_ready(self._faults.get("keys", "the API keys are being read"))
        return self._keys

    def champion(self) -> LoadedModel:
        """The champion. Raises Refusal (503)."""
        if self._generation.champion is None:
            why = self._faults.get("model") or self._faults.get("registry")
            raise not_ready(why or "the champion model is being loaded")
        return self._generation.champion

    def run(self) -> ScoringRun:
        """The published run. Raises Refusal (503)."""
        if self._generation.run is None:
            raise not_ready(self._faults.get("run", "no scoring run is published yet: run foretier score"))
        return self._generation.run

    def store(self) -> Store:
        """The store. Raises Refusal (503)."""
        if self._store is None:
            raise not_ready(self._faults.get("run", "the score store is being opened"))
        return self._store

    def check_ready(self) -> dict[str, str]:
        """Give what is wrong though the service serves on, in words by what it is; empty where all is well.

        Raises Refusal (503): settings, champion, run or keys are missing, or do not belong together.
        """
        settings, champion, run = self.settings(), self.champion(), self.run()
        self.keys()  # until they are read, every request is refused
        if unfit := _unfit(champion, settings, run):
            raise not_ready(unfit)
        return dict(sorted(self._faults.items()))

    async def read(self, work: Callable[[], Result]) -> Result:
        """Run a read of the store off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def read_list(self, work: Callable[[], Result]) -> Result:
        """Run a long read off the event loop, in threads of its own: lookups do not wait for lists."""
        return await asyncio.get_running_loop().run_in_executor(self._list_readers, work)

    # How it is followed

    async def _follow(self, what: str, fetch: Callable[[], Result], otherwise: str) -> Result | None:
        """Fetch in a thread; None, and a fault in words that is logged once, where that is not possible now."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._followers, fetch)
        except ForetierError as error:
            fault = f"{error}{otherwise}"
        except Exception as error:
            fault = f"the {what} cannot be loaded ({type(error).__name__}); the log of the service tells more{otherwise}"
            if self._faults.get(what) != fault:
                logger.exception("the %s cannot be loaded", what)
        else:
            self._faults.pop(what, None)
            return found
        self._fault(what, fault)
        return None

    def _fault(self, what: str, fault: str) -> None:
        if self._faults.get(what) != fault:
            logger.warning("the %s is not there now: %s", what, fault)
            self.metrics.reload(what, succeeded=False)
        self._faults[what] = fault

    async def _read_settings(self) -> Settings | None:
        if self._settings is None:
            self._settings = await self._follow("settings", lambda: load_settings(self._settings_file), "")
        return self._settings

    async def _follow_run(self) -> None:
        """Pick up a newly published run."""
        if await self._read_settings() is None:
            return
        present = self._generation.run
        serving_on = f": run {present.run_id} is served on" if present is not None else ""
        run = await self._follow("run", self._newest_run, serving_on)
        if run is None or (present is not None and run.run_id == present.run_id):
            return
        for champion in {id(one): one for one in (self._generation.champion, self._candidate) if one is not None}.values():
            await self._warm(champion, run)
        self._replace(run)

    def _newest_run(self) -> ScoringRun | None:
        if self._store is None:
            self._store = Store(self._environment.store_url, answer_seconds=ANSWER_SECONDS)
        present = self._generation.run
        if present is not None and self._store.published_run_id() == present.run_id:
            return present
        return self._store.published()

    async def _follow_champion(self) -> None:
        """Pick up a newly promoted champion."""
        if await self._read_settings() is None:
            return
        present = self._generation.champion
        serving_on = f"; version {present.version} is served on" if present is not None else ""
        found = await self._follow("registry", self._champions.find, serving_on)
        if found is None or self._is_damaged(found):
            return
        if self._candidate is not None and self._candidate.version == found.version:
            self._faults.pop("model", None)  # of a version that is promoted no longer
            return
        loaded = await self._follow("model", lambda: self._loaded(found), serving_on)
        if loaded is not None and await self._works(loaded, serving_on):
            self._candidate = loaded
            self._replace(self._generation.run)

    def _is_damaged(self, found: Registered) -> bool:
        return self._damaged is not None and self._damaged[0] == found.version and time.monotonic() < self._damaged[1]

    def _loaded(self, found: Registered) -> LoadedModel:
        try:
            return self._champions.load(found)
        except BundleError as error:
            self._damaged = (found.version, time.monotonic() + DAMAGED_SECONDS)
            raise BundleError(f"champion version {found.version} cannot be used: {error}") from None

    async def _works(self, champion: LoadedModel, serving_on: str) -> bool:
        """Let a model predict a made-up customer before it is served."""
        run = self._generation.run
        as_of = date_of(champion.model.as_of) if run is None else run.terms.as_of
        try:
            await self.batcher.prepare(as_of, champion, self.settings())
        except Exception as error:  # noqa: BLE001 - whatever a model can do wrong
            self._damaged = (champion.version, time.monotonic() + DAMAGED_SECONDS)
            where = traceback_without_values(error)
            self._fault("model", f"champion version {champion.version} cannot predict ({where}){serving_on}")
            return False
        return True

    async def _warm(self, champion: LoadedModel, run: ScoringRun) -> None:
        """Predict as of the run's day, so that no request has to wait for the first time of a day."""
        try:
            await self.batcher.prepare(run.terms.as_of, champion, self.settings())
        except Exception as error:  # noqa: BLE001 - the run does not depend on it
            logger.warning("no prediction as of run %s: %s", run.run_id, traceback_without_values(error))

    def _replace(self, run: ScoringRun | None) -> None:
        """Make the run and, where it fits, the candidate the present ones, both at once."""
        before, champion, settings = self._generation, self._generation.champion, self.settings()
        self._faults.pop("candidate", None)
        if self._candidate is not None and self._candidate is not champion:
            unfit = _unfit(self._candidate, settings, run)
            if champion is None or not unfit:
                champion = self._candidate
            else:
                self._fault("candidate", f"champion version {self._candidate.version} waits: {unfit}")
        self._generation = Generation(champion, run)
        if champion is not None and champion is not before.champion:
            logger.info("champion version %s is served", champion.version)
            self.metrics.reload("model", succeeded=True)
        if run is not None and run is not before.run:
            logger.info("scoring run %s is served", run.run_id)
            self.metrics.reload("run", succeeded=True)

    async def _follow_keys(self) -> None:
        """Pick up keys that were created or revoked."""
        found = await self._follow("keys", self._all_keys, "; the keys known before hold on")
        if found is not None:
            self._keys = found

    def _all_keys(self) -> KeyRing:
        if self._key_store is None:
            self._key_store = KeyStore(self._environment.store_url, answer_seconds=ANSWER_SECONDS)
        return KeyRing(self._key_store.records())

    def _describe(self, metrics: Metrics) -> None:
        """Let the metrics tell how old what is served is."""

        def of_run(read: Callable[[ScoringRun], float]) -> Callable[[], float]:
            return lambda: math.nan if self._generation.run is None else read(self._generation.run)

        def model_age() -> float:
            champion = self._generation.champion
            return math.nan if champion is None else age_seconds(champion.model.as_of * SECONDS_OF_DAY)

        metrics.gauge(
            "foretier_run_age_seconds", "Since the run was scored", of_run(lambda run: age_seconds(run.created_at.timestamp()))
        )
        metrics.gauge("foretier_run_customers", "Customers of the published run", of_run(lambda run: float(run.customers)))
        metrics.gauge("foretier_model_age_seconds", "Since the first day that the champion did not observe", model_age)
        metrics.gauge("foretier_faults", "What is wrong though the service serves on", lambda: float(len(self._faults)))


def from_registry(environment: Environment) -> Champions:
    """Champions of the MLflow registry that the environment names."""
    from models.registry import champion_version, load_version, open_tracking

    opened = cache(lambda: open_tracking(environment))
    return Champions(find=lambda: champion_version(opened(), environment), load=lambda found: load_version(environment, found))


def _unfit(champion: LoadedModel, settings: Settings, run: ScoringRun | None) -> str:
    """Say why champion, settings and run do not belong together; empty where they do."""
    model = champion.model
    if model.currency != settings.currency:
        return (
            f"the champion predicts {model.currency} and the settings say {settings.currency}: "
            "use the settings it was trained with, or train again"
        )
    if run is not None and run.tier_horizon_days != model.horizon_days:
        return (
            f"the published run is by a model of {run.tier_horizon_days} days and the champion "
            f"is one of {model.horizon_days}: run foretier score again"
        )
    return ""


async def _again_and_again(follow: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        try:
            await follow()
        except Exception:
            logger.exception("what is served cannot be followed; trying again")
        await asyncio.sleep(seconds)
