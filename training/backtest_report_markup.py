"""HTML and SVG as trees: text is always escaped by the serialiser of the standard library, never by us."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, isnan
from string import Formatter
from xml.etree.ElementTree import Element, tostring

Child = Element | str
NO_NUMBER = "n/a"
NO_BREAK = "\u00a0"
PERCENT = f"{NO_BREAK}%"
WHOLE_FROM = 100.0  # currency units


def element(name: str, attributes: Mapping[str, str | float] | None = None, *children: Child) -> Element:
    """Give an element with these attributes and children; plain text among the children is text, never markup.

    Lines never break before a per cent sign.

    >>> written(element("p", {"class": "note"}, "a < b, ", element("b", None, "<i>")))
    '<p class="note">a &lt; b, <b>&lt;i&gt;</b></p>'
    """
    made = Element(name, {key: _plain(value) for key, value in (attributes or {}).items()})
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            continue
        text = child.replace(" %", PERCENT)
        if len(made):
            made[-1].tail = (made[-1].tail or "") + text
        else:
            made.text = (made.text or "") + text
    return made


def written(tree: Element) -> str:
    """Serialise a tree as HTML."""
    return tostring(tree, encoding="unicode", method="html")


def paragraph(*children: Child) -> Element:
    """Give a paragraph."""
    return element("p", None, *children)


def filled(template: str, **parts: Child) -> list[Child]:
    """Give a text whose ``{name}`` are elements or texts, piece by piece: every language has its own order of them.

    >>> written(paragraph(*filled("{who} spent {much}.", who=strong("A"), much="5")))
    '<p><strong>A</strong> spent 5.</p>'
    """
    pieces: list[Child] = []
    for text, name, _, _ in Formatter().parse(template):
        pieces += [text] if name is None else [text, parts[name]]
    return pieces


def strong(text: str) -> Element:
    """Give emphasised text."""
    return element("strong", None, text)


def table(
    caption: str, head: Sequence[str], rows: Sequence[Sequence[Child]], *, marked: Sequence[bool] = (), words: Sequence[int] = ()
) -> Element:
    """Give a table whose first column names its rows and whose other columns hold numbers, but for the columns ``words``.

    ``marked`` rows are set off. The table scrolls inside its frame where the screen is narrow, by keyboard too.
    """
    kinds = ["name" if place == 0 else "words" if place in words else "number" for place in range(len(head))]
    top = element(
        "tr", None, *(element("th", {"scope": "col", "class": kind}, text) for kind, text in zip(kinds, head, strict=True))
    )
    body = element("tbody")
    for place, cells in enumerate(rows):
        row = element("tr", {"class": "marked"} if place < len(marked) and marked[place] else None)
        row.append(element("th", {"scope": "row", "class": "name"}, cells[0]))
        row.extend([element("td", {"class": kind}, cell) for kind, cell in zip(kinds[1:], cells[1:], strict=True)])
        body.append(row)
    inside = element("table", None, element("caption", None, element("span", None, caption)), element("thead", None, top), body)
    return element("div", {"class": "scrolls", "role": "region", "tabindex": "0", "aria-label": caption}, inside)


def chapter(name: str, title: str, *children: Element) -> Element:
    """Give a section with a heading, found by ``#name``."""
    head = element("h2", {"id": f"{name}-head"}, title)
    return element("section", {"id": name, "aria-labelledby": f"{name}-head"}, head, *children)


def figure(picture: Element, caption: str) -> Element:
    """Give a picture with words beneath it."""
    return element("figure", None, picture, element("figcaption", None, caption))


def beside(first: str, beneath: str) -> Element:
    """Give a figure with a smaller one beneath it."""
    return element("span", None, first, element("small", None, beneath))


def split(left: Element, right: Element) -> Element:
    """Give two things side by side where there is room, else one below the other."""
    return element("div", {"class": "split"}, left, right)


def folded(summary: str, *children: Child, opened: bool = False) -> Element:
    """Give what opens and closes on demand, by keyboard too."""
    return element("details", {"open": "open"} if opened else None, element("summary", None, summary), *children)


def share(value: float | None, decimals: int = 0) -> str:
    r"""Show a share as a percentage.

    >>> share(0.6184), share(0.6184, 1), share(None)
    ('62\xa0%', '61.8\xa0%', 'n/a')
    """
    return NO_NUMBER if value is None or isnan(value) else f"{100.0 * value:z.{decimals}f}{PERCENT}"


def points(value: float | None, how: str = "{} points") -> str:
    """Show a difference of shares.

    >>> points(0.0331)
    '3.3 points'
    """
    return NO_NUMBER if value is None or isnan(value) else how.format(f"{100.0 * value:z.1f}")


def signed_share(value: float | None) -> str:
    r"""Show how far something lies above or below.

    >>> signed_share(0.084), signed_share(-0.05), signed_share(0.0001), signed_share(float("inf"))
    ('+8\xa0%', '-5\xa0%', '0\xa0%', 'n/a')
    """
    if value is None or not isfinite(value):
        return NO_NUMBER
    whole = round(100.0 * value)
    return f"{whole:+d}{PERCENT}" if whole else f"0{PERCENT}"


def number(value: float | None, decimals: int = 3) -> str:
    """Show a number with thousands set apart.

    >>> number(1234.5678, 1), number(None)
    ('1,234.6', 'n/a')
    """
    return NO_NUMBER if value is None or isnan(value) else f"{value:z,.{decimals}f}"


def money(value: float | None, currency: str) -> str:
    r"""Show an amount with its currency: whole where large, in cents where small.

    >>> money(12345.6, "GBP"), money(3.5, "GBP")
    ('12,346\xa0GBP', '3.50\xa0GBP')
    """
    return NO_NUMBER if value is None or isnan(value) else f"{amount(value)}{NO_BREAK}{currency}"


def amount(value: float) -> str:
    """Show an amount without its currency: whole where large, in cents where small."""
    return f"{value:,.0f}" if abs(value) >= WHOLE_FROM else f"{value:z,.2f}"


def shortened(text: str, longest: int) -> str:
    """Cut long text, for places without room.

    >>> shortened("Platinum", 6)
    'Plati…'
    """
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _plain(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
