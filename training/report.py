"""What ``foretier check`` and ``foretier train`` show in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from configs.command import one_line
from configs.days import date_of
from configs.language import Language
from configs.settings import Settings
from features.cleaning_report import CleaningReport
from features.history_check import HorizonSupport
from models.btyd_record import btyd_sentence
from training.decision_report import decision_report, grade_text
from training.evaluation import PERFECT, SERVED, Evaluation
from training.figures import shown, written
from training.name_words import name_words
from training.pipeline import Trained
from training.report_words import ACCURACY_WORDS, TRAINING_WORDS

LONGEST_EXAMPLE = 72


def check_report(report: CleaningReport, support: Sequence[HorizonSupport], settings: Settings, rejected: Path) -> RenderableType:
    """Rows by what became of them, the customers, and the horizons that the history supports."""
    parts: list[RenderableType] = [Text(report.balance(settings.language), style="bold"), _rows(report)]
    if report.rejected_rows:
        parts.append(Text(f"Rejected rows, each with its reason: {rejected}", style="dim"))
    parts += [Text(), _facts(report, settings), Text(), _horizons(support)]
    return Group(*parts)


def training_report(trained: Trained, language: Language = "en") -> RenderableType:
    """Accuracy beside the naive rules, and what was registered."""
    words = TRAINING_WORDS[language]
    parts: list[RenderableType] = []
    if trained.evaluation is not None:
        parts += [accuracy_table(trained.evaluation, language), Text(), churn_table(trained.evaluation, language), Text()]
    elif trained.not_evaluated is not None:
        parts += [Text(words.unknown.format(trained.not_evaluated.told(language)), style="yellow"), Text()]
    parts += [Text(words.trained.format(**_about(trained)))]
    parts += [Text(btyd_sentence(trained.model.btyd, language)), Text(trained.leaks.told.told(language))]
    if trained.leaks.suspicion is not None:
        parts.append(Text(trained.leaks.suspicion.told(language), style="yellow"))
    parts += [Text(), grade_text(trained.grade, language), Text(), decision_report(trained.decision, language)]
    return Group(*parts)


def _about(trained: Trained) -> dict[str, Any]:
    return {
        "version": trained.version, "cutoffs": len(trained.plan.final), "as_of": trained.as_of,
        "days": trained.plan.horizon_days, "customers": trained.customers,
    }  # fmt: skip


def accuracy_table(evaluation: Evaluation, language: Language = "en") -> Table:
    """How well each way to predict value finds the realised value."""
    words, days = ACCURACY_WORDS[language], evaluation.horizon_days
    begin, end = date_of(evaluation.cutoff), date_of(evaluation.cutoff + days)
    table = Table(
        title=words.title.format(days=days, begin=begin, end=end),
        caption=words.caption,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column(words.predicted_by, overflow="fold")  # in a narrow terminal names wrap, and numbers stay whole
    for name in (words.gini, words.rank, words.top_10, words.top_20, words.total):
        table.add_column(name, justify="right", no_wrap=True)
    for row in evaluation.value:
        table.add_row(
            name_words(row.candidate, language), f"{row.normalized_gini:.3f}", shown(row.rank_correlation, ".3f"),
            written(row.capture_10, ".1%"), written(row.capture_20, ".1%"), shown(row.total_bias, ".2f"),
            style=_style(row.candidate),
        )  # fmt: skip
    return table


def churn_table(evaluation: Evaluation, language: Language = "en") -> Table:
    """How well each way to predict churn tells who stays away."""
    words = ACCURACY_WORDS[language]
    table = Table(
        title=words.churn_title.format(share=written(1 - evaluation.buyers_share, ".0%"), customers=evaluation.customers),
        caption=words.churn_caption,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column(words.churn_by, overflow="fold")
    for name in (words.auc, words.brier, words.calibration):
        table.add_column(name, justify="right", no_wrap=True)
    for row in evaluation.churn:
        skill, error = shown(row.brier_skill, ".3f"), shown(row.calibration_error, ".3f")
        table.add_row(name_words(row.candidate, language), f"{row.auc:.3f}", skill, error, style=_style(row.candidate))
    return table


def _style(candidate: str) -> str:
    return {SERVED: "bold", PERFECT: "dim"}.get(candidate, "")


def _rows(report: CleaningReport) -> Table:
    table = Table()
    table.add_column("Rows", no_wrap=True)
    table.add_column("Number", justify="right")
    table.add_column("For example", overflow="fold")
    table.add_row("used", f"{report.used:,}", "")
    table.add_row("exact duplicates", f"{report.duplicates:,}", "")
    for reason, found in report.rejected.items():
        table.add_row(f"rejected: {reason}", f"{found.count:,}", _examples(found.examples))
    return table


def _examples(examples: Sequence[str]) -> Text:
    return Text("\n".join(_example(one_line(example)) for example in examples[:2]))


def _example(text: str) -> str:
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[: LONGEST_EXAMPLE - 1]}…"


def _facts(report: CleaningReport, settings: Settings) -> Table:
    table = Table.grid(padding=(0, 2))
    facts = {
        "Orders": f"{report.orders:,} purchases, {report.refunds:,} refunds, {report.cancelled_same_day:,} undone the same day",
        "Customers": f"{report.customers:,}, of whom {written(report.one_time_share, '.0%')} bought on one day only",
        "History": f"{report.first_date} to {report.last_date}, {report.history_days:,} days",
        "Currency": f"{settings.currency}, days in {settings.time_zone}",
    }
    for name, fact in facts.items():
        table.add_row(Text(name, style="bold"), fact)
    return table


def _horizons(support: Sequence[HorizonSupport]) -> Table:
    table = Table(title="Horizons that the history supports", title_justify="left")
    table.add_column("Days", justify="right")
    table.add_column("Supported")
    table.add_column("Why")
    for one in support:
        table.add_row(str(one.horizon_days), "yes" if one.supported else "no", one.reason)
    return table
