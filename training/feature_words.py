"""How features and scores are headed for people, in each language; the catalog has the English."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from configs.language import Language
from features.catalog import CATALOG
from features.sums import HALF_LIVES, SEASONS, WINDOWS

_EN: Mapping[str, str] = MappingProxyType(
    {feature.name: feature.label for feature in CATALOG} | {"predicted_value": "Predicted value", "churn_risk": "Churn risk"}
)
_ZH: Mapping[str, str] = MappingProxyType(
    {
        "frequency": "复购天数",
        "recency": "首单到末单的天数",
        "T": "成为客户的天数",
        "monetary_value": "复购日的消费",
        "order_count": "订单数",
        "total_spend": "消费总额",
        "days_since_last_order": "距上次下单的天数",
        "gap_mean": "下单间隔天数",
        "gap_spread": "下单间隔的波动",
        "gap_last": "最近两单的间隔天数",
        "overdue_ratio": "逾期程度",
        "order_value_mean": "每单金额",
        "order_value_spread": "每单金额的波动",
        "order_value_max": "最大一单的金额",
        "order_value_last": "最近一单的金额",
        "order_value_trend": "每单金额的趋势",
        "season_sin": "季节（正弦）",
        "season_cos": "季节（余弦）",
        "refund_share": "退款比例",
        "items_per_order": "每单件数",
        "predicted_value": "预测价值",
        "churn_risk": "流失风险",
    }
    | {f"orders_{days}d": f"{days} 天内的订单数" for days in WINDOWS}
    | {f"spend_{days}d": f"{days} 天内的消费" for days in WINDOWS}
    | {f"weighted_orders_{days}d": f"订单数，每 {days} 天减半" for days in HALF_LIVES}
    | {f"weighted_spend_{days}d": f"消费，每 {days} 天减半" for days in HALF_LIVES}
    | {f"orders_same_season_{years}y": f"{years} 年前同季的订单数" for years in SEASONS}
    | {f"spend_same_season_{years}y": f"{years} 年前同季的消费" for years in SEASONS}
)


def label(name: str, language: Language = "en") -> str:
    """A feature or score as people know it.

    >>> label("churn_risk"), label("order_count"), label("order_count", "zh")
    ('Churn risk', 'Orders', '订单数')
    """
    return (_ZH if language == "zh" else _EN)[name]
