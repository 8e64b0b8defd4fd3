"""The routes behind the guard, in process, on a real model and a real store."""

from __future__ import annotations

import csv
import io
import json
import logging
import math
import re
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import openpyxl
import pytest

from configs.errors import RegistryError
from configs.settings import Environment
from serving import answers
from serving.key_store import KeyStore
from serving.keys import new_key
from serving.predictions import wire
from serving.scoring import Scoring, score
from serving.spreadsheet_text import unguarded
from serving.store import Store

AS_OF = date(1998, 7, 1)
BOUGHT = [{"ordered_at": "1998-05-01", "amount": 20.0}]


def fault(response: Any) -> tuple[int, str, list[str]]:
    """Status, code and paths of an error, after a look at its shape."""
    error = answers.Error.model_validate(response.json()).error
    assert response.headers["content-type"] == "application/json"
    return response.status_code, error.code, [detail.path for detail in error.details]


def no_nan(text: str) -> Any:
    """Read JSON as strictly as applications do."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} in an answer")

    return json.loads(text, parse_constant=refuse)


# ------------------------------------------------------------------------------------------------------------ customers


@pytest.mark.parametrize("customer_id", ["0188", "a/b c", "Zoë 😀%2F", "00045", "..\\x?y#z&=+", "{customer_id}", "'=1+1"])
def test_a_customer_is_found_by_its_exact_id(service: Any, customer_id: str) -> None:
    response = service.get(f"/v1/customers/{quote(customer_id, safe='')}")
    assert response.status_code == 200
    prediction = answers.Prediction.model_validate(no_nan(response.text))
    assert prediction.customer_id == customer_id
    assert (prediction.as_of, prediction.horizon_end, prediction.currency) == ("1998-07-01", "1998-09-29", "USD")
    for drivers, start, total in (
        (prediction.drivers.value, prediction.average.predicted_value, prediction.predicted_value),
        (prediction.drivers.churn, prediction.average.churn_risk, prediction.churn_risk),
    ):
        assert math.isclose(start + sum(driver.effect for driver in drivers), total, abs_tol=0.01)


@pytest.mark.parametrize("customer_id", ["nobody", "188", "0188 ", "A/B C", "%00", "0188%00", "zoe"])
def test_an_unknown_customer_is_not_found(service: Any, customer_id: str) -> None:
    raw = customer_id if customer_id.startswith("%") or "%" in customer_id else quote(customer_id, safe="")
    assert fault(service.get(f"/v1/customers/{raw}"))[:2] == (404, "customer_not_found")


def test_a_forbidden_customer_is_as_unknown_as_one_that_there_is_not(serve: Any, state: Any, tmp_path: Path) -> None:
    shutil.copy(state.home / "scores.db", tmp_path)
    environment = Environment.read({"FORETIER_HOME": str(tmp_path)})
    record, secret = new_key("shop", created_at=datetime(2026, 1, 1, tzinfo=UTC), customers="01*")
    with KeyStore(environment.store_url) as keys:
        keys.create(record)
    champion = SimpleNamespace(version="1", model=state.model, metrics={})
    with serve(state.settings_path, environment, lambda _: champion) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        key = {"authorization": f"Bearer {secret}"}
        assert service.get("/v1/customers/0188").status_code == 401
        assert service.get("/v1/customers/0188", headers=key).json()["customer_id"] == "0188"
        forbidden, unknown = (service.get(f"/v1/customers/{one}", headers=key) for one in ("0288", "9999"))
        assert service.get("/v1/tiers", headers=key).status_code == 200
        assert fault(forbidden) == (404, "customer_not_found", [])
        assert (forbidden.content, forbidden.headers.raw) == (unknown.content, unknown.headers.raw)


def test_get_takes_no_parameters(service: Any) -> None:
    assert fault(service.get("/v1/customers/0188?as_of=1998-07-01")) == (400, "invalid_request", ["query.as_of"])
    assert fault(service.get("/v1/tiers?x=%FF"))[:2] == (400, "invalid_request")


# ---------------------------------------------------------------------------------------------------------- predictions


def request_of(state: Any, ids: list[str]) -> list[dict[str, Any]]:
    """The raw rows of customers, as an application would send them."""
    import polars as pl

    raw = pl.read_parquet(state.home / "orders.parquet").filter(pl.col("customer").is_in(ids))
    customers: dict[str, list[dict[str, Any]]] = {customer_id: [] for customer_id in ids}
    for customer, day, items, amount in raw.iter_rows():
        when = f"{day[:4]}-{day[4:6]}-{day[6:]}"
        customers[customer].append({"ordered_at": when, "amount": float(amount), "items": float(items)})
    return [{"customer_id": customer_id, "orders": orders} for customer_id, orders in customers.items()]


def test_orders_in_a_request_give_the_numbers_of_batch_scoring(service: Any, state: Any) -> None:
    ids = state.orders.select("customer_id").unique().sort("customer_id").collect()["customer_id"].to_list()[::47]
    assert len(ids) >= 50
    response = service.predict(*request_of(state, ids), as_of="1998-07-01")
    assert response.status_code == 200
    answered = answers.Predictions.model_validate(no_nan(response.text)).predictions
    assert [one.customer_id for one in answered] == ids
    for one in answered:
        batch = answers.Prediction.model_validate(service.get(f"/v1/customers/{quote(one.customer_id, safe='')}").json())
        # Since when a customer is in a tier is known of scoring runs only.
        assert (batch.tier_since, one.tier_since) == ("1998-07-01", None)
        assert same(batch.model_dump() | {"tier_since": None}, one.model_dump()), one.customer_id


@pytest.mark.parametrize("days", [1, 30, 90, 365, 36_500])
def test_any_horizon_gives_the_numbers_of_batch_scoring(service: Any, state: Any, tmp_path: Path, days: int) -> None:
    ids = state.orders.select("customer_id").unique().sort("customer_id").collect()["customer_id"].to_list()[::97]
    how = Scoring("1", state.run.created_at, horizon_days=days)
    with Store(f"sqlite:///{tmp_path / 'scores.db'}") as store:
        run = score(state.orders, AS_OF, state.model, store, how)
        batch = [wire(store.customer(one)[1], run.terms) for one in ids]
    asked = service.predict(*request_of(state, ids), as_of="1998-07-01", horizon_days=days)
    answered = [answers.Prediction.model_validate(one).model_dump() for one in no_nan(asked.text)["predictions"]]
    trained = service.predict(*request_of(state, ids), as_of="1998-07-01").json()["predictions"]
    for one, whole, usual in zip(answered, batch, trained, strict=True):
        assert same(whole | {"tier_since": None}, one), one["customer_id"]
        assert (one["horizon_days"], one["horizon_end"]) == (days, (AS_OF + timedelta(days=days)).isoformat())
        assert one["tier"] == usual["tier"]
        assert math.isclose(one["expected_orders"] * one["expected_order_value"], one["predicted_value"], rel_tol=1e-9)
        for drivers, start, total in (("value", "predicted_value", 0.01), ("churn", "churn_risk", 1e-4)):
            added_up = one["average"][start] + sum(driver["effect"] for driver in one["drivers"][drivers])
            assert math.isclose(added_up, one[start], abs_tol=total)


def test_the_horizon_of_the_model_is_the_default(service: Any, state: Any) -> None:
    customers = request_of(state, ["0188"])
    given = [service.predict(*customers, **horizon).json() for horizon in ({}, {"horizon_days": 90}, {"horizon_days": 90.0})]
    assert given[0] == given[1] == given[2]


@pytest.mark.parametrize("days", [0, -1, 36501, 36501.0, 30.5, "90", True, [90], 10**30])
def test_a_horizon_is_a_whole_number_of_days(service: Any, days: Any) -> None:
    response = service.predict({"customer_id": "a", "orders": BOUGHT}, horizon_days=days)
    assert fault(response) == (400, "invalid_request", ["horizon_days"])


def same(one: Any, other: Any) -> bool:
    """Equal, numbers to 1e-9 (rounded effects to their last digit)."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-9)
    return bool(one == other)


def test_one_customer_alone_gets_the_same_as_among_others(service: Any, state: Any) -> None:
    ids = ["0188", "a/b c", "Zoë 😀%2F"]
    together = service.predict(*request_of(state, ids)).json()["predictions"]
    alone = [service.predict(one).json()["predictions"][0] for one in request_of(state, ids)]
    assert same(together, alone)


def test_the_published_day_is_the_default_day(service: Any, state: Any) -> None:
    customers = request_of(state, ["0188"])
    without, given = service.predict(*customers), service.predict(*customers, as_of="1998-07-01")
    assert without.json() == given.json()


def test_another_day_can_be_asked_for(service: Any) -> None:
    prediction = service.predict({"customer_id": "new", "orders": BOUGHT}, as_of="1998-05-02").json()["predictions"][0]
    assert (prediction["as_of"], prediction["horizon_end"]) == ("1998-05-02", "1998-07-31")
    [recency] = [driver for driver in prediction["drivers"]["value"] if driver["group"] == "recency"]
    assert recency["value"] == 1.0


def test_times_with_an_offset_are_turned_into_the_business_zone(service: Any) -> None:
    def days_ago(ordered_at: str) -> float:
        customer = {"customer_id": "new", "orders": [{"ordered_at": ordered_at, "amount": 1}]}
        drivers = service.predict(customer).json()["predictions"][0]["drivers"]["value"]
        return next(driver["value"] for driver in drivers if driver["group"] == "recency")

    assert days_ago("1998-06-30T23:30:00") == 1.0
    assert days_ago("1998-06-30T01:30:00+02:00") == 2.0
    assert days_ago("1998-06-29T23:30:00-01:00") == 1.0


def test_refunds_are_netted_and_are_no_purchases(service: Any) -> None:
    kept = {"customer_id": "a", "orders": [{"order_id": "1", "ordered_at": "1998-04-01", "amount": 30.0}]}
    refunded = {
        "customer_id": "a",
        "orders": [
            {"order_id": "1", "ordered_at": "1998-04-01", "amount": 50.0},
            {"order_id": "1", "ordered_at": "1998-04-01", "amount": -20.0},
        ],
    }
    assert service.predict(kept).json() == service.predict(refunded).json()
    cancelled = {"customer_id": "a", "orders": [{**kept["orders"][0]}, {"ordered_at": "1998-04-01", "amount": -30.0}]}
    assert fault(service.predict(cancelled)) == (422, "no_purchase", ["customers[0].orders"])


def test_a_customer_without_a_purchase_is_refused_with_its_path(service: Any) -> None:
    refund_only = {"customer_id": "b", "orders": [{"ordered_at": "1998-04-01", "amount": -5}]}
    response = service.predict({"customer_id": "a", "orders": BOUGHT}, refund_only)
    assert fault(response) == (422, "no_purchase", ["customers[1].orders"])


def test_faults_are_told_in_plain_words(service: Any) -> None:
    message = service.predict({"customer_id": "a", "orders": []}).json()["error"]["message"]
    assert message == "customers[0].orders must have at least 1 item, not 0"


def test_orders_on_or_after_the_day_are_refused_with_their_paths(service: Any) -> None:
    late = [*BOUGHT, {"ordered_at": "1998-07-01", "amount": 1}, {"ordered_at": "1999-01-01T10:00", "amount": 1}]
    response = service.predict({"customer_id": "a", "orders": late})
    assert fault(response) == (
        422,
        "late_order",
        ["customers[0].orders[1].ordered_at", "customers[0].orders[2].ordered_at"],
    )


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"colour": "red"}, "colour"),
        ({"as_of": 10408}, "as_of"),
        ({"as_of": "1998-7-1"}, "as_of"),
        ({"as_of": "1998-02-30"}, "as_of"),
        ({"customers": []}, "customers"),
        ({"customers": {}}, "customers"),
        ({"customers": [{"customer_id": "a"}]}, "customers[0].orders"),
        ({"customers": [{"customer_id": 7, "orders": BOUGHT}]}, "customers[0].customer_id"),
        ({"customers": [{"customer_id": "", "orders": BOUGHT}]}, "customers[0].customer_id"),
        ({"customers": [{"customer_id": "a\x00", "orders": BOUGHT}]}, "customers[0].customer_id"),
        ({"customers": [{"customer_id": " \t", "orders": BOUGHT}]}, "customers[0].customer_id"),
        ({"customers": [{"customer_id": "a", "orders": []}]}, "customers[0].orders"),
        ({"customers": [{"customer_id": "a", "orders": BOUGHT, "tier": "Gold"}]}, "customers[0].tier"),
        ({"customers": [{"customer_id": str(n), "orders": BOUGHT} for n in range(1001)]}, "customers"),
        *(
            (
                {"customers": [{"customer_id": "a", "orders": [{**BOUGHT[0], **order}]}]},
                f"customers[0].orders[0].{next(iter(order))}",
            )
            for order in (
                {"amount": "20"},
                {"amount": True},
                {"amount": None},
                {"amount": 1e10},
                {"items": "3"},
                {"items": [3]},
                {"order_id": 5},
                {"ordered_at": 893980800},
                {"ordered_at": "yesterday"},
                {"ordered_at": "19980501"},
                {"ordered_at": "1998-05-01T25:00"},
                {"ordered_at": "1998-W18-5"},
                {"ordered_at": "0001-01-01"},
                {"price": 3},
            )
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_path(service: Any, change: dict[str, Any], path: str) -> None:
    document = {"customers": [{"customer_id": "a", "orders": BOUGHT}], **change}
    response = service.ask("POST", "/v1/predictions", json=document)
    assert fault(response) == (400, "invalid_request", [path])


def test_a_customer_given_twice_is_refused(service: Any) -> None:
    response = service.predict(*[{"customer_id": "a", "orders": BOUGHT}] * 2)
    assert fault(response) == (422, "repeated_customer", ["customers[1].customer_id"])


def test_an_unknown_field_is_refused_by_its_nearest_name(service: Any) -> None:
    response = service.predict({"customer_id": "a", "orders": [{"ordered_at": "1998-05-01", "amuont": 3}]})
    assert 'did you mean "amount"?' in response.json()["error"]["details"][1]["message"]


def test_amounts_at_the_limit_and_long_histories_are_predicted(service: Any) -> None:
    first = date(1990, 1, 1)
    orders = [{"ordered_at": (first + timedelta(days=day)).isoformat(), "amount": 1e9} for day in range(3000)]
    response = service.predict({"customer_id": "a", "orders": orders})
    assert response.status_code == 200
    answers.Predictions.model_validate(no_nan(response.text))


# ---------------------------------------------------------------------------------------------------------------- lists


def test_pages_follow_each_other_through_the_whole_list(service: Any) -> None:
    seen, cursor = [], None
    while True:
        page = service.get(
            "/v1/lists/churn-risk", params={"limit": 500, "include_gone": "true", **({"cursor": cursor} if cursor else {})}
        )
        document = answers.ChurnRiskPage.model_validate(no_nan(page.text))
        seen += document.customers
        cursor = document.next_cursor
        if cursor is None:
            break
    left_out = sum(document.plan.left_out.model_dump().values())
    assert [row.rank for row in seen] == list(range(1, 2358 - left_out))
    assert document.total == document.plan.contacts == len({row.customer_id for row in seen}) > 500
    assert all(one.value_at_risk >= other.value_at_risk for one, other in pairwise(seen))


def test_the_list_can_be_filtered(service: Any) -> None:
    page = service.get("/v1/lists/churn-risk", params={"tier": ["Gold", "Platinum"], "min_risk": "0.5"})
    document = answers.ChurnRiskPage.model_validate(page.json())
    assert {row.tier for row in document.customers} <= {"Gold", "Platinum"}
    assert min(row.churn_risk for row in document.customers) >= 0.5
    assert document.total < 2357


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("tier=Diamond", "query.tier"),
        ("min_risk=2", "query.min_risk"),
        ("min_risk=nan", "query.min_risk"),
        ("min_risk=", "query.min_risk"),
        ("min_risk=0.1&min_risk=0.2", "query.min_risk"),
        ("limit=0", "query.limit"),
        ("limit=1001", "query.limit"),
        ("limit=1e2", "query.limit"),
        ("cursor=xyz", "query.cursor"),
        ("cursor=", "query.cursor"),
        ("top=5", "query.top"),
        ("capacity=0", "query.capacity"),
        ("include_gone=yes", "query.include_gone"),
        ("save_rate=0", "query.save_rate"),
        ("holdout=0.6", "query.holdout"),
        ("holdout_seed=-1", "query.holdout_seed"),
        ("min_value=-1", "query.min_value"),
        ("budget_per_contact=1e13", "query.budget_per_contact"),
        ("contact_day=2011-02-30", "query.contact_day"),
        ("language=fr", "query.language"),
        ("tiers=Gold", "query.tiers"),
    ],
)
def test_strange_parameters_are_refused_with_their_names(service: Any, query: str, path: str) -> None:
    assert fault(service.get(f"/v1/lists/churn-risk?{query}")) == (400, "invalid_request", [path])


def test_the_list_comes_as_csv(service: Any) -> None:
    response = service.get("/v1/lists/churn-risk.csv?tier=Platinum")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == 'attachment; filename="churn-risk-1998-07-01.csv"'
    assert response.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(response.content.decode("utf-8-sig"))))
    whole = answers.ChurnRiskPage.model_validate(service.get("/v1/lists/churn-risk?tier=Platinum&limit=1000").json())
    assert [unguarded(row["customer_id"]) for row in rows] == [row.customer_id for row in whole.customers]
    assert len(rows) == whole.total > 50
    everyone = service.get("/v1/lists/churn-risk.csv").content.decode("utf-8-sig")
    assert len(list(csv.reader(io.StringIO(everyone)))) == 1 + service.get("/v1/lists/churn-risk?limit=1").json()["total"]
    assert not any(line.lstrip('"').startswith("=") for line in everyone.splitlines())


@pytest.mark.filterwarnings("ignore:.*extension is not supported:UserWarning")  # openpyxl, of data bars
def test_the_list_comes_as_a_workbook(service: Any) -> None:
    response = service.get("/v1/lists/churn-risk.xlsx?capacity=20")
    assert response.headers["content-type"] == "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    sheet = openpyxl.load_workbook(io.BytesIO(response.content)).worksheets[0]
    assert sheet.max_row == 21


@pytest.mark.parametrize("suffix", [".csv", ".xlsx"])
def test_files_refuse_what_pages_take(service: Any, suffix: str) -> None:
    assert fault(service.get(f"/v1/lists/churn-risk{suffix}?limit=5")) == (400, "invalid_request", ["query.limit"])
    assert fault(service.get(f"/v1/lists/churn-risk{suffix}?capacity=0")) == (400, "invalid_request", ["query.capacity"])
    assert fault(service.get(f"/v1/lists/churn-risk{suffix}?tier=Diamond")) == (400, "invalid_request", ["query.tier"])


# ------------------------------------------------------------------------------------------------------ tiers and model


def test_tiers_add_up(service: Any) -> None:
    view = answers.TiersView.model_validate(no_nan(service.get("/v1/tiers").text))
    assert [tier.tier for tier in view.tiers] == ["Platinum", "Gold", "Silver", "Bronze"]
    assert sum(tier.customers for tier in view.tiers) == view.customers == 2357
    assert sum(cell.customers for cell in view.movement) == 2357


def test_the_model_tells_where_its_tiers_begin(service: Any, state: Any) -> None:
    view = answers.ModelView.model_validate(no_nan(service.get("/v1/model").text))
    assert [tier.from_value for tier in view.tiers] == [*state.model.tiers.thresholds, None]
    assert (view.horizon_days, view.model_version) == (90, "1")


# ---------------------------------------------------------------------------------------------------------------- pages


def test_openapi_is_true_to_the_routes_and_refers_to_nothing_missing(service: Any) -> None:
    document = service.get("/openapi.json").json()
    assert document["openapi"] == "3.1.0"
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert service.ask(method, re.sub(r"{\w+}", "nobody", path)).status_code != 405
            for status, answer in operation["responses"].items():
                if int(status) >= 400:
                    assert answer["content"] == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


def test_the_pages_load_nothing_from_elsewhere(service: Any) -> None:
    page = service.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for loader in ("<script", "<link", "<img", "<iframe", "src=", "url(", "@import", "http://", "https://"):
        assert loader not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for path in service.get("/openapi.json").json()["paths"]:
        assert path in page.text


# ------------------------------------------------------------------------------------------------------------ readiness


def test_a_service_that_has_nothing_says_what_is_missing(serve: Any, tmp_path: Path, state: Any) -> None:
    def none_yet(_: Environment) -> Any:
        raise RegistryError("no champion yet: run foretier train")

    environment = Environment.read({"FORETIER_HOME": str(tmp_path)})
    with serve(state.settings_path, environment, none_yet) as service:
        service.wait_until(lambda: "no champion yet" in service.get("/readyz").text)
        assert service.get("/livez").json() == {"status": "ok"}
        ready = service.get("/readyz")
        assert fault(ready) == (503, "not_ready", [])
        assert ready.headers["retry-after"] == "2"
        assert "champion" not in service.get("/readyz", peer="10.0.0.9").json()["error"]["message"]
        assert fault(service.predict({"customer_id": "a", "orders": BOUGHT})) == (503, "not_ready", [])
        for path in (
            "/v1/customers/0188",
            "/v1/tiers",
            "/v1/model",
            "/v1/lists/churn-risk",
            "/v1/lists/churn-risk.csv",
            "/v1/changes",
        ):
            assert fault(service.get(path)) == (503, "not_ready", [])


def test_settings_that_cannot_be_read_are_named(serve: Any, tmp_path: Path) -> None:
    environment = Environment.read({"FORETIER_HOME": str(tmp_path)})
    with serve(tmp_path / "none.yaml", environment, lambda _: None) as service:
        service.wait_until(lambda: "none.yaml" in service.get("/readyz").text)


def test_a_run_of_another_horizon_is_not_ready(serve: Any, state: Any) -> None:
    champion = SimpleNamespace(version="2", model=replace(state.model, horizon_days=180))
    environment = Environment.read({"FORETIER_HOME": str(state.home)})
    with serve(state.settings_path, environment, lambda _: champion) as service:
        service.wait_until(lambda: "a model of 90 days and the champion is one of 180" in service.get("/readyz").text)
        assert service.get("/readyz").status_code == 503
        assert service.get("/v1/customers/0188").status_code == 200


def test_a_run_by_another_model_brings_its_champion(serve: Any, state: Any, tmp_path: Path) -> None:
    environment = Environment.read({"FORETIER_HOME": str(tmp_path)})
    champion = SimpleNamespace(version="1", model=state.model, metrics={})
    with Store(environment.store_url) as store, serve(state.settings_path, environment, lambda _: champion) as service:
        score(state.orders, AS_OF, state.model, store, Scoring("1", state.run.created_at))
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        champion = SimpleNamespace(version="2", model=replace(state.model, horizon_days=30), metrics={})
        score(state.orders, AS_OF, champion.model, store, Scoring("2", state.run.created_at))
        service.wait_until(lambda: service.get("/v1/model").json()["model_version"] == "2")
        service.wait_until(lambda: service.get("/v1/customers/0188").json()["model_version"] == "2")
        assert service.get("/readyz").status_code == 200


def test_a_fault_of_our_own_tells_nothing_and_logs_no_customer(serve: Any, state: Any, caplog: pytest.LogCaptureFixture) -> None:
    class Touchy:
        def __getattr__(self, name: str) -> Any:
            return getattr(state.model, name)

        def explain(self, features: Any, **how: Any) -> Any:
            if features["order_count"][0] > 2:
                raise ValueError(f"cannot predict {features['total_spend'][0]}")
            return state.model.explain(features, **how)

    environment = Environment.read({"FORETIER_HOME": str(state.home)})
    with serve(state.settings_path, environment, lambda _: SimpleNamespace(version="2", model=Touchy())) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        with caplog.at_level(logging.DEBUG):
            orders = [{"ordered_at": f"1998-05-0{day}", "amount": 4711.0} for day in (1, 2, 3)]
            response = service.predict({"customer_id": "secret-0815", "orders": orders})
    assert fault(response) == (500, "internal_error", [])
    for secret in ("secret-0815", "4711", "14133"):
        assert secret not in response.text + caplog.text
    assert "ValueError in " in caplog.text
    assert "explain" in caplog.text
