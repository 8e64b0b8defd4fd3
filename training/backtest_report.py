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
from training import backtest_report_sections as pictures
from training import backtest_report_tables as tables
from training.backtest import Backtest
from training.backtest_report_markup import element, folded, paragraph, strong, written
from training.backtest_report_style import STYLE
from training.backtest_report_verdict import how_tested, verdict
from training.candidates import SERVED

WORDS = {
    "Gini": "how well customers are ranked by what they went on to spend: 0 by chance, 1 as with perfect foresight.",
    "Rank correlation": "how alike the predicted and the realised order of customers are (Spearman): 0 not at all, 1 the same.",
    "Best 10 % held": "share of all money spent that came from the tenth of the customers ranked highest.",
    "Decile error": "how far the predicted means of ten groups of customers lie from the realised ones, as a share of the mean.",
    "Calibration error": "how far a stated risk and the share that really stayed away lie apart, over ten groups.",
    "Churned": "no purchase in the predicted period, by a customer who had bought before.",
    "Tier": "class of customers by predicted value; by past spend: as many customers, in the order of what they spent before.",
    "90 % interval": "between its ends lie nine of ten results when the customers are drawn anew at random (bootstrap).",
    "80 % interval": "the range given with each customer's prediction, meant to hold what happens for 80 % of the customers. "
    "Where it begins at zero, the customers who spend nothing are counted in part.",
}

LINKS = {
    "gain": "Who spends", "deciles": "Amounts", "tiers": "Tiers", "risk": "Churn risk", "coverage": "Intervals",
    "origins": "Totals", "movement": "Moves", "slices": "Groups", "candidates": "Rivals", "notes": "Notes",
}  # fmt: skip


def write_report(backtest: Backtest, path: Path) -> None:
    """Write the report, in UTF-8; it appears whole or not at all.

    Raises SettingsError when ``path`` cannot be written.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(report_html(backtest).encode("utf-8", "replace"))


def report_html(backtest: Backtest) -> str:
    """Give the report as an HTML document."""
    title = f"How good are the predictions? Backtest of {backtest.horizon_days} days ahead"
    head = element(
        "head", None,
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
        element("meta", {"name": "color-scheme", "content": "light dark"}),
        element("title", None, title), element("style", None, STYLE),
    )  # fmt: skip
    body = element("body", None, element("a", {"class": "skip", "href": "#gain"}, "Skip to the charts"), _main(backtest))
    return "<!DOCTYPE html>\n" + written(element("html", {"lang": "en"}, head, body)) + "\n"


def _main(backtest: Backtest) -> Element:
    header = element(
        "header", None,
        element("h1", None, "How good are the predictions?"),
        element("p", {"class": "about"}, how_tested(backtest)),
    )  # fmt: skip
    chapters = _chapters(backtest)
    return element("main", None, header, verdict(backtest), _contents(chapters), *chapters)


def _chapters(backtest: Backtest) -> list[Element]:
    risk = [pictures.reliability(backtest), *([pictures.coverage(backtest)] if backtest.coverage else [])]
    return [
        _pair(pictures.gain(backtest), pictures.deciles(backtest)),
        *([pictures.tiers(backtest)] if backtest.tiers else []),
        _pair(*risk),
        pictures.origins(backtest),
        *([tables.movement(backtest)] if backtest.tiers else []),
        *([tables.slices(backtest)] if backtest.slices else []),
        tables.candidates(backtest),
        _notes(backtest),
    ]


def _contents(chapters: Sequence[Element]) -> Element:
    found = [one.get("id", "") for chapter in chapters for one in chapter.iter("section")]
    links = (element("a", {"href": f"#{name}"}, LINKS[name]) for name in found)
    return element("nav", {"aria-label": "Contents"}, *links)


def _pair(*sections: Element) -> Element:
    return element("div", {"class": "pair"}, *sections)


def _notes(backtest: Backtest) -> Element:
    words = (element("li", None, strong(f"{word}: "), meaning) for word, meaning in WORDS.items())
    children = [
        element("h2", {"id": "notes-head"}, "Notes"),
        paragraph(
            f"History from {date_of(backtest.first_day)} to before {date_of(backtest.as_of)}; amounts in {backtest.currency}. "
            f"{SERVED} is what is served; the other candidates were fitted to the same history at the same origins."
        ),
        folded("What the words mean", element("ul", {"class": "findings"}, *words)),
    ]
    if backtest.skipped:
        skipped = (element("li", None, f"{date_of(origin)}: {reason}") for origin, reason in backtest.skipped)
        children += [element("h3", None, "Origins that could not be judged"), element("ul", {"class": "findings"}, *skipped)]
    return element("section", {"id": "notes", "aria-labelledby": "notes-head"}, *children)
