"""The first screen of the backtest report: how good the predictions are, in plain sentences and four figures."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from configs.days import date_of
from training.backtest import Backtest, Estimate
from training.backtest_report_findings import best_churn_rule, best_rule, compared, estimate, mean_bias, ranged, summary
from training.backtest_report_markup import (
    NO_NUMBER,
    element,
    folded,
    number,
    paragraph,
    points,
    share,
    signed_share,
    strong,
    table,
)
from training.candidates import PERFECT, SERVED
from training.grade import RULE, Gain, Grade

TONES = {"A": "good", "B": "good", "C": "fair", "D": "poor"}
MEANINGS = {
    "A": "Surely finds clearly more of the money to come, and of the customers who leave, than the best simple rule.",
    "B": "Surely finds more of the money to come, and of the customers who leave, than the best simple rule.",
    "C": "Neither surely better nor surely worse than the best simple rule.",
    "D": "Surely worse than the best simple rule: do not act on these predictions.",
}
LONGEST_LIST = 6


def verdict(backtest: Backtest) -> Element:
    """The grade, what it means, the findings, and the key figures."""
    grade = backtest.grade
    said = element(
        "div", None,
        element("h2", {"id": "verdict-head"}, _headline(grade)),
        element("ul", None, *(element("li", None, *parts) for parts in _findings(backtest))),
    )  # fmt: skip
    children = [element("div", {"class": "verdict"}, _badge(grade), said), _tiles(backtest)]
    if grade.letter is not None:
        children.append(_grading(grade))
    return element("section", {"id": "verdict", "aria-labelledby": "verdict-head"}, *children)


def how_tested(backtest: Backtest) -> str:
    """Say what was done, for whoever never heard of a backtest."""
    days = [date_of(one.cutoff).isoformat() for one in backtest.origins]
    shown = ", ".join(days) if len(days) <= LONGEST_LIST else f"{days[0]} to {days[-1]}"
    times = "once" if len(days) == 1 else f"{len(days)} times"
    return (
        f"Tested {times} against what happened: standing at {shown}, everything was learned again from what was known then, "
        f"the next {backtest.horizon_days} days were predicted for every customer, and compared with what they really did "
        f"({backtest.customers:,} predictions)."
    )


def _headline(grade: Grade) -> str:
    return f"No grade: {grade.sentence}" if grade.letter is None else MEANINGS[grade.letter]


def _badge(grade: Grade) -> Element:
    words = "not given" if grade.letter is None else "of A to D"
    return element(
        "div", {"class": f"grade {TONES.get(grade.letter or '', 'fair')}"},
        element("span", None, "Grade"), element("b", None, grade.letter or "?"), element("span", None, words),
    )  # fmt: skip


def _findings(backtest: Backtest) -> Iterator[list[Element | str]]:
    found = backtest.served.metrics["capture_10"]
    rule, perfect = best_rule(backtest), estimate(summary(backtest.value, PERFECT), "capture_10")
    sentence: list[Element | str] = [
        strong("Who will spend: "), "the tenth of the customers that ranks highest went on to spend ",
        strong(ranged(found)), f" of all money spent in the next {backtest.horizon_days} days",
    ]  # fmt: skip
    if rule is not None:
        theirs = rule.metrics["capture_10"].value
        sentence.append(f", {compared(found.value, theirs)} the best simple rule found ({rule.candidate}: {share(theirs, 1)})")
    yield [*sentence, "." if perfect is None else f"; with perfect foresight it is {share(perfect.value)}."]
    yield from _churn_finding(backtest)
    count = len(backtest.origins)
    biases = [(one.served.total_bias or 0.0) - 1.0 for one in backtest.origins]
    over = "" if count == 1 else f", between {signed_share(min(biases))} and {signed_share(max(biases))} over the {count} tests"
    yield [
        strong("How much in total: "),
        "the predicted total was off by ",
        strong(share(mean_bias(backtest), 1)),
        over or "",
        ".",
    ]
    held = next((one.shared for one in backtest.coverage if one.shared is not None), None)
    if held is not None:
        yield [
            strong("How sure of one customer: "),
            "the range given with each prediction, meant to hold what happens for 80 % of the customers, held it for ",
            strong(share(held, 1)), ".",
        ]  # fmt: skip


def _churn_finding(backtest: Backtest) -> Iterator[list[Element | str]]:
    auc = backtest.served_churn.metrics.get("auc")
    if auc is None:
        return
    rule = best_churn_rule(backtest)
    sentence: list[Element | str] = [
        strong("Who will leave: "), "of a customer who left and one who bought again, the one who left had the higher risk ",
        strong(f"{share(auc.value, 1)} of the time"),
    ]  # fmt: skip
    if rule is not None:
        sentence.append(f"; by {rule.candidate} it is {share(rule.metrics['auc'].value, 1)}, by chance 50 %")
    error = backtest.served_churn.metrics.get("calibration_error")
    if error is not None:
        sentence.append(f". A stated risk is {points(error.value)} off what happens, on average")
    yield [*sentence, "."]


def _tiles(backtest: Backtest) -> Element:
    def tile(name: str, figure: str, beside: str) -> Element:
        return element("div", None, element("dt", None, name), element("dd", None, figure), element("dd", None, beside))

    rule, churn_rule = best_rule(backtest, "normalized_gini"), best_churn_rule(backtest)
    gini, auc = backtest.served.metrics["normalized_gini"], backtest.served_churn.metrics.get("auc")
    low_high = f"90 % interval {number(gini.low)} to {number(gini.high)}"
    rule_gini, rule_auc = estimate(rule, "normalized_gini"), estimate(churn_rule, "auc")
    held = next((one.shared for one in backtest.coverage if one.shared is not None), None)
    decile = backtest.served.metrics.get("decile_error")
    deciles = "" if decile is None else f"groups of customers off by {share(decile.value)}"
    return element(
        "dl", {"class": "tiles"},
        tile("Ranking by value (Gini, 1 = perfect)", number(gini.value), _beside_rule(rule_gini) or low_high),
        tile("Ranking by churn (AUC, 0.5 = chance)", NO_NUMBER if auc is None else number(auc.value), _beside_rule(rule_auc)),
        tile("Total off, on average", share(mean_bias(backtest), 1), deciles),
        tile("Within the 80 % interval", share(held, 1), "80 % is right"),
    )  # fmt: skip


def _beside_rule(found: Estimate | None) -> str:
    return "" if found is None else f"best simple rule {number(found.value)}"


def _grading(grade: Grade) -> Element:
    measures = [one for one in (grade.value, grade.capture, grade.churn) if one is not None]
    return folded(
        "How the grade was given",
        paragraph(RULE),
        table(
            "Found of what the best simple rule misses: 0 % is no better than the rule, 100 % perfect",
            ["Measure", SERVED, "Best simple rule", "Its figure", "Gain", "90 % interval of the gain"],
            [_gain_row(one) for one in measures], words=(2,),
        ),
        opened=True,
    )  # fmt: skip


def _gain_row(one: Gain) -> list[str]:
    bounds = f"{signed_share(one.gain.low)} to {signed_share(one.gain.high)}"
    return [one.measure, number(one.model), one.rule, number(one.of_rule), signed_share(one.gain.estimate), bounds]
