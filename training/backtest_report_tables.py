"""The chapters of the backtest report that are tables first: who moves, hard customers, and all candidates side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree.ElementTree import Element

from configs.language import Language
from training.backtest import Backtest, CandidateSummary, Estimate
from training.backtest_charts import Ranged, range_chart, round_axis
from training.backtest_report_findings import Moved, colour_of, reclassified, summed_movement, tier_names
from training.backtest_report_markup import (
    NO_NUMBER,
    PERCENT,
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
    share,
    signed_share,
    split,
    strong,
    table,
)
from training.backtest_table_words import TABLE_WORDS, TableWords
from training.candidates import PERFECT, SERVED
from training.name_words import meaning_words, name_words
from training.slices import MEANING

TENTH = 0.1
VALUE = (
    "normalized_gini", "rank_correlation", "capture_5", "capture_10", "capture_20", "total_bias", "decile_error",
    "mean_absolute_error",
)  # fmt: skip
CHURN = ("auc", "average_precision", "brier_skill", "log_loss", "calibration_error")
LEADING = (VALUE[0], CHURN[0])


def movement(backtest: Backtest, language: Language = "en") -> Element:
    """Past-spend tier by predicted tier: whom the model sees otherwise, and who was right."""
    words = TABLE_WORDS[language]
    moved = summed_movement(backtest)
    names = tier_names(backtest)
    head = [words.moves_first, *(f"→ {name}" for name in names)]
    rows = [[past, *(_movement_cell(moved.get((past, tier)), words) for tier in names)] for past in names]
    grid = table(words.moves_table.format(backtest.horizon_days, backtest.currency), head, rows)
    for place, row in enumerate(grid.iterfind(".//tbody/tr")):
        row[place + 1].set("class", "number same")
    return chapter("movement", words.moves, paragraph(*_movement_words(backtest, words)), grid)


def slices(backtest: Backtest, language: Language = "en") -> Element:
    """Accuracy of groups of customers."""
    words = TABLE_WORDS[language]
    rows = [
        [
            name_words(one.name, language), number(one.customers, 0), amount(one.realised_value), amount(one.predicted_value),
            signed_share(None if one.total_bias is None else one.total_bias - 1.0), number(one.normalized_gini),
            share(one.churned), share(one.churn_risk), number(one.churn_calibration_error),
        ]
        for one in backtest.slices
    ]  # fmt: skip
    meant = (
        element("li", None, strong(f"{name_words(name, language)}{words.colon}"), meaning_words(name, language), words.stop)
        for name in (one.name for one in backtest.slices)
        if name in MEANING
    )
    return chapter(
        "slices", words.groups,
        paragraph(words.groups_text, *_furthest_off(backtest, words, language)),
        table(words.groups_table.format(backtest.horizon_days, backtest.currency), words.groups_head, rows),
        folded(words.who, element("ul", {"class": "findings"}, *meant)),
    )  # fmt: skip


def candidates(backtest: Backtest, language: Language = "en") -> Element:
    """Every way to predict, side by side."""
    words = TABLE_WORDS[language]
    value, churn = ({name: words.metrics[name].format(backtest.currency) for name in names} for names in (VALUE, CHURN))
    return chapter(
        "candidates", words.rivals,
        paragraph(words.rivals_text.format(backtest.resamples)),
        split(
            _ranges("value", words.value_range, backtest.value, 0.0, words, language),
            _ranges("churn", words.churn_range, backtest.churn, 0.5, words, language),
        ),
        _metric_table(backtest.value, words.value_by, value, words, language),
        _metric_table(backtest.churn, words.churn_by, churn, words, language),
        element("p", {"class": "note"}, words.note),
    )  # fmt: skip


def _furthest_off(backtest: Backtest, words: TableWords, language: Language) -> list[Child]:
    known = [(abs(one.total_bias - 1.0), one) for one in backtest.slices if one.total_bias is not None]
    if not known:
        return []
    worst = max(known, key=lambda pair: pair[0])[1]
    off = money(abs(worst.predicted_value - worst.realised_value), backtest.currency)
    named = f"{name_words(worst.name, language)}{words.comma}{signed_share((worst.total_bias or 0.0) - 1.0)}"
    return filled(words.furthest, group=strong(named), off=off, days=str(backtest.horizon_days))


def _ranges(
    name: str, title: str, rows: Sequence[CandidateSummary], chance: float, words: TableWords, language: Language
) -> Element:
    """Draw the leading metric of all candidates, with intervals."""
    found = {row.candidate: row.metrics[metric] for row in rows for metric in LEADING if metric in row.metrics}
    found.pop(PERFECT, None)
    ranged = [
        Ranged(name_words(who, language), one.value, one.low, one.high, number(one.value), colour_of(who))
        for who, one in found.items()
    ]
    lowest = min(chance, *(one.low for one in found.values()))
    axis = round_axis(title, 1.0, lambda value: number(value, 1), low=lowest)
    described = words.listed.join(f"{row.label} {row.text}" for row in ranged)
    picture = range_chart(f"{name}-chart", words.range_title.format(title), described, ranged, axis, bounds=words.bounds)
    return figure(picture, words.range_caption)


def _metric_table(
    candidates: Sequence[CandidateSummary], what: str, metrics: Mapping[str, str], words: TableWords, language: Language
) -> Element:
    """All metrics of all candidates, each with its interval; last how far the served one leads by the first of them."""
    leading = next(iter(metrics))
    rows = [
        [
            name_words(row.candidate, language),
            *(_estimate(row.metrics.get(metric), metric, words) for metric in metrics),
            _lead(row, leading, words),
        ]
        for row in candidates
    ]
    return table(
        words.metric_table.format(metrics[leading]), [what, *metrics.values(), words.lead], rows,
        marked=[row.candidate == SERVED for row in candidates],
    )  # fmt: skip


def _lead(row: CandidateSummary, metric: str, words: TableWords) -> Child:
    found = row.lead.get(metric)
    if found is None or row.candidate in (SERVED, PERFECT):
        return ""
    return beside(f"{found.value:+.3f}", words.bounds.format(f"{found.low:+.3f}", f"{found.high:+.3f}"))


def _estimate(found: Estimate | None, metric: str, words: TableWords) -> Child:
    if found is None:
        return NO_NUMBER
    if metric.startswith("capture"):
        low, high = share(found.low, 1).removesuffix(PERCENT), share(found.high, 1).removesuffix(PERCENT)
        return beside(share(found.value, 1), words.bounds.format(low, high))
    shown = amount if metric == "mean_absolute_error" else number
    return beside(shown(found.value), words.bounds.format(shown(found.low), shown(found.high)))


def _movement_words(backtest: Backtest, words: TableWords) -> list[Child]:
    said: list[Child] = [words.moves_text]
    higher, lower = reclassified(backtest, "higher"), reclassified(backtest, "lower")
    for template, found in ((words.higher, higher), (words.lower, lower)):
        if found is not None:
            customers, times = found
            much = words.times.format(f"{times:.1f}" if times >= TENTH else f"{times:.2f}")
            said += filled(template, customers=f"{customers:,}", times=strong(much))
    return said


def _movement_cell(moved: Moved | None, words: TableWords) -> Child:
    if moved is None or moved.each is None:
        return "0"
    return beside(f"{moved.customers:,}", words.each.format(amount(moved.each)))
