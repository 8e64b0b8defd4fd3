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
from serving.predictions import HEADLINES, SCORE_COLUMNS, CustomerScore, Terms, last_order, predicted, stored_drivers

if TYPE_CHECKING:
    import narwhals as nw
    import pandas as pd

    from models.value_model import ValueModel
    from serving.exports import ParquetParts
    from serving.store import RunWriter, ScoringRun, Store

CHUNK_CUSTOMERS = 20_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Scoring:
    """How a scoring run is done. ``created_at`` (with a time zone) is the time written into the run.

    ``out``: also write the scores to this Parquet file. ``progress(done, total)`` is told of every chunk of customers.
    """

    model_version: str
    created_at: datetime
    keep_runs: int = 12
    threads: int = 1
    out: Path | None = None
    progress: Progress = lambda _done, _total: None


def score(orders: nw.LazyFrame[Any], as_of: date, model: ValueModel, store: Store, how: Scoring) -> ScoringRun:
    """Score every customer with a purchase before ``as_of`` (the first day not observed) and publish the run.

    ``orders`` are canonical orders (``features.orders``). Readers of the store see the run only when it is complete; a
    file asked for is complete before that. When anything fails before publishing, neither is there.

    Raises HistoryError: no purchase before ``as_of``. StoreError: the store cannot be used, or another scorer is
    writing to it.
    """
    from features.customers import feature_frame

    features = feature_frame(orders, day_number(as_of))
    if features.empty:
        raise HistoryError(f"no customer has a purchase before {as_of.isoformat()}; give a later --as-of")
    terms = Terms(as_of, model.horizon_days, model.currency, how.model_version)
    with store.writing(terms, tier_names=model.tiers.names, created_at=how.created_at) as writer:
        with _parts(how.out) as parts:
            _write(writer, parts, features, _chunks(model, features, terms, how), terms, how.progress)
        return writer.publish(keep_runs=how.keep_runs)


def default_as_of(last_order_day: int) -> date:
    """Give the day after the last order: all of the log is observed, and no day without data is taken for silence.

    >>> default_as_of(15136)
    datetime.date(2011, 6, 12)
    """
    return date_of(last_order_day + 1)


def _chunks(model: ValueModel, features: pd.DataFrame, terms: Terms, how: Scoring) -> Iterator[list[CustomerScore]]:
    for start in range(0, len(features), CHUNK_CUSTOMERS):
        yield list(predicted(model, features.iloc[start : start + CHUNK_CUSTOMERS], terms, threads=how.threads))


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
            parts.add(_columns(chunk, terms))
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
    plain = [name for name in SCORE_COLUMNS if name not in ("last_order_day", "drivers")]
    columns: dict[str, list[Any]] = {name: [getattr(one, name) for one in scores] for name in plain}
    columns["last_order"] = [last_order(one) for one in scores]
    drivers = [stored_drivers(one) for one in scores]
    for what in ("value", "churn"):
        effects = [{driver.group: driver.effect for driver in getattr(one, what)} for one in drivers]
        columns |= {f"{what}_driver_{group}": [one[group] for one in effects] for group in HEADLINES}
    for name in ("as_of", "horizon_days", "currency", "model_version"):
        columns[name] = [getattr(terms, name)] * len(scores)
    return columns
