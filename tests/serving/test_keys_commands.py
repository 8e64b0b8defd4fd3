"""``foretier keys`` as a person types it."""

from __future__ import annotations

import json
import os
import re
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from foretier import app
from serving.key_store import KeyStore
from serving.keys import Key, KeyRing

KEY = re.compile(r"^foretier_([0-9a-f]{12})_[0-9a-f]{64}$", re.MULTILINE)


@pytest.fixture(autouse=True)
def url(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of a new store, in a wide terminal."""
    url = f"sqlite:///{tmp_path / 'scores.db'}"
    monkeypatch.setenv("FORETIER_STORE_URL", url)
    monkeypatch.setenv("COLUMNS", "160")
    return url


def run(*words: str) -> Result:
    result = CliRunner().invoke(app, ["keys", *words])
    assert result.exit_code == 0, result.output
    return result


def refused(*words: str) -> str:
    """The one line a command ends with on bad input."""
    result = CliRunner().invoke(app, ["keys", *words])
    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    return line.removeprefix("error: ")


def callers(url: str, *texts: str) -> list[Key | None]:
    """Whom a server on this store takes these keys for now."""
    with KeyStore(url) as store:
        ring = KeyRing(store.records())
    return [ring.caller(f"Bearer {text}".encode(), datetime.now(UTC)) for text in texts]


def created(*words: str) -> str:
    """The key that ``keys create`` shows, once."""
    [found] = list(KEY.finditer(run("create", *words).stdout))
    return found[0]


def test_what_is_shown_works_and_is_never_shown_again(url: str, tmp_path: Path) -> None:
    first = run("create", "shop")
    assert "from now on every request needs one" in first.output
    assert 'curl -H "Authorization: Bearer $FORETIER_API_KEY"' in first.stdout
    [match] = KEY.finditer(first.stdout)
    [caller] = callers(url, match[0])
    assert caller == Key(match[1], "shop", frozenset({"read", "predict"}))
    assert "this is the first key" not in run("create", "shop").output.lower()
    secret = match[0].rpartition("_")[2]
    assert secret not in run("list").output + run("list", "--json", "-").output
    assert not any(secret.encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_everything_a_key_may_be_limited_to(url: str) -> None:
    limits = ("--scope", "read", "--customers", "DE-*", "--requests-per-second", "50", "--expires", "2100-01-01")
    [caller] = callers(url, created("Zoë's [bold]shop[/]", *limits))
    assert caller is not None
    assert caller == Key(caller.id, "Zoë's [bold]shop[/]", frozenset({"read"}), "DE-*", 50.0, datetime(2100, 1, 1, tzinfo=UTC))
    line = next(line for line in run("list").output.splitlines() if caller.id in line)
    assert re.split(r"\s{2,}", line.strip())[1:5] == ["Zoë's [bold]shop[/]", "read", "DE-*", "50/s"]
    assert all(word in line for word in ("2100-01-01", "active"))


def test_json_holds_the_key_once_and_only_its_owner_reads_it(url: str, tmp_path: Path) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    result = run("create", "shop", "--scope", "lists", "--json", str(tmp_path / "key.json"))
    assert not KEY.search(result.output)
    assert stat.S_IMODE((tmp_path / "key.json").stat().st_mode) == 0o600
    after = os.umask(mask)
    assert after == mask
    told = json.loads((tmp_path / "key.json").read_text())
    assert callers(url, told["key"]) == [Key(told["id"], "shop", frozenset({"lists"}))]
    listed = json.loads(run("list", "--json", "-").stdout)["keys"]
    assert listed == [{name: told[name] for name in told if name != "key"}]
    assert listed[0]["state"] == "active"
    on_screen = json.loads(run("create", "other", "--json", "-").stdout)
    assert callers(url, on_screen["key"]) != [None]


def test_rotation_without_a_gap(url: str) -> None:
    old, new = created("shop"), created("shop")
    assert None not in callers(url, old, new)
    both = refused("revoke", "shop")
    assert all(key.split("_")[1] in both for key in (old, new))
    assert "is revoked; running servers refuse it within 5 seconds" in run("revoke", old.split("_")[1]).output
    assert [caller is None for caller in callers(url, old, new)] == [True, False]
    revoked = json.loads(run("revoke", "shop", "--json", "-").stdout)
    assert (revoked["state"], revoked["id"]) == ("revoked", new.split("_")[1])
    assert datetime.now(UTC) - datetime.fromisoformat(revoked["revoked_at"]) < timedelta(minutes=1)
    assert callers(url, old, new) == [None, None]
    assert "was revoked already" in refused("revoke", old.split("_")[1])
    assert 'no active key "shop"; there is none at all' in refused("revoke", "shop")
    assert "API keys: 2 revoked" in run("list").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", ""), "1 to 100 printable characters"),
        (("create", "x", "--scope", "list"), 'there is no scope "list"; did you mean "lists"?'),
        (("create", "x", "--scope", "lists", "--customers", "DE-*"), "cannot have the scope lists, which shows all of them"),
        (("create", "x", "--requests-per-second", "0"), "from 1 to 100,000, found 0"),
        (("create", "x", "--expires", "2020-01-01"), "a key that expires on 2020-01-01 00:00 UTC would be of no use"),
        (("revoke", "nobody"), 'there is no active key "nobody"'),
    ],
)
def test_bad_input_is_one_line_and_makes_no_key(url: str, words: tuple[str, ...], said: str) -> None:
    assert said in refused(*words)
    assert "No key was ever created" in run("list").output
    with KeyStore(url) as store:
        assert store.records() == ()


@pytest.mark.parametrize("columns", ["80", "100", "160"])
def test_the_list_fits_every_terminal(monkeypatch: pytest.MonkeyPatch, columns: str) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    words: list[Any] = ["sales team Germany", "--customers", "DE-*", "--expires", "2100-01-01", "--requests-per-second", "100"]
    created(*words)
    shown = run("list").output
    assert max(map(len, shown.splitlines())) <= int(columns)
    assert all(word in shown for word in ("Customers", "Germany", "predict", "DE-*", "100/s", "2100-01-01", "active"))
