"""Networks on a loaded model: what they change, what is left out, and the way back to the very bits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch import Tensor

from modules.engine.families.sd1 import SD1
from modules.engine.loading.changed import named_layers
from modules.engine.loading.keymap import unet_keymap
from modules.engine.loading.load import load_model
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.shapes import UnetShape
from modules.engine.networks.apply import use_networks
from modules.engine.networks.lora import ModelLayers, open_lora
from modules.engine.networks.network import NetworkRef
from modules.engine.networks.parts import LayerNames, split_part
from modules.schema.engine import ModelRef
from modules.schema.errors import ModelFileError
from tests.tiny import write_tiny_sd1

CPU = torch.device("cpu")
QUERY = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_q"
VALUE = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn2_to_v"
CONV = "lora_unet_mid_block_resnets_0_conv1"
TEXT = "lora_te_text_model_encoder_layers_1_mlp_fc1"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_sd1(tmp_path_factory.mktemp("models") / "tiny.safetensors", dtype=torch.float16)


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16, torch.float16], ids=str)
def loaded(request: pytest.FixtureRequest, checkpoint: Path) -> LoadedModel:
    return load_model(ModelRef(checkpoint=str(checkpoint)), CPU, request.param)


@pytest.fixture
def model(loaded: LoadedModel) -> Iterator[LoadedModel]:
    yield loaded
    use_networks(loaded, ())


def weights(model: LoadedModel) -> dict[str, Tensor]:
    """Every tensor of the model as plain bits."""
    found = {}
    for part in (model.unet, model.text_encoder):
        for name, layer in named_layers(part):
            packed = getattr(layer, "dense", None)
            found[name] = (packed() if packed else layer.weight).detach().clone()
            if getattr(layer, "bias", None) is not None:
                found[f"{name}.bias"] = layer.bias.detach().clone()
    return found


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k].view(torch.uint8), b[k].view(torch.uint8)) for k in a)


def changed(a: dict[str, Tensor], b: dict[str, Tensor]) -> set[str]:
    return {name for name in a if not torch.equal(a[name], b[name])}


def lora(path: Path, sizes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]], **metadata: str) -> NetworkRef:
    """A LoRA file with random tensors; `sizes`: layer to shapes of up and down."""
    generator = torch.Generator().manual_seed(len(path.stem))
    tensors = {}
    for name, (up, down) in sizes.items():
        tensors[f"{name}.lora_up.weight"] = torch.randn(up, generator=generator)
        tensors[f"{name}.lora_down.weight"] = torch.randn(down, generator=generator) * 0.2
        tensors[f"{name}.alpha"] = torch.tensor(1.0)
    save_file(tensors, path, metadata=metadata or None)
    return NetworkRef(kind="lora", name=path.stem, path=str(path))


WHOLE = {
    QUERY: ((32, 2), (2, 32)),
    VALUE: ((32, 2), (2, 64)),
    CONV: ((64, 2, 1, 1), (2, 64, 3, 3)),
    TEXT: ((128, 2), (2, 64)),
}


@pytest.fixture
def whole(tmp_path: Path) -> NetworkRef:
    return lora(tmp_path / "whole.safetensors", WHOLE)


def test_exactly_the_named_layers_change_by_up_times_down(model: LoadedModel, whole: NetworkRef) -> None:
    before = weights(model)
    assert use_networks(model, [whole.replace(text=0.5, unet=2.0)]).notices == ()
    after = weights(model)
    attention = "down_blocks.0.attentions.0.transformer_blocks.0.attn2"
    names = {f"{attention}.to_q", f"{attention}.to_v", "mid_block.resnets.0.conv1", "encoder.layers.1.mlp.fc1"}
    assert changed(before, after) == names
    file = ModelLayers.of(model)
    opened = open_lora(Path(whole.path), file)
    for (part, name), strength in (
        (("unet", f"{attention}.to_q"), 2.0),
        (("unet", "mid_block.resnets.0.conv1"), 2.0),
        (("text", "encoder.layers.1.mlp.fc1"), 0.5),
    ):
        parts = opened.parts((part, name), CPU)
        delta = (parts["up"].flatten(1) @ parts["down"].flatten(1)).view(before[name].shape) * strength / 2
        expected = (before[name].float() + delta).to(before[name].dtype)
        torch.testing.assert_close(after[name], expected, atol=1e-6, rtol=1e-2 if part == "unet" else 1e-5)


def test_every_way_leads_back_to_the_same_bits(model: LoadedModel, whole: NetworkRef, tmp_path: Path) -> None:
    other = lora(tmp_path / "other one.safetensors", {QUERY: ((32, 4), (4, 32)), CONV: WHOLE[CONV]})
    before = weights(model)
    use_networks(model, [whole])
    first = weights(model)
    for refs in (
        [whole, other],
        [other],
        [other.replace(unet=-1.5), whole.replace(text=0.0)],
        [whole.replace(unet=0.3)],
        [],
        [other],
        [whole],
    ):
        use_networks(model, refs)
    assert same(weights(model), first)
    use_networks(model, [])
    assert same(weights(model), before)
    assert model.changed.bytes_kept == 0


def test_strength_zero_is_no_network(model: LoadedModel, whole: NetworkRef) -> None:
    before = weights(model)
    use_networks(model, [whole.replace(text=0.0, unet=0.0)])
    assert same(weights(model), before)
    assert len(model.changed) == 0


def test_only_what_differs_is_merged_again(model: LoadedModel, whole: NetworkRef) -> None:
    use_networks(model, [whole])
    version = model.changed.version
    use_networks(model, [whole])
    assert model.changed.version == version
    use_networks(model, [whole.replace(text=0.5)])
    assert model.changed.version == version + 1


def test_originals_are_kept_of_changed_layers_only_and_in_half_precision(
    model: LoadedModel, whole: NetworkRef
) -> None:
    use_networks(model, [whole])
    elements = 32 * 32 + 32 * 64 + 64 * 64 * 9 + 64 * 128
    assert model.changed.bytes_kept == 2 * elements


def test_layers_that_the_model_lacks_are_told(model: LoadedModel, tmp_path: Path) -> None:
    strange = {"lora_unet_down_blocks_9_resnets_0_conv1": WHOLE[CONV]}
    notices = use_networks(model, [lora(tmp_path / "some.safetensors", {**WHOLE, **strange})]).notices
    assert len(notices) == 1 and "1 of 5 layers match nothing" in notices[0] and "'some'" in notices[0]
    notices = use_networks(model, [lora(tmp_path / "none.safetensors", strange)]).notices
    assert len(notices) == 1 and "none of its 1 layers" in notices[0]


def test_a_network_for_other_sizes_is_left_out(model: LoadedModel, tmp_path: Path, whole: NetworkRef) -> None:
    before = weights(model)
    wide = {QUERY: ((320, 2), (2, 320)), VALUE: ((320, 2), (2, 2048)), TEXT: ((128, 2), (2, 64))}
    notices = use_networks(model, [lora(tmp_path / "wide.safetensors", wide)]).notices
    assert len(notices) == 1 and "another kind of model" in notices[0]
    assert same(weights(model), before)
    use_networks(model, [whole])
    expected = weights(model)
    use_networks(model, [whole, lora(tmp_path / "wide.safetensors", wide)])
    assert same(weights(model), expected)


def test_a_single_layer_of_another_size_is_told(model: LoadedModel, tmp_path: Path) -> None:
    sizes = {**WHOLE, QUERY: ((32, 2), (2, 33))}
    before = weights(model)
    notices = use_networks(model, [lora(tmp_path / "odd.safetensors", sizes)]).notices
    assert len(notices) == 1 and "1 of 4 layers are of other sizes" in notices[0]
    assert len(changed(before, weights(model))) == 3


def test_a_missing_file_is_told(model: LoadedModel) -> None:
    with pytest.raises(ModelFileError, match="'gone'"):
        use_networks(model, [NetworkRef(kind="lora", name="gone", path="/nowhere/gone.safetensors")])


def test_merged_weights_can_take_part_in_training(model: LoadedModel, whole: NetworkRef) -> None:
    with torch.inference_mode():
        use_networks(model, [whole])
        use_networks(model, [whole.replace(unet=0.5)])
    changed_layers = [layer for _, layer in model.changed._kept.values()]
    assert not any(layer.weight.is_inference() for layer in changed_layers if hasattr(layer, "weight"))
    with torch.inference_mode():
        use_networks(model, [])
    assert not any(p.is_inference() for p in model.text_encoder.parameters())


def test_biases_and_norms_change_and_return(model: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "biases.safetensors"
    save_file(
        {
            "lora_unet_mid_block_resnets_0_norm1.w_norm": torch.full((64,), 0.5),
            "lora_unet_mid_block_resnets_0_norm1.b_norm": torch.full((64,), 0.25),
            f"{CONV}.diff_b": torch.ones(64),
            f"{QUERY}.diff": torch.ones(32, 32),
            f"{QUERY}.diff_b": torch.ones(32),
        },
        path,
    )
    before = weights(model)
    assert use_networks(model, [NetworkRef(kind="lora", name="b", path=str(path), unet=2.0)]).notices == ()
    after = weights(model)
    norm = "mid_block.resnets.0.norm1"
    found = {name.replace(".inner", "") for name in changed(before, after)}
    query = "down_blocks.0.attentions.0.transformer_blocks.0.attn2.to_q"
    assert found == {norm, f"{norm}.bias", "mid_block.resnets.0.conv1.bias", query}
    assert after.keys() - before.keys() == {f"{query}.bias"}
    use_networks(model, [])
    assert same(weights(model), before)


SPELLINGS = [
    ("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0.lora_up.weight", "up"),
    ("lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_out_0.lora_down.weight", "down"),
    ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_A.weight", "down"),
    ("unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight", "up"),
    ("down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.down.weight", "down"),
    ("base_model.model.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0.lora_B.default.weight", "up"),
    ("lycoris_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0.hada_w1_a", "hada_w1_a"),
    ("diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_out.0.lora_up.weight", "up"),
    ("oft_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0.oft_blocks", "oft_blocks"),
]
TEXT_SPELLINGS = [
    ("lora_te_text_model_encoder_layers_0_self_attn_q_proj.alpha", "alpha"),
    ("lora_te1_text_model_encoder_layers_0_self_attn_q_proj.dora_scale", "dora_scale"),
    ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_linear_layer.up.weight", "up"),
    ("text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight", "down"),
    ("base_model.model.text_model.encoder.layers.0.self_attn.q_proj.lora_magnitude_vector", "magnitude"),
]


@pytest.mark.parametrize(("name", "part"), SPELLINGS + TEXT_SPELLINGS)
def test_spellings(checkpoint: Path, loaded: LoadedModel, name: str, part: str) -> None:
    layer, found = split_part(name)
    assert found == part
    unet = ("unet", "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_out.0")
    text = ("text", "encoder.layers.0.self_attn.q_proj")
    assert ModelLayers.of(loaded).names.find(layer) == (text if (name, part) in TEXT_SPELLINGS else unet)


@pytest.mark.parametrize(
    ("diffusers", "original"),
    [
        (
            "down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q",
            "input_blocks_4_1_transformer_blocks_0_attn1_to_q",
        ),
        ("up_blocks_2_resnets_1_conv1", "output_blocks_7_0_in_layers_2"),
        ("time_embedding_linear_2", "time_embed_2"),
        ("conv_in", "input_blocks_0_0"),
        ("conv_out", "out_2"),
        ("down_blocks_0_downsamplers_0_conv", "input_blocks_3_0_op"),
        ("up_blocks_0_upsamplers_0_conv", "output_blocks_2_1_conv"),
        ("up_blocks_1_upsamplers_0_conv", "output_blocks_5_2_conv"),
        ("mid_block_resnets_1_norm2", "middle_block_2_out_layers_0"),
        ("up_blocks_2_resnets_1_conv_shortcut", "output_blocks_7_0_skip_connection"),
    ],
)
def test_both_namings_of_sd1_mean_the_same_layer(diffusers: str, original: str) -> None:
    with torch.device("meta"):
        unet = UNet2DConditionModel(cross_attention_dim=768)
    to_original = unet_keymap(UnetShape(4, 4, (320, 640, 1280, 1280), 2, (True, True, True, False), 768, False))
    spellings: dict[str, str] = {}
    for name, layer in unet.named_modules():
        if hasattr(layer, "weight"):
            spellings |= {name: name, to_original.to_original(name + ".weight").removesuffix(".weight"): name}
    names = LayerNames(SD1, {"unet": spellings, "text": {}})
    found = names.find(f"lora_unet_{diffusers}")
    assert found is not None
    assert names.find(f"lora_unet_{original}") == found


def test_scales_noted_in_metadata_are_used(model: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "peft.safetensors"
    name = "unet.mid_block.resnets.0.conv1"
    tensors = {f"{name}.lora_A.weight": torch.ones(2, 64, 3, 3), f"{name}.lora_B.weight": torch.ones(64, 2, 1, 1)}
    save_file(tensors, path, metadata={"lora_adapter_metadata": '{"unet.lora_alpha": 8, "unet.r": 2}'})
    before = weights(model)
    use_networks(model, [NetworkRef(kind="lora", name="p", path=str(path))])
    delta = weights(model)["mid_block.resnets.0.conv1"].float() - before["mid_block.resnets.0.conv1"].float()
    torch.testing.assert_close(delta, torch.full_like(delta, 8.0), atol=0.05, rtol=0)
