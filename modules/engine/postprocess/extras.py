"""The Extras tab's work: pictures enlarged, two upscalers blended, faces restored, captions."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps, UnidentifiedImageError

from modules.engine.postprocess.faces import FaceRestorers
from modules.engine.postprocess.tiles import Tiling
from modules.engine.postprocess.upscaler import Fractions
from modules.engine.postprocess.upscalers import Upscalers
from modules.schema.captioning import CaptionOptions
from modules.schema.engine import EngineJob
from modules.schema.errors import BadRequest
from modules.schema.events import Event, Finished, ImageDone, Notice, Progress
from modules.schema.extras import ExtrasRequest

Events = Generator[Event, Any, None]
Caption = Callable[[Image.Image], str]
GetCaptioner = Callable[[str, str, CaptionOptions], Caption]
"""(a captioner's name, its model's folder, how it is to speak) -> what says what is in an RGB picture."""

_STEPS = 100


class Extras:
    """Does extras jobs with the models of one device; `captioner` loads those who describe pictures."""

    def __init__(self, upscalers: Upscalers, faces: FaceRestorers, captioner: GetCaptioner) -> None:
        self._upscalers = upscalers
        self._faces = faces
        self._captioner = captioner

    def run(self, job: EngineJob) -> Events:
        """Every picture of the job, one after another; "interrupt" ends it after the tile in work, "skip" goes on
        with the next picture. Raises UserErrors."""
        request = job.request
        assert isinstance(request, ExtrasRequest)
        began = time.monotonic()
        caption = self._caption(job, request)
        for index, name in enumerate(request.pictures):
            picture = _open(Path(job.inputs) / f"{name}.png")
            command = yield from self._one(job, request, index, picture, began, caption)
            if command == "interrupt":
                yield Finished("interrupted", time.monotonic() - began)
                return
        yield Finished("done", time.monotonic() - began)

    def _one(
        self,
        job: EngineJob,
        request: ExtrasRequest,
        index: int,
        picture: Image.Image,
        began: float,
        caption: Caption,
    ) -> Generator[Event, Any, str | None]:
        """One picture; gives back the command that ended it early, if one did."""
        work = self._enhanced(job, request, picture)
        while True:
            try:
                fraction = next(work)
            except StopIteration as end:
                result, notices = end.value
                break
            command = yield _progress(fraction, index, len(request.pictures), began)
            if command is not None:
                work.close()
                return command
        for sentence in notices:
            yield Notice(sentence, "warning")
        return (yield _done(index, result, request, caption(result)))

    def _caption(self, job: EngineJob, request: ExtrasRequest) -> Caption:
        """Both captioners' words, or "" where none was asked."""
        asked = request.captioners.items()
        speakers = [self._captioner(name, job.files.get(field, ""), request) for field, name in asked]
        return lambda picture: ", ".join(words for speak in speakers if (words := speak(picture)))

    def _enhanced(
        self, job: EngineJob, request: ExtrasRequest, picture: Image.Image
    ) -> Generator[float, None, tuple[Image.Image, list[str]]]:
        notices: list[str] = []
        if request.upscaler_1 != "None":
            picture = yield from self._upscaled(job, request, picture)
        faces = (
            ("GFPGAN", request.gfpgan_visibility, 0.0),
            ("CodeFormer", request.codeformer_visibility, request.codeformer_weight),
        )
        for kind, visibility, weight in faces:
            if visibility:
                yield 0.99
                restored, found = self._faces.restore(kind, job.upscalers[kind], picture, weight)
                picture = Image.blend(picture, restored, visibility)
                if not found:
                    notices.append(f"{kind} found no face in a picture, so that is as it was.")
        yield 1.0
        return picture, notices

    def _upscaled(self, job: EngineJob, request: ExtrasRequest, picture: Image.Image) -> Fractions:
        width, height = request.target(picture.size)
        tiling = Tiling(request.tile, request.tile_overlap)
        second = request.upscaler_2 if request.upscaler_2_visibility else "None"
        share = 1.0 if second == "None" else 0.5
        first = self._upscalers.get(job.upscaler(request.upscaler_1), tiling)
        result = yield from _scaled(first.pieces(picture, width, height), lambda done: done * share)
        if second != "None":
            other = self._upscalers.get(job.upscaler(second), tiling)
            mixed = yield from _scaled(other.pieces(picture, width, height), lambda done: (1 + done) * share)
            result = Image.blend(result, mixed, request.upscaler_2_visibility)
        if request.resize_mode == "Scale to" and request.crop:
            return _cut(result, request.width, request.height)
        return result


def _scaled(pieces: Fractions, place: Callable[[float], float]) -> Fractions:
    """The same work, its fraction put in its place in the whole."""
    while True:
        try:
            fraction = next(pieces)
        except StopIteration as end:
            return end.value
        yield place(fraction)


def _cut(picture: Image.Image, width: int, height: int) -> Image.Image:
    left, top = (picture.width - width) // 2, (picture.height - height) // 2
    return picture.crop((left, top, left + width, top + height))


def _open(path: Path) -> Image.Image:
    """The picture upright and in RGB."""
    try:
        with Image.open(path) as image:
            return ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise BadRequest("A picture of this job is not there any more, or damaged; choose it again.") from error


def _progress(fraction: float, index: int, count: int, began: float) -> Progress:
    whole = (index + fraction) / count
    spent = time.monotonic() - began
    left = spent * (1 - whole) / whole if whole > 0.01 else None
    return Progress(round(fraction * _STEPS), _STEPS, index + 1, count, "upscaling", whole, left)


def _done(index: int, picture: Image.Image, request: ExtrasRequest, caption: str) -> ImageDone:
    return ImageDone(
        index=index,
        width=picture.width,
        height=picture.height,
        request={},
        facts=dict(request.facts()),
        partial=False,
        pixels=picture.tobytes(),
        caption=caption,
    )
