"""What is added up for each customer: the layer under the catalog, where all arithmetic over orders happens.

Two steps of plain Narwhals expressions, each a function of the cutoff (integer day, the first day NOT observed):

1. ``terms``: one value per order row (its exponential weights, its amount as a whole number of ten-thousandths, ...),
2. ``sums``: one value per customer, aggregated over the terms.

**Why the numbers are the same on every engine.** Whatever is added up is a whole number held in float64: amounts, items
and logarithms in ten-thousandths, weights in units of 2**-30. A float64 sum of whole numbers is exact in any order up
to 2**53: a net total of 900 billion per customer, or 8 million orders. Beyond it nothing overflows, sums are merely
rounded. Rounding is ``floor(x + 0.5)``, which all engines do alike. Engines may differ in the last bit of ``exp``: for
no age in days is a weight that near to a rounding limit (a test proves it for every age). They may differ in the last bit
of ``ln`` as well, which moves a ten-thousandth of one logarithm once in about 10**11 orders.
"""

from __future__ import annotations

import narwhals as nw

from features.netting import MONEY_UNIT

WINDOWS = (30, 60, 90, 180, 365, 730)
HALF_LIVES = (30, 90, 180, 365)
SEASON_DAYS = 90
YEAR_OF_WEEKS = 364
"""Fifty-two whole weeks: the same season one year earlier begins on the same day of the week."""
SEASONS = (1, 2)
"""How many years before the cutoff the same seasons begin."""

WEIGHT_UNIT = 2**30
LN2 = 0.693147180559945
"""ln 2 to fifteen digits: short enough that every engine reads the very same float64 out of an SQL literal."""

_col = nw.col


def terms(cutoff: int) -> dict[str, nw.Expr]:
    """One value per row of the canonical orders before ``cutoff``, by name; missing where it does not apply."""
    purchase = _col("amount") >= 0
    net = _whole(_col("amount") * MONEY_UNIT)
    log = (_col("amount").clip(lower_bound=0.0) + 1.0).log()
    return {
        "order_day": _col("order_day"),
        "first_order_day": _col("first_order_day"),
        "previous_day": when(_col("previous_order_day") < _col("order_day"), _col("previous_order_day")),
        "purchase_day": when(purchase, _col("order_day")),
        "net": net,
        "paid": when(purchase, net),
        "paid_before": _whole(_col("spend_before") * MONEY_UNIT),
        "log": when(purchase, _whole(log * MONEY_UNIT)),
        "bought": when(purchase, _whole(_col("items").cast(nw.Float64) * MONEY_UNIT)),
        **{f"weight_{half_life}": _weight(half_life, cutoff) for half_life in HALF_LIVES},
    }


def sums(cutoff: int) -> dict[str, nw.Expr]:
    """One value per customer over ``terms(cutoff)``, by name; a sum of nothing is 0, an extreme is missing."""
    gap = (_col("order_day") - _col("previous_day")).cast(nw.Float64)
    first_of = {f"{days}": cutoff - days for days in WINDOWS}
    seasons = {f"season_{years}": season(cutoff, years) for years in SEASONS}
    return {
        "purchases": _col("purchase_day").count(),
        "repeat_days": _col("previous_day").count(),
        "first_day": _col("first_order_day").min(),
        "last_day": _col("purchase_day").max(),
        "day_before_last": _col("previous_day").max(),
        "gap_squares": (gap * gap).sum(),
        "net": _col("net").sum(),
        "paid": _col("paid").sum(),
        "paid_most": _col("paid").max(),
        "paid_on_repeat_days": when(_col("order_day") > _col("first_order_day"), _col("paid")).sum(),
        "paid_before_last": _col("paid_before").max(),
        "logs": _col("log").sum(),
        "log_squares": (_col("log") * _col("log")).sum(),
        "items": _col("bought").sum(),
        "purchases_with_items": _col("bought").count(),
        **{f"orders_{name}": _since(first, "purchase_day").count() for name, first in first_of.items()},
        **{f"net_{name}": _since(first, "net").sum() for name, first in first_of.items()},
        **{f"weights_{h}": when(_col("paid") >= 0, _col(f"weight_{h}")).sum() for h in HALF_LIVES},
        **{f"weighted_net_{h}": _whole(_col(f"weight_{h}") * _col("net")).sum() for h in HALF_LIVES},
        "weighted_paid_90": _whole(_col("weight_90") * _col("paid")).sum(),
        **{f"orders_{name}": _within(days, "purchase_day").count() for name, days in seasons.items()},
        **{f"net_{name}": _within(days, "net").sum() for name, days in seasons.items()},
    }


def season(cutoff: int, years: int) -> tuple[int, int]:
    """First day, and the day after the last, of the ``SEASON_DAYS`` from ``years`` years of weeks before the cutoff on."""
    first = cutoff - YEAR_OF_WEEKS * years
    return first, first + SEASON_DAYS


def when(condition: nw.Expr, value: nw.Expr) -> nw.Expr:
    """``value`` where ``condition`` holds, else missing."""
    return nw.when(condition).then(value)


def _whole(value: nw.Expr) -> nw.Expr:
    """Nearest whole number, halves upwards: the one rounding that all engines share."""
    return (value + 0.5).floor()


def _weight(half_life: int, cutoff: int) -> nw.Expr:
    """Exponential weight ``2**-(age / half_life)`` of an order, a multiple of 2**-30; yesterday's order has age 0."""
    age = (cutoff - 1) - _col("order_day")
    return _whole((age * -LN2 / half_life).exp() * WEIGHT_UNIT) / WEIGHT_UNIT


def _since(first: int, term: str) -> nw.Expr:
    return when(_col("order_day") >= first, _col(term))


def _within(days: tuple[int, int], term: str) -> nw.Expr:
    first, end = days
    return when((_col("order_day") >= first) & (_col("order_day") < end), _col(term))
