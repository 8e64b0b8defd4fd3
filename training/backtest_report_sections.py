"""The chapters of the backtest report with a picture: a finding in words, the picture, and its numbers beside it."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree.ElementTree import Element

import numpy as np

from configs.days import date_of
from training.backtest import Backtest, CandidateSummary
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

TIER_COVERAGE = (0.72, 0.88)
STEPS = (10, *range(20, 201, 20))
"""Of the 201 of a gain curve, those in the table: 5 %, and every tenth."""
PLAINLY = (
    "Low end <= realised <= high end. Many customers spend exactly nothing, and an interval that begins at zero holds all of "
    "them at once: the other figure counts them in part, as the 80 % demand."
)


def gain(backtest: Backtest) -> Element:
    """Who holds the value: the curve of the served ranking between the best simple rule and perfect foresight."""
    rule = best_rule(backtest)
    wanted = (PERFECT, SERVED, *([rule.candidate] if rule else []), PAST_SPEND)
    drawn = [name for name in dict.fromkeys(wanted) if name in backtest.curves]
    lines = [_gain_line(backtest, name, _gain_colour(name, rule)) for name in drawn]
    rows = [[share(step / 200), *(share(float(backtest.curves[name][step]), 1) for name in drawn)] for step in STEPS]
    tenths = (
        f"{name} {share(found.value, 1)}" for name in drawn if (found := estimate(summary(backtest.value, name), "capture_10"))
    )
    return chapter(
        "gain", "Who will spend the money?",
        paragraph(
            "Customers are lined up by what they are predicted to spend, the best first. The higher the line, the more of "
            "what was really spent is found among the first customers. The dots mark the best tenth."
        ),
        figure(line_chart(
            "gain-chart", "Share of the value found, by share of customers",
            f"Held by the best tenth: {', '.join(tenths)}.",
            lines, share_axis("Share of customers, best first"), share_axis("Share of realised value found"),
            diagonal="by chance",
        ), "Mean of the origins. In brackets: held by the best tenth."),
        folded("The numbers", table("Share of the realised value found", ["Customers", *drawn], rows)),
    )  # fmt: skip


def deciles(backtest: Backtest) -> Element:
    """Whether the amounts are right: ten groups by predicted value, predicted beside realised."""
    predicted, realised = (_floats(backtest.curves[f"decile_{name}"]) for name in ("predicted", "realised"))
    groups = [str(place + 1) for place in range(len(predicted))]
    top = max(*predicted, *realised, 0.01)
    rows = [
        [_group_name(place, len(groups)), amount(said), amount(came), signed_share(said / came - 1.0 if came > 0.0 else None)]
        for place, (said, came) in enumerate(zip(predicted, realised, strict=True))
    ]
    error = backtest.served.metrics.get("decile_error")
    return chapter(
        "deciles", "Are the amounts right?",
        paragraph(
            "Customers in ten groups of equal size, from the lowest predicted value to the highest. "
            "Where the two bars of a group are equally high, the amounts are right.",
            *([] if error is None else [f" On average the groups are {share(error.value, 1)} of the mean value off."]),
        ),
        figure(bar_chart(
            "decile-chart", "Mean predicted and mean realised value of ten groups of customers",
            f"The best group was predicted {money(predicted[-1], backtest.currency)} per customer "
            f"and spent {money(realised[-1], backtest.currency)}.",
            groups, [Bars("predicted", predicted, "served"), Bars("realised", realised, "happened")],
            round_axis(f"Mean value per customer, {backtest.currency}", top, _compact),
        ), "Groups of customers, 1 the lowest predicted value. Mean of the origins."),
        folded("The numbers", table(
            f"Value per customer in {backtest.horizon_days} days, {backtest.currency}",
            ["Group", "Predicted", "Realised", "Difference"], rows,
        )),
    )  # fmt: skip


def reliability(backtest: Backtest) -> Element:
    """Whether the churn risk means what it says."""
    said, came = (_floats(backtest.curves[f"risk_{name}"]) for name in ("predicted", "realised"))
    dots = tuple(zip(said, came, strict=True))
    error = backtest.served_churn.metrics.get("calibration_error")
    rows = [
        [_group_name(place, len(dots)), share(risk, 1), share(stayed, 1), signed_share(risk - stayed)]
        for place, (risk, stayed) in enumerate(dots)
    ]
    return chapter(
        "risk", "Does the churn risk mean what it says?",
        paragraph(
            f"Of customers with a risk of 70 %, 70 in 100 should not buy within {backtest.horizon_days} days: then the dots lie "
            "on the dotted line. Below it the risk was overstated, above it understated.",
            *([] if error is None else [f" On average the two lie {points(error.value)} apart."]),
        ),
        figure(line_chart(
            "risk-chart", "Share of customers who stayed away, by predicted churn risk",
            f"Ten groups of customers; the highest risk said was {share(said[-1])}, and {share(came[-1])} stayed away.",
            [Line(SERVED, dots, "served", dots=dots)],
            share_axis("Predicted churn risk"), share_axis("Share that stayed away"), diagonal="said = happened",
        ), "Ten groups of customers of equal size, by rising risk. Mean of the origins."),
        folded("The numbers", table("Churn risk said and what happened", ["Group", "Said", "Stayed away", "Difference"], rows)),
    )  # fmt: skip


def tiers(backtest: Backtest) -> Element:
    """What the customers of each tier were worth, beside tiers of the same sizes by past spend."""
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
        Bars("tiers by predicted value", tuple(one for one, _ in shares), "served", tuple(share(one) for one, _ in shares)),
        Bars("by past spend", tuple(past for _, past in shares), "rule", tuple(share(past) for _, past in shares)),
    ]
    return chapter(
        "tiers", "What were the tiers worth?",
        paragraph(*_top_tier_words(backtest)),
        split(figure(bar_chart(
            "tier-chart", "Share of the realised value held by each tier",
            "; ".join(f"{row.tier} {share(row.value_share)}, by past spend {share(past.value_share)}" for row, past in pairs),
            names, bars, round_axis("Share of realised value", top, share),
        ), "Both ways of making tiers put the same number of customers into each, but for ties."),
        table(
            f"Each tier over {backtest.horizon_days} days, beneath it the past-spend tier of the same size",
            ["Tier", "Customers", "Share of value", "Bought again", f"Order value, {backtest.currency}",
             f"Per customer, {backtest.currency}"], rows,
        )),
    )  # fmt: skip


def origins(backtest: Backtest) -> Element:
    """The total at each origin: predicted beside realised."""
    days = [date_of(one.cutoff).isoformat() for one in backtest.origins]
    realised = tuple(one.realised_value for one in backtest.origins)
    predicted = tuple(predicted_total(one) for one in backtest.origins)
    bias = tuple(signed_share(said / came - 1.0) for said, came in zip(predicted, realised, strict=True))
    rows: list[list[Child]] = [
        [
            element("span", {"class": "whole"}, day), beside(f"{one.customers:,}", f"{share(one.buyers_share)} bought"),
            amount(one.realised_value), amount(said), off, share(one.served.capture_10, 1),
        ]
        for day, one, said, off in zip(days, backtest.origins, predicted, bias, strict=True)
    ]  # fmt: skip
    return chapter(
        "origins", "Is the total right, time after time?",
        paragraph(
            "At each origin the predictions of all customers were added up and compared with what they spent together."
            " Above the bars: how far the prediction was off."
        ),
        split(figure(bar_chart(
            "origin-chart", "Predicted and realised total at each origin",
            "; ".join(f"{day} {off}" for day, off in zip(days, bias, strict=True)) + ".", days,
            [Bars("predicted", predicted, "served", bias), Bars("realised", realised, "happened")],
            round_axis(f"Total of {backtest.horizon_days} days, {backtest.currency}", max(*predicted, *realised), _compact),
        ), "First day of the period that was predicted."),
        table(
            f"Each origin, {backtest.horizon_days} days ahead, {backtest.currency}",
            ["From", "Customers", "Realised", "Predicted", "Off", "Best tenth"], rows,
        )),
    )  # fmt: skip


def coverage(backtest: Backtest) -> Element:
    """How often the 80 % intervals hold what happened."""
    known = [(one, one.shared) for one in backtest.coverage if one.shared is not None]
    ranged = [
        Ranged(_coverage_name(one), held, None, None, share(held), "served" if place == 0 else "other")
        for place, (one, held) in enumerate(known)
    ]
    low = min(0.5, *(held for _, held in known))
    axis = round_axis("Customers within their interval", 1.0, share, low=low, marks=3)
    rows = [
        [
            _coverage_name(one),
            number(one.customers, 0),
            share(one.shared, 1),
            _amount(one.low),
            _amount(one.high),
            share(one.plain, 1),
        ]
        for one in backtest.coverage
    ]
    picture = range_chart(
        "coverage-chart", "Share of customers within their 80 % interval",
        "; ".join(f"{row.label} {row.text}" for row in ranged) + ".", ranged, axis, target=TIER_COVERAGE,
    )  # fmt: skip
    return chapter(
        "coverage", "Do the 80 % intervals hold 80 %?",
        paragraph(
            "Every prediction comes with a lowest and a highest likely value. Of all customers, 80 % should end within it. "
            "The shaded band runs from 72 to 88 %: every tier should lie in it."
        ),
        figure(picture, "Mean of the origins, by predicted tier."),
        table(
            f"Intervals of the value in {backtest.horizon_days} days, {backtest.currency}",
            ["Tier", "Customers", "Within", "Low end, mean", "High end, mean", "Plainly within*"], rows,
        ),
        folded("*Plainly within", paragraph(PLAINLY)),
    )  # fmt: skip


def _gain_line(backtest: Backtest, name: str, colour: Colour) -> Line:
    curve = backtest.curves[name]
    steps = np.linspace(0.0, 1.0, len(curve))
    points = tuple((float(step), float(held)) for step, held in zip(steps, curve, strict=True))
    tenth = points[(len(points) - 1) // 10]
    label = f"{shortened(name, 28)} ({share(tenth[1])})"
    return Line(label, points, colour, dots=(tenth,))


def _gain_colour(name: str, rule: CandidateSummary | None) -> Colour:
    """Past spend, which everybody knows, is drawn too; the colour of rules is the best one's."""
    return "other" if rule is not None and name == PAST_SPEND != rule.candidate else colour_of(name)


def _top_tier_words(backtest: Backtest) -> list[Child]:
    best, past = backtest.tiers[0], backtest.past_tiers[0]
    return [
        f"The {number(best.customers, 0)} customers of the best tier, {best.tier}, held ", strong(share(best.value_share, 1)),
        f" of what all customers spent; as many customers chosen by past spend held {share(past.value_share, 1)}.",
    ]  # fmt: skip


def _coverage_name(one: Coverage) -> str:
    return "all customers" if one.group == "all" else one.group


def _each(total: float, customers: float) -> str:
    return amount(total / customers) if customers else NO_NUMBER


def _amount(value: float | None) -> str:
    return NO_NUMBER if value is None else amount(value)


def _group_name(place: int, groups: int) -> str:
    return {0: "1 (lowest)", groups - 1: f"{groups} (highest)"}.get(place, str(place + 1))


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _compact(value: float) -> str:
    """Show an amount on an axis.

    >>> _compact(2_500_000.0), _compact(40_000.0), _compact(7.5)
    ('2.5 M', '40 k', '7.5')
    """
    for unit, name in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= unit:
            return f"{value / unit:,.4g}{name}"
    return f"{value:.4g}"
