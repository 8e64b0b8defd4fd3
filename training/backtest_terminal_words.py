"""What ``foretier backtest`` says in the terminal, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from configs.language import Language
from training.evaluation_rows import CHURN_CAPTION
from training.report_words import ACCURACY_WORDS

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TerminalWords:
    """Headings, and texts in which ``{...}`` is filled in."""

    value_by: str
    value_title: str
    one_origin: str
    value_caption: str
    value_head: Names
    churn_by: str
    churn: str
    churn_caption: str
    churn_head: Names
    origins: str
    origins_caption: str
    origins_head: Names
    tiers: str
    tiers_caption: str
    tiers_head: Names
    slices: str
    slices_head: Names
    meaning: str
    skipped: str


EN = TerminalWords(
    value_by="Value predicted by",
    value_title="Mean of {} origins, {} days ahead, with 90 % intervals",
    one_origin="Mean of 1 origin, {1} days ahead, with 90 % intervals",
    value_caption="Gini: 1 = perfect ranking, 0 = random. Top 10 %: value held by the best-ranked tenth. "
    "Total: predicted / realised.",
    value_head=("Gini", "Top 10 %", "Total", "Decile error"),
    churn_by="Churn predicted by",
    churn="Churn",
    churn_caption=CHURN_CAPTION,
    churn_head=("AUC", "Brier skill", "Calibration error"),
    origins="Every origin",
    origins_caption="Each fitted again on what was known then.",
    origins_head=("Origin", "Customers", "Realised, {}", "Gini", "Top 10 %", "Total", "AUC"),
    tiers="What the tiers held",
    tiers_caption="Share of the realised value, share of customers who bought, value of an order, outcomes within the 80 % "
    "interval.",
    tiers_head=("Tier", "Value held", "by past spend", "Bought", "by past spend", "Order value", "Within 80 %"),
    slices="Customers who are hard to understand",
    slices_head=("Customers", "Number", "Realised, {}", "Predicted", "Total", "Gini", "Churned", "Risk"),
    meaning="{}: {}.",
    skipped="Origin {} left out: {}.",
)

ZH = TerminalWords(
    value_by="价值预测方法",
    value_title="{} 个起点的均值，未来 {} 天，带 90 % 区间",
    one_origin="{} 个起点的均值，未来 {} 天，带 90 % 区间",
    value_caption="Gini：1 = 排序完美，0 = 随机。前 10 %：排名最前的十分之一客户占有的价值。总额：预测 / 实际。",
    value_head=("Gini", "前 10 %", "总额", "十分组误差"),
    churn_by="流失预测方法",
    churn="流失",
    churn_caption=ACCURACY_WORDS["zh"].churn_caption,
    churn_head=("AUC", "Brier 技巧", "校准误差"),
    origins="各个起点",
    origins_caption="每个起点都只用当时已知的数据重新训练。",
    origins_head=("起点", "客户数", "实际，{}", "Gini", "前 10 %", "总额", "AUC"),
    tiers="各等级占有多少",
    tiers_caption="占实际价值的比例、下单客户的比例、每单金额、落在 80 % 区间内的比例。",
    tiers_head=("等级", "价值占比", "按以往消费", "下单", "按以往消费", "每单金额", "80 % 内"),
    slices="难以预测的客群",
    slices_head=("客群", "人数", "实际，{}", "预测", "总额", "Gini", "流失", "风险"),
    meaning="{}：{}。",
    skipped="起点 {} 未计入：{}。",
)

TERMINAL_WORDS: dict[Language, TerminalWords] = {"en": EN, "zh": ZH}
