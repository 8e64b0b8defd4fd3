"""Predictions for customers that bring their own orders: the same steps as batch scoring, on arrays, in process.

``net_orders`` -> ``customer_features`` -> the champion -> ``serving.predictions``: nothing is implemented twice, so the
numbers are those of batch scoring of the same orders. Requests that came at the same time go that way together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import orjson

from configs.days import day_number
from configs.settings import Settings
from features.customers import features_of_rows
from serving.predictions import CustomerScore, Terms, explained_scores, terms_of, wire
from serving.refusal import Fault, Refusal
from serving.schemas import Customer, PredictionRequest, against_rule

if TYPE_CHECKING:
    from models.registry import LoadedModel
    from models.value_model import ValueModel


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as of one day (the first not observed)."""

    request: PredictionRequest
    as_of: date


@dataclass(frozen=True, slots=True)
class Answered:
    """The JSON body ``{"predictions": [...]}`` of one request, and what it says, to be counted."""

    body: bytes
    scores: tuple[CustomerScore, ...]


Answer = Answered | Refusal | Exception


@dataclass(frozen=True, slots=True)
class _CustomerRows:
    """One customer with the time of each order in the business time zone."""

    customer: Customer
    moments: list[datetime]


def answers(asked: Sequence[Asked], champion: LoadedModel, settings: Settings, *, threads: int = 1) -> list[Answer]:
    """Answer several requests in one pass of the model, each as if it were alone: the very bytes.

    One answer per request, in order: its predictions, customers as in the request, or the
    Refusal (422) that it deserves: an order on or after its ``as_of`` (``late_order``), a customer without a purchase
    before it (``no_purchase``), both with every path. What nobody foresaw is the answer of its own request alone.

    As in batch scoring, refunds before a customer's first purchase count nothing, and days whose refunds cancel their
    purchases are gone.
    """
    found: dict[int, Answer] = {}
    for places in _alike(asked):
        found |= _apart(asked, places, champion, settings, threads)
    return [found[place] for place in range(len(asked))]


def _alike(asked: Sequence[Asked]) -> list[list[int]]:
    """Places of the requests that can be scored together: of one day and one horizon."""
    groups: dict[tuple[date, int | None], list[int]] = {}
    for place, one in enumerate(asked):
        groups.setdefault((one.as_of, one.request.horizon_days), []).append(place)
    return list(groups.values())


def _apart(
    asked: Sequence[Asked], places: list[int], champion: LoadedModel, settings: Settings, threads: int
) -> dict[int, Answer]:
    """Score the group as one; where that fails, each alone, so that one bad request fails nobody else."""
    try:
        return dict(zip(places, _together([asked[place] for place in places], champion, settings, threads), strict=True))
    except Exception as error:  # noqa: BLE001 - it is the answer
        if len(places) == 1:
            return {places[0]: error}
    return {place: answer for one in places for place, answer in _apart(asked, [one], champion, settings, threads).items()}


def _together(asked: Sequence[Asked], champion: LoadedModel, settings: Settings, threads: int) -> list[Answer]:
    """Answer requests of one day and horizon."""
    as_of, horizon_days = asked[0].as_of, asked[0].request.horizon_days
    rows = [_order_rows(one, settings.zone) for one in asked]
    terms = terms_of(champion.model, as_of, str(champion.version), horizon_days)
    customers = [row for found in rows if not isinstance(found, Refusal) for row in found]
    scores = iter(_scores(customers, champion.model, terms, settings, threads))
    return [found if isinstance(found, Refusal) else _answer(list(islice(scores, len(found))), terms) for found in rows]


def _order_rows(asked: Asked, zone: ZoneInfo) -> list[_CustomerRows] | Refusal:
    rows, faults = [], []
    for place, customer in enumerate(asked.request.customers):
        moments = [order.moment(zone) for order in customer.orders]
        rows.append(_CustomerRows(customer, moments))
        late = (index for index, moment in enumerate(moments) if moment.date() >= asked.as_of)
        message = f"is on or after as_of ({asked.as_of}), the first day not observed"
        faults += [Fault(f"customers[{place}].orders[{index}].ordered_at", message) for index in late]
    return against_rule("late_order", faults) if faults else rows


def _scores(
    customers: Sequence[_CustomerRows], model: ValueModel, terms: Terms, settings: Settings, threads: int
) -> list[CustomerScore | None]:
    """The score of each customer; None without a purchase. A customer goes by the place: two requests may hold one id."""
    cutoff = day_number(terms.as_of)
    bought, features = features_of_rows(_columns(customers), cutoff, zero_amount_orders=settings.cleaning.zero_amount_orders)
    found: list[CustomerScore | None] = [None] * len(customers)
    if not len(bought):
        return found
    explained = model.explain(features, as_of=cutoff, threads=threads, horizon_days=terms.horizon_days)
    ids = [customers[place].customer.customer_id for place in bought.tolist()]
    for place, score in zip(bought.tolist(), explained_scores(ids, features, explained), strict=True):
        found[place] = score
    return found


def _columns(customers: Sequence[_CustomerRows]) -> dict[str, npt.NDArray[Any]]:
    """The orders as ``features_of_rows`` takes them, NaN where items are not known."""
    orders = [order for one in customers for order in one.customer.orders]
    moments = [moment for one in customers for moment in one.moments]
    # As features.netting.order_name: without an id, all rows of a customer at one time are one order.
    names = [order.order_id or moment.isoformat() for order, moment in zip(orders, moments, strict=True)]
    rank = {name: place for place, name in enumerate(sorted(set(names)))}
    return {
        "customer_id": np.repeat(np.arange(len(customers)), [len(one.moments) for one in customers]),
        "order_id": np.array([rank[name] for name in names], dtype=np.int64),
        "ordered_at": np.array(moments, dtype="datetime64[us]").astype(np.int64),
        "order_day": np.array([day_number(moment) for moment in moments], dtype=np.int64),
        "amount": np.array([order.amount for order in orders], dtype=np.float64),
        "items": np.array([order.items for order in orders], dtype=np.float64),
    }


def _answer(scores: Sequence[CustomerScore | None], terms: Terms) -> Answered | Refusal:
    known = tuple(score for score in scores if score is not None)
    if len(known) < len(scores):
        return _not_bought([place for place, score in enumerate(scores) if score is None], terms.as_of)
    return Answered(orjson.dumps({"predictions": [wire(score, terms) for score in known]}), known)


def _not_bought(places: Sequence[int], as_of: date) -> Refusal:
    message = f"hold no purchase before as_of ({as_of}): nothing can be predicted"
    return against_rule("no_purchase", [Fault(f"customers[{place}].orders", message) for place in places])
