"""File names: tokens, what vanishes, and what may never come out."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.schema.request import GenerationRequest
from modules.service.naming import Naming, Place, folder_parts, sanitize

NOW = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
REQUEST = GenerationRequest(prompt="red Fox", negative_prompt="blur", seed=5, checkpoint="d/art.ckpt [0123456789]")
FACTS = {"VAE": "mse.v2.pt", "User": "me"}


def _naming(place: Place | None = None, request: GenerationRequest = REQUEST) -> Naming:
    return Naming(request, FACTS, b"pixels", NOW, place or Place())


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ('a/b: "c"?', "a_b___c__"),
        ("#1 <fox>", "_1__fox_"),
        ("a\nb\tc\r\0d", "a_b_c__d"),
        ("..", ""),
        ("a. .", "a._"),
        ("x" * 300, "x" * 128),
        ("狐" * 300, "狐" * 66),
    ],
)
def test_sanitize(text: str, clean: str) -> None:
    assert sanitize(text) == clean


def test_sanitize_with_spaces() -> None:
    assert sanitize("  a b. ", spaces=False) == "a b"


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("[seed]", "5"),
        ("[SEED]-[Steps]", "5-20"),
        ("[seed]-[prompt_spaces]", "5-red Fox"),
        ("[prompt]|[prompt_no_styles]", "red_Fox|red_Fox"),
        ("[cfg] [width]x[height] [clip_skip] [user]", "7.0 512x512 1 me"),
        ("[sampler]/[scheduler]/[sampler_scheduler]", "DPM++ 2M/Karras/DPM++ 2M Karras"),
        ("[model_name]-[model_hash]-[vae_filename]", "art-0123456789-mse"),
        ("[date] [datetime] [job_timestamp]", "2026-03-04 20260304050607 20260304050607"),
        ("[datetime<%H-%M>] [datetime<%H><Asia/Tokyo>]", "05-06 14"),
        ("[datetime<%H><No/Where>] [datetime<%H><../../etc>]", "20260304050607 20260304050607"),
        ("[styles] [basename]", "None img"),
        ("[prompt_hash] [prompt_hash<4>] [prompt_hash<x>]", "{0:.8} {0:.4} {0:.8}".format(
            hashlib.sha256(b"red Fox").hexdigest())),
        ("[negative_prompt_hash]", hashlib.sha256(b"blur").hexdigest()[:8]),
        ("[full_prompt_hash<64>]", hashlib.sha256(b"red Fox blur").hexdigest()),
        ("[image_hash]", hashlib.sha256(b"pixels").hexdigest()),
        ("[hasprompt<fox|cat>]-[hasprompt<cat|dog>]-[hasprompt<red><fox><owl|bird>]", "fox-dog-redfoxbird"),
        ("[none]", ""),
        ("a-[denoising]-[seed]", "-5"),
        ("a-[batch_number]b-[generation_number]c", "c"),
        ("[seed]-[seed_last]", "5"),
        ("x [unknown] [seed", "x [unknown] [seed"),
        ("_[[model_name]]_[seed]", "_[art]_5"),
    ],
)  # fmt: skip
def test_tokens(pattern: str, name: str) -> None:
    assert _naming().expand(pattern) == name


def test_prompt_hash_vector() -> None:
    assert _naming(request=GenerationRequest(prompt="fox")).expand("[prompt_hash]") == "776cb326"


def test_prompt_words() -> None:
    request = GenerationRequest(prompt="a (red:1.2) fox, in_the snow!")
    assert _naming(request=request).expand("[prompt_words]") == "a red 1 2 fox in the snow"
    assert _naming(request=GenerationRequest()).expand("[prompt_words]") == "empty"
    assert (
        _naming(request=GenerationRequest(prompt="1 2 3 4 5 6 7 8 9")).expand("[prompt_words]") == "1 2 3 4 5 6 7 8"
    )


def test_tokens_of_a_batch() -> None:
    place = Place(number=4, count=6, batch_number=2, batch_size=3, seed_first=3, seed_last=5)
    assert (
        _naming(place).expand("[seed_first]-[seed_last] [batch_number]/[generation_number] [batch_size]")
        == "3-5 2/4 3"
    )


@pytest.mark.parametrize(
    ("expanded", "parts"),
    [
        ("2026-03-04", ["2026-03-04"]),
        ("a/b\\c", ["a", "b", "c"]),
        ("/../a/./..//b ", ["a", "b"]),
        ("C:/x", ["C_", "x"]),
        ("con/lpt1.txt/console", ["con_", "lpt1.txt_", "console"]),
        (".../ . /", []),
    ],
)
def test_folder_parts(expanded: str, parts: list[str]) -> None:
    assert folder_parts(expanded) == parts


@given(st.text(max_size=60), st.sampled_from(["[prompt]", "[prompt_spaces]/[prompt_words]", "[hasprompt<|../x>]"]))
def test_no_prompt_leads_out_of_the_folder(prompt: str, pattern: str) -> None:
    naming = _naming(request=GenerationRequest(prompt=prompt.encode("utf-8", "ignore").decode()))
    for part in [*folder_parts(naming.expand(pattern)), naming.file_stem(pattern)]:
        assert part not in (".", "..") and not set(part) & set("/\\:\0\n") and len(part.encode()) <= 200
