"""The backtest report: one page that holds everything, says the figures of the backtest, and takes no name for markup."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from configs.settings import parse_settings
from training.backtest import Backtest
from training.backtest_charts import Axis, round_axis
from training.backtest_report import report_html, write_report
from training.backtest_report_findings import predicted_total, reclassified
from training.backtest_report_markup import element, written
from training.backtest_run import backtest, planned
from training.backtest_tables import backtest_report
from training.candidates import PERFECT, SERVED
from training.evaluation_rows import Movement
from training.grade import ungraded
from training.told import Told

FEW = "of 40 customers 12 bought, a grade needs at least 30"
VOID = {"meta", "br", "hr", "link", "img", "input", "source", "base", "col"}
HOSTILE = ('<script>alert("1")</script>', "</svg><img src=x onerror=alert(1)>", "' onload='x", "&lt;b&gt; & \x01 ]]>")


class Page(HTMLParser):
    """What a browser sees: elements with attributes, text, and the cells of each table; refuses what is not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts.append((self._open[-1], data))
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += f"|{data}" if self._open[-1] == "small" else data

    @property
    def text(self) -> str:
        """All text but the style sheet's, with plain blanks."""
        return " ".join("".join(text for tag, text in self.texts if tag != "style").replace("\xa0", " ").split())

    def row(self, *begins: str) -> list[str]:
        """The first row whose first cells are these."""
        return next(row for row in self.rows if tuple(row[: len(begins)]) == begins)


@pytest.fixture(scope="session")
def found(sample: Any, sample_settings: Any) -> Backtest:
    """A real backtest of the CDNOW sample, two origins, few rounds."""
    raw = sample_settings.model_dump(mode="json")
    settings = parse_settings(raw | {"training": {"boosting_rounds": 10, "max_cutoffs": 4}}, where="test", variables={})
    return backtest(sample, settings, planned(sample, settings, wanted=2))


def renamed(found: Backtest, names: tuple[str, ...], currency: str) -> Backtest:
    """The same, with other names of tiers and groups of customers everywhere, and another currency."""
    new = dict(zip([row.tier for row in found.tiers], names, strict=True))
    origins = tuple(
        replace(
            one,
            movement=tuple(
                Movement(new[row.past_spend_tier], new[row.tier], row.customers, row.realised_value) for row in one.movement
            ),
        )
        for one in found.origins
    )
    return replace(
        found, currency=currency, origins=origins,
        tiers=tuple(replace(row, tier=new[row.tier]) for row in found.tiers),
        past_tiers=tuple(replace(row, tier=new[row.tier]) for row in found.past_tiers),
        coverage=tuple(replace(row, group=new.get(row.group, row.group)) for row in found.coverage),
        slices=tuple(replace(row, name=f"shop: {names[0]}") for row in found.slices[:1]),
        skipped=((found.first_day, Told(names[1], names[1])),),
    )  # fmt: skip


def test_nothing_comes_from_elsewhere_and_everything_is_named(found: Backtest, tmp_path: Path) -> None:
    path = tmp_path / "made" / "report.html"
    write_report(found, path)
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]
    html = path.read_text(encoding="utf-8")
    page = Page(html)
    assert not re.search(r"https?:|//|url\(|@import|@font-face|data:", html.replace("<!DOCTYPE html>", ""))
    tags = Counter(tag for tag, _ in page.elements)
    assert not tags.keys() & {"script", "link", "iframe", "object", "embed", "img", "base", "form", "image", "use"}
    assert tags["svg"] == 8
    assert tags["h1"] == tags["main"] == 1
    assert dict(page.elements)["html"]["lang"] == "en"
    assert not any(name.startswith("on") or name in {"src", "style"} for _, attributes in page.elements for name in attributes)
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert set(ids.values()) == {1}
    for tag, attributes in page.elements:
        if tag == "a":
            assert str(attributes["href"]).removeprefix("#") in ids
        if tag == "svg":
            assert attributes["role"] == "img"
        for name in str(attributes.get("aria-labelledby", "")).split():
            assert name in ids
        if attributes.get("class") == "scrolls":
            assert attributes["tabindex"] == "0"
            assert attributes["aria-label"]


def test_same_backtest_same_bytes_and_no_customer(found: Backtest, sample_training: Any) -> None:
    html = report_html(found)
    assert html == report_html(found)
    words = set(re.findall(r"(?<![\w.,])0\d{3}(?![\w.])", Page(html).text))  # ids, not the decimals of a number
    ids = {str(customer) for customer in sample_training.current.index if str(customer).startswith("0")}
    assert ids
    assert not words & ids


def test_figures_are_those_of_the_backtest(found: Backtest) -> None:
    page = Page(report_html(found))
    for summary in (*found.value, *found.churn):
        metric = "normalized_gini" if "normalized_gini" in summary.metrics else "auc"
        one = summary.metrics[metric]
        assert page.row(summary.candidate, f"{one.value:.3f}|{one.low:.3f} to {one.high:.3f}")
    for tier, past in zip(found.tiers, found.past_tiers, strict=True):
        row = page.row(tier.tier, f"{tier.customers:,.0f}")
        assert row[2] == f"{100 * tier.value_share:.1f}\xa0%|{100 * past.value_share:.1f}\xa0%"
    for group in found.slices:
        row = page.row(group.name, f"{group.customers:,.0f}")
        assert row[6] == f"{100 * group.churned:.0f}\xa0%"
    for origin in found.origins:
        bias = round(100 * ((origin.served.total_bias or 0.0) - 1.0))
        assert any(row[1].startswith(f"{origin.customers:,}|") and f"{bias:+d}\xa0%" in row for row in page.rows if len(row) == 6)
    for covered in found.coverage:
        name = "all customers" if covered.group == "all" else covered.group
        assert page.row(name, f"{covered.customers:,.0f}", f"{100 * (covered.shared or 0.0):.1f}\xa0%")
    ours, perfect = (
        next(row for row in found.value if row.candidate == name).metrics["capture_10"] for name in (SERVED, PERFECT)
    )
    assert (
        f"went on to spend {100 * ours.value:.0f} % (90 % interval {100 * ours.low:.0f} to {100 * ours.high:.0f} %)" in page.text
    )
    assert f"with perfect foresight it is {100 * perfect.value:.0f} %" in page.text


def test_movement_is_summed_over_the_origins(found: Backtest) -> None:
    page, names = Page(report_html(found)), [row.tier for row in found.tiers]
    start = next(place for place, row in enumerate(page.rows) if row[0] == "Tier by past spend")
    for past, row in zip(names, page.rows[start + 1 :], strict=False):
        both = [(one.tier, one.customers) for origin in found.origins for one in origin.movement if one.past_spend_tier == past]
        expected = [sum(count for tier, count in both if tier == name) for name in names]
        assert [int(cell.split("|")[0].replace(",", "")) for cell in row[1:]] == expected


def test_who_was_right_on_those_who_move(found: Backtest) -> None:
    """Two tiers: of 10 past Gold 4 fall and spend half as much each; of 30 past Bronze 5 rise and spend three times as much."""
    cells = (
        ("Gold", "Gold", 6, 600.0),
        ("Gold", "Bronze", 4, 200.0),
        ("Bronze", "Gold", 5, 150.0),
        ("Bronze", "Bronze", 25, 250.0),
    )
    tiers = tuple(replace(found.tiers[0], tier=name) for name in ("Gold", "Bronze"))
    made = replace(found, tiers=tiers, origins=(replace(found.origins[0], movement=tuple(Movement(*cell) for cell in cells)),))
    for to, customers, times in (("higher", 5, 3.0), ("lower", 4, 0.5)):
        known = reclassified(made, cast("Literal['higher', 'lower']", to))
        assert known is not None
        assert known[0] == customers
        assert known[1] == pytest.approx(times)
    assert reclassified(replace(made, origins=()), "lower") is None


def test_names_stay_text(found: Backtest) -> None:
    plain = Page(report_html(renamed(found, ("Best", "Good", "Fair", "Rest"), "EUR")))
    page = Page(report_html(renamed(found, HOSTILE, "<i>€</i>")))
    assert [(tag, list(attributes)) for tag, attributes in page.elements] == [
        (tag, list(attributes)) for tag, attributes in plain.elements
    ]
    for name in HOSTILE:
        assert any(cell.endswith(name) for row in page.rows for cell in row), name
    assert "<i>€</i>" in page.text


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_any_text_is_read_back(text: str) -> None:
    """HTML reads carriage returns as line feeds, and a parser may drop NUL: all else comes back as it was."""
    page = Page(written(element("p", {"title": text}, "<", element("b", None, text), text)))
    assert [tag for tag, _ in page.elements] == ["p", "b"]
    if not {"\r", "\0"} & set(text):
        assert page.elements[0][1]["title"] == text
        assert "".join(data for _, data in page.texts) == f"<{text}{text}"


def test_without_grade_intervals_groups_or_rules_it_still_stands(found: Backtest) -> None:
    bare = replace(
        found, grade=ungraded(Told(FEW, "40 位客户中有 12 位下了单，评级要求至少 30 位")), coverage=(), slices=(),
        origins=found.origins[:1], value=tuple(row for row in found.value if row.candidate == SERVED), churn=found.churn[:1],
    )  # fmt: skip
    page = Page(report_html(bare))
    assert "No grade: of 40 customers 12 bought" in page.text
    assert "Tested once" in page.text
    assert "simple rule found" not in page.text
    assert sum(tag == "svg" for tag, _ in page.elements) == 7
    assert "coverage" not in {attributes.get("id") for _, attributes in page.elements}


def test_a_better_ranking_draws_a_higher_line(found: Backtest) -> None:
    def height(made: Backtest) -> float:
        paths = [
            str(attributes["d"])
            for tag, attributes in Page(report_html(made)).elements
            if attributes.get("class") == "line served"
        ]
        return float(np.mean([float(point.split()[1]) for point in re.split("[ML]", paths[0])[1:]]))

    flat = replace(found, curves={**found.curves, SERVED: np.linspace(0.0, 1.0, 201)})
    assert height(found) < height(flat) - 10.0  # SVG counts downwards


def test_bars_are_as_high_as_what_they_say(found: Backtest) -> None:
    page = Page(report_html(found))
    bars = [
        float(str(attributes["height"]))
        for tag, attributes in page.elements
        if tag == "rect" and attributes.get("class") == "fill happened"
    ]
    realised = [one.realised_value for one in found.origins]
    drawn = bars[-len(realised) :]
    assert np.allclose(np.array(drawn) / drawn[0], np.array(realised) / realised[0], atol=0.01)
    assert predicted_total(found.origins[0]) == pytest.approx((found.origins[0].served.total_bias or 0.0) * realised[0])


@given(st.floats(1e-6, 1e12), st.floats(0.0, 1.0))
def test_axes_hold_their_values_at_round_marks(highest: float, share: float) -> None:
    axis: Axis = round_axis("x", highest, str)
    assert axis.low == 0.0
    assert axis.high >= highest * (1.0 - 1e-6)
    assert 2 <= len(axis.ticks) <= 8
    assert 10.0 <= axis.place(share * highest, 10.0, 20.0) <= 20.0


def test_in_chinese_nothing_is_left_in_english(found: Backtest, english_in: Callable[..., set[str]]) -> None:
    settings = ("USD", *(row.tier for row in found.tiers))
    why = Told("nobody bought", "没有人下单")
    for one in (found, replace(found, skipped=((found.first_day, why),), coverage=()), replace(found, grade=ungraded(why))):
        page = Page(report_html(one, "zh"))
        said = [text for tag, text in page.texts if tag != "style"]
        said += [str(attributes["aria-label"]) for _, attributes in page.elements if "aria-label" in attributes]
        assert english_in(" ".join(said), *settings) == set()
        assert dict(page.elements)["html"]["lang"] == "zh"
    style = "".join(text for tag, text in Page(report_html(found, "zh")).texts if tag == "style")
    assert "Noto Sans CJK SC" in style
    assert "Microsoft YaHei" in style


@pytest.mark.parametrize("width", [80, 120])
def test_in_chinese_the_terminal_has_no_english_and_lines_up(
    found: Backtest, width: int, english_in: Callable[..., set[str]]
) -> None:
    screen = Console(width=width, file=io.StringIO(), record=True)
    screen.print(backtest_report(replace(found, skipped=((found.first_day, Told("nobody bought", "没有人下单")),)), "zh"))
    text = screen.export_text()
    assert english_in(text, "USD", *(row.tier for row in found.tiers)) == set()
    assert "个起点的均值" in text
    for table in re.findall(r"(?:^[┏┃┡│└].*\n)+", text, re.MULTILINE):
        assert len({cell_len(line) for line in table.splitlines()}) == 1


def test_both_languages_say_the_same_figures_in_the_same_places(found: Backtest) -> None:
    """The same elements in the same order; tables of the same size, in which every number is the same."""
    english, chinese = Page(report_html(found)), Page(report_html(found, "zh"))
    assert report_html(found) == report_html(found, "en")
    assert [tag for tag, _ in english.elements] == [tag for tag, _ in chinese.elements]
    assert [len(row) for row in english.rows] == [len(row) for row in chinese.rows]
    for one, other in zip(english.rows, chinese.rows, strict=True):
        for said, told in zip(one[1:], other[1:], strict=True):
            if re.fullmatch(r"[-+]?[\d.,]+(\xa0%)?", said):
                assert told == said
    paths = [[attributes["d"] for tag, attributes in page.elements if tag == "path"] for page in (english, chinese)]
    assert len(paths[0]) == len(paths[1])
