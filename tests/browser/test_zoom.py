"""200 % zoom (720 pixels wide), a phone (390) and WCAG's 320: nothing is lost, and only lists of their own scroll
sideways."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.reach import OPENERS, SCHEMES, show, tabs

pytestmark = pytest.mark.browser

WIDTHS = pytest.mark.parametrize("width", [720, 390, 320])

# Controls in sight that reach beyond the window, but for those in a list that scrolls sideways by itself.
_LOST = """(id) => {
  const scrolls = (one) => {
    for (let up = one.parentElement; up && up.id !== id; up = up.parentElement) {
      const { overflowX } = getComputedStyle(up);
      if (overflowX !== "visible" && up.scrollWidth > up.clientWidth) return true;
    }
    return false;
  };
  const hidden = (one) => !one.checkVisibility({ visibilityProperty: true, opacityProperty: true }) || one.closest(".unseen");
  const controls = document.querySelectorAll(`#topbar :is(a, button, select, input), #${id} :is(a, button, select, input, textarea, summary)`);
  return [...controls].filter((one) => {
    const { left, right, width } = one.getBoundingClientRect();
    return width > 1 && (left < -1 || right > innerWidth + 1) && !hidden(one) && !scrolls(one);
  }).map((one) => one.outerHTML.slice(0, 160));
}"""  # noqa: E501 - the language is another


def _sideways(page: Page) -> int:
    """By how much the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


@WIDTHS
def test_no_tab_scrolls_sideways_and_none_loses_a_control(open_page: OpenPage, width: int) -> None:
    page = open_page(width, 800)
    wider, lost = {}, {}
    for tab in tabs(page):
        show(page, tab)
        page.evaluate("(id) => document.querySelectorAll(`#${id} details`).forEach((one) => (one.open = true))", tab)
        wider[tab] = _sideways(page)
        lost[tab] = page.evaluate(_LOST, tab)
    assert wider == {tab: 0 for tab in wider}
    assert lost == {tab: [] for tab in lost}


@WIDTHS
@pytest.mark.parametrize(("opener", "panel"), OPENERS)
def test_what_opens_is_inside_the_window(open_page: OpenPage, width: int, opener: str, panel: str) -> None:
    page = open_page(width, 640)
    page.locator(opener).click()
    box = page.locator(panel).bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width + 1
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 641
    assert _sideways(page) == 0


def test_text_twice_as_large_is_not_cut_off(open_page: OpenPage) -> None:
    """Zoom of text alone, as Firefox and phones have it: what is pressed for a picture still says so."""
    page = open_page(1440)
    page.add_style_tag(
        content="gradio-app .gradio-container :is(button, label, p, summary) { font-size: 26px !important }"
    )
    button = page.locator("[data-panel=txt2img] [data-action=generate]")
    assert button.evaluate("(one) => one.scrollWidth <= one.clientWidth && one.scrollHeight <= one.clientHeight")
    assert _sideways(page) == 0


def test_what_is_pressed_most_is_wide_enough_for_a_finger(open_page: OpenPage) -> None:
    page = open_page(390, 844)
    for selector in ("[data-panel=txt2img] [data-action=generate]", "#tabs [role=tab]", ".tabs-all"):
        box = page.locator(selector).first.bounding_box()
        assert box
        assert box["height"] >= 44
        assert box["width"] >= 44


def test_nothing_moves_for_who_wants_calm(open_page: OpenPage) -> None:
    page = open_page()
    page.emulate_media(reduced_motion="reduce")
    longest = page.evaluate(
        """() => Math.max(...[...document.querySelectorAll("*")].flatMap((one) => ["", "::before", "::after"].map((part) => {
          const { animationName, animationDuration, transitionDuration, transitionProperty } = getComputedStyle(one, part);
          const seconds = (text) => Math.max(...text.split(",").map(parseFloat));
          return Math.max(animationName === "none" ? 0 : seconds(animationDuration), transitionProperty === "none" ? 0 : seconds(transitionDuration));
        })))"""  # noqa: E501
    )
    assert longest <= 0.002
    page.emulate_media(reduced_motion="no-preference")
    assert page.evaluate("getComputedStyle(document.querySelector('.field.switch input')).transitionDuration") != "0s"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_system_s_colours_tell_the_open_tab_and_how_far_a_slider_is(open_page: OpenPage, scheme: str) -> None:
    page = open_page(scheme=scheme)
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    colour = "(one) => getComputedStyle(one).backgroundColor"
    opened = page.locator("#tabs [role=tab][aria-selected=true]").evaluate(colour)
    closed = page.locator("#tabs [role=tab][aria-selected=false]").first.evaluate(colour)
    assert opened != closed
    slider = page.locator("[data-panel=txt2img] input[type=range]").first
    assert slider.evaluate("(one) => getComputedStyle(one).appearance") == "auto"
    expect(page.locator("[data-panel=txt2img] [data-action=generate]")).to_have_css("border-top-style", "solid")
