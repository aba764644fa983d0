"""Who may talk to the server, and who is who."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from modules.schema.settings import Settings
from modules.web.origins import Origins, hostname, is_loopback
from tests.web.conftest import ADDRESS, Connect


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST", "[::1]:7860"])
def test_own_names_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/internal/ping", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:7860", "", "[::1", "localhost.evil"])
def test_other_names_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/internal/ping", headers={"Host": host})
    assert answer.status_code == 403
    assert "does not answer" in answer.json()["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_sites_change_nothing(client: TestClient, headers: dict[str, str]) -> None:
    for path in ("/sdapi/v1/interrupt", "/api/v1/jobs", "/anything"):
        assert client.post(path, json={}, headers=headers).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"Origin": ADDRESS}, {"Origin": ADDRESS, "Sec-Fetch-Site": "same-origin"}])
def test_the_page_and_programs_may(client: TestClient, headers: dict[str, str]) -> None:
    assert client.post("/sdapi/v1/interrupt", headers=headers).status_code == 200


def test_security_headers_everywhere(client: TestClient) -> None:
    for path in ("/", "/internal/ping", "/nowhere"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'self'" in headers["content-security-policy"]
        assert float(headers["x-process-time"]) >= 0
        assert "access-control-allow-origin" not in headers


def test_the_page_gives_a_cookie_once_and_the_api_none(connect: Connect) -> None:
    browser, program = connect(), connect()
    cookie = browser.get("/").headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "set-cookie" not in browser.get("/").headers
    assert "set-cookie" not in program.get("/sdapi/v1/options").headers


def test_an_owner_cannot_be_named_by_hand(connect: Connect) -> None:
    mine = connect().post("/api/v1/jobs", json={"width": 64, "height": 64}).json()
    forged = connect(Cookie="owner=api")
    assert "owner=" in forged.get("/").headers["set-cookie"]
    assert connect().get(f"/api/v1/jobs/{mine['id']}").status_code == 200  # no cookie: the API's common owner


def test_each_browser_sees_its_own_jobs_only(connect: Connect) -> None:
    ann, bob = connect(), connect()
    for browser in (ann, bob):
        browser.get("/")
    job = ann.post("/api/v1/jobs", json={"prompt": "slow", "width": 64, "height": 64, "steps": 100}).json()["id"]
    assert [j["id"] for j in ann.get("/api/v1/jobs").json()["jobs"]] == [job]
    assert bob.get("/api/v1/jobs").json() == {"jobs": []}
    assert bob.get(f"/api/v1/jobs/{job}").status_code == 404
    assert bob.get(f"/api/v1/jobs/{job}/events").status_code == 404
    assert bob.post(f"/api/v1/jobs/{job}/interrupt").status_code == 404
    assert bob.get("/api/v1/queue").json()["jobs"][0]["id"] is None
    assert bob.get("/sdapi/v1/progress").json()["current_task"] is None
    bob.post("/sdapi/v1/interrupt")
    assert ann.get(f"/api/v1/jobs/{job}").json()["state"] in ("waiting", "running")
    ann.post(f"/api/v1/jobs/{job}/interrupt")


@pytest.mark.parametrize(
    ("server_name", "host", "answers"),
    [
        ("127.0.0.1", "my.home", False),
        ("my.home", "my.home:7860", True),
        ("my.home", "other.home", False),
        ("192.168.1.5", "192.168.1.5:7860", True),
        ("192.168.1.5", "192.168.1.6:7860", False),
        ("0.0.0.0", "192.168.1.5:7860", True),
        ("0.0.0.0", "[fe80::1]:7860", True),
        ("::", "desk", True),
        ("0.0.0.0", "desk.local.", True),
        ("0.0.0.0", "evil.example", False),
        ("0.0.0.0", "192.168.1.5.evil.example", False),
        ("0.0.0.0", "draw.example.org", True),
        ("127.0.0.1", "draw.example.org", True),
    ],
)
def test_names_that_fit_the_address(server_name: str, host: str, answers: bool) -> None:
    rules = Origins(Settings(server_name=server_name, allowed_hosts="draw.example.org, b.example"))
    assert rules.answers_to(host) is answers


def test_host_and_address_reading() -> None:
    assert hostname("[::1]:80") == "::1"
    assert hostname("A.b:80") == "a.b"
    assert is_loopback("127.3.2.1")
    assert is_loopback("::ffff:127.0.0.1")
    assert not is_loopback("10.0.0.1")
    assert not is_loopback("testclient")
    assert not is_loopback(None)
