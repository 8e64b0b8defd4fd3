"""Why a customer changed between two scoring runs, in words: the model, the orders, and the driver that changed most."""

from __future__ import annotations

from collections.abc import Sequence

from configs.language import Language
from features.phrases import money
from serving.change_words import CHANGE_WORDS, ReasonWords
from serving.driver_words import driver_phrase
from serving.predictions import CustomerScore, Driver, Terms, last_order, stored_drivers
from serving.store_changes import Changed

LEAST_CHANGE = 0.005
"""Of a driver's effect, in money or as a share: less reads as nothing."""


def reason(changed: Changed, was: Terms, now: Terms, language: Language = "en") -> str:
    """Say why a customer changed between runs of these terms.

    A change of tier, and a return, are explained in money; a risk by the driver that raised it most.
    """
    words = CHANGE_WORDS[language].reasons
    before, after = changed.before, changed.after
    parts = [
        _of_model(words, was, now),
        _of_being_held(words, before, after),
        _of_return(words, changed),
        _of_orders(words, before, after, was, now),
    ]
    if changed.kinds != ("newly_at_risk",):
        parts.append(_of_value(words, before, after, now.currency, language))
    if "newly_at_risk" in changed.kinds:
        parts.append(_of_risk(words, before, after, now.currency, language))
    said = words.between.join(part for part in parts if part) or words.nothing
    return said[:1].upper() + said[1:]


def _of_model(words: ReasonWords, was: Terms, now: Terms) -> str:
    same = was.model_version == now.model_version
    return "" if same else words.new_model.format(was=was.model_version, now=now.model_version)


def _of_being_held(words: ReasonWords, before: CustomerScore, after: CustomerScore) -> str:
    held = before.tier_by_value not in (None, before.tier) and after.tier != before.tier
    return words.was_held.format(tier=before.tier) if held and before.tier_by_value == after.tier else ""


def _of_return(words: ReasonWords, changed: Changed) -> str:
    if "won_back" not in changed.kinds:
        return ""
    return words.was_lost if changed.before.lifecycle_stage == "lost" else words.was_dormant


def _of_orders(words: ReasonWords, before: CustomerScore, after: CustomerScore, was: Terms, now: Terms) -> str:
    more = after.order_count - before.order_count
    if more > 0:
        said = {1: words.ordered_once, 2: words.ordered_twice}.get(more, words.ordered_often)
        return said.format(times=more, day=was.as_of.isoformat())
    if more < 0:
        return (words.one_order_fewer if more == -1 else words.fewer_orders).format(orders=-more)
    if (returned := before.total_spend - after.total_spend) >= LEAST_CHANGE:
        return words.refunded.format(amount=money(returned, now.currency))
    return words.no_order.format(day=last_order(after).isoformat()) if now.as_of > was.as_of else ""


def _of_value(words: ReasonWords, before: CustomerScore, after: CustomerScore, currency: str, language: Language) -> str:
    """The driver group whose effect on the value changed most, of those that moved it the way it went."""
    rose = after.predicted_value >= before.predicted_value
    found = _strongest(stored_drivers(before).value, stored_drivers(after).value, rose=rose)
    if found is None:
        return ""
    change, driver = found
    said = words.adds_value if change > 0 else words.takes_value
    return said.format(fact=_fact(words, driver, currency, language), amount=money(abs(change), currency))


def _of_risk(words: ReasonWords, before: CustomerScore, after: CustomerScore, currency: str, language: Language) -> str:
    """The driver group that raised the churn risk most."""
    found = _strongest(stored_drivers(before).churn, stored_drivers(after).churn, rose=True)
    if found is None:
        return ""
    change, driver = found
    points = round(100 * change)
    said = words.one_point if points == 1 else words.points.format(points=points)
    return words.adds_risk.format(fact=_fact(words, driver, currency, language), points=said)


def _strongest(before: Sequence[Driver], after: Sequence[Driver], *, rose: bool) -> tuple[float, Driver] | None:
    effects = {driver.group: driver.effect for driver in before}
    changes = [(driver.effect - effects.get(driver.group, 0.0), driver) for driver in after]
    telling = [(change, driver) for change, driver in changes if (change > 0) == rose and abs(change) >= LEAST_CHANGE]
    return max(telling, key=lambda found: (abs(found[0]), found[1].group), default=None)


def _fact(words: ReasonWords, driver: Driver, currency: str, language: Language) -> str:
    phrase = driver_phrase(driver.group, driver.value, currency, language)
    return phrase[:1].lower() + phrase[1:] if words.small_facts else phrase
