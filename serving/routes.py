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
CHURN_RISK = Route("GET", "/v1/lists/churn-risk", "lists")
CHURN_RISK_CSV = Route("GET", "/v1/lists/churn-risk.csv", "lists")
CHURN_RISK_XLSX = Route("GET", "/v1/lists/churn-risk.xlsx", "lists")
CHANGES = Route("GET", "/v1/changes", "lists")
TIERS = Route("GET", "/v1/tiers", "read")
MODEL = Route("GET", "/v1/model", "read")
LIVE = Route("GET", "/livez")
READY = Route("GET", "/readyz")
METRICS = Route("GET", "/metrics", "admin")
OPENAPI = Route("GET", "/openapi.json")
DOCS = Route("GET", "/docs")
HOME = Route("GET", "/")

ROUTES = (
    CUSTOMER, PREDICTIONS, CHURN_RISK, CHURN_RISK_CSV, CHURN_RISK_XLSX, CHANGES, TIERS, MODEL,
    LIVE, READY, METRICS, OPENAPI, DOCS, HOME,
)  # fmt: skip


class RouteTable:
    """Finds the route of a raw path, and its parts decoded once, so that ids may hold blanks and slashes."""

    def __init__(self, routes: tuple[Route, ...]) -> None:
        self._fixed = {route.template.encode(): route for route in routes if "{" not in route.template}
        self._open = [(route, route.template.encode().split(b"/")) for route in routes if "{" in route.template]

    def find(self, raw: bytes) -> tuple[Route, dict[str, bytes]] | None:
        """Give the route and the raw parts of the path that it names, none of them empty; None: there is no such path."""
        route = self._fixed.get(raw)
        if route is not None:
            return route, {}
        segments = raw.split(b"/")
        for route, parts in self._open:
            if len(parts) != len(segments):
                continue
            named = {}
            for part, segment in zip(parts, segments, strict=True):
                if part.startswith(b"{") and segment:
                    named[part[1:-1].decode()] = segment
                elif part != segment:
                    break
            else:
                return route, named
        return None
