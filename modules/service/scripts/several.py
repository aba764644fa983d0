"""Several pictures of one size drawn over in one job, as A1111's API takes them: a list of `init_images`."""

from __future__ import annotations

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.parts import PictureHash
from modules.schema.request import GenerationRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Results, Sheet

NAME = "Several pictures"


class SeveralOptions(Frozen):
    """The pictures to begin with, one after another; every batch takes all of them."""

    pictures: tuple[PictureHash, ...] = ()


class SeveralPictures:
    """A cell is a picture of the base request, begun with its own input picture; seeds are those of the batch."""

    in_order = False
    saves_cells = True

    def __init__(self, base: GenerationRequest, options: SeveralOptions, inputs: InputPictures) -> None:
        if base.image is None or len(options.pictures) != base.batch_size:
            raise BadRequest("As many pictures to begin with are needed as a batch draws.", "pictures")
        self._base, self._image, self._pictures = base, base.image, options.pictures
        for name in options.pictures:
            inputs.use(name)

    @property
    def cells(self) -> int:
        return self._base.image_count

    def size(self, index: int) -> int:
        """Always one picture."""
        del index
        return 1

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """Picture `index` of the job."""
        del results
        picture = self._pictures[index % len(self._pictures)]
        return self._base.for_image(index).replace(image=self._image.replace(picture=picture))

    def sheets(self, results: Results) -> list[Sheet]:
        """None."""
        del results
        return []
