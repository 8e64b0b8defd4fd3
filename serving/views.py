"""What ``/v1/tiers`` and ``/v1/model`` tell, as plain types."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from features.catalog import FEATURE_NAMES
from serving.predictions import Terms
from serving.store import ScoringRun

if TYPE_CHECKING:
    from models.registry import LoadedModel


def terms_view(terms: Terms) -> dict[str, Any]:
    """Give what holds for every prediction of a run."""
    return {
        "as_of": terms.as_of.isoformat(),
        "horizon_days": terms.horizon_days,
        "horizon_end": terms.horizon_end.isoformat(),
        "currency": terms.currency,
        "model_version": terms.model_version,
        "grade": terms.grade,
    }


def tiers_view(run: ScoringRun) -> dict[str, Any]:
    """Give the tiers of a run, best first, and the movement from past-spend tiers; empty cells are left out."""
    return {
        **terms_view(run.terms),
        "scored_at": run.created_at.isoformat(),
        "customers": run.customers,
        "tier_horizon_days": run.tier_horizon_days,
        "held": run.held,
        "tiers": [asdict(tier) for tier in run.tiers],
        "movement": [asdict(cell) for cell in run.movement],
    }


def model_view(champion: LoadedModel) -> dict[str, Any]:
    """Give the champion: what it predicts, and from which predicted value on each tier begins (the last one: null)."""
    model = champion.model
    limits = [*model.tiers.thresholds, None]
    return {
        "model_version": str(champion.version),
        "grade": model.grade,
        "horizon_days": model.horizon_days,
        "currency": model.currency,
        "tiers": [{"tier": name, "from_value": limit} for name, limit in zip(model.tiers.names, limits, strict=True)],
        "features": list(FEATURE_NAMES),
        "calibration": champion.metrics.get("calibration"),
    }
