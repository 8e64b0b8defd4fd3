"""The page docs/accuracy.md out of backtests as JSON: figures against their targets, floors, candidates, hard customers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Found = Mapping[str, Any]

BEGIN = "<!-- written by hand from here -->"
END = "<!-- to here -->"
NOTHING_YET = "Nothing is written here yet."

SERVED, TWO_PART, BTYD = "Foretier", "two-part LightGBM", "BG/NBD x Gamma-Gamma"
PAST_SPEND, PERFECT = "total past spend", "perfect foresight"
NAIVE = (PAST_SPEND, "spend rate x horizon", "spend of the last horizon", "same season last year")
RANKINGS = {"normalized_gini": "Gini", "rank_correlation": "Spearman", "capture_10": "Top 10 %"}
SHORT_OF_BEST, MOST_BIAS, MOST_DECILE_ERROR, MOST_CHURN_ERROR = 0.005, 0.10, 0.15, 0.03
COVERED, COVERED_TIER, ONE_TIME = (0.77, 0.83), (0.72, 0.88), (0.85, 1.15)
MOST_SECONDS = 240.0

FLOORS: dict[str, tuple[float, float, float]] = {
    # The best figure of the plain prototype's rows at the last origin: Gini, Spearman, top 10 % (design, section 11).
    "cdnow-90": (0.786, 0.404, 0.620),
    "online_retail-90": (0.825, 0.584, 0.601),
    "online_retail-180": (0.874, 0.635, 0.634),
    "complete_journey-60": (0.874, 0.829, 0.338),
}
LEVELS: dict[str, float] = {"online_retail-90": 0.13, "online_retail-180": 0.16, "cdnow-90": 0.05, "complete_journey-60": 0.03}
"""Mean absolute log error of the total by the best way that the prototype found, over five origins."""

INTRODUCTION = """# Accuracy

How good the predictions are with the default settings, on public logs and on logs that had no part in choosing the defaults.
`make accuracy` makes this page, all but the part at its end; `foretier backtest` makes the same figures for your log.

Each log is judged at four days of its past (origins), as far as it is long enough. At each of them everything is fitted again
on what was known on that day, the customers known then are predicted, and the predictions are compared with what happened.
Figures are means over the origins. Columns and settings are those of `configs/`, or a mapping of columns and nothing else.
The simulated logs are described in `benchmarks/simulated_logs.py`; they were made to differ from the public ones.
"""

MEANING = """- **Gini** (normalized), **Spearman**, **top 10 %** (value held by the best-ranked tenth): how good the ranking is.
- **Against the best single one**: the served figure less that of the better of its two parts alone, BG/NBD x Gamma-Gamma
  (BTYD) and two-part LightGBM. Target: never below -0.005, and above 0 on average.
- **Above every rule**: less the best of total past spend, spend rate x horizon, spend of the last horizon, same season last
  year.
- **Bias**: mean over the origins of |predicted total / realised total - 1|. **Decile error**: mean distance of the predicted
  and realised means of ten groups by predicted value, over the mean.
- **Churn error**: mean distance of stated risk and realised share over ten groups. **Brier skill** less that of BG/NBD and of
  the days since the last order alone (isotonic, fitted on the same training panel).
- **Coverage**: of the 80 % interval, the probability of spending nothing shared (see `models/intervals.py`).
"""

GROUPS = """Mean customers and values of an origin. One-time: bought on one day only. New: first order within 90 days. Bulk:
largest order among the highest 1 %; single giant order: at least 80 % of all that such a customer bought. Heavy returners: a
quarter refunded. Seasonal: bought on two days or more, always in this season of earlier years. Groups below 20 customers are left
out.
"""

PROTOTYPE = """The best figure of any row of a plain prototype (two-part LightGBM, BTYD, their geometric mean, past spend) at the
last origin, beside what is served there. Its level is the best mean absolute log error over five origins, beside the bias above.
"""


@dataclass(frozen=True)
class Row:
    """One figure of the table: how it is found and written, and whether it is good enough; None: does not apply."""

    name: str
    target: str
    figure: Callable[[Found], float | None]
    written: str
    good: Callable[[float], bool]


def page(found: Sequence[Found], before: str) -> str:
    """The whole page; what was written by hand in ``before`` stays."""
    parts = [
        INTRODUCTION, "## The logs\n", _logs(found), "## Figures and targets\n", MEANING, _targets(found), _averages(found),
        "## Against the floors\n", _floors(found), "## Candidates side by side\n", _candidates(found),
        "## Churn\n", _churn(found), "## Intervals and tiers\n", _tiers(found),
        "## Hard customers\n", _slices(found), _by_hand(before),
    ]  # fmt: skip
    return "\n".join(parts)


def _by_hand(before: str) -> str:
    kept = before.partition(BEGIN)[2].partition(END)[0].strip() if BEGIN in before and END in before else NOTHING_YET
    return f"## What was tried, and what is missed\n\n{BEGIN}\n\n{kept}\n\n{END}\n"


def _name(one: Found) -> str:
    return f"{one['title']}, {one['backtest']['horizon_days']} d"


def _metric(one: Found, candidate: str, metric: str, part: str = "value") -> float | None:
    [row] = [row for row in one["backtest"][part] if row["candidate"] == candidate]
    estimate = row["metrics"].get(metric)
    return None if estimate is None else float(estimate["value"])


def _over(rivals: Sequence[str], metric: str) -> Callable[[Found], float | None]:
    """The served figure less the best of the rivals'; rivals that cannot rank at all (all alike) are beaten."""

    def lead(one: Found) -> float | None:
        served = _metric(one, SERVED, metric)
        others = [figure for rival in rivals if (figure := _metric(one, rival, metric)) is not None]
        return None if served is None or not others else served - max(others)

    return lead


def _skill_over(rival: str) -> Callable[[Found], float | None]:
    """The least lead in Brier skill over the origins: better everywhere, not only on average."""

    def lead(one: Found) -> float | None:
        leads = []
        for origin in one["backtest"]["origins"]:
            skill = {row["candidate"]: row["brier_skill"] for row in origin["churn"]}
            leads.append(skill[SERVED] - skill[rival])
        return min(leads)

    return lead


def _covered(one: Found) -> float | None:
    rows = one["backtest"]["coverage"]
    return rows[0]["shared"] if rows else None


def _worst_tier(one: Found) -> float | None:
    shares = [row["shared"] for row in one["backtest"]["coverage"][1:] if row["shared"] is not None]
    return max(shares, key=lambda share: abs(share - 0.80)) if shares else None


def _one_time(one: Found) -> float | None:
    rows = [row for row in one["backtest"]["slices"] if row["name"] == "one-time buyers"]
    return rows[0]["total_bias"] if rows else None


def _served(metric: str, part: str = "value") -> Callable[[Found], float | None]:
    return lambda one: _metric(one, SERVED, metric, part)


def _at_most(limit: float) -> Callable[[float], bool]:
    return lambda figure: figure <= limit


def _above_zero(figure: float) -> bool:
    return figure > 0.0


def _within(bounds: tuple[float, float]) -> Callable[[float], bool]:
    return lambda figure: bounds[0] <= figure <= bounds[1]


def _anything(_: float) -> bool:
    return True


def _near_best(figure: float) -> bool:
    return figure >= -SHORT_OF_BEST


ROWS: tuple[Row, ...] = (
    *(Row(name, "", _served(metric), ".3f", _anything) for metric, name in RANKINGS.items()),
    *(
        Row(f"{name} against the best single one", ">= -0.005", _over((TWO_PART, BTYD), metric), "+.3f", _near_best)
        for metric, name in RANKINGS.items()
    ),
    *(Row(f"{name} above every rule", "> 0", _over(NAIVE, metric), "+.3f", _above_zero) for metric, name in RANKINGS.items()),
    Row("Top 10 % above past spend", "> 0", _over((PAST_SPEND,), "capture_10"), "+.3f", _above_zero),
    Row("Bias", "<= 0.10", _served("absolute_bias"), ".3f", _at_most(MOST_BIAS)),
    Row("Decile error", "<= 0.15", _served("decile_error"), ".3f", _at_most(MOST_DECILE_ERROR)),
    Row("Churn error", "<= 0.03", _served("calibration_error", "churn"), ".3f", _at_most(MOST_CHURN_ERROR)),
    Row("Brier skill over BG/NBD, worst origin", "> 0", _skill_over("BG/NBD"), "+.3f", _above_zero),
    Row("Brier skill over silence alone, worst origin", "> 0", _skill_over("days since last order"), "+.3f", _above_zero),
    Row("Coverage", "0.77 to 0.83", _covered, ".3f", _within(COVERED)),
    Row("Coverage, worst tier", "0.72 to 0.88", _worst_tier, ".3f", _within(COVERED_TIER)),
    Row("One-time buyers, predicted / realised", "0.85 to 1.15", _one_time, ".2f", _within(ONE_TIME)),
    Row("Seconds", "< 240 (Online Retail II)", lambda one: float(one["seconds"]), ".0f", _anything),
)


def _cell(row: Row, one: Found) -> str:
    figure = row.figure(one)
    if figure is None:
        return ""
    good = row.good(figure) and not (row.name == "Seconds" and one["key"].startswith("online_retail") and figure >= MOST_SECONDS)
    return _written(figure, row.written, good=good, marked=bool(row.target))


def _written(figure: float, how: str, *, good: bool, marked: bool = True) -> str:
    return f"{figure:{how}}" if good or not marked else f"**{figure:{how}} missed**"


def _logs(found: Sequence[Found]) -> str:
    rows = [
        [
            _name(one), "looked at" if one["looked_at"] else "never looked at", f"{one['customers']:,}", f"{one['orders']:,}",
            f"{one['history_days']:,}", str(len(one["backtest"]["origins"])), one["backtest"]["grade"]["letter"] or "none",
        ]
        for one in found
    ]  # fmt: skip
    return _table(["Log, horizon", "When defaults were chosen", "Customers", "Orders", "Days", "Origins", "Grade"], rows)


def _targets(found: Sequence[Found]) -> str:
    rows = [[row.name, row.target, *(_cell(row, one) for one in found)] for row in ROWS]
    return _table(["Figure", "Target", *(_name(one) for one in found)], rows)


def _averages(found: Sequence[Found]) -> str:
    """Above the best single candidate on average."""
    said = []
    for metric, name in RANKINGS.items():
        leads = [lead for one in found if (lead := _over((TWO_PART, BTYD), metric)(one)) is not None]
        mean = sum(leads) / len(leads)
        said.append(f"{name} {_written(mean, '+.4f', good=mean > 0.0)}")
    cells = [(row, one) for row in ROWS if row.target for one in found if row.figure(one) is not None]
    missed = sum("missed" in _cell(row, one) for row, one in cells)
    return (
        f"Mean over the logs against the best single one (target: above 0): {', '.join(said)}.\n\n"
        f"{len(cells) - missed} of {len(cells)} targets are met.\n"
    )


def _floors(found: Sequence[Found]) -> str:
    rows = []
    for one in found:
        if one["key"] not in FLOORS:
            continue
        last = one["backtest"]["origins"][-1]
        [served] = [row for row in last["value"] if row["candidate"] == SERVED]
        cells = []
        for metric, floor in zip(RANKINGS, FLOORS[one["key"]], strict=True):
            cells += [f"{floor:.3f}", _written(served[metric], ".3f", good=round(served[metric], 3) >= floor)]
        bias, level = _metric(one, SERVED, "absolute_bias"), LEVELS[one["key"]]
        rows.append(
            [_name(one), last["origin"], *cells, f"{level:.2f}", _written(bias or 0.0, ".2f", good=(bias or 0.0) <= level)]
        )
    heads = [head for name in RANKINGS.values() for head in (f"{name}: floor", "served")]
    return PROTOTYPE + "\n" + _table(["Log, horizon", "Origin", *heads, "Level: floor", "served"], rows)


def _candidates(found: Sequence[Found]) -> str:
    names = (SERVED, TWO_PART, BTYD, *NAIVE, PERFECT)
    parts = []
    for metric, title in {**RANKINGS, "absolute_bias": "Bias", "decile_error": "Decile error"}.items():
        rows = [[name, *(_shown(_metric(one, name, metric)) for one in found)] for name in names]
        parts.append(_table([title, *(_name(one) for one in found)], rows))
    return "\n".join(parts)


def _churn(found: Sequence[Found]) -> str:
    parts = []
    metrics = {
        "auc": "AUC", "average_precision": "Average precision", "brier_skill": "Brier skill", "log_loss": "Log loss",
        "calibration_error": "Calibration error",
    }  # fmt: skip
    for metric, title in metrics.items():
        names = (SERVED, "BG/NBD", "days since last order")
        rows = [[name, *(_shown(_metric(one, name, metric, "churn")) for one in found)] for name in names]
        parts.append(_table([title, *(_name(one) for one in found)], rows))
    return "\n".join(parts)


def _tiers(found: Sequence[Found]) -> str:
    rows = []
    for one in found:
        covered = {row["group"]: row for row in one["backtest"]["coverage"]}
        for tier, past in zip(one["backtest"]["tiers"], one["backtest"]["past_tiers"], strict=True):
            of_tier = covered.get(tier["tier"], {})
            rows.append([
                _name(one), tier["tier"], f"{tier['value_share']:.1%}", f"{past['value_share']:.1%}",
                _shown(tier["retention"], ".0%"), _shown(past["retention"], ".0%"),
                _shown(of_tier.get("shared")), _shown(of_tier.get("plain")),
            ])  # fmt: skip
    heads = [
        "Log, horizon",
        "Tier",
        "Value held",
        "by past spend",
        "Bought",
        "by past spend",
        "Covered",
        "low <= realised <= high",
    ]
    return _table(heads, rows)


def _slices(found: Sequence[Found]) -> str:
    rows = [_slice(one, row) for one in found for row in one["backtest"]["slices"]]
    heads = ["Log, horizon", "Group", "Customers", "Realised", "Predicted", "Predicted / realised", "Gini", "Churned", "Risk"]
    return GROUPS + "\n" + _table(heads, rows)


def _slice(one: Found, row: Mapping[str, Any]) -> list[str]:
    return [
        _name(one), row["name"], f"{row['customers']:,.0f}", f"{row['realised_value']:,.0f}",
        f"{row['predicted_value']:,.0f}", _shown(row["total_bias"], ".2f"), _shown(row["normalized_gini"]),
        f"{row['churned']:.1%}", f"{row['churn_risk']:.1%}",
    ]  # fmt: skip


def _shown(figure: float | None, how: str = ".3f") -> str:
    return "" if figure is None else f"{figure:{how}}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"
