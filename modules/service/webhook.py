"""Telling an address of the owner's choice what has ended: in a thread of its own, so that no job waits for it."""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from modules.schema.errors import BadRequest, UserError
from modules.schema.events import Event, Failed, Finished
from modules.schema.orders import GENERATION, kind_of
from modules.schema.settings import Settings
from modules.schema.training import TrainingRequest
from modules.service.job import Job
from modules.service.posting import SECONDS, NotSent, place, post

log = logging.getLogger(__name__)

_WAITING = 200
_PAUSES = (5.0, 30.0)
_TOLD = frozenset({"done", "interrupted"})
_WHAT = {
    GENERATION: "pictures",
    "extras": "pictures",
    "script": "pictures",
    "caption": "captions",
    "interrogate": "captions",
}
_NAMES = {"pictures": "Pictures", "captions": "Captions", "merge": "Merge", "training": "Training"}


@dataclass(frozen=True)
class Message:
    """What is told: `what` ("training", "pictures", "captions", "merge", "test") came to which `result` ("done",
    "failed", "interrupted"), in a `sentence`. Of a training its `name` and `run`; never a prompt or a person."""

    what: str
    result: str
    sentence: str
    when: str
    job: str = ""
    name: str = ""
    run: str = ""
    pictures: int = 0
    seconds: float = 0.0

    @property
    def title(self) -> str:
        return f"{_NAMES.get(self.what, self.what.capitalize())} {self.result}"


def message_of(job: Job, ending: Failed | Finished) -> Message | None:
    """The message on a job's end; None for ends that are not told: pauses, and jobs that were taken back."""
    result = ending.reason if isinstance(ending, Finished) else "failed"
    if result != "failed" and result not in _TOLD:
        return None
    kind = kind_of(job.request)
    what = _WHAT.get(kind, kind)
    name, run = (job.request.name, job.request.run) if isinstance(job.request, TrainingRequest) else ("", "")
    seconds = ending.seconds if isinstance(ending, Finished) else 0.0
    sentence = _sentence(what, name, ending, len(job.images))
    return Message(what, result, sentence, _now(), job.id, name, run, len(job.images), round(seconds, 1))


def _sentence(what: str, name: str, ending: Failed | Finished, pictures: int) -> str:
    subject = f"The training of {name}" if what == "training" else f"A job ({what})"
    if isinstance(ending, Failed):
        return f"{subject} has failed: {ending.message}"
    if ending.reason == "interrupted":
        return f"{subject} was stopped; what it had made is kept."
    took = f" after {_duration(ending.seconds)}" if ending.seconds else ""
    count = f", with {pictures} picture{'' if pictures == 1 else 's'}" if what == "pictures" and pictures else ""
    return f"{subject} is done{took}{count}."


def _duration(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def is_ntfy(url: str, form: str) -> bool:
    """Whether an address is told in ntfy's manner; `form` is the setting of that."""
    if form != "auto":
        return form == "ntfy"
    host = urlsplit(url).hostname or ""
    return host.startswith("ntfy") or host.endswith(".ntfy.sh")


def written(message: Message, *, ntfy: bool) -> tuple[bytes, dict[str, str]]:
    """Body and headers. ntfy takes the text as the body and the rest as headers (https://docs.ntfy.sh/publish);
    others get JSON, with the sentence also under the names at which Slack (`text`) and Discord (`content`) look."""
    if ntfy:
        failed = message.result == "failed"
        headers = {
            "Title": message.title,
            "Tags": "warning" if failed else "white_check_mark",
            "Priority": "high" if failed else "default",
            "Content-Type": "text/plain; charset=utf-8",
        }
        return message.sentence.encode(), headers
    data = {**asdict(message), "text": message.sentence, "content": message.sentence}
    return json.dumps(data, ensure_ascii=False).encode(), {"Content-Type": "application/json"}


class Webhook:
    """Hears every event, and tells the address in the settings of the ends that it wants to know. Safe for threads.

    `pauses`: seconds between the attempts to send a message; `seconds`: how long an attempt may take.
    """

    def __init__(self, settings: Settings, *, pauses: Sequence[float] = _PAUSES, seconds: float = SECONDS) -> None:
        self._settings = settings
        self._pauses = pauses
        self._seconds = seconds
        self._inbox: queue.Queue[tuple[Callable[[], Job], Failed | Finished] | None] = queue.Queue(_WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()

    def use(self, settings: Settings) -> None:
        self._settings = settings

    def hear(self, event: Event, find: Callable[[], Job]) -> None:
        """Take note of an event of the job that `find` gives (later), at once; where too many wait, it is passed
        over."""
        if not self._settings.webhook_url or not isinstance(event, Failed | Finished) or self._closing.is_set():
            return
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="webhook", daemon=True)
                self._thread.start()
        try:
            self._inbox.put_nowait((find, event))
        except queue.Full:
            log.warning("the webhook was not told of a job: too many messages wait")

    def test(self) -> str:
        """Send a message now; gives a sentence on it. Raises NotSent, BadRequest where there is no address."""
        url = self._settings.webhook_url
        if not url:
            raise BadRequest("There is no webhook yet: enter its address first.", "webhook_url")
        self._send(Message("test", "done", "This is a test of the web UI: messages arrive here.", _now()), url)
        return f"A test was sent to {place(url)}, which took it."

    def close(self, seconds: float = 5.0) -> None:
        """Tell what has happened so far, each once, and no more."""
        self._closing.set()
        if self._thread is not None and self._thread.is_alive():
            self._put_end()
            self._thread.join(seconds)

    def _put_end(self) -> None:
        try:
            self._inbox.put_nowait(None)
        except queue.Full:
            log.warning("messages to the webhook were left unsent")

    def _work(self) -> None:
        while (item := self._inbox.get()) is not None:
            try:
                self._tell(*item)
            except Exception:  # noqa: BLE001 - a message that cannot be made must not keep the later ones from going
                log.exception("the webhook could not be told of a job")

    def _tell(self, find: Callable[[], Job], ending: Failed | Finished) -> None:
        url = self._settings.webhook_url
        try:
            message = message_of(find(), ending)
        except UserError:
            return  # the job was removed meanwhile
        if message is None or not url or not self._is_wanted(message):
            return
        for pause in (*self._pauses, None):
            try:
                self._send(message, url)
                return
            except NotSent as problem:
                log.warning("the webhook was not told that %s: %s", message.title, problem)
                if pause is None or not problem.again or self._closing.wait(pause):
                    return

    def _is_wanted(self, message: Message) -> bool:
        events = self._settings.webhook_events
        failures = events == "trainings and failures" and message.result == "failed"
        return message.what == "training" or failures or events == "everything"

    def _send(self, message: Message, url: str) -> None:
        body, headers = written(message, ntfy=is_ntfy(url, self._settings.webhook_format))
        began = time.monotonic()
        post(url, body, headers, seconds=self._seconds)
        log.debug("%s: told %s in %.2f s", message.title, place(url), time.monotonic() - began)
