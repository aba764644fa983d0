"""From files of every supported kind to networks that give the very numbers of the networks they were made from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from modules.engine.loading.keymap import TEXT_PREFIX, VAE_PREFIX
from modules.engine.loading.load import load_model
from modules.engine.loading.model import LoadedModel
from modules.schema.engine import ModelRef
from modules.schema.errors import ModelFileError
from tests.tiny import save_diffusers, tiny_networks, tiny_tensors, write_tiny_sd1

CPU = torch.device("cpu")
TOKENS = torch.tensor([[49406, 320, 1125, 49407]])


def load(path: Path, **options: object) -> LoadedModel:
    return load_model(ModelRef(checkpoint=str(path), **options), CPU, torch.float32)


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(ModelFileError) as caught:
        load(path, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def without(prefix: str) -> dict[str, Tensor]:
    return {k: v for k, v in tiny_tensors().items() if not k.startswith(prefix)}


def assert_same(model: LoadedModel, latents: Tensor, words: Tensor, networks: tuple[nn.Module, ...]) -> None:
    """UNet, decoder and text encoder agree with `networks`."""
    unet, vae, text = networks
    t = torch.tensor([500.0, 20.5])
    with torch.no_grad():
        expected = unet(latents, t, words).sample
        torch.testing.assert_close(model.network(latents, t, words), expected, atol=1e-5, rtol=0)
        picture = vae.decode(latents[:1]).sample
        torch.testing.assert_close(model.vae.decode(latents[:1]).sample, picture, atol=1e-5, rtol=0)
        states = text(TOKENS).last_hidden_state
        torch.testing.assert_close(model.text_encoder(TOKENS).last_hidden_state, states, atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, ...]:
    return tiny_networks()


@pytest.mark.parametrize("ending", ["safetensors", "ckpt", "pt"])
def test_single_files(
    tmp_path: Path, ending: str, latents: Tensor, words: Tensor, networks: tuple[nn.Module, ...]
) -> None:
    model = load(write_tiny_sd1(tmp_path / f"tiny.{ending}", extra={"global_step": 1}))
    assert_same(model, latents, words, networks)
    assert model.info == {"Model": "tiny"}
    assert model.native_size == (512, 512)
    assert model.prediction == "epsilon"
    assert not model.inpainting


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files(
    tmp_path: Path, dtype: torch.dtype, latents: Tensor, words: Tensor, networks: tuple[nn.Module, ...]
) -> None:
    rounded = tiny_networks()
    for network in rounded:
        network.to(dtype).float()
    assert_same(load(write_tiny_sd1(tmp_path / "tiny.safetensors", dtype=dtype)), latents, words, rounded)


def test_old_files_without_text_model_in_their_names(
    tmp_path: Path, latents: Tensor, words: Tensor, networks: tuple[nn.Module, ...]
) -> None:
    tensors = {k.replace("transformer.text_model.", "transformer."): v for k, v in tiny_tensors().items()}
    tensors[TEXT_PREFIX + "embeddings.position_ids"] = torch.arange(77)[None]
    save_file(tensors, tmp_path / "old.safetensors")
    assert_same(load(tmp_path / "old.safetensors"), latents, words, networks)


def test_a_diffusers_folder(tmp_path: Path, latents: Tensor, words: Tensor, networks: tuple[nn.Module, ...]) -> None:
    folder = save_diffusers(tmp_path / "model", networks)
    index = {"_class_name": "StableDiffusionPipeline", "unet": [], "vae": [], "text_encoder": []}
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "scheduler").mkdir()
    (folder / "scheduler" / "scheduler_config.json").write_text('{"prediction_type": "v_prediction"}')
    model = load(folder)
    assert_same(model, latents, words, networks)
    assert model.info == {"Model": "model"}
    assert model.prediction == "v"
    assert "EMA" in refusal(folder, use_ema=True)
    shutil.rmtree(folder / "vae")
    assert "vae" in refusal(folder)


def test_averaged_weights(tmp_path: Path, latents: Tensor, words: Tensor, networks: tuple[nn.Module, ...]) -> None:
    path = write_tiny_sd1(tmp_path / "full.safetensors", ema=True)
    assert_same(load(path), latents, words, networks)
    averaged = tiny_networks()
    with torch.no_grad():
        for parameter in averaged[0].parameters():
            parameter.mul_(0.5)
    assert_same(load(path, use_ema=True), latents, words, averaged)


def test_averaged_weights_that_are_not_there(tiny: Path) -> None:
    assert "no EMA weights" in refusal(tiny, use_ema=True)


def test_an_inpainting_model_is_told_that_all_is_masked(tmp_path: Path, latents: Tensor, words: Tensor) -> None:
    model = load(write_tiny_sd1(tmp_path / "inpaint.safetensors", inpaint=True))
    unet, vae, _ = tiny_networks(inpaint=True)
    assert model.inpainting
    t = torch.tensor([500.0, 500.0])
    with torch.no_grad():
        grey = vae.encode(torch.zeros(1, 3, 64, 64)).latent_dist.mode() * 0.18215
        extra = torch.cat([torch.ones(1, 1, 8, 8), grey], 1).expand(2, -1, -1, -1)
        expected = unet(torch.cat([latents, extra], 1), t, words).sample
    torch.testing.assert_close(model.network(latents, t, words), expected, atol=1e-5, rtol=0)


def with_prefix(vae: nn.Module) -> dict[str, Tensor]:
    return {k: v for k, v in tiny_tensors(seed=5).items() if k.startswith(VAE_PREFIX)}


def bare(vae: nn.Module) -> dict[str, Tensor]:
    extra = {"loss.logvar": torch.zeros(1), "model_ema.decay": torch.ones(1)}
    return {k.removeprefix(VAE_PREFIX): v for k, v in with_prefix(vae).items()} | extra


def old_diffusers(vae: nn.Module) -> dict[str, Tensor]:
    old = {"to_q.": "query.", "to_k.": "key.", "to_v.": "value.", "to_out.0.": "proj_attn."}
    found = {}
    for name, value in vae.state_dict().items():
        for new, former in old.items():
            name = name.replace(new, former)
        found[name] = value
    return found


@pytest.mark.parametrize("layout", [with_prefix, bare, old_diffusers, nn.Module.state_dict])
@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_autoencoders_of_their_own(tiny: Path, tmp_path: Path, layout: object, ending: str, latents: Tensor) -> None:
    vae = tiny_networks(seed=5)[1]
    path = tmp_path / f"other.vae.{ending}"
    tensors = dict(layout(vae))
    if ending == "safetensors":
        save_file(tensors, path)
    else:
        torch.save({"state_dict": tensors}, path)
    model = load(tiny, vae=str(path))
    assert model.info == {"Model": "tiny", "VAE": path.name}
    with torch.no_grad():
        expected = vae.decode(latents).sample
        torch.testing.assert_close(model.vae.decode(latents).sample, expected, atol=1e-5, rtol=0)


def test_a_vae_file_makes_up_for_a_missing_autoencoder(tiny: Path, tmp_path: Path) -> None:
    save_file(without(VAE_PREFIX), tmp_path / "unet-and-text.safetensors")
    assert "VAE" in refusal(tmp_path / "unet-and-text.safetensors")
    assert load(tmp_path / "unet-and-text.safetensors", vae=str(tiny)).info["VAE"] == tiny.name


def test_a_file_that_is_no_vae(tiny: Path, tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "a.safetensors")
    assert refusal(tiny, vae=str(tmp_path / "a.safetensors")).startswith("a.safetensors is not a VAE")


def test_missing_text_encoder(tmp_path: Path) -> None:
    save_file(without(TEXT_PREFIX), tmp_path / "no-text.safetensors")
    assert "no text encoder" in refusal(tmp_path / "no-text.safetensors")


def test_missing_and_unexpected_tensors_are_counted_and_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    name = "model.diffusion_model.input_blocks.1.0.out_layers.3.weight"
    tensors = tiny_tensors()
    del tensors[name]
    save_file(tensors, path)
    assert "1 tensors are missing, such as down_blocks.0.resnets.0.conv2.weight" in refusal(path)
    save_file({**tiny_tensors(), "model.diffusion_model.label_emb.0.0.weight": torch.zeros(2, 2)}, path)
    assert "1 tensors too many, such as model.diffusion_model.label_emb.0.0.weight" in refusal(path)
    save_file({**tiny_tensors(), name: torch.zeros(64, 64, 3, 3)}, path)
    assert name in refusal(path)
    save_file({**tiny_tensors(), "alphas_cumprod": torch.zeros(1000), "control_unrelated.x": torch.zeros(1)}, path)
    assert load(path).native_size == (512, 512)


def test_what_shapes_cannot_tell_comes_from_the_metadata(tmp_path: Path, latents: Tensor, words: Tensor) -> None:
    config = {
        "unet": {"attention_head_dim": 2},
        "text": {"num_attention_heads": 4},
        "prediction_type": "v_prediction",
    }
    metadata = {"config": json.dumps(config), "modelspec.resolution": "64x96"}
    model = load(write_tiny_sd1(tmp_path / "tiny.safetensors", metadata=metadata))
    assert model.native_size == (64, 96)
    assert model.prediction == "v"
    assert model.unet.down_blocks[0].attentions[0].transformer_blocks[0].attn1.heads == 2
    assert model.text_encoder.config.num_attention_heads == 4


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"unet": {"attention_head_dim": 7}}, "7 attention heads"),
        ({"unet": {"attention_head_dim": "8"}}, "attention_head_dim"),
        ({"unet": {"norm_num_groups": 0}}, "norm_num_groups"),
        ({"vae": {"scaling_factor": -1}}, "scaling_factor"),
        ({"prediction_type": "sample"}, "prediction type"),
        ({"prediction_type": ["v"]}, "prediction type"),
        ({"text": {"hidden_act": "__import__"}}, "activation"),
        ({"beta_schedule": "cosine"}, "noise schedule"),
        ({"beta_start": 2}, "betas"),
        ({"preview_rgb": [[1, 2, 3]]}, "preview_rgb"),
        (["a"], "config"),
    ],
)
def test_metadata_that_makes_no_sense_is_refused(tmp_path: Path, config: object, words: str) -> None:
    path = write_tiny_sd1(tmp_path / "tiny.safetensors", metadata={"config": json.dumps(config)})
    assert words in refusal(path)


def test_nothing_is_changed_in_the_file(tiny: Path, latents: Tensor, words: Tensor) -> None:
    before = load_file(tiny)
    model = load(tiny)
    model.network(latents, torch.tensor([1.0, 1.0]), words)
    model.decode(latents)
    after = load_file(tiny)
    assert all(torch.equal(before[k], after[k]) for k in before)


def test_networks_want_no_gradients(tiny: Path) -> None:
    model = load(tiny)
    for network in (model.unet, model.vae, model.text_encoder):
        assert not network.training
        assert not any(p.requires_grad for p in network.parameters())
