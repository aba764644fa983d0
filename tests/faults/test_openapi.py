"""Our own description of the API is believed by a program that makes bodies and questions of it: nothing fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from starlette.testclient import TestClient

from modules.web.gate import Gate
from modules.web.server import add_routes, create_server
from tests.service.helpers import make_app
from tests.web.conftest import ADDRESS

# Answers that never end, that end the program, or that wait for a picture of any size.
LEFT_OUT = r"/events$|/server-|/open-folder|/txt2img$|/img2img$|/extra-|/train/|/restart|/shutdown"
EXAMPLES = 6


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    app = make_app(tmp_path_factory.mktemp("data"))
    server = create_server(app, Gate(app, "tests.web.small_page"))
    with TestClient(server, base_url=ADDRESS, raise_server_exceptions=False) as client:
        yield client
    app.close()


def operations() -> list[Any]:
    server = FastAPI()
    add_routes(server)
    found = schemathesis.openapi.from_dict(server.openapi()).exclude(path_regex=LEFT_OUT)
    return [operation.ok() for operation in found.get_all_operations()]


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.label)
def test_no_body_and_no_question_is_a_server_error(operation: Any, client: TestClient) -> None:
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def attempt(case: schemathesis.Case) -> None:
        call = case.as_transport_kwargs(base_url=ADDRESS)
        if isinstance(call.get("data"), bytes | str):
            call["content"] = call.pop("data")
        call["headers"] = {name: str(value) for name, value in dict(call.get("headers") or {}).items()}
        answer = client.request(**call)
        known = b'"KeyError"' in answer.content  # A1111's own status for an unknown option
        assert answer.status_code < 500 or answer.status_code == 501 or known, answer.text[:500]

    attempt()


def test_the_description_is_whole() -> None:
    assert len(operations()) > 80
