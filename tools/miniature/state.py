"""What a stage needs to go on after it was stopped at any moment: one safetensors file, replaced as a whole."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor


@dataclass(frozen=True)
class State:
    """`tensors`: by name; `facts`: small plain values (step, seconds used, configuration)."""

    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)


def save_state(path: Path, state: State) -> None:
    """Write under a temporary name, to the disk, then rename: the file is always a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
    save_file(tensors, part, metadata={"format": "pt", "facts": json.dumps(state.facts)})
    with part.open("rb") as stream:
        os.fsync(stream.fileno())
    os.replace(part, path)


def load_state(path: Path) -> State | None:
    """The state, or None where there is none; raises `ValueError` with one sentence for a damaged file."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt", device="cpu", backend="pread") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return State({name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it to start this stage anew.") from None


def prefixed(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors named `prefix`.something, without the prefix."""
    start = prefix + "."
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
