"""From picture to picture in a real browser: the canvas, masks, what is sent between tabs, and nothing is lost."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import OpenPage, wait_until_ready
from tests.browser.steps import LONG

pytestmark = pytest.mark.browser

SIDE = 128
STATE = "[data-canvas-state]"


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A red disc on blue, 128x128."""
    image = Image.new("RGB", (SIDE, SIDE), (40, 90, 200))
    ImageDraw.Draw(image).ellipse((40, 40, 88, 88), fill=(220, 50, 40))
    path = tmp_path_factory.mktemp("pictures") / "disc.png"
    image.save(path)
    return path


def open_img2img(page: Page) -> Locator:
    """The tab, and its panel once it is ready."""
    page.get_by_role("tab", name="img2img").click()
    page.wait_for_selector("[data-panel=img2img][data-ready]", timeout=LONG)
    return page.locator("[data-panel=img2img]")


def take(page: Page, path: Path) -> None:
    page.set_input_files("#img2img-file", path)
    page.wait_for_selector("[data-painter][data-filled=yes]")


def mode(page: Page, name: str) -> None:
    page.locator("[data-panel=img2img] .choice").get_by_text(name, exact=True).click()


def write(page: Page, **values: object) -> None:
    for name, text in values.items():
        field = page.locator(f"#img2img-{name.replace('__', '-')}")
        if field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(str(text))
        else:
            field.fill(str(text))


def draw(page: Page, *points: tuple[float, float]) -> None:
    """A stroke through points of the picture, given as fractions of its sides."""
    box = page.locator(".easel canvas").bounding_box()
    assert box
    scale = min((box["width"] - 16) / SIDE, (box["height"] - 16) / SIDE, 4)
    left, top = box["x"] + (box["width"] - SIDE * scale) / 2, box["y"] + (box["height"] - SIDE * scale) / 2
    places = [(left + x * SIDE * scale, top + y * SIDE * scale) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places:
        page.mouse.move(*place, steps=4)
    page.mouse.up()


def generate(page: Page) -> Image.Image:
    """What Generate makes of the form."""
    panel = page.locator("[data-panel=img2img-output]")
    page.click("[data-panel=img2img] [data-action=generate]")
    expect(page.locator("[data-panel=img2img] [data-run-problem]")).to_be_hidden()
    expect(panel.locator("[data-progress]")).to_have_attribute("data-state", "done", timeout=LONG)
    return shown(page, "img2img")


def shown(page: Page, tab: str) -> Image.Image:
    """The finished picture in sight."""
    source = page.locator(f"[data-panel={tab}-output] [data-action=save]").get_attribute("href")
    assert source
    return Image.open(io.BytesIO(page.request.get(source).body())).convert("RGB")


def test_what_is_not_masked_stays(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    panel = open_img2img(page)
    take(page, picture)
    mode(page, "Inpaint")
    expect(page.locator(STATE)).to_contain_text("nothing masked yet")
    write(page, prompt="a green square", steps=6, page__brush=40, image__denoising_strength=1, inpaint__mask_blur=2)
    draw(page, (0.45, 0.5), (0.55, 0.5))
    expect(page.locator(STATE)).to_contain_text(re.compile(r"mask 1\d %"))
    result = generate(page)
    before = Image.open(picture).convert("RGB")
    changed = ImageChops.difference(before, result).convert("L")
    assert changed.crop((0, 0, SIDE, 30)).getextrema() == (0, 0)
    assert changed.crop((0, 98, SIDE, SIDE)).getextrema() == (0, 0)
    assert changed.crop((50, 50, 78, 78)).getextrema()[1] > 40
    expect(panel.locator("[data-run-problem]")).to_be_hidden()

    # Its own text brings back picture, mask and settings, and with them the same picture.
    other = open_page()
    saved = page.request.get(page.locator("[data-panel=img2img-output] [data-action=save]").get_attribute("href"))
    other.get_by_role("tab", name="PNG Info").click()
    file = {"name": "made.png", "mimeType": "image/png", "buffer": saved.body()}
    other.set_input_files("#pnginfo-file", files=[file])
    other.click("[data-action=again]")
    other.wait_for_selector("[data-painter][data-filled=yes]", timeout=LONG)
    expect(other.locator(STATE)).to_contain_text(re.compile(r"mask 1\d %"))
    expect(other.locator("#img2img-prompt")).to_have_value("a green square")
    assert ImageChops.difference(generate(other), result).getbbox() is None


def test_a_reload_keeps_picture_mask_and_form(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    open_img2img(page)
    take(page, picture)
    mode(page, "Inpaint")
    write(page, prompt="kept", image__denoising_strength=0.4, inpaint__padding=48, page__brush=20)
    draw(page, (0.3, 0.3), (0.7, 0.7))
    words = page.locator(STATE).inner_text()
    page.wait_for_timeout(2000)  # the server is told a moment after the last stroke
    for forget in (False, True):
        if forget:
            page.evaluate("localStorage.clear()")
        page.reload()
        wait_until_ready(page)
        open_img2img(page)
        expect(page.locator(STATE)).to_have_text(words, timeout=LONG)
        assert page.input_value("#img2img-prompt") == "kept"
        assert page.input_value("#img2img-image-denoising_strength") == "0.4"
        assert page.input_value("#img2img-inpaint-padding") == "48"
        assert page.get_by_role("radio", name="Inpaint", exact=True).is_checked()


def test_brush_undo_zoom_and_keys(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    open_img2img(page)
    take(page, picture)
    mode(page, "Inpaint")
    write(page, page__brush=20)
    state = page.locator(STATE)
    draw(page, (0.5, 0.5), (0.5, 0.5))
    canvas = page.locator(".easel canvas")
    expect(canvas).to_be_focused()
    one = state.inner_text()
    assert "mask" in one
    page.mouse.wheel(0, -100)
    expect(page.locator("#img2img-page-brush")).to_have_value("24")
    page.keyboard.press("[")
    expect(page.locator("#img2img-page-brush")).to_have_value("20")
    page.keyboard.press("Control+z")
    expect(state).to_contain_text("nothing masked")
    page.keyboard.press("Control+y")
    expect(state).to_have_text(one)
    page.keyboard.press("e")  # the eraser takes it away again
    draw(page, (0.4, 0.5), (0.6, 0.5))
    expect(state).to_contain_text("nothing masked")
    page.keyboard.press("b")
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    expect(state).to_contain_text("mask")
    page.keyboard.press("Delete")
    expect(state).to_contain_text("nothing masked")
    page.click("[data-action=fill-layer]")
    expect(state).to_contain_text("mask 100 %")
    page.click("[data-action=invert-layer]")
    expect(state).to_contain_text("nothing masked")
    before = state.inner_text()
    canvas.focus()
    page.keyboard.press("+")
    expect(state).not_to_have_text(before)
    page.keyboard.press("0")
    expect(state).to_have_text(before)


def test_an_empty_mask_and_no_picture_are_one_sentence(open_page: OpenPage, picture: Path) -> None:
    page = open_page()
    panel = open_img2img(page)
    page.click("[data-panel=img2img] [data-action=generate]")
    expect(panel.locator("[data-run-problem]")).to_contain_text("Choose the picture to begin with")
    take(page, picture)
    mode(page, "Inpaint")
    write(page, steps=2)
    page.click("[data-panel=img2img] [data-action=generate]")
    problem = page.locator("[data-panel=img2img] [data-run-problem], [data-panel=img2img-output] [data-problem]")
    expect(problem.filter(visible=True)).to_contain_text("mask", timeout=LONG)


def test_a_picture_and_its_words_are_sent_on(open_page: OpenPage) -> None:
    page = open_page()
    page.fill("#txt2img-prompt", "a red circle on a blue background")
    page.fill("#txt2img-steps", "6")
    page.fill("#txt2img-seed", "5")
    page.click("[data-panel=txt2img] [data-action=generate]")
    output = page.locator("[data-panel=txt2img-output]")
    expect(output.locator("[data-progress]")).to_have_attribute("data-state", "done", timeout=LONG)
    drawn = shown(page, "txt2img")

    output.locator("[data-action=hires]").click()
    expect(output.locator("[data-state-text]")).not_to_contain_text("Done")
    expect(output.locator("[data-progress]")).to_have_attribute("data-state", "done", timeout=LONG)
    assert shown(page, "txt2img").size == (256, 256)

    output.locator("[data-action=to-img2img]").click()
    page.wait_for_selector("[data-painter][data-filled=yes]", timeout=LONG)
    expect(page.locator(STATE)).to_contain_text("256 × 256")
    assert page.input_value("#img2img-prompt") == "a red circle on a blue background"
    assert page.input_value("#img2img-seed") == "5"
    page.click("[data-panel=img2img] [data-action=measure]")
    assert page.input_value("#img2img-width") == "256"
    write(page, page__scale=0.5, image__denoising_strength=0)
    expect(page.locator("#img2img-width")).to_have_value("128")
    result = generate(page)
    assert result.size == drawn.size == (128, 128)
    page.click("[data-panel=img2img-output] [data-action=to-pnginfo]")
    expect(page.locator("[data-pnginfo-text]")).to_contain_text("Denoising strength")


def test_a_batch_makes_one_picture_of_each(open_page: OpenPage, picture: Path, tmp_path: Path) -> None:
    page = open_page()
    open_img2img(page)
    mode(page, "Batch")
    other = tmp_path / "other.png"
    Image.new("RGB", (64, 64), "white").save(other)
    page.set_input_files("#img2img-pictures-files", [picture, other])
    write(page, prompt="a star", steps=3, page__scale=1)
    generate(page)
    sizes = page.locator("[data-panel=img2img-output] .thumb img").evaluate_all(
        "images => images.map(image => image.naturalWidth)"
    )
    assert sizes == [128, 64]


def test_a_sketch_is_what_is_drawn_on(open_page: OpenPage) -> None:
    page = open_page()
    open_img2img(page)
    mode(page, "Sketch")
    page.click("[data-action=blank]")
    write(page, page__colour="#0000ff", page__brush=60, steps=3, image__denoising_strength=0)
    draw(page, (0.5, 0.5), (0.5, 0.5))
    red, _, blue = generate(page).getpixel((64, 64))
    assert blue > red + 80


def test_a_mask_is_chosen_and_a_sketch_is_its_own_mask(open_page: OpenPage, picture: Path, tmp_path: Path) -> None:
    page = open_page()
    open_img2img(page)
    data = list(picture.read_bytes())
    page.evaluate(
        """data => { const clipboardData = new DataTransfer();
        clipboardData.items.add(new File([new Uint8Array(data)], 'pasted.png', { type: 'image/png' }));
        document.dispatchEvent(new ClipboardEvent('paste', { clipboardData })) }""",
        data,
    )
    expect(page.locator(STATE)).to_contain_text("128 × 128")
    mode(page, "Inpaint upload")
    mask = Image.new("L", (SIDE, SIDE), 0)
    mask.paste(128, (0, 0, SIDE, SIDE // 2))
    mask.save(tmp_path / "mask.png")
    page.set_input_files("#img2img-file-mask", tmp_path / "mask.png")
    expect(page.locator(STATE)).to_contain_text(re.compile("mask 2[56] %"))  # half of it, half-masked

    def asked() -> tuple[Image.Image, Image.Image]:
        """Picture and mask that Generate asks for; the job itself is refused here."""
        refusal = {"detail": "stopped by the test"}
        page.route("**/api/v1/jobs", lambda route: route.fulfill(status=422, json=refusal))
        with page.expect_request(lambda request: request.method == "POST" and request.url.endswith("/jobs")) as sent:
            page.click("[data-panel=img2img] [data-action=generate]")
        page.unroute("**/api/v1/jobs")
        request = sent.value.post_data_json
        names = (request["image"]["picture"], request["inpaint"]["mask"])
        root = page.url.rstrip("/")
        bodies = [page.request.get(f"{root}/api/v1/inputs/{name}").body() for name in names]
        begun, masked = (Image.open(io.BytesIO(body)) for body in bodies)
        return begun.convert("RGB"), masked.convert("L")

    begun, masked = asked()
    assert begun.getpixel((64, 64)) == (220, 50, 40)
    assert abs(masked.getpixel((64, 10)) - 128) <= 2
    assert masked.getpixel((64, 120)) == 0
    mode(page, "Inpaint sketch")
    write(page, page__colour="#00ff00", page__brush=30, page__transparency=50)
    draw(page, (0.5, 0.5), (0.5, 0.5))
    begun, masked = asked()
    assert begun.getpixel((64, 64)) == (0, 255, 0)
    assert abs(masked.getpixel((64, 64)) - 128) <= 2
    assert masked.getpixel((10, 10)) == 0


def test_on_a_phone_a_finger_draws_and_two_zoom(open_page: OpenPage, picture: Path) -> None:
    page = open_page(width=390, height=844)
    open_img2img(page)
    take(page, picture)
    mode(page, "Inpaint")
    canvas = page.locator(".easel canvas")
    canvas.scroll_into_view_if_needed()
    touches = """(canvas, [type, ...fingers]) => { const box = canvas.getBoundingClientRect();
        canvas.setPointerCapture = () => {};
        for (const [id, x, y] of fingers) canvas.dispatchEvent(new PointerEvent(type, { pointerId: id, clientX:
            box.left + x * box.width, clientY: box.top + y * box.height, pointerType: 'touch', button: 0,
            bubbles: true, cancelable: true })) }"""
    for step in (["pointerdown", [1, 0.4, 0.5]], ["pointermove", [1, 0.6, 0.5]], ["pointerup", [1, 0.6, 0.5]]):
        canvas.evaluate(touches, step)
    state = page.locator(STATE)
    expect(state).to_contain_text("mask")
    before = state.inner_text()
    pinch = (["pointerdown", [1, 0.4, 0.5], [2, 0.6, 0.5]], ["pointermove", [1, 0.2, 0.5], [2, 0.8, 0.5]])
    for step in (*pinch, ["pointerup", [1, 0.2, 0.5], [2, 0.8, 0.5]]):
        canvas.evaluate(touches, step)
    expect(state).not_to_have_text(before)
    assert before.split(" · ")[-1] == state.inner_text().split(" · ")[-1]  # two fingers drew nothing
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [1440, 390])
def test_every_control_has_a_name_and_the_page_fits(open_page: OpenPage, picture: Path, width: int) -> None:
    page = open_page(width=width, height=844, scheme="dark")
    open_img2img(page)
    take(page, picture)
    for name in ("img2img", "Sketch", "Inpaint", "Inpaint sketch", "Inpaint upload", "Batch"):
        mode(page, name)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        nameless = page.evaluate(
            """() => [...document.querySelectorAll('input, select, textarea, button, canvas')]
            .filter(e => e.offsetParent && !e.closest('[aria-hidden=true]') && !e.matches('[aria-hidden=true]'))
            .filter(e => !(e.ariaLabel || e.innerText || e.labels?.[0]?.textContent)).map(e => e.outerHTML)"""
        )
        assert nameless == [], name
