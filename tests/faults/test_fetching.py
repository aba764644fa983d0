"""Pictures named by their address: off by default; allowed, never a way into this machine or its network."""

from __future__ import annotations

import http.server
import io
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.schema.errors import BadRequest
from modules.service import guarded
from modules.service.app import App
from modules.web import fetching
from tests.answering import Answering

PUBLIC = "93.184.215.14"
INSIDE = (
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
    "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1",
    "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1",
    "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe",
)  # fmt: skip


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), "red").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_of_this_network(address: str) -> None:
    assert not guarded.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet(address: str) -> None:
    assert guarded.is_public(ipaddress.ip_address(address))


class Pages(Answering):
    """A web server: a picture, redirects, too much, and nothing."""

    asked: list[str] = []

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        self.asked.append(self.path)
        kind, _, rest = self.path.removeprefix("/").partition("/")
        if kind == "picture":
            self._send(200, png())
        elif kind == "to":
            self._send(302, b"", {"Location": rest})
        elif kind == "round":
            self._send(302, b"", {"Location": "/round"})
        elif kind == "much":
            self._send(200, b"\0" * (fetching.MOST_BYTES + 1))
        else:
            self._send(404, b"nothing")


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """An Internet of one server: names are told by the test, and every public address leads to it."""
    names = {"pictures.test": [PUBLIC]}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def resolve(host: str, port: int, **_: Any) -> list[Any]:
        told = names.get(host, [host])
        if not all(":" in address or address.replace(".", "").isdecimal() for address in told):
            raise socket.gaierror("no such name")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in told]

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        assert address[0] == PUBLIC, "the connection goes to an address that was not checked"
        wire = socket.socket()
        wire.settimeout(timeout)
        wire.connect(server.server_address[:2])
        return wire

    monkeypatch.setattr(guarded.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(guarded.socket, "create_connection", connect)
    monkeypatch.setattr(fetching, "MOST_BYTES", 100_000)
    Pages.asked.clear()
    yield lambda host, address: names.setdefault(host, []).append(address)
    server.shutdown()
    server.server_close()


def test_a_picture_comes_from_a_public_address(web: Callable[[str, str], None]) -> None:
    assert fetching.fetch_picture("http://pictures.test/picture") == png()
    assert fetching.fetch_picture("http://pictures.test/to//picture") == png()


@pytest.mark.parametrize(
    ("path", "reason"),
    [("nothing", "answers with 404"), ("round", "too many other addresses"), ("much", "larger than")],
)
def test_what_is_no_picture_or_too_much(web: Callable[[str, str], None], path: str, reason: str) -> None:
    with pytest.raises(BadRequest, match=reason):
        fetching.fetch_picture(f"http://pictures.test/{path}")
    assert len(Pages.asked) <= 4


@pytest.mark.parametrize("address", INSIDE)
def test_no_name_leads_inwards(web: Callable[[str, str], None], address: str) -> None:
    web("inside.test", address)
    web("mixed.test", PUBLIC)
    web("mixed.test", address)
    written = f"[{address}]" if ":" in address else address
    for url in ("http://inside.test/picture", "http://mixed.test/picture", f"http://{written}:7860/picture"):
        with pytest.raises(BadRequest, match="of this network"):
            fetching.fetch_picture(url)
        with pytest.raises(BadRequest, match="of this network"):
            fetching.fetch_picture(f"http://pictures.test/to/{url}")
    assert "/picture" not in Pages.asked


@pytest.mark.parametrize(
    "url",
    [
        "http://",
        "http:///picture",
        "https://name:secret@pictures.test/picture",
        "http://pictures.test:0/picture",
        "http://pictures.test:99999/picture",
        "http://[::1/picture",
        "http://pictures.test/\r\nHost: inside.test",
        "http://pictures.test/to/file:///etc/passwd",
        "http://pictures.test/to/ftp://pictures.test/picture",
        "http://" + "a" * 10_000 + "/",
    ],
)
def test_addresses_that_are_none(web: Callable[[str, str], None], url: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        fetching.fetch_picture(url)
    assert len(str(refusal.value)) < 500


BODIES = {
    "/sdapi/v1/png-info": lambda url: {"image": url},
    "/sdapi/v1/img2img": lambda url: {"init_images": [url], "width": 16, "height": 16, "steps": 1},
    "/sdapi/v1/extra-single-image": lambda url: {"image": url},
    "/sdapi/v1/extra-batch-images": lambda url: {"imageList": [{"data": url, "name": "a"}]},
    "/api/v1/jobs": lambda url: {"image": {"picture": url.ljust(80, "#")}, "width": 16, "height": 16, "steps": 1},
}


@pytest.mark.parametrize("path", list(BODIES))
def test_nothing_is_fetched_where_nobody_allowed_it(
    client: TestClient, web: Callable[[str, str], None], path: str
) -> None:
    answer = client.post(path, json=BODIES[path]("http://pictures.test/picture"))
    assert answer.status_code in (404, 422)
    assert "--api-enable-requests" in answer.json()["detail"]
    assert not Pages.asked


@pytest.mark.parametrize("path", list(BODIES))
def test_every_way_to_send_a_picture_takes_an_address(
    client: TestClient, app: App, web: Callable[[str, str], None], path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "settings", app.settings.replace(api_enable_requests=True))
    answer = client.post(path, json=BODIES[path]("HTTP://pictures.test/picture"))
    assert answer.status_code in (200, 201), answer.text
    inward = client.post(path, json=BODIES[path]("http://127.0.0.1/picture"))
    assert inward.status_code in (404, 422)


def test_the_option_is_shown_and_silently_stays(client: TestClient) -> None:
    before = client.get("/sdapi/v1/options").json()
    assert (before["api_enable_requests"], before["api_forbid_local_requests"]) == (False, True)
    change = {"api_enable_requests": True, "api_forbid_local_requests": False, "send_seed": False}
    assert client.post("/sdapi/v1/options", json=change).status_code == 200
    after = client.get("/sdapi/v1/options").json()
    assert after == {**before, "send_seed": False}
