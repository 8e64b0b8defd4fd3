"""The tables of the score store, the same on SQLite and PostgreSQL: scoring runs, and whom marketers contact.

Columns that came after the first version may be NULL: ``serving.store_engine.create_schema`` adds them to the tables of an
older store, whose runs have no value in them. A new column is added at the end, and may be NULL too.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

# PostgreSQL orders text by the locale of the database unless told otherwise; SQLite orders it by code point.
EXACT_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
RUN_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

scoring_runs = sa.Table(
    "scoring_runs",
    metadata,
    sa.Column("run_id", RUN_ID, primary_key=True, autoincrement=True),
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False, comment="ISO 8601, UTC"),
    sa.Column("as_of_day", sa.Integer, nullable=False, comment="days since 1970-01-01; the first day not observed"),
    sa.Column("horizon_days", sa.Integer, nullable=False, comment="of the values; tiers are of tier_horizon_days"),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("customers", sa.BigInteger, nullable=False),
    sa.Column("summary", sa.Text, nullable=False, comment="JSON: customers, value and risk per tier and past-spend tier"),
    sa.Column("tier_horizon_days", sa.Integer, comment="the horizon that the model was trained for; NULL: horizon_days"),
    sa.Column("grade", sa.Text, comment="A to D; NULL: not graded"),
    sqlite_autoincrement=True,  # an id of a removed run is never given again
)

customer_scores = sa.Table(
    "customer_scores",
    metadata,
    sa.Column("run_id", RUN_ID, primary_key=True, autoincrement=False),
    sa.Column("customer_id", EXACT_TEXT, primary_key=True),
    sa.Column("predicted_value", sa.Double, nullable=False),
    sa.Column("purchase_probability", sa.Double, nullable=False),
    sa.Column("churn_risk", sa.Double, nullable=False),
    sa.Column("value_if_active", sa.Double, nullable=False),
    sa.Column("value_at_risk", sa.Double, nullable=False),
    sa.Column("tier", sa.Text, nullable=False),
    sa.Column("past_spend_tier", sa.Text, nullable=False),
    sa.Column("movement", sa.Text, nullable=False),
    sa.Column("lifecycle_stage", sa.Text, nullable=False),
    sa.Column("rfm_segment", sa.Text, nullable=False),
    sa.Column("abc_class", sa.Text, nullable=False),
    sa.Column("last_order_day", sa.Integer, nullable=False, comment="days since 1970-01-01"),
    sa.Column("order_count", sa.BigInteger, nullable=False),
    sa.Column("total_spend", sa.Double, nullable=False),
    sa.Column("drivers", sa.Text, nullable=False, comment="compact JSON, see serving/predictions.py"),
    sa.Column("value_low", sa.Double, comment="10 % quantile of what is spent in the horizon"),
    sa.Column("value_high", sa.Double, comment="90 % quantile of it"),
    sa.Column("tier_probability", sa.Double, comment="that what is spent lies within the tier; NULL: not that of the value"),
    sa.Column("uncertain", sa.Boolean, comment="the interval reaches beyond the tier"),
    sa.Column("expected_orders", sa.Double),
    sa.Column("expected_order_value", sa.Double),
    sa.Column("next_order_day", sa.Double, comment="days since 1970-01-01; NULL: no day can be named"),
    sa.Column("tier_by_value", sa.Text, comment="the tier that the value alone would give"),
    sa.Column("tier_since_day", sa.Integer, comment="days since 1970-01-01; the day of the first run with this tier"),
    sa.Column("order_history", sa.Text, comment="JSON: the last purchase days, [day since 1970-01-01, net value], oldest first"),
)

# The order of every list, with the columns lists are filtered by, so that filtering reads the index alone.
sa.Index(
    "customer_scores_by_value_at_risk",
    customer_scores.c.run_id,
    customer_scores.c.value_at_risk.desc(),
    customer_scores.c.customer_id,
    customer_scores.c.tier,
    customer_scores.c.churn_risk,
    customer_scores.c.lifecycle_stage,
    customer_scores.c.predicted_value,
)

published = sa.Table(
    "published",
    metadata,
    sa.Column("slot", sa.Integer, sa.CheckConstraint("slot = 1", name="published_one_pointer"), primary_key=True),
    sa.Column("run_id", RUN_ID, sa.ForeignKey(scoring_runs.c.run_id), nullable=False),
)

suppressed_customers = sa.Table(
    "suppressed_customers",
    metadata,
    sa.Column("entry", RUN_ID, primary_key=True, autoincrement=True),
    sa.Column("customer_id", EXACT_TEXT, nullable=False, unique=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("until_day", sa.Integer, comment="days since 1970-01-01; the first day on which contact is allowed; NULL: never"),
    sa.Column("created_at", sa.Text, nullable=False, comment="ISO 8601, UTC"),
    sqlite_autoincrement=True,  # the number of an entry tells whether the table changed
)

campaigns = sa.Table(
    "campaigns",
    metadata,
    sa.Column("campaign_id", RUN_ID, primary_key=True, autoincrement=True),
    sa.Column("name", EXACT_TEXT, nullable=False, unique=True),
    sa.Column("created_at", sa.Text, nullable=False, comment="ISO 8601, UTC"),
    sa.Column(
        "contact_day", sa.Integer, nullable=False, comment="days since 1970-01-01; from this day on customers are contacted"
    ),
    sa.Column("run_id", RUN_ID, nullable=False, comment="the scoring run of its list, which may be gone by now"),
    sa.Column("horizon_days", sa.Integer, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("model_version", sa.Text, nullable=False),
    sa.Column("plan", sa.Text, nullable=False, comment="JSON: what was asked of the list"),
    sa.Column("contacts", sa.BigInteger, nullable=False),
    sa.Column("held_out", sa.BigInteger, nullable=False),
    sqlite_autoincrement=True,
)

campaign_members = sa.Table(
    "campaign_members",
    metadata,
    sa.Column("campaign_id", RUN_ID, sa.ForeignKey(campaigns.c.campaign_id), primary_key=True, autoincrement=False),
    sa.Column("customer_id", EXACT_TEXT, primary_key=True),
    sa.Column("held_out", sa.Boolean, nullable=False, comment="drawn not to be contacted"),
    sa.Column("tier", sa.Text, nullable=False),
    sa.Column("churn_risk", sa.Double, nullable=False),
    sa.Column("predicted_value", sa.Double, nullable=False),
    sa.Column("value_if_active", sa.Double, nullable=False),
    sa.Column("value_at_risk", sa.Double, nullable=False),
)

sa.Index("campaign_members_by_customer", campaign_members.c.customer_id, campaign_members.c.campaign_id)
