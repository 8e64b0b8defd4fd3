"""How the server speaks HTTP/1.1: uvicorn's own protocol, with what it lacks towards slow, broken and departing clients.

uvicorn waits for ever for the headers of a request, answers what is no HTTP in a shape of its own, and on SIGTERM closes idle
connections at once, even where a request has just been sent on one. It sends head and body of an answer one after the other,
which costs the server a second call of the system and the client a second awakening. This module is the only place that knows
of uvicorn.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, TimerHandle, Transport
from typing import Any

import uvicorn.protocols.http.auto
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from serving.refusal import JSON_TYPE, Code, Refusal

DRAIN_SECONDS = 1.0
"""How long an idle connection stays open on SIGTERM: what was sent meanwhile is answered, and the connection then closed."""


def install(header_seconds: float) -> None:
    """Let the uvicorn of this process use :class:`Protocol`; BentoML's worker offers no option for it."""
    Protocol.header_seconds = header_seconds
    uvicorn.protocols.http.auto.AutoHTTPProtocol = Protocol


class Together:
    """A transport that sends as one piece what is written to it in one turn of the loop."""

    def __init__(self, transport: Transport, loop: AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send soon, together with what comes until then."""
        if not self._pieces:
            self._loop.call_soon(self._send)
        self._pieces.append(data)

    def close(self) -> None:
        """Close once everything is sent."""
        self._send()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """Do all else as the transport does it."""
        return getattr(self._transport, name)

    def _send(self) -> None:
        pieces, self._pieces = self._pieces, []
        if pieces and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))


class Protocol(HttpToolsProtocol):
    """One connection: the headers of a request must come within ``header_seconds`` of its first byte, or of the connection."""

    header_seconds = 10.0

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._header_timer: TimerHandle | None = None
        self._leaving = False

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # asyncio's own says BaseTransport
        """Begin to wait for the first request."""
        super().connection_made(Together(transport, self.loop))  # type: ignore[arg-type]  # all that uvicorn asks of one
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Take what came; whatever is no whole head of a request has to become one in time."""
        super().data_received(data)
        if self._is_idle() and not self.transport.is_closing():
            self._await_headers()

    def on_headers_complete(self) -> None:
        """Stop waiting: the request is handed to the app."""
        self._stop_waiting()
        super().on_headers_complete()
        if self._leaving:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Leave: requests that are here or on their way are answered, and each answer closes its connection."""
        self._leaving = True
        if self._is_idle():
            self.loop.call_later(DRAIN_SECONDS, self._close_if_idle)
        else:
            self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP with the one error shape."""
        self._refuse(400, "Bad Request", "invalid_request", msg)

    def _should_upgrade(self) -> bool:
        """Take websockets for plain requests: there are none here."""
        return False

    def _is_idle(self) -> bool:
        return self.cycle is None or bool(self.cycle.response_complete)

    def _await_headers(self) -> None:
        if self._header_timer is None:
            self._header_timer = self.loop.call_later(self.header_seconds, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _close_if_idle(self) -> None:
        if self._is_idle() and not self.transport.is_closing():
            self.transport.close()

    def _too_slow(self) -> None:
        self._header_timer = None
        if not self.transport.is_closing():
            message = f"The headers took longer than {self.header_seconds:g} seconds to come"
            self._refuse(408, "Request Timeout", "request_timeout", message)

    def _refuse(self, status: int, reason: str, code: Code, message: str) -> None:
        body = Refusal(status, code, message).body()
        head = (
            f"HTTP/1.1 {status} {reason}\r\ncontent-type: {JSON_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
