"""A small, real state to serve from: a model fitted on the CDNOW sample, its scoring run in a store."""

from __future__ import annotations

import asyncio
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import httpx
import narwhals as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest
import yaml

from configs.days import day_number
from configs.settings import Environment, Settings, load_settings, source_path
from features.customers import feature_frame
from features.orders import clean_orders
from features.transactions import read_transactions
from models.bundle import Origin, save_bundle
from models.fitting import TrainingSet, fit
from models.registry import BUNDLE_FOLDER, move_champion, open_tracking, register_bundle
from models.value_model import ValueModel
from serving.app import Api
from serving.guard import Guard
from serving.live import Champions, Live
from serving.metrics import Metrics
from serving.scoring import Scoring, score
from serving.store import ScoringRun, Store

AS_OF = date(1998, 7, 1)
HORIZON_DAYS = 90
STRANGE_IDS = {
    "0004": "a/b c",
    "0021": "Zoë 😀%2F",
    "0045": "00045",
    "0111": "..\\x?y#z&=+",
    "0113": "{customer_id}",
    "0121": "'=1+1",
}


@dataclass(frozen=True)
class State:
    """What was trained and scored."""

    settings: Settings
    settings_path: Path
    home: Path
    orders: nw.LazyFrame[Any]
    model: ValueModel
    run: ScoringRun

    @property
    def store_url(self) -> str:
        """The address of the store."""
        return f"sqlite:///{self.home / 'scores.db'}"


@dataclass(frozen=True)
class Loaded:
    """A champion as the registry gives it."""

    version: str
    model: ValueModel
    metrics: Mapping[str, Any] = field(default_factory=dict)


class InProcess:
    """The routes behind the guard, without a server."""

    def __init__(self, live: Live, loop: asyncio.AbstractEventLoop) -> None:
        self.live = live
        self._loop = loop
        self._app: Any = Guard(
            Api(lambda: live).handlers(), lifespan=nothing, serving=live.serving, keys=live.keys, metrics=live.metrics
        )

    def ask(self, method: str, path: str, peer: str = "127.0.0.1", **arguments: Any) -> httpx.Response:
        """One request from ``peer``; an error of the app is an answer, as on a server."""

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app, raise_app_exceptions=False, client=(peer, 50_000))
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, **arguments)

        return self._loop.run_until_complete(go())

    def get(self, path: str, **arguments: Any) -> httpx.Response:
        """GET."""
        return self.ask("GET", path, **arguments)

    def predict(self, *customers: dict[str, Any], **more: Any) -> httpx.Response:
        """POST /v1/predictions."""
        return self.ask("POST", "/v1/predictions", json={"customers": list(customers), **more})

    def wait_until(self, done: Callable[[], bool], seconds: float = 10.0) -> None:
        """Let the service work until something holds."""
        until = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < until, "waited in vain"
            self._loop.run_until_complete(asyncio.sleep(0.02))


async def nothing(*_: Any) -> None:
    """Stands where BentoML's app is started and stopped."""


Serve = Callable[..., AbstractContextManager[InProcess]]


@pytest.fixture(scope="session")
def serve() -> Iterator[Serve]:
    """``with serve(settings_path, environment, load_champion) as service``: the service, in process, looking often for news."""

    @contextmanager
    def serving(
        settings_path: Path, environment: Environment, source: Callable[[Environment], Any] | Champions
    ) -> Iterator[InProcess]:
        loop = asyncio.new_event_loop()
        champions = source
        if not isinstance(source, Champions):
            load_champion = source
            champions = Champions(lambda: load_champion(environment), lambda found: found)
        live = Live(settings_path, environment, champions, Metrics())
        loop.run_until_complete(live.start())
        try:
            yield InProcess(live, loop)
        finally:
            loop.run_until_complete(live.stop())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    with pytest.MonkeyPatch.context() as patch:
        for name in ("RUN_SECONDS", "CHAMPION_SECONDS", "KEYS_SECONDS"):
            patch.setattr(f"serving.live.{name}", 0.1)
        yield serving


@pytest.fixture(scope="session")
def service(state: State, serve: Serve) -> Iterator[InProcess]:
    """The service in process, ready."""
    environment = Environment.read({"FORETIER_HOME": str(state.home)})
    with serve(state.settings_path, environment, lambda _: Loaded("1", state.model)) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        yield service


@pytest.fixture(scope="session")
def state(tmp_path_factory: pytest.TempPathFactory) -> State:
    """A model of the 2,357 customers of the CDNOW sample, some of them with strange ids, scored as of 1998-07-01."""
    home = tmp_path_factory.mktemp("home")
    settings_path = _settings_file(home)
    settings = load_settings(settings_path)
    orders = clean_orders(read_transactions(settings.source), settings, today=AS_OF).orders
    model = fit(_training_set(orders), settings)
    with Store(f"sqlite:///{home / 'scores.db'}") as store:
        created = datetime(1998, 7, 1, 6, tzinfo=UTC)
        run = score(orders, AS_OF, model, store, Scoring("1", created))
    return State(settings, settings_path, home, orders, model, run)


@pytest.fixture(scope="session")
def make_champion(state: State) -> Callable[[Path], None]:
    """Give a function that makes the state's model the champion of a home, as training does."""

    def make(home: Path) -> None:
        environment = Environment.read({"FORETIER_HOME": str(home)})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # MLflow calls what its own libraries deprecate
            client = open_tracking(environment)
            experiment = client.create_experiment("served", artifact_location=(home / "artifacts").as_uri())
            run = client.create_run(experiment).info.run_id
            save_bundle(state.model, Origin(day_number(AS_OF), (), "0" * 64, {}, {}), home / BUNDLE_FOLDER)
            client.log_artifacts(run, str(home / BUNDLE_FOLDER), BUNDLE_FOLDER)
            move_champion(client, environment, register_bundle(client, environment, run))

    return make


def _settings_file(home: Path) -> Path:
    lines = Path(source_path("package:lifetimes/datasets/CDNOW_sample.txt")).read_text().split("\n")
    cells = [line.split() for line in lines if line.strip()]
    columns = ("customer", "day", "items", "amount")
    rows = [(STRANGE_IDS.get(sample, sample), day, items, amount) for _, sample, day, items, amount in cells]
    pl.DataFrame(rows, schema=columns, orient="row").write_parquet(home / "orders.parquet")
    settings = {
        "source": {"path": str(home / "orders.parquet")},
        "columns": {"customer_id": "customer", "ordered_at": "day", "items": "items", "amount": "amount"},
        "cleaning": {"date_format": "%Y%m%d", "exact_duplicates": "keep"},
        "currency": "USD",
        "horizon_days": HORIZON_DAYS,
        "training": {"boosting_rounds": 30},
        "serving": {"header_seconds": 1.0},
    }
    path = home / "foretier.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def _training_set(orders: nw.LazyFrame[Any]) -> TrainingSet:
    """Monthly cutoffs, labelled here in the plainest way."""
    as_of = day_number(AS_OF)
    cutoffs = [as_of - HORIZON_DAYS - 30 * back for back in range(7)]
    frames = {cutoff: feature_frame(orders, cutoff) for cutoff in cutoffs}
    rows = orders.select("customer_id", "order_day", "amount").collect().to_pandas()
    spent = {
        cutoff: rows[rows.order_day.between(cutoff, cutoff + HORIZON_DAYS - 1)].groupby("customer_id").amount.sum()
        for cutoff in cutoffs
    }
    value = [spent[cutoff].reindex(frame.index) for cutoff, frame in frames.items()]
    return TrainingSet(
        features=pd.concat(list(frames.values())),
        cutoff=np.concatenate([np.full(len(frame), cutoff) for cutoff, frame in frames.items()]),
        active=np.concatenate([one.notna().to_numpy(np.float64) for one in value]),
        value=np.concatenate([one.fillna(0.0).clip(lower=0.0).to_numpy() for one in value]),
        current=feature_frame(orders, as_of),
        as_of=as_of,
        horizon_days=HORIZON_DAYS,
    )
