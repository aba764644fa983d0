"""Where the server listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from modules.schema.errors import SetupError
from modules.web.server import listen


@pytest.fixture
def taken() -> Iterator[int]:
    with listen("127.0.0.1", 0, fixed=True) as listener:
        yield listener.getsockname()[1]


def test_a_port_that_was_asked_for_and_is_taken_is_a_sentence(taken: int) -> None:
    with pytest.raises(SetupError, match=f"Port {taken} is in use"):
        listen("127.0.0.1", taken, fixed=True)


def test_otherwise_the_next_free_port_is_taken(taken: int) -> None:
    with listen("127.0.0.1", taken, fixed=False) as listener:
        assert listener.getsockname()[1] > taken
        assert socket.create_connection(listener.getsockname(), 5)


def test_an_address_of_another_machine_is_a_sentence() -> None:
    with pytest.raises(SetupError, match=r"cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0, fixed=True)


def test_small_answers_are_sent_at_once() -> None:
    with listen("127.0.0.1", 0, fixed=True) as listener:
        assert listener.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY
