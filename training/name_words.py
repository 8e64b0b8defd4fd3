"""How names in JSON and in the log are said to people: of candidates, measures, groups of customers, and what the gate looks at.

What is no name of ours, such as a group by an attribute of the settings, stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from configs.language import Language
from training import candidates, slices
from training.figures import written

_ZH: Mapping[str, str] = MappingProxyType(
    {
        candidates.PERFECT: "完美预知",
        candidates.TWO_PART: "两阶段 LightGBM",
        candidates.PAST_SPEND: "以往消费总额",
        candidates.SPEND_RATE: "消费速度乘以预测天数",
        candidates.LAST_HORIZON: "上一个同样长时段的消费",
        candidates.LAST_SEASON: "去年同季的消费",
        candidates.SILENCE: "距上次下单的天数",
        slices.ONE_TIME: "一次性客户",
        slices.REPEAT: "复购客户",
        slices.NEW: "新客户",
        slices.BULK: "大单客户",
        slices.GIANT: "单笔巨额订单",
        slices.RETURNERS: "高退款客户",
        slices.SEASONAL: "季节性客户",
        "normalized Gini": "归一化 Gini",
        "top 10 % capture": "前 10 % 捕获率",
        "Brier score": "Brier 得分",
        "total bias": "总额偏差",
        "churn calibration error": "流失校准误差",
        "grade": "评级",
        "question": "预测目标",
        "golden rows": "黄金样本",
        "size of the bundle": "模型包大小",
        "latency of one prediction": "单次预测延迟",
    }
)
_MEANING_ZH: Mapping[str, str] = MappingProxyType(
    {
        slices.ONE_TIME: "只在一天买过",
        slices.REPEAT: "在两天或更多天买过",
        slices.NEW: f"起点前 {slices.NEW_DAYS} 天内首次下单",
        slices.BULK: f"最大订单位于全部客户最大订单的前 {written(slices.BULK_SHARE, '.0%')}",
        slices.GIANT: f"最大订单至少占全部购买 {written(slices.GIANT_SHARE, '.0%')} 的大单客户",
        slices.RETURNERS: f"购买金额中至少 {written(slices.RETURNED_SHARE, '.0%')} 已退款",
        slices.SEASONAL: "在两天或更多天买过，且总在往年的这个季节（起点之后的 90 天）",
    }
)
_OF = " of "
_MEASURES_OF_GROUPS = ("normalized Gini", "AUC")


def name_words(name: str, language: Language) -> str:
    """Say a name; of a measure of a group, both.

    >>> name_words("total past spend", "zh"), name_words("total past spend", "en"), name_words("BG/NBD", "zh")
    ('以往消费总额', 'total past spend', 'BG/NBD')
    >>> name_words("AUC of new customers", "zh"), name_words("AUC of country: Isle of Man", "zh")
    ('新客户的 AUC', 'country: Isle of Man 的 AUC')
    """
    if language == "en":
        return name
    measure, of, group = name.partition(_OF)
    if name in _ZH or not of or measure not in _MEASURES_OF_GROUPS:
        return _ZH.get(name, name)
    said = _ZH.get(group, f"{group} ")
    return f"{said}的 {_ZH.get(measure, measure)}".replace("的 归", "的归")


def meaning_words(name: str, language: Language) -> str:
    """Say who is in a group of ``training.slices.MEANING``."""
    return (_MEANING_ZH if language == "zh" else slices.MEANING)[name]
