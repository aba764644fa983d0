"""A picture file as it is trained: upright, its part cut out, brought to its size; and the weight of its pixels."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageChops, ImageOps

from modules.catalog.datasets.facts import BROKEN, FORMATS, MOST_PIXELS, upright_picture
from modules.catalog.datasets.notes import Box
from modules.schema.errors import UserError
from modules.schema.training import TrainingPicture

_BACKGROUND = "white"


def open_upright(path: Path, *, draft: int = 0) -> Image.Image:
    """The picture as RGB, or RGBA where it has transparency, turned as its camera says. Raises UserError.

    `draft`: a side in pixels down to which JPEG may be read faster.
    """
    try:
        with Image.open(path, formats=FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UserError(f"{path.name} has too many pixels ({image.width}x{image.height}): make it smaller.")
            if draft:
                image.draft("RGB", (draft, draft))
            upright = upright_picture(image)
            transparent = "A" in upright.getbands() or "transparency" in upright.info
            return upright.convert("RGBA" if transparent else "RGB")
    except FileNotFoundError:
        raise UserError(f"The picture {path} is not there any more: put it back, or leave it out.") from None
    except (*BROKEN, Image.DecompressionBombError):
        raise UserError(f"The picture {path} cannot be read: repair it, or leave it out.") from None


def fitted(picture: TrainingPicture) -> Image.Image:
    """What is trained of the picture, RGB of its width x height; what is transparent is white. Raises UserError."""
    return fit(open_upright(Path(picture.path)), picture.box, (picture.width, picture.height), flip=picture.flip)


def fit(image: Image.Image, box: Box | None, size: tuple[int, int], *, flip: bool = False) -> Image.Image:
    """`box` of an upright picture at `size`, RGB on white."""
    cut = flat(image.crop(box) if box else image)
    sized = cut if cut.size == size else cut.resize(size, Image.Resampling.LANCZOS)
    return ImageOps.mirror(sized) if flip else sized


def flat(image: Image.Image) -> Image.Image:
    """RGB; what is transparent shows white."""
    if image.mode != "RGBA":
        return image.convert("RGB")
    return Image.alpha_composite(Image.new("RGBA", image.size, _BACKGROUND), image).convert("RGB")


def weights(picture: TrainingPicture) -> Image.Image | None:
    """How much each pixel counts, L of width x height, 255 is all; None: all the same. Raises UserError."""
    if not picture.mask:
        return None
    image = open_upright(Path(picture.path))
    if picture.mask == "alpha":
        mask = image.convert("RGBA").getchannel("A")
    else:
        mask = _mask_file(Path(picture.mask), image.size)
    cut = mask.crop(picture.box) if picture.box else mask
    sized = cut.resize((picture.width, picture.height), Image.Resampling.BOX)
    return ImageOps.mirror(sized) if picture.flip else sized


def _mask_file(path: Path, size: tuple[int, int]) -> Image.Image:
    """Bright and opaque counts; a mask of another size is stretched over the picture."""
    mask = open_upright(path)
    grey = mask.convert("L")
    if mask.mode == "RGBA":
        grey = ImageChops.multiply(grey, mask.getchannel("A"))
    return grey if grey.size == size else grey.resize(size, Image.Resampling.BILINEAR)
