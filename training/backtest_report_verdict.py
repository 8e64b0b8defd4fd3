"""The first screen of the backtest report: how good the predictions are, in plain sentences and four figures."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from configs.days import date_of
from configs.language import Language
from training.backtest import Backtest, Estimate
from training.backtest_report_findings import best_churn_rule, best_rule, compared, estimate, mean_bias, ranged, summary
from training.backtest_report_markup import (
    NO_NUMBER,
    Child,
    element,
    filled,
    folded,
    number,
    paragraph,
    points,
    share,
    signed_share,
    strong,
    table,
)
from training.backtest_report_words import VERDICT_WORDS, VerdictWords
from training.candidates import PERFECT
from training.grade import Gain, Grade
from training.grade_words import GRADE_WORDS
from training.name_words import name_words

TONES = {"A": "good", "B": "good", "C": "fair", "D": "poor"}
LONGEST_LIST = 6


def verdict(backtest: Backtest, language: Language = "en") -> Element:
    """The grade, what it means, the findings, and the key figures."""
    grade, words = backtest.grade, VERDICT_WORDS[language]
    said = element(
        "div", None,
        element("h2", {"id": "verdict-head"}, _headline(grade, words, language)),
        element("ul", None, *(element("li", None, *parts) for parts in _findings(backtest, words, language))),
    )  # fmt: skip
    children = [element("div", {"class": "verdict"}, _badge(grade, words), said), _tiles(backtest, words)]
    if grade.letter is not None:
        children.append(_grading(grade, words, language))
    return element("section", {"id": "verdict", "aria-labelledby": "verdict-head"}, *children)


def how_tested(backtest: Backtest, language: Language = "en") -> str:
    """Say what was done, for whoever never heard of a backtest."""
    words = VERDICT_WORDS[language]
    days = [date_of(one.cutoff).isoformat() for one in backtest.origins]
    return words.tested.format(
        times=words.once if len(days) == 1 else words.times.format(len(days)),
        days=words.days_between.join(days) if len(days) <= LONGEST_LIST else words.days_to.format(days[0], days[-1]),
        horizon=backtest.horizon_days, predictions=backtest.customers,
    )  # fmt: skip


def _headline(grade: Grade, words: VerdictWords, language: Language) -> str:
    return words.no_grade.format(grade.said(language)) if grade.letter is None else words.meanings[grade.letter]


def _badge(grade: Grade, words: VerdictWords) -> Element:
    beneath = words.not_given if grade.letter is None else words.of_letters
    return element(
        "div", {"class": f"grade {TONES.get(grade.letter or '', 'fair')}"},
        element("span", None, words.grade), element("b", None, grade.letter or "?"), element("span", None, beneath),
    )  # fmt: skip


def _findings(backtest: Backtest, words: VerdictWords, language: Language) -> Iterator[list[Child]]:
    yield _spend_finding(backtest, words, language)
    yield from _churn_finding(backtest, words, language)
    count = len(backtest.origins)
    biases = [(one.served.total_bias or 0.0) - 1.0 for one in backtest.origins]
    between = "" if count == 1 else words.between.format(signed_share(min(biases)), signed_share(max(biases)), count)
    off = strong(share(mean_bias(backtest), 1))
    yield [*filled(words.total, lead=strong(words.total_lead), found=off, between=between), words.stop]
    held = _held(backtest)
    if held is not None:
        yield [*filled(words.sure, lead=strong(words.sure_lead), found=strong(share(held, 1))), words.stop]


def _spend_finding(backtest: Backtest, words: VerdictWords, language: Language) -> list[Child]:
    found = backtest.served.metrics["capture_10"]
    rule, perfect = best_rule(backtest), estimate(summary(backtest.value, PERFECT), "capture_10")
    beside = ""
    if rule is not None:
        theirs = rule.metrics["capture_10"].value
        than, name = compared(found.value, theirs, words), name_words(rule.candidate, language)
        beside = words.beside_rule.format(compared=than, rule=name, theirs=share(theirs, 1))
    return filled(
        words.spend, lead=strong(words.spend_lead), found=strong(ranged(found, words)), days=str(backtest.horizon_days),
        rule=beside, perfect=words.stop if perfect is None else words.perfect.format(share(perfect.value)),
    )  # fmt: skip


def _churn_finding(backtest: Backtest, words: VerdictWords, language: Language) -> Iterator[list[Child]]:
    auc, error = (backtest.served_churn.metrics.get(name) for name in ("auc", "calibration_error"))
    if auc is None:
        return
    rule, beside = best_churn_rule(backtest), ""
    if rule is not None:
        theirs = share(rule.metrics["auc"].value, 1)
        beside = words.beside_silence.format(rule=name_words(rule.candidate, language), theirs=theirs)
    off = "" if error is None else words.risk_off.format(points(error.value, words.points))
    found = strong(words.churn_found.format(share(auc.value, 1)))
    yield [*filled(words.churn, lead=strong(words.churn_lead), found=found, rule=beside, error=off), words.stop]


def _held(backtest: Backtest) -> float | None:
    """Share of the customers within their intervals."""
    return next((one.shared for one in backtest.coverage if one.shared is not None), None)


def _tiles(backtest: Backtest, words: VerdictWords) -> Element:
    def tile(name: str, figure: str, beside: str) -> Element:
        return element("div", None, element("dt", None, name), element("dd", None, figure), element("dd", None, beside))

    def beside_rule(found: Estimate | None) -> str:
        return "" if found is None else words.best_rule.format(number(found.value))

    rule, churn_rule = best_rule(backtest, "normalized_gini"), best_churn_rule(backtest)
    gini, auc = backtest.served.metrics["normalized_gini"], backtest.served_churn.metrics.get("auc")
    low_high = words.interval.format(number(gini.low), number(gini.high))
    rule_gini, rule_auc = estimate(rule, "normalized_gini"), estimate(churn_rule, "auc")
    decile = backtest.served.metrics.get("decile_error")
    deciles = "" if decile is None else words.groups_off.format(share(decile.value))
    return element(
        "dl", {"class": "tiles"},
        tile(words.gini_tile, number(gini.value), beside_rule(rule_gini) or low_high),
        tile(words.auc_tile, NO_NUMBER if auc is None else number(auc.value), beside_rule(rule_auc)),
        tile(words.total_tile, share(mean_bias(backtest), 1), deciles),
        tile(words.interval_tile, share(_held(backtest), 1), words.right),
    )  # fmt: skip


def _grading(grade: Grade, words: VerdictWords, language: Language) -> Element:
    measures = [one for one in (grade.value, grade.capture, grade.churn) if one is not None]
    return folded(
        words.how_graded,
        paragraph(GRADE_WORDS[language].rule),
        table(words.gains, words.gain_head, [_gain_row(one, words, language) for one in measures], words=(2,)),
        opened=True,
    )


def _gain_row(one: Gain, words: VerdictWords, language: Language) -> list[str]:
    bounds = words.bounds.format(signed_share(one.gain.low), signed_share(one.gain.high))
    measure, rule = name_words(one.measure, language), name_words(one.rule, language)
    return [measure, number(one.model), rule, number(one.of_rule), signed_share(one.gain.estimate), bounds]
