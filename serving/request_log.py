"""Log lines as JSON, one object a line on standard error: times, routes and statuses, and nothing that a customer is in.

A request is logged under its route's template with the name of its key; an error by its type and places, without its message,
which may quote rows.
"""

from __future__ import annotations

import json
import logging
import logging.config
from datetime import UTC, datetime

from serving.keys import Key

QUIET = ("bentoml", "uvicorn.error", "alembic", "mlflow")

requests = logging.getLogger("foretier.requests")


class JsonLines(logging.Formatter):
    """Render a record as one JSON object: time, level, logger, message, and the fields given as ``extra={"fields": {...}}``."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record; of an exception only its type and places."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = traceback_without_values(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False)


def log_as_json() -> None:
    """Let every logger of this process write JSON lines; BentoML and uvicorn say only what is worth a warning."""
    loggers = {name: {"level": "WARNING", "handlers": [], "propagate": True} for name in QUIET}
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"json": {"()": JsonLines}},
            "handlers": {"lines": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "json"}},
            "loggers": {
                **loggers,
                "foretier": {"level": "INFO", "handlers": [], "propagate": True},
                # Its lines name raw paths, which hold ids.
                "uvicorn.access": {"handlers": [], "propagate": False},
            },
            "root": {"level": "WARNING", "handlers": ["lines"]},
        }
    )


def log_request(template: str, method: str, status: int, seconds: float, key: Key | None) -> None:
    """Write the line of one request."""
    if requests.isEnabledFor(logging.INFO):
        fields = {"method": method, "route": template, "status": status, "ms": round(seconds * 1000.0, 2)}
        requests.info("request", extra={"fields": fields if key is None else {**fields, "key": key.name}})


def traceback_without_values(error: BaseException) -> str:
    """Where an error came from: its type and places, but not its message, which may hold customers' data."""
    places = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return f"{type(error).__name__} in {' < '.join(reversed(places))}"
