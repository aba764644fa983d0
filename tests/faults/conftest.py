"""The same server as in tests/web."""

from tests.web.conftest import app, client, connect

__all__ = ["app", "client", "connect"]
