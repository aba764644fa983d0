"""A server's answers, for tests that need another machine."""

from __future__ import annotations

import http.server
from typing import Any


class Answering(http.server.BaseHTTPRequestHandler):
    """Sends whole answers, and says nothing of it."""

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass
