"""Views of the score store for BI tools, which read plain tables with real dates, and no drivers or keys.

======================== ===========================================================================================
``foretier_customers``    every customer of the published run
``foretier_tiers``        its tiers, best first, those without customers included
``foretier_movement``     its customers by past-spend tier and tier
``foretier_runs``         all complete runs; one of them is the published
``foretier_contactable``  ``foretier_customers`` without those suppressed today or for good. "Today" is the database's: of the
                          session's time zone in PostgreSQL, UTC in SQLite
``foretier_campaigns``    the campaigns that were saved
======================== ===========================================================================================

One statement on a view sees one whole run: each is selected by the published pointer, which moves in the transaction that
completes a run. Dates are of type ``date`` in PostgreSQL and ISO text in SQLite, which has no dates; a day outside the years 1 to
9999 is NULL. Values in older runs that were not kept then are NULL.

Who owns the tables makes the views when a store is opened, and renews those of an older version; everybody else uses what is
there. Views read with the rights of their owner: in PostgreSQL ``GRANT SELECT`` on the views is all that a BI tool needs. As in
the tables, columns are only ever added at the end, so that PostgreSQL can renew a view that others depend on.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from serving.store_engine import SCHEMA_LOCK, WRITES

VERSION = 1
"""To be raised with every change of a view."""

_MARK = "foretier views"
_PUBLISHED_RUN = "(SELECT run_id FROM published WHERE slot = 1)"
_FIRST_DAY, _LAST_DAY = -719162, 2932896  # 0001-01-01 and 9999-12-31


def view_definitions(dialect: str) -> dict[str, str]:
    """Give the SELECT of each view by its name, in the order in which they can be made; ``dialect``: sqlite or postgresql."""
    sqlite = dialect == "sqlite"
    return {
        "foretier_customers": _customers(sqlite=sqlite),
        "foretier_tiers": _tiers(sqlite=sqlite),
        "foretier_movement": _movement(sqlite=sqlite),
        "foretier_runs": _runs(sqlite=sqlite),
        "foretier_contactable": _contactable(sqlite=sqlite),
        "foretier_campaigns": _campaigns(sqlite=sqlite),
    }


def renew_views(engine: sa.Engine) -> None:
    """Make the views that are missing or of an older version, if this user may; one query where there is nothing to do.

    A user who may not is told nothing: the store works without them. Any number of processes may do this at once.
    """
    with engine.connect() as connection:
        if not _to_be_made(connection):
            return
    try:
        with engine.connect().execution_options(**{WRITES: True}) as connection, connection.begin():
            if engine.dialect.name == "postgresql":
                schema = sa.func.hashtext(sa.func.current_schema())
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(SCHEMA_LOCK, schema)))
            if _to_be_made(connection):
                _make(connection)
    except DBAPIError:  # a file that cannot be written, something else of such a name: no reason not to open the store
        return


def _to_be_made(connection: sa.Connection) -> bool:
    if connection.dialect.name == "sqlite":
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'view' AND name LIKE 'foretier_%'")
        marks = dict(tuple(row) for row in found)
    else:
        may, marks = _postgres_marks(connection)
        if not may:
            return False
    return any(_version_in(marks.get(name)) < VERSION for name in view_definitions(connection.dialect.name))


# Whoever owns the tables: a role's members do. A server that follows another takes no changes.
_POSTGRES_MARKS = """
SELECT current_setting('transaction_read_only') = 'off' AND has_schema_privilege(current_schema(), 'CREATE')
    AND coalesce((SELECT bool_and(pg_has_role(relowner, 'USAGE')) FROM pg_class WHERE relnamespace = spaces.oid
        AND relname IN ('scoring_runs', 'customer_scores', 'published', 'suppressed_customers', 'campaigns')), false),
    (SELECT json_object_agg(relname, obj_description(pg_class.oid, 'pg_class')) FROM pg_class
        WHERE relnamespace = spaces.oid AND relkind = 'v' AND starts_with(relname, 'foretier_'))
FROM pg_namespace AS spaces WHERE nspname = current_schema()
"""


def _postgres_marks(connection: sa.Connection) -> tuple[bool, dict[str, str | None]]:
    row = connection.exec_driver_sql(_POSTGRES_MARKS).one_or_none()
    return (False, {}) if row is None else (bool(row[0]), row[1] or {})


def _version_in(mark: str | None) -> int:
    """The version that a view says it is of; -1 for none at all."""
    _, found, rest = (mark or "").partition(f"{_MARK} ")
    number = rest.split(maxsplit=1)[0] if found and rest else ""
    return int(number) if number.isdecimal() else -1


def _make(connection: sa.Connection) -> None:
    for name, select in view_definitions(connection.dialect.name).items():
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"DROP VIEW IF EXISTS {name}")
            connection.exec_driver_sql(f"CREATE VIEW {name} AS /* {_MARK} {VERSION} */ {select}")
        else:
            connection.exec_driver_sql(f"CREATE OR REPLACE VIEW {name} AS {select}")
            connection.exec_driver_sql(f"COMMENT ON VIEW {name} IS '{_MARK} {VERSION} '")


# The views


def _date(day: str, *, sqlite: bool) -> str:
    """A day number as a date; of one that is predicted, the day it falls in."""
    whole = f"CAST({day} AS integer)" if sqlite else f"CAST(floor({day}) AS integer)"
    date = f"date({whole} * 86400, 'unixepoch')" if sqlite else f"DATE '1970-01-01' + {whole}"
    return f"CASE WHEN {day} >= {_FIRST_DAY} AND {day} < {_LAST_DAY + 1} THEN {date} END"


def _capped(day: str) -> str:
    """A predicted day may lie farther ahead than any calendar goes: it is the last one then, as everywhere else."""
    return f"(CASE WHEN {day} > {_LAST_DAY} THEN {_LAST_DAY} ELSE {day} END)"


def _customers(*, sqlite: bool) -> str:
    return f"""
SELECT scores.customer_id, tier, past_spend_tier, movement, predicted_value, value_low, value_high, churn_risk, value_at_risk,
    lifecycle_stage, rfm_segment, abc_class, {_date("last_order_day", sqlite=sqlite)} AS last_order,
    {_date(_capped("next_order_day"), sqlite=sqlite)} AS next_order, {_date("tier_since_day", sqlite=sqlite)} AS tier_since,
    order_count, total_spend, {_date("as_of_day", sqlite=sqlite)} AS as_of, runs.horizon_days, currency, model_version
FROM customer_scores AS scores JOIN scoring_runs AS runs ON runs.run_id = scores.run_id
WHERE scores.run_id = {_PUBLISHED_RUN} AND runs.status = 'complete'"""


_TIER_SUMS = """
    coalesce(sum(cells.customers), 0) AS customers, coalesce(sum(cells.predicted_value), 0.0) AS predicted_value,
    sum(cells.churn_risk) / nullif(sum(cells.customers), 0) AS mean_churn_risk,
    coalesce(sum(cells.value_at_risk), 0.0) AS value_at_risk"""


def _cells(*, sqlite: bool) -> str:
    """The cells of the published run's summary as rows: nothing has to be counted."""
    names = ("past_spend_tier", "tier", "customers", "predicted_value", "churn_risk", "value_at_risk")
    if sqlite:
        columns = ", ".join(f"json_extract(cell.value, '$[{place}]') AS {name}" for place, name in enumerate(names))
        return f"(SELECT {columns} FROM shown, json_each(shown.summary, '$.cells') AS cell)"
    kinds = ("text", "text", "double precision", "double precision", "double precision", "double precision")
    columns = ", ".join(
        f"CAST(cell.value ->> {place} AS {kind}) AS {name}" for place, (name, kind) in enumerate(zip(names, kinds, strict=True))
    )
    return f"(SELECT {columns} FROM shown, json_array_elements(CAST(shown.summary AS json) -> 'cells') AS cell(value))"


def _shown(*, sqlite: bool) -> str:
    as_of = _date("as_of_day", sqlite=sqlite)
    return f"""
WITH shown AS (SELECT summary, {as_of} AS as_of, horizon_days, currency, model_version FROM scoring_runs
    WHERE run_id = {_PUBLISHED_RUN} AND status = 'complete')"""


def _tier_names(*, sqlite: bool) -> str:
    if sqlite:
        elements = "json_each(shown.summary, '$.tiers') AS name"
        return f"(SELECT CAST(name.key AS integer) + 1 AS tier_rank, name.value AS tier FROM shown, {elements})"
    elements = "json_array_elements_text(CAST(shown.summary AS json) -> 'tiers') WITH ORDINALITY AS name(value, place)"
    return f"(SELECT CAST(name.place AS integer) AS tier_rank, name.value AS tier FROM shown, {elements})"


def _tiers(*, sqlite: bool) -> str:
    return f"""{_shown(sqlite=sqlite)}
SELECT names.tier, names.tier_rank, {_whole(_TIER_SUMS)}, shown.as_of, shown.horizon_days, shown.currency, shown.model_version
FROM shown CROSS JOIN {_tier_names(sqlite=sqlite)} AS names LEFT JOIN {_cells(sqlite=sqlite)} AS cells ON cells.tier = names.tier
GROUP BY names.tier, names.tier_rank, shown.as_of, shown.horizon_days, shown.currency, shown.model_version"""


def _movement(*, sqlite: bool) -> str:
    customers = "CAST(cells.customers AS bigint) AS customers"
    return f"""{_shown(sqlite=sqlite)}
SELECT cells.past_spend_tier, cells.tier, {customers}, cells.predicted_value,
    cells.churn_risk / cells.customers AS mean_churn_risk, cells.value_at_risk,
    shown.as_of, shown.horizon_days, shown.currency, shown.model_version
FROM shown CROSS JOIN {_cells(sqlite=sqlite)} AS cells WHERE cells.customers > 0"""


def _whole(sums: str) -> str:
    return sums.replace("coalesce(sum(cells.customers), 0) AS", "CAST(coalesce(sum(cells.customers), 0) AS bigint) AS")


def _runs(*, sqlite: bool) -> str:
    end = _date("as_of_day + horizon_days", sqlite=sqlite)
    created = "created_at" if sqlite else "CAST(created_at AS timestamptz)"
    return f"""
SELECT runs.run_id, {_date("as_of_day", sqlite=sqlite)} AS as_of, horizon_days, {end} AS horizon_end,
    coalesce(tier_horizon_days, horizon_days) AS tier_horizon_days, currency, model_version, grade, customers,
    {created} AS created_at, CASE WHEN runs.run_id = {_PUBLISHED_RUN} THEN 1 ELSE 0 END AS published
FROM scoring_runs AS runs WHERE runs.status = 'complete'"""


def _contactable(*, sqlite: bool) -> str:
    today = "CAST(julianday(date('now')) - 2440587.5 AS integer)" if sqlite else "(CURRENT_DATE - DATE '1970-01-01')"
    return f"""
SELECT customers.* FROM foretier_customers AS customers WHERE NOT EXISTS (SELECT 1 FROM suppressed_customers AS suppressed
    WHERE suppressed.customer_id = customers.customer_id AND (until_day IS NULL OR until_day > {today}))"""


def _campaigns(*, sqlite: bool) -> str:
    end = _date("contact_day + horizon_days", sqlite=sqlite)
    created = "created_at" if sqlite else "CAST(created_at AS timestamptz)"
    return f"""
SELECT name, {_date("contact_day", sqlite=sqlite)} AS contact_day, horizon_days, {end} AS horizon_end, currency, model_version,
    run_id AS scoring_run, contacts, held_out, {created} AS created_at
FROM campaigns"""
