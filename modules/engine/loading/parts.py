"""A checkpoint file as three parts, each ready to be filled into a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from modules.engine.families.detect import detect
from modules.engine.families.family import Family
from modules.engine.loading import facts as known
from modules.engine.loading.facts import Facts
from modules.engine.loading.folder import read_folder
from modules.engine.loading.keymap import EMA_PREFIX, TEXT_PREFIX, UNET_PREFIX, VAE_PREFIX, ema_name, unet_keymap
from modules.engine.loading.part import (
    Checkpoint,
    Names,
    Part,
    names_under,
    naming,
    renamed,
    shapes_of,
    text_part,
    vae_part,
)
from modules.engine.loading.readers import TensorFile, open_tensors
from modules.engine.loading.shapes import Mismatch, unet_shape


def read_checkpoint(path: Path, vae: Path | None, use_ema: bool) -> Checkpoint:
    """The parts of a single file or a diffusers folder, with another autoencoder where `vae` is given.

    Raises `ModelFileError` when a part is missing or unusable, the file is of another family or kind, or EMA weights
    are asked for and not there.
    """
    checkpoint = read_folder(path, use_ema, vae is None) if path.is_dir() else _read_file(path, use_ema, vae is None)
    if vae is None:
        return checkpoint
    return replace(checkpoint, vae=_vae_file(vae, checkpoint.facts, checkpoint.family))


def _read_file(path: Path, use_ema: bool, own_vae: bool) -> Checkpoint:
    """A single file in the original layout; `own_vae` False leaves out its autoencoder, which may then be missing."""
    file = open_tensors(path)
    family = detect(file.shapes, file.name)
    with naming(file.name):
        facts = known.from_metadata(file.metadata)
        unet = _unet(file, facts, family, use_ema)
        words = names_under(file.shapes, TEXT_PREFIX)
        if not words:
            raise Mismatch("has no text encoder (CLIP), which an SD 1 checkpoint needs")
        pictures = names_under(file.shapes, VAE_PREFIX)
        if own_vae and not pictures:
            raise Mismatch("has no autoencoder (VAE); choose a VAE file in addition")
        vae = vae_part(file, pictures, facts, family) if own_vae else None
        return Checkpoint(family, facts, unet, vae, text_part(file, words, facts))


def _unet(file: TensorFile, facts: Facts, family: Family, use_ema: bool) -> Part:
    names: Names = names_under(file.shapes, UNET_PREFIX)
    shape = unet_shape(shapes_of(names, file.shapes))
    if use_ema:
        names = _averaged(names, file)
    return Part("UNet", known.unet_config(shape, facts, family), file, renamed(names, unet_keymap(shape).to_network))


def _averaged(names: Names, file: TensorFile) -> Names:
    """The same names to the averaged tensors."""
    if not any(name.startswith(EMA_PREFIX) for name in file.shapes):
        raise Mismatch("has no EMA weights; switch EMA weights off or use the full training file")
    averaged = {short: ema_name(short) for short in names}
    missing = [name for name in averaged.values() if name not in file.shapes]
    if missing:
        raise Mismatch(f"has incomplete EMA weights: {len(missing)} tensors are missing, such as {missing[0]}")
    return averaged


def _vae_file(path: Path, checkpoint: Facts, family: Family) -> Part:
    """The autoencoder of a file of its own (either layout, with or without prefix) or inside another checkpoint.

    Where the file says nothing of itself, the checkpoint's facts hold if both have the same channels.
    """
    file = open_tensors(path)
    with naming(path.name):
        own = known.from_metadata(file.metadata)
        names = (
            names_under(file.shapes, VAE_PREFIX) or names_under(file.shapes, "vae.") or names_under(file.shapes, "")
        )
        if not any(name.startswith(("encoder.", "decoder.")) for name in names):
            raise Mismatch("is not a VAE: it has no encoder and decoder")
        facts = own if own.vae or not _same_channels(names, file, checkpoint, family) else checkpoint
        return vae_part(file, names, facts, family)


def _same_channels(names: Names, file: TensorFile, checkpoint: Facts, family: Family) -> bool:
    described = checkpoint.vae.get("block_out_channels")
    found = vae_part(file, names, Facts({}, {"norm_num_groups": 1}, {}, {}), family).config["block_out_channels"]
    return isinstance(described, list) and tuple(described) == found
