"""What is said around the numbers of one customer, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from configs.language import Language


@dataclass(frozen=True, slots=True)
class ExplainWords:
    """Headings, and texts in which ``{}`` is filled in."""

    customer: str
    horizon: str
    tier: str
    up: str
    down: str
    same: str
    since: str
    held: str
    chance: str
    uncertain: str
    between: str
    value: str
    expected: str
    interval: str
    bounds: str
    holds: str
    orders: str
    of_each: str
    next_order: str
    as_likely_as_not: str
    churn_risk: str
    no_order: str
    if_active: str
    if_orders: str
    at_risk: str
    times_risk: str
    why_value: str
    why_risk: str
    points: str
    smaller: str
    order_count: str
    one_order: str
    past: str
    model: str
    grade: str
    stop: str


EN = ExplainWords(
    customer="Customer {customer}",
    horizon="in {horizon_days} days from {as_of} to before {horizon_end}",
    tier="Tier",
    up="higher than by past spend",
    down="lower than by past spend",
    same="the same as by past spend",
    since="since {}",
    held="held: by value alone {}",
    chance="{} chance to spend within its bounds",
    uncertain=", uncertain",
    between="; ",
    value="Predicted value",
    expected="expected {}",
    interval="Value interval",
    bounds="{} to {}",
    holds="holds what is spent with a probability of {}",
    orders="Orders",
    of_each="expected, of {} each",
    next_order="Next order",
    as_likely_as_not="by the end of this day as likely as not",
    churn_risk="Churn risk",
    no_order="chance of no order {}",
    if_active="Value if active",
    if_orders="expected if the customer orders at all",
    at_risk="Value at risk",
    times_risk="value if active, times churn risk",
    why_value="Why {end}: from {start}, what the model expects of an unknown customer",
    why_risk="Why {end} churn risk: from {start}, that of an unknown customer",
    points="{} points",
    smaller="{} smaller drivers",
    order_count="{:,} orders",
    one_order="1 order",
    past="Looking back: {orders}, the last on {last}; spent {spent} in total; past-spend tier {tier}, RFM segment {segment}, "
    "ABC class {abc}, lifecycle stage {stage}.",
    model="Model version {}",
    grade=", grade {}",
    stop=".",
)

ZH = ExplainWords(
    customer="客户 {customer}",
    horizon="{as_of} 起 {horizon_days} 天内（{horizon_end} 之前）",
    tier="等级",
    up="高于按以往消费的等级",
    down="低于按以往消费的等级",
    same="与按以往消费的等级相同",
    since="自 {} 起",
    held="暂时保留：仅按价值应为 {}",
    chance="消费落在本等级范围内的概率 {}",
    uncertain="，不确定",
    between="；",
    value="预测价值",
    expected="预计{}",
    interval="价值区间",
    bounds="{} 至 {}",
    holds="实际消费有 {} 的概率落在其中",
    orders="订单",
    of_each="预计单数，每单 {}",
    next_order="下次下单",
    as_likely_as_not="到这一天结束时，下单与否可能性各半",
    churn_risk="流失风险",
    no_order="{}不下单的概率",
    if_active="若活跃的价值",
    if_orders="若客户下单，预计带来的价值",
    at_risk="风险价值",
    times_risk="若活跃的价值乘以流失风险",
    why_value="为什么是 {end}：从 {start}（模型对未知客户的预期）出发",
    why_risk="为什么流失风险是 {end}：从 {start}（未知客户的流失风险）出发",
    points="{} 个百分点",
    smaller="其余 {} 个较小的驱动因素",
    order_count="{:,} 笔订单",
    one_order="1 笔订单",
    past="回顾：{orders}，最近一次在 {last}；累计消费 {spent}；"
    "按以往消费的等级 {tier}，RFM 分群 {segment}，ABC 类 {abc}，生命周期阶段 {stage}。",
    model="模型版本 {}",
    grade="，评级 {}",
    stop="。",
)

EXPLAIN_WORDS: dict[Language, ExplainWords] = {"en": EN, "zh": ZH}
