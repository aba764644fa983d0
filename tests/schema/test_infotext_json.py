"""The exact JSON beside A1111's text: every field, older and newer versions, foreign data."""

from __future__ import annotations

import json

import pytest

from modules.schema.errors import BadRequest
from modules.schema.infotext import read_json, write_json
from modules.schema.request import GenerationRequest
from modules.version import VERSION


def test_json_holds_every_field_with_its_default() -> None:
    data = json.loads(write_json(GenerationRequest(), {"Model": "m", "size": (1, 2)}))
    assert set(data["request"]) == set(GenerationRequest.model_fields)
    assert (data["format"], data["schema"], data["version"]) == ("webui-request", 1, VERSION)
    assert data["facts"] == {"Model": "m", "size": [1, 2]}


def test_json_keeps_what_the_text_cannot() -> None:
    request = GenerationRequest(
        prompt="a\nNegative prompt: not one\n b ", negative_prompt=" x\n", batch_count=3, eta=1
    )
    exact = read_json(write_json(request, {"Model": "m"}))
    assert (exact.request, exact.facts, exact.notices) == (request, {"Model": "m"}, [])


def test_json_of_a_newer_version() -> None:
    data = json.loads(write_json(GenerationRequest(steps=7), {}))
    data["schema"], data["version"] = 2, "9.9"
    data["request"] |= {"warp": 1, "cfg_scale": "no number"}
    exact = read_json(json.dumps(data))
    assert exact.request == GenerationRequest(steps=7)
    assert len(exact.notices) == 3
    assert "newer version (9.9)" in exact.notices[0]
    assert "warp" in exact.notices[1] and "cfg_scale" in exact.notices[2]


def test_json_of_an_older_version_takes_defaults() -> None:
    data = json.loads(write_json(GenerationRequest(steps=7, tiling=True), {}))
    del data["request"]["tiling"]
    exact = read_json(json.dumps(data))
    assert (exact.request, exact.notices) == (GenerationRequest(steps=7), [])


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "7", '{"format": "other"}', '{"format": "webui-request"}', "[" * 99_999]
)
def test_other_json_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(BadRequest, match=r"exact parameters .*\.$"):
        read_json(text)
