"""Pictures that are not a request's own: results of the Extras tab, and sheets made of a script's pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from PIL import Image

from modules.schema.events import ImageDone
from modules.schema.extras import ExtrasRequest
from modules.schema.infotext_format import quote
from modules.service.picture_files import encode_png
from modules.service.plans import Sheet

EXTRAS = "extras-images"
GRIDS = "txt2img-grids"
_LONGEST_SIDE = 65_000


@dataclass(frozen=True)
class FinishedFile:
    """A PNG file with its text, and where below the outputs folder it belongs; `caption` goes into a .txt beside."""

    index: int
    data: bytes
    width: int
    height: int
    infotext: str
    kind: str
    base: str = ""
    stem: str = ""
    sheet: bool = False
    caption: str = ""


def extras_file(done: ImageDone, request: ExtrasRequest) -> FinishedFile:
    """An extras result with A1111's texts: what was done goes to `extras` and `postprocessing`, what the picture said
    of its making stays in `parameters`."""
    what = facts_text(request.facts())
    made = request.texts[done.index] if done.index < len(request.texts) else ""
    name = request.names[done.index] if done.index < len(request.names) else ""
    data = encode_png(done.pixels, done.width, done.height, made, others={"extras": what, "postprocessing": what})
    text = "\n".join(part for part in (made, what) if part)
    stem, caption = PurePath(name).stem, done.caption
    return FinishedFile(done.index, data, done.width, done.height, text, EXTRAS, stem=stem, caption=caption)


def sheet_file(sheet: Sheet, index: int, infotext: str, *, kind: str = GRIDS) -> FinishedFile:
    """A grid, with the text of the picture it begins with and what the script says; made smaller where PNG ends."""
    picture = sheet.picture.convert("RGB")
    longest = max(picture.size)
    if longest > _LONGEST_SIDE:
        factor = _LONGEST_SIDE / longest
        picture = picture.resize((math.floor(picture.width * factor), math.floor(picture.height * factor)))
    facts = facts_text(sheet.facts)
    text = f"{infotext}, {facts}" if infotext and facts else infotext or facts
    data = encode_png(picture.tobytes(), picture.width, picture.height, text)
    return FinishedFile(index, data, picture.width, picture.height, text, kind, sheet.base, sheet=True)


def facts_text(facts: dict[str, str]) -> str:
    """`Key: value` pairs of A1111's text, values quoted where they must be."""
    return ", ".join(f"{key}: {quote(value)}" for key, value in facts.items())


def grid_shape(count: int) -> tuple[int, int]:
    """(rows, columns) of A1111's automatic grid."""
    rows = max(1, round(math.sqrt(count)))
    return rows, math.ceil(count / rows)


def plain_grid(pictures: Sequence[Image.Image], columns: int, margin: int = 0) -> Image.Image:
    """Pictures side by side, row after row; each cell is as large as the largest."""
    width = max(picture.width for picture in pictures)
    height = max(picture.height for picture in pictures)
    rows = math.ceil(len(pictures) / columns)
    size = (columns * (width + margin) - margin, rows * (height + margin) - margin)
    sheet = Image.new("RGB", size, "white" if margin else "black")
    for index, picture in enumerate(pictures):
        row, column = divmod(index, columns)
        sheet.paste(picture, (column * (width + margin), row * (height + margin)))
    return sheet
