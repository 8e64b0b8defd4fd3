"""The outermost ASGI layer: what does not belong to the contract never reaches a handler.

BentoML runs the server's processes; its own routes are not offered. They have no body limit, take NaN and drop unknown
fields, count every unknown path as a series of its own, load a third-party script, and answer errors in several shapes. So
every request goes, in this order:

1. its host must be one of this service's, its path and method one of the contract: 400, 404, 405;
2. its key must be valid, made for this, and not too fast: 401, 403, 429 (``serving.access``);
3. there must be room among the requests being worked on: 503;
4. its body is read within a size and a time, and must be sound JSON: 413, 415, 408, 400 (``serving.request_body``);
5. its handler answers within a time: 504; whatever goes wrong has the one shape.

Every request is counted and logged under its route's template, so that no id gets into logs and metrics.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from starlette.responses import Response, StreamingResponse

from configs.errors import StoreError
from configs.settings import Serving
from serving.access import admitted, check_host
from serving.keys import Key, KeyRing, is_loopback
from serving.metrics import Metrics
from serving.rate_limit import RateLimit
from serving.refusal import JSON_TYPE, PLAIN_HEADERS, Fault, Refusal, not_ready
from serving.request_body import DisconnectedError, Message, Receive, declared_length, no_body, read_body
from serving.request_log import log_request, traceback_without_values
from serving.routes import Route, RouteTable
from serving.schemas import invalid
from serving.strict_json import parse

Scope = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_SEGMENT_BYTES = 6000
SMALL_BODY_BYTES = 65_536
"""A shorter body of a request that is refused may still come, and is dropped; for a longer one the connection is closed."""
PLACE_BYTES = 65_536
"""A body takes one place more among the requests at work for every so many bytes: read, it fills memory many times as large."""
CLIENT_LEFT = 499
"""Counted and logged, never sent: the client went away, or took nothing of its answer."""
UNKNOWN = "unknown"
"""Stands for the path of requests that have none of ours."""

logger = logging.getLogger("foretier.serving")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the handlers see it: the decoded parts of the path, the raw query, the parsed body, the key.

    ``local``: it comes from this machine.
    """

    parameters: Mapping[str, str] = field(default_factory=dict)
    raw_query: bytes = b""
    body: Any = None
    key: Key | None = None
    local: bool = False

    def query(self, known: tuple[str, ...] = ()) -> dict[str, list[str]]:
        """Give the query parameters. Raises Refusal (400): not UTF-8, or a parameter that is not ``known``."""
        if not self.raw_query:
            return {}
        try:
            pairs = parse_qsl(self.raw_query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
        except ValueError:  # UnicodeDecodeError is one
            raise invalid([Fault("query", "is not percent-encoded UTF-8, or has more than 100 parameters")]) from None
        values: dict[str, list[str]] = {}
        for name, value in pairs:
            if name not in known:
                offered = f"known: {', '.join(known)}" if known else "this path takes none"
                raise invalid([Fault(f"query.{name[:100]}", f"is no known parameter; {offered}")])
            values.setdefault(name, []).append(value)
        return values


Handler = Callable[[Asked], Awaitable[Response]]


class Guard:
    """Answer the routes of ``handlers``; ``serving`` and ``keys`` give what holds at the time of a request.

    ``lifespan``: the app that is started and stopped with the server.
    """

    def __init__(
        self,
        handlers: Mapping[Route, Handler],
        *,
        lifespan: App,
        serving: Callable[[], Serving],
        keys: Callable[[], KeyRing],
        metrics: Metrics,
    ) -> None:
        self._handlers = handlers
        self._lifespan = lifespan
        self._serving, self._keys, self._metrics = serving, keys, metrics
        self._routes = RouteTable(tuple(handlers))
        self._limits = RateLimit()
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection: HTTP is guarded, websockets are closed, the lifespan is passed on."""
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1003})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, send)
        try:
            await self._answer(exchange, receive)
        except DisconnectedError:
            exchange.status = CLIENT_LEFT
        finally:
            seconds = time.perf_counter() - exchange.began
            self._metrics.request(exchange.template, exchange.status, seconds)
            log_request(exchange.template, exchange.method, exchange.status, seconds, exchange.key)

    async def _answer(self, exchange: Exchange, receive: Receive) -> None:
        """Send an answer, whatever happens; an error of the handler's own is logged without a value of the request."""
        try:
            await self._handled(exchange, receive)
        except Refusal as refusal:
            await exchange.refuse(refusal)
        except StoreError as error:
            logger.error("%s", error)  # noqa: TRY400 - the traceback may show rows
            await exchange.refuse(not_ready("the score store cannot be read now; try again"))
        except TimeoutError:
            await exchange.refuse(Refusal.plain(504))
        except DisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence
            logger.error("internal error at %s: %s", exchange.template, traceback_without_values(error))  # noqa: TRY400
            await exchange.refuse(Refusal.plain(500))

    async def _handled(self, exchange: Exchange, receive: Receive) -> None:
        serving = self._serving()
        check_host(exchange.headers, serving)
        route, parts = self._route(exchange)
        peer = (exchange.scope.get("client") or ("",))[0]
        if route.scope is not None:
            now = datetime.now(UTC)
            exchange.key = admitted(
                route.scope, exchange.headers, peer, self._keys(), self._limits, serving, at=now, tick=time.monotonic()
            )
        parameters = {name: _decoded(segment) for name, segment in parts.items()}
        with self._room(route, exchange.headers, serving):
            body = await _body(route, exchange, receive, serving)
            asked = Asked(parameters, exchange.scope.get("query_string", b""), body, exchange.key, is_loopback(peer))
            async with asyncio.timeout(serving.request_seconds):
                response = await self._handlers[route](asked)
                if not isinstance(response, StreamingResponse):
                    await exchange.send_whole(response, receive)
                    return
            await exchange.send_stream(response, receive, serving.request_seconds)

    @contextmanager
    def _room(self, route: Route, headers: Mapping[bytes, bytes], serving: Serving) -> Iterator[None]:
        """Hold places among the requests being worked on. Raises Refusal (503): there are too few, and others hold some."""
        if route.scope is None:
            yield
            return
        places = _places(headers, serving)
        if self._at_work and self._at_work + places > serving.max_concurrent_requests:
            raise Refusal(
                503, "overloaded", "The service is busy; Retry-After says when to ask again", headers={"retry-after": "1"}
            )
        self._at_work += places
        try:
            yield
        finally:
            self._at_work -= places

    def _route(self, exchange: Exchange) -> tuple[Route, dict[str, bytes]]:
        raw: bytes = exchange.scope.get("raw_path") or exchange.scope["path"].encode()
        found = self._routes.find(raw)
        if found is None:
            raise Refusal.plain(404)
        routes, parts = found
        exchange.template = routes[0].template
        method = exchange.scope["method"]
        route = next((route for route in routes if method in route.methods), None)
        if route is None:
            allowed = ", ".join(method for route in routes for method in route.methods)
            raise Refusal(405, "method_not_allowed", f"This path takes {allowed}", headers={"allow": allowed})
        exchange.method = method
        return route, parts


class Exchange:
    """One request and its answer: what is known of it so far, for the count and the log.

    ``method`` and ``template`` are named only once they are known to be of the contract: both become labels.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self.scope, self._send = scope, send
        self.headers: dict[bytes, bytes] = {name.lower(): value for name, value in scope["headers"]}
        self.began = time.perf_counter()
        self.method, self.template = UNKNOWN, UNKNOWN
        self.key: Key | None = None
        self.status = 0
        self._started = False
        self.keeps_open = scope["method"] in ("GET", "HEAD") or declared_length(self.headers) in range(1, SMALL_BODY_BYTES)

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with the one error shape; what is left of a long body that was not read is not waited for.

        Raises DisconnectedError: an answer was begun already, and can only be broken off.
        """
        if self._started:
            raise DisconnectedError
        self.status = refusal.status
        body = refusal.body()
        headers = {"content-type": JSON_TYPE, "content-length": str(len(body)), **PLAIN_HEADERS, **refusal.headers}
        if not self.keeps_open:
            headers["connection"] = "close"
        raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": refusal.status, "headers": raw})
        await self._send({"type": "http.response.body", "body": body})

    async def send_whole(self, response: Response, receive: Receive) -> None:
        """Send an answer that is there as a whole."""
        self.status, self._started = response.status_code, True
        await response(self.scope, receive, self._send)

    async def send_stream(self, response: StreamingResponse, receive: Receive, seconds: float) -> None:
        """Send an answer piece by piece; a client that does not take one for ``seconds`` is left."""
        self.status = response.status_code

        async def send(message: Message) -> None:
            self._started = True
            async with asyncio.timeout(seconds):
                await self._send(message)

        await response(self.scope, receive, send)


def _places(headers: Mapping[bytes, bytes], serving: Serving) -> int:
    """Of one request: by the length of its body, the greatest one where its headers do not tell it."""
    length = serving.max_body_bytes if b"transfer-encoding" in headers else declared_length(headers)
    return 1 + min(length, serving.max_body_bytes) // PLACE_BYTES


async def _body(route: Route, exchange: Exchange, receive: Receive, serving: Serving) -> Any:
    if route.method == "GET":
        no_body(exchange.headers, serving.max_body_bytes)
        return None
    body = await read_body(exchange.headers, receive, max_bytes=serving.max_body_bytes, seconds=serving.body_seconds)
    exchange.keeps_open = True
    return parse(body)


def _decoded(segment: bytes) -> str:
    if len(segment) > MAX_SEGMENT_BYTES:
        raise Refusal(400, "invalid_request", "A part of the path is too long", (Fault("path", "is too long"),))
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        fault = Fault("path", "is not percent-encoded UTF-8")
        raise Refusal(400, "invalid_request", "The path is not percent-encoded UTF-8", (fault,)) from None
