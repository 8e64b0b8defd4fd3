"""What cleaning did to a transaction log, in numbers a person can check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from configs.days import date_of
from configs.language import Language


@dataclass(frozen=True)
class Found:
    """How many cells or rows, and up to five examples."""

    count: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class CleaningReport:
    """Counts of one cleaning. ``rows_in = used + duplicates + rejected``, always.

    ``orders`` are purchases and ``refunds`` rows below zero that stayed; ``cancelled_same_day`` are orders undone by
    refunds of their own day. ``one_time_share`` is the share of customers with a single purchase day (0..1). Days are
    inclusive. ``fingerprint`` is a sha256 of the canonical orders, whatever the order of the rows.
    """

    rows_in: int
    used: int
    duplicates: int
    rejected: Mapping[str, Found]
    failed_casts: Mapping[str, Found]
    orders: int
    refunds: int
    cancelled_same_day: int
    customers: int
    first_order_day: int
    last_order_day: int
    one_time_share: float
    fingerprint: str

    @property
    def rejected_rows(self) -> int:
        """All rejected rows."""
        return sum(found.count for found in self.rejected.values())

    @property
    def rejected_share(self) -> float:
        """Rejected rows over rows in (0..1)."""
        return self.rejected_rows / self.rows_in

    @property
    def first_date(self) -> date:
        """The first day with an order."""
        return date_of(self.first_order_day)

    @property
    def last_date(self) -> date:
        """The last day with an order."""
        return date_of(self.last_order_day)

    @property
    def history_days(self) -> int:
        """Days from the first to the last order, both counted."""
        return self.last_order_day - self.first_order_day + 1

    def balance(self, language: Language = "en") -> str:
        """What became of every row, in one line."""
        rejected = f"{self.rejected_rows:,}"
        if language == "zh":
            said = f"读入 {self.rows_in:,} 行 = 使用 {self.used:,} + 重复 {self.duplicates:,} + 剔除 {rejected}"
            return f"{said}（{self.rejected_share:.1%}）"
        said = f"{self.rows_in:,} rows in = {self.used:,} used + {self.duplicates:,} duplicates + {rejected} rejected"
        return f"{said} ({self.rejected_share:.1%})"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {
            "rejected_rows": self.rejected_rows,
            "first_date": self.first_date.isoformat(),
            "last_date": self.last_date.isoformat(),
            "history_days": self.history_days,
        }
