"""The console in headless Chromium, before a real server: what is seen, done and never done."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import openpyxl
import pytest
from openpyxl.utils.escape import unescape
from playwright.sync_api import Browser, Page, expect, sync_playwright

from serving.console_page import TYPES
from serving.key_store import KeyStore
from serving.keys import SCOPES, new_key
from serving.spreadsheet_text import unguarded
from serving.store import Store

ROOT = Path(__file__).resolve().parents[2]
CONSOLE = ROOT / "serving" / "console"
START_SECONDS = 60.0
HOSTILE = (
    "<script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=2">',
    "javascript:alert(1)//",
    "' onmouseover='window.hacked=3",
    "a/b?c#d%2F&e=f",
    "\u202eexe.\u202dtxt\u2066\u200b",
    "line\nbreak\ttab\x1b[31mred\x07",
    "x" * 500,
    "😀" * 500,
    "=HYPERLINK(1)",
    "{{constructor.constructor('window.hacked=4')()}}",
    "../../../v1/model",
    "Zoë 😀 客户",
)
TEXT = "<b onclick=window.hacked=5>bold</b>"


@dataclass
class Console:
    """A server, its keys, and a browser before it; ``asked`` are the addresses of all requests, ``said`` what went wrong."""

    address: str
    keys: dict[str, str]
    browser: Browser
    ids: list[str]
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def open(self, path: str = "#/tiers", key: str | None = "all", language: str = "en-GB", **more: Any) -> Page:
        """A new page in a context of its own, signed in unless ``key`` is None."""
        context = self.browser.new_context(locale=language, accept_downloads=True, **more)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        page.on("dialog", lambda dialog: self.said.append(f"dialog: {dialog.message}"))
        page.goto(f"{self.address}/{path}")
        if key is not None:
            page.locator("input[name=key]").fill(self.keys[key])
            page.locator("form.sign-in button").click()
            page.wait_for_selector("form.sign-in", state="detached")
        return page

    def api(self, path: str, **more: Any) -> httpx.Response:
        """Ask the service itself."""
        headers = {"Authorization": f"Bearer {self.keys['all']}"}
        return httpx.request(more.pop("method", "GET"), self.address + path, headers=headers, timeout=30, **more)


@pytest.fixture(scope="module")
def console(state: Any, make_champion: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """One server and one browser for all tests here; hostile ids stand at the top of the list."""
    chromium = shutil.which("chromium")
    assert chromium is not None, "the console is tested in Chromium: apt-get install chromium"
    home = tmp_path_factory.mktemp("console")
    settings = home / "foretier.yaml"
    settings.write_text(state.settings_path.read_text() + f"playbook:\n- {{action: '{TEXT}', channel: phone, contact_cap: 2}}\n")
    make_champion(home)
    ids, keys = _publish(home, state)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORETIER_", "MLFLOW_", "BENTOML_"))}
    variables = {
        **kept, "FORETIER_HOME": str(home), "FORETIER_CONFIG": str(settings), "PYTHONPATH": str(ROOT),
        "BENTOML_HOME": str(home / "bentoml"), "BENTOML_DO_NOT_TRACK": "True", "MLFLOW_DISABLE_TELEMETRY": "true",
    }  # fmt: skip
    command = [sys.executable, "-m", "bentoml", "serve", "serving.service:Foretier", "--host", "127.0.0.1", "--port", str(port)]
    with (home / "log").open("w") as log, sync_playwright() as playwright:
        server = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=log, start_new_session=True)
        try:
            address = f"http://127.0.0.1:{port}"
            _wait(address, server, home / "log")
            browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
            yield Console(address, keys, browser, ids)
            browser.close()
        finally:
            server.terminate()
            server.wait(20)


def _publish(home: Path, state: Any) -> tuple[list[str], dict[str, str]]:
    with Store(state.store_url) as source, Store(f"sqlite:///{home / 'scores.db'}") as store:
        run, found = source.page(limit=10_000)
        active = [one for one in found if one.lifecycle_stage != "lost"]
        renamed = dict(zip((one.customer_id for one in active), HOSTILE, strict=False))
        scores = [replace(one, customer_id=renamed.get(one.customer_id, one.customer_id)) for one in found]
        with store.writing(run.terms, tier_names=run.tier_names, created_at=run.created_at) as writer:
            writer.add(scores)
            writer.publish(keep_runs=12)
    keys = {"wrong": "foretier_" + "x" * 56}
    with KeyStore(f"sqlite:///{home / 'scores.db'}") as store:
        for name, scopes in (("all", SCOPES), ("narrow", ("predict",)), ("reader", ("read",))):
            record, keys[name] = new_key(name, created_at=datetime.now(UTC), scopes=scopes)
            store.create(record)
    return [one.customer_id for one in scores], keys


def _wait(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert server.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.fixture(autouse=True)
def nothing_goes_wrong(console: Console) -> Iterator[None]:
    """After each test: no error on any page, no request elsewhere, no key in an address."""
    console.asked.clear()
    console.said.clear()
    yield
    # A refused request is told by the browser itself; every other line is a fault.
    assert [line for line in console.said if "the server responded with a status of" not in line] == []
    assert [url for url in console.asked if not url.startswith((console.address, "data:", "blob:"))] == []
    assert [url for url in console.asked for key in console.keys.values() if key in url] == []
    for context in console.browser.contexts:
        context.close()


# Signing in


def test_it_asks_for_a_key_and_keeps_it_in_this_tab_alone(console: Console) -> None:
    page = console.open(key=None)
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("API key").fill(console.keys["wrong"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("This key is not valid, or no longer.")
    page.get_by_label("API key").fill(f"  {console.keys['all']}\n")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Tiers", exact=True)).to_be_focused()
    assert console.keys["all"] not in page.content()
    assert console.keys["all"] not in page.evaluate("JSON.stringify([location.href, document.cookie, {...localStorage}])")
    assert page.evaluate("sessionStorage.length") == 1
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_that_is_not_made_for_a_page_is_told_the_scope(console: Console) -> None:
    page = console.open(key="reader")
    expect(page.get_by_role("heading", name="Platinum")).to_be_visible()
    page.goto(f"{console.address}/#/list")
    expect(page.locator("#rows")).to_contain_text('lacks the scope "lists"')
    narrow = console.open(key="narrow")
    expect(narrow.get_by_role("alert")).to_contain_text('lacks the scope "read"')


def test_a_service_that_is_gone_is_told(console: Console) -> None:
    page = console.open()
    page.route("**/v1/model", lambda route: route.abort())
    page.get_by_role("link", name="Model", exact=True).click()
    expect(page.get_by_role("alert")).to_have_text("The service does not answer. Is it running?")
    console.said.clear()  # the browser tells that the request failed
    page.unroute("**/v1/model")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", name="Calibration")).to_be_visible()


# The pages


def test_tiers_and_movement_are_those_of_the_service(console: Console) -> None:
    page, view = console.open(), console.api("/v1/tiers").json()
    for tier in view["tiers"]:
        expect(page.get_by_role("region", name=tier["tier"])).to_contain_text(f"{tier['customers']:,} customers")
    table = page.get_by_role("table", name="From past spend to predicted value")
    for cell in view["movement"]:
        row = table.get_by_role("row", name=re.compile(f"^{cell['past_spend_tier']} "))
        expect(row).to_contain_text(f"{cell['customers']:,}")
    expect(table.get_by_role("columnheader")).to_have_count(len(view["tiers"]) + 1)


def test_the_plan_follows_capacity_and_filters(console: Console) -> None:
    page = console.open("#/list")
    plan = page.locator("#plan")
    expect(plan).to_contain_text("500")
    slider = page.get_by_role("slider", name="Contacts at most")
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    expect(page.get_by_role("spinbutton", name="Contacts at most")).to_have_value("5")
    expect(page.locator("table.list tbody tr")).to_have_count(5)
    page.get_by_role("spinbutton", name="Contacts at most").fill("40")
    page.get_by_role("combobox", name="Tier").select_option("Gold")
    page.get_by_label("Budget per contact, USD").fill("0.5")
    page.get_by_label("Save rate, %").fill("20")
    page.get_by_label("Held out, %").fill("25")
    asked = {"capacity": 40, "tier": "Gold", "budget_per_contact": 0.5, "save_rate": 0.2, "holdout": 0.25}
    told = console.api("/v1/lists/churn-risk", params=asked).json()
    expect(plan).to_contain_text(f"{told['plan']['held_out']} held out")
    expect(plan).to_contain_text(str(Decimal(str(told["plan"]["in_vain"])).quantize(Decimal("0.1"), ROUND_HALF_UP)))
    expect(page.locator("table.list tbody tr")).to_have_count(len(told["customers"]))
    ids = page.locator("table.list tbody th a").evaluate_all(
        "links => links.map(link => decodeURIComponent(link.hash.slice(11)))"
    )
    assert ids == [row["customer_id"] for row in told["customers"]]
    expect(page.locator("#said")).to_contain_text(f"Contacts: {told['plan']['contacts']}")


def test_more_customers_come_by_and_by(console: Console) -> None:
    page = console.open("#/list")
    total = console.api("/v1/lists/churn-risk?capacity=120").json()["total"]
    page.get_by_role("spinbutton", name="Contacts at most").fill("120")
    more = page.get_by_role("button", name="Show more")
    for shown in (50, 100, total):
        expect(page.get_by_text(f"{shown} of {total} shown")).to_be_visible()
        if shown < total:
            more.click()
    expect(more).to_be_hidden()
    ranks = page.locator("table.list tbody tr td:first-child").all_text_contents()
    assert ranks == [str(rank) for rank in range(1, total + 1)]


@pytest.mark.filterwarnings("ignore:.*extension is not supported:UserWarning")  # openpyxl, of data bars
def test_files_hold_the_list_that_is_seen(console: Console, tmp_path: Path) -> None:
    page = console.open("#/list")
    page.get_by_role("spinbutton", name="Contacts at most").fill("30")
    expect(page.locator("table.list tbody tr")).to_have_count(30)
    seen = [row["customer_id"] for row in console.api("/v1/lists/churn-risk?capacity=30").json()["customers"]]
    for kind in ("CSV", "XLSX"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Download {kind}").click()
        assert download.value.suggested_filename == f"churn-risk-1998-07-01.{kind.lower()}"
        download.value.save_as(tmp_path / f"list.{kind.lower()}")
    rows = csv.DictReader(io.StringIO((tmp_path / "list.csv").read_bytes().decode("utf-8-sig"), newline=""))
    assert [unguarded(row["customer_id"]) for row in rows] == seen
    sheet = openpyxl.load_workbook(tmp_path / "list.xlsx").worksheets[0]
    assert [unescape(row[1]) for row in sheet.iter_rows(min_row=2, values_only=True)] == seen


def test_a_list_is_saved_as_a_campaign(console: Console) -> None:
    page = console.open("#/list")
    page.get_by_role("spinbutton", name="Contacts at most").fill("20")
    page.get_by_label("Held out, %").fill("30")
    page.get_by_text("Save as campaign").click()
    page.get_by_label("Name").fill("spring")
    page.get_by_label("Contact from").fill("1999-07-03")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="spring")).to_contain_text("20 to contact")
    [saved] = console.api("/v1/campaigns").json()["campaigns"]
    assert (saved["name"], saved["contact_day"], saved["contacts"]) == ("spring", "1999-07-03", 20)
    assert saved["held_out"] > 0
    with page.expect_download() as download:
        page.get_by_role("button", name="Contacts as CSV").click()
    assert len(Path(download.value.path()).read_bytes().decode().strip().split("\r\n")) == 21
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("There is a campaign of this name already.")).to_be_visible()


def test_a_customer_is_found_and_explained(console: Console) -> None:
    customer_id = next(one for one in console.ids if one.isdecimal())
    told = console.api(f"/v1/customers/{customer_id}").json()
    days = console.api(f"/v1/customers/{customer_id}/orders").json()["orders"]
    page = console.open("#/customer")
    page.get_by_label("Exact customer id").fill(customer_id)
    page.keyboard.press("Enter")
    expect(page.locator("h2.who")).to_have_text(customer_id)
    for what in ("value", "churn"):
        for driver in told["drivers"][what][:6]:
            expect(page.get_by_text(driver["text"])).to_be_visible()
    expect(page.locator("svg.strip rect")).to_have_count(len(days))
    page.get_by_text("Day, Amount").click()
    expect(page.get_by_role("row").filter(has_text="USD")).to_have_count(len(days))
    page.get_by_label("Exact customer id").fill("nobody")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("alert")).to_contain_text("There is no customer of this id")


def test_the_model_shows_grade_tiers_and_calibration(console: Console) -> None:
    page, model = console.open("#/model"), console.api("/v1/model").json()
    for tier in model["tiers"]:
        expect(page.get_by_role("row", name=re.compile(f"^{tier['tier']}"))).to_be_visible()
    deciles = [{"predicted": place / 10, "realised": place / 11} for place in range(1, 11)]
    calibrated = json.dumps({**model, "grade": "B", "calibration": {"value": deciles, "risk": deciles}})
    page.route("**/v1/model", lambda route: route.fulfill(body=calibrated, content_type="application/json"))
    page.reload()
    expect(page.locator("svg.chart circle")).to_have_count(20)
    expect(page.get_by_text("Surely finds more of both")).to_be_visible()


# What goes wrong


def test_a_page_that_was_left_is_not_shown_when_it_comes_at_last(console: Console) -> None:
    page = console.open()
    page.route("**/v1/model", lambda route: (time.sleep(0.5), route.continue_()))
    page.get_by_role("link", name="Model", exact=True).click()
    page.evaluate("location.hash = '#/customer'")
    expect(page.get_by_role("heading", name="Customer", exact=True)).to_be_visible()
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(300)
    expect(page.get_by_role("heading", name="Customer", exact=True)).to_be_visible()
    expect(page.get_by_role("heading", name="Calibration")).to_have_count(0)


def test_a_key_that_no_header_can_carry_is_a_wrong_key(console: Console) -> None:
    page = console.open(key=None)
    page.get_by_label("API key").fill("密钥")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("This key is not valid, or no longer.")
    assert page.evaluate("sessionStorage.length") == 0


def test_a_list_that_is_refused_says_why_and_shows_no_old_plan(console: Console) -> None:
    page = console.open("#/list")
    expect(page.locator("#plan")).to_contain_text("500")
    page.get_by_label("Save rate, %").fill("0")
    expect(page.locator("#rows").get_by_role("alert")).to_contain_text("save_rate must be above 0")
    expect(page.locator("#plan")).to_be_empty()
    busy = {"error": {"code": "too_many_requests", "message": "slow down", "details": []}}
    page.route("**/v1/lists/churn-risk?*", lambda route: route.fulfill(status=429, json=busy, headers={"retry-after": "7"}))
    page.get_by_label("Save rate, %").fill("10")
    expect(page.locator("#rows").get_by_role("alert")).to_have_text("The service is busy. Try again in 7 s.")
    page.unroute("**/v1/lists/churn-risk?*")
    page.evaluate("sessionStorage.setItem('foretier-key', 'foretier_revoked')")
    page.get_by_label("Save rate, %").fill("20")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_customer_without_order_days_is_still_shown(console: Console) -> None:
    page = console.open()
    page.route("**/orders", lambda route: route.abort())
    customer_id = next(one for one in console.ids if one.isdecimal())
    page.evaluate("id => { location.hash = `#/customer/${id}`; }", customer_id)
    expect(page.locator("h2.who")).to_have_text(customer_id)
    expect(page.get_by_role("alert")).to_have_text("The service does not answer. Is it running?")
    console.said.clear()  # the browser tells that the request failed


def test_what_was_entered_stays(console: Console) -> None:
    page = console.open("#/list")
    page.get_by_role("spinbutton", name="Contacts at most").fill("40")
    page.get_by_role("combobox", name="Tier").select_option("Gold")
    page.get_by_role("link", name="Model", exact=True).click()
    page.get_by_role("link", name="List", exact=True).click()
    expect(page.get_by_role("spinbutton", name="Contacts at most")).to_have_value("40")
    page.get_by_label("Language").select_option("zh")
    expect(page.get_by_role("combobox", name="等级")).to_have_value("Gold")


def test_an_address_that_names_no_page_leads_to_the_tiers(console: Console) -> None:
    page = console.open()
    for path in ("#/constructor", "#/", "#/list/%E0%A4%A", "#nothing"):
        page.goto(f"{console.address}/{path}")
        expect(page.locator("#main h1")).to_be_visible()


# Languages, phone, keyboard


def test_both_languages_have_the_same_words(console: Console) -> None:
    page = console.open()
    keys = page.evaluate(
        """async () => {
          const { WORDS } = await import("/console/words.js");
          const flat = (words, at = "") => Object.entries(words).flatMap(([name, one]) =>
            typeof one === "string" ? [[at + name, one]] : flat(one, `${at}${name}.`));
          return [flat(WORDS.en), flat(WORDS.zh)];
        }"""
    )
    en, zh = (dict(words) for words in keys)
    codes = {name for name in zh if name.startswith("segments.")}  # in English a segment is called by its code
    assert en.keys() == zh.keys() - codes
    assert len(en) > 100
    filled = re.compile(r"\{\w+\}")
    assert [name for name in en if sorted(filled.findall(en[name])) != sorted(filled.findall(zh[name]))] == []
    names = {"foretier", "keys", "create", "read", "lists", "API", "CSV", "XLSX", "RFM", "ABC", "HTTP"}
    assert {name: words for name in zh if (words := set(re.findall(r"[A-Za-z]{2,}", filled.sub("", zh[name]))) - names)} == {}


def test_the_language_is_the_browsers_and_can_be_changed(console: Console) -> None:
    page = console.open("#/list", language="zh-CN")
    expect(page.get_by_role("heading", name="联系谁")).to_be_visible()
    expect(page.locator("table.list tbody tr").first).to_contain_text("使")
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_label("语言").select_option("en")
    expect(page.get_by_role("heading", name="Whom to contact")).to_be_visible()
    expect(page.locator("table.list tbody tr").first).to_contain_text("raises")
    page.reload()
    expect(page.get_by_role("heading", name="Whom to contact")).to_be_visible()


@pytest.mark.parametrize(("language", "width"), [("en-GB", 360), ("zh-CN", 360), ("en-GB", 820), ("en-GB", 1000)])
def test_nothing_is_wider_than_the_screen(console: Console, language: str, width: int) -> None:
    page = console.open(language=language, viewport={"width": width, "height": 740})
    for path in ("#/tiers", "#/list", f"#/customer/{quote(HOSTILE[7], safe='')}", "#/model"):
        page.goto(f"{console.address}/{path}")
        expect(page.locator("#main h1")).to_be_visible()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.goto(f"{console.address}/#/list")
    first = page.locator("table.list tbody tr").first
    expect(first.locator("th")).to_be_visible()
    assert first.bounding_box()["width"] <= width  # type: ignore[index]


def test_the_keyboard_alone_is_enough(console: Console) -> None:
    page = console.open(key=None)
    expect(page.get_by_label("API key")).to_be_focused()
    page.keyboard.type(console.keys["all"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Tiers", exact=True)).to_be_focused()
    page.reload()
    expect(page.get_by_role("heading", name="Tiers", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    reached = []
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))
    assert reached == ["Tiers", "List", "Customer", "Model"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Whom to contact")).to_be_focused()
    expect(page.locator("table.list tbody tr").first).to_be_visible()
    named = "node.hidden || node.labels?.length || node.ariaLabel || node.textContent.trim()"
    controls = page.locator("input, select, button, summary, a")
    assert controls.evaluate_all(f"nodes => nodes.filter(node => !({named})).map(node => node.outerHTML)") == []
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('table.list') !== null"):
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Customer", exact=True)).to_be_focused()


# Hostile text


@pytest.mark.parametrize("customer_id", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_ids_run_nothing_and_lead_to_their_customer(console: Console, customer_id: str) -> None:
    page = console.open("#/list")
    page.get_by_role("spinbutton", name="Contacts at most").fill("200")
    rows = console.api("/v1/lists/churn-risk?capacity=50").json()["customers"]
    place = [row["customer_id"] for row in rows].index(customer_id)
    link = page.locator("table.list tbody tr").nth(place).locator("th a")
    expect(page.locator("table.list tbody tr")).to_have_count(50)
    assert link.evaluate("link => decodeURIComponent(link.hash.slice('#/customer/'.length))") == customer_id
    link.click()
    expect(page.locator("h2.who")).to_be_visible()
    assert page.locator("input[name=customer_id]").input_value() == re.sub(r"[\r\n]", "", customer_id)
    shown = page.locator("h2.who bdi").inner_text()
    assert not re.search(r"[\x00-\x1f\u202a-\u202e\u2066-\u2069\u200b]", shown)
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.querySelectorAll('main script, main img, main b, main iframe').length") == 0


def test_text_of_the_settings_is_text(console: Console) -> None:
    page = console.open("#/list")
    expect(page.locator("table.list tbody tr").first).to_contain_text(TEXT)
    assert page.evaluate("window.hacked") is None


ROWS = """async ({ ids, texts, row }) => {
  const { line } = await import("/console/list.js");
  const body = document.createElement("tbody");
  document.getElementById("main").replaceChildren(document.createElement("table"));
  document.querySelector("#main table").append(body);
  texts.forEach((text, place) => body.append(line({ ...row, customer_id: ids[place % ids.length], action: text, reasons: [text],
    tier: text, risk_band: text, channel: text }, "USD")));
  await new Promise((done) => setTimeout(done, 300));
  return [...body.rows].map((one, place) => ({
    led: decodeURIComponent(one.querySelector("th a").hash.slice("#/customer/".length)),
    shown: one.querySelector("th bdi").textContent,
    action: one.querySelector("td:last-child bdi").textContent,
    tags: [...one.querySelectorAll("*")].map((node) => node.localName).join(" "),
    odd: [...one.querySelectorAll("*")].filter((node) => node.getAttributeNames().some((name) => name.startsWith("on"))).length,
  }));
}"""


def test_ten_thousand_hostile_texts_are_text_and_lead_to_their_customer(console: Console, hostile: Any) -> None:
    page = console.open("#/list")
    expect(page.locator("table.list tbody tr").first).to_be_visible()
    ids, texts = hostile.ids(), [*hostile.texts(), "<script>window.hacked=6</script>" * 1_250]
    assert len(texts[-1]) == 40_000
    row = console.api("/v1/lists/churn-risk?limit=1").json()["customers"][0]
    found = page.evaluate(ROWS, {"ids": ids, "texts": texts, "row": row})
    assert len(found) == 10_001
    assert [one["led"] for one in found] == [ids[place % len(ids)] for place in range(len(found))]
    assert {one["tags"] for one in found} == {found[0]["tags"]}
    assert sum(one["odd"] for one in found) == 0
    hidden = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]")
    assert [one["shown"] for one in found if hidden.search(one["shown"])] == []
    assert [one["action"] for one in found] == [
        text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts
    ]
    assert page.evaluate("window.hacked") is None


@pytest.fixture(scope="module")
def hostile() -> Any:
    """The ten thousand texts of the test of files."""
    spec = importlib.util.spec_from_file_location("hostile_texts", Path(__file__).parent / "test_hostile_text.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The files


def test_the_files_are_served_with_a_policy_that_allows_nothing_else(console: Console) -> None:
    files = sorted(path.name for path in CONSOLE.iterdir())
    assert {Path(name).suffix for name in files} == set(TYPES)
    for path in ("/", *(f"/console/{name}" for name in files)):
        answer = httpx.get(console.address + path)
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; ")
        assert "unsafe" not in policy
        for foreign in re.findall(r"(?:https?:)?//[\w.]+\.\w+", re.sub(r"^\s*//.*$", "", answer.text, flags=re.MULTILINE)):
            assert foreign == "http://www.w3.org", path
        assert not re.search(r"innerHTML|insertAdjacentHTML|outerHTML|document\.write|eval\(", answer.text)
    for wrong in ("nothing.js", "..%2Fapp.py", "../app.py", "console.js%00", "index.html/", "__init__.py"):
        assert httpx.get(f"{console.address}/console/{wrong}").status_code == 404
