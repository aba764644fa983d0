"""Files of ours in every format, read by our readers and by diffusers'."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import torch
from diffusers.loaders.textual_inversion import TextualInversionLoaderMixin
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import CLIPTokenizer

from modules.engine.conditioning import PromptEncoder
from modules.engine.generate import generate
from modules.engine.loading.store import Store
from modules.engine.networks.apply import use_networks
from modules.engine.networks.embedding_files import read_embedding
from modules.engine.networks.lora import ModelLayers, open_lora
from modules.engine.networks.network import NetworkRef
from modules.engine.supplies import Supplies
from modules.engine.training.low_rank import LowRank
from modules.prompts.tokens import read_merges, vocabulary
from modules.schema.engine import NamedFile
from modules.schema.events import ImageDone, Notice
from modules.schema.request import GenerationRequest
from modules.schema.training import TrainingRequest
from tests.engine.training.runs import learned, make_job, pictures, reason, train
from tests.tiny import tiny_networks

CARRIER = {"create_image_every": 2, "save_image_with_stored_embedding": True}


@pytest.mark.parametrize("ending", ["safetensors", "pt", "png"])
def test_the_result_in_each_format(ending: str, tiny: Path, tmp_path: Path, store: Store) -> None:
    job = make_job(tmp_path, pictures(count=2), checkpoint=tiny, ending=ending, steps=2, **CARRIER)
    assert reason(list(train(job, store))) == "done"
    path, vectors = Path(job.files["result"]), learned(job)["learned"].view(4, 64)
    found = read_embedding(path)
    assert torch.equal(found.vectors[""], vectors)
    assert (found.name, found.step, found.checkpoint) == ("hermann", 2, "tiny")
    assert len(found.checkpoint_hash) == 10
    (carrier,) = (Path(job.files["run"]) / "image_embeddings").iterdir()
    assert torch.equal(read_embedding(carrier).vectors[""], vectors)
    if ending == "pt":
        table = torch.load(path, weights_only=True)
        assert table["string_to_token"] == {"*": 265}
        assert torch.equal(table["string_to_param"]["*"], vectors)
    if ending == "png":
        with Image.open(path) as card:
            assert min(card.size) >= 512


class Pipe(TextualInversionLoaderMixin):
    """As much of a diffusers pipeline as reading embeddings needs."""

    hf_device_map = None
    components: ClassVar[dict[str, object]] = {}

    def __init__(self) -> None:
        merges = read_merges()
        self.tokenizer = CLIPTokenizer(vocab=vocabulary(merges), merges=merges)
        self.text_encoder = tiny_networks()[2]


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_diffusers_reads_the_result(ending: str, tiny: Path, tmp_path: Path, store: Store) -> None:
    job = make_job(tmp_path, pictures(count=2), checkpoint=tiny, ending=ending, steps=2)
    list(train(job, store))
    pipe = Pipe()
    pipe.load_textual_inversion(job.files["result"], token="hermann")
    ids = pipe.tokenizer.convert_tokens_to_ids(["hermann", "hermann_1", "hermann_2", "hermann_3"])
    rows = pipe.text_encoder.get_input_embeddings().weight[ids]
    assert torch.equal(rows, learned(job)["learned"].view(4, 64))


def test_a_lora_is_of_kohyas_layout_and_acts_in_our_own_prompts(tiny: Path, tmp_path: Path, store: Store) -> None:
    job = make_job(tmp_path, pictures(count=4), checkpoint=tiny, steps=4, method="LoRA", lora_rank=2, lora_alpha=1.0,
                   lora_layers="Attention and convolutions", learn_rate="0.01")  # fmt: skip
    assert reason(list(train(job, store))) == "done"
    path = Path(job.files["result"])
    names = load_file(path)
    assert "lora_te_text_model_encoder_layers_0_self_attn_q_proj.lora_down.weight" in names
    key = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_out_0"
    assert names[f"{key}.lora_up.weight"].shape == (32, 2)
    assert float(names[f"{key}.alpha"]) == 1.0
    with safe_open(path, framework="pt") as file:
        noted = file.metadata()
    assert (noted["ss_network_module"], noted["ss_network_dim"], noted["ss_steps"]) == ("networks.lora", "2", "4")
    model = store.get(job.model, "fp32")
    found = open_lora(path, ModelLayers.of(model))
    assert not found.unmatched
    assert not found.unknown
    request = GenerationRequest(prompt="a cat", seed=1, subseed=1, steps=2, width=64, height=64)
    named = (NamedFile(kind="lora", name="hermann", path=str(path)),)

    def draw(prompt: str) -> bytes:
        events = list(generate(request.replace(prompt=prompt), model, encoder=PromptEncoder(),
                               supplies=Supplies(named=named)))  # fmt: skip
        assert not [event for event in events if isinstance(event, Notice)]
        return next(event.pixels for event in events if isinstance(event, ImageDone))

    assert draw("a cat") != draw("a cat <lora:hermann:1>")


def test_what_is_learned_is_what_the_file_does(tiny: Path, tmp_path: Path, store: Store) -> None:
    """The branches of the training, and the file merged into the weights, give the same prediction."""
    job = make_job(tmp_path, pictures(count=4), checkpoint=tiny, steps=4, method="LoRA", lora_rank=2,
                   lora_layers="Attention and convolutions", learn_rate="0.01")  # fmt: skip
    list(train(job, store))
    model = store.get(job.model, "fp32")
    generator = torch.Generator().manual_seed(1)
    x, words = torch.randn(1, 4, 8, 8, generator=generator), torch.randn(1, 77, 64, generator=generator)
    time = torch.tensor([500])
    assert isinstance(job.request, TrainingRequest)
    with LowRank(job.request, model).acting(model, model.text_encoder, learned(job)["learned"]):
        branches = model.network(x, time, words)
    use_networks(model, ())
    plain = model.network(x, time, words.clone())
    use_networks(model, [NetworkRef(kind="lora", name="hermann", path=job.files["result"])])
    merged = model.network(x, time, words.clone())
    use_networks(model, ())
    change = float((branches - plain).norm())
    assert change > 0.01 * float(plain.norm())
    assert float((merged - branches).norm()) < 0.01 * change
