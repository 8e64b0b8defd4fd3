"""The load generator: raw sockets under uvloop, one request at a time on each connection, so that it costs little.

Nothing is pipelined and connections are kept open, as an application's client does it. A connection that the server ends
before the whole answer is there is a loss, and told apart from every answer.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import uvloop

HEAD_END = b"\r\n\r\n"
LENGTH = b"content-length:"
LAST = b"connection: close"
OPEN_FILES = 8_192
Result = TypeVar("Result")


class Request(NamedTuple):
    """One request as its bytes; ``kind`` is what it is counted under, ``key`` what its answer is checked by."""

    kind: str
    raw: bytes
    key: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer: its head as it came, its body, and the seconds from the request to its last byte."""

    head: bytes
    body: bytes
    seconds: float

    @property
    def status(self) -> int:
        return int(self.head[9:12])

    def header(self, name: str) -> str | None:
        """Give a header's value; None where it is not there."""
        for line in self.head.decode("latin-1").split("\r\n")[1:]:
            found, _, value = line.partition(":")
            if found.lower() == name:
                return value.strip()
        return None


class LostError(Exception):
    """The connection ended, or could not be made, before the whole answer was there."""


class Connection(asyncio.Protocol):
    """One connection to a server on loopback."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._received = bytearray()
        self._answered: asyncio.Future[tuple[bytes, bytes]] | None = None
        self._missing = 0
        self.closed = False

    @classmethod
    async def to(cls, port: int) -> Connection:
        """Connect. Raises LostError."""
        try:
            _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        except OSError as error:
            raise LostError(f"cannot connect: {error.strerror or error}") from None
        return connection

    async def ask(self, raw: bytes) -> Answer:
        """Send one request and wait for the whole answer. Raises LostError."""
        began = self.send(raw)
        return await self.answer(began)

    def send(self, raw: bytes) -> float:
        """Send one request; gives the time of a clock that ``answer`` takes. Raises LostError."""
        if self.closed:
            raise LostError("closed before the request")
        self._answered = asyncio.get_running_loop().create_future()
        began = time.perf_counter()
        self._transport.write(raw)
        return began

    async def answer(self, began: float) -> Answer:
        """Wait for the answer to what was sent. Raises LostError."""
        if self._answered is None:
            raise LostError("nothing was asked")
        head, body = await self._answered
        self._answered = None
        return Answer(head, body, time.perf_counter() - began)

    @property
    def waits(self) -> bool:
        """Whether all bytes of a request have left this process, and the answer is not yet whole."""
        asked = self._answered is not None and not self._answered.done()
        return asked and self._transport.get_write_buffer_size() == 0

    def close(self) -> None:
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if len(self._received) < self._missing:
            return
        end = self._received.find(HEAD_END)
        if end < 0 or self._answered is None or self._answered.done():
            return
        head = bytes(self._received[:end])
        lowered = head.lower()
        whole = end + len(HEAD_END) + _length(lowered)
        if len(self._received) < whole:
            self._missing = whole
            return
        body = bytes(self._received[end + len(HEAD_END) : whole])
        del self._received[:whole]
        self._missing = 0
        if LAST in lowered:
            self.closed = True
            self._transport.close()
        self._answered.set_result((head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        if self._answered is not None and not self._answered.done():
            said = "reset" if exc is not None else "closed"
            self._answered.set_exception(LostError(f"{said} after {len(self._received)} bytes of the answer"))


@dataclass
class Tally:
    """What came of many requests: seconds by kind (of those answered 200), counts by kind and status, losses by words."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    strange: str = ""

    def note(self, request: Request, answer: Answer) -> None:
        """Count one answer; the first that is neither 200 nor 503 is kept in words."""
        status = answer.status
        self.statuses[request.kind, status] += 1
        if status == 200:
            self.seconds.setdefault(request.kind, []).append(answer.seconds)
        elif status != 503 and not self.strange:
            self.strange = f"{status} to {request.kind}: {answer.body[:300].decode(errors='replace')}"

    @property
    def requests(self) -> int:
        return sum(self.statuses.values()) + sum(self.lost.values())

    @property
    def failed(self) -> int:
        """Everything but 200."""
        return self.requests - self.by_status()[200]

    @property
    def said(self) -> str:
        """What was neither 200 nor 503, in words; empty where there is nothing."""
        lost = ", ".join(f"{words}: {count:,}" for words, count in self.lost.items())
        return "; ".join(filter(None, (self.strange, lost)))

    def by_status(self) -> Counter[int]:
        found: Counter[int] = Counter()
        for (_, status), count in self.statuses.items():
            found[status] += count
        return found


Note = Callable[[Request, Answer], float]
"""Told of every answer; gives the seconds to wait before the connection asks again."""


async def hammer(
    port: int, connections: int, requests: Iterator[Request], go_on: Callable[[], bool], tally: Tally, also: Note | None = None
) -> None:
    """Keep so many connections asking, each its next request when the last is answered, while ``go_on()``."""

    async def one() -> None:
        connection: Connection | None = None
        while go_on():
            try:
                if connection is None or connection.closed:
                    connection = await Connection.to(port)
                request = next(requests)
                answer = await connection.ask(request.raw)
            except LostError as error:
                tally.lost[str(error)] += 1
                await asyncio.sleep(0.05)
                continue
            tally.note(request, answer)
            if also is not None and (pause := also(request, answer)):
                await asyncio.sleep(pause)
        if connection is not None:
            connection.close()

    await asyncio.gather(*(one() for _ in range(connections)))


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Give what says whether so many seconds have not passed yet."""
    until = time.perf_counter() + seconds
    return lambda: time.perf_counter() < until


def percentile(values: list[float], share: float) -> float:
    """Give the value below which this share of the values lies (nearest rank); NaN where there is none."""
    if not values:
        return float("nan")
    return sorted(values)[min(int(len(values) * share), len(values) - 1)]


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run under uvloop, with as many open files as this user may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return uvloop.run(work)


async def every(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
    """Do something again and again, until cancelled."""
    while True:
        await work()
        await asyncio.sleep(seconds)


def _length(head: bytes) -> int:
    """The length of the body that a head in small letters announces."""
    found = head.find(LENGTH)
    if found < 0:
        return 0
    return int(head[found + len(LENGTH) :].partition(b"\r\n")[0])
