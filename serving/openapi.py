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
from serving.openapi_parts import (
    CSV_TYPE,
    HTML_TYPE,
    KEYED,
    OPEN,
    XLSX_TYPE,
    content,
    file_answer,
    json_answer,
    link,
    operation,
    parameter,
    reference,
)  # fmt: skip
from serving.refusal import JSON_TYPE
from serving.routes import Route

OPENAPI_VERSION = "3.1.0"


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
    for route, described in _operations(offer).items():
        paths.setdefault(route.template, {})[route.method.lower()] = _with_security(route, described, offer)
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


def _with_security(route: Route, described: dict[str, Any], offer: Offer) -> dict[str, Any]:
    if route.scope is None:
        return {**described, "security": []}
    said = f"Needs an API key with the scope {route.scope}" + ("." if offer.needs_key else ", but none on loopback at present.")
    security: list[dict[str, Any]] = [{_KEY: []}] if offer.needs_key else [{_KEY: []}, {}]
    return {**described, "security": security, "description": f"{described.get('description', '')} {said}".strip()}


def _version() -> str:
    try:
        return version("foretier")
    except PackageNotFoundError:  # run from a checkout or a Bento, not installed
        return "0"


# What is asked


def _tier(offer: Offer) -> dict[str, Any]:
    return {"type": "string", "enum": list(offer.tiers)} if offer.tiers else {"type": "string"}


def _tiers(offer: Offer) -> dict[str, Any]:
    described = "Only these tiers, of those in the published run; may be given several times"
    return parameter(
        "tier", described, {"type": "array", "items": _tier(offer), "maxItems": MAX_TIERS}, style="form", explode=True
    )


_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_AMOUNT = {"type": "number", "minimum": 0, "maximum": MAX_AMOUNT}
_LANGUAGE = parameter(
    "language",
    "Of the texts for people; codes stay the same. Without it, as the settings say",
    {"type": "string", "enum": list(LANGUAGES)},
)
_PLANNED = (
    parameter("min_risk", "Only customers with at least this churn risk", _SHARE),
    parameter("max_risk", "Only customers with at most this churn risk", _SHARE),
    parameter("min_value", "Only customers with at least this predicted value", _AMOUNT),
    parameter("include_gone", "Also customers in the lifecycle stages that the settings call gone", {"type": "boolean"}),
    parameter("capacity", "So many contacts at most", {"type": "integer", "minimum": 1, "maximum": MAX_CAPACITY}),
    parameter("budget_per_contact", "Nobody of whom a contact is expected to save less than this", _AMOUNT),
    parameter(
        "save_rate", "Share of those about to leave whom a contact keeps", {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    ),
    parameter("holdout", "Share drawn not to be contacted", {"type": "number", "minimum": 0, "maximum": MOST_HELD_OUT}),
    parameter("holdout_seed", "Seed of that draw", {"type": "integer", "minimum": 0, "maximum": MAX_SEED}),
    parameter(
        "contact_day",
        "The day of contact, by which contact caps, hold-outs and suppressions are counted; without it, that of the run",
        {"type": "string", "format": "date"},
    ),
    _LANGUAGE,
)
_LIMIT = parameter(
    "limit", "Customers on one page", {"type": "integer", "minimum": 1, "maximum": MOST_PAGE_ROWS, "default": PAGE_ROWS}
)
_CURSOR = parameter("cursor", "next_cursor of the page before", {"type": "string", "pattern": f"^{CURSOR.pattern}$"})
_CHANGES_CURSOR = _CURSOR | {"schema": {"type": "string", "pattern": f"^{CHANGES_CURSOR.pattern}$"}}
_KINDS = parameter(
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
        routes.CUSTOMER: operation(
            "getCustomer",
            "Tier, value, churn risk and drivers of one customer, from the published run",
            json_answer("The prediction", answers.Prediction),
            (*KEYED, 404),
            parameters=[_CUSTOMER_ID, _LANGUAGE],
        ),
        routes.ORDERS: operation(
            "getOrders",
            "The last days on which a customer ordered, from the published run",
            json_answer("The order days", answers.OrderHistory),
            (*KEYED, 404),
            parameters=[_CUSTOMER_ID],
        ),
        routes.PREDICTIONS: operation(
            "predict",
            "Predictions for customers that bring their own orders",
            json_answer("One prediction for each customer, in the order of the request", answers.Predictions),
            (*KEYED, 415, 422),
            said={
                413: f"The body has more than {offer.max_body_bytes:,} bytes or {schemas.MAX_ORDERS:,} orders",
                422: "A customer has an order on or after as_of (late_order) or no purchase before it (no_purchase), or is there "
                "twice (repeated_customer)",
            },
            requestBody={"required": True, "content": content(JSON_TYPE, reference(schemas.PredictionRequest))},
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
        routes.CHURN_RISK: operation(
            "listChurnRisk",
            "Customers by falling value at risk, page by page, all from one scoring run",
            json_answer(
                "One page",
                answers.ChurnRiskPage,
                links={
                    "nextPage": link("listChurnRisk", "The page after this one", cursor="$response.body#/next_cursor"),
                    "firstCustomer": link("getCustomer", "The customer at the top of this page", customer_id=first),
                },
            ),
            (*KEYED, 404),
            said={404: "The scoring run of the cursor is no longer kept; start again without it"},
            parameters=[tiers, *_PLANNED, _LIMIT, _CURSOR],
        ),
        routes.CHURN_RISK_CSV: operation(
            "listChurnRiskCsv",
            "The churn-risk list as a CSV file for spreadsheets",
            file_answer("The file", CSV_TYPE),
            parameters=[tiers, *_PLANNED],
        ),
        routes.CHURN_RISK_XLSX: operation(
            "listChurnRiskXlsx",
            "The churn-risk list as an Excel workbook",
            file_answer("The file", XLSX_TYPE),
            (*KEYED, 422),
            said={422: f"The list has more than {MAX_SHEET_ROWS:,} customers (too_many_rows): give capacity, or ask for .csv"},
            parameters=[tiers, *_PLANNED],
        ),
        routes.CHANGES: operation(
            "listChanges",
            "Who changed since the scoring run before, by falling change of predicted value, page by page",
            json_answer(
                "One page",
                answers.ChangesPage,
                links={
                    "nextPage": link("listChanges", "The page after this one", cursor="$response.body#/next_cursor"),
                    "firstCustomer": link("getCustomer", "The customer at the top of this page", customer_id=first),
                },
            ),
            (*KEYED, 404),
            said={
                404: "There is no run before the published one of the same horizon and currency: changes can be told after the "
                "next scoring. Or a run of the cursor is no longer kept; start again without it"
            },
            parameters=[_KINDS, tiers, _LIMIT, _CHANGES_CURSOR, _LANGUAGE],
        ),
        routes.TIERS: operation(
            "getTiers",
            "Customers, value and risk by tier, and the movement from past-spend tiers",
            json_answer(
                "The tiers",
                answers.TiersView,
                links={"listOfTheBest": link("listChurnRisk", "The list of the best tier", tier="$response.body#/tiers/0/tier")},
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
    routes.CAMPAIGNS: operation("listCampaigns", "Lists that were saved, newest first", json_answer("They", answers.Campaigns)),
    routes.SAVE_CAMPAIGN: operation(
        "saveCampaign",
        "Save a list as a campaign, its hold-out group with it",
        json_answer("The campaign", answers.Campaign),
        (*KEYED, 415, 422),
        status=201,
        said={422: "There is a campaign of this name (name_taken), or nobody is on the list (empty_list)"},
        requestBody={"required": True, "content": content(JSON_TYPE, reference(schemas.CampaignRequest))},
        description="The list is that of GET /v1/lists/churn-risk with the same plan. foretier campaign measure compares those "
        "contacted with those held out, once time has passed.",
    ),
    routes.CAMPAIGN_CSV: operation(
        "campaignCsv",
        "The customers to contact as a CSV file, without those suppressed since",
        file_answer("The file", CSV_TYPE),
        (*KEYED, 404),
        said=_NO_CAMPAIGN,
        parameters=[_CAMPAIGN, _LANGUAGE],
    ),
    routes.CAMPAIGN_XLSX: operation(
        "campaignXlsx",
        "The customers to contact as an Excel workbook, without those suppressed since",
        file_answer("The file", XLSX_TYPE),
        (*KEYED, 404, 422),
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
    routes.MODEL: operation("getModel", "The champion model", json_answer("The model", answers.ModelView)),
    routes.LIVE: operation("live", "The process serves", json_answer("It does", answers.State), OPEN),
    routes.READY: operation(
        "ready",
        "The champion and a published run that fits it are there",
        json_answer("They are", answers.Readiness),
        (*OPEN, 503),
    ),
    routes.METRICS: operation(
        "metrics",
        "Metrics for Prometheus",
        {"description": "The metrics", "content": content(METRICS_TYPE, {"type": "string"})},
    ),
    routes.OPENAPI: operation(
        "openapi",
        "This description",
        {"description": "OpenAPI", "content": content(JSON_TYPE, {"type": "object"})},
        OPEN,
    ),
    routes.DOCS: operation(
        "docs",
        "This description, for people",
        {"description": "A page", "content": content(HTML_TYPE, {"type": "string"})},
        OPEN,
    ),
    routes.HOME: operation(
        "console",
        "The console in the browser",
        {"description": "A page", "content": content(HTML_TYPE, {"type": "string"})},
        OPEN,
    ),
    routes.CONSOLE: operation(
        "consoleFile",
        "A file of the console",
        {"description": "The file", "content": {media: {"schema": {"type": "string"}} for media in sorted(TYPES.values())}},
        (*OPEN, 404),
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
