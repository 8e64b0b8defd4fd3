"""Transaction logs made up with known parameters: unlike the shops that the defaults were looked at with. Same seed, same log.

Columns: ``customer`` (text), ``day`` (date), ``amount``. Whoever acts, acts by a rate of their own, until they stop at a time of
their own; amounts have a level of their own. What differs is the rhythm.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]
Rows = list[tuple[str, date, float]]


def donations(seed: int = 11) -> pl.DataFrame:
    """Five years of 5,000 donors: most give once a year, six of ten of them before Christmas; 15 % give every month."""
    dice, first, days = np.random.default_rng(seed), date(2019, 1, 1), 5 * 365
    rows: Rows = []
    for donor in range(5000):
        joined, level = dice.integers(0, days - 60), np.exp(dice.normal(np.log(40.0), 0.8))
        if dice.random() < 0.15:
            last = joined + dice.exponential(900.0)
            given = np.arange(joined, min(last, days), 30.4)
        else:
            stays = dice.beta(3.0, 1.5)
            favourite = dice.normal(345.0, 12.0) if dice.random() < 0.6 else dice.uniform(0.0, 365.0)
            years = dice.geometric(1.0 - stays)
            given = np.array(
                [joined, *(365 * (joined // 365 + year) + favourite + dice.normal(0.0, 12.0) for year in range(1, years))]
            )
        for day in given[(given >= joined) & (given < days)]:
            amount = max(5.0, 5.0 * round(level * np.exp(dice.normal(0.0, 0.3)) / 5.0))
            rows.append((f"d{donor}", first + timedelta(days=int(day)), amount))
    return _frame(rows)


def wholesale(seed: int = 12) -> pl.DataFrame:
    """Three years of 400 trade customers: steady orders of very different size, growth, a strong autumn, returns, giants."""
    dice, first, days = np.random.default_rng(seed), date(2020, 1, 1), 3 * 365
    rows: Rows = []
    for customer in range(400):
        gap, level = np.exp(dice.normal(np.log(18.0), 0.6)), np.exp(dice.normal(np.log(600.0), 1.2))
        day = float(dice.uniform(0.0, days - 60) if dice.random() < 0.6 else dice.uniform(0.0, 60.0))
        last = day + dice.exponential(1100.0)
        while day < min(last, days):
            season = 1.0 + 0.35 * np.cos(2.0 * np.pi * (day - 300.0) / 365.0)
            giant = 40.0 if dice.random() < 0.001 else 1.0
            amount = round(float(level * giant * season * (1.0 + 0.1 * day / 365.0) * np.exp(dice.normal(0.0, 0.5))), 2)
            rows.append((f"w{customer}", first + timedelta(days=int(day)), amount))
            back = day + dice.uniform(2.0, 15.0)
            if dice.random() < 0.05 and back < days:
                rows.append(
                    (f"w{customer}", first + timedelta(days=int(back)), -round(amount * float(dice.uniform(0.1, 1.0)), 2))
                )
            day += dice.gamma(3.0, gap / season / 3.0) + 0.5
    return _frame(rows)


def groceries(seed: int = 13) -> pl.DataFrame:
    """Eight months of 3,000 households in yen: some come twice a week, some once a month; weekends are strong, few stay away."""
    dice, first, days = np.random.default_rng(seed), date(2023, 1, 2), 240
    rows: Rows = []
    for household in range(3000):
        rate, level = dice.gamma(1.5, 1.0 / 9.0), dice.gamma(4.0, 900.0)
        joined = dice.uniform(0.0, 30.0) if dice.random() < 0.7 else dice.uniform(0.0, days - 10)
        last = min(days, joined + dice.exponential(500.0))
        visits = np.sort(dice.uniform(joined, last, dice.poisson(rate * (last - joined))))
        for day in np.concatenate([[joined], visits]):
            weekend = int(day) % 7 >= 5
            if weekend or dice.random() < 0.8:
                rows.append(
                    (f"h{household}", first + timedelta(days=int(day)), float(round(level * dice.gamma(3.0, 1.0 / 3.0)) + 100))
                )
    return _frame(rows)


def _frame(rows: Rows) -> pl.DataFrame:
    schema = {"customer": pl.String, "day": pl.Date, "amount": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("day", "customer")


SIMULATED: dict[str, Callable[[], pl.DataFrame]] = {"donations": donations, "wholesale": wholesale, "groceries": groceries}
