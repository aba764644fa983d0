"""The queue on the page: whose turn it is, what may be done to it, and the same person on another device."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, wait_until_ready
from tests.browser.steps import LONG, generate, value, wait_done, wait_running, write

pytestmark = pytest.mark.browser

SMALL = {"width": 64, "height": 64, "steps": 2, "seed": 5}


@pytest.fixture
def ann(open_page: OpenPage) -> Iterator[Page]:
    """Somebody at the page; afterwards the queue goes on."""
    page = open_page()
    yield page
    call(page, "queue/resume")


def call(page: Page, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """What another program of the same person would send."""
    answer = page.request.post(f"{page.url.rstrip('/')}/api/v1/{path}", data=body or {})
    assert answer.ok, answer.text()
    return answer.json()


def order(page: Page, prompt: str, **values: Any) -> str:
    return call(page, "jobs", {**SMALL, "prompt": prompt, **values})["id"]


def open_queue(page: Page) -> Locator:
    page.click("[data-action=queue]")
    panel = page.locator("[data-panel=queue]")
    expect(panel).to_be_visible()
    return panel


def titles(panel: Locator) -> Locator:
    return panel.locator("[data-queue-list] .queue-row b")


def row(panel: Locator, title: str) -> Locator:
    return panel.locator(".queue-row", has=panel.page.get_by_text(title, exact=True))


def history(panel: Locator) -> Locator:
    return panel.locator("[data-queue-recent] .queue-row b")


def elsewhere(page: Page, **options: Any) -> Page:
    """The page on another device of the same person: the same cookie, nothing else of the first browser."""
    context = page.context.browser.new_context(**options)  # type: ignore[union-attr]
    context.add_cookies([cookie for cookie in page.context.cookies() if cookie["name"] == "owner"])  # type: ignore[misc]
    other = context.new_page()
    other.goto(page.url)
    wait_until_ready(other)
    return other


def test_everybodys_turn_with_ones_own_words_only(ann: Page, open_page: OpenPage) -> None:
    call(ann, "queue/pause")
    for name in ("ann one", "ann two"):
        order(ann, name)
    bob = open_page()
    order(bob, "bob one")
    panel = open_queue(ann)
    expect(titles(panel)).to_have_text(["ann one", re.compile("^Someone"), "ann two"], timeout=LONG)
    assert "bob" not in panel.inner_text()
    assert [place.inner_text() for place in panel.locator("[data-queue-list] .queue-place").all()] == ["1", "2", "3"]
    theirs = open_queue(bob)
    expect(titles(theirs)).to_have_text([re.compile("^Someone"), "bob one", re.compile("^Someone")], timeout=LONG)
    expect(bob.locator("[data-queue-paused]")).to_contain_text("Queue paused")
    expect(bob.locator("[data-queue-short]")).to_have_text("‖")


def test_moving_by_keys_keeps_the_focus(ann: Page) -> None:
    call(ann, "queue/pause")
    for name in ("first", "second", "third"):
        order(ann, name)
    panel = open_queue(ann)
    expect(titles(panel)).to_have_text(["first", "second", "third"], timeout=LONG)
    earlier = row(panel, "third").get_by_role("button", name="Earlier")
    earlier.focus()
    ann.keyboard.press("Enter")
    expect(titles(panel)).to_have_text(["first", "third", "second"])
    ann.keyboard.press("Enter")
    expect(titles(panel)).to_have_text(["third", "first", "second"])
    expect(earlier).to_be_focused()
    expect(earlier).to_have_attribute("aria-disabled", "true")
    expect(panel.locator("[data-queue-said]")).to_have_text("Now place 1 in line")
    ann.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(ann.locator("[data-action=queue]")).to_be_focused()


def test_moving_with_the_mouse(ann: Page) -> None:
    call(ann, "queue/pause")
    for name in ("first", "second", "third"):
        order(ann, name)
    panel = open_queue(ann)
    expect(titles(panel)).to_have_text(["first", "second", "third"], timeout=LONG)
    row(panel, "third").drag_to(row(panel, "first"), target_position={"x": 100, "y": 4})
    expect(titles(panel)).to_have_text(["third", "first", "second"])
    row(panel, "third").drag_to(row(panel, "second"), target_position={"x": 100, "y": 56})
    expect(titles(panel)).to_have_text(["first", "second", "third"])


def test_cancel_and_repeat(ann: Page) -> None:
    panel = open_queue(ann)
    order(ann, "a boat")
    expect(history(panel)).to_have_text(["a boat"], timeout=LONG)
    expect(panel.locator("[data-queue-recent] img")).to_have_js_property("complete", True)
    row(panel, "a boat").get_by_role("button", name="Again, with the same seed").click()
    expect(history(panel)).to_have_text(["a boat"] * 2, timeout=LONG)
    call(ann, "queue/pause")
    panel.locator("[data-queue-recent] .queue-row").first.get_by_role("button", name="Again, with a new seed").click()
    expect(titles(panel)).to_have_text(["a boat"])
    jobs = ann.request.get(f"{ann.url}api/v1/jobs").json()["jobs"]
    assert [job["request"]["seed"] == 5 for job in jobs] == [False, True, True]
    panel.locator("[data-queue-list]").get_by_role("button", name="Cancel", exact=True).click()
    expect(titles(panel)).to_have_count(0)
    expect(panel.locator("[data-queue-recent] small").first).to_contain_text("Cancelled")


def test_the_owner_pauses_and_cancels_anybodys(ann: Page, open_page: OpenPage) -> None:
    panel = open_queue(ann)
    panel.locator("[data-action=pause-queue]").click()
    expect(ann.locator("[data-queue-words]")).to_have_text("Queue paused")
    bob = open_page()
    write(bob, prompt="bob waits", steps=2, width=64, height=64)
    generate(bob)
    expect(bob.locator("[data-state-text]").first).to_contain_text("Queue paused by the owner", timeout=LONG)
    stop = panel.get_by_role("button", name="Cancel this job of somebody else")
    stop.click()
    expect(stop).to_contain_text("Cancel it?")
    stop.click()
    expect(bob.locator("[data-state-text]").first).to_have_text("Cancelled", timeout=LONG)
    expect(bob.locator("[data-notices]").first).to_contain_text("The owner of this machine stopped this job.")
    generate(bob)
    panel.locator("[data-action=pause-queue]").click()
    wait_done(bob)


def test_another_device_finds_the_running_job_the_history_and_the_form(ann: Page) -> None:
    write(ann, prompt="a finished boat", steps=2, width=64, height=64)
    generate(ann)
    wait_done(ann)
    write(ann, prompt="a long lighthouse", steps=20, batch_count=50, cfg_scale=9.5)
    generate(ann)
    wait_running(ann)
    ann.wait_for_timeout(1000)  # the form is sent a moment after the last letter
    phone = elsewhere(ann, viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    wait_running(phone)
    expect(phone.locator("[data-state-text]").first).to_have_text(re.compile(r"Step \d+/20"), timeout=LONG)
    assert (value(phone, "prompt"), value(phone, "cfg_scale")) == ("a long lighthouse", "9.5")
    assert (value(phone, "steps"), value(phone, "width")) == ("20", "64")
    expect(phone.locator("[data-queue-short]")).to_have_text("now")
    panel = open_queue(phone)
    expect(titles(panel)).to_have_text(["a long lighthouse"])
    expect(history(panel)).to_have_text(["a finished boat"])
    assert panel.evaluate("element => element.scrollWidth <= element.clientWidth"), "nothing sticks out on a phone"
    panel.locator("[data-queue-list]").get_by_role("button", name="Interrupt").click()
    expect(ann.locator("[data-progress][data-state=interrupted]").first).to_be_attached(timeout=LONG)
    panel.locator(".queue-open-job", has_text="a finished boat").click()
    expect(panel).to_be_hidden()
    expect(phone.locator(".output [data-infotext]").first).to_contain_text("a finished boat", timeout=LONG)
    phone.context.close()


def test_what_is_changed_on_the_one_is_there_on_the_other(ann: Page) -> None:
    write(ann, prompt="typed at the desk", cfg_scale=9)
    ann.wait_for_timeout(1000)
    phone = elsewhere(ann)
    assert value(phone, "prompt") == "typed at the desk"
    write(phone, prompt="changed on the phone")
    phone.wait_for_timeout(1000)
    ann.reload()
    wait_until_ready(ann)
    assert value(ann, "prompt") == "changed on the phone"
    write(phone, cfg_scale=7, prompt="")
    phone.close()  # at once: what was typed last is sent on the way out
    ann.reload()
    wait_until_ready(ann)
    assert (value(ann, "prompt"), value(ann, "cfg_scale")) == ("", "7")


def test_a_wrong_clock_hides_nothing_and_an_open_page_catches_up(ann: Page) -> None:
    ann.clock.install(time="2040-01-01")
    ann.reload()
    wait_until_ready(ann)
    write(ann, prompt="in the year 2040", cfg_scale=9)
    ann.clock.run_for(2000)
    phone = elsewhere(ann)
    expect(phone.locator("#txt2img-prompt")).to_have_value("in the year 2040")
    write(phone, prompt="today", cfg_scale=7)
    phone.wait_for_timeout(1000)
    ann.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(ann.locator("#txt2img-prompt")).to_have_value("today")
    expect(ann.locator("#txt2img-cfg_scale")).to_have_value("7")
    phone.context.close()


def test_a_job_ordered_elsewhere_is_seen_here_and_opened(ann: Page) -> None:
    panel = open_queue(ann)
    job = order(ann, "from the phone", steps=40, batch_count=50, width=128, height=128)
    expect(titles(panel)).to_have_text(["from the phone"], timeout=LONG)
    panel.locator(".queue-open-job", has_text="from the phone").click()
    wait_running(ann)
    call(ann, f"jobs/{job}/interrupt")
    expect(ann.locator("[data-progress][data-state=interrupted]").first).to_be_attached(timeout=LONG)


def test_a_page_opened_late_follows_its_jobs_in_the_order_they_run(ann: Page) -> None:
    call(ann, "queue/pause")
    order(ann, "first")
    second = order(ann, "second")
    call(ann, f"jobs/{second}/move", {"to": "front"})
    ann.reload()
    wait_until_ready(ann)
    call(ann, "queue/resume")
    wait_done(ann)
    expect(ann.locator(".thumb")).to_have_count(2)
    ann.locator(".thumb").first.click()
    expect(ann.locator(".output [data-infotext]").first).to_contain_text("second")
