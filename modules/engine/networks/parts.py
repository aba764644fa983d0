"""Names of tensors in network files: which layer they belong to, and what they are of it.

The writers' spellings differ (kohya `lora_unet_X.lora_up.weight`, diffusers `unet.X.lora.up.weight` and
`unet.X.processor.to_q_lora.up.weight`, PEFT `base_model.model.X.lora_B.weight`); here they become one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from modules.engine.families.family import Family

UNET, TEXT = "unet", "text"

_SAME = (
    *("alpha", "scale", "dora_scale", "rescale", "diff", "diff_b", "w_norm", "b_norm", "weight", "on_input"),
    *("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"),
    *("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"),
    *("a1.weight", "a2.weight", "b1.weight", "b2.weight", "oft_blocks", "oft_diag"),
)
_SPELLINGS = (
    ("up", re.compile(r"[._]lora(?:_linear_layer)?[._](?:up|B)(?:\.\w+)?\.weight$")),
    ("down", re.compile(r"[._]lora(?:_linear_layer)?[._](?:down|A)(?:\.\w+)?\.weight$")),
    ("mid", re.compile(r"[._]lora_mid\.weight$")),
    ("magnitude", re.compile(r"\.lora_magnitude_vector(?:\.\w+)*$")),
    *((name, re.compile(rf"\.{re.escape(name)}$")) for name in sorted(_SAME, key=len, reverse=True)),
)
BUNDLED = "bundle_emb."
_PROCESSOR = re.compile(r"\.processor(?=\.to_)")


@dataclass(frozen=True)
class Grouped:
    """`layers`: for each layer as the file calls it, its parts' names to the file's tensor names.

    `bundled`: embeddings in the file: name to part to tensor name. `strange`: tensors that are part of nothing known.
    """

    layers: dict[str, dict[str, str]]
    bundled: dict[str, dict[str, str]]
    strange: list[str]


def group(names: Iterable[str]) -> Grouped:
    """Sort a file's tensor names by layer."""
    found = Grouped({}, {}, [])
    for name in names:
        if name.startswith(BUNDLED):
            embedding, _, part = name.removeprefix(BUNDLED).partition(".")
            found.bundled.setdefault(embedding, {})[part] = name
            continue
        split = split_part(name)
        if split is None:
            found.strange.append(name)
        else:
            found.layers.setdefault(split[0], {})[split[1]] = name
    return found


def split_part(name: str) -> tuple[str, str] | None:
    """(layer, part) of a tensor's name; None when it ends like no part."""
    for part, spelling in _SPELLINGS:
        match = spelling.search(name)
        if match and match.start() > 0:
            return _PROCESSOR.sub("", name[: match.start()]), part
    return None


class LayerNames:
    """Finds a model's layers by the names that network files give them.

    `layers`: for each part of the model ("unet", "text") all spellings of its layers, dots and underscores alike,
    to the layer's name in the running network.
    """

    def __init__(self, family: Family, layers: Mapping[str, Mapping[str, str]]) -> None:
        self._prefixes = sorted(family.network_prefixes, key=lambda pair: -len(pair[0]))
        self._layers = {
            part: {_flat(spelling): name for spelling, name in spellings.items()}
            for part, spellings in layers.items()
        }

    def find(self, layer: str) -> tuple[str, str] | None:
        """(part of the model, layer's name in it) of a layer's name in a file."""
        for prefix, part in self._prefixes:
            if not layer.startswith(prefix):
                continue
            name = self._layers[part].get(_flat(layer.removeprefix(prefix)))
            if name is not None:
                return part, name
        return None


def _flat(name: str) -> str:
    return name.replace(".", "_")
