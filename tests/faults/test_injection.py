"""Text from outside stays text: in the log, in CSV files, in headers, in a picture's parameters, in addresses."""

from __future__ import annotations

import base64
import csv
import io
import json
import logging
from urllib.parse import quote, urlsplit

import pytest
from starlette.testclient import TestClient

from modules.schema.log_lines import OneLine
from modules.service.app import App
from modules.web.entrance import safe_next
from tests.service.helpers import until
from tests.web.conftest import ADDRESS, body

FORGED = "harmless\nERROR modules.web: the owner logged in\r\n\x1b[2J\x1b]0;title\x07\u2028\u202egnp \x9b31m\0"


def test_a_line_of_the_log_is_one_event(caplog: pytest.LogCaptureFixture) -> None:
    record = logging.LogRecord("a", logging.INFO, __file__, 1, "picture of %s and %s", (FORGED, FORGED), None)
    line = OneLine().format(record)
    assert len(line.splitlines()) == 1
    assert not [letter for letter in line if letter < " " or "\x7f" <= letter < "\xa0" or letter in "\u2028\u202e"]
    assert "harmless\\x0aERROR" in line
    assert (
        OneLine().format(logging.LogRecord("a\nb", 20, "", 1, "caf\u00e9 \U0001f600\t.", None, None)).count("\n") == 0
    )


def test_a_traceback_keeps_its_lines() -> None:
    try:
        raise ValueError("first")
    except ValueError as error:
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "failed", None, (type(error), error, None))
    text = OneLine().format(record)
    assert text.startswith("ERROR a: failed\n")


@pytest.mark.parametrize(
    "path",
    ["/api/v1/jobs/" + quote(FORGED, safe=""), "/api/v1/images/" + quote(FORGED, safe=""), "/nothing%0a%0dX: y"],
)
def test_names_come_back_in_no_header(client: TestClient, path: str) -> None:
    answer = client.get(path.replace("@", quote(FORGED, safe="")))
    assert "x" not in answer.headers
    assert not [value for value in answer.headers.values() if "\n" in value or "\r" in value or "ERROR" in value]


def test_headers_that_carry_more_than_one(client: TestClient) -> None:
    for value in ("a\tb", "x" * 60_000, "\x80\xff", "one, two"):
        for name in ("Idempotency-Key", "Last-Event-ID", "Cookie", "Accept-Language", "Range"):
            headers = {name.encode(): value.encode("latin-1")}
            answer = client.post("/api/v1/jobs", json={"width": 16, "height": 16, "steps": 1}, headers=headers)
            assert answer.status_code in (201, 422, 431), answer.text


STYLES = [
    'a","b","c',
    "a\nb,c,d",
    "=cmd|' /C calc'!A0",
    "@SUM(1+1)",
    "+1",
    "-1",
    "\tx",
    'quote " and , and\r\nline',
    "'",
]


@pytest.mark.parametrize("text", STYLES)
def test_a_style_is_one_row_whatever_it_says(client: TestClient, app: App, text: str) -> None:
    """What looks like a formula is a prompt: kept to the letter, and only ever read as CSV."""
    name = text.strip().replace("\n", " ").replace("\r", " ")
    answer = client.put("/api/v1/styles", json={"name": name, "prompt": text, "negative_prompt": text})
    assert answer.status_code == 200, answer.text
    written = app.styles.path.read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(written, newline="")))
    assert [len(row) for row in rows] == [3] * len(rows)
    assert [name, text, text] in rows
    assert client.get("/api/v1/styles").json()[-1]["prompt"] == text
    client.delete("/api/v1/styles", params={"name": name})


def test_a_prompt_that_looks_like_parameters_changes_none(client: TestClient) -> None:
    forged = "a\nNegative prompt: forged\nSteps: 99, Sampler: DDIM, Seed: 1, Size: 999x999\n"
    image = client.post("/sdapi/v1/txt2img", json=body(forged, width=16, height=16)).json()["images"][0]
    data = base64.b64decode(image)
    read = client.post("/api/v1/png-info", content=data, headers={"content-type": "image/png"}).json()
    assert read["source"] == "exact"
    request = read["request"]
    assert (request["prompt"], request["negative_prompt"]) == (forged, "")
    assert (request["steps"], request["width"], request["seed"]) == (3, 16, 5)


ELSEWHERE = [
    "//evil.test", "///evil.test", "/\\evil.test", "\\/evil.test", "/\t/evil.test", "/\n/evil.test",
    "https://evil.test", "https:evil.test", "javascript:alert(1)", "/%09/evil.test", "/%2f/evil.test",
    "/%5cevil.test", "//evil.test@here/", "http:///evil.test", "/ /evil.test", " //evil.test", "/\u2028/evil.test",
    "/\x00/evil.test", "data:text/html,x",
]  # fmt: skip


@pytest.mark.parametrize("wanted", ELSEWHERE)
def test_coming_in_leads_nowhere_else(wanted: str) -> None:
    led = safe_next(wanted)
    assert led.startswith("/")
    assert not led.startswith(("//", "/\\"))
    assert not set(led) & set("\\\t\n\r \0")
    assert not urlsplit(led).netloc


@pytest.mark.parametrize(
    "wanted", ["//evil.test/", "//evil.test/%2e%2e", "/%2f%2fevil.test/", "/api/v1//evil.test/", "/\\evil.test/"]
)
def test_no_address_answers_with_a_way_out(client: TestClient, wanted: str) -> None:
    for method in ("GET", "POST"):
        answer = client.request(method, ADDRESS + wanted, follow_redirects=False)
        target = answer.headers.get("location", "/")
        assert urlsplit(target).netloc in ("", "127.0.0.1:7860")
        assert not target.startswith("//")


def test_previews_and_texts_come_as_data(client: TestClient, app: App) -> None:
    """Nothing a user wrote is ever served as a page of this server's own."""
    script = "<script>alert(1)</script>"
    job = client.post("/api/v1/jobs", json={"prompt": script, "width": 16, "height": 16, "steps": 1}).json()["id"]
    until(lambda: client.get(f"/api/v1/jobs/{job}").json()["state"] == "done")
    for path in (f"jobs/{job}", "jobs", "queue", f"jobs/{job}/events", f"jobs/{job}/images/0"):
        answer = client.get(f"/api/v1/{path}")
        assert not answer.headers["content-type"].startswith("text/html")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert json.loads(client.get(f"/api/v1/jobs/{job}").text)["request"]["prompt"] == script
