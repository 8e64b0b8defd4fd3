"""Reading: every cell to the letter, every line accounted for, every wrong file explained."""

from __future__ import annotations

import gzip
import os
import sqlite3
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from configs.errors import SourceError
from configs.settings import Source
from features.csv_files import UNREADABLE
from features.engine import connect, relation_of
from features.transactions import read_transactions


def read(path: Path | str, **source: Any) -> pl.DataFrame:
    """All raw rows of a source, as they arrive."""
    return read_transactions(Source(path=str(path), **source)).collect("polars").to_native()


def types(path: Path | str, **source: Any) -> dict[str, str]:
    relation = relation_of(read_transactions(Source(path=str(path), **source)))
    return {name: str(kind) for name, kind in zip(relation.columns, relation.types, strict=True)}


def refused(path: Path | str, **source: Any) -> str:
    with pytest.raises(SourceError) as fault:
        read(path, **source)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def unreadable(rows: pl.DataFrame) -> list[str]:
    return rows[UNREADABLE].drop_nulls().to_list()


class TestCsv:
    def test_every_column_is_text_to_the_letter(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", "id,amount,note\n00123,1.50,  ü \n12345.0,1e3,\n")
        rows = read(path)
        assert rows.drop(UNREADABLE).rows() == [("00123", "1.50", "  ü "), ("12345.0", "1e3", None)]
        assert set(types(path).values()) == {"VARCHAR"}

    @pytest.mark.parametrize("delimiter", [",", ";", "\t", "|", "||", "~~~"])
    @pytest.mark.parametrize("line_end", ["\n", "\r\n"])
    def test_delimiters_and_line_ends(self, tmp_path: Path, delimiter: str, line_end: str) -> None:
        lines = [["id", "amount"], ["a", "1"], ["b", "2"]]
        path = write(tmp_path / "a.csv", line_end.join(delimiter.join(line) for line in lines) + line_end)
        assert read(path, csv={"delimiter": delimiter}).rows() == [("a", "1", None), ("b", "2", None)]

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
    @pytest.mark.parametrize("header", [True, False])
    def test_encodings(self, tmp_path: Path, encoding: str, header: bool) -> None:
        path = write(tmp_path / "a.csv", ("näme,x\n" if header else "") + "café,1\n", encoding)
        names = {} if header else {"header": False, "column_names": ["näme", "x"]}
        rows = read(path, csv={"encoding": encoding.removesuffix("-sig"), **names})
        assert rows.columns == ["näme", "x", UNREADABLE]
        assert rows.rows() == [("café", "1", None)]

    def test_quotes_hold_delimiters_lines_and_quotes(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", 'id,"no""te"\n1,"a, ""b""\nc"\n')
        assert read(path).rows() == [("1", 'a, "b"\nc', None)]
        assert read(path).columns[1] == 'no"te'

    def test_no_quote_means_quotes_are_letters(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", 'id,note\n1,"a\n')
        assert read(path, csv={"quote": ""}).rows() == [("1", '"a', None)]

    def test_skipped_lines_names_and_compression(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv.gz"
        path.write_bytes(gzip.compress(b"report of today\n\n1;2\n3;4\n"))
        dialect = {"skip_lines": 2, "header": False, "column_names": ["a", "b"], "delimiter": ";"}
        assert read(path, csv=dialect).rows() == [("1", "2", None), ("3", "4", None)]

    def test_lines_that_cannot_be_read_are_kept_with_their_fault(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", "id,x,y\n1,2,3\n4,5\n6,7,8,9\n10,11,12\n")
        rows = read(path)
        assert rows.height == 4
        assert rows.filter(pl.col(UNREADABLE).is_null())["id"].to_list() == ["1", "10"]
        assert unreadable(rows) == [
            "a.csv line 3 (Expected Number of Columns: 3 Found: 2): 4,5",
            "a.csv line 4 (Expected Number of Columns: 3 Found: 4): 6,7,8,9",
        ]

    def test_broken_quotes_are_kept(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", 'id,x\n1,"a"b"\n2,c\n3,"d\n')
        lost = " ".join(unreadable(read(path)))
        assert '1,"a"b"' in lost
        assert '3,"d' in lost

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(st.sampled_from(["a,b", "a", "a,b,c", ",", '"x,y",z', "a,", "ü,1"]), min_size=1, max_size=40))
    @example(["a,b"] * 3000 + ["a"] + ["a,b"] * 3000 + ["a,b,c"])
    def test_no_line_is_lost(self, tmp_path: Path, lines: list[str]) -> None:
        path = write(tmp_path / "a.csv", "id,x\n" + "\n".join(lines) + "\n")
        good = [line for line in lines if line not in ("a", "a,b,c")]
        if not good:
            assert "none of" in refused(path)
            return
        rows = read(path)
        assert rows.height == len(lines)
        assert len(unreadable(rows)) == len(lines) - len(good)

    def test_the_same_fault_in_two_files_counts_twice(self, tmp_path: Path) -> None:
        for name in ("a.csv", "b.csv"):
            write(tmp_path / name, "id,x\n1,2\n3\n")
        assert sorted(line.split()[0] for line in unreadable(read(tmp_path))) == ["a.csv", "b.csv"]

    def test_files_are_united_by_name(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", "id,x\n1,2\n")
        write(tmp_path / "b.csv", "x,id,new\n4,3,5\n")
        rows = read(tmp_path).sort("id")
        assert rows.select("id", "x", "new").rows() == [("1", "2", None), ("3", "4", "5")]


class TestParquet:
    def test_declared_types_stay(self, tmp_path: Path) -> None:
        pl.DataFrame({"id": [1, 2], "x": [1.5, None], "t": ["a", "b"]}).write_parquet(tmp_path / "a.parquet")
        assert types(tmp_path / "a.parquet") == {"id": "BIGINT", "x": "DOUBLE", "t": "VARCHAR"}

    def test_folders_globs_and_unions(self, tmp_path: Path) -> None:
        (tmp_path / "2024").mkdir()
        (tmp_path / "_tmp").mkdir()
        pl.DataFrame({"id": ["a"], "x": [1]}).write_parquet(tmp_path / "2024" / "a.parquet")
        pl.DataFrame({"x": [2], "id": ["b"], "y": [3]}).write_parquet(tmp_path / "b.parquet")
        pl.DataFrame({"id": ["c"]}).write_parquet(tmp_path / "_tmp" / "c.parquet")
        (tmp_path / "notes.md").write_text("x")
        everything = read(tmp_path).sort("id").select("id", "x", "y").rows()
        assert everything == [("a", 1, None), ("b", 2, 3)]
        assert read(tmp_path / "*.parquet")["id"].to_list() == ["b"]
        assert sorted(read(f"{tmp_path}/2*/**/*.parquet")["id"].to_list()) == ["a"]

    def test_a_name_that_looks_like_a_pattern(self, tmp_path: Path) -> None:
        pl.DataFrame({"id": ["a"]}).write_parquet(tmp_path / "plain.parquet")
        (tmp_path / "plain.parquet").rename(tmp_path / "a[1].parquet")
        assert read(tmp_path / "a[1].parquet")["id"].to_list() == ["a"]


class TestWrongFiles:
    def test_missing(self, tmp_path: Path) -> None:
        assert "there is no file" in refused(tmp_path / "none.csv")
        assert "no file matches" in refused(tmp_path / "*.csv")
        assert "holds no CSV or Parquet file" in refused(tmp_path)

    def test_empty(self, tmp_path: Path) -> None:
        assert "is empty (0 bytes)" in refused(write(tmp_path / "a.csv", ""))
        assert "is empty (0 bytes)" in refused(write(tmp_path / "a.parquet", ""))
        assert "and no rows" in refused(write(tmp_path / "b.csv", "id,x\n"))
        pl.DataFrame({"id": []}, schema={"id": pl.String}).write_parquet(tmp_path / "b.parquet")
        assert "no rows" in refused(tmp_path / "b.parquet")

    def test_no_permission(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", "id\n1\n")
        path.chmod(0)
        root = os.geteuid() == 0
        if root:
            os.seteuid(65534)
        try:
            assert "cannot be read: Permission denied" in refused(path)
        finally:
            if root:
                os.seteuid(0)

    def test_mixed_folder(self, tmp_path: Path) -> None:
        write(tmp_path / "a.csv", "id\n1\n")
        pl.DataFrame({"id": ["c"]}).write_parquet(tmp_path / "b.parquet")
        assert "both CSV and Parquet files: a.csv, b.parquet" in refused(tmp_path)

    def test_another_format_than_the_name_says(self, tmp_path: Path) -> None:
        pl.DataFrame({"id": ["c"]}).write_parquet(tmp_path / "p.csv")
        with zipfile.ZipFile(tmp_path / "z.csv", "w") as archive:
            archive.writestr("a", "b")
        (tmp_path / "g.csv").write_bytes(gzip.compress(b"id\n1\n"))
        sqlite3.connect(tmp_path / "s.csv").execute("CREATE TABLE t (a)").connection.close()
        assert "no CSV file: it begins like Parquet" in refused(tmp_path / "p.csv")
        assert "a zip archive or an Excel workbook" in refused(tmp_path / "z.csv")
        assert "begins like gzip" in refused(tmp_path / "g.csv")
        assert "an SQLite database" in refused(tmp_path / "s.csv")
        assert "no Parquet file: it begins like text" in refused(write(tmp_path / "c.parquet", "id\n1\n"))
        assert "set source.format" in refused(write(tmp_path / "c.dat", "id\n1\n"))

    def test_damaged_parquet(self, tmp_path: Path) -> None:
        path = tmp_path / "a.parquet"
        pl.DataFrame({"id": list(range(1000))}).write_parquet(path)
        path.write_bytes(path.read_bytes()[:-200])
        assert "not readable as Parquet" in refused(path)

    def test_damaged_gzip(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv.gz"
        path.write_bytes(gzip.compress(b"id,x\n" + b"1,2\n" * 1000)[:30])
        assert str(path) in refused(path)

    @pytest.mark.parametrize(
        ("written", "declared", "said"),
        [
            ("utf-16", "utf-8", "begins with the mark of utf-16"),
            ("utf-16-le", "utf-8", "bytes of zero"),
            ("latin-1", "utf-8", "not in the declared encoding"),
            ("utf-8", "utf-16", "no UTF-16"),
            ("utf-8-sig", "latin-1", "begins with the mark of utf-8"),
        ],
    )
    def test_wrong_encoding(self, tmp_path: Path, written: str, declared: str, said: str) -> None:
        path = write(tmp_path / "a.csv", "id,x\ncafé,1\n" * 10, written)
        assert said in refused(path, csv={"encoding": declared})

    def test_wrong_encoding_in_the_header(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", "idé,x\na,1\n", "latin-1")
        assert "encoding" in refused(path)

    def test_wrong_delimiter_without_header(self, tmp_path: Path) -> None:
        path = write(tmp_path / "a.csv", "1;2\n3;4\n")
        message = refused(path, csv={"header": False, "column_names": ["a", "b"]})
        assert "none of 2 lines could be read with delimiter ','" in message
        assert "1;2" in message

    def test_a_column_named_twice(self, tmp_path: Path) -> None:
        assert "names id twice" in refused(write(tmp_path / "a.csv", "id,ID\n1,2\n"))


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A shop in SQLite, with what SQLite lets happen to columns."""
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE orders (id, code TEXT, ordered TEXT, total NUMERIC, pieces INTEGER, whole)")
        database.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
            [
                (1, "00123", "2024-01-02 03:04:05", 12.5, 1, 9007199254740993),
                ("007", "ü,\n'", "2024-01-03", 3, None, 2),
                (None, "12345.0", "x", None, 2, 3),
            ],
        )
    database.close()
    return f"sqlite:///{tmp_path / 'shop.db'}"


class TestSqlite:
    def test_values_are_exact_and_columns_take_the_type_their_values_have(self, sqlite_url: str) -> None:
        frame = read_transactions(Source(url=sqlite_url, table="orders"))
        relation = relation_of(frame)
        assert [str(kind) for kind in relation.types] == ["VARCHAR", "VARCHAR", "VARCHAR", "DOUBLE", "BIGINT", "BIGINT"]
        assert relation.fetchall() == [
            ("1", "00123", "2024-01-02 03:04:05", 12.5, 1, 9007199254740993),
            ("007", "ü,\n'", "2024-01-03", 3.0, None, 2),
            (None, "12345.0", "x", None, 2, 3),
        ]

    def test_queries_are_taken_as_they_are(self, sqlite_url: str) -> None:
        query = "SELECT code AS \"a%b\", ':x' AS c FROM orders WHERE code LIKE '00%'"
        relation = relation_of(read_transactions(Source(url=sqlite_url, query=query)))
        assert (relation.columns, relation.fetchall()) == (["a%b", "c"], [("00123", ":x")])

    def test_many_rows_arrive_in_batches(self, tmp_path: Path) -> None:
        with sqlite3.connect(tmp_path / "shop.db") as database:
            database.execute("CREATE TABLE t (i)")
            database.executemany("INSERT INTO t VALUES (?)", ((i,) for i in range(120_001)))
        database.close()
        relation = relation_of(read_transactions(Source(url=f"sqlite:///{tmp_path / 'shop.db'}", table="t")))
        assert relation.aggregate("count(*), sum(i), max(i)").fetchall() == [(120_001, 7_200_060_000, 120_000)]

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            ({"table": "order"}, 'no table or view "order"; did you mean "orders"?'),
            ({"query": "SELECT nope FROM orders"}, "no such column: nope"),
            ({"query": "SELECT * FROM orders WHERE code = 'none'"}, "has no rows"),
            ({"query": "SELECT id, ID FROM orders"}, "more than once"),
            ({"query": "DELETE FROM orders"}, "expected one SELECT"),
        ],
    )
    def test_faults(self, sqlite_url: str, source: dict[str, str], said: str) -> None:
        with pytest.raises(SourceError) as fault:
            read_transactions(Source(url=sqlite_url, **source))
        assert said in str(fault.value)
        assert len(relation_of(read_transactions(Source(url=sqlite_url, table="orders"))).fetchall()) == 3

    def test_no_database_is_made(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="there is no SQLite file"):
            read_transactions(Source(url=f"sqlite:///{tmp_path / 'none.db'}", table="t"))
        assert not (tmp_path / "none.db").exists()

    def test_urls_that_mean_nothing(self) -> None:
        for url in ("nonsense", "oracel://x/y"):
            with pytest.raises(SourceError, match=r"source\.url is not usable"):
                read_transactions(Source(url=url, table="t"))


@pytest.fixture
def postgres_shop(postgres_server: str) -> Iterator[tuple[str, str]]:
    """The address of a real server and a schema of our own with a table ``orders`` in it."""
    schema = f"shop_{uuid.uuid4().hex}"
    engine = sa.create_engine(make_url(postgres_server))
    with engine.begin() as database:
        database.execute(sa.schema.CreateSchema(schema))
        database.exec_driver_sql(f"CREATE SEQUENCE {schema}.numbers")
        database.exec_driver_sql(
            f"CREATE TABLE {schema}.orders (id text, number bigint, price numeric(12, 4), free numeric, day date, "
            "at timestamp, moment timestamptz, paid boolean, who uuid, ratio double precision)"
        )
        database.exec_driver_sql(
            f"INSERT INTO {schema}.orders VALUES "
            "('00123', 9007199254740993, 12.5000, 1e20, '2024-01-02', '2024-01-02 03:04:05.000006', "
            "'2024-07-01 12:00:00+02', true, '00000000-0000-0000-0000-00000000000a', 0.1), "
            "('ü', NULL, -0.0001, 0.25, NULL, NULL, NULL, NULL, NULL, 'NaN')"
        )
    yield postgres_server, schema
    with engine.begin() as database:
        database.execute(sa.schema.DropSchema(schema, cascade=True))
    engine.dispose()


class TestPostgresql:
    def test_values_are_exact_and_typed(self, postgres_shop: tuple[str, str]) -> None:
        url, schema = postgres_shop
        relation = relation_of(read_transactions(Source(url=url, table=f"{schema}.orders")))
        kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
        assert kinds == {
            "id": "VARCHAR", "number": "BIGINT", "price": "DECIMAL(18,4)", "free": "DECIMAL(38,2)", "day": "DATE",
            "at": "TIMESTAMP", "moment": "TIMESTAMP WITH TIME ZONE", "paid": "BOOLEAN", "who": "VARCHAR", "ratio": "DOUBLE",
        }  # fmt: skip
        text = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in relation.columns)
        first, second = relation.query("orders", f"SELECT {text} FROM orders ORDER BY id").fetchall()
        assert first == (
            "00123", "9007199254740993", "12.5000", "100000000000000000000.00", "2024-01-02", "2024-01-02 03:04:05.000006",
            "2024-07-01 10:00:00+00", "true", "00000000-0000-0000-0000-00000000000a", "0.1",
        )  # fmt: skip
        assert second == ("ü", None, "-0.0001", "0.25", None, None, None, None, None, "nan")

    def test_queries_and_faults(self, postgres_shop: tuple[str, str]) -> None:
        url, schema = postgres_shop
        query = f"SELECT id::text AS id FROM {schema}.orders WHERE id LIKE '00%'"
        assert relation_of(read_transactions(Source(url=url, query=query))).fetchall() == [("00123",)]
        with pytest.raises(SourceError, match='did you mean "orders"'):
            read_transactions(Source(url=url, table=f"{schema}.order"))
        with pytest.raises(SourceError, match="read-only transaction"):
            read_transactions(Source(url=url, query=f"SELECT nextval('{schema}.numbers') AS id"))

    def test_no_password_in_messages(self) -> None:
        for url in (
            "postgresql+psycopg://someone:secret@127.0.0.1:1/none",
            "postgresql+psycopg://127.0.0.1:1/none?user=someone&password=secret&sslpassword=secret",
        ):
            with pytest.raises(SourceError) as fault:
                read_transactions(Source(url=url, table="t"))
            assert "127.0.0.1" in str(fault.value)
            assert "secret" not in str(fault.value)


class TestEngine:
    def test_nothing_is_fetched_from_the_network(self) -> None:
        connection = connect()
        [(install, load)] = connection.sql(
            "SELECT current_setting('autoinstall_known_extensions'), current_setting('autoload_known_extensions')"
        ).fetchall()
        assert (install, load) == (False, False)
        with pytest.raises(duckdb.Error):
            connection.sql("SELECT * FROM 'https://example.com/a.parquet'").fetchall()

    def test_spilled_files_are_removed(self, tmp_path: Path) -> None:
        connection = connect(threads=1, memory_gb=0.25, folder=tmp_path)
        connection.execute("CREATE TABLE t AS SELECT hash(range) AS a, md5(range::VARCHAR) AS b FROM range(3000000)")
        [(rows,)] = connection.sql("SELECT count(*) FROM (FROM t ORDER BY b, a)").fetchall()
        assert rows == 3_000_000
        assert list(tmp_path.glob("foretier-*/*/*"))
        connection.close()
        [private] = tmp_path.iterdir()
        assert list(private.iterdir()) == []

    @pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
    def test_nobody_else_can_read_spilled_rows(self, tmp_path: Path) -> None:
        with connect(folder=tmp_path):
            [private] = tmp_path.iterdir()
            assert private.stat().st_mode & 0o777 == 0o700
            assert str(os.getpid()) not in private.name

    def test_the_folder_for_spilled_rows_goes_with_the_process(self, tmp_path: Path) -> None:
        code = "import sys, features.engine as e; from pathlib import Path; e.connect(folder=Path(sys.argv[1]))"
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
        assert list(tmp_path.iterdir()) == []
