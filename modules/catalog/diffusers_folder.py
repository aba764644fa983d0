"""What a diffusers folder (`model_index.json` and one sub-folder a part) says about its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from modules.catalog.families_facts import Identity
from modules.catalog.listing import DIFFUSERS_INDEX
from modules.schema.errors import ModelFileError
from modules.schema.json_object import parse_object

_MAX_JSON = 2**20
_WEIGHTS = (".safetensors", ".bin")
_FAMILY_BY_CLASS = (
    ("StableDiffusionXLRefiner", "sdxl-refiner"),
    ("StableDiffusionXL", "sdxl"),
    ("StableDiffusion3", "sd3"),
    ("StableUnCLIP", "sd2-unclip"),
    ("StableDiffusionDepth", "sd2-depth"),
    ("AltDiffusion", "alt-diffusion"),
    ("Flux", "flux"),
)


def read_json_object(path: Path) -> dict[str, Any]:
    """A small JSON object from a file; {} where there is none or it is not one."""
    try:
        with path.open("rb") as file:
            return parse_object(file.read(_MAX_JSON)) or {}
    except OSError:
        return {}


def read_folder(folder: Path) -> tuple[Identity, int | None]:
    """(identity, native side in pixels) of a diffusers folder; raises ModelFileError with the reason."""
    index = read_json_object(folder / DIFFUSERS_INDEX)
    name = str(index.get("_class_name", ""))
    if not name:
        raise ModelFileError(f"{folder.name} has a damaged {DIFFUSERS_INDEX}: download the folder again.")
    parts = [part for part in ("unet", "vae", "text_encoder") if part in index]
    for part in parts:
        if not _has_weights(folder / part):
            raise ModelFileError(f"{folder.name} has no weights in its folder {part}: download the folder again.")
    unet = read_json_object(folder / "unet" / "config.json")
    identity = Identity(
        family=_family(name, unet),
        input_channels=_positive(unet.get("in_channels")) or 4,
        text_encoder="text_encoder" in parts,
        vae="vae" in parts,
    )
    return identity, _native_side(folder, unet)


def _family(class_name: str, unet: dict[str, Any]) -> str:
    for start, family in _FAMILY_BY_CLASS:
        if class_name.startswith(start):
            return family
    if not class_name.startswith(("StableDiffusion", "LatentConsistency")):
        return "other"
    linear = unet.get("use_linear_projection") is True or unet.get("cross_attention_dim") == 1024
    return "sd2" if linear else "sd1"


def _native_side(folder: Path, unet: dict[str, Any]) -> int | None:
    """The UNet's sample size in pixels: its latents times the VAE's reduction (2 for each level but one)."""
    sample = _positive(unet.get("sample_size"))
    levels = read_json_object(folder / "vae" / "config.json").get("block_out_channels")
    count = len(cast("list[object]", levels)) if isinstance(levels, list) else 0
    factor = 2 ** (count - 1) if 0 < count < 8 else 8
    return sample * factor if sample else None


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and 0 < value <= 4096 else None


def _has_weights(part: Path) -> bool:
    try:
        return any(p.name.endswith(_WEIGHTS) and p.stat().st_size for p in part.iterdir())
    except OSError:
        return False
