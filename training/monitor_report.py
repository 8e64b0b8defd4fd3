"""What ``foretier monitor`` shows in the terminal, and what it writes as JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from configs.days import date_of
from training.drift import Drift
from training.monitor import Comparison, GroupOutcome, Monitoring
from training.verdict import Verdict, label

SHOWN_DRIFTS = 8
NOTHING = "-"


def monitoring_report(monitoring: Monitoring, judgement: Verdict) -> RenderableType:
    """The verdict, all runs, the run that tells most by tier and by decile, and drift."""
    style = {"fine": "bold green", "too early": "bold"}.get(judgement.state, "bold yellow")
    parts: list[RenderableType] = [Text(judgement.sentence, style=style)]
    parts += [Text(f"Also: {reason}.") for reason in judgement.reasons[1:]]
    parts += [Text(), runs_table(monitoring)]
    run = shown_run(monitoring.comparisons)
    if run is not None:
        parts += [Text(), _groups_table(run, "Tier", run.tiers), Text(), _groups_table(run, "Decile", run.deciles)]
    if monitoring.drift is not None:
        parts += [Text(), drift_table(monitoring.drift)]
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


def runs_table(monitoring: Monitoring) -> Table:
    """One line per run: how much of it has passed, what was predicted for that, what happened."""
    table = Table(
        title=f"Past runs, observed to before {date_of(monitoring.observed_until)}",
        caption="Predicted: for the days that have passed. Ratio: realised / predicted, with its 90 % interval. "
        "Gini: 1 = perfect ranking. Over spend: Gini above that of ranking by past spend. Undecided: have not bought, and still "
        "may. * scored by a model that had already learned from these days.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("Run", justify="right")
    table.add_column("As of", no_wrap=True)
    for name in ("Model", "Days", "Predicted", "Realised", "Ratio", "Gini", "Over spend", "Churned", "Undecided"):
        table.add_column(name, justify="right")
    for run in monitoring.comparisons:
        total = run.total
        table.add_row(
            str(run.run_id), date_of(run.as_of).isoformat(), f"{run.model_version}{'*' * run.hindsight}",
            f"{run.observed_days}/{run.horizon_days}",
            f"{total.predicted_value:,.0f}", f"{total.realised_value:,.0f}",
            _ratio(run), _figure(run, "ranking", ".3f"), _figure(run, "over_past_spend", "+.3f"),
            _share(total.churned), f"{total.undecided:,}", style="" if run.complete else "dim",
        )  # fmt: skip
    return table


def drift_table(drifts: Sequence[Drift]) -> Table:
    """The features and scores that moved most, drifted or not."""
    drifted = [one for one in drifts if one.drifted]
    shown = drifts[: max(SHOWN_DRIFTS, len(drifted))]
    table = Table(
        title=f"Drift: {len(drifted)} of {len(drifts)} features and scores",
        caption="Shift: Cohen's w, PSI: population stability index, both less what sampling adds. Usual: how far it moved by "
        "itself before training. Drift is a shift clearly above the usual one.",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("Feature or score", overflow="fold")
    for name in ("Median then", "Median now", "Missing then", "Missing now", "Shift", "Usual", "PSI"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Drifted")
    for one in shown:
        table.add_row(
            label(one.name), _number(one.median_before), _number(one.median_now),
            f"{one.missing_before:.0%}", f"{one.missing_now:.0%}", f"{one.shift:.2f}", f"{one.usual_shift:.2f}", f"{one.psi:.3f}",
            "yes" if one.drifted else "no", style="bold yellow" if one.drifted else "",
        )  # fmt: skip
    return table


def _groups_table(run: Comparison, kind: str, groups: Sequence[GroupOutcome]) -> Table:
    table = Table(
        title=f"By {kind.lower()}: run {run.run_id} as of {date_of(run.as_of)}, {run.observed_days} of {run.horizon_days} days, "
        f"{run.currency}",
        title_justify="left",
        caption="Decile 1: highest predicted values." if kind == "Decile" else None,
        caption_justify="left",
    )
    table.add_column(kind)
    names = ("Customers", "Predicted", "Realised", "Ratio", "Orders", "Expected buyers", "Bought", "Churn risk", "Churned")
    for name in (*names, *(() if run.complete else ("Undecided",))):
        table.add_column(name, justify="right", no_wrap=name != "Expected buyers")
    for group in groups:
        undecided = () if run.complete else (f"{group.undecided:,}",)
        table.add_row(
            group.name, f"{group.customers:,}", f"{group.predicted_value:,.0f}", f"{group.realised_value:,.0f}",
            NOTHING if group.ratio is None else f"{group.ratio:.2f}", f"{group.orders:,}",
            f"{group.expected_buyers:,.0f}", f"{group.buyers:,}", f"{group.churn_risk:.0%}", _share(group.churned), *undecided,
        )  # fmt: skip
    return table


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


def _ratio(run: Comparison) -> str:
    level = run.figures.get("level")
    if level is None:
        return NOTHING
    return f"{level.estimate:.2f} ({level.low:.2f} to {level.high:.2f})"


def _figure(run: Comparison, name: str, how: str) -> str:
    found = run.figures.get(name)
    return NOTHING if found is None or math.isnan(found.estimate) else format(found.estimate, how)


def _share(share: float | None) -> str:
    return NOTHING if share is None else f"{share:.0%}"


def _number(number: float | None) -> str:
    return NOTHING if number is None else f"{number:,.4g}"
