"""New model files: where they are written first, what they must be, and how they get their place.

A file is written into `ROOT/.arriving/ID/`, on the disk where it will stay; it is looked at there (nothing in it is
run), and moved to its place in one piece. Nothing that is there is ever replaced.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import threading
import unicodedata
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from modules.catalog import families_facts
from modules.catalog.headers import Header, read_header
from modules.catalog.model_places import PLACES, ModelKind, all_roots, home, kind_told_as, roots
from modules.catalog.pickle_calls import odd_call
from modules.schema.errors import BadRequest, ModelFileError, UserError
from modules.schema.settings import Folders
from modules.service.models.moving import move
from modules.service.naming import folder_parts, sanitize

FOLDER = ".arriving"
PART = "part"
_ENDINGS = tuple(dict.fromkeys(ending for place in PLACES.values() for ending in place.endings))
_SHA256 = re.compile(r"[0-9a-f]{64}")
_SPARE = 256 << 20


@dataclass(frozen=True)
class Arrived:
    """A new file at its place."""

    kind: ModelKind
    path: Path


class Arrivals:
    """Takes new files in. `largest` gives the most bytes that one may have. Safe for threads."""

    def __init__(self, places: Folders, largest: Callable[[], int]) -> None:
        self._places = places
        self._largest = largest
        self._lock = threading.Lock()

    def check_size(self, size: int, folder: Path, have: int = 0) -> None:
        """Raise BadRequest for what is larger than it may be, or than the disk of `folder` has room for."""
        self.check_growth(size)
        free = shutil.disk_usage(folder).free
        if size - have + _SPARE > free:
            raise BadRequest(
                f"The file needs {gigabytes(size - have)}, but the disk of {folder} has only {gigabytes(free)} free: "
                "make room first."
            )

    def check_growth(self, size: int) -> None:
        """Raise BadRequest for what is, or has become, larger than a file may be."""
        if size > self._largest():
            most = gigabytes(self._largest())
            raise BadRequest(
                f"The file has {gigabytes(size)}, more than the {most} of the setting Largest model file.", "size"
            )

    def new_folder(self, kind: ModelKind | None, name: str = "") -> Path:
        """A folder for a file that is going to arrive; `name` (hexadecimal) where it has one. Raises UserError."""
        base = roots(self._places, kind)[0] if kind else self._places.models
        folder = base / FOLDER / (name or secrets.token_hex(8))
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{base} cannot be written to ({error.strerror}): make that possible first.") from error
        return folder

    def check_name(self, wanted: str, kind: ModelKind | None) -> str:
        """A file name as it will be; raises BadRequest for what cannot be a model's, or is taken."""
        name = model_name(wanted)
        endings = PLACES[kind].endings if kind else _ENDINGS
        if not name.lower().endswith(endings):
            shown = ", ".join(endings)
            raise BadRequest(f"A model file cannot be called {name!r}: its name must end in one of {shown}.", "name")
        if kind is not None:
            self._target(kind, name)
        return name

    def settle(self, draft: Path, kind: ModelKind | None) -> Arrived:
        """Look at a complete file under its right name and move it to its place.

        Raises ModelFileError or BadRequest for what is no model file, of another kind, or taken; UserError where the
        disk refuses.
        """
        kind = self.look_at(draft, kind)
        with self._lock:
            target = self._target(kind, draft.name)
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with draft.open("rb") as file:
                    os.fsync(file.fileno())
                move(draft, target)
            except OSError as error:
                raise UserError(f"{draft.name} could not be moved to {target.parent} ({error.strerror}).") from error
        return Arrived(kind, target)

    def look_at(self, path: Path, kind: ModelKind | None) -> ModelKind:
        """The kind of a model file, by its header; raises ModelFileError, or BadRequest where it is not `kind`."""
        try:
            header = read_header(path)
        except OSError as error:
            raise UserError(f"{path.name} cannot be read ({error.strerror}).") from error
        odd = odd_call(header.calls)
        if odd is not None:
            raise ModelFileError(
                f"{path.name} is not taken: it is a pickle that would run {odd} where it is opened carelessly; get "
                "it as .safetensors."
            )
        return _kind_of(path.name, header, kind)

    def tidy(self, keep: Collection[str] = ()) -> None:
        """Remove what uploads and copies of an earlier run left behind; folders named in `keep` stay."""
        for base in dict.fromkeys((self._places.models, *all_roots(self._places))):
            folder = base / FOLDER
            if folder.is_symlink() or not folder.is_dir():
                continue
            for entry in folder.iterdir():
                if entry.name not in keep:
                    shutil.rmtree(entry, ignore_errors=True)

    def _target(self, kind: ModelKind, name: str) -> Path:
        root = home(self._places, kind, name)
        target = root / name
        if os.path.lexists(target):
            raise BadRequest(f"There is a {name} in {root} already: choose another name.", "name")
        return target


def model_name(wanted: str) -> str:
    """The last part of what was given, as a file's name everywhere; raises BadRequest where nothing is left."""
    base = "".join(c for c in wanted.replace("\\", "/").rpartition("/")[2] if c.isprintable())
    stem, ending = os.path.splitext(base.strip())
    return model_stem(stem) + sanitize(ending)


def model_stem(wanted: str) -> str:
    """What stands before the ending of a model's name, as it can be everywhere; raises BadRequest."""
    plain = "".join(c for c in unicodedata.normalize("NFC", wanted) if unicodedata.category(c)[0] != "C")
    parts = folder_parts(sanitize(plain.strip().lstrip("."), spaces=False))
    if len(parts) != 1 or parts[0].startswith("."):
        raise BadRequest(f"A model file cannot be called {wanted[:100]!r}: give it a name.", "name")
    return parts[0]


def check_sha256(text: str) -> str:
    """The digits of a sha256 as they were typed; "" for none. Raises BadRequest."""
    digits = text.strip().lower().removeprefix("sha256:").strip()
    if digits and not _SHA256.fullmatch(digits):
        raise BadRequest("A sha256 has 64 digits from 0 to f; leave it empty where you have none.", "sha256")
    return digits


def verify(name: str, wanted: str, found: str) -> None:
    """Raise ModelFileError where a file is not the one that was meant."""
    if wanted and wanted != found:
        raise ModelFileError(
            f"{name} is not the file that was meant: its sha256 begins with {found[:10]}, not with {wanted[:10]}. It "
            "was not kept; get it again."
        )


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 10_000_000 else f"{size / 1e6:.2f} MB"


def _kind_of(name: str, header: Header, wanted: ModelKind | None) -> ModelKind:
    told = families_facts.kind_of(header.shapes)
    found = kind_told_as(told.name)
    if wanted is None:
        if found is None:
            raise BadRequest(f"{name} is {told.words}: choose what kind of model it is.", "kind")
        wanted = found
    elif found not in (None, wanted) and not (wanted == "face" and found == "upscaler"):
        raise BadRequest(
            f"{name} is {told.words}, not what was chosen ({PLACES[wanted].label}): choose its kind, or let the file "
            "tell it.",
            "kind",
        )
    place = PLACES[wanted]
    if not name.lower().endswith(place.endings):
        shown = ", ".join(place.endings)
        raise BadRequest(f"{name} is {told.words}: its name must end in one of {shown}.", "name")
    return wanted
