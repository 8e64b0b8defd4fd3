"""What ``foretier monitor`` shows in the terminal, and what it writes as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from configs.days import date_of
from configs.language import Language
from training.drift import Drift
from training.feature_words import label
from training.figures import written
from training.monitor import Comparison, GroupOutcome, Monitoring
from training.monitor_words import MONITOR_WORDS, MonitorWords
from training.verdict import Verdict

SHOWN_DRIFTS = 8
NOTHING = "-"
Columns = Mapping[str, Callable[[Any], str]]


def monitoring_report(monitoring: Monitoring, judgement: Verdict, *, wide: bool, language: Language = "en") -> RenderableType:
    """The verdict, all runs, the run that tells most by tier and by decile, and drift; fewer columns unless ``wide``.

    ``judgement`` is told in the language already (``training.verdict.verdict``).
    """
    words, style = MONITOR_WORDS[language], {"fine": "bold green", "too early": "bold"}.get(judgement.state, "bold yellow")
    parts: list[RenderableType] = [Text(judgement.sentence, style=style)]
    parts += [Text(words.also.format(reason)) for reason in judgement.reasons[1:]]
    parts += [Text(), runs_table(monitoring, wide=wide, language=language)]
    run = shown_run(monitoring.comparisons)
    if run is not None:
        parts += [Text(), _tiers_table(run, words, wide=wide), Text(), _deciles_table(run, words, wide=wide)]
    if monitoring.drift is not None:
        parts += [Text(), drift_table(monitoring.drift, wide=wide, language=language)]
    elif monitoring.no_drift_because is not None:
        parts += [Text(), Text(words.drift_unknown.format(monitoring.no_drift_because.told(language)), style="dim")]
    return Group(*parts)


def monitoring_as_dict(monitoring: Monitoring, judgement: Verdict) -> dict[str, Any]:
    """Everything, plain, for ``--json``."""
    drifts = None if monitoring.drift is None else [{**asdict(one), "drifted": one.drifted} for one in monitoring.drift]
    return {
        "observed_until": date_of(monitoring.observed_until).isoformat(),
        "verdict": judgement.as_dict(),
        "runs": [_comparison_as_dict(one) for one in monitoring.comparisons],
        "drift": drifts,
        "no_drift_because": None if monitoring.no_drift_because is None else monitoring.no_drift_because.en,
    }


def shown_run(comparisons: Sequence[Comparison]) -> Comparison | None:
    """The run to show in detail: the latest complete one, else the one of which most has passed; None where none has begun."""
    begun = [one for one in comparisons if one.observed_days > 0 and one.total.customers > 0 and not one.hindsight]
    return max(begun, key=lambda one: (one.observed_days / one.horizon_days, one.as_of, one.run_id), default=None)


def runs_table(monitoring: Monitoring, *, wide: bool, language: Language = "en") -> Table:
    """One line per run: how much of it has passed, what was predicted for that, what happened."""
    words = MONITOR_WORDS[language]
    shown: Columns = {
        "As of": lambda run: date_of(run.as_of).isoformat(),
        "Model": lambda run: f"{run.model_version}{'*' * run.hindsight}",
        "Days": lambda run: f"{run.observed_days}/{run.horizon_days}",
        "Predicted": lambda run: _begun(run, f"{run.total.predicted_value:,.0f}"),
        "Realised": lambda run: _begun(run, f"{run.total.realised_value:,.0f}"),
        "Ratio": lambda run: _ratio(run, words, wide=wide),
        "Gini": lambda run: _figure(run, "ranking", ".3f"),
        "Over spend": lambda run: _figure(run, "over_past_spend", "+.3f"),
        "Churned": lambda run: _share(run.total.churned),
        "Undecided": lambda run: _begun(run, f"{run.total.undecided:,}"),
    }
    shown = shown if wide else _without(shown, "Model", "Over spend", "Undecided")
    currency = "".join(words.currency.format(run.currency) for run in monitoring.comparisons[:1])
    title = words.runs.format(date_of(monitoring.observed_until)) + currency
    table = _table(title, _explained(words, shown), words.run)
    _fill(table, words, shown, monitoring.comparisons, lambda run: run.run_id)
    return table


def drift_table(drifts: Sequence[Drift], *, wide: bool, language: Language = "en") -> Table:
    """The features and scores that moved most, drifted or not."""
    words = MONITOR_WORDS[language]
    drifted = [one for one in drifts if one.drifted]
    shown: Columns = {
        "Median then": lambda one: _number(one.median_before),
        "Median now": lambda one: _number(one.median_now),
        "Missing then": lambda one: written(one.missing_before, ".0%"),
        "Missing now": lambda one: written(one.missing_now, ".0%"),
        "Shift": lambda one: f"{one.shift:.2f}",
        "Usual": lambda one: f"{one.usual_shift:.2f}",
        "PSI": lambda one: f"{max(one.psi, 0.0):.3f}",
        "Drifted": lambda one: words.yes if one.drifted else words.no,
    }
    shown = shown if wide else _without(shown, "Missing then", "Missing now", "PSI")
    table = _table(words.drift.format(len(drifted), len(drifts)), _explained(words, shown), words.feature)
    _fill(table, words, shown, drifts[: max(SHOWN_DRIFTS, len(drifted))], lambda one: label(one.name, language))
    return table


def _tiers_table(run: Comparison, words: MonitorWords, *, wide: bool) -> Table:
    note = "" if run.complete else words.open_note
    if run.coverage is not None:
        note = words.held_note.format(written(run.coverage, ".0%"))
    table = _table(_about(run, words.by_tier, words), note, words.tier)
    _fill_groups(table, run, words, run.tiers, wide=wide)
    return table


def _deciles_table(run: Comparison, words: MonitorWords, *, wide: bool) -> Table:
    table = _table(_about(run, words.by_decile, words), words.decile_note, words.decile)
    _fill_groups(table, run, words, run.deciles, wide=wide)
    return table


def _about(run: Comparison, title: str, words: MonitorWords) -> str:
    days = words.days.format(run.observed_days, run.horizon_days)
    return title.format(run=run.run_id, day=date_of(run.as_of), days=days, currency=run.currency)


def _fill_groups(table: Table, run: Comparison, words: MonitorWords, groups: Sequence[GroupOutcome], *, wide: bool) -> None:
    shown: Columns = {
        "Customers": lambda group: f"{group.customers:,}",
        "Predicted": lambda group: f"{group.predicted_value:,.0f}",
        "Realised": lambda group: f"{group.realised_value:,.0f}",
        "Ratio": lambda group: NOTHING if group.ratio is None else f"{group.ratio:.2f}",
        "Orders": lambda group: f"{group.orders:,}",
        "Expected buyers": lambda group: f"{group.expected_buyers:,.0f}",
        "Bought": lambda group: f"{group.buyers:,}",
        "Churn risk": lambda group: written(group.churn_risk, ".0%"),
        "Churned": lambda group: _share(group.churned),
        "Undecided": lambda group: f"{group.undecided:,}",
    }
    shown = _without(shown, "Undecided" if run.complete else "Churned")
    shown = shown if wide else _without(shown, "Orders", "Expected buyers", "Bought")
    _fill(table, words, shown, groups, lambda group: group.name)


def _begun(run: Comparison, figure: str) -> str:
    """A run of which no day has passed has nothing to show, not zero."""
    return figure if run.observed_days > 0 else NOTHING


def _explained(words: MonitorWords, shown: Columns) -> str:
    """What the columns that are shown mean; every column is explained in the table that has it."""
    return words.between.join(meaning for name, meaning in words.meanings.items() if name in shown)


def _table(title: str, caption: str, first: str) -> Table:
    table = Table(title=title, caption=caption or None, title_justify="left", caption_justify="left")
    table.add_column(first, overflow="fold")
    return table


def _fill(table: Table, words: MonitorWords, shown: Columns, rows: Sequence[Any], name: Callable[[Any], object]) -> None:
    for heading in shown:
        table.add_column(words.headings[heading], justify="right")
    for row in rows:
        style = "bold yellow" if getattr(row, "drifted", False) else ""
        table.add_row(str(name(row)), *(cell(row) for cell in shown.values()), style=style)


def _without(shown: Columns, *names: str) -> Columns:
    return {name: cell for name, cell in shown.items() if name not in names}


def _comparison_as_dict(run: Comparison) -> dict[str, Any]:
    groups = {"total": run.total, "tiers": run.tiers, "deciles": run.deciles}
    plain = {name: value for name, value in asdict(run).items() if name not in groups}
    return {
        **plain,
        "as_of": date_of(run.as_of).isoformat(),
        "complete": run.complete,
        "total": {**asdict(run.total), "ratio": run.total.ratio},
        "tiers": [{**asdict(one), "ratio": one.ratio} for one in run.tiers],
        "deciles": [{**asdict(one), "ratio": one.ratio} for one in run.deciles],
    }


def _ratio(run: Comparison, words: MonitorWords, *, wide: bool) -> str:
    level = run.figures.get("level")
    if level is None or not wide:
        return NOTHING if level is None else f"{level.estimate:.2f}"
    return f"{level.estimate:.2f}\n{words.bounds.format(f'{level.low:.2f}', f'{level.high:.2f}')}"


def _figure(run: Comparison, name: str, how: str) -> str:
    found = run.figures.get(name)
    return NOTHING if found is None or math.isnan(found.estimate) else format(found.estimate, how)


def _share(share: float | None) -> str:
    return NOTHING if share is None else written(share, ".0%")


def _number(number: float | None) -> str:
    return NOTHING if number is None else f"{number:,.4g}"
