"""What the commands share: one error line, whole files, machine-readable output, days."""

from __future__ import annotations

import doctest
import json
import math
import os
import subprocess
import sys
import tracemalloc
from datetime import date, timedelta
from pathlib import Path

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from typer.testing import CliRunner

from configs import command, days, files
from configs.command import console, one_line, reported, write_json, write_json_list
from configs.days import date_of, day_number
from configs.errors import NotFoundError, SettingsError
from configs.files import replacing


@pytest.mark.parametrize("module", [command, days, files])
def test_examples_in_the_documentation(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]


def app_raising(error: Exception) -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @reported
    def fail() -> None:
        """Fail."""
        raise error

    return app


def test_our_errors_are_one_line_and_exit_code_2() -> None:
    result = CliRunner().invoke(app_raising(NotFoundError("no customer\n  \x1b[2Jx\u202e")))
    assert (result.exit_code, result.stderr, result.stdout) == (2, "error: no customer [2Jx\n", "")


def test_bugs_keep_their_traceback() -> None:
    result = CliRunner().invoke(app_raising(ZeroDivisionError()))
    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["greet", "--times", "x"], "error: Invalid value for '--times': "),
        (["greet", "--tims", "1"], "error: No such option: --tims"),
        (["gret"], "error: No such command 'gret'. Did you mean 'greet'?"),
        (["fail"], "error: no such thing"),
    ],
)
def test_usage_errors_are_one_line_too(words: list[str], line: str) -> None:
    result = CliRunner().invoke(commands(), words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(line)
    assert len(result.stderr.splitlines()) == 1


def test_commands_end_as_they_should() -> None:
    assert CliRunner().invoke(commands(), ["greet"]).exit_code == 0
    assert CliRunner().invoke(commands(), ["--help"]).exit_code == 0
    bare = CliRunner().invoke(commands(), [])
    assert (bare.exit_code, "Usage" in bare.output, "error" in bare.output) == (2, True, False)
    assert isinstance(CliRunner().invoke(commands(), ["bug"]).exception, ZeroDivisionError)


def commands() -> typer.Typer:
    app = typer.Typer(cls=command.Commands, no_args_is_help=True)

    @app.command()
    def greet(times: int = 1) -> None:
        """Greet."""

    @app.command()
    @reported
    def fail() -> None:
        """Fail."""
        raise NotFoundError("no such thing")

    @app.command()
    def bug() -> None:
        """Break."""
        raise ZeroDivisionError

    return app


@given(st.text())
def test_one_line_is_one_line_that_can_be_printed(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert all(letter.isprintable() for letter in line)


def test_json_is_written_whole_and_readable(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "result.json"
    write_json(file, {"id": "Zoë\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "day": date(2011, 6, 12)})
    assert json.loads(file.read_text(encoding="utf-8")) == {"id": "Zoë😀", "day": "2011-06-12"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(file, math.nan)
    assert [one.name for one in file.parent.iterdir()] == ["result.json"]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "file.txt"
    file.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(file) as temporary:  # noqa: PT012
        temporary.write_text("half")
        assert file.read_text() == "old"
        raise ZeroDivisionError
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])
    with replacing(file) as temporary:
        temporary.write_text("new")
        assert temporary.suffix == ".txt"
    assert (file.read_text(), list(tmp_path.iterdir())) == ("new", [file])
    umask = os.umask(0o022)
    os.umask(umask)
    assert file.stat().st_mode & 0o777 == 0o666 & ~umask


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (Path("/proc/list.csv"), tmp_path / "file" / "list.csv"):
        with pytest.raises(SettingsError, match=f"{path} cannot be written"), replacing(path):
            pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(SettingsError, match="cannot be written: Is a directory"), replacing(tmp_path / "folder"):
        pass


@given(st.dates())
def test_days_and_dates_are_each_others_inverse(day: date) -> None:
    assert date_of(day_number(day)) == day
    assert day_number(day) == (day - date(1970, 1, 1)) / timedelta(days=1)


def test_names_of_users_are_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("Tier", title="[/title]")
    table.add_row("[/VIP]")
    screen = console()
    screen.print(table)
    screen.print("[bold]x")
    shown = capsys.readouterr().out
    assert [text in shown for text in ("[/title]", "[/VIP]", "[bold]x")] == [True, True, True]


@pytest.mark.parametrize("error", ["KeyboardInterrupt()", "RuntimeError('Query interrupted')"])
def test_an_interrupted_command_ends_without_a_traceback(error: str) -> None:
    """Libraries written in C make errors of their own of Ctrl-C."""
    program = f"""
import os, signal, typer
from configs.command import Commands
app = typer.Typer(cls=Commands, pretty_exceptions_enable=False)
@app.command()
def one() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
        signal.pause()
    except KeyboardInterrupt:
        raise {error}
@app.command()
def two() -> None: ...
app(["one"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")


@pytest.mark.parametrize("rows", [[], [{"id": "a\nb", "why": ["ü", []]}], [{"id": 1}, {}, [2, {"n": None}]]])
def test_a_json_list_is_written_as_if_at_once(rows: list[object], tmp_path: Path) -> None:
    head = {"list": "churn-risk", "tiers": [], "total": len(rows)}
    write_json(tmp_path / "whole.json", {**head, "customers": rows})
    write_json_list(tmp_path / "rows.json", head, "customers", iter(rows))
    assert (tmp_path / "rows.json").read_bytes() == (tmp_path / "whole.json").read_bytes()


def test_a_json_list_is_never_held_in_memory_and_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    tracemalloc.start()
    write_json_list(tmp_path / "list.json", {"total": 20_000}, "customers", ({"id": f"{n:0200d}"} for n in range(20_000)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 < (tmp_path / "list.json").stat().st_size
    with pytest.raises(ValueError, match="JSON"):
        write_json_list(tmp_path / "list.json", {"total": 2}, "customers", iter([1, math.nan]))
    assert [file.name for file in tmp_path.iterdir()] == ["list.json"]
    assert len(json.loads((tmp_path / "list.json").read_text())["customers"]) == 20_000
