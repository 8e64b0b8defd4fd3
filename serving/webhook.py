"""Sending one event by HTTP as Standard Webhooks have it (standardwebhooks.com, specification 1.0.0), until it is taken.

``webhook-signature`` is ``v1,`` and the base64 of HMAC-SHA-256 over ``id.timestamp.body``; the secret is written as ``whsec_``
and base64. The id stays the same however often an event is sent, so that a receiver can tell what it already has; the
timestamp is that of the attempt. Neither errors nor logs hold the secret, a customer, or more of the address than its host.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from configs import __version__
from configs.errors import DeliveryError, SettingsError
from configs.webhook_address import is_this_machine, webhook_host

if TYPE_CHECKING:
    import httpx

SECRET_PREFIX = "whsec_"  # noqa: S105 (no secret)
FEWEST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64
FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 300.0
"""Between two attempts, before jitter."""
LONGEST_RETRY_AFTER_SECONDS = 3600.0
"""A receiver that asks for more is not waited for: the rest is sent by the next call."""

OK, MULTIPLE_CHOICES, BAD_REQUEST = 200, 300, 400
REQUEST_TIMEOUT, GONE, TOO_MANY_REQUESTS, SERVER_ERROR = 408, 410, 429, 500


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where events are sent to. ``keys`` are the secrets, decoded; ``attempts``: how often one event is tried at most."""

    url: str
    keys: tuple[bytes, ...]
    timeout_seconds: float
    attempts: int

    def __repr__(self) -> str:
        """Show where it is, and nothing that could open it."""
        return f"Receiver({webhook_host(self.url)})"


@dataclass(frozen=True, slots=True)
class Time:
    """The clock and how to wait, in seconds; tests bring their own."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the sending of one event ended: the last status (None: no answer), attempts of this call, and what was wrong.

    ``problem`` is empty where the receiver has taken the event.
    """

    status: int | None
    attempts: int
    problem: str = ""


def secret_keys(text: str | None) -> tuple[bytes, ...]:
    """Decode the secrets of the environment, separated by blanks: the new and the old one, while a receiver changes over.

    Raises SettingsError, which does not repeat them: there is none, or one is none.
    """
    wanted = (
        f"{SECRET_PREFIX} and {FEWEST_SECRET_BYTES} to {MOST_SECRET_BYTES} random bytes in base64, such as the output of: "
        f'echo "{SECRET_PREFIX}$(openssl rand -base64 32)"'
    )
    if text is None or not text.strip():
        raise SettingsError(f"webhooks are signed, and FORETIER_WEBHOOK_SECRET is not set; expected {wanted}")
    keys = tuple(_key(one) for one in text.split())
    if not all(FEWEST_SECRET_BYTES <= len(key) <= MOST_SECRET_BYTES for key in keys):
        raise SettingsError(f"FORETIER_WEBHOOK_SECRET is no webhook secret; expected {wanted}")
    return keys


def _key(secret: str) -> bytes:
    """Decode one secret; nothing where it is none."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True) if secret.startswith(SECRET_PREFIX) else b""
    except ValueError:
        return b""


def event_id(body: bytes) -> str:
    """Give the id of an event: the same bytes have the same id, wherever and whenever they are sent.

    >>> event_id(b"{}")
    'msg_44136fa355b3678a1146ad16f7e8649e'
    """
    return f"msg_{hashlib.sha256(body).hexdigest()[:32]}"


def signatures(keys: Sequence[bytes], identifier: str, timestamp: int, body: bytes) -> str:
    """Give the value of ``webhook-signature``, one for each key; ``timestamp`` in whole seconds since 1970-01-01 UTC."""
    signed = f"{identifier}.{timestamp}.".encode() + body
    return " ".join(f"v1,{base64.b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys)


def wait_seconds(identifier: str, attempt: int) -> float:
    """Give how long to wait after a failed attempt (1 is the first): twice as long each time, times 0.5 to 1.5 by the id.

    >>> [round(wait_seconds("msg_1", attempt), 1) for attempt in (1, 2, 3, 20)]
    [2.6, 5.5, 8.1, 356.2]
    """
    drawn = int.from_bytes(hashlib.sha256(f"{identifier}.{attempt}".encode()).digest()[:8]) / 2**64
    return min(math.ldexp(FIRST_WAIT_SECONDS, attempt - 1), LONGEST_WAIT_SECONDS) * (0.5 + drawn)


def send(identifier: str, body: bytes, to: Receiver, time: Time) -> Outcome:
    """Send one event until it is taken, refused for good, or tried too often.

    Tried again are no answer, 408, 429 and 5xx, after the time that ``Retry-After`` asks for where it is longer.
    """
    outcome = Outcome(None, 0, "was not tried")
    for attempt in range(1, to.attempts + 1):
        answer = _post(identifier, body, to, time)
        if isinstance(answer, str):
            outcome, asked = Outcome(None, attempt, answer), 0.0
        else:
            outcome, asked = Outcome(answer.status_code, attempt, _problem(answer.status_code)), _retry_after(answer, time.now())
        if not outcome.problem or not _passing(outcome.status) or attempt == to.attempts:
            return outcome
        if asked > LONGEST_RETRY_AFTER_SECONDS:
            return Outcome(outcome.status, attempt, f"{outcome.problem}, and asks not to be asked for {asked:,.0f} s")
        time.sleep(max(wait_seconds(identifier, attempt), asked))
    return outcome


def refused(outcome: Outcome, to: Receiver) -> DeliveryError:
    """Say of an event that was not taken what happened and what to do."""
    host, times = webhook_host(to.url), "once" if outcome.attempts == 1 else f"{outcome.attempts} times"
    if outcome.status == GONE:
        todo = "it wants no more events: take webhook.url out of the settings, or give the new address"
    elif outcome.status is not None and MULTIPLE_CHOICES <= outcome.status < BAD_REQUEST:
        todo = "redirects are not followed: give the final address as webhook.url"
    elif _passing(outcome.status):
        todo = "run foretier notify again: it sends what was not taken"
    else:
        todo = "correct webhook.url, FORETIER_WEBHOOK_SECRET or the receiver, then run foretier notify again"
    return DeliveryError(f"{host} {outcome.problem} (tried {times}); {todo}")


def _post(identifier: str, body: bytes, to: Receiver, time: Time) -> httpx.Response | str:
    """Give the answer, of which only the head is read, or in words why there is none."""
    import httpx

    timestamp = int(time.now().timestamp())
    headers = {
        "content-type": "application/json",
        "user-agent": f"foretier/{__version__}",
        "webhook-id": identifier,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signatures(to.keys, identifier, timestamp, body),
    }
    # A proxy of the environment would get what goes to this machine in clear; of TLS it sees nothing.
    client = httpx.Client(timeout=to.timeout_seconds, follow_redirects=False, trust_env=not is_this_machine(to.url))
    try:
        with client, client.stream("POST", to.url, content=body, headers=headers) as answer:
            return answer
    except httpx.InvalidURL:
        raise SettingsError("webhook.url is no address that can be asked; expected one such as https://HOST/PATH") from None
    except httpx.TimeoutException:
        return f"gave no answer within {to.timeout_seconds:g} s"
    except httpx.HTTPError as error:
        return f"cannot be reached ({type(error).__name__})"


def _passing(status: int | None) -> bool:
    """Whether it may go better the next time."""
    return status is None or status in (REQUEST_TIMEOUT, TOO_MANY_REQUESTS) or status >= SERVER_ERROR


def _problem(status: int) -> str:
    return "" if OK <= status < MULTIPLE_CHOICES else f"answered {status}"


def _retry_after(answer: httpx.Response, now: datetime) -> float:
    """Seconds that the receiver asks to wait, as a number or as a date; 0 where it says nothing that can be read."""
    text = answer.headers.get("retry-after", "").strip()
    try:
        if text.isdecimal():
            return float(text)
        moment = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, math.ceil((moment - now).total_seconds()))
