"""An order that is sent twice under one key is one job: per person, also at the same moment, also after a restart."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from modules.schema.errors import KeyTaken
from modules.service.app import App
from modules.service.jobs import OrderKey
from modules.service.keyed import KeyedLocks
from tests.service.helpers import ANN, BOB, make_app, request, until
from tests.web.conftest import Connect

BODY = {"prompt": "a boat", "width": 16, "height": 16, "steps": 1}


def post(client: TestClient, key: str | None, **values: Any) -> tuple[int, dict[str, Any]]:
    headers = {} if key is None else {"Idempotency-Key": key}
    answer = client.post("/api/v1/jobs", json={**BODY, **values}, headers=headers)
    return answer.status_code, answer.json()


def test_the_same_order_again_is_the_same_job(client: TestClient, connect: Connect) -> None:
    status, first = post(client, "one")
    assert status == 201
    assert first["request"]["seed"] != -1  # drawn at the first time, and not again
    until(lambda: client.get(f"/api/v1/jobs/{first['id']}").json()["state"] == "done")
    status, again = post(client, "one")
    assert (status, again["id"], again["request"]) == (201, first["id"], first["request"])
    assert again["state"] == "done"
    assert post(client, "two")[1]["id"] != first["id"]
    assert post(client, None)[1]["id"] != post(client, None)[1]["id"]
    other = connect()
    other.get("/")  # a browser: another person
    assert post(other, "one")[1]["id"] != first["id"]


def test_another_order_under_the_same_key_is_refused(client: TestClient) -> None:
    _, first = post(client, "mine")
    status, answer = post(client, "mine", prompt="a house")
    assert (status, answer["error"]) == (409, "KeyTaken")
    assert first["id"] in answer["detail"]
    # The order of the fields, and how the text is spaced, are no difference.
    same = client.post("/api/v1/jobs", json=dict(reversed(BODY.items())), headers={"Idempotency-Key": "mine"})
    assert same.json()["id"] == first["id"]


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256])
def test_what_is_no_key(client: TestClient, key: str) -> None:
    assert post(client, key)[0] == 422


def test_a_refused_order_uses_up_no_key(client: TestClient) -> None:
    assert post(client, "later", width=-5)[0] == 422
    assert post(client, "later", checkpoint="nonsense")[0] == 422
    assert post(client, "later")[0] == 201


def test_twenty_at_the_same_moment_are_one_job(client: TestClient, app: App) -> None:
    before = len(app.recent("api", 200))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(client, "crowd"), range(20)))
    assert {status for status, _ in answers} == {201}
    assert len({answer["id"] for _, answer in answers}) == 1
    assert len(app.recent("api", 200)) == before + 1


def test_keys_outlive_a_restart_and_go_with_their_jobs(tmp_path: Path) -> None:
    key = OrderKey("k", "digest")
    with closing(make_app(tmp_path)) as first:
        job = first.submit_once(request("a"), ANN, key)
        until(lambda: not first.job(job.id, ANN).is_open)
    with closing(make_app(tmp_path)) as second:
        assert second.submit_once(request("a"), ANN, key).id == job.id
        with pytest.raises(KeyTaken, match="new key"):
            second.submit_once(request("a"), ANN, OrderKey("k", "other"))
        assert second.submit_once(request("a"), BOB, OrderKey("k", "other")).id != job.id
        second.forget(job.id, ANN)
        assert second.submit_once(request("a"), ANN, key).id != job.id


def test_orders_of_different_keys_do_not_wait_for_each_other() -> None:
    locks = KeyedLocks()
    order: list[str] = []

    def same() -> None:
        with locks.of("a"):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with locks.of("a"), locks.of("b"):
            assert len(locks) == 2
            waiting = pool.submit(same)
            order.append("first")
        waiting.result(20)
    assert order == ["first", "second"]
    assert len(locks) == 0
