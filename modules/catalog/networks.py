"""LoRA files and hypernetworks on the disk, from their headers alone, with what lies beside them."""

from __future__ import annotations

import hashlib
import struct
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from modules.catalog import families_facts as facts
from modules.catalog.beside import ENDINGS as BESIDE
from modules.catalog.beside import Beside, Note
from modules.catalog.cache import Facts, FileCache, Stamp
from modules.catalog.hashes import Hashes
from modules.catalog.headers import Header, read_header
from modules.catalog.listing import FolderWatch, Found, placed, walk
from modules.catalog.network_facts import lora_facts
from modules.schema.errors import ModelFileError, UnknownName

Kind = Literal["lora", "hypernet"]
ENDINGS: Mapping[Kind, tuple[str, ...]] = {"lora": (".safetensors", ".pt", ".ckpt"), "hypernet": (".pt",)}
WORDS: Mapping[Kind, str] = {"lora": "LoRA", "hypernet": "hypernetwork"}
SHORT_HASH: Mapping[Kind, int] = {"lora": 12, "hypernet": 10}
_CACHE_KIND: Mapping[Kind, str] = {"lora": "lora-2", "hypernet": "hypernet-1"}
_HASH_KIND = "lora-hash"
_EXPECTED = {"lora": facts.LORA, "hypernet": facts.HYPERNETWORK}


@dataclass(frozen=True)
class NetworkEntry:
    """A LoRA or hypernetwork file. `name` is its path below its folder; a prompt calls it by `stem` or `alias`.

    `trigger`: the words that its maker says it wants. `note`: what the user noted beside the file. `bundled`:
    embeddings in it, with numbers of vectors.
    `family` is a key of FAMILIES or None. `problem` is a sentence where it cannot be used.
    """

    kind: Kind
    path: Path
    name: str
    stem: str
    size: int
    mtime: float
    alias: str = ""
    title: str = ""
    description: str = ""
    trigger: str = ""
    base: str = ""
    family: str | None = None
    bundled: Mapping[str, int] = field(default_factory=dict[str, int])
    note: Note = Note()
    preview: Path | None = None
    hash: str | None = None
    problem: str | None = None


class NetworkCatalog:
    """The networks of some folders by kind. Safe for threads; only `refresh` looks at the folders again."""

    def __init__(self, folders: Mapping[Kind, tuple[Path, ...]], cache_file: Path) -> None:
        self._folders = folders
        self._shown: Mapping[Path, str] = {}
        self._cache = FileCache(cache_file)
        self.hashes = Hashes(self._cache)
        self._lock = threading.Lock()
        self._entries: tuple[NetworkEntry, ...] = ()
        self._names: dict[Kind, _Names] = {}
        self._watches = {kind: FolderWatch(where) for kind, where in folders.items()}

    @property
    def entries(self) -> list[NetworkEntry]:
        """As of the last `refresh`: LoRA, then hypernetworks, each sorted by name."""
        return list(self._entries)

    def of_kind(self, kind: Kind) -> list[NetworkEntry]:
        return [entry for entry in self._entries if entry.kind == kind]

    def also(self, kind: Kind, folder: Path, shown: str) -> None:
        """List a further folder of that kind, as `shown`, from the next look on; it may not exist yet."""
        with self._lock:
            if folder not in self._folders[kind]:
                self._shown = {**self._shown, folder: shown}
                self._folders = {**self._folders, kind: (*self._folders[kind], folder)}
                self._watches = {**self._watches, kind: FolderWatch(self._folders[kind])}

    def refresh(self) -> list[NetworkEntry]:
        """List the folders anew; only new or changed files are opened."""
        entries = [entry for kind, folders in self._folders.items() for entry in self._list(kind, folders)]
        names = {kind: _Names(kind, [e for e in entries if e.kind == kind]) for kind in self._folders}
        with self._lock:
            self._entries, self._names = tuple(entries), names
        return entries

    def refresh_if_changed(self) -> None:
        """Refresh where files have come or gone; costs next to nothing otherwise."""
        if any(watch.differs() for watch in self._watches.values()):
            self.refresh()

    def find(self, kind: Kind, name: str) -> NetworkEntry:
        """The network that a prompt's tag means: file name, path below its folder, or its maker's name for it.

        Raises UnknownName, with near names, where nothing or more than one file answers. An entry with a `problem` is
        found too: the caller tells it.
        """
        return self._names[kind].find(name) if kind in self._names else _Names(kind, []).find(name)

    def short_hash(self, entry: NetworkEntry) -> str:
        """A1111's hash of the file: 12 digits for a LoRA (of its tensors), 10 for a hypernetwork. Computed once.

        Raises ModelFileError where the file cannot be read.
        """
        digits = SHORT_HASH[entry.kind]
        if entry.hash:
            return entry.hash[:digits]
        if entry.kind == "lora" and entry.path.suffix.lower() == ".safetensors":
            return self._tensor_hash(entry.path)[:digits]
        return self.hashes.sha256(entry.path)[:digits]

    def metadata(self, entry: NetworkEntry) -> dict[str, str]:
        """All metadata of the file, read now; {} where it has none or cannot be read."""
        try:
            return read_header(entry.path).metadata
        except (ModelFileError, OSError):
            return {}

    def _list(self, kind: Kind, folders: tuple[Path, ...]) -> list[NetworkEntry]:
        found = walk(folders, lambda name: name.endswith((*ENDINGS[kind], *BESIDE)))
        self._watches[kind].walked(found)
        found = placed(found, self._shown)
        beside = Beside(found, self._cache)
        read: list[tuple[Path, Stamp, Facts]] = []
        entries: list[NetworkEntry] = []
        for item in found:
            if not item.path.name.lower().endswith(ENDINGS[kind]):
                continue
            known = self._cache.get(_CACHE_KIND[kind], item.path, item.stamp)
            if known is None:
                known, lasting = _read(kind, item)
                if lasting:
                    read.append((item.path, item.stamp, known))
            entries.append(_entry(kind, item, known, beside))
        self._cache.put(_CACHE_KIND[kind], read)
        beside.store()
        return entries

    def _tensor_hash(self, path: Path) -> str:
        """sha256 of a safetensors file without its header, so that edited metadata leaves it alone."""
        try:
            stamp = Stamp.of(path.stat())
            known = self._cache.get(_HASH_KIND, path, stamp)
            if known is None:
                with path.open("rb") as file:
                    (length,) = struct.unpack("<Q", file.read(8))
                    file.seek(8 + length)
                    known = {"value": hashlib.file_digest(file, "sha256").hexdigest()}
                self._cache.put(_HASH_KIND, [(path, stamp, known)])
            return str(known["value"])
        except (OSError, struct.error, OverflowError, ValueError) as error:
            raise ModelFileError(f"{path.name} cannot be read ({error}).") from None


class _Names:
    """Finds entries of one kind by name; file names go before the makers' names, exact letter case before any."""

    def __init__(self, kind: Kind, entries: Iterable[NetworkEntry]) -> None:
        self._what = WORDS[kind]
        self._tables: tuple[dict[str, dict[Path, NetworkEntry]], ...] = ({}, {}, {}, {})
        for entry in entries:
            below = entry.name.rpartition(".")[0]
            for table, names in enumerate(((entry.name, below), (entry.stem,), (entry.alias,))):
                for name in filter(None, dict.fromkeys(names)):
                    self._tables[table].setdefault(name, {})[entry.path] = entry
                    self._tables[3].setdefault(name.casefold(), {})[entry.path] = entry

    def find(self, name: str) -> NetworkEntry:
        wanted = name.strip().replace("\\", "/")
        for table, key in zip(self._tables, (wanted, wanted, wanted, wanted.casefold()), strict=True):
            if key in table:
                return self._only(name, list(table[key].values()))
        known = {entry.stem: None for found in self._tables[1].values() for entry in found.values()}
        raise UnknownName(self._what, name, known, "prompt")

    def _only(self, name: str, found: list[NetworkEntry]) -> NetworkEntry:
        usable = [entry for entry in found if entry.problem is None] or found
        if len(usable) > 1:
            shown = ", ".join(repr(entry.name.rpartition(".")[0]) for entry in usable[:5])
            reason = f"{len(usable)} files have that name; write one of {shown}"
            raise UnknownName(self._what, name, (), "prompt", reason=reason)
        return usable[0]


def _read(kind: Kind, item: Found) -> tuple[Facts, bool]:
    """The facts worth caching of a file, and whether they will hold (a refused read may succeed next time)."""
    try:
        header = read_header(item.path)
    except ModelFileError as error:
        return {"problem": str(error)}, True
    except OSError as error:
        return {"problem": f"{item.path.name} cannot be read: {error.strerror}."}, False
    known = lora_facts(header.shapes, header.metadata) if kind == "lora" else _hypernet_facts(header)
    return {**known, "problem": _other_kind(kind, item.path.name, header)}, True


def _hypernet_facts(header: Header) -> Facts:
    return {"alias": header.metadata.get("name", ""), "base": header.metadata.get("sd_checkpoint_name", "")}


def _other_kind(kind: Kind, name: str, header: Header) -> str | None:
    found = facts.kind_of(header.shapes)
    if found in (_EXPECTED[kind], facts.UNKNOWN):
        return None
    return f"{name} is {found.words}{f': move it to {found.folder}' if found.folder else f', not a {WORDS[kind]}'}."


def _entry(kind: Kind, item: Found, known: Facts, beside: Beside) -> NetworkEntry:
    note = beside.note(item.path)
    return NetworkEntry(
        kind=kind,
        path=item.path,
        name=item.name,
        stem=item.name.rpartition("/")[2].rpartition(".")[0],
        size=item.stamp.size,
        mtime=item.stamp.mtime_ns / 1e9,
        alias=known.get("alias") or "",
        title=known.get("title") or "",
        description=note.description or known.get("description") or "",
        trigger=known.get("trigger") or "",
        base=known.get("base") or "",
        family=known.get("family"),
        bundled=known.get("bundled") or {},
        note=note,
        preview=beside.preview(item.path),
        hash=known.get("hash") or None,
        problem=known.get("problem"),
    )
