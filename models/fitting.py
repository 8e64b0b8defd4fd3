"""Fitting a value model: BTYD, both boosters, and, on cutoffs they have not seen, calibration and blend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq

from configs.errors import HistoryError
from configs.settings import Settings
from features.catalog import FEATURE_NAMES
from models.accuracy import normalized_gini
from models.btyd import Btyd, typical_customer
from models.btyd_fit import fit_btyd
from models.past_views import fit_past_views
from models.season import Expectation, expectation, same_season
from models.tiers import learn_thresholds
from models.two_part import Calibration, TwoPart, fit_calibration, fit_two_part, logistic
from models.value_model import BTYD_INPUTS, Blend, ValueModel, btyd_value, model_inputs

Floats = npt.NDArray[np.float64]
Progress = Callable[[str], None]
"""Called with what begins now; the number of calls of one fit is ``FIT_STEPS``."""

FIT_STEPS = 4
TUNING_CUTOFFS = 3
FEWEST_SPENDERS = 10
"""Training rows with revenue in the horizon, below which there is nothing to learn amounts from."""
BLEND_WEIGHTS = tuple(step / 10 for step in range(11))
UNTUNED_WEIGHT = 0.5
"""Both models alike, where the history is too short to compare them."""
SEASON_FEATURES = ("season_sin", "season_cos")
YEAR_DAYS = 365


@dataclass(frozen=True)
class TrainingSet:
    """Customers at several cutoffs, stacked, with what they did in the horizon after each.

    ``features`` as ``features.customers.feature_frame`` gives it, one block per cutoff; ``cutoff`` integer days; ``active``
    1 where the customer bought in ``[cutoff, cutoff + horizon_days)``, else 0; ``value`` net revenue in it, at least 0.
    ``current`` are the features at ``as_of``, the day up to which everything is known.
    """

    features: pd.DataFrame
    cutoff: npt.NDArray[np.int64]
    active: Floats
    value: Floats
    current: pd.DataFrame
    as_of: int
    horizon_days: int

    def rows(self, chosen: npt.NDArray[np.bool_]) -> TrainingSet:
        """The same with some rows only."""
        return replace(
            self, features=self.features[chosen], cutoff=self.cutoff[chosen],
            active=self.active[chosen], value=self.value[chosen],
        )  # fmt: skip


def fit(training: TrainingSet, settings: Settings, *, progress: Progress = lambda _: None) -> ValueModel:
    """Fit a value model on everything known at ``training.as_of``.

    Calibration and blend are learned on the last cutoffs, by a model fitted on those whose horizons had ended before; the
    final boosters are then fitted on all cutoffs. Raises HistoryError: nobody bought, or everybody did, in the horizons.
    """
    _check(training)
    names = list(_input_names(training.cutoff))
    progress("Trial fit for calibration and blend")
    slope, weight = _tune(training, names, settings)
    progress("Buy-till-you-die model")
    btyd = fit_btyd(training.current)
    progress("Purchase and value models")
    inputs = model_inputs(training.features, btyd, training.horizon_days)
    two_part = _fit_two_part(inputs[names], training, settings)
    progress("Level, tiers and past-looking views")
    return _at_todays_level(training, two_part, btyd, slope, weight, settings)


def _check(training: TrainingSet) -> None:
    buyers = int(training.active.sum())
    if not 0 < buyers < len(training.active):
        raise HistoryError(
            f"of {len(training.active)} training rows {buyers} bought within {training.horizon_days} days: there is nothing "
            "to tell buyers from others by; use a longer history or another horizon_days"
        )
    spenders = int((training.value > 0.0).sum())
    if spenders < FEWEST_SPENDERS:
        raise HistoryError(
            f"of {buyers} training rows that bought within {training.horizon_days} days, {spenders} have net revenue in them, at "
            f"least {FEWEST_SPENDERS} are needed: check the amount column and the refunds, or bring a longer history"
        )


def _input_names(cutoffs: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """The season of the cutoff is left out until cutoffs span two years: before, it would only name the cutoff."""
    seasons_repeat = np.ptp(cutoffs) >= 2 * YEAR_DAYS
    return tuple(name for name in (*FEATURE_NAMES, *BTYD_INPUTS) if seasons_repeat or name not in SEASON_FEATURES)


def _fit_two_part(inputs: pd.DataFrame, training: TrainingSet, settings: Settings) -> TwoPart:
    return fit_two_part(
        inputs, training.active, training.value,
        rounds=settings.training.boosting_rounds, seed=settings.training.seed, threads=settings.training.threads,
    )  # fmt: skip


def _tune(training: TrainingSet, names: list[str], settings: Settings) -> tuple[float, float]:
    """Slope of the calibration and blend weight, out of trial models' predictions of cutoffs they have not seen."""
    unseen = _tuning_rows(training)
    first_unseen = training.cutoff[unseen].min() if unseen.any() else training.cutoff.min()
    known = training.cutoff <= first_unseen - training.horizon_days
    past = training.rows(known)
    if (past.value > 0.0).sum() < FEWEST_SPENDERS or past.active.all():
        return Calibration().slope, UNTUNED_WEIGHT
    btyd = fit_btyd(training.features[training.cutoff == first_unseen])
    inputs = model_inputs(training.features, btyd, training.horizon_days)[names]
    trial = _fit_two_part(inputs[known], past, settings)
    tuning, read, threads = training.rows(unseen), inputs[unseen], settings.training.threads
    log_odds = trial.log_odds(read, threads=threads)
    calibration = fit_calibration(log_odds, tuning.active)
    value = trial.value(read, calibration.log_odds(log_odds), threads=threads)
    return calibration.slope, _best_weight(tuning, value, btyd_value(read))


def _tuning_rows(training: TrainingSet) -> npt.NDArray[np.bool_]:
    """The last cutoffs, at most three, that leave at least one earlier cutoff whose horizon had ended by then."""
    cutoffs = np.unique(training.cutoff)
    latest = [cutoff for cutoff in cutoffs[-TUNING_CUTOFFS:] if cutoff - training.horizon_days >= cutoffs[0]]
    return np.isin(training.cutoff, latest)


def _best_weight(tuning: TrainingSet, two_part: Floats, btyd: Floats) -> float:
    """The blend weight that ranks customers best on average over the cutoffs; of equals, the nearest to one half.

    Cutoffs after which nobody spent anything, or everybody the same, say nothing of rankings and are left out.
    """
    cutoffs = [tuning.cutoff == cutoff for cutoff in np.unique(tuning.cutoff)]
    telling = [rows for rows in cutoffs if np.ptp(tuning.value[rows]) > 0.0]
    if not telling:
        return UNTUNED_WEIGHT

    def accuracy(weight: float) -> float:
        score = weight * two_part / two_part.sum() + (1.0 - weight) * btyd / btyd.sum()
        return float(np.mean([normalized_gini(tuning.value[rows], score[rows]) for rows in telling]))

    return max(BLEND_WEIGHTS, key=lambda weight: (round(accuracy(weight), 6), -abs(weight - UNTUNED_WEIGHT)))


def _at_todays_level(
    training: TrainingSet, two_part: TwoPart, btyd: Btyd, slope: float, weight: float, settings: Settings
) -> ValueModel:
    """The model whose calibration intercept and blend give today's customers the buyers and revenue to expect of them.

    Only slope and weight outlive the season they were learned in. Tier thresholds and past-looking views are learned on
    the customers of today and frozen.
    """
    threads, horizon = settings.training.threads, training.horizon_days
    inputs = model_inputs(training.current, btyd, horizon)
    margin = two_part.log_odds(inputs, threads=threads)
    expected = _expectation(training, btyd)
    # Without a year to look back to, the boosters themselves say it, fitted on cutoffs all over the history.
    buyers = expected.buyers if expected is not None else float(logistic(margin).mean())
    two_part = replace(two_part, calibration=_at_share(slope, margin, buyers))
    of_trees, of_btyd = two_part.value(inputs, two_part.log_odds(inputs, threads=threads), threads=threads), btyd_value(inputs)
    blend = _blend(weight, float(of_trees.sum()), float(of_btyd.sum()), expected)
    value = blend.value(of_trees, of_btyd)
    tiers = learn_thresholds(value, settings.tiers)
    views = fit_past_views(training.current, settings, horizon_days=horizon, predicted_tiers=tiers.assign(value))
    return ValueModel(
        horizon_days=horizon, currency=settings.currency, two_part=two_part, btyd=btyd,
        btyd_reference=typical_customer(training.current), blend=blend, tiers=tiers, past_views=views,
    )  # fmt: skip


def _blend(weight: float, of_trees: float, of_btyd: float, expected: Expectation | None) -> Blend:
    """The blend of this weight at the expected total; without one, at the weighted mean of both models' totals.

    Each model is brought to that total before it is weighed, as it was when the weight was chosen.
    """
    total = expected.revenue if expected is not None else weight * of_trees + (1.0 - weight) * of_btyd
    return Blend(weight * total / of_trees if weight > 0.0 else 0.0, (1.0 - weight) * total / of_btyd if weight < 1.0 else 0.0)


def _expectation(training: TrainingSet, btyd: Btyd) -> Expectation | None:
    year_ago = same_season(np.unique(training.cutoff), training.as_of)
    if year_ago is None:
        return None
    then = training.rows(training.cutoff == year_ago)
    return expectation((btyd, training.current), (then.features, then.active, then.value), training.horizon_days)


def _at_share(slope: float, margin: Floats, share: float) -> Calibration:
    """The calibration of this slope by which the mean probability of ``margin`` is ``share``."""

    def excess(intercept: float) -> float:
        return float(logistic(slope * margin + intercept).mean()) - share

    widest = 50.0 + slope * float(np.abs(margin).max())
    return Calibration(slope, float(brentq(excess, -widest, widest, xtol=1e-12)))
