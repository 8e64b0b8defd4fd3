"""What the chapters of the backtest page say beside their pictures, in each language."""

from __future__ import annotations

from dataclasses import dataclass

from configs.language import Language

Names = tuple[str, ...]
Units = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class ChapterWords:
    """Texts in which ``{...}`` is filled in; by chapter: title, text, picture, table."""

    numbers: str
    mean: str
    by_chance: str
    predicted: str
    realised: str
    bounds: str
    band: str
    nothing: str
    everybody: str
    lowest: str
    highest: str
    points: str
    units: Units
    listed: str
    stop: str
    gain: str
    gain_text: str
    gain_chart: str
    gain_held: str
    gain_between: str
    gain_x: str
    gain_y: str
    gain_caption: str
    gain_table: str
    gain_first: str
    deciles: str
    deciles_text: str
    deciles_off: str
    deciles_chart: str
    deciles_best: str
    deciles_y: str
    deciles_caption: str
    deciles_table: str
    deciles_head: Names
    risk: str
    risk_text: str
    risk_off: str
    risk_chart: str
    risk_best: str
    risk_x: str
    risk_y: str
    risk_diagonal: str
    risk_caption: str
    risk_table: str
    risk_head: Names
    tiers: str
    tiers_text: str
    tiers_by_value: str
    tiers_by_spend: str
    tiers_chart: str
    tiers_pair: str
    tiers_y: str
    tiers_caption: str
    tiers_table: str
    tiers_head: Names
    origins: str
    origins_text: str
    origins_chart: str
    origins_y: str
    origins_caption: str
    origins_table: str
    origins_head: Names
    bought: str
    coverage: str
    coverage_text: str
    coverage_x: str
    coverage_chart: str
    coverage_caption: str
    coverage_table: str
    coverage_head: Names
    plainly: str
    plainly_text: str


EN = ChapterWords(
    numbers="The numbers",
    mean="Mean of the origins.",
    by_chance="by chance",
    predicted="predicted",
    realised="realised",
    bounds="{} to {}",
    band="where it should lie",
    nothing="n/a",
    everybody="all customers",
    lowest="1 (lowest)",
    highest="{} (highest)",
    points="{} points",
    units=((1e6, " M"), (1e3, " k")),
    listed="; ",
    stop=".",
    gain="Who will spend the money?",
    gain_text="Customers are lined up by what they are predicted to spend, the best first. The higher the line, the more of "
    "what was really spent is found among the first customers. The dots mark the best tenth.",
    gain_chart="Share of the value found, by share of customers",
    gain_held="Held by the best tenth: {}.",
    gain_between=", ",
    gain_x="Share of customers, best first",
    gain_y="Share of realised value found",
    gain_caption="Mean of the origins. In brackets: held by the best tenth.",
    gain_table="Share of the realised value found",
    gain_first="Customers",
    deciles="Are the amounts right?",
    deciles_text="Customers in ten groups of equal size, from the lowest predicted value to the highest. "
    "Where the two bars of a group are equally high, the amounts are right.",
    deciles_off=" On average the groups are {} of the mean value off.",
    deciles_chart="Mean predicted and mean realised value of ten groups of customers",
    deciles_best="The best group was predicted {} per customer and spent {}.",
    deciles_y="Mean value per customer, {}",
    deciles_caption="Groups of customers, 1 the lowest predicted value. Mean of the origins.",
    deciles_table="Value per customer in {} days, {}",
    deciles_head=("Group", "Predicted", "Realised", "Difference"),
    risk="Does the churn risk mean what it says?",
    risk_text="Of customers with a risk of 70 %, 70 in 100 should not buy within {} days: then the dots lie "
    "on the dotted line. Below it the risk was overstated, above it understated.",
    risk_off=" On average the two lie {} apart.",
    risk_chart="Share of customers who stayed away, by predicted churn risk",
    risk_best="Ten groups of customers; the highest risk said was {}, and {} stayed away.",
    risk_x="Predicted churn risk",
    risk_y="Share that stayed away",
    risk_diagonal="said = happened",
    risk_caption="Ten groups of customers of equal size, by rising risk. Mean of the origins.",
    risk_table="Churn risk said and what happened",
    risk_head=("Group", "Said", "Stayed away", "Difference"),
    tiers="What were the tiers worth?",
    tiers_text="The {customers} customers of the best tier, {tier}, held {held} of what all customers spent; "
    "as many customers chosen by past spend held {past}.",
    tiers_by_value="tiers by predicted value",
    tiers_by_spend="by past spend",
    tiers_chart="Share of the realised value held by each tier",
    tiers_pair="{} {}, by past spend {}",
    tiers_y="Share of realised value",
    tiers_caption="Both ways of making tiers put the same number of customers into each, but for ties.",
    tiers_table="Each tier over {} days, beneath it the past-spend tier of the same size",
    tiers_head=("Tier", "Customers", "Share of value", "Bought again", "Order value, {}", "Per customer, {}"),
    origins="Is the total right, time after time?",
    origins_text="At each origin the predictions of all customers were added up and compared with what they spent together."
    " Above the bars: how far the prediction was off.",
    origins_chart="Predicted and realised total at each origin",
    origins_y="Total of {} days, {}",
    origins_caption="First day of the period that was predicted.",
    origins_table="Each origin, {} days ahead, {}",
    origins_head=("From", "Customers", "Realised", "Predicted", "Off", "Best tenth"),
    bought="{} bought",
    coverage="Do the 80 % intervals hold 80 %?",
    coverage_text="Every prediction comes with a lowest and a highest likely value. Of all customers, 80 % should end within it. "
    "The shaded band runs from 72 to 88 %: every tier should lie in it.",
    coverage_x="Customers within their interval",
    coverage_chart="Share of customers within their 80 % interval",
    coverage_caption="Mean of the origins, by predicted tier.",
    coverage_table="Intervals of the value in {} days, {}",
    coverage_head=("Tier", "Customers", "Within", "Low end, mean", "High end, mean", "Plainly within*"),
    plainly="*Plainly within",
    plainly_text="Low end <= realised <= high end. Many customers spend exactly nothing, and an interval that begins at zero "
    "holds all of them at once: the other figure counts them in part, as the 80 % demand.",
)

ZH = ChapterWords(
    numbers="具体数字",
    mean="各起点的均值。",
    by_chance="随机",
    predicted="预测",
    realised="实际",
    bounds="{} 至 {}",
    band="应当落在这里",
    nothing="无",
    everybody="全部客户",
    lowest="1（最低）",
    highest="{}（最高）",
    points="{} 个百分点",
    units=((1e8, " 亿"), (1e4, " 万")),
    listed="；",
    stop="。",
    gain="谁会消费？",
    gain_text="客户按预测的消费排列，最好的在前。线越高，说明实际消费越多地集中在排名靠前的客户。圆点标出最好的十分之一客户。",
    gain_chart="找到的价值占比，按客户占比",
    gain_held="最好的十分之一客户占有：{}。",
    gain_between="，",
    gain_x="客户占比，最好的在前",
    gain_y="找到的实际价值占比",
    gain_caption="各起点的均值。括号内：最好的十分之一客户占有的比例。",
    gain_table="找到的实际价值占比",
    gain_first="客户",
    deciles="金额准不准？",
    deciles_text="客户按预测价值从低到高分成人数相同的十组。一组的两根柱子一样高，金额就是准的。",
    deciles_off="各组平均偏差为均值的 {}。",
    deciles_chart="十组客户的平均预测价值与平均实际价值",
    deciles_best="最高组预测每位客户 {}，实际消费 {}。",
    deciles_y="每位客户的平均价值，{}",
    deciles_caption="客户分组，1 为预测价值最低。各起点的均值。",
    deciles_table="每位客户 {} 天的价值，{}",
    deciles_head=("组", "预测", "实际", "差异"),
    risk="流失风险说得准吗？",
    risk_text="风险为 70 % 的客户，每 100 位应有 70 位在 {} 天内不下单：这时圆点落在虚线上。在虚线之下是风险高估，之上是低估。",
    risk_off="两者平均相差 {}。",
    risk_chart="没有下单的客户占比，按预测的流失风险",
    risk_best="十组客户；预测的最高风险为 {}，实际有 {} 没有下单。",
    risk_x="预测的流失风险",
    risk_y="没有下单的占比",
    risk_diagonal="预测 = 实际",
    risk_caption="人数相同的十组客户，风险由低到高。各起点的均值。",
    risk_table="预测的流失风险与实际结果",
    risk_head=("组", "预测", "没有下单", "差异"),
    tiers="各等级价值多少？",
    tiers_text="最高等级 {tier} 的 {customers} 位客户占全部消费的 {held}；按以往消费选出的同样多的客户占 {past}。",
    tiers_by_value="按预测价值分等级",
    tiers_by_spend="按以往消费",
    tiers_chart="各等级占实际价值的比例",
    tiers_pair="{} {}，按以往消费 {}",
    tiers_y="实际价值占比",
    tiers_caption="两种分等级的方法给每个等级的客户数相同，并列的除外。",
    tiers_table="各等级 {} 天的结果，下方为人数相同、按以往消费划分的等级",
    tiers_head=("等级", "客户数", "价值占比", "再次下单", "每单金额，{}", "每位客户，{}"),
    origins="总额次次都准吗？",
    origins_text="在每个起点，把全部客户的预测相加，与他们实际的总消费比较。柱子上方：预测偏差多少。",
    origins_chart="每个起点的预测总额与实际总额",
    origins_y="{} 天的总额，{}",
    origins_caption="预测期的第一天。",
    origins_table="每个起点，未来 {} 天，{}",
    origins_head=("起点", "客户数", "实际", "预测", "偏差", "最好的十分之一"),
    bought="{} 下单",
    coverage="80 % 区间真能容纳 80 % 吗？",
    coverage_text="每个预测都带有可能的最低值和最高值。全部客户中应有 80 % 落在其中。阴影带为 72 至 88 %：每个等级都应落在带内。",
    coverage_x="落在区间内的客户",
    coverage_chart="落在各自 80 % 区间内的客户占比",
    coverage_caption="各起点的均值，按预测等级。",
    coverage_table="{} 天价值的区间，{}",
    coverage_head=("等级", "客户数", "区间内", "平均下限", "平均上限", "直接落入*"),
    plainly="*直接落入",
    plainly_text="下限 <= 实际 <= 上限。许多客户的消费正好为零，下限为零的区间会一次容纳他们全部；"
    "另一个数字按 80 % 的要求只计入其中一部分。",
)

CHAPTER_WORDS: dict[Language, ChapterWords] = {"en": EN, "zh": ZH}
