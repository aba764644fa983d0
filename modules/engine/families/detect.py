"""Which family a checkpoint in the original layout belongs to, from its tensors' names and shapes alone.

The tests themselves are in the catalog, which needs them without torch; here they lead to the families' records.
"""

from __future__ import annotations

from collections.abc import Callable

from modules.catalog.families_facts import CHECKPOINT, FAMILIES, Identity, Shapes, identify, kind_of
from modules.engine.families.family import Family
from modules.engine.families.sd1 import SD1
from modules.schema.errors import ModelFileError

_SUPPORTED = {SD1.name: SD1}


def add_record(record: Family) -> Callable[[], None]:
    """Take in the record of a further family; gives back what undoes that."""
    _SUPPORTED[record.name] = record
    return lambda: _SUPPORTED.pop(record.name, None) and None


def detect(shapes: Shapes, file: str) -> Family:
    """The family of a checkpoint with tensors of these names and shapes.

    Nine input channels without another family's marks are an SD 1 inpainting model, which is SD 1. Raises
    `ModelFileError` that says what `file` is, when it is of a family that cannot be used or no checkpoint at all.
    """
    identity = identify(shapes)
    kind = kind_of(shapes)
    if identity is None or kind is not CHECKPOINT:
        place = f"; it belongs into {kind.folder}" if kind.folder and kind is not CHECKPOINT else ""
        raise ModelFileError(f"{file} is not a checkpoint but {kind.words}{place}.")
    return supported(identity, file)


def supported(identity: Identity, file: str) -> Family:
    """The record of an identified checkpoint's family; raises `ModelFileError` when it cannot be used."""
    if identity.family not in _SUPPORTED or identity.instruct:
        raise ModelFileError(
            f"{file} is a model of {_label(identity)}, which cannot be used yet; choose an SD 1 checkpoint."
        )
    return _SUPPORTED[identity.family]


def _label(identity: Identity) -> str:
    facts = FAMILIES.get(identity.family)
    label = facts.label if facts else "an unknown family"
    if identity.instruct:
        return f"{label} InstructPix2Pix"
    return f"{label} inpainting" if identity.inpainting else label
