"""What is said of decisions and of what the gate looked at, in each language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from configs.language import Language

Texts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DecisionWords:
    """Headings, and texts in which ``{...}`` is filled in; ``headlines`` and ``actions`` by action."""

    headlines: Texts
    actions: Texts
    gate: str
    gate_caption: str
    gate_head: tuple[str, ...]
    yes: str
    no: str
    lead: str
    nothing_yet: str
    decisions: str
    decisions_head: tuple[str, ...]
    after_rollback: str
    after_promotion: str
    no_champion: str
    stays: str
    overrule: str


EN = DecisionWords(
    headlines={
        "promoted": "Version {version} is champion: {why}.",
        "forced": "Version {version} is champion, against the gate: {why}.",
        "refused": "Version {version} stays a challenger: {why}.",
        "rolled back": "Version {version} is champion again: {why}.",
        "found": "Version {version} was found as champion: {why}.",
    },
    actions={name: name for name in ("promoted", "forced", "refused", "rolled back", "found")},
    gate="What the gate looked at",
    gate_caption="Golden rows: made-up customers, of whom the model must say what it said when it was saved. "
    "Lead: 90 % interval of how much better the challenger is (below 0: worse).",
    gate_head=("Looked at", "Challenger", "Champion or limit", "Lead", "Passed"),
    yes="yes",
    no="no",
    lead="{} to {}",
    nothing_yet="No decision yet: foretier train makes the first.",
    decisions="Decisions, the oldest first",
    decisions_head=("When", "What", "Version", "Champion", "Grade", "Why"),
    after_rollback="Version {before} was champion until now: foretier promote {before} --force --why TEXT returns to it.",
    after_promotion="The champion before was version {before}: foretier rollback returns to it.",
    no_champion="There is no champion yet",
    stays="Version {} stays champion",
    overrule="{now}. foretier promote {version} --force --why TEXT overrules the gate.",
)

ZH = DecisionWords(
    headlines={
        "promoted": "版本 {version} 成为冠军：{why}。",
        "forced": "版本 {version} 越过把关成为冠军：{why}。",
        "refused": "版本 {version} 仍是挑战者：{why}。",
        "rolled back": "版本 {version} 重新成为冠军：{why}。",
        "found": "发现版本 {version} 已是冠军：{why}。",
    },
    actions={"promoted": "晋升", "forced": "强制晋升", "refused": "拒绝", "rolled back": "回退", "found": "发现"},
    gate="把关时检查了什么",
    gate_caption="黄金样本：虚构的客户，模型对他们的预测必须与保存时相同。领先：挑战者好多少的 90 % 区间（小于 0 为更差）。",
    gate_head=("检查项", "挑战者", "冠军或上限", "领先", "通过"),
    yes="是",
    no="否",
    lead="{} 至 {}",
    nothing_yet="还没有决定：foretier train 会做出第一个。",
    decisions="历次决定，最早的在前",
    decisions_head=("时间", "决定", "版本", "冠军", "评级", "原因"),
    after_rollback="此前的冠军是版本 {before}：用 foretier promote {before} --force --why TEXT 恢复。",
    after_promotion="上一任冠军是版本 {before}：用 foretier rollback 恢复。",
    no_champion="目前还没有冠军",
    stays="版本 {} 仍是冠军",
    overrule="{now}。用 foretier promote {version} --force --why TEXT 可越过把关。",
)

DECISION_WORDS: dict[Language, DecisionWords] = {"en": EN, "zh": ZH}
