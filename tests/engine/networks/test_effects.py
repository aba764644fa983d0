"""What networks and embeddings do to pictures of the embedded model."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from modules.engine.conditioning import PromptEncoder, tokenizer
from modules.engine.generate import generate
from modules.engine.loading.changed import named_layers
from modules.engine.loading.load import load_model
from modules.engine.loading.model import LoadedModel
from modules.engine.networks.embedding_files import Embedding, write_pt, write_safetensors
from modules.engine.supplies import Supplies
from modules.schema.engine import ModelRef, NamedFile
from modules.schema.events import Event, ImageDone, Notice
from modules.schema.request import GenerationRequest
from tests.engine.pictures import MINIATURE, pictures

pytestmark = pytest.mark.engine

BASE = GenerationRequest(prompt="a red background", steps=10, width=128, height=128, cfg_scale=5, seed=7, subseed=7)
Drawing = tuple[np.ndarray, list[Event]]
Draw = Callable[..., Drawing]


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(ModelRef(checkpoint=str(MINIATURE)), torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, model: LoadedModel) -> tuple[NamedFile, ...]:
    """A LoRA that turns the values of all cross-attention round, one of the text encoder, a hypernetwork, and
    embeddings that are the words "blue" and "green", and two unusable ones."""
    folder = tmp_path_factory.mktemp("networks")
    turned, text = {}, {}
    for name, layer in named_layers(model.unet):
        if name.endswith("attn2.to_v"):
            weight = layer.weight.detach()
            base = f"lora_unet_{name.replace('.', '_')}"
            turned |= {f"{base}.lora_up.weight": -weight, f"{base}.lora_down.weight": torch.eye(weight.shape[1])}
    for name, layer in named_layers(model.text_encoder):
        if name.endswith("fc2"):
            weight = layer.weight.detach()
            base = f"lora_te_text_model_{name.replace('.', '_')}"
            text |= {f"{base}.lora_up.weight": -weight, f"{base}.lora_down.weight": torch.eye(weight.shape[1])}
    save_file(turned, folder / "turned.safetensors")
    save_file(text, folder / "te.safetensors")
    width = model.text_encoder.config.hidden_size
    torch.manual_seed(1)
    pair = [{"linear.0.weight": torch.randn(width, width) * 0.2, "linear.0.bias": torch.zeros(width)}] * 2
    torch.save({width: pair, "activation_func": "linear", "name": "hyper"}, folder / "hyper.pt")
    rows = model.text_encoder.embeddings.token_embedding.weight.detach()
    (blue,), (green,) = tokenizer().encode("blue"), tokenizer().encode("green")
    write_pt(folder / "qwzx.pt", Embedding("qwzx", {"": rows[[blue]]}))
    write_safetensors(folder / "vbnk.safetensors", Embedding("vbnk", {"": rows[[green, green]]}))
    save_file({"emb_params": torch.full((1, width), float("nan"))}, folder / "spoilt.safetensors")
    save_file({"emb_params": torch.ones(1, 768)}, folder / "wide.safetensors")
    kinds = {"turned": "lora", "te": "lora", "hyper": "hypernet"}
    return tuple(
        NamedFile(kind=kinds.get(path.stem, "embedding"), name=path.stem, path=str(path))
        for path in sorted(folder.iterdir())
    )


@pytest.fixture(scope="module")
def draw(model: LoadedModel, files: tuple[NamedFile, ...]) -> Draw:
    encoder = PromptEncoder()

    @cache
    def drawn(prompt: str, negative: str = "") -> Drawing:
        request = BASE.replace(prompt=prompt, negative_prompt=negative)
        events = list(
            generate(request, model, encoder=encoder, previews_per_second=0, supplies=Supplies(named=files))
        )
        (picture,) = pictures(events)
        return picture, events

    return drawn


def far(a: Drawing, b: Drawing) -> float:
    """Mean difference in levels of 255."""
    return float(np.abs(a[0] - b[0]).mean())


def notices(drawing: Drawing) -> list[str]:
    return [event.text for event in drawing[1] if isinstance(event, Notice)]


def test_a_lora_acts_with_its_weight_and_not_at_all_at_zero(draw: Draw) -> None:
    plain = draw("a red background")
    zero, half, whole = (draw(f"a red background<lora:turned:{weight}>") for weight in (0, 0.5, 1))
    assert np.array_equal(plain[0], zero[0])
    assert far(plain, half) > 2
    assert far(plain, whole) > far(plain, half)
    again = draw("a red background", " ")
    assert np.array_equal(plain[0], again[0]), "the LoRA left traces"


def test_the_weights_of_text_encoder_and_unet_are_told_apart(draw: Draw) -> None:
    plain = draw("a red background")
    assert np.array_equal(plain[0], draw("a red background<lora:te:0:1>")[0])
    assert far(plain, draw("a red background<lora:te:1:0>")) > 2
    assert np.array_equal(plain[0], draw("a red background<lora:turned:te=1:unet=0>")[0])


def test_lyco_is_another_word_for_lora(draw: Draw) -> None:
    assert np.array_equal(draw("a red background<lora:turned:0.5>")[0], draw("a red background<lyco:turned:0.5>")[0])


def test_a_hypernetwork_acts_with_its_strength(draw: Draw, model: LoadedModel) -> None:
    plain = draw("a red background")
    assert np.array_equal(plain[0], draw("a red background<hypernet:hyper:0>")[0])
    weak, strong = (draw(f"a red background<hypernet:hyper:{s}>") for s in (0.3, 1))
    assert 0 < far(plain, weak) < far(plain, strong)
    draw("a red background", "  ")
    assert isinstance(next(m for n, m in model.unet.named_modules() if n.endswith("attn2.to_k")), nn.Linear)


def test_an_embedding_of_a_words_vector_draws_as_that_word(draw: Draw) -> None:
    assert np.array_equal(draw("a qwzx background")[0], draw("a blue background")[0])
    assert np.array_equal(draw("a QWZX background")[0], draw("a blue background")[0])
    assert far(draw("a qwzx background"), draw("a red background")) > 5


def test_an_embedding_may_have_several_vectors_and_an_emphasis(draw: Draw) -> None:
    assert np.array_equal(draw("a vbnk background")[0], draw("a green green background")[0])
    assert np.array_equal(draw("a (vbnk:1.3) background")[0], draw("a (green green:1.3) background")[0])


def test_an_embedding_acts_in_the_negative_prompt(draw: Draw) -> None:
    assert np.array_equal(draw("a background", "qwzx")[0], draw("a background", "blue")[0])
    assert far(draw("a background", "qwzx"), draw("a background")) > 1


def test_hashes_of_the_embeddings_in_use_are_facts(draw: Draw) -> None:
    (image,) = (event for event in draw("a qwzx background", "vbnk")[1] if isinstance(event, ImageDone))
    found = dict(part.split(": ") for part in image.facts["TI hashes"].split(", "))
    assert found.keys() == {"qwzx", "vbnk"}
    assert all(len(digits) == 12 for digits in found.values())
    (image,) = (event for event in draw("a red background")[1] if isinstance(event, ImageDone))
    assert "TI hashes" not in image.facts


def test_unusable_embeddings_are_told_by_name_and_read_as_text(draw: Draw) -> None:
    told = " ".join(notices(draw("a red background")))
    assert "'spoilt'" in told and "no numbers" in told
    assert "'wide'" in told and "768" in told


def test_a_weight_that_is_no_number_is_told(draw: Draw) -> None:
    strange = draw("a red background<lora:turned:x>")
    assert any("'x' is no number" in sentence for sentence in notices(strange))
    assert np.array_equal(strange[0], draw("a red background<lora:turned:1>")[0])


def test_embeddings_bundled_with_a_lora_are_words_while_it_acts(
    draw: Draw, model: LoadedModel, files: tuple[NamedFile, ...], tmp_path: Path
) -> None:
    by_name = {file.name: file for file in files}
    turned = by_name["turned"]
    rows = model.text_encoder.embeddings.token_embedding.weight.detach()
    (blue,) = tokenizer().encode("blue")
    path = tmp_path / "bundle.safetensors"
    save_file({**load_file(turned.path), "bundle_emb.jkqz.string_to_param.*": rows[[blue]]}, path)
    named = (NamedFile(kind="lora", name="bundle", path=str(path)), turned)

    def picture(prompt: str) -> np.ndarray:
        request = BASE.replace(prompt=prompt)
        return pictures(list(generate(request, model, previews_per_second=0, supplies=Supplies(named=named))))[0]

    assert np.array_equal(
        picture("a jkqz background<lora:bundle:0.2>"), picture("a blue background<lora:turned:0.2>")
    )
