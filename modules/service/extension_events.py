"""Telling extensions what happens, one thing after another in a thread of its own: nobody waits for them."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from modules.extensions import hooks
from modules.extensions.host import Host
from modules.extensions.problems import short
from modules.extensions.values import JobFacts, Places, SavedPicture
from modules.schema.events import Event, Failed, Finished, ImageSaved, Progress, TrainStep
from modules.schema.orders import kind_of

_WAITING = 1000
_SECONDS = 5.0


class Listeners:
    """The extensions that want to hear of jobs. `job` finds one by its id; set before the first event."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._any = False
        self._inbox: queue.Queue[tuple[str, Event] | None] = queue.Queue(_WAITING)
        self._started: set[str] = set()
        self._off: set[tuple[str, str]] = set()
        self._thread: threading.Thread | None = None
        self._find: Callable[[str], Any] | None = None
        self._path: Callable[[str], Any] = lambda name: None
        self.look()

    def look(self) -> None:
        """Find out whether anybody listens."""
        self._any = any(self._host.find(event) for event in hooks.EVENTS)

    def wire(self, job: Callable[[str], Any], path: Callable[[str], Any]) -> None:
        """Say how jobs are found by their ids, and pictures' files by their addresses."""
        self._find, self._path = job, path

    def started(self, places: Places) -> None:
        """Tell that the program has started."""
        for one in self._host.find("started"):
            try:
                one.call({"places": places})
            except Exception as error:  # noqa: BLE001 - an extension's fault is told, and the others go on
                self._host.problems.report(one.extension, f"It failed in started ({short(error)}).", error)

    def hear(self, job_id: str, event: Event) -> None:
        """Take note of an event; costs nothing where nobody listens. What comes too fast is passed over."""
        if not self._any or not isinstance(event, Progress | TrainStep | ImageSaved | Failed | Finished):
            return
        if isinstance(event, Progress) and job_id in self._started:
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="extension-events", daemon=True)
            self._thread.start()
        try:
            self._inbox.put_nowait((job_id, event))
        except queue.Full:
            return

    def close(self, seconds: float = 2.0) -> None:
        """Tell what has happened so far, and no more."""
        if self._thread is not None:
            self._inbox.put(None)
            self._thread.join(seconds)

    def _work(self) -> None:
        while (item := self._inbox.get()) is not None:
            self._tell(*item)

    def _tell(self, job_id: str, event: Event) -> None:
        job = self._find(job_id) if self._find is not None else None
        if job is None:
            return
        facts = JobFacts(job_id, kind_of(job.request), job.owner, job.request)
        if job_id not in self._started:
            self._started.add(job_id)
            self._call("job_started", job=facts)
        if isinstance(event, ImageSaved):
            path = self._path(event.name)
            picture = SavedPicture(event.name, event.infotext, event.width, event.height, path)
            self._call("image_saved", job=facts, picture=picture)
        elif isinstance(event, TrainStep):
            self._call("training_step", job=facts, step=event)
        elif isinstance(event, Failed | Finished):
            ended = JobFacts(facts.id, facts.kind, facts.owner, facts.request, event)
            self._call("job_ended", job=ended)
            self._started.discard(job_id)
            self._off = {one for one in self._off if one[1] != job_id}

    def _call(self, hook: str, **values: Any) -> None:
        job_id = values["job"].id
        for one in self._host.find(hook):
            if (one.extension, job_id) in self._off:
                continue
            began = time.monotonic()
            try:
                one.call(values)
            except Exception as error:  # noqa: BLE001 - an extension's fault is told, and the others go on
                self._end(one.extension, job_id, f"failed in {hook} ({short(error)})", error)
            else:
                if time.monotonic() - began > _SECONDS:
                    self._end(one.extension, job_id, f"took {time.monotonic() - began:.0f} s in {hook}")

    def _end(self, extension: str, job_id: str, what: str, error: Exception | None = None) -> None:
        self._off.add((extension, job_id))
        self._host.problems.report(extension, f"{extension} {what}; it hears no more of that job.", error)
