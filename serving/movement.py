"""Movement between two scoring runs: how many customers went from which tier to which, who they are, and why.

A customer who is held in a tier (``models.tier_stability``) has not moved. Customers whom only one of the runs knows are
counted, and are no moves either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from configs.errors import NotFoundError, SettingsError
from features.phrases import count, money
from serving.exports import Column, Table
from serving.predictions import HEADLINES, CustomerScore, Driver, last_order, stored_drivers
from serving.store import ScoringRun, Store
from serving.store_moves import TierPair

LEAST_CHANGE = 0.005
"""Of a driver's effect, in money: less reads as nothing."""


@dataclass(frozen=True, slots=True)
class Move:
    """One customer who changed tier; ``reason`` is in words."""

    customer_id: str
    tier_before: str
    tier: str
    value_before: float
    value: float
    reason: str


@dataclass(frozen=True)
class Movement:
    """Two runs and the customers of both by their tiers: ``pairs`` as the store counts them, empty ones left out."""

    before: ScoringRun
    after: ScoringRun
    pairs: tuple[TierPair, ...]

    def customers(self, tier_before: str | None, tier: str | None) -> int:
        """Number of customers of one cell."""
        return sum(pair.customers for pair in self.pairs if (pair.tier_before, pair.tier) == (tier_before, tier))

    @property
    def stayed(self) -> int:
        """Customers in the tier they had."""
        return sum(pair.customers for pair in self._known if pair.tier == pair.tier_before)

    @property
    def moved(self) -> int:
        """Customers in another tier."""
        return sum(pair.customers for pair in self._known if pair.tier != pair.tier_before)

    @property
    def new_customers(self) -> int:
        """Customers whom only the later run knows."""
        return sum(pair.customers for pair in self.pairs if pair.tier_before is None)

    @property
    def gone_customers(self) -> int:
        """Customers whom only the earlier run knows."""
        return sum(pair.customers for pair in self.pairs if pair.tier is None)

    @property
    def _known(self) -> list[TierPair]:
        return [pair for pair in self.pairs if pair.tier is not None and pair.tier_before is not None]


def movement(store: Store, before: int | None = None, after: int | None = None) -> Movement:
    """Compare two runs: ``after`` (default: the published one) with ``before`` (default: the last earlier run like it).

    Raises NotFoundError: there is no such run, none is published, or there is no earlier one. SettingsError: the runs look
    differently far ahead or are in different currencies, so that their values cannot be compared, or are in the wrong order.
    """
    later = store.published() if after is None else store.run(after)
    if later is None:
        raise NotFoundError("no scoring run is published yet: run foretier score first")
    earlier = _run_before(store, later) if before is None else store.run(before)
    one, other = earlier.terms, later.terms
    if (one.horizon_days, one.currency) != (other.horizon_days, other.currency):
        raise SettingsError(
            f"run {earlier.run_id} says what comes in {one.horizon_days} days in {one.currency}, run {later.run_id} in "
            f"{other.horizon_days} days in {other.currency}: give two runs that agree"
        )
    if one.as_of > other.as_of:
        raise SettingsError(f"run {earlier.run_id} is as of {one.as_of}, after {other.as_of}: give the earlier one as --from")
    return Movement(earlier, later, store.tier_pairs(earlier.run_id, later.run_id))


def _run_before(store: Store, later: ScoringRun) -> ScoringRun:
    def comparable(run: ScoringRun) -> bool:
        same = (run.terms.horizon_days, run.terms.currency) == (later.terms.horizon_days, later.terms.currency)
        return run.run_id < later.run_id and same and run.terms.as_of <= later.terms.as_of

    found = next((run for run in store.runs() if comparable(run)), None)
    if found is None:
        raise NotFoundError(
            f"there is no run before {later.run_id} of the same horizon and currency: movement can be told after the next "
            "foretier score (scoring.keep_runs says how many runs are kept)"
        )
    return found


def moves(store: Store, found: Movement, *, top: int | None = None) -> Iterator[Move]:
    """Read the customers who changed tier, the largest change of value first, up to ``top`` of them."""
    for before, after in store.moved_customers(found.before.run_id, found.after.run_id, top):
        yield Move(
            customer_id=after.customer_id,
            tier_before=before.tier,
            tier=after.tier,
            value_before=before.predicted_value,
            value=after.predicted_value,
            reason=reason(before, after, found),
        )


def reason(before: CustomerScore, after: CustomerScore, runs: Movement) -> str:
    """Say why a customer is in another tier: the model, the orders, and the driver whose effect changed most."""
    parts = [
        _of_model(runs),
        _of_being_held(before, after),
        _of_orders(before, after, runs),
        _of_driver(before, after, runs.after.terms.currency),
    ]
    words = "; ".join(part for part in parts if part) or "the same day, model and orders: held in a tier otherwise than before"
    return words[:1].upper() + words[1:]


def _of_model(runs: Movement) -> str:
    was, now = runs.before.terms.model_version, runs.after.terms.model_version
    return "" if was == now else f"new model (version {now} after {was})"


def _of_being_held(before: CustomerScore, after: CustomerScore) -> str:
    held = before.tier_by_value not in (None, before.tier)
    return f"was held in {before.tier} until now" if held and before.tier_by_value == after.tier else ""


def _of_orders(before: CustomerScore, after: CustomerScore, runs: Movement) -> str:
    more, currency = after.order_count - before.order_count, runs.after.terms.currency
    if more > 0:
        times = {1: "once", 2: "twice"}.get(more, f"{more} times")
        return f"ordered {times} since {runs.before.terms.as_of.isoformat()}"
    if more < 0:
        return f"{count(-more, 'order')} fewer than before, refunded or corrected"
    if (returned := before.total_spend - after.total_spend) >= LEAST_CHANGE:
        return f"{money(returned, currency)} of earlier orders refunded"
    passed = runs.after.terms.as_of > runs.before.terms.as_of
    return f"no order since {last_order(after).isoformat()}" if passed else ""


def _of_driver(before: CustomerScore, after: CustomerScore, currency: str) -> str:
    """The driver group whose effect on the value changed most, of those that moved it the way it went."""
    effects = {driver.group: driver.effect for driver in stored_drivers(before).value}
    changes = [(driver.effect - effects.get(driver.group, 0.0), driver) for driver in stored_drivers(after).value]
    rose = after.predicted_value >= before.predicted_value
    telling = [(change, driver) for change, driver in changes if (change > 0) == rose and abs(change) >= LEAST_CHANGE]
    if not telling:
        return ""
    change, strongest = max(telling, key=lambda found: (abs(found[0]), found[1].group))
    return f"{_fact(strongest, currency)}: {'adds' if change > 0 else 'takes'} {money(abs(change), currency)}"


def _fact(driver: Driver, currency: str) -> str:
    phrase = HEADLINES[driver.group].phrase(driver.value, currency)
    return phrase[:1].lower() + phrase[1:]


# The wire and the files


def wire_movement(found: Movement) -> dict[str, Any]:
    """Give what stands above the customers, as plain types; ``tiers`` holds the cells that are not empty."""
    return {
        "from": _wire_run(found.before),
        "to": _wire_run(found.after),
        "stayed": found.stayed,
        "moved": found.moved,
        "held": found.after.held,
        "new_customers": found.new_customers,
        "gone_customers": found.gone_customers,
        "tiers": [asdict(pair) for pair in found.pairs],
    }


def _wire_run(run: ScoringRun) -> dict[str, Any]:
    from serving.views import terms_view

    return {"scoring_run": run.run_id, **terms_view(run.terms)}


COLUMNS: tuple[Column, ...] = (
    Column("customer_id", "Customer", "text", 22),
    Column("tier_before", "Tier before", "text", 12),
    Column("tier", "Tier", "text", 12),
    Column("value_before", "Predicted value before", "money", 14),
    Column("value", "Predicted value", "money", 14),
    Column("reason", "Reason", "text", 110),
)


def movement_table(found: Movement, rows: Iterator[Move]) -> Table:
    """Give the customers who moved as a table for :mod:`serving.exports`."""
    before, after = found.before, found.after
    return Table(
        title="Movement",
        columns=COLUMNS,
        rows=([getattr(row, column.name) for column in COLUMNS] for row in rows),
        notes=(
            ("From", f"scoring run {before.run_id} as of {before.terms.as_of}, model version {before.terms.model_version}"),
            ("To", f"scoring run {after.run_id} as of {after.terms.as_of}, model version {after.terms.model_version}"),
            ("Values", f"what is expected within {after.terms.horizon_days} days, in {after.terms.currency}"),
            ("Moved", f"{found.moved:,} of {found.moved + found.stayed:,} customers whom both runs know"),
            ("Held", f"{after.held:,} customers stay in a tier although their value is just beyond its bounds"),
            ("New and gone", f"{found.new_customers:,} customers are new, {found.gone_customers:,} are no longer scored"),
        ),
        created_at=after.created_at,
        mark_numbers=after.zero_padded_ids,
    )
