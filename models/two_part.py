"""The two-part model: will the customer buy in the horizon, and how much if so.

``purchase`` is a LightGBM classifier on everybody, ``value`` a LightGBM regression of the mean (gamma deviance, log link) on
buyers only. Both read the catalog's features and the three BTYD predictions. Nothing here knows of money thresholds or lists.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import expit, log_expit

Floats = npt.NDArray[np.float64]

TREES = {
    "num_leaves": 15,
    "max_depth": 5,
    "learning_rate": 0.05,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 5.0,
    "verbose": -1,
    # Same bytes for the same input, whatever the number of threads.
    "deterministic": True,
    "force_row_wise": True,
}
"""Small trees: the signal of a transaction log is smooth, and its neighbouring cutoffs repeat one another."""

LEAST_LEAF, MOST_LEAF, LEAF_SHARE = 5, 300, 0.005


@dataclass(frozen=True)
class Calibration:
    """Platt scaling of the classifier's log-odds: ``probability = 1 / (1 + exp(-(slope * margin + intercept)))``.

    Platt (1999), "Probabilistic outputs for support vector machines", eq. 1. Strictly rising, so it keeps every ranking.
    """

    slope: float = 1.0
    intercept: float = 0.0

    def __post_init__(self) -> None:
        if not (np.isfinite(self.intercept) and 0.0 < self.slope < np.inf):
            raise ValueError(f"a calibration needs a finite slope above 0, found {self.slope} and {self.intercept}")

    def log_odds(self, margin: npt.ArrayLike) -> Floats:
        """Calibrated log-odds."""
        return np.asarray(margin, dtype=np.float64) * self.slope + self.intercept


@dataclass(frozen=True)
class TwoPart:
    """Both boosters, the columns they read in that order, and the calibration of the first.

    ``inputs`` in the methods is a frame that holds ``self.inputs`` among its columns.
    """

    inputs: tuple[str, ...]
    booster_purchase: lgb.Booster
    booster_value: lgb.Booster
    calibration: Calibration

    def read(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """The columns that the boosters read, in their order."""
        return inputs[list(self.inputs)]

    def log_odds(self, inputs: pd.DataFrame, *, threads: int) -> Floats:
        """Calibrated log-odds of a purchase in the horizon, one per row."""
        return self.calibration.log_odds(_raw(self.booster_purchase, self.read(inputs), threads))

    def value(self, inputs: pd.DataFrame, log_odds: Floats, *, threads: int) -> Floats:
        """Expected net revenue in the horizon: probability of a purchase times the expected value of a buyer."""
        return np.exp(log_logistic(log_odds) + _raw(self.booster_value, self.read(inputs), threads))


def fit_two_part(inputs: pd.DataFrame, active: Floats, value: Floats, *, rounds: int, seed: int, threads: int) -> TwoPart:
    """Fit both parts; not yet calibrated.

    ``inputs`` (rows x inputs, float64, NaN = missing), ``active`` 0 or 1, ``value`` net revenue in the horizon. Rows with
    a purchase but no net revenue (all refunded, below 1 % of buyers in the logs tried) teach the first part only: the gamma
    deviance needs values above 0, and the value of a buyer is overstated by their share.
    """
    buyers = value > 0.0
    return TwoPart(
        inputs=tuple(inputs.columns),
        booster_purchase=_boost(inputs, active, "binary", rounds=rounds, seed=seed, threads=threads),
        booster_value=_boost(inputs[buyers], value[buyers], "gamma", rounds=rounds, seed=seed, threads=threads),
        calibration=Calibration(),
    )


def fit_calibration(margin: Floats, active: Floats) -> Calibration:
    """Fit Platt scaling on margins of a model that has not seen these outcomes; the identity where they teach nothing.

    The targets are not 1 and 0 but ``(buyers + 1) / (buyers + 2)`` and ``1 / (others + 2)`` (Platt 1999, section 2.2), so that
    the slope stays finite where a margin parts the buyers from the others.
    """
    if active.min() == active.max() or np.ptp(margin) == 0.0:
        return Calibration()
    from sklearn.linear_model import LogisticRegression

    buyers = float(active.sum())
    target = np.where(active > 0.0, (buyers + 1.0) / (buyers + 2.0), 1.0 / (len(active) - buyers + 2.0))
    rows, outcomes = np.concatenate([margin, margin]), np.repeat([1.0, 0.0], len(margin))
    weights = np.concatenate([target, 1.0 - target])
    fitted = LogisticRegression(C=np.inf).fit(rows.reshape(-1, 1), outcomes, sample_weight=weights)
    slope, intercept = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return Calibration(slope, intercept) if slope > 0.0 else Calibration()


def logistic(log_odds: npt.ArrayLike) -> Floats:
    """Probability that belongs to these log-odds."""
    return np.asarray(expit(log_odds), dtype=np.float64)


def log_logistic(log_odds: npt.ArrayLike) -> Floats:
    """Give the logarithm of the probability that belongs to these log-odds."""
    return np.asarray(log_expit(log_odds), dtype=np.float64)


def _boost(inputs: pd.DataFrame, target: Floats, objective: str, *, rounds: int, seed: int, threads: int) -> lgb.Booster:
    smallest_leaf = int(np.clip(len(inputs) * LEAF_SHARE, LEAST_LEAF, MOST_LEAF))
    parameters = {
        **TREES, "objective": objective, "seed": seed, "num_threads": threads, "min_data_in_leaf": smallest_leaf,
    }  # fmt: skip
    rows = lgb.Dataset(inputs.to_numpy(np.float64), target, feature_name=list(inputs.columns))
    return lgb.train(parameters, rows, num_boost_round=rounds)


def _raw(booster: lgb.Booster, inputs: pd.DataFrame, threads: int) -> Floats:
    return np.asarray(booster.predict(inputs.to_numpy(np.float64), raw_score=True, num_threads=threads), dtype=np.float64)
