"""Textual-inversion embeddings on the disk: their words, sizes and origin, from file headers alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from modules.catalog import families_facts as facts
from modules.catalog.beside import ENDINGS as BESIDE
from modules.catalog.beside import Beside, Note
from modules.catalog.cache import Facts, FileCache, Stamp
from modules.catalog.embedding_pictures import ENDINGS as PICTURES
from modules.catalog.embedding_pictures import read_picture, shapes_of
from modules.catalog.hashes import Hashes
from modules.catalog.headers import read_header
from modules.catalog.listing import FolderWatch, Found, placed, walk
from modules.schema.errors import ModelFileError, UnknownName

ENDINGS = (".pt", ".bin", ".safetensors", *PICTURES)
SHORT_HASH = 12
_CACHE_KIND = "embedding-1"
# By the width of the text encoder's vectors; SDXL's pair counts together.
_FAMILY_BY_WIDTH = {768: "sd1", 1024: "sd2", 768 + 1280: "sdxl"}
_NOT_VECTORS = frozenset(("string_to_param", "string_to_token"))

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class EmbeddingEntry:
    """An embedding file. `stem` is the word it answers to, `name` its path below its folder.

    `vectors` of `width` numbers each; `step`, `checkpoint` and `checkpoint_hash` tell its training, where the file
    says so. `note`: what the user noted beside the file. `family` is a key of FAMILIES or None. `problem` is a
    sentence where it cannot be used.
    """

    path: Path
    name: str
    stem: str
    size: int
    mtime: float
    vectors: int = 0
    width: int = 0
    step: int | None = None
    checkpoint: str = ""
    checkpoint_hash: str = ""
    family: str | None = None
    preview: Path | None = None
    note: Note = Note()
    problem: str | None = None
    sha256: str | None = None

    @property
    def title(self) -> str:
        return self.name

    @property
    def hash(self) -> str | None:
        return self.sha256[:SHORT_HASH] if self.sha256 else None


class EmbeddingCatalog:
    """The embeddings below `folders`. Safe for threads; only `refresh` looks at the folders again."""

    def __init__(self, folders: tuple[Path, ...], cache_file: Path) -> None:
        self._folders = folders
        self._further: Mapping[Path, str] = {}
        self._cache = FileCache(cache_file)
        self.hashes = Hashes(self._cache)
        self._lock = threading.Lock()
        self._entries: tuple[EmbeddingEntry, ...] = ()
        self._by_word: dict[str, EmbeddingEntry] = {}
        self._version = 0
        self._watch = FolderWatch(folders)

    @property
    def entries(self) -> list[EmbeddingEntry]:
        """As of the last `refresh`, sorted by name; a picture that carries nothing is none."""
        return list(self._entries)

    @property
    def version(self) -> int:
        """Grows whenever a refresh found something changed."""
        return self._version

    @property
    def vectors(self) -> dict[str, int]:
        """Numbers of vectors by word, of the embeddings that can be used."""
        return {entry.stem: entry.vectors for entry in self._by_word.values()}

    def also(self, folder: Path, shown: str) -> None:
        """List a further folder, as `shown`, from the next look on; it may not exist yet.

        Of equal words that of the first folders counts; of those in further ones the newest.
        """
        with self._lock:
            if folder not in self._further:
                self._further = {**self._further, folder: shown}
                self._watch = FolderWatch((*self._folders, *self._further))

    def refresh(self) -> list[EmbeddingEntry]:
        """List the folders anew; only new or changed files are opened."""
        found = walk((*self._folders, *self._further), lambda name: name.endswith((*ENDINGS, *BESIDE)))
        self._watch.walked(found)
        found = placed(found, self._further)
        beside = Beside(found, self._cache)
        read: list[tuple[Path, Stamp, Facts]] = []
        entries: list[EmbeddingEntry] = []
        for item in found:
            if not _wanted(item):
                continue
            known = self._cache.get(_CACHE_KIND, item.path, item.stamp)
            if known is None:
                known, lasting = _read(item)
                if lasting:
                    read.append((item.path, item.stamp, known))
            if known:
                entries.append(_entry(item, known, beside, self.hashes.known(item.path, item.stamp)))
        self._cache.put(_CACHE_KIND, read)
        beside.store()
        with self._lock:
            self._version += tuple(entries) != self._entries
            self._entries = tuple(entries)
            self._by_word = {e.stem.casefold(): e for e in sorted(entries, key=self._rank) if e.problem is None}
        return entries

    def _rank(self, entry: EmbeddingEntry) -> tuple[bool, float]:
        """Of equal words the last counts."""
        first = any(entry.path.is_relative_to(folder) for folder in self._folders)
        return first, 0.0 if first else entry.mtime

    def refresh_if_changed(self) -> None:
        """Refresh where files have come or gone; costs next to nothing otherwise."""
        if self._watch.differs():
            self.refresh()

    def find(self, word: str) -> EmbeddingEntry:
        """The usable embedding that answers to `word`, in any letter case; raises UnknownName with near names."""
        entry = self._by_word.get(word.strip().casefold())
        if entry is None:
            raise UnknownName("embedding", word, [known.stem for known in self._by_word.values()])
        return entry

    def short_hash(self, entry: EmbeddingEntry) -> str:
        """The first 12 digits of the file's sha256: A1111's "TI hash"; raises ModelFileError."""
        return self.hashes.sha256(entry.path)[:SHORT_HASH]


def _wanted(item: Found) -> bool:
    name = item.path.name.lower()
    return name.endswith(ENDINGS) and not name.endswith(tuple(f".preview{ending}" for ending in PICTURES))


def _read(item: Found) -> tuple[Facts, bool]:
    """What is worth caching of a file ({} for a picture that carries nothing), and whether it will hold."""
    try:
        if item.path.suffix.lower() in PICTURES:
            return _read_picture(item.path), True
        header = read_header(item.path)
    except ModelFileError as error:
        # A picture that cannot be read is somebody's picture, not a broken embedding.
        return ({} if item.path.suffix.lower() in PICTURES else {"problem": str(error)}), True
    except OSError as error:
        return {"problem": f"{item.path.name} cannot be read: {error.strerror}."}, False
    vectors, width = vectors_in(header.shapes)
    notes = header.metadata
    return {
        "vectors": vectors,
        "width": width,
        "step": _whole(notes.get("step") or notes.get("ti.step")),
        "checkpoint": notes.get("sd_checkpoint_name") or "",
        "checkpoint_hash": notes.get("sd_checkpoint") or "",
        "problem": None if vectors else _other_kind(item.path.name, header.shapes),
    }, True


def _read_picture(path: Path) -> Facts:
    table = read_picture(path)
    if table is None:
        return {}
    vectors, width = vectors_in(shapes_of(table))
    name = table.get("name")
    return {
        "vectors": vectors,
        "width": width,
        "word": name if isinstance(name, str) else "",
        "step": _whole(table.get("step")),
        "checkpoint": str(table.get("sd_checkpoint_name") or ""),
        "checkpoint_hash": str(table.get("sd_checkpoint") or ""),
        "problem": None if vectors else f"{path.name} carries no vectors in its data.",
    }


def vectors_in(shapes: Shapes) -> tuple[int, int]:
    """(vectors, width) of an embedding file's tensors; (0, 0) where they are no embedding.

    The tensor in A1111's `string_to_param`, the pair `clip_l` and `clip_g` (widths together), or the only one.
    """
    pair = [shapes[name] for name in ("clip_l", "clip_g") if len(shapes.get(name, ())) == 2]
    if len(pair) == 2:
        same = pair[0][0] == pair[1][0]
        return (pair[0][0], pair[0][1] + pair[1][1]) if same else (0, 0)
    tensors = [shape for name, shape in shapes.items() if name not in _NOT_VECTORS and shape]
    if len(tensors) != 1 or len(tensors[0]) not in (1, 2):
        return 0, 0
    return (1, tensors[0][0]) if len(tensors[0]) == 1 else (tensors[0][0], tensors[0][1])


def _other_kind(name: str, shapes: Shapes) -> str:
    kind = facts.kind_of(shapes)
    if kind in (facts.EMBEDDING, facts.UNKNOWN):
        return f"{name} holds no embedding that can be read here: one tensor of vectors is expected."
    return f"{name} is {kind.words}{f': move it to {kind.folder}' if kind.folder else ', not an embedding'}."


def _entry(item: Found, known: Facts, beside: Beside, sha256: str | None) -> EmbeddingEntry:
    width = known.get("width") or 0
    return EmbeddingEntry(
        path=item.path,
        name=item.name,
        stem=known.get("word") or item.path.stem,
        size=item.stamp.size,
        mtime=item.stamp.mtime_ns / 1e9,
        vectors=known.get("vectors") or 0,
        width=width,
        step=known.get("step"),
        checkpoint=known.get("checkpoint") or "",
        checkpoint_hash=known.get("checkpoint_hash") or "",
        family=_FAMILY_BY_WIDTH.get(width),
        preview=item.path if item.path.suffix.lower() in PICTURES else beside.preview(item.path),
        note=beside.note(item.path),
        problem=known.get("problem"),
        sha256=sha256,
    )


def _whole(value: object) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None
