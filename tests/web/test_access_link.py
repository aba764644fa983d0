"""Coming in by the access link, as the owner at the machine, and where nobody is asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from starlette.datastructures import Headers

from modules.service.app import App
from modules.web.origins import is_here
from tests.service.helpers import make_app
from tests.web.visitors import ANN, HTML, at_home, basic, logged_in, me, server_of, visitor, with_accounts


@pytest.fixture(scope="module")
def lan_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """No accounts, open to the network."""
    app = make_app(tmp_path_factory.mktemp("lan"), server_name="0.0.0.0")
    yield app
    app.close()


@pytest.fixture
def lan(lan_app: App) -> FastAPI:
    return server_of(lan_app)


def test_at_the_machine_nobody_is_asked(lan: FastAPI) -> None:
    owner = at_home(lan)
    assert owner.get("/").status_code == 200
    assert me(owner)["role"] == "owner"
    assert me(owner)["mode"] == "link"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"X-Real-IP": "127.0.0.1"},
        {"Via": "1.1 proxy"},
        {"Host": "192.168.1.5:7860"},
    ],
)
def test_what_a_proxy_hands_on_is_not_from_here(lan: FastAPI, headers: dict[str, str]) -> None:
    assert at_home(lan).get("/api/v1/status", headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("server_name", "address", "host", "here"),
    [
        ("192.168.1.5", "192.168.1.5", "192.168.1.5:7860", True),
        ("192.168.1.5", "192.168.1.5", "desk.local", False),
        ("192.168.1.5", "192.168.1.77", "192.168.1.5:7860", False),
        ("0.0.0.0", "192.168.1.5", "192.168.1.5:7860", False),  # there it has 127.0.0.1; a tunnel may end here
        ("0.0.0.0", "127.0.0.1", "localhost:7860", True),
        ("::", "::ffff:127.0.0.1", "[::1]:7860", True),
    ],
)
def test_where_only_one_address_is_listened_on_the_machine_has_it_too(
    server_name: str, address: str, host: str, here: bool
) -> None:
    scope = {"type": "http", "client": (address, 5000), "server": ("192.168.1.5", 7860)}
    assert is_here(scope, Headers({"host": host}), server_name) is here
    assert not is_here(scope, Headers({"host": host, "x-forwarded-for": "192.168.1.5"}), server_name)


def test_other_devices_cannot_say_that_they_are_here(lan: FastAPI) -> None:
    assert visitor(lan, at="http://127.0.0.1:7860").get("/api/v1/status").status_code == 401
    assert visitor(lan).get("/api/v1/status", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401


def test_the_link_makes_each_device_a_guest_of_its_own(lan_app: App, lan: FastAPI) -> None:
    phone, tablet = visitor(lan), visitor(lan, "192.168.1.78")
    assert phone.get("/", headers=HTML).headers["location"] == "/login"
    path = lan_app.people.link.path()
    entered = phone.get(path, headers=HTML)
    assert (entered.status_code, entered.headers["location"]) == (303, "/")
    assert "no-store" in entered.headers["cache-control"]
    tablet.get(path)
    assert me(phone)["role"] == "user"
    job = phone.post("/api/v1/jobs", json={"width": 64, "height": 64, "steps": 1}).json()["id"]
    assert phone.get(f"/api/v1/jobs/{job}").status_code == 200
    assert tablet.get(f"/api/v1/jobs/{job}").status_code == 404
    assert at_home(lan).get(f"/api/v1/jobs/{job}").status_code == 404
    cookies = dict(phone.cookies)
    phone.get(path)
    assert dict(phone.cookies) == cookies  # opened again, it stays the same person


@pytest.mark.parametrize("code", ["", "x", "a" * 43, "..%2f", "a" * 200, "x/../../login"])
def test_a_made_up_link_opens_nothing(lan: FastAPI, code: str) -> None:
    client = visitor(lan)
    client.get(f"/access/{code}", headers=HTML)
    assert client.get("/api/v1/status").status_code == 401


def test_the_link_can_be_put_into_the_form(lan_app: App, lan: FastAPI) -> None:
    client = visitor(lan)
    assert "Access link" in client.get("/login").text
    assert client.post("/login", data={"code": "wrong"}).status_code == 401
    whole = "http://192.168.1.5:7860" + lan_app.people.link.path()
    assert client.post("/login", data={"code": whole}).status_code == 303
    assert me(client)["role"] == "user"


def test_programs_may_send_the_code(lan_app: App, lan: FastAPI) -> None:
    code = lan_app.people.link.code
    client = visitor(lan)
    assert client.get("/sdapi/v1/samplers", headers={"Authorization": f"Bearer {code}"}).status_code == 200
    assert client.get("/sdapi/v1/samplers", headers=basic("anybody", code)).status_code == 200
    assert client.get("/sdapi/v1/samplers", headers=basic("anybody", "x")).status_code == 401


def test_a_new_link_ends_what_the_old_one_opened(lan_app: App, lan: FastAPI) -> None:
    phone, owner = visitor(lan), at_home(lan)
    old = lan_app.people.link.path()
    phone.get(old)
    assert phone.get("/api/v1/status").status_code == 200
    assert phone.post("/api/v1/access/link").status_code == 403
    answer = owner.post("/api/v1/access/link")
    assert answer.status_code == 200
    assert all(old not in address for address in answer.json()["addresses"])
    assert phone.get("/api/v1/status").status_code == 401
    assert visitor(lan).get(old).status_code == 401


def test_the_owner_shares_the_link_and_nobody_else(lan_app: App, lan: FastAPI) -> None:
    told = at_home(lan).get("/api/v1/access/share").json()
    if told["addresses"]:  # a machine without any network has none
        assert told["addresses"][0].endswith(lan_app.people.link.path())
        assert told["qr"].startswith("<svg")
    phone = visitor(lan)
    phone.get(lan_app.people.link.path())
    assert phone.get("/api/v1/access/share").status_code == 403


def test_accounts_end_the_time_of_the_link(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = make_app(tmp_path_factory.mktemp("later"), server_name="0.0.0.0")
    try:
        server = server_of(app)
        phone, owner = visitor(server), at_home(server)
        phone.get(app.people.link.path())
        assert phone.get("/api/v1/status").status_code == 200
        with_accounts(app)  # by a command, while the server runs
        assert phone.get("/api/v1/status").status_code == 401
        assert owner.get("/api/v1/status").status_code == 401
        assert visitor(server).get(app.people.link.path()).status_code == 401
        assert app.people.link.path() not in logged_in(server, ANN).get("/api/v1/access/share").text
    finally:
        app.close()


def test_no_auth_lets_others_in_as_users(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = make_app(tmp_path_factory.mktemp("open"), server_name="0.0.0.0", no_auth=True)
    try:
        server = server_of(app)
        assert me(visitor(server))["role"] == "user"
        assert me(at_home(server))["role"] == "owner"
        assert visitor(server).post("/sdapi/v1/options", json={}).status_code == 403
        rebound = visitor(server, at="http://evil.example:7860")
        assert rebound.get("/api/v1/status").status_code == 403
    finally:
        app.close()
