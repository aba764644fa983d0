"""The catalog of LoRA and hypernetworks: what headers and side files say, and how fast thousands are listed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from modules.catalog import networks
from modules.catalog.beside import Note, note_of, write_note
from modules.catalog.network_facts import training_words
from modules.catalog.networks import NetworkCatalog
from modules.schema.errors import UnknownName
from tests.catalog.model_files import checkpoint_zip, safetensors

LORA = {"lora_unet_x.lora_up.weight": (4, 2), "lora_unet_x.lora_down.weight": (2, 4)}
MANY = 500


def catalog(folder: Path) -> NetworkCatalog:
    made = NetworkCatalog({"lora": (folder / "Lora",), "hypernet": (folder / "hyper",)}, folder / "cache.sqlite")
    made.refresh()
    return made


def lora(folder: Path, name: str, shapes: dict[str, tuple[int, ...]] = LORA, **metadata: str) -> Path:
    path = folder / "Lora" / f"{name}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    return safetensors(path, shapes, metadata=metadata)


def test_headers_tell_family_words_and_title(tmp_path: Path) -> None:
    tags = json.dumps({"5_a": {"fox": 3, "snow": 9}, "1_b": {"fox": 8, " ": 4, "bad": "x"}})
    lora(
        tmp_path,
        "a",
        ss_output_name="A",
        ss_tag_frequency=tags,
        ss_base_model_version="sd_v1",
        sshs_model_hash="ab" * 32,
    )
    attention = "down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
    lora(
        tmp_path,
        "b",
        {f"lora_unet_{attention}.lora_down.weight": (4, 2048), f"lora_unet_{attention}.lora_up.weight": (640, 4)},
    )
    lora(tmp_path, "c", {**LORA, "bundle_emb.word.string_to_param.*": (3, 768)})
    found = catalog(tmp_path)
    a, b, c = found.of_kind("lora")
    assert (a.alias, a.family, found.short_hash(a)) == ("A", "sd1", "ab" * 6)
    assert training_words(found.metadata(a)) == [("fox", 11), ("snow", 9)]
    assert b.family == "sdxl" and c.family is None
    assert dict(c.bundled) == {"word": 3}


def test_the_hash_is_of_the_tensors_alone(tmp_path: Path) -> None:
    lora(tmp_path, "a")
    lora(tmp_path, "b", ss_output_name="another")
    found = catalog(tmp_path)
    a, b = found.of_kind("lora")
    assert found.short_hash(a) == found.short_hash(b)
    assert len(found.short_hash(a)) == 12


def test_hypernetworks_are_told_from_other_pickles(tmp_path: Path) -> None:
    (tmp_path / "hyper").mkdir()
    checkpoint_zip(tmp_path / "hyper/good.pt", {"activation_func": (), "linear.0.weight": (4, 4)})
    checkpoint_zip(tmp_path / "hyper/embedding.pt", {"string_to_param": (), "*": (1, 768)})
    embedding, good = catalog(tmp_path).of_kind("hypernet")
    assert good.problem is None
    assert "embedding" in (embedding.problem or "") and "embeddings" in (embedding.problem or "")


def test_notes_and_previews_beside_a_file(tmp_path: Path) -> None:
    path = lora(tmp_path, "deep/a.v1")
    write_note(path, Note("about", "mine", "fox", "dog", 0.8))
    assert note_of(path) == Note("about", "mine", "fox", "dog", 0.8)
    path.with_suffix(".preview.png").write_bytes(b"picture")
    (entry,) = catalog(tmp_path).of_kind("lora")
    assert (entry.note, entry.stem, entry.name) == (note_of(path), "a.v1", "deep/a.v1.safetensors")
    assert entry.preview == path.with_suffix(".preview.png")
    path.with_suffix(".png").write_bytes(b"picture")
    path.with_suffix(".json").write_text("[not an object")
    path.with_suffix(".txt").write_text("from a text\n")
    (entry,) = catalog(tmp_path).of_kind("lora")
    assert entry.preview == path.with_suffix(".png")
    assert entry.note == Note("from a text")


def test_shared_makers_names_do_not_hide_file_names(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        lora(tmp_path, name, ss_output_name="last")
    lora(tmp_path, "last")
    found = catalog(tmp_path)
    assert found.find("lora", "last").path.stem == "last"
    os.unlink(tmp_path / "Lora/last.safetensors")
    found.refresh_if_changed()
    with pytest.raises(UnknownName, match="3 files"):
        found.find("lora", "last")


def test_of_thousands_of_files_known_ones_are_not_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = lora(tmp_path, "0", ss_tag_frequency=json.dumps({"f": {f"tag {i}": i for i in range(200)}})).read_bytes()
    for index in range(1, MANY):
        (tmp_path / f"Lora/{index}.safetensors").write_bytes(data)
        if index % 3 == 0:
            (tmp_path / f"Lora/{index}.png").write_bytes(b"x")
            (tmp_path / f"Lora/{index}.json").write_text('{"description": "d"}')
    catalog(tmp_path)
    monkeypatch.setattr(networks, "read_header", lambda path: pytest.fail(f"{path} was opened"))
    found = catalog(tmp_path)
    assert len(found.entries) == MANY and found.find("lora", "498").note.description == "d"
