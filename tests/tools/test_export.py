"""The written file gives, through the product's loader, what the trained networks give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from modules.engine.loading.load import load_model
from modules.prompts.chunks import chunk_prompt
from modules.schema.engine import ModelRef
from tools.miniature import nets
from tools.miniature.autoencoder import as_input, round_trip, whiten
from tools.miniature.diffusion import start_quiet
from tools.miniature.export import Networks, export
from tools.miniature.lincode import start_linear
from tools.miniature.nets import Sizes
from tools.miniature.passes import run_text, run_unet
from tools.miniature.wording import Wording
from tools.miniature.world.draw import draw
from tools.miniature.world.sampling import sample

TINY = Sizes(unet_channels=(32, 64), vae_channels=(16, 16, 32, 32), vae_groups=4, text_width=32, text_layers=2)
TEXT = "a red circle on grue blue"


@pytest.fixture(scope="module")
def networks() -> Networks:
    torch.manual_seed(0)
    wording = Wording((320, 736, 1746, 7479, 49406, 49407))
    unet, vae, text = nets.build_unet(TINY), nets.build_vae(TINY), nets.build_text(TINY, wording.size)
    # What fp16 can hold, so that the file holds exactly these weights.
    for network in (unet, vae, text):
        network.requires_grad_(False).eval().half().float()
    return Networks(unet, vae, text, wording)


@pytest.fixture(scope="module")
def file(networks: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "m.safetensors"
    assert export(path, networks, TINY, {"license": "MIT"}) == path.stat().st_size
    return path


def test_the_product_runs_what_was_trained(networks: Networks, file: Path) -> None:
    model = load_model(ModelRef(checkpoint=str(file)), torch.device("cpu"), torch.float32)
    assert model.native_size == (128, 128)
    assert model.info == {"Model": "m"}
    tokens = torch.tensor([chunk_prompt(TEXT, networks.wording.tokenizer)[0].tokens])
    with torch.no_grad():
        said = model.text_encoder(input_ids=tokens).last_hidden_state
        ours = run_text(networks.text, networks.wording.batch([TEXT]))
        assert torch.allclose(said, ours, atol=1e-5)
        x, t = torch.randn(1, 4, 12, 16), torch.tensor([500])
        assert torch.allclose(model.network(x, t, said), run_unet(networks.unet, x, t, ours), atol=1e-4)
        pixels, notices = model.decode(x)
        decoded = nets.decode(networks.vae, x / model.latent_scale)
    assert not notices
    wanted = decoded.add(1).mul(127.5).round().clamp(0, 255).movedim(1, -1)
    assert (pixels.float() - wanted).abs().max() <= 1


def test_every_tensor_comes_back_bit_by_bit(networks: Networks, file: Path) -> None:
    model = load_model(ModelRef(checkpoint=str(file)), torch.device("cpu"), torch.float32)
    found = dict(model.text_encoder.named_parameters())
    for name, tensor in networks.text.named_parameters():
        if "token_embedding" not in name:
            assert torch.equal(found[name], tensor)
    rows = found["embeddings.token_embedding.weight"]
    small = networks.text.get_parameter("embeddings.token_embedding.weight")
    assert rows.shape == (49408, TINY.text_width)
    assert torch.equal(rows[320], small[1])
    assert torch.equal(rows[1000], small[0])


def test_a_weight_too_large_for_the_file_is_refused(networks: Networks, tmp_path: Path) -> None:
    broken = nets.build_vae(TINY)
    torch.nn.init.constant_(broken.quant_conv.bias, 1e6)
    with pytest.raises(ValueError, match="fp16"):
        export(tmp_path / "m.safetensors", replace(networks, vae=broken), TINY, {})


def test_the_autoencoder_starts_with_the_mean_colour_of_each_block() -> None:
    torch.manual_seed(1)
    vae = nets.build_vae(TINY)
    pictures = [draw(sample(k, "train", 1)) for k in range(4)]
    stacked = torch.stack([as_input(picture[None])[0] for picture in pictures])
    start_linear(vae, stacked)
    with torch.no_grad():
        decoded = nets.decode(vae, nets.encode(vae, stacked))
    blocks = torch.nn.functional.avg_pool2d(stacked, 8).repeat_interleave(8, 2).repeat_interleave(8, 3)
    assert (decoded - blocks).abs().mean() < 0.03


def test_whitening_does_not_change_pictures() -> None:
    torch.manual_seed(2)
    vae = nets.build_vae(TINY).requires_grad_(False)
    pictures = torch.stack([torch.from_numpy(draw(sample(k, "train", 3))) for k in range(4)]).numpy()
    before, _ = round_trip(vae, pictures)
    whiten(vae, pictures)
    after, _ = round_trip(vae, pictures)
    assert abs(before.astype(int) - after.astype(int)).max() <= 1
    codes = nets.encode(vae, as_input(pictures)).movedim(1, -1).flatten(0, 2) * 0.18215
    assert torch.allclose(torch.cov(codes.T), torch.eye(4), atol=1e-2)


def test_a_new_unet_says_nothing() -> None:
    unet = nets.build_unet(TINY)
    start_quiet(unet)
    with torch.no_grad():
        said = run_unet(unet, torch.randn(1, 4, 8, 8), torch.tensor([3]), torch.randn(1, 77, TINY.text_width))
    assert not said.any()
