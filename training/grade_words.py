"""What is said of a grade, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from configs.language import Language

Letters = Mapping[str, str]
"""By letter."""


@dataclass(frozen=True, slots=True)
class GradeWords:
    """Texts in which ``{...}`` is filled in."""

    meaning: Letters
    figures: str
    gains: str
    between: str
    few_of_both: str
    few_spenders: str
    no_window: str
    grade: str
    colon: str
    none: str
    stop: str
    rule: str


EN = GradeWords(
    meaning={
        "A": "surely finds clearly more of the next {days} days' value and churners than the best simple rule",
        "B": "surely finds more of the next {days} days' value and churners than the best simple rule",
        "C": "neither better nor worse than the best simple rule for sure, {days} days ahead",
        "D": "surely worse than the best simple rule, {days} days ahead",
    },
    figures="{meaning} ({gains})",
    gains="{measure} {model:.3f} against {of_rule:.3f} of {rule}, gain {low} to {high}",
    between="; ",
    few_of_both="of {customers} customers in the held-back window {buyers} bought and {others} did not, "
    "a grade needs at least {fewest} of both",
    few_spenders="of {buyers} buyers in the held-back window {spenders} have net revenue, a grade needs at least {fewest}",
    no_window="no window was held back",
    grade="Grade ",
    colon=": ",
    none="none",
    stop=".",
    rule="A: surely finds at least 5 % of the value and 5 % of the churners that the best simple rule misses. "
    "B: surely finds more of both than the best simple rule. C: neither better nor worse than it for sure. "
    "D: surely worse at one of them. Surely: by the 90 % interval of a paired bootstrap over customers. Value by normalized "
    "Gini, and for A and B the best-ranked tenth must not surely hold less; churners by AUC. Simple rules: total past "
    "spend, spend rate x horizon, spend of the last horizon, same season last year; days since last order.",
)

ZH = GradeWords(
    meaning={
        "A": "确定比最好的简单规则明显多找到未来 {days} 天的价值和流失客户",
        "B": "确定比最好的简单规则多找到未来 {days} 天的价值和流失客户",
        "C": "未来 {days} 天，不能确定比最好的简单规则更好或更差",
        "D": "未来 {days} 天，确定比最好的简单规则更差",
    },
    figures="{meaning}（{gains}）",
    gains="{measure} {model:.3f}，“{rule}”为 {of_rule:.3f}，增益 {low} 至 {high}",
    between="；",
    few_of_both="留出时段的 {customers} 位客户中，{buyers} 位下了单，{others} 位没有，评级要求两者都至少 {fewest} 位",
    few_spenders="留出时段的 {buyers} 位下单客户中，{spenders} 位有净消费，评级要求至少 {fewest} 位",
    no_window="没有留出任何时段",
    grade="评级 ",
    colon="：",
    none="无",
    stop="。",
    rule="A：在最好的简单规则漏掉的价值和流失客户中，确定各找到至少 5 %。B：两者都确定比最好的简单规则找到得多。"
    "C：不能确定更好或更差。D：其中一项确定更差。“确定”按客户配对自助抽样的 90 % 区间判断。价值看归一化 Gini，"
    "A 和 B 还要求排名最前的十分之一客户所占价值没有确定变少；流失客户看 AUC。"
    "简单规则：以往消费总额、消费速度乘以预测天数、上一个同样长时段的消费、去年同季的消费；距上次下单的天数。",
)

GRADE_WORDS: dict[Language, GradeWords] = {"en": EN, "zh": ZH}
