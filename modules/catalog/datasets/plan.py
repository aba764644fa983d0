"""From the pictures of a data set to what a run trains: which part of each at which size, mirrored ones, masks."""

from __future__ import annotations

from collections.abc import Iterator

from modules.catalog.datasets import fitting
from modules.catalog.datasets.folder import DataPicture
from modules.catalog.datasets.notes import Box
from modules.schema.errors import BadRequest
from modules.schema.training import TrainingPicture, TrainingRequest

_MIDDLE = (0.5, 0.5)
_MOST_ORIGINAL = 2048 * 2048

Placed = tuple[Box | None, fitting.Size]


def planned(pictures: list[DataPicture], request: TrainingRequest) -> tuple[TrainingPicture, ...]:
    """What is trained of the pictures, in their order; each one's parts and mirrored copies follow it.

    Raises BadRequest when nothing is left.
    """
    found = tuple(one for picture in pictures if picture.is_trained for one in _of(picture, request))
    if found:
        return found
    if not pictures:
        raise BadRequest("There is no picture in this data set: add some first.", "data_root")
    raise BadRequest("All pictures of this data set are left out or cannot be read: take some in again.", "data_root")


def place(picture: DataPicture, fit: str, wanted: fitting.Size) -> list[Placed]:
    """The boxes of a picture (None: all of it) that are trained by that `fit`, and the size each is brought to."""
    whole = picture.note.crop or (0, 0, *picture.size)
    split = fitting.parts(picture.taken, wanted) if picture.note.split else []
    regions = [_moved(part, whole) for part in split] or [whole]
    return [_placed(picture, region, fit, wanted) for region in regions]


def _of(picture: DataPicture, request: TrainingRequest) -> Iterator[TrainingPicture]:
    for box, (width, height) in place(picture, request.fit, (request.training_width, request.training_height)):
        for flip in (False, True) if request.flip else (False,):
            yield TrainingPicture(
                path=str(picture.path),
                sha256=picture.facts.sha256,
                caption=picture.caption,
                box=box,
                width=width,
                height=height,
                flip=flip,
                mask=_mask(picture) if request.use_weight else "",
            )


def _placed(picture: DataPicture, region: Box, fit: str, wanted: fitting.Size) -> Placed:
    size = (region[2] - region[0], region[3] - region[1])
    if fit == "Stretch":
        return _or_all(region, picture), wanted
    if fit == "Original size":
        box = _moved(_original(picture, size), region)
        return _or_all(box, picture), (box[2] - box[0], box[3] - box[1])
    goal = fitting.bucket(size, wanted) if fit == "Buckets" else wanted
    box = fitting.cover(size, goal, _focus(picture, region))
    return _or_all(_moved(box, region), picture), goal


def _original(picture: DataPicture, size: fitting.Size) -> Box:
    if size[0] * size[1] > _MOST_ORIGINAL:
        raise BadRequest(
            f"{picture.file} has {size[0]}x{size[1]} pixels, too many to be trained at its original size: choose "
            "Buckets, or cut something out of it.",
            "fit",
        )
    try:
        return fitting.whole_latents(size)
    except ValueError as error:
        raise BadRequest(f"{picture.file} cannot be trained at its original size: {error}.", "fit") from None


def _focus(picture: DataPicture, region: Box) -> tuple[float, float]:
    """The picture's point of interest in shares of `region`."""
    if picture.note.focus is None:
        return _MIDDLE
    x, y = picture.note.focus[0] * picture.size[0], picture.note.focus[1] * picture.size[1]
    return (x - region[0]) / (region[2] - region[0]), (y - region[1]) / (region[3] - region[1])


def _moved(box: Box, region: Box) -> Box:
    """A box inside `region` as one of the picture."""
    left, upper = region[0], region[1]
    return box[0] + left, box[1] + upper, box[2] + left, box[3] + upper


def _or_all(box: Box, picture: DataPicture) -> Box | None:
    return None if box == (0, 0, *picture.size) else box


def _mask(picture: DataPicture) -> str:
    if picture.mask is not None:
        return str(picture.mask)
    return "alpha" if picture.facts.alpha else ""
