"""Names in prompts at the door: the files they mean, what is told of those that mean none, and what is written."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from modules.catalog.embeddings import EmbeddingCatalog
from modules.catalog.networks import NetworkCatalog
from modules.schema.parts import Hires
from modules.schema.request import GenerationRequest
from modules.service.named import Named


def safetensors(path: Path, shapes: dict[str, tuple[int, ...]], **metadata: str) -> Path:
    """A safetensors file of zeros."""
    entries, end = {}, 0
    for name, shape in shapes.items():
        size = 4
        for side in shape:
            size *= side
        entries[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps({"__metadata__": metadata, **entries}).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(end))
    return path


LORA = {"lora_unet_x.lora_up.weight": (4, 2), "lora_unet_x.lora_down.weight": (2, 4)}


@pytest.fixture
def named(tmp_path: Path) -> Named:
    safetensors(tmp_path / "Lora/fox.safetensors", LORA, ss_output_name="fuchs")
    safetensors(tmp_path / "Lora/a/cat.safetensors", LORA)
    safetensors(tmp_path / "Lora/b/cat.safetensors", LORA)
    safetensors(tmp_path / "Lora/vae.safetensors", {"decoder.conv_in.weight": (4, 4, 3, 3)})
    safetensors(tmp_path / "embeddings/my-style.safetensors", {"emb_params": (3, 8)})
    safetensors(tmp_path / "embeddings/my.safetensors", {"emb_params": (1, 8)})
    networks = NetworkCatalog({"lora": (tmp_path / "Lora",), "hypernet": (tmp_path / "h",)}, tmp_path / "n.sqlite")
    embeddings = EmbeddingCatalog((tmp_path / "embeddings",), tmp_path / "e.sqlite")
    networks.refresh()
    return Named(networks, embeddings)


def names(named: Named, prompt: str, **values: object) -> list[tuple[str, str]]:
    return [(file.kind, file.name) for file in named.files(GenerationRequest(prompt=prompt, **values))]


def test_tags_mean_files_by_name_alias_and_path(named: Named) -> None:
    request = GenerationRequest(prompt="<lora:fox:1> <lyco:fuchs:0.5> <lora:FOX:1> <lora:a/cat:1>")
    files = {file.name: Path(file.path).name for file in named.files(request)}
    assert files == {
        "fox": "fox.safetensors",
        "fuchs": "fox.safetensors",
        "FOX": "fox.safetensors",
        "a/cat": "cat.safetensors",
    }
    assert named.problems(request) == []


def test_what_means_no_file_is_told_with_the_nearest_name(named: Named) -> None:
    request = GenerationRequest(prompt="<lora:foxx:1> <hypernet:fox> <lora:cat:1> <lora:vae:1>")
    assert named.files(request) == ()
    unknown, other_kind, several, wrong = named.problems(request)
    assert "<lora:foxx:1>" in unknown and "'fox'" in unknown
    assert "hypernetwork" in other_kind
    assert "a/cat" in several and "b/cat" in several
    assert "VAE" in wrong


def test_words_of_embeddings_are_found_in_every_prompt_and_stage(named: Named) -> None:
    both = [("embedding", "my"), ("embedding", "my-style")]
    assert names(named, "a cat") == []
    assert names(named, "by MY-STYLE, (strong:1.2)") == both
    assert names(named, "[cat:my-style:0.5]") == both
    assert names(named, "a", negative_prompt="my house") == both[:1]
    assert names(named, "a", hires=Hires(prompt="my house <lora:fox:1>")) == [("lora", "fox"), both[0]]


def test_new_files_are_seen_without_a_refresh(named: Named, tmp_path: Path) -> None:
    assert names(named, "newword <lora:newer:1>") == []
    safetensors(tmp_path / "embeddings/deep/er/newword.safetensors", {"emb_params": (1, 8)})
    safetensors(tmp_path / "Lora/a/newer.safetensors", LORA)
    assert names(named, "newword <lora:newer:1>") == [("lora", "newer"), ("embedding", "newword")]


def test_hashes_are_facts_under_the_names_of_the_tags(named: Named) -> None:
    facts = named.facts(GenerationRequest(prompt="<lora:fuchs:1><lora:none:1><lora:vae>"))
    name, digits = facts["Lora hashes"].split(": ")
    assert name == "fuchs" and len(digits) == 12
    assert named.facts(GenerationRequest(prompt="fuchs")) == {}
