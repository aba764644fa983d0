"""Following jobs: their events, late or live, and how far they are."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from modules.schema.events import Event, Preview, Progress
from modules.service.jobs import Jobs
from modules.service.streams import Streams


class Watching:
    """The part of the App that tells readers what happens."""

    _jobs: Jobs
    _streams: Streams

    def follow(
        self, job_id: str, owner: str, after: int = 0, timeout: float | None = None
    ) -> Iterator[tuple[int, Event]]:
        """Numbered events of a job above number `after`: those so far, then live ones until Finished or Failed.

        Of Progress and Preview only the newest are told. With `timeout` the iterator also ends after so many seconds
        without an event; call again with the last number. Blocks; see `async_follow`.
        """
        return self._streams.follow(self._jobs.find(job_id, owner).id, after, timeout)

    def async_follow(
        self, job_id: str, owner: str, after: int = 0, timeout: float | None = None
    ) -> AsyncIterator[tuple[int, Event]]:
        """`follow` for an event loop: waiting costs no thread. Raises NotFound when called, not when iterated."""
        return self._streams.async_follow(self._jobs.find(job_id, owner).id, after, timeout)

    def progress(self, job_id: str, owner: str) -> tuple[Progress | None, Preview | None]:
        """The newest progress and preview of a job, if there are any."""
        stream = self._streams.of(self._jobs.find(job_id, owner).id)
        preview = stream.newest(Preview)
        return stream.progress(), preview if isinstance(preview, Preview) else None
