"""What the tests of keyboards, screen readers and magnifiers share: the page's own tabs, and axe-core's findings."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.steps import LONG

# All of axe's rules, the sizes of targets (WCAG 2.2) as well, which it leaves out by itself.
OPTIONS = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
SCHEMES = ("light", "dark")
# A button of the page, and what it opens.
OPENERS = [
    ("[data-panel=txt2img] [data-action=styles]", "#txt2img-styles"),
    ("[data-panel=txt2img] [data-action=presets]", "#txt2img-presets"),
    ("[data-panel=txt2img] [data-action=cards]", "[data-panel=cards]"),
    ("[data-action=queue]", "[data-panel=queue]"),
    ("[data-action=who]", "#who-menu"),
]

# Resolves once nothing has changed in the element for a while.
_QUIET = """(element) => new Promise((resolve) => {
  let timer = setTimeout(done, 400);
  const end = setTimeout(done, 8000);
  const watcher = new MutationObserver(() => { clearTimeout(timer); timer = setTimeout(done, 400); });
  function done() { watcher.disconnect(); clearTimeout(end); clearTimeout(timer); resolve(); }
  watcher.observe(element, { childList: true, subtree: true, attributes: true });
})"""


def tabs(page: Page) -> list[str]:
    """Ids of the tabs that the page has, in its order."""
    ids = "() => [...document.querySelectorAll('#tabs [role=tab]')].map((tab) => tab.id.slice(0, -'-button'.length))"
    found: list[str] = page.evaluate(ids)
    assert len(found) > 8
    return found


def show(page: Page, tab: str) -> None:
    """Open a tab, and wait until it has been filled."""
    page.evaluate("(id) => import('/static/webui/dom.js').then((dom) => dom.openTab(id))", tab)
    inside = f"#{tab}[role=tabpanel] [data-panel], #{tab}[role=tabpanel] .block"
    page.wait_for_selector(inside, state="attached", timeout=LONG)
    settle(page, f"#{tab}")


def settle(page: Page, selector: str) -> None:
    page.locator(selector).first.evaluate(_QUIET)


def violations(page: Page, scope: str | None = None) -> list[str]:
    """A line for each element that axe-core finds fault with; `scope` is a selector."""
    found = Axe().run(page, scope, OPTIONS).response["violations"]
    return [_line(rule, node) for rule in found for node in rule["nodes"]]


def _line(rule: dict[str, Any], node: dict[str, Any]) -> str:
    why = "; ".join(check["message"] for kind in ("any", "all", "none") for check in node[kind])
    return f"{rule['id']} at {' '.join(map(str, node['target']))}: {why} {node['html'][:160]}"
