"""One customer in words, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from configs.command import one_line
from features.phrases import count, money
from serving.predictions import HEADLINES, last_order, wire

if TYPE_CHECKING:
    from rich.console import RenderableType

    from serving.predictions import CustomerScore, Terms

BAR_CELLS = 12
SHOWN_DRIVERS = 6
_GOOD, _BAD = "green", "red"
_MOVEMENT = {"up": "higher than by past spend", "down": "lower than by past spend", "same": "the same as by past spend"}


def explained(score: CustomerScore, terms: Terms) -> RenderableType:
    """Say one prediction in words: tier, value, risk, what drives them, and how past-looking views see the customer.

    Nothing of the customer's own text is taken for markup or for a control sequence of the terminal.
    """
    prediction = wire(score, terms)
    return Group(
        Panel(
            _headline(prediction),
            title=Text(f"Customer {one_line(score.customer_id)}"),
            title_align="left",
            expand=False,
        ),
        *_drivers(prediction, "value"),
        *_drivers(prediction, "churn"),
        _past(score, prediction),
    )


def _headline(prediction: dict[str, Any]) -> RenderableType:
    currency = prediction["currency"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    horizon = f"in {prediction['horizon_days']} days from {prediction['as_of']} to before {prediction['horizon_end']}"
    table.add_row("Tier", Text(prediction["tier"], style="bold"), _tier_words(prediction))
    table.add_row("Predicted value", money(prediction["predicted_value"], currency), f"expected {horizon}")
    if (interval := prediction["value_interval"]) is not None:
        bounds = f"{money(interval['low'], currency)} to {money(interval['high'], currency)}"
        table.add_row("Value interval", bounds, f"holds what is spent with a probability of {_percent(interval['level'])}")
    if prediction["expected_orders"] is not None:
        of_each = f"expected, of {money(prediction['expected_order_value'], currency)} each"
        table.add_row("Orders", f"{prediction['expected_orders']:.2f}", of_each)
    if prediction["next_order"] is not None:
        table.add_row("Next order", prediction["next_order"], "by the end of this day as likely as not")
    table.add_row("Churn risk", _percent(prediction["churn_risk"]), f"chance of no order {horizon}")
    table.add_row("Value if active", money(prediction["value_if_active"], currency), "expected if the customer orders at all")
    table.add_row("Value at risk", money(prediction["value_at_risk"], currency), "value if active, times churn risk")
    return table


def _tier_words(prediction: dict[str, Any]) -> str:
    """What is to be said of a tier: against past spend, since when, how sure."""
    words = [_MOVEMENT[prediction["movement"]]]
    if prediction["tier_since"] is not None:
        words.append(f"since {prediction['tier_since']}")
    if prediction["tier_by_value"] != prediction["tier"]:
        words.append(f"held: by value alone {prediction['tier_by_value']}")
    elif prediction["tier_probability"] is not None:
        chance = _percent(prediction["tier_probability"])
        words.append(f"{chance} chance to spend within its bounds{', uncertain' * bool(prediction['uncertain'])}")
    return "; ".join(words)


def _drivers(prediction: dict[str, Any], what: str) -> tuple[RenderableType, RenderableType]:
    """Signed bars around a middle line, strongest first; the rest is summed up in one line, so that all adds up."""
    drivers = prediction["drivers"][what]
    currency, shown, rest = prediction["currency"], drivers[:SHOWN_DRIVERS], drivers[SHOWN_DRIVERS:]
    is_value = what == "value"
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    table.add_column()
    table.add_column(justify="right", no_wrap=True)
    table.add_column()
    largest = max((abs(driver["effect"]) for driver in drivers), default=0.0)
    for driver in shown:
        left, right = _bar(driver["effect"], largest, _GOOD if (driver["effect"] > 0) == is_value else _BAD)
        said = HEADLINES[driver["group"]].phrase(driver["value"], currency)
        table.add_row(left, right, _signed(driver["effect"], currency, is_value=is_value), Text(said))
    if rest:
        table.add_row(
            "",
            "",
            _signed(sum(driver["effect"] for driver in rest), currency, is_value=is_value),
            f"{len(rest)} smaller drivers",
        )
    return Text(_title(prediction, is_value=is_value), style="bold"), table


def _title(prediction: dict[str, Any], *, is_value: bool) -> str:
    average, currency = prediction["average"], prediction["currency"]
    if is_value:
        start, end = money(average["predicted_value"], currency), money(prediction["predicted_value"], currency)
        return f"\nWhy {end}: from {start}, what the model expects of an unknown customer"
    start, end = _percent(average["churn_risk"]), _percent(prediction["churn_risk"])
    return f"\nWhy {end} churn risk: from {start}, that of an unknown customer"


def _bar(effect: float, largest: float, colour: str) -> tuple[Text, Text]:
    cells = round(BAR_CELLS * abs(effect) / largest) if largest else 0
    bar = Text("█" * cells, style=colour)
    return (bar, Text("│")) if effect < 0 else (Text(""), Text("│").append(bar))


def _signed(effect: float, currency: str, *, is_value: bool) -> str:
    sign = "+" if effect > 0 else "-" if effect < 0 else ""
    return sign + (money(abs(effect), currency) if is_value else f"{100 * abs(effect):.1f} points")


def _past(score: CustomerScore, prediction: dict[str, Any]) -> RenderableType:
    ordered = f"{count(score.order_count, 'order')}, the last on {last_order(score).isoformat()}"
    spent = money(score.total_spend, prediction["currency"])
    views = (
        f"past-spend tier {score.past_spend_tier}, RFM segment {score.rfm_segment}, ABC class {score.abc_class}, "
        f"lifecycle stage {score.lifecycle_stage}"
    )
    grade = "" if prediction["grade"] is None else f", grade {prediction['grade']}"
    return Text(
        f"\nLooking back: {ordered}; spent {spent} in total; {views}.\nModel version {prediction['model_version']}{grade}."
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
