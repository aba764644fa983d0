"""From the files of a model to networks that are ready to draw."""

from __future__ import annotations

from pathlib import Path

import torch

from modules.engine.diffusion.schedule import NoiseSchedule, scaled_linear, zero_terminal_snr
from modules.engine.loading import facts as known
from modules.engine.loading.build import build_text, build_unet, build_vae
from modules.engine.loading.facts import Facts
from modules.engine.loading.lean import make_lean
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.packing import narrow, pack
from modules.engine.loading.part import Checkpoint, naming
from modules.engine.loading.parts import read_checkpoint
from modules.engine.loading.placement import text_precision, use_attention, vae_precision
from modules.engine.loading.shapes import Mismatch
from modules.schema.engine import ModelRef
from modules.schema.errors import ModelFileError


def load_model(ref: ModelRef, device: torch.device, dtype: torch.dtype, attention: str = "auto") -> LoadedModel:
    """Read the files of `ref` and build the model on `device`, its UNet in `dtype`.

    Raises `ModelFileError` with one sentence for whatever is wrong with the files.
    """
    path = Path(ref.checkpoint)
    vae_path = Path(ref.vae) if ref.vae else None
    for file in filter(None, (path, vae_path)):
        if not file.exists():
            raise ModelFileError(f"{file.name} is no longer there; refresh the list of checkpoints and VAEs.")
    checkpoint = read_checkpoint(path, vae_path, ref.use_ema)
    with naming(path.name):
        if checkpoint.unet.config["cross_attention_dim"] != checkpoint.text.config["hidden_size"]:
            raise Mismatch("has a UNet and a text encoder of different widths, so they do not belong together")
        model = _assemble(checkpoint, device, dtype, path, vae_path)
    make_lean(model.unet)
    use_attention(model.unet, attention, device)
    if device.type == "cpu":
        pack(model.unet)
        if dtype == torch.bfloat16:
            narrow(model.vae.decoder)
        pack(model.vae)
    return model


def _assemble(
    checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, path: Path, vae_path: Path | None
) -> LoadedModel:
    family, facts = checkpoint.family, checkpoint.facts
    # Described first, built afterwards: a description that makes no sense then costs no time.
    described = {
        "schedule": _schedule(checkpoint),
        "native_size": known.native_size(facts, family),
        "prediction": known.prediction(facts, family),
        "latent_scale": known.latent_scale(facts, family),
        "preview_matrix": _preview_matrix(facts, checkpoint, device),
    }
    vae_dtype = vae_precision(dtype)
    with naming((vae_path or path).name):
        vae = build_vae(checkpoint.vae, vae_dtype, device)
    return LoadedModel(
        family=family,
        unet=build_unet(checkpoint.unet, dtype, device),
        text_encoder=build_text(checkpoint.text, text_precision(dtype, device), device),
        vae=vae,
        device=device,
        dtype=dtype,
        vae_dtype=vae_dtype,
        info={"Model": path.stem if path.is_file() else path.name, **({"VAE": vae_path.name} if vae_path else {})},
        **described,
    )


def _schedule(checkpoint: Checkpoint) -> NoiseSchedule:
    schedule = scaled_linear(*known.betas(checkpoint.facts, checkpoint.family))
    return zero_terminal_snr(schedule) if known.zero_terminal(checkpoint.facts) else schedule


def _preview_matrix(facts: Facts, checkpoint: Checkpoint, device: torch.device) -> torch.Tensor | None:
    """The file's own matrix, else the family's where the autoencoder is the family's, else None: to be fitted."""
    rows = known.preview_matrix(facts)
    if rows is None and checkpoint.vae.config["block_out_channels"] == checkpoint.family.preview_vae:
        rows = checkpoint.family.preview_rgb
    return None if rows is None else torch.tensor(rows, device=device)
