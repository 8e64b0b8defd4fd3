"""Gauss quadrature under a Beta(a, b) weight: averages over a customer's unknown drop-out probability.

The BG/NBD expectation is an average over ``p ~ Beta(a, b)`` of a smooth positive function of p. Its closed form with
the hypergeometric function 2F1 cancels near ``a = 1``, is 0/0 at ``a + b = 1`` and overflows for heavy buyers; a Gauss
rule for the Beta weight has positive weights, so it can do none of that and keeps every inequality of the integrand.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh_tridiagonal


@lru_cache(maxsize=65536)
def beta_rule(a: float, b: float, nodes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Nodes in (0, 1) and weights (positive, summing to 1) of the Gauss rule for the Beta(a, b) density; a, b > 0.

    Exact for polynomials up to degree ``2 * nodes - 1``. Golub & Welsch (1969), "Calculation of Gauss quadrature
    rules", Mathematics of Computation 23, applied to the Jacobi recurrence shifted to (0, 1).
    """
    diagonal, off_diagonal = _jacobi_recurrence(a, b, nodes)
    points, vectors = eigh_tridiagonal(diagonal, off_diagonal)
    weights = vectors[0] ** 2
    points = np.clip(points, 0.0, 1.0)
    points.setflags(write=False)
    weights.setflags(write=False)
    return points, weights


def _jacobi_recurrence(a: float, b: float, nodes: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Diagonal and off-diagonal of the Jacobi matrix for the weight ``p^(a-1) (1-p)^(b-1)`` on (0, 1).

    The chain-sequence form: every entry is a sum and product of positive numbers, hence free of cancellation for tiny
    as for huge a and b.
    """
    n = np.arange(nodes, dtype=np.float64)
    total = a + b
    # The orthogonal polynomials of the Beta weight are those of a birth-death chain with these rates.
    with np.errstate(divide="ignore", invalid="ignore"):
        up = (n + a) * (n + total - 1.0) / ((2.0 * n + total - 1.0) * (2.0 * n + total))
        down = n * (n + b - 1.0) / ((2.0 * n + total - 2.0) * (2.0 * n + total - 1.0))
    up[0] = a / total
    down[0] = 0.0
    diagonal = up + down
    off_diagonal = np.sqrt(up[:-1] * down[1:])
    return diagonal, off_diagonal
