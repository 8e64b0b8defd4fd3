"""Both languages say the same: the same placeholders, a text for every code, and no English left in Chinese."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.playbook import CHANNELS, DEFAULT_PLAYBOOK, MOVEMENTS, STAGES, play_for
from features.catalog import GROUPS
from features.phrases_zh import PHRASES_ZH
from models.past_views import RFM_SEGMENTS
from serving import code_words
from serving.campaign_words import CAMPAIGN_WORDS
from serving.change_words import CHANGE_WORDS
from serving.driver_words import HEADLINES, churn_sentence, driver_phrase, value_sentence
from serving.explain_words import EXPLAIN_WORDS
from serving.list_words import LIST_WORDS
from serving.report_words import REPORT_WORDS

NAMES = {
    "RFM",
    "ABC",
    "USD",
    "GBP",
    "Platinum",
    "Gold",
    "Silver",
    "Bronze",
    "FILE",
    "csv",
    "xlsx",
    "parquet",
    "out",
    "json",
    "x",
}
"""Words that stay as they are in Chinese: names, codes of the settings, options, suffixes."""
ALL_WORDS: dict[str, Any] = {
    "campaign": CAMPAIGN_WORDS, "changes": CHANGE_WORDS, "customer": EXPLAIN_WORDS, "lists": LIST_WORDS, "reports": REPORT_WORDS,
}  # fmt: skip


def texts(words: Any, at: str = "") -> dict[str, str]:
    """All texts below a frozen dataclass, by their place."""
    if isinstance(words, str):
        return {at: words}
    if isinstance(words, bool):
        return {}
    if is_dataclass(words):
        items: Any = [(field.name, getattr(words, field.name)) for field in fields(words)]
    elif isinstance(words, Mapping):
        items = words.items()
    else:
        items = enumerate(words)
    return {place: text for key, value in items for place, text in texts(value, f"{at}.{key}").items()}


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def english(text: str) -> set[str]:
    """Words of Latin letters that are no names; placeholders are none."""
    plain = "".join(part for part, *_ in string.Formatter().parse(text))
    return set(re.findall(r"[A-Za-z]{2,}", plain)) - NAMES


@pytest.mark.parametrize("kind", ALL_WORDS)
def test_both_languages_fill_in_the_same(kind: str) -> None:
    en, zh = (texts(ALL_WORDS[kind][language]) for language in ("en", "zh"))
    assert en.keys() == zh.keys()
    assert len(en) > 10
    names = {"reasons", "left_out", "kinds"}
    different = [
        place for place in en
        if placeholders(en[place]) != placeholders(zh[place]) and not names & set(place.split("."))
    ]  # fmt: skip
    assert different == []


@pytest.mark.parametrize("kind", ALL_WORDS)
def test_no_english_is_left(kind: str) -> None:
    # The names of what is left out of a list, and of kinds, are codes: pairs of code and text.
    left = {
        place: english(text)
        for place, text in texts(ALL_WORDS[kind]["zh"]).items()
        if english(text) and not re.search(r"\.(left_out|meanings)\.\d+\.0$", place)
    }
    assert left == {}


def test_every_code_has_chinese() -> None:
    assert code_words.STAGES["zh"].keys() == set(STAGES)
    assert code_words.MOVEMENTS["zh"].keys() == set(MOVEMENTS)
    assert code_words.CHANNELS["zh"].keys() == set(CHANNELS)
    assert code_words.SEGMENTS["zh"].keys() == set(RFM_SEGMENTS.values())
    assert code_words.band_words("very high", "zh") == "very high"
    assert code_words.stage_words("lost", "en") == "lost"


def test_the_playbook_ships_with_the_same_plays_in_both_languages() -> None:
    en, zh = DEFAULT_PLAYBOOK["en"], DEFAULT_PLAYBOOK["zh"]
    assert [play.model_dump(exclude={"action"}) for play in en] == [play.model_dump(exclude={"action"}) for play in zh]
    assert all(not english(play.action) for play in zh)
    for tier in ("Platinum", "Gold", "Silver", "Bronze", "Core"):
        for stage in STAGES:
            for movement in MOVEMENTS:
                assert play_for(en, tier, stage, movement) is not None


def test_every_headline_has_a_chinese_phrase() -> None:
    assert PHRASES_ZH.keys() == {group.headline for group in GROUPS}


@given(
    st.sampled_from(sorted(HEADLINES)),
    st.none() | st.just(float("nan")) | st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, -0.001, 0.004, 9.96]),
    st.floats(-1e5, 1e5) | st.just(0.0),
)
def test_chinese_drivers_hold_no_english_and_the_numbers_of_the_english(group: str, value: float | None, effect: float) -> None:
    zh = driver_phrase(group, value, "CNY", "zh")
    assert english(zh.replace("CNY", "")) == set()
    numbers = r"[\d,]+\.?\d*"
    for what in ("value", "churn"):
        if what == "value":
            said = [value_sentence("", effect, "CNY", language) for language in ("en", "zh")]
        else:
            said = [churn_sentence("", effect / 1e5, language) for language in ("en", "zh")]
        assert re.findall(numbers, said[0]) == re.findall(numbers, said[1])
        assert english(said[1].replace("CNY", "")) == set()


@pytest.mark.parametrize(
    ("group", "value", "said"),
    [
        ("recency", 1.0, "昨天下过单"),
        ("recency", 108.0, "108 天前下过单"),
        ("order_history", 13.0, "累计下单 13 次"),
        ("recent_spend", -12.5, "最近 365 天退款比消费多 12 CNY"),
        ("recent_spend", 0.0, "最近 365 天没有消费"),
        ("rhythm", None, "只在一天下过单"),
        ("refunds", 0.0, "从未退款"),
        ("refunds", 0.25, "消费中有 25 % 退款"),
        ("items", None, "件数未知"),
    ],
)
def test_drivers_read_as_a_marketer_would_say_them(group: str, value: float | None, said: str) -> None:
    assert driver_phrase(group, value, "CNY", "zh") == said
