"""What the serving commands show in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from configs.command import one_line
from configs.language import Language
from serving.lists import ListRow
from serving.report_words import REPORT_WORDS, ReportWords
from serving.store import ScoringRun

SHOWN_REASONS = 2


def run_table(run: ScoringRun, language: Language = "en") -> RenderableType:
    """Customers, predicted value and churn risk of each tier, and how many moved against past spend."""
    terms, words = run.terms, REPORT_WORDS[language]
    table = Table(
        title=words.tiers.format(customers=run.customers, as_of=terms.as_of, days=run.tier_horizon_days),
        title_justify="left",
        caption="\n".join(_remarks(run, words)),
        caption_justify="left",
    )
    table.add_column(words.tier)
    for name in (words.customers, words.predicted.format(currency=terms.currency), words.share, words.mean_risk):
        table.add_column(name, justify="right")
    total = sum(tier.predicted_value for tier in run.tiers)
    for tier in run.tiers:
        share = _percent(tier.predicted_value / total) if total > 0.0 else ""
        risk = "" if tier.mean_churn_risk is None else _percent(tier.mean_churn_risk)
        table.add_row(tier.tier, f"{tier.customers:,}", f"{tier.predicted_value:,.0f}", share, risk)
    return table


def _remarks(run: ScoringRun, words: ReportWords) -> list[str]:
    """What stands below the tiers."""
    terms, days = run.terms, run.tier_horizon_days
    grade = "" if terms.grade is None else words.grade.format(grade=terms.grade)
    last = words.run.format(run=run.run_id, version=terms.model_version) + grade + words.stop
    other = words.horizons.format(days=terms.horizon_days, tier_days=days)
    held = words.held.format(held=run.held)
    return [*[other] * (terms.horizon_days != days), _moves(run, words), *[held] * (run.held > 0), last]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _moves(run: ScoringRun, words: ReportWords) -> str:
    """How many customers stand in another tier than past spend would give them."""
    order = {name: place for place, name in enumerate(run.tier_names)}
    up = sum(cell.customers for cell in run.movement if order[cell.tier] < order[cell.past_spend_tier])
    down = sum(cell.customers for cell in run.movement if order[cell.tier] > order[cell.past_spend_tier])
    return words.moves.format(moved=up + down, up=up, down=down)


def churn_risk_table(run: ScoringRun, rows: Sequence[ListRow], *, wide: bool, language: Language = "en") -> RenderableType:
    """The first rows of a churn-risk list; ``wide`` adds the last order and the suggested action."""
    terms, words = run.terms, REPORT_WORDS[language]
    if not rows:
        return Text(words.nobody)
    table = Table(
        title=words.list_title.format(as_of=terms.as_of, days=terms.horizon_days, currency=terms.currency),
        title_justify="left",
        caption=words.list_caption,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column(words.rank, justify="right", no_wrap=True)
    table.add_column(words.customer, overflow="fold")
    table.add_column(words.tier, no_wrap=True)
    table.add_column(words.risk, justify="right", no_wrap=True)
    table.add_column(words.at_risk, justify="right", no_wrap=True)
    table.add_column(words.why, overflow="fold")
    if wide:
        table.add_column(words.last_order, no_wrap=True)
        table.add_column(words.action, overflow="fold")
    for row in rows:
        why = "\n".join(row.reasons[:SHOWN_REASONS])
        cells = (str(row.rank), Text(one_line(row.customer_id)), row.tier, _percent(row.churn_risk))
        more = (row.last_order.isoformat(), Text(row.action)) if wide else ()
        table.add_row(*cells, f"{row.value_at_risk:,.0f}", Text(why), *more)
    return table
