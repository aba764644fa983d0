"""The Train tab in a real browser: its pictures, captions and options, with the real server."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.steps import LONG
from tests.browser.training import FakeRuns, drawing, open_folder, open_train, show_train, state_of, walk

pytestmark = pytest.mark.browser

WIDTHS = pytest.mark.parametrize("width", [1440, 390])


@pytest.fixture
def runs() -> FakeRuns:
    return FakeRuns()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of four pictures, one of them twice, of which one has a caption of its own."""
    folder = tmp_path / "uncle hermann"
    folder.mkdir()
    names = ("01-a red boat.png", "02-two trees, autumn.png", "03-a house.png", "04-the same house.png")
    for seed, name in enumerate(names):
        drawing(min(seed, 2), (96, 64)).save(folder / name)
    (folder / "01-a red boat.txt").write_text("a red boat, calm sea", encoding="utf-8")
    return folder


# --- pictures ---


def test_dropped_pictures_make_a_data_set_and_bad_ones_are_named(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_train(open_page)
    assert state_of(page, "pictures") == "none yet"
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        for seed in (3, 4):
            file = io.BytesIO()
            drawing(seed, (80, 80)).save(file, "PNG")
            archive.writestr(f"in/picture {seed}.png", file.getvalue())
    (tmp_path / "more.zip").write_bytes(zipped.getvalue())
    drawing(5, (80, 80)).save(tmp_path / "alone.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    page.set_input_files("#train-files", [tmp_path / name for name in ("more.zip", "alone.png", "broken.png")])
    expect(page.locator(".picture-cell")).to_have_count(3, timeout=LONG)
    expect(page.locator("[data-refused]")).to_contain_text("broken.png")
    assert state_of(page, "pictures").startswith("3")
    assert page.input_value("#train-data_root").startswith("pictures ")
    page.wait_for_function("() => [...document.querySelectorAll('.picture-cell img')].every((i) => i.naturalWidth)")


def test_a_folder_of_the_server_is_opened_and_the_doctor_helps(open_page: OpenPage, folder: Path) -> None:
    page = open_train(open_page)
    page.click("[data-action=open-set]")
    page.fill("#train-ask", str(folder / "nothing here"))
    page.keyboard.press("Enter")
    expect(page.locator("[data-set-state].wrong")).to_be_visible()
    page.fill("#train-ask", str(folder))
    page.keyboard.press("Enter")
    expect(page.locator(".picture-cell")).to_have_count(4, timeout=LONG)
    same = page.locator(".finding", has_text="look the same")
    same.get_by_role("button", name="Show these").click()
    expect(page.locator(".picture-cell")).to_have_count(2)
    same.get_by_role("button", name="Keep only the largest").click()
    expect(page.locator(".finding", has_text="look the same")).to_have_count(0)
    expect(page.locator(".picture-cell.excluded")).to_have_count(1)
    assert state_of(page, "captions").endswith("of 3")
    page.click("[data-action=undo-pictures]")
    expect(page.locator(".picture-cell.excluded")).to_have_count(0)


def test_a_picture_is_cut_by_hand_and_by_keys(open_page: OpenPage, folder: Path) -> None:
    page = open_train(open_page)
    open_folder(page, folder)
    page.click(".picture-cell >> nth=0")
    dialog = page.locator("[data-crop-dialog]")
    expect(dialog).to_be_visible()
    page.wait_for_function("() => document.querySelector('[data-crop-picture]').naturalWidth")
    frame = page.locator("[data-crop-paper]").bounding_box()
    assert frame is not None
    page.mouse.move(frame["x"] + frame["width"] / 4, frame["y"] + frame["height"] / 4)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 3 / 4, frame["y"] + frame["height"] * 3 / 4, steps=4)
    page.mouse.up()
    assert [page.input_value(f"#crop-{side}") for side in ("left", "top", "width", "height")] == [
        "24",
        "16",
        "48",
        "32",
    ]
    page.focus("[data-crop-box]")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Shift+ArrowDown")
    assert [page.input_value(f"#crop-{side}") for side in ("left", "top", "width", "height")] == [
        "23",
        "16",
        "48",
        "33",
    ]
    expect(page.locator("[data-crop-words]")).to_contain_text("48 × 33 of 96 × 64")
    page.click("[data-action=crop-close]")
    expect(page.locator(".picture-cell[title*='cut by hand']")).to_have_count(1)
    page.click(".picture-cell >> nth=0")
    page.click("[data-action=crop-exclude]")
    expect(page.locator("[data-action=crop-exclude]")).to_have_text("Use this picture again")
    page.click("[data-action=crop-all]")
    expect(page.locator("#crop-width")).to_have_value("96")


# --- captions ---


def _captions(page: Page, folder: Path) -> None:
    open_folder(page, folder)
    walk(page, "captions")


def test_captions_are_typed_from_one_to_the_next_and_kept(open_page: OpenPage, folder: Path) -> None:
    page = open_train(open_page)
    _captions(page, folder)
    boxes = page.locator(".caption textarea")
    expect(boxes.nth(0)).to_have_value("a red boat, calm sea")
    expect(boxes.nth(2)).to_have_value("a house")
    boxes.nth(1).fill("two trees")
    page.keyboard.press("Enter")
    expect(boxes.nth(2)).to_be_focused()
    page.keyboard.press("Shift+Enter")
    expect(boxes.nth(1)).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type(" in autumn")
    expect(page.locator("[data-saved]")).to_have_text("Saved")
    expect(boxes.nth(1)).to_be_focused()
    assert (folder / "02-two trees, autumn.txt").read_text(encoding="utf-8").strip() == "two trees in autumn"
    expect(page.locator(".caption-note").nth(1)).to_contain_text("tokens")


def test_tags_are_changed_for_all_and_for_a_selection_and_taken_back(open_page: OpenPage, folder: Path) -> None:
    page = open_train(open_page)
    _captions(page, folder)
    boxes = page.locator(".caption textarea")
    page.select_option("#edit-action", "add")
    expect(page.locator("#edit-find")).to_be_hidden()
    page.fill("#edit-text", "watercolour")
    page.keyboard.press("Enter")
    expect(boxes.nth(0)).to_have_value("a red boat, calm sea, watercolour")
    expect(page.locator(".tag", has_text="watercolour").locator("b")).to_have_text("4")
    page.check(".caption >> nth=0 >> input")
    page.select_option("#edit-action", "replace")
    page.fill("#edit-find", "watercolour")
    page.fill("#edit-text", "ink")
    page.get_by_role("button", name="Apply to 1").click()
    expect(boxes.nth(0)).to_have_value("a red boat, calm sea, ink")
    expect(boxes.nth(2)).to_have_value("a house, watercolour")
    page.click("[data-action=undo-captions]")
    expect(boxes.nth(0)).to_have_value("a red boat, calm sea, watercolour")
    page.locator(".tag", has_text="calm sea").click()
    expect(page.locator(".caption")).to_have_count(1)


def test_what_is_too_long_to_be_read_is_struck_through(open_page: OpenPage, folder: Path) -> None:
    page = open_train(open_page)
    _captions(page, folder)
    page.locator(".caption textarea").nth(0).fill("boat, " * 60 + "the end")
    struck = page.locator(".caption >> nth=0 >> s")
    expect(struck).to_contain_text("the end", timeout=LONG)
    expect(page.locator(".caption-note").nth(0)).to_contain_text("too long")


def test_what_was_typed_arrives_though_the_page_is_left(open_page: OpenPage, folder: Path) -> None:
    page = open_train(open_page)
    _captions(page, folder)
    page.locator(".caption textarea").nth(3).fill("the last words")
    page.reload()
    show_train(page)
    expect(page.locator("[data-step=captions]")).to_be_visible()
    expect(page.locator(".caption textarea").nth(3)).to_have_value("the last words")


# --- options ---


def test_presets_fill_the_form_and_it_is_kept(open_page: OpenPage, runs: FakeRuns, folder: Path) -> None:
    runs.warnings, runs.there = ["The VAE is another one."], False
    page = open_train(open_page, runs)
    open_folder(page, folder)
    walk(page, "options")
    page.get_by_label("Object, 10 pictures").check()
    expect(page.locator("#train-steps")).to_have_value("1500")
    expect(page.locator("#train-template_filename")).to_have_value("subject_filewords.txt")
    assert state_of(page, "options").startswith("Object, 10 pictures")
    page.get_by_label("Quick look").check()
    expect(page.locator("#train-steps")).to_have_value("150")
    expect(page.locator("#train-init_text")).to_have_value("painting")
    page.fill("#train-name", "my_uncle")
    expect(page.locator("[data-warnings]")).to_contain_text("The VAE is another one.")
    expect(page.locator("[data-plan-title]")).to_have_text("my_uncle")
    expect(page.locator("#train-training_width")).to_have_value("128")
    page.wait_for_timeout(900)
    page.reload()
    runs.install(page)
    show_train(page)
    expect(page.locator("#train-name")).to_have_value("my_uncle")
    expect(page.locator("#train-steps")).to_have_value("150")
    assert page.input_value("#train-data_root").startswith("uncle_hermann")


def test_a_lora_has_its_own_options(open_page: OpenPage) -> None:
    page = open_train(open_page)
    walk(page, "options")
    expect(page.locator("[data-section=train-lora]")).to_be_hidden()
    page.get_by_text("LoRA", exact=True).first.click()
    expect(page.locator("#train-num_vectors_per_token")).to_be_hidden()
    expect(page.locator("#train-learn_rate")).to_have_value("0.0001")
    page.locator("[data-section=train-lora] summary").click()
    page.fill("#train-lora_rank", "16")
    expect(page.locator("[data-section=train-lora] [data-changed]")).to_have_text("LoRA rank 16")
    page.click("[data-action=reset-training]")
    expect(page.locator("#train-num_vectors_per_token")).to_be_visible()
    expect(page.locator("#train-learn_rate")).to_have_value("0.005")


def test_what_is_missing_is_said_where_it_is_asked(open_page: OpenPage, folder: Path) -> None:
    page = open_train(open_page)
    walk(page, "options")
    problem = page.locator("[data-train-problem]")
    page.click("[data-action=step-on]")
    expect(problem).to_contain_text("step 1")
    walk(page, "pictures")
    open_folder(page, folder)
    walk(page, "options")
    page.click("[data-action=step-on]")
    expect(problem).to_contain_text("name")
    expect(page.locator("#train-name")).to_be_focused()


def test_a_training_is_asked_for_with_the_models_above(open_page: OpenPage, runs: FakeRuns, folder: Path) -> None:
    runs.there = False
    page = open_train(open_page, runs)
    open_folder(page, folder)
    walk(page, "options")
    page.fill("#train-name", "my_uncle")
    page.click("[data-section=train-preview] summary")
    page.fill("#train-preview-steps", "12")
    page.click("[data-action=step-on]")
    expect(page.locator("[data-run-name]")).to_have_text("my_uncle")
    method, path, body = runs.asked[0]
    assert (method, path, body["kind"], body["name"]) == ("POST", "", "training", "my_uncle")
    assert body["data_root"].startswith("uncle_hermann")
    assert body["preview"]["checkpoint"] == "miniature.safetensors"
    assert (body["preview"]["steps"], body["preview"]["clip_skip"]) == (12, 1)
    assert "checkpoint" not in body


# --- everywhere ---


@WIDTHS
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_step_fits_and_every_control_has_a_name(
    open_page: OpenPage, runs: FakeRuns, folder: Path, width: int, scheme: str
) -> None:
    page = open_train(open_page, runs, width, scheme)
    walk(page, "pictures")
    open_folder(page, folder)
    for step in ("pictures", "captions", "options", "run"):
        walk(page, step)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert json.loads(page.evaluate(NAMELESS)) == []


# Controls in sight that a screen reader could not name.
NAMELESS = """() => JSON.stringify(
  [...document.querySelectorAll('[data-panel=train] :is(button, input, select, textarea)')]
  .filter((e) => e.offsetParent && e.getAttribute('aria-hidden') !== 'true')
  .filter((e) => !(e.getAttribute('aria-label') || e.labels?.[0]?.textContent.trim() || e.textContent.trim()))
  .map((e) => e.outerHTML.slice(0, 120)))"""
