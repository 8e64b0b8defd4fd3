"""The paths of the HTTP contract: what the guard lets through, the app answers and the OpenAPI page describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from serving.keys import Scope


@dataclass(frozen=True, slots=True)
class Route:
    """One path of the contract: ``{name}`` stands for one part of it. Only POST has a body.

    ``scope``: what a key must be made for; None: open to everybody who reaches the service, for it tells nothing of customers
    and is asked by health checks and browsers, and so it is never refused for load either.
    """

    method: Literal["GET", "POST"]
    template: str
    scope: Scope | None = None

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods that are answered."""
        return ("GET", "HEAD") if self.method == "GET" else (self.method,)


CUSTOMER = Route("GET", "/v1/customers/{customer_id}", "read")
PREDICTIONS = Route("POST", "/v1/predictions", "predict")
ORDERS = Route("GET", "/v1/customers/{customer_id}/orders", "read")
CHURN_RISK = Route("GET", "/v1/lists/churn-risk", "lists")
CHURN_RISK_CSV = Route("GET", "/v1/lists/churn-risk.csv", "lists")
CHURN_RISK_XLSX = Route("GET", "/v1/lists/churn-risk.xlsx", "lists")
CAMPAIGNS = Route("GET", "/v1/campaigns", "lists")
SAVE_CAMPAIGN = Route("POST", "/v1/campaigns", "lists")
CAMPAIGN_CSV = Route("GET", "/v1/campaigns/{campaign}/contacts.csv", "lists")
CAMPAIGN_XLSX = Route("GET", "/v1/campaigns/{campaign}/contacts.xlsx", "lists")
CHANGES = Route("GET", "/v1/changes", "lists")
TIERS = Route("GET", "/v1/tiers", "read")
MODEL = Route("GET", "/v1/model", "read")
LIVE = Route("GET", "/livez")
READY = Route("GET", "/readyz")
METRICS = Route("GET", "/metrics", "admin")
OPENAPI = Route("GET", "/openapi.json")
DOCS = Route("GET", "/docs")
HOME = Route("GET", "/")
CONSOLE = Route("GET", "/console/{file}")

ROUTES = (
    CUSTOMER, ORDERS, PREDICTIONS, CHURN_RISK, CHURN_RISK_CSV, CHURN_RISK_XLSX, CHANGES,
    CAMPAIGNS, SAVE_CAMPAIGN, CAMPAIGN_CSV, CAMPAIGN_XLSX, TIERS, MODEL, LIVE, READY,
    METRICS, OPENAPI, DOCS, HOME, CONSOLE,
)  # fmt: skip


class RouteTable:
    """Finds the routes of a raw path, and its parts decoded once, so that ids may hold blanks and slashes."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        of_path: dict[str, tuple[Route, ...]] = {}
        for route in routes:
            of_path[route.template] = (*of_path.get(route.template, ()), route)
        self._fixed = {template.encode(): its for template, its in of_path.items() if "{" not in template}
        self._open = [(its, template.encode().split(b"/")) for template, its in of_path.items() if "{" in template]

    def find(self, raw: bytes) -> tuple[tuple[Route, ...], dict[str, bytes]] | None:
        """Give the routes, one for each method, and the raw parts of the path that they name, none of them empty.

        None: there is no such path.
        """
        routes = self._fixed.get(raw)
        if routes is not None:
            return routes, {}
        segments = raw.split(b"/")
        for routes, parts in self._open:
            if len(parts) != len(segments):
                continue
            named = {}
            for part, segment in zip(parts, segments, strict=True):
                if part.startswith(b"{") and segment:
                    named[part[1:-1].decode()] = segment
                elif part != segment:
                    break
            else:
                return routes, named
        return None
