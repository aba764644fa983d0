"""A web server of files on this machine: it knows ranges, redirects and validators, and breaks off when told."""

from __future__ import annotations

import hashlib
import http.server
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from tests.answering import Answering


class Hub:
    """`files` by name. `breaks`: after how many bytes each of the next answers ends. `slow`: seconds between two
    pieces of 64 KiB. `asked`: (path, headers) of all requests."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.breaks: list[int] = []
        self.slow = 0.0
        self.ranges = True
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.address = ""

    @property
    def ranges_asked(self) -> list[str | None]:
        return [headers.get("range") for path, headers in self.asked if path.startswith("/file/")]


class _Handler(Answering):
    hub: Hub

    def do_GET(self) -> None:  # noqa: N802 - the library's name
        hub = self.hub
        hub.asked.append((self.path, {key.lower(): value for key, value in self.headers.items()}))
        kind, _, rest = self.path.removeprefix("/").partition("/")
        if kind == "file":
            self._file(hub.files[unquote(rest.partition("?")[0])])
        elif kind == "hub":
            digest = hashlib.sha256(hub.files[rest]).hexdigest()
            self._send(302, b"", {"Location": f"/file/{rest}", "X-Linked-ETag": f'"{digest}"'})
        elif kind == "to":
            self._send(302, b"", {"Location": unquote(rest)})
        elif kind == "round":
            self._send(302, b"", {"Location": "/round"})
        elif kind == "page":
            self._send(200, b"<html>log in</html>", {"Content-Type": "text/html"})
        else:
            self._send(int(kind) if kind.isdecimal() else 404, b"no")

    def _file(self, data: bytes) -> None:
        etag = f'"{hashlib.md5(data).hexdigest()}"'
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(found[1]) if found and self.hub.ranges else 0
        if self.headers.get("If-Range", etag) != etag:
            start = 0
        headers = {"ETag": etag, "Content-Type": "application/octet-stream", "Content-Length": str(len(data) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self._body(data[start:])

    def _body(self, data: bytes) -> None:
        broken = self.hub.breaks.pop(0) if self.hub.breaks else None
        for at in range(0, len(data) if broken is None else broken, 1 << 16):
            self.wfile.write(data[at : at + (1 << 16)][: None if broken is None else broken - at])
            time.sleep(self.hub.slow)
        if broken is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
