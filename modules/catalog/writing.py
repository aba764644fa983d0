"""Files that are whole or not there: written beside their place, brought to the disk, then renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, draft: Path | None = None, *, sync: bool = True) -> Iterator[Path]:
    """Gives a path in the same folder to write a file at, which takes the place of `path` when the block ends well.

    `draft`: that path, where only one process ever writes it (what a killed one leaves is then written over).
    `sync` False leaves the moment of writing to the system: for what can be made again, or is written by the hundred.
    Raises OSError; nothing is left behind then.
    """
    draft = draft or path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield draft
        if sync:
            # Without it a power cut may leave an empty file under the right name.
            with draft.open("rb+") as file:
                os.fsync(file.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_whole(path: Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file in one piece; see `replacing`. Raises OSError."""
    with replacing(path, sync=sync) as draft:
        draft.write_bytes(data)
