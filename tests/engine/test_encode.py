"""Text encoding: against a plain reference on a tiny random encoder, and on the embedded model's."""

from __future__ import annotations

import gc
import json
import weakref
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional
from transformers import CLIPTextConfig, CLIPTextModel

from modules.engine.text.encode import emphasise, encode_chunk, encode_texts
from modules.engine.text.encodings import Encodings
from modules.prompts.chunks import Chunk, chunk_prompt
from modules.prompts.tokens import BOS, EOS, ClipTokenizer, load_tokenizer
from modules.schema.errors import BadRequest

CPU = torch.device("cpu")
LAYERS = 3
EMPTY = Chunk((BOS, *[EOS] * 76), (1.0,) * 77)
MINIATURE = Path(__file__).parents[2] / "models/Stable-diffusion/miniature.safetensors"


@pytest.fixture(scope="module")
def tokenizer() -> ClipTokenizer:
    return load_tokenizer()


@pytest.fixture(scope="module")
def tiny() -> CLIPTextModel:
    torch.manual_seed(0)
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        bos_token_id=BOS,
        eos_token_id=EOS,
        pad_token_id=EOS,
    )
    model = CLIPTextModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def encode(
    model: CLIPTextModel, prompts: list[list[Chunk]], clip_skip: int = 1, mode: str = "Original"
) -> list[Tensor]:
    """Each prompt by itself, as one text."""
    return [together(model, [chunks], clip_skip, mode)[0] for chunks in prompts]


def together(
    model: CLIPTextModel,
    texts: list[list[Chunk]],
    clip_skip: int = 1,
    mode: str = "Original",
    times: list[int] | None = None,
) -> list[Tensor]:
    """The texts of one prompt."""
    return encode_texts(
        lambda chunk: encode_chunk(model, chunk, clip_skip, CPU), texts, times or [1] * len(texts), mode, EMPTY
    )


def reference(model: CLIPTextModel, tokens: tuple[int, ...], drop: int) -> Tensor:
    """CLIP's text transformer written out, without its last `drop` layers: [77, D]."""
    w = dict(model.named_parameters())

    def norm(x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    heads = model.config.num_attention_heads
    x = w["embeddings.token_embedding.weight"][list(tokens)] + w["embeddings.position_embedding.weight"]
    hidden = torch.full((len(tokens), len(tokens)), float("-inf")).triu(1)
    for index in range(model.config.num_hidden_layers - drop):
        layer = f"encoder.layers.{index}"
        y = norm(x, f"{layer}.layer_norm1")
        q, k, v = (
            linear(y, f"{layer}.self_attn.{n}_proj").reshape(len(tokens), heads, -1).transpose(0, 1) for n in "qkv"
        )
        weights = (q @ k.transpose(1, 2) / q.shape[-1] ** 0.5 + hidden).softmax(-1)
        x = x + linear((weights @ v).transpose(0, 1).flatten(1), f"{layer}.self_attn.out_proj")
        y = linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1")
        x = x + linear(y * torch.sigmoid(1.702 * y), f"{layer}.mlp.fc2")
    return norm(x, "final_layer_norm")


@pytest.mark.parametrize("clip_skip", [1, 2, 3])
def test_equals_the_written_out_transformer(tiny: CLIPTextModel, tokenizer: ClipTokenizer, clip_skip: int) -> None:
    chunks = chunk_prompt("a red fox BREAK in the snow", tokenizer)
    (states,) = encode(tiny, [chunks], clip_skip)
    expected = torch.cat([reference(tiny, chunk.tokens, clip_skip - 1) for chunk in chunks])
    assert states.shape == (154, 16)
    assert torch.allclose(states, expected, atol=1e-4)


def test_clip_skip_changes_the_states(tiny: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    chunks = chunk_prompt("a red fox", tokenizer)
    assert not torch.allclose(encode(tiny, [chunks], 1)[0], encode(tiny, [chunks], 2)[0], atol=1e-2)


@pytest.mark.parametrize("clip_skip", [0, LAYERS + 1, 12])
def test_impossible_clip_skip_names_the_range(tiny: CLIPTextModel, tokenizer: ClipTokenizer, clip_skip: int) -> None:
    with pytest.raises(BadRequest, match=f"1 to {LAYERS}") as caught:
        encode(tiny, [chunk_prompt("", tokenizer)], clip_skip)
    assert caught.value.field == "clip_skip"


def test_texts_of_one_prompt_are_equally_long(tiny: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    texts = [chunk_prompt(text, tokenizer) for text in ("a red fox", "cat " * 160)]
    short, long = together(tiny, texts)
    assert short.shape == long.shape == (231, 16)
    assert torch.equal(short[:77], encode(tiny, texts)[0])
    assert torch.equal(short[77:154], encode(tiny, [[EMPTY]])[0])


def test_texts_of_one_prompt_share_the_mean_of_emphasis(tiny: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    """A rule of A1111: stages are encoded together, and the mean is restored over all of them."""
    texts = [chunk_prompt(text, tokenizer) for text in ("a (red:1.4) fox", "sea")]
    plain = [reference(tiny, chunks[0].tokens, 0) for chunks in texts]
    weighted = plain[0].clone()
    weighted[2] *= 1.4
    means = (plain[0].mean() + 3 * plain[1].mean(), weighted.mean() + 3 * plain[1].mean())
    red, sea = together(tiny, texts, times=[1, 3])
    assert torch.allclose(red, weighted * (means[0] / means[1]), atol=1e-4)
    assert torch.allclose(sea, plain[1] * (means[0] / means[1]), atol=1e-4)


def test_encodings_are_made_once(tiny: CLIPTextModel) -> None:
    kept, made = Encodings(capacity=2), list[str]()

    def make(key: str) -> Tensor:
        made.append(key)
        return torch.zeros(1)

    for key in ("a", "a", "b", "a", "c", "a", "b"):
        kept.get(tiny, key, lambda key=key: make(key))
    assert made == ["a", "b", "c", "b"]


def test_encodings_go_with_their_encoder() -> None:
    kept, encoder = Encodings(), torch.nn.Linear(1, 1)
    gone = weakref.ref(kept.get(encoder, "a", lambda: torch.zeros(1)))
    assert gone() is not None
    del encoder
    gc.collect()
    assert gone() is None


def test_emphasis_modes(tiny: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    chunks = chunk_prompt("a (red:1.4) fox", tokenizer)
    plain = reference(tiny, chunks[0].tokens, 0)
    weighted = plain.clone()
    weighted[2] *= 1.4
    expected = {
        "Original": weighted * (plain.mean() / weighted.mean()),
        "No norm": weighted,
        "Ignore": plain,
        "None": plain,
    }
    for mode, states in expected.items():
        assert torch.allclose(encode(tiny, [chunks], mode=mode)[0], states, atol=1e-4), mode


def test_original_keeps_the_mean_of_each_chunk(tiny: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    chunks = chunk_prompt("a (red:2) fox BREAK [cat] and (dog:0)", tokenizer)
    (states,), (plain,) = encode(tiny, [chunks]), encode(tiny, [chunks], mode="Ignore")
    for part, before in zip(states.split(77), plain.split(77), strict=True):
        assert part.mean().item() == pytest.approx(before.mean().item(), abs=1e-5)
        assert not torch.allclose(part, before)


def test_weights_of_one_leave_the_states_untouched() -> None:
    states = torch.randn(77, 8)
    (same,) = emphasise([states], [(1.0,) * 77], [1], "Original")
    assert same is states


def test_half_precision_encoder_gives_float32(tiny: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    half = CLIPTextModel(tiny.config).to(torch.bfloat16).eval()
    half.load_state_dict(tiny.state_dict())
    chunks = chunk_prompt("a (red:1.3) fox", tokenizer)
    for clip_skip in (1, 2):
        (states,) = encode(half, [chunks], clip_skip)
        assert states.dtype == torch.float32
        assert torch.allclose(states, encode(tiny, [chunks], clip_skip)[0], atol=0.5)


@pytest.fixture(scope="module")
def miniature() -> CLIPTextModel:
    prefix = "cond_stage_model.transformer.text_model."
    with safe_open(MINIATURE, "pt") as file:
        config = json.loads(file.metadata()["config"])["text"]
        tensors = {key.removeprefix(prefix): file.get_tensor(key) for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118
    model = CLIPTextModel(CLIPTextConfig(**config)).eval()
    model.load_state_dict({key: value.float() for key, value in tensors.items() if "position_ids" not in key})
    return model


@pytest.mark.engine
@pytest.mark.parametrize("clip_skip", [1, 2, 4])
def test_embedded_encoder(miniature: CLIPTextModel, tokenizer: ClipTokenizer, clip_skip: int) -> None:
    chunks = chunk_prompt("a red circle on a blue background, " * 12, tokenizer)
    (states,) = encode(miniature, [chunks], clip_skip)
    expected = torch.cat([reference(miniature, chunk.tokens, clip_skip - 1) for chunk in chunks])
    assert states.shape == (77 * len(chunks), 128)
    assert torch.allclose(states, expected, atol=1e-4)


@pytest.mark.engine
def test_embedded_encoder_tells_colours_apart(miniature: CLIPTextModel, tokenizer: ClipTokenizer) -> None:
    prompts = [chunk_prompt(f"a {colour} circle", tokenizer) for colour in ("red", "blue")]
    red, blue = encode(miniature, prompts)
    assert torch.equal(red[:2], blue[:2])
    assert not torch.allclose(red[2:], blue[2:], atol=0.1)
