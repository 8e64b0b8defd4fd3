"""A lazy Narwhals plan that is built once and run over many small Polars frames: what makes one HTTP request cheap.

Translating the catalog for Polars takes several times as long as running it over the orders of one customer. The very
same plan serves every request, so it is translated once, and only its source is exchanged.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import narwhals as nw
import polars as pl


class PreparedPlan:
    """``transform`` made ready for Polars frames of one ``schema``.

    ``transform`` must be pure: one lazy frame to another, and nothing read from elsewhere. Every thread that calls
    ``run`` prepares its own plan at its first call, so threads never see each other's rows.
    """

    def __init__(self, transform: Callable[[nw.LazyFrame[Any]], nw.LazyFrame[Any]], schema: pl.Schema) -> None:
        self._transform = transform
        self._schema = schema
        self._of_thread = threading.local()

    def run(self, frame: pl.DataFrame) -> pl.DataFrame:
        """``transform`` of ``frame``, whose schema must be the prepared one."""
        if not hasattr(self._of_thread, "plan"):
            self._of_thread.source = _Source()
            deferred = pl.defer(self._of_thread.source, schema=self._schema)
            self._of_thread.plan = self._transform(nw.from_native(deferred)).to_native()
        source: _Source = self._of_thread.source
        plan: pl.LazyFrame = self._of_thread.plan
        source.frame = frame
        try:
            return plan.collect()
        finally:
            source.frame = None


class _Source:
    """Stands where the frame of the next run will be."""

    frame: pl.DataFrame | None = None

    def __call__(self) -> pl.DataFrame:
        if self.frame is None:
            raise RuntimeError("a prepared plan has no rows outside of run()")
        return self.frame
