"""API keys: how one is made, what is kept of it, and whose key a request carries.

A key reads ``foretier_<id>_<secret>``. Of the secret only a salted hash is kept. The secret is 256 random bits, so nobody can
guess it from the hash however fast the hash is: one HMAC-SHA-256 is right, and a slow password hash would only slow down
every request. Whoever asks with an id that does not exist is answered after the same work as one with a wrong secret.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Literal, get_args

from configs.errors import NotFoundError, SettingsError, nearest

Scope = Literal["read", "predict", "lists", "admin"]
State = Literal["active", "expired", "revoked"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
DEFAULT_SCOPES: tuple[Scope, ...] = ("read", "predict")
SCOPES_OF_EVERYBODY: frozenset[Scope] = frozenset({"lists", "admin"})
LONGEST_NAME = 100
LONGEST_PATTERN = 200
MOST_REQUESTS_PER_SECOND = 100_000.0
ID_BYTES, SECRET_BYTES, SALT_BYTES = 6, 32, 16
AUTHORIZATION = re.compile(rb"(?i:bearer) +foretier_(?P<id>[0-9a-f]{12})_(?P<secret>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Key:
    """What the holder of a key may do.

    ``scopes``: ``read`` customers, tiers and the model; ``predict`` for orders of the request; ``lists``; ``admin``: metrics.
    ``customers``: a glob pattern on exact ids, or None for all. ``requests_per_second``: None where the settings decide.
    ``expires_at``: the first moment at which it is no longer good, with a time zone; None: never.
    """

    id: str
    name: str
    scopes: frozenset[Scope]
    customers: str | None = None
    requests_per_second: float | None = None
    expires_at: datetime | None = None

    def may_see(self, customer_id: str) -> bool:
        """Tell whether this customer is one of those the key is limited to; capitals count."""
        return self.customers is None or fnmatchcase(customer_id, self.customers)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is kept of a key; times have a time zone. Neither salt nor hash is ever shown."""

    key: Key
    salt: bytes = field(repr=False)
    secret_hash: bytes = field(repr=False)
    created_at: datetime
    revoked_at: datetime | None = None

    def state(self, now: datetime) -> State:
        """Tell what the key is good for at this moment."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.key.expires_at is not None and now >= self.key.expires_at else "active"


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOBODY = KeyRecord(Key("", "", frozenset()), bytes(SALT_BYTES), bytes(SECRET_BYTES), EPOCH, revoked_at=EPOCH)


@dataclass(frozen=True)
class KeyRing:
    """All keys that were ever created, expired and revoked ones too, to tell callers by."""

    records: tuple[KeyRecord, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether no key was ever created. A key that was revoked has been created."""
        return not self.records

    def open_at(self, address: str) -> bool:
        """Tell whether a request over this IP address needs no key: it is loopback, and no key was ever created."""
        return self.empty and is_loopback(address)

    def caller(self, authorization: bytes | None, now: datetime) -> Key | None:
        """Give the key of an ``Authorization: Bearer foretier_...`` header; None: there is none that is good at ``now``."""
        said = None if authorization is None else AUTHORIZATION.fullmatch(authorization)
        if said is None:
            return None
        record = self._by_id.get(said["id"], NOBODY)
        same = hmac.compare_digest(_hash(record.salt, said["secret"]), record.secret_hash)
        return record.key if same and record.state(now) == "active" else None

    @cached_property
    def _by_id(self) -> dict[bytes, KeyRecord]:
        return {record.key.id.encode(): record for record in self.records}


def new_key(
    name: str,
    *,
    created_at: datetime,
    scopes: Iterable[str] = DEFAULT_SCOPES,
    customers: str | None = None,
    requests_per_second: float | None = None,
    expires_at: datetime | None = None,
) -> tuple[KeyRecord, str]:
    """Make a key: the record to keep, and the text to show once.

    Raises SettingsError: a name or pattern that is empty, too long or not printable, an unknown scope, a list of everybody for
    a key that is limited to some customers, a limit or an end that makes no sense.
    """
    _check_text("the name of a key", name, LONGEST_NAME)
    known = _known_scopes(scopes)
    if customers is not None:
        _check_text("a pattern of customer ids", customers, LONGEST_PATTERN)
        _check_limited(known)
    if requests_per_second is not None and not 1.0 <= requests_per_second <= MOST_REQUESTS_PER_SECOND:
        raise SettingsError(
            f"requests per second must be from 1 to {MOST_REQUESTS_PER_SECOND:,.0f}, found {requests_per_second:g}"
        )
    if expires_at is not None and expires_at <= created_at:
        raise SettingsError(f"a key that expires on {expires_at:%Y-%m-%d %H:%M %Z} would be of no use: give a later day")
    key_id, secret, salt = secrets.token_hex(ID_BYTES), secrets.token_hex(SECRET_BYTES), secrets.token_bytes(SALT_BYTES)
    key = Key(key_id, name, known, customers, requests_per_second, expires_at)
    return KeyRecord(key, salt, _hash(salt, secret.encode()), created_at), f"foretier_{key_id}_{secret}"


def chosen(records: Sequence[KeyRecord], id_or_name: str, now: datetime) -> KeyRecord:
    """Give the one key that is meant by its id, or else by the name of one active key.

    Raises NotFoundError: there is none, or it was revoked. SettingsError: several active keys have this name.
    """
    for record in records:
        if record.key.id == id_or_name:
            if record.revoked_at is not None:
                raise NotFoundError(f"the key {id_or_name} was revoked already, on {record.revoked_at:%Y-%m-%d %H:%M %Z}")
            return record
    active = [record for record in records if record.state(now) == "active"]
    named = [record for record in active if record.key.name == id_or_name]
    if not named:
        known = dict.fromkeys(record.key.name for record in active)
        raise NotFoundError(f'there is no active key "{id_or_name[:LONGEST_NAME]}"; {nearest(id_or_name, known)}')
    if len(named) > 1:
        raise SettingsError(
            f'{len(named)} active keys are named "{id_or_name}": give the id of one of them, '
            + ", ".join(f"{record.key.id} (created {record.created_at:%Y-%m-%d %H:%M})" for record in named)
        )
    return named[0]


@lru_cache(maxsize=1024)
def is_loopback(address: str) -> bool:
    """Tell whether only this machine can reach an IP address.

    >>> [is_loopback(address) for address in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1")]
    [True, True, True, True]
    >>> [is_loopback(address) for address in ("0.0.0.0", "::", "10.0.0.1", "localhost.example")]
    [False, False, False, False]
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return (getattr(found, "ipv4_mapped", None) or found).is_loopback


def _hash(salt: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, secret, "sha256")


def _known_scopes(given: Iterable[str]) -> frozenset[Scope]:
    wanted = set(given)
    if odd := sorted(wanted - set(SCOPES)):
        raise SettingsError(f'there is no scope "{odd[0]}"; {nearest(odd[0], SCOPES)}')
    if not wanted:
        raise SettingsError(f"a key needs a scope: {', '.join(SCOPES)}")
    return frozenset(scope for scope in SCOPES if scope in wanted)


def _check_limited(scopes: frozenset[Scope]) -> None:
    if odd := [scope for scope in SCOPES if scope in scopes & SCOPES_OF_EVERYBODY]:
        raise SettingsError(
            f"a key that is limited to some customers cannot have the scope {' or '.join(odd)}, which shows all of them: "
            "make two keys, or one without a pattern"
        )


def _check_text(what: str, text: str, longest: int) -> None:
    if not text.strip() or len(text) > longest or not text.isprintable():
        raise SettingsError(f"{what} takes 1 to {longest} printable characters, not only blanks; found {text[:longest]!r}")
