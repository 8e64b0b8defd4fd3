"""What changed between two scoring runs: who is newly at risk, upgraded, downgraded or won back, and why.

Customers come by falling absolute change of their predicted value, then by id. What each kind of change is, is defined in
``serving.store_changes``. A customer who is held in a tier (``models.tier_stability``) has not changed tier. Customers
whom only one of the runs knows are counted, and have not changed either.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from configs.change_kinds import CHANGE_KINDS, ChangeKind
from configs.days import day_number
from configs.errors import NotFoundError, SettingsError, nearest
from configs.language import Language
from serving.change_reasons import reason
from serving.store import MAX_ID_BYTES, Changed, ChangePosition, ScoringRun, Store, Wanted
from serving.store_changes import ChangeRules, TierPair

CURSOR = re.compile(
    r"[1-9][0-9]{0,17}\.[1-9][0-9]{0,17}"
    r"\.(?:[0-6][0-9a-f]{2}|7(?:[0-9a-e][0-9a-f]|f[0-9a-e]))[0-9a-f]{13}"
    rf"\.(?:0[1-9a-f]|[1-9a-f][0-9a-f]){{1,{MAX_ID_BYTES}}}"
)
"""Both runs; the absolute change of value as a finite IEEE 754 number and the customer id in UTF-8, both in hexadecimal."""

EVERYTHING = Wanted()
"""Every kind of change, in every tier."""


@dataclass(frozen=True, slots=True)
class Change:
    """One customer who changed; ``reason`` is in words, the values are in the currency of both runs."""

    customer_id: str
    kinds: tuple[ChangeKind, ...]
    tier_before: str
    tier: str
    churn_risk_before: float
    churn_risk: float
    predicted_value_before: float
    predicted_value: float
    lifecycle_stage_before: str
    lifecycle_stage: str
    reason: str

    @property
    def position(self) -> ChangePosition:
        """The place just after this customer."""
        return ChangePosition(abs(self.predicted_value - self.predicted_value_before), self.customer_id)


@dataclass(frozen=True)
class Comparison:
    """Two runs, and the customers of both: ``pairs`` by their tiers, empty ones left out; ``counts`` by kind of change."""

    before: ScoringRun
    after: ScoringRun
    rules: ChangeRules
    pairs: tuple[TierPair, ...]
    counts: Mapping[ChangeKind, int]

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


@dataclass(frozen=True, slots=True)
class ChangesPage:
    """One page. ``total`` counts all customers that are wanted; ``next_cursor`` is None on the last page."""

    comparison: Comparison
    wanted: Wanted
    total: int
    rows: tuple[Change, ...]
    next_cursor: str | None


def compare(store: Store, risk_bands: Mapping[str, float], before: int | None = None, after: int | None = None) -> Comparison:
    """Compare two runs: ``after`` (default: the published one) with ``before`` (default: the last earlier run like it).

    ``risk_bands``: those of the settings, highest first; who rose into the first one is newly at risk.

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
    high_risk = next(iter(risk_bands.values()))
    rules = ChangeRules(earlier.run_id, later.run_id, later.tier_names, high_risk, day_number(one.as_of))
    pairs, counts = store.tier_pairs(rules)
    return Comparison(earlier, later, rules, _in_order(pairs, earlier, later), counts)


def _in_order(pairs: Iterable[TierPair], earlier: ScoringRun, later: ScoringRun) -> tuple[TierPair, ...]:
    """Best tiers first, by the tier before and then the tier now; new customers and those that are gone last."""
    before, after = ([*run.tier_names, None] for run in (earlier, later))
    return tuple(sorted(pairs, key=lambda pair: (before.index(pair.tier_before), after.index(pair.tier))))


def _run_before(store: Store, later: ScoringRun) -> ScoringRun:
    def comparable(run: ScoringRun) -> bool:
        same = (run.terms.horizon_days, run.terms.currency) == (later.terms.horizon_days, later.terms.currency)
        return run.run_id < later.run_id and same and run.terms.as_of <= later.terms.as_of

    found = next((run for run in store.runs() if comparable(run)), None)
    if found is None:
        raise NotFoundError(
            f"there is no run before {later.run_id} of the same horizon and currency: changes can be told after the next "
            "foretier score (scoring.keep_runs says how many runs are kept)"
        )
    return found


def check_wanted(wanted: Wanted, found: Comparison) -> None:
    """Refuse kinds that there are not (SettingsError) and tiers that neither run knows (NotFoundError); the nearest is named."""
    for kind in wanted.kinds:
        if kind not in CHANGE_KINDS:
            raise SettingsError(f'there is no change "{kind[:100]}"; {nearest(kind[:100], CHANGE_KINDS)}')
    known = tuple(dict.fromkeys((*found.after.tier_names, *found.before.tier_names)))
    for tier in wanted.tiers:
        if tier not in known:
            raise NotFoundError(f'there is no tier "{tier[:100]}"; {nearest(tier[:100], known)}')


def changes(
    store: Store,
    found: Comparison,
    wanted: Wanted = EVERYTHING,
    *,
    top: int | None = None,
    after: ChangePosition | None = None,
    language: Language = "en",
) -> Iterator[Change]:
    """Read the customers who changed, the largest change of value first: up to ``top`` of them after ``after``.

    Raises NotFoundError: a run is no longer kept.
    """
    for one in store.changed_customers(found.rules, wanted, limit=top, after=after):
        yield _change(one, found, language)


def _change(one: Changed, found: Comparison, language: Language) -> Change:
    before, after = one.before, one.after
    return Change(
        customer_id=after.customer_id,
        kinds=one.kinds,
        tier_before=before.tier,
        tier=after.tier,
        churn_risk_before=before.churn_risk,
        churn_risk=after.churn_risk,
        predicted_value_before=before.predicted_value,
        predicted_value=after.predicted_value,
        lifecycle_stage_before=before.lifecycle_stage,
        lifecycle_stage=after.lifecycle_stage,
        reason=reason(one, found.before.terms, found.after.terms, language),
    )


def changes_page(
    store: Store,
    risk_bands: Mapping[str, float],
    wanted: Wanted,
    *,
    limit: int,
    cursor: str | None = None,
    run: int | None = None,
    language: Language = "en",
) -> ChangesPage:
    """Give one page of the changes between the runs of ``cursor``, else up to ``run``, else up to the published run.

    A tier that there is not has nobody in it. Raises what ``compare`` raises, and SettingsError for a cursor that is none.
    """
    before, after, position = (None, run, None) if cursor is None else _read_cursor(cursor)
    found = compare(store, risk_bands, before, after)
    rows = tuple(changes(store, found, wanted, top=limit + 1, after=position, language=language))
    more = _cursor(found, rows[limit - 1]) if len(rows) > limit else None
    return ChangesPage(found, wanted, store.changed(found.rules, wanted), rows[:limit], more)


def _cursor(found: Comparison, row: Change) -> str:
    change = struct.pack(">d", row.position.change).hex()
    return f"{found.before.run_id}.{found.after.run_id}.{change}.{row.customer_id.encode().hex()}"


def _read_cursor(cursor: str) -> tuple[int, int, ChangePosition]:
    if not CURSOR.fullmatch(cursor):
        raise SettingsError("the cursor is none that a page of this list gave; start again without it")
    before, after, packed, customer_id = cursor.split(".")
    [change] = struct.unpack(">d", bytes.fromhex(packed))
    return int(before), int(after), ChangePosition(change, bytes.fromhex(customer_id).decode(errors="replace"))
