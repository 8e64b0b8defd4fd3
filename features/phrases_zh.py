"""The headline features in Chinese: what ``features.phrases`` and the catalog say in English.

A number is followed by its measure word at once, without a plural; money keeps its currency code.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from features.phrases import LEAST_MONEY, LEAST_SHARE, Phrase, missing_as, money, number_words, percent


def _days_ago(days: float, _: str) -> str:
    return "昨天下过单" if round(days) <= 1 else f"{number_words(round(days))} 天前下过单"


def _orders(orders: float, when: str) -> str:
    return f"{when}下单 {number_words(orders)} 次" if round(orders, 1) > 0 else f"{when}没有下单"


def _spent(when: str) -> Phrase:
    def spoken(value: float, currency: str) -> str:
        if value <= -LEAST_MONEY:
            return f"{when}退款比消费多 {money(-value, currency)}"
        return f"{when}消费 {money(value, currency)}" if value >= LEAST_MONEY else f"{when}没有消费"

    return missing_as("未知", spoken)


def _refunded(share: float, _: str) -> str:
    if share <= 0:
        return "从未退款"
    return f"消费中有 {percent(share)} 退款" if share >= LEAST_SHARE else "消费中有不到 1 % 退款"


PHRASES_ZH: Mapping[str, Phrase] = MappingProxyType(
    {
        "days_since_last_order": missing_as("未知", _days_ago),
        "order_count": missing_as("未知", lambda orders, _: _orders(orders, "累计")),
        "orders_365d": missing_as("未知", lambda orders, _: _orders(orders, "最近 365 天")),
        "spend_365d": _spent("最近 365 天"),
        "order_value_mean": missing_as("未知", lambda value, c: f"平均每单 {money(value, c)}"),
        "gap_mean": missing_as("只在一天下过单", lambda days, _: f"平均每 {number_words(days)} 天下一次单"),
        "T": missing_as("未知", lambda days, _: f"成为客户 {number_words(days)} 天" if days > 0 else "昨天首次下单"),
        "spend_same_season_1y": _spent("去年同季"),
        "refund_share": missing_as("没有可退款的消费", _refunded),
        "items_per_order": missing_as("件数未知", lambda items, _: f"每单买 {number_words(items)} 件"),
    }
)
"""By the name of the feature; the value is the feature's own, in its unit."""
