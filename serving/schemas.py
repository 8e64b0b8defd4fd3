"""What goes over the wire: requests are checked with these models, answers are described by them in the OpenAPI page.

Requests are strict: no unknown field, no text for a number, no NaN. Answers are built by ``serving.predictions`` and by
``serving.lists``; the tests hold them against the models here.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema

from configs.errors import nearest
from serving.refusal import Code, Fault, Refusal
from serving.strict_json import path_of

MAX_CUSTOMERS = 1_000
MAX_ORDERS = 20_000
"""Of the smallest orders, a body within the guard's limit holds some 26,000."""
MAX_ID_LENGTH = 500
MAX_AMOUNT = 1e9
MAX_HORIZON_DAYS = 36_500

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?")
_YEARS = range(1900, 2200)


def _day(text: str) -> str:
    if not _DAY.fullmatch(text) or not _is_moment(text):
        raise ValueError("must be a day as YYYY-MM-DD, from 1900-01-01 to 2199-12-31")
    return text


def _moment(text: str) -> str:
    if not _MOMENT.fullmatch(text) or not _is_moment(text):
        raise ValueError("must be a day (2011-05-01) or an ISO time (2011-05-01T09:30:00, with or without +02:00 or Z)")
    return text


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).year in _YEARS
    except ValueError:
        return False


def _identifier(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not hold the character U+0000")
    if not text.strip(" \t\r\n"):
        raise ValueError("must not be blank")
    return text


Identifier = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH), AfterValidator(_identifier)]
Day = Annotated[str, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Moment = Annotated[
    str,
    AfterValidator(_moment),
    WithJsonSchema({
        "type": "string", "pattern": f"^{_MOMENT.pattern}$", "examples": ["2011-05-01", "2011-05-01T09:30:00+01:00"],
        "description": "A day, or a time: an offset is turned into the business time zone.",
    }),
]  # fmt: skip
Horizon = Annotated[int, Field(ge=1, le=MAX_HORIZON_DAYS)]
Money = Annotated[float, Field(ge=-MAX_AMOUNT, le=MAX_AMOUNT, allow_inf_nan=False)]


class _Request(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Order(_Request):
    """One order, or one of its lines (summed by ``order_id`` and day), or a refund (``amount`` below 0)."""

    order_id: Identifier | None = Field(
        default=None, description="Without one, all rows of a customer at one time are one order."
    )
    ordered_at: Moment
    amount: Money = Field(description="Net amount in the currency of the service; below 0 for a refund.")
    items: Money | None = Field(default=None, description="Number of items, where known.")

    def moment(self, zone: ZoneInfo) -> datetime:
        """Give the time of the order in the business time zone, without an offset."""
        moment = datetime.fromisoformat(self.ordered_at)
        return moment if moment.tzinfo is None else moment.astimezone(zone).replace(tzinfo=None)


class Customer(_Request):
    """One customer with all orders before ``as_of``."""

    customer_id: Identifier
    orders: Annotated[list[Order], Field(min_length=1)]


class PredictionRequest(_Request):
    """Customers with their orders, to be predicted as of one day."""

    as_of: Day | None = Field(
        default=None, description="The first day not observed; without it, that of the published scoring run."
    )
    horizon_days: Horizon | None = Field(
        default=None, description="Days ahead; without it, what the model was trained for. Tiers are of that in any case."
    )
    customers: Annotated[list[Customer], Field(min_length=1, max_length=MAX_CUSTOMERS)] = Field(
        description=f"Together they hold at most {MAX_ORDERS:,} orders."
    )

    @property
    def day(self) -> date | None:
        """``as_of`` as a date."""
        return None if self.as_of is None else date.fromisoformat(self.as_of)


def prediction_request(document: Any) -> PredictionRequest:
    """Check a parsed body.

    Raises Refusal (400, ``invalid_request``): every fault with its path; a customer given twice; too many orders.
    """
    try:
        request = PredictionRequest.model_validate(document)
    except ValidationError as error:
        raise invalid(_fault(fault) for fault in error.errors(include_input=False, include_url=False)) from None
    seen: dict[str, int] = {}
    for index, customer in enumerate(request.customers):
        first = seen.setdefault(customer.customer_id, index)
        if first != index:
            message = f"is the same as customers[{first}].customer_id: give each customer once, with all orders"
            raise invalid([Fault(f"customers[{index}].customer_id", message)])
    if sum(len(customer.orders) for customer in request.customers) > MAX_ORDERS:
        raise invalid([Fault("customers", f"hold more than {MAX_ORDERS:,} orders; send the customers in several requests")])
    return request


def invalid(faults: Any) -> Refusal:
    """Make one refusal out of faults; the first is the message."""
    faults = tuple(faults)
    first = f"{faults[0].path} {faults[0].message}".strip()
    message = first if len(faults) == 1 else f"{first} (and {len(faults) - 1} more)"
    return Refusal(400, "invalid_request", message, faults)


def _fault(error: Any) -> Fault:
    location = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        return Fault(path_of(location), f"is no known field; {nearest(str(location[-1]), _fields_at(location))}")
    if error["type"] == "missing":
        return Fault(path_of(location), "is missing")
    words = error["msg"]
    for ours, theirs in (
        ("must", "Input should"),
        ("", "Value error, "),
        ("must", "List should"),
        ("must", "String should"),
    ):
        words = ours + words.removeprefix(theirs) if words.startswith(theirs) else words
    return Fault(path_of(location), _WORDS.get(error["type"], words.replace(" after validation", "")))


_WORDS = {
    "model_type": "must be an object",
    "list_type": "must be a list",
    "string_type": "must be a text",
    "string_unicode": "must be valid Unicode",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
}


def _fields_at(location: tuple[str | int, ...]) -> list[str]:
    models: dict[int, type[_Request]] = {1: PredictionRequest, 3: Customer}
    model = models.get(len(location), Order)
    return list(model.model_fields)


# ------------------------------------------------------------------------------------------------------------- answers


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Driver(_Answer):
    """What one group of facts about the customer does to a prediction."""

    feature: str
    group: str
    value: float | None = Field(description="The feature's own value; null where it is not defined for this customer.")
    unit: str
    effect: float = Field(description="Signed part of the prediction, in effect_unit.")
    effect_unit: str = Field(description='The currency, or "probability".')
    text: str


class Drivers(_Answer):
    """Largest effect first. Average + sum of all effects = the prediction."""

    value: list[Driver]
    churn: list[Driver]


class Average(_Answer):
    """Where the drivers start from."""

    predicted_value: float
    churn_risk: float


Movement = Literal["up", "same", "down"]
Stage = Literal["new", "active", "dormant", "lost"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


Grade = Literal["A", "B", "C", "D"]


class ValueInterval(_Answer):
    """Within which the customer's spending in the horizon lies, with a probability of ``level``."""

    low: float
    high: float
    level: Share


class Prediction(_Answer):
    """One customer's prediction over the horizon ``[as_of, horizon_end)``.

    What an older version did not predict is null in the runs that it scored.
    """

    customer_id: str
    as_of: Day
    horizon_days: int
    horizon_end: Day
    currency: str
    model_version: str
    grade: Grade | None = Field(description="How good the model is, A to D; null where it was not graded.")
    tier: str
    tier_by_value: str = Field(description="The tier by value alone; another one where the customer is held in tier.")
    tier_since: Day | None = Field(description="Day of the first scoring run of this tier; null where there was none.")
    tier_probability: Share | None = Field(
        description="That what is spent lies within the tier's bounds; null where the customer is held in it."
    )
    uncertain: bool | None = Field(description="The interval reaches beyond the tier.")
    past_spend_tier: str
    movement: Movement
    predicted_value: float
    value_interval: ValueInterval | None
    purchase_probability: Share
    churn_risk: Share
    value_if_active: float
    value_at_risk: float
    expected_orders: float | None = Field(description="expected_orders x expected_order_value = predicted_value")
    expected_order_value: float | None
    next_order: Day | None = Field(
        description="The first day by whose end the customer has ordered with a probability of one half; null where none is."
    )
    lifecycle_stage: Stage
    rfm_segment: str
    abc_class: Literal["A", "B", "C"]
    average: Average
    drivers: Drivers


class Predictions(_Answer):
    """The answer to POST /v1/predictions: one prediction for each customer, in the order of the request."""

    predictions: list[Prediction]


class _Terms(_Answer):
    as_of: Day
    horizon_days: int
    horizon_end: Day
    currency: str
    model_version: str
    grade: Grade | None


class ListRow(_Answer):
    """One customer of the list; ``reasons`` are sentences, strongest first."""

    rank: int
    customer_id: str
    tier: str
    churn_risk: Share
    risk_band: str
    predicted_value: float
    value_interval: ValueInterval | None
    uncertain: bool | None
    value_at_risk: float
    last_order: Day
    days_since_last_order: int
    next_order: Day | None
    lifecycle_stage: Stage
    rfm_segment: str
    past_spend_tier: str
    movement: Movement
    reasons: list[str]
    action: str = Field(description="From the playbook in the settings; empty where it is silent.")


_Texts = list[str]
_Rows = list[ListRow]


class ChurnRiskPage(_Terms):
    """One page of the churn-risk list. All pages that follow each other by cursor are of one scoring run."""

    list: Literal["churn-risk"]
    scoring_run: int
    tiers: _Texts = Field(description="The tiers asked for; empty for all.")
    min_risk: Share
    total: int = Field(description="Customers of the whole list.")
    customers: _Rows
    next_cursor: str | None = Field(description="Ask again with it for the next page; null on the last.")


class TierCount(_Answer):
    """One tier; ``predicted_value`` and ``value_at_risk`` are sums, the mean is null in an empty tier."""

    tier: str
    customers: int
    predicted_value: float
    mean_churn_risk: Share | None
    value_at_risk: float


class MovementCell(_Answer):
    """How many customers of one past-spend tier are in one predicted tier."""

    past_spend_tier: str
    tier: str
    customers: int
    predicted_value: float


class TiersView(_Terms):
    """The tiers of the published run, best first; empty movement cells are left out."""

    scored_at: str
    customers: int
    tier_horizon_days: int = Field(description="The horizon that the tiers are of: what the model was trained for.")
    held: int = Field(description="Customers who are kept in another tier than their value alone would give.")
    tiers: list[TierCount]
    movement: list[MovementCell]


class TierLimit(_Answer):
    """From which predicted value on (inclusive) a customer is in the tier; null for the last, which takes the rest."""

    tier: str
    from_value: float | None


class ModelView(_Answer):
    """The champion: what it predicts, and from where each tier begins, best first."""

    model_version: str
    grade: Grade | None
    horizon_days: int
    currency: str
    tiers: list[TierLimit]
    features: list[str]


class ErrorDetail(_Answer):
    """One thing that is wrong, and where."""

    path: str
    message: str


class ErrorBody(_Answer):
    """What went wrong: ``code`` for programs, ``message`` for people."""

    code: Code
    message: str
    details: list[ErrorDetail]


class Error(_Answer):
    """The one shape of every failure."""

    error: ErrorBody


class State(_Answer):
    """The answer of /livez."""

    status: Literal["ok"]


class Readiness(_Answer):
    """The answer of /readyz: ``degraded`` where it serves on with what it has, and ``faults`` say what it could not pick up."""

    status: Literal["ok", "degraded"]
    faults: list[str]
