"""The OpenAPI description is true: generated requests against a real server, and every status that is declared."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import narwhals as nw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from configs.settings import Lists, Serving
from serving import answers, routes
from serving.app import Api
from serving.docs_page import docs_page
from serving.guard import Asked, Guard, Handler
from serving.keys import KeyRecord, KeyRing, new_key
from serving.list_plan import MAX_TIERS
from serving.list_query import MAX_SHEET_ROWS, list_query
from serving.metrics import COUNTED_AS, Metrics
from serving.openapi import Offer, openapi
from serving.refusal import Refusal
from serving.schemas import DAY, MAX_ORDERS, MOMENT, NOT_BLANK, prediction_request
from serving.scoring import Scoring, score
from serving.store import Store

ROOT = Path(__file__).resolve().parents[2]
REQUESTS = 600
START_SECONDS = 60.0
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
BOUGHT = {"customer_id": "a", "orders": [{"ordered_at": "1998-05-01", "amount": 20.0}]}
FOUND = frozenset({400, 401, 404, 415, 422})
"""Failures that generated requests run into."""


# ------------------------------------------------------------------------------------------------- a real server, explored


@pytest.fixture(scope="module")
def explored(new_home: Callable[[], Path], state: Any, make_champion: Callable[[Path], None]) -> Iterator[dict[str, Any]]:
    """What schemathesis found in a service of few customers, and what the service counted meanwhile."""
    home = new_home()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETIER_", "MLFLOW_", "BENTOML_"))}
    environment = {
        **kept, "FORETIER_HOME": str(home), "FORETIER_CONFIG": str(state.settings_path), "PYTHONPATH": str(ROOT),
        "BENTOML_HOME": str(home / "bentoml"), "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    with serving(environment, home / "log") as url:
        with Store(f"sqlite:///{home / 'scores.db'}") as store:
            few = state.orders.filter(nw.col("customer_id") < "0150")
            for as_of in (date(1998, 6, 1), state.run.terms.as_of):
                score(few, as_of, state.model, store, Scoring("1", state.run.created_at))
        make_champion(home)
        wait_until_ready(url, home / "log")
        options = ["--url", url, "--requests", str(REQUESTS), "--json", home / "report.json"]
        command = [sys.executable, "benchmarks/contract.py", *options]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=400)
        assert done.returncode == 0, done.stdout + done.stderr
        yield json.loads((home / "report.json").read_text())


@contextmanager
def serving(environment: dict[str, str], log: Path) -> Iterator[str]:
    """A server on loopback, killed at the end; gives its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Foretier", "--host", "127.0.0.1", "--port", port]
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output, start_new_session=True) as process,
    ):
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def wait_until_ready(url: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    with httpx.Client(base_url=url) as client:
        while time.monotonic() < until:
            with suppress(httpx.TransportError):
                if client.get("/readyz").is_success:
                    return
            time.sleep(0.1)
    raise AssertionError(log.read_text())


def test_generated_requests_are_answered_as_described(explored: dict[str, Any]) -> None:
    assert (explored["failures"], explored["server_errors"]) == ({}, 0)
    assert explored["requests"] >= REQUESTS


def test_every_status_that_was_seen_is_declared(explored: dict[str, Any]) -> None:
    seen = {(one["path"], one["status"]) for one in explored["answers"]}
    of_the_guard = {(path, 405) for path, _ in seen} | {("unknown", 404)}
    assert seen <= declared() | of_the_guard
    assert {(COUNTED_AS.get(path, path), 200) for path in openapi()["paths"]} <= seen
    assert {status for _, status in seen} >= FOUND


def declared() -> set[tuple[str, int]]:
    """Every path with every status of it."""
    operations = [(path, operation) for path, methods in openapi()["paths"].items() for operation in methods.values()]
    return {(COUNTED_AS.get(path, path), int(status)) for path, operation in operations for status in operation["responses"]}


# ------------------------------------------------------------------------------------------------ every declared failure


@dataclass(frozen=True)
class Behind:
    """The real handlers behind a guard of one's own."""

    service: Any
    keys: tuple[KeyRecord, ...] = ()
    handler: Handler | None = None
    """Stands for that of POST /v1/predictions."""

    def ask(self, *requests: dict[str, Any], **serving: Any) -> list[httpx.Response]:
        """Answers to requests that are sent at the same time; each is POST /v1/predictions of a sound body, or as it says."""
        handlers = Api(lambda: self.service.live).handlers()
        if self.handler is not None:
            handlers[routes.PREDICTIONS] = self.handler
        app: Any = Guard(
            handlers, lifespan=_nothing, serving=lambda: Serving(**serving), keys=lambda: KeyRing(self.keys), metrics=Metrics()
        )  # fmt: skip

        async def go() -> list[httpx.Response]:
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                sound = {"method": "POST", "url": "/v1/predictions", "json": {"customers": [BOUGHT]}}
                return await asyncio.gather(*(client.request(**_alone(sound | request)) for request in requests))

        return self.service._loop.run_until_complete(go())  # type: ignore[no-any-return]


def _alone(request: dict[str, Any]) -> dict[str, Any]:
    """A body as bytes stands for the one as JSON."""
    return {name: value for name, value in request.items() if name != "json" or "content" not in request}


async def _nothing(*_: Any) -> None:
    """Stands where BentoML's app is started and stopped."""


async def _break(_: Asked) -> Any:
    raise ValueError("broken")


async def _sleep(_: Asked) -> Any:
    await asyncio.sleep(30)


async def _never() -> AsyncIterator[bytes]:
    yield b"{"
    await asyncio.sleep(30)


def _with_key(service: Any, **key: Any) -> tuple[Behind, dict[str, Any]]:
    record, secret = new_key("app", created_at=LONG_AGO, **key)
    return Behind(service, (record,)), {"headers": {"authorization": f"Bearer {secret}"}}


def _forbidden(service: Any) -> list[httpx.Response]:
    behind, request = _with_key(service, scopes=("read",))
    return behind.ask(request)


def _too_fast(service: Any) -> list[httpx.Response]:
    behind, request = _with_key(service, requests_per_second=1.0)
    return behind.ask(request, request)


JSON_HEADERS = {"content-type": "application/json"}
LATE = BOUGHT | {"orders": [{"ordered_at": "1998-07-01", "amount": 1}]}
PROVOKED: dict[int, Callable[[Any], list[httpx.Response]]] = {
    400: lambda service: Behind(service).ask({"json": {"customers": []}}),
    401: lambda service: _with_key(service)[0].ask({}),
    403: _forbidden,
    404: lambda service: Behind(service).ask({"method": "GET", "url": "/v1/customers/nobody"}),
    408: lambda service: Behind(service).ask({"content": _never(), "headers": JSON_HEADERS}, body_seconds=0.1),
    413: lambda service: Behind(service).ask({"content": b" " * 1025, "headers": JSON_HEADERS}, max_body_bytes=1024),
    415: lambda service: Behind(service).ask({"content": b"{}", "headers": {"content-type": "text/plain"}}),
    422: lambda service: Behind(service).ask({"json": {"customers": [LATE]}}),
    429: _too_fast,
    500: lambda service: Behind(service, handler=_break).ask({}),
    503: lambda service: Behind(service).ask({}, {}, max_concurrent_requests=1),
    504: lambda service: Behind(service, handler=_sleep).ask({}, request_seconds=0.1),
}


def test_every_declared_failure_is_provoked_here() -> None:
    assert {status for _, status in declared() if status >= 400} == set(PROVOKED)


@pytest.mark.parametrize("status", PROVOKED)
def test_a_declared_failure_is_as_described(service: Any, status: int) -> None:
    [answer] = [one for one in PROVOKED[status](service) if one.status_code != 200]
    assert answer.status_code == status
    answers.Error.model_validate_json(answer.content)
    path, method = ("/v1/customers/{customer_id}", "get") if status == 404 else ("/v1/predictions", "post")
    described = openapi()["paths"][path][method]["responses"][str(status)]
    assert described["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    assert {name.lower() for name in described.get("headers", {})} <= set(answer.headers)


def test_a_list_whose_run_is_gone_is_not_found(service: Any) -> None:
    cursor = service.get("/v1/lists/churn-risk?limit=1").json()["next_cursor"]
    gone = "9999" + cursor[cursor.index(".") :]
    answer = service.get(f"/v1/lists/churn-risk?cursor={gone}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "run_not_found")


def test_changes_are_not_found_before_there_are_two_runs(service: Any) -> None:
    answer = service.get("/v1/changes")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "run_not_found")
    assert "after the next foretier score" in answer.json()["error"]["message"]


def test_a_workbook_of_too_many_rows_is_refused(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.list_api.MAX_SHEET_ROWS", 5)
    answer = service.get("/v1/lists/churn-risk.xlsx?capacity=6")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "too_many_rows")
    assert service.get("/v1/lists/churn-risk.xlsx?capacity=5").status_code == 200
    assert (
        f"{MAX_SHEET_ROWS:,} customers"
        in openapi()["paths"]["/v1/lists/churn-risk.xlsx"]["get"]["responses"]["422"]["description"]
    )


def test_too_many_orders_are_too_large() -> None:
    half = [{"ordered_at": "1998-05-01", "amount": 0}] * (MAX_ORDERS // 2 + 1)
    with pytest.raises(Refusal) as caught:
        prediction_request({"customers": [{"customer_id": name, "orders": half} for name in "ab"]})
    assert (caught.value.status, caught.value.code) == (413, "payload_too_large")


# -------------------------------------------------------------------------------------------------- what the document says


def test_days_are_those_of_the_calendar() -> None:
    """Every day there is, and every one that there is not."""
    first, days = date(1900, 1, 1), (date(2200, 1, 1) - date(1900, 1, 1)).days
    real = {(first + timedelta(days=day)).isoformat() for day in range(days)}
    tried = (f"{year}-{month:02d}-{day:02d}" for year in range(1896, 2204) for month in range(14) for day in range(33))
    assert {text for text in tried if DAY.fullmatch(text)} == real


@given(st.from_regex(MOMENT, fullmatch=True, alphabet=st.characters(codec="ascii")))
def test_what_the_pattern_of_times_takes_is_a_time(text: str) -> None:
    assert 1900 <= datetime.fromisoformat(text).year < 2200


@given(st.datetimes(datetime(1900, 1, 1), datetime(2199, 12, 31, 23, 59, 59), timezones=st.none() | st.timezones()))
def test_what_python_writes_is_a_time(moment: datetime) -> None:
    text = moment.isoformat()
    seconds_of_the_offset = (moment.utcoffset() or timedelta()).total_seconds() % 60  # of local mean times
    assert bool(MOMENT.fullmatch(text)) == (seconds_of_the_offset == 0)


@given(st.text(st.sampled_from("a\x00 \t\r\n\u00a0é😀"), min_size=1, max_size=8))
def test_the_pattern_of_ids_is_what_is_checked(text: str) -> None:
    document = {"customers": [BOUGHT | {"customer_id": text}]}
    try:
        prediction_request(document)
    except Refusal:
        assert not re.search(NOT_BLANK, text)
    else:
        assert re.search(NOT_BLANK, text)


@given(st.floats(0.0, 1.0) | st.just(-0.0) | st.integers(0, 1))
def test_a_risk_may_be_written_as_json_writes_numbers(risk: float) -> None:
    assert list_query({"min_risk": [json.dumps(risk)]}, Lists()).plan.min_risk == risk


@pytest.mark.parametrize("text", ["-1e-9", "1.0000001", "1e3", "nan", "Infinity", "1e", ".5", "0x1p-1", " 0.5", "٠.٥"])
def test_what_is_no_risk_is_refused(text: str) -> None:
    with pytest.raises(Refusal, match="number from 0 to 1"):
        list_query({"min_risk": [text]}, Lists())


def test_tiers_may_be_given_only_so_often() -> None:
    assert list_query({"tier": ["Gold"] * MAX_TIERS}, Lists()).plan.tiers == ("Gold",) * MAX_TIERS
    with pytest.raises(Refusal, match="may be given 50 times"):
        list_query({"tier": ["Gold"] * (MAX_TIERS + 1)}, Lists())


def test_the_description_is_of_this_service_now(service: Any) -> None:
    document = service.get("/openapi.json").json()
    tiers = [tier["tier"] for tier in service.get("/v1/tiers").json()["tiers"]]
    listed = document["paths"]["/v1/lists/churn-risk"]["get"]
    assert next(one for one in listed["parameters"] if one["name"] == "tier")["schema"]["items"]["enum"] == tiers
    assert listed["security"] == [{"key": []}, {}]
    with_key = openapi(Offer())
    for route in routes.ROUTES:
        security = with_key["paths"][route.template][route.method.lower()]["security"]
        assert security == ([] if route.scope is None else [{"key": []}])


@pytest.mark.parametrize("offer", [Offer(), Offer(("A & B", "<i>"), needs_key=False)])
def test_the_page_is_sound_and_its_links_lead_somewhere(offer: Offer) -> None:
    page = ET.fromstring(docs_page(openapi(offer)))
    places = [one.attrib["id"] for one in page.iter() if "id" in one.attrib]
    assert len(places) == len(set(places))
    links = {one.attrib["href"] for one in page.iter("a")}
    assert links == {f"#{place}" for place in places} & links | {"/openapi.json"}
    text = " ".join(page.itertext())
    assert "Authorization: Bearer foretier_..." in text
    assert "scope predict" in text
    assert all(tier in text for tier in offer.tiers)
