"""What the serving commands show in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from configs.command import one_line
from configs.language import Language
from features.phrases import count
from serving.lists import ListRow
from serving.store import ScoringRun

SHOWN_REASONS = 2


def run_table(run: ScoringRun) -> RenderableType:
    """Customers, predicted value and churn risk of each tier, and how many moved against past spend."""
    terms = run.terms
    table = Table(
        title=f"Tiers of {run.customers:,} customers as of {terms.as_of}, by predicted value in {run.tier_horizon_days} days",
        title_justify="left",
        caption="\n".join(_remarks(run)),
        caption_justify="left",
    )
    table.add_column("Tier")
    predicted = f"Predicted, {terms.currency}"
    for name in ("Customers", predicted, "Share of value", "Mean churn risk"):
        table.add_column(name, justify="right")
    total = sum(tier.predicted_value for tier in run.tiers)
    for tier in run.tiers:
        share = _percent(tier.predicted_value / total) if total > 0.0 else ""
        risk = "" if tier.mean_churn_risk is None else _percent(tier.mean_churn_risk)
        table.add_row(tier.tier, f"{tier.customers:,}", f"{tier.predicted_value:,.0f}", share, risk)
    return table


def _remarks(run: ScoringRun) -> list[str]:
    """What stands below the tiers."""
    terms, held = run.terms, f"{run.held:,} are held in the tier they had, though their value is just beyond its bounds."
    grade = "" if terms.grade is None else f", grade {terms.grade}"
    last = f"Scoring run {run.run_id}, model version {terms.model_version}{grade}."
    other = (
        f"Values and churn risk are of the next {count(terms.horizon_days, 'day')}; "
        f"tiers are those of {count(run.tier_horizon_days, 'day')}, which the model was trained for."
    )
    return [*[other] * (terms.horizon_days != run.tier_horizon_days), _moves(run), *[held] * (run.held > 0), last]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _moves(run: ScoringRun) -> str:
    """How many customers stand in another tier than past spend would give them."""
    order = {name: place for place, name in enumerate(run.tier_names)}
    up = sum(cell.customers for cell in run.movement if order[cell.tier] < order[cell.past_spend_tier])
    down = sum(cell.customers for cell in run.movement if order[cell.tier] > order[cell.past_spend_tier])
    return f"{up + down:,} are in another tier than by past spend: {up:,} higher, {down:,} lower."


def churn_risk_table(run: ScoringRun, rows: Sequence[ListRow], *, wide: bool, language: Language = "en") -> RenderableType:  # noqa: ARG001
    """The first rows of a churn-risk list; ``wide`` adds the last order and the suggested action."""
    if not rows:
        return Text("No customer fits these filters.")
    terms = run.terms
    table = Table(
        title=f"Churn risk as of {terms.as_of}, {terms.horizon_days} days ahead, by value at risk in {terms.currency}",
        title_justify="left",
        caption="--out FILE.csv or FILE.xlsx writes all columns",
        caption_justify="left",
        box=SIMPLE_HEAD,
    )
    for name, justify in (("Rank", "right"), ("Customer", "left"), ("Tier", "left"), ("Risk", "right")):
        table.add_column(name, justify=justify, no_wrap=name != "Customer", overflow="fold")  # type: ignore[arg-type]
    table.add_column("At risk", justify="right", no_wrap=True)
    table.add_column("Why")
    if wide:
        table.add_column("Last order", no_wrap=True)
        table.add_column("Suggested action")
    for row in rows:
        why = "\n".join(row.reasons[:SHOWN_REASONS])
        cells = (str(row.rank), Text(one_line(row.customer_id)), row.tier, _percent(row.churn_risk))
        more = (row.last_order.isoformat(), Text(row.action)) if wide else ()
        table.add_row(*cells, f"{row.value_at_risk:,.0f}", Text(why), *more)
    return table
