"""A contact list as a table for files: CSV and Parquet hold codes, a workbook says them in the language of its readers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from configs.language import Language
from serving.code_words import band_words, channel_words, movement_words, segment_words, stage_words
from serving.exports import Column, Kind, Table
from serving.list_words import LIST_WORDS, ListWords
from serving.lists import REASONS, ContactList, ListRow
from serving.predictions import Terms

_LAYOUT: tuple[tuple[str, Kind, int], ...] = (
    ("rank", "whole", 7),
    ("customer_id", "text", 22),
    ("tier", "text", 10),
    ("churn_risk", "percent", 12),
    ("risk_band", "text", 10),
    ("predicted_value", "money", 13),
    ("value_at_risk", "money", 13),
    ("value_low", "money", 12),
    ("value_high", "money", 12),
    ("uncertain", "text", 10),
    ("last_order", "date", 12),
    ("days_since_last_order", "whole", 12),
    ("next_order", "date", 12),
    ("lifecycle_stage", "text", 11),
    ("rfm_segment", "text", 18),
    ("past_spend_tier", "text", 11),
    ("movement", "text", 11),
    ("action", "text", 46),
    ("channel", "text", 10),
    ("contact_cap", "whole", 12),
    *((f"reason_{place}", "text", 66) for place in range(1, REASONS + 1)),
    ("horizon_days", "whole", 10),
    ("currency", "text", 10),
    ("as_of", "date", 12),
    ("grade", "text", 10),
)
_NOTES = tuple(name for name in ListWords.__dataclass_fields__ if name.startswith("note_"))
_BARS = ("churn_risk",)
_SAID: dict[str, Callable[[str, Language], str]] = {
    "risk_band": band_words,
    "lifecycle_stage": stage_words,
    "rfm_segment": segment_words,
    "movement": movement_words,
    "channel": channel_words,
}
"""How the codes of these columns are said to people."""


def list_table(of: ContactList, rows: Iterable[ListRow], language: Language, *, said: bool) -> Table:
    """Give a list as a table for :mod:`serving.exports`; ``said``: codes are said in the language, for people."""
    words, terms = LIST_WORDS[language], of.run.terms
    return Table(
        title=words.title,
        notes_title=words.notes_title,
        columns=list_columns(words),
        rows=(_cells(row, terms, words, language if said else None) for row in rows),
        notes=(*list_notes(of, words, _NOTES), *words.meanings),
        created_at=of.run.created_at,
        mark_numbers=of.run.zero_padded_ids,
    )


def list_columns(words: ListWords) -> tuple[Column, ...]:
    """The columns, headed in a language; the last part of ``reason_1`` is its place."""
    return tuple(Column(name, _label(name, words), kind, width, bar=name in _BARS) for name, kind, width in _LAYOUT)


def _label(name: str, words: ListWords) -> str:
    what, _, place = name.partition("_")
    return words.reason.format(place=place) if what == "reason" else str(getattr(words, name))


def _cells(row: ListRow, terms: Terms, words: ListWords, language: Language | None) -> list[Any]:
    spare = [""] * (REASONS - len(row.reasons))
    yes, no = (words.yes, words.no) if language is not None else ("yes", "no")
    cells: dict[str, Any] = {
        **{name: getattr(row, name, None) for name, _, _ in _LAYOUT},
        **{f"reason_{place}": reason for place, reason in enumerate((*row.reasons, *spare), start=1)},
        "uncertain": None if row.uncertain is None else yes if row.uncertain else no,
        "horizon_days": terms.horizon_days,
        "currency": terms.currency,
        "as_of": terms.as_of,
        "grade": terms.grade,
    }
    if language is not None:
        cells |= {name: say(cells[name], language) for name, say in _SAID.items()}
    return list(cells.values())


def list_notes(of: ContactList, words: ListWords, names: Sequence[str]) -> list[tuple[str, str]]:
    """Fill in the notes of these names (fields of :class:`serving.list_words.ListWords`), as (label, text)."""
    facts = _facts(of, words)
    return [(label, text.format_map(facts)) for label, text in (getattr(words, name) for name in names)]


def _facts(of: ContactList, words: ListWords) -> dict[str, Any]:
    terms, plan, outlook = of.run.terms, of.plan, of.expected
    left_out = asdict(outlook.left_out)
    return {
        **asdict(plan),
        **asdict(outlook),
        "left_out_words": words.between.join(text.format(left_out[name]) for name, text in words.left_out if left_out[name])
        or words.nobody,
        "save_percent": _percent(plan.save_rate),
        "min_percent": _percent(plan.min_risk),
        "max_percent": _percent(plan.max_risk),
        "capacity": words.no_limit if plan.capacity is None else f"{plan.capacity:,}",
        "tiers": ", ".join(plan.tiers) or words.all_tiers,
        "as_of": terms.as_of.isoformat(),
        "contact_day": of.contact_day.isoformat(),
        "horizon_days": terms.horizon_days,
        "horizon_end": terms.horizon_end.isoformat(),
        "currency": terms.currency,
        "model_version": terms.model_version,
        "grade": terms.grade or words.not_graded,
        "customers": of.run.customers,
        "run_id": of.run.run_id,
        "created": of.run.created_at.date().isoformat(),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.10g} %"
