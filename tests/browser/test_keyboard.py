"""The page by keyboard alone: every stop is seen, none is a trap, and the bar of tabs is walked by arrows."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.reach import OPENERS, show, tabs

pytestmark = pytest.mark.browser

MOST = 400  # stops of a tab
# What has the focus: has it (or what stands for it, as a label does for a hidden input) a ring, and is it in sight?
_STOP = """() => {
  const stop = document.activeElement;
  if (!stop || stop === document.body) return null;
  const near = [stop, stop.nextElementSibling];
  for (let up = stop.parentElement; up && near.length < 5; up = up.parentElement) near.push(up);
  const ringed = (one) => {
    const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(one);
    return outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && !/, 0\\)$|transparent/.test(outlineColor);
  };
  const { left, top, width, height } = stop.getBoundingClientRect();
  const stands = (hit) => hit && (stop.contains(hit) || (hit.contains(stop) && hit.offsetHeight < 400) || hit.closest("label")?.control === stop);
  const points = [[0.5, 0.5], [0.15, 0.5], [0.85, 0.5], [0.5, 0.15], [0.5, 0.85]];
  const seen = points.some(([x, y]) => stands(document.elementFromPoint(left + width * x, top + height * y)));
  const path = [];
  for (let up = stop; up && path.length < 4; up = up.parentElement) path.unshift(`${up.tagName}${up.id ? "#" + up.id : ""}`);
  const words = stop.dataset.action ?? stop.ariaLabel ?? stop.textContent.trim().slice(0, 30);
  stop.dataset.stop ??= String(document.querySelectorAll("[data-stop]").length);
  return { place: `${path.join(" > ")} ${words}`, number: stop.dataset.stop, ringed: near.filter(Boolean).some(ringed), seen };
}"""  # noqa: E501 - the language is another


def _from_the_top(page: Page) -> None:
    page.evaluate(
        """() => { document.activeElement.blur(); scrollTo(0, 0);
        document.querySelectorAll("[data-stop]").forEach((one) => delete one.dataset.stop);
        document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex"); }"""
    )


def _walk(page: Page) -> list[dict[str, Any]]:
    """Every stop of Tab, from the top of the page until it is left or begins again."""
    stops: list[dict[str, Any]] = []
    _from_the_top(page)
    for _ in range(MOST):
        page.keyboard.press("Tab")
        stop = page.evaluate(_STOP)
        if stop is None or (stops and stop["number"] == stops[0]["number"]):
            return stops
        if stop["number"] in {one["number"] for one in stops}:
            pytest.fail(f"Tab goes in a circle at {stop['place']}")
        stops.append(stop)
    pytest.fail(f"more than {MOST} stops, the last at {stops[-1]['place']}")


@pytest.mark.parametrize("width", [1440, 390])
def test_every_stop_of_every_tab_is_seen_and_none_is_a_trap(open_page: OpenPage, width: int) -> None:
    page = open_page(width)
    hidden, bare = {}, {}
    for tab in tabs(page):
        show(page, tab)
        stops = _walk(page)
        assert len(stops) > 10
        assert stops[0]["place"].endswith("Skip to the tab in sight")
        hidden[tab] = [stop["place"] for stop in stops if not stop["seen"]]
        bare[tab] = [stop["place"] for stop in stops if not stop["ringed"]]
    assert hidden == {tab: [] for tab in hidden}
    assert bare == {tab: [] for tab in bare}


def _focused(page: Page) -> str:
    return page.evaluate("document.activeElement.id")


@pytest.mark.parametrize("width", [1440, 390])
def test_the_bar_of_tabs_is_one_stop_walked_by_arrows(open_page: OpenPage, width: int) -> None:
    page = open_page(width)
    ids = tabs(page)
    assert page.locator("#tabs-list [role=tab][tabindex='0']").count() == 1
    page.focus(f"#{ids[0]}-button")
    page.keyboard.press("ArrowRight")
    assert _focused(page) == f"{ids[1]}-button"
    expect(page.locator(f"#{ids[0]}-button")).to_have_attribute("aria-selected", "true")  # looked at, not yet opened
    page.keyboard.press("Enter")
    expect(page.locator(f"#{ids[1]}-button")).to_have_attribute("aria-selected", "true")
    panel = page.locator(f"#{ids[1]}")
    expect(panel).to_be_visible()
    expect(panel).to_have_attribute("aria-labelledby", f"{ids[1]}-button")
    page.keyboard.press("End")
    assert _focused(page) == f"{ids[-1]}-button"
    box = page.locator(f"#{ids[-1]}-button").bounding_box()
    bar = page.locator("#tabs-list").bounding_box()
    assert box and bar
    assert bar["y"] <= box["y"] + 1 <= bar["y"] + bar["height"]  # its row is the one in sight
    page.keyboard.press("ArrowRight")
    assert _focused(page) == f"{ids[0]}-button"
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    assert _focused(page) == f"{ids[1]}-button"  # the open one is what Tab reaches


def test_a_phone_unfolds_all_tabs_and_folds_them_again(open_page: OpenPage) -> None:
    page = open_page(390)
    button = page.get_by_role("button", name="All tabs")
    expect(button).to_have_attribute("aria-expanded", "false")
    button.click()
    expect(button).to_have_attribute("aria-expanded", "true")
    for tab in tabs(page):
        expect(page.locator(f"#{tab}-button")).to_be_in_viewport()
    page.click("#tab-settings-button")
    expect(button).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#tab-settings-button")).to_be_in_viewport()
    expect(page.locator("#tab-txt2img-button")).not_to_be_in_viewport()


def test_the_skip_link_leads_into_the_tab_in_sight(open_page: OpenPage) -> None:
    page = open_page()
    _from_the_top(page)
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to the tab in sight")
    expect(link).to_be_focused()
    assert (link.bounding_box() or {})["height"] > 24
    page.keyboard.press("Enter")
    assert _focused(page) == "tab-txt2img"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('#tab-txt2img') !== null")


def test_landmarks_and_headings(open_page: OpenPage) -> None:
    page = open_page()
    assert page.locator("html").get_attribute("lang") == "en"
    assert page.title() == "Stable Diffusion"
    for role in ("banner", "navigation", "main"):
        assert page.get_by_role(role).filter(visible=True).count() == 1
    assert page.get_by_role("heading", level=1).all_inner_texts() == ["Stable Diffusion"]
    for tab in tabs(page):
        show(page, tab)
        name = page.locator(f"#{tab}-button").inner_text()
        heading = page.locator(f"#{tab} h2").first
        assert heading.inner_text() == name


def test_a_mask_is_painted_by_keys(open_page: OpenPage) -> None:
    page = open_page()
    show(page, "tab-img2img")
    page.locator("[data-panel=img2img] .choice").get_by_text("Inpaint", exact=True).click()
    page.click("[data-panel=img2img] [data-action=blank]")
    canvas = page.locator("[data-panel=img2img] [data-painter] canvas")
    said = page.locator("[data-canvas-state]")
    expect(said).to_contain_text("nothing masked yet")
    canvas.focus()
    for key in ("Enter", "ArrowRight", "Shift+ArrowRight", "Shift+ArrowDown"):
        page.keyboard.press(key)
    expect(said).not_to_contain_text("nothing masked yet")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(said).to_contain_text("nothing masked yet")
    help_line = page.locator(f"#{canvas.get_attribute('aria-describedby')}")
    assert "Shift and arrows draw" in help_line.inner_text()


@pytest.mark.parametrize(("opener", "panel"), OPENERS)
def test_what_opens_takes_the_focus_and_escape_gives_it_back(open_page: OpenPage, opener: str, panel: str) -> None:
    page = open_page()
    button = page.locator(opener)
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(panel)).to_be_visible()
    expect(button).to_have_attribute("aria-expanded", "true")
    page.wait_for_function("(panel) => document.querySelector(panel).contains(document.activeElement)", arg=panel)
    page.keyboard.press("Escape")
    expect(page.locator(panel)).to_be_hidden()
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-expanded", "false")
