"""A check of our own for schemathesis (``SCHEMATHESIS_HOOKS=benchmarks.contract_checks``): one shape for every failure."""

from __future__ import annotations

import schemathesis

from serving.answers import Error


@schemathesis.check
def one_error_shape(_context: schemathesis.CheckContext, response: schemathesis.Response, _case: schemathesis.Case) -> None:
    """Statuses that no operation declares are of it too: 404 and 405 of what is not listed."""
    if response.status_code < 400 or response.request.method == "HEAD":
        return
    assert response.headers["content-type"] == ["application/json"], "a failure that is no JSON"
    Error.model_validate_json(response.content)
