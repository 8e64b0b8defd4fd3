"""Feature values in words, for people who will never see a table of numbers.

A phrase is ``phrase(value, currency) -> str``; ``value`` is ``None`` (or NaN) where the feature is missing. Phrases are
facts without a full stop, so that "...: raises the predicted value by 143 GBP" can follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Phrase = Callable[[float | None, str], str]

TEN = 10
"""From here on tenths and cents are left out."""
LEAST_MONEY = 0.005
LEAST_SHARE = 0.005
"""Below these, rounding would show nothing."""


def count(value: float, noun: str) -> str:
    """Number with its noun: ``1 order``, ``2.4 orders``, ``1,200 days``; tenths below ten only. Nouns take an s."""
    number = number_words(value)
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


def number_words(value: float) -> str:
    """A number for reading: ``1,200``; tenths below ten only: ``2.4``."""
    rounded = round(value, 1 if abs(value) < TEN else 0)
    return f"{rounded + 0:,.{0 if rounded == int(rounded) else 1}f}"


def money(value: float, currency: str) -> str:
    """Money for reading: ``1,234 GBP``; below ten with its cents: ``4.50 GBP``."""
    cents = round(value, 2) + 0
    whole = abs(cents) >= TEN or cents == int(cents)
    return f"{round(value):,d} {currency}" if whole else f"{cents:,.2f} {currency}"


def percent(share: float) -> str:
    """A share as per cent: ``7 %``; one that would read as none: ``less than 1 %``."""
    return "less than 1 %" if 0 < share < LEAST_SHARE else f"{100 * share + 0:,.0f} %"


def missing_as(words: str, phrase: Callable[[float, str], str]) -> Phrase:
    """A phrase that says ``words`` where the value is missing."""

    def spoken(value: float | None, currency: str) -> str:
        return words if value is None or math.isnan(value) else phrase(value, currency)

    return spoken


def always(phrase: Callable[[float, str], str]) -> Phrase:
    """A phrase for a feature that every customer has."""
    return missing_as("Not known", phrase)


def days_ago(event: str) -> Phrase:
    """``Ordered yesterday``, ``Ordered 9 days ago``: value 1 is the day before the cutoff."""

    def spoken(days: float, _: str) -> str:
        return f"{event} yesterday" if round(days) <= 1 else f"{event} {count(round(days), 'day')} ago"

    return always(spoken)


def orders_placed(when: str) -> Phrase:
    """``Placed 3 orders in the last 90 days``, ``Placed no orders ...``."""
    return always(lambda orders, _: f"Placed {count(orders, 'order') if round(orders, 1) > 0 else 'no orders'} {when}")


def spent(when: str) -> Phrase:
    """``Spent 120 GBP in the last 365 days``; refunds that outweigh purchases are said as such."""

    def spoken(value: float, currency: str) -> str:
        if value <= -LEAST_MONEY:
            return f"Got {money(-value, currency)} more back than spent {when}"
        return f"Spent {money(value, currency)} {when}" if value >= LEAST_MONEY else f"Spent nothing {when}"

    return always(spoken)
