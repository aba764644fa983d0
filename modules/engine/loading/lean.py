"""The same residual blocks and attention as diffusers', with less work a call: no divisions by one, no copies that
are thrown away, and the keys and values of the words computed once a picture instead of once a step.

Layers keep their names, so whatever addresses a weight by name (LoRA, saving) sees no difference.
"""

from __future__ import annotations

import torch
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from torch.nn import functional as F


class LeanResnet(nn.Module):
    """Residual block (He et al. 2015; with the time embedding added as in Ho et al. 2020)."""

    def __init__(self, plain: ResnetBlock2D) -> None:
        super().__init__()
        self.norm1, self.conv1 = plain.norm1, plain.conv1
        self.time_emb_proj = plain.time_emb_proj
        self.norm2, self.conv2 = plain.norm2, plain.conv2
        self.conv_shortcut = plain.conv_shortcut

    def forward(self, x: Tensor, temb: Tensor | None = None) -> Tensor:
        """x [B,C,h,w], temb [B,T] -> [B,C2,h,w]."""
        # Overwriting saves memory traffic, but a gradient would need what is overwritten.
        inplace = not torch.is_grad_enabled()
        hidden = self.conv1(F.silu(self.norm1(x), inplace=inplace))
        if self.time_emb_proj is not None and temb is not None:
            hidden = _sum(hidden, self.time_emb_proj(F.silu(temb))[:, :, None, None], inplace)
        hidden = self.conv2(F.silu(self.norm2(hidden), inplace=inplace))
        return _sum(hidden, x if self.conv_shortcut is None else self.conv_shortcut(x), inplace)


class LeanAttention:
    """An attention processor for one layer; torch's own kernels.

    Keys and values of the words are kept for the last two texts seen (prompt and negative may take turns). A text is
    known by its tensor, not by its numbers: a new batch has new tensors, so weights changed between two batches act.
    """

    def __init__(self) -> None:
        self._known: list[tuple[Tensor, Tensor, Tensor]] = []

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """hidden_states [B,N,C], encoder_hidden_states [B,T,D] or None for self-attention -> [B,N,C]."""
        query = _heads(attn.to_q(hidden_states), attn.heads)
        if encoder_hidden_states is None:
            key, value = _heads(attn.to_k(hidden_states), attn.heads), _heads(attn.to_v(hidden_states), attn.heads)
        else:
            key, value = self._of_words(attn, encoder_hidden_states)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask)
        return attn.to_out[0](mixed.transpose(1, 2).flatten(2))

    def forget(self) -> None:
        """Drop keys and values computed with weights that have changed since."""
        self._known = []

    def _of_words(self, attn: Attention, words: Tensor) -> tuple[Tensor, Tensor]:
        for known, key, value in self._known:
            if known is words:
                return key, value
        key, value = _heads(attn.to_k(words), attn.heads), _heads(attn.to_v(words), attn.heads)
        if not torch.is_grad_enabled():
            self._known = [(words, key, value), *self._known[:1]]
        return key, value


def make_lean(unet: UNet2DConditionModel) -> None:
    """Replace the plain residual blocks and the attention processors of `unet`."""
    for parent in list(unet.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, ResnetBlock2D) and _is_plain(layer):
                setattr(parent, name, LeanResnet(layer))
    unet.set_attn_processor({name: LeanAttention() for name in unet.attn_processors})


def _is_plain(block: ResnetBlock2D) -> bool:
    changes_size = block.upsample is not None or block.downsample is not None
    return not changes_size and block.output_scale_factor == 1 and block.time_embedding_norm == "default"


def _heads(x: Tensor, heads: int) -> Tensor:
    """[B,N,C] -> [B,heads,N,C/heads]."""
    return x.unflatten(2, (heads, -1)).transpose(1, 2)


def _sum(a: Tensor, b: Tensor, inplace: bool) -> Tensor:
    return a.add_(b) if inplace else a + b
