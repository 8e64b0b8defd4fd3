"""The documents against the program: what they name exists, and what exists is named."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from configs.settings import Settings, load_settings, parse_settings
from foretier import app
from serving.routes import ROUTES

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "mlflow" / "README.md"])
ALL_TEXT = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
COMMANDS_PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    for language, body in re.findall(r"^```(\w+)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL):
        if language in languages:
            yield body


def shell_lines() -> list[tuple[str, list[str]]]:
    """Every line of every page that calls foretier or make, as words, without leading settings of variables."""
    called = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S* )*((?:\S*/)?(?:foretier|make) .*)$")
    lines = []
    for page in PAGES:
        for body in blocks(page, "console", "bash", "sh"):
            matches = (called.match(line) for line in body.replace("\\\n", " ").splitlines())
            lines += [(page.name, shlex.split(match[1], comments=True)) for match in matches if match]
    return lines


def commands() -> dict[str, Any]:
    """Every command of the command line by its full name."""
    root = typer.main.get_command(app)
    found = {}
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        for inner, below in getattr(command, "commands", {"": command}).items():
            found[f"{name} {inner}".strip()] = below
    return found


def options(command: Any) -> set[str]:
    return {option for parameter in command.params for option in parameter.opts if option.startswith("--")} - {"--help"}


FORETIER_LINES = [(page, words) for page, words in shell_lines() if Path(words[0]).name == "foretier"]


def test_there_is_something_to_check() -> None:
    assert len(FORETIER_LINES) > 15
    assert len(commands()) == 22


@pytest.mark.parametrize(("page", "words"), FORETIER_LINES, ids=[" ".join(words) for _, words in FORETIER_LINES])
def test_commands_in_the_documents_exist(page: str, words: list[str]) -> None:
    known = commands()
    if words[1:] == ["--help"]:
        return
    name = next((" ".join(words[1:end]) for end in (3, 2) if " ".join(words[1:end]) in known), None)
    assert name is not None, f"{page}: there is no command {' '.join(words[:3])}"
    used = {word.split("=")[0] for word in words if word.startswith("--")}
    assert used <= options(known[name]), f"{page}: {name} has no {used - options(known[name])}"


def test_files_named_in_commands_exist() -> None:
    named = {word for _, words in FORETIER_LINES for word in words if word.startswith("configs/")}
    assert named
    assert all((ROOT / word).is_file() for word in named)


@pytest.mark.parametrize("name", sorted(commands()))
def test_every_command_and_option_is_documented(name: str) -> None:
    section = re.search(rf"^## foretier {name}$(.*?)(?=^## |\Z)", COMMANDS_PAGE, flags=re.MULTILINE | re.DOTALL)
    assert section is not None, f"docs/commands.md has no section for foretier {name}"
    text = section[1] + COMMANDS_PAGE.partition("## ")[0]
    assert [option for option in sorted(options(commands()[name])) if option not in text] == []


def test_make_targets_in_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    named = {word for _, words in shell_lines() if words[0] == "make" for word in words[1:] if "=" not in word}
    named |= set(re.findall(r"`make ([a-z-]+)`", ALL_TEXT))
    assert {"demo", "test", "install", "check", "bench", "ui"} <= named
    assert named <= targets


def test_every_environment_variable_in_the_documents_is_read() -> None:
    code = "\n".join(path.read_text() for path in [*ROOT.glob("configs/*.py"), *ROOT.glob("tests/**/*.py")])
    named = set(re.findall(r"FORETIER_[A-Z_]+", ALL_TEXT))
    assert named >= {"FORETIER_HOME", "FORETIER_CONFIG", "FORETIER_STORE_URL"}
    assert [name for name in sorted(named) if f'"{name}"' not in code] == []


@pytest.mark.parametrize("body", list(blocks(ROOT / "docs" / "settings.md", "yaml")))
def test_settings_in_the_documents_are_valid(body: str) -> None:
    parse_settings(yaml.safe_load(body), where="docs/settings.md", variables={"SHOP_PASSWORD": "x"})


def test_every_settings_section_is_documented() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert [key for key in Settings.model_fields if f"`{key}`" not in page] == []


def test_dotted_settings_in_the_documents_exist() -> None:
    keys = re.findall(r"`((?:source|columns|cleaning|lifecycle|training|scoring)(?:\.[a-z_]+)+)`", ALL_TEXT)
    reference = load_settings(ROOT / "configs" / "reference.yaml").model_dump()
    for key in keys:
        at: Any = reference
        for part in key.split("."):
            assert part in at, f"{key} is no setting"
            at = at[part]


def test_http_paths_in_the_documents_exist() -> None:
    page = (ROOT / "docs" / "http.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(?:GET|POST) (/\S*?)`|, `GET (/\S*?)`", page))
    paths = {path for pair in documented for path in pair if path}
    known = {route.template for route in ROUTES}
    assert paths <= known
    assert known - paths == {
        "/",
        "/docs",
        "/openapi.json",
        "/console/{file}",
        "/v1/lists/churn-risk.csv",
        "/v1/lists/churn-risk.xlsx",
    }
    assert all(word in page for word in ("/docs", "/openapi.json", ".csv", ".xlsx"))


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_json_in_the_documents_is_json() -> None:
    found = [json.loads(body) for page in PAGES for body in blocks(page, "json")]
    assert found


def test_packages_hold_no_rule_breakers() -> None:
    assert not list((ROOT / "mlflow").glob("*.py")), "a Python file in mlflow/ would hide MLflow"
    assert not list((ROOT / "tests").rglob("__init__.py")), "tests/features/__init__.py would hide features"
