"""The page's words over HTTP: by what was chosen, else by the browser; and what stays English."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

RUSSIAN = {"Accept-Language": "ru-RU,ru;q=0.9"}


@pytest.fixture(autouse=True)
def _as_the_browser(client: TestClient) -> Iterator[None]:
    yield
    client.patch("/api/v1/settings/mine", json={"values": {"language": None}})


def _script(client: TestClient, **headers: str) -> dict:
    answer = client.get("/api/v1/words.js", headers=headers)
    assert answer.headers["content-type"].startswith("text/javascript")
    return json.loads(answer.text.removeprefix("globalThis.webuiWords = ").removesuffix(";"))


def test_the_words_are_in_the_browsers_language(client: TestClient) -> None:
    assert _script(client)["language"] == "en"
    told = _script(client, **RUSSIAN)
    assert told["language"] == "ru"
    assert {"en", "pt-BR", "ru"} <= set(told["languages"])
    assert told["words"]["Settings"] == "Настройки"
    assert client.get("/api/v1/words", headers=RUSSIAN).json()["words"] == told["words"]


def test_what_was_chosen_wins(client: TestClient) -> None:
    answer = client.patch("/api/v1/settings/mine", json={"values": {"language": "pt-BR"}})
    assert answer.status_code == 200
    assert _script(client, **RUSSIAN)["language"] == "pt-BR"


def test_a_language_that_is_not_there_is_refused(client: TestClient) -> None:
    answer = client.patch("/api/v1/settings/mine", json={"values": {"language": "xx"}})
    assert answer.status_code == 422
    assert "Language" in answer.json()["detail"]


def test_the_same_words_are_not_sent_twice(client: TestClient) -> None:
    tag = client.get("/api/v1/words.js", headers=RUSSIAN).headers["etag"]
    assert client.get("/api/v1/words.js", headers={**RUSSIAN, "If-None-Match": tag}).status_code == 304
    assert client.get("/api/v1/words.js", headers={"If-None-Match": tag}).status_code == 200


def test_the_api_speaks_english_whatever_the_browser_asks_for(client: TestClient) -> None:
    client.patch("/api/v1/settings/mine", json={"values": {"language": "ru"}})
    for path, body in (("/api/v1/jobs", {"steps": 0}), ("/sdapi/v1/txt2img", {"sampler_name": "none such"})):
        english = client.post(path, json=body)
        assert english.status_code >= 400
        assert client.post(path, json=body, headers=RUSSIAN).json() == english.json()
    facts = client.get("/api/v1/settings", headers=RUSSIAN).json()
    assert next(one for one in facts["mine"] if one["name"] == "theme")["label"] == "Theme"


def test_guides_are_pages_in_the_callers_language(client: TestClient) -> None:
    english = client.get("/docs/training").text
    russian = client.get("/docs/training", headers=RUSSIAN).text
    assert '<html lang="en">' in english
    assert '<html lang="ru">' in russian
    assert english.count("<h2") == russian.count("<h2") > 3
    assert "<table>" in russian
    assert 'href="/docs/benchmarks' in russian
    assert '<html lang="en">' in client.get("/docs/security", headers=RUSSIAN).text


def test_a_guide_shows_its_pictures(client: TestClient) -> None:
    pictures = re.findall(r'<img src="([^"]+)"', client.get("/docs/training").text)
    assert len(pictures) >= 3
    for picture in pictures:
        answer = client.get(f"/docs/{picture}")
        assert answer.headers["content-type"] == "image/png"
        assert answer.content.startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "name", ["none-such", "..%2FREADME", "training.ru", "images/none-such.png", "images/..%2Fapi.md"]
)
def test_no_other_files_are_guides(client: TestClient, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code in (404, 422)
