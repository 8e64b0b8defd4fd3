"""One prediction, from the model's frames to the wire: the same for GET, POST, the lists and the store.

Batch scoring stores :class:`CustomerScore` rows and reads them back; a request that brings its own orders makes the
same rows in memory. Both go through :func:`wire`, so they cannot differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal

from configs.days import date_of, day_number
from features.catalog import CATALOG, GROUPS, Feature
from features.phrases import money

if TYPE_CHECKING:
    import pandas as pd

    from models.prediction import Drivers
    from models.value_model import ValueModel

VALUE_DECIMALS = 4
CHURN_DECIMALS = 6
PROBABILITY = "probability"
What = Literal["value", "churn"]

# Below these an effect would read as 0.00, as 1.0 or as 0.0.
_LEAST_MONEY, _WHOLE_POINTS, _LEAST_POINTS = 0.005, 0.95, 0.05

_FEATURES: dict[str, Feature] = {feature.name: feature for feature in CATALOG}
HEADLINES: dict[str, Feature] = {group.name: _FEATURES[group.headline] for group in GROUPS}
"""The feature whose value is shown with each driver group."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every prediction of one batch: as of which day, how far ahead, in which currency, by which model.

    ``as_of`` is the first day not observed; the horizon is ``[as_of, horizon_end)``.
    """

    as_of: date
    horizon_days: int
    currency: str
    model_version: str

    @property
    def horizon_end(self) -> date:
        """The first day after the horizon."""
        return self.as_of + timedelta(days=self.horizon_days)


@dataclass(frozen=True, slots=True)
class CustomerScore:
    """One customer's prediction as the store keeps it: the prediction columns and the drivers as compact JSON."""

    customer_id: str
    predicted_value: float
    purchase_probability: float
    churn_risk: float
    value_if_active: float
    value_at_risk: float
    tier: str
    past_spend_tier: str
    movement: str
    lifecycle_stage: str
    rfm_segment: str
    abc_class: str
    last_order_day: int
    order_count: int
    total_spend: float
    drivers: str


@dataclass(frozen=True, slots=True)
class Driver:
    """What one driver group adds to one prediction (``effect``), with the customer's value of its headline feature."""

    what: What
    group: str
    value: float | None
    effect: float

    def text(self, currency: str) -> str:
        """Say the driver in a sentence."""
        phrase = HEADLINES[self.group].phrase(self.value, currency)
        if self.what == "value":
            return value_sentence(phrase, self.effect, currency)
        return churn_sentence(phrase, self.effect)

    def wire(self, currency: str) -> dict[str, Any]:
        """Give the driver as an application reads it."""
        return {
            "feature": HEADLINES[self.group].name,
            "group": self.group,
            "value": self.value,
            "unit": HEADLINES[self.group].unit,
            "effect": self.effect,
            "effect_unit": currency if self.what == "value" else PROBABILITY,
            "text": self.text(currency),
        }


@dataclass(frozen=True, slots=True)
class StoredDrivers:
    """One customer's drivers, the largest effect first: average + sum of the effects = prediction."""

    value_average: float
    churn_average: float
    value: tuple[Driver, ...]
    churn: tuple[Driver, ...]


SCORE_COLUMNS: tuple[str, ...] = tuple(field.name for field in fields(CustomerScore))
NUMBER_COLUMNS = (
    "predicted_value", "purchase_probability", "churn_risk", "value_if_active", "value_at_risk", "total_spend",
)  # fmt: skip
WHOLE_COLUMNS = ("last_order_day", "order_count")


def predicted(model: ValueModel, features: pd.DataFrame, terms: Terms, *, threads: int = 1) -> Iterator[CustomerScore]:
    """Predict and explain every customer of ``features`` (what ``feature_frame`` gives as of ``terms.as_of``)."""
    predictions = model.predict(features, as_of=day_number(terms.as_of), threads=threads)
    return customer_scores(features, predictions, model.drivers(features, threads=threads))


def customer_scores(features: pd.DataFrame, predictions: pd.DataFrame, drivers: Drivers) -> Iterator[CustomerScore]:
    """Turn the model's frames (all indexed by customer_id, same order) into rows of the store, in that order.

    Raises ValueError when a number is not finite or the frames do not belong together: both are bugs of the model.
    """
    columns = [_checked(predictions, name) for name in SCORE_COLUMNS[1:-1]]
    ids = predictions.index.tolist()
    packed = _packed_drivers(features, drivers, ids)
    for row in zip(ids, *columns, packed, strict=True):
        yield CustomerScore(*row)


def wire(score: CustomerScore, terms: Terms) -> dict[str, Any]:
    """Give one prediction as an application reads it: plain types, ISO dates, full-precision numbers, no NaN."""
    drivers = stored_drivers(score)
    return {
        "customer_id": score.customer_id,
        "as_of": terms.as_of.isoformat(),
        "horizon_days": terms.horizon_days,
        "horizon_end": terms.horizon_end.isoformat(),
        "currency": terms.currency,
        "model_version": terms.model_version,
        "tier": score.tier,
        "past_spend_tier": score.past_spend_tier,
        "movement": score.movement,
        "predicted_value": score.predicted_value,
        "purchase_probability": score.purchase_probability,
        "churn_risk": score.churn_risk,
        "value_if_active": score.value_if_active,
        "value_at_risk": score.value_at_risk,
        "lifecycle_stage": score.lifecycle_stage,
        "rfm_segment": score.rfm_segment,
        "abc_class": score.abc_class,
        "average": {"predicted_value": drivers.value_average, "churn_risk": drivers.churn_average},
        "drivers": {
            "value": [driver.wire(terms.currency) for driver in drivers.value],
            "churn": [driver.wire(terms.currency) for driver in drivers.churn],
        },
    }


def stored_drivers(score: CustomerScore) -> StoredDrivers:
    """Read the compact drivers of a score."""
    packed = json.loads(score.drivers)
    return StoredDrivers(
        value_average=packed["average"]["value"],
        churn_average=packed["average"]["churn"],
        value=tuple(Driver("value", *driver) for driver in packed["value"]),
        churn=tuple(Driver("churn", *driver) for driver in packed["churn"]),
    )


def last_order(score: CustomerScore) -> date:
    """Give the day of the customer's last purchase."""
    return date_of(score.last_order_day)


def value_sentence(phrase: str, effect: float, currency: str) -> str:
    """Say a driver of the predicted value in words.

    >>> value_sentence("Ordered 9 days ago", 143.2, "GBP")
    'Ordered 9 days ago: raises the predicted value by 143 GBP'
    """
    amount = money(abs(effect), currency) if abs(effect) >= _LEAST_MONEY else f"less than 0.01 {currency}"
    return f"{phrase}: {_effect_words(effect, 'predicted value', amount)}"


def churn_sentence(phrase: str, effect: float) -> str:
    """Say a driver of the churn risk in words; the effect is a difference of probabilities.

    >>> churn_sentence("Ordered 9 days ago", -0.121)
    'Ordered 9 days ago: lowers the churn risk by 12 points'
    """
    return f"{phrase}: {_effect_words(effect, 'churn risk', _points_words(abs(effect) * 100))}"


def _effect_words(effect: float, what: str, amount: str) -> str:
    if effect == 0.0:
        return f"leaves the {what} as it is"
    return f"{'raises' if effect > 0 else 'lowers'} the {what} by {amount}"


def _points_words(points: float) -> str:
    if points >= _WHOLE_POINTS:
        return f"{points:.0f} point{'' if round(points) == 1 else 's'}"
    return f"{points:.1f} points" if points >= _LEAST_POINTS else "less than 0.1 points"


def _checked(predictions: pd.DataFrame, name: str) -> list[Any]:
    column = predictions[name]
    if name in NUMBER_COLUMNS:
        values = column.astype("float64")
        if not values.map(math.isfinite).all():
            raise ValueError(f"the model gave {name} that is not a finite number")
        return values.tolist()
    if name in WHOLE_COLUMNS:
        return column.astype("int64").tolist()
    return column.astype(str).tolist()


def _packed_drivers(features: pd.DataFrame, drivers: Drivers, ids: list[str]) -> Iterator[str]:
    groups = list(drivers.value.columns)
    if list(drivers.churn.columns) != groups or not ids == drivers.value.index.tolist() == drivers.churn.index.tolist():
        raise ValueError("predictions and drivers do not belong together")
    headlines = features.loc[ids, [HEADLINES[group].name for group in groups]].to_numpy(dtype="float64").tolist()
    value = drivers.value.to_numpy(dtype="float64").tolist()
    churn = drivers.churn.to_numpy(dtype="float64").tolist()
    average = {"value": float(drivers.value_average), "churn": float(drivers.churn_average)}
    for headline, amounts, points in zip(headlines, value, churn, strict=True):
        known = [None if math.isnan(number) else number for number in headline]
        yield json.dumps(
            {
                "average": average,
                "value": _sorted_effects(groups, known, amounts, VALUE_DECIMALS),
                "churn": _sorted_effects(groups, known, points, CHURN_DECIMALS),
            },
            separators=(",", ":"),
            allow_nan=False,
        )


def _sorted_effects(
    groups: list[str], headlines: list[float | None], effects: list[float], decimals: int
) -> list[tuple[str, float | None, float]]:
    rows = [
        (group, value, round(effect, decimals) + 0.0) for group, value, effect in zip(groups, headlines, effects, strict=True)
    ]
    return sorted(rows, key=lambda row: (-abs(row[2]), row[0]))
