"""GET /v1/changes, as an application asks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from configs.change_kinds import CHANGE_KINDS
from configs.settings import Environment
from serving import answers
from serving.changes import changes, compare
from serving.changes_table import wire_change
from serving.scoring import Scoring, score
from serving.store import Store


@pytest.fixture(scope="module")
def home(state: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two runs a month apart, by the state's model."""
    path: Path = tmp_path_factory.mktemp("changes")
    with Store(f"sqlite:///{path / 'scores.db'}") as store:
        for as_of in (date(1998, 6, 1), state.run.terms.as_of):
            score(state.orders, as_of, state.model, store, Scoring("1", state.run.created_at))
    return path


@pytest.fixture(scope="module")
def two_runs(state: Any, home: Path, serve: Any) -> Iterator[Any]:
    """A service on them."""
    environment = Environment.read({"FORETIER_HOME": str(home)})
    with serve(state.settings_path, environment, lambda _: SimpleNamespace(version="1", model=state.model)) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        yield service


def pages(service: Any, **asked: Any) -> list[answers.ChangesPage]:
    found, cursor = [], None
    while True:
        response = service.get("/v1/changes", params={**asked, **({"cursor": cursor} if cursor else {})})
        assert response.status_code == 200, response.text
        found.append(answers.ChangesPage.model_validate_json(response.content))
        cursor = found[-1].next_cursor
        if cursor is None:
            return found


def faults(response: Any) -> tuple[int, str, list[str]]:
    error = answers.Error.model_validate_json(response.content).error
    return response.status_code, error.code, [detail.path for detail in error.details]


def test_pages_hold_every_change_of_the_two_runs(two_runs: Any, home: Path) -> None:
    found = pages(two_runs, limit=100)
    with Store(f"sqlite:///{home / 'scores.db'}") as store:
        compared = compare(store, {"high": 0.7, "low": 0.0})
        wanted = [wire_change(row) for row in changes(store, compared)]
    rows = [row.model_dump() for page in found for row in page.customers]
    assert rows == wanted
    assert len(found) == -(-len(wanted) // 100) > 1
    assert {page.total for page in found} == {len(wanted)}
    first = found[0]
    assert (first.from_run.as_of, first.to_run.as_of, first.to_run.scoring_run) == ("1998-06-01", "1998-07-01", 2)
    assert first.counts.model_dump() == {kind: sum(kind in row["kinds"] for row in rows) for kind in CHANGE_KINDS}
    assert sum(cell.customers for cell in first.movement) == 2357
    assert first.stayed + first.moved + first.new_customers + first.gone_customers == 2357


def test_kinds_and_tiers_can_be_chosen(two_runs: Any) -> None:
    everything = [row for page in pages(two_runs, limit=1000) for row in page.customers]
    [page] = pages(two_runs, kind=["won_back", "upgraded"], tier=["Gold", "Silver"], limit=1000)
    assert (page.kinds, page.tiers) == (["upgraded", "won_back"], ["Gold", "Silver"])
    wanted = [
        row for row in everything
        if {"won_back", "upgraded"} & set(row.kinds) and {"Gold", "Silver"} & {row.tier, row.tier_before}
    ]  # fmt: skip
    assert page.customers == wanted
    assert page.total == len(wanted) > 0


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("kind=upgrade", "query.kind"),
        ("kind=", "query.kind"),
        ("&".join(["kind=upgraded"] * 51), "query.kind"),
        ("tier=Diamond", "query.tier"),
        ("limit=0", "query.limit"),
        ("limit=1001", "query.limit"),
        ("limit=1&limit=2", "query.limit"),
        ("cursor=xyz", "query.cursor"),
        ("cursor=1.2.3ff0000000000000.31&cursor=1.2.3ff0000000000000.31", "query.cursor"),
        ("cursor=2.1.3ff0000000000000.31", "query.cursor"),  # the wrong way round
        ("min_risk=0.5", "query.min_risk"),
        ("top=5", "query.top"),
    ],
)
def test_strange_parameters_are_refused_with_their_names(two_runs: Any, query: str, path: str) -> None:
    assert faults(two_runs.get(f"/v1/changes?{query}")) == (400, "invalid_request", [path])


def test_runs_that_are_gone_are_not_found(two_runs: Any) -> None:
    cursor = pages(two_runs, limit=1000)[0].next_cursor or two_runs.get("/v1/changes?limit=1").json()["next_cursor"]
    gone = "9999" + cursor[cursor.index(".") :]
    assert faults(two_runs.get(f"/v1/changes?cursor={gone}")) == (404, "run_not_found", ["query.cursor"])


def test_pages_are_of_the_same_runs_when_a_newer_one_is_published(state: Any, serve: Any, tmp_path: Path, home: Path) -> None:
    with Store(f"sqlite:///{home / 'scores.db'}") as source:
        runs = [(run.terms, list(source.page(run_id=run.run_id, limit=10_000)[1])) for run in reversed(source.runs())]
    environment = Environment.read({"FORETIER_HOME": str(tmp_path)})
    champion = SimpleNamespace(version="1", model=state.model)
    with (
        Store(f"sqlite:///{tmp_path / 'scores.db'}") as store,
        serve(state.settings_path, environment, lambda _: champion) as service,
    ):

        def publish(terms: Any, scores: Any) -> None:
            with store.writing(terms, tier_names=state.run.tier_names, created_at=state.run.created_at) as writer:
                writer.add(scores)
                writer.publish(keep_runs=12)

        publish(*runs[0])
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        missing = service.get("/v1/changes")
        assert faults(missing) == (404, "run_not_found", [])
        assert "after the next foretier score" in missing.text
        publish(*runs[1])
        service.wait_until(lambda: service.get("/v1/changes").status_code == 200)
        first = service.get("/v1/changes?limit=5").json()
        publish(replace(runs[1][0], as_of=date(1998, 7, 2)), runs[1][1])
        service.wait_until(lambda: service.get("/v1/changes").json()["to"]["scoring_run"] == 3)
        assert service.get("/v1/changes").json()["total"] == 0
        second = service.get(f"/v1/changes?limit=5&cursor={first['next_cursor']}").json()
        assert (second["from"], second["to"], second["total"]) == (first["from"], first["to"], first["total"])
        assert not {row["customer_id"] for row in first["customers"]} & {row["customer_id"] for row in second["customers"]}
