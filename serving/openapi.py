"""The OpenAPI description of the HTTP contract, made from the routes and the models that the service itself uses.

It is true of this service at this moment: it names the tiers of the published run, and says whether loopback needs a key. The
tests hold the running service against it, request by request (``tests/serving/test_openapi.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from configs.change_kinds import CHANGE_KINDS
from configs.language import LANGUAGES
from configs.sections import MOST_HELD_OUT
from configs.settings import Serving
from serving import answers, routes, schemas
from serving.changes import CURSOR as CHANGES_CURSOR
from serving.changes_query import MAX_KINDS
from serving.console_page import TYPES, console_files
from serving.list_plan import MAX_AMOUNT, MAX_CAPACITY, MAX_SEED, MAX_TIERS
from serving.list_query import MAX_SHEET_ROWS
from serving.lists import CURSOR, MOST_PAGE_ROWS, PAGE_ROWS
from serving.metrics import METRICS_TYPE
from serving.refusal import JSON_TYPE
from serving.routes import Route

OPENAPI_VERSION = "3.1.0"
CSV_TYPE = "text/csv; charset=utf-8"
XLSX_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
HTML_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the description depends on besides the code.

    ``tiers``: those of the published run, best first; none where no run is published. ``needs_key``: a key was once created.
    """

    tiers: tuple[str, ...] = ()
    needs_key: bool = True
    max_body_bytes: int = Serving().max_body_bytes


@lru_cache(maxsize=8)
def openapi(offer: Offer = Offer()) -> dict[str, Any]:
    """Give the whole document; do not change it."""
    models = [(model, mode) for model, mode in _MODELS]
    _, definitions = models_json_schema(models, ref_template="#/components/schemas/{model}")
    definitions["$defs"]["CampaignRequest"]["properties"]["tiers"]["items"] = _tier(offer)
    paths: dict[str, dict[str, Any]] = {}
    for route, operation in _operations(offer).items():
        paths.setdefault(route.template, {})[route.method.lower()] = _with_security(route, operation, offer)
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


_KEY = "key"


def _with_security(route: Route, operation: dict[str, Any], offer: Offer) -> dict[str, Any]:
    if route.scope is None:
        return {**operation, "security": []}
    said = f"Needs an API key with the scope {route.scope}" + ("." if offer.needs_key else ", but none on loopback at present.")
    security: list[dict[str, Any]] = [{_KEY: []}] if offer.needs_key else [{_KEY: []}, {}]
    return {**operation, "security": security, "description": f"{operation.get('description', '')} {said}".strip()}


def _version() -> str:
    try:
        return version("foretier")
    except PackageNotFoundError:  # run from a checkout or a Bento, not installed
        return "0"


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
_OPEN = (400, 408, 413, 500, 504)
_KEYED = (*_OPEN, 401, 403, 429, 503)


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
    return {**_json(description, answers.Error), **headers}


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{model.__name__}"}


def _content(media_type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {media_type: {"schema": schema}}


def _json(description: str, model: type[BaseModel], **more: Any) -> dict[str, Any]:
    return {"description": description, "content": _content(JSON_TYPE, _reference(model)), **more}


def _file(description: str, media_type: str) -> dict[str, Any]:
    name = {"Content-Disposition": _header("The name of the file", {"type": "string", "pattern": "^attachment; filename="})}
    schema = {"type": "string"} if media_type == CSV_TYPE else {"type": "string", "contentMediaType": media_type}
    return {"description": description, "content": _content(media_type, schema), "headers": name}


def _operation(
    identifier: str,
    summary: str,
    answer: dict[str, Any],
    errors: tuple[int, ...] = _KEYED,
    *,
    status: int = 200,
    said: dict[int, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """Describe an operation; ``said``: what an error means here."""
    responses = {str(status): answer}
    responses |= {str(status): _error(status, (said or {}).get(status, _ERRORS[status])) for status in sorted(errors)}
    return {"operationId": identifier, "summary": summary, "responses": responses, **more}


def _link(operation: str, description: str, **parameters: str) -> dict[str, Any]:
    return {"operationId": operation, "description": description, "parameters": parameters}


# What is asked


def _parameter(name: str, description: str, schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema, **more}


def _tier(offer: Offer) -> dict[str, Any]:
    return {"type": "string", "enum": list(offer.tiers)} if offer.tiers else {"type": "string"}


def _tiers(offer: Offer) -> dict[str, Any]:
    described = "Only these tiers, of those in the published run; may be given several times"
    return _parameter(
        "tier", described, {"type": "array", "items": _tier(offer), "maxItems": MAX_TIERS}, style="form", explode=True
    )


_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_AMOUNT = {"type": "number", "minimum": 0, "maximum": MAX_AMOUNT}
_LANGUAGE = _parameter(
    "language",
    "Of the texts for people; codes stay the same. Without it, as the settings say",
    {"type": "string", "enum": list(LANGUAGES)},
)
_PLANNED = (
    _parameter("min_risk", "Only customers with at least this churn risk", _SHARE),
    _parameter("max_risk", "Only customers with at most this churn risk", _SHARE),
    _parameter("min_value", "Only customers with at least this predicted value", _AMOUNT),
    _parameter("include_gone", "Also customers in the lifecycle stages that the settings call gone", {"type": "boolean"}),
    _parameter("capacity", "So many contacts at most", {"type": "integer", "minimum": 1, "maximum": MAX_CAPACITY}),
    _parameter("budget_per_contact", "Nobody of whom a contact is expected to save less than this", _AMOUNT),
    _parameter(
        "save_rate", "Share of those about to leave whom a contact keeps", {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    ),
    _parameter("holdout", "Share drawn not to be contacted", {"type": "number", "minimum": 0, "maximum": MOST_HELD_OUT}),
    _parameter("holdout_seed", "Seed of that draw", {"type": "integer", "minimum": 0, "maximum": MAX_SEED}),
    _parameter(
        "contact_day",
        "The day of contact, by which contact caps, hold-outs and suppressions are counted; without it, that of the run",
        {"type": "string", "format": "date"},
    ),
    _LANGUAGE,
)
_LIMIT = _parameter(
    "limit", "Customers on one page", {"type": "integer", "minimum": 1, "maximum": MOST_PAGE_ROWS, "default": PAGE_ROWS}
)
_CURSOR = _parameter("cursor", "next_cursor of the page before", {"type": "string", "pattern": f"^{CURSOR.pattern}$"})
_CHANGES_CURSOR = _CURSOR | {"schema": {"type": "string", "pattern": f"^{CHANGES_CURSOR.pattern}$"}}
_KINDS = _parameter(
    "kind",
    "Only these changes; may be given several times",
    {"type": "array", "items": {"type": "string", "enum": list(CHANGE_KINDS)}, "maxItems": MAX_KINDS},
    style="form",
    explode=True,
)

_CUSTOMER_ID = {
    "name": "customer_id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": schemas.MAX_ID_LENGTH},
    "description": "The exact id; what is no letter or digit percent-encoded (a/b is a%2Fb)",
}


def _operations(offer: Offer) -> dict[Route, dict[str, Any]]:
    return {**_of_customers(offer), **_of_lists(offer), **_OF_CAMPAIGNS, **_OF_THE_SERVICE}


def _of_customers(offer: Offer) -> dict[Route, dict[str, Any]]:
    return {
        routes.CUSTOMER: _operation(
            "getCustomer",
            "Tier, value, churn risk and drivers of one customer, from the published run",
            _json("The prediction", answers.Prediction),
            (*_KEYED, 404),
            parameters=[_CUSTOMER_ID, _LANGUAGE],
        ),
        routes.ORDERS: _operation(
            "getOrders",
            "The last days on which a customer ordered, from the published run",
            _json("The order days", answers.OrderHistory),
            (*_KEYED, 404),
            parameters=[_CUSTOMER_ID],
        ),
        routes.PREDICTIONS: _operation(
            "predict",
            "Predictions for customers that bring their own orders",
            _json("One prediction for each customer, in the order of the request", answers.Predictions),
            (*_KEYED, 415, 422),
            said={
                413: f"The body has more than {offer.max_body_bytes:,} bytes or {schemas.MAX_ORDERS:,} orders",
                422: "A customer has an order on or after as_of (late_order) or no purchase before it (no_purchase), or is there "
                "twice (repeated_customer)",
            },
            requestBody={"required": True, "content": _content(JSON_TYPE, _reference(schemas.PredictionRequest))},
            description="The same numbers as batch scoring of the same orders. Send all orders of a customer before as_of: "
            "what is left out did not happen. An order on or after as_of is refused (422, late_order), and so is a customer "
            "without a purchase before it (422, no_purchase). Lines of one order are summed, equal ones too. At most "
            f"{schemas.MAX_CUSTOMERS:,} customers and {schemas.MAX_ORDERS:,} orders at once, in {offer.max_body_bytes:,} bytes.",
        ),
    }


def _of_lists(offer: Offer) -> dict[Route, dict[str, Any]]:
    tiers = _tiers(offer)
    first = "$response.body#/customers/0/customer_id"
    return {
        routes.CHURN_RISK: _operation(
            "listChurnRisk",
            "Customers by falling value at risk, page by page, all from one scoring run",
            _json(
                "One page",
                answers.ChurnRiskPage,
                links={
                    "nextPage": _link("listChurnRisk", "The page after this one", cursor="$response.body#/next_cursor"),
                    "firstCustomer": _link("getCustomer", "The customer at the top of this page", customer_id=first),
                },
            ),
            (*_KEYED, 404),
            said={404: "The scoring run of the cursor is no longer kept; start again without it"},
            parameters=[tiers, *_PLANNED, _LIMIT, _CURSOR],
        ),
        routes.CHURN_RISK_CSV: _operation(
            "listChurnRiskCsv",
            "The churn-risk list as a CSV file for spreadsheets",
            _file("The file", CSV_TYPE),
            parameters=[tiers, *_PLANNED],
        ),
        routes.CHURN_RISK_XLSX: _operation(
            "listChurnRiskXlsx",
            "The churn-risk list as an Excel workbook",
            _file("The file", XLSX_TYPE),
            (*_KEYED, 422),
            said={422: f"The list has more than {MAX_SHEET_ROWS:,} customers (too_many_rows): give capacity, or ask for .csv"},
            parameters=[tiers, *_PLANNED],
        ),
        routes.CHANGES: _operation(
            "listChanges",
            "Who changed since the scoring run before, by falling change of predicted value, page by page",
            _json(
                "One page",
                answers.ChangesPage,
                links={
                    "nextPage": _link("listChanges", "The page after this one", cursor="$response.body#/next_cursor"),
                    "firstCustomer": _link("getCustomer", "The customer at the top of this page", customer_id=first),
                },
            ),
            (*_KEYED, 404),
            said={
                404: "There is no run before the published one of the same horizon and currency: changes can be told after the "
                "next scoring. Or a run of the cursor is no longer kept; start again without it"
            },
            parameters=[_KINDS, tiers, _LIMIT, _CHANGES_CURSOR, _LANGUAGE],
        ),
        routes.TIERS: _operation(
            "getTiers",
            "Customers, value and risk by tier, and the movement from past-spend tiers",
            _json(
                "The tiers",
                answers.TiersView,
                links={"listOfTheBest": _link("listChurnRisk", "The list of the best tier", tier="$response.body#/tiers/0/tier")},
            ),
        ),
    }


_CAMPAIGN = {
    "name": "campaign",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": f"^{schemas.NAME_PATTERN}$"},
    "description": "The name of the campaign",
}
_NO_CAMPAIGN = {404: "There is no such campaign, or its scoring run is no longer kept"}
_OF_CAMPAIGNS: dict[Route, dict[str, Any]] = {
    routes.CAMPAIGNS: _operation("listCampaigns", "Lists that were saved, newest first", _json("They", answers.Campaigns)),
    routes.SAVE_CAMPAIGN: _operation(
        "saveCampaign",
        "Save a list as a campaign, its hold-out group with it",
        _json("The campaign", answers.Campaign),
        (*_KEYED, 415, 422),
        status=201,
        said={422: "There is a campaign of this name (name_taken), or nobody is on the list (empty_list)"},
        requestBody={"required": True, "content": _content(JSON_TYPE, _reference(schemas.CampaignRequest))},
        description="The list is that of GET /v1/lists/churn-risk with the same plan. foretier campaign measure compares those "
        "contacted with those held out, once time has passed.",
    ),
    routes.CAMPAIGN_CSV: _operation(
        "campaignCsv",
        "The customers to contact as a CSV file, without those suppressed since",
        _file("The file", CSV_TYPE),
        (*_KEYED, 404),
        said=_NO_CAMPAIGN,
        parameters=[_CAMPAIGN, _LANGUAGE],
    ),
    routes.CAMPAIGN_XLSX: _operation(
        "campaignXlsx",
        "The customers to contact as an Excel workbook, without those suppressed since",
        _file("The file", XLSX_TYPE),
        (*_KEYED, 404, 422),
        said={**_NO_CAMPAIGN, 422: f"There are more than {MAX_SHEET_ROWS:,} (too_many_rows): ask for the CSV file"},
        parameters=[_CAMPAIGN, _LANGUAGE],
    ),
}

_FILE = {
    "name": "file",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "enum": list(console_files())},
    "description": "Its name",
}
_OF_THE_SERVICE: dict[Route, dict[str, Any]] = {
    routes.MODEL: _operation("getModel", "The champion model", _json("The model", answers.ModelView)),
    routes.LIVE: _operation("live", "The process serves", _json("It does", answers.State), _OPEN),
    routes.READY: _operation(
        "ready",
        "The champion and a published run that fits it are there",
        _json("They are", answers.Readiness),
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
    routes.HOME: _operation(
        "console",
        "The console in the browser",
        {"description": "A page", "content": _content(HTML_TYPE, {"type": "string"})},
        _OPEN,
    ),
    routes.CONSOLE: _operation(
        "consoleFile",
        "A file of the console",
        {"description": "The file", "content": {media: {"schema": {"type": "string"}} for media in sorted(TYPES.values())}},
        (*_OPEN, 404),
        said={404: "There is no such file"},
        parameters=[_FILE],
    ),
}

_MODELS: tuple[tuple[type[BaseModel], Any], ...] = (
    (schemas.PredictionRequest, "validation"),
    (schemas.CampaignRequest, "validation"),
    *(
        (model, "serialization")
        for model in (
            answers.Prediction,
            answers.OrderHistory,
            answers.Predictions,
            answers.Campaign,
            answers.Campaigns,
            answers.ChurnRiskPage,
            answers.ChangesPage,
            answers.TiersView,
            answers.ModelView,
            answers.State,
            answers.Readiness,
            answers.Error,
        )
    ),
)
