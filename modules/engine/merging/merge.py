"""Merging checkpoints: one tensor after another is read from each parent, put together and written."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.catalog.hashes import old_hash_of_file
from modules.engine.merging.sources import Facts, Source, open_source
from modules.engine.merging.writer import Slot, in_order, writing
from modules.schema.engine import EngineJob
from modules.schema.errors import ModelFileError
from modules.schema.events import Event, Finished, Notice, Progress
from modules.schema.merge import MergeRequest

Events = Generator[Event, Any, None]

VAE_PREFIX = "first_stage_model."
EMA_PREFIX = "model_ema."
INPUT_CONVOLUTION = "model.diffusion_model.input_blocks.0.0.weight"
POSITIONS = "cond_stage_model.transformer.text_model.embeddings.position_ids"
_PARENTS = ("checkpoint_a", "checkpoint_b", "checkpoint_c")
_PRECISIONS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
_HASH_BLOCK = 1 << 24
_INPUT_CHANNELS = 4


class Merge:
    """One merge under way. `parents` are A, then B and C where the method needs them."""

    def __init__(self, request: MergeRequest, files: Mapping[str, str]) -> None:
        self._request = request
        self._paths = {field: Path(files[field]) for field in _PARENTS if field in files}
        self._parents = [open_source(path) for path in self._paths.values()]
        self._a, *others = self._parents
        self._b, self._c = [*others, None, None][:2]
        self._vae = open_source(Path(files["vae"])) if "vae" in files else None
        self._discard = re.compile(request.discard) if request.discard else None
        self._check_kinds()

    def slots(self) -> list[Slot]:
        """The result's tensors, in the order in which they are written."""
        wanted = [(name, facts) for name, facts in self._a.tensors.items() if self._keeps(name)]
        return in_order([Slot(name, facts.shape, self._dtype(name, facts)) for name, facts in wanted])

    def tensor(self, slot: Slot) -> Tensor:
        """A tensor of the result."""
        vae_name = self._vae_name(slot.name)
        if self._vae is not None and vae_name is not None:
            return self._vae.get(vae_name).to(slot.dtype)
        own = self._a.get(slot.name)
        if not self._merges(slot.name):
            return own.to(slot.dtype)
        assert self._b is not None
        return self._mixed(slot.name, own.float(), self._b.get(slot.name).float()).to(slot.dtype)

    def metadata(self, hashes: Mapping[str, str]) -> dict[str, str]:
        """The parents' (later ones win), then what A1111 writes of a merge. `hashes`: sha256 by parent's field."""
        request = self._request
        found: dict[str, str] = {}
        for parent in self._parents if request.copy_metadata else ():
            found |= parent.metadata
        recipe = {
            "type": "webui",
            "primary_model_hash": hashes.get("checkpoint_a"),
            "secondary_model_hash": hashes.get("checkpoint_b"),
            "tertiary_model_hash": hashes.get("checkpoint_c"),
            "interp_method": request.method,
            "multiplier": request.multiplier,
            "save_as_half": request.precision == "fp16",
            "save_as": request.precision,
            "custom_name": request.name,
            "bake_in_vae": self._vae.name if self._vae else None,
            "discard_weights": request.discard,
            "keep_ema": request.keep_ema,
        }
        models = {hashes[field]: _parent_facts(path, parent)
                  for (field, path), parent in zip(self._paths.items(), self._parents, strict=True)}  # fmt: skip
        for parent in self._parents:
            models = {**_json_object(parent.metadata.get("sd_merge_models")), **models}
        return {
            **found,
            "format": "pt",
            "sd_merge_recipe": json.dumps(recipe, ensure_ascii=False),
            "sd_merge_models": json.dumps(models, ensure_ascii=False),
        }

    def _check_kinds(self) -> None:
        """The parents must be of one family: their common tensors have the same shapes."""
        for other in self._parents[1:]:
            common = [name for name in self._a.tensors if name in other.tensors and _is_weight(name)]
            if not any(name.startswith("model.diffusion_model.") for name in common):
                raise ModelFileError(
                    f"{self._a.name} and {other.name} have no weights in common: they are of different kinds and "
                    "cannot be merged."
                )
            wrong = next((n for n in common if not _fits(n, self._a.tensors[n], other.tensors[n])), None)
            if wrong is not None:
                shapes = f"{self._a.tensors[wrong].shape} and {other.tensors[wrong].shape}"
                raise ModelFileError(
                    f"{self._a.name} and {other.name} cannot be merged: {wrong} has the shapes {shapes}; an "
                    "inpainting model must be A, and all must be of one family."
                )

    def _keeps(self, name: str) -> bool:
        if name.startswith(EMA_PREFIX) and not self._request.keep_ema:
            return False
        return self._discard is None or self._discard.search(name) is None

    def _vae_name(self, name: str) -> str | None:
        """Where the baked-in VAE has the tensor, if it does."""
        if self._vae is None or not name.startswith(VAE_PREFIX):
            return None
        return next((own for own in (name, name.removeprefix(VAE_PREFIX)) if own in self._vae.tensors), None)

    def _merges(self, name: str) -> bool:
        floating = self._a.tensors[name].dtype.is_floating_point
        return self._b is not None and _is_weight(name) and name in self._b.tensors and floating

    def _dtype(self, name: str, facts: Facts) -> torch.dtype:
        vae_name = self._vae_name(name)
        if self._vae is not None and vae_name is not None:
            facts = self._vae.tensors[vae_name]
        if not facts.dtype.is_floating_point:
            return facts.dtype
        return _PRECISIONS.get(self._request.precision, facts.dtype)

    def _mixed(self, name: str, a: Tensor, b: Tensor) -> Tensor:
        """In float32. Of an inpainting model's first convolution only the channels that B has are mixed."""
        if a.shape != b.shape:
            head = self._mixed(name, a[:, :_INPUT_CHANNELS], b)
            return torch.cat([head, a[:, _INPUT_CHANNELS:]], dim=1)
        m = self._request.multiplier
        if self._request.method == "Weighted sum":
            return a * (1 - m) + b * m
        if self._c is None or name not in self._c.tensors:
            return a
        return a + m * (b - self._c.get(name).float())


def run_merge(job: EngineJob) -> Events:
    """Merge and write. "interrupt" leaves nothing behind. Raises UserErrors."""
    request = job.request
    assert isinstance(request, MergeRequest)
    began = time.monotonic()
    merge = Merge(request, job.files)
    hashes: dict[str, str] = {}
    for field in (name for name in _PARENTS if name in job.files):
        known = job.files.get(f"sha256_{field}")
        found = known or (yield from _sha256(Path(job.files[field])))
        if found is None:
            yield Finished("interrupted", time.monotonic() - began)
            return
        hashes[field] = found
    interrupted = yield from _write(merge, Path(job.files["output"]), hashes, request.overwrite)
    if not interrupted:
        yield Notice(f"The merged model was saved as {Path(job.files['output']).name}.")
    yield Finished("interrupted" if interrupted else "done", time.monotonic() - began)


class _Interrupted(Exception):
    """Leaves the writer's block, so that its draft goes."""


def _write(merge: Merge, output: Path, hashes: Mapping[str, str], overwrite: bool) -> Generator[Event, Any, bool]:
    """Write all tensors; whether that was interrupted."""
    slots = merge.slots()
    total = sum(slot.size for slot in slots) or 1
    done, began = 0, time.monotonic()
    try:
        with writing(output, slots, merge.metadata(hashes), overwrite=overwrite) as writer:
            for number, slot in enumerate(slots, 1):
                writer.write(merge.tensor(slot))
                done += slot.size
                spent = time.monotonic() - began
                left = spent * (total - done) / max(done, 1)
                if (yield Progress(number, len(slots), 1, 1, "merging", done / total, left)) == "interrupt":
                    raise _Interrupted
    except _Interrupted:
        return True
    return False


def _sha256(path: Path) -> Generator[Event, Any, str | None]:
    """The hash of a parent; None when that was interrupted."""
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
            step, steps = file.tell() // _HASH_BLOCK, -(-size // _HASH_BLOCK)
            if (yield Progress(step, steps, 1, 1, f"reading {path.name}", 0.0)) == "interrupt":
                return None
    return digest.hexdigest()


def _is_weight(name: str) -> bool:
    return "model" in name and name != POSITIONS


def _fits(name: str, a: Facts, other: Facts) -> bool:
    if a.shape == other.shape:
        return True
    more = name == INPUT_CONVOLUTION and len(a.shape) == len(other.shape) == _INPUT_CHANNELS
    return more and a.shape[1] > other.shape[1] == _INPUT_CHANNELS and a.shape[::2] == other.shape[::2]


def _parent_facts(path: Path, parent: Source) -> dict[str, Any]:
    recipe = _json_object(parent.metadata.get("sd_merge_recipe"))
    return {"name": path.name, "legacy_hash": old_hash_of_file(path), "sd_merge_recipe": recipe or None}


def _json_object(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
