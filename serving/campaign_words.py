"""What is said of a campaign that was measured, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from configs.language import Language


@dataclass(frozen=True)
class CampaignWords:
    """Headings and sentences in which ``{...}`` is filled in; ``verdicts`` by their codes."""

    title: str
    days: str
    open_days: str
    everybody: str
    tier: str
    customers: str
    retention: str
    difference: str
    value_saved: str
    verdict: str
    versus: str
    between: str
    nothing: str
    verdicts: Mapping[str, str]
    needed: str
    told_retention: str
    told_saved: str
    told_value: str
    told_cost: str
    told_nothing: str
    told_few: str
    told_fewest: str
    told_early: str
    caption: str


EN = CampaignWords(
    title="Campaign {name}: {contacts:,} contacted from {day}, {held_out:,} held out",
    days="All {days} days have passed.",
    open_days="{days} of {horizon} days have passed, up to {end}: customers who have not bought yet still may.",
    everybody="All",
    tier="Tier",
    customers="Contacted v held out",
    retention="Bought again",
    difference="Difference, points",
    value_saved="Value saved, {currency}",
    verdict="Verdict",
    versus="{one} v {other}",
    between="{estimate} ({low} to {high})",
    nothing="-",
    verdicts=MappingProxyType(
        {
            "works": "works",
            "harms": "does harm",
            "no_difference": "no difference shown",
            "too_early": "too early to tell",
            "too_small": "too small to tell",
        }
    ),
    needed="too small: {needed:,} would tell",
    told_retention="{share} of those contacted bought again, {other} of those held out: {difference} points ({low} to {high}).",
    told_saved="That is {saved} customers saved (95 %: {low} to {high}),",
    told_value="worth {value} {currency} (95 %: {low} to {high}).",
    told_cost="The contacts cost {cost} {currency}: {net} {currency} remain.",
    told_nothing="No effect is shown: the interval holds zero, though the groups are large enough for the supposed effect.",
    told_few="The groups are too small to tell: the supposed effect would be missed more often than once in five times.",
    told_fewest="A group has fewer than {fewest} customers: nothing can be compared.",
    told_early="No effect is shown so far. It is too early to say that there is none.",
    caption="Intervals hold the truth with 95 %; of many tiers one may be off by chance. All: retention tier by "
    "tier, put together; value adjusted by the prediction.",
)

ZH = CampaignWords(
    title="活动 {name}：自 {day} 起触达 {contacts:,} 人，对照组 {held_out:,} 人",
    days="{days} 天已全部过去。",
    open_days="{horizon} 天中已过 {days} 天（截至 {end}）：尚未购买的客户仍可能购买。",
    everybody="全部",
    tier="等级",
    customers="触达组 / 对照组",
    retention="复购率",
    difference="差异（百分点）",
    value_saved="挽回价值，{currency}",
    verdict="结论",
    versus="{one} / {other}",
    between="{estimate}（{low} 至 {high}）",
    nothing="-",
    verdicts=MappingProxyType(
        {
            "works": "有效",
            "harms": "有害",
            "no_difference": "未见差异",
            "too_early": "为时尚早",
            "too_small": "人数太少，无法判断",
        }
    ),
    needed="人数太少，需 {needed:,} 人",
    told_retention="触达客户的复购率为 {share}，对照组为 {other}：相差 {difference} 个百分点（95% 区间：{low} 至 {high}）。",
    told_saved="即挽回 {saved} 位客户（95% 区间：{low} 至 {high}），",
    told_value="价值 {value} {currency}（95% 区间：{low} 至 {high}）。",
    told_cost="触达成本 {cost} {currency}，剩余 {net} {currency}。",
    told_nothing="未见效果：区间包含零，而人数足以发现所假设的效果。",
    told_few="人数太少，无法判断：所假设的效果会有五分之一以上的可能被漏掉。",
    told_fewest="有一组不足 {fewest} 人，无法比较。",
    told_early="目前未见效果；断言没有效果为时尚早。",
    caption="区间以 95% 的概率包含真值；等级较多时，个别等级可能因偶然而偏离。"
    "“全部”的复购率按等级比较后合并，价值已按预测值校正。",
)

CAMPAIGN_WORDS: dict[Language, CampaignWords] = {"en": EN, "zh": ZH}
