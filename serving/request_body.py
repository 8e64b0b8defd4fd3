"""The body of a request: read once, no further than the limit and no longer than the deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from serving.refusal import JSON_TYPE, Refusal

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class DisconnectedError(Exception):
    """The client went away while its body was read."""


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, *, max_bytes: int, seconds: float) -> bytes:
    """Read the body of a POST, which says that it is JSON.

    Raises Refusal: 413 before anything is read where the declared length is too large, else at the first byte too many; 415
    for anything but plain JSON; 408 past ``seconds``. DisconnectedError: the client left.
    """
    _check_length(headers, max_bytes)
    _check_type(headers)
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, max_bytes)
    except TimeoutError:
        message = f"The body took longer than {seconds:g} seconds to come"
        raise Refusal(408, "request_timeout", message, headers={"connection": "close"}) from None


def no_body(headers: Mapping[bytes, bytes], max_bytes: int) -> None:
    """Refuse what comes with a GET and cannot be skipped. Raises Refusal: 413, or 400 for a body of unknown length."""
    _check_length(headers, max_bytes)
    if b"transfer-encoding" in headers:
        raise Refusal(400, "invalid_request", "GET takes no body")


async def _read(receive: Receive, max_bytes: int) -> bytes:
    chunks: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DisconnectedError
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > max_bytes:
            raise _too_large(max_bytes)
        more = message.get("more_body", False)
    return b"".join(chunks)


def declared_length(headers: Mapping[bytes, bytes]) -> int:
    """Give the length that the headers say the body has; 0 where they say none."""
    try:
        return int(headers.get(b"content-length", b"0"))
    except ValueError:
        return 0


def _check_length(headers: Mapping[bytes, bytes], max_bytes: int) -> None:
    if declared_length(headers) > max_bytes:
        raise _too_large(max_bytes)


def _too_large(max_bytes: int) -> Refusal:
    message = f"The body may have {max_bytes:,} bytes; send the customers in several requests"
    return Refusal(413, "payload_too_large", message)


def _check_type(headers: Mapping[bytes, bytes]) -> None:
    media, _, rest = headers.get(b"content-type", b"").decode("latin-1").lower().partition(";")
    charset = rest.replace(" ", "").strip(";")
    plain = headers.get(b"content-encoding", b"identity").strip().lower() == b"identity"
    if media.strip() == JSON_TYPE and charset in ("", "charset=utf-8", 'charset="utf-8"') and plain:
        return
    message = "The body must be JSON: content-type application/json, in UTF-8, without content-encoding"
    raise Refusal(415, "unsupported_media_type", message)
