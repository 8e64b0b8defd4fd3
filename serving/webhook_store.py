"""Which events were delivered to which address: a table of the score store, so that no machine sends what another one sent.

Rows stay: they hold no customer, and an event that is made again after a year is still the same one.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Self

import sqlalchemy as sa

from serving.store_engine import WRITES, opened, store_address, store_errors

metadata = sa.MetaData()

webhook_deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("event_id", sa.Text, primary_key=True),
    sa.Column("url", sa.Text, primary_key=True),
    sa.Column("delivered_at", sa.Text, comment="ISO 8601, UTC, of the last delivery; NULL: not yet"),
    sa.Column("status", sa.Integer, comment="HTTP status of the last attempt; NULL: no answer"),
    sa.Column("attempts", sa.Integer, nullable=False, comment="of all calls together"),
)


class DeliveryStore:
    """Reads and writes deliveries. Every method raises StoreError, of one line, when the database cannot be used."""

    def __init__(self, url: str) -> None:
        self._address = store_address(url)
        self._engine = opened(self._address, metadata, None)

    def __enter__(self) -> Self:
        """Close the connections at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._engine.dispose()

    def delivered(self, event_id: str, url: str) -> bool:
        """Tell whether this address has taken this event."""
        query = sa.select(webhook_deliveries.c.delivered_at).where(*_is(event_id, url))
        with store_errors(self._address), self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none() is not None

    def record(self, event_id: str, url: str, status: int | None, attempts: int, delivered_at: datetime | None) -> None:
        """Note how a call ended; attempts are added up, and what was delivered once stays delivered."""
        values: dict[str, Any] = {"status": status}
        if delivered_at is not None:
            values["delivered_at"] = delivered_at.astimezone(UTC).isoformat()
        table = webhook_deliveries
        update = sa.update(table).where(*_is(event_id, url)).values(attempts=table.c.attempts + attempts, **values)
        insert = sa.insert(table).values(event_id=event_id, url=url, attempts=attempts, **values)
        with (
            store_errors(self._address),
            self._engine.connect().execution_options(**{WRITES: True}) as connection,
            connection.begin(),
        ):
            if connection.execute(update).rowcount == 0:
                connection.execute(insert)


def _is(event_id: str, url: str) -> list[sa.ColumnElement[bool]]:
    return [webhook_deliveries.c.event_id == event_id, webhook_deliveries.c.url == url]
