"""Everything that says something of the customers at an origin, side by side: the model, its parts, and rules without one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.sums import SEASON_DAYS, WINDOWS
from models.fitting import TrainingSet
from models.value_model import ValueModel, btyd_value, model_inputs
from training.panel import Snapshot

Floats = npt.NDArray[np.float64]

PERFECT = "perfect foresight"
SERVED = "Foretier"
TWO_PART = "two-part LightGBM"
BTYD = "BG/NBD x Gamma-Gamma"
PAST_SPEND = "total past spend"
SPEND_RATE = "spend rate x horizon"
LAST_HORIZON = "spend of the last horizon"
LAST_SEASON = "same season last year"
BTYD_CHURN = "BG/NBD"
SILENCE = "days since last order"

NAIVE = (PAST_SPEND, SPEND_RATE, LAST_HORIZON, LAST_SEASON)
"""What people rank customers by without a model."""


@dataclass(frozen=True)
class Context:
    """What is known of the customers of a snapshot besides their features; each field may be left out.

    ``known``: the training set of the model that is judged (the rule by silence becomes a probability by it). ``purchases`` (n):
    purchases in the horizon. ``largest_order`` (n): the amount of the largest purchase before the cutoff, in currency.
    ``attributes``: latest value before the cutoff by attribute, missing where there is none.
    """

    known: TrainingSet | None = None
    purchases: Floats | None = None
    largest_order: Floats | None = None
    attributes: Mapping[str, pd.Series] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """All customers of one origin: what each candidate said of them, and what they did. Arrays of one entry per customer.

    ``amounts`` are values in currency, ``rankings`` have an order but no level; ``risks`` are churn probabilities, ``silences``
    orders of risk without a level, finer than what ``risks`` has of the same candidate; by candidate, the served one first.
    ``predicted`` is the model's whole prediction.
    """

    holdout: Snapshot
    horizon_days: int
    predicted: pd.DataFrame
    tier_names: tuple[str, ...]
    amounts: Mapping[str, Floats]
    rankings: Mapping[str, Floats]
    risks: Mapping[str, Floats]
    silences: Mapping[str, Floats]
    context: Context

    @property
    def churned(self) -> Floats:
        """1 for those who bought nothing in the horizon, else 0."""
        return 1.0 - self.holdout.active

    @property
    def churn_scores(self) -> dict[str, tuple[Floats, Floats | None]]:
        """By candidate what ranks the customers by risk, and the churn probability, None where it has none.

        Days since the last order rank by the days themselves; their probability, fitted on other customers, says the same of
        many days, and would hide some of what they know.
        """
        found: dict[str, tuple[Floats, Floats | None]] = {
            name: (self.silences.get(name, risk), risk) for name, risk in self.risks.items()
        }
        return found | {name: (order, None) for name, order in self.silences.items() if name not in found}


def judge(model: ValueModel, holdout: Snapshot, context: Context, *, threads: int) -> Judged:
    """Ask every candidate about the customers of ``holdout``; the model must know nothing after its cutoff."""
    features, horizon = holdout.features, model.horizon_days
    inputs = model_inputs(model.believed(features), model.btyd, horizon)
    predicted = model.predict(features, as_of=holdout.cutoff, threads=threads)
    log_odds = model.two_part.log_odds(inputs, threads=threads)
    silence = features["days_since_last_order"].to_numpy(np.float64)
    risks = {
        SERVED: predicted["churn_risk"].to_numpy(np.float64),
        BTYD_CHURN: 1.0 - model.btyd.purchase_probability(features, float(horizon)),
    }
    if context.known is not None:
        risks[SILENCE] = _risk_by_silence(context.known, silence)
    return Judged(
        holdout=holdout, horizon_days=horizon, predicted=predicted, tier_names=model.tiers.names,
        amounts={
            SERVED: predicted["predicted_value"].to_numpy(np.float64),
            TWO_PART: model.two_part.value(inputs, log_odds, threads=threads),
            BTYD: btyd_value(inputs),
            SPEND_RATE: spend_rate(features) * horizon,
            LAST_HORIZON: last_horizon(features, horizon),
            LAST_SEASON: last_season(features, horizon),
        },
        rankings={PAST_SPEND: features["total_spend"].to_numpy(np.float64)},
        risks=risks, silences={SILENCE: silence}, context=context,
    )  # fmt: skip


def spend_rate(features: pd.DataFrame) -> Floats:
    """Money per day since the first order."""
    return features["total_spend"].to_numpy(np.float64) / (features["T"].to_numpy(np.float64) + 1.0)


def last_season(features: pd.DataFrame, horizon_days: int) -> Floats:
    """Spend of the same season a year before, scaled from the days it is counted over to those of the horizon."""
    return features["spend_same_season_1y"].to_numpy(np.float64) * (horizon_days / SEASON_DAYS)


def last_horizon(features: pd.DataFrame, horizon_days: int) -> Floats:
    """Spend of as many days before as the horizon has, scaled from the catalog's nearest window."""
    window = min(WINDOWS, key=lambda days: abs(days - horizon_days))
    return features[f"spend_{window}d"].to_numpy(np.float64) * (horizon_days / window)


def _risk_by_silence(known: TrainingSet, silence: Floats) -> Floats:
    """Share of the known customers of like silence that stayed away: isotonic, so it never falls with longer silence."""
    from sklearn.isotonic import IsotonicRegression

    curve = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip")
    curve.fit(known.features["days_since_last_order"].to_numpy(np.float64), 1.0 - known.active)
    return np.asarray(curve.predict(silence), dtype=np.float64)
