"""Batch scoring: every customer of a transaction log as of one day, by one model, as one published run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.days import date_of, day_number
from configs.errors import HistoryError
from configs.files import replacing
from models.tier_stability import FREE, Stability
from serving.driver_words import HEADLINES
from serving.predictions import (
    SCORE_COLUMNS,
    CustomerScore,
    Terms,
    customer_scores,
    last_order,
    next_order,
    packed_history,
    predictions_and_drivers,
    stored_drivers,
    terms_of,
    tier_since,
)
from serving.stable_tiers import run_before, tiers_before, with_stable_tiers

if TYPE_CHECKING:
    import narwhals as nw
    import pandas as pd

    from features.history import OrderHistory
    from models.value_model import ValueModel
    from serving.exports import ParquetParts
    from serving.store import RunWriter, ScoringRun, Store

CHUNK_CUSTOMERS = 20_000
Progress = Callable[[int, int], None]
_SPARSE_TYPES = {"next_order": "date32", "tier_probability": "float64", "grade": "string"}
"""Of columns that may hold nothing at all in a part of the customers."""
_DAYS = {"last_order_day": last_order, "next_order_day": next_order, "tier_since_day": tier_since}


@dataclass(frozen=True)
class Scoring:
    """How a scoring run is done. ``created_at`` (with a time zone) is the time written into the run.

    ``horizon_days``: look so far ahead; None is what the model was trained for, and tiers are of that in any case.
    ``stability``: how customers are held to their tiers of the published run; the default holds nobody.
    ``out``: also write the scores to this Parquet file. ``progress(done, total)`` is told of every chunk of customers,
    ``note`` what is worth a word to people.
    """

    model_version: str
    created_at: datetime
    keep_runs: int = 12
    threads: int = 1
    out: Path | None = None
    progress: Progress = lambda _done, _total: None
    horizon_days: int | None = None
    stability: Stability = FREE
    note: Callable[[str], None] = lambda _: None


def score(orders: nw.LazyFrame[Any], as_of: date, model: ValueModel, store: Store, how: Scoring) -> ScoringRun:
    """Score every customer with a purchase before ``as_of`` (the first day not observed) and publish the run.

    ``orders`` are canonical orders (``features.orders``). Readers of the store see the run only when it is complete; a
    file asked for is complete before that. When anything fails before publishing, neither is there.

    Raises HistoryError: no purchase before ``as_of``. StoreError: the store cannot be used, or another scorer is
    writing to it.
    """
    from features.customers import feature_frame
    from features.history import order_history

    features = feature_frame(orders, day_number(as_of))
    if features.empty:
        raise HistoryError(f"no customer has a purchase before {as_of.isoformat()}; give a later --as-of")
    if said := _of_another_time(model, day_number(as_of)):
        how.note(said)
    terms = terms_of(model, as_of, how.model_version, how.horizon_days)
    new_run = store.writing(terms, tier_names=model.tiers.names, created_at=how.created_at, tier_horizon_days=model.horizon_days)
    with new_run as writer:
        before, why_not = run_before(store.published(), model, terms)
        if why_not:
            how.note(f"{why_not}: nobody is held in the tier of that run")
        with _parts(how.out) as parts:
            history = order_history(orders, day_number(as_of))
            chunks = _chunks(model, features, terms, how, history, lambda customers: tiers_before(store, before, customers))
            _write(writer, parts, features, chunks, terms, how.progress)
        return writer.publish(keep_runs=how.keep_runs)


def _of_another_time(model: ValueModel, as_of: int) -> str:
    """Say that the model belongs to another day than the one scored; empty where it does not."""
    trained = date_of(model.as_of).isoformat()
    if as_of < model.as_of:
        return (
            f"the model knows what happened up to {trained}, after the day scored: these are no predictions, and their level and "
            "season are those of its own day (train with --until to look back)"
        )
    if as_of > model.as_of + model.horizon_days:
        return f"the model is of {trained}, more than its horizon ago, and so are its level and season: train again"
    return ""


def default_as_of(last_order_day: int) -> date:
    """Give the day after the last order: all of the log is observed, and no day without data is taken for silence.

    >>> default_as_of(15136)
    datetime.date(2011, 6, 12)
    """
    return date_of(last_order_day + 1)


def _chunks(
    model: ValueModel,
    features: pd.DataFrame,
    terms: Terms,
    how: Scoring,
    history: OrderHistory,
    before: Callable[[pd.Index[str]], pd.DataFrame],
) -> Iterator[list[CustomerScore]]:
    as_of = day_number(terms.as_of)
    for start in range(0, len(features), CHUNK_CUSTOMERS):
        chunk = features.iloc[start : start + CHUNK_CUSTOMERS]
        predictions, drivers = predictions_and_drivers(model, chunk, terms, threads=how.threads)
        trained = terms.horizon_days == model.horizon_days
        of_tiers = predictions if trained else model.predict(chunk, as_of=as_of, threads=how.threads)
        values = of_tiers["predicted_value"]
        stable = with_stable_tiers(predictions, values, model.tiers, before(chunk.index), how.stability, as_of)
        told = stable.assign(order_history=list(map(packed_history, history.of(chunk.index))))
        yield list(customer_scores(chunk, told, drivers))


def _write(
    writer: RunWriter,
    parts: ParquetParts | None,
    features: pd.DataFrame,
    chunks: Iterator[list[CustomerScore]],
    terms: Terms,
    progress: Progress,
) -> None:
    done = 0
    for chunk in chunks:
        writer.add(chunk)
        if parts is not None:
            parts.add(_columns(chunk, terms), types=_SPARSE_TYPES)
        done += len(chunk)
        progress(done, len(features))


@contextmanager
def _parts(out: Path | None) -> Iterator[ParquetParts | None]:
    if out is None:
        yield None
        return
    from serving.exports import ParquetParts

    with replacing(out) as temporary, temporary.open("wb") as file, closing(ParquetParts(file)) as parts:
        yield parts


def _columns(scores: Sequence[CustomerScore], terms: Terms) -> dict[str, list[Any]]:
    """Give the columns for Parquet: the prediction, the effect of each driver group, and the terms."""
    plain = [name for name in SCORE_COLUMNS if name not in (*_DAYS, "drivers", "order_history")]
    columns: dict[str, list[Any]] = {name: [getattr(one, name) for one in scores] for name in plain}
    columns |= {name.removesuffix("_day"): [day_of(one) for one in scores] for name, day_of in _DAYS.items()}
    drivers = [stored_drivers(one) for one in scores]
    for what in ("value", "churn"):
        effects = [{driver.group: driver.effect for driver in getattr(one, what)} for one in drivers]
        columns |= {f"{what}_driver_{group}": [one[group] for one in effects] for group in HEADLINES}
    for name in ("as_of", "horizon_days", "currency", "model_version", "grade"):
        columns[name] = [getattr(terms, name)] * len(scores)
    return columns
