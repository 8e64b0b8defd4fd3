"""What the tables of the serving commands say, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from configs.language import Language


@dataclass(frozen=True, slots=True)
class ReportWords:
    """Headings, and texts in which ``{...}`` is filled in."""

    tiers: str
    tier: str
    customers: str
    predicted: str
    share: str
    mean_risk: str
    horizons: str
    moves: str
    held: str
    run: str
    grade: str
    stop: str
    nobody: str
    list_title: str
    list_caption: str
    rank: str
    customer: str
    risk: str
    at_risk: str
    why: str
    last_order: str
    action: str


EN = ReportWords(
    tiers="Tiers of {customers:,} customers as of {as_of}, by predicted value in {days} days",
    tier="Tier",
    customers="Customers",
    predicted="Predicted, {currency}",
    share="Share of value",
    mean_risk="Mean churn risk",
    horizons="Values and churn risk are of the next {days} days; tiers are those of {tier_days} days, which the model was "
    "trained for.",
    moves="{moved:,} are in another tier than by past spend: {up:,} higher, {down:,} lower.",
    held="{held:,} are held in the tier they had, though their value is just beyond its bounds.",
    run="Scoring run {run}, model version {version}",
    grade=", grade {grade}",
    stop=".",
    nobody="No customer fits these filters.",
    list_title="Churn risk as of {as_of}, {days} days ahead, by value at risk in {currency}",
    list_caption="--out FILE.csv or FILE.xlsx writes all columns",
    rank="Rank",
    customer="Customer",
    risk="Risk",
    at_risk="At risk",
    why="Why",
    last_order="Last order",
    action="Suggested action",
)

ZH = ReportWords(
    tiers="{customers:,} 位客户的等级，基准日 {as_of}，按未来 {days} 天的预测价值",
    tier="等级",
    customers="客户数",
    predicted="预测价值，{currency}",
    share="价值占比",
    mean_risk="平均流失风险",
    horizons="价值与流失风险为未来 {days} 天；等级按模型训练时的 {tier_days} 天。",
    moves="{moved:,} 人的等级与按以往消费的不同：{up:,} 人更高，{down:,} 人更低。",
    held="{held:,} 人的价值刚越过界限，暂时保留在原等级。",
    run="评分批次 {run}，模型版本 {version}",
    grade="，评级 {grade}",
    stop="。",
    nobody="没有客户符合这些条件。",
    list_title="流失风险，基准日 {as_of}，未来 {days} 天，按风险价值排序，{currency}",
    list_caption="--out 文件.csv 或 文件.xlsx 写出全部列",
    rank="排名",
    customer="客户",
    risk="风险",
    at_risk="风险价值",
    why="原因",
    last_order="最近下单",
    action="建议动作",
)

REPORT_WORDS: dict[Language, ReportWords] = {"en": EN, "zh": ZH}
