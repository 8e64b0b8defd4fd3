"""One customer in words, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from configs.command import one_line
from configs.language import Language
from features.phrases import money
from serving.code_words import segment_words, stage_words
from serving.driver_words import driver_phrase
from serving.explain_words import EXPLAIN_WORDS, ExplainWords
from serving.predictions import last_order, wire

if TYPE_CHECKING:
    from rich.console import RenderableType

    from serving.predictions import CustomerScore, Terms

BAR_CELLS = 12
SHOWN_DRIVERS = 6
_GOOD, _BAD = "green", "red"


def explained(score: CustomerScore, terms: Terms, language: Language = "en") -> RenderableType:
    """Say one prediction in words: tier, value, risk, what drives them, and how past-looking views see the customer.

    Nothing of the customer's own text is taken for markup or for a control sequence of the terminal.
    """
    prediction, words = wire(score, terms, language), EXPLAIN_WORDS[language]
    return Group(
        Panel(
            _headline(prediction, words),
            title=Text(words.customer.format(customer=one_line(score.customer_id))),
            title_align="left",
            expand=False,
        ),
        *_drivers(prediction, "value", words, language),
        *_drivers(prediction, "churn", words, language),
        _past(score, prediction, words, language),
    )


def _headline(prediction: dict[str, Any], words: ExplainWords) -> RenderableType:
    currency = prediction["currency"]
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    horizon = words.horizon.format(**{name: prediction[name] for name in ("horizon_days", "as_of", "horizon_end")})
    table.add_row(words.tier, Text(prediction["tier"], style="bold"), _tier_words(prediction, words))
    table.add_row(words.value, money(prediction["predicted_value"], currency), words.expected.format(horizon))
    if (interval := prediction["value_interval"]) is not None:
        bounds = words.bounds.format(money(interval["low"], currency), money(interval["high"], currency))
        table.add_row(words.interval, bounds, words.holds.format(_percent(interval["level"])))
    if prediction["expected_orders"] is not None:
        of_each = words.of_each.format(money(prediction["expected_order_value"], currency))
        table.add_row(words.orders, f"{prediction['expected_orders']:.2f}", of_each)
    if prediction["next_order"] is not None:
        table.add_row(words.next_order, prediction["next_order"], words.as_likely_as_not)
    table.add_row(words.churn_risk, _percent(prediction["churn_risk"]), words.no_order.format(horizon))
    table.add_row(words.if_active, money(prediction["value_if_active"], currency), words.if_orders)
    table.add_row(words.at_risk, money(prediction["value_at_risk"], currency), words.times_risk)
    return table


def _tier_words(prediction: dict[str, Any], words: ExplainWords) -> str:
    """What is to be said of a tier: against past spend, since when, how sure."""
    said = [{"up": words.up, "down": words.down, "same": words.same}[prediction["movement"]]]
    if prediction["tier_since"] is not None:
        said.append(words.since.format(prediction["tier_since"]))
    if prediction["tier_by_value"] != prediction["tier"]:
        said.append(words.held.format(prediction["tier_by_value"]))
    elif prediction["tier_probability"] is not None:
        chance = words.chance.format(_percent(prediction["tier_probability"]))
        said.append(chance + words.uncertain * bool(prediction["uncertain"]))
    return words.between.join(said)


def _drivers(
    prediction: dict[str, Any], what: str, words: ExplainWords, language: Language
) -> tuple[RenderableType, RenderableType]:
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

    def signed(effect: float) -> str:
        sign = "+" if effect > 0 else "-" if effect < 0 else ""
        return sign + (money(abs(effect), currency) if is_value else words.points.format(f"{100 * abs(effect):.1f}"))

    for driver in shown:
        left, right = _bar(driver["effect"], largest, _GOOD if (driver["effect"] > 0) == is_value else _BAD)
        said = driver_phrase(driver["group"], driver["value"], currency, language)
        table.add_row(left, right, signed(driver["effect"]), Text(said))
    if rest:
        table.add_row("", "", signed(sum(driver["effect"] for driver in rest)), words.smaller.format(len(rest)))
    return Text(_title(prediction, words, is_value=is_value), style="bold"), table


def _title(prediction: dict[str, Any], words: ExplainWords, *, is_value: bool) -> str:
    average, currency = prediction["average"], prediction["currency"]
    if is_value:
        start, end = money(average["predicted_value"], currency), money(prediction["predicted_value"], currency)
        return "\n" + words.why_value.format(end=end, start=start)
    start, end = _percent(average["churn_risk"]), _percent(prediction["churn_risk"])
    return "\n" + words.why_risk.format(end=end, start=start)


def _bar(effect: float, largest: float, colour: str) -> tuple[Text, Text]:
    cells = round(BAR_CELLS * abs(effect) / largest) if largest else 0
    bar = Text("█" * cells, style=colour)
    return (bar, Text("│")) if effect < 0 else (Text(""), Text("│").append(bar))


def _past(score: CustomerScore, prediction: dict[str, Any], words: ExplainWords, language: Language) -> RenderableType:
    orders = words.order_count.format(score.order_count) if score.order_count != 1 else words.one_order
    told = words.past.format(
        orders=orders,
        last=last_order(score).isoformat(),
        spent=money(score.total_spend, prediction["currency"]),
        tier=score.past_spend_tier,
        segment=segment_words(score.rfm_segment, language),
        abc=score.abc_class,
        stage=stage_words(score.lifecycle_stage, language),
    )
    grade = "" if prediction["grade"] is None else words.grade.format(prediction["grade"])
    return Text(f"\n{told}\n{words.model.format(prediction['model_version'])}{grade}{words.stop}")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
