"""Ten thousand hostile texts in HTML: in the backtest's report and on the page of the HTTP contract they stay text."""

from __future__ import annotations

import importlib.util
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from serving.docs_page import docs_page
from serving.openapi import Offer, openapi
from training.backtest_report_markup import element, table, written


class Seen(HTMLParser):
    """What a browser would make of a page: tags, attributes, text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: Counter[str] = Counter()
        self.attributes: set[str] = set()
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def texts() -> list[str]:
    path = Path(__file__).parents[1] / "serving" / "test_hostile_text.py"
    spec = importlib.util.spec_from_file_location("hostile_texts", path)
    assert spec is not None
    assert spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [*module.texts(), "<script>alert(1)</script>" * 1_600]


def test_a_reports_tables_hold_them_as_text(texts: list[str]) -> None:
    assert len(texts[-1]) == 40_000
    harmless, hostile = (
        written(table("Slices", ["Slice", "Value"], [[text, "1"] for text in some])) for some in (["x"] * len(texts), texts)
    )
    plain, found = Seen(harmless), Seen(hostile)
    assert found.tags == plain.tags
    assert found.attributes == plain.attributes


def test_texts_and_attributes_come_back_as_they_were(texts: list[str]) -> None:
    for text in texts:
        seen = Seen(written(element("p", {"title": text}, text)))
        assert seen.tags == {"p": 1}
        assert seen.attributes == {"title"}
        assert "".join(seen.text).replace("\u00a0", " ") == text.replace("\u00a0", " ")


def test_tiers_of_the_settings_are_text_on_the_page_of_the_contract(texts: list[str]) -> None:
    plain, found = (Seen(docs_page(openapi(Offer(tuple(some))))) for some in (["x"] * len(texts), texts))
    assert found.tags == plain.tags
    assert found.attributes == plain.attributes
