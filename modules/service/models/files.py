"""All model files on the disk as one list, whatever their kind: what the Models page shows.

A file is meant by its kind and its name (the path below its folder), and only files that are listed are ever touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from modules.catalog import families_facts
from modules.catalog.cache import FileCache, Stamp
from modules.catalog.checkpoints import CheckpointCatalog, CheckpointEntry
from modules.catalog.diffusers_folder import read_json_object
from modules.catalog.embeddings import EmbeddingCatalog, EmbeddingEntry
from modules.catalog.hashes import SHORT, Hashes, Tell
from modules.catalog.headers import read_header
from modules.catalog.listing import Found, folder_stamp
from modules.catalog.model_places import PLACES, ModelKind, roots
from modules.catalog.networks import NetworkCatalog, NetworkEntry
from modules.catalog.upscalers import UpscalerCatalog, face_files
from modules.catalog.vae import VaeCatalog, VaeEntry
from modules.schema.errors import ModelFileError, NotFound
from modules.schema.settings import Folders

Entry = CheckpointEntry | VaeEntry | NetworkEntry | EmbeddingEntry

_CACHE_KIND = "model-problem-1"


@dataclass(frozen=True)
class ModelFile:
    """A model file, or a folder that is one model. `name` is its path below its folder, with slashes.

    `family` is a key of FAMILIES or None; `words` are those that a prompt wakes it with. `sha256` is None until it
    was computed. `problem` is a sentence where it cannot be used. `root` is the folder it lies below; None where it
    belongs to something else (a training run), so that it is not moved from here. `entry`: the catalog's own record.
    """

    kind: ModelKind
    path: Path
    name: str
    stem: str
    size: int
    mtime: float
    family: str | None = None
    words: str = ""
    about: str = ""
    sha256: str | None = None
    problem: str | None = None
    root: Path | None = None
    entry: Entry | None = None

    @property
    def hash(self) -> str | None:
        return self.sha256[:SHORT] if self.sha256 else None

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0]

    def answers_to(self, words: Iterable[str]) -> bool:
        """Whether each of those (lower-case) words is somewhere in what is known of it."""
        known = (self.name, self.kind, self.family or "", self.words, self.about, self.sha256 or "")
        text = "\n".join(known).lower()
        return all(word in text for word in words)


class Catalogs(NamedTuple):
    """What knows the files of each kind."""

    checkpoints: CheckpointCatalog
    vaes: VaeCatalog
    networks: NetworkCatalog
    embeddings: EmbeddingCatalog
    upscalers: UpscalerCatalog


class ModelFiles:
    """The files of all kinds. Safe for threads; nothing is opened twice while it stays as it is."""

    def __init__(self, catalogs: Catalogs, places: Folders) -> None:
        self._catalogs = catalogs
        self.places = places
        self._cache = FileCache(places.state / "models.sqlite")
        self._hashes = Hashes(self._cache)
        self._lock = threading.Lock()
        self._lists: dict[ModelKind, Callable[[], Iterator[ModelFile]]] = {
            "checkpoint": lambda: (self._of_entry("checkpoint", e) for e in catalogs.checkpoints.entries),
            "vae": lambda: (self._of_entry("vae", e) for e in catalogs.vaes.entries),
            "lora": lambda: (self._of_entry("lora", e) for e in catalogs.networks.of_kind("lora")),
            "embedding": lambda: (self._of_entry("embedding", e) for e in catalogs.embeddings.entries),
            "hypernet": lambda: (self._of_entry("hypernet", e) for e in catalogs.networks.of_kind("hypernet")),
            "upscaler": self._upscalers,
            "face": lambda: (self._plain("face", item) for item in face_files(places.models)),
            "captioner": self._captioners,
        }

    def all(self, kind: ModelKind | None = None) -> list[ModelFile]:
        """The files of a kind, or of all kinds one after another."""
        kinds = (kind,) if kind else tuple(PLACES)
        return [file for one in kinds for file in self._lists[one]()]

    def find(self, kind: ModelKind, name: str) -> ModelFile:
        """The listed file of that kind and name; raises NotFound."""
        found = next((file for file in self._lists[kind]() if file.name == name), None)
        if found is None:
            raise NotFound(f"There is no {PLACES[kind].label} {name!r}; refresh the list.")
        return found

    def paths(self, kind: ModelKind) -> set[Path]:
        return {file.path for file in self._lists[kind]()}

    def refresh(self, kind: ModelKind) -> None:
        """Look into the folders of a kind again."""
        catalogs = self._catalogs
        # A checkpoint's folder has VAE files too, and a LoRA's notes are read with the LoRA.
        for one in {
            "checkpoint": (catalogs.checkpoints, catalogs.vaes),
            "vae": (catalogs.vaes,),
            "lora": (catalogs.networks,),
            "hypernet": (catalogs.networks,),
            "embedding": (catalogs.embeddings,),
        }.get(kind, (catalogs.upscalers,)):
            one.refresh()

    def refresh_if_changed(self) -> None:
        """Take in what has come to the folders that are watched."""
        self._catalogs.networks.refresh_if_changed()
        self._catalogs.embeddings.refresh_if_changed()

    def hashes_of(self, kind: ModelKind) -> Hashes:
        """The hashes that are kept for files of a kind."""
        catalogs = self._catalogs
        found = {
            "checkpoint": catalogs.checkpoints.hashes,
            "vae": catalogs.vaes.hashes,
            "lora": catalogs.networks.hashes,
            "hypernet": catalogs.networks.hashes,
            "embedding": catalogs.embeddings.hashes,
        }
        return found.get(kind, self._hashes)

    def compute_hash(self, file: ModelFile, tell: Tell) -> str:
        """The sha256 of a file, from now on known everywhere; raises ModelFileError, and what `tell` raises."""
        value = self.hashes_of(file.kind).sha256(file.path, tell)
        # These two show the hash in titles: their lists are told.
        if isinstance(file.entry, CheckpointEntry):
            self._catalogs.checkpoints.sha256(file.entry)
        elif isinstance(file.entry, VaeEntry):
            self._catalogs.vaes.sha256(file.entry)
        return value

    def hash_in_pictures(self, file: ModelFile) -> str | None:
        """The hash by which a picture's text names the file, where that is known; of a LoRA it is of its tensors."""
        entry = file.entry
        if isinstance(entry, NetworkEntry) and not file.problem:
            return self._catalogs.networks.short_hash(entry)
        if isinstance(entry, EmbeddingEntry) and file.sha256:
            return self._catalogs.embeddings.short_hash(entry)
        return file.hash

    def _of_entry(self, kind: ModelKind, entry: Entry) -> ModelFile:
        words, about = "", ""
        if isinstance(entry, NetworkEntry | EmbeddingEntry):
            trigger = entry.trigger if isinstance(entry, NetworkEntry) else ""
            words, about = entry.note.activation_text or trigger, entry.note.description
        return ModelFile(
            kind=kind,
            path=entry.path,
            name=entry.name,
            stem=entry.stem,
            size=entry.size,
            mtime=entry.mtime,
            family=None if isinstance(entry, VaeEntry) else entry.family,
            words=words,
            about=about,
            sha256=self.hashes_of(kind).known_listed(entry.path, entry.size, entry.mtime),
            problem=entry.problem,
            root=self._root(kind, entry.path),
            entry=entry,
        )

    def _upscalers(self) -> Iterator[ModelFile]:
        for entry in self._catalogs.upscalers.entries:
            if entry.path is None:
                continue
            try:
                stamp = Stamp.of(entry.path.stat())
            except OSError:
                continue
            yield self._plain("upscaler", Found(entry.path, entry.path.name, stamp))

    def _captioners(self) -> Iterator[ModelFile]:
        (root,) = roots(self.places, "captioner")
        below = sorted(p for p in root.iterdir() if p.is_dir() and p.name[:1] != ".") if root.is_dir() else []
        for folder in (root, *below):
            config = folder / "config.json"
            if config.is_file():
                told = read_json_object(config).get("model_type")
                item = Found(folder, folder.name, folder_stamp(folder), is_folder=True)
                yield self._file("captioner", item, None, str(told or ""))

    def _plain(self, kind: ModelKind, item: Found) -> ModelFile:
        return self._file(kind, item, self._problem(item), "")

    def _file(self, kind: ModelKind, item: Found, problem: str | None, about: str) -> ModelFile:
        return ModelFile(
            kind=kind,
            path=item.path,
            name=item.path.relative_to(self.places.models).as_posix(),
            stem=item.path.name if item.is_folder else item.path.stem,
            size=item.stamp.size,
            mtime=item.stamp.mtime_ns / 1e9,
            about=about,
            sha256=self._hashes.known(item.path, item.stamp),
            problem=problem,
            root=self._root(kind, item.path),
        )

    def _root(self, kind: ModelKind, path: Path) -> Path | None:
        """The folder of that kind that the file is below. A folder that is itself the kind's folder is not moved."""
        return next((root for root in roots(self.places, kind) if root in path.parents), None)

    def _problem(self, item: Found) -> str | None:
        """Why an upscaler cannot be one, from its header; read once for each state of the file."""
        known = self._cache.get(_CACHE_KIND, item.path, item.stamp)
        if known is None:
            try:
                known = {"problem": _misplaced(item.path)}
            except ModelFileError as error:
                known = {"problem": str(error)}
            except OSError as error:
                return f"{item.path.name} cannot be read: {error.strerror}."
            self._cache.put(_CACHE_KIND, [(item.path, item.stamp, known)])
        problem: Any = known["problem"]
        return problem


def _misplaced(path: Path) -> str | None:
    kind = families_facts.kind_of(read_header(path).shapes)
    if kind in (families_facts.UPSCALER, families_facts.UNKNOWN) or not kind.folder:
        return None
    return f"{path.name} is {kind.words}: move it to {kind.folder}."
