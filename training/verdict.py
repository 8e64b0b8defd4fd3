"""What past runs and drift together say of the model in use, in words: keep it, retrain it, or wait.

The model in use is the one that scored the newest run that the log reaches. It is judged by its latest run whose horizon is
complete; before there is one, by the run of which most has passed, once a quarter has, with twice the tolerance. A figure
counts against the model only where its whole 90 % interval lies beyond what is tolerated: chance is no reason to retrain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

from configs.days import date_of
from features.catalog import CATALOG
from training.drift import Drift
from training.figures import written
from training.monitor import Comparison, Monitoring
from training.resampling import Interval

State = Literal["too early", "fine", "biased level", "churn off", "ranking decayed", "drifted", "another log"]

LEVEL_TOLERANCE = 0.10
"""Realised / predicted value may be this far from 1."""
BUYERS_TOLERANCE = 0.03
"""The share of customers who buy may be this far from the share expected to."""
RANKING_TOLERANCE = 0.02
"""Normalized Gini may fall by this much from the model's first complete run to its latest."""
PARTIAL_TOLERANCE = 2.0
"""How many times the tolerance is for a horizon that is not complete: its time shape is a forecast too."""
LEAST_ELAPSED = 0.25
MOST_UNKNOWN = 0.05
"""Share of a run's customers that may be missing from the log before it is taken for another log."""
NAMED_DRIFTS = 3

_LABELS = {feature.name: feature.label for feature in CATALOG} | {
    "predicted_value": "Predicted value",
    "churn_risk": "Churn risk",
}


@dataclass(frozen=True)
class Verdict:
    """``retrain``: whether to; ``sentence`` says it, and ``reasons`` why, the gravest first. ``state`` is that of the gravest."""

    state: State
    retrain: bool
    sentence: str
    reasons: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def verdict(monitoring: Monitoring) -> Verdict:
    """Judge the model in use. Raises ValueError: there is no run."""
    if not monitoring.comparisons:
        raise ValueError("without a scoring run there is nothing to judge")
    strange = [one for one in monitoring.comparisons if one.observed_days > 0 and one.unknown_share > MOST_UNKNOWN]
    if strange:
        return _another_log(strange[0])
    own = [one for one in monitoring.comparisons if one.model_version == monitoring.newest.model_version]
    judged = _judged(own)
    found = [] if judged is None else [*_ranking(judged, own), *_level(judged), *_buyers(judged)]
    found += _drifted(monitoring.drift or ())
    if found:
        reasons = tuple(reason for _, reason in found)
        held = (
            f"Retrain soon: the predictions of {_which(judged)} held, but" if judged and found[0][0] == "drifted" else "Retrain:"
        )
        return Verdict(found[0][0], retrain=True, sentence=f"{held} {reasons[0]}.", reasons=reasons)
    if judged is None:
        return _too_early(own, monitoring)
    return Verdict("fine", retrain=False, sentence=_fine(judged, monitoring))


def tolerance(of: Comparison, complete: float) -> float:
    """What is tolerated of a run: ``complete`` once its horizon is, more before."""
    return complete if of.complete else complete * PARTIAL_TOLERANCE


def label(name: str) -> str:
    """A feature or score as people know it.

    >>> label("churn_risk"), label("order_count")
    ('Churn risk', 'Orders')
    """
    return _LABELS[name]


def _judged(own: Sequence[Comparison]) -> Comparison | None:
    """The run to judge the model by: the latest complete one, else the one of which most has passed, if that is enough."""
    telling = [one for one in own if one.figures and not one.hindsight]
    complete = [one for one in telling if one.complete]
    if complete:
        return max(complete, key=lambda one: (one.as_of, one.run_id))
    begun = [one for one in telling if one.exact_shape and one.observed_days >= LEAST_ELAPSED * one.horizon_days]
    return max(begun, key=lambda one: (one.observed_days / one.horizon_days, one.run_id), default=None)


def _ranking(judged: Comparison, own: Sequence[Comparison]) -> list[tuple[State, str]]:
    over, now = judged.figures.get("over_past_spend"), judged.figures.get("ranking")
    if over is not None and over.high < 0.0:
        found = f"the ranking has decayed: sorting by past spend would have found the value of {_which(judged)} better, by "
        return [("ranking decayed", f"{found}{-over.estimate:.3f} of normalized Gini ({-over.high:.3f} to {-over.low:.3f})")]
    complete = [one for one in own if one.complete and "ranking" in one.figures and not one.hindsight]
    if now is None or not judged.complete or not complete:
        return []
    first = min(complete, key=lambda one: (one.as_of, one.run_id))
    then = first.figures["ranking"]
    if then.low - now.high <= 0.0 or then.estimate - now.estimate <= RANKING_TOLERANCE:
        return []
    fall = f"the ranking has decayed: normalized Gini fell from {then.estimate:.3f} in {_which(first)} to {now.estimate:.3f} in "
    return [("ranking decayed", f"{fall}{_which(judged)}, more than chance explains")]


def _level(judged: Comparison) -> list[tuple[State, str]]:
    level = judged.figures.get("level")
    allowed = tolerance(judged, LEVEL_TOLERANCE)
    if level is None or not _beyond(level, 1.0 - allowed, 1.0 + allowed):
        return []
    much = "more" if level.estimate > 1.0 else "less"
    off = f"{written(abs(level.estimate - 1.0), '.0%')} {much} than predicted"
    spent = f"the level is off: customers of {_which(judged)} spent {off}"
    return [("biased level", f"{spent} (realised / predicted {level.estimate:.2f}, {level.low:.2f} to {level.high:.2f})")]


def _buyers(judged: Comparison) -> list[tuple[State, str]]:
    gap = judged.figures.get("buyers_gap")
    allowed = tolerance(judged, BUYERS_TOLERANCE)
    if gap is None or not _beyond(gap, -allowed, allowed):
        return []
    total = judged.total
    bought, expected = total.buyers / total.customers, total.expected_buyers / total.customers
    risk = "too high" if gap.estimate > 0.0 else "too low"
    what = (
        f"churn risks are {risk}: {written(bought, '.1%')} of the customers of {_which(judged)} bought, "
        f"{written(expected, '.1%')} were expected to"
    )
    return [("churn off", what)]


def _drifted(drifts: Sequence[Drift]) -> list[tuple[State, str]]:
    found = [one for one in drifts if one.drifted]
    if not found:
        return []
    named = "; ".join(_moved(one) for one in found[:NAMED_DRIFTS])
    more = f"; and {len(found) - NAMED_DRIFTS} more" if len(found) > NAMED_DRIFTS else ""
    cause = "if the customers did not change, look for a change in the data first"
    return [("drifted", f"the customers are no longer like those the model learned on ({named}{more}); {cause}")]


def _moved(one: Drift) -> str:
    if abs(one.missing_now - one.missing_before) > LEVEL_TOLERANCE:
        return f"{label(one.name)}: missing for {written(one.missing_before, '.0%')} then, {written(one.missing_now, '.0%')} now"
    if one.median_before is None or one.median_now is None or one.median_before == one.median_now:
        return f"{label(one.name)}: spread otherwise than before"
    return f"{label(one.name)}: median {one.median_before:,.4g} then, {one.median_now:,.4g} now"


def _another_log(run: Comparison) -> Verdict:
    return Verdict(
        "another log", retrain=False,
        sentence=f"Cannot say: {written(run.unknown_share, '.0%')} of the customers of run {run.run_id} have no purchase before "
        f"{date_of(run.as_of)} in this log. Give the log that the run was scored on, with what followed.",
    )  # fmt: skip


def _too_early(own: Sequence[Comparison], monitoring: Monitoring) -> Verdict:
    honest = [one for one in own if not one.hindsight]
    if not honest:
        words = f"model version {own[0].model_version} had already learned from what followed every run that it scored"
        return Verdict("too early", retrain=False, sentence=f"Too early to say: {words}. {_drift_words(monitoring)}")
    furthest = max(honest, key=lambda one: (one.observed_days / one.horizon_days, one.run_id))
    passed = f"{furthest.observed_days} of the {furthest.horizon_days} days of run {furthest.run_id} have passed"
    ready = _ready(furthest)
    if date_of(monitoring.observed_until) < ready:
        wait = f"the first judgement is possible from {ready} on"
    elif not furthest.figures:
        wait = f"only {furthest.total.buyers} customers have bought since, too few to judge by"
    else:
        wait = f"the model of the run is gone, so the run can be judged when it is complete, on {_end(furthest)}"
    return Verdict("too early", retrain=False, sentence=f"Too early to say: {passed}, and {wait}. {_drift_words(monitoring)}")


def _fine(judged: Comparison, monitoring: Monitoring) -> str:
    figures = judged.figures
    words = []
    if "level" in figures:
        words.append(f"customers of {_which(judged)} spent {figures['level'].estimate:.2f} times what was predicted")
    if "ranking" in figures:
        words.append(f"the ranking holds (normalized Gini {figures['ranking'].estimate:.3f})")
    return f"Keep the model: {', '.join(words)}. {_drift_words(monitoring)}"


def _drift_words(monitoring: Monitoring) -> str:
    if monitoring.drift is None:
        return f"Drift is not known: {monitoring.no_drift_because}."
    return "The customers are still like those the model learned on."


def _which(run: Comparison) -> str:
    if run.complete:
        return f"run {run.run_id}"
    return f"run {run.run_id} in its first {run.observed_days} of {run.horizon_days} days"


def _ready(run: Comparison) -> date:
    """The day from which on a quarter of the run has passed."""
    return date_of(run.as_of + math.ceil(run.horizon_days * LEAST_ELAPSED))


def _end(run: Comparison) -> date:
    return date_of(run.as_of + run.horizon_days)


def _beyond(found: Interval, low: float, high: float) -> bool:
    return found.low > high or found.high < low
