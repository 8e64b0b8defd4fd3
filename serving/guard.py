"""The outermost ASGI layer: what does not belong to the contract never reaches BentoML.

BentoML's server has no body limit, takes NaN and drops unknown fields; it counts requests per raw path, so that every
unknown path and every customer id would become a series of its own in ``/metrics``; its own pages load a third-party
script, and its error bodies have several shapes. Therefore, for every request, in this order:

1. the path is matched against the routes of the contract: 404, 405;
2. the body is checked: 413 before it is read, 415, 400 (see ``serving.strict_json``);
3. the request is passed on under the route's template as its path (``/v1/customers/{customer_id}``), with what was read
   in a :class:`Passage`: the parts of the path are decoded once, so ids may hold blanks and slashes, and no id gets
   into logs and metrics;
4. whatever comes back as an error in another shape than ours is replaced by the one shape.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import unquote_to_bytes

from serving.refusal import JSON_TYPE, Fault, Refusal
from serving.strict_json import parse

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MAX_BODY_BYTES = 1024 * 1024
MAX_SEGMENT_BYTES = 6000
SCOPE_KEY = "foretier"


@dataclass(frozen=True, slots=True)
class Route:
    """One path of the contract: ``{name}`` stands for one part of it. Only POST has a body."""

    method: Literal["GET", "POST"]
    template: str

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are answered."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


@dataclass(slots=True)
class Passage:
    """What the guard has read of a request, under ``scope["foretier"]``; ``shaped``: an error already has our shape."""

    parameters: dict[str, str] = field(default_factory=dict)
    body: Any = None
    shaped: bool = False


class _DisconnectedError(Exception):
    """The client went away while its body was read."""


class Guard:
    """Wrap ``app``: only ``routes`` are reachable, bodies are at most ``max_body`` bytes of sound JSON."""

    def __init__(self, app: App, routes: Iterable[Route], *, max_body: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._max_body = max_body
        routes = tuple(routes)
        self._fixed = {route.template: route for route in routes if "{" not in route.template}
        self._open = [(route, route.template.split("/")) for route in routes if "{" in route.template]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection: HTTP is guarded, websockets are closed, the lifespan is passed on."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1003})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            route, parameters = self._route(scope)
            body = await self._body(route, scope, receive)
        except Refusal as refusal:
            await send_refusal(send, refusal)
        except _DisconnectedError:
            return
        else:
            passage = Passage(parameters, body)
            inner = {**scope, "path": route.template, "raw_path": route.template.encode(), SCOPE_KEY: passage}
            await self._app(inner, _bodiless(receive), _shaped(send, passage))

    def _route(self, scope: Scope) -> tuple[Route, dict[str, str]]:
        raw: bytes = scope.get("raw_path") or scope["path"].encode()
        found = self._find(raw)
        if found is None:
            raise Refusal.plain(404)
        if scope["method"] not in found[0].methods:
            allowed = ", ".join(found[0].methods)
            raise Refusal(405, "method_not_allowed", f"This path takes {allowed}", headers={"allow": allowed})
        return found

    def _find(self, raw: bytes) -> tuple[Route, dict[str, str]] | None:
        route = self._fixed.get(raw.decode("latin-1"))
        if route is not None:
            return route, {}
        segments = raw.split(b"/")
        for route, parts in self._open:
            if len(parts) == len(segments) and all(
                part.startswith("{") or part.encode() == segment for part, segment in zip(parts, segments, strict=True)
            ):
                named = [(part, segment) for part, segment in zip(parts, segments, strict=True) if part.startswith("{")]
                if all(segment for _, segment in named):
                    return route, {part[1:-1]: _decoded(segment) for part, segment in named}
        return None

    async def _body(self, route: Route, scope: Scope, receive: Receive) -> Any:
        headers = {name.lower(): value for name, value in scope["headers"]}
        if _declared_length(headers) > self._max_body:
            raise self._too_large()
        if route.method == "GET":
            if b"transfer-encoding" in headers:
                raise Refusal(400, "invalid_request", "GET takes no body", headers={"connection": "close"})
            return None
        _check_type(headers)
        return parse(await self._read(receive))

    async def _read(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _DisconnectedError
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > self._max_body:
                raise self._too_large()
            more = message.get("more_body", False)
        return b"".join(chunks)

    def _too_large(self) -> Refusal:
        message = f"The body may have {self._max_body:,} bytes; send the customers in several requests"
        return Refusal(413, "payload_too_large", message, headers={"connection": "close"})


async def send_refusal(send: Send, refusal: Refusal) -> None:
    """Answer with the one error shape."""
    body = refusal.body()
    headers = {
        "content-type": JSON_TYPE, "content-length": str(len(body)), "x-content-type-options": "nosniff",
        "cache-control": "no-store", **refusal.headers,
    }  # fmt: skip
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": body})


def _decoded(segment: bytes) -> str:
    if len(segment) > MAX_SEGMENT_BYTES:
        raise Refusal(400, "invalid_request", "A part of the path is too long", (Fault("path", "is too long"),))
    try:
        return unquote_to_bytes(segment).decode("utf-8")
    except UnicodeDecodeError:
        fault = Fault("path", "is not percent-encoded UTF-8")
        raise Refusal(400, "invalid_request", "The path is not percent-encoded UTF-8", (fault,)) from None


def _declared_length(headers: dict[bytes, bytes]) -> int:
    try:
        return int(headers.get(b"content-length", b"0"))
    except ValueError:
        return 0


def _check_type(headers: dict[bytes, bytes]) -> None:
    """Raise 415 for anything but plain JSON in UTF-8; the rest of an unread body is not waited for."""
    media, _, rest = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    charset = rest.replace(" ", "").strip(";")
    plain = headers.get(b"content-encoding", b"identity").strip().lower() == b"identity"
    if media.strip() == JSON_TYPE and charset in ("", "charset=utf-8", 'charset="utf-8"') and plain:
        return
    message = "The body must be JSON: content-type application/json, in UTF-8, without content-encoding"
    raise Refusal(415, "unsupported_media_type", message, headers={"connection": "close"})


def _bodiless(receive: Receive) -> Receive:
    """Give the inner app an empty body, then whatever comes (a disconnect)."""
    ended = False

    async def inner() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        ended = True
        return {"type": "http.request", "body": b"", "more_body": False}

    return inner


def _shaped(send: Send, passage: Passage) -> Send:
    """Replace an error that is not in our shape (a timeout of BentoML, an error of Starlette) by the one shape."""
    replaced = False

    async def inner(message: Message) -> None:
        nonlocal replaced
        if replaced:
            return
        if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST and not passage.shaped:
            replaced = True
            await send_refusal(send, Refusal.plain(message["status"]))
        else:
            await send(message)

    return inner
