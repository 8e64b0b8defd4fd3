"""Pictures of the console for the documents: ``python benchmarks/screenshots.py http://127.0.0.1:3000`` before a running service.

The service must answer without a key (``foretier demo``, then the ``foretier serve`` that it names). Chromium is Debian's.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

DOCS = Path(__file__).resolve().parents[1] / "docs"
DESK, PHONE = {"width": 1180, "height": 860}, {"width": 360, "height": 740}
CUSTOMER = "#/customer/22279"
PICTURES: tuple[tuple[str, str, str, dict[str, int]], ...] = (
    ("console-tiers-en", "#/tiers", "en-GB", DESK),
    ("console-list-en", "#/list", "en-GB", DESK),
    ("console-list-zh", "#/list", "zh-CN", DESK),
    ("console-customer-zh", CUSTOMER, "zh-CN", DESK),
    ("console-model-en", "#/model", "en-GB", DESK),
    ("console-list-phone-en", "#/list", "en-GB", PHONE),
    ("console-customer-phone-zh", CUSTOMER, "zh-CN", PHONE),
)


def main(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, page, language, size in PICTURES:
            take(browser, f"{address}/{page}", DOCS / f"{name}.png", language, size)
        browser.close()


def take(browser: Browser, address: str, file: Path, language: str, size: Any) -> None:
    context = browser.new_context(viewport=size, locale=language)
    page = context.new_page()
    page.goto(address)
    page.wait_for_load_state("networkidle")
    page.screenshot(path=file)
    context.close()
    print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:3000")
