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

from models.columns import Customers, Floats, column

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
class TwoPart:
    """Both boosters and the columns they read, in that order.

    ``inputs`` in the methods holds ``self.inputs`` among its columns.
    """

    inputs: tuple[str, ...]
    booster_purchase: lgb.Booster
    booster_value: lgb.Booster

    def matrix(self, inputs: Customers) -> Floats:
        """The columns that the boosters read, in their order: (customers x inputs)."""
        return np.ascontiguousarray(np.array([column(inputs, name) for name in self.inputs]).T)

    def log_odds(self, inputs: Customers, *, threads: int) -> Floats:
        """Log-odds of a purchase in the horizon as the trees say them, one per row; not calibrated."""
        return raw_score(self.booster_purchase, self.matrix(inputs), threads)

    def log_buyer_value(self, inputs: Customers, *, threads: int) -> Floats:
        """Logarithm of the expected net revenue in the horizon of a customer who buys in it."""
        return raw_score(self.booster_value, self.matrix(inputs), threads)

    def value(self, inputs: Customers, log_odds: Floats, *, threads: int) -> Floats:
        """Expected net revenue in the horizon: probability of a purchase times the expected value of a buyer."""
        return np.exp(log_logistic(log_odds) + self.log_buyer_value(inputs, threads=threads))


def fit_two_part(inputs: pd.DataFrame, active: Floats, value: Floats, *, rounds: int, seed: int, threads: int) -> TwoPart:
    """Fit both parts.

    ``inputs`` (rows x inputs, float64, NaN = missing), ``active`` 0 or 1, ``value`` net revenue in the horizon. Rows with
    a purchase but no net revenue (all refunded, below 1 % of buyers in the logs tried) teach the first part only: the gamma
    deviance needs values above 0, and the value of a buyer is overstated by their share.
    """
    buyers = value > 0.0
    return TwoPart(
        inputs=tuple(inputs.columns),
        booster_purchase=_boost(inputs, active, "binary", rounds=rounds, seed=seed, threads=threads),
        booster_value=_boost(inputs[buyers], value[buyers], "gamma", rounds=rounds, seed=seed, threads=threads),
    )


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


def raw_score(booster: lgb.Booster, matrix: Floats, threads: int) -> Floats:
    """The sum of a booster's trees for each row of its inputs."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=threads), dtype=np.float64)
