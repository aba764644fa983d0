"""What is said to those who listen, shown by the browser, sounded and written into its tab's title."""

from __future__ import annotations

import io
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from tests.browser.conftest import OpenPage, stop_jobs, wait_until_ready
from tests.browser.steps import LONG, generate, wait_done, wait_running, write
from tests.browser.training import FakeRuns, show_train
from tests.service.test_webhook import Mailbox, mailbox

__all__ = ["mailbox"]

pytestmark = pytest.mark.browser

# A browser's notifications and sounds cannot be seen from here: these take their places and keep what they are told.
WITNESS = """
window.told = [];
window.sounds = 0;
window.files = 0;
window.asked = 0;
class Note {
  static permission = "ANSWERED_BEFORE";
  static async requestPermission() { window.asked += 1; Note.permission = "ANSWER"; return Note.permission; }
  constructor(title, options) { window.told.push([title, options.body]); }
  close() {}
}
Object.defineProperty(window, "Notification", { value: Note, configurable: true, writable: true });
Object.defineProperty(AudioContext.prototype, "state", { get: () => "running" }); // also without loudspeakers
AudioContext.prototype.resume = async () => {};
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { window.sounds += 1; return start.apply(this, when); };
const begin = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (...when) { window.files += 1; return begin.apply(this, when); };
"""
SPOKEN = """() => {
  window.spoken = [];
  const region = document.querySelector('.announcer');
  const look = () => { if (region.textContent) window.spoken.push(region.textContent); };
  new MutationObserver(look).observe(region, { childList: true });
}"""
AWAY = "() => { Object.defineProperty(document, 'hidden', { get: () => window.away ?? true, configurable: true }); }"
INSECURE = "Object.defineProperty(window, 'isSecureContext', { value: false });"
TELL = """(id) => import('/static/webui/endings.js').then(({ endings }) => endings.tell(
  { id, kind: 'generation', state: 'done', message: '', name: '', pictures: 1 }))"""
Visit = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, address: str, request: pytest.FixtureRequest) -> Visit:
    """Opens the page with witnesses in the browser's place; `mine` are the person's own settings."""

    def open_page(answer: str = "granted", before: str = "default", script: str = "", **mine: Any) -> Page:
        context: BrowserContext = browser.new_context(viewport={"width": 1440, "height": 900})
        request.addfinalizer(context.close)
        request.addfinalizer(lambda: stop_jobs(context.request, address))
        context.request.get(address)
        assert context.request.patch(f"{address}/api/v1/settings/mine", data={"values": mine}).ok
        witness = WITNESS.replace("ANSWERED_BEFORE", before).replace("ANSWER", answer)
        page = context.new_page()
        page.add_init_script(f"{witness}\n{script}")
        page.goto(address)
        wait_until_ready(page)
        return page

    return open_page


def _beep() -> bytes:
    """A sound file; browsers know its kind by its content."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return sink.getvalue()


def _spoken(page: Page) -> list[str]:
    return page.evaluate("window.spoken")


def _wait_for(page: Page, condition: str) -> None:
    page.wait_for_function(f"() => {condition}", timeout=LONG)


def _setting(page: Page, name: str) -> Any:
    if not page.locator('[data-panel="settings"]').is_visible():
        page.click("#tab-settings-button")
        page.wait_for_selector('[data-panel="settings"][data-ready]')
    return page.locator(f'[data-setting="{name}"]')


# --- said ---


def test_a_picture_is_said_at_its_quarters_and_its_end_and_not_at_each_step(visit: Visit) -> None:
    page = visit()
    regions = page.locator(".announcer")
    expect(regions).to_have_attribute("aria-live", "polite")
    expect(regions).to_have_count(1)
    page.evaluate(SPOKEN)
    write(page, prompt="a star", steps=40)
    generate(page)
    wait_done(page)
    _wait_for(page, "window.spoken.some((text) => text.startsWith('The picture is done, in '))")
    said = _spoken(page)
    assert len(said) <= 6, said  # waiting, three quarters, the end
    assert not [text for text in said if "Step" in text]
    assert page.locator("[data-state-text][aria-live], [data-engine][aria-live]").count() == 0


def test_several_pictures_a_refusal_and_an_interruption_are_said(visit: Visit) -> None:
    page = visit()
    page.evaluate(SPOKEN)
    write(page, prompt="a star", steps=2, batch_count=2)
    generate(page)
    wait_done(page)
    _wait_for(page, "window.spoken.some((text) => text.startsWith('2 pictures are done, in '))")
    write(page, steps=150, batch_count=20)
    generate(page)
    wait_running(page)
    page.click("[data-panel=txt2img] [data-action=interrupt]")
    _wait_for(page, "window.spoken.some((text) => /^Interrupted/.test(text))")


def test_the_end_of_what_is_drawn_elsewhere_is_said_too(visit: Visit, address: str) -> None:
    page = visit()
    page.evaluate(SPOKEN)
    order = {"prompt": "a star", "steps": 60, "width": 128, "height": 128, "batch_count": 2}
    assert page.context.request.post(f"{address}/api/v1/jobs", data=order).ok
    page.evaluate("() => import('/static/webui/queue-news.js').then(({ queueNews }) => queueNews.refresh())")
    _wait_for(page, "window.spoken.includes('2 pictures are done')")


def test_the_same_words_twice_are_said_twice_and_one_after_another(visit: Visit) -> None:
    page = visit()
    page.evaluate(SPOKEN)
    page.evaluate(
        """() => import('/static/webui/announce.js').then(({ announcer }) => {
          announcer.say('first');
          announcer.say('halfway', 'course');
          announcer.say('nearly', 'course');
          announcer.say('first');
        })"""
    )
    _wait_for(page, "window.spoken.length === 3")
    assert _spoken(page) == ["first", "nearly", "first"]


class _Ending(FakeRuns):
    """A run that is done when its events have been told."""

    def _stream(self, route: Route) -> None:
        if self.events:
            self.state = "done"
        super()._stream(route)


def test_a_training_is_in_the_title_and_its_end_is_said(open_page: OpenPage) -> None:
    runs = _Ending()
    page = open_page()
    runs.install(page)
    page.evaluate(SPOKEN)
    show_train(page)
    page.click("#tab-txt2img-button")
    expect(page).to_have_title("[41% ETA: 17:54] Stable Diffusion")
    runs.events = [{"event": "Finished", "reason": "done"}]
    page.reload()
    wait_until_ready(page)
    page.evaluate(SPOKEN)
    show_train(page)
    _wait_for(page, "window.spoken.includes('The training of my_uncle is done')")
    expect(page).to_have_title("Stable Diffusion")


# --- shown and sounded ---


def test_nothing_is_asked_or_shown_unless_it_is_switched_on(visit: Visit) -> None:
    page = visit()
    page.evaluate(AWAY)
    write(page, prompt="a star", steps=2)
    generate(page)
    wait_done(page)
    _wait_for(page, "document.title.startsWith('Done · ')")
    assert page.evaluate("[window.asked, window.told.length, window.sounds]") == [0, 0, 0]


def test_the_switch_asks_the_browser_and_the_notification_comes_only_when_nobody_looks(visit: Visit) -> None:
    page = visit()
    _setting(page, "mine.notify").locator("input").click()
    expect(_setting(page, "mine.notify")).to_have_attribute("data-changed", "")
    assert page.evaluate("window.asked") == 1
    page.click("#tab-txt2img-button")
    write(page, prompt="a star", steps=2)
    generate(page)
    wait_done(page)
    expect(page).to_have_title("Stable Diffusion")
    assert page.evaluate("window.told") == []
    page.evaluate(AWAY)
    generate(page)
    _wait_for(page, "window.told.length === 1")
    assert page.evaluate("window.told") == [["The picture is done", ""]]
    expect(page).to_have_title("Done · Stable Diffusion")
    page.evaluate("() => { window.away = false; document.dispatchEvent(new Event('visibilitychange')); }")
    expect(page).to_have_title("Stable Diffusion")


def test_a_failure_is_shown_with_its_sentence(visit: Visit, data: Path) -> None:
    page = visit(before="granted", notify=True)
    page.evaluate(AWAY)
    failed = {"id": "x", "kind": "training", "state": "failed", "message": "The disk is full.", "name": "uncle"}
    page.evaluate("(end) => import('/static/webui/endings.js').then(({ endings }) => endings.tell(end))", failed)
    _wait_for(page, "window.told.length === 1")
    assert page.evaluate("window.told") == [["The training of uncle has failed", "The disk is full."]]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"answer": "denied"}, "The browser refuses notifications of this page"),
        ({"answer": "default"}, "was not allowed to show notifications"),
        (
            {"script": INSECURE},
            "only of pages over https",
        ),
    ],
    ids=["denied", "dismissed", "plain http"],
)
def test_where_the_browser_has_none_the_switch_says_why_and_stays_off(
    visit: Visit, options: dict[str, str], words: str
) -> None:
    page = visit(**options)
    row = _setting(page, "mine.notify")
    row.locator("input").click()
    expect(row.get_by_role("alert")).to_contain_text(words)
    expect(row.locator("input")).not_to_be_checked()


def test_a_browser_that_was_never_asked_says_so(visit: Visit) -> None:
    page = visit(notify=True)
    expect(_setting(page, "mine.notify").get_by_role("alert")).to_contain_text("switch this off and on again")


def test_the_sound_is_played_once_by_one_of_two_pages_and_can_be_ones_own(visit: Visit, data: Path) -> None:
    page = visit(notify_sound=True)
    other = page.context.new_page()
    other.add_init_script(WITNESS.replace("ANSWERED_BEFORE", "granted"))
    other.goto(page.url)
    wait_until_ready(other)
    page.evaluate(TELL, "first")
    _wait_for(other, "(localStorage['webui-told'] ?? '').includes('first')")
    other.evaluate(TELL, "first")
    other.evaluate(TELL, "second")
    _wait_for(other, "localStorage['webui-told'].includes('second')")
    _wait_for(other, "window.sounds >= 2")
    assert page.evaluate("window.sounds") + other.evaluate("window.sounds") == 4
    (data / "notification.mp3").write_bytes(_beep())
    try:
        page.reload()
        wait_until_ready(page)
        page.evaluate(TELL, "third")
        _wait_for(page, "window.files === 1")
        assert page.evaluate("window.sounds") == 0
    finally:
        (data / "notification.mp3").unlink()


def test_playing_the_sound_from_its_setting(visit: Visit) -> None:
    page = visit()
    row = _setting(page, "mine.notify_sound")
    expect(row.get_by_role("button", name="Play it")).to_be_hidden()
    row.locator("input").click()
    expect(row).to_have_attribute("data-changed", "")
    row.get_by_role("button", name="Play it").click()
    _wait_for(page, "window.sounds === 4")  # once when it was switched on, once when asked for


# --- the webhook ---


def test_a_test_of_the_webhook_says_what_came_of_it(open_page: OpenPage, data: Path, mailbox: Mailbox) -> None:
    page = open_page()
    row = _setting(page, "webhook_url")
    button = row.get_by_role("button", name="Send a test")
    expect(button).to_be_hidden()
    row.locator("input").fill("nonsense")
    row.locator("input").press("Enter")
    expect(row.get_by_role("alert")).to_contain_text("an address that begins with http:// or https://")
    row.locator("input").fill(mailbox.url)
    row.locator("input").press("Enter")
    button.click()
    expect(row.get_by_role("status")).to_contain_text(f"A test was sent to http://127.0.0.1:{mailbox.port}")
    mailbox.answers = [(401, "")]
    button.click()
    expect(row.get_by_role("alert")).to_contain_text("answers with 401")
    assert [one["what"] for one in mailbox.data] == ["test", "test"]
    row.get_by_role("button", name="Restore Webhook to its default").click()
    expect(button).to_be_hidden()
    (data / "config.json").unlink(missing_ok=True)
