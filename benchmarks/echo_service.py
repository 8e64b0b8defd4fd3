"""The peer of ``benchmarks/load.py``: the least that BentoML can do with a JSON body."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")

import bentoml


@bentoml.service(name="echo", workers=1)
class Echo:
    """Gives back what it gets."""

    @bentoml.api
    async def echo(self, payload: dict[str, Any]) -> dict[str, Any]:
        """Give back the payload."""
        return payload
