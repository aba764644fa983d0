"""Changes of one layer, against the libraries that train them: LyCORIS and PEFT."""

from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch
from lycoris.modules.boft import ButterflyOFTModule
from lycoris.modules.diag_oft import DiagOFTModule
from lycoris.modules.full import FullModule
from lycoris.modules.glora import GLoRAModule
from lycoris.modules.ia3 import IA3Module
from lycoris.modules.locon import LoConModule
from lycoris.modules.loha import LohaModule
from lycoris.modules.lokr import LokrModule
from lycoris.modules.norms import NormModule
from torch import Tensor, nn

from modules.engine.networks.formulas import Misfit, add_change, bias_change, kind_of
from modules.engine.networks.parts import split_part

LAYERS = {
    "linear": lambda: nn.Linear(24, 16),
    "square": lambda: nn.Linear(16, 16),
    "conv1": lambda: nn.Conv2d(24, 16, 1),
    "conv3": lambda: nn.Conv2d(8, 16, 3, padding=1),
}
CASES: dict[str, tuple[type, dict[str, Any]]] = {
    "locon": (LoConModule, {"lora_dim": 4, "alpha": 2}),
    "tucker": (LoConModule, {"lora_dim": 4, "alpha": 2, "use_tucker": True}),
    "dora-out": (LoConModule, {"lora_dim": 4, "alpha": 2, "weight_decompose": True, "wd_on_output": True}),
    "dora-in": (LoConModule, {"lora_dim": 4, "alpha": 2, "weight_decompose": True, "wd_on_output": False}),
    "loha": (LohaModule, {"lora_dim": 3, "alpha": 2}),
    "loha-tucker": (LohaModule, {"lora_dim": 3, "alpha": 2, "use_tucker": True}),
    "loha-dora": (LohaModule, {"lora_dim": 3, "alpha": 2, "weight_decompose": True}),
    "lokr": (LokrModule, {"lora_dim": 2, "alpha": 1, "factor": 4}),
    "lokr-both": (LokrModule, {"lora_dim": 1, "alpha": 1, "factor": 4, "decompose_both": True}),
    "lokr-whole": (LokrModule, {"lora_dim": 64, "alpha": 1, "factor": 4}),
    "lokr-tucker": (LokrModule, {"lora_dim": 1, "alpha": 1, "factor": 2, "use_tucker": True}),
    "glora": (GLoRAModule, {"lora_dim": 4, "alpha": 2}),
    "ia3-in": (IA3Module, {"train_on_input": True}),
    "ia3-out": (IA3Module, {"train_on_input": False}),
    "oft": (DiagOFTModule, {"lora_dim": 4, "alpha": 0}),
    "oft-limit": (DiagOFTModule, {"lora_dim": 4, "constraint": 0.02}),
    "oft-rescale": (DiagOFTModule, {"lora_dim": 4, "rescaled": True}),
    "boft": (ButterflyOFTModule, {"lora_dim": 4}),
    "boft-rescale": (ButterflyOFTModule, {"lora_dim": 4, "rescaled": True}),
}


def randomised(module: nn.Module) -> nn.Module:
    for name, parameter in module.named_parameters():
        if not name.startswith("org_module") and "scalar" not in name:
            noise = torch.randn_like(parameter) * 0.3
            parameter.data = parameter.data + noise if name in ("dora_scale", "rescale") else noise
    return module


def parts_of(module: nn.Module) -> dict[str, Tensor]:
    """The module's tensors as they would be in a file, under our names."""
    saved = module.custom_state_dict() if hasattr(module, "custom_state_dict") else None
    saved = saved or {name: t for name, t in module.state_dict().items() if not name.startswith("org_module")}
    split = {name: split_part(f"lora_unet_x.{name}") for name in saved}
    assert all(split.values()), [name for name, found in split.items() if found is None]
    return {split[name][1]: tensor.detach().float() for name, tensor in saved.items()}


def changed(layer: nn.Module, parts: dict[str, Tensor], multiplier: float = 1.0) -> Tensor:
    weight = layer.weight.detach().clone()
    add_change(weight, parts, multiplier)
    return weight


def assert_acts_alike(module: nn.Module, layer: nn.Module, parts: dict[str, Tensor], multiplier: float = 1.0) -> None:
    """The layer with our merged weight answers as the one that the library runs in training.

    (LyCORIS's own merging squares the scale of LoHa and LoKr, so its forward pass is the measure.)
    """
    ours = copy.deepcopy(layer)
    ours.weight.data = changed(layer, parts, multiplier)
    x = torch.randn(2, layer.weight.shape[1], *(5, 5)[: layer.weight.ndim - 2])
    with torch.no_grad():
        plain, found = layer(x), ours(x)
        module.multiplier = multiplier
        module.apply_to()
        expected = layer(x)
    assert not torch.allclose(expected, plain, atol=1e-2)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layer_name", LAYERS)
@pytest.mark.parametrize("case", CASES)
def test_equals_lycoris(case: str, layer_name: str) -> None:
    torch.manual_seed(5)
    layer = LAYERS[layer_name]()
    kind, options = CASES[case]
    module = randomised(kind("lora_unet_x", layer, 1.0, **options))
    assert_acts_alike(module, layer, parts_of(module))


@pytest.mark.parametrize("case", ["locon", "loha", "lokr", "glora", "ia3-in", "oft"])
def test_the_multiplier_equals_lycoris(case: str) -> None:
    torch.manual_seed(5)
    layer = LAYERS["linear"]()
    kind, options = CASES[case]
    module = randomised(kind("lora_unet_x", layer, 1.0, **options))
    assert_acts_alike(module, layer, parts_of(module), 0.4)


def test_full_changes_and_norms_equal_lycoris() -> None:
    torch.manual_seed(5)
    layer = nn.Linear(6, 4)
    diff, shift = torch.randn(4, 6), torch.randn(4)
    with torch.no_grad():
        module = FullModule.make_module_from_state_dict("lora_unet_x", layer, diff, shift)
        expected = module.get_diff_weight()
    torch.testing.assert_close(changed(layer, {"diff": diff, "diff_b": shift}) - layer.weight, expected[0])
    assert bias_change({"diff": diff, "diff_b": shift}) is shift
    norm = nn.GroupNorm(2, 8)
    trained = randomised(NormModule("lora_unet_x", norm))
    with torch.no_grad():
        weight, bias = trained.get_merged_weight()
    parts = parts_of(trained)
    torch.testing.assert_close(changed(norm, parts), weight)
    torch.testing.assert_close(norm.bias + bias_change(parts), bias)


@pytest.mark.parametrize(
    ("config", "layer_name"),
    [
        (peft.LoraConfig(r=4, lora_alpha=8, target_modules=["0"]), "linear"),
        (peft.LoraConfig(r=4, lora_alpha=8, target_modules=["0"]), "conv3"),
        (peft.LoraConfig(r=4, lora_alpha=8, target_modules=["0"], use_dora=True), "linear"),
        (peft.LoraConfig(r=4, lora_alpha=8, target_modules=["0"], use_dora=True), "conv3"),
        (peft.LoHaConfig(r=3, alpha=6, target_modules=["0"]), "linear"),
        (peft.LoKrConfig(r=2, alpha=2, decompose_factor=4, target_modules=["0"]), "linear"),
    ],
)
def test_equals_peft(config: peft.PeftConfig, layer_name: str) -> None:
    torch.manual_seed(5)
    layer = LAYERS[layer_name]()
    model = peft.get_peft_model(nn.Sequential(layer), config)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            noise = torch.randn_like(parameter) * 0.3
            parameter.data = parameter.data + noise if "magnitude" in name else noise
    saved = peft.get_peft_model_state_dict(model)
    parts = {split_part(name)[1]: tensor for name, tensor in saved.items()}
    if "lokr_w2_b" in parts or "hada_w1_a" in parts or "down" in parts:
        parts["alpha"] = torch.tensor(float(getattr(config, "lora_alpha", None) or config.alpha))
    before = layer.weight.detach().clone()
    add_change(before, parts, 1.0)
    merged = model.merge_and_unload()[0].weight.detach()
    torch.testing.assert_close(before, merged, atol=1e-4, rtol=1e-4)


def test_ranks_are_cut() -> None:
    torch.manual_seed(5)
    weight, up, down = torch.zeros(6, 5), torch.randn(6, 4), torch.randn(4, 5)
    add_change(weight, {"up": up, "down": down}, 1.0, rank=2)
    torch.testing.assert_close(weight, up[:, :2] @ down[:2])


def test_older_glora_has_its_factors_the_other_way_round() -> None:
    torch.manual_seed(5)
    weight = torch.randn(6, 5)
    a1, a2, b1, b2 = torch.randn(3, 5), torch.randn(5, 3), torch.randn(3, 5), torch.randn(6, 3)
    expected = weight + b2 @ b1 + (weight @ a2) @ a1
    names = ("a1.weight", "a2.weight", "b1.weight", "b2.weight")
    add_change(weight, dict(zip(names, (a1, a2, b1, b2), strict=True)), 1.0)
    torch.testing.assert_close(weight, expected)


def test_a_four_channel_input_layer_fits_an_inpainting_model() -> None:
    torch.manual_seed(5)
    weight, up, down = torch.zeros(6, 9, 3, 3), torch.randn(6, 2, 1, 1), torch.randn(2, 4, 3, 3)
    add_change(weight, {"up": up, "down": down}, 0.5)
    assert torch.equal(weight[:, 4:], torch.zeros(6, 5, 3, 3))
    torch.testing.assert_close(weight[:, :4], 0.5 * torch.einsum("or,rihw->oihw", up[:, :, 0, 0], down))


def test_what_does_not_fit_is_told_and_changes_nothing() -> None:
    weight = torch.ones(6, 5)
    for parts in (
        {"up": torch.ones(6, 2), "down": torch.ones(2, 7)},
        {"diff": torch.ones(4, 4)},
        {"oft_blocks": torch.ones(4, 2, 2)},
        {"hada_w1_a": torch.ones(6, 2), "hada_w1_b": torch.ones(3, 5)}
        | dict.fromkeys(("hada_w2_a", "hada_w2_b"), weight),
        {"diff_b": torch.ones(6)},
    ):
        with pytest.raises(Misfit):
            add_change(weight, parts, 1.0)
    assert torch.equal(weight, torch.ones(6, 5))
    assert kind_of(frozenset({"up"})) is None
