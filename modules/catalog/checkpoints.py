"""Every checkpoint on disk, known from file headers alone.

A file that cannot be used (damaged, half downloaded, of another kind) is listed too, with its reason in `problem`.
"""

from __future__ import annotations

import dataclasses
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from modules.catalog import families_facts as facts
from modules.catalog.cache import Facts, FileCache, Stamp
from modules.catalog.diffusers_folder import read_folder
from modules.catalog.families_facts import FAMILIES, Identity
from modules.catalog.hashes import SHORT, Hashes
from modules.catalog.headers import read_header
from modules.catalog.listing import Found, walk
from modules.catalog.names import Search
from modules.schema.errors import ModelFileError

ENDINGS = (".safetensors", ".ckpt", ".pt")
_PARTIAL = (".part", ".crdownload", ".partial", ".download", ".incomplete", ".opdownload", ".!ut")
VAE_FILE_NAME = re.compile(r"\.vae\.(safetensors|ckpt|pt)$", re.IGNORECASE)
_RESOLUTION = re.compile(r"^\s*(\d{2,5})(?:\s*[xX]\s*(\d{2,5}))?\s*$")
# Thumbnails and tag statistics: megabytes that no list needs.
_LONGEST_METADATA = 16_384
_CACHE_KIND = "checkpoint-header-1"


@dataclass(frozen=True)
class CheckpointEntry:
    """A checkpoint file or diffusers folder.

    `name` is its path below the models folder; `kind` is "safetensors", "pickle" or "diffusers". `native_size`
    (width, height) is what it was trained on. `problem` is a sentence where it cannot be used, else None. `hash` (10
    digits) and `sha256` are None until computed. `mtime` is in seconds.
    """

    path: Path
    name: str
    stem: str
    size: int
    mtime: float
    kind: str
    family: str | None = None
    native_size: tuple[int, int] | None = None
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    problem: str | None = None
    inpainting: bool = False
    ema: bool = False
    sha256: str | None = None

    @property
    def hash(self) -> str | None:
        return self.sha256[:SHORT] if self.sha256 else None

    @property
    def title(self) -> str:
        return f"{self.name} [{self.hash}]" if self.hash else self.name


class CheckpointCatalog:
    """The checkpoints below `folders`. Safe for threads; only `refresh` looks at the folders again."""

    def __init__(self, folders: tuple[Path, ...], cache_file: Path) -> None:
        self._folders = folders
        self._cache = FileCache(cache_file)
        self.hashes = Hashes(self._cache)
        self._search = Search("checkpoint", "checkpoint")
        self._lock = threading.Lock()
        self._entries: dict[Path, CheckpointEntry] = {}
        self.headers_read = 0

    @property
    def entries(self) -> list[CheckpointEntry]:
        """As of the last `refresh`, sorted by name."""
        return list(self._entries.values())

    def refresh(self) -> list[CheckpointEntry]:
        """List the folders anew; only new or changed files are opened."""
        found = walk(self._folders, _wanted, diffusers=True)
        read: list[tuple[Path, Stamp, Facts]] = []
        entries: dict[Path, CheckpointEntry] = {}
        for item in found:
            known = self._cache.get(_CACHE_KIND, item.path, item.stamp)
            if known is None:
                self.headers_read += 1
                known, lasting = _read(item)
                if lasting:
                    read.append((item.path, item.stamp, known))
            entries[item.path] = _entry(item, known, self.hashes.known(item.path, item.stamp))
        self._cache.put(_CACHE_KIND, read)
        with self._lock:
            self._entries = entries
        return self.entries

    def find(self, name: str) -> CheckpointEntry:
        """The checkpoint of that title, path, file name, stem, hash, or part of a title that only it has.

        Raises UnknownName, with near names, when nothing or more than one model answers. An entry with a `problem` is
        found too: the caller tells it.
        """
        return self._search.find(name, self.entries, sha256=self.sha256, old_hash=self._old_hash)

    def sha256(self, entry: CheckpointEntry) -> str:
        """The sha256 of the entry's file: computed once, then part of its title; raises ModelFileError."""
        value = self.hashes.sha256(entry.path)
        with self._lock:
            listed = self._entries.get(entry.path)
            if listed is not None and listed.sha256 != value:
                self._entries = {**self._entries, entry.path: dataclasses.replace(listed, sha256=value)}
        return value

    def short_hash(self, entry: CheckpointEntry) -> str:
        """The first 10 digits of the sha256: A1111's "Model hash"."""
        return self.sha256(entry)[:SHORT]

    def _old_hash(self, entry: CheckpointEntry) -> str | None:
        if entry.kind == "diffusers":
            return None
        try:
            return self.hashes.old_hash(entry.path, Stamp.of(entry.path.stat()))
        except OSError:
            return None


def _wanted(name: str) -> bool:
    if VAE_FILE_NAME.search(name):
        return False
    return name.endswith(ENDINGS) or _is_partial(name)


def _is_partial(name: str) -> bool:
    inner, _, ending = name.rpartition(".")
    return name.endswith(_PARTIAL) or (ending == "tmp" and inner.endswith(ENDINGS))


def _read(item: Found) -> tuple[Facts, bool]:
    """The facts worth caching of a file, and whether they will hold (a refused read may succeed next time)."""
    try:
        if item.is_folder:
            identity, side = read_folder(item.path)
            return {"kind": facts.CHECKPOINT.name, "identity": dataclasses.asdict(identity), "side": side}, True
        if _is_partial(item.name.lower()):
            return {"problem": f"{item.path.name} is a half-finished download: let it finish, or delete it."}, True
        header = read_header(item.path)
    except ModelFileError as error:
        return {"problem": str(error)}, True
    except OSError as error:
        return {"problem": f"{item.path.name} cannot be read: {error.strerror}."}, False
    identity = facts.identify(header.shapes)
    return {
        "kind": facts.kind_of(header.shapes).name,
        "identity": dataclasses.asdict(identity) if identity else None,
        "metadata": {k: v for k, v in header.metadata.items() if len(v) <= _LONGEST_METADATA},
    }, True


def _entry(item: Found, known: Facts, sha256: str | None) -> CheckpointEntry:
    identity = Identity(**known["identity"]) if known.get("identity") else None
    metadata: dict[str, str] = known.get("metadata") or {}
    file_name = item.name.rpartition("/")[2]
    whole = item.is_folder or _is_partial(item.name.lower())
    return CheckpointEntry(
        path=item.path,
        name=item.name,
        stem=file_name if whole else file_name.rpartition(".")[0],
        size=item.stamp.size,
        mtime=item.stamp.mtime_ns / 1e9,
        kind=_storage(item),
        family=identity.family if identity else None,
        native_size=_native_size(identity, metadata, known.get("side")),
        metadata=metadata,
        problem=_problem(item, known, identity),
        inpainting=identity.inpainting if identity else False,
        ema=identity.ema if identity else False,
        sha256=sha256,
    )


def _storage(item: Found) -> str:
    if item.is_folder:
        return "diffusers"
    return "safetensors" if ".safetensors" in item.path.name.lower() else "pickle"


def _native_size(identity: Identity | None, metadata: dict[str, Any], side: int | None) -> tuple[int, int] | None:
    if identity is None:
        return None
    match = _RESOLUTION.match(metadata.get("modelspec.resolution", ""))
    if match:
        width, height = int(match[1]), int(match[2] or match[1])
        if 16 <= width <= 8192 and 16 <= height <= 8192:
            return width, height
    family = FAMILIES.get(identity.family)
    side = side or (family.native if family else None)
    return (side, side) if side else None


_KINDS = {
    kind.name: kind
    for kind in (
        *(facts.LORA, facts.VAE_FILE, facts.EMBEDDING, facts.HYPERNETWORK, facts.UPSCALER, facts.CONTROLNET),
        *(facts.BARE_UNET, facts.TEXT_ENCODER, facts.UNKNOWN),
    )
}


def _problem(item: Found, known: Facts, identity: Identity | None) -> str | None:
    """Why the file cannot be used as a checkpoint by this version, in a sentence."""
    name = item.path.name
    if known.get("problem"):
        return known["problem"]
    if "\ufffd" in item.name:
        return f"{item.name} has a file name that is not valid text: rename it."
    if identity is None or known.get("kind") in _KINDS:
        kind = _KINDS.get(known.get("kind", ""), facts.UNKNOWN)
        where = f": move it to {kind.folder}" if kind.folder else ", and cannot be drawn with by itself"
        return f"{name} is {kind.words}{where}."
    family = FAMILIES.get(identity.family)
    if family is None or not family.supported:
        label = family.label if family else "another family's"
        return f"{name} is a {label} checkpoint; this version draws with Stable Diffusion 1 checkpoints only."
    if identity.instruct:
        return f"{name} is an InstructPix2Pix checkpoint, which this version cannot draw with."
    if not identity.text_encoder:
        return f"{name} has no text encoder in it: get the complete checkpoint."
    return None
