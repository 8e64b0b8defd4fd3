"""What is said of changes to people, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from configs.change_kinds import ChangeKind
from configs.language import Language


@dataclass(frozen=True)
class ReasonWords:
    """The parts of a reason; ``small_facts``: a fact begins with a small letter within a sentence."""

    between: str
    small_facts: bool
    new_model: str
    was_held: str
    was_dormant: str
    was_lost: str
    ordered_once: str
    ordered_twice: str
    ordered_often: str
    one_order_fewer: str
    fewer_orders: str
    refunded: str
    no_order: str
    nothing: str
    adds_value: str
    takes_value: str
    adds_risk: str
    one_point: str
    points: str


@dataclass(frozen=True)
class ChangeWords:
    """Headings and remarks of the list, on the screen and in files; ``kinds`` by their codes."""

    reasons: ReasonWords
    kinds: Mapping[ChangeKind, str]
    title: str
    customer_id: str
    kind: str
    tier_before: str
    tier: str
    churn_risk_before: str
    churn_risk: str
    predicted_value_before: str
    predicted_value: str
    lifecycle_stage_before: str
    lifecycle_stage: str
    reason: str
    risk: str
    value: str
    why: str
    tiers_title: str
    gone: str
    new_customers: str
    counted: str
    between: str
    changed_tier: str
    held: str
    runs: str
    list_title: str
    more: str
    nobody: str
    note_run: str
    note_from: str
    note_to: str
    note_values: tuple[str, str]
    note_kinds: str
    note_tiers: str
    note_all: str
    note_moved: tuple[str, str]
    note_held: tuple[str, str]
    note_new: tuple[str, str]
    meanings: tuple[tuple[ChangeKind, str], ...]


EN = ChangeWords(
    reasons=ReasonWords(
        between="; ",
        small_facts=True,
        new_model="new model (version {now} after {was})",
        was_held="was held in {tier} until now",
        was_dormant="was dormant",
        was_lost="was lost",
        ordered_once="ordered once since {day}",
        ordered_twice="ordered twice since {day}",
        ordered_often="ordered {times} times since {day}",
        one_order_fewer="1 order fewer than before, refunded or corrected",
        fewer_orders="{orders:,} orders fewer than before, refunded or corrected",
        refunded="{amount} of earlier orders refunded",
        no_order="no order since {day}",
        nothing="the same day, model and orders: held in a tier otherwise than before",
        adds_value="{fact}: adds {amount}",
        takes_value="{fact}: takes {amount}",
        adds_risk="{fact}: adds {points} to the churn risk",
        one_point="1 point",
        points="{points:.0f} points",
    ),
    kinds=MappingProxyType(
        {"newly_at_risk": "newly at risk", "upgraded": "upgraded", "downgraded": "downgraded", "won_back": "won back"}
    ),
    title="Changes",
    customer_id="Customer",
    kind="What changed",
    tier_before="Tier before",
    tier="Tier",
    churn_risk_before="Churn risk before",
    churn_risk="Churn risk",
    predicted_value_before="Predicted value before",
    predicted_value="Predicted value",
    lifecycle_stage_before="Lifecycle stage before",
    lifecycle_stage="Lifecycle stage",
    reason="Reason",
    risk="Risk",
    value="Value",
    why="Why",
    tiers_title="Tiers from {before} to {after}",
    gone="gone",
    new_customers="new customers",
    counted="{kind}: {count:,}",
    between=", ",
    changed_tier="{moved:,} of {known:,} changed tier{share}.",
    held="{held:,} are held in the tier they had: no change.",
    runs="Rows: run {before}, columns: run {after}.",
    list_title="Who changed, by change of predicted value in {days} days, {currency}",
    more="--out FILE.csv or FILE.xlsx writes all of them",
    nobody="Nobody changed.",
    note_run="scoring run {run} as of {as_of}, model version {model}",
    note_from="From",
    note_to="To",
    note_values=("Values", "what is expected within {days} days, in {currency}"),
    note_kinds="Changes",
    note_tiers="Tiers, before or now",
    note_all="all",
    note_moved=("Changed tier", "{moved:,} of {known:,} customers whom both runs know"),
    note_held=("Held", "{held:,} customers stay in a tier although their value is just beyond its bounds"),
    note_new=("New and gone", "{new:,} customers are new, {gone:,} are no longer scored"),
    meanings=(
        ("newly_at_risk", "{count:,}: the churn risk is now {risk:.0%} or more, and was less"),
        ("upgraded", "{count:,}: in a better tier than before"),
        ("downgraded", "{count:,}: in a worse tier than before"),
        ("won_back", "{count:,}: were dormant or lost, have ordered since, and are active again"),
    ),
)

ZH = ChangeWords(
    reasons=ReasonWords(
        between="；",
        small_facts=False,
        new_model="模型已更新（由版本 {was} 换为版本 {now}）",
        was_held="此前暂时保留在 {tier} 等级",
        was_dormant="此前处于沉睡期",
        was_lost="此前已流失",
        ordered_once="自 {day} 起下单 1 次",
        ordered_twice="自 {day} 起下单 2 次",
        ordered_often="自 {day} 起下单 {times} 次",
        one_order_fewer="订单比之前少 1 笔（已退款或更正）",
        fewer_orders="订单比之前少 {orders:,} 笔（已退款或更正）",
        refunded="此前的订单退款 {amount}",
        no_order="{day} 之后再未下单",
        nothing="日期、模型和订单均未变化，只是等级保留的方式与之前不同",
        adds_value="{fact}，预测价值因此增加 {amount}",
        takes_value="{fact}，预测价值因此减少 {amount}",
        adds_risk="{fact}，流失风险因此上升 {points}",
        one_point="1 个百分点",
        points="{points:.0f} 个百分点",
    ),
    kinds=MappingProxyType({"newly_at_risk": "新增高流失风险", "upgraded": "升级", "downgraded": "降级", "won_back": "回流"}),
    title="客户变化",
    customer_id="客户",
    kind="变化",
    tier_before="原等级",
    tier="现等级",
    churn_risk_before="原流失风险",
    churn_risk="现流失风险",
    predicted_value_before="原预测价值",
    predicted_value="现预测价值",
    lifecycle_stage_before="原生命周期阶段",
    lifecycle_stage="现生命周期阶段",
    reason="原因",
    risk="流失风险",
    value="预测价值",
    why="原因",
    tiers_title="{before} 至 {after} 的等级变化",
    gone="不再评分",
    new_customers="新增客户",
    counted="{kind} {count:,} 位",
    between="，",
    changed_tier="{known:,} 位客户中有 {moved:,} 位等级变化{share}。",
    held="{held:,} 位客户暂时保留原等级，不算变化。",
    runs="行：评分批次 {before}；列：评分批次 {after}。",
    list_title="发生变化的客户，按未来 {days} 天预测价值的变化排序，单位 {currency}",
    more="用 --out FILE.csv 或 FILE.xlsx 写出全部客户",
    nobody="没有客户发生变化。",
    note_run="评分批次 {run}，预测基准日 {as_of}，模型版本 {model}",
    note_from="对比起点",
    note_to="对比终点",
    note_values=("价值", "未来 {days} 天的预期价值，单位 {currency}"),
    note_kinds="变化类型",
    note_tiers="等级（原或现）",
    note_all="全部",
    note_moved=("等级变化", "两次评分共有的 {known:,} 位客户中有 {moved:,} 位"),
    note_held=("暂时保留", "{held:,} 位客户的价值刚越过等级界限，仍保留原等级"),
    note_new=("新增与退出", "新增 {new:,} 位客户，{gone:,} 位不再评分"),
    meanings=(
        ("newly_at_risk", "{count:,} 位：流失风险升至 {risk:.0%} 及以上，此前低于该值"),
        ("upgraded", "{count:,} 位：等级高于此前"),
        ("downgraded", "{count:,} 位：等级低于此前"),
        ("won_back", "{count:,} 位：此前沉睡或已流失，之后重新下单并恢复活跃"),
    ),
)

CHANGE_WORDS: Mapping[Language, ChangeWords] = MappingProxyType({"en": EN, "zh": ZH})
