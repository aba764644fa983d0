"""Lets torchvision be imported beside a PyTorch that its compiled part was not built for.

`spandrel` needs torchvision, and transformers imports it wherever it is installed. Its usual wheel holds code for
NVIDIA cards; beside a CPU-only PyTorch that part cannot be loaded, and torchvision's own import then fails, because
it registers shapes for two operators that do not exist ("operator torchvision::nms does not exist"). Giving those two
a declaration without code is enough; nothing here calls them.

A package of the engine that imports transformers, diffusers or spandrel has this done in its `__init__`, which runs
before anything else in it.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import torch

DECLARATIONS = ("nms", "qnms")
_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def declare_missing_ops() -> torch.library.Library | None:
    """Declare the operators if torchvision is there and its compiled part is not to be had; once a process.

    The result is what keeps the declarations alive; None where nothing was missing.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _loads(Path(spec.origin).parent):
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in DECLARATIONS:
        library.define(f"{name}{_SIGNATURE}")
    return library


def _loads(folder: Path) -> bool:
    """Whether torchvision will be able to load its operators, found out by loading them as it does."""
    for path in (*folder.glob("_C*.so"), *folder.glob("_C*.pyd")):
        try:
            torch.ops.load_library(path)
        except OSError:
            continue
        return True
    return False
