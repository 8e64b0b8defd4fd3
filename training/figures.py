"""Figures as they are written in tables and sentences."""

from __future__ import annotations


def written(number: float, how: str) -> str:
    """As ``format`` does, with a space before the sign of per cent.

    >>> written(0.1234, "+.1%"), written(1234.5, ",.2f")
    ('+12.3 %', '1,234.50')
    """
    return format(number, how).replace("%", " %")


def shown(number: float | None, how: str, nothing: str = "") -> str:
    """The same, or ``nothing`` where the figure is missing.

    >>> shown(None, ".0%", "n/a")
    'n/a'
    """
    return nothing if number is None else written(number, how)
