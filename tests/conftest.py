"""What several rooms test with: score stores and scores to fill them, the CDNOW sample, models trained on it."""

from __future__ import annotations

import json
import os
import random
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import hypothesis
import psycopg
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from configs.settings import Environment, Settings, parse_settings
from features.customers import feature_frame
from features.orders import Cleaned, clean_orders
from features.transactions import read_transactions
from models.fitting import TrainingSet, fit
from models.registry import open_tracking
from models.value_model import ValueModel
from serving.driver_words import HEADLINES
from serving.predictions import CustomerScore, Terms
from serving.store import ScoringRun, Store
from training.panel import Plan, snapshot, training_set
from training.pipeline import Trained, plan, train

hypothesis.settings.register_profile("untimed", deadline=None)  # machines are noisy: no test asserts a time
hypothesis.settings.load_profile("untimed")

POSTGRES_URL = os.environ.get("FORETIER_TEST_POSTGRES_URL", "postgresql+psycopg://postgres@127.0.0.1:5432/test")
TIERS = ("Platinum", "Gold", "Silver", "Bronze")
CREATED = datetime(2011, 6, 12, 4, 30, tzinfo=UTC)
SAMPLE_END = date(1998, 7, 1)
PASSWORD = "hunter2-of-the-shop"  # noqa: S105 (nobody's)

MakeScores = Callable[..., list[CustomerScore]]
Publish = Callable[..., ScoringRun]


@pytest.fixture(scope="session")
def postgres_server() -> str:
    """The address of a PostgreSQL to test with; skips where none answers."""
    plain = make_url(POSTGRES_URL).set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        psycopg.connect(plain, connect_timeout=3).close()
    except psycopg.OperationalError as error:
        pytest.skip(f"no PostgreSQL at FORETIER_TEST_POSTGRES_URL: {str(error).splitlines()[0]}")
    return POSTGRES_URL


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty store: a new SQLite file, and a new schema in PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'scores.db'}"
        return
    server, schema = make_url(request.getfixturevalue("postgres_server")), f"foretier_{uuid.uuid4().hex}"
    engine = sa.create_engine(server)
    with engine.begin() as connection:
        connection.execute(sa.schema.CreateSchema(schema))
    yield server.update_query_dict({"options": f"-csearch_path={schema}"}).render_as_string(hide_password=False)
    with engine.begin() as connection:
        connection.execute(sa.schema.DropSchema(schema, cascade=True))
    engine.dispose()


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store."""
    with Store(store_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def terms() -> Terms:
    """The terms of all generated scores."""
    return Terms(date(2011, 6, 12), 180, "GBP", "3")


@pytest.fixture(scope="session")
def make_scores() -> MakeScores:
    """Give a function that makes scores for these ids, different for every seed."""

    def make(ids: list[str], seed: int = 1) -> list[CustomerScore]:
        dice = random.Random(seed)
        return [_score(customer_id, dice) for customer_id in ids]

    return make


@pytest.fixture(scope="session")
def publish(terms: Terms) -> Publish:
    """Give a function that writes and publishes a run of these scores."""

    def run(store: Store, scores: list[CustomerScore], keep_runs: int = 12) -> ScoringRun:
        with store.writing(terms, tier_names=TIERS, created_at=CREATED) as writer:
            writer.add(scores)
            return writer.publish(keep_runs=keep_runs)

    return run


def _score(customer_id: str, dice: random.Random) -> CustomerScore:
    chance, value = dice.random(), dice.expovariate(1 / 200)
    tier, past = dice.choice(TIERS), dice.choice(TIERS)
    step = TIERS.index(past) - TIERS.index(tier)
    return CustomerScore(
        customer_id=customer_id,
        predicted_value=chance * value,
        purchase_probability=chance,
        churn_risk=1.0 - chance,
        value_if_active=value,
        value_at_risk=value * (1.0 - chance),
        tier=tier,
        past_spend_tier=past,
        movement="up" if step > 0 else "down" if step < 0 else "same",
        lifecycle_stage=dice.choice(["new", "active", "dormant", "lost"]),
        rfm_segment="Loyal",
        abc_class=dice.choice("ABC"),
        last_order_day=15137 - dice.randrange(1, 500),
        order_count=dice.randrange(1, 50),
        total_spend=dice.uniform(-50, 5000),
        drivers=_drivers(dice),
        value_low=0.25 * chance * value,
        value_high=2.5 * chance * value,
        tier_probability=dice.random(),
        uncertain=dice.random() < 0.5,
        expected_orders=2.0 * chance,
        expected_order_value=value / 2.0,
        next_order_day=dice.choice([None, 15137.0, 15500.0]),
        tier_by_value=tier,
        tier_since_day=15137 - dice.randrange(0, 100),
    )


def _drivers(dice: random.Random) -> str:
    def effects(size: float, decimals: int) -> list[tuple[str, float | None, float]]:
        rows = [(group, _headline(group, dice), round(dice.gauss(0, size), decimals)) for group in HEADLINES]
        return sorted(rows, key=lambda row: -abs(row[2]))

    averages = {"value": 200.123456789, "churn": 0.512345}
    return json.dumps({"average": averages, "value": effects(100, 4), "churn": effects(0.1, 6)}, separators=(",", ":"))


def _headline(group: str, dice: random.Random) -> float | None:
    limits = {"refunds": 1.0, "order_value": 90.0}
    if group == "rhythm":
        return dice.choice([None, 33.5])
    return dice.uniform(0, limits[group]) if group in limits else float(dice.randrange(1, 400))


@pytest.fixture(scope="session")
def sample_settings() -> Settings:
    """The 1/10 sample of CDNOW, whose ids run from 0001 to 2357; few rounds of boosting."""
    return parse_settings(
        {
            "source": {
                "path": "package:lifetimes/datasets/CDNOW_sample.txt",
                "format": "csv",
                "csv": {"delimiter": "|", "quote": "", "header": False, "column_names": ["line"]},
            },
            "columns": {
                "customer_id": "substr(line, 8, 4)",
                "ordered_at": "substr(line, 13, 8)",
                "items": "substr(line, 22, 2)",
                "amount": "substr(line, 25)",
            },
            "cleaning": {"date_format": "%Y%m%d", "exact_duplicates": "keep"},
            "currency": "USD",
            "horizon_days": 90,
            "training": {"boosting_rounds": 30},
        },
        where="the CDNOW sample",
    )


@pytest.fixture(scope="session")
def sample(sample_settings: Settings) -> Cleaned:
    """Its clean orders."""
    return clean_orders(read_transactions(sample_settings.source), sample_settings, today=SAMPLE_END)


@pytest.fixture(scope="session")
def sample_plan(sample: Cleaned, sample_settings: Settings) -> Plan:
    """Its cutoffs, which reach back over a year."""
    return plan(sample, sample_settings)


@pytest.fixture(scope="session")
def sample_training(sample: Cleaned, sample_plan: Plan) -> TrainingSet:
    """Everything that is known of it on its last day."""
    horizon = sample_plan.horizon_days
    snapshots = [snapshot(sample.orders, cutoff, horizon) for cutoff in sample_plan.final]
    return training_set(snapshots, feature_frame(sample.orders, sample_plan.as_of), sample_plan.as_of, horizon)


@pytest.fixture(scope="session")
def sample_model(sample_training: TrainingSet, sample_settings: Settings) -> ValueModel:
    """A model fitted on that."""
    return fit(sample_training, sample_settings)


NewHome = Callable[[], Path]


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> NewHome:
    """Give a function that makes a state folder with an empty registry: MLflow takes seconds to set one up, once."""
    template = tmp_path_factory.mktemp("registry")
    open_tracking(Environment.read({"FORETIER_HOME": str(template)}))

    def make() -> Path:
        home = tmp_path_factory.mktemp("home")
        shutil.copy(template / "mlflow.db", home)
        return home

    return make


@dataclass(frozen=True)
class TrainedHome:
    """A state folder in which the sample was trained twice, with a password among the settings."""

    environment: Environment
    settings: Settings
    runs: tuple[Trained, Trained]


@pytest.fixture(scope="session")
def trained_home(sample: Cleaned, sample_settings: Settings, new_home: NewHome) -> TrainedHome:
    """Two real training runs in one real registry."""
    environment = Environment.read({"FORETIER_HOME": str(new_home())})
    raw = sample_settings.model_dump(mode="json") | {
        "source": {"url": f"postgresql://reader:{PASSWORD}@db.example/shop", "table": "orders"},
        "training": {"boosting_rounds": 10, "max_cutoffs": 8},
    }
    settings = parse_settings(raw, where="test", variables={})
    first, second = (train(sample, settings, environment, plan(sample, settings), at=CREATED) for _ in range(2))
    return TrainedHome(environment, settings, (first, second))
