"""What the backtest page says around its chapters, in each language; see ``training.backtest_chapter_words``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from configs.language import Language
from training.candidates import SERVED

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PageWords:
    """Head, contents and notes; texts in which ``{...}`` is filled in."""

    title: str
    headline: str
    skip: str
    contents: str
    links: Texts
    notes: str
    history: str
    meanings: str
    words: Texts
    colon: str
    skipped: str
    nothing: str


@dataclass(frozen=True, slots=True)
class VerdictWords:
    """The first screen; texts in which ``{...}`` is filled in."""

    tested: str
    once: str
    times: str
    days_between: str
    days_to: str
    no_grade: str
    meanings: Texts
    grade: str
    of_letters: str
    not_given: str
    spend_lead: str
    spend: str
    beside_rule: str
    more: str
    less: str
    as_much: str
    perfect: str
    ranged: str
    churn_lead: str
    churn: str
    churn_found: str
    beside_silence: str
    risk_off: str
    total_lead: str
    total: str
    between: str
    sure_lead: str
    sure: str
    stop: str
    gini_tile: str
    auc_tile: str
    total_tile: str
    interval_tile: str
    groups_off: str
    right: str
    interval: str
    best_rule: str
    points: str
    how_graded: str
    gains: str
    gain_head: tuple[str, ...]
    bounds: str


EN_PAGE = PageWords(
    title="How good are the predictions? Backtest of {days} days ahead",
    headline="How good are the predictions?",
    skip="Skip to the charts",
    contents="Contents",
    links={
        "gain": "Who spends", "deciles": "Amounts", "tiers": "Tiers", "risk": "Churn risk", "coverage": "Intervals",
        "origins": "Totals", "movement": "Moves", "slices": "Groups", "candidates": "Rivals", "notes": "Notes",
    },
    notes="Notes",
    history="History from {begin} to before {end}; amounts in {currency}. "
    f"{SERVED} is what is served; the other candidates were fitted to the same history at the same origins.",
    meanings="What the words mean",
    words={
        "Gini": "how well customers are ranked by what they went on to spend: 0 by chance, 1 as with perfect foresight.",
        "Rank correlation": "how alike the predicted and the realised order of customers are (Spearman): "
        "0 not at all, 1 the same.",
        "Best 10 % held": "share of all money spent that came from the tenth of the customers ranked highest.",
        "Decile error": "how far the predicted means of ten groups of customers lie from the realised ones, "
        "as a share of the mean.",
        "Calibration error": "how far a stated risk and the share that really stayed away lie apart, over ten groups.",
        "Churned": "no purchase in the predicted period, by a customer who had bought before.",
        "Tier": "class of customers by predicted value; by past spend: as many customers, in the order "
        "of what they spent before.",
        "90 % interval": "between its ends lie nine of ten results when the customers are drawn anew at random (bootstrap).",
        "80 % interval": "the range given with each customer's prediction, meant to hold what happens for 80 % of the customers. "
        "Where it begins at zero, the customers who spend nothing are counted in part.",
    },
    colon=": ",
    skipped="Origins that could not be judged",
    nothing="n/a",
)  # fmt: skip

ZH_PAGE = PageWords(
    title="预测准不准？未来 {days} 天的回测",
    headline="预测准不准？",
    skip="跳到图表",
    contents="目录",
    links={
        "gain": "谁会消费", "deciles": "金额", "tiers": "等级", "risk": "流失风险", "coverage": "区间",
        "origins": "总额", "movement": "等级变动", "slices": "客群", "candidates": "方法对比", "notes": "说明",
    },
    notes="说明",
    history="历史从 {begin} 起，{end} 之前；金额单位 {currency}。"
    f"{SERVED} 是实际使用的预测；其他方法在相同起点用相同历史训练。",
    meanings="名词解释",
    words={
        "Gini": "按后来的消费给客户排序的好坏：0 为随机，1 为完美预知。",
        "秩相关": "预测的客户顺序与实际顺序有多一致（按 Spearman 计算）：0 毫不相关，1 完全一致。",
        "前 10 % 占比": "排名最前的十分之一客户的消费占全部消费的比例。",
        "十分组误差": "十组客户的预测均值与实际均值相差多少，以均值的比例表示。",
        "校准误差": "十组客户中，预测的风险与实际未下单的比例相差多少。",
        "流失": "曾经下过单的客户在预测期内没有下单。",
        "等级": "按预测价值划分的客户等级；按以往消费：人数相同，按以前的消费排序。",
        "90 % 区间": "随机重新抽取客户时（自助抽样），十次结果中有九次落在其中。",
        "80 % 区间": "随每位客户的预测给出的范围，应当对 80 % 的客户成立。下限为零时，没有消费的客户只按部分计入。",
    },
    colon="：",
    skipped="无法评估的起点",
    nothing="无",
)  # fmt: skip

EN_VERDICT = VerdictWords(
    tested="Tested {times} against what happened: standing at {days}, everything was learned again from what was known then, "
    "the next {horizon} days were predicted for every customer, and compared with what they really did "
    "({predictions:,} predictions).",
    once="once",
    times="{} times",
    days_between=", ",
    days_to="{} to {}",
    no_grade="No grade: {}",
    meanings={
        "A": "Surely finds clearly more of the money to come, and of the customers who leave, than the best simple rule.",
        "B": "Surely finds more of the money to come, and of the customers who leave, than the best simple rule.",
        "C": "Neither surely better nor surely worse than the best simple rule.",
        "D": "Surely worse than the best simple rule: do not act on these predictions.",
    },
    grade="Grade",
    of_letters="of A to D",
    not_given="not given",
    spend_lead="Who will spend: ",
    spend="{lead}the tenth of the customers that ranks highest went on to spend {found} of all money spent in the next "
    "{days} days{rule}{perfect}",
    beside_rule=", {compared} the best simple rule found ({rule}: {theirs})",
    more="more than",
    less="less than",
    as_much="as much as",
    perfect="; with perfect foresight it is {}.",
    ranged="{} (90\u00a0% interval {} to {})",
    churn_lead="Who will leave: ",
    churn="{lead}of a customer who left and one who bought again, the one who left had the higher risk {found}{rule}{error}",
    churn_found="{} of the time",
    beside_silence="; by {rule} it is {theirs}, by chance 50 %",
    risk_off=". A stated risk is {} off what happens, on average",
    total_lead="How much in total: ",
    total="{lead}the predicted total was off by {found}{between}",
    between=", between {} and {} over the {} tests",
    sure_lead="How sure of one customer: ",
    sure="{lead}the range given with each prediction, meant to hold what happens for 80 % of the customers, held it for {found}",
    stop=".",
    gini_tile="Ranking by value (Gini, 1 = perfect)",
    auc_tile="Ranking by churn (AUC, 0.5 = chance)",
    total_tile="Total off, on average",
    interval_tile="Within the 80 % interval",
    groups_off="groups of customers off by {}",
    right="80 % is right",
    interval="90 % interval {} to {}",
    best_rule="best simple rule {}",
    points="{} points",
    how_graded="How the grade was given",
    gains="Found of what the best simple rule misses: 0 % is no better than the rule, 100 % perfect",
    gain_head=("Measure", SERVED, "Best simple rule", "Its figure", "Gain", "90 % interval of the gain"),
    bounds="{} to {}",
)

ZH_VERDICT = VerdictWords(
    tested="与实际结果对照检验{times}：站在 {days}，只用当时已知的数据重新学习，预测每位客户未来 {horizon} 天，"
    "再与他们的实际行为比较（共 {predictions:,} 个预测）。",
    once="一次",
    times=" {} 次",
    days_between="、",
    days_to="{} 至 {}",
    no_grade="没有评级：{}",
    meanings={
        "A": "确定比最好的简单规则明显多找到未来的消费和将流失的客户。",
        "B": "确定比最好的简单规则多找到未来的消费和将流失的客户。",
        "C": "不能确定比最好的简单规则更好或更差。",
        "D": "确定比最好的简单规则更差：请不要按这些预测行动。",
    },
    grade="评级",
    of_letters="A 至 D",
    not_given="未给出",
    spend_lead="谁会消费：",
    spend="{lead}排名最前的十分之一客户，后来的消费占未来 {days} 天全部消费的 {found}{rule}{perfect}",
    beside_rule="，{compared}最好的简单规则（{rule}：{theirs}）",
    more="高于",
    less="低于",
    as_much="相当于",
    perfect="；若能完美预知则为 {}。",
    ranged="{}（90\u00a0% 区间 {} 至 {}）",
    churn_lead="谁会流失：",
    churn="{lead}任取一位流失客户和一位再次下单的客户，有 {found}是流失者的预测风险更高{rule}{error}",
    churn_found="{} 的情况",
    beside_silence="；按“{rule}”为 {theirs}，随机为 50 %",
    risk_off="。预测的风险与实际平均相差 {}",
    total_lead="总额多少：",
    total="{lead}预测总额平均偏差 {found}{between}",
    between="，{2} 次检验在 {0} 与 {1} 之间",
    sure_lead="对单个客户有多确定：",
    sure="{lead}随每个预测给出的范围应当对 80 % 的客户成立，实际对 {found} 的客户成立",
    stop="。",
    gini_tile="价值排序（Gini，1 = 完美）",
    auc_tile="流失排序（AUC，0.5 = 随机）",
    total_tile="总额平均偏差",
    interval_tile="落在 80 % 区间内",
    groups_off="客户分组偏差 {}",
    right="80 % 为正确",
    interval="90 % 区间 {} 至 {}",
    best_rule="最好的简单规则 {}",
    points="{} 个百分点",
    how_graded="评级是怎样得出的",
    gains="在最好的简单规则漏掉的部分中找到多少：0 % 不比规则好，100 % 为完美",
    gain_head=("指标", SERVED, "最好的简单规则", "规则的数值", "增益", "增益的 90 % 区间"),
    bounds="{} 至 {}",
)

PAGE_WORDS: dict[Language, PageWords] = {"en": EN_PAGE, "zh": ZH_PAGE}
VERDICT_WORDS: dict[Language, VerdictWords] = {"en": EN_VERDICT, "zh": ZH_VERDICT}
