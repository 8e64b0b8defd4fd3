"""What ``foretier check`` and ``foretier train`` say of an evaluation, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from configs.language import Language
from training.evaluation_rows import CHURN_CAPTION


@dataclass(frozen=True, slots=True)
class AccuracyWords:
    """Headings, and texts in which ``{...}`` is filled in."""

    title: str
    caption: str
    predicted_by: str
    gini: str
    rank: str
    top_10: str
    top_20: str
    total: str
    churn_title: str
    churn_caption: str
    churn_by: str
    auc: str
    brier: str
    calibration: str


@dataclass(frozen=True, slots=True)
class TrainingWords:
    """Sentences in which ``{...}`` is filled in."""

    unknown: str
    trained: str


EN = AccuracyWords(
    title="Accuracy on the held-back {days} days from {begin} to before {end}",
    caption="Gini: 1 = perfect ranking, 0 = random. Rank: rank correlation. Top 10 %: value held "
    "by the best-ranked tenth. Total: predicted / realised.",
    predicted_by="Value predicted by",
    gini="Gini",
    rank="Rank",
    top_10="Top 10 %",
    top_20="Top 20 %",
    total="Total",
    churn_title="Churn: {share} of {customers:,} customers did not buy",
    churn_caption=CHURN_CAPTION,
    churn_by="Churn predicted by",
    auc="AUC",
    brier="Brier skill",
    calibration="Calibration error",
)

ZH = AccuracyWords(
    title="准确度：留出的 {days} 天，{begin} 起，{end} 之前",
    caption="Gini：1 = 排序完美，0 = 随机。秩相关：排序的相关程度。"
    "前 10 %：排名最前的十分之一客户占有的价值。总额：预测 / 实际。",
    predicted_by="价值预测方法",
    gini="Gini",
    rank="秩相关",
    top_10="前 10 %",
    top_20="前 20 %",
    total="总额",
    churn_title="流失：{customers:,} 位客户中有 {share} 没有下单",
    churn_caption="AUC：1 = 排序完美，0.5 = 随机。校准误差：预测风险与实际流失率相差多少。"
    "“距上次下单的天数”的 AUC 按天数本身计算，其余按由天数学得的风险计算。",
    churn_by="流失预测方法",
    auc="AUC",
    brier="Brier 技巧",
    calibration="校准误差",
)

ACCURACY_WORDS: dict[Language, AccuracyWords] = {"en": EN, "zh": ZH}
TRAINING_WORDS: dict[Language, TrainingWords] = {
    "en": TrainingWords(
        unknown="Accuracy unknown: {}.",
        trained="Version {version} of foretier, trained on {cutoffs} cutoffs as of {as_of}, {days} days ahead, "
        "{customers:,} customers.",
    ),
    "zh": TrainingWords(
        unknown="准确度未知：{}。",
        trained="Foretier 版本 {version}，用 {cutoffs} 个时间截点训练，基准日 {as_of}，"
        "预测未来 {days} 天，{customers:,} 位客户。",
    ),
}
