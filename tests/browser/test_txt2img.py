"""The main job in a real browser: a prompt becomes a picture, is stopped, found again, and stays one's own."""

from __future__ import annotations

import re
import zipfile

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage, wait_until_ready
from tests.browser.steps import (
    LONG,
    generate,
    pictures,
    pixels,
    shown_text,
    value,
    wait_done,
    wait_running,
    write,
)

pytestmark = pytest.mark.browser


def test_a_prompt_becomes_pictures_with_their_text(open_page: OpenPage) -> None:
    page = open_page()
    assert (value(page, "width"), value(page, "height")) == ("128", "128")  # the checkpoint's own size
    write(page, prompt="a red circle on a blue background", steps=6, seed=5, batch_count=2)
    page.keyboard.press("Control+Enter")
    wait_done(page)
    assert pictures(page) == 2
    assert "Seed\n6" in shown_text(page)
    page.locator(".thumb").first.click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert "Seed\n5" in shown_text(page)
    page.click("[data-action=recycle]")
    assert value(page, "seed") == "5"
    page.click("[data-action=dice]")
    assert value(page, "seed") == "-1"
    with page.expect_download() as download:
        page.click("[data-action=save]")
    assert download.value.suggested_filename.endswith("-5.png")
    with page.expect_download() as download:
        page.click("[data-action=zip]")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == 2


def test_progress_is_shown_and_interrupt_keeps_what_is_done(open_page: OpenPage) -> None:
    page = open_page()
    write(page, prompt="a green star", steps=10, batch_count=100)
    generate(page)
    wait_running(page)
    expect(page.locator("[data-state-text]")).to_have_text(
        re.compile(r"Step \d+/10 · image \d+ of 100"), timeout=LONG
    )
    expect(page.locator("[data-left]")).to_have_text(re.compile(r"\d+ s left"))
    expect(page.locator('[data-stage][data-state="live"] img')).to_be_visible(timeout=LONG)
    page.wait_for_selector('.thumb[aria-label="Picture 1"]', timeout=LONG)
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-progress][data-state=interrupted]", timeout=LONG)
    assert 1 <= pictures(page) < 100
    expect(page.locator("[data-action=generate]")).to_be_visible()


def test_skip_goes_on_with_the_next_picture(open_page: OpenPage) -> None:
    page = open_page()
    write(page, prompt="a star", steps=150, batch_count=2)
    generate(page)
    wait_running(page)
    page.click("[data-action=skip]")
    expect(page.locator("[data-state-text]")).to_have_text(re.compile("image 2 of 2"), timeout=LONG)
    page.click("[data-action=interrupt]")
    page.wait_for_selector("[data-progress][data-state=interrupted]", timeout=LONG)


def test_generating_for_ever_goes_on_until_interrupt(open_page: OpenPage) -> None:
    page = open_page()
    forever = page.locator("[data-panel=txt2img] [data-action=forever]")
    button = page.locator("[data-panel=txt2img] [data-action=generate]")
    write(page, prompt="a star", steps=1)
    forever.click()
    expect(forever).to_have_attribute("aria-pressed", "true")
    count = "fetch('api/v1/jobs').then((answer) => answer.json()).then(({ jobs }) => jobs.length)"
    page.wait_for_function(f"{count}.then((jobs) => jobs >= 3)", timeout=LONG)
    page.keyboard.press("Escape")
    expect(forever).to_have_attribute("aria-pressed", "false")
    expect(button).to_be_visible(timeout=LONG)
    done = page.evaluate(count)
    button.click(button="right")  # as in A1111
    expect(forever).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Escape")
    expect(button).to_be_visible(timeout=LONG)
    assert page.evaluate(count) == done + 1


def test_a_reload_in_the_middle_finds_the_job_again(open_page: OpenPage) -> None:
    page = open_page()
    write(page, prompt="a yellow square", steps=10, batch_count=100)
    generate(page)
    page.wait_for_selector('.thumb[aria-label="Picture 1"]', timeout=LONG)
    page.reload()
    wait_until_ready(page)
    wait_running(page)
    page.wait_for_selector('.thumb[aria-label="Picture 1"]', timeout=LONG)
    page.keyboard.press("Escape")
    page.wait_for_selector("[data-progress][data-state=interrupted]", timeout=LONG)
    drawn = pictures(page)
    page.reload()
    wait_until_ready(page)
    assert pictures(page) == drawn >= 1
    assert value(page, "prompt") == "a yellow square"


def test_two_people_see_only_their_own(open_page: OpenPage) -> None:
    anna, ben = open_page(), open_page()
    write(anna, prompt="a red circle", steps=150, batch_count=30)
    generate(anna)
    wait_running(anna)
    write(ben, prompt="a blue circle", steps=4)
    expect(ben.locator("[data-action=interrupt]")).to_be_hidden()
    generate(ben)
    expect(ben.locator("[data-state-text]")).to_have_text(re.compile("Waiting"))
    ben.keyboard.press("Escape")
    ben.wait_for_selector("[data-progress][data-state=cancelled]", timeout=LONG)
    expect(anna.locator("[data-progress]")).to_have_attribute("data-state", "running")
    ben.reload()
    wait_until_ready(ben)
    expect(ben.locator("[data-thumbs] .thumb")).to_have_count(0)
    anna.keyboard.press("Escape")
    anna.wait_for_selector("[data-progress][data-state=interrupted]", timeout=LONG)


def test_a_wrong_value_is_one_sentence_beside_generate(open_page: OpenPage) -> None:
    page = open_page()
    write(page, steps=2000)
    generate(page)
    problem = page.locator("[data-run-problem]")
    expect(problem).to_contain_text("Sampling steps")
    expect(problem).not_to_contain_text("Traceback")
    expect(page.locator("#txt2img-steps")).to_be_focused()
    assert page.get_attribute("#txt2img-steps", "aria-invalid") is not None
    write(page, steps=2)
    generate(page)
    wait_done(page)
    expect(problem).to_be_hidden()


def test_a_saved_picture_draws_itself_again(open_page: OpenPage) -> None:
    page = open_page()
    write(page, prompt="a (red:1.3) circle, on green", negative_prompt="a, square", steps=7, seed=123, cfg_scale=5.5)
    write(page, sampler="Euler a", scheduler="Karras", width=136, clip_skip=2)
    generate(page)
    wait_done(page)
    first = pixels(page)
    with page.expect_download() as download:
        page.click("[data-action=save]")
    other = open_page()
    other.get_by_role("tab", name="PNG Info").click()
    other.set_input_files("#pnginfo-file", download.value.path())
    expect(other.locator("[data-pnginfo-text]")).to_contain_text("a (red:1.3) circle, on green")
    other.click("[data-action=again]")
    expect(other.locator("#txt2img-prompt")).to_be_visible()
    expected = {
        "seed": "123",
        "steps": "7",
        "sampler": "Euler a",
        "scheduler": "Karras",
        "width": "136",
        "clip_skip": "2",
    }
    assert {name: value(other, name) for name in expected} == expected
    assert value(other, "checkpoint") == value(page, "checkpoint")
    generate(other)
    wait_done(other)
    assert pixels(other) == first
