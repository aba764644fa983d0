"""Small model files for the catalog's tests, made without torch."""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]

SD1: dict[str, tuple[int, ...]] = {
    "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
    "model.diffusion_model.input_blocks.1.1.proj_in.weight": (8, 8, 1, 1),
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (8, 16),
    "first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3),
    "cond_stage_model.transformer.text_model.embeddings.token_embedding.weight": (4, 16),
}
UNET_ONLY = {key: shape for key, shape in SD1.items() if key.startswith("model.diffusion_model.")}


def changed(**shapes: tuple[int, ...] | None) -> dict[str, tuple[int, ...]]:
    """SD1's tensors with the input convolution changed or (None) keys added; "__" in a name stands for "."."""
    named = {key.replace("__", "."): shape or (4,) for key, shape in shapes.items()}
    return {**SD1, **named}


def header(shapes: Shapes, metadata: dict[str, str] | None = None) -> bytes:
    """The start of a safetensors file of half-precision tensors."""
    entries: dict[str, object] = {"__metadata__": metadata} if metadata else {}
    end = 0
    for name, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


def safetensors(
    path: Path, shapes: Shapes = SD1, metadata: dict[str, str] | None = None, fill: bytes = b"\0"
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    total = sum(_bytes(shape) for shape in shapes.values())
    path.write_bytes(header(shapes, metadata) + fill * total)
    return path


def _bytes(shape: tuple[int, ...]) -> int:
    size = 2
    for side in shape:
        size *= side
    return size


def pickled(shapes: Shapes) -> bytes:
    """The opcodes of a pickled state dict, as torch writes them (protocol 2)."""
    parts = [b"\x80\x02}("]
    for index, (name, shape) in enumerate(shapes.items()):
        size = b"(" + b"".join(b"J" + struct.pack("<i", side) for side in shape) + b"t"
        parts += [
            _text(name),
            b"ctorch._utils\n_rebuild_tensor_v2\n((",
            _text("storage") + b"ctorch\nHalfStorage\n" + _text(str(index)) + _text("cpu") + b"K\x08tQ",
            b"K\x00" + size + size + b"\x89}tR",
        ]
    return b"".join([*parts, b"u."])


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def checkpoint_zip(path: Path, shapes: Shapes = SD1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickled(shapes))
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", b"\0" * 64)
    return path


def diffusers_folder(path: Path, *, in_channels: int = 4, linear: bool = False, sample_size: int = 64) -> Path:
    for part in ("unet", "vae", "text_encoder"):
        (path / part).mkdir(parents=True)
        (path / part / "model.safetensors").write_bytes(header({"a": (1,)}) + b"\0\0")
    unet = {"in_channels": in_channels, "sample_size": sample_size, "use_linear_projection": linear}
    (path / "unet" / "config.json").write_text(json.dumps(unet))
    (path / "vae" / "config.json").write_text(json.dumps({"block_out_channels": [8, 8, 8, 8]}))
    index = {"_class_name": "StableDiffusionPipeline", "unet": [], "vae": [], "text_encoder": []}
    (path / "model_index.json").write_text(json.dumps(index))
    return path
