"""A diffusers folder: `unet`, `vae` and `text_encoder` with `config.json` and weights each."""

from __future__ import annotations

from pathlib import Path

from modules.catalog import diffusers_folder as description
from modules.engine.families.detect import supported
from modules.engine.loading import facts as known
from modules.engine.loading.facts import Facts
from modules.engine.loading.part import Checkpoint, Part, names_under, naming, text_part, vae_part
from modules.engine.loading.readers import TensorFile, open_tensors
from modules.engine.loading.shapes import Mismatch

_WEIGHTS = (
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.safetensors",
    "model.fp16.safetensors",
    "diffusion_pytorch_model.bin",
    "pytorch_model.bin",
)
# Where a folder has this file too, the ordinary one holds the averaged weights.
_TRAINING_WEIGHTS = "diffusion_pytorch_model.non_ema.safetensors"


def read_folder(path: Path, use_ema: bool, own_vae: bool) -> Checkpoint:
    """The folder's parts; `own_vae` False leaves out its autoencoder. Raises `ModelFileError`."""
    identity, side = description.read_folder(path)
    family = supported(identity, path.name)
    configs = {
        name: description.read_json_object(path / name / file)
        for name, file in (
            ("unet", "config.json"),
            ("vae", "config.json"),
            ("text_encoder", "config.json"),
            ("scheduler", "scheduler_config.json"),
        )
    }
    facts = Facts(configs["unet"], configs["vae"], configs["text_encoder"], configs["scheduler"], f"{side}x{side}")
    with naming(path.name):
        if use_ema and not (path / "unet" / _TRAINING_WEIGHTS).is_file():
            raise Mismatch("has no EMA weights beside its training weights; switch EMA weights off")
        unet_file, text_file = _weights(path / "unet"), _weights(path / "text_encoder")
        config = known.unet_config(known.unet_shape_of(facts.unet), facts, family)
        unet = Part("UNet", config, unet_file, {name: name for name in unet_file.shapes})
        text = text_part(text_file, names_under(text_file.shapes, ""), facts)
        vae_file = _weights(path / "vae") if own_vae else None
        vae = vae_part(vae_file, names_under(vae_file.shapes, ""), facts, family) if vae_file else None
    return Checkpoint(family, facts, unet, vae, text)


def _weights(folder: Path) -> TensorFile:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return open_tensors(folder / name)
    raise Mismatch(f"is no complete diffusers folder: {folder.name} has no weights such as {_WEIGHTS[0]}")
