"""Drivers of many customers: exact TreeSHAP by our path beside LightGBM's own, on the same boosters and rows.

    python benchmarks/drivers.py [--customers 100000]

The model is fitted on CDNOW with the settings that are shipped; the customers are drawn from its 23,570, so that any number
of them can be asked for. Both ways run in this process, one after the other; LightGBM is given ``--threads``, our tables
(made once for a model) take one. The whole of ``ValueModel.drivers`` (both boosters, BTYD's own Shapley values, all turned
into money) stands below.

The processor time stands beside the clock: on a machine that others use, only the former can be compared.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from configs.settings import load_settings
from features.customers import feature_frame
from features.orders import clean_orders
from features.transactions import read_transactions
from models.columns import Floats
from models.fitting import fit
from models.value_model import ValueModel, model_inputs
from training.panel import snapshot, training_set
from training.pipeline import plan

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "cdnow.yaml"
TARGET = 5.0


@dataclass(frozen=True)
class Timed:
    """What came out, and how long it took by the clock and by the processor, in seconds."""

    result: Any
    clock: float
    processor: float


def timed(work: Callable[[], Any]) -> Timed:
    clock, processor = time.perf_counter(), time.process_time()
    result = work()
    return Timed(result, time.perf_counter() - clock, time.process_time() - processor)


def fitted() -> tuple[ValueModel, pd.DataFrame]:
    """A model of CDNOW, and the features of its customers today."""
    settings = load_settings(CONFIG)
    cleaned = clean_orders(read_transactions(settings.source), settings, today=date(1998, 7, 1))
    planned = plan(cleaned, settings)
    horizon = planned.horizon_days
    current = feature_frame(cleaned.orders, planned.as_of)
    snapshots = [snapshot(cleaned.orders, cutoff, horizon) for cutoff in planned.final]
    return fit(training_set(snapshots, current, planned.as_of, horizon), settings), current


def drawn(features: pd.DataFrame, customers: int) -> pd.DataFrame:
    rows = np.random.default_rng(20260101).integers(0, len(features), customers)
    return features.iloc[rows].set_axis([str(number) for number in range(customers)])


def by_lightgbm(booster: lgb.Booster, inputs: Floats, threads: int) -> Any:
    return booster.predict(inputs, pred_contrib=True, num_threads=threads)


def compared(table: Table, name: str, model: ValueModel, inputs: Floats, threads: int) -> None:
    booster = getattr(model.two_part, f"booster_{name}")
    made = timed(lambda: model._tree_shapley(booster))
    ours = timed(lambda: made.result.contributions(inputs))
    theirs = timed(lambda: by_lightgbm(booster, inputs, threads))
    difference = np.abs(made.result.base + ours.result.sum(axis=1) - theirs.result.sum(axis=1)).max()
    ratio, of_processor = theirs.clock / ours.clock, theirs.processor / ours.processor
    table.add_row(
        name, f"{made.clock:.1f} ({made.processor:.1f})", f"{ours.clock:.1f} ({ours.processor:.1f})",
        f"{theirs.clock:.1f} ({theirs.processor:.1f})", f"{ratio:.1f} ({of_processor:.1f})", f"{difference:.0e}",
    )  # fmt: skip


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--customers", type=int, default=100_000)
    arguments.add_argument("--threads", type=int, default=2)
    given = arguments.parse_args()
    model, features = fitted()
    many = drawn(features, given.customers)
    inputs = model.two_part.matrix(model_inputs(many, model.btyd, model.horizon_days))
    trees = model.two_part.booster_purchase.num_trees()
    table = Table(
        title=f"TreeSHAP of {given.customers:,} customers, {inputs.shape[1]} inputs, {trees} trees, {given.threads} threads",
        caption="Seconds by the clock (and of processor time).",
    )
    table.add_column("booster")
    for heading in (
        "tables made",
        "foretier",
        "LightGBM pred_contrib",
        f"times faster (target {TARGET:g})",
        "largest difference",
    ):
        table.add_column(heading, justify="right")
    compared(table, "purchase", model, inputs, given.threads)
    compared(table, "value", model, inputs, given.threads)
    everything = timed(lambda: model.drivers(many))
    table.add_section()
    table.add_row("drivers in money", "", f"{everything.clock:.1f} ({everything.processor:.1f})", "", "", "")
    Console(width=max(Console().width, 110)).print(table)


if __name__ == "__main__":
    main()
