"""The HTTP routes, as a Starlette app that BentoML mounts; the guard in front has checked path, method and body."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route as StarletteRoute

from configs.errors import NotFoundError, SettingsError, StoreError
from serving import routes
from serving.docs_page import DOCS_HEADERS, docs_page
from serving.exports import Table, csv_chunks, xlsx_bytes
from serving.guard import SCOPE_KEY, Passage, Route
from serving.list_query import PAGED, WHOLE, ListQuery, list_query
from serving.lists import churn_risk_page, churn_risk_rows, list_table, wire_page
from serving.live import Live, not_ready
from serving.openapi import CSV_TYPE, XLSX_TYPE, openapi
from serving.predictions import CustomerScore, wire
from serving.refusal import JSON_TYPE, Fault, Refusal, json_bytes
from serving.schemas import invalid, prediction_request
from serving.store import ScoringRun, Store

logger = logging.getLogger("foretier.serving")
Handler = Callable[["Asked"], Awaitable[Response]]
MAX_SHEET_ROWS = 50_000
PLAIN_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}


class Asked:
    """One request as the handlers see it: the parts of the path, the query, the parsed body."""

    def __init__(self, request: Request) -> None:
        passage: Passage = request.scope[SCOPE_KEY]
        self.parameters = passage.parameters
        self.body = passage.body
        self._raw_query: bytes = request.scope.get("query_string", b"")

    def query(self, known: tuple[str, ...] = ()) -> dict[str, list[str]]:
        """Give the query parameters. Raises Refusal (400): not UTF-8, or a parameter that is not ``known``."""
        if not self._raw_query:
            return {}
        try:
            pairs = parse_qsl(self._raw_query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError:  # UnicodeDecodeError is one
            raise invalid([Fault("query", "is not percent-encoded UTF-8, or has more than 100 parameters")]) from None
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name not in known:
                offered = f"known: {', '.join(known)}" if known else "this path takes none"
                raise invalid([Fault(f"query.{name[:100]}", f"is no known parameter; {offered}")])
            values.setdefault(name, []).append(value)
        return values


class Api:
    """One method per route, all answering from what ``live()`` gives at the time of the request."""

    def __init__(self, live: Callable[[], Live]) -> None:
        self._current = live

    @property
    def _live(self) -> Live:
        return self._current()

    def app(self) -> Starlette:
        """Make the ASGI app; BentoML's own ``/metrics`` is not in it."""
        handlers: Mapping[Route, Handler] = {
            routes.CUSTOMER: self.customer,
            routes.PREDICTIONS: self.predictions,
            routes.CHURN_RISK: self.churn_risk,
            routes.CHURN_RISK_CSV: self.churn_risk_csv,
            routes.CHURN_RISK_XLSX: self.churn_risk_xlsx,
            routes.TIERS: self.tiers,
            routes.MODEL: self.model,
            routes.LIVE: self.alive,
            routes.READY: self.ready,
            routes.OPENAPI: self.openapi,
            routes.DOCS: self.docs,
            routes.HOME: self.home,
        }
        return Starlette(
            routes=[
                StarletteRoute(route.template, _answering(handler), methods=[route.method]) for route, handler in handlers.items()
            ]
        )

    async def customer(self, asked: Asked) -> Response:
        """One customer of the published run."""
        asked.query()
        published, store, customer_id = await self._live.published(), self._live.store(), asked.parameters["customer_id"]
        run, score = await self._live.read(lambda: _customer(store, published, customer_id))
        return json_response(wire(score, run.terms))

    async def predictions(self, asked: Asked) -> Response:
        """Customers that bring their own orders."""
        from serving.request_scoring import score_request

        asked.query()
        settings, champion = self._live.settings(), self._live.champion()
        request = prediction_request(asked.body)
        as_of = request.day or (await self._live.published()).terms.as_of
        found = await self._live.score(lambda: json_bytes(score_request(request, as_of, champion, settings)))
        return Response(found, media_type=JSON_TYPE, headers=PLAIN_HEADERS)

    async def churn_risk(self, asked: Asked) -> Response:
        """One page of the marketers' list."""
        query = list_query(asked.query(PAGED))
        settings, store, run = self._live.settings(), self._live.store(), await self._live.published()

        def page() -> bytes:
            found = churn_risk_page(store, settings, query.filters, limit=query.limit, cursor=query.cursor)
            return json_bytes(wire_page(found))

        with _query_faults(query, run):
            return Response(await self._live.read(page), media_type=JSON_TYPE, headers=PLAIN_HEADERS)

    async def churn_risk_csv(self, asked: Asked) -> Response:
        """The whole list as CSV, streamed."""
        query = list_query(asked.query(WHOLE))
        table, name = await self._table(query)
        chunks = csv_chunks(table)
        first = await self._live.read(lambda: next(chunks))

        async def stream() -> AsyncIterator[bytes]:
            chunk: bytes | None = first
            while chunk is not None:
                yield chunk
                chunk = await self._live.read(lambda: next(chunks, None))

        return StreamingResponse(stream(), media_type=CSV_TYPE, headers=_download(f"{name}.csv"))

    async def churn_risk_xlsx(self, asked: Asked) -> Response:
        """The list as a workbook, at most ``MAX_SHEET_ROWS`` rows."""
        query = list_query(asked.query(WHOLE))
        table, name = await self._table(query)
        store, run = self._live.store(), await self._live.published()
        rows = await self._live.read(
            lambda: store.matching(run.run_id, tiers=query.filters.tiers, min_risk=query.filters.min_risk)
        )
        if min(rows, query.top or rows) > MAX_SHEET_ROWS:
            message = f"must be {MAX_SHEET_ROWS} or less for a workbook, and the list has {rows} customers; or ask for .csv"
            raise invalid([Fault("query.top", message)])
        body = await self._live.score(lambda: xlsx_bytes(table))
        return Response(body, media_type=XLSX_TYPE, headers=_download(f"{name}.xlsx"))

    async def _table(self, query: ListQuery) -> tuple[Table, str]:
        settings, store, run = self._live.settings(), self._live.store(), await self._live.published()
        with _query_faults(query, run):
            run, rows = await self._live.read(lambda: churn_risk_rows(store, settings, query.filters, top=query.top))
        return list_table(run, query.filters, rows), f"churn-risk-{run.terms.as_of.isoformat()}"

    async def tiers(self, asked: Asked) -> Response:
        """The tiers of the published run."""
        from serving.views import tiers_view

        asked.query()
        return json_response(tiers_view(await self._live.published()))

    async def model(self, asked: Asked) -> Response:
        """The champion."""
        from serving.views import model_view

        asked.query()
        return json_response(model_view(self._live.champion()))

    async def alive(self, _: Asked) -> Response:
        """The process serves."""
        return json_response({"status": "ok"})

    async def ready(self, _: Asked) -> Response:
        """All that is needed for predictions is there."""
        await self._live.check_ready()
        return json_response({"status": "ok"})

    async def openapi(self, _: Asked) -> Response:
        """The contract, for programs."""
        return json_response(openapi())

    async def docs(self, _: Asked) -> Response:
        """The contract, for people."""
        return Response(docs_page(openapi()), media_type="text/html", headers={**PLAIN_HEADERS, **DOCS_HEADERS})

    async def home(self, _: Asked) -> Response:
        """To the page for people."""
        return Response(status_code=307, headers={"location": "/docs"})


def _customer(store: Store, published: ScoringRun, customer_id: str) -> tuple[ScoringRun, CustomerScore]:
    score = store.find(published.run_id, customer_id)
    if score is not None:
        return published, score
    try:  # the run may be gone since it was looked up, a moment ago
        return store.customer(customer_id)
    except NotFoundError as error:
        raise Refusal(404, "customer_not_found", str(error)) from None


@contextmanager
def _query_faults(query: ListQuery, run: ScoringRun) -> Iterator[None]:
    """Name the parameter that the list refused; its other parameters were checked before."""
    try:
        yield
    except (NotFoundError, SettingsError) as error:
        unknown_tier = any(tier not in run.tier_names for tier in query.filters.tiers)
        name = "tier" if unknown_tier and not isinstance(error, SettingsError) else "cursor"
        raise Refusal(400, "invalid_request", str(error), [Fault(f"query.{name}", str(error))]) from None


def _download(name: str) -> dict[str, str]:
    return {**PLAIN_HEADERS, "content-disposition": f'attachment; filename="{name}"'}


def json_response(document: Any) -> Response:
    """Answer with JSON that holds no NaN."""
    return Response(json_bytes(document), media_type=JSON_TYPE, headers=PLAIN_HEADERS)


def _answering(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Turn what a handler raises into the one error shape; the unforeseen is logged without a value of the request."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(Asked(request))
        except Refusal as refusal:
            refused = refusal
        except StoreError as error:
            logger.error("%s", error)  # noqa: TRY400 - the traceback may show rows
            refused = not_ready("the score store cannot be read now; try again")
        except Exception as error:  # noqa: BLE001 - the last line of defence
            place = traceback_without_values(error)
            logger.error("internal error at %s: %s", request.scope["path"], place)  # noqa: TRY400
            refused = Refusal.plain(500)
        request.scope[SCOPE_KEY].shaped = True
        headers = {**PLAIN_HEADERS, **refused.headers}
        return Response(refused.body(), status_code=refused.status, media_type=JSON_TYPE, headers=headers)

    return endpoint


def traceback_without_values(error: BaseException) -> str:
    """Where an error came from: its type and places, but not its message, which may hold customers' data."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} in {' < '.join(reversed(places))}"
