"""All weights of a run in a few flat tensors, shared by the processes that train them, and AdamW over these.

Each replica reads the same weights in the working format (bf16), leaves its gradient in a buffer of its own, and
updates its share of the fp32 weights from everybody's gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from tools.miniature import kernels

BETAS = (0.9, 0.99)
EPSILON = 1e-8
_ALIGN = 64  # elements; every tensor starts on a cache line
BUFFERS = ("master", "first", "second", "average")


@dataclass(frozen=True)
class Group:
    """Weights that are trained alike: `rate` multiplies the learning rate; `decay` is AdamW's weight decay; the first
    `lead` rows (output channels) of each tensor have `lead_rate` instead."""

    prefix: str
    rate: float = 1.0
    decay: float = 0.01
    lead: int = 0
    lead_rate: float = 1.0

    def segments(self, start: int, stop: int, shape: torch.Size) -> list[tuple[int, int, float, float]]:
        """(start, stop, rate, decay) of a tensor's stretches."""
        decay = self.decay if len(shape) > 1 else 0.0
        border = start + min(self.lead, shape[0]) * shape[1:].numel()
        ends = [(start, border, self.lead_rate, decay), (border, stop, self.rate, decay)]
        return [segment for segment in ends if segment[0] < segment[1]]


@dataclass
class Flat:
    """`master`, `first`, `second`, `average`: fp32 weights, the two moments of their gradient, their EMA [N];
    `working`: the weights in the format that is computed in [N]; `grads`: one row for each replica [R, N]."""

    slots: Mapping[str, tuple[int, torch.Size]]
    master: Tensor
    first: Tensor
    second: Tensor
    average: Tensor
    working: Tensor
    grads: Tensor
    segments: Sequence[tuple[int, int, float, float]] = field(default_factory=tuple)

    @property
    def size(self) -> int:
        return self.master.numel()

    def view(self, name: str, buffer: Tensor) -> Tensor:
        start, shape = self.slots[name]
        return buffer[start : start + shape.numel()].view(shape)

    def tensors(self, kind: str) -> dict[str, Tensor]:
        """The named tensors of one buffer, as views."""
        return {name: self.view(name, getattr(self, kind)) for name in self.slots}

    def load(self, kind: str, tensors: Mapping[str, Tensor]) -> None:
        """Copy named tensors in; names that are not there stay as they are."""
        for name, view in self.tensors(kind).items():
            if name in tensors:
                view.copy_(tensors[name])

    def refresh(self) -> None:
        """Round the weights into the working format."""
        self.working.copy_(self.master)

    def attach(self, modules: Mapping[str, nn.Module], rank: int) -> None:
        """Make the modules' parameters views of the working weights, their gradients views of replica `rank`'s."""
        for prefix, module in modules.items():
            for name, parameter in module.named_parameters():
                full = f"{prefix}.{name}"
                parameter.data = self.view(full, self.working)
                parameter.grad = self.view(full, self.grads[rank])


def flatten(
    modules: Mapping[str, nn.Module], groups: Sequence[Group], replicas: int, dtype: torch.dtype, device: torch.device
) -> Flat:
    """The weights of `modules` as `Flat`, in shared memory where there are several replicas."""
    slots: dict[str, tuple[int, torch.Size]] = {}
    segments: list[tuple[int, int, float, float]] = []
    start = 0
    for prefix, module in modules.items():
        for name, parameter in module.named_parameters():
            full = f"{prefix}.{name}"
            slots[full] = (start, parameter.shape)
            stop = start + -(-parameter.numel() // _ALIGN) * _ALIGN
            group = next(group for group in groups if full.startswith(group.prefix))
            for segment in group.segments(start, stop, parameter.shape):
                _extend(segments, segment)
            start = stop
    buffers = [torch.zeros(start, device=device) for _ in BUFFERS]
    flat = Flat(
        slots,
        *buffers,
        working=torch.zeros(start, dtype=dtype, device=device),
        grads=torch.zeros(replicas, start, dtype=dtype, device=device),
        segments=segments,
    )
    for prefix, module in modules.items():
        named = {f"{prefix}.{name}": parameter.detach() for name, parameter in module.named_parameters()}
        flat.load("master", named)
        flat.load("average", named)
    flat.refresh()
    if replicas > 1:
        for buffer in (*buffers, flat.working, flat.grads):
            buffer.share_memory_()
    return flat


def _extend(segments: list[tuple[int, int, float, float]], new: tuple[int, int, float, float]) -> None:
    """Add a stretch, joined with the one before where they are trained alike."""
    if segments and segments[-1][2:] == new[2:]:
        segments[-1] = (segments[-1][0], *new[1:])
    else:
        segments.append(new)


class AdamW:
    """Decoupled weight decay (Loshchilov and Hutter 2019) on replica `rank`'s share of the weights."""

    def __init__(self, flat: Flat, rank: int) -> None:
        self.flat = flat
        replicas = len(flat.grads)
        per = -(-flat.size // replicas // _ALIGN) * _ALIGN
        self.start, self.stop = min(rank * per, flat.size), min((rank + 1) * per, flat.size)
        self.total = torch.zeros(self.stop - self.start, device=flat.master.device)

    def gather(self) -> float:
        """Average everybody's gradients over this share; returns the sum of their squares."""
        grads = self.flat.grads[:, self.start : self.stop]
        self.total.copy_(grads[0])
        for other in grads[1:]:
            self.total.add_(other)
        if len(grads) > 1:
            self.total.div_(len(grads))
        return float(self.total.dot(self.total))

    def step(self, number: int, rate: float, clip: float, keep: float) -> None:
        """Update this share. `number`: from 1; `clip`: factor on the gradient; `keep`: the EMA's decay."""
        for low, high, scale, decay in self.flat.segments:
            low, high = max(low, self.start), min(high, self.stop)
            if low < high:
                self._update(low, high, number, rate * scale, decay, clip, keep)

    def _update(self, low: int, high: int, number: int, rate: float, decay: float, clip: float, keep: float) -> None:
        flat, part = self.flat, slice(low, high)
        grad = self.total[low - self.start : high - self.start]
        bias1, bias2 = (1 - beta**number for beta in BETAS)
        p, m, v, ema, out = (b[part] for b in (flat.master, flat.first, flat.second, flat.average, flat.working))
        if out.device.type == "cpu" and out.dtype == torch.bfloat16 and kernels.load() is not None:
            kernels.call(
                "adamw", p, m, v, ema, grad, out, high - low, rate, *BETAS, EPSILON, bias1, bias2,
                rate * decay, clip, 1.0 - keep,
            )  # fmt: skip
            return
        grad.mul_(clip)
        m.lerp_(grad, 1 - BETAS[0])
        v.mul_(BETAS[1]).addcmul_(grad, grad, value=1 - BETAS[1])
        p.mul_(1 - rate * decay).addcdiv_(m, (v / bias2).sqrt_().add_(EPSILON), value=-rate / bias1)
        ema.lerp_(p, 1.0 - keep)
        out.copy_(p)


def learning_rate(fraction: float, warm: float, peak: float, floor: float = 0.01) -> float:
    """Rises straight over the first `warm` of the run, then falls as a cosine to `floor` times `peak`."""
    if fraction < warm:
        return peak * max(fraction, 1e-3 * warm) / warm
    done = min((fraction - warm) / (1 - warm), 1.0)
    return peak * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done)))


def average_decay(step: int, most: float) -> float:
    """The EMA's decay: short at first, so that the random start is forgotten."""
    return min(most, (1 + step) / (10 + step))
