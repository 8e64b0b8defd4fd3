"""The commands ``foretier keys create``, ``list`` and ``revoke``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from configs.command import JsonFile, console, given_day, reported, write_json
from serving.keys import DEFAULT_SCOPES, SCOPES, Key, KeyRecord, State, chosen, new_key

if TYPE_CHECKING:
    from rich.console import RenderableType

    from serving.key_store import KeyStore

app = typer.Typer(no_args_is_help=True, help="Create, show and revoke the API keys of the HTTP service.")

KeyName = Annotated[str, typer.Argument(help="Who will use the key, in your own words.", show_default=False)]
ScopeNames = Annotated[
    list[str] | None,
    typer.Option(
        "--scope", show_default=False,
        help=f"What it is good for: {', '.join(SCOPES)}; may be repeated (default: {' and '.join(DEFAULT_SCOPES)}).",
    ),
]  # fmt: skip
Pattern = Annotated[
    str | None,
    typer.Option("--customers", help="Only customers whose exact id matches this, such as 'DE-*'.", show_default=False),
]
RequestsPerSecond = Annotated[
    float | None,
    typer.Option("--requests-per-second", help="Most requests per second (default: as the settings say).", show_default=False),
]
Expires = Annotated[
    datetime | None,
    typer.Option(
        "--expires", parser=given_day, show_default=False,
        metavar="DATE", help="First day, in UTC, on which it is no longer good, YYYY-MM-DD (default: never).",
    ),
]  # fmt: skip
WIDE_SCREEN = 100
STATE_STYLE: dict[State, str] = {"active": "green", "expired": "yellow", "revoked": "red"}
ASK_WITH_IT = """\
Kept nowhere, so it cannot be shown again. To ask with it, paste it here, and it stays out of the shell's history:
  read -rs FORETIER_API_KEY
  curl -H "Authorization: Bearer $FORETIER_API_KEY" http://127.0.0.1:3000/v1/tiers"""
NOW_NEEDED = "This is the first key: from now on every request needs one, on this machine too."


@app.command()
@reported
def create(
    name: KeyName,
    scopes: ScopeNames = None,
    customers: Pattern = None,
    requests_per_second: RequestsPerSecond = None,
    expires: Expires = None,
    json_file: JsonFile = None,
) -> None:
    """Create a key and show it once."""
    now = datetime.now(UTC)
    record, text = new_key(
        name,
        created_at=now,
        scopes=scopes or DEFAULT_SCOPES,
        customers=customers,
        requests_per_second=requests_per_second,
        expires_at=None if expires is None else expires.replace(tzinfo=UTC),
    )
    with _key_store() as store:
        first = not store.records()
        store.create(record)
    screen = console(json_file)
    if json_file is None:
        screen.print(text, highlight=False, soft_wrap=True)
    else:
        with _readable_by_its_owner():
            write_json(json_file, {**_view(record, now), "key": text})
    said = [f"Key {record.key.id} of {name}: {_rights(record.key)}.", ASK_WITH_IT, *[NOW_NEEDED] * first]
    screen.print("", *said, sep="\n", highlight=False, soft_wrap=True)


@app.command("list")
@reported
def list_keys(json_file: JsonFile = None) -> None:
    """Show every key ever created, and what it is good for; never the key itself."""
    now = datetime.now(UTC)
    with _key_store() as store:
        records = store.records()
    screen = console(json_file)
    screen.print(keys_table(records, now, wide=screen.width >= WIDE_SCREEN))
    if json_file is not None:
        write_json(json_file, {"keys": [_view(record, now) for record in records]})


@app.command()
@reported
def revoke(
    id_or_name: Annotated[str, typer.Argument(help="The key's id, or its name.", show_default=False)],
    json_file: JsonFile = None,
) -> None:
    """Make a key useless for good: running servers refuse it within 5 seconds."""
    now = datetime.now(UTC)
    with _key_store() as store:
        record = chosen(store.records(), id_or_name, now)
        store.revoke(record.key.id, now)
        [revoked] = [one for one in store.records() if one.key.id == record.key.id]
    said = f"Key {record.key.id} of {record.key.name} is revoked; running servers refuse it within 5 seconds."
    console(json_file).print(said, highlight=False)
    if json_file is not None:
        write_json(json_file, _view(revoked, now))


def keys_table(records: Sequence[KeyRecord], now: datetime, *, wide: bool) -> RenderableType:
    """All keys, those that are good first and the oldest first among them; ``wide`` adds the day of creation."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if not records:
        return Text("No key was ever created: the service answers on this machine only, and needs none there.")
    states = [record.state(now) for record in records]
    counts = ", ".join(f"{states.count(state)} {state}" for state in STATE_STYLE if state in states)
    table = Table(title=f"API keys: {counts}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1) if wide else 0)
    for name in ("Id", "Name", "Scopes", "Customers", "Limit", *["Created"] * wide, "Expires", "State"):
        table.add_column(name, no_wrap=name not in ("Name", "Scopes", "Customers"), overflow="fold")
    for state, style in STATE_STYLE.items():
        for record in (one for one, its in zip(records, states, strict=True) if its == state):
            cells = [Text(cell, "" if state == "active" else "dim") for cell in _cells(record, wide=wide)]
            table.add_row(*cells, Text(state, style))
    return table


def _cells(record: KeyRecord, *, wide: bool) -> list[str]:
    key, created = record.key, f"{record.created_at:%Y-%m-%d}"
    limit = "settings" if key.requests_per_second is None else f"{key.requests_per_second:,g}/s"
    expires = "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d}"
    return [key.id, key.name, _scopes(key), key.customers or "all", limit, *[created] * wide, expires]


def _key_store() -> KeyStore:
    from configs.settings import Environment
    from serving.key_store import KeyStore

    return KeyStore(Environment.read().store_url)


@contextmanager
def _readable_by_its_owner() -> Iterator[None]:
    """Files made within hold a secret."""
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)


def _scopes(key: Key) -> str:
    return ", ".join(scope for scope in SCOPES if scope in key.scopes)


def _rights(key: Key) -> str:
    customers = "all customers" if key.customers is None else f"customers {key.customers}"
    limit = "requests per second as the settings say"
    if key.requests_per_second is not None:
        limit = f"{key.requests_per_second:,g} requests per second"
    end = "never expires" if key.expires_at is None else f"good until {key.expires_at:%Y-%m-%d %H:%M} UTC"
    return f"{_scopes(key)}; {customers}; {limit}; {end}"


def _view(record: KeyRecord, now: datetime) -> dict[str, Any]:
    """Give a key as ``--json`` writes it, without what its secret could be checked by."""
    key = record.key
    return {
        "id": key.id,
        "name": key.name,
        "scopes": [scope for scope in SCOPES if scope in key.scopes],
        "customers": key.customers,
        "requests_per_second": key.requests_per_second,
        "created_at": record.created_at.isoformat(),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
        "revoked_at": None if record.revoked_at is None else record.revoked_at.isoformat(),
        "state": record.state(now),
    }
