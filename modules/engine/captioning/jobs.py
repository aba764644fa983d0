"""Jobs that describe pictures: captions into the files of a data set, or words for whoever asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from modules.catalog.datasets.captions import caption_file, read_text, write_caption
from modules.catalog.datasets.opening import flat, open_upright
from modules.engine.captioning.added import Caption
from modules.engine.captioning.captioners import SEPARATOR, Captioners
from modules.schema.captioning import CaptionRequest, InterrogateRequest
from modules.schema.engine import EngineJob
from modules.schema.errors import BadRequest, UserError
from modules.schema.events import Captioned, Event, Finished, Notice, Progress

Events = Generator[Event, Any, None]


class CaptionJobs:
    """Does such jobs one after another; the model is loaded for each job and let go after it."""

    def __init__(self, captioners: Captioners) -> None:
        self._captioners = captioners

    def run(self, job: EngineJob) -> Events:
        """Look at the job's pictures one after another; "interrupt" ends it between two. Raises UserErrors.

        job.files: "captioner" is the model's folder (not there for an extension's); of a data set each picture's id
        its file. Pictures that were sent are in job.inputs.
        """
        request = job.request
        assert isinstance(request, CaptionRequest | InterrogateRequest)
        began = time.monotonic()
        count = len(request.pictures)
        yield Progress(0, count, 1, count, "loading")
        caption = self._captioners.get(request.captioner, job.files.get("captioner", ""), request)
        looks = (
            _written(job, request, caption) if isinstance(request, CaptionRequest) else _told(job, request, caption)
        )
        for done, look in enumerate(looks, 1):
            news = look()
            if news is not None:
                yield news
            spent = time.monotonic() - began
            left = spent / done * (count - done)
            if (yield Progress(done, count, done, count, "captioning", done / count, left)) == "interrupt":
                yield Finished("interrupted", spent)
                return
        yield Finished("done", time.monotonic() - began)


def _written(job: EngineJob, request: CaptionRequest, caption: Caption) -> Iterator[Callable[[], Event | None]]:
    """For each picture what writes its caption; one that cannot be read or written is told and left out."""

    def write(path: Path) -> Event | None:
        try:
            _write(path, caption, request.existing)
        except UserError as error:
            return Notice(str(error), "warning")
        return None

    for key in request.pictures:
        yield lambda path=Path(job.files[key]): write(path)


def _told(job: EngineJob, request: InterrogateRequest, caption: Caption) -> Iterator[Callable[[], Event | None]]:
    """For each picture what tells its words."""

    def tell(index: int, name: str) -> Event:
        return Captioned(index, request.captioner, caption(_opened(Path(job.inputs) / f"{name}.png")))

    for index, name in enumerate(request.pictures):
        yield lambda index=index, name=name: tell(index, name)


def _write(path: Path, caption: Caption, existing: str) -> None:
    old = read_text(caption_file(path)) or ""
    if old and existing == "Keep":
        return
    seen = caption(flat(open_upright(path)))
    order = {"Prepend": (seen, old), "Append": (old, seen)}.get(existing, (seen,))
    try:
        write_caption(path, SEPARATOR.join(text for text in order if text))
    except OSError as error:
        raise UserError(f"The caption of {path.name} cannot be written ({error.strerror}).") from None


def _opened(path: Path) -> Image.Image:
    """A kept picture in RGB, white where it is transparent."""
    try:
        with Image.open(path) as picture:
            return flat(picture)
    except (OSError, UnidentifiedImageError):
        raise BadRequest("A picture of this job is not there any more, or damaged; choose it again.") from None
