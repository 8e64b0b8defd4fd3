"""Changes as applications and spreadsheets read them: plain types, and a table for :mod:`serving.exports`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from configs.language import Language
from serving.change_words import CHANGE_WORDS, ChangeWords
from serving.changes import Change, ChangesPage, Comparison
from serving.exports import Column, Table
from serving.store import ScoringRun, Wanted
from serving.views import terms_view


def wire_comparison(found: Comparison) -> dict[str, Any]:
    """Give what holds for all customers of two runs, as plain types; ``movement`` holds the cells that are not empty."""
    return {
        "from": wire_run(found.before),
        "to": wire_run(found.after),
        "stayed": found.stayed,
        "moved": found.moved,
        "held": found.after.held,
        "new_customers": found.new_customers,
        "gone_customers": found.gone_customers,
        "counts": dict(found.counts),
        "movement": [asdict(pair) for pair in found.pairs],
    }


def wire_run(run: ScoringRun) -> dict[str, Any]:
    """Give a run by its number and terms."""
    return {"scoring_run": run.run_id, **terms_view(run.terms)}


def wire_wanted(wanted: Wanted, total: int) -> dict[str, Any]:
    """Give what was asked for (empty: all) and how many customers it is."""
    return {"kinds": list(wanted.kinds), "tiers": list(wanted.tiers), "total": total}


def wire_change(row: Change) -> dict[str, Any]:
    """Give one customer as plain types."""
    return asdict(row) | {"kinds": list(row.kinds)}


def wire_changes_page(page: ChangesPage) -> dict[str, Any]:
    """Give a page as an application reads it."""
    return {
        **wire_comparison(page.comparison),
        **wire_wanted(page.wanted, page.total),
        "customers": [wire_change(row) for row in page.rows],
        "next_cursor": page.next_cursor,
    }


def change_columns(words: ChangeWords) -> tuple[Column, ...]:
    """The columns of the file; their names are the same in every language."""
    return (
        Column("customer_id", words.customer_id, "text", 22),
        Column("kinds", words.kind, "text", 24),
        Column("tier_before", words.tier_before, "text", 12),
        Column("tier", words.tier, "text", 12),
        Column("churn_risk_before", words.churn_risk_before, "percent", 12),
        Column("churn_risk", words.churn_risk, "percent", 12),
        Column("predicted_value_before", words.predicted_value_before, "money", 14),
        Column("predicted_value", words.predicted_value, "money", 14),
        Column("lifecycle_stage_before", words.lifecycle_stage_before, "text", 12),
        Column("lifecycle_stage", words.lifecycle_stage, "text", 12),
        Column("reason", words.reason, "text", 110),
    )


def changes_table(found: Comparison, wanted: Wanted, rows: Iterable[Change], language: Language = "en") -> Table:
    """Give the customers who changed as a table; kinds are their codes, with blanks between them."""
    words = CHANGE_WORDS[language]
    columns = change_columns(words)
    return Table(
        title=words.title,
        columns=columns,
        rows=([_cell(row, column.name) for column in columns] for row in rows),
        notes=_notes(found, wanted, words),
        created_at=found.after.created_at,
        mark_numbers=found.after.zero_padded_ids,
    )


def _cell(row: Change, name: str) -> Any:
    return " ".join(row.kinds) if name == "kinds" else getattr(row, name)


def _notes(found: Comparison, wanted: Wanted, words: ChangeWords) -> tuple[tuple[str, str], ...]:
    facts: dict[str, Any] = {
        "days": found.after.terms.horizon_days, "currency": found.after.terms.currency, "moved": found.moved,
        "known": found.moved + found.stayed, "held": found.after.held, "new": found.new_customers, "gone": found.gone_customers,
    }  # fmt: skip
    said = (words.note_values, words.note_moved, words.note_held, words.note_new)
    counted = [(f"{words.kinds[kind]} ({kind})", text, found.counts[kind]) for kind, text in words.meanings]
    return (
        (words.note_from, _run_words(found.before, words)),
        (words.note_to, _run_words(found.after, words)),
        (words.note_kinds, words.between.join(words.kinds[kind] for kind in wanted.kinds) or words.note_all),
        (words.note_tiers, ", ".join(wanted.tiers) or words.note_all),
        *((label, text.format(**facts)) for label, text in said),
        *((label, text.format(count=count, risk=found.rules.high_risk)) for label, text, count in counted),
    )


def _run_words(run: ScoringRun, words: ChangeWords) -> str:
    return words.note_run.format(run=run.run_id, as_of=run.terms.as_of, model=run.terms.model_version)
