"""Grids with words beside their rows and columns; words are wrapped and made smaller until all of them are seen."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_PAD = 8
_SMALLEST = 8
_BLACK, _GREY = (0, 0, 0), (153, 153, 153)
_MEASURE = ImageDraw.Draw(Image.new("L", (1, 1)))

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@functools.cache
def _font(size: int) -> Font:
    """Pillow's own scalable font, so that grids look the same on every machine."""
    return ImageFont.load_default(size)


@dataclass(frozen=True)
class Words:
    """One legend; `off` is struck out and grey."""

    text: str
    off: bool = False


@dataclass(frozen=True)
class Block:
    """Words of one row or column, laid out: lines of a font size that all fit."""

    lines: tuple[tuple[str, bool], ...]
    size: int

    @property
    def height(self) -> int:
        return len(self.lines) * _line_height(self.size)

    @property
    def width(self) -> int:
        return max((_width(text, self.size) for text, _ in self.lines), default=0)


def _width(text: str, size: int) -> int:
    return int(_MEASURE.textlength(text, font=_font(size))) + 3  # glyphs reach a little beyond their length


def _line_height(size: int) -> int:
    return size * 5 // 4


def wrapped(text: str, width: int, size: int) -> list[str]:
    """Lines no wider than `width` pixels; a word that is too long is broken."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line = ""
        for word in paragraph.split(" "):
            joined = f"{line} {word}" if line else word
            if not line or _width(joined, size) <= width:
                line = joined
            else:
                lines.append(line)
                line = word
            while _width(line, size) > width and len(line) > 1:
                cut = next(n for n in range(len(line) - 1, 0, -1) if n == 1 or _width(line[:n], size) <= width)
                lines.append(line[:cut])
                line = line[cut:]
        lines.append(line)
    return lines


def block(words: Sequence[Words], width: int, size: int, height: int | None = None) -> Block:
    """Lay words out in `width`; with a `height`, in a smaller size until they fit (or the smallest is reached)."""
    while True:
        lines = [(line, word.off) for word in words if word.text for line in wrapped(word.text, width, size)]
        laid = Block(tuple(lines), size)
        if height is None or laid.height <= height or size <= _SMALLEST:
            return laid
        size -= 1


def _draw(draw: ImageDraw.ImageDraw, laid: Block, left: int, top: int, width: int, height: int) -> None:
    """In the middle of a box."""
    y = top + (height - laid.height) // 2
    for text, off in laid.lines:
        wide = _width(text, laid.size)
        x = left + (width - wide) // 2
        draw.text((x, y), text, font=_font(laid.size), fill=_GREY if off else _BLACK)
        if off:
            middle = y + laid.size * 2 // 3
            draw.line((x, middle, x + wide, middle), fill=_GREY, width=max(1, laid.size // 12))
        y += _line_height(laid.size)


def grid(
    pictures: Sequence[Image.Image | None],
    columns: Sequence[Sequence[Words]],
    rows: Sequence[Sequence[Words]],
    *,
    margin: int = 0,
    legend: bool = True,
) -> Image.Image:
    """Pictures row by row under the columns' words and beside the rows'; None leaves its place empty."""
    there = [picture for picture in pictures if picture is not None] or [Image.new("RGB", (64, 64), "white")]
    width, height = max(p.width for p in there), max(p.height for p in there)
    size = max(10, (width + height) // 25)
    heads = [block(words, width, size) for words in columns] if legend else []
    sides = _sides(rows, width, height, size) if legend else []
    top = max((head.height for head in heads), default=0)
    left = max((side.width for side in sides), default=0)
    top, left = top + 2 * _PAD if top else 0, left + 2 * _PAD if left else 0
    tall = [max(height, side.height) for side in sides] or [height] * len(rows)
    full = (left + len(columns) * (width + margin) - margin, top + sum(tall) + margin * (len(rows) - 1))
    sheet = Image.new("RGB", full, "white")
    draw = ImageDraw.Draw(sheet)
    for column, head in enumerate(heads):
        _draw(draw, head, left + column * (width + margin), 0, width, top)
    y = top
    for row, line in enumerate(tall):
        if sides:
            _draw(draw, sides[row], 0, y, left, line)
        for column in range(len(columns)):
            picture = pictures[row * len(columns) + column]
            if picture is not None:
                sheet.paste(picture, (left + column * (width + margin), y))
        y += line + margin
    return sheet


def _sides(rows: Sequence[Sequence[Words]], width: int, height: int, size: int) -> list[Block]:
    """Rows' words: three quarters of a picture wide at most, and no higher than their row where that is possible."""
    room = max(width * 3 // 4, size * 4)
    return [block(words, room, size, height) for words in rows]


def titled(pictures: Sequence[Image.Image], titles: Sequence[str], *, margin: int = 0) -> Image.Image:
    """Grids side by side, each under its title."""
    return grid(list(pictures), [[Words(title)] for title in titles], [[]], margin=margin)
