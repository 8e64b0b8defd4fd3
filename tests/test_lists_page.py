"""The page on where lists go, against the program: its tables of columns are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import sqlalchemy as sa

from serving.crm_files import CRM_COLUMNS, CRM_TARGETS
from serving.store import Store
from serving.store_views import view_definitions

PAGE = (Path(__file__).parent.parent / "docs" / "lists.md").read_text(encoding="utf-8")


def table(head: str) -> list[list[str]]:
    """The cells of the rows of a table, by its first line."""
    body = PAGE.partition(f"{head}\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


def test_columns_of_import_files_are_those_written() -> None:
    rows = table("| column | HubSpot | Salesforce | Marketo | 简道云 |")
    names = [target.property_of for target in CRM_TARGETS]
    assert rows == [[f"`{name}`", *(f"`{of(name)}`" for of in names)] for name in CRM_COLUMNS]


def test_every_system_has_a_section_and_a_command() -> None:
    for target in CRM_TARGETS:
        assert f"--for {target.name} --out contacts{target.suffixes[0]}" in PAGE
    assert re.findall("^### (.*)$", PAGE, flags=re.MULTILINE) == ["HubSpot", "Salesforce", "Marketo", "简道云"]


def test_columns_of_views_are_those_of_the_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'scores.db'}"
    Store(url).close()
    engine = sa.create_engine(url)
    columns = {name: [column["name"] for column in sa.inspect(engine).get_columns(name)] for name in view_definitions("sqlite")}
    engine.dispose()
    assert columns.pop("foretier_contactable") == columns["foretier_customers"]
    assert table("| view | columns |") == [
        [f"`{name}`", ", ".join(f"`{one}`" for one in shown)] for name, shown in columns.items()
    ]
    grant = re.search("GRANT SELECT ON (.*) TO bi", PAGE)
    assert grant is not None
    assert grant[1].split(", ") == list(view_definitions("postgresql"))
