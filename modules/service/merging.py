"""A merge at the door: its checkpoints found, and the file it will write."""

from __future__ import annotations

import re
from pathlib import Path

from modules.catalog.checkpoints import CheckpointCatalog, CheckpointEntry
from modules.catalog.vae import VaeCatalog
from modules.schema.errors import BadRequest
from modules.schema.merge import MergeRequest
from modules.service.naming import sanitize
from modules.service.resolve import OWN_VAE, find_checkpoint

ENDING = ".safetensors"
NEEDED = {
    "Weighted sum": ("checkpoint_a", "checkpoint_b"),
    "Add difference": ("checkpoint_a", "checkpoint_b", "checkpoint_c"),
    "No interpolation": ("checkpoint_a",),
}


class MergeFinder:
    """Looks the names of a merge up; results go to `folder`."""

    def __init__(self, checkpoints: CheckpointCatalog, vaes: VaeCatalog, folder: Path) -> None:
        self._checkpoints = checkpoints
        self._vaes = vaes
        self._folder = folder

    def find(self, request: MergeRequest) -> tuple[MergeRequest, dict[str, str]]:
        """The request with titles, and the files by field, `output` being the new one; raises UserErrors."""
        entries = {field: self._checkpoint(request, field) for field in NEEDED[request.method]}
        files = {field: str(entry.path) for field, entry in entries.items()}
        files |= {f"sha256_{field}": entry.sha256 for field, entry in entries.items() if entry.sha256}
        if request.vae.strip() not in ("", OWN_VAE):
            files["vae"] = str(self._vaes.find(request.vae).path)
        _check_pattern(request.discard)
        output = self._output(request, entries)
        titles = {field: entry.title for field, entry in entries.items()}
        resolved = request.replace(**titles, name=output.name.removesuffix(ENDING))
        return resolved, {**files, "output": str(output)}

    def _checkpoint(self, request: MergeRequest, field: str) -> CheckpointEntry:
        name: str = getattr(request, field)
        if not name.strip():
            raise BadRequest(f"{request.method} needs a checkpoint {field[-1].upper()}: choose one.", field)
        find_checkpoint(name, self._checkpoints)
        entry = self._checkpoints.find(name)
        if entry.path.is_dir():
            raise BadRequest(f"{entry.name} is a diffusers folder; only single files can be merged.", field)
        return entry

    def _output(self, request: MergeRequest, entries: dict[str, CheckpointEntry]) -> Path:
        stem = sanitize(request.name.removesuffix(ENDING).strip(), spaces=False) or _recipe_name(request, entries)
        a, b = entries["checkpoint_a"], entries.get("checkpoint_b")
        if a.inpainting and b is not None and not b.inpainting and not stem.endswith(".inpainting"):
            stem += ".inpainting"
        path = self._folder / f"{stem}{ENDING}"
        if any(path.exists() and path.samefile(entry.path) for entry in entries.values()):
            raise BadRequest(f"{path.name} is one of the merged files: choose another name.", "name")
        if path.exists() and not request.overwrite:
            raise BadRequest(
                f"There is a {path.name} already: choose another name, or allow overwriting.", "overwrite"
            )
        return path


def _recipe_name(request: MergeRequest, entries: dict[str, CheckpointEntry]) -> str:
    """A1111's names: `0.7(a) + 0.3(b)`, `a + 0.3(b - c)`, `a`."""
    stems = [entry.stem for entry in entries.values()]
    m = round(request.multiplier, 2)
    if request.method == "Weighted sum":
        return sanitize(f"{round(1 - m, 2)}({stems[0]}) + {m}({stems[1]})", spaces=False)
    if request.method == "Add difference":
        return sanitize(f"{stems[0]} + {m}({stems[1]} - {stems[2]})", spaces=False)
    return stems[0]


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise BadRequest(f"The pattern of weights to discard cannot be read ({error}).", "discard") from None
