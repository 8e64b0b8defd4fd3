"""What requests are checked with, and described by in the OpenAPI page: no unknown field, no text for a number, no NaN.

Every text that is refused breaks the pattern that the page gives, so whoever keeps to the page is never told of a malformed
request (400). What no schema can say, such as that an order must be before ``as_of``, is a rule (422).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from configs.errors import nearest
from configs.sections import MOST_HELD_OUT
from configs.settings import Lists
from serving.list_plan import MAX_AMOUNT, MAX_CAPACITY, MAX_SEED, MAX_TIERS, Plan, plan_of
from serving.refusal import Code, Fault, Refusal
from serving.strict_json import path_of

MAX_CUSTOMERS = 1_000
MAX_ORDERS = 20_000
"""Of the smallest orders, a body within the guard's limit holds some 26,000."""
MAX_ID_LENGTH = 500
MAX_ORDER_AMOUNT = 1e9
MAX_HORIZON_DAYS = 36_500

# Days that there are, from 1900-01-01 to 2199-12-31: months of 31, 30 and 28 days, and 29 February of leap years.
_MONTH_DAYS = "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])"
_LEAP_YEARS = "(?:19|20|21)(?:0[48]|[2468][048]|[13579][26])|2000"
_DAYS = f"(?:(?:19|20|21)[0-9]{{2}}-(?:{_MONTH_DAYS})|(?:{_LEAP_YEARS})-02-29)"
_HOURS = "(?:[01][0-9]|2[0-3]):[0-5][0-9]"
DAY = re.compile(_DAYS)
MOMENT = re.compile(rf"{_DAYS}(?:[T ]{_HOURS}(?::[0-5][0-9](?:\.[0-9]{{1,6}})?)?(?:Z|[+-]{_HOURS})?)?")
NAME_PATTERN = r"[A-Za-z0-9\u4e00-\u9fff][A-Za-z0-9\u4e00-\u9fff._-]{0,63}"
"""Of a campaign: the letters of both languages, since it stands in commands, addresses and names of files."""
NOT_BLANK = "^[^\\u0000]*[^\\u0000\\t\\n\\r ][^\\u0000]*$"


def _day(text: str) -> str:
    if not DAY.fullmatch(text):
        raise ValueError("must be a day as YYYY-MM-DD, from 1900-01-01 to 2199-12-31")
    return text


def _moment(text: str) -> str:
    if not MOMENT.fullmatch(text):
        raise ValueError("must be a day (2011-05-01) or an ISO time (2011-05-01T09:30:00, with or without +02:00 or Z)")
    return text


def _whole(number: Any) -> Any:
    """To a JSON schema 90.0 is an integer."""
    return int(number) if isinstance(number, float) and number.is_integer() else number


def _identifier(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not hold the character U+0000")
    if not text.strip(" \t\r\n"):
        raise ValueError("must not be blank")
    return text


def _name(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise ValueError("must begin with a letter or digit, and hold up to 64 letters, digits, dots, hyphens and underscores")
    return text


Identifier = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ID_LENGTH, json_schema_extra={"pattern": NOT_BLANK}),
    AfterValidator(_identifier),
]
Day = Annotated[str, AfterValidator(_day), WithJsonSchema({"type": "string", "format": "date", "pattern": f"^{DAY.pattern}$"})]
Moment = Annotated[
    str,
    AfterValidator(_moment),
    WithJsonSchema({
        "type": "string", "pattern": f"^{MOMENT.pattern}$",
        "description": "A day (2011-05-01), or a time (2011-05-01T09:30:00): an offset (Z, +02:00) is turned into the business "
        "time zone.",
    }),
]  # fmt: skip
Horizon = Annotated[int, Field(ge=1, le=MAX_HORIZON_DAYS), BeforeValidator(_whole)]
Amount = Annotated[float, Field(ge=0.0, le=MAX_AMOUNT, allow_inf_nan=False)]
CampaignName = Annotated[str, AfterValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME_PATTERN}$"})]
Money = Annotated[float, Field(ge=-MAX_ORDER_AMOUNT, le=MAX_ORDER_AMOUNT, allow_inf_nan=False)]


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


class CampaignRequest(_Request):
    """A list that is saved under a name; what is left out is as the settings say."""

    name: CampaignName = Field(description="Begins with a letter or digit; letters, digits, dots, hyphens and underscores.")
    contact_day: Day | None = Field(
        default=None, description="The day from which on they are contacted; without it, that of the scoring run."
    )
    tiers: Annotated[list[str], Field(max_length=MAX_TIERS)] = Field(default=[], description="Only these tiers; empty: all.")
    min_risk: Annotated[float, Field(ge=0.0, le=1.0)] = Field(default=0.0, description="Least churn risk.")
    max_risk: Annotated[float, Field(ge=0.0, le=1.0)] = Field(default=1.0, description="Highest churn risk.")
    min_value: Amount | None = Field(default=None, description="Least predicted value.")
    include_gone: bool = Field(default=False, description="Also customers in the stages that the settings call gone.")
    capacity: Annotated[int, Field(ge=1, le=MAX_CAPACITY), BeforeValidator(_whole)] | None = Field(
        default=None, description="So many contacts at most."
    )
    budget_per_contact: Amount | None = Field(
        default=None, description="Nobody of whom a contact is expected to save less than this."
    )
    save_rate: Annotated[float, Field(gt=0.0, le=1.0)] | None = Field(
        default=None, description="Share of those about to leave whom a contact keeps."
    )
    holdout: Annotated[float, Field(ge=0.0, le=MOST_HELD_OUT)] | None = Field(
        default=None, description="Share drawn not to be contacted."
    )
    holdout_seed: Annotated[int, Field(ge=0, le=MAX_SEED), BeforeValidator(_whole)] | None = Field(
        default=None, description="Seed of that draw."
    )

    @property
    def day(self) -> date | None:
        """``contact_day`` as a date."""
        return None if self.contact_day is None else date.fromisoformat(self.contact_day)

    def plan(self, lists: Lists) -> Plan:
        """Give what is asked of the list; what is left out is as ``lists`` says."""
        asked = self.model_dump(exclude={"name", "contact_day"})
        return plan_of(lists, **{**asked, "tiers": tuple(self.tiers)})


def campaign_request(document: Any) -> CampaignRequest:
    """Check a parsed body. Raises Refusal (400) with every fault and its path."""
    try:
        return CampaignRequest.model_validate(document)
    except ValidationError as error:
        raise invalid(_fault(fault, CampaignRequest) for fault in error.errors(include_input=False, include_url=False)) from None


def prediction_request(document: Any) -> PredictionRequest:
    """Check a parsed body.

    Raises Refusal: 400 (``invalid_request``) with every fault and its path; 422 (``repeated_customer``): a customer given
    twice; 413: too many orders.
    """
    try:
        request = PredictionRequest.model_validate(document)
    except ValidationError as error:
        raise invalid(
            _fault(fault, PredictionRequest) for fault in error.errors(include_input=False, include_url=False)
        ) from None
    seen: dict[str, int] = {}
    for index, customer in enumerate(request.customers):
        first = seen.setdefault(customer.customer_id, index)
        if first != index:
            message = f"is the same as customers[{first}].customer_id: give each customer once, with all orders"
            raise against_rule("repeated_customer", [Fault(f"customers[{index}].customer_id", message)])
    if sum(len(customer.orders) for customer in request.customers) > MAX_ORDERS:
        fault = Fault("customers", f"hold more than {MAX_ORDERS:,} orders; send the customers in several requests")
        raise _refusal(413, "payload_too_large", [fault])
    return request


def invalid(faults: Iterable[Fault]) -> Refusal:
    """Refuse what is not made as the OpenAPI page says (400); the first fault is the message."""
    return _refusal(400, "invalid_request", faults)


def against_rule(code: Code, faults: Iterable[Fault]) -> Refusal:
    """Refuse what is made as the OpenAPI page says and yet cannot be answered (422); the first fault is the message."""
    return _refusal(422, code, faults)


def _refusal(status: int, code: Code, faults: Iterable[Fault]) -> Refusal:
    faults = tuple(faults)
    first = f"{faults[0].path} {faults[0].message}".strip()
    message = first if len(faults) == 1 else f"{first} (and {len(faults) - 1} more)"
    return Refusal(status, code, message, faults)


def _fault(error: Any, model: type[_Request]) -> Fault:
    location = tuple(error["loc"])
    if error["type"] == "extra_forbidden":
        return Fault(path_of(location), f"is no known field; {nearest(str(location[-1]), _fields_at(location, model))}")
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


def _fields_at(location: tuple[str | int, ...], model: type[_Request]) -> list[str]:
    models: dict[int, type[_Request]] = {1: model, 3: Customer}
    return list(models.get(len(location), Order).model_fields)
