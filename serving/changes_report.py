"""What ``foretier changes`` shows in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from configs.change_kinds import CHANGE_KINDS
from configs.command import one_line
from configs.language import Language
from serving.change_words import CHANGE_WORDS, ChangeWords
from serving.changes import Change, Comparison


def comparison_table(found: Comparison, language: Language = "en") -> RenderableType:
    """Customers by tier before (rows) and tier now (columns), and how many changed in which way."""
    words, before, after = CHANGE_WORDS[language], found.before, found.after
    table = Table(
        title=words.tiers_title.format(before=before.terms.as_of, after=after.terms.as_of),
        title_justify="left",
        caption="\n".join(_remarks(found, words)),
        caption_justify="left",
    )
    table.add_column(words.tier_before)
    columns = [*after.tier_names, None] if found.gone_customers else list(after.tier_names)
    for tier in columns:
        table.add_column(tier or words.gone, justify="right")
    rows = [*before.tier_names, None] if found.new_customers else list(before.tier_names)
    for tier_before in rows:
        cells = [_cell(found.customers(tier_before, tier), stays=tier == tier_before) for tier in columns]
        table.add_row(tier_before or words.new_customers, *cells)
    return table


def _cell(customers: int, *, stays: bool) -> Text:
    return Text(f"{customers:,}" if customers else "", style="dim" if stays else "bold")


def _remarks(found: Comparison, words: ChangeWords) -> list[str]:
    known = found.moved + found.stayed
    share = f" ({100 * found.moved / known:.1f} %)" if known else ""
    held = words.held.format(held=found.after.held)
    counted = words.between.join(words.counted.format(kind=words.kinds[kind], count=found.counts[kind]) for kind in CHANGE_KINDS)
    return [
        words.changed_tier.format(moved=found.moved, known=known, share=share),
        *[held] * (found.after.held > 0),
        counted[:1].upper() + counted[1:],
        words.runs.format(before=found.before.run_id, after=found.after.run_id),
    ]


def changed_table(found: Comparison, rows: Sequence[Change], *, wide: bool, language: Language = "en") -> RenderableType:
    """The first customers who changed, and why; ``wide`` adds the churn risk."""
    words, terms = CHANGE_WORDS[language], found.after.terms
    if not rows:
        return Text(words.nobody)
    table = Table(
        title=words.list_title.format(days=terms.horizon_days, currency=terms.currency),
        title_justify="left",
        caption=words.more,
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    table.add_column(words.customer_id, overflow="fold")
    table.add_column(words.kind)
    table.add_column(words.tier, no_wrap=wide)
    if wide:
        table.add_column(words.risk, justify="right", no_wrap=True)
    table.add_column(words.value, justify="right", no_wrap=True)
    table.add_column(words.why)
    for row in rows:
        tiers = row.tier if row.tier == row.tier_before else f"{row.tier_before} → {row.tier}"
        risk = (f"{100 * row.churn_risk_before:.0f} → {100 * row.churn_risk:.0f} %",) if wide else ()
        values = f"{row.predicted_value_before:,.0f} → {row.predicted_value:,.0f}"
        kinds = words.between.join(words.kinds[kind] for kind in row.kinds)
        table.add_row(Text(one_line(row.customer_id)), kinds, tiers, *risk, values, Text(row.reason))
    return table
