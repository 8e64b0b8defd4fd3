"""What tests of reports share: a way to find English that was left in a Chinese text."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

NAMES = {"AUC", "BG", "Brier", "Foretier", "Gamma", "Gini", "LightGBM", "MB", "MBG", "NBD", "Spearman", "ms"}

EnglishIn = Callable[..., set[str]]


@pytest.fixture(scope="session")
def english_in() -> EnglishIn:
    """Give words of Latin letters that are no names; further texts (of settings, commands, options) are taken out first."""

    def found(text: str, *allowed: str) -> set[str]:
        for one in sorted(allowed, key=len, reverse=True):
            text = text.replace(one, " ")
        return set(re.findall(r"[A-Za-z]{2,}|n/a", text)) - NAMES

    return found
