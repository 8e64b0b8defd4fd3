"""Reading the log for the commands that need it: with a word on the screen, and the rejected rows kept."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from configs.settings import Environment, Settings
    from features.orders import Cleaned

REJECTED_FILE = "rejected-rows-of-scoring.parquet"


def cleaned_orders(settings: Settings, environment: Environment, screen: Console) -> Cleaned:
    """Read and clean the transactions; tell what became of every row, and where the rejected ones are."""
    from features.orders import read_orders

    rejected, today = environment.home / REJECTED_FILE, datetime.now(settings.zone).date()
    with screen.status("Reading and cleaning the transactions"):
        cleaned = read_orders(settings, today=today, rejected_to=rejected)
    report = cleaned.report
    screen.print(report.balance(settings.language), highlight=False)
    if report.rejected_rows:
        screen.print(f"Rejected rows with their reasons: {rejected}", markup=False, highlight=False)
    return cleaned
