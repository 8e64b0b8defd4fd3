"""What answers are described by in the OpenAPI page; the tests hold every answer of the service against it.

Answers are built by ``serving.predictions``, ``serving.lists`` and ``serving.views``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from configs.change_kinds import ChangeKind
from configs.playbook import Channel
from serving.refusal import Code

Day = Annotated[str, WithJsonSchema({"type": "string", "format": "date"})]
Moment = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Movement = Literal["up", "same", "down"]
Stage = Literal["new", "active", "dormant", "lost"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Grade = Literal["A", "B", "C", "D"]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Driver(_Answer):
    """What one group of facts about the customer does to a prediction."""

    feature: str
    group: str
    value: float | None = Field(description="The feature's own value; null where it is not defined for this customer.")
    unit: str
    effect: float = Field(description="Signed part of the prediction, in effect_unit.")
    effect_unit: str = Field(description='The currency, or "probability".')
    text: str


class Drivers(_Answer):
    """Largest effect first. Average + sum of all effects = the prediction."""

    value: list[Driver]
    churn: list[Driver]


class Average(_Answer):
    """Where the drivers start from."""

    predicted_value: float
    churn_risk: float


class ValueInterval(_Answer):
    """Within which the customer's spending in the horizon lies, with a probability of ``level``."""

    low: float
    high: float
    level: Share


class Prediction(_Answer):
    """One customer's prediction over the horizon ``[as_of, horizon_end)``.

    What an older version did not predict is null in the runs that it scored.
    """

    customer_id: str
    as_of: Day
    horizon_days: int
    horizon_end: Day
    currency: str
    model_version: str
    grade: Grade | None = Field(description="How good the model is, A to D; null where it was not graded.")
    tier: str
    tier_by_value: str = Field(description="The tier by value alone; another one where the customer is held in tier.")
    tier_since: Day | None = Field(description="Day of the first scoring run of this tier; null where there was none.")
    tier_probability: Share | None = Field(
        description="That what is spent lies within the tier's bounds; null where the customer is held in it."
    )
    uncertain: bool | None = Field(description="The interval reaches beyond the tier.")
    past_spend_tier: str
    movement: Movement
    predicted_value: float
    value_interval: ValueInterval | None
    purchase_probability: Share
    churn_risk: Share
    value_if_active: float
    value_at_risk: float
    expected_orders: float | None = Field(description="expected_orders x expected_order_value = predicted_value")
    expected_order_value: float | None
    next_order: Day | None = Field(
        description="The first day by whose end the customer has ordered with a probability of one half; null where none is."
    )
    lifecycle_stage: Stage
    rfm_segment: str
    abc_class: Literal["A", "B", "C"]
    average: Average
    drivers: Drivers


class OrderDay(_Answer):
    """All that a customer ordered on one day."""

    day: Day
    amount: float = Field(description="Net value of the day; below 0 where more was returned than bought.")


class OrderHistory(_Answer):
    """The last days on which a customer ordered before ``as_of``, at most 24, the oldest first.

    There are none in runs that an older version scored.
    """

    customer_id: str
    as_of: Day
    currency: str
    orders: list[OrderDay]


class Predictions(_Answer):
    """The answer to POST /v1/predictions: one prediction for each customer, in the order of the request."""

    predictions: list[Prediction]


class _Terms(_Answer):
    as_of: Day
    horizon_days: int
    horizon_end: Day
    currency: str
    model_version: str
    grade: Grade | None


class ListRow(_Answer):
    """One customer of the list; ``reasons`` are sentences, strongest first."""

    rank: int
    customer_id: str
    tier: str
    churn_risk: Share
    risk_band: str
    predicted_value: float
    value_interval: ValueInterval | None
    uncertain: bool | None
    value_at_risk: float
    last_order: Day
    days_since_last_order: int
    next_order: Day | None
    lifecycle_stage: Stage
    rfm_segment: str
    past_spend_tier: str
    movement: Movement
    reasons: list[str]
    action: str = Field(description="From the playbook in the settings; empty where it is silent.")
    channel: Channel
    contact_cap: int | None = Field(description="Contacts within 30 days at most; null: no limit.")


class LeftOut(_Answer):
    """Customers of these tiers and risks who are not listed, each counted once, by the first reason that applies."""

    gone: int
    below_min_value: int
    not_worth_the_budget: int
    contact_cap: int
    held_out: int = Field(description="In the hold-out group of a campaign whose horizon is not over.")
    suppressed: int


class ListPlan(_Answer):
    """What was asked of the list, and what may be expected of it: counts of customers are expectations too.

    ``in_vain``: contacts without effect = ``would_stay`` + ``leave_all_the_same``.
    """

    min_value: float
    include_gone: bool
    capacity: int | None
    budget_per_contact: float
    save_rate: Share = Field(description="Share of those about to leave whom a contact keeps: an assumption.")
    holdout: Share
    holdout_seed: int
    contacts: int
    held_out: int = Field(description="Drawn not to be contacted; they are not listed.")
    customers_saved: float
    value_saved: float
    cost: float = Field(description="contacts x budget_per_contact")
    net_value: float = Field(description="value_saved - cost")
    in_vain: float
    would_stay: float
    leave_all_the_same: float
    left_out: LeftOut


class Campaign(_Answer):
    """A list that was saved: its customers are contacted from ``contact_day`` on, those held out are not."""

    name: str
    created_at: Moment
    contact_day: Day
    scoring_run: int
    horizon_days: int
    currency: str
    model_version: str
    contacts: int
    held_out: int


class Campaigns(_Answer):
    """All campaigns, newest first."""

    campaigns: list[Campaign]


_Texts = list[str]
_Rows = list[ListRow]


class ChurnRiskPage(_Terms):
    """One page of the churn-risk list. All pages that follow each other by cursor are of one scoring run."""

    list: Literal["churn-risk"]
    scoring_run: int
    contact_day: Day
    tiers: _Texts = Field(description="The tiers asked for; empty for all.")
    min_risk: Share
    max_risk: Share
    total: int = Field(description="Customers of the whole list.")
    plan: ListPlan
    customers: _Rows
    next_cursor: str | None = Field(description="Ask again with it for the next page; null on the last.")


class ChangeRun(_Terms):
    """One of two runs that are compared."""

    scoring_run: int


class ChangeCounts(_Answer):
    """How many customers changed in each way; one customer may have changed in several."""

    newly_at_risk: int = Field(description="The churn risk rose into the highest band of the settings.")
    upgraded: int
    downgraded: int
    won_back: int = Field(description="Were dormant or lost, have ordered since, and are active again.")


class TierChange(_Answer):
    """How many customers of one tier are in another; values are sums.

    ``tier_before`` is null for customers whom the earlier run did not know, ``tier`` for those whom the later does not.
    """

    tier_before: str | None
    tier: str | None
    customers: int
    value_before: float
    value: float


class ChangedCustomer(_Answer):
    """One customer who changed, as of both runs."""

    customer_id: str
    kinds: list[ChangeKind]
    tier_before: str
    tier: str
    churn_risk_before: Share
    churn_risk: Share
    predicted_value_before: float
    predicted_value: float
    lifecycle_stage_before: Stage
    lifecycle_stage: Stage
    reason: str


class ChangesPage(_Answer):
    """One page of what changed between two scoring runs. All pages that follow each other by cursor are of the same two.

    What stands above the customers is of both runs as a whole, whatever was asked for; ``total`` is of what was.
    """

    from_run: ChangeRun = Field(alias="from", description="The earlier run.")
    to_run: ChangeRun = Field(alias="to", description="The later run.")
    stayed: int = Field(description="Customers of both runs who are in the tier they had.")
    moved: int = Field(description="Customers of both runs who are in another tier.")
    held: int = Field(description="Customers who are kept in another tier than their value alone would give.")
    new_customers: int = Field(description="Customers whom only the later run knows.")
    gone_customers: int = Field(description="Customers whom only the earlier run knows.")
    counts: ChangeCounts
    movement: list[TierChange] = Field(description="Cells without a customer are left out.")
    kinds: list[ChangeKind] = Field(description="The kinds asked for; empty for all.")
    tiers: list[str] = Field(description="The tiers asked for, before or now; empty for all.")
    total: int = Field(description="Customers of all pages.")
    customers: list[ChangedCustomer] = Field(description="The largest change of predicted value first.")
    next_cursor: str | None = Field(description="Ask again with it for the next page; null on the last.")


class TierCount(_Answer):
    """One tier; ``predicted_value`` and ``value_at_risk`` are sums, the mean is null in an empty tier."""

    tier: str
    customers: int
    predicted_value: float
    mean_churn_risk: Share | None
    value_at_risk: float


class MovementCell(_Answer):
    """How many customers of one past-spend tier are in one predicted tier."""

    past_spend_tier: str
    tier: str
    customers: int
    predicted_value: float


class TiersView(_Terms):
    """The tiers of the published run, best first; empty movement cells are left out."""

    scored_at: Moment
    customers: int
    tier_horizon_days: int = Field(description="The horizon that the tiers are of: what the model was trained for.")
    held: int = Field(description="Customers who are kept in another tier than their value alone would give.")
    tiers: list[TierCount]
    movement: list[MovementCell]


class TierLimit(_Answer):
    """From which predicted value on (inclusive) a customer is in the tier; null for the last, which takes the rest."""

    tier: str
    from_value: float | None


class Decile(_Answer):
    """The mean of what was predicted for a tenth of the customers, and of what came true."""

    predicted: float
    realised: float


class Calibration(_Answer):
    """Customers of the held-back window in tenths: by predicted value, and by churn risk."""

    value: list[Decile]
    risk: list[Decile]


class ModelView(_Answer):
    """The champion: what it predicts, and from where each tier begins, best first."""

    model_version: str
    grade: Grade | None
    horizon_days: int
    currency: str
    tiers: list[TierLimit]
    features: list[str]
    calibration: Calibration | None = Field(description="null where no window could be held back.")


class ErrorDetail(_Answer):
    """One thing that is wrong, and where."""

    path: str
    message: str


class ErrorBody(_Answer):
    """What went wrong: ``code`` for programs, ``message`` for people."""

    code: Code
    message: str
    details: list[ErrorDetail]


class Error(_Answer):
    """The one shape of every failure."""

    error: ErrorBody


class State(_Answer):
    """The answer of /livez."""

    status: Literal["ok"]


class Readiness(_Answer):
    """The answer of /readyz: ``degraded`` where it serves on with what it has, and ``faults`` say what it could not pick up."""

    status: Literal["ok", "degraded"]
    faults: list[str]
