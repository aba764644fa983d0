"""VAE files, and which one goes with a checkpoint by itself."""

from __future__ import annotations

import dataclasses
import re
import threading
from dataclasses import dataclass
from pathlib import Path

from modules.catalog import families_facts as facts
from modules.catalog.cache import Facts, FileCache, Stamp
from modules.catalog.checkpoints import VAE_FILE_NAME, CheckpointEntry
from modules.catalog.diffusers_folder import read_json_object
from modules.catalog.hashes import SHORT, Hashes
from modules.catalog.headers import MODEL_ENDINGS, read_header
from modules.catalog.listing import Found, walk
from modules.catalog.names import Search
from modules.schema.errors import ModelFileError

_CACHE_KIND = "vae-header-1"
_OWN = ("", "automatic", "none")
_FILE_OWN_ENDING = re.compile(r"\.[^.]+$")


@dataclass(frozen=True)
class VaeEntry:
    """A VAE file. `name` is its path below its folder; `problem` is a sentence where it cannot be used."""

    path: Path
    name: str
    stem: str
    size: int
    mtime: float
    problem: str | None = None
    sha256: str | None = None

    @property
    def hash(self) -> str | None:
        return self.sha256[:SHORT] if self.sha256 else None

    @property
    def title(self) -> str:
        return self.name


class VaeCatalog:
    """All model files below `folders`, and files named `*.vae.*` below `checkpoint_folders`. Safe for threads."""

    def __init__(
        self, folders: tuple[Path, ...], cache_file: Path, checkpoint_folders: tuple[Path, ...] = ()
    ) -> None:
        self._folders, self._checkpoint_folders = folders, checkpoint_folders
        self._cache = FileCache(cache_file)
        self.hashes = Hashes(self._cache)
        self._search = Search("VAE", "vae")
        self._lock = threading.Lock()
        self._entries: dict[Path, VaeEntry] = {}

    @property
    def entries(self) -> list[VaeEntry]:
        return list(self._entries.values())

    def refresh(self) -> list[VaeEntry]:
        """List the folders anew; only new or changed files are opened."""
        found = walk(self._folders, lambda name: name.endswith(MODEL_ENDINGS))
        found += walk(self._checkpoint_folders, lambda name: VAE_FILE_NAME.search(name) is not None)
        read: list[tuple[Path, Stamp, Facts]] = []
        entries: dict[Path, VaeEntry] = {}
        for item in found:
            known = self._cache.get(_CACHE_KIND, item.path, item.stamp)
            if known is None:
                known, lasting = _read(item)
                if lasting:
                    read.append((item.path, item.stamp, known))
            entries.setdefault(item.path, self._entry(item, known["problem"]))
        self._cache.put(_CACHE_KIND, read)
        with self._lock:
            self._entries = entries
        return self.entries

    def _entry(self, item: Found, problem: str | None) -> VaeEntry:
        return VaeEntry(
            path=item.path,
            name=item.name,
            stem=_FILE_OWN_ENDING.sub("", item.name.rpartition("/")[2]),
            size=item.stamp.size,
            mtime=item.stamp.mtime_ns / 1e9,
            problem=problem,
            sha256=self.hashes.known(item.path, item.stamp),
        )

    def find(self, name: str) -> VaeEntry:
        """The VAE of that file name, path, stem or hash; raises UnknownName (also where several answer)."""
        return self._search.find(name, self.entries, sha256=self.sha256, old_hash=lambda _: None)

    def sha256(self, entry: VaeEntry) -> str:
        """The sha256 of the file, computed at the first call; raises ModelFileError."""
        value = self.hashes.sha256(entry.path)
        with self._lock:
            listed = self._entries.get(entry.path)
            if listed is not None and listed.sha256 != value:
                self._entries = {**self._entries, entry.path: dataclasses.replace(listed, sha256=value)}
        return value

    def short_hash(self, entry: VaeEntry) -> str:
        """The first 10 digits of the sha256: A1111's "VAE hash"."""
        return self.sha256(entry)[:SHORT]

    def side_file(self, checkpoint: CheckpointEntry) -> VaeEntry | None:
        """The VAE that "Automatic" means for a checkpoint; None is the checkpoint's own.

        First what the user noted in `STEM.json` beside the checkpoint (its "vae"; UnknownName if that is gone),
        then a VAE file called `STEM.vae.*`, then one whose name starts with the stem as a whole word: `sd15-mse.pt`
        belongs to `sd15`, `sdxl.vae.pt` does not belong to `sd`.
        """
        noted = read_json_object(checkpoint.path.with_name(checkpoint.stem + ".json")).get("vae")
        if isinstance(noted, str) and noted.strip():
            return None if noted.strip().lower() in _OWN else self.find(noted)
        usable = [entry for entry in self.entries if entry.problem is None]
        # A file beside the checkpoint is meant before one of the same name elsewhere.
        usable.sort(key=lambda entry: entry.path.parent != checkpoint.path.parent)
        stem = checkpoint.stem.casefold()
        exact = next((e for e in usable if e.stem.casefold() == stem + ".vae"), None)
        return exact or next((e for e in usable if _starts_with_word(e.path.name.casefold(), stem)), None)


def _starts_with_word(name: str, stem: str) -> bool:
    return name.startswith(stem) and not name[len(stem) : len(stem) + 1].isalnum()


def _read(item: Found) -> tuple[Facts, bool]:
    """{"problem": sentence or None}, and whether it may be cached."""
    try:
        kind = facts.kind_of(read_header(item.path).shapes)
    except ModelFileError as error:
        return {"problem": str(error)}, True
    except OSError as error:
        return {"problem": f"{item.path.name} cannot be read: {error.strerror}."}, False
    if kind is facts.VAE_FILE:
        return {"problem": None}, True
    where = f": move it to {kind.folder}" if kind.folder else ", not a VAE"
    return {"problem": f"{item.path.name} is {kind.words}{where}."}, True
