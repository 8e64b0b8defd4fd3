"""The guard, in front of an app that tells what reached it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from serving.guard import Guard, Message, Receive, Route, Scope, Send

ROUTES = (Route("GET", "/fixed"), Route("POST", "/things"), Route("GET", "/customers/{customer_id}"))


class Echo:
    """Answers with what the guard passed on; ``reached`` holds the paths seen."""

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        passage = scope["foretier"]
        self.reached.append(scope["path"])
        assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
        body = json.dumps({"path": scope["path"], "parameters": passage.parameters, "body": passage.body}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        await send({"type": "http.response.body", "body": body})


def ask(app: Any, method: str, path: str, **arguments: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **arguments)

    return asyncio.run(go())


def fault(response: httpx.Response) -> tuple[int, str]:
    """The status and code of an error, after a look at its shape."""
    document = response.json()
    assert set(document) == {"error"}
    assert set(document["error"]) == {"code", "message", "details"}
    assert all(set(detail) == {"path", "message"} for detail in document["error"]["details"])
    assert response.headers["content-type"] == "application/json"
    return response.status_code, document["error"]["code"]


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nowhere",
        "/fixed/",
        "/Fixed",
        "/fixed%20",
        "//fixed",
        "/customers",
        "/customers/",
        "/customers/a/b",
        "/schema.json",
        "/docs.json",
        "/static_content/x",
        "/healthz",
    ],
)
def test_unknown_paths_end_here(path: str) -> None:
    echo = Echo()
    assert fault(ask(Guard(echo, ROUTES), "GET", path)) == (404, "not_found")
    assert echo.reached == []


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/fixed", "GET, HEAD"),
        ("GET", "/things", "POST"),
        ("DELETE", "/customers/a", "GET, HEAD"),
        ("OPTIONS", "/things", "POST"),
    ],
)
def test_other_methods_are_refused_with_those_allowed(method: str, path: str, allowed: str) -> None:
    response = ask(Guard(Echo(), ROUTES), method, path)
    assert fault(response) == (405, "method_not_allowed")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize(
    ("raw", "customer_id"),
    [
        ("12347", "12347"),
        ("00123", "00123"),
        ("a%2Fb", "a/b"),
        ("a%20b", "a b"),
        ("%C3%A9%E2%82%AC%F0%9F%98%80", "é€😀"),
        ("a%2525", "a%25"),
        ("%7Bcustomer_id%7D", "{customer_id}"),
        ("a+b", "a+b"),
        ("x%3Fy%23z", "x?y#z"),
    ],
)
def test_an_id_is_decoded_once_and_stays_out_of_the_path(raw: str, customer_id: str) -> None:
    response = ask(Guard(Echo(), ROUTES), "GET", f"/customers/{raw}?x=1")
    assert response.json() == {
        "path": "/customers/{customer_id}",
        "parameters": {"customer_id": customer_id},
        "body": None,
    }


@pytest.mark.parametrize("raw", ["%FF", "%ED%A0%80", "a" * 6001])
def test_an_id_that_is_no_text_is_refused(raw: str) -> None:
    assert fault(ask(Guard(Echo(), ROUTES), "GET", f"/customers/{raw}")) == (400, "invalid_request")


def test_a_body_is_read_once_and_passed_on_parsed() -> None:
    response = ask(Guard(Echo(), ROUTES), "POST", "/things", json={"a": [1, "é"]})
    assert response.json()["body"] == {"a": [1, "é"]}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "application/json; charset=latin-1"},
        {"content-type": "application/vnd.bentoml+pickle"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_only_json_bodies(headers: dict[str, str]) -> None:
    assert fault(ask(Guard(Echo(), ROUTES), "POST", "/things", content=b"{}", headers=headers)) == (
        415,
        "unsupported_media_type",
    )


@pytest.mark.parametrize("media", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'])
def test_json_is_json_however_it_is_written(media: str) -> None:
    assert ask(Guard(Echo(), ROUTES), "POST", "/things", content=b"{}", headers={"content-type": media}).status_code == 200


@pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": 1, "a": 1}', b"\xff", b"[" * 100_000, b"", b"{"])
def test_unsound_json_never_reaches_the_app(body: bytes) -> None:
    echo = Echo()
    response = ask(Guard(echo, ROUTES), "POST", "/things", content=body, headers={"content-type": "application/json"})
    assert fault(response) == (400, "invalid_json")
    assert echo.reached == []


def test_the_body_limit_is_exact() -> None:
    guard, headers = Guard(Echo(), ROUTES, max_body=10), {"content-type": "application/json"}
    assert ask(guard, "POST", "/things", content=b'"12345678"', headers=headers).status_code == 200
    assert fault(ask(guard, "POST", "/things", content=b'"123456789"', headers=headers)) == (413, "payload_too_large")


def converse(
    app: Any, headers: list[tuple[bytes, bytes]], messages: Iterator[Message], path: bytes = b"/things"
) -> list[Message]:
    """Speak ASGI by hand: what was sent back."""
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"",
        "headers": headers,
    }
    asyncio.run(app(scope, receive, send))
    return sent


def test_a_body_declared_too_large_is_refused_before_it_is_read() -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1048577")]
    sent = converse(Guard(Echo(), ROUTES), headers, iter(()))
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_body_of_unknown_length_is_read_no_further_than_the_limit() -> None:
    read = 0

    def endless() -> Iterator[Message]:
        nonlocal read
        while True:
            read += 1000
            yield {"type": "http.request", "body": b" " * 1000, "more_body": True}

    sent = converse(Guard(Echo(), ROUTES, max_body=10_000), [(b"content-type", b"application/json")], endless())
    assert sent[0]["status"] == 413
    assert read == 11_000


def test_a_get_with_an_endless_body_is_refused() -> None:
    async def go() -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": "GET",
            "path": "/fixed",
            "raw_path": b"/fixed",
            "headers": [(b"Transfer-Encoding", b"chunked")],
        }
        await Guard(Echo(), ROUTES)(scope, None, send)  # type: ignore[arg-type]
        return sent

    start = asyncio.run(go())[0]
    assert start["status"] == 400
    assert (b"connection", b"close") in start["headers"]


def test_a_client_that_leaves_gets_no_answer() -> None:
    left: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    assert converse(Guard(Echo(), ROUTES), [(b"content-type", b"application/json")], iter(left)) == []


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "internal_error"),
        (504, "timeout"),
        (429, "too_many_requests"),
        (503, "not_ready"),
        (418, "internal_error"),
    ],
)
def test_foreign_errors_are_given_our_shape(status: int, code: str) -> None:
    async def failing(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"customer 12347 broke", "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    response = ask(Guard(failing, ROUTES), "GET", "/fixed")
    assert fault(response) == (status, code)
    assert "12347" not in response.text


def test_our_own_errors_pass_as_they_are() -> None:
    async def refusing(scope: Scope, _receive: Receive, send: Send) -> None:
        scope["foretier"].shaped = True
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"ours"})

    assert ask(Guard(refusing, ROUTES), "GET", "/fixed").text == "ours"
