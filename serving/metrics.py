"""Metrics for Prometheus: at most 300 series, whatever is asked, by whatever customers in whatever tiers.

Routes are templates and tiers are capped, so no label holds what a client can choose. BentoML's own metrics, which count raw
paths, are not offered.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from serving import routes
from serving.predictions import CustomerScore

METRICS_TYPE = "text/plain; version=1.0.0; charset=utf-8; escaping=underscores"
LATENCIES = (0.002, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
RISKS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
VALUES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0, 10_000.0, 100_000.0)
MOST_TIERS = 20
OTHER_TIERS = "other"
FILES = "/v1/lists/churn-risk.csv"
COUNTED_AS = {
    routes.CHURN_RISK_XLSX.template: FILES,
    routes.HOME.template: routes.DOCS.template,
    routes.CONSOLE.template: routes.DOCS.template,
    routes.CAMPAIGN_CSV.template: routes.CAMPAIGNS.template,
    routes.CAMPAIGN_XLSX.template: routes.CAMPAIGNS.template,
}
"""Routes that are seldom asked share the series of another one."""
TIMED = frozenset((routes.CUSTOMER.template, routes.PREDICTIONS.template, routes.CHURN_RISK.template, FILES))


class Metrics:
    """All metrics of one process."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each
        registry = self._registry = CollectorRegistry(auto_describe=True)
        self._requests = Counter("foretier_requests", "Requests answered", ("route", "status"), registry=registry)
        self._seconds = Histogram(
            "foretier_request_seconds", "Time to answer a request", ("route",), registry=registry, buckets=LATENCIES
        )
        self._predictions = Counter("foretier_predictions", "Predictions given, by tier", ("tier",), registry=registry)
        self._risk = Histogram(
            "foretier_predicted_churn_risk", "Churn risk of the predictions given", registry=registry, buckets=RISKS
        )
        self._value = Histogram(
            "foretier_predicted_value", "Predicted value, in the currency of the model", registry=registry, buckets=VALUES
        )
        self._reloads = Counter(
            "foretier_reloads", "Champions and runs picked up, or refused", ("what", "outcome"), registry=registry
        )
        self._tiers: set[str] = set()
        ProcessCollector(registry=registry)

    def gauge(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Add a number that is read when the metrics are asked for; NaN where there is none."""
        Gauge(name, documentation, registry=self._registry).set_function(read)

    def request(self, template: str, status: int, seconds: float) -> None:
        """Count one answer."""
        route = COUNTED_AS.get(template, template)
        self._requests.labels(route, str(status)).inc()
        if route in TIMED:
            self._seconds.labels(route).observe(seconds)

    def predictions(self, scores: Iterable[CustomerScore]) -> None:
        """Count the predictions of one answer."""
        for score in scores:
            self._predictions.labels(self._tier(score.tier)).inc()
            self._risk.observe(score.churn_risk)
            self._value.observe(score.predicted_value)

    def reload(self, what: str, *, succeeded: bool) -> None:
        """Count an attempt to pick up a newer ``what``: model or run."""
        self._reloads.labels(what, "picked up" if succeeded else "refused").inc()

    def render(self) -> bytes:
        """Give everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def _tier(self, name: str) -> str:
        if name in self._tiers or len(self._tiers) < MOST_TIERS:
            self._tiers.add(name)
            return name
        return OTHER_TIERS


def age_seconds(since: float) -> float:
    """Seconds since a time of the system's clock."""
    return time.time() - since
