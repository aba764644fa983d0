"""A real Ray cluster of two engines on this machine, one of them killed; skipped where Ray is not installed."""

from __future__ import annotations

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.schema.errors import SetupError
from modules.schema.events import Finished, ImageSaved
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings
from modules.service.app import App
from modules.service.cluster import LOCAL, cluster_engines
from modules.service.far_engine import FarEngine
from modules.service.node import CACHE
from tests.service.helpers import ANN, ROOT, request, until

pytest.importorskip("ray", reason="Ray is not installed (requirements-cluster.txt)")
pytestmark = pytest.mark.engine

_PATIENCE = 240.0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cluster")


@pytest.fixture(scope="module")
def app(folder: Path) -> Iterator[App]:
    """Two engines in a cluster that is made for it, and none beside them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CACHE, str(folder / "far"))
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        # Ray's workers step back for everything else on the machine; here that is other tests.
        patch.setenv("RAY_worker_niceness", "0")
        settings = Settings(data_dir=str(folder / "data"), gpus="none", cluster=LOCAL, cluster_engines=2, threads=1)
        app = App.start(settings, ROOT)
        yield app
        app.close()


def ready(app: App) -> bool:
    return all(view.state == "ready" for view in app.engines.views)


def order(**values: Any) -> GenerationRequest:
    return request("a red circle", sampler="Euler a", width=64, height=64, subseed=4, **values)


def pictures(app: App, job_id: str) -> list[tuple[Any, ...]]:
    events = [event for _, event in app.follow(job_id, ANN, timeout=_PATIENCE)]
    assert isinstance(events[-1], Finished), events[-1:]
    images = [event for event in events if isinstance(event, ImageSaved)]
    return [(i.index, i.name, i.infotext, app.image_path(i.name, ANN).read_bytes()) for i in images]


def test_a_killed_actor_loses_nothing_and_the_pictures_are_those_of_one_engine(app: App, folder: Path) -> None:
    until(lambda: ready(app), _PATIENCE)
    first = pictures(app, app.submit(order(steps=2), ANN).id)
    job = app.submit(order(steps=6, batch_count=10), ANN)
    until(lambda: sum(view.state == "busy" for view in app.engines.views) == 2, _PATIENCE)
    until(lambda: len(app.job(job.id, ANN).images) >= 1, _PATIENCE)
    handle = app.engines.all[0].handle
    assert isinstance(handle, FarEngine)
    assert handle.far_pid is not None
    os.kill(handle.far_pid, signal.SIGKILL)
    together = pictures(app, job.id)
    assert [picture[0] for picture in together] == list(range(10))
    until(lambda: ready(app), _PATIENCE)
    one = App.start(Settings(data_dir=str(folder / "one"), device="cpu", threads=1), ROOT)
    try:
        assert pictures(one, one.submit(order(steps=2), ANN).id) == first
        assert pictures(one, one.submit(order(steps=6, batch_count=10), ANN).id) == together
    finally:
        one.close()


def test_a_cluster_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="ray start --head"):
        cluster_engines(Settings(cluster="127.0.0.1:1"), tmp_path)
