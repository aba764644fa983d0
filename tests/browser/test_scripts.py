"""Scripts in a real browser: an X/Y/Z plot whose cells appear as they finish, matrix and lines."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, wait_until_ready
from tests.browser.steps import LONG, generate, pictures, shown_text, value, wait_done, write

pytestmark = pytest.mark.browser

XYZ = "x-y-z-plot"


def _choose(page: Page, script: str) -> None:
    write(page, prompt="a red circle", steps=4, seed=5)
    page.click("[data-panel=txt2img] [data-section=script] summary")
    page.select_option("#txt2img-script", script)


def _cells(page: Page, script: str) -> str:
    return page.locator(f'[data-panel=txt2img] [data-script="{script}"] [data-cells]').inner_text()


def test_a_plot_shows_its_cells_as_they_finish(open_page: OpenPage) -> None:
    page = open_page()
    _choose(page, XYZ)
    page.select_option(f"#txt2img-{XYZ}-x_type", "Steps")
    write(page, **{f"{XYZ}-x_values": "20-22"})  # long enough to be seen while they are drawn
    page.select_option(f"#txt2img-{XYZ}-y_type", "CFG Scale")
    write(page, **{f"{XYZ}-y_values": "1,5"})
    page.wait_for_function(f"""() => document.querySelector('[data-script="{XYZ}"] [data-cells]').textContent""")
    assert _cells(page, XYZ) == "3 × 2: 6 pictures."
    generate(page)
    cells = page.locator("[data-panel=txt2img-output] .grid-cell")
    expect(cells).to_have_count(6)
    expect(page.locator(".cell-title").nth(1)).to_have_text("Steps: 21")
    expect(page.locator('.grid-cell[data-place="0,0,0"]:enabled img')).to_be_visible(timeout=LONG)
    wait_done(page)
    assert pictures(page) == 7  # the cells and the grid
    assert "X Type\nSteps" in shown_text(page)
    page.click("[data-action=cells]")
    page.locator('.grid-cell[data-place="2,1,0"]').click()
    text = shown_text(page)
    assert "Steps\n22" in text
    assert "CFG scale\n5.0" in text
    page.reload()
    wait_until_ready(page)
    assert value(page, f"{XYZ}-x_values") == "20-22"
    expect(page.locator("[data-script-words]").first).to_have_text("X/Y/Z plot")


def test_a_mistake_in_an_axis_is_told_before_it_is_run(open_page: OpenPage) -> None:
    page = open_page()
    _choose(page, XYZ)
    write(page, **{f"{XYZ}-x_values": "1-5(2)"})
    expect(page.locator(f'[data-script="{XYZ}"] [data-cells]').first).to_contain_text("1-5(2)")


def test_lists_fill_an_axis_and_axes_change_places(open_page: OpenPage) -> None:
    page = open_page()
    _choose(page, XYZ)
    page.select_option(f"#txt2img-{XYZ}-x_type", "Schedule type")
    page.click("[data-panel=txt2img] [data-action=fill-x]")
    assert "Karras" in value(page, f"{XYZ}-x_values")
    page.click("[data-panel=txt2img] [data-action=swap-xy]")
    assert value(page, f"{XYZ}-y_type") == "Schedule type"
    assert value(page, f"{XYZ}-x_values") == ""


def test_a_matrix_and_lines_are_drawn(open_page: OpenPage) -> None:
    page = open_page()
    _choose(page, "prompt-matrix")
    write(page, prompt="a circle|red", steps=3)
    generate(page)
    wait_done(page)
    assert pictures(page) == 3
    page.select_option("#txt2img-script", "prompts-from-file-or-textbox")
    write(page, **{"prompt": "", "prompts-from-file-or-textbox-text": "a cat\n--prompt a dog --steps 2"})
    generate(page)
    expect(page.locator("[data-panel=txt2img-output] [data-infotext]")).to_contain_text("a dog", timeout=LONG)
    wait_done(page)
    assert "Steps\n2" in shown_text(page)
    assert pictures(page) == 2
