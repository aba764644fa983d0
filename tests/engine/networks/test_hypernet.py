"""Hypernetwork files: what they make of keys and values, and which are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from modules.catalog.networks import NetworkCatalog
from modules.engine.networks.hypernet import Prefixed, open_hypernet, wrap, wrapped_with
from modules.schema.errors import ModelFileError
from tests.tiny import tiny_networks

WIDTH = 8


def state(**options: Any) -> dict[str, Tensor]:
    """One MLP 1, 2, 1 as A1111 numbers its layers: linear, (activation), (layer norm), linear ..."""
    step = 1 + ("activation" in options) + ("norm" in options)
    tensors = {"linear.0.weight": torch.randn(2 * WIDTH, WIDTH), "linear.0.bias": torch.randn(2 * WIDTH)}
    if "norm" in options:
        place = step - 1
        tensors |= {f"linear.{place}.weight": torch.rand(2 * WIDTH), f"linear.{place}.bias": torch.rand(2 * WIDTH)}
    tensors |= {f"linear.{step}.weight": torch.randn(WIDTH, 2 * WIDTH), f"linear.{step}.bias": torch.randn(WIDTH)}
    return tensors


def write(path: Path, key: dict[str, Tensor], value: dict[str, Tensor], width: int = WIDTH, **facts: Any) -> Path:
    torch.save({"step": 5, "name": "hyper", width: (key, value), **facts}, path)
    return path


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("linear", lambda x: x),
        ("relu", F.relu),
        ("leakyrelu", F.leaky_relu),
        ("swish", F.hardswish),
        ("GELU", F.gelu),
    ],
)
@pytest.mark.parametrize("at_end", [True, False])
def test_the_layers_in_their_order(tmp_path: Path, name: str, function: Any, at_end: bool) -> None:
    torch.manual_seed(1)
    key, value = state(activation=name), state(activation=name)
    path = write(tmp_path / "h.pt", key, value, activation_func=name, activate_output=at_end)
    mlp = open_hypernet(path).pairs[WIDTH][0]
    x = torch.randn(2, 3, WIDTH)
    hidden = function(F.linear(x, key["linear.0.weight"], key["linear.0.bias"]))
    hidden = F.linear(hidden, key["linear.2.weight"], key["linear.2.bias"])
    hidden = function(hidden) if at_end else hidden
    torch.testing.assert_close(mlp(x, 0.5), x + 0.5 * hidden)
    assert torch.equal(mlp(x, 0.0), x)


def test_layer_norms_and_old_names(tmp_path: Path) -> None:
    torch.manual_seed(1)
    key = state(activation="relu", norm=True)
    path = write(tmp_path / "h.pt", key, key, activation_func="relu", activate_output=False, is_layer_norm=True)
    (entry,) = NetworkCatalog({"hypernet": (tmp_path,)}, tmp_path / "cache.sqlite").refresh()
    assert (entry.problem, entry.alias) == (None, "hyper")
    x = torch.randn(2, WIDTH)
    hidden = F.relu(F.linear(x, key["linear.0.weight"], key["linear.0.bias"]))
    hidden = F.layer_norm(hidden, (2 * WIDTH,), key["linear.2.weight"], key["linear.2.bias"])
    expected = x + F.linear(hidden, key["linear.3.weight"], key["linear.3.bias"])
    torch.testing.assert_close(open_hypernet(path).pairs[WIDTH][1](x, 1.0), expected)
    plain = state()
    old = {name.replace("linear.0", "linear1").replace("linear.1", "linear2"): t for name, t in plain.items()}
    new = open_hypernet(write(tmp_path / "new.pt", plain, plain)).pairs[WIDTH][0]
    assert torch.equal(open_hypernet(write(tmp_path / "old.pt", old, old)).pairs[WIDTH][0](x, 1.0), new(x, 1.0))


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"name": "nothing"}, "no layers"),
        ({WIDTH: ({"strange": torch.zeros(1)}, {})}, "unknown part"),
        ({WIDTH: ({"linear.0.weight": torch.zeros(4, 5)}, {})}, "do not fit"),
        ({WIDTH: ({"linear.0.weight": torch.zeros(4, WIDTH)}, {})}, "do not lead back"),
        ({WIDTH: 3}, "can be used"),
        ({"activation_func": "evil"}, "'evil'"),
        ([1], "no table"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path: Path, table: object, reason: str) -> None:
    torch.save(table, tmp_path / "h.pt")
    with pytest.raises(ModelFileError, match=reason):
        open_hypernet(tmp_path / "h.pt")


def test_keys_and_values_of_the_width_are_wrapped_and_unwrapped(tmp_path: Path) -> None:
    torch.manual_seed(1)
    unet = tiny_networks()[0]
    before = dict(unet.named_modules())
    mlp = {"linear.0.weight": torch.randn(64, 64), "linear.0.bias": torch.randn(64)}
    other = {name: tensor * 2 for name, tensor in mlp.items()}
    hypernet = open_hypernet(write(tmp_path / "h.pt", mlp, other, 64, activation_func="linear"))
    wrap(unet, [("a", hypernet, 0.5), ("b", hypernet, 1.0)])
    layer = unet.down_blocks[0].attentions[0].transformer_blocks[0].attn2
    assert wrapped_with(unet) == ("a", "b")
    assert isinstance(layer.to_k, Prefixed) and isinstance(layer.to_q, nn.Linear)
    words = torch.randn(1, 77, 64)
    once = words + 0.5 * F.linear(words, other["linear.0.weight"], other["linear.0.bias"])
    twice = once + F.linear(once, other["linear.0.weight"], other["linear.0.bias"])
    torch.testing.assert_close(layer.to_v(words), layer.to_v.inner(twice))
    wrap(unet, [])
    assert dict(unet.named_modules()) == before
    assert wrapped_with(unet) == ()
