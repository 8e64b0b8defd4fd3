"""A scoring run against the run before it: who keeps the tier of then, and since when everybody is in theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from models.tier_stability import NO_TIER, Stability, stable_rank

if TYPE_CHECKING:
    from models.tiers import Tiers
    from models.value_model import ValueModel
    from serving.predictions import Terms
    from serving.store import ScoringRun, Store

NO_EARLIER_TIERS = pd.DataFrame({"tier": [], "tier_since_day": []}, index=pd.Index([], dtype="str"))
_MOVEMENTS = np.array(["up", "same", "down"], dtype=object)


def run_before(published: ScoringRun | None, model: ValueModel, terms: Terms) -> tuple[ScoringRun | None, str]:
    """Give the run whose tiers a new one of ``terms`` is held to, or None and why the published one is not it.

    The reason is empty where nothing is published yet: nobody has a tier to keep.
    """
    if published is None:
        return None, ""
    was, run = published.terms, f"the published run {published.run_id}"
    if was.as_of > terms.as_of:
        return None, f"{run} is of a later day ({was.as_of.isoformat()})"
    if was.currency != terms.currency:
        return None, f"{run} is in {was.currency}"
    if published.tier_horizon_days != model.horizon_days:
        return None, f"the tiers of {run} are of {published.tier_horizon_days} days, those of the model of {model.horizon_days}"
    if published.tier_names != model.tiers.names:
        return None, f"{run} has other tiers ({', '.join(published.tier_names)})"
    return published, ""


def tiers_before(store: Store, run: ScoringRun | None, customers: pd.Index[str]) -> pd.DataFrame:
    """Read the tiers of ``customers`` (sorted by code point) in ``run``: ``tier`` and ``tier_since_day`` by customer id.

    Runs of older versions tell no day: the customers are taken to be in their tiers since the run.
    """
    from configs.days import day_number

    if run is None:
        return NO_EARLIER_TIERS
    rows = store.tiers_of(run.run_id, customers[0], customers[-1])
    found = pd.DataFrame.from_records(rows, columns=["customer_id", "tier", "tier_since_day"], index="customer_id")
    return found.assign(tier_since_day=found["tier_since_day"].astype("float64").fillna(day_number(run.terms.as_of)))


def with_stable_tiers(
    predictions: pd.DataFrame, values: pd.Series[float], tiers: Tiers, before: pd.DataFrame, stability: Stability, as_of: int
) -> pd.DataFrame:
    """Give the predictions with each customer in the tier that the rules of ``stability`` leave him in.

    ``values`` are what tiers are made of: the predicted values of the trained horizon, index of ``predictions``.
    ``before`` is what :func:`tiers_before` gives, ``as_of`` the day of the predictions. ``tier_by_value`` and
    ``tier_since_day`` are added. Of a customer who is held, the model tells the probability of another tier: there is
    none for this one, and the tier is uncertain.
    """
    known = before.reindex(predictions.index)
    previous = _ranks(known["tier"], tiers)
    since = known["tier_since_day"].fillna(as_of).to_numpy(np.int64)
    rank = stable_rank(values.to_numpy(), tiers, previous, as_of - since, stability)
    tier = np.asarray(tiers.names, dtype=object)[rank]
    held = tier != predictions["tier"].to_numpy(dtype=object)
    return predictions.assign(
        tier=tier,
        movement=_MOVEMENTS[np.sign(rank - _ranks(predictions["past_spend_tier"], tiers)) + 1],
        tier_probability=predictions["tier_probability"].where(~held),
        uncertain=predictions["uncertain"].to_numpy(dtype=bool) | held,
        tier_by_value=predictions["tier"],
        tier_since_day=np.where(rank == previous, since, as_of),
    )


def _ranks(names: pd.Series[str], tiers: Tiers) -> npt.NDArray[np.intp]:
    """Ranks of tier names; ``NO_TIER`` where there is none."""
    rank_of = {name: rank for rank, name in enumerate(tiers.names)}
    return names.map(rank_of).fillna(NO_TIER).to_numpy().astype(np.intp)
