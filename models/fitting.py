"""Fitting a value model: BTYD, both boosters, and, on cutoffs they have not seen, stacking, blend and intervals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.errors import HistoryError
from configs.settings import Settings
from features.catalog import FEATURE_NAMES
from features.phrases import count
from models.accuracy import normalized_gini, rank_correlation, top_capture
from models.btyd import Btyd, typical_customer
from models.btyd_fit import fit_btyd
from models.giant_orders import order_limit, tempered
from models.intervals import residual_quantiles, spread_at
from models.past_views import fit_past_views
from models.season import MOST_BUYERS, Expectation, expectation, same_season
from models.stacking import UNLEARNED, Stacking, at_share, fit_stacking
from models.tiers import learn_thresholds
from models.two_part import TwoPart, fit_two_part, logistic
from models.value_model import BTYD_INPUTS, Blend, Outlook, ValueModel, model_inputs, outlook

Floats = npt.NDArray[np.float64]
Progress = Callable[[str], None]
"""Called with what begins now; the number of calls of one fit is ``FIT_STEPS``."""

FIT_STEPS = 4
TUNING_CUTOFFS = 3
FEWEST_SPENDERS = 10
"""Training rows with revenue in the horizon, below which there is nothing to learn amounts from."""
BLEND_WEIGHTS = tuple(step / 10 for step in range(11))
EQUAL_WEIGHT = 0.5
"""Both models alike: where the history is too short to compare them, and what a learned weight is drawn to."""
LEARNED_SHARE = 0.5
"""How far a weight learned on at most three cutoffs, often of another season, is believed."""
MOST_ONE_TIME = 2.0
"""No further, either way, is the value of one-time buyers moved."""
TREES_LEVEL = 1.0 / 3.0
"""Without a year to look back to: the trees' level is that of the last months, BTYD's is nearer to what comes."""
SEASON_FEATURES = ("season_sin", "season_cos")
TEMPERING_FEATURES = ("order_value_max",)
"""Read to temper giant orders only: mean, spread and last value of the orders tell the trees the rest."""
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

    Stacking, blend and the spread of outcomes are learned on the last cutoffs, by a model fitted on those whose horizons had
    ended before; the final boosters are then fitted on all cutoffs. Raises HistoryError: nobody bought, or everybody did, in
    the horizons.
    """
    _check(training)
    everybody, limit = training.current, order_limit(training.current)
    training = replace(training, features=tempered(training.features, limit), current=tempered(training.current, limit))
    names = list(_input_names(training.cutoff))
    progress("Trial fit for stacking and blend")
    learned = _tune(training, names, settings)
    progress("Buy-till-you-die model")
    btyd = fit_btyd(training.current)
    progress("Purchase and value models")
    inputs = model_inputs(training.features, btyd, training.horizon_days)
    two_part = _fit_two_part(inputs[names], training, settings)
    progress("Level, tiers and past-looking views")
    if learned is None:
        seen = outlook(two_part, btyd, training.features, training.horizon_days, threads=settings.training.threads)
        learned = _unlearned(training, seen)
    return _at_todays_level(training, everybody, two_part, btyd, learned, settings)


@dataclass(frozen=True)
class Learned:
    """What outcomes teach of putting both models together.

    ``weight`` of the trees (0 to 1); ``one_time``: factor of the value of one-time buyers; ``log_ratios``: see
    ``models.intervals.Spread``.
    """

    stacking: Stacking
    weight: float
    one_time: float
    log_ratios: tuple[tuple[float, ...], ...]


def _check(training: TrainingSet) -> None:
    buyers, within = int(training.active.sum()), f"within {count(training.horizon_days, 'day')}"
    if not 0 < buyers < len(training.active):
        raise HistoryError(
            f"of {len(training.active):,} training rows {buyers:,} bought {within}: there is nothing "
            "to tell buyers from others by; use a longer history or another horizon_days"
        )
    if buyers < FEWEST_SPENDERS:
        raise HistoryError(
            f"of {len(training.active):,} training rows only {buyers} bought {within}, at least {FEWEST_SPENDERS} are needed to "
            "learn from: set a longer horizon_days, or bring a longer history or more customers"
        )
    spenders = int((training.value > 0.0).sum())
    if spenders < FEWEST_SPENDERS:
        raise HistoryError(
            f"of {buyers:,} training rows that bought {within}, {spenders} have net revenue in that time, at least "
            f"{FEWEST_SPENDERS} are needed: check the amount column and the refunds, or bring a longer history"
        )


def _input_names(cutoffs: npt.NDArray[np.int64]) -> tuple[str, ...]:
    """The season of the cutoff is left out until cutoffs span two years: before, it would only name the cutoff."""
    seasons_repeat = np.ptp(cutoffs) >= 2 * YEAR_DAYS
    left_out = {*TEMPERING_FEATURES, *(() if seasons_repeat else SEASON_FEATURES)}
    return tuple(name for name in (*FEATURE_NAMES, *BTYD_INPUTS) if name not in left_out)


def _fit_two_part(inputs: pd.DataFrame, training: TrainingSet, settings: Settings) -> TwoPart:
    return fit_two_part(
        inputs, training.active, training.value,
        rounds=settings.training.boosting_rounds, seed=settings.training.seed, threads=settings.training.threads,
    )  # fmt: skip


def _tune(training: TrainingSet, names: list[str], settings: Settings) -> Learned | None:
    """What trial models' predictions of cutoffs they have not seen teach; None: the history is too short for a trial."""
    unseen = _tuning_rows(training)
    first_unseen = training.cutoff[unseen].min() if unseen.any() else training.cutoff.min()
    known = training.cutoff <= first_unseen - training.horizon_days
    past, tuning = training.rows(known), training.rows(unseen)
    if (past.value > 0.0).sum() < FEWEST_SPENDERS or past.active.all() or (tuning.value > 0.0).sum() < FEWEST_SPENDERS:
        return None
    btyd = fit_btyd(training.features[training.cutoff == first_unseen])
    inputs = model_inputs(past.features, btyd, training.horizon_days)[names]
    trial = _fit_two_part(inputs, past, settings)
    seen = outlook(trial, btyd, tuning.features, training.horizon_days, threads=settings.training.threads)
    stacking = fit_stacking(seen.margin, seen.btyd_log_odds, seen.one_time, tuning.active)
    log_odds = seen.log_odds(stacking)
    best = _best_weight(tuning, seen, log_odds)
    weight = LEARNED_SHARE * best + (1.0 - LEARNED_SHARE) * EQUAL_WEIGHT
    value = _blend(weight, 1.0, seen, log_odds).value(seen, log_odds)
    one_time = _one_time_factor(tuning.value, value, seen.one_time)
    value = value * np.where(seen.one_time, one_time, 1.0)
    return Learned(stacking, weight, one_time, residual_quantiles(tuning.value, value, logistic(log_odds), tuning.cutoff))


def _unlearned(training: TrainingSet, seen: Outlook) -> Learned:
    """Both models alike; the spread is that of the training cutoffs themselves, all there is."""
    log_odds = seen.log_odds(UNLEARNED)
    at_level = at_share(UNLEARNED, log_odds, float(training.active.mean()))
    log_odds = seen.log_odds(at_level)
    value = _blend(EQUAL_WEIGHT, 1.0, seen, log_odds).value(seen, log_odds)
    return Learned(UNLEARNED, EQUAL_WEIGHT, 1.0, residual_quantiles(training.value, value, logistic(log_odds), training.cutoff))


def _one_time_factor(realised: Floats, predicted: Floats, one_time: npt.NDArray[np.bool_]) -> float:
    """Realised / predicted share of one-time buyers in the total; 1 where it cannot be told."""
    shares = [float(value[one_time].sum() / value.sum()) for value in (realised, predicted)]
    if min(shares) <= 0.0:
        return 1.0
    return float(np.clip(shares[0] / shares[1], 1.0 / MOST_ONE_TIME, MOST_ONE_TIME))


def _tuning_rows(training: TrainingSet) -> npt.NDArray[np.bool_]:
    """The last cutoffs, at most three, that leave at least one earlier cutoff whose horizon had ended by then."""
    cutoffs = np.unique(training.cutoff)
    latest = [cutoff for cutoff in cutoffs[-TUNING_CUTOFFS:] if cutoff - training.horizon_days >= cutoffs[0]]
    return np.isin(training.cutoff, latest)


def _best_weight(tuning: TrainingSet, seen: Outlook, log_odds: Floats) -> float:
    """The weight of the trees that ranks customers best on average over the cutoffs; of equals, the nearest to one half.

    Best is the sum of normalized Gini, rank correlation and the capture of the best tenth. Cutoffs after which nobody spent
    anything, or everybody the same, say nothing of rankings and are left out.
    """
    cutoffs = [tuning.cutoff == cutoff for cutoff in np.unique(tuning.cutoff)]
    telling = [rows for rows in cutoffs if np.ptp(tuning.value[rows]) > 0.0]
    if not telling:
        return EQUAL_WEIGHT

    def accuracy(weight: float) -> float:
        score = _blend(weight, 1.0, seen, log_odds).value(seen, log_odds)
        return float(np.mean([_ranking(tuning.value[rows], score[rows]) for rows in telling]))

    return max(BLEND_WEIGHTS, key=lambda weight: (round(accuracy(weight), 4), -abs(weight - EQUAL_WEIGHT)))


def _ranking(value: Floats, score: Floats) -> float:
    correlation = rank_correlation(value, score)
    return normalized_gini(value, score) + top_capture(value, score, 0.1) + (0.0 if np.isnan(correlation) else correlation)


def _blend(weight: float, one_time: float, seen: Outlook, log_odds: Floats, total: float = 1.0) -> Blend:
    """The blend by which these customers' values sum to ``total``, the share ``weight`` of it by the trees.

    Each model is brought to the same total before it is weighed. One-time buyers weigh ``one_time`` times as much, at that total.
    """
    chance = logistic(log_odds)
    trees = weight / float(chance @ np.exp(seen.log_trees))
    btyd = (1.0 - weight) / float(chance @ np.exp(seen.log_btyd))
    level = total / float(Blend(trees, btyd, one_time).value(seen, log_odds).sum())
    return Blend(trees * level, btyd * level, one_time)


def _at_todays_level(
    training: TrainingSet, current: pd.DataFrame, two_part: TwoPart, btyd: Btyd, learned: Learned, settings: Settings
) -> ValueModel:
    """The model whose intercept and blend give today's customers the buyers and revenue to expect of them.

    Only slopes, weight and spread outlive the season they were learned in. Tier thresholds and past-looking views are learned
    on the customers of today and frozen; the views on ``current``, the customers as they are, giant orders and all.
    """
    horizon = training.horizon_days
    seen = outlook(two_part, btyd, training.current, horizon, threads=settings.training.threads)
    expected = _expectation(training, btyd) or _both_models(seen, btyd, training.current, horizon)
    stacking = at_share(learned.stacking, seen.log_odds(learned.stacking), expected.buyers)
    log_odds = seen.log_odds(stacking)
    blend = _blend(learned.weight, learned.one_time, seen, log_odds, expected.revenue)
    value = blend.value(seen, log_odds)
    tiers = learn_thresholds(value, settings.tiers)
    views = fit_past_views(current, settings, horizon_days=horizon, predicted_tiers=tiers.assign(value))
    return ValueModel(
        horizon_days=horizon, as_of=training.as_of, currency=settings.currency, two_part=two_part, btyd=btyd,
        btyd_reference=typical_customer(training.current), stacking=stacking, blend=blend,
        spread=spread_at(value, learned.log_ratios), tiers=tiers, past_views=views,
        order_limit=order_limit(current),
    )  # fmt: skip


def _both_models(seen: Outlook, btyd: Btyd, current: pd.DataFrame, horizon_days: int) -> Expectation:
    """Without a year to look back to: what both models say, the trees out of cutoffs all over the history."""
    chance = logistic(seen.margin)
    revenue = [float(chance @ np.exp(seen.log_trees)), float(btyd.value(current, float(horizon_days)).sum())]
    buyers = [float(chance.mean()), float(btyd.purchase_probability(current, float(horizon_days)).mean())]
    weights = (TREES_LEVEL, 1.0 - TREES_LEVEL)
    return Expectation(float(np.dot(weights, revenue)), min(float(np.dot(weights, buyers)), MOST_BUYERS))


def _expectation(training: TrainingSet, btyd: Btyd) -> Expectation | None:
    year_ago = same_season(np.unique(training.cutoff), training.as_of)
    if year_ago is None:
        return None
    then = training.rows(training.cutoff == year_ago)
    return expectation((btyd, training.current), (then.features, then.active, then.value), training.horizon_days)
