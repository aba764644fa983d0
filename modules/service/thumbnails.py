"""Small pictures of data sets' pictures, kept below the cache folder until nobody has asked for them for a while."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from pathlib import Path

from modules.catalog.datasets.folder import DataPicture
from modules.catalog.datasets.opening import flat, open_upright
from modules.catalog.writing import write_whole

_KEPT_DAYS = 30.0
_QUALITY = 82


class Thumbnails:
    """The folder of thumbnails, JPEG files. Safe for threads and processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pruned = False

    def get(self, picture: DataPicture, size: int) -> bytes:
        """A JPEG of the upright picture of at most `size` pixels a side. Raises UserError."""
        key = f"{picture.path}|{picture.stamp.size}|{picture.stamp.mtime_ns}|{size}"
        path = self._folder / f"{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.jpg"
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            os.utime(path)
            return data
        if not self._pruned:
            self._pruned = True
            self._prune()
        image = flat(open_upright(picture.path, draft=size))
        image.thumbnail((size, size))
        file = io.BytesIO()
        image.save(file, "JPEG", quality=_QUALITY)
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            write_whole(path, file.getvalue(), sync=False)
        return file.getvalue()

    def _prune(self) -> None:
        """Remove those that nobody has asked for in a month."""
        limit = time.time() - _KEPT_DAYS * 86400
        with contextlib.suppress(OSError):
            for path in self._folder.glob("*.jpg"):
                if path.stat().st_mtime < limit:
                    path.unlink(missing_ok=True)
