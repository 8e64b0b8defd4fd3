"""Cutoffs, and the customers at each of them with what they did next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.errors import HistoryError
from configs.settings import Training
from features.customers import feature_frame
from models.fitting import TrainingSet
from training.labels import horizon_labels

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Snapshot:
    """All customers at one cutoff: ``features``, and of the horizon that followed ``active`` (0 or 1) and ``value`` (>= 0)."""

    cutoff: int
    features: pd.DataFrame
    active: Floats
    value: Floats


@dataclass(frozen=True)
class Plan:
    """Which cutoffs a training run looks at; integer days.

    ``as_of``: the first day not observed; ``holdout``: the cutoff whose horizon ends there, held back for evaluation;
    ``trial``: cutoffs whose horizons end at ``holdout`` or before (empty: the history is too short to evaluate);
    ``final``: all cutoffs whose horizons end at ``as_of`` or before, ``holdout`` among them. Latest first.
    """

    horizon_days: int
    as_of: int
    holdout: int
    trial: tuple[int, ...]
    final: tuple[int, ...]

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Every cutoff that is looked at, earliest first."""
        return tuple(sorted({self.holdout, *self.trial, *self.final}))


def plan_cutoffs(first_day: int, last_day: int, horizon_days: int, training: Training) -> Plan:
    """Plan a run on orders of ``[first_day, last_day]``.

    Raises HistoryError: less than the horizon and ``training.min_history_days`` before it.
    """
    as_of = last_day + 1
    holdout = as_of - horizon_days
    final = training_cutoffs(holdout, first_day, training)
    if not final:
        raise HistoryError(
            f"the history has {as_of - first_day} days, a horizon of {horizon_days} needs at least "
            f"{horizon_days + training.min_history_days}: bring a longer history or set a shorter horizon_days"
        )
    return Plan(horizon_days, as_of, holdout, training_cutoffs(holdout - horizon_days, first_day, training), final)


def snapshot(orders: nw.LazyFrame[Any], cutoff: int, horizon_days: int) -> Snapshot:
    """All customers at one cutoff and what they did in the horizon."""
    features = feature_frame(orders, cutoff)
    active, value = outcomes(orders, features.index, cutoff, horizon_days)
    return Snapshot(cutoff, features, active, value)


def sampled(everybody: Snapshot, rows: int, seed: int) -> Snapshot:
    """The same with a seeded sample of ``rows`` customers, or with all where there are no more."""
    if len(everybody.features) <= rows:
        return everybody
    chosen = np.random.default_rng((seed, everybody.cutoff)).choice(len(everybody.features), rows, replace=False)
    chosen.sort()
    return Snapshot(everybody.cutoff, everybody.features.iloc[chosen], everybody.active[chosen], everybody.value[chosen])


def outcomes(orders: nw.LazyFrame[Any], customers: pd.Index[str], cutoff: int, horizon_days: int) -> tuple[Floats, Floats]:
    """Whether each of ``customers`` bought in the horizon (0 or 1), and for how much (net of refunds, at least 0)."""
    labels = horizon_labels(orders, cutoff, horizon_days).collect(backend="pyarrow").to_native().to_pandas()
    labels = labels.set_index("customer_id").reindex(customers)
    active = (labels["purchases"].fillna(0).to_numpy() > 0).astype(np.float64)
    value = labels["revenue"].fillna(0.0).clip(lower=0.0).to_numpy(np.float64)
    return active, value


def training_set(snapshots: Sequence[Snapshot], current: pd.DataFrame, as_of: int, horizon_days: int) -> TrainingSet:
    """Stack snapshots into a training set; ``current`` are the features at ``as_of``.

    Raises ValueError: a horizon ends after ``as_of``.
    """
    late = [one.cutoff for one in snapshots if one.cutoff + horizon_days > as_of]
    if late:
        raise ValueError(f"horizons of the cutoffs {late} end after {as_of}: they would leak the future into training")
    return TrainingSet(
        features=pd.concat([one.features for one in snapshots]),
        cutoff=np.concatenate([np.full(len(one.features), one.cutoff) for one in snapshots]),
        active=np.concatenate([one.active for one in snapshots]),
        value=np.concatenate([one.value for one in snapshots]),
        current=current,
        as_of=as_of,
        horizon_days=horizon_days,
    )


def training_cutoffs(latest: int, first_day: int, training: Training) -> tuple[int, ...]:
    """Cutoffs to learn from, ``latest`` first, as far back as ``training`` and the history allow; may be none."""
    earliest = first_day + training.min_history_days
    return tuple(range(latest, earliest - 1, -training.cutoff_step_days))[: training.max_cutoffs]
