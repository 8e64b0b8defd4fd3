"""A plain grade, A to D: whether the model surely finds more of what comes than the best simple rule does.

Of every measure the gain is the share of what the best simple rule misses and the model finds,
``(model - rule) / (perfect - rule)``: 0 = no better than the rule, 1 = perfect, below 0 = worse. Its 90 % interval comes from a
paired bootstrap over customers (``training.resampling``); the rule is the best of its kind on the very same customers, which
is hard on the model. A customer who is in several windows is drawn in all of them together.

To grade one held-back window, or the origins of a backtest together::

    grade([Window(customers=holdout.features.index, value=holdout.value, active=holdout.active,
                  predicted_value=predicted["predicted_value"].to_numpy(), churn_risk=predicted["churn_risk"].to_numpy(),
                  value_rules={name: score, ...}, churn_rules={"days since last order": days})], horizon_days)

``value_rules`` and ``churn_rules`` are scores that need no model, higher for more value and for more risk. Nothing here draws
from the clock or from global state: same arrays, same grade.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from configs.language import Language
from training.figures import written
from training.grade_words import GRADE_WORDS, GradeWords
from training.name_words import name_words
from training.resampling import Interval, Pool, interval
from training.told import Told, listed
from training.weighted_metrics import Draw, along, normalized

Floats = npt.NDArray[np.float64]
Letter = Literal["A", "B", "C", "D"]

CLEARLY = 0.05
"""Gain from which the model finds clearly more, not only surely more."""
FEWEST = 30
"""Customers who bought, and customers who did not, below which a window bounds nothing (see tests/training/test_grade.py)."""
TOP = 0.10
NOTHING = 1e-12
SEED = 20260101

RULE = GRADE_WORDS["en"].rule
"""The rule as it is printed in English."""


@dataclass(frozen=True)
class Window:
    """What was said and what happened in ``[cutoff, cutoff + horizon_days)``, one entry per customer.

    ``customers``: ids; ``value``: realised, at least 0, in currency; ``active``: 1 where the customer bought, else 0;
    ``predicted_value`` and ``churn_risk``: the served model's; ``value_rules`` and ``churn_rules``: scores by name.
    """

    customers: pd.Index[str]
    value: Floats
    active: Floats
    predicted_value: Floats
    churn_risk: Floats
    value_rules: Mapping[str, Floats]
    churn_rules: Mapping[str, Floats]


@dataclass(frozen=True)
class Gain:
    """One measure: the model's figure, that of the best simple ``rule``, and what of the rest the model finds."""

    measure: str
    model: float
    rule: str
    of_rule: float
    gain: Interval


@dataclass(frozen=True)
class Grade:
    """``letter`` is None where there is too little to grade by; ``sentence`` then says why, else what it means."""

    letter: Letter | None
    sentence: str
    value: Gain | None = None
    capture: Gain | None = None
    churn: Gain | None = None
    told: Told | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, with the rule; the sentence in English."""
        return {name: value for name, value in asdict(self).items() if name != "told"} | {"rule": RULE}

    def said(self, language: Language) -> str:
        """The sentence in a language; in English where it was only told so."""
        return self.sentence if self.told is None else self.told.told(language)


def ungraded(reason: Told) -> Grade:
    """No grade, and why."""
    return Grade(None, reason.en, told=reason)


def grade(windows: Sequence[Window], horizon_days: int, *, seed: int = SEED) -> Grade:
    """Grade the model on one or several windows of ``horizon_days``, all counting alike.

    Windows in which fewer than ``FEWEST`` customers bought, or fewer did not, or nothing was spent, are left out; without
    any other there is no letter.
    """
    telling = [window for window in windows if _lack(window) is None]
    if not telling:
        lacks = [lack for lack in map(_lack, windows) if lack is not None]
        return ungraded(listed(lacks) if lacks else _told(lambda words: words.no_window))
    pool = Pool.of([window.customers for window in telling], seed)
    ranked = [_Ranked.of(_rows(window, rows)) for window, rows in zip(telling, pool.rows, strict=True)]
    at_hand = _figures(ranked, [np.ones(len(number)) for number in pool.numbers])
    draws = [_figures(ranked, by_window) for by_window in pool.draws(seed)]
    value, capture, churn = (_gain(name, at_hand[name], [draw[name] for draw in draws]) for name in _MEASURES)
    letter = _letter(value, capture, churn)
    told = _sentence(letter, value, capture, churn, horizon_days)
    return Grade(letter, told.en, value, capture, churn, told)


def _lack(window: Window) -> Told | None:
    """Why a window bounds nothing."""
    customers, buyers = len(window.active), int(window.active.sum())
    others = customers - buyers
    if buyers < FEWEST or others < FEWEST:
        return _told(lambda words: words.few_of_both.format(customers=customers, buyers=buyers, others=others, fewest=FEWEST))
    spenders = int((window.value > 0.0).sum())
    if spenders < FEWEST:
        return _told(lambda words: words.few_spenders.format(buyers=buyers, spenders=spenders, fewest=FEWEST))
    return None


def _rows(window: Window, rows: npt.NDArray[np.bool_]) -> Window:
    if rows.all():
        return window
    return Window(
        customers=window.customers[rows], value=window.value[rows], active=window.active[rows],
        predicted_value=window.predicted_value[rows], churn_risk=window.churn_risk[rows],
        value_rules={name: score[rows] for name, score in window.value_rules.items()},
        churn_rules={name: score[rows] for name, score in window.churn_rules.items()},
    )  # fmt: skip


_MEASURES = ("normalized Gini", f"top {written(TOP, '.0%')} capture", "AUC")
_MODEL, _PERFECT = "", "perfect"
Drawn = Callable[[Floats], Draw]


@dataclass(frozen=True)
class _Ranked:
    """A window whose scores are sorted once for all draws."""

    perfect: Drawn
    by_value: Mapping[str, Drawn]
    by_churn: Mapping[str, Drawn]

    @classmethod
    def of(cls, window: Window) -> _Ranked:
        by_value = {_MODEL: window.predicted_value, **window.value_rules}
        by_churn = {_MODEL: window.churn_risk, **window.churn_rules}
        return cls(
            along(window.value, window.value),
            {name: along(score, window.value) for name, score in by_value.items()},
            {name: along(score, 1.0 - window.active) for name, score in by_churn.items()},
        )

    def figures(self, weight: Floats) -> dict[str, dict[str, float]]:
        """Every measure of every way to predict, under these weights."""
        perfect = self.perfect(weight)
        best = perfect.gini()
        drawn = {name: of(weight) for name, of in self.by_value.items()}
        found = {name: normalized(draw.gini(), best) for name, draw in drawn.items()}
        held = {name: draw.capture(TOP) for name, draw in drawn.items()}
        apart = {name: of(weight).auc() for name, of in self.by_churn.items()}
        every = ({**found, _PERFECT: 1.0}, {**held, _PERFECT: perfect.capture(TOP)}, {**apart, _PERFECT: 1.0})
        return dict(zip(_MEASURES, every, strict=True))


def _figures(ranked: Sequence[_Ranked], weight: Sequence[Floats]) -> dict[str, dict[str, float]]:
    """Means over the windows."""
    each = [one.figures(one_weight) for one, one_weight in zip(ranked, weight, strict=True)]
    return {
        measure: {name: float(np.mean([found[measure][name] for found in each])) for name in each[0][measure]}
        for measure in _MEASURES
    }


def _gain(measure: str, at_hand: Mapping[str, float], draws: Sequence[Mapping[str, float]]) -> Gain:
    rule = max(_rules(at_hand), key=lambda name: at_hand[name])
    shares = np.array([_share(draw, rule) for draw in draws])
    return Gain(measure, at_hand[_MODEL], rule, at_hand[rule], interval(_share(at_hand, rule), shares))


def _rules(figures: Mapping[str, float]) -> Iterator[str]:
    return (name for name in figures if name not in (_MODEL, _PERFECT))


def _share(figures: Mapping[str, float], rule: str) -> float:
    """What of the part that the rule misses the model finds; a rule that misses nothing leaves nothing to gain."""
    missed = figures[_PERFECT] - figures[rule]
    more = figures[_MODEL] - figures[rule]
    return more / missed if missed > NOTHING else min(more, 0.0)


def _letter(value: Gain, capture: Gain, churn: Gain) -> Letter:
    lowest = min(value.gain.low, churn.gain.low)
    if min(value.gain.high, churn.gain.high) < 0.0:
        return "D"
    if lowest <= 0.0 or capture.gain.high < 0.0:
        return "C"
    return "A" if lowest >= CLEARLY else "B"


def _sentence(letter: Letter, value: Gain, capture: Gain, churn: Gain, horizon_days: int) -> Told:
    def said(language: Language) -> str:
        words = GRADE_WORDS[language]
        gains = (_gain_words(one, words, language) for one in (value, capture, churn))
        return words.figures.format(meaning=words.meaning[letter].format(days=horizon_days), gains=words.between.join(gains))

    return Told(said("en"), said("zh"))


def _gain_words(one: Gain, words: GradeWords, language: Language) -> str:
    low, high = written(one.gain.low, "+.1%"), written(one.gain.high, "+.1%")
    measure, rule = name_words(one.measure, language), name_words(one.rule, language)
    return words.gains.format(measure=measure, model=one.model, of_rule=one.of_rule, rule=rule, low=low, high=high)


def _told(fill: Callable[[GradeWords], str]) -> Told:
    return Told(fill(GRADE_WORDS["en"]), fill(GRADE_WORDS["zh"]))
