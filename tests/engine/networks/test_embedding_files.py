"""Embedding files: every format read, hostile and spoilt ones refused, what is written is read again."""

from __future__ import annotations

import base64
import io
import json
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import save_file
from torch import Tensor

from modules.catalog.embedding_pictures import _from_pixels, _random_halves, hide, read_picture
from modules.catalog.embeddings import EmbeddingCatalog
from modules.engine.embedding_tool import main, nearest
from modules.engine.networks.embedding_files import (
    Embedding,
    checksum,
    convert,
    read_embedding,
    write_picture,
    write_pt,
    write_safetensors,
)
from modules.schema.errors import ModelFileError, UnknownName

VECTORS = torch.arange(24, dtype=torch.float32).reshape(3, 8) / 7
NOTES = {"name": "style", "step": 500, "sd_checkpoint": "0123456789", "sd_checkpoint_name": "base"}


class _Parameters(torch.nn.Module):
    """Pickles as torch 1's ParameterDict did: a module with its parameters in its state."""


def old_parameter_dict(path: Path) -> None:
    """A file as A1111's first versions wrote it, with the name of torch's own class in the pickle."""
    held = _Parameters()
    held.register_parameter("*", torch.nn.Parameter(VECTORS))
    torch.save({"string_to_token": {"*": 265}, "string_to_param": held, **NOTES}, path, pickle_protocol=2)
    data = path.read_bytes()
    ours, theirs = f"c{__name__}\n_Parameters\n".encode(), b"ctorch.nn.modules.container\nParameterDict\n"
    assert ours in data or b"_Parameters" in data
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(path, "w") as after:
        for item in before.infolist():
            content = before.read(item)
            after.writestr(
                item.filename, content.replace(ours, theirs) if item.filename.endswith("data.pkl") else content
            )


def a1111(path: Path) -> None:
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": VECTORS}, **NOTES}, path)


def old_format(path: Path) -> None:
    table = {"string_to_token": {"*": 265}, "string_to_param": {"*": VECTORS}, **NOTES}
    torch.save(table, path, _use_new_zipfile_serialization=False)


def diffusers(path: Path) -> None:
    torch.save({"<style>": VECTORS}, path)


def chunk(path: Path) -> None:
    write_picture(
        path, Embedding("style", {"": VECTORS}, 500, "base", "0123456789"), Image.new("RGB", (64, 64), "red")
    )


def hidden(path: Path) -> None:
    chunk(path)
    with Image.open(path) as image:
        Image.fromarray(np.asarray(image)).save(path, lossless=True)


WRITERS: dict[str, Any] = {
    "a1111.pt": a1111,
    "old.pt": old_format,
    "parameters.pt": old_parameter_dict,
    "learned_embeds.bin": diffusers,
    "emb.safetensors": lambda path: save_file({"emb_params": VECTORS}, path),
    "chunk.png": chunk,
    "hidden.png": hidden,
    "hidden.webp": hidden,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_is_read_by_engine_and_catalog(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    WRITERS[name](path)
    found = read_embedding(path)
    assert torch.equal(found.vectors[""], VECTORS)
    (entry,) = EmbeddingCatalog((tmp_path,), tmp_path / "cache.sqlite").refresh()
    assert (entry.vectors, entry.width, entry.problem) == (3, 8, None)
    assert entry.stem == ("style" if path.suffix in (".png", ".webp") else path.stem)
    if "string_to_param" in str(WRITERS[name].__code__.co_consts):
        assert (entry.step, entry.checkpoint, entry.checkpoint_hash) == (500, "base", "0123456789")
        assert (found.step, found.checkpoint, found.checkpoint_hash) == (500, "base", "0123456789")


def test_sdxl_pairs_and_single_vectors(tmp_path: Path) -> None:
    save_file({"clip_l": torch.zeros(2, 768), "clip_g": torch.ones(2, 1280)}, tmp_path / "pair.safetensors")
    save_file({"emb_params": torch.ones(768)}, tmp_path / "single.safetensors")
    assert read_embedding(tmp_path / "pair.safetensors").width == 2048
    assert read_embedding(tmp_path / "single.safetensors").vectors[""].shape == (1, 768)
    pair, single = EmbeddingCatalog((tmp_path,), tmp_path / "cache.sqlite").refresh()
    assert (pair.vectors, pair.family, single.vectors, single.family) == (2, "sdxl", 1, "sd1")


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("run",)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"string_to_param": {"*": torch.full((1, 8), float("nan"))}}, "no numbers"),
        ({"string_to_param": {"*": torch.full((1, 8), float("inf"))}}, "no numbers"),
        ({"string_to_param": {"*": torch.ones(1, 2, 3)}}, "shape"),
        ({"string_to_param": {"*": torch.ones(1, 3, dtype=torch.int64)}}, "shape"),
        ({"a": VECTORS, "b": VECTORS}, "2 tensors"),
        ({"string_to_param": {}}, "0 tensors"),
        ([1, 2], "no table"),
    ],
)
def test_spoilt_files_are_refused_with_the_reason(table: object, reason: str, tmp_path: Path) -> None:
    torch.save(table, tmp_path / "bad.pt")
    with pytest.raises(ModelFileError, match=reason):
        read_embedding(tmp_path / "bad.pt")


def test_nothing_in_a_pickle_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"string_to_param": {"*": VECTORS}, "extra": _Evil()}, tmp_path / "evil.pt")
    with pytest.raises(ModelFileError, match="print"):
        read_embedding(tmp_path / "evil.pt")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(OrderedDict(a=_Evil())))
    with pytest.raises(ModelFileError):
        read_embedding(tmp_path / "plain.pt")
    assert capsys.readouterr().out == ""


def test_pictures_that_carry_nothing_are_no_embeddings(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20), "blue").save(tmp_path / "photo.png")
    Image.new("RGB", (20, 20)).save(tmp_path / "black.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG but no more")
    chunk(tmp_path / "style.preview.png")
    assert read_picture(tmp_path / "photo.png") is None
    assert read_picture(tmp_path / "black.png") is None
    assert EmbeddingCatalog((tmp_path,), tmp_path / "cache.sqlite").refresh() == []
    info = base64.b64encode(json.dumps({"string_to_param": {"*": {"TORCHTENSOR": [["x"]]}}}).encode()).decode()
    text = PngInfo()
    text.add_text("sd-ti-embedding", info)
    Image.new("RGB", (20, 20)).save(tmp_path / "odd.png", pnginfo=text)
    with pytest.raises(ModelFileError, match="damaged"):
        read_embedding(tmp_path / "odd.png")


def test_the_random_sequence_is_a1111s() -> None:
    expected = [253, 242, 127, 44, 157, 27, 239, 133]
    assert _random_halves((8,)).tolist() == [value & 0x0F for value in expected]
    state, values = 0, []
    for _ in range(1000):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(state % 255 & 0x0F)
    assert _random_halves((10, 100)).flatten().tolist() == values


@pytest.mark.parametrize("size", [(64, 64), (31, 200), (5, 3)])
def test_hidden_data_survives_in_pictures_of_any_size(size: tuple[int, int]) -> None:
    table = {"string_to_param": {"*": {"TORCHTENSOR": VECTORS.tolist()}}, "name": "ä"}
    picture = hide(table, Image.effect_noise(size, 80).convert("RGB"))
    framed = Image.new("RGB", (picture.width + 10, picture.height + 6))
    framed.paste(picture, (5, 3))
    assert _from_pixels(np.asarray(picture)) == table
    assert _from_pixels(np.asarray(framed)) == table


@pytest.mark.parametrize("write", [write_pt, write_safetensors])
@pytest.mark.parametrize("vectors", [{"": VECTORS}, {"clip_l": VECTORS, "clip_g": VECTORS * 2}])
def test_what_is_written_is_read_again(write: Any, vectors: dict[str, Tensor], tmp_path: Path) -> None:
    path = tmp_path / ("a.pt" if write is write_pt else "a.safetensors")
    write(path, Embedding("a", vectors, 7, "base", "0123456789"))
    found = read_embedding(path)
    assert found.vectors.keys() == vectors.keys()
    assert all(torch.equal(found.vectors[key], vectors[key]) for key in vectors)
    assert (found.step, found.checkpoint, found.checkpoint_hash) == (7, "base", "0123456789")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a1111_can_read_what_is_written(tmp_path: Path) -> None:
    write_pt(tmp_path / "a.pt", Embedding("a", {"": VECTORS}, 7))
    table = torch.load(tmp_path / "a.pt", weights_only=True)
    assert torch.equal(table["string_to_param"]["*"], VECTORS)
    assert table["string_to_token"] == {"*": 265} and table["step"] == 7 and table["name"] == "a"


def test_old_pickles_are_converted_and_nothing_is_overwritten(tmp_path: Path) -> None:
    a1111(tmp_path / "style.pt")
    assert convert(tmp_path / "style.pt").name == "style.safetensors"
    assert torch.equal(read_embedding(tmp_path / "style.safetensors").vectors[""], VECTORS)
    assert read_embedding(tmp_path / "style.safetensors").step == 500
    with pytest.raises(ModelFileError, match="already there"):
        convert(tmp_path / "style.pt")


@pytest.mark.parametrize(
    ("values", "digits"), [([0.0], "0000"), ([1.0], "8574"), ([0.5, -0.25], "2089"), ([1.0, 2.0, 3.0, 4.0], "31d0")]
)
def test_checksums_are_a1111s(values: list[float], digits: str) -> None:
    assert checksum(torch.tensor([values])) == digits


def test_words_are_found_and_unknown_ones_suggest_the_nearest(tmp_path: Path) -> None:
    a1111(tmp_path / "MyStyle.pt")
    catalog = EmbeddingCatalog((tmp_path,), tmp_path / "cache.sqlite")
    catalog.refresh()
    assert catalog.find("mystyle").stem == "MyStyle"
    with pytest.raises(UnknownName, match="MyStyle"):
        catalog.find("mystile")


def test_nearest_words_and_norms(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = torch.eye(50)
    assert nearest(rows[[3]] * 5, rows)[0][0] == {"word": "$", "similarity": 1.0}
    a1111(tmp_path / "a.pt")
    assert main(["inspect", str(tmp_path / "a.pt")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["count"] == 3 and told["vectors"][1]["norm"] == pytest.approx(float(VECTORS[1].norm()))
    assert main(["convert", str(tmp_path / "none.pt")]) == 1
    assert "none.pt" in json.loads(capsys.readouterr().out)["error"]
