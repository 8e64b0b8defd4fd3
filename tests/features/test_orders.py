"""Cleaning held against a plain-Python oracle, published counts of two real logs, and its own laws."""

from __future__ import annotations

import functools
import itertools
import random
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from configs.errors import ColumnError, HistoryError, InputError, RejectedRowsError, SettingsError, SourceError
from configs.settings import Settings, Source, load_settings, parse_settings
from features.customers import feature_frame
from features.engine import Workbench, connect, relation_of
from features.order_table import OrderTable
from features.orders import Cleaned, clean_orders, net_orders, write_rejected
from features.transactions import read_transactions
from features.typed_rows import typed_rows

ROOT = Path(__file__).resolve().parents[2]
RETAIL = ROOT.parent / "shared" / "data" / "online_retail_II.parquet"
TODAY = date(2026, 1, 1)
EPOCH = date(1970, 1, 1)
MAPPING = {"customer_id": "id", "ordered_at": "at", "amount": "amount"}
Row = tuple[str, str | None, datetime, int, float, float | None, str | None]

needs_retail = pytest.mark.skipif(not RETAIL.exists(), reason="Online Retail II belongs into ../shared/data")


def lenient(columns: dict[str, str] | None = None, **more: Any) -> Settings:
    """Settings that let any share of rows be rejected."""
    cleaning = {"max_rejected_share": 1.0, "exact_duplicates": "keep"} | more.pop("cleaning", {})
    raw = {"source": {"path": "x"}, "columns": columns or MAPPING, "currency": "EUR", "cleaning": cleaning, **more}
    return parse_settings(raw, where="test", variables={})


_numbers = itertools.count(1)


@functools.cache
def connection_of(threads: int) -> duckdb.DuckDBPyConnection:
    return connect(threads=threads)


def raw_frame(rows: pl.DataFrame, threads: int = 2) -> nw.LazyFrame[Any]:
    connection, table = connection_of(threads), f"raw_{next(_numbers)}"
    connection.register("raw_rows", rows.to_arrow())
    connection.execute(f"CREATE TABLE {table} AS FROM raw_rows")
    return nw.from_native(connection.table(table))


def clean(rows: pl.DataFrame | dict[str, Any], with_settings: Settings | None = None, **when: Any) -> Cleaned:
    frame = rows if isinstance(rows, pl.DataFrame) else pl.DataFrame(rows, strict=False)
    return clean_orders(raw_frame(frame), with_settings or lenient(), **({"today": TODAY} | when))


def orders_of(cleaned: Cleaned) -> list[dict[str, Any]]:
    return cleaned.orders.collect("polars").to_native().to_dicts()


def counts(cleaned: Cleaned) -> dict[str, int]:
    return {reason: found.count for reason, found in cleaned.report.rejected.items()}


def typed(cells: dict[str, Any] | pl.DataFrame, with_settings: Settings, **when: Any) -> list[dict[str, Any]]:
    """The canonical cells of raw rows and their ``reason``, row by row."""
    rows = cells if isinstance(cells, pl.DataFrame) else pl.DataFrame({name: [cell] for name, cell in cells.items()})
    relation = relation_of(raw_frame(rows))
    bench = Workbench(relation)
    source = bench.view(relation, "source")
    kinds = {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}
    sql = typed_rows(bench, source, kinds, with_settings, **({"today": TODAY, "until": None} | when)).sql
    found = bench.frame(sql).collect("polars").to_native()
    return [
        {name[2:]: value for name, value in row.items() if name.startswith(("c:", "x:"))} for row in found.iter_rows(named=True)
    ]


def one(cells: dict[str, Any], /, columns: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """The typed cells of one raw row that is fine but for ``cells``."""
    base = {"id": "a", "at": datetime(2024, 1, 2, 3, 4), "amount": 5.0}
    [row] = typed(base | cells, lenient(columns, **more))
    return row


# ---- netting ---------------------------------------------------------------------------------------------------------


def netted_by_hand(rows: list[Row]) -> list[tuple[Any, ...]]:
    """The rules of netting as they are told, one customer after the other, with exact integers."""
    result: list[tuple[Any, ...]] = []
    for customer in sorted({row[0] for row in rows}):
        result += _customer_by_hand(customer, [row for row in rows if row[0] == customer])
    return result


def _customer_by_hand(customer: str, rows: list[Row]) -> list[tuple[Any, ...]]:
    days: dict[int, dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        days[row[3]][row[1] if row[1] is not None else row[2].isoformat()].append(row)
    kept: list[dict[str, Any]] = []
    for day in sorted(days):
        orders = [_order_by_hand(name, day, lines) for name, lines in days[day].items()]
        refunded = [order for order in orders if order["units"] < 0 or order["undone"]]
        net = sum(order["units"] for order in orders)
        if not refunded or net > 0:
            kept += [order for order in orders if not order["undone"]]
        elif net < 0:
            kept.append(_whole_day(orders, net))
    purchases = sorted((order for order in kept if order["units"] >= 0), key=lambda one: (one["day"], one["at"], one["name"]))
    for place, order in enumerate(purchases):
        order["first"] = purchases[0]["day"]
        order["previous"] = purchases[place - 1]["day"] if place else None
        order["before"] = sum(one["units"] for one in purchases[:place]) / 10_000
    refunds = [one for one in kept if one["units"] < 0 and purchases and one["day"] >= purchases[0]["day"]]
    for order in refunds:
        order |= {"first": purchases[0]["day"], "previous": None, "before": None}
    rows_out = [
        (
            customer, one["name"], one["at"], one["day"], one["units"] / 10_000, one["items"], one["shop"],
            one["first"], one["previous"], one["before"],
        )
        for one in purchases + refunds
    ]  # fmt: skip
    return sorted(rows_out, key=lambda row: (row[3], row[1]))


def _order_by_hand(name: str, day: int, lines: list[Row]) -> dict[str, Any]:
    units = [_units(line[4]) for line in lines]
    items = [line[5] for line in lines if line[5] is not None]
    shops = [line[6] for line in lines if line[6] is not None]
    return {
        "name": name,
        "day": day,
        "at": min(line[2] for line in lines),
        "units": sum(units),
        "items": sum(map(_units, items)) / 10_000 if items else None,
        "shop": min(shops, default=None),
        "undone": sum(units) == 0 and any(unit < 0 for unit in units),
    }


def _whole_day(orders: list[dict[str, Any]], net: int) -> dict[str, Any]:
    items = [order["items"] for order in orders if order["items"] is not None]
    return {
        "name": min(order["name"] for order in orders if order["units"] < 0),
        "day": orders[0]["day"],
        "at": min(order["at"] for order in orders),
        "units": net,
        "items": sum(map(_units, items)) / 10_000 if items else None,
        "shop": min((order["shop"] for order in orders if order["shop"] is not None), default=None),
    }


def _units(amount: float) -> int:
    size = int(abs(amount) * 10_000 + 0.5)
    return -size if amount < 0 else size


TYPED_SCHEMA = {
    "customer_id": pl.String,
    "order_id": pl.String,
    "ordered_at": pl.Datetime("us"),
    "order_day": pl.Int64,
    "amount": pl.Float64,
    "items": pl.Float64,
    "shop": pl.String,
}
moments = st.tuples(st.integers(0, 4), st.sampled_from([0, 1, 3600_000_000, 86_399_999_999])).map(
    lambda at: datetime(1970, 1, 1) + timedelta(days=at[0], microseconds=at[1])
)
amounts = st.sampled_from([0.0, 5.0, -5.0, 10.0, -10.0, 0.1, -0.1, 0.2, 0.3, -0.3, 1.00005, -1.00005, 19.99, 1e9])
typed_rows_strategy = st.lists(
    st.builds(
        lambda customer, order, at, amount, items, shop: (customer, order, at, (at.date() - EPOCH).days, amount, items, shop),
        st.sampled_from(["a", "ä", "A"]),
        st.sampled_from(["1", "2", "Z", None]),
        moments,
        amounts,
        st.sampled_from([None, 1.0, 2.5, -1.0]),
        st.sampled_from([None, "x", "y"]),
    ),
    max_size=25,
)


def typed_frame(rows: list[Row]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=TYPED_SCHEMA, orient="row")


def netted(frame: nw.LazyFrame[Any], **how: Any) -> list[tuple[Any, ...]]:
    names = [
        "customer_id", "order_id", "ordered_at", "order_day", "amount", "items", "shop",
        "first_order_day", "previous_order_day", "spend_before",
    ]  # fmt: skip
    rows = net_orders(frame, **how).select(names).collect("polars").to_native().rows()
    return sorted(rows, key=lambda row: (row[0], row[3], row[1]))


class TestNetting:
    @settings(max_examples=150, deadline=None)
    @given(typed_rows_strategy)
    def test_on_polars_equal_to_the_oracle(self, rows: list[Row]) -> None:
        assert netted(nw.from_native(typed_frame(rows).lazy())) == netted_by_hand(rows)

    @settings(max_examples=40, deadline=None)
    @given(typed_rows_strategy)
    def test_on_duckdb_equal_to_the_oracle(self, rows: list[Row]) -> None:
        assert netted(raw_frame(typed_frame(rows))) == netted_by_hand(rows)

    def test_on_spark_equal_to_the_oracle(self, spark: Any) -> None:
        rows = random_typed_rows(400)
        from pyspark.sql import types as kinds

        spark_kinds = {
            pl.String: kinds.StringType(), pl.Datetime("us"): kinds.TimestampNTZType(),
            pl.Int64: kinds.LongType(), pl.Float64: kinds.DoubleType(),
        }  # fmt: skip
        schema = kinds.StructType([kinds.StructField(name, spark_kinds[kind]) for name, kind in TYPED_SCHEMA.items()])
        frame = nw.from_native(spark.createDataFrame(rows, schema))
        names = ["customer_id", "order_id", "ordered_at", "order_day", "amount", "items", "shop"]
        names += ["first_order_day", "previous_order_day", "spend_before"]
        found = [tuple(row) for row in nw.to_native(net_orders(frame).select(names)).collect()]
        assert sorted(found, key=lambda row: (row[0], row[3], row[1])) == netted_by_hand(rows)

    def test_zero_orders_can_be_left_out(self) -> None:
        at = datetime(1970, 1, 3)
        rows: list[Row] = [("a", "1", at, 2, 0.0, None, None), ("a", "2", at, 2, 5.0, None, None)]
        frame = nw.from_native(typed_frame(rows).lazy())
        assert [row[1] for row in netted(frame)] == ["1", "2"]
        assert [row[1] for row in netted(frame, zero_amount_orders="reject")] == ["2"]

    @settings(max_examples=30, deadline=None)
    @given(typed_rows_strategy, st.integers(1, 6))
    def test_appending_later_rows_changes_nothing_earlier(self, rows: list[Row], cut: int) -> None:
        earlier = [row for row in rows if row[3] < cut]
        everything = netted(nw.from_native(typed_frame(rows).lazy()))
        assert [row for row in everything if row[3] < cut] == netted(nw.from_native(typed_frame(earlier).lazy()))

    @settings(max_examples=12, deadline=None)
    @given(typed_rows_strategy, st.integers(1, 5))
    def test_a_range_of_customers_at_a_time_is_the_same(self, rows: list[Row], at_a_time: int) -> None:
        relation = relation_of(raw_frame(typed_frame(rows)))
        bench = Workbench(relation)
        source, count = f"FROM {bench.view(relation, 'rows')}", max(len(rows), 1)
        whole = OrderTable(bench, source, count, zero_amount_orders="reject")
        pieces = OrderTable(bench, source, count, zero_amount_orders="reject", rows_at_a_time=at_a_time)
        assert bench.run(f"FROM {whole.orders}") == bench.run(f"FROM {pieces.orders}")
        assert whole.facts() == pieces.facts()
        for keys in ("zero_orders", "orphan_days"):
            one, other = (bench.run(f"FROM {getattr(table, keys)} ORDER BY ALL") for table in (whole, pieces))
            assert one == other


def random_typed_rows(count: int, seed: int = 7) -> list[Row]:
    dice = random.Random(seed)
    rows: list[Row] = []
    for _ in range(count):
        at = datetime(1970, 1, 1) + timedelta(days=dice.randrange(30), microseconds=dice.choice([0, 1, 43_200_000_000]))
        rows.append(
            (
                dice.choice("abcdefgh"), dice.choice(["1", "2", None]), at, (at.date() - EPOCH).days,
                dice.choice([5.0, -5.0, 0.0, 19.99, -3.3333]), dice.choice([None, 1.0]), dice.choice([None, "x", "y"]),
            )
        )  # fmt: skip
    return rows


# ---- what a cell becomes ---------------------------------------------------------------------------------------------


class TestIds:
    @pytest.mark.parametrize("text", ["00123", "12345.0", " a ", "ä€😀", "1e5", "NULL", "nan", "a'b\"c"])
    def test_text_is_exact(self, text: str) -> None:
        row = one({"id": text})
        assert (row["customer_id"], row["reason"]) == (text, None)

    @pytest.mark.parametrize("blank", [None, "", "  ", "\t\n"])
    def test_blank_is_no_id(self, blank: str | None) -> None:
        assert (
            typed(
                pl.DataFrame({"id": [blank], "at": ["2024-01-01"], "amount": [1.0]}, schema_overrides={"id": pl.String}),
                lenient(),
            )[0]["reason"]
            == "no_customer_id"
        )

    @pytest.mark.parametrize(
        ("value", "kept", "dropped"),
        [
            (12345.0, "12345.0", "12345"),
            (12345.5, "12345.5", "12345.5"),
            (float(2**53 - 1), "9007199254740991.0", "9007199254740991"),
            (123, "123", "123"),
            (2**62, str(2**62), str(2**62)),
            ("12345.0", "12345.0", "12345"),
            ("00123.00", "00123.00", "00123"),
            ("1.0.0", "1.0.0", "1.0.0"),
        ],
    )
    def test_whole_floats(self, value: Any, kept: str, dropped: str) -> None:
        assert one({"id": value})["customer_id"] == kept
        assert one({"id": value}, cleaning={"whole_float_ids": "drop_point_zero"})["customer_id"] == dropped

    def test_nan_is_no_id(self) -> None:
        assert one({"id": float("nan")})["reason"] == "no_customer_id"

    def test_structures_are_no_ids(self) -> None:
        with pytest.raises(ColumnError, match="an id must be text or a number"):
            one({"id": [1, 2]})

    def test_a_blank_order_id_is_the_moment(self) -> None:
        columns = MAPPING | {"order_id": "order"}
        moment = datetime(2024, 1, 2, 3, 4, 5, 60)
        rows = {"id": ["a"] * 3, "at": [moment, moment, datetime(2024, 1, 2)], "amount": [1.0] * 3, "order": ["", None, "7"]}
        orders = orders_of(clean(rows, lenient(columns)))
        assert sorted(order["order_id"] for order in orders) == ["2024-01-02T03:04:05.000060", "7"]
        assert moment.isoformat() == "2024-01-02T03:04:05.000060"


class TestMoments:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("2024-07-01", datetime(2024, 7, 1)),
            (" 2024-07-01 12:30 ", datetime(2024, 7, 1, 12, 30)),
            ("2024-07-01T12:30:15.25", datetime(2024, 7, 1, 12, 30, 15, 250_000)),
            ("2024-07-01T23:30:00Z", datetime(2024, 7, 2, 1, 30)),
            ("2024-07-01 23:30:00+00", datetime(2024, 7, 2, 1, 30)),
            ("2024-01-01T23:30:00-05:00", datetime(2024, 1, 2, 5, 30)),
            ("2024-01-01T23:30:00+0545", datetime(2024, 1, 1, 18, 45)),
        ],
    )
    def test_iso_text_in_business_time(self, text: str, expected: datetime) -> None:
        row = one({"at": text}, time_zone="Europe/Berlin")
        assert row["ordered_at"] == expected
        assert row["order_day"] == (expected.date() - EPOCH).days

    @pytest.mark.parametrize(
        "text",
        ["", "01/02/2024", "20240102", "2024-13-01", "2024-02-30", "infinity", "epoch", "tomorrow", "0001-01-01",
         "1899-12-31", "2024-01-01 (BC)", "2024-1-5", "2024-01-01 10", "12:00"],
    )  # fmt: skip
    def test_other_text_is_refused(self, text: str) -> None:
        assert one({"at": text})["reason"] == "bad_ordered_at"

    @pytest.mark.parametrize(
        ("text", "date_format", "expected"),
        [
            ("31.12.2023 18:05", "%d.%m.%Y %H:%M", datetime(2023, 12, 31, 18, 5)),
            ("12/31/2023", "%m/%d/%Y", datetime(2023, 12, 31)),
            ("19970101", "%Y%m%d", datetime(1997, 1, 1)),
            ("2024-01-01 23:30 +0000", "%Y-%m-%d %H:%M %z", datetime(2024, 1, 2, 0, 30)),
        ],
    )
    def test_declared_formats(self, text: str, date_format: str, expected: datetime) -> None:
        cleaning = {"date_format": date_format}
        assert one({"at": text}, time_zone="Europe/Berlin", cleaning=cleaning)["ordered_at"] == expected
        assert one({"at": "2024-05"}, cleaning=cleaning)["reason"] == "bad_ordered_at"

    def test_a_format_that_is_none_is_told_by_its_key(self) -> None:
        with pytest.raises(ColumnError, match=r"cleaning\.date_format: '%d/%Q' is no strptime format .*%Q"):
            one({"at": "31/12/2023"}, cleaning={"date_format": "%d/%Q"})

    def test_numbers_need_a_format_or_an_expression(self) -> None:
        assert one({"at": 20240131}, cleaning={"date_format": "%Y%m%d"})["ordered_at"] == datetime(2024, 1, 31)
        seconds = one({"at": 1704067200}, MAPPING | {"ordered_at": 'to_timestamp("at")'}, time_zone="Asia/Tokyo")
        assert seconds["ordered_at"] == datetime(2024, 1, 1, 9)
        with pytest.raises(ColumnError, match=r"set cleaning\.date_format"):
            one({"at": 1704067200})

    def test_timestamps_are_business_time_and_moments_are_converted(self) -> None:
        naive = datetime(2024, 3, 31, 2, 30)
        assert one({"at": naive}, time_zone="Europe/Berlin")["ordered_at"] == naive
        aware = datetime(2024, 7, 1, 23, 30, tzinfo=ZoneInfo("UTC"))
        assert one({"at": aware}, time_zone="America/New_York")["ordered_at"] == datetime(2024, 7, 1, 19, 30)
        assert one({"at": date(2024, 7, 1)})["ordered_at"] == datetime(2024, 7, 1)

    @settings(max_examples=20, deadline=None)
    @given(
        st.datetimes(datetime(1950, 1, 1), datetime(2025, 12, 31)),
        st.sampled_from(["Europe/London", "Asia/Kolkata", "America/St_Johns"]),
    )
    def test_conversion_equals_zoneinfo(self, moment: datetime, zone: str) -> None:
        aware = moment.replace(tzinfo=ZoneInfo("UTC"))
        expected = aware.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert one({"at": aware}, time_zone=zone)["ordered_at"] == expected

    def test_after_today_is_the_future(self) -> None:
        rows = {"id": ["a", "a"], "at": [datetime(2024, 1, 1, 23, 59), datetime(2024, 1, 2)], "amount": [1.0, 1.0]}
        cleaned = clean(rows, today=date(2024, 1, 1))
        assert counts(cleaned) == {"in_the_future": 1}
        assert cleaned.report.orders == 1


class TestAmounts:
    @pytest.mark.parametrize(
        ("text", "sign", "expected"),
        [
            ("1234.5", ".", 1234.5), (" -0.01 ", ".", -0.01), ("+5", ".", 5.0), ("1e3", ".", 1000.0), (".5", ".", 0.5),
            ("1234,5", ",", 1234.5), ("-0,01", ",", -0.01),
            ("1,234.5", ".", None), ("1,5", ".", None), ("1.5", ",", None), ("1.234,5", ",", None), ("1_000", ".", None),
            ("", ".", None), ("abc", ".", None), ("NaN", ".", None), ("inf", ".", None), ("-Infinity", ".", None),
            ("1e13", ".", None), ("(5.00)", ".", None), ("5 EUR", ".", None), ("0x10", ".", None),
        ],
    )  # fmt: skip
    def test_text(self, text: str, sign: str, expected: float | None) -> None:
        row = one({"amount": text}, source={"path": "x", "csv": {"decimal_sign": sign}})
        assert row["amount"] == expected
        assert row["reason"] == (None if expected is not None else "bad_amount")

    @pytest.mark.parametrize("bad", [float("nan"), float("inf"), -1.1e12, None])
    def test_numbers(self, bad: float | None) -> None:
        frame = pl.DataFrame({"id": ["a"], "at": ["2024-01-01"], "amount": [bad]}, schema_overrides={"amount": pl.Float64})
        assert typed(frame, lenient())[0]["reason"] == "bad_amount"

    def test_what_cannot_be_computed_is_null_not_an_error(self) -> None:
        columns = MAPPING | {"amount": "CAST(amount AS INTEGER) * 2147483647"}
        assert one({"amount": "x"}, columns)["reason"] == "bad_amount"
        assert one({"amount": "2147483647"}, columns)["reason"] == "bad_amount"
        assert one({"amount": "1"}, columns)["amount"] == 2147483647.0

    def test_sums_are_exact(self) -> None:
        rows = {"id": ["a"] * 10, "at": [datetime(2024, 1, 1)] * 10, "amount": [0.1] * 10}
        [order] = orders_of(clean(rows))
        assert order["amount"] == 1.0

    def test_items(self) -> None:
        columns = MAPPING | {"items": "items"}
        assert one({"items": "3"}, columns)["items"] == 3.0
        assert one({"items": ""}, columns)["reason"] is None
        assert one({"items": "three"}, columns)["reason"] == "bad_items"
        assert one({"items": float("nan")}, columns)["reason"] == "bad_items"


class TestTypes:
    def test_categories_are_text(self) -> None:
        columns = {"id": ["00a"], "at": ["2024-01-01"], "amount": ["1.5"]}
        frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.Categorical))
        [row] = typed(frame, lenient())
        assert (row["customer_id"], row["order_day"], row["amount"]) == ("00a", 19723, 1.5)

    def test_decimals_and_huge_integers(self) -> None:
        assert one({"amount": Decimal("0.30")})["amount"] == 0.3
        assert one({"id": Decimal("123.00")}, cleaning={"whole_float_ids": "drop_point_zero"})["customer_id"] == "123"
        assert one({"id": Decimal(12345678901234567890123)})["customer_id"] == "12345678901234567890123"

    def test_files_that_disagree_about_a_type(self, tmp_path: Path) -> None:
        moment = datetime(2024, 1, 1)
        pl.DataFrame({"id": [7], "at": [moment], "amount": [1.0]}).write_parquet(tmp_path / "a.parquet")
        pl.DataFrame({"id": ["x"], "at": [moment], "amount": [1.0]}).write_parquet(tmp_path / "b.parquet")
        frame = read_transactions(lenient(source={"path": str(tmp_path)}).source)
        assert [order["customer_id"] for order in orders_of(clean_orders(frame, lenient(), today=TODAY))] == ["7", "x"]


class TestReasons:
    def test_currencies(self) -> None:
        columns = MAPPING | {"currency": "cur"}
        assert [one({"cur": cur}, columns)["reason"] for cur in ("EUR", " eur ", "USD", "")] == [
            None, None, "other_currency", "other_currency",
        ]  # fmt: skip

    def test_a_row_has_the_first_reason_that_applies(self) -> None:
        rules: dict[str, Any] = {"cleaning": {"reject": {"small": "amount < 1", "tiny": "amount < 0.1"}}}
        assert one({"amount": 0.01}, **rules)["reason"] == "small"
        assert one({"amount": 0.01, "at": "x"}, **rules)["reason"] == "bad_ordered_at"
        assert one({"amount": float("nan"), "at": "x", "id": ""}, **rules)["reason"] == "no_customer_id"
        assert one({"amount": 2.0}, **rules)["reason"] is None

    def test_a_rule_without_an_answer_rejects_nothing(self) -> None:
        assert one({"note": None}, cleaning={"reject": {"noted": "note = 'x'"}})["reason"] is None

    def test_zero_orders_by_setting(self) -> None:
        columns = MAPPING | {"order_id": "order"}
        at = datetime(2024, 1, 1)
        rows = {"id": ["a"] * 4, "at": [at] * 4, "amount": [0.0, 0.0, 0.0, 5.0], "order": ["1", "1", "2", "2"]}
        assert clean(rows, lenient(columns)).report.orders == 2
        cleaned = clean(rows, lenient(columns, cleaning={"zero_amount_orders": "reject"}))
        assert counts(cleaned) == {"zero_amount": 2}
        assert [order["order_id"] for order in orders_of(cleaned)] == ["2"]

    def test_refunds_before_a_purchase(self) -> None:
        days = [datetime(2024, 1, day) for day in (1, 2, 2, 3, 4)]
        rows = {"id": ["a", "a", "a", "a", "b"], "at": days, "amount": [-1.0, 5.0, -1.0, -2.0, -9.0]}
        cleaned = clean(rows)
        assert counts(cleaned) == {"refund_without_purchase": 2}
        assert [(order["order_day"] - 19723, order["amount"]) for order in orders_of(cleaned)] == [(1, 4.0), (2, -2.0)]
        assert (cleaned.report.refunds, cleaned.report.customers, cleaned.report.used) == (1, 1, 3)

    def test_cancelled_on_the_same_day(self) -> None:
        columns = MAPPING | {"order_id": "order"}
        at = datetime(2024, 1, 1)
        rows = {"id": ["a", "a", "b"], "at": [at] * 3, "amount": [80_995.0, -80_995.0, 1.0], "order": ["1", "C1", "2"]}
        cleaned = clean(rows, lenient(columns))
        assert [order["customer_id"] for order in orders_of(cleaned)] == ["b"]
        assert (cleaned.report.cancelled_same_day, cleaned.report.used, counts(cleaned)) == (1, 3, {})

    def test_failed_casts_are_counted_with_examples(self) -> None:
        rows = {"id": [None, "a", "b", "c"], "at": ["2024-01-01", "x", "y", "2024-01-01"], "amount": ["z", "q", "1", "1"]}
        report = clean(rows).report
        assert (report.failed_casts["ordered_at"].count, report.failed_casts["ordered_at"].examples) == (2, ("x", "y"))
        assert (report.failed_casts["amount"].count, report.failed_casts["amount"].examples) == (2, ("q", "z"))
        assert counts(clean(rows)) == {"bad_ordered_at": 2, "no_customer_id": 1}
        assert report.rejected["bad_ordered_at"].examples[0] == "id=a, at=x, amount=q"

    def test_unreadable_lines(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text("id,at,amount\na,2024-01-01,1\nb\n", encoding="utf-8")
        cleaned = clean_orders(read_transactions(lenient(source={"path": str(path)}).source), lenient(), today=TODAY)
        assert counts(cleaned) == {"unreadable_line": 1}
        assert cleaned.report.rejected["unreadable_line"].examples[0].endswith(": b")


class TestDuplicates:
    rows = pl.DataFrame(
        {
            "id": ["a", "a", "a", "b", "b", None, None],
            "at": ["2024-01-01"] * 7,
            "amount": [1.0, 1.0, 1.0, 2.0, 3.0, 1.0, 1.0],
            "sheet": ["1", "2", "2", "1", "1", "1", "1"],
        }
    )

    def test_one_of_each_stays(self) -> None:
        report = clean(self.rows, lenient(cleaning={"exact_duplicates": "drop"})).report
        assert (report.rows_in, report.used, report.duplicates, report.rejected_rows) == (7, 4, 1, 2)

    def test_columns_can_be_ignored(self) -> None:
        cleaning = {"exact_duplicates": "drop", "duplicates_ignore": ["SHEET"]}
        cleaned = clean(self.rows, lenient(cleaning=cleaning))
        assert (cleaned.report.used, cleaned.report.duplicates) == (3, 2)
        assert [order["amount"] for order in orders_of(cleaned)] == [1.0, 5.0]

    def test_which_copy_stays_does_not_depend_on_the_order_of_rows(self) -> None:
        cleaning = {"exact_duplicates": "drop", "duplicates_ignore": ["sheet"]}
        with_sheet = lenient(attributes={"sheet": "sheet"}, cleaning=cleaning)
        assert orders_of(clean(self.rows, with_sheet)) == orders_of(clean(self.rows.reverse(), with_sheet))

    def test_rejected_copies_of_refused_orders_are_counted_once(self) -> None:
        rows = pl.DataFrame({"id": ["a", "a", "b"], "at": ["2024-01-01"] * 3, "amount": [-1.0, -1.0, 1.0]})
        report = clean(rows, lenient(cleaning={"exact_duplicates": "drop"})).report
        assert (report.duplicates, report.rejected_rows, report.used) == (1, 1, 1)

    def test_unknown_columns(self) -> None:
        with pytest.raises(ColumnError, match='no column "shet"; did you mean "sheet"'):
            clean(self.rows, lenient(cleaning={"exact_duplicates": "drop", "duplicates_ignore": ["shet"]}))


class TestExpressions:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("amuont", 'no column "amuont" (in \'amuont\'); did you mean "amount"?'),
            ("amount; DROP TABLE raw", "no SQL expression"),
            ("amount) FROM raw; DROP TABLE raw; SELECT (1", "only one expression is allowed"),
            ("amount) , (amount", "one single expression"),
            ("amount) FROM other WHERE (true", "one single expression"),
            ("amount AS x", "no SQL expression"),
            (" ", "is blank"),
            ("amount +", "no SQL expression"),
            ("(SELECT 1)", "no sub-query"),
            ("sum(amount) OVER ()", "no sub-query, window"),
            ("sum(amount)", "does not fit"),
            ("*", "no sub-query, window, *"),
            ("COLUMNS(*)", "no sub-query, window, *"),
            ("nofunction(amount)", "does not fit"),
            ("random()", "has to give the same value"),
            ("note * 2", "text columns must be cast"),
            ("flag", "expected a number or text, found BOOLEAN"),
        ],
    )
    def test_faults_are_explained(self, text: str, said: str) -> None:
        rows = {"id": "a", "at": "2024-01-01", "amount": 1.0, "note": "1", "flag": True}
        columns = {"customer_id": "id", "ordered_at": "at", "amount": text}
        with pytest.raises(ColumnError) as fault:
            typed(rows, lenient(columns))
        assert said in str(fault.value)
        assert "columns.amount" in str(fault.value)

    def test_the_name_of_a_column_is_that_column(self) -> None:
        frame = pl.DataFrame({"Customer ID": ["a"], "order": ["2024-01-01"], "net-total": [2.5]})
        columns = {"customer_id": "Customer ID", "ordered_at": "Order", "amount": "net-total"}
        [row] = typed(frame, lenient(columns))
        assert (row["customer_id"], row["order_day"], row["amount"]) == ("a", 19723, 2.5)

    def test_names_with_blanks_and_any_case(self) -> None:
        frame = pl.DataFrame({"Customer ID": [7], "Invoice Date": ["2024-01-01"], "Price": [2.5], "Quantity": [2]})
        columns = {"customer_id": '"customer id"', "ordered_at": '"Invoice Date"', "amount": "QUANTITY * price -- net"}
        [row] = typed(frame, lenient(columns))
        assert (row["customer_id"], row["amount"]) == ("7", 5.0)

    def test_raw_columns_named_like_canonical_ones(self) -> None:
        frame = pl.DataFrame({"customer_id": ["a"], "amount": ["2024-01-01"], "ordered_at": [3.0], "reason": ["gift"]})
        columns = {"customer_id": "customer_id", "ordered_at": "amount", "amount": "ordered_at"}
        bad = pl.DataFrame({"customer_id": [None], "amount": ["x"], "ordered_at": [1.0], "reason": ["none"]})
        cleaned = clean(pl.concat([frame, bad], how="vertical_relaxed"), lenient(columns, attributes={"reason": "reason"}))
        assert [(order["amount"], order["reason"]) for order in orders_of(cleaned)] == [(3.0, "gift")]
        assert cleaned.rejected.collect("polars").to_native().select("raw_reason", "reason").rows() == [
            ("none", "no_customer_id")
        ]

    def test_a_rule_must_be_a_condition(self) -> None:
        with pytest.raises(ColumnError, match="a rule must be true or false, found DOUBLE"):
            one({}, cleaning={"reject": {"x": "amount"}})

    def test_wrong_delimiter(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"
        path.write_text("id;at;amount\na;2024-01-01;1\n", encoding="utf-8")
        with pytest.raises(SourceError, match=r"one column .*id;at;amount.* delimiter"):
            clean_orders(read_transactions(lenient(source={"path": str(path)}).source), lenient(), today=TODAY)

    def test_only_duckdb(self) -> None:
        with pytest.raises(TypeError, match="expected a frame on DuckDB"):
            clean_orders(nw.from_native(pl.LazyFrame({"id": []})), lenient(), today=TODAY)


# ---- the whole -------------------------------------------------------------------------------------------------------

CELLS = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "ä", "", None]),
        "at": st.sampled_from(["2024-01-01", "2024-01-02 10:00", "2024-01-03", "2025-06-01", "2030-01-01", "x", None]),
        "amount": st.sampled_from(["5", "-5", "0", "10.5", "-20", "x", "1e13", "nan", None]),
        "items": st.sampled_from(["1", "two", None]),
        "cur": st.sampled_from(["EUR", "EUR", "USD"]),
    }
)
FULL = MAPPING | {"items": "items", "currency": "cur"}
UNTIL = date(2025, 6, 1)


def reason_by_hand(cells: dict[str, Any], until: date | None) -> str | None:
    """The first reason against one row; ``later`` for a row that is no part of the run."""
    try:
        at = datetime.fromisoformat(cells["at"])
    except (TypeError, ValueError):
        at = None
    if until is not None and at is not None and at.date() >= until:
        return "later"
    tests = {
        "no_customer_id": not cells["id"],
        "bad_ordered_at": at is None,
        "bad_amount": cells["amount"] in (None, "x", "1e13", "nan"),
        "bad_items": cells["items"] == "two",
        "in_the_future": at is not None and at.date() > TODAY,
        "other_currency": cells["cur"] != "EUR",
        "large": cells["amount"] == "10.5",
    }
    return next((reason for reason, applies in tests.items() if applies), None)


class TestAccounting:
    @settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(CELLS, min_size=1, max_size=30),
        st.sampled_from(["drop", "keep"]),
        st.sampled_from(["purchase", "reject"]),
        st.sampled_from([None, UNTIL]),
    )
    def test_every_row_ends_somewhere(self, cells: list[dict[str, Any]], duplicates: str, zero: str, until: date | None) -> None:
        rows = pl.DataFrame(cells, schema=dict.fromkeys(("id", "at", "amount", "items", "cur"), pl.String))
        cleaning = {"exact_duplicates": duplicates, "zero_amount_orders": zero, "reject": {"large": "amount = '10.5'"}}
        expected = Counter(reason_by_hand(row, until) for row in cells)
        later = expected.pop("later", 0)
        usable = [row for row in cells if reason_by_hand(row, until) is None]
        if duplicates == "drop":
            usable = [dict(row) for row in {tuple(row.items()) for row in usable}]
        lines: list[Row] = [
            (
                row["id"], None, datetime.fromisoformat(row["at"]),
                (datetime.fromisoformat(row["at"]).date() - EPOCH).days, float(row["amount"]),
                float(row["items"]) if row["items"] else None, None,
            )
            for row in usable
        ]  # fmt: skip
        if zero == "reject":
            sums = Counter[tuple[str, datetime]]()
            negative = {(line[0], line[2]) for line in lines if line[4] < 0}
            for line in lines:
                sums[line[0], line[2]] += int(line[4] * 10)
            lines = [line for line in lines if sums[line[0], line[2]] != 0 or (line[0], line[2]) in negative]
        orders = netted_by_hand(lines)
        if not any(order[4] >= 0 for order in orders):
            with pytest.raises(HistoryError):
                clean(rows, lenient(FULL, cleaning=cleaning), until=until)
            return
        cleaned = clean(rows, lenient(FULL, cleaning=cleaning), until=until)
        report = cleaned.report
        assert report.rows_in == len(cells) - later == report.used + report.duplicates + report.rejected_rows
        assert report.duplicates == sum(reason_by_hand(row, until) is None for row in cells) - len(usable)
        found = Counter(counts(cleaned))
        assert found.pop("zero_amount", 0) == len(usable) - len(lines)
        found.pop("refund_without_purchase", 0)
        expected.pop(None, 0)
        assert found == expected
        columns = ("customer_id", "order_id", "ordered_at", "order_day", "amount", "items")
        mine = [tuple(order[name] for name in columns) for order in orders_of(cleaned)]
        assert mine == [order[:6] for order in orders]
        assert cleaned.rejected.collect("polars").to_native().height == report.rejected_rows

    def test_the_report_counts_customers_by_hand(self) -> None:
        rows = random_typed_rows(2000)
        frame = typed_frame(rows).rename({"customer_id": "id", "ordered_at": "at", "order_id": "order"})
        cleaned = clean(frame, lenient(MAPPING | {"order_id": '"order"'}))
        by_hand = netted_by_hand(rows)
        days: dict[str, set[int]] = defaultdict(set)
        for row in by_hand:
            if row[4] >= 0:
                days[row[0]].add(row[3])
        report = cleaned.report
        assert report.customers == len(days)
        assert report.one_time_share == sum(len(one) == 1 for one in days.values()) / len(days)
        assert (report.orders, report.refunds) == (sum(r[4] >= 0 for r in by_hand), sum(r[4] < 0 for r in by_hand))
        assert (report.first_order_day, report.last_order_day) == (min(r[3] for r in by_hand), max(r[3] for r in by_hand))

    def test_later_rows_are_no_part_of_the_run(self) -> None:
        rows = pl.DataFrame(
            {
                "id": ["a", "a", "b", None, "a"],
                "at": ["2024-01-01", "2024-02-01", "2024-02-01", "2024-03-01", "bad"],
                "amount": [1.0, 2.0, 3.0, 4.0, 5.0],
            }
        )
        cleaned = clean(rows, until=date(2024, 2, 1))
        only = clean(rows.filter(pl.col("at").is_in(["2024-01-01", "bad"])))
        assert cleaned.report == only.report
        assert orders_of(cleaned) == orders_of(only)
        with pytest.raises(HistoryError, match="no row before 1999-01-01"):
            clean(rows.head(3), until=date(1999, 1, 1))

    def test_the_same_bytes_whatever_the_order_of_rows_and_threads(self) -> None:
        rows = typed_frame(random_typed_rows(3000)).rename({"customer_id": "id", "ordered_at": "at", "order_id": "order"})
        columns = MAPPING | {"order_id": '"order"', "items": "items"}
        with_shop = lenient(columns, attributes={"shop": "shop"}, cleaning={"exact_duplicates": "drop"})
        first, second = (
            clean_orders(raw_frame(frame, threads), with_shop, today=TODAY)
            for frame, threads in ((rows, 1), (rows.sample(fraction=1.0, shuffle=True, seed=3), 2))
        )
        assert first.report == second.report
        assert orders_of(first) == orders_of(second)
        changed = rows.with_columns(amount=pl.when(pl.int_range(pl.len()) == 5).then(77.0).otherwise(pl.col("amount")))
        assert clean(changed, with_shop).report.fingerprint != first.report.fingerprint


class TestTooManyRejected:
    rows = pl.DataFrame(
        {"id": ["a", None, None, "b"], "at": ["2024-01-01", "2024-01-01", "2024-01-01", "x"], "amount": [1.0] * 4}
    )

    def test_the_run_stops_with_the_reasons(self, tmp_path: Path) -> None:
        strict = lenient(cleaning={"max_rejected_share": 0.7})
        with pytest.raises(RejectedRowsError) as fault:
            clean(self.rows, strict, rejected_to=tmp_path / "out" / "rejected.parquet")
        message = str(fault.value)
        assert "3 of 4 rows were rejected (75.0%)" in message
        assert "no_customer_id 2, bad_ordered_at 1" in message
        assert "id=, at=2024-01-01, amount=1.0" in message
        written = pl.read_parquet(tmp_path / "out" / "rejected.parquet")
        assert written.columns == ["id", "at", "amount", "reason"]
        assert sorted(written["reason"]) == ["bad_ordered_at", "no_customer_id", "no_customer_id"]
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["rejected.parquet"]

    def test_the_limit_itself_is_allowed(self, tmp_path: Path) -> None:
        cleaned = clean(self.rows, lenient(cleaning={"max_rejected_share": 0.75}))
        write_rejected(cleaned.rejected, tmp_path / "rejected.parquet")
        assert pl.read_parquet(tmp_path / "rejected.parquet").height == 3

    def test_a_folder_that_cannot_be_written_is_said(self) -> None:
        with pytest.raises(SettingsError, match=r"/proc/none/rejected\.parquet cannot be written"):
            clean(self.rows, lenient(), rejected_to=Path("/proc/none/rejected.parquet"))


# ---- two real logs ---------------------------------------------------------------------------------------------------


def shipped(name: str, **cleaning: Any) -> Settings:
    loaded = load_settings(ROOT / "configs" / name, variables={})
    source = loaded.source
    if source.path and source.path.startswith(".."):
        source = source.model_copy(update={"path": str(RETAIL)})
    return loaded.model_copy(update={"source": source, "cleaning": loaded.cleaning.model_copy(update=cleaning)})


class TestCdnow:
    def test_published_counts(self) -> None:
        with_settings = shipped("cdnow.yaml")
        cleaned = clean_orders(read_transactions(with_settings.source), with_settings, today=TODAY)
        report = cleaned.report
        assert (report.rows_in, report.used, report.customers) == (69_659, 69_659, 23_570)
        assert (report.first_date, report.last_date) == (date(1997, 1, 1), date(1998, 6, 30))
        total = cleaned.orders.select(nw.col("amount").sum(), nw.col("items").sum()).collect("polars").to_native()
        assert total.row(0) == pytest.approx((2_500_315.63, 167_881), abs=0.001)

    def test_exact_duplicates(self) -> None:
        with_settings = shipped("cdnow.yaml", exact_duplicates="drop")
        report = clean_orders(read_transactions(with_settings.source), with_settings, today=TODAY).report
        assert (report.duplicates, report.used) == (255, 69_404)

    def test_zero_amounts(self) -> None:
        with_settings = shipped("cdnow.yaml", reject={"free": "CAST(substr(line, 20) AS DOUBLE) = 0"})
        report = clean_orders(read_transactions(with_settings.source), with_settings, today=TODAY).report
        assert report.rejected["free"].count == 80


@needs_retail
class TestOnlineRetail:
    def test_shipped_settings(self) -> None:
        with_settings = shipped("online_retail.yaml")
        cleaned = clean_orders(read_transactions(with_settings.source), with_settings, today=TODAY)
        report = cleaned.report
        assert report.rows_in == 1_067_371
        assert report.rejected["no_customer_id"].count == 243_007
        assert (report.first_date, report.last_date) == (date(2009, 12, 1), date(2011, 12, 9))
        assert report.rejected_share < with_settings.cleaning.max_rejected_share
        # The order of 80,995 pieces that was cancelled within minutes must be gone, its customer's other order stay.
        giant = cleaned.orders.filter(nw.col("customer_id") == "16446").collect("polars").to_native()
        assert giant["amount"].to_list() == [2.9]

    def test_published_counts(self) -> None:
        """Duplicates are counted on all columns but the sheet, rows without a customer among them."""
        bare = shipped("online_retail.yaml", reject={}, max_rejected_share=1.0)
        columns = bare.columns.model_copy(
            update={"customer_id": """coalesce(CAST("Customer ID" AS VARCHAR), 'none')""", "amount": "1.0"}
        )
        with_settings = bare.model_copy(update={"columns": columns})
        report = clean_orders(read_transactions(with_settings.source), with_settings, today=TODAY).report
        assert (report.rows_in, report.duplicates, report.used) == (1_067_371, 34_335, 1_033_036)
        assert report.customers == 5_942 + 1

    def test_customers_with_a_positive_purchase(self) -> None:
        paid = shipped("online_retail.yaml", reject={"unpaid": "NOT (Quantity * Price > 0)"}, max_rejected_share=1.0)
        report = clean_orders(read_transactions(paid.source), paid, today=TODAY).report
        assert report.customers == 5_878


class TestMemory:
    """Too little of it is told by the setting that mends it."""

    @pytest.fixture
    def narrow(self) -> duckdb.DuckDBPyConnection:
        connection = connect(threads=1, memory_gb=0.05)
        connection.execute("SET max_temp_directory_size = '1MB'")
        return connection

    ROWS = (
        "SELECT md5(range::VARCHAR) AS {customer}, DATE '2024-01-01' AS {day}, 1.0::DOUBLE AS amount, {more} FROM range(2000000)"
    )

    def test_while_cleaning_and_writing(self, narrow: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        rows = nw.from_native(narrow.sql(self.ROWS.format(customer="id", day="day", more="1 AS more")))
        with pytest.raises(InputError, match=r"training\.memory_gb"):
            clean_orders(rows, lenient({"customer_id": "id", "ordered_at": "day", "amount": "amount"}), today=TODAY)
        with pytest.raises(InputError, match=r"training\.memory_gb"):
            write_rejected(rows.sort("id"), tmp_path / "rejected.parquet")
        assert list(tmp_path.iterdir()) == []

    def test_while_computing_features(self, narrow: duckdb.DuckDBPyConnection) -> None:
        more = "1 AS items, 1 AS first_order_day, 1 AS previous_order_day, 1.0::DOUBLE AS spend_before"
        orders = self.ROWS.format(customer="customer_id", day="ordered_at", more=f"{more}, 1 AS order_day")
        with pytest.raises(InputError, match=r"training\.memory_gb"):
            feature_frame(nw.from_native(narrow.sql(orders)), 10)

    def test_while_reading(self, narrow: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
        narrow.execute(f"COPY ({self.ROWS.format(customer='id', day='day', more='1 AS more')}) TO '{tmp_path}/rows.csv'")
        with pytest.raises(InputError, match=r"training\.memory_gb"):
            read_transactions(Source(path=f"{tmp_path}/rows.csv"), connection=narrow)
