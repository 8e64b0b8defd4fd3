"""What the backtest report says in words: which simple rule is best, what a manager should know, and who was right on whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from training.backtest import Backtest, CandidateSummary, Estimate
from training.backtest_charts import Colour
from training.backtest_report_markup import PERCENT, share
from training.backtest_report_words import EN_VERDICT, VerdictWords
from training.candidates import NAIVE, PERFECT, SERVED, SILENCE
from training.evaluation_rows import Evaluation

RULES = (*NAIVE, SILENCE)
CLOSE = 0.005
"""Figures nearer to each other than this are told apart by nobody."""


@dataclass(frozen=True)
class Moved:
    """Customers of one past-spend tier in one predicted tier, all origins together, and what they spent (currency)."""

    customers: int
    realised_value: float

    @property
    def each(self) -> float | None:
        """Realised value per customer."""
        return self.realised_value / self.customers if self.customers else None


def is_rule(candidate: str) -> bool:
    """Whether a candidate needs no model."""
    return candidate in RULES


def best_rule(backtest: Backtest, metric: str = "capture_10") -> CandidateSummary | None:
    """The simple rule that ranks value best; if not said otherwise, by what its best-ranked tenth held."""
    return _best(backtest.value, metric)


def best_churn_rule(backtest: Backtest) -> CandidateSummary | None:
    """The simple rule that tells best who leaves."""
    return _best(backtest.churn, "auc")


def summary(rows: Sequence[CandidateSummary], candidate: str) -> CandidateSummary | None:
    """One candidate's summary, where it took part."""
    return next((row for row in rows if row.candidate == candidate), None)


def estimate(row: CandidateSummary | None, metric: str) -> Estimate | None:
    """One figure, where it is known."""
    return None if row is None else row.metrics.get(metric)


def colour_of(candidate: str) -> Colour:
    """The colour of a candidate in every chart."""
    if candidate in (SERVED, PERFECT):
        return "served" if candidate == SERVED else "perfect"
    return "rule" if is_rule(candidate) else "other"


def predicted_total(evaluation: Evaluation) -> float:
    """What all customers of one origin were predicted to spend together."""
    return (evaluation.served.total_bias or 0.0) * evaluation.realised_value


def tier_names(backtest: Backtest) -> tuple[str, ...]:
    """Tiers, best first."""
    return tuple(row.tier for row in backtest.tiers)


def summed_movement(backtest: Backtest) -> dict[tuple[str, str], Moved]:
    """Customers by (past-spend tier, predicted tier), all origins together."""
    found: dict[tuple[str, str], Moved] = {}
    for one in (one for origin in backtest.origins for one in origin.movement):
        known = found.get((one.past_spend_tier, one.tier), Moved(0, 0.0))
        found[one.past_spend_tier, one.tier] = Moved(known.customers + one.customers, known.realised_value + one.realised_value)
    return found


def reclassified(backtest: Backtest, to: Literal["higher", "lower"]) -> tuple[int, float] | None:
    """How many customers the model puts into a tier above (below) their past-spend tier, and how much each of them spent.

    The amount is a multiple of what those spent whom the model leaves in the very same past-spend tiers. None: nobody to compare.
    """
    moved, names = summed_movement(backtest), tier_names(backtest)
    customers, spent, alike = 0, 0.0, 0.0
    for place, past in enumerate(names):
        stayed = moved.get((past, past), Moved(0, 0.0)).each
        beyond = names[:place] if to == "higher" else names[place + 1 :]
        for one in (moved[past, tier] for tier in beyond if (past, tier) in moved):
            if stayed is not None:
                customers, spent, alike = customers + one.customers, spent + one.realised_value, alike + one.customers * stayed
    return (customers, spent / alike) if customers and alike > 0.0 else None


def mean_bias(backtest: Backtest) -> float:
    """By how much the totals of the origins were off, on average, whichever way."""
    return sum(abs((one.served.total_bias or 0.0) - 1.0) for one in backtest.origins) / len(backtest.origins)


def compared(ours: float, theirs: float, words: VerdictWords = EN_VERDICT) -> str:
    """Say which of two is more.

    >>> compared(0.62, 0.58), compared(0.58, 0.62), compared(0.601, 0.6)
    ('more than', 'less than', 'as much as')
    """
    if abs(ours - theirs) < CLOSE:
        return words.as_much
    return words.more if ours > theirs else words.less


def ranged(found: Estimate, words: VerdictWords = EN_VERDICT) -> str:
    r"""Say a share with its 90 % interval.

    >>> ranged(Estimate(0.62, 0.604, 0.637))
    '62\xa0% (90\xa0% interval 60 to 64\xa0%)'
    """
    return words.ranged.format(share(found.value), share(found.low).removesuffix(PERCENT), share(found.high))


def _best(rows: Sequence[CandidateSummary], metric: str) -> CandidateSummary | None:
    rules: Mapping[str, CandidateSummary] = {
        row.candidate: row for row in rows if is_rule(row.candidate) and metric in row.metrics
    }
    return max(rules.values(), key=lambda row: row.metrics[metric].value, default=None)
