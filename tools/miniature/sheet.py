"""A contact sheet: 48 fixed prompts, drawn by the product's engine, each with its words below."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tools.miniature.judging import Pictures
from tools.miniature.painting import Painter

COLUMNS = 8
SEED = 1
GAP, LINE, LINES, LETTERS = 6, 12, 3, 28  # px, px, lines and letters below a picture
INK, PAPER = (30, 30, 30), (255, 255, 255)

PROMPTS = (
    # one thing
    "a red circle on a white background",
    "a blue star on a yellow background",
    "a small green triangle on a pink background",
    "a big purple heart on a gray background",
    "an orange ring on black",
    "a white moon before a blue background",
    "a brown square on a cyan background",
    "a yellow cross on purple",
    # beings
    "a gray cat on an orange background",
    "an orange fish on a blue background",
    "a red bird on a green background",
    "a yellow house on a brown background",
    "a pink tree on a white background",
    "a purple flower on a yellow background",
    "a green boat on a gray background",
    "a red mushroom on a black background",
    # several
    "two red hearts on a white background",
    "three blue fish on a yellow background",
    "a red square left of a blue circle on white",
    "a blue circle to the left of a red square, white background",
    "a yellow star above a green tree on black",
    "a green tree above a yellow star, black background",
    "a black cat right of a pink flower on cyan",
    "a white bird under an orange ring on purple",
    # scenes
    "green hills by day",
    "a calm sea at sunset",
    "a red boat in the sea by day",
    "a yellow house in snow at night",
    "a purple mushroom in the forest by day",
    "a white cat in a street at night",
    "a green tree in the desert at sunset",
    "two pink birds before hills in daylight",
    # styles
    "a red bird on a yellow background, outlined",
    "a blue house in hills by day in watercolour style",
    "pixel art, a green cat on a purple background",
    "a purple fish in the sea at sunset, stipple",
    "a red house in a street by day, crosshatch",
    "mosaic, a yellow flower on a blue background",
    "an orange boat in the sea by day, mosaic",
    "three white stars in a forest at night, pixel art",
    # palettes, and both
    "a green heart on a red background, pastel",
    "a cyan bird on black, neon",
    "a cat in a street at night, charcoal",
    "a boat in the sea at sunset, sepia",
    "a house in snow by day, watercolour, sepia",
    "a pink flower on a blue background, crosshatch, pastel",
    "neon, an orange fish left of a green star on a purple background, outlined",
    # nothing
    "",
)


def draw_sheet(painter: Painter, prompts: Sequence[str] = PROMPTS, seed: int = SEED) -> Image.Image:
    """The sheet; its rows are COLUMNS pictures long, picture k is drawn with `seed` + k."""
    return compose([painter.paint(prompt, seed + k)[0] for k, prompt in enumerate(prompts)], prompts)


def compose(pictures: Sequence[Pictures], prompts: Sequence[str]) -> Image.Image:
    """Pictures uint8 [H, W, 3] of one size side by side, each over its prompt."""
    height, width, _ = pictures[0].shape
    across, down = width + GAP, height + LINE * LINES + GAP
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * across + GAP, rows * down + GAP), PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=10)
    letters = LETTERS * width // 128
    for k, (picture, prompt) in enumerate(zip(pictures, prompts, strict=True)):
        left, top = GAP + k % COLUMNS * across, GAP + k // COLUMNS * down
        sheet.paste(Image.fromarray(np.ascontiguousarray(picture)), (left, top))
        lines = textwrap.wrap(prompt or "(no words)", letters, max_lines=LINES, placeholder=" ...")
        pen.multiline_text((left, top + height + 1), "\n".join(lines), INK, font, spacing=1)
    return sheet


def main(
    file: Path,
    out: Path,
    prompts: Sequence[str] = PROMPTS,
    *,
    device: str = "auto",
    precision: str = "auto",
    seed: int = SEED,
) -> Path:
    """Write the sheet of the checkpoint `file` to the PNG `out`."""
    sheet = draw_sheet(Painter(file, device, precision), prompts, seed)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(out.name + ".part")
    sheet.save(part, "PNG", optimize=True)
    os.replace(part, out)
    sys.stdout.write(f"{out}\n")
    return out
