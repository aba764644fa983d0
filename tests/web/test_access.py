"""Coming in by name and password, and going out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from modules.flags import lent_accounts
from modules.schema.errors import BadRequest, UserError
from modules.service.app import App
from modules.web.entrance import safe_next
from tests.service.helpers import make_app
from tests.web.visitors import (
    ANN,
    BOB,
    HTML,
    PASSWORD,
    at_home,
    basic,
    log_in,
    logged_in,
    me,
    server_of,
    visitor,
    with_accounts,
)


@pytest.fixture(scope="module")
def named_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    app = make_app(tmp_path_factory.mktemp("named"), server_name="0.0.0.0")
    with_accounts(app)
    yield app
    app.close()


@pytest.fixture
def named(named_app: App) -> FastAPI:
    """Each test has a server of its own: nobody waits for what another test tried."""
    return server_of(named_app)


def test_a_page_leads_to_the_login_and_programs_are_told(named: FastAPI) -> None:
    client = visitor(named)
    page = client.get("/docs?a=b", headers=HTML)
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=%2Fdocs%3Fa%3Db")
    program = client.get("/sdapi/v1/samplers")
    assert program.status_code == 401
    assert program.json()["error"] == "Unauthorized"
    assert program.headers["www-authenticate"].startswith("Basic ")
    script = client.get("/api/v1/status", headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"})
    assert script.status_code == 401
    assert "www-authenticate" not in script.headers  # a browser would open a window of its own


def test_with_accounts_everybody_logs_in_also_at_the_machine(named: FastAPI) -> None:
    assert at_home(named).get("/api/v1/status").status_code == 401


def test_logging_in_and_out(named: FastAPI) -> None:
    client = visitor(named)
    form = client.get("/login?next=%2Fdocs", headers=HTML)
    assert form.status_code == 200
    assert 'name="next" value="/docs"' in form.text
    assert "frame-ancestors 'none'" in form.headers["content-security-policy"]
    entered = log_in(client, " ANN ", next="/docs")
    assert (entered.status_code, entered.headers["location"]) == (303, "/docs")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie  # this server speaks plain HTTP
    assert me(client)["name"] == ANN
    assert me(client)["role"] == "owner"
    assert client.get("/login").headers["location"] == "/"
    token = dict(client.cookies)
    out = client.post("/logout")
    assert out.headers["location"] == "/login"
    assert client.get("/api/v1/status").status_code == 401
    again = visitor(named)
    again.cookies.update(token)
    assert again.get("/api/v1/status").status_code == 401  # the session itself has ended, not only the cookie


def test_a_cookie_over_tls_is_never_sent_without(named_app: App) -> None:
    client = visitor(server_of(named_app), at="https://192.168.1.5:7860")
    assert "; Secure" in log_in(client, ANN).headers["set-cookie"]


def test_logging_in_takes_a_new_session(named: FastAPI) -> None:
    client = logged_in(named, BOB)
    first = dict(client.cookies)
    log_in(client, ANN)
    old = visitor(named)
    old.cookies.update(first)
    assert me(client)["name"] == ANN
    assert old.get("/api/v1/status").status_code == 401


@pytest.mark.parametrize("value", ["", "x", "a" * 43, "../../etc", "%00", '"', "a" * 5000])
def test_made_up_sessions_open_nothing(named: FastAPI, value: str) -> None:
    client = visitor(named)
    name = named.state.access.cookie
    assert client.get("/api/v1/status", headers={"Cookie": f"{name}={value}"}).status_code == 401


def test_a_session_survives_a_restart_of_the_server(named_app: App, named: FastAPI) -> None:
    client = logged_in(named, BOB)
    later = visitor(server_of(named_app))
    later.cookies.update(dict(client.cookies))
    assert me(later)["name"] == BOB


def test_wrong_passwords_and_unknown_names_are_told_alike(named: FastAPI) -> None:
    client = visitor(named)
    wrong, unknown = log_in(client, ANN, "wrong password"), log_in(client, "nobody", "wrong password")
    assert wrong.status_code == unknown.status_code == 401
    assert "The name or the password is wrong." in wrong.text
    assert wrong.text.replace(ANN, "").count("wrong") == unknown.text.replace("nobody", "").count("wrong")
    assert "set-cookie" not in wrong.headers


def test_guessing_is_braked_for_the_guesser_alone(named: FastAPI) -> None:
    guesser, other = visitor(named, "192.168.1.66"), visitor(named)
    assert log_in(other, BOB).status_code == 303
    answers = [log_in(guesser, BOB, f"guess number {n}") for n in range(7)]
    assert [answer.status_code for answer in answers[:5]] == [401] * 5
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert log_in(guesser, BOB).status_code == 429  # the right one is not listened to either
    assert guesser.get("/sdapi/v1/samplers", headers=basic(BOB, "x")).status_code == 429
    assert log_in(other, BOB).status_code == 303  # who has come from there before does not wait
    assert me(other)["name"] == BOB


def test_programs_log_in_by_password_or_token(named_app: App, named: FastAPI) -> None:
    client = visitor(named)
    assert client.get("/sdapi/v1/samplers", headers=basic(BOB, PASSWORD)).status_code == 200
    assert client.get("/api/v1/access", headers=basic(BOB, PASSWORD)).json()["name"] == BOB
    assert client.get("/sdapi/v1/samplers", headers=basic(BOB, "wrong")).status_code == 401
    token = named_app.people.accounts.make_token(BOB)
    bearer = {"Authorization": f"Bearer {token}"}
    assert client.get("/api/v1/access", headers=bearer).json()["name"] == BOB
    assert not client.cookies
    named_app.people.accounts.revoke_tokens(BOB)
    assert client.get("/api/v1/access", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    "header",
    ["Basic", "Basic !!!", "Basic YQ==", "Basic Og==", "Bearer", "Bearer x", "Basic " + "A" * 9000, "Digest x"],
)
def test_malformed_credentials_are_no_fault_of_ours(named: FastAPI, header: str) -> None:
    assert visitor(named).get("/sdapi/v1/samplers", headers={"Authorization": header}).status_code == 401


def test_accounts_of_one_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = make_app(tmp_path_factory.mktemp("lent"))
    try:
        values = {"lent": ["ann:one, bob:two:three"]}
        app.people.accounts.lend(lent_accounts(values))
        client = at_home(server_of(app))
        assert client.get("/sdapi/v1/samplers").status_code == 401
        assert client.get("/api/v1/access", headers=basic("bob", "two:three")).json()["role"] == "owner"
        assert client.get("/api/v1/access", headers=basic("ann", "one")).json()["name"] == "ann"
        assert not app.people.accounts.path.exists()
        assert not values
    finally:
        app.close()


def test_accounts_of_one_start_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "people.txt"
    file.write_text("ann:one\nbob:two,carl:three\n", encoding="utf-8")
    assert lent_accounts({"gradio_auth_path": str(file)}) == [("ann", "one"), ("bob", "two"), ("carl", "three")]
    for values in ({"lent": ["ann"]}, {"lent": [":x"]}, {"gradio_auth_path": str(tmp_path / "none")}):
        with pytest.raises(BadRequest):
            lent_accounts(values)


def test_removing_an_account_and_a_new_password_end_its_sessions(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = make_app(tmp_path_factory.mktemp("changes"), server_name="0.0.0.0")
    try:
        with_accounts(app)
        server = server_of(app)
        ann, bob = logged_in(server, ANN), logged_in(server, BOB)
        app.people.accounts.set_password(ANN, "another password")
        app.people.accounts.remove(BOB)
        assert ann.get("/api/v1/status").status_code == 401
        assert bob.get("/api/v1/status").status_code == 401
        assert log_in(ann, ANN, "another password").status_code == 303
    finally:
        app.close()


def test_nobody_comes_in_by_an_accounts_file_that_cannot_be_read(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    app = make_app(tmp_path_factory.mktemp("broken"))
    try:
        with_accounts(app)
        client = at_home(server_of(app))
        app.people.accounts.path.write_text("{", encoding="utf-8")
        answer = client.get("/api/v1/status")
        assert answer.status_code == 503
        assert "cannot be read" in answer.json()["detail"]
        for text in ('{"users": {"ann": {"role": "king"}}}', '{"people": {}}', '{"users": []}', "[]", ""):
            app.people.accounts.path.write_text(text, encoding="utf-8")
            assert client.get("/api/v1/status").status_code == 503, text
    finally:
        app.close()


def test_the_form_takes_no_megabytes(named: FastAPI) -> None:
    assert visitor(named).post("/login", data={"name": "a" * 100_000}).status_code == 413
    assert visitor(named).post("/login", data={str(n): "a" for n in range(50)}).status_code == 413
    assert visitor(named).put("/login").status_code == 405
    assert visitor(named).get("/logout").status_code == 405


def test_a_session_that_cannot_be_written_is_one_sentence(
    named_app: App, named: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_account: object) -> str:
        raise UserError("sessions.json cannot be written (No space left on device): make that possible first.")

    monkeypatch.setattr(named_app.people.sessions, "open", refuse)
    answer = log_in(visitor(named), BOB)
    assert answer.status_code == 500
    assert "cannot be written" in answer.json()["detail"]


# Where to go on to


@pytest.mark.parametrize(
    "wanted",
    [
        "//evil.example",
        "/\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "\\\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        "",
        "/login",
        "/logout",
        "/access/abc",
        "/" + "a" * 2000,
        "/%0d%0aSet-Cookie:x=y\r\nX: y",
    ],
)
def test_elsewhere_is_nowhere(wanted: str) -> None:
    assert safe_next(wanted) == "/"


@pytest.mark.parametrize(("wanted", "kept"), [("/docs?a=1&b=%2F", "/docs?a=1&b=%2F"), ("/ä", "/%C3%A4"), ("/", "/")])
def test_a_path_of_ours_is_kept(wanted: str, kept: str) -> None:
    assert safe_next(wanted) == kept
