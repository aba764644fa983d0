"""Whether a model file is needed right now: then it is neither renamed nor deleted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from modules.schema.engine import ModelRef
from modules.service.engines import Engines
from modules.service.job import Job


class InUse:
    """Asks the engines what they work with, and the queue what waits for it."""

    def __init__(self, engines: Engines, open_jobs: Callable[[], list[Job]]) -> None:
        self._engines = engines
        self._open_jobs = open_jobs

    def reason(self, path: Path) -> str | None:
        """Why the file (or what is in the folder) has to stay for now, in one sentence; None where it may go."""
        if any(_is_in(path, used) for used in self._by_engines()):
            return f"{path.name} is being used by the engine: wait until it is done, or interrupt it."
        if any(_is_in(path, used) for job in self._open_jobs() for used in _files(job.model)):
            return f"{path.name} is needed by a job in the queue: let it finish, or cancel it first."
        return None

    def _by_engines(self) -> Iterator[str]:
        for engine in self._engines.all:
            if engine.loading is not None and engine.status.state == "loading":
                yield from _files(engine.loading)
            for piece in engine.pieces:
                yield from _files(piece.part.model)
                yield from piece.part.upscalers.values()
                yield from piece.part.files.values()


def _files(model: ModelRef) -> Iterator[str]:
    yield model.checkpoint
    if model.vae:
        yield model.vae
    yield from (file.path for file in model.named)
    for other in model.others.values():
        yield from _files(other)


def _is_in(path: Path, used: str) -> bool:
    """Whether a file that is used is that one, or lies in that folder."""
    return Path(used) == path or path in Path(used).parents
