"""What one layer's tensors in a network file do to that layer's weight: LoRA and its relatives.

`W` is the weight in float32, of shape [out, in] or [out, in, kh, kw]; each function gives the change dW before the
file's own scale. Sources: LoRA (Hu et al. 2021), LoHa (FedPara, Hyeon-Woo et al. 2022), LoKr (Yeh et al. 2023), IA3
(Liu et al. 2022), GLoRA (Chavan et al. 2023), OFT (Qiu et al. 2023), BOFT (Liu et al. 2023), DoRA (Liu et al. 2024);
names and layouts of the tensors are those of the trainers kohya, LyCORIS and PEFT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

Parts = Mapping[str, Tensor]


class Misfit(Exception):
    """The tensors are not of the layer's shape."""


@dataclass(frozen=True)
class Kind:
    """A way to change a layer. `required`: part names, any one group of which tells the kind.

    `change(parts, weight, rank)` gives dW; `rank` cuts LoRA's ranks (None: all). `dim(parts)` is what alpha is
    divided by, None where the kind knows no scale.
    """

    name: str
    required: tuple[frozenset[str], ...]
    change: Callable[[Parts, Tensor, int | None], Tensor]
    dim: Callable[[Parts], int] | None = None


def kind_of(names: frozenset[str]) -> Kind | None:
    """The kind of a layer with parts of these names; None when no kind has them all."""
    return next((kind for kind in KINDS if any(group <= names for group in kind.required)), None)


def add_change(weight: Tensor, parts: Parts, multiplier: float, rank: int | None = None) -> None:
    """Add a layer's change times `multiplier` to `weight` (float32, contiguous) in place; raises `Misfit`."""
    kind = kind_of(frozenset(parts))
    if kind is None:
        raise Misfit("no known kind has these tensors: " + ", ".join(sorted(parts)))
    scale = _scale(kind, parts)
    try:
        if kind is LORA and _is_matrix_product(parts, weight):
            down = _rows(parts["down"], rank)
            weight.flatten(1).addmm_(_columns(parts["up"], rank), down, alpha=scale * multiplier)
            return
        change = kind.change(parts, weight, rank)
        change = _fitted(change if scale == 1 else change * scale, weight)
        if "dora_scale" in parts or "magnitude" in parts:
            change = _decomposed(weight, change, parts)
        weight.add_(change, alpha=multiplier)
    except RuntimeError as error:
        raise Misfit(str(error).splitlines()[0]) from None


def bias_change(parts: Parts) -> Tensor | None:
    """What is added to the layer's bias, if the file has that."""
    return parts.get("diff_b", parts.get("b_norm"))


def _scale(kind: Kind, parts: Parts) -> float:
    if kind.dim is None:
        return 1.0
    if "scale" in parts:
        return float(parts["scale"])
    alpha = float(parts["alpha"]) if "alpha" in parts else 0.0
    dim = kind.dim(parts)
    return alpha / dim if alpha and dim else 1.0


def _is_matrix_product(parts: Parts, weight: Tensor) -> bool:
    """Whether dW is simply up times down of the weight's own size; that case is made fast."""
    up, down = parts["up"], parts["down"]
    plain = not parts.keys() & {"mid", "dora_scale", "magnitude"}
    size = up.shape[0] * down[0].numel()
    return plain and up.shape[0] == len(weight) and size == weight.numel()


def _fitted(change: Tensor, weight: Tensor) -> Tensor:
    """`change` in the weight's shape; that of a 4-channel input layer also fits an inpainting model's of 9."""
    if change.numel() == weight.numel():
        return change.reshape(weight.shape)
    if change.ndim == weight.ndim == 4 and (change.shape[1], weight.shape[1]) == (4, 9):
        return F.pad(change, (0, 0, 0, 0, 0, 5))
    raise Misfit(f"its shape is {tuple(change.shape)} and the layer's {tuple(weight.shape)}")


def _columns(up: Tensor, rank: int | None) -> Tensor:
    return up.flatten(1)[:, :rank]


def _rows(down: Tensor, rank: int | None) -> Tensor:
    return down.flatten(1)[:rank]


def _lora(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    up, down = parts["up"], parts["down"]
    if "mid" in parts:
        mid = parts["mid"][:rank, :rank] if rank else parts["mid"]
        return torch.einsum("nmkl,in,mj->ijkl", mid, _columns(up, rank), _rows(down, rank))
    product = _columns(up, rank) @ _rows(down, rank)
    return product.view(up.shape[0], *down.shape[1:])


def _tucker(core: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """core [r,r,kh,kw], a [r,out], b [r,in] -> [out,in,kh,kw]."""
    return torch.einsum("ijkl,jr,ip->prkl", core, b, a)


def _factor(parts: Parts, a: str, b: str, core: str) -> Tensor:
    """One factor of LoHa and LoKr: a product of two matrices, with a core for convolutions if the file has one."""
    if core in parts:
        return _tucker(parts[core], parts[a], parts[b])
    return parts[a] @ parts[b].flatten(1)


def _loha(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    first = _factor(parts, "hada_w1_a", "hada_w1_b", "hada_t1")
    return first * _factor(parts, "hada_w2_a", "hada_w2_b", "hada_t2")


def _lokr(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    first = parts["lokr_w1"] if "lokr_w1" in parts else parts["lokr_w1_a"] @ parts["lokr_w1_b"]
    second = parts["lokr_w2"] if "lokr_w2" in parts else _factor(parts, "lokr_w2_a", "lokr_w2_b", "lokr_t2")
    if second.ndim == 4:
        first = first[:, :, None, None]
    return torch.kron(first, second.contiguous())


def _lokr_dim(parts: Parts) -> int:
    """The rank of whichever matrix is a product; 0 where both are whole, which are not scaled."""
    return len(parts["lokr_w2_b"]) if "lokr_w2_b" in parts else len(parts.get("lokr_w1_b", ()))


def _ia3(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    """One factor an input or output channel, less one."""
    shape = [1] * weight.ndim
    shape[1 if bool(parts["on_input"]) else 0] = -1
    return weight * parts["weight"].reshape(shape)


def _full(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    return parts["diff"]


def _norm(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    return parts["w_norm"]


def _glora(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    """B + W A, each a product of two. Older files have the factors the other way round, which their shapes tell."""
    a1, a2, b1, b2 = (parts[f"{name}.weight"] for name in ("a1", "a2", "b1", "b2"))
    if len(b1) != len(weight) or (len(b1) == len(b2) and len(a1) != weight.shape[1]):
        a1, a2, b1, b2 = a2, a1, b2, b1
    inner = torch.einsum("oi...,ij->oj...", weight, a1.flatten(1))
    product = (b1.flatten(1) @ b2.flatten(1)).reshape(weight.shape)
    return product + torch.einsum("oi...,ij->oj...", inner, a2.flatten(1))


def _rotations(parts: Parts, out: int) -> Tensor:
    """Cayley transforms of the blocks: rotations [..., b, b]."""
    blocks = parts["oft_blocks"]
    skew = blocks - blocks.mT
    limit = float(parts["alpha"]) * out if "alpha" in parts else 0.0
    size = float(skew.norm()) + 1e-8
    if 0 < limit < size:
        skew = skew * (limit / size)
    one = torch.eye(skew.shape[-1], device=skew.device)
    return (one + skew) @ torch.linalg.inv(one - skew)


def _oft(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    rotations = parts["oft_diag"] if "oft_diag" in parts else _rotations(parts, len(weight))
    blocks = weight.unflatten(0, (len(rotations), -1))
    turned = torch.einsum("knm,kn...->km...", rotations, blocks).flatten(0, 1)
    return turned * parts["rescale"] - weight if "rescale" in parts else turned - weight


def _boft(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    """A product of sparse rotations: stage i mixes channels that lie 2^i half blocks apart."""
    stages = _rotations(parts, len(weight))
    side = stages.shape[-1]
    turned = weight
    for number, stage in enumerate(stages):
        apart = 2**number * (side // 2)
        mixed = turned.unflatten(0, (-1, 2, apart)).transpose(1, 2).flatten(0, 2).unflatten(0, (-1, side))
        mixed = torch.einsum("bij,bj...->bi...", stage, mixed).flatten(0, 1)
        turned = mixed.unflatten(0, (-1, apart, 2)).transpose(1, 2).flatten(0, 2)
    return turned * parts["rescale"] - weight if "rescale" in parts else turned - weight


def _orthogonal(parts: Parts, weight: Tensor, rank: int | None) -> Tensor:
    return (
        _boft(parts, weight, rank)
        if parts.get("oft_blocks", weight).ndim == 4 and "oft_blocks" in parts
        else (_oft(parts, weight, rank))
    )


def _decomposed(weight: Tensor, change: Tensor, parts: Parts) -> Tensor:
    """DoRA: the changed weight's direction with a learned length for each output channel (PEFT), or for each channel
    along the axis on which the lengths lie (LyCORIS)."""
    merged = weight + change
    lengths = parts.get("magnitude", parts.get("dora_scale"))
    assert lengths is not None
    axis = 0 if "magnitude" in parts or lengths.shape[0] == lengths.numel() else 1
    if lengths.numel() != weight.shape[axis]:
        raise Misfit(f"its magnitudes are {tuple(lengths.shape)} and the layer {tuple(weight.shape)}")
    others = [d for d in range(weight.ndim) if d != axis]
    present = torch.linalg.vector_norm(merged, dim=others, keepdim=True) + torch.finfo(merged.dtype).eps
    return merged * (lengths.reshape(present.shape) / present) - weight


def _names(*names: str) -> frozenset[str]:
    return frozenset(names)


LORA = Kind("LoRA", (_names("up", "down"),), _lora, lambda parts: len(parts["down"]))

# In the order of testing: the first kind whose parts are all there.
KINDS = (
    LORA,
    Kind(
        "LoHa",
        (_names("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"),),
        _loha,
        lambda parts: len(parts["hada_w1_b"]),
    ),
    Kind("IA3", (_names("weight", "on_input"),), _ia3),
    Kind(
        "LoKr",
        tuple(
            _names(*first, *second)
            for first in (("lokr_w1",), ("lokr_w1_a", "lokr_w1_b"))
            for second in (("lokr_w2",), ("lokr_w2_a", "lokr_w2_b"))
        ),
        _lokr,
        _lokr_dim,
    ),
    Kind("full", (_names("diff"),), _full),
    Kind("norm", (_names("w_norm"),), _norm),
    Kind(
        "GLoRA",
        (_names("a1.weight", "a2.weight", "b1.weight", "b2.weight"),),
        _glora,
        lambda parts: min(parts["b1.weight"].shape[:2]),
    ),
    Kind("OFT", (_names("oft_blocks"), _names("oft_diag")), _orthogonal),
)
