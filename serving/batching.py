"""Requests that wait at the same time are scored in one pass of the model, so that they share its fixed cost.

BentoML's own adaptive batching fails all requests of a batch for one bad row; here each has its own answer, the very bytes it
would have had alone (``serving.request_scoring``). One batch runs at a time, and those that come meanwhile are the next one. Who
was just answered often asks again at once, so the next batch waits for as many as there were, two milliseconds at most: a
request that is alone waits for nobody. A large request goes another way, so that it never holds up small ones.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from configs.settings import Settings
from serving.request_scoring import Answer, Answered, Asked, answers
from serving.schemas import prediction_request

if TYPE_CHECKING:
    from models.registry import LoadedModel

MOST_CUSTOMERS = 64
"""Customers of one batch; a request of more is a batch of its own."""
MOST_ORDERS = 5_000
GATHER_SECONDS = 0.002


@dataclass(frozen=True, slots=True)
class _Waiting:
    asked: Asked
    champion: LoadedModel
    settings: Settings
    answer: asyncio.Future[Answered]

    @property
    def customers(self) -> int:
        return len(self.asked.request.customers)

    @property
    def orders(self) -> int:
        return sum(len(customer.orders) for customer in self.asked.request.customers)


class Batcher:
    """Scores requests in two threads: batches of small ones in one, large ones in the other. For one event loop."""

    def __init__(self) -> None:
        self._waiting: deque[_Waiting] = deque()
        self._working = False
        self._expected = 1
        self._gathering: asyncio.TimerHandle | None = None
        self._small = ThreadPoolExecutor(1, thread_name_prefix="model")
        self._large = ThreadPoolExecutor(1, thread_name_prefix="large")

    async def answer(self, asked: Asked, champion: LoadedModel, settings: Settings) -> Answered:
        """Score one request. Raises Refusal: it deserves one; whatever else the model raised for it alone."""
        one = _Waiting(asked, champion, settings, asyncio.get_running_loop().create_future())
        if one.orders > MOST_ORDERS or one.customers > MOST_CUSTOMERS:
            [answer] = await self._run(self._large, lambda: answers([asked], champion, settings))
            return _given(answer)
        self._waiting.append(one)
        if not self._working:
            self._working = True
            # Requests that the loop has already read join this batch.
            asyncio.get_running_loop().call_soon(self._next)
        elif self._gathering is not None and len(self._waiting) >= self._expected:
            self._next()
        return await one.answer

    async def prepare(self, as_of: date, champion: LoadedModel, settings: Settings) -> None:
        """Predict a made-up customer in each thread: the first time of a model or a day is slow. Raises what the model does."""
        asked = _made_up(as_of)
        for pool in (self._small, self._large):
            [answer] = await self._run(pool, lambda: answers([asked], champion, settings))
            _given(answer)

    async def close(self) -> None:
        """Let running work end."""
        for pool in (self._small, self._large):
            await asyncio.to_thread(pool.shutdown, cancel_futures=True)

    def _gather(self, answered: int) -> None:
        """Begin the next batch once as many wait as there were, or when they have had their time."""
        self._expected = min(answered + len(self._waiting), MOST_CUSTOMERS)
        if answered > 1 and len(self._waiting) < self._expected:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._next)
        else:
            self._next()

    def _next(self) -> None:
        if self._gathering is not None:
            self._gathering.cancel()
            self._gathering = None
        batch = self._batch()
        if not batch:
            self._working = False
            return
        asked, champion, settings = [one.asked for one in batch], batch[0].champion, batch[0].settings
        running = self._run(self._small, lambda: answers(asked, champion, settings))
        running.add_done_callback(lambda done: self._deliver(batch, done))

    def _batch(self) -> list[_Waiting]:
        """Take those waiting that are answered by one model; whoever has left is passed over."""
        batch: list[_Waiting] = []
        customers = orders = 0
        while self._waiting:
            one = self._waiting[0]
            if not one.answer.done():
                full = customers + one.customers > MOST_CUSTOMERS or orders + one.orders > MOST_ORDERS
                if batch and (full or one.champion is not batch[0].champion):
                    break
                batch.append(one)
                customers, orders = customers + one.customers, orders + one.orders
            self._waiting.popleft()
        return batch

    def _deliver(self, batch: list[_Waiting], done: asyncio.Future[list[Answer]]) -> None:
        if done.cancelled():
            for one in batch:
                one.answer.cancel()
            return
        error = done.exception()
        found: Sequence[Answer] = [error] * len(batch) if isinstance(error, Exception) else done.result()
        for one, answer in zip(batch, found, strict=True):
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)
        self._gather(len(batch))

    @staticmethod
    def _run(pool: ThreadPoolExecutor, work: Callable[[], list[Answer]]) -> asyncio.Future[list[Answer]]:
        return asyncio.get_running_loop().run_in_executor(pool, work)


def _given(answer: Answer) -> Answered:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _made_up(as_of: date) -> Asked:
    """Somebody with two orders."""
    days = [(as_of - timedelta(days=days)).isoformat() for days in (40, 10)]
    orders = [{"ordered_at": day, "amount": 20.0, "items": 1.0} for day in days]
    return Asked(prediction_request({"customers": [{"customer_id": "made-up", "orders": orders}]}), as_of)
