"""Requests that come at the same time share one pass of the model, and nobody notices but by the time it takes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import fields
from datetime import date
from types import SimpleNamespace
from typing import Any

import pytest

from models.value_model import ValueModel
from serving.batching import MOST_CUSTOMERS, Batcher
from serving.refusal import Refusal
from serving.request_scoring import Answered, Asked, answers
from serving.schemas import prediction_request

AS_OF = date(1998, 7, 1)


class Counting(ValueModel):
    """Notes how many customers each pass of the model is for."""

    passes: list[int] = []  # noqa: RUF012 - of the class, as the model itself is frozen

    def explain(self, features: Any, **how: Any) -> Any:
        self.passes.append(len(features["order_count"]))
        return super().explain(features, **how)


@pytest.fixture
def champion(state: Any) -> Iterator[Any]:
    Counting.passes.clear()
    return SimpleNamespace(
        version="1", model=Counting(**{one.name: getattr(state.model, one.name) for one in fields(ValueModel)})
    )


def asked(customers: int, amount: float, day: str = "1998-06-01") -> Asked:
    orders = [{"ordered_at": day, "amount": amount}]
    ids = (f"c{number}" for number in range(customers))
    return Asked(prediction_request({"customers": [{"customer_id": one, "orders": orders} for one in ids]}), AS_OF)


def outcome(answer: Any) -> Any:
    return (answer.status, answer.body()) if isinstance(answer, Refusal) else answer.body


def test_those_that_wait_are_scored_together_each_as_if_alone(state: Any, champion: Any) -> None:
    several = [asked(1 + number % 3, 10.0 + number) for number in range(30)]
    several[7] = asked(1, 5.0, day="1998-07-02")
    several[11] = asked(MOST_CUSTOMERS + 1, 7.0)
    alone = [outcome(answers([one], champion, state.settings)[0]) for one in several]
    Counting.passes.clear()

    async def go() -> list[Any]:
        batcher = Batcher()
        together = await asyncio.gather(
            *(batcher.answer(one, champion, state.settings) for one in several), return_exceptions=True
        )
        await batcher.close()
        return [outcome(one) for one in together]

    assert asyncio.run(go()) == alone
    assert len(Counting.passes) < 6
    assert sum(Counting.passes) == sum(len(one.request.customers) for one in several) - 1
    assert max(Counting.passes) == MOST_CUSTOMERS + 1


def test_whoever_leaves_is_not_scored_and_holds_up_nobody(state: Any, champion: Any) -> None:
    async def go() -> Any:
        batcher = Batcher()
        first = asyncio.create_task(batcher.answer(asked(1, 10.0), champion, state.settings))
        await asyncio.sleep(0.01)
        waiting = [asyncio.create_task(batcher.answer(asked(2, 20.0), champion, state.settings)) for _ in range(5)]
        last = asyncio.create_task(batcher.answer(asked(1, 30.0), champion, state.settings))
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        found = [await first, await last]
        for one in waiting:
            with suppress(asyncio.CancelledError):
                await one
        await batcher.close()
        return found

    assert all(isinstance(one, Answered) for one in asyncio.run(go()))
    assert sum(Counting.passes) in (2, 12)  # those that left were passed over, if the first was still at work
