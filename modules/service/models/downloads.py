"""Downloads of model files: only those that somebody orders; each can be paused, broken off and gone on with.

What has arrived lies in a hidden folder of the disk where the file will stay, and what was ordered in a private file
of the state folder (a link may hold a secret), so a download outlives the program too: it waits then, until somebody
lets it go on.
"""

from __future__ import annotations

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from modules.catalog.hashes import sha256_of_file
from modules.catalog.model_places import PLACES, ModelKind
from modules.schema.errors import BadRequest, ModelFileError, NotFound, UserError
from modules.service.models.arrivals import PART, Arrivals, Arrived, check_sha256, model_name, verify
from modules.service.models.hubs import offer_of
from modules.service.models.remote import Broken, Source, Token, fetch
from modules.service.models.tasks import Stopped, Task, Tasks
from modules.service.private_file import Content, PrivateFile

log = logging.getLogger(__name__)

_MOST_TRIES = 6
_MOST_WAIT = 30.0
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class Order:
    """What was ordered: `url` as typed; `name`, `kind` and `sha256` where given.

    Then what became known: where the file is (`link`), its `source`, and words that wake the model.
    """

    url: str
    name: str = ""
    kind: ModelKind | None = None
    sha256: str = ""
    link: str = ""
    words: str = ""
    source: Source = Source()

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def label(self) -> str:
        return self.name or self.source.name or self.host


Settled = Callable[[Arrived, str, str], None]
"""Hears of a file that is at its place, its sha256 and the words that wake it."""


class Downloads:
    """Runs orders as tasks. Safe for threads."""

    def __init__(self, state: Path, arrivals: Arrivals, tasks: Tasks, token: Token, settled: Settled) -> None:
        self._file = PrivateFile(state / "model-downloads.json")
        self._arrivals = arrivals
        self._tasks = tasks
        self._token = token
        self._settled = settled
        self._orders: dict[str, Order] = {}
        self._wait: Callable[[float], None] = time.sleep

    @property
    def ids(self) -> set[str]:
        return set(self._orders)

    def restore(self) -> None:
        """List what an earlier run of the program did not finish; none of it runs by itself."""
        for task_id, told in self._stored().items():
            order = _order(told)
            if order is None or not _ID.fullmatch(task_id):
                continue
            self._orders[task_id] = order
            part = self._part(task_id, order)
            done = part.stat().st_size if part.exists() else 0
            sentence = "The program has ended meanwhile: continue it when you like."
            task = Task("download", order.label, self._run, order.source.total, done, "paused", sentence, id=task_id)
            self._tasks.show(task)

    def order(self, url: str, name: str, kind: ModelKind | None, sha256: str) -> Task:
        """Begin a download; raises BadRequest for what cannot be one."""
        url = url.strip()
        wanted = self._arrivals.check_name(name, kind) if name.strip() else ""
        order = Order(url, wanted, kind, check_sha256(sha256))
        if not order.host or urlsplit(url).scheme not in ("http", "https"):
            raise BadRequest("Paste the link of a file, beginning with https://.", "url")
        if any(url == other.url for other in self._orders.values()):
            raise BadRequest("That link is being downloaded already.", "url")
        task = Task("download", order.label, self._run)
        self._remember(task.id, order)
        return self._tasks.add(task)

    def resume(self, task: Task) -> None:
        """Go on with one that was paused, or that failed."""
        if task.id not in self._orders:
            raise NotFound("That download is not there any more: order it again.")
        if not task.is_open:
            self._tasks.add(task)

    def give_up(self, task: Task) -> None:
        """Stop it for good and remove what has arrived."""
        self._tasks.stop(task, "cancel")
        if task.state != "running":
            self._drop(task.id)
            self._tasks.forget(task)

    # One download, on its thread

    def _run(self, task: Task) -> str:
        try:
            return self._work(task)
        except Stopped:
            if task.wish == "cancel":
                self._drop(task.id)
            raise
        except OSError as error:
            raise UserError(
                f"{task.label} could not be written ({error.strerror}): make room, then continue."
            ) from error
        finally:
            task.on_stop = lambda: None

    def _work(self, task: Task) -> str:
        order = self._orders[task.id]
        tries, before = 0, -1
        while True:
            try:
                order = self._transfer(task, order)
                break
            except Broken as broken:
                order = self._orders[task.id]
                # Tried again as long as there is progress: a night's download must outlive a weak line.
                tries = 0 if task.done > before else tries + 1
                before = task.done
                if tries >= _MOST_TRIES:
                    raise UserError(
                        f"The connection broke off ({broken}): continue it when the server can be reached."
                    ) from None
                task.sentence = f"The connection broke off ({broken}); it is tried again."
                self._pause(task, min(2.0**tries, _MOST_WAIT))
        task.sentence = "The file is being checked."
        return self._finish(task, order)

    def _transfer(self, task: Task, order: Order) -> Order:
        if not order.link:
            order = self._look_up(task, order)

        def learned(source: Source) -> None:
            self._learned(task, source)

        def began(hang_up: Callable[[], None]) -> None:
            task.on_stop = hang_up
            task.tell(task.done)

        part = self._part(task.id, order)
        known = replace(order.source, sha256=order.sha256 or order.source.sha256)

        def tell(done: int) -> None:
            self._arrivals.check_growth(done)
            task.sentence = ""
            task.tell(done)

        try:
            fetch(order.link, part, known, self._token, learned=learned, tell=tell, began=began)
        except Broken:
            if task.wish:
                raise Stopped from None
            raise
        return self._orders[task.id]

    def _look_up(self, task: Task, order: Order) -> Order:
        offer = offer_of(order.url, self._token)
        name = order.name or (model_name(offer.name) if offer.name else "")
        order = replace(
            order, link=offer.url, name=name, sha256=order.sha256 or offer.sha256, words=order.words or offer.words
        )
        self._remember(task.id, order)
        task.label = order.label
        return order

    def _learned(self, task: Task, source: Source) -> None:
        """Refuse a file before it is fetched, as soon as its name and size are known."""
        order = self._orders[task.id]
        name = self._arrivals.check_name(order.name or source.name, order.kind)
        folder = self._part(task.id, order).parent
        have = task.done if source.validator == order.source.validator else 0
        if source.total is not None:
            self._arrivals.check_size(source.total, folder, have)
        self._remember(task.id, replace(order, name=name, source=source))
        task.label, task.total = name, source.total

    def _finish(self, task: Task, order: Order) -> str:
        part = self._part(task.id, order)
        task.total = part.stat().st_size
        found = sha256_of_file(part, task.tell)
        wanted = order.sha256 or order.source.sha256
        try:
            verify(order.label, wanted, found)
            draft = part.with_name(order.label)
            part.rename(draft)
            try:
                arrived = self._arrivals.settle(draft, order.kind)
            except BadRequest:
                # A taken name, or another kind than was chosen: nothing is wrong with the file.
                draft.rename(part)
                raise
        except ModelFileError:
            self._drop(task.id)
            raise
        self._drop(task.id)
        self._settled(arrived, found, order.words)
        name, label = arrived.path.name, PLACES[arrived.kind].label
        if wanted:
            return f"{name} is there as {label}, and its sha256 is right."
        return f"{name} is there as {label}; its sha256 begins with {found[:10]}, and nobody said which is right."

    def _pause(self, task: Task, seconds: float) -> None:
        """Wait, but not for one that is not wanted any more."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if task.wish:
                raise Stopped
            self._wait(min(0.2, seconds))

    # What is kept

    def _part(self, task_id: str, order: Order) -> Path:
        return self._arrivals.new_folder(order.kind, task_id) / PART

    def _remember(self, task_id: str, order: Order) -> None:
        self._orders[task_id] = order
        self._file.change(lambda content: {**content, task_id: asdict(order)})

    def _drop(self, task_id: str) -> None:
        order = self._orders.pop(task_id, None)
        if order is not None:
            with contextlib.suppress(UserError):
                shutil.rmtree(self._part(task_id, order).parent, ignore_errors=True)
            self._file.change(lambda content: {key: one for key, one in content.items() if key != task_id})

    def _stored(self) -> Content:
        try:
            return self._file.read()
        except UserError as error:
            log.warning("%s", error)
            return {}


def _order(told: Any) -> Order | None:
    """An order as it was written down; None for what is none."""
    if not isinstance(told, Mapping):
        return None
    facts = dict(cast("Mapping[str, Any]", told))
    try:
        source = Source(**facts.pop("source"))
        order = Order(**facts, source=source)
    except (TypeError, KeyError):
        return None
    return order if order.kind is None or order.kind in PLACES else None
