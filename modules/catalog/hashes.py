"""Hashes of model files, computed once: sha256 (its first 10 digits are A1111's "model hash"), and the old one."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

from modules.catalog.cache import FileCache, Stamp
from modules.catalog.listing import folder_files, folder_stamp
from modules.schema.errors import ModelFileError

SHORT = 10
_OLD_OFFSET, _OLD_LENGTH = 0x100000, 0x10000
_CHUNK = 4 << 20

Tell = Callable[[int], None]
"""Is told how many bytes have been read so far; what it raises ends the reading."""


def _silent(_read: int) -> None:
    pass


def sha256_of_file(path: Path, tell: Tell = _silent) -> str:
    digest, buffer, done = hashlib.sha256(), memoryview(bytearray(_CHUNK)), 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            digest.update(buffer[:count])
            done += count
            tell(done)
    return digest.hexdigest()


def old_hash_of_file(path: Path) -> str:
    """A1111's first model hash: sha256 of 64 KiB at 1 MiB, 8 digits. Different files often share it."""
    with path.open("rb") as file:
        file.seek(_OLD_OFFSET)
        return hashlib.sha256(file.read(_OLD_LENGTH)).hexdigest()[:8]


def sha256_of_folder(folder: Path, tell: Tell = _silent) -> str:
    """One hash for a diffusers folder: over the sorted lines "sha256  relative path" of its files."""
    lines: list[str] = []
    before = 0
    for path in folder_files(folder):
        value = sha256_of_file(path, lambda read, before=before: tell(before + read))
        lines.append(f"{value}  {path.relative_to(folder).as_posix()}\n")
        before += path.stat().st_size
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


class Hashes:
    """sha256 by file, cached by path, modification time and size; one file is hashed at a time (the disk limits)."""

    def __init__(self, cache: FileCache) -> None:
        self._cache = cache
        self._lock = threading.Lock()

    def known(self, path: Path, stamp: Stamp) -> str | None:
        """The sha256 if it was computed before for this state of the file."""
        facts = self._cache.get("sha256", path, stamp)
        return facts["value"] if facts is not None else None

    def known_listed(self, path: Path, size: int, mtime: float) -> str | None:
        """The sha256 of a file that is as a list says; `mtime` in seconds."""
        facts = self._cache.get_listed("sha256", path, size, mtime)
        return facts["value"] if facts is not None else None

    def sha256(self, path: Path, tell: Tell = _silent) -> str:
        """The sha256 of the file (or diffusers folder) as it is now; raises ModelFileError if unreadable."""
        try:
            # What is known is told at once, also while another file is being read.
            known = self.known(path, _stamp(path))
            if known is not None:
                return known
            with self._lock:
                stamp = _stamp(path)
                known = self.known(path, stamp)
                if known is not None:
                    return known
                value = sha256_of_folder(path, tell) if path.is_dir() else sha256_of_file(path, tell)
                if _stamp(path) == stamp:
                    self._keep(path, stamp, value)
                return value
        except OSError as error:
            raise ModelFileError(f"{path.name} cannot be read: {error.strerror}.") from error

    def keep(self, path: Path, value: str) -> None:
        """Remember the sha256 of a file as it is now, where it is known already: it was just written, or renamed."""
        try:
            self._keep(path, _stamp(path), value)
        except OSError:
            # It has gone meanwhile: there is nothing to remember.
            return

    def _keep(self, path: Path, stamp: Stamp, value: str) -> None:
        self._cache.put("sha256", [(path, stamp, {"value": value})])

    def old_hash(self, path: Path, stamp: Stamp) -> str | None:
        """The old 8-digit hash of a file; None where it cannot be read."""
        facts = self._cache.get("old-hash", path, stamp)
        if facts is None:
            try:
                facts = {"value": old_hash_of_file(path)}
            except OSError:
                return None
            self._cache.put("old-hash", [(path, stamp, facts)])
        return facts["value"]


def _stamp(path: Path) -> Stamp:
    return folder_stamp(path) if path.is_dir() else Stamp.of(path.stat())
