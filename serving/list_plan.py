"""What is asked of a contact list, and what may be expected of it.

A contact keeps a share of those who would leave, the ``save_rate``. Of a customer with churn risk r and value at risk v

    customers saved = save_rate * r        value saved = save_rate * v

are expected, all others are contacted in vain: they stay anyway (1 - r), or leave all the same (r * (1 - save_rate)). The save
rate is an assumption; ``foretier campaign measure`` says what it was.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from configs.days import day_number
from configs.errors import NotFoundError, SettingsError, nearest
from configs.playbook import MOVEMENTS, STAGES, play_for
from configs.sections import MOST_HELD_OUT
from serving.holdout import Draw
from serving.store_choice import Cap, Choice, LeftOut

if TYPE_CHECKING:
    from configs.settings import Lists, Settings
    from serving.store import ScoringRun, Store

MAX_TIERS = 50
MAX_CAPACITY = 10_000_000
MAX_AMOUNT = 1e12
MAX_SEED = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked of a list.

    ``tiers``: these only (all when empty). ``min_risk``, ``max_risk``: churn risk, both included. ``min_value``: least predicted
    value. ``include_gone``: also those in the stages that the settings call gone. ``capacity``: so many contacts at most; None:
    any number. ``budget_per_contact``: nobody of whom a contact is expected to save less, in the currency. ``holdout``: share
    drawn by ``holdout_seed`` not to be contacted.
    """

    tiers: tuple[str, ...] = ()
    min_risk: float = 0.0
    max_risk: float = 1.0
    min_value: float = 0.0
    include_gone: bool = False
    capacity: int | None = None
    budget_per_contact: float = 0.0
    save_rate: float = 0.1
    holdout: float = 0.0
    holdout_seed: int = 0

    @property
    def draw(self) -> Draw:
        """Who is held out."""
        return Draw(self.holdout, self.holdout_seed)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a list is expected to do. Counts of customers are expectations too, but ``contacts`` and ``held_out``.

    ``value_saved``, ``cost`` (contacts x budget) and ``net_value`` (their difference) in the currency, within the horizon.
    ``in_vain``: contacts without effect = ``would_stay`` + ``leave_all_the_same``.
    """

    contacts: int
    held_out: int
    customers_saved: float
    value_saved: float
    cost: float
    net_value: float
    in_vain: float
    would_stay: float
    leave_all_the_same: float
    left_out: LeftOut


def plan_of(lists: Lists, **asked: Any) -> Plan:
    """Give a plan of what was asked, where that is not None, and of what the settings say otherwise."""
    names = ("min_value", "budget_per_contact", "save_rate", "holdout", "holdout_seed")
    given = {name: value for name, value in asked.items() if value is not None}
    return Plan(**{**{name: getattr(lists, name) for name in names}, **given})


def check_plan(plan: Plan, run: ScoringRun) -> None:
    """Refuse tiers that the run does not know (NotFoundError), and numbers outside their bounds (SettingsError)."""
    for tier in plan.tiers:
        if tier not in run.tier_names:
            raise NotFoundError(f'there is no tier "{tier[:100]}"; {nearest(tier[:100], run.tier_names)}')
    shares = (("least churn risk", plan.min_risk, 0.0, 1.0), ("highest churn risk", plan.max_risk, 0.0, 1.0))
    for what, found, least, most in (*shares, ("hold-out share", plan.holdout, 0.0, MOST_HELD_OUT)):
        if not least <= found <= most:
            raise SettingsError(f"the {what} must be from {least:g} to {most:g}, found {found}")
    if not 0.0 < plan.save_rate <= 1.0:
        raise SettingsError(f"the save rate must be above 0, up to 1, found {plan.save_rate}")
    for what, amount in (("least predicted value", plan.min_value), ("budget per contact", plan.budget_per_contact)):
        if not 0.0 <= amount < float("inf"):
            raise SettingsError(f"the {what} must be an amount of 0 or more, found {amount}")


def choice_of(plan: Plan, settings: Settings, run: ScoringRun, contact_day: date) -> Choice:
    """Say in terms of the store which customers of a run a list may hold that are contacted from ``contact_day`` on."""
    return Choice(
        tiers=plan.tiers,
        min_risk=plan.min_risk,
        max_risk=plan.max_risk,
        min_value=plan.min_value,
        gone_stages=() if plan.include_gone else settings.lists.gone_stages,
        min_value_at_risk=plan.budget_per_contact / plan.save_rate,
        caps=_caps(settings, run),
        contact_day=day_number(contact_day),
    )


def expected(store: Store, run: ScoringRun, choice: Choice, plan: Plan) -> Expected:
    """Work out what a list is expected to do, and who is not on it."""
    found = store.sums(run.run_id, choice, most=plan.capacity, draw=plan.draw)
    saved, value_saved = plan.save_rate * found.churn_risk, plan.save_rate * found.value_at_risk
    cost = found.customers * plan.budget_per_contact
    return Expected(
        contacts=found.customers,
        held_out=found.held_out,
        customers_saved=saved,
        value_saved=value_saved,
        cost=cost,
        net_value=value_saved - cost,
        in_vain=found.customers - saved,
        would_stay=found.customers - found.churn_risk,
        leave_all_the_same=found.churn_risk - saved,
        left_out=store.left_out(run.run_id, choice),
    )


def wire_plan(plan: Plan, outlook: Expected) -> dict[str, Any]:
    """Give a plan and what is expected of it in plain types; amounts to the cent, expected customers to a hundredth."""
    asked = {name: value for name, value in asdict(plan).items() if name not in ("tiers", "min_risk", "max_risk")}
    told = {name: round(value, 2) if isinstance(value, float) else value for name, value in asdict(outlook).items()}
    return {**asked, **told}


def _caps(settings: Settings, run: ScoringRun) -> tuple[Cap, ...]:
    plays = (
        (tier, stage, movement, play_for(settings.playbook, tier, stage, movement))
        for tier in run.tier_names
        for stage in STAGES
        for movement in MOVEMENTS
    )
    return tuple(
        Cap(tier, stage, movement, play.contact_cap)
        for tier, stage, movement, play in plays
        if play is not None and play.contact_cap is not None
    )
