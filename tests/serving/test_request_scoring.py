"""Requests answered together: each gets the very bytes that it would get alone."""

from __future__ import annotations

import json
import random
from dataclasses import fields
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from configs.settings import Serving
from models.value_model import ValueModel
from serving.openapi import openapi
from serving.refusal import Refusal
from serving.request_scoring import Answer, Answered, Asked, answers
from serving.schemas import MAX_ORDERS, PredictionRequest, prediction_request

DAY = date(1998, 7, 1)


def asked(customers: list[dict[str, Any]], as_of: date = DAY, **more: Any) -> Asked:
    return Asked(prediction_request({"customers": customers, **more}), as_of)


def drawn(dice: random.Random) -> dict[str, Any]:
    """One customer with ids that others have too, refunds, free orders, orders of one moment; some without a purchase."""
    orders = [
        {
            "ordered_at": (date(1998, 6, 30) - timedelta(days=int(dice.expovariate(1 / 90)))).isoformat(),
            "amount": dice.choice([-12.5, 0.0, 9.99, 12.5, 250.0, 90_000.0]),
            **({"items": float(dice.randint(1, 9))} if dice.random() < 0.6 else {}),
            **({"order_id": str(dice.randint(1, 3))} if dice.random() < 0.5 else {}),
        }
        for _ in range(dice.choice([1, 1, 2, 6, 20]))
    ]
    return {"customer_id": f"{dice.randint(1, 4)}", "orders": orders}


def requests(seed: int, number: int) -> list[Asked]:
    dice = random.Random(seed)
    made = []
    for _ in range(number):
        customers = {one["customer_id"]: one for one in (drawn(dice) for _ in range(dice.choice([1, 1, 1, 4])))}
        horizon = dice.choice([{}, {}, {"horizon_days": 30}, {"horizon_days": 365}])
        made.append(asked(list(customers.values()), dice.choice([DAY, DAY, date(1998, 5, 3)]), **horizon))
    return made


def plain(answer: Answer) -> Any:
    """An answer as something to compare."""
    return (answer.status, answer.body()) if isinstance(answer, Refusal) else answer


@pytest.mark.parametrize("seed", range(4))
def test_each_request_is_answered_as_if_it_were_alone(state: Any, champion: Any, seed: int) -> None:
    several = requests(seed, 40)
    together = answers(several, champion, state.settings)
    alone = [answers([one], champion, state.settings)[0] for one in several]
    assert [plain(one) for one in together] == [plain(one) for one in alone]
    assert {type(one) for one in together} == {Answered, Refusal}
    for one, answer in zip(several, together, strict=True):
        if isinstance(answer, Answered):
            told = json.loads(answer.body)["predictions"]
            assert [each["customer_id"] for each in told] == [each.customer_id for each in one.request.customers]
            assert {each["as_of"] for each in told} == {one.as_of.isoformat()}


def test_two_customers_of_one_id_never_mix(state: Any, champion: Any) -> None:
    small, large = (
        asked([{"customer_id": "1", "orders": [{"ordered_at": "1998-06-01", "amount": amount}]}]) for amount in (5, 500)
    )
    given = answers([small, large, small], champion, state.settings)
    found = [json.loads(one.body)["predictions"][0] for one in given if isinstance(one, Answered)]
    assert found[0] == found[2]
    assert found[0]["predicted_value"] < found[1]["predicted_value"]


class Poisoned(ValueModel):
    """A model that fails whenever a customer has spent a certain sum."""

    def explain(self, features: Any, **how: Any) -> Any:
        if 666.0 in features["total_spend"]:
            raise ZeroDivisionError
        return super().explain(features, **how)


def test_a_fault_of_one_fails_nobody_else(state: Any, champion: Any) -> None:
    parts = {one.name: getattr(champion.model, one.name) for one in fields(ValueModel)}
    broken = SimpleNamespace(version="1", model=Poisoned(**parts))
    several = requests(7, 12)
    several.insert(5, asked([{"customer_id": "1", "orders": [{"ordered_at": "1998-06-01", "amount": 666}]}]))
    found, expected = answers(several, broken, state.settings), answers(several, champion, state.settings)
    assert isinstance(found[5], ZeroDivisionError)
    assert isinstance(expected[5], Answered)
    assert [plain(one) for one in found[:5] + found[6:]] == [plain(one) for one in expected[:5] + expected[6:]]


def test_every_order_out_of_time_and_every_customer_without_a_purchase_is_named(state: Any, champion: Any) -> None:
    late = {"ordered_at": "1998-07-01", "amount": 1}
    good = {"ordered_at": "1998-06-30", "amount": 1}
    refund = {"ordered_at": "1998-06-30", "amount": -1}
    found = answers(
        [
            asked([{"customer_id": "a", "orders": [good, late]}, {"customer_id": "b", "orders": [late]}]),
            asked([{"customer_id": "a", "orders": [refund]}, {"customer_id": "b", "orders": [good]}]),
        ],
        champion,
        state.settings,
    )
    paths = [[fault.path for fault in one.details] for one in found if isinstance(one, Refusal)]
    assert paths == [["customers[0].orders[1].ordered_at", "customers[1].orders[0].ordered_at"], ["customers[0].orders"]]


def test_nobody_asked_nothing_answered(state: Any, champion: Any) -> None:
    assert answers([], champion, state.settings) == []


def test_the_most_orders_of_a_request_can_be_sent() -> None:
    smallest = {"ordered_at": "2011-05-01", "amount": 1}
    document: dict[str, Any] = {"customers": [{"customer_id": "1", "orders": [smallest] * MAX_ORDERS}]}
    request: PredictionRequest = prediction_request(document)
    assert len(request.customers[0].orders) == MAX_ORDERS
    document["customers"].append({"customer_id": "2", "orders": [smallest]})
    assert len(json.dumps(document)) < Serving().max_body_bytes
    with pytest.raises(Refusal, match="more than 20,000 orders"):
        prediction_request(document)
    assert "1,000 customers and 20,000 orders" in str(openapi()["paths"])


@pytest.fixture(scope="module")
def champion(state: Any) -> Any:
    """The model as the registry gives it."""
    return SimpleNamespace(version="1", model=state.model)
