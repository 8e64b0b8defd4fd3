"""Exact path-dependent TreeSHAP of a LightGBM booster, for one customer or for millions.

Lundberg et al. (2020), "From local explanations to global understanding with explainable AI for trees", algorithm 2.
LightGBM computes it best for a few rows, woodelf for many; both are exact, and a test holds them equal to 1e-9.
"""

from __future__ import annotations

import lightgbm as lgb
import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

FEW_ROWS = 2_000
"""Up to here LightGBM is faster: woodelf reads the whole ensemble anew before the first row."""
BATCH_ROWS = 100_000
"""Bounds the memory: woodelf holds some arrays of a cell per row, and the result one per row and input."""


def tree_shapley(booster: lgb.Booster, matrix: Floats, *, threads: int) -> tuple[float, Floats]:
    """Contributions of every input to the raw score (log-odds, or logarithm of the mean).

    ``matrix`` is (customers x inputs), float64, NaN = missing, columns in the booster's order. Returns the base score and
    a (customers x inputs) array with ``base + contributions.sum(axis=1) = raw score`` to 1e-9.
    """
    anybody = np.zeros((1, matrix.shape[1]))
    if len(matrix) <= FEW_ROWS:
        # LightGBM takes no empty table; the base is the same for everybody.
        parts = _by_lightgbm(booster, np.vstack([anybody, matrix]), threads)
        return float(parts[0, -1]), parts[1:, :-1]
    base = float(_by_lightgbm(booster, anybody, threads)[0, -1])
    starts = range(0, len(matrix), BATCH_ROWS)
    return base, np.vstack([_by_woodelf(booster, matrix[start : start + BATCH_ROWS]) for start in starts])


def _by_lightgbm(booster: lgb.Booster, matrix: Floats, threads: int) -> Floats:
    return np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=threads), dtype=np.float64)


def _by_woodelf(booster: lgb.Booster, matrix: Floats) -> Floats:
    from woodelf import WoodelfExplainer
    from woodelf.core.cube_metric import ShapleyValues
    from woodelf.core.path_to_s_vectors.lts_recursive_p2s import LTSRecursivePathToSVectors

    inputs = pd.DataFrame(matrix, columns=booster.feature_name())
    place = {name: number for number, name in enumerate(inputs.columns)}
    total = np.zeros((len(place), len(inputs)))
    of_leaf = np.empty(len(inputs))

    class DoublePrecision(LTSRecursivePathToSVectors):  # type: ignore[misc]
        """woodelf's own algorithm, its sum over the leaves done here.

        Its final rounding to float32, which would leave errors of 1e-5, is left out, and each leaf's pattern of a row is made
        an index once for all inputs, which takes a third off the time.
        """

        def get_path_dependent_s_matrix(
            self,
            features_in_path: list[str],
            consumer_patterns: npt.NDArray[np.unsignedinteger],
            covers: Floats,
            w: float,
            w_neighbor: float | None = None,
        ) -> dict[str, Floats]:
            """Add what one leaf contributes to every row; nothing is left for woodelf to add."""
            if features_in_path:
                every_pattern = np.arange(2 ** len(covers), dtype=np.uint64)
                by_input = np.ascontiguousarray(self._get_s_matrix(covers, every_pattern, w, w_neighbor).T)
                pattern = consumer_patterns.astype(np.intp)
                for name, contributions in zip(features_in_path, by_input, strict=True):
                    # Patterns are in range; mode "raise" would gather into a copy first.
                    np.take(contributions, pattern, out=of_leaf, mode="clip")
                    total[place[name]] += of_leaf
            return {}

    summing = DoublePrecision(ShapleyValues(), max_depth=max(1, len(place)))
    WoodelfExplainer(booster).shap_values(inputs, verbose=False, path_to_matrices_calculator=summing)
    return total.T
