"""Texts of a training are encoded as those of a picture, and gradients reach the new vectors alone."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modules.engine.conditioning import PromptEncoder, tokenizer
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.store import Store
from modules.engine.networks.embedding_files import Embedding, write_safetensors
from modules.engine.networks.prompted import use_prompted
from modules.engine.training.encoding import TrainingText
from modules.schema.engine import ModelRef, NamedFile
from modules.schema.request import GenerationRequest

LONG = "a red house, " * 30 + "(by hermann:1.4)"


@pytest.fixture(scope="module")
def model(tiny: Path, store: Store) -> LoadedModel:
    return store.get(ModelRef(checkpoint=str(tiny)), "fp32")


def vectors() -> torch.Tensor:
    return torch.randn(3, 64, generator=torch.Generator().manual_seed(4))


@pytest.mark.parametrize("text", ["a cat by hermann", "(a cat:1.3) by (hermann:0.7), [tree]", LONG, "no such word"])
@pytest.mark.parametrize("values", [{}, {"clip_skip": 2}, {"emphasis": "No norm"}, {"emphasis": "None"}], ids=str)
def test_as_in_generation(text: str, values: dict[str, object], model: LoadedModel, tmp_path: Path) -> None:
    path = tmp_path / "hermann.safetensors"
    write_safetensors(path, Embedding("hermann", {"": vectors()}))
    request = GenerationRequest(prompt=text, cfg_scale=1.0, **values)  # type: ignore[arg-type]
    prompted = use_prompted(model, (), [NamedFile(kind="embedding", name="hermann", path=str(path))],
                            tokenizer().encode)  # fmt: skip
    words = PromptEncoder().encode(request, model, embeddings=prompted.vocabulary).at(0)
    ours = TrainingText(model, tokenizer(), request, (), ("hermann", 3), False).encode([text], vectors())
    torch.testing.assert_close(ours, words.pieces[0], rtol=1e-4, atol=1e-5)


def test_texts_of_different_lengths_make_one_batch(model: LoadedModel) -> None:
    text = TrainingText(model, tokenizer(), GenerationRequest(), (), ("hermann", 3), False)
    both = text.encode(["a cat by hermann", LONG], vectors())
    assert both.shape == (2, 154, 64)
    torch.testing.assert_close(both[1], text.encode([LONG], vectors())[0], rtol=1e-4, atol=1e-5)


def test_gradients_are_those_of_small_changes(model: LoadedModel) -> None:
    request = GenerationRequest(emphasis="No norm")
    text = TrainingText(model, tokenizer(), request, (), ("hermann", 3), False)

    def loss(given: torch.Tensor) -> torch.Tensor:
        return (text.encode(["a (cat:1.2) by hermann"], given) * torch.linspace(-1, 1, 64)).sum()

    leaf = vectors().requires_grad_()
    loss(leaf).backward()
    change = torch.randn(3, 64, generator=torch.Generator().manual_seed(5)) * 1e-2
    with torch.no_grad():
        rise = float(loss(leaf + change) - loss(leaf - change)) / 2
    assert leaf.grad is not None
    assert rise == pytest.approx(float((leaf.grad * change).sum()), rel=0.02)
    assert all(weight.grad is None for weight in model.text_encoder.parameters())


def test_the_word_is_found_as_in_prompts(model: LoadedModel) -> None:
    text = TrainingText(model, tokenizer(), GenerationRequest(), (), ("hermann", 3), False)
    assert text.has_word("by HERMANN, red")
    assert not text.has_word("by somebody")
