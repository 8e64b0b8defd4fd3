"""Who may ask what: host names, API keys with scopes, and how often.

While no key was ever made, the service answers loopback alone, without one. From the first key on every request needs a key,
on loopback too: a proxy on the same machine would else open the service to everybody. Without a name of their own in
``serving.allowed_hosts`` only ``localhost`` and IP addresses are taken as host: a page in somebody's browser that has its own
name resolve to this service (DNS rebinding) needs a name.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from configs.settings import Serving
from serving.keys import Key, KeyRing, Scope
from serving.rate_limit import RateLimit
from serving.refusal import Fault, Refusal

CHALLENGE = {"www-authenticate": 'Bearer realm="foretier"'}


def check_host(headers: Mapping[bytes, bytes], serving: Serving) -> None:
    """Raise Refusal (400): the request names a host that this service is not known by."""
    named = headers.get(b"host", b"").decode("latin-1")
    if _allowed(named, serving.allowed_hosts):
        return
    message = "names a host that this service does not answer to; serving.allowed_hosts in the settings lists those it does"
    raise Refusal(400, "host_not_allowed", f"The header Host {message}", (Fault("headers.host", message),))


@lru_cache(maxsize=1024)
def _allowed(named: str, hosts: tuple[str, ...]) -> bool:
    host = named[1:].partition("]")[0] if named.startswith("[") and "]" in named else named.rpartition(":")[0] or named
    if host.lower() in ("localhost", *hosts):
        return True
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def admitted(
    scope: Scope, headers: Mapping[bytes, bytes], peer: str, keys: KeyRing, limits: RateLimit, serving: Serving,
    *, at: datetime, tick: float,
) -> Key | None:  # fmt: skip
    """Give the key of a request for what needs this scope; None while nobody needs one.

    ``peer``: the address the request came from. ``at``: the time, for keys that expire; ``tick``: seconds of a clock that
    never goes back, for rates.

    Raises Refusal: 401 without a valid key, 403 for a key without the scope, 429 past the key's rate.
    """
    if keys.open_at(peer):
        return None
    key = keys.caller(headers.get(b"authorization"), at)
    if key is None:
        message = "This needs a valid API key as header: Authorization: Bearer foretier_...; foretier keys create makes one"
        raise Refusal(401, "unauthorized", message, headers=CHALLENGE)
    if scope not in key.scopes:
        message = f'This key is not made for this: it lacks the scope "{scope}"'
        raise Refusal(403, "forbidden", message)
    rate = key.requests_per_second or serving.requests_per_second
    wait = limits.wait(key.id, rate, tick)
    if wait > 0.0:
        message = f"This key may ask {rate:g} times a second; Retry-After says when to ask again"
        raise Refusal(429, "too_many_requests", message, headers={"retry-after": str(math.ceil(wait))})
    return key
