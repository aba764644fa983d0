"""`import modules.scripts` and the like: names of A1111's modules lead to small stand-ins, all others nowhere.

The finder is asked only after everything else, so no module of this program can be hidden by it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

NAMES = Path(__file__).resolve().with_name("names")
_PACKAGE = "modules"

MODEL_PARTS = frozenset(
    ("sd_models", "sd_hijack", "sd_unet", "sd_vae", "devices", "lowvram", "sd_samplers_kdiffusion", "extra_networks")
    + (
        "sd_samplers_common",
        "sd_models_config",
        "hypernetworks",
        "textual_inversion",
        "prompt_parser",
        "sub_quadratic",
    )
    + ("sd_hijack_utils", "rng", "hashes", "modelloader", "upscaler", "face_restoration", "codeformer_model")
)
"""Modules of A1111 that work on its model objects."""


def provided() -> tuple[str, ...]:
    """A1111's modules that are there."""
    return tuple(sorted(path.stem for path in NAMES.glob("*.py") if path.stem != "__init__"))


class A1111Finder(MetaPathFinder):
    """Finds the stand-ins."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The stand-in of that name; a sentence for a module that cannot be there."""
        del path, target
        package, _, name = fullname.rpartition(".")
        if package != _PACKAGE:
            return None
        file = NAMES / f"{name}.py"
        if file.is_file() and name != "__init__":
            return spec_from_file_location(fullname, file)
        if name in MODEL_PARTS:
            raise ModuleNotFoundError(
                f"{fullname} works on A1111's model objects, which are not in this program", name=fullname
            )
        return None


def install() -> None:
    """Have the finder asked last; once."""
    if not any(isinstance(one, A1111Finder) for one in sys.meta_path):
        sys.meta_path.append(A1111Finder())
