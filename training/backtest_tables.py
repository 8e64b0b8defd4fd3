"""What ``foretier backtest`` shows in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from configs.days import date_of
from features.phrases import count
from training.backtest import Backtest, CandidateSummary, Estimate
from training.candidates import PERFECT, SERVED
from training.decision_report import grade_text
from training.evaluation_rows import CHURN_CAPTION, Evaluation, TierOutcome
from training.figures import shown, written
from training.slices import MEANING

Column = tuple[str, str, str]
"""Heading, metric, and how it is written."""

VALUE_COLUMNS: tuple[Column, ...] = (
    ("Gini", "normalized_gini", ".3f"), ("Top 10 %", "capture_10", ".1%"),
    ("Total", "total_bias", ".2f"), ("Decile error", "decile_error", ".2f"),
)  # fmt: skip
CHURN_COLUMNS: tuple[Column, ...] = (
    ("AUC", "auc", ".3f"), ("Brier skill", "brier_skill", ".3f"), ("Calibration error", "calibration_error", ".3f"),
)  # fmt: skip


def backtest_report(backtest: Backtest) -> RenderableType:
    """The grade, the candidates with their intervals, origins, tiers, and the customers who are hard to understand."""
    parts: list[RenderableType] = [
        _grade(backtest), Text(),
        _candidates(
            backtest.value, VALUE_COLUMNS, "Value predicted by",
            f"Mean of {count(len(backtest.origins), 'origin')}, {backtest.horizon_days} days ahead, with 90 % intervals",
            "Gini: 1 = perfect ranking, 0 = random. Top 10 %: value held by the best-ranked tenth. Total: predicted / realised.",
        ), Text(),
        _candidates(
            backtest.churn, CHURN_COLUMNS, "Churn predicted by", "Churn",
            CHURN_CAPTION,
        ), Text(),
        _origins(backtest), Text(), _tiers(backtest), Text(), _slices(backtest),
    ]  # fmt: skip
    parts += [Text(f"Origin {date_of(day)} left out: {reason.en}.", style="yellow") for day, reason in backtest.skipped]
    return Group(*parts)


def _grade(backtest: Backtest) -> RenderableType:
    return grade_text(backtest.grade)


def _candidates(rows: Sequence[CandidateSummary], columns: Sequence[Column], first: str, title: str, caption: str) -> Table:
    table = _table(title, caption)
    table.add_column(first, overflow="fold", min_width=10)
    for heading, _, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        cells = [_estimate(row.metrics.get(metric), how) for _, metric, how in columns]
        table.add_row(row.candidate, *cells, style={SERVED: "bold", PERFECT: "dim"}.get(row.candidate, ""))
    return table


def _estimate(found: Estimate | None, how: str) -> str:
    """The figure, and below it the ends of its interval: side by side they would be too wide for a narrow terminal."""
    if found is None:
        return ""
    figure, low, high = (written(number, how) for number in (found.value, found.low, found.high))
    return figure if low == figure == high else f"{figure}\n{low.removesuffix(' %')}–{high}"  # noqa: RUF001 (from - to)


def _origins(backtest: Backtest) -> Table:
    table = _table("Every origin", "Each fitted again on what was known then.")
    columns: dict[str, Callable[[Evaluation], str]] = {
        "Origin": lambda one: date_of(one.cutoff).isoformat(),
        "Customers": lambda one: f"{one.customers:,}",
        f"Realised, {backtest.currency}": lambda one: f"{one.realised_value:,.0f}",
        "Gini": lambda one: f"{one.served.normalized_gini:.3f}",
        "Top 10 %": lambda one: written(one.served.capture_10, ".1%"),
        "Total": lambda one: f"{one.served.total_bias:.2f}",
        "AUC": lambda one: f"{one.churn[0].auc:.3f}",
    }
    for heading in columns:
        table.add_column(heading, justify="left" if heading == "Origin" else "right", no_wrap=heading == "Origin")
    for one in backtest.origins:
        table.add_row(*(cell(one) for cell in columns.values()))
    return table


def _tiers(backtest: Backtest) -> Table:
    table = _table(
        "What the tiers held",
        "Share of the realised value, share of customers who bought, value of an order, outcomes within the 80 % interval.",
    )
    table.add_column("Tier", overflow="fold")
    for heading in ("Value held", "by past spend", "Bought", "by past spend", "Order value", "Within 80 %"):
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


def _slices(backtest: Backtest) -> Table:
    table = _table(
        "Customers who are hard to understand",
        "\n".join(f"{name}: {MEANING[name]}." for name in (row.name for row in backtest.slices) if name in MEANING),
    )
    table.add_column("Customers", overflow="fold")
    for heading in ("Number", f"Realised, {backtest.currency}", "Predicted", "Total", "Gini", "Churned", "Risk"):
        table.add_column(heading, justify="right")
    for row in backtest.slices:
        table.add_row(
            Text(row.name), f"{row.customers:,.0f}", f"{row.realised_value:,.0f}", f"{row.predicted_value:,.0f}",
            shown(row.total_bias, ".2f"), shown(row.normalized_gini, ".2f"),
            written(row.churned, ".0%"), written(row.churn_risk, ".0%"),
        )  # fmt: skip
    return table


def _table(title: str, caption: str) -> Table:
    return Table(title=title, caption=caption, title_justify="left", caption_justify="left")
