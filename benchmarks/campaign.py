"""A campaign replayed on Online Retail II with a contact effect of known size, found again within its interval or not.

    python benchmarks/campaign.py [--draws 200] [--retail FILE]

As of a past day a model is fitted on what was known then, and a list is drawn with a hold-out group, as ``foretier score`` and
``foretier list churn-risk --save`` do it. What the customers did next is known. Of those contacted who bought nothing in the
window, a seeded share buys after all, for what a buyer of the same tier spent: these orders are added to the log, and
``foretier campaign measure`` looks at it. Again and again, with another hold-out group and other customers brought back.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]

import narwhals as nw  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import polars as pl  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402

from configs.days import day_number  # noqa: E402
from configs.settings import load_settings  # noqa: E402
from features.customers import feature_frame  # noqa: E402
from features.orders import read_orders  # noqa: E402
from models.fitting import fit  # noqa: E402
from serving.campaign_measure import Comparison, Effect, measure  # noqa: E402
from serving.campaign_report import campaign_table  # noqa: E402
from serving.campaigns import save_campaign  # noqa: E402
from serving.holdout import Draw  # noqa: E402
from serving.list_plan import Plan  # noqa: E402
from serving.lists import contact_list  # noqa: E402
from serving.scoring import Scoring, score  # noqa: E402
from serving.store import Campaign, Member, Store  # noqa: E402
from training.panel import snapshot, training_cutoffs, training_set  # noqa: E402

RETAIL = ROOT.parent / "shared" / "data" / "online_retail_II.parquet"
AS_OF, HORIZON_DAYS = date(2011, 6, 1), 90
CAPACITY, HOLDOUT, RATES = 1_200, 0.25, (0.0, 0.1, 0.2)
AT = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Replay:
    """A campaign of the past, and what really happened: the orders of its customers in the window, contact or not."""

    campaign: Campaign
    members: list[Member]
    orders: pl.DataFrame
    bought: dict[str, float]


@dataclass(frozen=True)
class Found:
    """The effect that was put in, and what was measured."""

    rate: float
    retention: float
    value: float
    measured: Comparison

    def held(self) -> tuple[bool, bool]:
        """Whether the intervals of retention and value hold the effect."""
        return _holds(self.measured.retention, self.retention), _holds(self.measured.value, self.value)


def _holds(effect: Effect | None, truth: float) -> bool:
    return effect is not None and effect.low <= truth <= effect.high


def replay(retail: Path, *, boosting_rounds: int = 150, max_cutoffs: int = 12) -> Replay:
    """Fit, score and draw the list as of the past day."""
    settings = load_settings(ROOT / "configs" / "online_retail.yaml", orders=str(retail))
    training = settings.training.model_copy(update={"boosting_rounds": boosting_rounds, "max_cutoffs": max_cutoffs})
    settings = settings.model_copy(update={"training": training, "horizon_days": HORIZON_DAYS})
    cleaned, day = read_orders(settings, today=date(2026, 1, 1)), day_number(AS_OF)
    known = cleaned.orders.filter(nw.col("order_day") < day)
    cutoffs = training_cutoffs(day - HORIZON_DAYS, cleaned.report.first_order_day, training)
    snapshots = [snapshot(known, cutoff, HORIZON_DAYS) for cutoff in cutoffs]
    model = fit(training_set(snapshots, feature_frame(known, day), day, HORIZON_DAYS), settings)
    with tempfile.TemporaryDirectory() as folder, Store(f"sqlite:///{folder}/scores.db") as store:
        score(known, AS_OF, model, store, Scoring("1", AT))
        of = contact_list(store, settings, Plan(capacity=CAPACITY, holdout=HOLDOUT, holdout_seed=1, save_rate=0.1))
        campaign, members = store.members(save_campaign(store, of, "spring", at=AT).name)
    ids = [member.customer_id for member in members]
    window = cleaned.orders.filter(nw.col("order_day") >= day, nw.col("order_day") < day + HORIZON_DAYS)
    rows = (
        window.select("customer_id", "order_day", amount=nw.col("amount").cast(nw.Float64)).collect(backend="polars").to_native()
    )
    orders = rows.filter(pl.col("customer_id").is_in(ids))
    bought = orders.filter(pl.col("amount") >= 0).group_by("customer_id").agg(pl.col("amount").sum())
    return Replay(campaign, members, orders, dict(bought.iter_rows()))


def draws(played: Replay, rate: float, number: int) -> Iterator[Found]:
    """Contact again and again: another hold-out group, and other customers brought back by ``rate``."""
    for seed in range(number):
        yield contacted(played, rate, seed)


def contacted(played: Replay, rate: float, seed: int) -> Found:
    """Deal the groups by this seed, bring customers back, and measure; the truth is what contact changes in the mean."""
    rng, draw = np.random.default_rng(seed), Draw(HOLDOUT, seed)
    members = [replace(one, held_out=draw.holds_out(one.customer_id)) for one in played.members]
    frame = pd.DataFrame({"id": [one.customer_id for one in members], "tier": [one.tier for one in members]})
    frame["bought"] = frame["id"].isin(list(played.bought))
    frame["back"] = ~frame["bought"] & (rng.random(len(frame)) < rate)
    buyers = (
        frame[frame["bought"]].assign(spent=lambda table: table["id"].map(played.bought)).groupby("tier")["spent"].apply(list)
    )
    frame["spends"] = [rng.choice(buyers[tier]) if back else 0.0 for tier, back in zip(frame["tier"], frame["back"], strict=True)]
    held_out = np.array([one.held_out for one in members])
    added = frame[frame["back"] & ~held_out]
    days = day_number(AS_OF) + rng.integers(0, HORIZON_DAYS, len(added))
    extra = pl.DataFrame({"customer_id": added["id"].tolist(), "order_day": days, "amount": added["spends"].tolist()})
    orders: nw.LazyFrame[Any] = nw.from_native(pl.concat([played.orders, extra.cast(played.orders.schema)]).lazy())  # type: ignore[arg-type]
    campaign = replace(played.campaign, contacts=int((~held_out).sum()), held_out=int(held_out.sum()))
    found = measure(campaign, members, orders, date(2026, 1, 1))
    return Found(rate, float(frame["back"].mean()), float(frame["spends"].mean()), found.overall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--retail", type=Path, default=RETAIL)
    asked = parser.parse_args()
    screen = Console()
    played = replay(asked.retail)
    table = Table(
        title=f"{len(played.members):,} customers of Online Retail II as of {AS_OF}, {asked.draws} draws, a quarter held out"
    )
    heads = (
        "Save rate",
        "True, points",
        "Measured, mean",
        "Interval holds it",
        "True, GBP each",
        "Measured, mean",
        "Interval holds it",
    )
    for head in (*heads, "Shown to work"):
        table.add_column(head, justify="right")
    for rate in RATES:
        found = list(draws(played, rate, asked.draws))
        held = np.array([one.held() for one in found]).mean(axis=0)
        truth = np.array([(one.retention, one.value) for one in found]).mean(axis=0)
        estimates = [
            [effect.estimate for one in found if (effect := getattr(one.measured, what)) is not None]
            for what in ("retention", "value")
        ]
        works = np.mean([one.measured.verdict == "works" for one in found])
        table.add_row(
            f"{rate:.0%}", f"{100 * truth[0]:.1f}", f"{100 * np.mean(estimates[0]):.1f}", f"{held[0]:.1%}",
            f"{truth[1]:.1f}", f"{np.mean(estimates[1]):.1f}", f"{held[1]:.1%}", f"{works:.0%}",
        )  # fmt: skip
    screen.print(table)
    without = measure(played.campaign, played.members, nw.from_native(played.orders.lazy()), date(2026, 1, 1))
    screen.print("", "As it was, nobody contacted:", campaign_table(without))


if __name__ == "__main__":
    main()
