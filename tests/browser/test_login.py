"""The login page and what says who is here, as people see them."""

from __future__ import annotations

import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from modules.service.access_link import AccessLink, own_addresses
from modules.service.accounts import Accounts
from tests.browser.conftest import RUN, SECONDS, wait_until_ready
from tests.browser.reach import violations
from tests.service.helpers import until
from tests.sources import ROOT

pytestmark = pytest.mark.browser

PASSWORD = "correct horse battery"
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and data folder of a server that is open to the network; it begins without accounts."""
    folder = tmp_path_factory.mktemp("people")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", RUN, str(ROOT), "--data-dir", str(folder), "--listen", "--port", str(port)]
    with (folder / "log.txt").open("wb") as sink:
        process = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=sink)
    try:
        until(lambda: _is_ready(f"http://127.0.0.1:{port}") or process.poll() is not None, 3 * SECONDS)
        yield f"http://127.0.0.1:{port}", folder
    finally:
        process.terminate()
        process.wait(SECONDS)


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/api/v1/status", timeout=5) as answer:
            return b'"page":"ready"' in answer.read()
    except (urllib.error.URLError, OSError):
        return False


@pytest.fixture
def browse(browser: Browser) -> Iterator[Open]:
    """Opens addresses as somebody new. Every request to another host than the first fails the test."""
    contexts = []
    foreign: list[str] = []

    def browse(
        address: str, width: int = 1440, height: int = 900, scheme: str = "light", *, elsewhere: bool = False
    ) -> Page:
        # What comes through a proxy is another device's.
        headers = {"X-Forwarded-For": "192.168.1.77"} if elsewhere else {}
        size = {"width": width, "height": height}
        context = browser.new_context(viewport=size, color_scheme=scheme, extra_http_headers=headers)
        contexts.append(context)
        page = context.new_page()
        host = "/".join(address.split("/")[:3])
        own = (host, "data:", "blob:")
        page.on("request", lambda request: request.url.startswith(own) or foreign.append(request.url))
        page.goto(address)
        return page

    yield browse
    for context in contexts:
        context.close()
    assert not foreign


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """By keyboard alone: the first empty field has the focus."""
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")


@pytest.mark.skipif(not own_addresses(), reason="this machine is in no network")
def test_the_owner_shares_a_link_and_a_phone_comes_in_by_it(place: tuple[str, Path], browse: Open) -> None:
    address, folder = place
    owner = browse(address)
    wait_until_ready(owner)
    owner.click("[data-action=who]")
    owner.wait_for_selector("[data-share-code]:not([hidden])")
    link = owner.input_value(".share-list input >> nth=0")
    assert link.endswith(AccessLink(folder / "cache" / "access.json").path())
    assert owner.evaluate("document.querySelector('[data-share-code]').naturalWidth") > 100
    phone = browse(link.partition("/access/")[0], 390, 844, elsewhere=True)
    assert phone.url.endswith("/login")
    assert "access link" in phone.inner_text("main")
    phone.goto(link)
    wait_until_ready(phone)
    assert "/access/" not in phone.url
    assert phone.get_attribute("html", "data-role") == "user"
    assert phone.locator("#tab-checkpointmerger-button").is_hidden()
    assert phone.locator("[data-action=folder] >> nth=0").is_hidden()
    phone.click("[data-action=who]")
    phone.wait_for_selector(".who-limits li")
    assert phone.locator("[data-share]").is_hidden()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


def test_accounts_made_meanwhile_ask_for_a_login(place: tuple[str, Path], browse: Open) -> None:
    address, folder = place
    page = browse(address)
    wait_until_ready(page)
    accounts = Accounts(folder / "accounts.json")
    if not accounts.exist():
        accounts.add("ann", PASSWORD, "owner")
        accounts.add("bob", PASSWORD, "user")
    page.wait_for_url("**/login", timeout=15_000)  # the open page has asked for something, and is led there


@pytest.fixture
def named(place: tuple[str, Path]) -> str:
    accounts = Accounts(place[1] / "accounts.json")
    if not accounts.exist():
        accounts.add("ann", PASSWORD, "owner")
        accounts.add("bob", PASSWORD, "user")
    return place[0]


def test_logging_in_by_keyboard_and_out_again(named: str, browse: Open) -> None:
    page = browse(named)
    log_in(page, "bob", "wrong words")
    page.wait_for_selector("#problem:not(:empty)")
    assert page.input_value("#name") == "bob"
    assert page.evaluate("document.activeElement.id") == "password"
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    wait_until_ready(page)
    assert page.inner_text("[data-who-name]") == "bob"
    page.click("[data-action=who]")
    expect(page.locator("[data-who-limits]")).to_contain_text("pictures a day")
    page.click("[data-action=log-out]")
    page.wait_for_url("**/login")
    page.goto(named)
    assert page.url.endswith("/login")


def test_one_goes_on_to_where_one_wanted(named: str, browse: Open) -> None:
    page = browse(f"{named}/docs")
    assert "next=%2Fdocs" in page.url
    log_in(page, "ann")
    page.wait_for_url("**/docs")
    assert "openapi.json" in page.content()


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (390, "dark"), (1440, "dark")])
def test_the_login_page_fits_and_can_be_read(named: str, browse: Open, width: int, scheme: str) -> None:
    page = browse(named, width, 844, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    assert page.get_attribute("#name", "autocomplete") == "username"
    assert page.get_attribute("#password", "autocomplete") == "current-password"
    assert page.get_attribute("#password", "type") == "password"
    assert page.evaluate("document.activeElement.id") == "name"
    for name in ("#name", "#password", ".accounts button"):
        box = page.locator(name).bounding_box()
        assert box is not None
        assert box["height"] >= 44  # a finger's width
    assert violations(page) == []
