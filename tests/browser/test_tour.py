"""The first steps: shown once to somebody new, by keyboard and on a phone, and again when asked for."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import OpenPage, stop_jobs, wait_until_ready
from tests.browser.reach import SCHEMES, violations
from tests.browser.steps import LONG, write

pytestmark = pytest.mark.browser

STEPS = 6
Newcomer = Callable[..., Page]


@pytest.fixture
def newcomer(browser: Browser, address: str, request: pytest.FixtureRequest) -> Newcomer:
    """Opens the page as somebody to whom the first steps are shown; the other tests' people have none."""

    def open_page(**options: object) -> Page:
        context: BrowserContext = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        request.addfinalizer(context.close)
        request.addfinalizer(lambda: stop_jobs(context.request, address))
        context.request.get(address)
        values = {"values": {"first_steps": True}}
        assert context.request.patch(f"{address}/api/v1/settings/mine", data=values).ok
        page = context.new_page()
        page.goto(address)
        wait_until_ready(page)
        return page

    return open_page


def _title(page: Page) -> str:
    return page.inner_text(".tour-title")


def _expect_beside_what_it_means(page: Page) -> None:
    """The ring comes to be around something in sight, and the card leaves that free and is whole."""
    page.wait_for_function(
        """() => {
          const ring = document.querySelector('.tour-ring').getBoundingClientRect();
          const card = document.querySelector('.tour-card').getBoundingClientRect();
          const apart = card.top >= ring.bottom || card.bottom <= ring.top;
          const whole = card.top >= 0 && card.left >= 0 && card.bottom <= innerHeight && card.right <= innerWidth;
          const middle = [ring.left + ring.width / 2, ring.top + ring.height / 2];
          const meant = document.elementFromPoint(...middle);
          return apart && whole && Boolean(meant) && !meant.closest('.tour');
        }""",
        timeout=LONG,
    )


@pytest.mark.parametrize(("width", "height"), [(1440, 900), (390, 844)], ids=["desk", "phone"])
def test_it_is_walked_by_keyboard_and_never_shown_again(newcomer: Newcomer, width: int, height: int) -> None:
    page = newcomer(viewport={"width": width, "height": height}, reduced_motion="reduce")
    card = page.get_by_role("dialog", name="Say what you want to see")
    expect(card).to_be_visible()
    expect(card.get_by_role("button", name="Next")).to_be_focused()
    seen = []
    for step in range(1, STEPS + 1):
        expect(page.locator(".tour-count")).to_have_text(f"First steps, {step} of {STEPS}")
        _expect_beside_what_it_means(page)
        seen.append(_title(page))
        if step < STEPS:
            page.keyboard.press("Enter")
    assert len(set(seen)) == STEPS
    with page.expect_response(lambda answer: answer.request.method == "PATCH"):
        page.keyboard.press("Enter")
    expect(page.locator(".tour")).to_have_count(0)
    page.reload()
    wait_until_ready(page)
    expect(page.locator(".tour")).to_have_count(0)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_in_the_card(newcomer: Newcomer, scheme: str) -> None:
    page = newcomer(reduced_motion="reduce", color_scheme=scheme)
    expect(page.locator(".tour-card")).to_be_visible()
    assert violations(page, ".tour") == []


def test_escape_skips_it_and_the_page_can_be_used_meanwhile(newcomer: Newcomer) -> None:
    page = newcomer()
    expect(page.locator(".tour-card")).to_be_visible()
    page.click("[data-panel=txt2img] [data-knob=prompt] textarea")
    page.keyboard.type("a boat")
    expect(page.locator(".tour-card")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".tour")).to_have_count(0)
    expect(page.locator("#txt2img-prompt")).to_be_focused()
    expect(page.locator("#txt2img-prompt")).to_have_value("a boat")


def test_back_and_skip_and_the_focus_comes_back(newcomer: Newcomer) -> None:
    page = newcomer()
    next_, back = page.locator("[data-tour=next]"), page.locator("[data-tour=back]")
    expect(back).to_be_hidden()
    next_.click()
    expect(page.locator(".tour-title")).to_have_text("Draw it")
    back.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".tour-title")).to_have_text("Say what you want to see")
    expect(next_).to_be_focused()
    page.locator("[data-tour=skip]").click()
    expect(page.locator("#txt2img-prompt")).to_be_focused()


def test_escape_ends_the_steps_and_not_the_job(newcomer: Newcomer) -> None:
    page = newcomer()
    write(page, prompt="a star", steps=150, batch_count=20)
    page.keyboard.press("Control+Enter")
    expect(page.locator("[data-panel=txt2img] [data-action=interrupt]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".tour")).to_have_count(0)
    expect(page.locator("[data-panel=txt2img] [data-action=interrupt]")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("[data-panel=txt2img] [data-action=generate]")).to_be_visible(timeout=30_000)


def test_the_question_mark_and_the_settings_show_it_again(open_page: OpenPage) -> None:
    page = open_page()
    expect(page.locator(".tour")).to_have_count(0)
    opener = page.get_by_role("button", name="First steps")
    opener.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Say what you want to see")).to_be_visible()
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    page.click("#tab-settings-button")
    page.get_by_role("button", name="Show them now").click()
    expect(page.get_by_role("dialog", name="Say what you want to see")).to_be_visible()
    expect(page.locator("#txt2img-prompt")).to_be_visible()
