"""Proof, on every training run, that what the model learns from knows nothing of the future.

Three checks on some of the cutoffs a model is fitted on, cheap enough to be part of every run:

1. ``check_features``: features as of the cutoff, computed again from orders of which everything from the cutoff on was cut
   off, equal those that are learned from, to the last bit. A refund that was taken off an earlier order, a mean over the
   whole history, a column copied from the outcome: all of them differ.
2. ``check_customers``: who is learned from has a purchase before the cutoff; where not everybody is taken, whether somebody was
   taken has nothing to do with what happened next.
3. ``check_inputs``: no single input tells the outcome better than anything known at the cutoff could.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import fisher_exact, mannwhitneyu, rankdata

from configs.days import date_of
from configs.errors import LeakError
from features.customers import feature_frame
from features.netting import HISTORY_COLUMNS, net_orders
from training.figures import written
from training.panel import Snapshot, outcomes
from training.told import Told

Floats = npt.NDArray[np.float64]
Orders = nw.LazyFrame[Any]

CHECKED_CUSTOMERS = 2_000
FALSE_ALARM = 1e-6
"""How often a sample taken at random is called one taken by the future."""
FEWEST_OF_EACH = 50
"""Fewer buyers, or fewer others, say too little of an input."""
CLOSER_BY = 4.0
"""How much nearer to certainty than the best honest feature an input may come. On every cutoff of CDNOW, Online Retail II and
Complete Journey the best feature of one driver group is nearer than the best of all others by at most 1.2 times, and a
boosted model of all features than the best alone by at most 1.1 times: one more honest input does not come four times nearer."""
NAMED = 5
SUSPICIOUS = 0.98
"""Above this, even an honest feature is worth a look: clockwork customers, or a source that was written afterwards."""


@dataclass(frozen=True)
class InputPower:
    """How well one input alone ranks the outcome, 0.5 (says nothing) to 1 (certain), in whichever direction is better.

    ``purchase``: AUC of telling buyers from others. ``value``: (1 + absolute Spearman's rank correlation with the value of the
    buyers) / 2.
    """

    name: str
    purchase: float
    value: float


@dataclass(frozen=True)
class InputReport:
    """The input that says most of purchase and the one that says most of value, each with the limit it stays under."""

    best_purchase: InputPower
    best_value: InputPower
    purchase_limit: float
    value_limit: float


@dataclass(frozen=True)
class LeakReport:
    """What was checked and found free of leaks: cutoffs (integer days) and rows.

    ``inputs`` is that of the latest cutoff; None: too few buyers, or others, to judge inputs by.
    """

    cutoffs: tuple[int, ...]
    rows: int
    inputs: InputReport | None

    @property
    def sentence(self) -> str:
        """The report in one sentence, in English."""
        return self.told.en

    @property
    def suspicion(self) -> Told | None:
        """What is worth a look, though it may well be honest; None: nothing is."""
        if self.inputs is None or self.inputs.best_purchase.purchase <= SUSPICIOUS:
            return None
        one = self.inputs.best_purchase
        return Told(
            f"{one.name} alone tells buyers from others almost without fault (AUC {one.purchase:.3f}): right if customers come "
            "like clockwork; else look whether the source was written after the fact, such as amounts corrected backwards",
            f"仅凭 {one.name} 就几乎能准确区分谁会下单（AUC {one.purchase:.3f}）：如果客户像钟表一样规律，这是对的；"
            "否则请检查数据源是否事后改写过，例如回溯更正的金额",
        )

    @property
    def told(self) -> Told:
        """The report in one sentence."""
        days = [str(date_of(cutoff)) for cutoff in self.cutoffs]
        told = Told(
            f"No leak from the future: {self.rows:,} rows as of {' and '.join(days)}, computed again from what was known then, "
            "are equal{}.",
            f"没有未来信息泄漏：截至 {' 和 '.join(days)} 的 {self.rows:,} 行，只用当时已知的数据重算，结果完全一致{{}}。",
        )
        if self.inputs is None:
            return told.filled(Told("", ""))
        one, limit = self.inputs.best_purchase, self.inputs.purchase_limit
        best = Told(
            f"; the best single input ({one.name}) has an AUC of {one.purchase:.3f}, the limit is {limit:.3f}",
            f"；最强的单个输入（{one.name}）的 AUC 为 {one.purchase:.3f}，上限为 {limit:.3f}",
        )
        return told.filled(best)


def check_leaks(
    orders: Orders,
    snapshots: Sequence[Snapshot],
    horizon_days: int,
    *,
    seed: int,
    known: Callable[[int], Orders] | None = None,
) -> LeakReport:
    """Run all checks on the earliest and the latest of ``snapshots`` (at least one), as they are fitted on: whole or sampled.

    ``orders`` are the canonical orders of the whole log. ``known(cutoff)`` gives the canonical orders as cleaned of raw rows
    before the cutoff only; by default ``orders`` are cut off and netted again, which needs no second look at the source.
    Raises LeakError: what leaks, where, and what to do.
    """
    by_cutoff = {one.cutoff: one for one in snapshots}
    cutoffs = tuple(sorted({min(by_cutoff), max(by_cutoff)}))
    rows, inputs = 0, None
    for one in (by_cutoff[cutoff] for cutoff in cutoffs):
        before = known(one.cutoff) if known is not None else known_before(orders, one.cutoff)
        honest = check_features(one, before, seed=seed)
        check_customers(one, orders, before, horizon_days)
        inputs = check_inputs(one, honest)
        rows += len(honest)
    return LeakReport(cutoffs, rows, inputs)


def known_before(orders: Orders, cutoff: int) -> Orders:
    """Canonical orders made of those before ``cutoff`` alone: netted again, the past beside each order computed again."""
    return net_orders(orders.filter(nw.col("order_day") < cutoff).drop(*HISTORY_COLUMNS))


def check_features(one: Snapshot, known: Orders, *, seed: int) -> pd.DataFrame:
    """Compute the features of a sample of the snapshot's customers again, from ``known``, and return them.

    ``known`` are canonical orders as known at the cutoff; whatever they hold from the cutoff on is left out.
    Raises LeakError: a feature of the snapshot is another one, or a customer is not known.
    """
    customers = _sample(one.features.index, seed)
    before = known.filter(nw.col("order_day") < one.cutoff, nw.col("customer_id").is_in(list(customers)))
    honest = feature_frame(before, one.cutoff)
    if len(honest) < len(customers):
        raise LeakError(_unknown(len(customers) - len(honest), len(customers), one.cutoff))
    learned = one.features.loc[honest.index]
    same = learned[list(honest.columns)].to_numpy(np.float64), honest.to_numpy(np.float64)
    differs = ~((same[0] == same[1]) | (np.isnan(same[0]) & np.isnan(same[1])))
    if differs.any():
        names = [name for name, wrong in zip(honest.columns, differs.any(axis=0), strict=True) if wrong]
        raise LeakError(
            f"as of {date_of(one.cutoff)}, {differs.any(axis=1).sum():,} of {len(honest):,} customers have other features once "
            f"everything from that day on is left out, in {_some(names)}: these columns know what came later. Compute them "
            "from orders before the cutoff only (features.customers.feature_frame), and leave a refund on its own day instead of "
            "taking it off an earlier order"
        )
    return honest


def check_customers(one: Snapshot, orders: Orders, known: Orders, horizon_days: int) -> None:
    """Check that the customers of the snapshot are those known at its cutoff, or a sample of them that is blind to the future.

    Raises LeakError: somebody had no purchase before the cutoff; or buyers of the horizon, or those who spent more in it, are
    in the snapshot more often than chance allows (Fisher's exact test, Mann-Whitney's test).
    """
    before = known.filter(nw.col("order_day") < one.cutoff, nw.col("amount") >= 0).select("customer_id").unique()
    everybody = pd.Index(before.collect(backend="pyarrow").to_native()["customer_id"].to_pylist(), dtype="str").sort_values()
    strangers = ~one.features.index.isin(everybody)
    if strangers.any():
        raise LeakError(_unknown(int(strangers.sum()), len(strangers), one.cutoff))
    taken = everybody.isin(one.features.index)
    if taken.all():
        return
    active, value = outcomes(orders, everybody, one.cutoff, horizon_days)
    table = [[int((active[rows] > 0).sum()), int((active[rows] == 0).sum())] for rows in (taken, ~taken)]
    chance = min(float(fisher_exact(table).pvalue), float(mannwhitneyu(value[taken], value[~taken]).pvalue))
    if chance < FALSE_ALARM:
        share = [bought / (bought + left) for bought, left in table]
        raise LeakError(
            f"as of {date_of(one.cutoff)}, {taken.sum():,} of {len(taken):,} known customers are learned from; "
            f"{written(share[0], '.1%')} of them bought in the {horizon_days} days that followed, but "
            f"{written(share[1], '.1%')} of the others (chance {chance:.0e}): "
            "they were chosen by what they did later. Take all customers, or draw by lot (training.panel.sampled)"
        )


def check_inputs(one: Snapshot, honest: pd.DataFrame) -> InputReport | None:
    """Compare each input of the snapshot with the best honest one; None: fewer than ``FEWEST_OF_EACH`` buyers, or others.

    ``honest`` are the features of the same customers, or of a sample, out of what was known. The best of them sets the limit: an
    input that comes ``CLOSER_BY`` times nearer to certainty than that is no longer explained by what could be known.
    Raises LeakError: an input of the snapshot is above the limit.
    """
    rows = one.features.index.get_indexer(honest.index)
    active, value = one.active[rows], one.value[rows]
    if min((active > 0).sum(), (active == 0).sum()) < FEWEST_OF_EACH:
        return None
    learned, known = _powers(one.features.iloc[rows], active, value), _powers(honest, active, value)
    report = InputReport(
        best_purchase=max(learned, key=lambda power: power.purchase),
        best_value=max(learned, key=lambda power: power.value),
        purchase_limit=_limit(max(power.purchase for power in known)),
        value_limit=_limit(max(power.value for power in known)),
    )
    if report.best_purchase.purchase > report.purchase_limit:
        best, said = report.best_purchase.name, _too_good(report.best_purchase.purchase, report.purchase_limit)
        raise LeakError(f"as of {date_of(one.cutoff)}, the input {best} alone tells buyers from others of the horizon {said}")
    if report.best_value.value > report.value_limit:
        best, said = report.best_value.name, _too_good(report.best_value.value, report.value_limit)
        raise LeakError(f"as of {date_of(one.cutoff)}, the input {best} alone ranks what buyers spend in the horizon {said}")
    return report


def _too_good(power: float, limit: float) -> str:
    return (
        f"with {power:.3f} (1 is certainty, 0.5 says nothing), where nothing known that day comes above {limit:.3f}: it was "
        "made of the outcome. Leave it out, or compute it from orders before the cutoff"
    )


def _sample(customers: pd.Index[str], seed: int) -> pd.Index[str]:
    if len(customers) <= CHECKED_CUSTOMERS:
        return customers
    return customers[np.sort(np.random.default_rng(seed).choice(len(customers), CHECKED_CUSTOMERS, replace=False))]


def _unknown(strangers: int, customers: int, cutoff: int) -> str:
    return (
        f"as of {date_of(cutoff)}, {strangers:,} of {customers:,} customers that are learned from have no purchase before that "
        "day: nobody could have known them. Take the customers of features.customers.feature_frame"
    )


def _limit(best: float) -> float:
    """The power above which an input is implausible, where the best honest one has ``best``."""
    return 1.0 - (1.0 - best) / CLOSER_BY


def _powers(inputs: pd.DataFrame, active: Floats, value: Floats) -> list[InputPower]:
    buyers = active > 0
    return [
        InputPower(str(name), _auc(column, buyers), 0.5 + 0.5 * abs(_correlation(column[buyers], value[buyers])))
        for name, column in zip(inputs.columns, inputs.to_numpy(np.float64).T, strict=True)
    ]


def _auc(column: Floats, happened: npt.NDArray[np.bool_]) -> float:
    """Area under the ROC curve in the better direction; missing ranks lowest, as good as any place."""
    ranks = rankdata(np.nan_to_num(column, nan=-np.inf, posinf=np.inf, neginf=-np.inf))
    yes, no = int(happened.sum()), int((~happened).sum())
    area = (float(ranks[happened].sum()) - yes * (yes + 1) / 2.0) / (yes * no)
    return max(area, 1.0 - area)


def _correlation(column: Floats, value: Floats) -> float:
    """Spearman's rank correlation; 0 where one of both is constant."""
    ranks = rankdata(np.nan_to_num(column, nan=-np.inf, posinf=np.inf, neginf=-np.inf)), rankdata(value)
    if min(np.ptp(ranks[0]), np.ptp(ranks[1])) == 0.0:
        return 0.0
    return float(np.corrcoef(*ranks)[0, 1])


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
