"""One network's share of a checkpoint: its configuration, and where each of its tensors is stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from modules.engine.families.family import Family
from modules.engine.loading import facts as known
from modules.engine.loading.facts import Facts
from modules.engine.loading.keymap import modern_vae_name, text_name, vae_keymap
from modules.engine.loading.readers import TensorFile
from modules.engine.loading.shapes import DIFFUSERS_VAE, Mismatch, Shapes, text_shape, vae_shape
from modules.schema.errors import ModelFileError

Names = Mapping[str, str]

# Not of use here: loss networks, averages of the autoencoder, CLIP's unused ends and its position list.
_DROPPED = re.compile(r"^(loss|model_ema\.)|position_ids$|(^|\.)text_projection|(^|\.)logit_scale$")


@dataclass(frozen=True)
class Part:
    """`names`: the network's tensor names to the names under which `file` has them."""

    what: str
    config: Mapping[str, Any]
    file: TensorFile
    names: Names


@dataclass(frozen=True)
class Checkpoint:
    """Everything needed to build a model; `vae` is None only where another one takes its place."""

    family: Family
    facts: Facts
    unet: Part
    vae: Part | None
    text: Part


@contextmanager
def naming(file: str) -> Iterator[None]:
    """Turn a `Mismatch` inside the `with` into a `ModelFileError` about `file`."""
    try:
        yield
    except Mismatch as mismatch:
        raise ModelFileError(f"{file} {mismatch}.") from None


def names_under(shapes: Shapes, prefix: str) -> dict[str, str]:
    """Names below `prefix` (without it) to full names, less what is of no use."""
    found = {name.removeprefix(prefix): name for name in shapes if name.startswith(prefix)}
    return {short: name for short, name in found.items() if not _DROPPED.search(short)}


def shapes_of(names: Names, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    return {short: shapes[name] for short, name in names.items()}


def renamed(names: Names, rename: Callable[[str], str | None]) -> dict[str, str]:
    """The network's names to the file's; what `rename` does not know keeps its name and is reported on filling."""
    return {rename(short) or short: name for short, name in names.items()}


def text_part(file: TensorFile, names: Names, facts: Facts) -> Part:
    """A CLIP text encoder; `names`: with or without `text_model.`, to the file's names."""
    plain = renamed(names, text_name)
    shape = text_shape(shapes_of(plain, file.shapes))
    return Part("text encoder", known.text_config(shape, facts), file, plain)


def vae_part(file: TensorFile, names: Names, facts: Facts, family: Family) -> Part:
    """An autoencoder; `names`: in the original or diffusers' layout, to the file's names."""
    if any(name.startswith("encoder.down_blocks.") for name in names):
        modern = renamed(names, modern_vae_name)
        shape = vae_shape(shapes_of(modern, file.shapes), DIFFUSERS_VAE)
    else:
        shape = vae_shape(shapes_of(names, file.shapes))
        modern = renamed(names, vae_keymap(shape).to_network)
    if shape.latent_channels != family.latent_channels:
        raise Mismatch(
            f"has an autoencoder of {shape.latent_channels} latent channels; "
            f"{family.label} has {family.latent_channels}"
        )
    return Part("autoencoder", known.vae_config(shape, facts, family), file, modern)
