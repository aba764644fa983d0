"""Texts that pictures are trained with: files of one prompt a line, with [name] and [filewords] in them."""

from __future__ import annotations

from pathlib import Path

from modules.catalog.datasets.captions import read_text
from modules.catalog.writing import write_whole

_MOST_LINES = 1000

_STYLE = (
    "art in the style of [name]",
    "a picture by [name]",
    "a painting by [name]",
    "an illustration by [name]",
    "a drawing made by [name]",
    "a large picture, [name]",
    "a small picture by [name]",
    "a detailed work of [name]",
    "a quiet scene by [name]",
    "a bright picture by [name]",
    "a dark picture by [name]",
    "a close look, by [name]",
    "a wide view, by [name]",
    "a print of a work by [name]",
)
_SUBJECT = (
    "a picture of [name]",
    "a photo of [name]",
    "a photograph of one [name]",
    "a close photo of [name]",
    "a clear photo of [name]",
    "a bright photo of [name]",
    "a dark photo of [name]",
    "a photo of a small [name]",
    "a photo of a large [name]",
    "a photo of my [name]",
    "a photo of the [name]",
    "a drawing of [name]",
    "an illustration of [name]",
    "a good picture of [name]",
    "[name] seen from near",
    "[name] seen from far",
)
SHIPPED: dict[str, tuple[str, ...]] = {
    "style.txt": _STYLE,
    "style_filewords.txt": tuple(
        f"[filewords], {line}" for line in ("art by [name]", "by [name]", "in the style of [name]", "made by [name]")
    ),
    "subject.txt": _SUBJECT,
    "subject_filewords.txt": tuple(f"{line}, [filewords]" for line in _SUBJECT),
    "none.txt": ("picture",),
}
"""What a new folder of templates holds."""


def make_templates(folder: Path) -> None:
    """Write the shipped templates into a folder that does not exist yet. Raises OSError."""
    if folder.is_dir():
        return
    folder.mkdir(parents=True)
    for name, lines in SHIPPED.items():
        write_whole(folder / name, ("\n".join(lines) + "\n").encode())


def read_templates(folder: Path) -> dict[str, tuple[str, ...]]:
    """The templates of a folder: file name to lines, without empty ones."""
    files = sorted(path for path in folder.glob("*.txt") if path.is_file() and not path.name.startswith("."))
    return {path.name: template_lines(read_text(path) or "") for path in files}


def template_lines(text: str) -> tuple[str, ...]:
    """The prompts of a template's text."""
    return tuple(line for line in (line.strip() for line in text.splitlines()) if line)[:_MOST_LINES]
