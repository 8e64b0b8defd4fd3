"""The backtest as one page for people: opens from disk, prints, and holds everything it shows. Nothing is fetched from anywhere.

Text that comes from settings or data (tiers, attribute values, the currency) becomes text of a tree that is serialised with
escaping (``training.backtest_report_markup``), so no name can become markup. No customer is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from configs.days import date_of
from configs.files import replacing
from configs.language import Language
from training import backtest_report_sections as pictures
from training import backtest_report_tables as tables
from training.backtest import Backtest
from training.backtest_report_markup import NO_NUMBER, element, folded, paragraph, strong, written
from training.backtest_report_style import style
from training.backtest_report_verdict import how_tested, verdict
from training.backtest_report_words import PAGE_WORDS, PageWords

FIGURES = ("td", "dd", "small", "span")
"""Elements that hold figures."""


def write_report(backtest: Backtest, path: Path, language: Language = "en") -> None:
    """Write the report, in UTF-8; it appears whole or not at all.

    Raises SettingsError when ``path`` cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(report_html(backtest, language).encode("utf-8", "replace"))


def report_html(backtest: Backtest, language: Language = "en") -> str:
    """Give the report as an HTML document."""
    words = PAGE_WORDS[language]
    head = element(
        "head", None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", None, words.title.format(days=backtest.horizon_days)), element("style", None, style(language)),
    )  # fmt: skip
    skip = element("a", {"class": "skip", "href": "#gain"}, words.skip)
    body = element("body", None, skip, _main(backtest, words, language))
    return "<!DOCTYPE html>\n" + written(_told(element("html", {"lang": language}, head, body), words)) + "\n"


def _told(page: Element, words: PageWords) -> Element:
    """Say missing figures in the page's language: those who write figures do not know it. No name of a row is touched."""
    for one in page.iter():
        if one.text == NO_NUMBER and one.tag in FIGURES:
            one.text = words.nothing
    return page


def _main(backtest: Backtest, words: PageWords, language: Language) -> Element:
    header = element(
        "header", None,
        element("h1", None, words.headline),
        element("p", {"class": "about"}, how_tested(backtest, language)),
    )  # fmt: skip
    chapters = _chapters(backtest, words, language)
    return element("main", None, header, verdict(backtest, language), _contents(chapters, words), *chapters)


def _chapters(backtest: Backtest, words: PageWords, language: Language) -> list[Element]:
    risk = [pictures.reliability(backtest, language), *([pictures.coverage(backtest, language)] if backtest.coverage else [])]
    return [
        _pair(pictures.gain(backtest, language), pictures.deciles(backtest, language)),
        *([pictures.tiers(backtest, language)] if backtest.tiers else []),
        _pair(*risk),
        pictures.origins(backtest, language),
        *([tables.movement(backtest, language)] if backtest.tiers else []),
        *([tables.slices(backtest, language)] if backtest.slices else []),
        tables.candidates(backtest, language),
        _notes(backtest, words, language),
    ]


def _contents(chapters: Sequence[Element], words: PageWords) -> Element:
    found = [one.get("id", "") for chapter in chapters for one in chapter.iter("section")]
    links = (element("a", {"href": f"#{name}"}, words.links[name]) for name in found)
    return element("nav", {"aria-label": words.contents}, *links)


def _pair(*sections: Element) -> Element:
    return element("div", {"class": "pair"}, *sections)


def _notes(backtest: Backtest, words: PageWords, language: Language) -> Element:
    meanings = (element("li", None, strong(f"{word}{words.colon}"), meaning) for word, meaning in words.words.items())
    history = words.history.format(begin=date_of(backtest.first_day), end=date_of(backtest.as_of), currency=backtest.currency)
    children = [
        element("h2", {"id": "notes-head"}, words.notes),
        paragraph(history),
        folded(words.meanings, element("ul", {"class": "findings"}, *meanings)),
    ]
    if backtest.skipped:
        skipped = (
            element("li", None, f"{date_of(origin)}{words.colon}{reason.told(language)}") for origin, reason in backtest.skipped
        )
        children += [element("h3", None, words.skipped), element("ul", {"class": "findings"}, *skipped)]
    return element("section", {"id": "notes", "aria-labelledby": "notes-head"}, *children)
