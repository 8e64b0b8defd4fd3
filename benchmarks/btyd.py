"""BG/NBD on many customers: our fit on collapsed rows against plain lifetimes, on the same generated customers.

    python benchmarks/btyd.py [--customers 1000000]

The customers follow the BG/NBD process itself with the parameters of CDNOW, in whole days, acquired evenly over the
first three months and observed for a year and a half. Both fits run in this process, one after the other; what the
import of lifetimes costs is left out of both. Both miss the truth alike, since the purchases of one day count as
one.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from models.btyd_fit import fit_btyd

TRUTH = {"r": 0.2426, "alpha": 4.4136 * 7, "a": 0.7929, "b": 2.4259}
OBSERVED_DAYS = 546
ACQUISITION_DAYS = 84


def generated_customers(customers: int, seed: int = 20260101) -> pd.DataFrame:
    """BTYD inputs of customers drawn from the BG/NBD process, purchases counted once a day."""
    random = np.random.default_rng(seed)
    rate = random.gamma(TRUTH["r"], 1.0 / TRUTH["alpha"], customers)
    dropout = random.beta(TRUTH["a"], TRUTH["b"], customers)
    born = random.uniform(0.0, ACQUISITION_DAYS, customers)
    first_day = np.floor(born)
    now, last_day = born.copy(), first_day.copy()
    frequency = np.zeros(customers)
    alive = np.arange(customers)
    while len(alive):
        now[alive] += random.exponential(1.0, len(alive)) / np.maximum(rate[alive], 1e-300)
        alive = alive[now[alive] < OBSERVED_DAYS]
        day = np.floor(now[alive])
        frequency[alive] += day > last_day[alive]
        last_day[alive] = day
        alive = alive[random.random(len(alive)) >= dropout[alive]]
    age = OBSERVED_DAYS - 1 - first_day
    return pd.DataFrame({"frequency": frequency, "recency": last_day - first_day, "T": age, "monetary_value": 0.0})


def plain_lifetimes(summary: pd.DataFrame) -> tuple[float, dict[str, float], float]:
    """Seconds, parameters and log-likelihood of lifetimes as its manual uses it."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        import lifetimes

        fitter = lifetimes.BetaGeoFitter()
        start = time.perf_counter()
        fitter.fit(summary["frequency"], summary["recency"], summary["T"])
        seconds = time.perf_counter() - start
        columns = [summary[name].to_numpy() for name in ("frequency", "recency", "T")]
        point = np.log(fitter.params_.to_numpy())
        loss = fitter._negative_log_likelihood(point, *columns, np.ones(len(summary)), 0.0)
    return seconds, {name: float(fitter.params_[name]) for name in TRUTH}, -float(loss) * len(summary)


def ours(summary: pd.DataFrame) -> tuple[float, dict[str, float], float, int]:
    """Seconds, parameters, log-likelihood and collapsed rows of our fit."""
    fit_btyd(summary.head(1000))
    start = time.perf_counter()
    model = fit_btyd(summary)
    seconds = time.perf_counter() - start
    parameters = {name: float(getattr(model, name)) for name in TRUTH}
    return seconds, parameters, model.purchases_fit.log_likelihood, model.purchases_fit.rows


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--customers", type=int, default=1_000_000)
    customers = arguments.parse_args().customers
    summary = generated_customers(customers)
    our_seconds, our_parameters, our_likelihood, rows = ours(summary)
    seconds, parameters, likelihood = plain_lifetimes(summary)
    table = Table(title=f"BG/NBD, {customers:,} customers ({rows:,} collapsed rows)")
    for heading in ("", "truth", "foretier", "lifetimes", "relative difference"):
        table.add_column(heading, justify="right" if heading else "left")
    table.add_row("seconds", "", f"{our_seconds:.2f}", f"{seconds:.2f}", f"{seconds / our_seconds:.0f} times faster")
    for name, true in TRUTH.items():
        mine, theirs = our_parameters[name], parameters[name]
        table.add_row(name, f"{true:.4f}", f"{mine:.5f}", f"{theirs:.5f}", f"{abs(mine / theirs - 1):.1e}")
    gain = f"{our_likelihood - likelihood:+.4f} (difference)"
    table.add_row("log-likelihood", "", f"{our_likelihood:,.2f}", f"{likelihood:,.2f}", gain)
    Console(width=max(Console().width, 110)).print(table)


if __name__ == "__main__":
    main()
