"""Where API keys are kept: a table of the score store, so that all servers on one store know the same keys.

No row is ever removed: a store in which all keys were revoked is not one without keys, which would be open on loopback.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self

import sqlalchemy as sa

from serving.keys import SCOPES, Key, KeyRecord
from serving.store_engine import WRITES, opened, store_address, store_errors

metadata = sa.MetaData()

api_keys = sa.Table(
    "api_keys",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("scopes", sa.Text, nullable=False, comment="separated by blanks"),
    sa.Column("customers", sa.Text, comment="glob pattern on exact ids; NULL: all"),
    sa.Column("requests_per_second", sa.Double, comment="NULL: as the settings say"),
    sa.Column("salt", sa.LargeBinary, nullable=False),
    sa.Column("secret_hash", sa.LargeBinary, nullable=False, comment="HMAC-SHA-256 of the secret"),
    sa.Column("created_at", sa.Text, nullable=False, comment="ISO 8601, UTC, as the two below"),
    sa.Column("expires_at", sa.Text, comment="the first moment at which it is no longer good; NULL: never"),
    sa.Column("revoked_at", sa.Text),
)


class KeyStore:
    """Reads and writes keys. One object may be used by many threads.

    ``answer_seconds``: as of ``serving.store.Store``. Every method raises StoreError, of one line, when the database cannot be
    used.
    """

    def __init__(self, url: str, *, answer_seconds: float | None = None) -> None:
        self._address = store_address(url)
        self._engine = opened(self._address, metadata, answer_seconds)

    def __enter__(self) -> Self:
        """Close the connections at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close all connections; the store may be used again."""
        self._engine.dispose()

    def records(self) -> tuple[KeyRecord, ...]:
        """All keys ever created, the oldest first."""
        query = sa.select(api_keys).order_by(api_keys.c.created_at, api_keys.c.id)
        with store_errors(self._address), self._engine.connect() as connection:
            return tuple(_record(row) for row in connection.execute(query).mappings())

    def create(self, record: KeyRecord) -> None:
        """Keep a key that ``serving.keys.new_key`` has made."""
        self._write(sa.insert(api_keys).values(_row(record)))

    def revoke(self, key_id: str, at: datetime) -> None:
        """Make a key useless from now on; ``at``, with a time zone, is what is told of it. One revoked before stays as it is."""
        revoked = sa.update(api_keys).where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
        self._write(revoked.values(revoked_at=_text(at)))

    def _write(self, statement: sa.Insert | sa.Update) -> None:
        with (
            store_errors(self._address),
            self._engine.connect().execution_options(**{WRITES: True}) as connection,
            connection.begin(),
        ):
            connection.execute(statement)


def _row(record: KeyRecord) -> dict[str, Any]:
    key = record.key
    return {
        "id": key.id,
        "name": key.name,
        "scopes": " ".join(scope for scope in SCOPES if scope in key.scopes),
        "customers": key.customers,
        "requests_per_second": key.requests_per_second,
        "salt": record.salt,
        "secret_hash": record.secret_hash,
        "created_at": _text(record.created_at),
        "expires_at": _text(key.expires_at),
        "revoked_at": _text(record.revoked_at),
    }


def _record(row: sa.RowMapping) -> KeyRecord:
    # A scope that only a later version knows gives no right here.
    scopes = frozenset(scope for scope in SCOPES if scope in row["scopes"].split())
    key = Key(row["id"], row["name"], scopes, row["customers"], row["requests_per_second"], _moment(row["expires_at"]))
    created_at = datetime.fromisoformat(row["created_at"])
    return KeyRecord(key, row["salt"], row["secret_hash"], created_at, _moment(row["revoked_at"]))


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
