"""The playbook: what to do with a customer, by tier, lifecycle stage and movement, and how often at most.

The one that ships is there in every language; a playbook in the settings replaces it as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from pydantic import Field

from configs.language import Language
from configs.sections import LifecycleStage, Name, Section

ANY = "any"
CAP_DAYS = 30
"""Days in which ``Play.contact_cap`` counts."""

Stage = Literal["new", "active", "dormant", "lost", "any"]
Movement = Literal["up", "same", "down"]
Channel = Literal["person", "phone", "email", "message", "app", "post", "none"]
STAGES: tuple[LifecycleStage, ...] = get_args(LifecycleStage)
MOVEMENTS: tuple[Movement, ...] = get_args(Movement)
CHANNELS: tuple[Channel, ...] = get_args(Channel)


class Play(Section):
    """What to do with customers of a tier, in a lifecycle stage, whose tier is above (``up``) or below that by past spend.

    ``contact_cap``: contacts within 30 days at most; 0: leave them alone; None: no limit.
    """

    tier: Name = ANY
    stage: Stage = "any"
    movement: Literal["up", "same", "down", "any"] = "any"
    action: Annotated[str, Field(min_length=1, max_length=500)]
    channel: Channel = "none"
    contact_cap: Annotated[int, Field(strict=True, ge=0, le=1000)] | None = None

    def fits(self, tier: str, stage: str, movement: str) -> bool:
        """Whether this is for such a customer."""
        asked = ((self.tier, tier), (self.stage, stage), (self.movement, movement))
        return all(wanted in (ANY, found) for wanted, found in asked)


Playbook = tuple[Play, ...]


def play_for(playbook: Iterable[Play], tier: str, stage: str, movement: str) -> Play | None:
    """Give the first play that fits; None where the playbook is silent."""
    return next((play for play in playbook if play.fits(tier, stage, movement)), None)


_RULES: tuple[tuple[str, Stage, Literal["up", "same", "down", "any"], Channel, int, str, str], ...] = (
    ("Platinum", "new", "any", "phone", 2, "Personal welcome from a named contact", "由专属顾问致电欢迎"),
    (
        "Platinum", "active", "up", "person", 2,
        "Thank in person: worth more than past spend shows; offer early access",
        "当面致谢：价值高于以往消费所示；提供新品优先购",
    ),
    ("Platinum", "active", "any", "person", 2, "Thank in person; early access, no discount", "当面致谢；新品优先购，不打折"),
    ("Platinum", "dormant", "any", "phone", 2, "Call within two days; ask what went wrong", "两天内致电，了解哪里不满意"),
    ("Platinum", "lost", "any", "phone", 1, "Personal win-back offer from a named contact", "由专属顾问送上专属召回礼遇"),
    ("Gold", "new", "any", "email", 4, "Welcome series with a second-order incentive", "欢迎系列邮件，附第二单优惠"),
    (
        "Gold", "active", "down", "phone", 2,
        "Ask what has changed before offering anything: spent more in the past",
        "先了解变化再谈优惠：过去的消费更高",
    ),
    ("Gold", "active", "any", "email", 2, "Invite to the loyalty programme", "邀请加入会员计划"),
    ("Gold", "dormant", "any", "email", 2, "Personal e-mail with a time-limited offer", "个性化邮件，附限时优惠"),
    ("Gold", "lost", "any", "post", 1, "Win-back offer by post or phone", "通过信件或电话送上召回优惠"),
    ("Silver", "new", "any", "email", 4, "Welcome series with product advice", "欢迎系列邮件，附选购建议"),
    (
        "Silver", "active", "up", "email", 4,
        "Show what they have not tried yet: on the way up",
        "推荐尚未尝试的品类：正在上升",
    ),
    ("Silver", "active", "any", "email", 4, "Recommend what goes with the last order", "推荐与上次订单搭配的商品"),
    ("Silver", "dormant", "any", "email", 2, "Reminder e-mail with a small offer", "提醒邮件，附小额优惠"),
    ("Silver", "lost", "any", "email", 1, "Win-back e-mail", "召回邮件"),
    (ANY, "new", "any", "email", 4, "Welcome series", "欢迎系列邮件"),
    (ANY, "active", "any", "email", 4, "Newsletter", "定期资讯邮件"),
    (ANY, "dormant", "any", "email", 1, "Reminder e-mail", "提醒邮件"),
    (ANY, "lost", "any", "none", 0, "No paid contact", "不做付费触达"),
)  # fmt: skip


def _shipped(language: Language) -> Playbook:
    return tuple(
        Play(tier=tier, stage=stage, movement=movement, channel=channel, contact_cap=cap, action=zh if language == "zh" else en)
        for tier, stage, movement, channel, cap, en, zh in _RULES
    )


DEFAULT_PLAYBOOK: Mapping[Language, Playbook] = MappingProxyType({"en": _shipped("en"), "zh": _shipped("zh")})
