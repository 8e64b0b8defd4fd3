"""The guard, in front of handlers that tell what reached them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.responses import Response, StreamingResponse

from configs.settings import Serving
from serving.guard import Asked, Guard, Handler
from serving.keys import KeyRing, new_key
from serving.metrics import Metrics
from serving.openapi import openapi
from serving.refusal import Refusal
from serving.request_body import Message
from serving.routes import Route

FIXED, THINGS, CUSTOMER, OPEN = (
    Route("GET", "/fixed", "read"),
    Route("POST", "/things", "predict"),
    Route("GET", "/customers/{customer_id}", "read"),
    Route("GET", "/open"),
)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
JSON = {"content-type": "application/json"}


async def tell(asked: Asked) -> Response:
    """Answer with what the guard passed on."""
    return Response(json.dumps({"parameters": asked.parameters, "body": asked.body}), media_type="application/json")


def guard(
    handlers: Mapping[Route, Handler] | None = None, keys: KeyRing | None = None, metrics: Metrics | None = None, **serving: Any
) -> Guard:
    """A guard in front of ``tell`` at four routes."""

    async def nothing(*_: Any) -> None:
        raise AssertionError("only the lifespan goes there")

    return Guard(
        dict.fromkeys((FIXED, THINGS, CUSTOMER, OPEN), tell) | dict(handlers or {}),
        lifespan=nothing,
        serving=lambda: Serving(**serving),
        keys=lambda: keys or KeyRing(),
        metrics=metrics or Metrics(),
    )


def client(app: Any, peer: str = "127.0.0.1") -> httpx.AsyncClient:
    """Somebody who asks."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False, client=(peer, 50_000))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


def ask(app: Any, method: str, path: str, **arguments: Any) -> httpx.Response:
    async def go() -> httpx.Response:
        async with client(app) as one:
            return await one.request(method, path, **arguments)

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
    assert fault(ask(guard(), "GET", path)) == (404, "not_found")


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
    response = ask(guard(), method, path)
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
def test_an_id_is_decoded_once(raw: str, customer_id: str) -> None:
    response = ask(guard(), "GET", f"/customers/{raw}?x=1")
    assert response.json() == {"parameters": {"customer_id": customer_id}, "body": None}


@pytest.mark.parametrize("raw", ["%FF", "%ED%A0%80", "a" * 6001])
def test_an_id_that_is_no_text_is_refused(raw: str) -> None:
    assert fault(ask(guard(), "GET", f"/customers/{raw}")) == (400, "invalid_request")


def test_a_body_is_read_once_and_passed_on_parsed() -> None:
    response = ask(guard(), "POST", "/things", json={"a": [1, "é"]})
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
    assert fault(ask(guard(), "POST", "/things", content=b"{}", headers=headers)) == (
        415,
        "unsupported_media_type",
    )


@pytest.mark.parametrize("media", ["application/json", "Application/JSON; charset=UTF-8", 'application/json;charset="utf-8"'])
def test_json_is_json_however_it_is_written(media: str) -> None:
    assert ask(guard(), "POST", "/things", content=b"{}", headers={"content-type": media}).status_code == 200


@pytest.mark.parametrize("body", [b'{"a": NaN}', b'{"a": 1, "a": 1}', b"\xff", b"[" * 100_000, b"", b"{"])
def test_unsound_json_never_reaches_the_app(body: bytes) -> None:
    assert fault(ask(guard(), "POST", "/things", content=body, headers=JSON)) == (400, "invalid_json")


def test_the_body_limit_is_exact() -> None:
    limited, fitting = guard(max_body_bytes=1024), b'"' + b"x" * 1022 + b'"'
    assert ask(limited, "POST", "/things", content=fitting, headers=JSON).status_code == 200
    assert fault(ask(limited, "POST", "/things", content=fitting + b" ", headers=JSON)) == (413, "payload_too_large")


def scope_of(path: bytes, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
    """An ASGI scope of a POST from this machine."""
    return {
        "type": "http",
        "method": "POST",
        "path": path.decode(),
        "raw_path": path,
        "query_string": b"",
        "client": ("127.0.0.1", 50_000),
        "headers": [(b"host", b"localhost"), *headers],
    }


def raw(headers: Mapping[str, str]) -> Iterator[tuple[bytes, bytes]]:
    """Headers as ASGI has them."""
    return ((name.encode(), value.encode()) for name, value in headers.items())


def whole(body: bytes) -> Message:
    """A body in one piece."""
    return {"type": "http.request", "body": body, "more_body": False}


def converse(
    app: Any, headers: list[tuple[bytes, bytes]], messages: Iterator[Message], path: bytes = b"/things"
) -> list[Message]:
    """Speak ASGI by hand: what was sent back."""
    sent: list[Message] = []

    async def receive() -> Message:
        return next(messages)

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(app(scope_of(path, headers), receive, send))
    return sent


def test_a_body_declared_too_large_is_refused_before_it_is_read() -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1048577")]
    sent = converse(guard(), headers, iter(()))
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_body_of_unknown_length_is_read_no_further_than_the_limit() -> None:
    read = 0

    def endless() -> Iterator[Message]:
        nonlocal read
        while True:
            read += 1000
            yield {"type": "http.request", "body": b" " * 1000, "more_body": True}

    sent = converse(guard(max_body_bytes=10_000), [(b"content-type", b"application/json")], endless())
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
            "client": ("127.0.0.1", 50_000),
            "headers": [(b"host", b"localhost"), (b"Transfer-Encoding", b"chunked")],
        }
        await guard()(scope, None, send)  # type: ignore[arg-type]
        return sent

    start = asyncio.run(go())[0]
    assert start["status"] == 400


def test_a_client_that_leaves_gets_no_answer() -> None:
    left: list[Message] = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    assert converse(guard(), [(b"content-type", b"application/json")], iter(left)) == []


# --------------------------------------------------------------------------------------------------------------- faults


def raising(error: BaseException) -> Handler:
    async def handler(_: Asked) -> Response:
        raise error

    return handler


def test_what_nobody_foresaw_tells_nothing_and_logs_no_value(caplog: pytest.LogCaptureFixture) -> None:
    response = ask(guard({FIXED: raising(ValueError("customer 12347 broke"))}), "GET", "/fixed")
    assert fault(response) == (500, "internal_error")
    assert "12347" not in response.text + caplog.text
    assert "ValueError in " in caplog.text


def test_a_handler_that_takes_too_long_is_given_up() -> None:
    async def sleeping(_: Asked) -> Response:
        await asyncio.sleep(30)
        raise AssertionError("was waited for")

    assert fault(ask(guard({FIXED: sleeping}, request_seconds=0.1), "GET", "/fixed")) == (504, "timeout")


def test_a_refusal_is_answered_as_it_is() -> None:
    response = ask(guard({FIXED: raising(Refusal(404, "customer_not_found", "none", headers={"x-a": "b"}))}), "GET", "/fixed")
    assert (fault(response), response.headers["x-a"]) == ((404, "customer_not_found"), "b")


def test_an_answer_that_breaks_off_is_not_made_whole() -> None:
    async def broken(_: Asked) -> Response:
        async def chunks() -> Any:
            yield b"half"
            raise ValueError("customer 12347 broke")

        return StreamingResponse(chunks())

    metrics = Metrics()
    sent = converse(guard({THINGS: broken}, metrics=metrics), list(raw(JSON)), iter([whole(b"{}")]))
    assert [message.get("body") for message in sent] == [None, b"half"]
    assert counts(metrics)["/things", "499"] == 1


# --------------------------------------------------------------------------------------------------------------- access


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200), ("LOCALHOST:3000", 200), ("127.0.0.1:3000", 200), ("[::1]:3000", 200), ("10.1.2.3", 200),
        ("scores.example:443", 200), ("evil.example", 400), ("localhost.evil.example", 400), ("", 400), ("scores.example.", 400),
        ("[::1", 400), ("127.0.0.1.nip.io", 400),
    ],
)  # fmt: skip
def test_only_names_of_this_service_are_answered(host: str, status: int) -> None:
    response = ask(guard(allowed_hosts=("scores.example",)), "GET", "/open", headers={"host": host})
    assert response.status_code == status
    if status != 200:
        assert fault(response) == (400, "host_not_allowed")


def test_loopback_needs_no_key_until_there_is_one() -> None:
    async def go(peer: str, keys: KeyRing) -> list[int]:
        async with client(guard(keys=keys), peer) as one:
            return [(await one.get(path)).status_code for path in ("/fixed", "/open")]

    ring = KeyRing((new_key("app", created_at=LONG_AGO)[0],))
    assert [asyncio.run(go(peer, KeyRing())) for peer in ("127.0.0.1", "::1", "10.0.0.9")] == [[200, 200], [200, 200], [401, 200]]
    assert asyncio.run(go("127.0.0.1", ring)) == [401, 200]


def test_a_key_opens_what_it_was_made_for() -> None:
    readers, secret = new_key("reader", created_at=LONG_AGO, scopes=("read",))
    old, old_secret = new_key("old", created_at=LONG_AGO, expires_at=LONG_AGO + timedelta(days=1))
    guarded = guard(keys=KeyRing((readers, old)))

    def asked(authorization: str | None, path: str = "/fixed", method: str = "GET") -> httpx.Response:
        headers = JSON if authorization is None else {**JSON, "authorization": authorization}
        return ask(guarded, method, path, headers=headers, content=b"{}" if method == "POST" else b"")

    almost = secret[:-1] + ("1" if secret.endswith("0") else "0")
    assert asked(f"Bearer {secret}").status_code == 200
    assert fault(asked(f"Bearer {secret}", "/things", "POST")) == (403, "forbidden")
    for wrong in (None, "", secret, f"Basic {secret}", f"Bearer {almost}", f"Bearer {secret}x", f"Bearer {old_secret}"):
        response = asked(wrong)
        assert fault(response) == (401, "unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.text == asked("Bearer none").text


def test_a_body_is_not_read_for_strangers() -> None:
    ring = KeyRing((new_key("app", created_at=LONG_AGO)[0],))
    sent = converse(guard(keys=ring), list(raw(JSON)), iter(()))
    assert sent[0]["status"] == 401
    assert (b"connection", b"close") in sent[0]["headers"]


def test_a_key_asks_no_faster_than_it_may() -> None:
    record, secret = new_key("app", created_at=LONG_AGO, requests_per_second=2.0)
    guarded = guard(keys=KeyRing((record,)))
    answers = [ask(guarded, "GET", "/fixed", headers={"authorization": f"Bearer {secret}"}) for _ in range(12)]
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert {fault(answer) for answer in refused} == {(429, "too_many_requests")}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}


# ----------------------------------------------------------------------------------------------------------------- load


def test_past_the_limit_of_requests_at_work_others_are_told_to_come_again() -> None:
    async def go() -> list[int]:
        release = asyncio.Event()

        async def waiting(_: Asked) -> Response:
            await release.wait()
            return Response(b"done")

        async with client(guard({FIXED: waiting}, max_concurrent_requests=2)) as one:
            held = [asyncio.create_task(one.get("/fixed")) for _ in range(2)]
            await asyncio.sleep(0.05)
            refused = await one.get("/fixed")
            assert (fault(refused), refused.headers["retry-after"]) == ((503, "overloaded"), "1")
            meanwhile = await one.get("/open")
            release.set()
            return [meanwhile.status_code, *[(await task).status_code for task in held], (await one.get("/fixed")).status_code]

    assert asyncio.run(go()) == [200, 200, 200, 200]


def test_long_bodies_take_more_of_the_limit() -> None:
    """200,000 bytes take four of five places; a body of more than the limit is taken where nothing else is at work."""

    async def go() -> list[int]:
        release = asyncio.Event()

        async def waiting(_: Asked) -> Response:
            await release.wait()
            return Response(b"done")

        body = json.dumps("x" * 200_000).encode()
        async with client(guard({FIXED: waiting, THINGS: waiting}, max_concurrent_requests=5)) as one:
            held = [asyncio.create_task(one.post("/things", content=body, headers=JSON))]
            await asyncio.sleep(0.05)
            held.append(asyncio.create_task(one.get("/fixed")))
            await asyncio.sleep(0.05)
            assert (await one.get("/fixed")).status_code == 503
            release.set()
            alone = [(await task).status_code for task in held]
            huge = json.dumps("x" * 900_000).encode()
            return [*alone, (await one.post("/things", content=huge, headers=JSON)).status_code]

    assert asyncio.run(go()) == [200, 200, 200]


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def go() -> list[Message]:
        sent: list[Message] = []

        async def never() -> Message:
            await asyncio.sleep(30)
            raise AssertionError("was waited for")

        async def send(message: Message) -> None:
            sent.append(message)

        await guard(body_seconds=0.1)(scope_of(b"/things", list(raw(JSON))), never, send)
        return sent

    sent = asyncio.run(go())
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


def counts(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Requests by route and status, as Prometheus reads them."""
    families = {family.name: family for family in text_string_to_metric_families(metrics.render().decode())}
    samples = [one for one in families["foretier_requests"].samples if one.name == "foretier_requests_total"]
    return {(one.labels["route"], one.labels["status"]): one.value for one in samples}


def test_requests_are_counted_and_logged_without_what_was_asked(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()
    guarded = guard(metrics=metrics)
    with caplog.at_level(logging.INFO, logger="foretier"):
        for number in range(3):
            ask(guarded, "GET", f"/customers/someone-{number}?x=someone")
            ask(guarded, f"VERB{number}", "/fixed")
            ask(guarded, "GET", f"/someone/{number}")
    assert counts(metrics) == {("/customers/{customer_id}", "200"): 3, ("/fixed", "405"): 3, ("unknown", "404"): 3}
    lines = [record.__dict__["fields"] for record in caplog.records if record.name == "foretier.requests"]
    assert [(line["method"], line["route"], line["status"]) for line in lines[:3]] == [
        ("GET", "/customers/{customer_id}", 200), ("unknown", "/fixed", 405), ("unknown", "unknown", 404),
    ]  # fmt: skip
    assert "someone" not in str(lines)


def test_there_are_at_most_300_series_whatever_is_asked(make_scores: Any) -> None:
    metrics, [score] = Metrics(), make_scores(["a"])
    for template, methods in openapi()["paths"].items():
        declared = {status for operation in methods.values() for status in operation["responses"]}
        for status in declared | {"405", "499"}:
            metrics.request(template, int(status), 0.1)
    for status in (400, 404, 499, 500):
        metrics.request("unknown", status, 0.1)
    for number in range(100):
        metrics.predictions([replace(score, tier=f"tier {number}", predicted_value=10.0**number)])
        for what in ("settings", "run", "registry", "model", "candidate", "keys"):
            metrics.reload(what, succeeded=what in ("run", "model") and number % 2 == 0)
        metrics.gauge(f"foretier_gauge_{number % 4}", "any", lambda: 1.0) if number < 4 else None
    series = [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]
    assert 250 < len(series) <= 300
