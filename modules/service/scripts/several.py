"""Several pictures in one job that differ in more than their seeds: in the picture each begins with, as A1111's API
takes a list of `init_images`, or in their prompts, as extensions make them."""

from __future__ import annotations

from modules.schema.errors import BadRequest
from modules.schema.frozen import Frozen
from modules.schema.parts import PictureHash
from modules.schema.request import GenerationRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Results, Sheet

NAME = "Several pictures"
PROMPTS = "Several prompts"


class SeveralOptions(Frozen):
    """The pictures to begin with, one after another; every batch takes all of them."""

    pictures: tuple[PictureHash, ...] = ()


class PromptsOptions(Frozen):
    """The prompts of each picture of a job, and what is written of them into its text."""

    prompts: tuple[str, ...] = ()
    negative_prompts: tuple[str, ...] = ()
    texts: tuple[dict[str, str], ...] = ()


class _Singles:
    """What a job has whose cells are the pictures of a base request, one by one; seeds are those of the batch."""

    in_order = False
    saves_cells = True

    def __init__(self, base: GenerationRequest) -> None:
        self._base = base

    @property
    def cells(self) -> int:
        return self._base.image_count

    def size(self, index: int) -> int:
        """Always one picture."""
        del index
        return 1

    def sheets(self, results: Results) -> list[Sheet]:
        """None."""
        del results
        return []


class SeveralPrompts(_Singles):
    """A cell is a picture of the base request with prompts of its own, as extensions have made them."""

    def __init__(self, base: GenerationRequest, options: PromptsOptions) -> None:
        lists = (options.prompts, options.negative_prompts, options.texts)
        if any(len(one) != base.image_count for one in lists):
            raise BadRequest("As many prompts are needed as pictures are drawn.", "prompts")
        super().__init__(base)
        self._options = options

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """Picture `index` of the job."""
        del results
        options, extensions = self._options, dict(self._base.extensions)
        settled = next((name for name, given in extensions.items() if given.get("settled")), None)
        if settled is not None:
            given = extensions[settled]
            extensions[settled] = {**given, "texts": {**given.get("texts", {}), **options.texts[index]}}
        return self._base.for_image(index).replace(
            prompt=options.prompts[index], negative_prompt=options.negative_prompts[index], extensions=extensions
        )


class SeveralPictures(_Singles):
    """A cell is a picture of the base request, begun with its own input picture."""

    def __init__(self, base: GenerationRequest, options: SeveralOptions, inputs: InputPictures) -> None:
        if base.image is None or len(options.pictures) != base.batch_size:
            raise BadRequest("As many pictures to begin with are needed as a batch draws.", "pictures")
        super().__init__(base)
        self._image, self._pictures = base.image, options.pictures
        for name in options.pictures:
            inputs.use(name)

    def cell(self, index: int, results: Results | None = None) -> GenerationRequest:
        """Picture `index` of the job."""
        del results
        picture = self._pictures[index % len(self._pictures)]
        return self._base.for_image(index).replace(image=self._image.replace(picture=picture))
