"""Where a webhook may be sent: over TLS, or to this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit


def check_webhook_address(url: str) -> None:
    """Raise ValueError, which does not repeat the address, unless it is https, or http on this machine, without a password."""
    parts = _parts(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        raise ValueError("expected an address such as https://crm.shop.example/foretier")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user name or password: what is sent is signed with FORETIER_WEBHOOK_SECRET")
    if parts.fragment:
        raise ValueError("must not hold a #: what follows it is never sent")
    if parts.scheme == "http" and not is_this_machine(url):
        raise ValueError("must begin with https://, for customers would else be sent in clear; http:// is for this machine alone")


def is_this_machine(url: str) -> bool:
    """Tell whether the host of an address is this machine.

    >>> [is_this_machine(f"http://{host}/x") for host in ("localhost:8000", "127.0.0.1", "[::1]:9")]
    [True, True, True]
    >>> [is_this_machine(f"http://{host}/x") for host in ("10.0.0.1", "localhost.example", "127.0.0.1.example")]
    [False, False, False]
    """
    parts = _parts(url)
    host = "" if parts is None else parts.hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def webhook_host(url: str) -> str:
    """Give of an address what may be shown: where it leads, without a path or query that could hold a secret.

    >>> webhook_host("https://hooks.example:8443/services/T0/s3cret?key=1")
    'https://hooks.example:8443'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _parts(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        _ = parts.port  # is a number, or raises
    except ValueError:
        return None
    return parts
