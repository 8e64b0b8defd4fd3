"""Feature values in words, for people who will never see a table of numbers.

A phrase is ``phrase(value, currency) -> str``; ``value`` is ``None`` (or NaN) where the feature is missing. Phrases are
facts in the past tense without a full stop, so that "...: raises the predicted value by 143 GBP" can follow.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Phrase = Callable[[float | None, str], str]


def count(value: float, noun: str) -> str:
    """Whole number with its noun: ``1 order``, ``1,200 days``, ``2.4 orders``. Nouns take a plain s."""
    rounded = round(value, 1)
    number = f"{rounded:,.0f}" if rounded == int(rounded) else f"{rounded:,.1f}"
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


def money(value: float, currency: str) -> str:
    """Money for reading: ``1,234 GBP``; below ten with its cents: ``4.50 GBP``."""
    cents = abs(value) < 10 and round(value, 2) != round(value)
    number = f"{value:,.2f}" if cents else f"{round(value) + 0:,d}"
    return f"{number} {currency}"


def percent(share: float) -> str:
    """A share as per cent: ``7 %``; a share that would read as none: ``below 1 %``."""
    return "below 1 %" if 0 < share < 0.005 else f"{100 * share:,.0f} %"


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
    return always(lambda days, _: f"{event} yesterday" if round(days) <= 1 else f"{event} {count(round(days), 'day')} ago")


def orders_placed(when: str) -> Phrase:
    """``Placed 3 orders in the last 90 days``, ``Placed no orders ...``."""
    return always(lambda orders, _: f"Placed {count(orders, 'order') if round(orders, 1) > 0 else 'no orders'} {when}")


def spent(when: str) -> Phrase:
    """``Spent 120 GBP in the last 365 days``; refunds that outweigh purchases are said as such."""

    def spoken(value: float, currency: str) -> str:
        if value <= -0.005:
            return f"Got {money(-value, currency)} more back than spent {when}"
        return f"Spent {money(value, currency)} {when}" if value >= 0.005 else f"Spent nothing {when}"

    return always(spoken)
