"""The picture that an embedding is shared as: what it draws, with its name and origin written on it."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from modules.engine.training.facts import Facts

_SIDE = 512
_EDGE = 14
_INK, _SHADE = (255, 255, 255), (0, 0, 0)


def card(picture: Image.Image | None, facts: Facts, vectors: int) -> Image.Image:
    """RGB of at least 512 pixels a side: name above; model, its hash, count of vectors and steps below."""
    made = Image.new("RGB", (_SIDE, _SIDE), (70, 80, 100)) if picture is None else _enlarged(picture)
    draw = ImageDraw.Draw(made)
    wide, high = made.size
    _write(draw, (_EDGE, _EDGE), facts.name, 40, "la", wide)
    below = ((facts.checkpoint, "ls", _EDGE), (f"[{facts.checkpoint_hash}]", "ms", wide // 2),
             (f"{vectors}v {facts.step}s", "rs", wide - _EDGE))  # fmt: skip
    for text, anchor, x in below:
        _write(draw, (x, high - _EDGE), text, 20, anchor, wide // 3)
    return made


def _enlarged(picture: Image.Image) -> Image.Image:
    """Small pictures so that the writing can be read."""
    factor = max(1, -(-_SIDE // min(picture.size)))
    return picture.convert("RGB").resize((picture.width * factor, picture.height * factor), Image.Resampling.LANCZOS)


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, anchor: str, room: int) -> None:
    """Text of `size`, or smaller where the room is too narrow."""
    font = ImageFont.load_default(size)
    length = draw.textlength(text, font)
    if length > room - _EDGE:
        font = ImageFont.load_default(max(10, size * (room - _EDGE) / length))
    draw.text(place, text, fill=_INK, font=font, anchor=anchor, stroke_width=2, stroke_fill=_SHADE)
