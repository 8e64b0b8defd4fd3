"""One text in every language, for what is said at one time and read at another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from configs.language import Language


@dataclass(frozen=True, slots=True)
class Told:
    """A sentence or a part of one; logs and JSON keep the English."""

    en: str
    zh: str

    def told(self, language: Language) -> str:
        """The text in a language.

        >>> Told("bring more customers", "请提供更多客户").told("zh")
        '请提供更多客户'
        """
        return self.zh if language == "zh" else self.en

    def filled(self, *parts: Told) -> Told:
        """Put texts where both languages have ``{}``.

        >>> Told("it has no grade ({})", "没有评级（{}）").filled(Told("too few bought", "下单的人太少")).zh
        '没有评级（下单的人太少）'
        """
        return Told(self.en.format(*(part.en for part in parts)), self.zh.format(*(part.zh for part in parts)))


def listed(parts: Iterable[Told]) -> Told:
    """Texts one after the other, each once.

    >>> listed([Told("a", "甲"), Told("b", "乙"), Told("a", "甲")])
    Told(en='a; b', zh='甲；乙')
    """
    each = list(dict.fromkeys(parts))
    return Told("; ".join(part.en for part in each), "；".join(part.zh for part in each))
