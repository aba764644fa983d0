"""One job's events for any number of readers, early or late.

A reader asks for what came after the number it saw last. Everything is kept but the running commentary: of progress,
previews and a training's steps only the newest of each, so a late or slow reader never works through old ones.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator

from modules.schema.events import ENDINGS, Event, Preview, Progress, TrainStep
from modules.service.jobs import DatabaseError, Jobs

log = logging.getLogger(__name__)

_KEPT_STREAMS = 64
# Commentary has numbers too but is not stored. After a restart the next number must still lie beyond any that was
# seen: a stream that is opened goes on at the milliseconds since its job was made, which events do not outrun.
_NUMBERS_A_SECOND = 1000

Numbered = tuple[int, Event]


class Stream:
    """The events of one job, numbered upwards with gaps; `last`: a number not below any that was given before."""

    def __init__(
        self,
        stored: list[Numbered],
        keep: Callable[[int, Event], None],
        last: int = 0,
        told: Callable[[Event], None] = lambda event: None,
    ) -> None:
        self._told = told
        self._kept = list(stored)
        self._newest: dict[type[Event], Numbered] = {}
        self._last = max(last, stored[-1][0] if stored else 0)
        self._keep = keep
        self._ended = bool(stored) and isinstance(stored[-1][1], ENDINGS)
        self._closed = False
        self._changed = threading.Condition()
        self._wakers: set[Callable[[], None]] = set()

    @property
    def ended(self) -> bool:
        return self._ended

    def publish(self, event: Event) -> None:
        """Add an event and wake the readers; nothing can follow an ending."""
        with self._changed:
            if self._ended:
                return
            self._last += 1
            numbered = (self._last, event)
            if isinstance(event, Progress | Preview | TrainStep):
                self._newest[type(event)] = numbered
            else:
                self._keep(*numbered)
                self._kept.append(numbered)
            if isinstance(event, ENDINGS):
                self._ended = True
                self._newest.pop(Preview, None)
            self._wake()
        self._told(event)

    def close(self) -> None:
        """Nobody needs to wait any more."""
        with self._changed:
            self._closed = True
            self._wake()

    def _wake(self) -> None:
        self._changed.notify_all()
        for waker in self._wakers:
            waker()

    def since(self, after: int) -> list[Numbered]:
        """Events with a number above `after`, in order."""
        with self._changed:
            return self._find(after)

    def newest(self, kind: type[Event]) -> Event | None:
        with self._changed:
            return self._newest[kind][1] if kind in self._newest else None

    def progress(self) -> Progress | None:
        """How far the job is, whatever its kind."""
        now = self.newest(Progress) or self.newest(TrainStep)
        return now.progress if isinstance(now, TrainStep) else now if isinstance(now, Progress) else None

    def wait(self, after: int, timeout: float | None) -> list[Numbered]:
        """Like `since`, but waits up to `timeout` seconds for something to come."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._ended or self._find(after), timeout)
            return self._find(after)

    def _find(self, after: int) -> list[Numbered]:
        found = [item for item in (*self._kept, *self._newest.values()) if item[0] > after]
        return sorted(found, key=lambda item: item[0])

    def listen(self, waker: Callable[[], None]) -> Callable[[], None]:
        """Call `waker` (quick, from any thread) after every event; gives back what stops that."""
        with self._changed:
            self._wakers.add(waker)

        def stop() -> None:
            with self._changed:
                self._wakers.discard(waker)

        return stop


class Streams:
    """The streams of all jobs: those in use in memory, others read back from the database. `told` hears all."""

    def __init__(self, jobs: Jobs, told: Callable[[str, Event], None] = lambda job_id, event: None) -> None:
        self._jobs = jobs
        self._told = told
        self._lock = threading.Lock()
        self._streams: OrderedDict[str, Stream] = OrderedDict()
        self._closed = False

    def of(self, job_id: str) -> Stream:
        """The job's stream; the caller has checked that the job exists."""
        with self._lock:
            if job_id not in self._streams:
                self._streams[job_id] = Stream(
                    self._jobs.events(job_id),
                    lambda number, event: self._keep(job_id, number, event),
                    int((time.time() - self._jobs.get(job_id).created) * _NUMBERS_A_SECOND),
                    lambda event: self._told(job_id, event),
                )
                self._drop_ended()
            self._streams.move_to_end(job_id)
            return self._streams[job_id]

    def close(self) -> None:
        """End every reader's wait; their iterators stop."""
        self._closed = True
        with self._lock:
            streams = list(self._streams.values())
        for stream in streams:
            stream.close()

    def forget(self, job_id: str) -> None:
        with self._lock:
            self._streams.pop(job_id, None)

    def follow(self, job_id: str, after: int, timeout: float | None) -> Iterator[Numbered]:
        """Events until the job's end; ends earlier after `timeout` seconds without a new one."""
        stream = self.of(job_id)
        while not self._closed:
            found = stream.wait(after, timeout)
            if not found and (stream.ended or timeout is not None):
                return
            for number, event in found:
                after = number
                yield number, event
                if isinstance(event, ENDINGS):
                    return

    async def async_follow(self, job_id: str, after: int, timeout: float | None) -> AsyncIterator[Numbered]:
        """`follow` for an event loop: costs no thread while it waits."""
        stream = self.of(job_id)
        loop = asyncio.get_running_loop()
        news = asyncio.Event()
        stop = stream.listen(lambda: _call_soon(loop, news.set))
        try:
            while not self._closed:
                news.clear()
                found = stream.since(after)
                for number, event in found:
                    after = number
                    yield number, event
                    if isinstance(event, ENDINGS):
                        return
                if found:
                    continue
                if stream.ended or not await _wait(news, timeout):
                    return
        finally:
            stop()

    def _drop_ended(self) -> None:
        """Ended streams can be read back; keep only some of them."""
        extra = len(self._streams) - _KEPT_STREAMS
        for job_id in [i for i, stream in self._streams.items() if stream.ended][: max(extra, 0)]:
            del self._streams[job_id]

    def _keep(self, job_id: str, number: int, event: Event) -> None:
        try:
            self._jobs.add_event(job_id, number, event)
        except DatabaseError:
            # A full disk must not stop the job: readers of this process still get the event from memory.
            log.exception("an event of job %s could not be stored", job_id)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        log.debug("a reader's event loop has closed")


async def _wait(news: asyncio.Event, timeout: float | None) -> bool:
    try:
        await asyncio.wait_for(news.wait(), timeout)
    except TimeoutError:
        return False
    return True
