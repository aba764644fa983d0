"""Reading a job's events in async code: with heartbeats for streams, or to the end for calls that wait."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

from modules.schema.events import ENDINGS, Event, Failed, Finished
from modules.service.app import App

Numbered = tuple[int, Event]


async def events(
    app: App, job_id: str, owner: str, after: int = 0, silence: float = 15.0
) -> AsyncIterator[Numbered | None]:
    """Every (number, event) after `after` until the job has ended; None each time `silence` seconds were quiet.

    Also ends when the server shuts down. Raises NotFound for a job that does not exist or is somebody else's.
    """
    last = after
    while True:
        began = time.monotonic()
        async for number, event in app.async_follow(job_id, owner, after=last, timeout=silence):
            began = time.monotonic()
            last = number
            yield number, event
            if isinstance(event, ENDINGS):
                return
        if time.monotonic() - began < silence / 2:
            return  # nobody waited: the job had ended before `after`, or the app is closing
        yield None


async def finish(app: App, job_id: str, owner: str) -> Finished | Failed:
    """Wait for the job's end."""
    async for item in events(app, job_id, owner):
        if item is not None and isinstance(item[1], Finished | Failed):
            return item[1]
    return Failed("The server was stopped before the job had ended.", "ServerStopped")
