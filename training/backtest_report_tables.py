"""The chapters of the backtest report that are tables first: who moves, hard customers, and all candidates side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from xml.etree.ElementTree import Element

from training.backtest import Backtest, CandidateSummary, Estimate
from training.backtest_charts import Ranged, range_chart, round_axis
from training.backtest_report_findings import Moved, colour_of, reclassified, summed_movement, tier_names
from training.backtest_report_markup import (
    NO_NUMBER,
    PERCENT,
    Child,
    amount,
    beside,
    chapter,
    element,
    figure,
    folded,
    money,
    number,
    paragraph,
    share,
    signed_share,
    split,
    strong,
    table,
)
from training.candidates import PERFECT, SERVED, SILENCE
from training.slices import MEANING

TENTH = 0.1


def movement(backtest: Backtest) -> Element:
    """Past-spend tier by predicted tier: whom the model sees otherwise, and who was right."""
    moved = summed_movement(backtest)
    names = tier_names(backtest)
    head = ["Tier by past spend", *(f"→ {name}" for name in names)]
    rows = [[past, *(_movement_cell(moved.get((past, tier))) for tier in names)] for past in names]
    grid = table(
        f"Customers (all origins together), and what each spent in {backtest.horizon_days} days, {backtest.currency}", head, rows
    )
    for place, row in enumerate(grid.iterfind(".//tbody/tr")):
        row[place + 1].set("class", "number same")
    return chapter("movement", "Who moves, and was it right?", paragraph(*_movement_words(backtest)), grid)


def slices(backtest: Backtest) -> Element:
    """Accuracy of groups of customers."""
    rows = [
        [
            one.name, number(one.customers, 0), amount(one.realised_value), amount(one.predicted_value),
            signed_share(None if one.total_bias is None else one.total_bias - 1.0), number(one.normalized_gini),
            share(one.churned), share(one.churn_risk), number(one.churn_calibration_error),
        ]
        for one in backtest.slices
    ]  # fmt: skip
    meant = (
        element("li", None, strong(f"{one.name}: "), MEANING[one.name], ".") for one in backtest.slices if one.name in MEANING
    )
    return chapter(
        "slices", "Which customers are hard to predict?",
        paragraph(
            "The same measures for groups of customers: a total far off, or a low Gini, names a group to be careful with. ",
            *_furthest_off(backtest),
        ),
        table(
            f"Groups of customers, mean of the origins, {backtest.horizon_days} days, {backtest.currency}",
            ["Group", "Customers", "Realised", "Predicted", "Off", "Gini", "Stayed away", "Said risk", "Risk error"], rows,
        ),
        folded("Who is in the groups", element("ul", {"class": "findings"}, *meant)),
    )  # fmt: skip


def candidates(backtest: Backtest) -> Element:
    """Every way to predict, side by side."""
    value = {
        "normalized_gini": "Gini", "rank_correlation": "Rank correlation", "capture_5": "Best 5 % held",
        "capture_10": "Best 10 % held", "capture_20": "Best 20 % held", "total_bias": "Total, predicted / realised",
        "decile_error": "Decile error", "mean_absolute_error": f"Mean absolute error, {backtest.currency}",
    }  # fmt: skip
    churn = {
        "auc": "AUC", "average_precision": "Average precision", "brier_skill": "Brier skill", "log_loss": "Log loss",
        "calibration_error": "Calibration error",
    }  # fmt: skip
    return chapter(
        "candidates", "Every way to predict, side by side",
        paragraph(
            "All of them knew the same and predicted the same customers. The bars are 90 % intervals: with the customers drawn "
            f"anew {backtest.resamples:,} times, nine of ten results lie between their ends. Blue: {SERVED}; orange: "
            "simple rules; grey: other models."
        ),
        split(
            _ranges("value", "Ranking by value: Gini, 0 by chance, 1 perfect", backtest.value, "normalized_gini", 0.0),
            _ranges("churn", "Ranking by churn: AUC, 0.5 by chance, 1 perfect", backtest.churn, "auc", 0.5),
        ),
        _metric_table(backtest.value, "Value predicted by", value, "normalized_gini"),
        _metric_table(backtest.churn, "Churn predicted by", churn, "auc"),
        element("p", {"class": "note"}, f"{NO_NUMBER}: a ranking without amounts or probabilities has no such figure. "
            f"Of {SILENCE}, AUC and average precision are those of the days, the rest that of the risk learned from them."),
    )  # fmt: skip


def _furthest_off(backtest: Backtest) -> Iterator[Child]:
    known = [(abs(one.total_bias - 1.0), one) for one in backtest.slices if one.total_bias is not None]
    if known:
        worst = max(known, key=lambda pair: pair[0])[1]
        off = money(abs(worst.predicted_value - worst.realised_value), backtest.currency)
        share_off = signed_share((worst.total_bias or 0.0) - 1.0)
        yield from ("Furthest off in total: ", strong(f"{worst.name}, {share_off}"), f" ({off} in {backtest.horizon_days} days).")


def _ranges(name: str, title: str, rows: Sequence[CandidateSummary], metric: str, chance: float) -> Element:
    """Draw one metric of all candidates, with intervals."""
    found = {row.candidate: row.metrics[metric] for row in rows if metric in row.metrics and row.candidate != PERFECT}
    ranged = [Ranged(who, one.value, one.low, one.high, number(one.value), colour_of(who)) for who, one in found.items()]
    lowest = min(chance, *(one.low for one in found.values()))
    axis = round_axis(title, 1.0, lambda value: number(value, 1), low=lowest)
    described = "; ".join(f"{row.label} {row.text}" for row in ranged)
    return figure(range_chart(f"{name}-chart", f"{title}, with 90 % intervals", described, ranged, axis), "Mean of the origins.")


def _metric_table(candidates: Sequence[CandidateSummary], what: str, metrics: Mapping[str, str], leading: str) -> Element:
    """All metrics of all candidates, each with its interval; last how far the served one leads by the metric ``leading``."""
    rows = [
        [row.candidate, *(_estimate(row.metrics.get(metric), metric) for metric in metrics), _lead(row, leading)]
        for row in candidates
    ]
    return table(
        f"Mean of the origins, beneath it the 90 % interval. Last: by how much {SERVED} has the higher {metrics[leading]}",
        [what, *metrics.values(), f"Lead of {SERVED}"], rows, marked=[row.candidate == SERVED for row in candidates],
    )  # fmt: skip


def _lead(row: CandidateSummary, metric: str) -> Child:
    found = row.lead.get(metric)
    if found is None or row.candidate in (SERVED, PERFECT):
        return ""
    return beside(f"{found.value:+.3f}", f"{found.low:+.3f} to {found.high:+.3f}")


def _estimate(found: Estimate | None, metric: str) -> Child:
    if found is None:
        return NO_NUMBER
    if metric.startswith("capture"):
        low, high = share(found.low, 1).removesuffix(PERCENT), share(found.high, 1).removesuffix(PERCENT)
        return beside(share(found.value, 1), f"{low} to {high}")
    shown = amount if metric == "mean_absolute_error" else number
    return beside(shown(found.value), f"{shown(found.low)} to {shown(found.high)}")


def _movement_words(backtest: Backtest) -> Iterator[Child]:
    yield "Rows: the tier that past spend gives; columns: the tier that is predicted. Off the shaded diagonal the two disagree. "
    for to in ("higher", "lower"):
        found = reclassified(backtest, to)
        if found is not None:
            customers, times = found
            yield f"The {customers:,} customers in a {to} tier than their past spend gives went on to spend "
            yield strong(f"{times:.1f} times" if times >= TENTH else f"{times:.2f} times")
            yield " as much each as those whom both put into that same past-spend tier. "


def _movement_cell(moved: Moved | None) -> Child:
    if moved is None or moved.each is None:
        return "0"
    return beside(f"{moved.customers:,}", f"{amount(moved.each)} each")
