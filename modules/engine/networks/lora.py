"""A LoRA file (or one of its relatives) matched with the layers of a loaded model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from modules.engine.loading.changed import named_layers
from modules.engine.loading.facts import unet_shape_of
from modules.engine.loading.keymap import unet_keymap
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.readers import TensorFile, open_tensors
from modules.engine.networks.formulas import kind_of
from modules.engine.networks.parts import TEXT, UNET, LayerNames, group
from modules.schema.json_object import parse_object

LayerKey = tuple[str, str]
# What old tools call the output layer of an attention block, which is the first of a list here.
_OUTPUT, _OLD_OUTPUT = ".to_out.0", ".to_out"


@dataclass(frozen=True)
class ModelLayers:
    """The layers of a model by (part, name), and how files spell their names."""

    layers: Mapping[LayerKey, nn.Module]
    names: LayerNames

    @classmethod
    def of(cls, model: LoadedModel) -> ModelLayers:
        unet, text = dict(named_layers(model.unet)), dict(named_layers(model.text_encoder))
        config = {**model.unet.config, "block_out_channels": list(model.unet.config["block_out_channels"])}
        config["down_block_types"] = list(config["down_block_types"])
        to_original = unet_keymap(unet_shape_of(config)).to_original
        spellings = {UNET: {name: name for name in unet}, TEXT: {name: name for name in text}}
        for name in unet:
            original = to_original(name + ".weight")
            if original is not None:
                spellings[UNET][original.removesuffix(".weight")] = name
            if name.endswith(_OUTPUT):
                spellings[UNET][name.removesuffix(_OUTPUT) + _OLD_OUTPUT] = name
        spellings[TEXT] |= {f"text_model.{name}": name for name in text}
        layers = {(UNET, name): layer for name, layer in unet.items()}
        layers |= {(TEXT, name): layer for name, layer in text.items()}
        return cls(layers, LayerNames(model.family, spellings))


@dataclass(frozen=True)
class LoraFile:
    """`layers`: for each layer of the model that the file changes, its parts' names to the file's tensor names.

    `unmatched`: layers of the file that the model lacks. `unknown`: layers changed in a way that is not known here,
    and tensors that belong to no layer. `bundled`: the names of embeddings in the file to their parts' tensors.
    """

    name: str
    layers: Mapping[LayerKey, Mapping[str, str]]
    unmatched: tuple[str, ...]
    unknown: tuple[str, ...]
    bundled: Mapping[str, Mapping[str, str]]
    file: TensorFile
    scales: Mapping[str, Any]

    @property
    def count(self) -> int:
        """Layers in the file."""
        return len(self.layers) + len(self.unmatched)

    def parts(self, key: LayerKey, device: torch.device) -> dict[str, Tensor]:
        """The tensors of a layer's change, float32 on `device`, read from the file now."""
        found = {part: self.file.get(name).to(device, torch.float32) for part, name in self.layers[key].items()}
        if "alpha" not in found and "scale" not in found:
            scale = self._noted_scale(key, found)
            if scale is not None:
                found["scale"] = torch.tensor(scale)
        return found

    def bundled_parts(self, name: str) -> dict[str, Tensor]:
        """The tensors of an embedding that the file brings along."""
        return {part: self.file.get(tensor) for part, tensor in self.bundled[name].items()}

    def _noted_scale(self, key: LayerKey, parts: Mapping[str, Tensor]) -> float | None:
        """PEFT keeps alpha in a description instead of a tensor; diffusers puts that into the file's metadata."""
        part, _ = key
        prefix = "unet." if part == UNET else "text_encoder."
        noted = {k.removeprefix(prefix): v for k, v in self.scales.items() if k.startswith(prefix)}
        alpha = noted.get("lora_alpha")
        if not isinstance(alpha, int | float) or "down" not in parts:
            return None
        rank = len(parts["down"])
        return float(alpha / (rank**0.5 if noted.get("use_rslora") else rank))


def open_lora(path: Path, model: ModelLayers) -> LoraFile:
    """Read a file's table of contents; raises `ModelFileError`."""
    file = open_tensors(path)
    grouped = group(file.shapes)
    layers: dict[LayerKey, dict[str, str]] = {}
    unmatched: list[str] = []
    unknown = list(grouped.strange)
    for name, parts in grouped.layers.items():
        key = model.names.find(name)
        if kind_of(frozenset(parts)) is None and not parts.keys() & {"diff_b", "b_norm"}:
            unknown.append(name)
        elif key is None:
            unmatched.append(name)
        else:
            layers[key] = layers.get(key, {}) | parts
    scales = parse_object(file.metadata.get("lora_adapter_metadata", "")) or {}
    return LoraFile(path.stem, layers, tuple(unmatched), tuple(unknown), grouped.bundled, file, scales)
