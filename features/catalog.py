"""The one declarative catalog of features: what each is, how it is computed, and how it is said to people.

A feature is a plain Narwhals expression over the sums of one customer (``features.sums``) and nothing else, so all of
them are computed by one group by, without a join or a window, on any engine, and are the same to the last bit on each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

import narwhals as nw

from features.netting import MONEY_UNIT
from features.phrases import (
    Phrase,
    always,
    count,
    days_ago,
    missing_as,
    money,
    orders_placed,
    percent,
    spent,
)
from features.sums import HALF_LIVES, SEASON_DAYS, SEASONS, WINDOWS, YEAR_OF_WEEKS, when

Expression = Callable[[int], nw.Expr]
Group = Literal[
    "recency", "order_history", "recent_orders", "recent_spend", "order_value",
    "rhythm", "tenure", "season", "refunds", "items",
]  # fmt: skip
Unit = Literal["days", "orders", "money", "share", "items", "ratio", "none"]

LEAST_WEIGHT = 2.0**-10
"""Below this summed weight (ten half-lives) a weighted mean rests on rounding, and is missing instead."""


@dataclass(frozen=True)
class Feature:
    """One feature of a customer as of a cutoff.

    ``name`` is its column; ``group`` the driver group it is reported in; ``unit`` what its number counts; ``label`` a
    heading; ``definition`` how it is computed, and when it is missing; ``expression(cutoff)`` the Narwhals expression
    over ``features.sums``; ``phrase(value, currency)`` its value in words (``None`` or NaN: missing).
    """

    name: str
    group: Group
    unit: Unit
    label: str
    definition: str
    expression: Expression
    phrase: Phrase


@dataclass(frozen=True)
class DriverGroup:
    """Features that are reported to people as one driver; ``headline`` is the feature whose value is shown with it."""

    name: Group
    label: str
    headline: str


GROUPS: tuple[DriverGroup, ...] = (
    DriverGroup("recency", "Time since the last order", "days_since_last_order"),
    DriverGroup("order_history", "Orders so far", "order_count"),
    DriverGroup("recent_orders", "Recent orders", "orders_365d"),
    DriverGroup("recent_spend", "Recent spend", "spend_365d"),
    DriverGroup("order_value", "Value of an order", "order_value_mean"),
    DriverGroup("rhythm", "Ordering rhythm", "gap_mean"),
    DriverGroup("tenure", "Time as a customer", "T"),
    DriverGroup("season", "Season", "spend_same_season_1y"),
    DriverGroup("refunds", "Refunds", "refund_share"),
    DriverGroup("items", "Items per order", "items_per_order"),
)

_col = nw.col


def _sum(name: str) -> nw.Expr:
    return _col(name).cast(nw.Float64)


def _in_money(name: str) -> nw.Expr:
    """Ten-thousandths -> units. Polars divides by a constant by multiplying with its inverse: rounding heals it."""
    return (_sum(name) / MONEY_UNIT).round(4)


def _mean_gap() -> nw.Expr:
    """Gaps add up to the days from first to last purchase; missing for one-time buyers."""
    return when(_col("repeat_days") > 0, (_sum("last_day") - _sum("first_day")) / _sum("repeat_days"))


def _std(size: nw.Expr, total: nw.Expr, squares: nw.Expr, unit: int = 1) -> nw.Expr:
    """Population standard deviation out of a count, a sum and a sum of squares in ``unit``; never NaN by rounding."""
    return (size * squares - total * total).clip(lower_bound=0.0).sqrt() / (size * unit)


def _order_value_trend(_: int) -> nw.Expr:
    recent = _in_money("weighted_paid_90") / _sum("weights_90")
    known = (_col("purchases") > 1) & (_col("weights_90") >= LEAST_WEIGHT) & (_col("paid") > 0)
    return when(known, recent / (_in_money("paid") / _sum("purchases")))


def _day_of_year(cutoff: int) -> float:
    """Position of the cutoff in its year as an angle; a year is 365.25 days."""
    return 2.0 * math.pi * ((date(1970, 1, 1) + timedelta(days=cutoff)).timetuple().tm_yday - 1) / 365.25


def _recent_orders(days: int) -> Feature:
    return Feature(
        f"orders_{days}d", "recent_orders", "orders", f"Orders in {days} days",
        f"Purchases in [cutoff - {days}, cutoff).",
        lambda _: _sum(f"orders_{days}"), orders_placed(f"in the last {days} days"),
    )  # fmt: skip


def _recent_spend(days: int) -> Feature:
    return Feature(
        f"spend_{days}d", "recent_spend", "money", f"Spend in {days} days",
        f"Net of refunds, in [cutoff - {days}, cutoff).",
        lambda _: _in_money(f"net_{days}"), spent(f"in the last {days} days"),
    )  # fmt: skip


def _weighted_orders(half_life: int) -> Feature:
    return Feature(
        f"weighted_orders_{half_life}d", "recent_orders", "orders", f"Orders, halved every {half_life} days",
        f"Purchases, each weighted 2**-(age / {half_life}), age = cutoff - 1 - order_day.",
        lambda _: _sum(f"weights_{half_life}"),
        orders_placed(f"when an order counts half after {half_life} days"),
    )  # fmt: skip


def _weighted_spend(half_life: int) -> Feature:
    return Feature(
        f"weighted_spend_{half_life}d", "recent_spend", "money", f"Spend, halved every {half_life} days",
        f"Net of refunds, each amount weighted 2**-(age / {half_life}), age = cutoff - 1 - order_day.",
        lambda _: _in_money(f"weighted_net_{half_life}"),
        spent(f"when money counts half after {half_life} days"),
    )  # fmt: skip


def _season_pair(years: int) -> tuple[Feature, Feature]:
    ago = f"in this season {('one year', 'two years')[years - 1]} ago"
    window = f"[cutoff - {YEAR_OF_WEEKS * years}, cutoff - {YEAR_OF_WEEKS * years - SEASON_DAYS})"
    return (
        Feature(
            f"orders_same_season_{years}y", "season", "orders", f"Orders this season, {years} y ago",
            f"Purchases in {window}.",
            lambda _: _sum(f"orders_season_{years}"), orders_placed(ago),
        ),
        Feature(
            f"spend_same_season_{years}y", "season", "money", f"Spend this season, {years} y ago",
            f"Net of refunds, in {window}.",
            lambda _: _in_money(f"net_season_{years}"), spent(ago),
        ),
    )  # fmt: skip


_ONCE = "Has ordered on one day only"

CATALOG: tuple[Feature, ...] = (
    Feature(
        "frequency", "order_history", "orders", "Repeat purchase days",
        "Days with a purchase after the first such day (lifetimes' frequency, in days).",
        lambda _: _sum("repeat_days"),
        always(lambda days, _: f"Came back on {count(days, 'day')}" if days > 0 else "Has not come back yet"),
    ),
    Feature(
        "recency", "rhythm", "days", "Days from first to last order",
        "Last purchase day - first purchase day (lifetimes' recency; NOT days since the last order).",
        lambda _: _sum("last_day") - _sum("first_day"),
        always(lambda days, _: f"First to last order: {count(days, 'day')}" if days > 0 else "Ordered on one day only"),
    ),
    Feature(
        "T", "tenure", "days", "Days as a customer",
        "Last observed day (cutoff - 1) - first purchase day (lifetimes' T).",
        lambda cutoff: float(cutoff - 1) - _sum("first_day"),
        always(lambda days, _: f"Customer for {count(days, 'day')}" if days > 0 else "First ordered yesterday"),
    ),
    Feature(
        "monetary_value", "order_value", "money", "Value of a repeat purchase day",
        "Mean purchase value of the repeat purchase days; 0 without one (lifetimes' monetary_value).",
        lambda _: when(_col("repeat_days") > 0, _in_money("paid_on_repeat_days") / _sum("repeat_days")).fill_null(0.0),
        always(lambda value, c: f"Spends {money(value, c)} on coming back" if value > 0 else "Has not come back yet"),
    ),
    Feature(
        "order_count", "order_history", "orders", "Orders", "Purchases before the cutoff; refunds are none.",
        lambda _: _sum("purchases"), always(lambda orders, _: f"Placed {count(orders, 'order')} in total"),
    ),
    Feature(
        "total_spend", "order_history", "money", "Spend", "Sum of all amounts before the cutoff, net of refunds.",
        lambda _: _in_money("net"), spent("in total"),
    ),
    Feature(
        "days_since_last_order", "recency", "days", "Days since the last order",
        "cutoff - last purchase day: 1 when it was yesterday.",
        lambda cutoff: float(cutoff) - _sum("last_day"), days_ago("Ordered"),
    ),
    *(_recent_orders(days) for days in WINDOWS),
    *(_recent_spend(days) for days in WINDOWS),
    *(_weighted_orders(half_life) for half_life in HALF_LIVES),
    *(_weighted_spend(half_life) for half_life in HALF_LIVES),
    Feature(
        "gap_mean", "rhythm", "days", "Days between orders",
        "Mean of the gaps between purchase days; missing for one-time buyers.",
        lambda _: _mean_gap(), missing_as(_ONCE, lambda days, _: f"Orders so far came {count(days, 'day')} apart on average"),
    ),
    Feature(
        "gap_spread", "rhythm", "days", "Spread of the days between orders",
        "Population standard deviation of those gaps; missing for one-time buyers.",
        lambda _: when(
            _col("repeat_days") > 0,
            _std(_sum("repeat_days"), _sum("last_day") - _sum("first_day"), _sum("gap_squares")),
        ),
        missing_as(_ONCE, lambda days, _: f"Time between orders varies by {count(days, 'day')}"),
    ),
    Feature(
        "gap_last", "rhythm", "days", "Days between the last two orders",
        "Last purchase day - the purchase day before it; missing for one-time buyers.",
        lambda _: _sum("last_day") - _sum("day_before_last"),
        missing_as(_ONCE, lambda days, _: f"The last order came {count(days, 'day')} after the one before"),
    ),
    Feature(
        "overdue_ratio", "rhythm", "ratio", "Overdue",
        "days_since_last_order / gap_mean: above 1 the next order is late; missing for one-time buyers.",
        lambda cutoff: (float(cutoff) - _sum("last_day")) / _mean_gap(),
        missing_as(_ONCE, lambda ratio, _: f"Has waited {ratio:,.1f} times as long as usual between orders"),
    ),
    Feature(
        "order_value_mean", "order_value", "money", "Value of an order", "Mean amount of the purchases.",
        lambda _: _in_money("paid") / _sum("purchases"),
        always(lambda value, c: f"Spends {money(value, c)} an order on average"),
    ),
    Feature(
        "order_value_spread", "order_value", "ratio", "Spread of the order values",
        "Population standard deviation of ln(1 + amount) of the purchases.",
        lambda _: _std(_sum("purchases"), _sum("logs"), _sum("log_squares"), MONEY_UNIT),
        always(lambda std, _: f"Order values vary by {percent(math.expm1(std))}" if std > 0 else "Equal order values"),
    ),
    Feature(
        "order_value_max", "order_value", "money", "Value of the largest order", "Amount of the largest purchase.",
        lambda _: _in_money("paid_most"), always(lambda value, c: f"The largest order was {money(value, c)}"),
    ),
    Feature(
        "order_value_last", "order_value", "money", "Value of the last order", "Amount of the last purchase.",
        lambda _: (_in_money("paid") - _in_money("paid_before_last")).round(4),
        always(lambda value, c: f"The last order was {money(value, c)}"),
    ),
    Feature(
        "order_value_trend", "order_value", "ratio", "Trend of the order values",
        "Mean purchase amount weighted 2**-(age / 90) / order_value_mean: above 1, orders grow; missing for a single "
        "order, where the weights sum to less than 2**-10 (900 days without an order), or the purchases to 0.",
        _order_value_trend,
        missing_as(
            "No orders to compare",
            lambda ratio, _: f"Recent orders are worth {percent(ratio)} of the usual",
        ),
    ),
    *(feature for years in SEASONS for feature in _season_pair(years)),
    Feature(
        "season_sin", "season", "none", "Season (sine)", "Sine of the cutoff's place in its year of 365.25 days.",
        lambda cutoff: nw.lit(math.sin(_day_of_year(cutoff)), nw.Float64),
        always(lambda _value, _: "The time of the year"),
    ),
    Feature(
        "season_cos", "season", "none", "Season (cosine)", "Cosine of the cutoff's place in its year of 365.25 days.",
        lambda cutoff: nw.lit(math.cos(_day_of_year(cutoff)), nw.Float64),
        always(lambda _value, _: "The time of the year"),
    ),
    Feature(
        "refund_share", "refunds", "share", "Share refunded",
        "Refunded value / purchase value, 0 or more; missing where the purchases sum to 0.",
        lambda _: when(_col("paid") > 0, (_sum("paid") - _sum("net")) / _sum("paid")),
        missing_as(
            "Has spent nothing that could be refunded",
            lambda share, _: f"Got {percent(share)} of the spend refunded" if share > 0 else "Never had a refund",
        ),
    ),
    Feature(
        "items_per_order", "items", "items", "Items per order",
        "Mean items of the purchases that state them; missing where none does.",
        lambda _: when(_col("purchases_with_items") > 0, _in_money("items") / _sum("purchases_with_items")),
        missing_as("Number of items not known", lambda items, _: f"Buys {count(items, 'item')} an order"),
    ),
)  # fmt: skip

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in CATALOG)
"""The feature columns, in the order in which every model reads them."""
