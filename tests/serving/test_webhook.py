"""The webhook against real receivers over HTTP: what is signed is checked by another implementation, and time is our own."""

from __future__ import annotations

import base64
import hmac
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from standardwebhooks import Webhook

from configs.change_kinds import CHANGE_KINDS
from configs.errors import DeliveryError, SettingsError
from configs.settings import Scoring
from serving.changes import Comparison, changes, compare
from serving.changes_table import wire_change
from serving.predictions import CustomerScore, Terms
from serving.store import ScoringRun, Store, Wanted
from serving.webhook import Outcome, Receiver, Time, event_id, secret_keys, send, signatures, wait_seconds
from serving.webhook_events import EVENT_ROWS, Event, deliver, events
from serving.webhook_store import DeliveryStore

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "webhook.md").read_text(encoding="utf-8")
SECRET = f"whsec_{base64.b64encode(bytes(range(32))).decode()}"
OTHER_SECRET = f"whsec_{base64.b64encode(bytes(range(40))).decode()}"
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
ALL = Wanted(CHANGE_KINDS)
BANDS = Scoring().risk_bands
TIERS = ("Platinum", "Gold", "Silver", "Bronze")
MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]
Answer = int | tuple[int, dict[str, str]] | str


@dataclass
class Clock:
    """A clock that moves only where somebody waits."""

    now: datetime = NOW
    waited: list[float] = field(default_factory=list)

    @property
    def time(self) -> Time:
        """The clock as the sender takes it."""
        return Time(lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)
        self.now += timedelta(seconds=seconds)


@dataclass
class Receiving:
    """A receiver on this machine: what it answers, in turn, the last for ever; and what it got."""

    url: str
    answers: list[Answer]
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    let_go: threading.Event = field(default_factory=threading.Event)

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.got]


@contextmanager
def receiving(*answers: Answer, path: str = "/hook") -> Iterator[Receiving]:
    """Run a receiver. ``drop``: hangs up after the first bytes of the body; ``hang``: reads all and never answers;
    ``half``: breaks off within its answer."""  # noqa: D205, D209

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            answer = there.answers.pop(0) if len(there.answers) > 1 else there.answers[0]
            headers = {name.lower(): value for name, value in self.headers.items()}
            length = int(headers["content-length"])
            there.got.append((headers, self.rfile.read(min(length, 10) if answer == "drop" else length)))
            self.close_connection = True
            if answer == "hang":
                there.let_go.wait(30)
            elif answer == "half":
                self.wfile.write(b"HTTP/1.1 20")
            elif not isinstance(answer, str):
                status, more = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in {"content-length": "0", **more}.items():
                    self.send_header(name, value)
                self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there = Receiving(f"http://127.0.0.1:{server.server_port}{path}", list(answers))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield there
        finally:
            there.let_go.set()
            server.shutdown()
            thread.join()


def to(there: Receiving | str, **changes: Any) -> Receiver:
    url = there if isinstance(there, str) else there.url
    return replace(Receiver(url, secret_keys(SECRET), timeout_seconds=5.0, attempts=6), **changes)


# ------------------------------------------------------------------------------------------------------------- signatures


def test_the_signature_is_that_of_the_published_example() -> None:
    """The test vector of the reference libraries."""
    keys = secret_keys("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    found = signatures(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("given", [SECRET, f"{OTHER_SECRET} {SECRET}"])
def test_another_library_takes_what_is_sent(given: str) -> None:
    body = '{"customers": ["Zoë 😀"]}'.encode()
    with receiving(200) as there:
        outcome = send("msg_1", body, to(there, keys=secret_keys(given)), Time(lambda: datetime.now(UTC), time.sleep))
    [(headers, got)] = there.got
    assert (outcome, got) == (Outcome(200, 1), body)
    assert Webhook(SECRET).verify(got, headers) == json.loads(body)
    assert headers["content-type"] == "application/json"
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(base64.b64encode(b"x" * 32).decode()).verify(got, headers)


@pytest.mark.parametrize(
    "given", [None, "", " ", SECRET.removeprefix("whsec_"), "whsec_", "whsec_c2hvcnQ=", "whsec_???", f"{SECRET} x", SECRET[:-3]]
)
def test_what_is_no_secret_is_refused_and_not_repeated(given: str | None) -> None:
    with pytest.raises(SettingsError, match="openssl rand") as caught:
        secret_keys(given)
    assert len(given or "") < 10 or given not in str(caught.value)


# --------------------------------------------------------------------------------------------------------------- attempts


def test_it_is_tried_again_until_it_is_taken_under_one_id_and_with_new_timestamps() -> None:
    clock = Clock()
    with receiving(500, 502, 503, 408, 429, 204) as there:
        outcome = send("msg_1", b"{}", to(there), clock.time)
    assert outcome == Outcome(204, 6)
    assert there.ids == ["msg_1"] * 6
    assert clock.waited == [wait_seconds("msg_1", attempt) for attempt in range(1, 6)]
    seen = [int(headers["webhook-timestamp"]) for headers, _ in there.got]
    assert seen == sorted(set(seen))
    for headers, body in there.got:
        signed = f"msg_1.{headers['webhook-timestamp']}.".encode() + body
        wanted = base64.b64encode(hmac.digest(bytes(range(32)), signed, "sha256")).decode()
        assert headers["webhook-signature"] == f"v1,{wanted}"


def test_waits_grow_and_differ_by_id() -> None:
    for identifier in ("msg_1", "msg_2"):
        waits = [wait_seconds(identifier, attempt) for attempt in range(1, 21)]
        assert waits == [wait_seconds(identifier, attempt) for attempt in range(1, 21)]
        for attempt, wait in enumerate(waits):
            assert 0.5 <= wait / min(2.0 * 2**attempt, 300.0) <= 1.5
    assert wait_seconds("msg_1", 1) != wait_seconds("msg_2", 1)


@pytest.mark.parametrize("answer", ["drop", "half", "hang", 500, 429])
def test_it_is_given_up_after_so_many_attempts(answer: Answer) -> None:
    clock = Clock()
    with receiving(answer) as there:
        outcome = send("msg_1", b"{}" * 100_000, to(there, attempts=2, timeout_seconds=0.3), clock.time)
        there.let_go.set()
    assert (outcome.attempts, len(there.got), len(clock.waited)) == (2, 2, 1)
    said = {"hang": "gave no answer within 0.3 s", 500: "answered 500", 429: "answered 429"}
    assert outcome.problem.startswith(said.get(answer, "cannot be reached ("))  # type: ignore[call-overload]


@pytest.mark.parametrize("answer", ["drop", "half", "hang"])
def test_what_breaks_off_is_sent_again(answer: Answer) -> None:
    with receiving(answer, 200) as there:
        outcome = send("msg_1", b"{}" * 100_000, to(there, timeout_seconds=0.3), Clock().time)
        there.let_go.set()
    assert outcome == Outcome(200, 2)
    assert there.got[-1][1] == b"{}" * 100_000


def test_nobody_who_listens_is_tried_again() -> None:
    clock = Clock()
    outcome = send("msg_1", b"{}", to("http://127.0.0.1:1/", attempts=3), clock.time)
    assert outcome == Outcome(None, 3, "cannot be reached (ConnectError)")
    assert len(clock.waited) == 2


@pytest.mark.parametrize(
    ("header", "least"),
    [
        ("120", 120.0),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("0", 0.0),
        ("soon", 0.0),
        ("-5", 0.0),
        ("Wed, 99 Mar 2026 12:00:00 GMT", 0.0),
    ],
)
def test_retry_after_is_honoured(header: str, least: float) -> None:
    for status in (429, 503):
        clock = Clock()
        with receiving((status, {"retry-after": header}), 200) as there:
            assert send("msg_1", b"{}", to(there), clock.time) == Outcome(200, 2)
        assert clock.waited == [max(least, wait_seconds("msg_1", 1))]


def test_who_asks_for_hours_is_left_to_the_next_call() -> None:
    clock = Clock()
    with receiving((429, {"retry-after": "7200"}), 200) as there:
        outcome = send("msg_1", b"{}", to(there), clock.time)
    assert outcome == Outcome(429, 1, "answered 429, and asks not to be asked for 7,200 s")
    assert clock.waited == []


@pytest.mark.parametrize("status", [301, 302, 307, 308, 400, 401, 403, 404, 409, 410, 413, 422])
def test_other_answers_are_final_and_redirects_are_not_followed(status: int) -> None:
    clock = Clock()
    with receiving(200) as elsewhere, receiving((status, {"location": elsewhere.url})) as there:
        outcome = send("msg_1", b"{}", to(there), clock.time)
    assert outcome == Outcome(status, 1, f"answered {status}")
    assert (len(there.got), elsewhere.got, clock.waited) == (1, [], [])


def test_a_proxy_gets_nothing_of_what_stays_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(200) as proxy, receiving(200) as there:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url.removesuffix("/hook"))
        assert send("msg_1", b"{}", to(there), Clock().time) == Outcome(200, 1)
    assert (len(there.got), proxy.got) == (1, [])


# ----------------------------------------------------------------------------------------------------------------- events


@pytest.fixture
def compared(store: Store, make_scores: MakeScores, publish: Publish) -> Comparison:
    """Two runs between which 1,300 customers changed."""
    return two_runs(store, make_scores, publish)


def two_runs(store: Store, make_scores: MakeScores, publish: Publish) -> Comparison:
    ids = [f"{place:05d}" for place in range(1_350)]
    first = publish(store, [replace(score, tier="Gold") for score in make_scores(ids)])
    later = [replace(score, tier="Silver" if place < 1_300 else "Gold") for place, score in enumerate(make_scores(ids))]
    with store.writing(Terms(date(2011, 6, 19), 180, "GBP", "3"), tier_names=TIERS, created_at=first.created_at) as writer:
        writer.add([replace(score, predicted_value=score.predicted_value / 2) for score in later])
        writer.publish(keep_runs=12)
    return compare(store, BANDS)


@pytest.fixture
def deliveries(store_url: str, store: Store) -> Iterator[DeliveryStore]:  # noqa: ARG001 (the store is made first)
    with DeliveryStore(store_url) as opened:
        yield opened


def test_events_are_the_pages_of_the_changes_and_always_the_same(
    store: Store, compared: Comparison, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list(events(store, compared, ALL))
    assert [(one.page, one.pages, one.customers) for one in made] == [(1, 3, 500), (2, 3, 500), (3, 3, 300)]
    data = [json.loads(one.body)["data"] for one in made]
    assert [row for one in data for row in one["customers"]] == [wire_change(row) for row in changes(store, compared)]
    assert {(one["page"], one["pages"], one["total"]) for one in data} == {(1, 3, 1300), (2, 3, 1300), (3, 3, 1300)}
    assert (data[0]["from"]["scoring_run"], data[0]["to"]["as_of"]) == (1, "2011-06-19")
    assert json.loads(made[0].body)["type"] == "customers.changed"
    assert len({one.identifier for one in made}) == 3
    monkeypatch.setattr("serving.webhook_events.ROWS_READ_AT_ONCE", EVENT_ROWS)
    assert list(events(store, compared, ALL)) == made
    assert [one.identifier for one in made] == [event_id(one.body) for one in made]
    assert list(events(store, compared, Wanted(("won_back",)))) == []


def test_what_was_delivered_is_not_sent_again_unless_it_is_asked_for(
    store: Store, deliveries: DeliveryStore, compared: Comparison
) -> None:
    with receiving(200) as there, receiving(200) as other:
        for _ in range(2):
            told = list(deliver(events(store, compared, ALL), deliveries, to(there), Clock().time))
        assert [(one.already, one.attempts, one.status) for one in told] == [(True, 0, None)] * 3
        assert there.ids == [one.event.identifier for one in told]
        list(deliver(events(store, compared, ALL), deliveries, to(there), Clock().time, again=True))
        assert there.ids == [one.event.identifier for one in told] * 2
        assert there.got[0][1] == there.got[3][1]
        list(deliver(events(store, compared, ALL), deliveries, to(other), Clock().time))
        assert len(other.got) == 3


def test_a_refusal_stops_and_the_next_call_goes_on(
    store: Store, deliveries: DeliveryStore, compared: Comparison, store_url: str
) -> None:
    made = list(events(store, compared, ALL))
    with receiving(200, 500, 500, 200) as there:
        with pytest.raises(DeliveryError, match=r"^event 2 of 3 was not delivered: http://\S+ answered 500 \(tried 2"):
            list(deliver(events(store, compared, ALL), deliveries, to(there, attempts=2), Clock().time))
        told = list(deliver(events(store, compared, ALL), deliveries, to(there), Clock().time))
    assert [one.already for one in told] == [True, False, False]
    assert there.ids == [made[0].identifier, *[made[1].identifier] * 3, made[2].identifier]
    if store_url.startswith("sqlite"):
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"))) as file:
            rows = file.execute("SELECT event_id, url, delivered_at, status, attempts FROM webhook_deliveries").fetchall()
        assert {row[0]: row[1:] for row in rows} == {
            made[0].identifier: (there.url, NOW.isoformat(), 200, 1),
            made[1].identifier: (there.url, NOW.isoformat(), 200, 3),
            made[2].identifier: (there.url, NOW.isoformat(), 200, 1),
        }


@pytest.mark.parametrize(
    ("status", "todo"),
    [
        (410, "wants no more events: take webhook.url out of the settings"),
        (308, "redirects are not followed: give the final address"),
        (403, "correct webhook.url, FORETIER_WEBHOOK_SECRET or the receiver"),
        (503, "run foretier notify again"),
    ],
)
def test_a_refusal_says_what_to_do_and_nothing_of_anybody(
    store: Store, deliveries: DeliveryStore, compared: Comparison, status: int, todo: str
) -> None:
    with receiving(status, path="/hook/s3cret?token=t0ken") as there:
        with pytest.raises(DeliveryError, match=todo) as caught:
            list(deliver(events(store, compared, ALL), deliveries, to(there, attempts=1), Clock().time))
        assert len(there.got) == 1
    assert not re.search(r"s3cret|t0ken|whsec|\b0\d{4}\b", f"{caught.value!r} {to(there)!r}")


def test_deliveries_are_added_up_and_stay_delivered(deliveries: DeliveryStore) -> None:
    deliveries.record("msg_1", "https://a", None, 6, None)
    assert not deliveries.delivered("msg_1", "https://a")
    deliveries.record("msg_1", "https://a", 200, 2, NOW)
    deliveries.record("msg_1", "https://a", 500, 6, None)
    assert deliveries.delivered("msg_1", "https://a")
    assert not deliveries.delivered("msg_1", "https://b")
    assert not deliveries.delivered("msg_2", "https://a")


# ------------------------------------------------------------------------------------------------------------ the command


@dataclass(frozen=True)
class Home:
    """A folder with settings, and a store of two runs in it."""

    path: Path
    made: list[Event]

    def notify(self, url: str | None, *words: str, **variables: str) -> subprocess.Popen[str]:
        """Start ``foretier notify`` in a process of its own."""
        settings = {
            "source": {"path": "orders.csv"},
            "columns": {"customer_id": "c", "ordered_at": "t", "amount": "a"},
            "currency": "GBP",
            "webhook": {"url": url, "timeout_seconds": 10.0, "attempts": 1},
        }
        (self.path / "foretier.yaml").write_text(yaml.safe_dump(settings))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FORETIER_")}
        environment = {
            **kept, "FORETIER_HOME": str(self.path), "PYTHONPATH": str(ROOT), "COLUMNS": "200",
            "FORETIER_WEBHOOK_SECRET": SECRET, **variables,
        }  # fmt: skip
        command = [sys.executable, str(ROOT / "foretier.py"), "notify", *words]
        return subprocess.Popen(
            command, cwd=self.path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def told(self, url: str | None, *words: str, **variables: str) -> tuple[int, str, str]:
        """Run it to its end: exit code, output, errors."""
        with self.notify(url, *words, **variables) as process:
            output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors


@pytest.fixture(scope="module")
def two_runs_home(tmp_path_factory: pytest.TempPathFactory, make_scores: MakeScores, publish: Publish) -> Home:
    path = tmp_path_factory.mktemp("home")
    with Store(f"sqlite:///{path / 'scores.db'}") as store:
        found = two_runs(store, make_scores, publish)
        return Home(path, list(events(store, found, ALL)))


@pytest.fixture
def home(two_runs_home: Home) -> Home:
    """The home without any delivery."""
    with DeliveryStore(f"sqlite:///{two_runs_home.path / 'scores.db'}"):
        pass
    with closing(sqlite3.connect(two_runs_home.path / "scores.db")) as file:
        file.execute("DELETE FROM webhook_deliveries")
        file.commit()
    return two_runs_home


def test_a_killed_sender_leaves_the_rest_to_the_next_call(home: Home) -> None:
    ids = [one.identifier for one in home.made]
    with receiving(200, 200, "hang", 200) as there:
        with home.notify(there.url) as process:
            until = time.monotonic() + 60
            while len(there.got) < 3:
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.communicate()
        there.let_go.set()
        code, output, errors = home.told(there.url, "--json", "-")
    assert code == 0, errors
    assert there.ids == [*ids[:2], ids[2], ids[2]]
    assert there.got[2][1] == there.got[3][1] == home.made[2].body
    told = json.loads(output)
    assert (told["receiver"], told["from"], told["to"]) == (there.url.removesuffix("/hook"), 1, 2)
    assert [(one["id"], one["already_delivered"], one["attempts"], one["status"]) for one in told["events"]] == [
        (ids[0], True, 0, None), (ids[1], True, 0, None), (ids[2], False, 1, 200),
    ]  # fmt: skip
    assert re.search("1 of 3 events with 300 customers sent to .*; 2 were delivered before", errors)


def test_the_command_says_what_it_lacks_and_tells_no_secret(home: Home) -> None:
    hidden = "https://nobody.example/T0ken?key=k3y"
    for url, variables, words in (
        (None, {}, "webhook.url is not set"),
        (hidden, {"FORETIER_WEBHOOK_SECRET": "whsec_bm90IGxvbmc="}, "is no webhook secret"),
        (hidden, {"FORETIER_WEBHOOK_SECRET": ""}, "is not set; expected whsec_"),
        ("http://nobody.example/T0ken", {}, "webhook.url: must begin with https://"),
    ):
        code, output, errors = home.told(url, **variables)
        assert (code, output) == (2, "")
        [line] = errors.splitlines()
        assert words in line
        assert not re.search(r"T0ken|k3y|bm90|AAEC", line)


def test_only_the_kinds_of_the_settings_are_sent(store: Store, compared: Comparison) -> None:
    [first, *_] = events(store, compared, Wanted(("downgraded",)))
    data = json.loads(first.body)["data"]
    assert data["counts"] == {"downgraded": 1300}
    assert all("downgraded" in row["kinds"] for row in data["customers"])


# --------------------------------------------------------------------------------------------------------- the document


def test_the_receiver_of_the_page_takes_what_is_sent(home: Home, tmp_path: Path) -> None:
    [code] = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {"FORETIER_WEBHOOK_SECRET": SECRET, "PORT": str(port), "PATH": os.environ["PATH"]}
    command, url = [sys.executable, "-W", "error", "-c", code], f"http://127.0.0.1:{port}/"
    with (
        (tmp_path / "printed").open("w") as printed,
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=printed, stderr=subprocess.DEVNULL) as receiver,
    ):
        try:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.05)
            assert home.told(url, FORETIER_WEBHOOK_SECRET=OTHER_SECRET)[2].count("answered 401 (tried once)") == 1
            assert home.told(url)[0] == 0
            assert home.told(url, "--again")[0] == 0
            late = Clock(datetime.now(UTC) - timedelta(hours=1))
            assert send("msg_1", b"{}", to(url), late.time).status == 401
        finally:
            receiver.kill()
    with closing(sqlite3.connect(tmp_path / "events.db")) as kept:
        rows = kept.execute("SELECT id, event FROM events ORDER BY rowid").fetchall()
    assert rows == [(one.identifier, one.body.decode()) for one in home.made]
    assert (tmp_path / "printed").read_text().splitlines()[0] == "{} {}".format(
        json.loads(home.made[0].body)["data"]["customers"][0]["customer_id"], "downgraded"
    )


def test_the_example_of_the_page_is_what_is_sent(home: Home) -> None:
    [shown] = [json.loads(body) for body in re.findall(r"^```json\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)]

    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: shape(inner) for name, inner in value.items()}
        return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], dict) else type(value).__name__

    real = json.loads(home.made[0].body)
    real["data"]["from"]["grade"] = real["data"]["to"]["grade"] = "B"
    assert shape(shown) == shape(real)
