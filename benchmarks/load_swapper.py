"""Change what is served, step by step: ``load_swapper.py SWAPS CUSTOMERS``, on the home that the environment names.

First publishes a run of some customers by the champion. Then, for each line on standard input, registers and promotes a new
version, whose values are so many times as high as the champion's, and publishes a run by it. Every step is told as a line of
JSON on standard output, with the time of the clock that all processes of a machine share.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

import narwhals as nw

from configs.days import date_of
from configs.settings import Environment, Settings, load_settings, settings_file
from features.orders import read_orders
from models.bundle import Origin, save_bundle
from models.registry import champion, move_champion, open_tracking, register_bundle
from models.value_model import ValueModel
from serving.scoring import Scoring, score
from serving.store import Store

KEPT_RUNS = 3


def main() -> None:
    """Swap as often as lines come."""
    swaps, customers = int(sys.argv[1]), int(sys.argv[2])
    warnings.simplefilter("ignore")  # MLflow's own
    environment, settings = Environment.read(), load_settings(settings_file(None))
    present = champion(environment)
    as_of = date_of(present.model.as_of)
    orders = _orders(settings, customers)
    client = open_tracking(environment)
    experiment = client.create_experiment("load", artifact_location=(environment.home / "load-artifacts").as_uri())
    _publish(orders, as_of, environment, present.model, present.version)
    tell("begun", present.version, 1.0)
    for number in range(1, swaps + 1):
        sys.stdin.readline()
        factor = 1.0 + number
        model = times(present.model, factor)
        run = client.create_run(experiment).info.run_id
        with TemporaryDirectory() as folder:
            save_bundle(model, Origin(model.as_of, (), "0" * 64, settings.model_dump(mode="json"), {}), Path(folder) / "bundle")
            client.log_artifacts(run, str(Path(folder) / "bundle"), "bundle")
        version = register_bundle(client, environment, run)
        tell("made", version, factor)
        move_champion(client, environment, version)
        tell("promoted", version, factor)
        tell("published", version, factor, _publish(orders, as_of, environment, model, version))


def times(model: ValueModel, factor: float) -> ValueModel:
    """The same model, whose values are so many times as high."""
    blend = replace(model.blend, two_part=model.blend.two_part * factor, btyd=model.blend.btyd * factor)
    return replace(model, blend=blend)


def tell(what: str, version: str, factor: float, at: float | None = None) -> None:
    """Say what was done, just now or at a time."""
    print(json.dumps({"what": what, "version": version, "factor": factor, "at": at or time.monotonic()}), flush=True)


def _orders(settings: Settings, customers: int) -> nw.LazyFrame[Any]:
    """The orders of the first customers by id, in memory."""
    found = read_orders(settings, today=datetime.now(settings.zone).date(), rejected_to=None).orders
    ids = found.select("customer_id").unique().sort("customer_id").head(customers).collect()["customer_id"].to_list()
    return found.filter(nw.col("customer_id").is_in(ids)).collect("polars").lazy()


def _publish(orders: nw.LazyFrame[Any], as_of: date, environment: Environment, model: ValueModel, version: str) -> float:
    """Publish a run; gives the time from which readers could see it, which is before the scorer has tidied up."""
    changed: list[float] = []
    with Store(environment.store_url) as store:
        watching = Thread(target=_watch, args=(environment.store_url, store.published_run_id(), changed), daemon=True)
        watching.start()
        score(orders, as_of, model, store, Scoring(version, datetime.now(UTC), keep_runs=KEPT_RUNS))
        watching.join()
    return changed[0]


def _watch(url: str, before: int | None, changed: list[float]) -> None:
    with Store(url) as store:
        while store.published_run_id() == before:
            time.sleep(0.01)
    changed.append(time.monotonic())


if __name__ == "__main__":
    main()
