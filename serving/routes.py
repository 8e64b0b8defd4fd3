"""The paths of the HTTP contract: what the guard lets through, the app answers and the OpenAPI page describes."""

from __future__ import annotations

from serving.guard import Route

CUSTOMER = Route("GET", "/v1/customers/{customer_id}")
PREDICTIONS = Route("POST", "/v1/predictions")
CHURN_RISK = Route("GET", "/v1/lists/churn-risk")
CHURN_RISK_CSV = Route("GET", "/v1/lists/churn-risk.csv")
CHURN_RISK_XLSX = Route("GET", "/v1/lists/churn-risk.xlsx")
TIERS = Route("GET", "/v1/tiers")
MODEL = Route("GET", "/v1/model")
LIVE = Route("GET", "/livez")
READY = Route("GET", "/readyz")
METRICS = Route("GET", "/metrics")
OPENAPI = Route("GET", "/openapi.json")
DOCS = Route("GET", "/docs")
HOME = Route("GET", "/")

ROUTES = (
    CUSTOMER, PREDICTIONS, CHURN_RISK, CHURN_RISK_CSV, CHURN_RISK_XLSX, TIERS, MODEL,
    LIVE, READY, METRICS, OPENAPI, DOCS, HOME,
)  # fmt: skip
