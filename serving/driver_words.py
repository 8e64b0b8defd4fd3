"""Drivers in words: the customer's own value as a fact, and what it does to a prediction, in each language."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from configs.language import Language
from features.catalog import CATALOG, GROUPS, Feature
from features.phrases import money
from features.phrases_zh import PHRASES_ZH

# Below these an effect would read as 0.00, as 1.0 or as 0.0.
_LEAST_MONEY, _WHOLE_POINTS, _LEAST_POINTS = 0.005, 0.95, 0.05

_FEATURES: dict[str, Feature] = {feature.name: feature for feature in CATALOG}
HEADLINES: dict[str, Feature] = {group.name: _FEATURES[group.headline] for group in GROUPS}
"""The feature whose value is shown with each driver group."""


@lru_cache(maxsize=1 << 13)
def driver_phrase(group: str, value: float | None, currency: str, language: Language = "en") -> str:
    """Say the customer's value of a driver group's headline feature as a fact.

    It is kept, for it is said twice of every customer: of the value and of the churn risk.
    """
    headline = HEADLINES[group]
    phrase = headline.phrase if language == "en" else PHRASES_ZH[headline.name]
    return phrase(value, currency)


@dataclass(frozen=True, slots=True)
class _EffectWords:
    """How an effect is said: ``{phrase}`` the fact, ``{what}`` the prediction, ``{amount}`` how much."""

    raises: str
    lowers: str
    leaves: str
    value: str
    churn: str
    points: str
    one_point: str
    less_money: str
    less_points: str


_EFFECT_WORDS: dict[Language, _EffectWords] = {
    "en": _EffectWords(
        raises="{phrase}: raises the {what} by {amount}",
        lowers="{phrase}: lowers the {what} by {amount}",
        leaves="{phrase}: leaves the {what} as it is",
        value="predicted value",
        churn="churn risk",
        points="{} points",
        one_point="1 point",
        less_money="less than 0.01 {}",
        less_points="less than 0.1 points",
    ),
    "zh": _EffectWords(
        raises="{phrase}：使{what}提高 {amount}",
        lowers="{phrase}：使{what}降低 {amount}",
        leaves="{phrase}：对{what}没有影响",
        value="预测价值",
        churn="流失风险",
        points="{} 个百分点",
        one_point="1 个百分点",
        less_money="不到 0.01 {}",
        less_points="不到 0.1 个百分点",
    ),
}


def value_sentence(phrase: str, effect: float, currency: str, language: Language = "en") -> str:
    """Say a driver of the predicted value in words.

    >>> value_sentence("Ordered 9 days ago", 143.2, "GBP")
    'Ordered 9 days ago: raises the predicted value by 143 GBP'
    """
    words = _EFFECT_WORDS[language]
    amount = money(abs(effect), currency) if abs(effect) >= _LEAST_MONEY else words.less_money.format(currency)
    return _sentence(words, phrase, effect, words.value, amount)


def churn_sentence(phrase: str, effect: float, language: Language = "en") -> str:
    """Say a driver of the churn risk in words; the effect is a difference of probabilities.

    >>> churn_sentence("Ordered 9 days ago", -0.121)
    'Ordered 9 days ago: lowers the churn risk by 12 points'
    >>> churn_sentence("9 天前下过单", -0.121, "zh")
    '9 天前下过单：使流失风险降低 12 个百分点'
    """
    words = _EFFECT_WORDS[language]
    return _sentence(words, phrase, effect, words.churn, _points_words(words, abs(effect) * 100))


def _sentence(words: _EffectWords, phrase: str, effect: float, what: str, amount: str) -> str:
    form = words.leaves if effect == 0.0 else words.raises if effect > 0 else words.lowers
    return form.format(phrase=phrase, what=what, amount=amount)


def _points_words(words: _EffectWords, points: float) -> str:
    if points >= _WHOLE_POINTS:
        return words.one_point if round(points) == 1 else words.points.format(f"{points:.0f}")
    return words.points.format(f"{points:.1f}") if points >= _LEAST_POINTS else words.less_points
