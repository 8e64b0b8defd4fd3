"""How far one giant order is believed: as money, every time; as a sign of what is to come, not without others like it.

A single order many times the usual size says little of the next one. On Online Retail II and CDNOW, what one-time buyers spend in
the horizon rises with their order up to about eight times the median order, and is flat beyond; of customers with several
orders it rises on. So the largest order counts in full only up to the limit, or up to three times the mean of the
customer's other orders; the models see the customer without the excess. What people are told of the past stays as it was.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.columns import Columns, column, columns_of

LIMIT_MEDIANS = 8.0
TIMES_OTHERS = 3.0
SPEND = ("total_spend", "spend_", "weighted_spend_")


def order_limit(features: pd.DataFrame) -> float:
    """Money up to which a single order is believed: eight times the median of the customers' mean orders above 0.

    0 where nobody has spent anything.
    """
    mean = features["order_value_mean"].to_numpy(np.float64)
    paid = mean[mean > 0.0]
    return LIMIT_MEDIANS * float(np.median(paid)) if len(paid) else 0.0


def tempered(features: pd.DataFrame, limit: float) -> pd.DataFrame:
    """The same customers without what their largest order has in excess, as the models read them; a new frame.

    Means lose the excess, sums end at what is left of all purchases, so that a giant order weighs the same in every
    window that holds it. Customers without an excess are unchanged, to the bit.
    """
    columns = columns_of(features)
    believed = tempered_columns(columns, limit)
    if believed is columns:
        return features
    return pd.DataFrame(np.column_stack(list(believed.values())), index=features.index, columns=features.columns)


def tempered_columns(features: Columns, limit: float) -> Columns:
    """``tempered`` of columns; the very same where nobody has an excess."""
    largest, count = column(features, "order_value_max"), column(features, "order_count")
    paid = column(features, "order_value_mean") * count
    others = np.maximum(paid - largest, 0.0) / np.maximum(count - 1.0, 1.0)
    believed = np.maximum(limit, TIMES_OTHERS * others)
    giants = largest > believed
    if not giants.any():
        return features
    left, most, orders = (paid - largest + believed)[giants], believed[giants], count[giants]
    repeats = column(features, "frequency")[giants]
    ceilings = {
        "order_value_max": most,
        "order_value_last": most,
        "order_value_mean": left / orders,
        "monetary_value": np.divide(left, repeats, out=np.zeros_like(left), where=repeats > 0.0),
        **{name: left for name in features if name.startswith(SPEND)},
    }
    changed = {name: column(features, name).copy() for name in ceilings}
    for name, ceiling in ceilings.items():
        changed[name][giants] = np.minimum(changed[name][giants], ceiling)
    return {**features, **changed}
