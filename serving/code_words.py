"""How codes are said to people; what is no code of ours (a band or tier of the settings) stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from configs.language import Language

Codes = Mapping[str, Mapping[str, str]]
"""By language, then code; what is missing reads as its code."""

STAGES: Codes = MappingProxyType({"zh": {"new": "新客", "active": "活跃", "dormant": "沉睡", "lost": "已流失"}})
MOVEMENTS: Codes = MappingProxyType({"zh": {"up": "上升", "same": "持平", "down": "下降"}})
BANDS: Codes = MappingProxyType({"zh": {"high": "高", "medium": "中", "low": "低"}})
CHANNELS: Codes = MappingProxyType(
    {
        "zh": {
            "person": "当面",
            "phone": "电话",
            "email": "邮件",
            "message": "短信",
            "app": "应用推送",
            "post": "信件",
            "none": "不触达",
        }
    }
)
SEGMENTS: Codes = MappingProxyType(
    {
        "zh": {
            "Lost": "已流失",
            "Hibernating": "休眠",
            "At risk": "有流失风险",
            "Cannot lose them": "不能失去",
            "About to sleep": "即将沉睡",
            "Need attention": "需要关注",
            "Promising": "有潜力",
            "New": "新客户",
            "Potential loyalist": "潜在忠诚",
            "Loyal": "忠诚",
            "Champions": "冠军客户",
        }
    }
)


def stage_words(code: str, language: Language) -> str:
    """Say a lifecycle stage.

    >>> stage_words("dormant", "zh"), stage_words("dormant", "en")
    ('沉睡', 'dormant')
    """
    return _said(STAGES, code, language)


def movement_words(code: str, language: Language) -> str:
    """Say a movement: tier by predicted value against tier by past spend."""
    return _said(MOVEMENTS, code, language)


def band_words(code: str, language: Language) -> str:
    """Say a risk band; bands of the settings' own stay as they are."""
    return _said(BANDS, code, language)


def channel_words(code: str, language: Language) -> str:
    """Say a channel of the playbook."""
    return _said(CHANNELS, code, language)


def segment_words(code: str, language: Language) -> str:
    """Say an RFM segment."""
    return _said(SEGMENTS, code, language)


def _said(codes: Codes, code: str, language: Language) -> str:
    return codes.get(language, {}).get(code, code)
