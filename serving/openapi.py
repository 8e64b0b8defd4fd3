"""The OpenAPI description of the HTTP contract, made from the routes and the models that the service itself uses."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from configs.settings import Serving
from serving import routes, schemas
from serving.list_query import MAX_TOP
from serving.lists import MOST_PAGE_ROWS, PAGE_ROWS
from serving.metrics import METRICS_TYPE
from serving.refusal import JSON_TYPE
from serving.routes import Route

OPENAPI_VERSION = "3.1.0"
CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML_TYPE = "text/html"

MAX_BODY_BYTES = Serving().max_body_bytes
"""Unless the settings say otherwise."""

_ERRORS = {
    400: "The request is not valid, or names a host that this service does not answer to; details name the place of every fault",
    401: "This needs a valid API key",
    403: "The API key is not made for this",
    404: "There is no such customer in the published run, or the API key may not see it",
    408: "The request took too long to come",
    413: f"The body has more than {MAX_BODY_BYTES:,} bytes, or what serving.max_body_bytes says",
    415: "The body is not application/json in UTF-8, or is compressed",
    429: "The API key asks faster than it may; Retry-After says when to ask again",
    500: "A fault of the service",
    503: "The service is busy, or the champion model, the published run or the store is not there now; Retry-After says when to "
    "ask again",
    504: "The request took longer than the service allows",
}
_OPEN = (400, 408, 413, 500, 504)
_KEYED = (*_OPEN, 401, 403, 429, 503)
_KEY = "key"


@cache
def openapi() -> dict[str, Any]:
    """Give the whole document; do not change it."""
    models = [(model, mode) for model, mode in _MODELS]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    paths: dict[str, dict[str, Any]] = {}
    for route, operation in _OPERATIONS.items():
        paths.setdefault(route.template, {})[route.method.lower()] = _with_security(route, operation)
    return {
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Foretier",
            "version": _version(),
            "description": "What each customer will be worth, how likely each is to leave, and why. "
            'Every failure has one shape, {"error": {"code", "message", "details": [{"path", "message"}]}}: '
            "also those of paths and methods that are not listed here (404, 405).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "securitySchemes": {
                _KEY: {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key, made by foretier keys create. While none was ever made, loopback needs none.",
                }
            },
        },
    }


def _with_security(route: Route, operation: dict[str, Any]) -> dict[str, Any]:
    if route.scope is None:
        return {**operation, "security": []}
    said = f"Needs an API key with the scope {route.scope}."
    return {**operation, "security": [{_KEY: []}], "description": f"{operation.get('description', '')} {said}".strip()}


def _version() -> str:
    try:
        return version("foretier")
    except PackageNotFoundError:  # run from a checkout or a Bento, not installed
        return "0"


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _content(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _json(description: str, model: type[BaseModel]) -> dict[str, Any]:
    return {"description": description, "content": _content(JSON_TYPE, _reference(model))}


def _file(description: str, media_type: str) -> dict[str, Any]:
    name = {"Content-Disposition": {"description": "The name of the file", "schema": {"type": "string"}}}
    schema = {"type": "string"} if media_type == CSV_TYPE else {"type": "string", "contentMediaType": media_type}
    return {"description": description, "content": _content(media_type, schema), "headers": name}


def _operation(
    identifier: str, summary: str, answer: dict[str, Any], errors: tuple[int, ...] = _KEYED, *, status: int = 200, **more: Any
) -> dict[str, Any]:
    responses = {str(status): answer}
    responses |= {str(status): _json(_ERRORS[status], schemas.Error) for status in sorted(errors)}
    return {"operationId": identifier, "summary": summary, "responses": responses, **more}


def _parameter(name: str, description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema, **more}


_TIERS = _parameter(
    "tier",
    "Only these tiers; may be given several times",
    {"type": "array", "items": {"type": "string"}},
    style="form",
    explode=True,
)
_MIN_RISK = _parameter("min_risk", "Only customers with at least this churn risk", {"type": "number", "minimum": 0, "maximum": 1})
_TOP = _parameter("top", "Only so many, from the top of the list", {"type": "integer", "minimum": 1, "maximum": MAX_TOP})
_LIMIT = _parameter(
    "limit", "Customers on one page", {"type": "integer", "minimum": 1, "maximum": MOST_PAGE_ROWS, "default": PAGE_ROWS}
)
_CURSOR = _parameter("cursor", "next_cursor of the page before", {"type": "string"})

_CUSTOMER_ID = {
    "name": "customer_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "description": "The exact id; what is no letter or digit percent-encoded (a/b is a%2Fb)",
}

_OPERATIONS: dict[Route, dict[str, Any]] = {
    routes.CUSTOMER: _operation(
        "getCustomer",
        "Tier, value, churn risk and drivers of one customer, from the published run",
        _json("The prediction", schemas.Prediction),
        (*_KEYED, 404),
        parameters=[_CUSTOMER_ID],
    ),
    routes.PREDICTIONS: _operation(
        "predict",
        "Predictions for customers that bring their own orders",
        _json("One prediction for each customer, in the order of the request", schemas.Predictions),
        (*_KEYED, 415),
        requestBody={"required": True, "content": _content(JSON_TYPE, _reference(schemas.PredictionRequest))},
        description="The same numbers as batch scoring of the same orders. Send all orders of a customer before as_of: "
        "what is left out did not happen. An order on or after as_of is refused (400), and so is a customer without a "
        "purchase before it (400, no_purchase). Lines of one order are summed, equal ones too. At most "
        f"{schemas.MAX_CUSTOMERS:,} customers and {schemas.MAX_ORDERS:,} orders at once, in {MAX_BODY_BYTES:,} bytes.",
    ),
    routes.CHURN_RISK: _operation(
        "listChurnRisk",
        "Customers by falling value at risk, page by page, all from one scoring run",
        _json("One page", schemas.ChurnRiskPage),
        parameters=[_TIERS, _MIN_RISK, _LIMIT, _CURSOR],
    ),
    routes.CHURN_RISK_CSV: _operation(
        "listChurnRiskCsv",
        "The churn-risk list as a CSV file for spreadsheets",
        _file("The file", CSV_TYPE),
        parameters=[_TIERS, _MIN_RISK, _TOP],
    ),
    routes.CHURN_RISK_XLSX: _operation(
        "listChurnRiskXlsx",
        "The churn-risk list as an Excel workbook",
        _file("The file", XLSX_TYPE),
        parameters=[_TIERS, _MIN_RISK, _TOP],
    ),
    routes.TIERS: _operation(
        "getTiers",
        "Customers, value and risk by tier, and the movement from past-spend tiers",
        _json("The tiers", schemas.TiersView),
    ),
    routes.MODEL: _operation("getModel", "The champion model", _json("The model", schemas.ModelView)),
    routes.LIVE: _operation("live", "The process serves", _json("It does", schemas.State), _OPEN),
    routes.READY: _operation(
        "ready",
        "The champion and a published run that fits it are there",
        _json("They are", schemas.Readiness),
        (*_OPEN, 503),
    ),
    routes.METRICS: _operation(
        "metrics",
        "Metrics for Prometheus",
        {"description": "The metrics", "content": _content(METRICS_TYPE, {"type": "string"})},
    ),
    routes.OPENAPI: _operation(
        "openapi",
        "This description",
        {"description": "OpenAPI", "content": _content(JSON_TYPE, {"type": "object"})},
        _OPEN,
    ),
    routes.DOCS: _operation(
        "docs",
        "This description, for people",
        {"description": "A page", "content": _content(HTML_TYPE, {"type": "string"})},
        _OPEN,
    ),
    routes.HOME: _operation("home", "To /docs", {"description": "To /docs"}, _OPEN, status=307),
}

_MODELS: tuple[tuple[type[BaseModel], Any], ...] = (
    (schemas.PredictionRequest, "validation"),
    *(
        (model, "serialization")
        for model in (
            schemas.Prediction,
            schemas.Predictions,
            schemas.ChurnRiskPage,
            schemas.TiersView,
            schemas.ModelView,
            schemas.State,
            schemas.Readiness,
            schemas.Error,
        )
    ),
)
