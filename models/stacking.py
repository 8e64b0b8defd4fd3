"""One purchase probability out of two models: logistic regression on the log-odds of both.

The trees know the season, the baskets and the refunds; buy till you die (BTYD) knows the rhythm of each customer and holds
where history is short. Stacking (Wolpert 1992, "Stacked generalization", Neural Networks 5) learns on outcomes that neither
has seen how far to believe each. One-time buyers get an offset of their own, since BG/NBD takes all of them to be alive.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import logit

from models.two_part import logistic

Floats = npt.NDArray[np.float64]

LEAST_PROBABILITY = 1e-6
"""BTYD is never believed to be surer than this, either way."""


@dataclass(frozen=True)
class Stacking:
    """``log-odds = trees * margin + btyd * logit(BTYD's probability) + one_time [is a one-time buyer] + intercept``.

    ``trees`` and ``btyd`` are 0 or above and not both 0, so that more of either never lowers the probability.
    """

    trees: float
    btyd: float
    one_time: float = 0.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        finite = np.isfinite([self.trees, self.btyd, self.one_time, self.intercept]).all()
        if not (finite and self.trees >= 0.0 and self.btyd >= 0.0 and self.trees + self.btyd > 0.0):
            raise ValueError(f"stacking needs finite numbers and two slopes of 0 or more, not both 0, found {self}")

    def log_odds(self, margin: Floats, btyd_log_odds: Floats, one_time: npt.NDArray[np.bool_]) -> Floats:
        """Log-odds of a purchase in the horizon, one per customer."""
        return self.trees * margin + self.btyd * btyd_log_odds + self.one_time * one_time + self.intercept


UNLEARNED = Stacking(trees=0.8, btyd=0.3)
"""Where no cutoff is left to learn from: near the mean of what is learned on logs that have them."""


def btyd_log_odds(probability: Floats) -> Floats:
    """Log-odds of BTYD's purchase probability, never beyond ``LEAST_PROBABILITY`` or its opposite."""
    return np.asarray(logit(np.clip(probability, LEAST_PROBABILITY, 1.0 - LEAST_PROBABILITY)), dtype=np.float64)


def fit_stacking(margin: Floats, btyd: Floats, one_time: npt.NDArray[np.bool_], active: Floats) -> Stacking:
    """Fit on log-odds of models that have not seen these outcomes; ``UNLEARNED`` where they teach nothing.

    The targets are not 1 and 0 but ``(buyers + 1) / (buyers + 2)`` and ``1 / (others + 2)`` (Platt 1999, "Probabilistic outputs
    for support vector machines", section 2.2), so that the slopes stay finite where the log-odds part buyers from others. A
    model whose slope would be negative is left out.
    """
    columns = {"trees": margin, "btyd": btyd, "one_time": one_time.astype(np.float64)}
    used = [name for name, column in columns.items() if np.ptp(column) > 0.0]
    if active.min() == active.max():
        return UNLEARNED
    while {"trees", "btyd"} & set(used):
        found = _regression(np.column_stack([columns[name] for name in used]), active)
        slopes = dict(zip((*used, "intercept"), found, strict=True))
        against = min((name for name in used if name != "one_time"), key=lambda name: slopes[name])
        if slopes[against] > 0.0:
            return Stacking(**{"trees": 0.0, "btyd": 0.0, **slopes})
        used.remove(against)
    return UNLEARNED


def at_share(stacking: Stacking, log_odds: Floats, share: float) -> Stacking:
    """The same with the intercept at which the mean probability is ``share``; ``log_odds`` are those by ``stacking``."""

    def excess(shift: float) -> float:
        return float(logistic(log_odds + shift).mean()) - share

    widest = 50.0 + float(np.abs(log_odds).max())
    shift = float(brentq(excess, -widest, widest, xtol=1e-12))
    return Stacking(stacking.trees, stacking.btyd, stacking.one_time, stacking.intercept + shift)


def _regression(columns: Floats, active: Floats) -> list[float]:
    """Coefficients and intercept, by maximum likelihood on Platt's targets."""
    from sklearn.linear_model import LogisticRegression

    buyers = float(active.sum())
    target = np.where(active > 0.0, (buyers + 1.0) / (buyers + 2.0), 1.0 / (len(active) - buyers + 2.0))
    rows, outcomes = np.concatenate([columns, columns]), np.repeat([1.0, 0.0], len(active))
    fitted = LogisticRegression(C=np.inf, max_iter=1000).fit(rows, outcomes, sample_weight=np.concatenate([target, 1.0 - target]))
    return [*(float(slope) for slope in fitted.coef_[0]), float(fitted.intercept_[0])]
