"""Integer days since 1970-01-01 and dates: the one place where they are turned into each other."""

from __future__ import annotations

from datetime import date

_EPOCH = date(1970, 1, 1).toordinal()


def day_number(day: date) -> int:
    """Days from 1970-01-01 to ``day``.

    >>> day_number(date(1970, 1, 2))
    1
    """
    return day.toordinal() - _EPOCH


def date_of(day: int) -> date:
    """Give the date that is ``day`` days after 1970-01-01.

    >>> date_of(15137)
    datetime.date(2011, 6, 12)
    """
    return date.fromordinal(int(day) + _EPOCH)
