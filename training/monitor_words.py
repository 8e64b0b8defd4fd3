"""What ``foretier monitor`` says, in each language: the verdict, and the headings of its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from configs.language import Language

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """Sentences and parts of them, in which ``{...}`` is filled in."""

    retrain: str
    retrain_soon: str
    run: str
    open_run: str
    below_spend: str
    fell: str
    level: str
    more: str
    less: str
    churn: str
    too_high: str
    too_low: str
    drifted: str
    drift_between: str
    drift_more: str
    moved_missing: str
    moved_spread: str
    moved_median: str
    another_log: str
    too_early: str
    learned: str
    passed: str
    wait_until: str
    few_buyers: str
    model_gone: str
    fine: str
    fine_level: str
    fine_ranking: str
    between: str
    no_drift: str
    alike: str
    sentences: str


@dataclass(frozen=True, slots=True)
class MonitorWords:
    """Headings by their names in the code, what they mean, and texts in which ``{...}`` is filled in."""

    also: str
    drift_unknown: str
    runs: str
    currency: str
    run: str
    drift: str
    feature: str
    tier: str
    decile: str
    by_tier: str
    by_decile: str
    days: str
    decile_note: str
    open_note: str
    held_note: str
    between: str
    bounds: str
    yes: str
    no: str
    headings: Texts
    meanings: Texts


EN_VERDICT = VerdictWords(
    retrain="Retrain: {}.",
    retrain_soon="Retrain soon: the predictions of {} held, but {}.",
    run="run {}",
    open_run="run {} in its first {} of {} days",
    below_spend="the ranking has decayed: sorting by past spend would have found the value of {run} better, by "
    "{by:.3f} of normalized Gini ({low:.3f} to {high:.3f})",
    fell="the ranking has decayed: normalized Gini fell from {then:.3f} in {first} to {now:.3f} in {last}, "
    "more than chance explains",
    level="the level is off: customers of {run} spent {off} {much} than predicted "
    "(realised / predicted {level:.2f}, {low:.2f} to {high:.2f})",
    more="more",
    less="less",
    churn="churn risks are {risk}: {bought} of the customers of {run} bought, {expected} were expected to",
    too_high="too high",
    too_low="too low",
    drifted="the customers are no longer like those the model learned on ({named}{more}); "
    "if the customers did not change, look for a change in the data first",
    drift_between="; ",
    drift_more="; and {} more",
    moved_missing="{}: missing for {} then, {} now",
    moved_spread="{}: spread otherwise than before",
    moved_median="{}: median {:,.4g} then, {:,.4g} now",
    another_log="Cannot say: {share} of the customers of run {run} have no purchase before {day} in this log. "
    "Give the log that the run was scored on, with what followed.",
    too_early="Too early to say: {}.",
    learned="model version {} had already learned from what followed every run that it scored",
    passed="{observed} of the {horizon} days of run {run} have passed, and {wait}",
    wait_until="the first judgement is possible from {} on",
    few_buyers="only {} customers have bought since, too few to judge by",
    model_gone="the model of the run is gone, so the run can be judged when it is complete, on {}",
    fine="Keep the model: {}.",
    fine_level="customers of {} spent {:.2f} times what was predicted",
    fine_ranking="the ranking holds (normalized Gini {:.3f})",
    between=", ",
    no_drift="Drift is not known: {}.",
    alike="The customers are still like those the model learned on.",
    sentences=" ",
)

ZH_VERDICT = VerdictWords(
    retrain="建议重新训练：{}。",
    retrain_soon="建议近期重新训练：{}的预测依然成立，但{}。",
    run="批次 {} ",
    open_run="批次 {0}（{2} 天中的前 {1} 天）",
    below_spend="排序能力已下降：按以往消费排序反而更能找到{run}的价值，归一化 Gini 高 {by:.3f}（{low:.3f} 至 {high:.3f}）",
    fell="排序能力已下降：归一化 Gini 从{first}的 {then:.3f} 降到{last}的 {now:.3f}，不能用偶然解释",
    level="预测水平有偏差：{run}的客户实际消费比预测{much} {off}（实际 / 预测 {level:.2f}，{low:.2f} 至 {high:.2f}）",
    more="多",
    less="少",
    churn="流失风险{risk}：{run}的客户有 {bought} 下单，预计为 {expected}",
    too_high="偏高",
    too_low="偏低",
    drifted="客户已不再像模型学习时的客户（{named}{more}）；如果客户没有变化，请先检查数据是否有变化",
    drift_between="；",
    drift_more="；另有 {} 项",
    moved_missing="{}：当时缺失 {}，现在 {}",
    moved_spread="{}：分布与以前不同",
    moved_median="{}：中位数当时 {:,.4g}，现在 {:,.4g}",
    another_log="无法判断：批次 {run} 的客户中有 {share} 在这份交易数据里、{day} 之前没有任何下单。"
    "请提供当时评分所用的交易数据及其后的数据。",
    too_early="为时尚早：{}。",
    learned="模型版本 {} 在训练时已经见过它所评每个批次之后发生的事",
    passed="批次 {run} 的 {horizon} 天已过去 {observed} 天，{wait}",
    wait_until="最早从 {} 起可以判断",
    few_buyers="此后只有 {} 位客户下单，太少，无法判断",
    model_gone="该批次的模型已不存在，要等批次完整结束（{}）才能判断",
    fine="保留当前模型：{}。",
    fine_level="{}的客户实际消费是预测的 {:.2f} 倍",
    fine_ranking="排序依然有效（归一化 Gini {:.3f}）",
    between="，",
    no_drift="漂移未知：{}。",
    alike="客户仍然像模型学习时的客户。",
    sentences="",
)

_NAMES = (
    "As of", "Model", "Days", "Predicted", "Realised", "Ratio", "Gini", "Over spend", "Churned", "Undecided",
    "Median then", "Median now", "Missing then", "Missing now", "Shift", "Usual", "PSI", "Drifted",
    "Customers", "Orders", "Expected buyers", "Bought", "Churn risk",
)  # fmt: skip

EN_MONITOR = MonitorWords(
    also="Also: {}.",
    drift_unknown="Drift: {}.",
    runs="Past runs, observed to before {}",
    currency=", {}",
    run="Run",
    drift="Drift: {} of {} features and scores",
    feature="Feature or score",
    tier="Tier",
    decile="Decile",
    by_tier="By tier: run {run} as of {day}, {days}, {currency}",
    by_decile="By decile: run {run} as of {day}, {days}, {currency}",
    days="{} of {} days",
    decile_note="Decile 1: highest predicted values.",
    open_note="Predicted and realised: of the days that have passed. Churn risk: of the whole horizon.",
    held_note="The 80 % intervals held for {} of the customers.",
    between=" ",
    bounds="{} to {}",
    yes="yes",
    no="no",
    headings={name: name for name in _NAMES},
    meanings={
        "Predicted": "Predicted: for the days that have passed.",
        "Ratio": "Ratio: realised / predicted, beneath it its 90 % interval where there is room.",
        "Gini": "Gini: 1 = perfect ranking.",
        "Over spend": "Over spend: Gini above that of ranking by past spend.",
        "Undecided": "Undecided: have not bought, and still may.",
        "Model": "* scored by a model that had already learned from these days.",
        "Shift": "Shift: Cohen's w (0.2 is little, 0.5 much), less what sampling adds.",
        "Usual": "Usual: how far it moved by itself before training.",
        "PSI": "PSI: population stability index, less what sampling adds.",
        "Drifted": "Drifted: a shift clearly above the usual one.",
    },
)

ZH_MONITOR = MonitorWords(
    also="另外：{}。",
    drift_unknown="漂移：{}。",
    runs="过去的评分批次，观察到 {} 之前",
    currency="，{}",
    run="批次",
    drift="漂移：{1} 项特征和评分中有 {0} 项",
    feature="特征或评分",
    tier="等级",
    decile="十分组",
    by_tier="按等级：批次 {run}，基准日 {day}，{days}，{currency}",
    by_decile="按十分组：批次 {run}，基准日 {day}，{days}，{currency}",
    days="{1} 天中的 {0} 天",
    decile_note="十分组 1：预测价值最高。",
    open_note="预测与实际：均为已过去的天数。流失风险：整个预测期。",
    held_note="80 % 区间对 {} 的客户成立。",
    between="",
    bounds="{} 至 {}",
    yes="是",
    no="否",
    headings=dict(
        zip(
            _NAMES,
            (
                "基准日", "模型", "天数", "预测", "实际", "比值", "Gini", "高出消费排序", "流失", "未定",
                "当时中位数", "现在中位数", "当时缺失", "现在缺失", "偏移", "通常", "PSI", "漂移",
                "客户数", "订单", "预计下单", "下单", "流失风险",
            ),
            strict=True,
        )
    ),
    meanings={
        "Predicted": "预测：已过去的天数。",
        "Ratio": "比值：实际 / 预测，有空间时下方为其 90 % 区间。",
        "Gini": "Gini：1 = 排序完美。",
        "Over spend": "高出消费排序：Gini 比按以往消费排序高出多少。",
        "Undecided": "未定：还没有下单，仍有可能。",
        "Model": "* 评分的模型在训练时已经见过这些天。",
        "Shift": "偏移：Cohen 的 w（0.2 为小，0.5 为大），已扣除抽样的影响。",
        "Usual": "通常：训练之前自身的变动幅度。",
        "PSI": "PSI：总体稳定性指数，已扣除抽样的影响。",
        "Drifted": "漂移：偏移明显超过通常幅度。",
    },
)  # fmt: skip

VERDICT_WORDS: dict[Language, VerdictWords] = {"en": EN_VERDICT, "zh": ZH_VERDICT}
MONITOR_WORDS: dict[Language, MonitorWords] = {"en": EN_MONITOR, "zh": ZH_MONITOR}
