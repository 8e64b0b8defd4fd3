"""The one shape of every failure over HTTP: ``{"error": {"code", "message", "details": [{"path", "message"}]}}``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Code = Literal[
    "invalid_request",
    "invalid_json",
    "late_order",
    "no_purchase",
    "repeated_customer",
    "too_many_rows",
    "name_taken",
    "empty_list",
    "not_found",
    "customer_not_found",
    "run_not_found",
    "campaign_not_found",
    "method_not_allowed",
    "payload_too_large",
    "unsupported_media_type",
    "host_not_allowed",
    "unauthorized",
    "forbidden",
    "request_timeout",
    "too_many_requests",
    "overloaded",
    "internal_error",
    "not_ready",
    "timeout",
]
JSON_TYPE = "application/json"
PLAIN_HEADERS = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
"""Of every answer: it is what it says it is, and nobody keeps it."""
MAX_DETAILS = 20

_BY_STATUS: dict[int, tuple[Code, str]] = {
    400: ("invalid_request", "The request is not valid"),
    404: ("not_found", "There is nothing at this path; GET /docs lists what is offered"),
    405: ("method_not_allowed", "This path does not take this method"),
    413: ("payload_too_large", "The body is too large"),
    415: ("unsupported_media_type", "The body must be application/json"),
    503: ("not_ready", "The service cannot answer now; try again"),
    504: ("timeout", "The request took too long; ask for less at once"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong: where (``customers[3].orders[0].amount``, ``query.limit``, ``path``) and what."""

    path: str
    message: str


@dataclass(eq=False)
class Refusal(Exception):  # noqa: N818 - an answer, no fault of the program
    """A request that is answered with an error; raised anywhere below the HTTP routes."""

    status: int
    code: Code
    message: str
    details: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def plain(cls, status: int, headers: Mapping[str, str] | None = None) -> Refusal:
        """Give the refusal that says no more than the status; what is unknown is an internal error."""
        code, message = _BY_STATUS.get(status, ("internal_error", "Something went wrong here; the log of the service tells more"))
        return cls(status, code, message, headers=headers or {})

    def body(self) -> bytes:
        """Render the error shape; at most 20 details, so that an answer never outgrows its request by much."""
        details = [{"path": fault.path, "message": fault.message} for fault in self.details[:MAX_DETAILS]]
        return json_bytes({"error": {"code": self.code, "message": self.message, "details": details}})


def not_ready(reason: str) -> Refusal:
    """Give the answer while something needed is missing."""
    return Refusal(503, "not_ready", reason, headers={"retry-after": "2"})


def json_bytes(value: Any) -> bytes:
    """Render JSON in UTF-8. Raises ValueError for NaN and infinity; half a surrogate pair becomes a question mark."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8", "replace")
