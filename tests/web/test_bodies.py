"""What a body may not be, for every route that reads JSON: half characters, NaN, depth, size."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from modules.schema.errors import BadRequest
from modules.web import bodies, strict_json

ROUTES = (
    ("POST", "/sdapi/v1/txt2img"),
    ("POST", "/api/v1/jobs"),
    ("POST", "/api/v1/form"),
    ("PUT", "/api/v1/styles"),
)
WRONG = {
    "half a character": (r'{"name": "\ud800", "prompt": "\ud800"}', "half of a character"),
    "NaN": ('{"name": "n", "steps": NaN}', "NaN is not a number"),
    "infinity": ('{"name": "n", "cfg_scale": -Infinity}', "Infinity is not a number"),
    "too large": ('{"name": "n", "cfg_scale": 1e999}', "too large"),
}


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("what", list(WRONG))
def test_what_json_does_not_have_is_refused_everywhere(client: TestClient, method: str, path: str, what: str) -> None:
    body, sentence = WRONG[what]
    answer = client.request(method, path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert sentence in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
@pytest.mark.parametrize("text", ['{"a":' * 100_000, "[" * 100_000, "{", "", "\0", "[1]", "7"])
def test_depth_and_scraps_are_the_senders_fault(client: TestClient, method: str, path: str, text: str) -> None:
    answer = client.request(method, path, content=text, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500
    assert len(answer.text) < 5000


def test_a_whole_number_of_any_length_is_answered(client: TestClient) -> None:
    for digits in (400, 4000, 5000):
        body = f'{{"steps": 1{"0" * digits}, "name": "n"}}'
        for method, path in ROUTES[:2]:
            answer = client.request(method, path, content=body, headers={"content-type": "application/json"})
            assert 400 <= answer.status_code < 500, answer.text


def test_letters_outside_the_basic_plane_pass() -> None:
    assert strict_json.loads(rb'{"a": "\ud83d\ude00"}') == {"a": "\N{GRINNING FACE}"}
    assert strict_json.loads(b'{"a": "NaN 1e999"}') == {"a": "NaN 1e999"}
    with pytest.raises(BadRequest, match="not JSON"):
        strict_json.loads(b"\xff")


def test_a_body_is_not_read_beyond_the_limit(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "JSON_LIMIT", 1000)
    headers = {"content-type": "application/json; charset=utf-8"}
    for content in (b'{"prompt": "' + b"a" * 2000 + b'"}', iter([b"a" * 600] * 3)):
        answer = client.post("/sdapi/v1/txt2img", content=content, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")
    assert client.post("/sdapi/v1/png-info", json={"image": "x"}).status_code == 404


def test_complaints_do_not_repeat_what_was_sent(client: TestClient) -> None:
    answer = client.post("/sdapi/v1/txt2img", json={"steps": "x" * 1_000_000, "width": ["y" * 1000] * 1000})
    assert answer.status_code == 422
    assert [one["loc"] for one in answer.json()["detail"]] == [["body", "steps"], ["body", "width"]]
    assert len(answer.content) < 2000
    unknown = client.post("/sdapi/v1/txt2img", json={"sampler_name": "z" * 1_000_000})
    assert unknown.status_code == 400
    assert len(unknown.content) < 2000


def test_a_text_of_a_hundred_megabytes_is_no_prompt(client: TestClient) -> None:
    for path in ("/sdapi/v1/txt2img", "/api/v1/jobs"):
        answer = client.post(path, json={"prompt": "a " * (50 << 20)})
        assert answer.status_code in (413, 422)
        assert len(answer.content) < 2000
