"""Connections to PostgreSQL that come to an end: nobody waits for ever for a server that hangs or cannot be reached."""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.abc import RV, PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy.engine import URL

CONNECT_SECONDS = 10
SLACK_SECONDS = 1.0
"""So much longer than the server itself does a reader wait: the server's own time-out leaves the connection whole."""

# What libpq is told unless the address says otherwise. The network is given up when it is silent for a minute.
_CONNECTION = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
    "fallback_application_name": "foretier",
}

# A limit that the address or the role sets is not touched.
_LIMIT_STATEMENTS = "SELECT set_config('statement_timeout', %s, false) WHERE current_setting('statement_timeout') = '0'"

# A scorer's statements take as long as a million customers take. The server gives its lock back when its machine is gone.
_SCORERS_SESSION = (
    "SET statement_timeout = 0; SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3"
)


class TimedConnection(psycopg.Connection[Any]):
    """A connection that is closed, with an OperationalError, when the server gives no answer within ``answer_seconds``."""

    answer_seconds: float | None = None

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for the server."""
        if timeout is not None or self.answer_seconds is None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.answer_seconds)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.close()  # the server still owes the answer, so that nothing else can be asked
            raise psycopg.OperationalError(f"no answer within {self.answer_seconds:g} seconds") from None


def postgres_engine(address: URL, answer_seconds: float | None) -> sa.Engine:
    """Make an engine of timed connections; connects to nothing yet."""
    arguments = {name: value for name, value in _CONNECTION.items() if name not in address.query}
    engine = sa.create_engine(address, connect_args=arguments, pool_pre_ping=True, hide_parameters=True)

    @sa.event.listens_for(engine, "do_connect")
    def _connect(_dialect: Any, _record: Any, arguments: Any, options: Any) -> TimedConnection:
        connection = TimedConnection.connect(*arguments, **options)
        if answer_seconds is not None:
            connection.answer_seconds = answer_seconds + SLACK_SECONDS
            connection.execute(_LIMIT_STATEMENTS, [str(round(answer_seconds * 1000))])
            connection.commit()
        return connection

    return engine


def prepare_scorers_session(connection: sa.Connection) -> None:
    """Let a connection be a scorer's, until it is closed; it is never to be given back to the pool."""
    raw: Any = connection.connection.dbapi_connection
    raw.answer_seconds = None
    connection.exec_driver_sql(_SCORERS_SESSION)
