"""What one does with a loaded model: run it, decode, preview; and what happens when numbers go wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from modules.engine.loading.load import load_model
from modules.engine.loading.model import LoadedModel, plain_copy
from modules.engine.loading.packing import PackedConv2d
from modules.engine.loading.preview import fit_matrix, preview
from modules.schema.engine import ModelRef
from modules.schema.errors import NotANumber
from tests.tiny import tiny_networks, write_tiny_sd1

CPU = torch.device("cpu")
MINIATURE = Path(__file__).resolve().parents[3] / "models/Stable-diffusion/miniature.safetensors"


@pytest.fixture
def model(tiny: Path) -> LoadedModel:
    return load_model(ModelRef(checkpoint=str(tiny)), CPU, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_network_takes_and_gives_fp32(tiny: Path, latents: Tensor, words: Tensor, dtype: torch.dtype) -> None:
    model = load_model(ModelRef(checkpoint=str(tiny)), CPU, dtype)
    unet = tiny_networks()[0]
    t = torch.tensor([3.0, 999.0])
    out = model.network(latents, t, words)
    with torch.no_grad():
        expected = unet(latents, t, words).sample
    assert out.dtype == torch.float32
    assert not out.requires_grad
    tolerance = 1e-5 if dtype == torch.float32 else 0.1
    torch.testing.assert_close(out, expected, atol=tolerance, rtol=0)


def test_decoded_pictures_are_the_same_alone_and_in_a_batch(model: LoadedModel, latents: Tensor) -> None:
    together, notices = model.decode(latents)
    alone, _ = model.decode(latents[1:])
    assert notices == []
    assert together.dtype == torch.uint8
    assert together.shape == (2, 64, 64, 3)
    assert torch.equal(together[1:], alone)
    vae = tiny_networks()[1]
    with torch.no_grad():
        expected = vae.decode(latents / 0.18215).sample.add(1).mul(127.5).clamp(0, 255).movedim(1, -1)
    assert (together - expected).abs().max() <= 0.51


@pytest.mark.engine
def test_a_model_in_bf16_decodes_nearly_as_in_fp32() -> None:
    exact = load_model(ModelRef(checkpoint=str(MINIATURE)), CPU, torch.float32)
    quick = load_model(ModelRef(checkpoint=str(MINIATURE)), CPU, torch.bfloat16)
    slopes = torch.stack([torch.linspace(-0.9, end, 128).expand(128, 128) for end in (0.9, -0.7, -0.88)])
    latents, _ = exact.encode(slopes.unsqueeze(0))
    (drawn, _), (expected, _) = quick.decode(latents), exact.decode(latents)
    apart = (drawn.int() - expected.int()).abs()
    assert apart.max() <= 3
    assert apart.float().mean() < 0.6


def overflowing(path: Path, dtype: torch.dtype) -> LoadedModel:
    """A model whose decoder overflows fp16 but not fp32: activations of 1e5, brought back at the end."""
    model = load_model(ModelRef(checkpoint=str(path)), CPU, torch.float32)
    vae = tiny_networks()[1]
    with torch.no_grad():
        for parameter in (vae.decoder.conv_in.weight, vae.decoder.conv_in.bias):
            parameter.mul_(1e5)
    model.vae, model.vae_dtype = vae.to(dtype), dtype
    return model


def test_a_decode_that_gives_nan_is_done_again_in_fp32_and_says_so(tiny: Path, latents: Tensor) -> None:
    model = overflowing(tiny, torch.float16)
    with torch.no_grad():
        assert not torch.isfinite(model.vae.decode(latents.half() * 5).sample).all()
    pictures, notices = model.decode(latents)
    expected, none = overflowing(tiny, torch.float32).decode(latents)
    assert len(notices) == 1
    assert "fp16" in notices[0]
    assert "fp32" in notices[0]
    assert none == []
    assert (pictures.int() - expected.int()).abs().float().mean() < 1
    assert next(model.vae.parameters()).dtype == torch.float16, "the next picture starts as this one did"


def test_a_copy_of_packed_layers_can_change_its_format(tiny: Path, latents: Tensor) -> None:
    model = load_model(ModelRef(checkpoint=str(tiny)), CPU, torch.float32)
    assert any(isinstance(layer, PackedConv2d) for layer in model.vae.modules())
    exact = plain_copy(model.vae).double()
    assert not any(isinstance(layer, PackedConv2d) for layer in exact.modules())
    with torch.no_grad():
        torch.testing.assert_close(
            exact.decode(latents.double()).sample.float(), model.vae.decode(latents).sample, atol=1e-5, rtol=0
        )


def test_nan_in_fp32_is_an_error(model: LoadedModel, latents: Tensor) -> None:
    model.vae.post_quant_conv.bias.fill_(float("nan"))
    with pytest.raises(NotANumber, match="VAE"):
        model.decode(latents)


def test_nan_from_the_network_is_an_error(model: LoadedModel) -> None:
    with pytest.raises(NotANumber, match="precision"):
        model.decode(torch.full((1, 4, 8, 8), float("nan")))


def correlation(a: Tensor, b: Tensor) -> float:
    pair = torch.stack([a.double().flatten(), b.double().flatten()])
    return float(torch.corrcoef(pair)[0, 1])


@pytest.mark.engine
@pytest.mark.parametrize("fitted", [False, True])
def test_a_preview_looks_like_the_picture(fitted: bool) -> None:
    """Pictures the matrix was not fitted on: discs on a background, through the miniature's own autoencoder; with the
    file's own matrix, and with one fitted as for files that have none."""
    model = load_model(ModelRef(checkpoint=str(MINIATURE)), CPU, torch.float32)
    assert model.preview_matrix is not None
    if fitted:
        model.preview_matrix = None
    generator = torch.Generator().manual_seed(9)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 128), torch.linspace(-1, 1, 128), indexing="ij")
    disc = ((x**2 + y**2) < 0.4).float()
    colours = torch.rand(6, 2, 3, 1, 1, generator=generator) * 2 - 1
    drawn = colours[:, 0] * disc + colours[:, 1] * (1 - disc)
    with torch.no_grad():
        latents = model.vae.encode(drawn).latent_dist.mode() * model.latent_scale
    decoded = F.avg_pool2d(model.decode(latents)[0].movedim(-1, 1).float(), 8).movedim(1, -1)
    shown = model.preview_rgb(latents)
    assert shown.shape == (6, 16, 16, 3)
    assert shown.dtype == torch.uint8
    assert correlation(shown, decoded) > 0.9
    assert (shown - decoded).abs().mean() < 25


def test_a_linear_latent_space_is_fitted_exactly() -> None:
    """A stand-in autoencoder whose latents are known mixtures of the mean colour."""
    mix = torch.tensor([[0.5, 0.1, 0.0, 0.3], [0.0, 0.4, 0.2, -0.2], [0.1, 0.0, 0.6, 0.1]])

    class Linear:
        encoder = torch.nn.Module()

        def encode(self, pictures: Tensor) -> object:
            means = torch.einsum("bchw,cl->blhw", F.avg_pool2d(pictures, 8), mix) + 0.25
            mode = type("Mode", (), {"mode": lambda _: means})()
            return type("Encoded", (), {"latent_dist": mode})()

    Linear.encoder.conv_out = torch.nn.Conv2d(1, 1, 1)
    matrix = fit_matrix(Linear(), 0.5, 8)
    colour = torch.tensor([0.5, -0.25, 0.75])
    shown = preview(((colour @ mix + 0.25) * 0.5)[None, :, None, None], matrix)
    expected = (colour + 1) * 127.5
    assert (shown[0, 0, 0] - expected).abs().max() < 4


def test_a_matrix_in_the_file_is_used(tmp_path: Path) -> None:
    rows = "[[1,0,0],[0,1,0],[0,0,1],[0,0,0],[0,0,0]]"
    path = write_tiny_sd1(tmp_path / "m.safetensors", metadata={"config": f'{{"preview_rgb": {rows}}}'})
    model = load_model(ModelRef(checkpoint=str(path)), CPU, torch.float32)
    latent = torch.tensor([1.0, -1.0, 0.0, 5.0])[None, :, None, None]
    assert model.preview_rgb(latent).tolist() == [[[[255, 0, 128]]]]


def test_previews_of_broken_numbers_do_not_fail(model: LoadedModel) -> None:
    assert model.preview_rgb(torch.full((1, 4, 2, 2), float("nan"))).shape == (1, 2, 2, 3)
