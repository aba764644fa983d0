"""A real server with the embedded model on an empty data folder, and a real Chromium in front of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import APIRequestContext, Browser, Page, sync_playwright

from tests import chromium
from tests.sources import ROOT

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
)
RUN = "import sys, pathlib; from modules.cli import main; sys.exit(main(sys.argv[2:], pathlib.Path(sys.argv[1])))"
SECONDS = 60

OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's data folder."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def address(data: Path) -> Iterator[str]:
    """The address of a server whose page is ready."""
    port = _free_port()
    folders = ["--data-dir", str(data), "--no-first-steps"]
    command = [sys.executable, "-c", RUN, str(ROOT), *folders, "--port", str(port), "--threads", "2"]
    log = data / "server.log"
    with log.open("wb") as sink:
        server = subprocess.Popen(command, cwd=ROOT, stdout=sink, stderr=subprocess.STDOUT)
    try:
        _wait_for_page(f"http://127.0.0.1:{port}", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_for_page(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/api/v1/status", timeout=5) as answer:
                if b'"page":"ready"' in answer.read():
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    pytest.fail(f"The server did not show its page:\n{log.read_text(errors='replace')}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium.find()
    if path is None:
        pytest.fail("There is no Chromium, Chrome or Edge here: install one, or name it in the variable CHROMIUM.")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield opened
        opened.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[OpenPage]:
    """Opens the page as somebody new (own cookies), ready to use. Every request to another host fails the test."""
    contexts = []
    foreign: list[str] = []
    faults: list[str] = []

    def open_page(width: int = 1440, height: int = 900, scheme: str = "light", locale: str = "en-US") -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme, locale=locale)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: _is_own(request.url, address) or foreign.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(address)
        wait_until_ready(page)
        return page

    yield open_page
    for context in contexts:
        stop_jobs(context.request, address)
        context.close()
    assert not foreign, "the page asked another host"
    assert not faults, "a script of the page failed"


def stop_jobs(client: APIRequestContext, address: str) -> None:
    """A job that a failed test left behind must not keep the next one waiting."""
    for job in client.get(f"{address}/api/v1/jobs").json()["jobs"]:
        if job["state"] in ("waiting", "running"):
            client.post(f"{address}/api/v1/jobs/{job['id']}/interrupt")


def _is_own(url: str, address: str) -> bool:
    return url.startswith((address, "data:", "blob:"))


def wait_until_ready(page: Page) -> None:
    page.wait_for_selector("html[data-webui=ready]", state="attached", timeout=SECONDS * 1000)
