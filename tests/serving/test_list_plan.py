"""Plans of contact lists against plain Python: who is listed, who is left out and why, what is expected; both databases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.errors import NotFoundError, SettingsError, StoreError
from configs.playbook import play_for
from configs.settings import Settings, parse_settings
from serving.campaigns import campaign_list, campaign_rows, save_campaign
from serving.holdout import Draw
from serving.list_plan import Expected, Plan, plan_of
from serving.lists import churn_risk_page, contact_list, list_rows
from serving.predictions import CustomerScore
from serving.store import LeftOut, ScoringRun, Store

MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]

AS_OF = date(2011, 6, 12)
AT = datetime(2026, 1, 1, tzinfo=UTC)
IDS = [f"{place:04d}" for place in range(400)]
SETTINGS: Settings = parse_settings(
    {
        "source": {"path": "orders.csv"},
        "columns": {"customer_id": "id", "ordered_at": "day", "amount": "amount"},
        "currency": "GBP",
        "playbook": [
            {"tier": "Platinum", "stage": "dormant", "movement": "up", "action": "call", "channel": "phone", "contact_cap": 2},
            {"tier": "Platinum", "action": "thank", "channel": "person", "contact_cap": 1},
            {"tier": "Bronze", "stage": "new", "action": "nothing", "contact_cap": 0},
            {"tier": "Gold", "action": "write", "channel": "email"},
        ],
    },
    where="test",
)


@pytest.fixture
def scores(make_scores: MakeScores) -> list[CustomerScore]:
    return make_scores(IDS)


@pytest.fixture
def run(store: Store, scores: list[CustomerScore], publish: Publish) -> ScoringRun:
    return publish(store, scores)


class Oracle:
    """The rules of a list once more, customer by customer."""

    def __init__(self, scores: list[CustomerScore]) -> None:
        self.scores = sorted(scores, key=lambda score: (-score.value_at_risk, score.customer_id))
        self.suppressed: dict[str, date | None] = {}
        self.contacts: list[tuple[str, date]] = []
        self.held_out: list[tuple[str, date, date]] = []

    def why_not(self, score: CustomerScore, plan: Plan, day: date) -> str | None:
        """The first reason for which a customer is left out."""
        play = play_for(SETTINGS.playbook, score.tier, score.lifecycle_stage, score.movement)
        near = sum(who == score.customer_id and abs((when - day).days) < 30 for who, when in self.contacts)
        if score.lifecycle_stage == "lost" and not plan.include_gone:
            return "gone"
        if score.predicted_value < plan.min_value:
            return "below_min_value"
        if plan.save_rate * score.value_at_risk < plan.budget_per_contact:
            return "not_worth_the_budget"
        if play is not None and play.contact_cap is not None and near >= play.contact_cap:
            return "contact_cap"
        if any(who == score.customer_id and begin <= day < end for who, begin, end in self.held_out):
            return "held_out"
        until = self.suppressed.get(score.customer_id, date.min)
        return "suppressed" if until is None or until > day else None

    def listed(self, plan: Plan, day: date) -> tuple[list[CustomerScore], list[CustomerScore], LeftOut]:
        """Those to contact, those held out, and the counts of those left out."""
        fits = [
            score for score in self.scores
            if (not plan.tiers or score.tier in plan.tiers) and plan.min_risk <= score.churn_risk <= plan.max_risk
        ]  # fmt: skip
        reasons = Counter(self.why_not(score, plan, day) for score in fits)
        contacts: list[CustomerScore] = []
        held_out: list[CustomerScore] = []
        for score in fits:
            if len(contacts) == plan.capacity:
                break
            if self.why_not(score, plan, day) is None:
                (held_out if Draw(plan.holdout, plan.holdout_seed).holds_out(score.customer_id) else contacts).append(score)
        return contacts, held_out, LeftOut(**{name: count for name, count in reasons.items() if name is not None})


PLANS = [
    Plan(),
    Plan(include_gone=True, capacity=7),
    Plan(tiers=("Gold", "Platinum"), min_risk=0.2, max_risk=0.9, min_value=20.0),
    Plan(budget_per_contact=5.0, save_rate=0.2, capacity=40),
    Plan(holdout=0.3, holdout_seed=11),
    Plan(holdout=0.5, holdout_seed=3, capacity=25, include_gone=True, budget_per_contact=1.0, save_rate=0.5),
    Plan(min_value=1e9),
]


def check(store: Store, oracle: Oracle, plan: Plan, day: date) -> None:
    contacts, held_out, left_out = oracle.listed(plan, day)
    of = contact_list(store, SETTINGS, plan, contact_day=day)
    rows = list(list_rows(store, SETTINGS, of))
    assert [row.customer_id for row in rows] == [score.customer_id for score in contacts]
    assert [row.rank for row in rows] == list(range(1, len(rows) + 1))
    saved = plan.save_rate * math.fsum(score.churn_risk for score in contacts)
    value = plan.save_rate * math.fsum(score.value_at_risk for score in contacts)
    cost = len(contacts) * plan.budget_per_contact
    stay = len(contacts) - math.fsum(score.churn_risk for score in contacts)
    wanted = Expected(
        len(contacts), len(held_out), saved, value, cost, value - cost, len(contacts) - saved, stay,
        len(contacts) - saved - stay, left_out,
    )  # fmt: skip
    for name, number in asdict(wanted).items():
        found = asdict(of.expected)[name]
        assert found == (number if name == "left_out" else pytest.approx(number, abs=1e-9)), name
    pages, cursor = [], None
    while True:
        page = churn_risk_page(store, SETTINGS, plan, limit=9, cursor=cursor, contact_day=day)
        pages += page.rows
        if (cursor := page.next_cursor) is None:
            break
        assert len(page.rows) == 9
    assert pages == rows


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize("plan", PLANS)
def test_lists_equal_plain_python(store: Store, scores: list[CustomerScore], plan: Plan) -> None:
    oracle = Oracle(scores)
    oracle.suppressed = {"0001": None, "0007": AS_OF + timedelta(1), "0009": AS_OF, **dict.fromkeys(IDS[100:140])}
    store.suppress(["0001", "nobody", *IDS[100:140]], reason="asked", until=None, at=AT)
    store.suppress(["0007"], reason="complaint", until=AS_OF + timedelta(1), at=AT)
    store.suppress(["0009"], reason="complaint", until=AS_OF, at=AT)
    check(store, oracle, plan, AS_OF)
    assert store.unsuppress(["0001", "0007", "unknown"]) == 2
    del oracle.suppressed["0001"], oracle.suppressed["0007"]
    check(store, oracle, plan, AS_OF)


@pytest.mark.usefixtures("run")
def test_contact_caps_and_hold_out_groups_of_campaigns_hold(store: Store, scores: list[CustomerScore]) -> None:
    oracle = Oracle(scores)
    for name, days, plan in (
        ("first", 0, Plan(capacity=60, holdout=0.2, holdout_seed=1)),
        ("second", 10, Plan(capacity=60, holdout=0.0)),
        ("third", 29, Plan(tiers=("Platinum",), include_gone=True)),
        ("fourth", 45, Plan(capacity=30)),
    ):
        day = AS_OF + timedelta(days)
        check(store, oracle, plan, day)
        contacts, held_out, _ = oracle.listed(plan, day)
        campaign = save_campaign(store, contact_list(store, SETTINGS, plan, contact_day=day), name, at=AT)
        assert (campaign.contacts, campaign.held_out) == (len(contacts), len(held_out))
        oracle.contacts += [(score.customer_id, day) for score in contacts]
        oracle.held_out += [(score.customer_id, day, day + timedelta(180)) for score in held_out]
    for days in (30, 44, 60, 179, 180, 300):
        for plan in (Plan(), Plan(include_gone=True, holdout=0.1)):
            check(store, oracle, plan, AS_OF + timedelta(days))
    assert [campaign.name for campaign in store.campaigns()] == ["fourth", "third", "second", "first"]


def test_a_campaign_keeps_whom_it_contacts_and_whom_it_does_not(
    store: Store, run: ScoringRun, scores: list[CustomerScore], make_scores: MakeScores, publish: Publish
) -> None:
    plan = Plan(capacity=50, holdout=0.25, holdout_seed=5, min_risk=0.1)
    contacts, held_out, _ = Oracle(scores).listed(plan, AS_OF)
    of = contact_list(store, SETTINGS, plan)
    rows = list(list_rows(store, SETTINGS, of))
    saved = save_campaign(store, of, "spring.2011-a", at=AT)
    assert (saved.contacts, saved.held_out, saved.contact_day, saved.run_id) == (50, len(held_out), AS_OF, run.run_id)
    found, members = store.members("spring.2011-a")
    assert found == saved
    by_id = {member.customer_id: member for member in members}
    assert {who for who, member in by_id.items() if member.held_out} == {score.customer_id for score in held_out}
    assert {who for who, member in by_id.items() if not member.held_out} == {score.customer_id for score in contacts}
    for score in (*contacts, *held_out):
        member = by_id[score.customer_id]
        assert (member.tier, member.churn_risk, member.predicted_value) == (score.tier, score.churn_risk, score.predicted_value)
        assert (member.value_if_active, member.value_at_risk) == (score.value_if_active, score.value_at_risk)
    assert list(campaign_rows(store, SETTINGS, saved)) == rows
    assert campaign_list(store, SETTINGS, saved).expected == of.expected
    publish(store, make_scores(IDS, seed=2))
    store.suppress([rows[3].customer_id, rows[8].customer_id], reason="asked", until=None, at=AT)
    left = [row.customer_id for place, row in enumerate(rows) if place not in (3, 8)]
    assert [row.customer_id for row in campaign_rows(store, SETTINGS, saved)] == left
    for seed in (3, 4):
        publish(store, make_scores(IDS, seed=seed), keep_runs=1)
    with pytest.raises(NotFoundError, match=r'list of the campaign "spring\.2011-a" cannot be written anew'):
        campaign_list(store, SETTINGS, saved)
    assert store.members("spring.2011-a")[1] == members


@pytest.mark.usefixtures("run")
def test_what_cannot_be_a_campaign_is_refused(store: Store) -> None:
    of = contact_list(store, SETTINGS, Plan(capacity=3))
    for name in ("", "-a", "a b", "a/b", "x" * 65, "=1+1", "a\n"):
        with pytest.raises(SettingsError, match="cannot be the name of a campaign"):
            save_campaign(store, of, name, at=AT)
    save_campaign(store, of, "春节-2011", at=AT)
    with pytest.raises(SettingsError, match='there is a campaign "春节-2011" already'):
        save_campaign(store, of, "春节-2011", at=AT)
    with pytest.raises(SettingsError, match="nobody is on this list"):
        save_campaign(store, contact_list(store, SETTINGS, Plan(min_value=1e9)), "empty", at=AT)
    with pytest.raises(NotFoundError, match="did you mean"):
        store.campaign("春节-201")
    assert len(store.campaigns()) == 1


def test_no_campaign_says_how_to_save_one(store: Store) -> None:
    with pytest.raises(NotFoundError, match="--save NAME"):
        store.campaign("any")


def test_who_cannot_be_a_customer_cannot_be_suppressed_and_nobody_is(store: Store) -> None:
    with pytest.raises(StoreError, match="2 of the ids"):
        store.suppress(["a", "b\0", "x" * 2001], reason="asked", until=None, at=AT)
    assert store.suppressed() == ()
    assert store.suppress(["a", "b", "a"], reason="asked", until=None, at=AT) == 2
    assert store.suppress(["b"], reason="moved", until=date(2027, 1, 1), at=AT) == 1
    assert [(one.customer_id, one.reason, one.until) for one in store.suppressed()] == [
        ("a", "asked", None), ("b", "moved", date(2027, 1, 1)),
    ]  # fmt: skip
    assert store.suppress([f"c{place}" for place in range(1234)], reason="bulk", until=None, at=AT) == 1234
    assert store.unsuppress(f"c{place}" for place in range(1234)) == 1234


@pytest.mark.usefixtures("run")
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"min_risk": -0.1}, "least churn risk must be from 0 to 1"),
        ({"max_risk": math.nan}, "highest churn risk must be from 0 to 1"),
        ({"holdout": 0.51}, "hold-out share must be from 0 to 0.5"),
        ({"save_rate": 0.0}, "save rate must be above 0"),
        ({"min_value": -1.0}, "least predicted value must be an amount"),
        ({"budget_per_contact": math.inf}, "budget per contact must be an amount"),
    ],
)
def test_numbers_out_of_bounds_are_refused(store: Store, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        contact_list(store, SETTINGS, Plan(**wrong))


def test_what_is_not_asked_is_as_the_settings_say() -> None:
    lists = SETTINGS.lists.model_copy(update={"save_rate": 0.25, "holdout": 0.1, "min_value": 3.0})
    assert plan_of(lists) == Plan(save_rate=0.25, holdout=0.1, min_value=3.0, holdout_seed=20260101)
    assert plan_of(lists, holdout=0.0, capacity=None, min_value=0.0) == Plan(save_rate=0.25, holdout_seed=20260101)


def test_a_draw_is_near_its_share_and_independent_of_other_draws() -> None:
    ids = [str(place) for place in range(20_000)]
    one, other = ([Draw(0.2, seed).holds_out(customer) for customer in ids] for seed in (1, 2))
    both = sum(first and second for first, second in zip(one, other, strict=True))
    # Five standard deviations of binomial counts.
    assert abs(sum(one) - 4000) < 5 * math.sqrt(20_000 * 0.2 * 0.8)
    assert abs(both - 800) < 5 * math.sqrt(20_000 * 0.04 * 0.96)


@settings(max_examples=200, deadline=None)
@given(
    st.text(max_size=50).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)),
    st.integers(0, 2**31 - 1),
)
def test_a_larger_share_holds_out_the_same_and_more(customer_id: str, seed: int) -> None:
    held = [Draw(share / 20, seed).holds_out(customer_id) for share in range(21)]
    assert held == sorted(held)
    assert (held[0], held[20]) == (False, True)
