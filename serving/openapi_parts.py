"""What the OpenAPI description is made of: answers, errors, parameters and links, each described in one way."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from serving import answers
from serving.refusal import JSON_TYPE

CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML_TYPE = "text/html; charset=utf-8"


# What is answered

_ERRORS = {
    400: "The request is not made as described here, or names a host that this service does not answer to; details name the "
    "place of every fault",
    401: "This needs a valid API key",
    403: "The API key is not made for this",
    404: "There is no such customer in the published run, or the API key may not see it",
    408: "The request took too long to come",
    413: "The body is too large",
    415: "The body is not application/json in UTF-8, or is compressed",
    422: "The request is made as described here, but cannot be answered; the code says why, and details where",
    429: "The API key asks faster than it may; Retry-After says when to ask again",
    500: "A fault of the service",
    503: "The service is busy, or the champion model, the published run or the store is not there now; Retry-After says when to "
    "ask again",
    504: "The request took longer than the service allows",
}
OPEN = (400, 408, 413, 500, 504)
KEYED = (*OPEN, 401, 403, 429, 503)


def _header(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "required": True, "schema": schema}


_RETRY_AFTER = {"Retry-After": _header("Seconds to wait", {"type": "integer", "minimum": 1})}
_HEADERS = {
    401: {"WWW-Authenticate": _header("How to authenticate", {"type": "string", "pattern": "^Bearer"})},
    429: _RETRY_AFTER,
    503: _RETRY_AFTER,
}


def _error(status: int, description: str) -> dict[str, Any]:
    headers = {"headers": _HEADERS[status]} if status in _HEADERS else {}
    return {**json_answer(description, answers.Error), **headers}


def reference(model: type[BaseModel]) -> dict[str, str]:
    """Point to a model among the schemas."""
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def content(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Describe a body of this type."""
    return {media_type: {"schema": schema}}


def json_answer(description: str, model: type[BaseModel], **more: Any) -> dict[str, Any]:
    """Describe an answer in JSON."""
    return {"description": description, "content": content(JSON_TYPE, reference(model)), **more}


def file_answer(description: str, media_type: str) -> dict[str, Any]:
    """Describe a file to be saved under the name that its header tells."""
    name = {"Content-Disposition": _header("The name of the file", {"type": "string", "pattern": "^attachment; filename="})}
    schema = {"type": "string"} if media_type == CSV_TYPE else {"type": "string", "contentMediaType": media_type}
    return {"description": description, "content": content(media_type, schema), "headers": name}


def operation(
    identifier: str,
    summary: str,
    answer: dict[str, Any],
    errors: tuple[int, ...] = KEYED,
    *,
    status: int = 200,
    said: dict[int, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Describe an operation; ``said``: what an error means here."""
    responses = {str(status): answer}
    responses |= {str(status): _error(status, (said or {}).get(status, _ERRORS[status])) for status in sorted(errors)}
    return {"operationId": identifier, "summary": summary, "responses": responses, **more}


def link(operation: str, description: str, **parameters: str) -> dict[str, Any]:
    """Describe where an answer leads."""
    return {"operationId": operation, "description": description, "parameters": parameters}


def parameter(name: str, description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Describe a parameter of the query."""
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema, **more}
