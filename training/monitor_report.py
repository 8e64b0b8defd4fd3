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
from training.drift import Drift
from training.figures import written
from training.monitor import Comparison, GroupOutcome, Monitoring
from training.verdict import Verdict, label

SHOWN_DRIFTS = 8
NOTHING = "-"
Columns = Mapping[str, Callable[[Any], str]]
RUN_WORDS = {
    "Predicted": "Predicted: for the days that have passed.",
    "Ratio": "Ratio: realised / predicted, beneath it its 90 % interval where there is room.",
    "Gini": "Gini: 1 = perfect ranking.",
    "Over spend": "Over spend: Gini above that of ranking by past spend.",
    "Undecided": "Undecided: have not bought, and still may.",
    "Model": "* scored by a model that had already learned from these days.",
}
DRIFT_WORDS = {
    "Shift": "Shift: Cohen's w (0.2 is little, 0.5 much), less what sampling adds.",
    "Usual": "Usual: how far it moved by itself before training.",
    "PSI": "PSI: population stability index, less what sampling adds.",
    "Drifted": "Drifted: a shift clearly above the usual one.",
}


def monitoring_report(monitoring: Monitoring, judgement: Verdict, *, wide: bool) -> RenderableType:
    """The verdict, all runs, the run that tells most by tier and by decile, and drift; fewer columns unless ``wide``."""
    style = {"fine": "bold green", "too early": "bold"}.get(judgement.state, "bold yellow")
    parts: list[RenderableType] = [Text(judgement.sentence, style=style)]
    parts += [Text(f"Also: {reason}.") for reason in judgement.reasons[1:]]
    parts += [Text(), runs_table(monitoring, wide=wide)]
    run = shown_run(monitoring.comparisons)
    if run is not None:
        for kind, groups in (("Tier", run.tiers), ("Decile", run.deciles)):
            parts += [Text(), _groups_table(run, kind, groups, wide=wide)]
    if monitoring.drift is not None:
        parts += [Text(), drift_table(monitoring.drift, wide=wide)]
    else:
        parts += [Text(), Text(f"Drift: {monitoring.no_drift_because}.", style="dim")]
    return Group(*parts)


def monitoring_as_dict(monitoring: Monitoring, judgement: Verdict) -> dict[str, Any]:
    """Everything, plain, for ``--json``."""
    drifts = None if monitoring.drift is None else [{**asdict(one), "drifted": one.drifted} for one in monitoring.drift]
    return {
        "observed_until": date_of(monitoring.observed_until).isoformat(),
        "verdict": judgement.as_dict(),
        "runs": [_comparison_as_dict(one) for one in monitoring.comparisons],
        "drift": drifts,
        "no_drift_because": monitoring.no_drift_because,
    }


def shown_run(comparisons: Sequence[Comparison]) -> Comparison | None:
    """The run to show in detail: the latest complete one, else the one of which most has passed; None where none has begun."""
    begun = [one for one in comparisons if one.observed_days > 0 and one.total.customers > 0 and not one.hindsight]
    return max(begun, key=lambda one: (one.observed_days / one.horizon_days, one.as_of, one.run_id), default=None)


def runs_table(monitoring: Monitoring, *, wide: bool) -> Table:
    """One line per run: how much of it has passed, what was predicted for that, what happened."""
    shown: Columns = {
        "As of": lambda run: date_of(run.as_of).isoformat(),
        "Model": lambda run: f"{run.model_version}{'*' * run.hindsight}",
        "Days": lambda run: f"{run.observed_days}/{run.horizon_days}",
        "Predicted": lambda run: _begun(run, f"{run.total.predicted_value:,.0f}"),
        "Realised": lambda run: _begun(run, f"{run.total.realised_value:,.0f}"),
        "Ratio": lambda run: _ratio(run, wide=wide),
        "Gini": lambda run: _figure(run, "ranking", ".3f"),
        "Over spend": lambda run: _figure(run, "over_past_spend", "+.3f"),
        "Churned": lambda run: _share(run.total.churned),
        "Undecided": lambda run: _begun(run, f"{run.total.undecided:,}"),
    }
    shown = shown if wide else _without(shown, "Model", "Over spend", "Undecided")
    currency = "".join(f", {run.currency}" for run in monitoring.comparisons[:1])
    title = f"Past runs, observed to before {date_of(monitoring.observed_until)}{currency}"
    table = _table(title, _explained(RUN_WORDS, shown), "Run")
    _fill(table, shown, monitoring.comparisons, lambda run: run.run_id)
    return table


def drift_table(drifts: Sequence[Drift], *, wide: bool) -> Table:
    """The features and scores that moved most, drifted or not."""
    drifted = [one for one in drifts if one.drifted]
    shown: Columns = {
        "Median then": lambda one: _number(one.median_before),
        "Median now": lambda one: _number(one.median_now),
        "Missing then": lambda one: written(one.missing_before, ".0%"),
        "Missing now": lambda one: written(one.missing_now, ".0%"),
        "Shift": lambda one: f"{one.shift:.2f}",
        "Usual": lambda one: f"{one.usual_shift:.2f}",
        "PSI": lambda one: f"{max(one.psi, 0.0):.3f}",
        "Drifted": lambda one: "yes" if one.drifted else "no",
    }
    shown = shown if wide else _without(shown, "Missing then", "Missing now", "PSI")
    title = f"Drift: {len(drifted)} of {len(drifts)} features and scores"
    table = _table(title, _explained(DRIFT_WORDS, shown), "Feature or score")
    _fill(table, shown, drifts[: max(SHOWN_DRIFTS, len(drifted))], lambda one: label(one.name))
    return table


def _groups_table(run: Comparison, kind: str, groups: Sequence[GroupOutcome], *, wide: bool) -> Table:
    days = f"{run.observed_days} of {run.horizon_days} days"
    notes = ["Decile 1: highest predicted values."] if kind == "Decile" else []
    if not run.complete and kind == "Tier":
        notes = ["Predicted and realised: of the days that have passed. Churn risk: of the whole horizon."]
    if run.coverage is not None and kind == "Tier":
        notes = [f"The 80 % intervals held for {written(run.coverage, '.0%')} of the customers."]
    table = _table(
        f"By {kind.lower()}: run {run.run_id} as of {date_of(run.as_of)}, {days}, {run.currency}", " ".join(notes), kind
    )
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
    _fill(table, shown if wide else _without(shown, "Orders", "Expected buyers", "Bought"), groups, lambda group: group.name)
    return table


def _begun(run: Comparison, figure: str) -> str:
    """A run of which no day has passed has nothing to show, not zero."""
    return figure if run.observed_days > 0 else NOTHING


def _explained(words: Mapping[str, str], shown: Columns) -> str:
    """What the columns that are shown mean."""
    return " ".join(meaning for name, meaning in words.items() if name in shown)


def _table(title: str, caption: str, first: str) -> Table:
    table = Table(title=title, caption=caption or None, title_justify="left", caption_justify="left")
    table.add_column(first, overflow="fold")
    return table


def _fill(table: Table, shown: Columns, rows: Sequence[Any], name: Callable[[Any], object]) -> None:
    for heading in shown:
        table.add_column(heading, justify="right")
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


def _ratio(run: Comparison, *, wide: bool) -> str:
    level = run.figures.get("level")
    if level is None or not wide:
        return NOTHING if level is None else f"{level.estimate:.2f}"
    return f"{level.estimate:.2f}\n{level.low:.2f} to {level.high:.2f}"


def _figure(run: Comparison, name: str, how: str) -> str:
    found = run.figures.get(name)
    return NOTHING if found is None or math.isnan(found.estimate) else format(found.estimate, how)


def _share(share: float | None) -> str:
    return NOTHING if share is None else written(share, ".0%")


def _number(number: float | None) -> str:
    return NOTHING if number is None else f"{number:,.4g}"
