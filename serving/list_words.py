"""The words of contact lists: headings, and what stands on the sheet of notes, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from configs.language import Language


@dataclass(frozen=True, slots=True)
class ListWords:
    """Headings are named as the columns are; ``note_...`` are pairs of label and text, in which ``{...}`` is filled in."""

    title: str
    notes_title: str
    rank: str
    customer_id: str
    tier: str
    churn_risk: str
    risk_band: str
    predicted_value: str
    value_at_risk: str
    value_low: str
    value_high: str
    uncertain: str
    last_order: str
    days_since_last_order: str
    next_order: str
    lifecycle_stage: str
    rfm_segment: str
    past_spend_tier: str
    movement: str
    action: str
    channel: str
    contact_cap: str
    reason: str
    horizon_days: str
    currency: str
    as_of: str
    grade: str
    yes: str
    no: str
    all_tiers: str
    not_graded: str
    no_limit: str
    note_as_of: tuple[str, str]
    note_contact_day: tuple[str, str]
    note_horizon: tuple[str, str]
    note_tiers: tuple[str, str]
    note_risk: tuple[str, str]
    note_min_value: tuple[str, str]
    note_capacity: tuple[str, str]
    note_budget: tuple[str, str]
    note_contacts: tuple[str, str]
    note_held_out: tuple[str, str]
    note_saved: tuple[str, str]
    note_in_vain: tuple[str, str]
    note_net_value: tuple[str, str]
    note_left_out: tuple[str, str]
    left_out: tuple[tuple[str, str], ...]
    between: str
    nobody: str
    note_customers: tuple[str, str]
    note_model: tuple[str, str]
    note_run: tuple[str, str]
    meanings: tuple[tuple[str, str], ...]


EN = ListWords(
    title="Churn risk",
    notes_title="About this list",
    rank="Rank",
    customer_id="Customer",
    tier="Tier",
    churn_risk="Churn risk",
    risk_band="Risk band",
    predicted_value="Predicted value",
    value_at_risk="Value at risk",
    value_low="Value, low",
    value_high="Value, high",
    uncertain="Tier uncertain",
    last_order="Last order",
    days_since_last_order="Days since last order",
    next_order="Next order expected",
    lifecycle_stage="Lifecycle stage",
    rfm_segment="RFM segment",
    past_spend_tier="Tier by past spend",
    movement="Movement",
    action="Suggested action",
    channel="Channel",
    contact_cap="Contacts in 30 days at most",
    reason="Reason {place}",
    horizon_days="Horizon in days",
    currency="Currency",
    as_of="As of",
    grade="Grade of the model",
    yes="yes",
    no="no",
    all_tiers="all",
    not_graded="not graded",
    no_limit="no limit",
    note_as_of=("Predicted as of", "{as_of}: orders before this day are known to the model"),
    note_contact_day=("Contact from", "{contact_day}"),
    note_horizon=("Horizon", "{horizon_days} days, up to {horizon_end}"),
    note_tiers=("Tiers", "{tiers}"),
    note_risk=("Churn risk from, to", "{min_percent} to {max_percent}"),
    note_min_value=("Least predicted value", "{min_value:,.2f} {currency}"),
    note_capacity=("Capacity", "{capacity}"),
    note_budget=("Budget per contact", "{budget_per_contact:,.2f} {currency}: nobody of whom less is expected to be saved"),
    note_contacts=("Contacts", "{contacts:,}"),
    note_held_out=(
        "Held out",
        "{held_out:,} more were drawn not to be contacted, so that the effect can be measured; they are not listed",
    ),
    note_saved=(
        "Expected to be saved",
        "{customers_saved:,.1f} customers worth {value_saved:,.2f} {currency}, if a contact keeps {save_percent} of the leaving",
    ),
    note_in_vain=(
        "Contacted in vain",
        "{in_vain:,.1f}: {would_stay:,.1f} would stay anyway, {leave_all_the_same:,.1f} leave all the same",
    ),
    note_net_value=(
        "Cost, net value",
        "{cost:,.2f} {currency} for all contacts; {net_value:,.2f} {currency} of what is saved remain",
    ),
    note_left_out=("Left out", "{left_out_words}"),
    left_out=(
        ("gone", "{:,} already gone"),
        ("below_min_value", "{:,} below the least value"),
        ("not_worth_the_budget", "{:,} not worth the budget"),
        ("contact_cap", "{:,} contacted often enough"),
        ("held_out", "{:,} held out by a running campaign"),
        ("suppressed", "{:,} suppressed"),
    ),
    between=", ",
    nobody="nobody",
    note_customers=("Customers scored", "{customers:,}"),
    note_model=("Model", "version {model_version}, grade {grade}"),
    note_run=("Scoring run", "{run_id}, written {created}"),
    meanings=(
        ("Churn risk", "Probability that the customer places no order within the horizon"),
        ("Predicted value", "Expected net revenue from the customer within the horizon"),
        ("Value, low and high", "With a probability of 80 %, what the customer spends within the horizon lies between them"),
        ("Tier uncertain", "yes: the spending may well be that of another tier, or the customer is held in this one"),
        ("Next order expected", "The first day by whose end an order is as likely as not; empty where none can be named"),
        ("Value at risk", "What is lost if the customer leaves: expected value if active, times the churn risk"),
        ("Order of the list", "Highest value at risk first"),
        ("Movement", "Tier by predicted value against tier by past spend: up, same or down"),
        ("Customer", "Exact text: leading zeros and long numbers are kept"),
    ),
)

ZH = ListWords(
    title="流失风险",
    notes_title="名单说明",
    rank="排名",
    customer_id="客户",
    tier="等级",
    churn_risk="流失风险",
    risk_band="风险档",
    predicted_value="预测价值",
    value_at_risk="风险价值",
    value_low="价值下限",
    value_high="价值上限",
    uncertain="等级不确定",
    last_order="最近下单日",
    days_since_last_order="距上次下单天数",
    next_order="预计下次下单日",
    lifecycle_stage="生命周期阶段",
    rfm_segment="RFM 分群",
    past_spend_tier="按以往消费的等级",
    movement="等级变动",
    action="建议动作",
    channel="渠道",
    contact_cap="30 天内触达上限",
    reason="原因 {place}",
    horizon_days="预测天数",
    currency="币种",
    as_of="预测基准日",
    grade="模型评级",
    yes="是",
    no="否",
    all_tiers="全部",
    not_graded="未评级",
    no_limit="不限",
    note_as_of=("预测基准日", "{as_of}：模型只知道此日之前的订单"),
    note_contact_day=("触达起始日", "{contact_day}"),
    note_horizon=("预测期", "{horizon_days} 天，至 {horizon_end}"),
    note_tiers=("等级", "{tiers}"),
    note_risk=("流失风险范围", "{min_percent} 至 {max_percent}"),
    note_min_value=("预测价值下限", "{min_value:,.2f} {currency}"),
    note_capacity=("可触达人数", "{capacity}"),
    note_budget=("每次触达预算", "{budget_per_contact:,.2f} {currency}：预计挽回低于此数的客户不列入"),
    note_contacts=("触达人数", "{contacts:,}"),
    note_held_out=("对照组", "另有 {held_out:,} 人随机抽出不触达，用于衡量效果，不在名单内"),
    note_saved=(
        "预计挽回",
        "{customers_saved:,.1f} 位客户，价值 {value_saved:,.2f} {currency}（假设触达能留住 {save_percent} 的将流失客户）",
    ),
    note_in_vain=("无效触达", "{in_vain:,.1f} 人：{would_stay:,.1f} 人本来就会留下，{leave_all_the_same:,.1f} 人仍会流失"),
    note_net_value=("成本与净值", "全部触达成本 {cost:,.2f} {currency}；扣除后净挽回 {net_value:,.2f} {currency}"),
    note_left_out=("未列入", "{left_out_words}"),
    left_out=(
        ("gone", "已流失 {:,} 人"),
        ("below_min_value", "低于价值下限 {:,} 人"),
        ("not_worth_the_budget", "不值得预算 {:,} 人"),
        ("contact_cap", "已达触达上限 {:,} 人"),
        ("held_out", "进行中活动的对照组 {:,} 人"),
        ("suppressed", "免打扰 {:,} 人"),
    ),
    between="，",
    nobody="无",
    note_customers=("已评分客户", "{customers:,}"),
    note_model=("模型", "版本 {model_version}，评级 {grade}"),
    note_run=("评分批次", "{run_id}，写于 {created}"),
    meanings=(
        ("流失风险", "客户在预测期内不下单的概率"),
        ("预测价值", "客户在预测期内预计带来的净收入"),
        ("价值下限与上限", "客户在预测期内的消费有 80% 的概率落在两者之间"),
        ("等级不确定", "是：消费很可能落在另一等级，或客户暂时保留在本等级"),
        ("预计下次下单日", "到这一天结束时，下单与否的可能性各半；无法给出时留空"),
        ("风险价值", "客户流失造成的损失：若活跃的预期价值乘以流失风险"),
        ("名单顺序", "风险价值高者在前"),
        ("等级变动", "按预测价值的等级与按以往消费的等级相比：上升、持平或下降"),
        ("客户", "原样文本：保留前导零与长数字"),
    ),
)

LIST_WORDS: dict[Language, ListWords] = {"en": EN, "zh": ZH}
