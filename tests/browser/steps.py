"""What a person does on the page, in the words of the tests."""

from __future__ import annotations

from playwright.sync_api import Page

LONG = 60_000  # milliseconds; a busy machine draws ten times slower


def value(page: Page, name: str) -> str:
    """What stands in the field of a parameter."""
    return page.input_value(f"#txt2img-{name}")


def write(page: Page, **values: object) -> None:
    """Fill fields by their parameters' names."""
    for name, text in values.items():
        field = page.locator(f"#txt2img-{name}")
        if field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(str(text))
        else:
            field.fill(str(text))


def generate(page: Page) -> None:
    page.click("[data-action=generate]")


def wait_done(page: Page) -> None:
    page.wait_for_selector("[data-progress][data-state=done]", timeout=LONG)
    page.wait_for_function(
        "() => { const i = document.querySelector('[data-picture]'); return i.complete && i.naturalWidth > 0 }"
    )


def wait_running(page: Page) -> None:
    page.wait_for_selector("[data-progress][data-state=running]", timeout=LONG)


def shown_text(page: Page) -> str:
    return page.inner_text(".output [data-infotext]")


def pictures(page: Page) -> int:
    """How many finished pictures the job in sight has."""
    return page.locator('.thumb[aria-label^="Picture"]').count()


def pixels(page: Page) -> list[int]:
    """The picture in sight as RGBA numbers."""
    return page.evaluate(
        """() => { const i = document.querySelector('[data-picture]');
        const c = Object.assign(document.createElement('canvas'), {width: i.naturalWidth, height: i.naturalHeight});
        const d = c.getContext('2d'); d.drawImage(i, 0, 0);
        return Array.from(d.getImageData(0, 0, c.width, c.height).data) }"""
    )
