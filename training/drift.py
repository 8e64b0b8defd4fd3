"""Whether the customers that are scored are still like those the model learned on.

No bare threshold on the population stability index (PSI): it would cry wolf on small samples, where sampling alone moves it, and
with enough customers a plain test of "nothing changed" finds changes that do not matter. What is tested instead is a minimum
effect (Murphy & Myors 1999, "Testing the hypothesis that treatments have negligible effects"): the null hypothesis is

    the shift (Cohen's w) is at most the usual shift of that feature + SMALLEST_SHIFT

under which the chi-square statistic of homogeneity follows a noncentral chi-square distribution with n m / (n + m) * w**2 as its
noncentrality. Over all features and scores the false discovery rate is held at ``FALSE_ALARMS`` whatever the dependence among
them (Benjamini & Yekutieli 2001). Many customers are in both samples, which brings the samples nearer to each other and
makes false alarms rarer, never more frequent.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from scipy.stats import chi2, false_discovery_control, ncx2

from models.reference import Contrast, Reference

FALSE_ALARMS = 0.01
SMALLEST_SHIFT = 0.2
"""Cohen's w; a fifth of a standard deviation for a mean, or a PSI of 0.04. Less does not matter, however sure it is."""


@dataclass(frozen=True)
class Drift:
    """How one feature or score differs from the model's reference.

    ``shift``: Cohen's w, and ``psi``, both without what sampling alone adds; ``usual_shift``: how far it moved by itself in
    the months before training; ``p_value`` of "no more than usual + SMALLEST_SHIFT", ``adjusted`` for the number of tests.
    ``median_before`` and ``median_now``: None where all are missing; ``missing_before`` and ``missing_now``: shares.
    """

    name: str
    shift: float
    usual_shift: float
    psi: float
    p_value: float
    adjusted: float
    median_before: float | None
    median_now: float | None
    missing_before: float
    missing_now: float

    @property
    def drifted(self) -> bool:
        """Whether the shift is more than can be put down to chance, to ageing or to trifles."""
        return self.adjusted <= FALSE_ALARMS


def drift(reference: Reference, customers: pd.DataFrame, as_of: int) -> tuple[Drift, ...]:
    """Compare ``customers`` (a row each, columns of the reference) as of day ``as_of`` with the reference.

    The surest drift comes first. Raises ValueError: no customers.
    """
    days = as_of - reference.as_of
    found = [(one, one.contrast(customers[one.name])) for one in reference.distributions]
    usual = [reference.usual_shift(one.name, days) for one, _ in found]
    p_values = [no_more_than(contrast, shift + SMALLEST_SHIFT) for (_, contrast), shift in zip(found, usual, strict=True)]
    adjusted = false_discovery_control(p_values, method="by")
    rows = [
        Drift(
            name=one.name, shift=contrast.shift, usual_shift=expected, psi=contrast.psi,
            p_value=p_value, adjusted=float(corrected),
            median_before=one.median, median_now=_median(customers[one.name]),
            missing_before=one.missing / reference.customers, missing_now=float(customers[one.name].isna().mean()),
        )
        for (one, contrast), expected, p_value, corrected in zip(found, usual, p_values, adjusted, strict=True)
    ]  # fmt: skip
    return tuple(sorted(rows, key=lambda row: (row.p_value, -row.shift, row.name)))


def no_more_than(contrast: Contrast, shift: float) -> float:
    """p-value of the hypothesis that the true Cohen's w is at most ``shift``; 1 where all customers are in one bin.

    >>> no_more_than(Contrast(statistic=16.92, freedom=9, size=100.0, psi=0.0), 0.0).__round__(3)
    0.05
    """
    if contrast.freedom == 0:
        return 1.0
    noncentrality = contrast.size * shift**2
    tail = chi2.sf(contrast.statistic, contrast.freedom)
    return float(ncx2.sf(contrast.statistic, contrast.freedom, noncentrality) if noncentrality > 0.0 else tail)


def _median(values: pd.Series[float]) -> float | None:
    return None if values.isna().all() else float(values.median())
