"""Upscaler and face restorer models on the disk, in A1111's folders, beside the upscalers that need no file."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from pathlib import Path

from modules.catalog.listing import Found, walk
from modules.schema.errors import UnknownName
from modules.schema.registry import Registry

FOLDERS = ("ESRGAN", "RealESRGAN", "BSRGAN", "SwinIR", "ScuNET", "DAT", "HAT", "Upscalers")
ENDINGS = (".pth", ".pt", ".ckpt", ".safetensors")
BUILT_IN = ("None", "Lanczos", "Nearest")
FACE_RESTORERS = ("GFPGAN", "CodeFormer")
FACE_FOLDERS = {"GFPGAN": ("GFPGAN",), "CodeFormer": ("Codeformer", "CodeFormer")}

_OTHER_NAMES = {
    "R-ESRGAN 4x+": "RealESRGAN_x4plus",
    "R-ESRGAN 4x+ Anime6B": "RealESRGAN_x4plus_anime_6B",
    "R-ESRGAN 2x+": "RealESRGAN_x2plus",
    "R-ESRGAN General 4xV3": "realesr-general-x4v3",
    "R-ESRGAN AnimeVideo": "realesr-animevideov3",
    "SwinIR 4x": "003_realSR_BSRGAN_DFOWMFC_s64w8_SwinIR-L_x4_GAN",
    "ScuNET GAN": "ScuNET",
    "ESRGAN_4x": "ESRGAN",
}
"""A1111's names of well-known models, by which pictures and API clients call them: the file's stem."""

_SCALE = re.compile(r"(?<![0-9])([1-8])x|x([1-8])(?![0-9])", re.IGNORECASE)


@dataclass(frozen=True)
class UpscalerEntry:
    """`path` None: built in. `scale` is what the file's name says; the file itself knows better."""

    name: str
    kind: str = "built in"
    path: Path | None = None
    scale: int = 4
    aliases: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        return self.name


ADDED: Registry[UpscalerEntry] = Registry("upscaler", ())
"""Those that extensions add; they need no model file."""


class UpscalerCatalog:
    """Model files below `models`, in `FOLDERS`; nothing is opened. Safe for threads."""

    def __init__(self, models: Path) -> None:
        self._models = models
        self._lock = threading.Lock()
        self._registry = Registry[UpscalerEntry]("upscaler", ())
        self._faces: dict[str, Path] = {}

    @property
    def entries(self) -> list[UpscalerEntry]:
        with self._lock:
            return list(self._registry)

    @property
    def face_restorers(self) -> dict[str, Path]:
        """Files of the face restorers that are there, by A1111's name of their kind."""
        with self._lock:
            return dict(self._faces)

    def refresh(self) -> list[UpscalerEntry]:
        """List the folders anew."""
        entries = {name: UpscalerEntry(name, scale=1 if name == "None" else 4) for name in BUILT_IN}
        entries |= {entry.name: entry for entry in ADDED}
        for folder in FOLDERS:
            for path in _files(self._models / folder):
                name = path.stem if path.stem not in entries else path.name
                if name not in entries:
                    entries[name] = _entry(name, folder, path)
        faces = {kind: path for kind in FACE_RESTORERS if (path := _face_file(self._models, kind)) is not None}
        with self._lock:
            self._registry, self._faces = Registry("upscaler", entries.values()), faces
        return self.entries

    def find(self, name: str, field: str | None = None) -> UpscalerEntry:
        """The upscaler of that name, in any case, by A1111's name too; raises UnknownName."""
        with self._lock:
            return self._registry.get(name, field)

    def face_restorer(self, kind: str, field: str | None = None) -> Path:
        """The model file of "GFPGAN" or "CodeFormer"; raises UnknownName."""
        path = self.face_restorers.get(kind)
        if path is None:
            reason = f"put its model file into models/{FACE_FOLDERS[kind][0]} and refresh the list"
            raise UnknownName("face restorer", kind, (), field, reason=reason)
        return path


def face_files(models: Path) -> list[Found]:
    """All files in the face restorers' folders, whether they are used or not."""
    folders = (models / folder for names in FACE_FOLDERS.values() for folder in names)
    return walk(folders, lambda name: name.endswith(ENDINGS))


def _files(folder: Path) -> list[Path]:
    return [item.path for item in walk((folder,), lambda name: name.endswith(ENDINGS))]


def _face_file(models: Path, kind: str) -> Path | None:
    """The newest version's name sorts last: GFPGANv1.4 after GFPGANv1.3."""
    files = [path for folder in FACE_FOLDERS[kind] for path in _files(models / folder)]
    named = [path for path in files if kind.casefold() in path.stem.casefold()]
    return max(named, key=lambda path: path.stem.casefold(), default=None)


def _entry(name: str, folder: str, path: Path) -> UpscalerEntry:
    aliases = tuple(theirs for theirs, stem in _OTHER_NAMES.items() if stem == path.stem)
    match = _SCALE.search(path.stem)
    scale = int(match[1] or match[2]) if match else 4
    return UpscalerEntry(name, folder, path, scale, (*aliases, path.name))
