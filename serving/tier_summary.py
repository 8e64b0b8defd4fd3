"""Tiers of one scoring run in numbers: customers, value and risk per tier, and the movement from past-spend tiers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from serving.predictions import CustomerScore


@dataclass(frozen=True, slots=True)
class TierCount:
    """One tier of a run. ``predicted_value`` and ``value_at_risk`` are sums; the mean is ``None`` in an empty tier."""

    tier: str
    customers: int
    predicted_value: float
    mean_churn_risk: float | None
    value_at_risk: float


@dataclass(frozen=True, slots=True)
class MovementCell:
    """How many customers of one past-spend tier are in one predicted tier, and their predicted value."""

    past_spend_tier: str
    tier: str
    customers: int
    predicted_value: float


@dataclass(frozen=True, slots=True)
class TierSummary:
    """What is known of a run as a whole: ``tiers`` best first, ``movement`` without empty cells, kind of ids.

    ``held`` counts the customers who are kept in another tier than their value alone would give.
    """

    tiers: tuple[TierCount, ...]
    movement: tuple[MovementCell, ...]
    zero_padded_ids: bool
    held: int

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read back what :meth:`TierTally.to_json` wrote."""
        summary = json.loads(text)
        names, cells = summary["tiers"], summary["cells"]
        order = {name: place for place, name in enumerate(names)}
        cells.sort(key=lambda cell: (order.get(cell[0], len(order)), order.get(cell[1], len(order))))
        return cls(
            tiers=tuple(_tier_count(name, [cell for cell in cells if cell[1] == name]) for name in names),
            movement=tuple(MovementCell(past, tier, int(count), value) for past, tier, count, value, _, _ in cells),
            zero_padded_ids=summary["zero_padded_ids"],
            held=summary.get("held", 0),
        )


class TierTally:
    """Adds up the rows of a run while they are written."""

    def __init__(self, tier_names: Sequence[str]) -> None:
        self._names = tuple(tier_names)
        self._cells: dict[tuple[str, str], list[float]] = {}
        self._zero_padded_ids = False
        self._held = 0

    def add(self, scores: Iterable[CustomerScore]) -> None:
        """Count these rows."""
        for score in scores:
            cell = self._cells.setdefault((score.past_spend_tier, score.tier), [0, 0.0, 0.0, 0.0])
            cell[0] += 1
            cell[1] += score.predicted_value
            cell[2] += score.churn_risk
            cell[3] += score.value_at_risk
            self._held += score.tier_by_value not in (None, score.tier)
            if score.customer_id.startswith("0"):
                self._zero_padded_ids |= len(score.customer_id) > 1 and score.customer_id.isdecimal()

    @property
    def customers(self) -> int:
        """Rows counted so far."""
        return int(sum(cell[0] for cell in self._cells.values()))

    def to_json(self) -> str:
        """Everything counted, for the store."""
        cells = [[past, tier, *sums] for (past, tier), sums in sorted(self._cells.items())]
        summary = {"tiers": self._names, "cells": cells, "zero_padded_ids": self._zero_padded_ids, "held": self._held}
        return json.dumps(summary, separators=(",", ":"), allow_nan=False)


def _tier_count(name: str, cells: list[list[float]]) -> TierCount:
    customers = int(sum(cell[2] for cell in cells))
    risk = sum(cell[4] for cell in cells)
    return TierCount(
        tier=name,
        customers=customers,
        predicted_value=float(sum(cell[3] for cell in cells)),
        mean_churn_risk=risk / customers if customers else None,
        value_at_risk=float(sum(cell[5] for cell in cells)),
    )
