"""Predictions for customers that bring their own orders: the same steps as batch scoring, on Polars, in process.

``net_orders`` -> ``feature_frame`` -> the champion -> ``serving.predictions``: nothing is implemented twice, so the
numbers are those of batch scoring of the same orders.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import narwhals as nw
import polars as pl

from configs.days import day_number
from configs.settings import Settings
from features.customers import feature_frame
from features.netting import canonical, net_orders, sum_lines, with_history
from features.prepared import PreparedPlan
from serving.predictions import predicted, terms_of, wire
from serving.refusal import Fault, Refusal
from serving.schemas import PredictionRequest, invalid

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


def score_request(request: PredictionRequest, as_of: date, champion: LoadedModel, settings: Settings) -> dict[str, Any]:
    """Predict every customer of a request, in its order, as of ``as_of`` (the first day not observed).

    As in batch scoring, refunds before a customer's first purchase count nothing, and days whose refunds cancel their
    purchases are gone.

    Raises Refusal (400): an order on or after ``as_of`` (``invalid_request``); a customer without a purchase before it
    (``no_purchase``). Both name every path.
    """
    cutoff = day_number(as_of)
    rows = pl.DataFrame(_rows(request, as_of, settings), schema=ROW_SCHEMA, orient="row")
    refunds = any(order.amount < 0 for customer in request.customers for order in customer.orders)
    orders = _netting(settings.cleaning.zero_amount_orders, refunds=refunds).run(rows)
    features = feature_frame(nw.from_native(orders.lazy()), cutoff)
    _check_all_bought(request, set(features.index), as_of)
    terms = terms_of(champion.model, as_of, str(champion.version), request.horizon_days)
    found = {score.customer_id: wire(score, terms) for score in predicted(champion.model, features, terms)}
    return {"predictions": [found[customer.customer_id] for customer in request.customers]}


@cache
def _netting(zero_amount_orders: Literal["purchase", "reject"], *, refunds: bool) -> PreparedPlan:
    """``net_orders``, without its middle step where there is nothing to net: a quarter of the time."""
    if refunds or zero_amount_orders == "reject":
        return PreparedPlan(lambda rows: net_orders(rows, zero_amount_orders=zero_amount_orders), ROW_SCHEMA)
    return PreparedPlan(lambda rows: canonical(with_history(sum_lines(rows))), ROW_SCHEMA)


def _rows(request: PredictionRequest, as_of: date, settings: Settings) -> list[tuple[Any, ...]]:
    zone, rows, faults = settings.zone, [], []
    for place, customer in enumerate(request.customers):
        for index, order in enumerate(customer.orders):
            moment: datetime = order.moment(zone)
            if moment.date() >= as_of:
                path = f"customers[{place}].orders[{index}].ordered_at"
                faults.append(Fault(path, f"is on or after as_of ({as_of}), the first day not observed"))
            day = day_number(moment.date())
            rows.append((customer.customer_id, order.order_id, moment, day, order.amount, order.items))
    if faults:
        raise invalid(faults)
    return rows


def _check_all_bought(request: PredictionRequest, bought: set[str], as_of: date) -> None:
    faults = [
        Fault(f"customers[{place}].orders", f"hold no purchase before as_of ({as_of}): nothing can be predicted")
        for place, customer in enumerate(request.customers)
        if customer.customer_id not in bought
    ]
    if faults:
        others = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise Refusal(400, "no_purchase", f"{faults[0].path} {faults[0].message}{others}", faults)
