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
from configs.language import Language
from training.drift import Drift
from training.feature_words import label
from training.figures import written
from training.monitor import Comparison, Monitoring
from training.monitor_words import VERDICT_WORDS, VerdictWords
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


def verdict(monitoring: Monitoring, language: Language = "en") -> Verdict:
    """Judge the model in use, and say so in a language. Raises ValueError: there is no run."""
    if not monitoring.comparisons:
        raise ValueError("without a scoring run there is nothing to judge")
    words = VERDICT_WORDS[language]
    strange = [one for one in monitoring.comparisons if one.observed_days > 0 and one.unknown_share > MOST_UNKNOWN]
    if strange:
        return _another_log(strange[0], words)
    own = [one for one in monitoring.comparisons if one.model_version == monitoring.newest.model_version]
    judged = _judged(own)
    found = [] if judged is None else [*_ranking(judged, own, words), *_level(judged, words), *_buyers(judged, words)]
    found += _drifted(monitoring.drift or (), words, language)
    if found:
        reasons = tuple(reason for _, reason in found)
        sentence = words.retrain.format(reasons[0])
        if judged is not None and found[0][0] == "drifted":
            sentence = words.retrain_soon.format(_which(judged, words), reasons[0])
        return Verdict(found[0][0], retrain=True, sentence=sentence, reasons=reasons)
    if judged is None:
        return _too_early(own, monitoring, language)
    return Verdict("fine", retrain=False, sentence=_fine(judged, monitoring, language))


def tolerance(of: Comparison, complete: float) -> float:
    """What is tolerated of a run: ``complete`` once its horizon is, more before."""
    return complete if of.complete else complete * PARTIAL_TOLERANCE


def _judged(own: Sequence[Comparison]) -> Comparison | None:
    """The run to judge the model by: the latest complete one, else the one of which most has passed, if that is enough."""
    telling = [one for one in own if one.figures and not one.hindsight]
    complete = [one for one in telling if one.complete]
    if complete:
        return max(complete, key=lambda one: (one.as_of, one.run_id))
    begun = [one for one in telling if one.exact_shape and one.observed_days >= LEAST_ELAPSED * one.horizon_days]
    return max(begun, key=lambda one: (one.observed_days / one.horizon_days, one.run_id), default=None)


def _ranking(judged: Comparison, own: Sequence[Comparison], words: VerdictWords) -> list[tuple[State, str]]:
    over, now = judged.figures.get("over_past_spend"), judged.figures.get("ranking")
    if over is not None and over.high < 0.0:
        by = {"by": -over.estimate, "low": -over.high, "high": -over.low}
        return [("ranking decayed", words.below_spend.format(run=_which(judged, words), **by))]
    complete = [one for one in own if one.complete and "ranking" in one.figures and not one.hindsight]
    if now is None or not judged.complete or not complete:
        return []
    first = min(complete, key=lambda one: (one.as_of, one.run_id))
    then = first.figures["ranking"]
    if then.low - now.high <= 0.0 or then.estimate - now.estimate <= RANKING_TOLERANCE:
        return []
    runs = {"first": _which(first, words), "last": _which(judged, words)}
    return [("ranking decayed", words.fell.format(then=then.estimate, now=now.estimate, **runs))]


def _level(judged: Comparison, words: VerdictWords) -> list[tuple[State, str]]:
    level = judged.figures.get("level")
    allowed = tolerance(judged, LEVEL_TOLERANCE)
    if level is None or not _beyond(level, 1.0 - allowed, 1.0 + allowed):
        return []
    much = words.more if level.estimate > 1.0 else words.less
    off = written(abs(level.estimate - 1.0), ".0%")
    figures = {"level": level.estimate, "low": level.low, "high": level.high}
    return [("biased level", words.level.format(run=_which(judged, words), off=off, much=much, **figures))]


def _buyers(judged: Comparison, words: VerdictWords) -> list[tuple[State, str]]:
    gap = judged.figures.get("buyers_gap")
    allowed = tolerance(judged, BUYERS_TOLERANCE)
    if gap is None or not _beyond(gap, -allowed, allowed):
        return []
    total = judged.total
    bought, expected = (written(buyers / total.customers, ".1%") for buyers in (total.buyers, total.expected_buyers))
    risk = words.too_high if gap.estimate > 0.0 else words.too_low
    return [("churn off", words.churn.format(risk=risk, run=_which(judged, words), bought=bought, expected=expected))]


def _drifted(drifts: Sequence[Drift], words: VerdictWords, language: Language) -> list[tuple[State, str]]:
    found = [one for one in drifts if one.drifted]
    if not found:
        return []
    named = words.drift_between.join(_moved(one, words, language) for one in found[:NAMED_DRIFTS])
    more = words.drift_more.format(len(found) - NAMED_DRIFTS) if len(found) > NAMED_DRIFTS else ""
    return [("drifted", words.drifted.format(named=named, more=more))]


def _moved(one: Drift, words: VerdictWords, language: Language) -> str:
    name = label(one.name, language)
    if abs(one.missing_now - one.missing_before) > LEVEL_TOLERANCE:
        return words.moved_missing.format(name, written(one.missing_before, ".0%"), written(one.missing_now, ".0%"))
    if one.median_before is None or one.median_now is None or one.median_before == one.median_now:
        return words.moved_spread.format(name)
    return words.moved_median.format(name, one.median_before, one.median_now)


def _another_log(run: Comparison, words: VerdictWords) -> Verdict:
    share, day = written(run.unknown_share, ".0%"), date_of(run.as_of)
    return Verdict("another log", retrain=False, sentence=words.another_log.format(share=share, run=run.run_id, day=day))


def _too_early(own: Sequence[Comparison], monitoring: Monitoring, language: Language) -> Verdict:
    words = VERDICT_WORDS[language]
    honest = [one for one in own if not one.hindsight]
    if not honest:
        return _early(words.learned.format(own[0].model_version), monitoring, language)
    furthest = max(honest, key=lambda one: (one.observed_days / one.horizon_days, one.run_id))
    ready = _ready(furthest)
    if date_of(monitoring.observed_until) < ready:
        wait = words.wait_until.format(ready)
    elif not furthest.figures:
        wait = words.few_buyers.format(furthest.total.buyers)
    else:
        wait = words.model_gone.format(_end(furthest))
    passed = words.passed.format(observed=furthest.observed_days, horizon=furthest.horizon_days, run=furthest.run_id, wait=wait)
    return _early(passed, monitoring, language)


def _early(why: str, monitoring: Monitoring, language: Language) -> Verdict:
    words = VERDICT_WORDS[language]
    sentence = words.sentences.join((words.too_early.format(why), _drift_words(monitoring, language)))
    return Verdict("too early", retrain=False, sentence=sentence)


def _fine(judged: Comparison, monitoring: Monitoring, language: Language) -> str:
    figures, words, said = judged.figures, VERDICT_WORDS[language], []
    if "level" in figures:
        said.append(words.fine_level.format(_which(judged, words), figures["level"].estimate))
    if "ranking" in figures:
        said.append(words.fine_ranking.format(figures["ranking"].estimate))
    return words.sentences.join((words.fine.format(words.between.join(said)), _drift_words(monitoring, language)))


def _drift_words(monitoring: Monitoring, language: Language) -> str:
    words = VERDICT_WORDS[language]
    if monitoring.drift is None:
        return words.no_drift.format("" if monitoring.no_drift_because is None else monitoring.no_drift_because.told(language))
    return words.alike


def _which(run: Comparison, words: VerdictWords) -> str:
    if run.complete:
        return words.run.format(run.run_id)
    return words.open_run.format(run.run_id, run.observed_days, run.horizon_days)


def _ready(run: Comparison) -> date:
    """The day from which on a quarter of the run has passed."""
    return date_of(run.as_of + math.ceil(run.horizon_days * LEAST_ELAPSED))


def _end(run: Comparison) -> date:
    return date_of(run.as_of + run.horizon_days)


def _beyond(found: Interval, low: float, high: float) -> bool:
    return found.low > high or found.high < low
