"""Customers as columns: a table of pandas for training and batch scoring, plain arrays by name for a single request.

Models read columns by name and never the table, so that both give the same numbers and a request pays for no table.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
Columns = Mapping[str, Floats]
Customers = pd.DataFrame | Columns
"""One row per customer, float64, by column name."""


def column(customers: Customers, name: str) -> Floats:
    """One column as float64, without a copy where it is that already."""
    return np.asarray(customers[name], dtype=np.float64)


def columns_of(table: pd.DataFrame) -> Columns:
    """All columns of a table, in its order."""
    return {name: column(table, name) for name in table.columns}
