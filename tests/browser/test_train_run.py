"""Step 4 of the Train tab in a real browser: runs as `FakeRuns` tells of them; nothing is trained."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import LONG
from tests.browser.training import (
    RUN,
    FakeRuns,
    drawing,
    history,
    loss,
    open_folder,
    open_train,
    state_of,
    walk,
)

pytestmark = pytest.mark.browser


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


def test_a_word_is_learned_found_on_a_phone_and_drawn_with(open_page: OpenPage, tmp_path: Path) -> None:
    """The one that trains in earnest."""
    for seed in range(4):
        drawing(seed, (96, 64)).save(tmp_path / f"0{seed}-a drawing.png")
    page = open_train(open_page)
    open_folder(page, tmp_path)
    walk(page, "options")
    page.fill("#train-name", "tiny_uncle")
    page.fill("#train-steps", "12")
    for section in ("watching", "preview"):
        page.click(f"[data-section=train-{section}] summary")
    for name, value in QUICK.items():
        page.fill(f"#train-{name}", value)
    page.click("[data-action=step-on]")
    expect(page.locator("[data-run-name]")).to_have_text("tiny_uncle", timeout=LONG)
    phone = open_train(open_page, width=390)
    walk(phone, "run")  # it opens by itself while the run goes on, and that may be over by now
    expect(phone.locator("[data-run-name]")).to_have_text("tiny_uncle")
    for device in (page, phone):
        expect(device.locator("[data-run-state]")).to_have_text("Done", timeout=2 * LONG)
        expect(device.locator("[data-number=step]")).to_have_text("12")
        expect(device.locator(".strip-cell")).to_have_count(2 * 3)
        expect(device.locator(".curve-room .line")).to_have_count(3)
    page.click("[data-action=try-run]")
    prompt = "[data-panel=txt2img] [data-knob=prompt]"
    expect(page.locator(f"{prompt} textarea")).to_have_value("a picture in the style of tiny_uncle")
    page.fill("#txt2img-steps", "2")
    page.click("[data-panel=txt2img] [data-action=generate]")
    page.wait_for_selector("[data-panel=txt2img-output] [data-progress][data-state=done]", timeout=LONG)
    expect(page.locator("[data-panel=txt2img-output] [data-infotext]")).to_contain_text("tiny_uncle")


QUICK = {
    "evaluate_every": "6",
    "evaluation_pictures": "2",
    "create_image_every": "6",
    "save_embedding_every": "6",
    "preview-steps": "2",
}


@pytest.mark.parametrize("width", [1440, 390])
def test_a_run_that_goes_on_is_found_with_its_history(open_page: OpenPage, runs: FakeRuns, width: int) -> None:
    page = open_train(open_page, runs, width)
    expect(page.locator("[data-step=run]")).to_be_visible()
    expect(page.locator("[data-number=step]")).to_have_text("1,240")
    expect(page.locator("[data-number-note=step]")).to_have_text("of 3,000")
    expect(page.locator("[data-number=left]")).to_have_text("18 min")
    expect(page.locator("[data-number-note=evaluation]")).to_contain_text("at 1,200")
    expect(page.locator("[data-run-notices]")).to_have_text("Step 310: A step was dropped.")
    expect(page.locator(".curve-room .line")).to_have_count(3)
    expect(page.locator(".curve-room .best")).to_have_count(1)
    expect(page.locator(".strip-cell")).to_have_count(2 * 13)
    assert state_of(page, "run") == "my_uncle · 1,240 of 3,000"
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_events_move_the_numbers_and_the_curve(open_page: OpenPage, runs: FakeRuns) -> None:
    step = {"event": "TrainStep", "run": RUN, "step": 1300, "steps": 3000, "state": "evaluating", "loss": 0.2}
    step |= {"smooth": 0.15, "rate": 0.002, "norm": 0.4, "evaluation": 0.05, "best": 0.05, "best_step": 1300}
    step |= {"seconds_per_step": 2.0, "seconds_left": 3400.0, "memory": 500.0}
    runs.events = [step, {"event": "Notice", "text": "Half the rate from here on.", "level": "warning"}]
    page = open_train(open_page, runs)
    expect(page.locator("[data-number=step]")).to_have_text("1,300")
    expect(page.locator("[data-number-note=evaluation]")).to_have_text("best 0.0500 at 1,300")
    expect(page.locator("[data-number=speed]")).to_have_text("2.0")
    expect(page.locator("[data-run-state]")).to_have_text("Evaluating")
    expect(page.locator("[data-run-notices]")).to_contain_text("Half the rate")
    page.focus("[data-curve]")
    page.keyboard.press("End")
    expect(page.locator("[data-curve-read]")).to_contain_text(
        "Step 1,300 · loss 0.2 · smoothed 0.15 · evaluation 0.05"
    )
    page.keyboard.press("Home")
    expect(page.locator("[data-curve-read]")).to_contain_text("Step 5 ·")


def test_losses_lie_on_a_logarithmic_scale(open_page: OpenPage, runs: FakeRuns) -> None:
    page = open_train(open_page, runs)
    expect(page.locator(".curve-room .line.smooth")).to_have_count(1)
    path = page.locator(".curve-room .line.smooth").get_attribute("d") or ""
    points = [tuple(map(float, point.split())) for point in path.removeprefix("M").split("L")]
    rows = history(runs.step)
    assert len(points) == len(rows)
    # Equal ratios are equal heights: the height of a point is its logarithm's.
    tops = [points[index][1] for index in (0, len(points) // 2, len(points) - 1)]
    from_loss = [math.log10(loss(int(rows[index][0] or 0))) for index in (0, len(points) // 2, len(points) - 1)]
    share = (tops[1] - tops[0]) / (tops[2] - tops[0])
    assert share == pytest.approx((from_loss[1] - from_loss[0]) / (from_loss[2] - from_loss[0]), abs=0.02)


def test_two_previews_are_compared_and_a_copy_becomes_the_result(open_page: OpenPage, runs: FakeRuns) -> None:
    page = open_train(open_page, runs)
    left, right = page.locator("[data-compare-a]"), page.locator("[data-compare-b]")
    expect(left).to_have_attribute("src", re.compile("plain-0"))
    expect(right).to_have_attribute("src", re.compile("my_uncle-1200-0"))
    page.get_by_role("button", name="Step 500, picture 2", exact=True).click()
    expect(right).to_have_attribute("src", re.compile("my_uncle-500-1"))
    expect(left).to_have_attribute("src", re.compile("plain-1"))
    page.select_option("#compare-a", "100")
    expect(left).to_have_attribute("src", re.compile("my_uncle-100-1"))
    page.focus("[data-compare-slider]")
    page.keyboard.press("Home")
    assert page.locator("[data-compare-stage]").evaluate("e => e.style.getPropertyValue('--share')") == "0%"
    expect(page.locator("#copy-step")).to_have_value("500")
    page.click("[data-action=keep-copy]")
    expect(page.locator("[data-run-notices]")).to_contain_text("step 500 is the result")
    assert runs.asked == [("POST", f"/runs/{RUN}/keep", {"step": 500})]


def test_a_run_is_paused_resumed_stopped_and_thrown_away(open_page: OpenPage, runs: FakeRuns) -> None:
    page = open_train(open_page, runs)
    page.click("[data-action=pause-run]")
    expect(page.locator("[data-action=resume-run]")).to_be_visible()
    expect(page.locator("[data-action=pause-run]")).to_be_hidden()
    page.click("[data-action=resume-run]")
    page.click("[data-action=stop-best]")
    expect(page.locator("[data-action=resume-run]")).to_be_visible()
    assert runs.asked[-1] == ("POST", f"/runs/{RUN}/stop", {"keep": "best"})
    trash = page.locator(".runs li").get_by_role("button", name="Delete")
    trash.click()
    assert runs.asked[-1][0] == "POST"
    page.get_by_role("button", name="to the trash?").click()
    expect(page.locator("[data-run-empty]")).to_be_visible()
    assert runs.asked[-1][:2] == ("DELETE", f"/runs/{RUN}")


def test_a_finished_run_gets_more_steps(open_page: OpenPage, runs: FakeRuns) -> None:
    runs.state, runs.step = "done", 3000
    page = open_train(open_page, runs)
    walk(page, "run")
    page.fill("#more-steps", "10000")
    page.click("[data-action=more-steps]")
    expect(page.locator("[data-action=pause-run]")).to_be_visible()
    assert runs.asked == [("POST", f"/runs/{RUN}/resume", {"steps": 13000})]


def test_the_word_is_tried_in_txt2img(open_page: OpenPage, runs: FakeRuns) -> None:
    page = open_train(open_page, runs)
    page.click("[data-action=try-run]")
    prompt = page.locator("#txt2img-prompt")
    expect(prompt).to_have_value("a picture in the style of my_uncle-1200")
    expect(prompt).to_be_visible()
    prompt.fill("a red boat by my_uncle-1200, calm")
    page.get_by_role("tab", name="Train").click()
    page.select_option("#copy-step", "300")
    page.click("[data-action=try-copy]")
    expect(prompt).to_have_value("a red boat by my_uncle-300, calm")
    prompt.fill("a green hill")
    page.get_by_role("tab", name="Train").click()
    page.click("[data-action=try-copy]")
    expect(prompt).to_have_value("a green hill, my_uncle-300")
