"""Which networks act on a loaded model, from one job to the next.

Only what differs from the job before is done again: a layer whose list of changes stays is not touched, so a second
job with the same networks costs nothing, and another weight for the text encoder leaves the UNet alone.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from torch import Tensor

from modules.engine.loading.changed import Slot
from modules.engine.loading.model import LoadedModel
from modules.engine.networks.formulas import Misfit, add_change, bias_change, kind_of
from modules.engine.networks.hypernet import Hypernet, open_hypernet, wrap, wrapped_with
from modules.engine.networks.lora import LayerKey, LoraFile, ModelLayers, open_lora
from modules.engine.networks.network import NetworkRef
from modules.engine.networks.parts import TEXT
from modules.schema.errors import ModelFileError

# A network of which a larger share does not fit is meant for another kind of model and left out.
_MOST_MISFITS = 0.5


@dataclass(frozen=True)
class Use:
    """`notices`: sentences about what was left out and why. `bundled`: parts of the embeddings that come with the
    networks, by the embedding's name. `text_key` tells this state of the text encoder, and of these embeddings."""

    notices: tuple[str, ...] = ()
    bundled: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)
    text_key: Hashable = ()


@dataclass(frozen=True)
class _Acting:
    """A LoRA file at its strengths; `stamp` tells this content of the file."""

    ref: NetworkRef
    stamp: Hashable
    file: LoraFile

    def strength(self, part: str) -> float:
        return self.ref.text if part == TEXT else self.ref.unet

    def mark(self, part: str) -> Hashable:
        return (self.stamp, self.strength(part), self.ref.rank)


def use_networks(model: LoadedModel, refs: Sequence[NetworkRef]) -> Use:
    """Make exactly these networks act on `model`, undoing all others; raises `ModelFileError`.

    With no networks the weights are those of the file, bit for bit.
    """
    if not refs and Applied not in model.attached:
        return Use()
    if Applied not in model.attached:
        model.attached[Applied] = Applied(model)
    applied: Applied = model.attached[Applied]
    return applied.use(refs)


class Applied:
    """The networks of one model; they stay until others are asked for."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._layers = ModelLayers.of(model)
        self._marks: dict[Slot, tuple[Hashable, ...]] = {}
        self._opened: dict[Hashable, LoraFile] = {}
        self._hypernets: dict[Hashable, Hypernet] = {}

    def use(self, refs: Sequence[NetworkRef]) -> Use:
        """See `use_networks`."""
        version = self._model.changed.version
        loras = [self._open(ref) for ref in refs if ref.kind == "lora"]
        hypernets = [ref for ref in refs if ref.kind == "hypernet"]
        self._opened = {acting.stamp: acting.file for acting in loras}
        notices = [sentence for acting in loras for sentence in _about(acting)]
        misfits = self._merge(loras)
        for acting in list(loras):
            bad = misfits.get(acting.stamp, [])
            if bad:
                notices.append(_misfit(acting, bad))
        hopeless = {s for s, bad in misfits.items() if len(bad) > _MOST_MISFITS * len(self._opened[s].layers)}
        if hopeless:
            self._merge([acting for acting in loras if acting.stamp not in hopeless])
        changed = self._wrap(hypernets) or self._model.changed.version != version
        if changed:
            self._model.forget_words()
        bundled = {name: acting.file.bundled_parts(name) for acting in loras for name in acting.file.bundled}
        text_key = tuple(one.mark(TEXT) for one in loras)
        return Use(tuple(notices), bundled, text_key)

    def _open(self, ref: NetworkRef) -> _Acting:
        stamp = _stamp(ref)
        known = self._opened.get(stamp)
        return _Acting(ref, stamp, known or open_lora(Path(ref.path), self._layers))

    def _merge(self, loras: Sequence[_Acting]) -> dict[Hashable, list[LayerKey]]:
        """Give every layer its changes; returns the layers that did not fit, by file."""
        wanted: dict[LayerKey, list[_Acting]] = {}
        for acting in loras:
            for key in acting.file.layers:
                if acting.strength(key[0]) != 0:
                    wanted.setdefault(key, []).append(acting)
        for slot in [slot for slot in self._marks if (slot.part, slot.layer) not in wanted]:
            self._restore(slot)
        misfits: dict[Hashable, list[LayerKey]] = {}
        for key, acting in wanted.items():
            marks = tuple(one.mark(key[0]) for one in acting)
            if self._marks.get(Slot(*key, "weight")) != marks:
                for one in self._change(key, acting, marks):
                    misfits.setdefault(one.stamp, []).append(key)
        return misfits

    def _restore(self, slot: Slot) -> None:
        self._model.changed.restore(slot)
        self._marks.pop(slot, None)

    def _change(self, key: LayerKey, acting: Sequence[_Acting], marks: tuple[Hashable, ...]) -> list[_Acting]:
        """Merge into one layer what fits it; returns what does not."""
        layer = self._layers.layers[key]
        weight, bias = Slot(*key, "weight"), Slot(*key, "bias")
        for slot in (weight, bias):
            self._marks.pop(slot, None)
        parts = [(one, one.file.parts(key, self._model.device)) for one in acting]
        misfits: list[_Acting] = []
        shaping = [(one, found) for one, found in parts if kind_of(frozenset(found)) is not None]
        if shaping:
            self._model.changed.edit(weight, layer, partial(_add_all, shaping, key[0], misfits))
        shifts = [(one, bias_change(found)) for one, found in parts if one not in misfits]
        shifts = [(one, shift) for one, shift in shifts if shift is not None]
        if shifts and hasattr(layer, "bias"):
            self._model.changed.edit(bias, layer, partial(_shift_all, shifts, key[0], misfits))
            self._marks[bias] = marks
        else:
            self._model.changed.restore(bias)
        self._marks[weight] = marks
        return misfits

    def _wrap(self, refs: Sequence[NetworkRef]) -> bool:
        """Put exactly these hypernetworks before the keys and values; returns whether that changed anything."""
        wanted = tuple((_stamp(ref), ref.unet) for ref in refs if ref.unet != 0)
        if wrapped_with(self._model.unet) == wanted:
            return False
        opened = {_stamp(ref): self._hypernets.get(_stamp(ref)) for ref in refs}
        for ref in refs:
            opened[_stamp(ref)] = opened[_stamp(ref)] or open_hypernet(Path(ref.path))
        self._hypernets = {stamp: hypernet for stamp, hypernet in opened.items() if hypernet is not None}
        wrap(self._model.unet, [(mark, self._hypernets[mark[0]], mark[1]) for mark in wanted])
        return True


def _add_all(
    shaping: Sequence[tuple[_Acting, Mapping[str, Tensor]]], part: str, misfits: list[_Acting], weight: Tensor
) -> None:
    for one, parts in shaping:
        try:
            add_change(weight, parts, one.strength(part), one.ref.rank)
        except Misfit:
            misfits.append(one)


def _shift_all(shifts: Sequence[tuple[_Acting, Tensor]], part: str, misfits: list[_Acting], bias: Tensor) -> None:
    for one, shift in shifts:
        if shift.numel() == bias.numel():
            bias.add_(shift.view_as(bias), alpha=one.strength(part))
        else:
            misfits.append(one)


def _stamp(ref: NetworkRef) -> Hashable:
    """What tells this content of a file from another; raises `ModelFileError` when the file is gone."""
    try:
        status = Path(ref.path).stat()
    except OSError:
        raise ModelFileError(
            f"The network {ref.name!r} is no longer there ({Path(ref.path).name}); refresh the list of networks."
        ) from None
    return (ref.path, status.st_mtime_ns, status.st_size)


def _about(acting: _Acting) -> list[str]:
    """Sentences about the parts of a file that find no place in the model."""
    file, name = acting.file, acting.ref.name
    told: list[str] = []
    if not file.layers:
        if file.count:
            told.append(f"The network {name!r} was left out: none of its {file.count} layers is in this checkpoint.")
        elif not file.bundled:
            told.append(f"The network {name!r} was left out: nothing in it is a change of a layer.")
        return told
    if file.unmatched:
        told.append(
            f"Of the network {name!r}, {len(file.unmatched)} of {file.count} layers match nothing in this checkpoint "
            f"and were left out, such as {file.unmatched[0]}."
        )
    if file.unknown:
        told.append(
            f"Of the network {name!r}, {len(file.unknown)} parts are of no known kind and were left out, such as "
            f"{file.unknown[0]}."
        )
    return told


def _misfit(acting: _Acting, bad: Sequence[LayerKey]) -> str:
    count, total = len(bad), len(acting.file.layers)
    if count > _MOST_MISFITS * total:
        return (
            f"The network {acting.ref.name!r} was left out: {count} of its {total} layers are of other sizes than "
            "this checkpoint's, so it is made for another kind of model."
        )
    return (
        f"Of the network {acting.ref.name!r}, {count} of {total} layers are of other sizes than this checkpoint's "
        f"and were left out, such as {bad[0][1]}."
    )
