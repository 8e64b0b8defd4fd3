"""What the chapters of the backtest page that are tables first say, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from configs.language import Language
from training.candidates import SERVED, SILENCE

Names = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableWords:
    """Texts in which ``{...}`` is filled in; by chapter: title, text, table."""

    moves: str
    moves_first: str
    moves_table: str
    moves_text: str
    higher: str
    lower: str
    times: str
    each: str
    groups: str
    groups_text: str
    furthest: str
    groups_table: str
    groups_head: Names
    who: str
    colon: str
    comma: str
    stop: str
    rivals: str
    rivals_text: str
    value_range: str
    churn_range: str
    range_title: str
    range_caption: str
    listed: str
    value_by: str
    churn_by: str
    metrics: Mapping[str, str]
    metric_table: str
    lead: str
    bounds: str
    note: str


EN = TableWords(
    moves="Who moves, and was it right?",
    moves_first="Tier by past spend",
    moves_table="Customers (all origins together), and what each spent in {} days, {}",
    moves_text="Rows: the tier that past spend gives; columns: the tier that is predicted. Off the shaded diagonal the two "
    "disagree. ",
    higher="The {customers} customers in a higher tier than their past spend gives went on to spend {times} as much each "
    "as those whom both put into that same past-spend tier. ",
    lower="The {customers} customers in a lower tier than their past spend gives went on to spend {times} as much each "
    "as those whom both put into that same past-spend tier. ",
    times="{} times",
    each="{} each",
    groups="Which customers are hard to predict?",
    groups_text="The same measures for groups of customers: a total far off, or a low Gini, names a group to be careful with. ",
    furthest="Furthest off in total: {group} ({off} in {days} days).",
    groups_table="Groups of customers, mean of the origins, {} days, {}",
    groups_head=("Group", "Customers", "Realised", "Predicted", "Off", "Gini", "Stayed away", "Said risk", "Risk error"),
    who="Who is in the groups",
    colon=": ",
    comma=", ",
    stop=".",
    rivals="Every way to predict, side by side",
    rivals_text="All of them knew the same and predicted the same customers. The bars are 90 % intervals: with the customers "
    f"drawn anew {{:,}} times, nine of ten results lie between their ends. Blue: {SERVED}; orange: "
    "simple rules; grey: other models.",
    value_range="Ranking by value: Gini, 0 by chance, 1 perfect",
    churn_range="Ranking by churn: AUC, 0.5 by chance, 1 perfect",
    range_title="{}, with 90 % intervals",
    range_caption="Mean of the origins.",
    listed="; ",
    value_by="Value predicted by",
    churn_by="Churn predicted by",
    metrics={
        "normalized_gini": "Gini", "rank_correlation": "Rank correlation", "capture_5": "Best 5 % held",
        "capture_10": "Best 10 % held", "capture_20": "Best 20 % held", "total_bias": "Total, predicted / realised",
        "decile_error": "Decile error", "mean_absolute_error": "Mean absolute error, {}",
        "auc": "AUC", "average_precision": "Average precision", "brier_skill": "Brier skill", "log_loss": "Log loss",
        "calibration_error": "Calibration error",
    },
    metric_table=f"Mean of the origins, beneath it the 90 % interval. Last: by how much {SERVED} has the higher {{}}",
    lead=f"Lead of {SERVED}",
    bounds="{} to {}",
    note="n/a: a ranking without amounts or probabilities has no such figure. "
    f"Of {SILENCE}, AUC and average precision are those of the days, the rest that of the risk learned from them.",
)  # fmt: skip

ZH = TableWords(
    moves="谁的等级变了，变得对吗？",
    moves_first="按以往消费的等级",
    moves_table="客户数（全部起点合计），以及每位客户 {} 天的消费，{}",
    moves_text="行：按以往消费的等级；列：预测的等级。不在阴影对角线上的，两者不一致。",
    higher="预测等级高于以往消费等级的 {customers} 位客户，后来人均消费是两种方法都归入同一以往消费等级的客户的 {times}。",
    lower="预测等级低于以往消费等级的 {customers} 位客户，后来人均消费是两种方法都归入同一以往消费等级的客户的 {times}。",
    times="{} 倍",
    each="每位 {}",
    groups="哪些客户难以预测？",
    groups_text="对各客群用同样的指标：总额偏差大或 Gini 低的客群要谨慎对待。",
    furthest="总额偏差最大：{group}（{days} 天内 {off}）。",
    groups_table="客群，各起点的均值，{} 天，{}",
    groups_head=("客群", "客户数", "实际", "预测", "偏差", "Gini", "没有下单", "预测风险", "风险误差"),
    who="客群说明",
    colon="：",
    comma="，",
    stop="。",
    rivals="各种预测方法对比",
    rivals_text="各方法已知的信息相同，预测的客户也相同。横条是 90 % 区间：重新抽取客户 {:,} 次，十次结果中有九次落在两端之间。"
    f"蓝色：{SERVED}；橙色：简单规则；灰色：其他模型。",
    value_range="价值排序：Gini，0 为随机，1 为完美",
    churn_range="流失排序：AUC，0.5 为随机，1 为完美",
    range_title="{}，带 90 % 区间",
    range_caption="各起点的均值。",
    listed="；",
    value_by="价值预测方法",
    churn_by="流失预测方法",
    metrics={
        "normalized_gini": "Gini", "rank_correlation": "秩相关", "capture_5": "前 5 % 占比",
        "capture_10": "前 10 % 占比", "capture_20": "前 20 % 占比", "total_bias": "总额，预测 / 实际",
        "decile_error": "十分组误差", "mean_absolute_error": "平均绝对误差，{}",
        "auc": "AUC", "average_precision": "平均精确率", "brier_skill": "Brier 技巧", "log_loss": "对数损失",
        "calibration_error": "校准误差",
    },
    metric_table=f"各起点的均值，下方为 90 % 区间。最后一列：{SERVED} 的 {{}} 高出多少",
    lead=f"{SERVED} 领先",
    bounds="{} 至 {}",
    note="无：只有排序、没有金额或概率的方法没有这项数值。“距上次下单的天数”的 AUC 和平均精确率按天数本身计算，"
    "其余按由天数学得的风险计算。",
)  # fmt: skip

TABLE_WORDS: dict[Language, TableWords] = {"en": EN, "zh": ZH}
