"""img2img's picture and mask before and after drawing, as pictures: fitted, cropped, and pasted back."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from modules.engine.pixels import masks
from modules.engine.pixels.colour import corrected
from modules.engine.pixels.fit import Enlarge, fit, stretch
from modules.engine.postprocess.upscaler import Upscaler, upscale
from modules.engine.supplies import Supplies
from modules.schema.errors import BadRequest
from modules.schema.parts import ImageInput, Inpaint
from modules.schema.request import GenerationRequest
from modules.schema.sizes import LATENT

LATENT_RESIZE = "Just resize (latent upscale)"


@dataclass(frozen=True, eq=False)
class Original:
    """What a job of img2img begins with; the same for all its pictures.

    source: the whole picture, RGB. drawn: what is encoded, RGB of the request's size (but for the latent resize mode:
    of its own). mask: what is drawn anew, L of the request's size, None for everything; latent_mask: the same as the
    sampling sees it. box: where `drawn` lies in the source, None for all of it. overlay: where the result is shown, L
    of the source's size with a box, else of the request's.
    """

    source: Image.Image
    drawn: Image.Image
    mask: Image.Image | None = None
    box: masks.Box | None = None
    overlay: Image.Image | None = None
    latent_mask: Image.Image | None = None


def open_original(request: GenerationRequest, supplies: Supplies) -> Original | None:
    """The request's picture and mask, fitted; None for text-to-image. Raises BadRequest for what cannot be used."""
    image = request.image
    if image is None:
        return None
    source = on_background(supplies.picture(image.picture, "picture"), image.background_color)
    enlarge = _enlarger(supplies.upscaler(image.upscaler))
    size = (request.width, request.height)
    if request.inpaint is None:
        return Original(source, _fitted(source, image, size, enlarge))
    mask = _mask(request.inpaint, supplies, source.size)
    if request.inpaint.area == "Only masked":
        latent = _latent_mask(request.inpaint, supplies, source.size)
        return _only_masked(request.inpaint, source, (mask, latent or mask), size, enlarge)
    small = fit(mask, *size, image.resize_mode)
    if small.getbbox() is None:
        raise _empty(request.inpaint)
    latent = _latent_mask(request.inpaint, supplies, source.size)
    latent = small if latent is None else fit(latent, *size, image.resize_mode)
    drawn = _fitted(source, image, size, enlarge)
    return Original(source, drawn, small, overlay=masks.doubled(small), latent_mask=latent)


def on_background(picture: Image.Image, colour: str) -> Image.Image:
    """RGB; what is transparent shows `colour`."""
    if picture.mode not in ("RGBA", "LA"):
        return picture.convert("RGB")
    result = Image.new("RGBA", picture.size, colour)
    result.alpha_composite(picture.convert("RGBA"))
    return result.convert("RGB")


def _enlarger(upscaler: Upscaler) -> Enlarge:
    """Lanczos, after the upscaler where the picture grows."""

    def enlarge(picture: Image.Image, width: int, height: int) -> Image.Image:
        factor = max(width / picture.width, height / picture.height)
        if factor > 1 and picture.mode == "RGB" and upscaler.name != "None":
            picture = upscale(upscaler, picture, round(picture.width * factor), round(picture.height * factor))
        return stretch(picture, width, height)

    return enlarge


def _fitted(source: Image.Image, image: ImageInput, size: tuple[int, int], enlarge: Enlarge) -> Image.Image:
    if image.resize_mode == LATENT_RESIZE:
        return stretch(source, *(max(side // LATENT, 1) * LATENT for side in source.size))
    return fit(source, *size, image.resize_mode, enlarge)


def _mask(inpaint: Inpaint, supplies: Supplies, size: tuple[int, int]) -> Image.Image:
    """The mask at the picture's size, inverted and blurred as asked for; raises BadRequest for one without white."""
    mask = masks.as_mask(supplies.picture(inpaint.mask, "mask"), inpaint.round_mask)
    mask = stretch(mask, *size)
    if inpaint.mask_mode == "Inpaint not masked":
        mask = masks.invert(mask)
    if mask.getbbox() is None:
        raise _empty(inpaint)
    down = inpaint.mask_blur if inpaint.mask_blur_y is None else inpaint.mask_blur_y
    return masks.blur(mask, inpaint.mask_blur, down)


def _empty(inpaint: Inpaint) -> BadRequest:
    if inpaint.mask_mode == "Inpaint not masked":
        return BadRequest("The mask covers everything, so nothing is left to draw: erase a part of it.", "mask")
    return BadRequest("The mask is empty: paint over the part that is to be drawn anew.", "mask")


def _latent_mask(inpaint: Inpaint, supplies: Supplies, size: tuple[int, int]) -> Image.Image | None:
    """The latent mask at the picture's size, where there is one of its own."""
    if not inpaint.latent_mask:
        return None
    return stretch(masks.as_mask(supplies.picture(inpaint.latent_mask, "latent_mask"), inpaint.round_mask), *size)


def _only_masked(
    inpaint: Inpaint,
    source: Image.Image,
    both: tuple[Image.Image, Image.Image],
    size: tuple[int, int],
    enlarge: Enlarge,
) -> Original:
    """The box around the mask, in the shape of what is drawn, at full size. `both`: mask and latent mask."""
    mask, latent = both
    region = masks.region(mask, inpaint.padding)
    if region is None:
        raise _empty(inpaint)
    box = masks.expanded(region, size, source.size)
    drawn = fit(source.crop(box), *size, "Resize and fill", enlarge)
    small, latent = (fit(one.crop(box), *size, "Resize and fill") for one in (mask, latent))
    return Original(source, drawn, small, box, mask, latent)


def finished(
    request: GenerationRequest, original: Original | None, picture: Image.Image, changed: Image.Image | None = None
) -> Image.Image:
    """The picture as it is given out: colours corrected, pasted back, and what was not masked as it was.

    `changed`: soft inpainting's own mask of the request's size, in place of the mask.
    """
    if original is None or request.image is None:
        return picture
    if request.image.color_correction:
        picture = corrected(picture, stretch(original.drawn, *picture.size))
    whole = picture
    under = original.drawn
    if original.box is not None:
        under = original.source
        whole = _pasted(original, picture)
    if request.inpaint is None or not request.inpaint.keep_unmasked or original.overlay is None:
        return whole
    shown = original.overlay if changed is None else _in_place(original, changed)
    return Image.composite(whole, stretch(under, *whole.size), shown)


def _piece(original: Original, picture: Image.Image) -> Image.Image:
    """The part of a drawn picture that lies in the box, at the box's size."""
    assert original.box is not None
    left, top, right, bottom = original.box
    return fit(picture, right - left, bottom - top, "Crop and resize")


def _pasted(original: Original, picture: Image.Image) -> Image.Image:
    assert original.box is not None
    whole = original.source.copy()
    whole.paste(_piece(original, picture), original.box[:2])
    return whole


def _in_place(original: Original, changed: Image.Image) -> Image.Image:
    """A mask of the drawn part as one of the result."""
    if original.box is None:
        return changed
    whole = Image.new("L", original.source.size)
    whole.paste(_piece(original, changed), original.box[:2])
    return whole
