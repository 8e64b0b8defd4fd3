"""What ``foretier backtest`` shows in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from configs.days import date_of
from configs.language import Language
from training.backtest import Backtest, CandidateSummary, Estimate
from training.backtest_terminal_words import TERMINAL_WORDS, TerminalWords
from training.candidates import PERFECT, SERVED
from training.decision_report import grade_text
from training.evaluation_rows import TierOutcome
from training.figures import shown, written
from training.name_words import meaning_words, name_words
from training.slices import MEANING

Column = tuple[str, str]
"""Metric, and how it is written."""

VALUE_COLUMNS: tuple[Column, ...] = (
    ("normalized_gini", ".3f"), ("capture_10", ".1%"), ("total_bias", ".2f"), ("decile_error", ".2f"),
)  # fmt: skip
CHURN_COLUMNS: tuple[Column, ...] = (("auc", ".3f"), ("brier_skill", ".3f"), ("calibration_error", ".3f"))


def backtest_report(backtest: Backtest, language: Language = "en") -> RenderableType:
    """The grade, the candidates with their intervals, origins, tiers, and the customers who are hard to understand."""
    words, number = TERMINAL_WORDS[language], len(backtest.origins)
    title = (words.one_origin if number == 1 else words.value_title).format(number, backtest.horizon_days)
    value, churn = _table(title, words.value_caption), _table(words.churn, words.churn_caption)
    _candidates(value, backtest.value, VALUE_COLUMNS, (words.value_by, *words.value_head), language)
    _candidates(churn, backtest.churn, CHURN_COLUMNS, (words.churn_by, *words.churn_head), language)
    parts: list[RenderableType] = [
        grade_text(backtest.grade, language), Text(), value, Text(), churn, Text(),
        _origins(backtest, words), Text(), _tiers(backtest, words), Text(), _slices(backtest, words, language),
    ]  # fmt: skip
    parts += [Text(words.skipped.format(date_of(day), reason.told(language)), style="yellow") for day, reason in backtest.skipped]
    return Group(*parts)


def _candidates(
    table: Table, rows: Sequence[CandidateSummary], columns: Sequence[Column], head: Sequence[str], language: Language
) -> None:
    table.add_column(head[0], overflow="fold", min_width=10)
    for heading in head[1:]:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [_estimate(row.metrics.get(metric), how) for metric, how in columns]
        style = {SERVED: "bold", PERFECT: "dim"}.get(row.candidate, "")
        table.add_row(name_words(row.candidate, language), *cells, style=style)


def _estimate(found: Estimate | None, how: str) -> str:
    """The figure, and below it the ends of its interval: side by side they would be too wide for a narrow terminal."""
    if found is None:
        return ""
    figure, low, high = (written(number, how) for number in (found.value, found.low, found.high))
    return figure if low == figure == high else f"{figure}\n{low.removesuffix(' %')}–{high}"  # noqa: RUF001 (from - to)


def _origins(backtest: Backtest, words: TerminalWords) -> Table:
    table = _table(words.origins, words.origins_caption)
    for place, heading in enumerate(words.origins_head):
        table.add_column(heading.format(backtest.currency), justify="left" if place == 0 else "right", no_wrap=place == 0)
    for one in backtest.origins:
        table.add_row(
            date_of(one.cutoff).isoformat(), f"{one.customers:,}", f"{one.realised_value:,.0f}",
            f"{one.served.normalized_gini:.3f}", written(one.served.capture_10, ".1%"), f"{one.served.total_bias:.2f}",
            f"{one.churn[0].auc:.3f}",
        )  # fmt: skip
    return table


def _tiers(backtest: Backtest, words: TerminalWords) -> Table:
    table = _table(words.tiers, words.tiers_caption)
    table.add_column(words.tiers_head[0], overflow="fold")
    for heading in words.tiers_head[1:]:
        table.add_column(heading, justify="right")
    covered = {row.group: row.shared for row in backtest.coverage}
    for tier, past in zip(backtest.tiers, backtest.past_tiers, strict=True):
        table.add_row(
            tier.tier, written(tier.value_share, ".1%"), written(past.value_share, ".1%"), _bought(tier), _bought(past),
            shown(tier.order_value, ",.2f"), shown(covered.get(tier.tier), ".0%"),
        )  # fmt: skip
    return table


def _bought(row: TierOutcome) -> str:
    return shown(row.retention, ".0%")


def _slices(backtest: Backtest, words: TerminalWords, language: Language) -> Table:
    meant = (
        words.meaning.format(name_words(name, language), meaning_words(name, language))
        for name in (row.name for row in backtest.slices)
        if name in MEANING
    )
    table = _table(words.slices, "\n".join(meant))
    table.add_column(words.slices_head[0], overflow="fold")
    for heading in words.slices_head[1:]:
        table.add_column(heading.format(backtest.currency), justify="right")
    for row in backtest.slices:
        table.add_row(
            Text(name_words(row.name, language)),
            f"{row.customers:,.0f}", f"{row.realised_value:,.0f}", f"{row.predicted_value:,.0f}",
            shown(row.total_bias, ".2f"), shown(row.normalized_gini, ".2f"),
            written(row.churned, ".0%"), written(row.churn_risk, ".0%"),
        )  # fmt: skip
    return table


def _table(title: str, caption: str) -> Table:
    return Table(title=title, caption=caption, title_justify="left", caption_justify="left")
