"""Predictions for customers that bring their own orders: the same steps as batch scoring, on Polars, in process.

``net_orders`` -> ``feature_frame`` -> the champion -> ``serving.predictions``: nothing is implemented twice, so the
numbers are those of batch scoring of the same orders. Requests that came at the same time go that way together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import orjson
import polars as pl

from configs.days import day_number
from configs.settings import Settings
from features.customers import feature_frame
from features.netting import canonical, net_orders, sum_lines, with_history
from features.prepared import PreparedPlan
from models.columns import columns_of
from serving.predictions import CustomerScore, Terms, explained_scores, terms_of, wire
from serving.refusal import Fault, Refusal
from serving.schemas import PredictionRequest, against_rule

if TYPE_CHECKING:
    from models.registry import LoadedModel

ROW_SCHEMA = pl.Schema(
    [
        ("customer_id", pl.String()),
        ("order_id", pl.String()),
        ("ordered_at", pl.Datetime("us")),
        ("order_day", pl.Int64()),
        ("amount", pl.Float64()),
        ("items", pl.Float64()),
    ]
)
Row = tuple[str, str | None, datetime, int, float, float | None]
Answer = bytes | Refusal | Exception


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, as of one day (the first not observed)."""

    request: PredictionRequest
    as_of: date


def answers(asked: Sequence[Asked], champion: LoadedModel, settings: Settings, *, threads: int = 1) -> list[Answer]:
    """Answer several requests in one pass of the model, each as if it were alone: the very bytes.

    One answer per request, in order: the JSON body ``{"predictions": [...]}``, its customers as in the request, or the
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
    """Answer requests of one day and horizon; customers go by the place of their request and their place in it."""
    as_of, horizon_days = asked[0].as_of, asked[0].request.horizon_days
    rows = [_rows(place, one, settings) for place, one in enumerate(asked)]
    sound = [row for found in rows if not isinstance(found, Refusal) for row in found]
    if not sound:
        return [found for found in rows if isinstance(found, Refusal)]
    frame = pl.DataFrame(sound, schema=ROW_SCHEMA, orient="row")
    refunds = any(row[4] < 0 for row in sound)
    orders = _netting(settings.cleaning.zero_amount_orders, refunds=refunds).run(frame)
    features = feature_frame(nw.from_native(orders.lazy()), day_number(as_of))
    terms = terms_of(champion.model, as_of, str(champion.version), horizon_days)
    columns = columns_of(features)
    found = champion.model.explain(columns, as_of=day_number(as_of), threads=threads, horizon_days=terms.horizon_days)
    scores = {score.customer_id: score for score in explained_scores(list(features.index), columns, found)}
    return [
        found if isinstance(found, Refusal) else _answer(one.request, place, scores, terms)
        for place, (one, found) in enumerate(zip(asked, rows, strict=True))
    ]


@cache
def _netting(zero_amount_orders: Literal["purchase", "reject"], *, refunds: bool) -> PreparedPlan:
    """``net_orders``, without its middle step where there is nothing to net: a quarter of the time."""
    if refunds or zero_amount_orders == "reject":
        return PreparedPlan(lambda rows: net_orders(rows, zero_amount_orders=zero_amount_orders), ROW_SCHEMA)
    return PreparedPlan(lambda rows: canonical(with_history(sum_lines(rows))), ROW_SCHEMA)


def _rows(place: int, asked: Asked, settings: Settings) -> list[Row] | Refusal:
    zone, rows, faults = settings.zone, [], []
    for index, customer in enumerate(asked.request.customers):
        for number, order in enumerate(customer.orders):
            moment = order.moment(zone)
            if moment.date() >= asked.as_of:
                path = f"customers[{index}].orders[{number}].ordered_at"
                faults.append(Fault(path, f"is on or after as_of ({asked.as_of}), the first day not observed"))
            day = day_number(moment.date())
            rows.append((_key(place, index), order.order_id, moment, day, order.amount, order.items))
    return against_rule("late_order", faults) if faults else rows


def _key(place: int, index: int) -> str:
    """A customer among all requests: two of them may ask for the same id."""
    return f"{place}/{index}"


def _answer(request: PredictionRequest, place: int, scores: Mapping[str, CustomerScore], terms: Terms) -> bytes | Refusal:
    keys = [_key(place, index) for index in range(len(request.customers))]
    if any(key not in scores for key in keys):
        return _not_bought([index for index, key in enumerate(keys) if key not in scores], terms.as_of)
    found = [replace(scores[key], customer_id=one.customer_id) for key, one in zip(keys, request.customers, strict=True)]
    return orjson.dumps({"predictions": [wire(score, terms) for score in found]})


def _not_bought(places: Sequence[int], as_of: date) -> Refusal:
    message = f"hold no purchase before as_of ({as_of}): nothing can be predicted"
    return against_rule("no_purchase", [Fault(f"customers[{place}].orders", message) for place in places])


def score_request(request: PredictionRequest, as_of: date, champion: LoadedModel, settings: Settings) -> dict[str, Any]:
    """Answer one request as a document. Raises Refusal as ``answers`` gives it."""
    [answer] = answers([Asked(request, as_of)], champion, settings)
    if isinstance(answer, Exception):
        raise answer
    return dict(json.loads(answer))
