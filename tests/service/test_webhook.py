"""What an owner's address is told: by whom it is heard, in which form, and what becomes of a failure."""

from __future__ import annotations

import base64
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from modules.catalog.settings_file import usable
from modules.schema.engine import ModelRef
from modules.schema.errors import BadRequest
from modules.schema.events import Event, Failed, Finished
from modules.schema.merge import MergeRequest
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings
from modules.schema.training import TrainingRequest
from modules.service.job import Job
from modules.service.posting import NotSent, place
from modules.service.webhook import Webhook, is_ntfy, message_of
from tests.service.helpers import ANN, make_app, request, to_end, until


@dataclass
class Mailbox:
    """A server that keeps what it is sent; `answers` are given one after another, then 200."""

    port: int
    answers: list[tuple[int, str]] = field(default_factory=list)
    got: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    slow: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook/secret-token?x=1"

    @property
    def data(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.got]


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            box.got.append((self.path, dict(self.headers), body))
            if box.slow is not None:
                box.slow.wait(20)
            status, location = box.answers.pop(0) if box.answers else (200, "")
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    box = Mailbox(server.server_port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield box
    if box.slow is not None:
        box.slow.set()
    server.shutdown()
    server.server_close()


TRAINING = TrainingRequest(name="uncle", data_root="x", run="2026-01-02-uncle")


def _job(order: AnyOrder) -> Job:
    return Job("abc", ANN, order, ModelRef(checkpoint="x"))


def _training() -> Job:
    return _job(TRAINING)


def _hook(url: str, **settings: Any) -> Webhook:
    return Webhook(Settings(webhook_url=url, **settings), pauses=(0.01, 0.01), seconds=5)


def test_the_end_of_a_training_is_told_as_json(mailbox: Mailbox) -> None:
    hook = _hook(mailbox.url)
    hook.hear(Finished("done", seconds=754), _training)
    until(lambda: len(mailbox.got) == 1)
    path, headers, _ = mailbox.got[0]
    assert (path, headers["Content-Type"]) == ("/hook/secret-token?x=1", "application/json")
    told = mailbox.data[0]
    assert (told["what"], told["result"], told["name"], told["run"]) == (
        "training", "done", "uncle", "2026-01-02-uncle",
    )  # fmt: skip
    assert told["sentence"] == told["text"] == told["content"] == "The training of uncle is done after 12 min 34 s."
    assert told["when"].endswith("+00:00")
    hook.close()


def test_a_topic_of_ntfy_gets_text_with_headers(mailbox: Mailbox) -> None:
    hook = _hook(mailbox.url, webhook_format="ntfy")
    hook.hear(Failed("The disk of Jürgen is full."), _training)
    until(lambda: len(mailbox.got) == 1)
    _, headers, body = mailbox.got[0]
    assert body.decode() == "The training of uncle has failed: The disk of Jürgen is full."
    assert (headers["Title"], headers["Tags"], headers["Priority"]) == ("Training failed", "warning", "high")
    hook.close()


@pytest.mark.parametrize(
    ("url", "form", "expected"),
    [
        ("https://ntfy.sh/topic", "auto", True),
        ("https://ntfy.example.org/topic", "auto", True),
        ("https://example.org/ntfy", "auto", False),
        ("https://example.org/ntfy", "ntfy", True),
        ("https://ntfy.sh/topic", "json", False),
    ],
)
def test_a_topic_is_known_by_its_host(url: str, form: str, expected: bool) -> None:
    assert is_ntfy(url, form) is expected


@pytest.mark.parametrize(
    ("events", "order", "ending", "told"),
    [
        ("trainings", TRAINING, Finished("interrupted"), True),
        ("trainings", TRAINING, Failed("x"), True),
        ("trainings", TRAINING, Finished("paused"), False),
        ("trainings", TRAINING, Finished("cancelled"), False),
        ("trainings", GenerationRequest(), Failed("x"), False),
        ("trainings and failures", GenerationRequest(), Failed("x"), True),
        ("trainings and failures", GenerationRequest(), Finished("done"), False),
        ("everything", GenerationRequest(), Finished("done"), True),
        ("everything", MergeRequest(), Finished("done"), True),
        ("everything", GenerationRequest(), Finished("cancelled"), False),
    ],
)
def test_what_is_told(mailbox: Mailbox, events: str, order: AnyOrder, ending: Event, told: bool) -> None:
    hook = _hook(mailbox.url, webhook_events=events)
    hook.hear(ending, lambda: _job(order))
    hook.close()
    assert bool(mailbox.got) is told


def test_nothing_of_a_prompt_is_told() -> None:
    message = message_of(_job(GenerationRequest(prompt="a secret", negative_prompt="too")), Finished("done"))
    assert message is not None
    assert "secret" not in repr(message) and ANN not in repr(message)


def test_a_busy_server_is_asked_again_and_one_that_refuses_is_not(mailbox: Mailbox) -> None:
    mailbox.answers = [(503, ""), (200, "")]
    hook = _hook(mailbox.url)
    hook.hear(Finished("done"), _training)
    until(lambda: len(mailbox.got) == 2)
    mailbox.answers = [(404, "")]
    hook.hear(Finished("done"), _training)
    hook.hear(Failed("x"), _training)
    until(lambda: len(mailbox.got) == 4)
    assert [one["result"] for one in mailbox.data] == ["done", "done", "done", "failed"]
    hook.close()


def test_after_the_last_attempt_it_is_given_up_and_the_log_names_no_secret(
    mailbox: Mailbox, caplog: pytest.LogCaptureFixture
) -> None:
    mailbox.answers = [(500, "")] * 3
    hook = _hook(mailbox.url.replace("127", "me:password@127"))
    with caplog.at_level(logging.DEBUG):
        hook.hear(Finished("done"), _training)
        until(lambda: len(mailbox.got) == 3)
        hook.close()
    assert len(mailbox.got) == 3
    assert caplog.text.count("answers with 500") == 3
    assert not [word for word in ("secret", "password", "hook") if word in caplog.messages[0].replace("webhook", "")]


def test_hearing_never_waits_for_the_address(mailbox: Mailbox) -> None:
    mailbox.slow = threading.Event()
    hook = _hook(mailbox.url)
    for _ in range(500):  # more than may wait
        hook.hear(Finished("done"), _training)
    until(lambda: len(mailbox.got) == 1)
    mailbox.slow.set()
    hook.close()


def test_name_and_password_are_sent_as_authorization(mailbox: Mailbox) -> None:
    hook = _hook(f"http://:tk_a%40b@127.0.0.1:{mailbox.port}/topic")
    assert hook.test() == f"A test was sent to http://127.0.0.1:{mailbox.port}, which took it."
    path, headers, _ = mailbox.got[0]
    assert path == "/topic"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b":tk_a@b"


def test_redirects_stay_on_the_machine(mailbox: Mailbox) -> None:
    mailbox.answers = [(307, "/elsewhere"), (200, "")]
    hook = _hook(f"http://me:password@127.0.0.1:{mailbox.port}/hook")
    hook.test()
    assert [path for path, _, _ in mailbox.got] == ["/hook", "/elsewhere"]
    assert mailbox.got[1][1]["Authorization"] == mailbox.got[0][1]["Authorization"]
    mailbox.answers = [(302, f"http://localhost:{mailbox.port}/away")]
    with pytest.raises(NotSent, match=r"leads on to http://localhost:\d+, and messages are sent only where you said"):
        hook.test()
    mailbox.answers = [(307, "/round")] * 9
    with pytest.raises(NotSent, match="on and on"):
        hook.test()
    assert len(mailbox.got) == 7


@pytest.mark.parametrize(("status", "words"), [(401, "a name and a password"), (404, "path"), (500, "500")])
def test_a_refusal_is_a_sentence(mailbox: Mailbox, status: int, words: str) -> None:
    mailbox.answers = [(status, "")]
    with pytest.raises(NotSent, match=words) as problem:
        _hook(mailbox.url).test()
    assert "secret" not in str(problem.value)


def test_an_address_where_nobody_listens_is_a_sentence() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NotSent, match="refuses the connection"):
        _hook(f"http://127.0.0.1:{port}/x").test()
    with pytest.raises(NotSent, match="is not known"):
        _hook("http://name.invalid/x").test()
    with pytest.raises(BadRequest, match="no webhook yet"):
        _hook("").test()


def test_one_that_never_answers_is_given_up(mailbox: Mailbox) -> None:
    mailbox.slow = threading.Event()
    hook = Webhook(Settings(webhook_url=mailbox.url), seconds=0.3)
    with pytest.raises(NotSent, match="did not answer within"):
        hook.test()


def test_tls_is_checked(mailbox: Mailbox) -> None:
    with pytest.raises(NotSent, match="cannot be reached|not accepted"):
        _hook(mailbox.url.replace("http:", "https:")).test()


@pytest.mark.parametrize("url", ["ftp://a/b", "javascript:x", "http://", "http://a b/", "http://a:0/", "//a/b", "a"])
def test_only_addresses_of_the_web_are_taken(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="http"):
        Settings(webhook_url=url)
    values, said = usable({"webhook_url": url}, tmp_path / "config.json")
    assert values == {} and "webhook_url cannot be what it is (an address that begins with http" in said[0]


def test_the_shown_part_has_no_secret() -> None:
    assert place("https://me:password@example.org:8443/topic?auth=x") == "https://example.org:8443"


def test_the_program_tells_of_its_jobs_and_follows_its_settings(tmp_path: Path, mailbox: Mailbox) -> None:
    app = make_app(tmp_path)
    try:
        to_end(app, app.submit(request(), ANN).id)
        app.desk.change({"webhook_url": mailbox.url, "webhook_events": "everything"})
        job = app.submit(request("a secret"), ANN)
        to_end(app, job.id)
        until(lambda: len(mailbox.got) == 1)
        told = mailbox.data[0]
        assert (told["job"], told["what"], told["result"], told["pictures"]) == (job.id, "pictures", "done", 1)
        assert "secret" not in mailbox.got[0][2].decode()
    finally:
        app.close()
