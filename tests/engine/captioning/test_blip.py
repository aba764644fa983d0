"""Captioning with a tiny BLIP of random weights: what it says means nothing, but it says it where it should."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, decoders
from tokenizers.models import WordPiece
from transformers import BlipConfig, BlipForConditionalGeneration

from modules.engine.captioning.blip import Captioner
from modules.schema.captioning import CaptionRequest
from modules.schema.engine import EngineJob, ModelRef
from modules.schema.errors import ModelFileError
from modules.schema.events import Event, Finished, Notice, Progress
from tests.catalog.datasets.pictures import noise, save

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]", *(f"word{number}" for number in range(27))]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a BLIP model as transformers writes it."""
    folder = tmp_path_factory.mktemp("blip")
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ids = {"pad_token_id": 0, "bos_token_id": 4, "eos_token_id": 2, "sep_token_id": 3}
    text = {**small, **ids, "vocab_size": len(WORDS), "encoder_hidden_size": 16, "max_position_embeddings": 64}
    torch.manual_seed(0)
    config = BlipConfig(
        text_config=text, vision_config={**small, "image_size": 32, "patch_size": 16}, projection_dim=16
    )
    BlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(WORDS[:5])
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5]}))
    return folder


def run(model: Path, pictures: Iterable[Path], **values: object) -> list[Event]:
    files = {f"{number:016x}": str(path) for number, path in enumerate(pictures)}
    request = CaptionRequest(data_set="x", pictures=tuple(files), max_length=8, min_length=4, **values)
    job = EngineJob(id="1", request=request, model=ModelRef(checkpoint=""), files={"model": str(model), **files})
    return list(Captioner(torch.device("cpu")).run(job))


def test_each_picture_gets_a_caption(model: Path, tmp_path: Path) -> None:
    pictures = [save(tmp_path, f"{number}.png", noise(number)) for number in range(3)]
    events = run(model, pictures)
    assert isinstance(events[-1], Finished) and events[-1].reason == "done"
    assert [event.step for event in events if isinstance(event, Progress)] == [0, 1, 2, 3]
    for path in pictures:
        words = path.with_suffix(".txt").read_text().split()
        assert words and set(words) <= set(WORDS[5:])


@pytest.mark.parametrize("existing", ["Replace", "Keep", "Prepend", "Append"])
def test_captions_that_are_there(model: Path, tmp_path: Path, existing: str) -> None:
    path = save(tmp_path, "a.png", noise(1))
    run(model, [path])
    seen = path.with_suffix(".txt").read_text()
    path.with_suffix(".txt").write_text("a fox")
    run(model, [path], existing=existing)
    told = {"Replace": seen, "Keep": "a fox", "Prepend": f"{seen}, a fox", "Append": f"a fox, {seen}"}[existing]
    assert path.with_suffix(".txt").read_text() == told


def test_a_picture_that_is_gone_is_told_and_left_out(model: Path, tmp_path: Path) -> None:
    events = run(model, [tmp_path / "gone.png", save(tmp_path, "a.png", noise(1))])
    assert [event.text for event in events if isinstance(event, Notice)][0].startswith("The picture")
    assert (tmp_path / "a.txt").is_file() and not (tmp_path / "gone.txt").exists()


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_broken_model_is_a_sentence(model: Path, tmp_path: Path, file: str) -> None:
    for path in model.iterdir():
        (tmp_path / path.name).write_bytes(b"x" if path.name == file else path.read_bytes())
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        run(tmp_path, [save(tmp_path, "a.png", noise(1))])
