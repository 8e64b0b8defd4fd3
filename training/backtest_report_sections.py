"""The chapters of the backtest report with a picture: a finding in words, the picture, and its numbers beside it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from xml.etree.ElementTree import Element

import numpy as np

from configs.days import date_of
from configs.language import Language
from training.backtest import Backtest, CandidateSummary
from training.backtest_chapter_words import CHAPTER_WORDS, EN, ChapterWords, Units
from training.backtest_charts import Bars, Colour, Line, Ranged, bar_chart, line_chart, range_chart, round_axis, share_axis
from training.backtest_report_findings import best_rule, colour_of, estimate, predicted_total, summary
from training.backtest_report_markup import (
    NO_NUMBER,
    Child,
    amount,
    beside,
    chapter,
    element,
    figure,
    filled,
    folded,
    money,
    number,
    paragraph,
    points,
    share,
    shortened,
    signed_share,
    split,
    strong,
    table,
)
from training.candidates import PAST_SPEND, PERFECT, SERVED
from training.evaluation_rows import Coverage
from training.name_words import name_words

TIER_COVERAGE = (0.72, 0.88)
STEPS = (10, *range(20, 201, 20))
"""Of the 201 of a gain curve, those in the table: 5 %, and every tenth."""


def gain(backtest: Backtest, language: Language = "en") -> Element:
    """Who holds the value: the curve of the served ranking between the best simple rule and perfect foresight."""
    words = CHAPTER_WORDS[language]
    rule = best_rule(backtest)
    wanted = (PERFECT, SERVED, *([rule.candidate] if rule else []), PAST_SPEND)
    drawn = [name for name in dict.fromkeys(wanted) if name in backtest.curves]
    lines = [_gain_line(backtest, name, _gain_colour(name, rule), language) for name in drawn]
    rows = [[share(step / 200), *(share(float(backtest.curves[name][step]), 1) for name in drawn)] for step in STEPS]
    tenths = (
        f"{name_words(name, language)} {share(found.value, 1)}"
        for name in drawn
        if (found := estimate(summary(backtest.value, name), "capture_10"))
    )
    return chapter(
        "gain", words.gain,
        paragraph(words.gain_text),
        figure(line_chart(
            "gain-chart", words.gain_chart,
            words.gain_held.format(words.gain_between.join(tenths)),
            lines, share_axis(words.gain_x), share_axis(words.gain_y),
            diagonal=words.by_chance,
        ), words.gain_caption),
        folded(words.numbers, table(words.gain_table, [words.gain_first, *(name_words(name, language) for name in drawn)], rows)),
    )  # fmt: skip


def deciles(backtest: Backtest, language: Language = "en") -> Element:
    """Whether the amounts are right: ten groups by predicted value, predicted beside realised."""
    words = CHAPTER_WORDS[language]
    predicted, realised = (_floats(backtest.curves[f"decile_{name}"]) for name in ("predicted", "realised"))
    groups = [str(place + 1) for place in range(len(predicted))]
    top = max(*predicted, *realised, 0.01)
    rows = [
        [
            _group_name(place, len(groups), words),
            amount(said),
            amount(came),
            signed_share(said / came - 1.0 if came > 0.0 else None),
        ]
        for place, (said, came) in enumerate(zip(predicted, realised, strict=True))
    ]
    error = backtest.served.metrics.get("decile_error")
    return chapter(
        "deciles", words.deciles,
        paragraph(
            words.deciles_text, *([] if error is None else [words.deciles_off.format(share(error.value, 1))]),
        ),
        figure(bar_chart(
            "decile-chart", words.deciles_chart,
            words.deciles_best.format(money(predicted[-1], backtest.currency), money(realised[-1], backtest.currency)),
            groups, [Bars(words.predicted, predicted, "served"), Bars(words.realised, realised, "happened")],
            round_axis(words.deciles_y.format(backtest.currency), top, partial(_compact, units=words.units)),
        ), words.deciles_caption),
        folded(words.numbers, table(
            words.deciles_table.format(backtest.horizon_days, backtest.currency), words.deciles_head, rows,
        )),
    )  # fmt: skip


def reliability(backtest: Backtest, language: Language = "en") -> Element:
    """Whether the churn risk means what it says."""
    words = CHAPTER_WORDS[language]
    said, came = (_floats(backtest.curves[f"risk_{name}"]) for name in ("predicted", "realised"))
    dots = tuple(zip(said, came, strict=True))
    error = backtest.served_churn.metrics.get("calibration_error")
    rows = [
        [_group_name(place, len(dots), words), share(risk, 1), share(stayed, 1), signed_share(risk - stayed)]
        for place, (risk, stayed) in enumerate(dots)
    ]
    return chapter(
        "risk", words.risk,
        paragraph(
            words.risk_text.format(backtest.horizon_days),
            *([] if error is None else [words.risk_off.format(points(error.value, words.points))]),
        ),
        figure(line_chart(
            "risk-chart", words.risk_chart, words.risk_best.format(share(said[-1]), share(came[-1])),
            [Line(SERVED, dots, "served", dots=dots)],
            share_axis(words.risk_x), share_axis(words.risk_y), diagonal=words.risk_diagonal,
        ), words.risk_caption),
        folded(words.numbers, table(words.risk_table, words.risk_head, rows)),
    )  # fmt: skip


def tiers(backtest: Backtest, language: Language = "en") -> Element:
    """What the customers of each tier were worth, beside tiers of the same sizes by past spend."""
    words = CHAPTER_WORDS[language]
    names = [row.tier for row in backtest.tiers]
    pairs = list(zip(backtest.tiers, backtest.past_tiers, strict=True))
    shares = [(row.value_share, past.value_share) for row, past in pairs]
    top = max(max(pair) for pair in shares)
    rows: list[list[Child]] = [
        [
            row.tier, number(row.customers, 0), beside(share(row.value_share, 1), share(past.value_share, 1)),
            beside(share(row.retention), share(past.retention)),
            beside(_amount(row.order_value), _amount(past.order_value)),
            beside(_each(row.realised_value, row.customers), _each(past.realised_value, past.customers)),
        ]
        for row, past in pairs
    ]  # fmt: skip
    bars = [
        Bars(words.tiers_by_value, tuple(one for one, _ in shares), "served", tuple(share(one) for one, _ in shares)),
        Bars(words.tiers_by_spend, tuple(past for _, past in shares), "rule", tuple(share(past) for _, past in shares)),
    ]
    return chapter(
        "tiers", words.tiers,
        paragraph(*_top_tier_words(backtest, words)),
        split(figure(bar_chart(
            "tier-chart", words.tiers_chart,
            words.listed.join(
                words.tiers_pair.format(row.tier, share(row.value_share), share(past.value_share)) for row, past in pairs
            ),
            names, bars, round_axis(words.tiers_y, top, share),
        ), words.tiers_caption),
        table(
            words.tiers_table.format(backtest.horizon_days),
            [name.format(backtest.currency) for name in words.tiers_head], rows,
        )),
    )  # fmt: skip


def origins(backtest: Backtest, language: Language = "en") -> Element:
    """The total at each origin: predicted beside realised."""
    words = CHAPTER_WORDS[language]
    days = [date_of(one.cutoff).isoformat() for one in backtest.origins]
    realised = tuple(one.realised_value for one in backtest.origins)
    predicted = tuple(predicted_total(one) for one in backtest.origins)
    bias = tuple(signed_share(said / came - 1.0) for said, came in zip(predicted, realised, strict=True))
    rows: list[list[Child]] = [
        [
            element("span", {"class": "whole"}, day), beside(f"{one.customers:,}", words.bought.format(share(one.buyers_share))),
            amount(one.realised_value), amount(said), off, share(one.served.capture_10, 1),
        ]
        for day, one, said, off in zip(days, backtest.origins, predicted, bias, strict=True)
    ]  # fmt: skip
    return chapter(
        "origins", words.origins,
        paragraph(words.origins_text),
        split(figure(bar_chart(
            "origin-chart", words.origins_chart,
            words.listed.join(f"{day} {off}" for day, off in zip(days, bias, strict=True)) + words.stop, days,
            [Bars(words.predicted, predicted, "served", bias), Bars(words.realised, realised, "happened")],
            round_axis(
                words.origins_y.format(backtest.horizon_days, backtest.currency),
                max(*predicted, *realised), partial(_compact, units=words.units),
            ),
        ), words.origins_caption),
        table(
            words.origins_table.format(backtest.horizon_days, backtest.currency), words.origins_head, rows,
        )),
    )  # fmt: skip


def coverage(backtest: Backtest, language: Language = "en") -> Element:
    """How often the 80 % intervals hold what happened."""
    words = CHAPTER_WORDS[language]
    known = [(one, one.shared) for one in backtest.coverage if one.shared is not None]
    ranged = [
        Ranged(_coverage_name(one, words), held, None, None, share(held), "served" if place == 0 else "other")
        for place, (one, held) in enumerate(known)
    ]
    low = min(0.5, *(held for _, held in known))
    axis = round_axis(words.coverage_x, 1.0, share, low=low, marks=3)
    rows = [
        [
            _coverage_name(one, words),
            number(one.customers, 0),
            share(one.shared, 1),
            _amount(one.low),
            _amount(one.high),
            share(one.plain, 1),
        ]
        for one in backtest.coverage
    ]
    picture = range_chart(
        "coverage-chart", words.coverage_chart,
        words.listed.join(f"{row.label} {row.text}" for row in ranged) + words.stop, ranged, axis,
        target=TIER_COVERAGE, band=words.band, bounds=words.bounds,
    )  # fmt: skip
    return chapter(
        "coverage", words.coverage,
        paragraph(words.coverage_text),
        figure(picture, words.coverage_caption),
        table(
            words.coverage_table.format(backtest.horizon_days, backtest.currency), words.coverage_head, rows,
        ),
        folded(words.plainly, paragraph(words.plainly_text)),
    )  # fmt: skip


def _gain_line(backtest: Backtest, name: str, colour: Colour, language: Language) -> Line:
    curve = backtest.curves[name]
    steps = np.linspace(0.0, 1.0, len(curve))
    points = tuple((float(step), float(held)) for step, held in zip(steps, curve, strict=True))
    tenth = points[(len(points) - 1) // 10]
    label = f"{shortened(name_words(name, language), 28)} ({share(tenth[1])})"
    return Line(label, points, colour, dots=(tenth,))


def _gain_colour(name: str, rule: CandidateSummary | None) -> Colour:
    """Past spend, which everybody knows, is drawn too; the colour of rules is the best one's."""
    return "other" if rule is not None and name == PAST_SPEND != rule.candidate else colour_of(name)


def _top_tier_words(backtest: Backtest, words: ChapterWords) -> list[Child]:
    best, past = backtest.tiers[0], backtest.past_tiers[0]
    return filled(
        words.tiers_text, customers=number(best.customers, 0), tier=best.tier,
        held=strong(share(best.value_share, 1)), past=share(past.value_share, 1),
    )  # fmt: skip


def _coverage_name(one: Coverage, words: ChapterWords) -> str:
    return words.everybody if one.group == "all" else one.group


def _each(total: float, customers: float) -> str:
    return amount(total / customers) if customers else NO_NUMBER


def _amount(value: float | None) -> str:
    return NO_NUMBER if value is None else amount(value)


def _group_name(place: int, groups: int, words: ChapterWords) -> str:
    return {0: words.lowest, groups - 1: words.highest.format(groups)}.get(place, str(place + 1))


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _compact(value: float, units: Units = EN.units) -> str:
    """Show an amount on an axis.

    >>> _compact(2_500_000.0), _compact(40_000.0), _compact(7.5), _compact(40_000.0, CHAPTER_WORDS["zh"].units)
    ('2.5 M', '40 k', '7.5', '4 万')
    """
    for unit, name in units:
        if abs(value) >= unit:
            return f"{value / unit:,.4g}{name}"
    return f"{value:.4g}"
