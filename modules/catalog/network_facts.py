"""What a LoRA's header says of it: family, title, the words it was trained on, embeddings it brings along.

Keys `ss_*` are kohya's training metadata, `modelspec.*` those of the Model Metadata Standard of Stability AI.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, cast

from modules.catalog.cache import Facts
from modules.catalog.embeddings import vectors_in
from modules.schema.json_object import parse_object

_MOST_WORDS = 60
_LONGEST = 2000
_BUNDLED = "bundle_emb."
_FAMILY_BY_CONTEXT = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
_DOWN_ENDS = (".lora_down.weight", ".lora_A.weight", ".lora.down.weight", "_lora.down.weight", ".hada_w1_b")
_FAMILY_BY_ARCHITECTURE = (
    ("stable-diffusion-v1", "sd1"),
    ("stable-diffusion-v2", "sd2"),
    ("stable-diffusion-xl", "sdxl"),
    ("stable-diffusion-3", "sd3"),
    ("flux", "flux"),
)

Shapes = Mapping[str, tuple[int, ...]]


def lora_facts(shapes: Shapes, metadata: Mapping[str, str]) -> Facts:
    """The facts worth keeping of a LoRA's header."""
    return {
        "alias": metadata.get("ss_output_name", "").strip()[:_LONGEST],
        "title": metadata.get("modelspec.title", "").strip()[:_LONGEST],
        "description": metadata.get("modelspec.description", "").strip()[:_LONGEST],
        "trigger": metadata.get("modelspec.trigger_phrase", "").strip()[:_LONGEST],
        "base": (metadata.get("ss_sd_model_name") or metadata.get("ss_base_model_version") or "")[:_LONGEST],
        "family": family_of(shapes, metadata),
        "hash": metadata.get("sshs_model_hash", "").lower(),
        "bundled": bundled_embeddings(shapes),
    }


def family_of(shapes: Shapes, metadata: Mapping[str, str]) -> str | None:
    """The family that the file was trained for, by the width of what its cross-attention reads, else by its notes."""
    for name, shape in shapes.items():
        if "attn2" in name and ("to_k" in name or "to_v" in name) and name.endswith(_DOWN_ENDS) and len(shape) >= 2:
            return _FAMILY_BY_CONTEXT.get(shape[1])
    if any("lora_te2_" in name for name in shapes):
        return "sdxl"
    version = metadata.get("ss_base_model_version", "")
    architecture = metadata.get("modelspec.architecture", "")
    noted = next((family for start, family in _FAMILY_BY_ARCHITECTURE if architecture.startswith(start)), None)
    if noted is not None or not version:
        return noted
    if version.startswith("sdxl"):
        return "sdxl"
    if metadata.get("ss_v2") == "True" or version.startswith("sd_v2"):
        return "sd2"
    return "sd1" if version.startswith("sd_") else None


def training_words(metadata: Mapping[str, str]) -> list[tuple[str, int]]:
    """Words of the training pictures with their counts, the most frequent first."""
    counts: Counter[str] = Counter()
    for folder in (parse_object(metadata.get("ss_tag_frequency", "")) or {}).values():
        if isinstance(folder, dict):
            for tag, count in cast("dict[str, Any]", folder).items():
                if isinstance(count, int | float) and math.isfinite(count) and tag.strip():
                    counts[tag.strip()[:100]] += int(count)
    return counts.most_common(_MOST_WORDS)


def bundled_embeddings(shapes: Shapes) -> dict[str, int]:
    """Embeddings in the file, by name, with their numbers of vectors."""
    found: dict[str, dict[str, tuple[int, ...]]] = {}
    for tensor, shape in shapes.items():
        if tensor.startswith(_BUNDLED):
            name, _, part = tensor.removeprefix(_BUNDLED).partition(".")
            found.setdefault(name, {})[part] = shape
    return {name: vectors_in(parts)[0] for name, parts in found.items() if vectors_in(parts)[0]}
