"""Small pictures for the gallery: WebP files in the state folder, found by the picture's state, bounded in all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import threading
import time
from pathlib import Path

from modules.catalog.cache import Stamp
from modules.catalog.datasets.opening import flat, open_upright
from modules.catalog.writing import write_whole

SIZES = (256, 512)
_QUALITY = 80
_METHOD = 2  # of 0 (fast) to 6 (small)
_USED_AGAIN_SECONDS = 86400.0
_KEPT_SHARE = 0.8  # of what is allowed, after tidying up


class GalleryThumbnails:
    """The folder of thumbnails. Safe for threads and processes. `most`: bytes that they may take on the disk."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._lock = threading.Lock()
        self._taken: int | None = None

    def get(self, picture: Path, stamp: Stamp, size: int) -> bytes:
        """A WebP of the upright picture of at most `size` pixels a side. Raises UserError."""
        key = hashlib.sha256(f"{stamp.size}|{stamp.mtime_ns}|{size}|".encode() + os.fsencode(picture)).hexdigest()[
            :40
        ]
        path = self._folder / key[:2] / f"{key[2:]}.webp"
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            if path.stat().st_mtime < time.time() - _USED_AGAIN_SECONDS:
                os.utime(path)
            return data
        data = _small(picture, size)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data, sync=False)
            self._count(len(data))
        return data

    def prune(self) -> None:
        """Where they take more than is allowed, remove those that nobody has looked at for longest."""
        with self._lock:
            files = sorted(_files(self._folder))
            taken = sum(size for _, size, _ in files)
            room = taken if taken <= self._most else int(self._most * _KEPT_SHARE)
            for _, size, path in files:
                if taken <= room:
                    break
                with contextlib.suppress(OSError):
                    path.unlink()
                    taken -= size
            self._taken = taken

    def _count(self, size: int) -> None:
        with self._lock:
            if self._taken is not None:
                self._taken += size
            full = self._taken is None or self._taken > self._most
        if full:
            self.prune()


def _small(picture: Path, size: int) -> bytes:
    image = flat(open_upright(picture, draft=size))
    image.thumbnail((size, size))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=_QUALITY, method=_METHOD)
    return file.getvalue()


def _files(folder: Path) -> list[tuple[float, int, Path]]:
    """When each was last used (to a day), its bytes, and its file."""
    found: list[tuple[float, int, Path]] = []
    for path in folder.glob("*/*.webp"):
        with contextlib.suppress(OSError):
            status = path.stat()
            found.append((status.st_mtime, status.st_size, path))
    return found
