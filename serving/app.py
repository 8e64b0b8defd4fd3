"""The handlers of the HTTP routes; the guard in front has checked host, path, method, key and body."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
from starlette.responses import Response

from configs.errors import NotFoundError
from serving import request_scoring, routes
from serving.changes_query import CHANGES_PAGED, changes_document, changes_query
from serving.console_page import PAGE, console_file
from serving.docs_page import DOCS_HEADERS, docs_page
from serving.guard import Asked, Handler
from serving.list_api import LANGUAGE, ListApi
from serving.list_query import language_of
from serving.live import Live
from serving.metrics import METRICS_TYPE
from serving.openapi import Offer, openapi
from serving.predictions import CustomerScore, orders_view, wire
from serving.refusal import JSON_TYPE, PLAIN_HEADERS, Refusal, json_bytes, not_ready
from serving.routes import Route
from serving.schemas import prediction_request
from serving.store import ScoringRun, Store


class Api:
    """One method per route, all answering from what ``live()`` gives at the time of the request."""

    def __init__(self, live: Callable[[], Live]) -> None:
        self._current = live

    @property
    def _live(self) -> Live:
        return self._current()

    def handlers(self) -> dict[Route, Handler]:
        """Give the handler of every route."""
        return {
            routes.CUSTOMER: self.customer,
            routes.PREDICTIONS: self.predictions,
            routes.ORDERS: self.orders,
            routes.CHANGES: self.changes,
            routes.TIERS: self.tiers,
            routes.MODEL: self.model,
            routes.LIVE: self.alive,
            routes.READY: self.ready,
            routes.METRICS: self.metrics,
            routes.OPENAPI: self.openapi,
            routes.DOCS: self.docs,
            routes.HOME: self.home,
            routes.CONSOLE: self.console,
            **ListApi(self._current).handlers(),
        }

    async def customer(self, asked: Asked) -> Response:
        """One customer of the published run."""
        language = language_of(asked.query(LANGUAGE)) or self._live.settings().language
        run, score = await self._found(asked)
        self._live.metrics.predictions([score])
        return Response(orjson.dumps(wire(score, run.terms, language)), media_type=JSON_TYPE, headers=PLAIN_HEADERS)

    async def orders(self, asked: Asked) -> Response:
        """The last purchase days of one customer of the published run."""
        asked.query()
        run, score = await self._found(asked)
        return json_response(orders_view(score, run.terms))

    async def _found(self, asked: Asked) -> tuple[ScoringRun, CustomerScore]:
        """The customer of the path, in the run that is answered from."""
        run, store, customer_id = self._live.run(), self._live.store(), asked.parameters["customer_id"]
        seen = asked.key is None or asked.key.may_see(customer_id)
        return await self._live.read(lambda: _customer(store, run, customer_id, seen=seen))

    async def predictions(self, asked: Asked) -> Response:
        """Customers that bring their own orders."""
        asked.query()
        settings, champion = self._live.settings(), self._live.champion()
        request = prediction_request(asked.body)
        as_of = request.day or self._live.run().terms.as_of
        answer = await self._live.batcher.answer(request_scoring.Asked(request, as_of), champion, settings)
        self._live.metrics.predictions(answer.scores)
        return Response(answer.body, media_type=JSON_TYPE, headers=PLAIN_HEADERS)

    async def changes(self, asked: Asked) -> Response:
        """One page of what changed since the scoring run before."""
        query = changes_query(asked.query(CHANGES_PAGED))
        settings, store, run = self._live.settings(), self._live.store(), self._live.run()
        return await self._live.read_list(lambda: json_response(changes_document(store, settings, query, run)))

    async def tiers(self, asked: Asked) -> Response:
        """The tiers of the published run."""
        from serving.views import tiers_view

        asked.query()
        return json_response(tiers_view(self._live.run()))

    async def model(self, asked: Asked) -> Response:
        """The champion."""
        from serving.views import model_view

        asked.query()
        return json_response(model_view(self._live.champion()))

    async def alive(self, _: Asked) -> Response:
        """The process serves."""
        return json_response({"status": "ok"})

    async def ready(self, asked: Asked) -> Response:
        """All that is needed for predictions is there; what is wrong though it serves on is told.

        Faults name addresses and folders: in words they are told to this machine alone, and to others by what it is about.
        """
        try:
            faults = self._live.check_ready()
        except Refusal:
            if asked.local:
                raise
            raise not_ready("something is missing that is needed; /readyz tells it on the machine itself") from None
        told = list(faults.values()) if asked.local else list(faults)
        return json_response({"status": "degraded" if faults else "ok", "faults": told})

    async def metrics(self, asked: Asked) -> Response:
        """The metrics, for Prometheus."""
        asked.query()
        return Response(self._live.metrics.render(), headers={**PLAIN_HEADERS, "content-type": METRICS_TYPE})

    async def openapi(self, _: Asked) -> Response:
        """The contract, for programs."""
        return json_response(openapi(self._offer()))

    async def docs(self, _: Asked) -> Response:
        """The contract, for people."""
        return Response(docs_page(openapi(self._offer())), media_type="text/html", headers={**PLAIN_HEADERS, **DOCS_HEADERS})

    async def home(self, _: Asked) -> Response:
        """The console."""
        return console_file(PAGE)

    async def console(self, asked: Asked) -> Response:
        """A file of the console."""
        return console_file(asked.parameters["file"])

    def _offer(self) -> Offer:
        """What is described: as far as it is known, where nothing is published or the keys cannot be read."""
        tiers: tuple[str, ...] = ()
        needs_key = True
        with suppress(Refusal):
            tiers = tuple(self._live.run().tier_names)
        with suppress(Refusal):
            needs_key = not self._live.keys().empty
        return Offer(tiers, needs_key, self._live.serving().max_body_bytes)


def _customer(store: Store, run: ScoringRun, customer_id: str, *, seen: bool) -> tuple[ScoringRun, CustomerScore]:
    """Look a customer up; one that the key may not see is looked up too, and then as unknown as one that there is not."""
    score = store.find(run.run_id, customer_id)
    if score is None or not seen:
        try:  # two runs may have been published since, and this one be gone
            run, score = store.customer(customer_id)
        except NotFoundError:
            score = None
    if score is None or not seen:
        message = (
            f"there is no customer of this id in the scoring run as of {run.terms.as_of}; ids are compared exactly, leading "
            "zeros and capitals included"
        )
        raise Refusal(404, "customer_not_found", message)
    return run, score


def json_response(document: Any) -> Response:
    """Answer with JSON that holds no NaN."""
    return Response(json_bytes(document), media_type=JSON_TYPE, headers=PLAIN_HEADERS)
