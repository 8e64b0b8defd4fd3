"""What is said of a buy-till-you-die fit: which model was used, whether it converged, or what serves instead and why."""

from __future__ import annotations

from models.btyd import Btyd, FitRecord

_PURCHASES = {
    "bg_nbd": "BG/NBD",
    "mbg_nbd": "MBG/NBD (customers can drop out after the first purchase too)",
    "nbd": "NBD (nobody seems to drop out)",
    "pooled": "one purchase rate for everybody, (purchases + 1/2) / (days observed + half a year)",
}
_ORDER_VALUES = {
    "gamma_gamma": "Gamma-Gamma",
    "anchored": "Gamma-Gamma with its mean held at the observed one",
    "pooled": "one order value for everybody, the mean of the known ones, weighing as much as two purchases",
}


def btyd_sentence(btyd: Btyd) -> str:
    """Two sentences for a report: how purchases and order values were fitted, with the certificate of each.

    The certificate is the gradient norm (see ``FitRecord``): near 0 where the search ended at an optimum. Where a
    better model was left, its reason is told.

    >>> fitted = FitRecord(True, -9582.4, 2e-9, 0.0, 2357, 1500)
    >>> too_few = ("fewer than 5 customers with paid repeat purchases",)
    >>> unfitted = FitRecord(False, 0.0, 0.0, 0.0, 3, 0, tried=too_few)
    >>> print(btyd_sentence(Btyd("bg_nbd", 0.2, 30.0, 0.8, 2.4, "pooled", 1.0, 3.0, 40.0, fitted, unfitted)))
    Purchases: BG/NBD, converged (gradient 2e-09, 2,357 customers). \
Order values: not fitted, fewer than 5 customers with paid repeat purchases; instead one order value for everybody, \
the mean of the known ones, weighing as much as two purchases (3 customers).
    """
    return (
        f"Purchases: {_said(_PURCHASES[btyd.method], btyd.purchases_fit, fitted=btyd.method != 'pooled')}. "
        f"Order values: {_said(_ORDER_VALUES[btyd.value_method], btyd.value_fit, fitted=btyd.value_method != 'pooled')}."
    )


def _said(method: str, record: FitRecord, *, fitted: bool) -> str:
    customers = f"{record.customers:,} {'customer' if record.customers == 1 else 'customers'}"
    if not fitted:
        return f"not fitted, {'; '.join(record.tried)}; instead {method} ({customers})"
    state = "converged" if record.converged else "NOT converged"
    penalty = f", penalizer {record.penalizer:g}" if record.penalizer else ""
    bounds = f", {' and '.join(record.at_bound)}" if record.at_bound else ""
    left = f"; left before: {'; '.join(record.tried)}" if record.tried else ""
    return f"{method}, {state} (gradient {record.gradient_norm:.0e}, {customers}{penalty}{bounds}){left}"
