"""One prediction, from the model's frames to the wire: the same for GET, POST, the lists and the store.

Batch scoring stores :class:`CustomerScore` rows and reads them back; a request that brings its own orders makes the
same rows in memory. Both go through :func:`wire`, so they cannot differ.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, timedelta
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson

from configs.days import date_of, day_number
from configs.language import Language
from models.columns import Columns, columns_of
from models.intervals import LEVEL
from models.prediction import GROUP_NAMES, Contributions, Drivers, Explained
from serving.driver_words import HEADLINES, churn_sentence, driver_phrase, value_sentence

if TYPE_CHECKING:
    import pandas as pd

    from models.value_model import ValueModel

VALUE_DECIMALS = 4
CHURN_DECIMALS = 6
PROBABILITY = "probability"
What = Literal["value", "churn"]
_Told = Mapping[str, Any]
"""Drivers as their compact JSON says them."""

_LAST_DAY = day_number(date.max)


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for every prediction of one batch: as of which day, how far ahead, in which currency, by which model.

    ``as_of`` is the first day not observed; the horizon is ``[as_of, horizon_end)``. ``grade`` is the model's, A to D, and
    None where it was not graded.
    """

    as_of: date
    horizon_days: int
    currency: str
    model_version: str
    grade: str | None = None

    @property
    def horizon_end(self) -> date:
        """The first day after the horizon."""
        return self.as_of + timedelta(days=self.horizon_days)


@dataclass(frozen=True, slots=True)
class CustomerScore:
    """One customer's prediction as the store keeps it: the prediction columns and the drivers.

    Drivers are the compact JSON of the store, or unpacked where a score was never stored.

    What follows ``drivers`` is None in runs of older versions. ``tier_probability`` is also None for a customer who is
    held in a tier that is not ``tier_by_value``, ``next_order_day`` where no day can be named, and ``tier_since_day``
    (the day of the first scoring run of this tier) for a customer that brings its own orders. ``order_history`` is JSON as
    ``packed_history`` writes it.
    """

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
    drivers: str | StoredDrivers
    value_low: float | None = None
    value_high: float | None = None
    tier_probability: float | None = None
    uncertain: bool | None = None
    expected_orders: float | None = None
    expected_order_value: float | None = None
    next_order_day: float | None = None
    tier_by_value: str | None = None
    tier_since_day: int | None = None
    order_history: str | None = None


class Driver(NamedTuple):
    """What one driver group adds to one prediction (``effect``), with the customer's value of its headline feature.

    A prediction has twenty of them: a tuple is made in a quarter of the time of a frozen dataclass.
    """

    what: What
    group: str
    value: float | None
    effect: float

    def text(self, currency: str, language: Language = "en") -> str:
        """Say the driver in a sentence."""
        phrase = driver_phrase(self.group, self.value, currency, language)
        if self.what == "value":
            return value_sentence(phrase, self.effect, currency, language)
        return churn_sentence(phrase, self.effect, language)

    def wire(self, currency: str, language: Language = "en") -> dict[str, Any]:
        """Give the driver as an application reads it."""
        headline = HEADLINES[self.group]
        return {
            "feature": headline.name,
            "group": self.group,
            "value": self.value,
            "unit": headline.unit,
            "effect": self.effect,
            "effect_unit": currency if self.what == "value" else PROBABILITY,
            "text": self.text(currency, language),
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
    "value_low", "value_high", "expected_orders", "expected_order_value",
)  # fmt: skip
SPARSE_COLUMNS = ("next_order_day", "tier_probability")
"""Numbers where NaN says that there is none."""
WHOLE_COLUMNS = ("last_order_day", "order_count", "tier_since_day")
FLAG_COLUMNS = ("uncertain",)


def terms_of(model: ValueModel, as_of: date, model_version: str, horizon_days: int | None) -> Terms:
    """Give the terms of predictions by ``model`` as of a day, over its own horizon where none is asked for."""
    return Terms(as_of, horizon_days or model.horizon_days, model.currency, model_version, model.grade)


def predictions_and_drivers(
    model: ValueModel, features: pd.DataFrame, terms: Terms, *, threads: int = 1
) -> tuple[pd.DataFrame, Drivers]:
    """Predict and explain every customer of ``features`` (what ``feature_frame`` gives as of ``terms.as_of``).

    Values look ``terms.horizon_days`` ahead; tiers are by value alone, of the horizon that the model was trained for.
    """
    import pandas as pd

    asked = {"as_of": day_number(terms.as_of), "horizon_days": terms.horizon_days}
    found = model.explain(columns_of(features), threads=threads, **asked)
    return pd.DataFrame(found.predictions, index=features.index), found.drivers.table(features.index)


def customer_scores(features: pd.DataFrame, predictions: pd.DataFrame, drivers: Drivers) -> Iterator[CustomerScore]:
    """Turn the model's frames (all indexed by customer_id, same order) into rows of the store, in that order.

    ``predictions`` may hold ``tier_by_value`` and ``tier_since_day`` besides the model's columns
    (:mod:`serving.stable_tiers`); otherwise tiers are those of the value alone, and of no day.

    Raises ValueError when a number is not finite or the frames do not belong together: both are bugs of the model.
    """
    ids = predictions.index.tolist()
    tables = (features, drivers.value, drivers.churn)
    groups = (tuple(drivers.value.columns), tuple(drivers.churn.columns))
    if groups != (GROUP_NAMES, GROUP_NAMES) or any(table.index.tolist() != ids for table in tables):
        raise ValueError("predictions and drivers do not belong together")
    value, churn = (table.to_numpy(dtype="float64") for table in (drivers.value, drivers.churn))
    columns = {str(name): predictions[name].to_numpy() for name in predictions.columns}
    contributions = Contributions(drivers.value_average, drivers.churn_average, value, churn)
    yield from _scores(ids, columns_of(features), columns, contributions, _packed)


def explained_scores(ids: Sequence[str], features: Columns, found: Explained) -> Iterator[CustomerScore]:
    """Turn what a model says of customers, in plain arrays, into scores that no store will keep.

    Raises ValueError as ``customer_scores`` does.
    """
    return _scores(ids, features, found.predictions, found.drivers, _unpacked)


def _scores(
    ids: Sequence[str],
    features: Columns,
    predictions: Mapping[str, npt.NDArray[Any]],
    drivers: Contributions,
    form: Callable[[_Told], str | StoredDrivers],
) -> Iterator[CustomerScore]:
    columns: dict[str, Iterable[Any]] = {name: _checked(column, name) for name, column in predictions.items()}
    unknown = {name: repeat(None, len(ids)) for name in ("tier_since_day", "order_history")}
    columns = {"tier_by_value": columns["tier"], **unknown, **columns}
    columns |= {"customer_id": ids, "drivers": map(form, _told(features, drivers))}
    for row in zip(*(columns[name] for name in SCORE_COLUMNS), strict=True):
        yield CustomerScore(*row)


def packed_history(days: Sequence[tuple[int, float]]) -> str:
    """Write the last order days of a customer, (day since 1970-01-01, net value), as the store keeps them."""
    return orjson.dumps(days).decode()


def orders_view(score: CustomerScore, terms: Terms) -> dict[str, Any]:
    """Give the last order days of a customer as an application reads them, the oldest first; none in runs of older versions."""
    days = [] if score.order_history is None else orjson.loads(score.order_history)
    return {
        "customer_id": score.customer_id,
        "as_of": terms.as_of.isoformat(),
        "currency": terms.currency,
        "orders": [{"day": date_of(day).isoformat(), "amount": amount} for day, amount in days],
    }


def wire(score: CustomerScore, terms: Terms, language: Language = "en") -> dict[str, Any]:
    """Give one prediction as an application reads it: plain types, ISO dates, full-precision numbers, no NaN."""
    drivers = stored_drivers(score)
    return {
        "customer_id": score.customer_id,
        "as_of": terms.as_of.isoformat(),
        "horizon_days": terms.horizon_days,
        "horizon_end": terms.horizon_end.isoformat(),
        "currency": terms.currency,
        "model_version": terms.model_version,
        "grade": terms.grade,
        "tier": score.tier,
        "tier_by_value": score.tier if score.tier_by_value is None else score.tier_by_value,
        "tier_since": _iso(score.tier_since_day),
        "tier_probability": score.tier_probability,
        "uncertain": score.uncertain,
        "past_spend_tier": score.past_spend_tier,
        "movement": score.movement,
        "predicted_value": score.predicted_value,
        "value_interval": value_interval(score.value_low, score.value_high),
        "purchase_probability": score.purchase_probability,
        "churn_risk": score.churn_risk,
        "value_if_active": score.value_if_active,
        "value_at_risk": score.value_at_risk,
        "expected_orders": score.expected_orders,
        "expected_order_value": score.expected_order_value,
        "next_order": _iso(score.next_order_day),
        "lifecycle_stage": score.lifecycle_stage,
        "rfm_segment": score.rfm_segment,
        "abc_class": score.abc_class,
        "average": {"predicted_value": drivers.value_average, "churn_risk": drivers.churn_average},
        "drivers": {
            "value": [driver.wire(terms.currency, language) for driver in drivers.value],
            "churn": [driver.wire(terms.currency, language) for driver in drivers.churn],
        },
    }


def stored_drivers(score: CustomerScore) -> StoredDrivers:
    """Read the compact drivers of a score."""
    return score.drivers if isinstance(score.drivers, StoredDrivers) else _unpacked(orjson.loads(score.drivers))


def _unpacked(told: _Told) -> StoredDrivers:
    return StoredDrivers(
        value_average=told["average"]["value"],
        churn_average=told["average"]["churn"],
        value=tuple(Driver("value", *driver) for driver in told["value"]),
        churn=tuple(Driver("churn", *driver) for driver in told["churn"]),
    )


def value_interval(low: float | None, high: float | None) -> dict[str, float] | None:
    """Give an interval as an application reads it; None where a score of an older version has none."""
    return None if low is None or high is None else {"low": low, "high": high, "level": LEVEL}


def last_order(score: CustomerScore) -> date:
    """Give the day of the customer's last purchase."""
    return date_of(score.last_order_day)


def next_order(score: CustomerScore) -> date | None:
    """Give the first day by whose end the customer has ordered with a probability of one half, where it can be named."""
    return None if score.next_order_day is None else _day(score.next_order_day)


def tier_since(score: CustomerScore) -> date | None:
    """Give the day of the first scoring run in which the customer was in this tier without a break."""
    return None if score.tier_since_day is None else date_of(score.tier_since_day)


def _iso(day: float | None) -> str | None:
    return None if day is None else _day(day).isoformat()


def _day(day: float) -> date:
    """The day that a number of days since 1970-01-01 falls in; far future days are the last one that a date can be."""
    return date_of(min(math.floor(day), _LAST_DAY))


def _checked(column: npt.NDArray[Any], name: str) -> list[Any]:
    if name in SPARSE_COLUMNS:
        return _sparse(column, name)
    kind: Any = np.int64 if name in WHOLE_COLUMNS else np.bool_ if name in FLAG_COLUMNS else np.object_
    plain = _finite(column.astype(np.float64), name) if name in NUMBER_COLUMNS else column.astype(kind)
    values: list[Any] = plain.tolist()
    return values


def _sparse(column: npt.NDArray[Any], name: str) -> list[float | None]:
    numbers = column.astype(np.float64)
    _finite(numbers[~np.isnan(numbers)], name)
    return [None if math.isnan(number) else number for number in numbers.tolist()]


def _finite(numbers: npt.NDArray[np.float64], name: str) -> npt.NDArray[np.float64]:
    if not np.isfinite(numbers).all():
        raise ValueError(f"the model gave {name} that is not a finite number")
    return numbers


def _told(features: Columns, drivers: Contributions) -> Iterator[_Told]:
    average = {"value": drivers.value_average, "churn": drivers.churn_average}
    _finite(np.array(list(average.values())), "an average")
    value, churn = (_finite(parts, "a driver").tolist() for parts in (drivers.value, drivers.churn))
    facts = zip(*(_sparse(features[HEADLINES[group].name], "a fact") for group in GROUP_NAMES), strict=True)
    for fact, amounts, points in zip(facts, value, churn, strict=True):
        yield {
            "average": average,
            "value": _sorted_effects(fact, amounts, VALUE_DECIMALS),
            "churn": _sorted_effects(fact, points, CHURN_DECIMALS),
        }


def _sorted_effects(facts: Sequence[float | None], effects: list[float], decimals: int) -> list[tuple[str, float | None, float]]:
    rows = [(group, fact, round(effect, decimals) + 0.0) for group, fact, effect in zip(GROUP_NAMES, facts, effects, strict=True)]
    return sorted(rows, key=lambda row: (-abs(row[2]), row[0]))


def _packed(told: _Told) -> str:
    return json.dumps(told, separators=(",", ":"), allow_nan=False)
