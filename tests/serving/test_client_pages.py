"""docs/client.md and docs/curl.md against a real service with real keys: what they show is run, and answers as shown."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

import httpx
import openpyxl
import pytest

from configs.settings import Serving
from serving.key_store import KeyStore
from serving.keys import SCOPES, new_key
from serving.openapi import openapi
from serving.refusal import Code
from serving.routes import ROUTES
from serving.store import Store

ROOT = Path(__file__).resolve().parents[2]
CLIENT_PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
HTTP_PAGE = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
CURL_PAGE = (ROOT / "docs" / "curl.md").read_text(encoding="utf-8")
CUSTOMERS = {"0188": "19339", "a/b c": "Müller/7"}
"""Who of the sample is whom of the pages."""
BASH = shutil.which("bash") or "bash"
PAGE_ADDRESS = "http://127.0.0.1:3000"
START_SECONDS = 60.0


# What the pages show


@dataclass(frozen=True)
class Shown:
    """A command of the page, and what it answers: a heading such as "404: ..." names the status."""

    heading: str
    command: str
    answer: str

    @property
    def status(self) -> int:
        """The status that the page tells of."""
        if self.heading[:3].isdecimal():
            return int(self.heading[:3])
        return 201 if re.search(r'/v1/campaigns".* -d ', self.command, re.DOTALL) else 200


def curl_calls() -> list[Shown]:
    found, heading = [], ""
    block = r"^```console\n((?:(?!```).)*?\bcurl\b.*?)^```\n\n```(?:json|text)\n(.*?)^```$"
    for match in re.finditer(rf"^#+ ([^\n]*)$|{block}", CURL_PAGE, flags=re.MULTILINE | re.DOTALL):
        if match[1] is not None:
            heading = match[1]
        else:
            found.append(Shown(heading, match[2], match[3]))
    return found


def snippets() -> list[tuple[str, str]]:
    """Every piece of Python of the page, with what it prints."""
    return re.findall(r"^```python\n(.*?)^```\n\n(?:```text\n(.*?)^```$)?", CLIENT_PAGE, flags=re.MULTILINE | re.DOTALL)


def parsed(shown: str) -> Any:
    """Read JSON in which … stands for more fields, more rows or a whole list."""
    for short, whole in ((", …}", ', "…": 0}'), (", …\n", ', "…"\n'), (", …]", ', "…"]'), ("[…]", '["…"]'), ("{…}", '{"…": 0}')):
        shown = shown.replace(short, whole)
    return json.loads(shown)


def assert_same_keys(shown: Any, real: Any, where: str = "$") -> None:
    """Fail where the page shows a field that is not there, hides one without …, or shows another kind of value."""
    if None in (shown, real):
        return
    if isinstance(shown, dict):
        assert isinstance(real, dict), where
        told = shown.keys() - {"…"}
        assert told <= real.keys(), where
        assert "…" in shown or told == real.keys(), where
        for name in told:
            assert_same_keys(shown[name], real[name], f"{where}.{name}")
    elif isinstance(shown, list):
        assert isinstance(real, list), where
        assert bool(shown) == bool(real), where
        for one in shown:
            if one != "…":
                assert_same_keys(one, real[0], f"{where}[]")
    else:
        numbers = (int, float)
        same = isinstance(real, type(shown)) or (isinstance(shown, numbers) and isinstance(real, numbers))
        assert same, f"{where}: {shown!r} stands for {real!r}"


def masked(text: str) -> list[str]:
    """Lines without what depends on the data: numbers, tiers, what to do about a customer."""
    text = re.sub(r"\d+(\.\d+)?", "N", text.replace("\ufeff", "").replace("\r", ""))
    return [
        re.sub(r" +", " ", re.sub("Platinum|Gold|Silver|Bronze|high|medium|low", "T", line)).strip() for line in text.splitlines()
    ]


def assert_answers_as_shown(shown: str, real: str) -> None:
    if shown.startswith("{"):
        expected, found = parsed(shown), json.loads(real)
        assert_same_keys(expected, found)
        if "error" in expected:
            assert expected["error"]["code"] == found["error"]["code"]
            assert re.fullmatch(re.escape(expected["error"]["message"]).replace("…", ".*"), found["error"]["message"])
        return
    lines = [line for line in masked(shown) if line != "…"]
    assert lines
    assert set(lines) <= set(masked(real)), real


# A service to ask


@dataclass(frozen=True)
class Service:
    """A running service, keys for it, and the wheel of its client."""

    address: str
    keys: dict[str, str]
    wheel: Path
    http: httpx.Client

    def ask(self, path: str, key: str = "all", method: str = "GET", **more: Any) -> httpx.Response:
        """Ask without the client."""
        return self.http.request(method, path, headers={"Authorization": f"Bearer {self.keys[key]}"}, **more)

    def spend(self) -> None:
        """Ask with the slow key until it may not any more."""
        while self.ask("/v1/model", "slow").status_code != 429:
            pass


@contextmanager
def running(command: list[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a program with processes of its own; whatever is left of them is killed at the end."""
    with subprocess.Popen(command, start_new_session=True, text=True, **more) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def environment_of(home: Path, state: Any) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("FORETIER_", "MLFLOW_", "BENTOML_", "MAKE", "MFLAGS"))
    }  # fmt: skip
    return {
        **kept, "FORETIER_HOME": str(home), "FORETIER_CONFIG": str(state.settings_path), "PYTHONPATH": str(ROOT),
        "BENTOML_HOME": str(home / "bentoml"), "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip


def publish(home: Path, state: Any) -> dict[str, str]:
    """Give a home the state's run with the customers of the pages, one before it, and keys; gives the keys."""
    with Store(state.store_url) as source, Store(f"sqlite:///{home / 'scores.db'}") as copy:
        run, found = source.page(limit=10_000)
        scores = [replace(one, customer_id=CUSTOMERS.get(one.customer_id, one.customer_id)) for one in found]
        earlier = [replace(one, tier=run.tier_names[place % 4], predicted_value=1.0) for place, one in enumerate(scores)]
        for as_of, rows in ((date(1998, 6, 1), earlier), (run.terms.as_of, scores)):
            terms = replace(run.terms, as_of=as_of)
            with copy.writing(terms, tier_names=run.tier_names, created_at=run.created_at) as writer:
                writer.add(rows)
                writer.publish(keep_runs=12)
    rights = {"all": {"scopes": SCOPES}, "narrow": {}, "slow": {"scopes": SCOPES, "requests_per_second": 1.0}}
    keys = {}
    with KeyStore(f"sqlite:///{home / 'scores.db'}") as store:
        for name, given in rights.items():
            record, keys[name] = new_key(name, created_at=datetime.now(UTC), **given)
            store.create(record)
    return keys


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def service(
    new_home: Callable[[], Path], state: Any, make_champion: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    """A service that asks for keys, and a client of it; both begin before there is a champion, to lose no time."""
    home, made, port = new_home(), tmp_path_factory.mktemp("client"), free_port()
    keys, address = publish(home, state), f"http://127.0.0.1:{port}"
    serve = [sys.executable, "-m", "bentoml", "serve", "serving.service:Foretier", "--host", "127.0.0.1", "--port", str(port)]
    make = [
        "make", "-o", ".venv/.installed", "-o", ".venv/.installed-dev", "client",
        f"BIN={Path(sys.executable).parent}", f"CLIENT={made / 'build'}", f"DIST={made}",
    ]  # fmt: skip
    with (home / "log").open("w") as log, httpx.Client(base_url=address, timeout=30) as http:
        more = {"cwd": ROOT, "env": environment_of(home, state), "stdout": log, "stderr": log}
        with running(serve, **more) as serving, running(make, **more) as making:
            make_champion(home)
            assert making.wait(120) == 0, (home / "log").read_text()
            [wheel] = made.glob("*.whl")
            wait_until_ready(http, serving, home / "log")
            yield Service(address, keys, wheel, http)


def wait_until_ready(http: httpx.Client, process: subprocess.Popen[str], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if http.get("/readyz").is_success and http.get("/v1/model").status_code == 401:
                return
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.fixture
def client(service: Service, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of the client, from its wheel."""
    monkeypatch.syspath_prepend(str(service.wheel))
    import foretier_client

    return foretier_client


# docs/curl.md


@pytest.mark.parametrize("shown", curl_calls(), ids=[f"{number} {one.heading}" for number, one in enumerate(curl_calls())])
def test_calls_answer_as_the_page_shows(service: Service, tmp_path: Path, shown: Shown) -> None:
    key = {403: "narrow", 429: "slow"}.get(shown.status, "slow" if shown.heading == "Trying again" else "all")
    if key == "slow":
        service.spend()
    logged = 'curl() { command curl -D "$(mktemp "$PWD/headers.XXXXXX")" "$@"; }\nset -eo pipefail\n'
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "FORETIER_URL": service.address, "FORETIER_API_KEY": service.keys[key],
    }  # fmt: skip
    done = subprocess.run(
        [BASH, "-c", logged + shown.command], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert_answers_as_shown(shown.answer, done.stdout)
    statuses = [re.findall(r"^HTTP/1.1 (\d{3})", one.read_text(), re.MULTILINE) for one in tmp_path.glob("headers.*")]
    tried = ["429", "200"] if shown.heading == "Trying again" else [str(shown.status)]
    assert statuses
    assert all(one[-len(tried) :] == tried and set(one) <= {"100", *tried} for one in statuses), statuses


def test_the_page_calls_every_route_and_shows_no_key_in_an_address() -> None:
    calls = curl_calls()
    assert CURL_PAGE.count("curl -s") == sum(one.command.count("curl -s") for one in calls)
    named = {r"(/v1/customers/)[^/]+": r"\1{customer_id}", r"(/v1/campaigns/)[^/]+": r"\1{campaign}"}
    asked = {path for one in calls for path in urls(one.command)}
    for one, template in named.items():
        asked = {re.sub(one, template, path) for path in asked}
    assert asked == {route.template for route in ROUTES} - {
        "/",
        "/docs",
        "/console/{file}",
        "/v1/campaigns/{campaign}/contacts.xlsx",
    }
    assert {one.status for one in calls} == {200, 201, 400, 401, 403, 404, 413, 415, 422, 429}
    assert not re.search(r"FORETIER_URL[^\s\"]*FORETIER_API_KEY", CURL_PAGE)


def test_the_pages_name_every_error_every_limit_and_every_metric(service: Service) -> None:
    assert [code for code in get_args(Code) if f"`{code}`" not in CURL_PAGE] == []
    assert [name for name in Serving.model_fields if f"`{name}`" not in HTTP_PAGE and f"`serving.{name}`" not in HTTP_PAGE] == []
    offered = set(re.findall(r"^# TYPE (foretier_\w+)", service.ask("/metrics").text, flags=re.MULTILINE))
    assert set(re.findall(r"`(foretier_\w+)`", HTTP_PAGE)) == offered


def urls(command: str) -> list[str]:
    return re.findall(r"\$FORETIER_URL(/[^\"?\s]*)", command)


# docs/client.md


def test_snippets_print_what_the_page_shows(service: Service) -> None:
    codes = [code for code, _ in snippets()]
    assert len(codes) == 3
    assert all(PAGE_ADDRESS in code for code in codes)
    assert sum(bool(line) for line in codes[0].splitlines()) == 10
    variables = {"PYTHONPATH": str(service.wheel), "FORETIER_API_KEY": service.keys["all"]}
    code = "\n".join(codes).replace(PAGE_ADDRESS, service.address)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=variables, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    for _, printed in snippets():
        assert without_actions(printed) <= without_actions(done.stdout), done.stdout


def without_actions(printed: str) -> set[str]:
    return {line.partition("N: ")[0] for line in masked(printed)} - {"…"}


@pytest.mark.filterwarnings("ignore:.*extension is not supported:UserWarning")  # openpyxl, of data bars
def test_the_client_says_what_the_service_says(service: Service, client: Any) -> None:
    with client.Foretier(service.address, service.keys["all"]) as foretier:
        for customer_id in ("19339", "Müller/7", "Zoë 😀%2F"):
            found = service.ask(f"/v1/customers/{quote(customer_id, safe='')}").json()
            assert foretier.get_customer(customer_id).to_dict() == found
        assert foretier.get_tiers().to_dict() == service.ask("/v1/tiers").json()
        assert foretier.get_model().to_dict() == service.ask("/v1/model").json()
        assert foretier.ready().to_dict() == service.ask("/readyz").json()
        asked = {"tier": ["Gold", "Silver"], "min_risk": 0.5, "limit": 3}
        page = foretier.list_churn_risk(**asked)
        assert page.to_dict() == service.ask("/v1/lists/churn-risk", params=asked).json()
        paged = [row for page in foretier.list_churn_risk_pages(tier=["Gold"], limit=50) for row in page.customers]
        changed = {"kind": ["upgraded", "downgraded"], "limit": 3}
        assert foretier.list_changes(**changed).to_dict() == service.ask("/v1/changes", params=changed).json()
        table = [line.decode().split(",")[:2] for line in foretier.list_churn_risk_csv(tier=["Gold"]).splitlines()[1:]]
        assert [[str(row.rank), f'"\'{row.customer_id}"'] for row in paged] == table
        book = openpyxl.load_workbook(io.BytesIO(foretier.list_churn_risk_xlsx(tier=["Gold"], capacity=5)))
        assert {row.customer_id for row in paged[:5]} <= {cell for row in book.worksheets[0].values for cell in row}


def test_orders_sent_by_the_client_are_those_sent_without_it(service: Service, client: Any) -> None:
    orders = [("1998-03-02", 29.30), ("1998-05-17T18:05:00", 15.0), ("1998-06-01", -5.25)]
    body = {
        "as_of": "1998-06-15", "horizon_days": 30,
        "customers": [{"customer_id": "new-1", "orders": [{"ordered_at": day, "amount": amount} for day, amount in orders]}],
    }  # fmt: skip
    without = service.ask("/v1/predictions", method="POST", json=body).json()
    customer = client.Customer("new-1", [client.Order(day, amount) for day, amount in orders])
    with client.Foretier(service.address, service.keys["all"]) as foretier:
        day = datetime(1998, 6, 15).date()
        assert foretier.predict([customer], as_of=day, horizon_days=30).to_dict() == without


def test_the_asynchronous_client_says_the_same(service: Service, client: Any) -> None:
    async def asked() -> tuple[Any, list[int]]:
        async with client.AsyncForetier(service.address, service.keys["all"]) as foretier:
            pages = [page async for page in foretier.list_churn_risk_pages(tier=["Platinum"], limit=40)]
            return await foretier.get_customer("19339"), [row.rank for page in pages for row in page.customers]

    customer, ranks = asyncio.run(asked())
    assert customer.to_dict() == service.ask("/v1/customers/19339").json()
    assert ranks == list(range(1, len(ranks) + 1))
    assert len(ranks) > 40


def test_a_no_is_raised_and_names_no_key(service: Service, client: Any) -> None:
    def raised(key: str | None, ask: Callable[[Any], Any], address: str = service.address) -> Any:
        with client.Foretier(address, key, retries=0) as foretier, pytest.raises(client.ForetierError) as error:
            ask(foretier)
        assert key is None or key not in f"{error.getrepr(showlocals=False)}{error.value!r}"
        return error.value

    everything, narrow = service.keys["all"], service.keys["narrow"]
    unknown = raised(everything, lambda foretier: foretier.get_customer("nobody"))
    assert (type(unknown), unknown.code) == (client.NotFoundError, "customer_not_found")
    wrong = raised(everything, lambda foretier: foretier.list_churn_risk(min_risk=5))
    assert isinstance(wrong, client.InvalidRequestError)
    assert [detail.path for detail in wrong.details] == ["query.min_risk"]
    assert raised(None, lambda foretier: foretier.get_model()).code == "unauthorized"
    assert raised(narrow, lambda foretier: foretier.list_churn_risk()).code == "forbidden"
    nowhere = raised(everything, lambda foretier: foretier.ready(), "http://127.0.0.1:1")
    assert isinstance(nowhere, client.UnreachableError)


def test_the_client_waits_as_long_as_it_is_told(service: Service, client: Any) -> None:
    service.spend()
    with client.Foretier(service.address, service.keys["slow"], retries=0) as foretier:
        with pytest.raises(client.BusyError) as busy:
            foretier.get_model()
        assert (busy.value.status, busy.value.retry_after) == (429, 1.0)
    with client.Foretier(service.address, service.keys["slow"] + "\n") as foretier:
        assert foretier.get_model().to_dict() == service.ask("/v1/model").json()


def test_what_a_later_service_adds_is_let_pass(service: Service, client: Any) -> None:
    later = service.ask("/v1/customers/19339").json() | {"movement": "sideways", "grade": "E", "mood": "good"}
    read = client.Prediction.from_dict(later)
    assert (read.movement, read.grade) == ("sideways", "E")


def test_the_client_and_its_page_know_every_operation(client: Any) -> None:
    operations = {
        re.sub(r"(?<=[a-z])([A-Z])", r"_\1", operation["operationId"]).lower()
        for path, methods in openapi()["paths"].items() if path.startswith("/v1/")
        for operation in methods.values()
    }  # fmt: skip
    assert len(operations) == 13
    for kind in (client.Foretier, client.AsyncForetier):
        assert operations <= {name for name in vars(kind) if not name.startswith("_")}
    assert [name for name in sorted(operations) if f"`{name}" not in CLIENT_PAGE] == []
