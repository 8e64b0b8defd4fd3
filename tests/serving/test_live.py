"""What is served follows what is published and promoted, whole, and stays when the newer one is no good."""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from configs.days import day_number
from configs.errors import RegistryError
from configs.settings import Environment
from models.bundle import Origin, save_bundle
from models.registry import find_version, move_champion, open_tracking, register_bundle
from models.value_model import ValueModel
from serving.live import from_registry
from serving.scoring import Scoring, score
from serving.store import Store

AS_OF = date(1998, 7, 1)
BOUGHT = {"customer_id": "somebody", "orders": [{"ordered_at": "1998-05-01", "amount": 20.0}]}


def times(model: ValueModel, factor: float) -> ValueModel:
    """The same model, whose values are so many times as high."""
    blend = replace(model.blend, two_part=model.blend.two_part * factor, btyd=model.blend.btyd * factor)
    return replace(model, blend=blend)


def publish(state: Any, environment: Environment, model: ValueModel, version: str) -> None:
    with Store(environment.store_url) as store:
        score(state.orders, AS_OF, model, store, Scoring(version, state.run.created_at, keep_runs=1))


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    """A home with nothing in it."""
    return Environment.read({"FORETIER_HOME": str(tmp_path)})


def served(service: Any) -> str:
    return str(service.get("/v1/model").json().get("model_version"))


def faults(service: Any) -> list[str]:
    return list(service.get("/readyz").json().get("faults", []))


def test_a_promoted_champion_is_served_without_a_new_run(serve: Any, state: Any, environment: Environment) -> None:
    champion = SimpleNamespace(version="1", model=state.model, metrics={})
    publish(state, environment, state.model, "1")
    with serve(state.settings_path, environment, lambda _: champion) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        before = service.predict(BOUGHT).json()["predictions"][0]
        champion = SimpleNamespace(version="2", model=times(state.model, 2.0), metrics={})
        service.wait_until(lambda: served(service) == "2")
        after = service.predict(BOUGHT).json()["predictions"][0]
        assert after["predicted_value"] == pytest.approx(2.0 * before["predicted_value"])
        assert service.get("/v1/customers/0188").json()["model_version"] == "1"
        assert service.get("/readyz").json() == {"status": "ok", "faults": []}


def test_a_registry_that_is_away_changes_nothing(serve: Any, state: Any, environment: Environment) -> None:
    away = False

    def load(_: Environment) -> Any:
        if away:
            raise RegistryError("the model registry cannot be reached")
        return SimpleNamespace(version="1", model=state.model, metrics={})

    publish(state, environment, state.model, "1")
    with serve(state.settings_path, environment, load) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        away = True
        service.wait_until(lambda: faults(service) != [])
        assert service.get("/readyz").json() == {
            "status": "degraded", "faults": ["the model registry cannot be reached; version 1 is served on"],
        }  # fmt: skip
        assert service.get("/readyz", peer="10.0.0.9").json() == {"status": "degraded", "faults": ["registry"]}
        assert service.predict(BOUGHT).status_code == 200
        away = False
        service.wait_until(lambda: faults(service) == [])


def test_a_champion_of_another_horizon_waits_for_its_run(serve: Any, state: Any, environment: Environment) -> None:
    champion = SimpleNamespace(version="1", model=state.model, metrics={})
    publish(state, environment, state.model, "1")
    with serve(state.settings_path, environment, lambda _: champion) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        champion = SimpleNamespace(version="2", model=replace(state.model, horizon_days=30), metrics={})
        service.wait_until(lambda: faults(service) != [])
        assert "champion version 2 waits: the published run is by a model of 90 days" in faults(service)[0]
        assert served(service) == "1"
        publish(state, environment, champion.model, "2")
        seen = ("1", "1")
        while seen != ("2", "2"):
            seen = (served(service), service.get("/v1/customers/0188").json()["model_version"])
            assert seen != ("2", "1")
        assert faults(service) == []


def test_a_model_that_cannot_predict_is_not_served(serve: Any, state: Any, environment: Environment) -> None:
    broken = replace(state.model, two_part=replace(state.model.two_part, inputs=("no", "such", "inputs")))
    champion = SimpleNamespace(version="1", model=state.model, metrics={})
    publish(state, environment, state.model, "1")
    with serve(state.settings_path, environment, lambda _: champion) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        champion = SimpleNamespace(version="2", model=broken, metrics={})
        service.wait_until(lambda: faults(service) != [])
        assert faults(service)[0].startswith("champion version 2 cannot predict (")
        assert faults(service)[0].endswith("version 1 is served on")
        assert service.predict(BOUGHT).json()["predictions"][0]["model_version"] == "1"


@pytest.mark.filterwarnings("ignore")  # MLflow's own
def test_a_damaged_bundle_is_not_served_and_a_mended_one_is(
    serve: Any, state: Any, tmp_path: Path, new_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.live.DAMAGED_SECONDS", 0.2)
    environment = Environment.read({"FORETIER_HOME": str(new_home())})
    client = open_tracking(environment)
    experiment = client.create_experiment("test", artifact_location=(tmp_path / "artifacts").as_uri())
    for factor in (1.0, 2.0):
        origin = Origin(day_number(AS_OF), (10000,), "0" * 64, state.settings.model_dump(mode="json"), {})
        save_bundle(times(state.model, factor), origin, tmp_path / f"bundle-{factor}")
        run = client.create_run(experiment).info.run_id
        client.log_artifacts(run, str(tmp_path / f"bundle-{factor}"), "bundle")
        register_bundle(client, environment, run)
    move_champion(client, environment, "1")
    publish(state, environment, state.model, "1")
    with serve(state.settings_path, environment, from_registry(environment)) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200, 30.0)
        logged = Path(find_version(client, environment, "2").source.removeprefix("file://"))
        text = (logged / "value.txt").read_text()
        (logged / "value.txt").write_text(text[: len(text) // 2])
        move_champion(client, environment, "2")
        service.wait_until(lambda: faults(service) != [], 30.0)
        assert faults(service)[0].startswith("champion version 2 cannot be used: ")
        assert f"{logged}/value.txt is not the file that was written" in faults(service)[0]
        assert (served(service), service.predict(BOUGHT).status_code) == ("1", 200)
        move_champion(client, environment, "1")
        service.wait_until(lambda: faults(service) == [], 30.0)
        move_champion(client, environment, "2")
        service.wait_until(lambda: faults(service) != [], 30.0)
        (logged / "value.txt").write_text(text)
        service.wait_until(lambda: served(service) == "2", 30.0)
        assert faults(service) == []
    shutil.rmtree(environment.home)


def test_answers_never_mix_generations(serve: Any, state: Any, environment: Environment) -> None:
    """Lookups, predictions and lists while runs and champions change: each is of one version, and of what was published."""
    factors = {str(number): 1.0 + number for number in range(4)}
    models = {version: times(state.model, factor) for version, factor in factors.items()}
    champion = SimpleNamespace(version="0", model=models["0"], metrics={})
    publish(state, environment, models["0"], "0")
    done = threading.Event()

    def swap() -> None:
        nonlocal champion
        for version in list(factors)[1:]:
            publish(state, environment, models[version], version)
            champion = SimpleNamespace(version=version, model=models[version], metrics={})
            time.sleep(0.3)
        done.set()

    with serve(state.settings_path, environment, lambda _: champion) as service:
        service.wait_until(lambda: service.get("/readyz").status_code == 200)
        base = service.get("/v1/customers/0188").json()["predicted_value"] / factors["0"]
        asked = service.predict(BOUGHT).json()["predictions"][0]["predicted_value"] / factors["0"]
        listed = service.get("/v1/lists/churn-risk?limit=1").json()["customers"][0]
        swapping, seen, requests = threading.Thread(target=swap), set(), 0
        swapping.start()
        while not done.is_set() or seen != set(factors):
            found = service.get("/v1/customers/0188").json()
            [fresh] = service.predict(BOUGHT).json()["predictions"]
            page = service.get("/v1/lists/churn-risk?limit=1000").json()
            assert found["predicted_value"] == pytest.approx(base * factors[found["model_version"]])
            assert fresh["predicted_value"] == pytest.approx(asked * factors[fresh["model_version"]])
            value = next(row["predicted_value"] for row in page["customers"] if row["customer_id"] == listed["customer_id"])
            assert value == pytest.approx(listed["predicted_value"] * factors[page["model_version"]])
            seen |= {found["model_version"]} & {fresh["model_version"]}
            requests += 3
        swapping.join()
        assert requests > 10
