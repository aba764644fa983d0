"""Engines on other machines, with Ray played by a few lines; the real one is in test_ray."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modules.schema.errors import SetupError
from modules.schema.events import Failed, Finished, ImageSaved, Notice
from modules.schema.merge import MergeRequest
from modules.schema.settings import Settings
from modules.service import cluster
from modules.service.app import App
from modules.service.cluster import Seat
from modules.service.node import CACHE, Node
from modules.service.shipping import Store
from tests.service.helpers import ANN, FAKE, ROOT, request, running, to_end, until

Start = Callable[..., App]


class RayError(Exception):
    """Something of Ray's, or the other side is gone."""


class RayTaskError(RayError):
    """A method of an actor has raised `cause`."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


class Actor:
    """A Node in this process. `gone`: nothing can be asked of it any more."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.gone = False

    def __getattr__(self, name: str) -> Any:
        return SimpleNamespace(remote=lambda *values: self._call(name, values))

    def _call(self, name: str, values: tuple[Any, ...]) -> Any:
        if self.gone:
            return RayError("The actor died.")
        try:
            result = getattr(self.node, name)(*values)
        except OSError as error:
            return RayTaskError(error)
        return RayError("The actor died.") if self.gone else result

    def vanish(self) -> None:
        """Its machine is switched off."""
        self.gone = True
        self.node.close()


class Ray:
    """What is used of Ray. `actors`: all that were ever made."""

    exceptions = SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError)

    def __init__(self) -> None:
        self.actors: list[Actor] = []

    def get(self, value: Any, timeout: float | None = None) -> Any:
        del timeout
        if isinstance(value, Exception):
            raise value
        return value

    def kill(self, actor: Actor) -> None:
        if not actor.gone:
            actor.vanish()

    def remote(self, kind: type[Node]) -> Any:
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=lambda own: self._make(kind, own)))

    def _make(self, kind: type[Node], settings: Settings) -> Actor:
        self.actors.append(Actor(kind(settings, FAKE)))
        return self.actors[-1]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Ray:
    """A cluster of as many machines as `--cluster-engines` says."""
    played = Ray()

    def connection(settings: Settings) -> Any:
        seats = [Seat(f"engine {n} in the cluster", "the cluster", {}) for n in range(settings.cluster_engines)]
        return SimpleNamespace(ray=played, seats=lambda: seats, join=lambda: None, leave=lambda: None)

    monkeypatch.setattr(cluster, "Connection", connection)
    monkeypatch.setenv(CACHE, str(tmp_path / "far"))
    return played


def far(start: Start, folder: Path, engines: int = 2, **settings: Any) -> App:
    app = start(folder, cluster="x:1", cluster_engines=engines, **{"gpus": "none", **settings})
    until(lambda: all(view.state == "ready" for view in app.engines.views))
    return app


def pictures(app: App, order: Any) -> list[Any]:
    events = to_end(app, app.submit(order, ANN).id)
    assert isinstance(events[-1], Finished)
    images = [event for event in events if isinstance(event, ImageSaved)]
    return [(i.index, i.name, i.infotext, app.image_path(i.name, ANN).read_bytes()[-200:]) for i in images]


def test_two_other_machines_draw_what_one_engine_draws(start: Start, tmp_path: Path, ray: Ray) -> None:
    app = far(start, tmp_path / "cluster")
    one = start(tmp_path / "one")
    order = request("slow seeded", batch_count=8, batch_size=2, subseed=4)
    assert pictures(app, order) == pictures(one, order)
    assert len(ray.actors) == 2
    assert app.engine_pid is None
    assert all(" on " in view.device for view in app.engines.views)
    assert app.engine_status().checkpoint == str(ROOT / "models" / "Stable-diffusion" / "miniature.safetensors")


def test_a_machine_that_is_lost_in_mid_job_loses_nothing(start: Start, tmp_path: Path, ray: Ray) -> None:
    app = far(start, tmp_path / "cluster")
    job = app.submit(request("slow seeded", steps=10, batch_count=10), ANN)
    until(lambda: sum(view.state == "busy" for view in app.engines.views) == 2)
    until(lambda: len(app.job(job.id, ANN).images) >= 1)
    ray.actors[0].vanish()
    events = to_end(app, job.id)
    assert isinstance(events[-1], Finished)
    assert [image.index for image in app.job(job.id, ANN).images] == list(range(10))
    assert sum(isinstance(event, Notice) for event in events) == 1
    until(lambda: all(view.state == "ready" for view in app.engines.views))
    assert len(ray.actors) == 3


def test_the_only_other_machine_goes_and_comes_back(start: Start, tmp_path: Path, ray: Ray) -> None:
    app = far(start, tmp_path / "cluster", 1)
    job = app.submit(request("slow seeded", steps=10, batch_count=4), ANN)
    until(lambda: len(app.job(job.id, ANN).images) >= 1)
    ray.actors[0].vanish()
    events = to_end(app, job.id)
    assert isinstance(events[-1], Finished)
    assert [image.index for image in app.job(job.id, ANN).images] == list(range(4))


def test_an_engine_that_dies_on_its_machine_is_started_again_there(start: Start, tmp_path: Path, ray: Ray) -> None:
    app = far(start, tmp_path / "cluster")
    job = app.submit(request("slow seeded", steps=10, batch_count=6), ANN)
    until(lambda: sum(view.state == "busy" for view in app.engines.views) == 2)
    app.restart_engine()
    events = to_end(app, job.id)
    assert isinstance(events[-1], Finished)
    assert [image.index for image in app.job(job.id, ANN).images] == list(range(6))
    assert len(ray.actors) == 2


def test_models_and_pictures_are_fetched_where_no_folder_is_shared(
    start: Start, tmp_path: Path, ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Store, "_has_shared", lambda self, freight: False)
    app = far(start, tmp_path / "cluster")
    assert pictures(app, request("seeded", batch_count=4))
    model = ROOT / "models" / "Stable-diffusion" / "miniature.safetensors"
    (copy,) = (tmp_path / "far" / "models").rglob("*.safetensors")
    assert copy.read_bytes() == model.read_bytes()
    assert app.engine_status().checkpoint == str(model)
    assert len(ray.actors) == 2


def test_a_full_disk_of_the_other_machine_is_a_sentence(
    start: Start, tmp_path: Path, ray: Ray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Store, "_has_shared", lambda self, freight: False)
    monkeypatch.setattr(Store, "begin", full)
    app = far(start, tmp_path / "cluster", 1)
    end = to_end(app, app.submit(request(), ANN).id)[-1]
    assert isinstance(end, Failed)
    assert "No space left on device" in end.message
    until(lambda: app.engine_status().state == "ready")
    assert ray.actors


@pytest.mark.parametrize("preload", [True, False])
def test_interrupt_while_a_model_is_on_its_way(
    start: Start, tmp_path: Path, ray: Ray, monkeypatch: pytest.MonkeyPatch, preload: bool
) -> None:
    """For the job itself, or for what is loaded ahead: then the job has not come to its turn."""

    def slowly(self: Store, name: str, data: bytes) -> None:
        del self, name, data
        time.sleep(0.2)

    def spoil() -> None:
        monkeypatch.setattr(Store, "_has_shared", lambda self, freight: False)
        monkeypatch.setattr("modules.service.shipping.CHUNK", 1 << 14)
        monkeypatch.setattr(Store, "write", slowly)

    if preload:
        spoil()
    app = start(cluster="x:1", cluster_engines=1, gpus="none")
    if not preload:
        until(lambda: app.engine_status().checkpoint != "")
        spoil()
        job = app.submit(request(), ANN)
    until(lambda: "is being copied" in app.engines.views[0].text)
    if preload:
        job = app.submit(request(), ANN)
        until(lambda: app.job(job.id, ANN).state == "running")
    app.interrupt(job.id, ANN)
    assert to_end(app, job.id)[-1] == Finished("interrupted")
    app.close()
    assert not list((tmp_path / "far" / "models").rglob("*.*"))
    assert ray.actors


def test_what_needs_this_machine_is_done_on_it_or_refused(start: Start, tmp_path: Path, ray: Ray) -> None:
    merge = MergeRequest(checkpoint_a="miniature", checkpoint_b="miniature", name="x")
    app = far(start, tmp_path / "away", 1)
    end = to_end(app, app.submit(merge, ANN).id)[-1]
    assert isinstance(end, Failed)
    assert "--gpus none" in end.message
    both = far(start, tmp_path / "both", 1, gpus="")
    busy = both.submit(request("slow", steps=20), ANN)
    running(both, busy.id)
    assert isinstance(to_end(both, both.submit(merge, ANN).id)[-1], Finished)
    assert ray.actors


def test_a_cluster_that_stays_away_is_given_up_and_tried_again(start: Start, tmp_path: Path, ray: Ray) -> None:
    app = far(start, tmp_path / "cluster", 1)

    def refuse(*_: object) -> Any:
        return SimpleNamespace(about=SimpleNamespace(remote=lambda: RayError("No room.")), gone=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray, "_make", refuse)
        ray.actors[0].vanish()
        until(lambda: app.engine_status().state == "stopped")
        assert "No room" in app.engine_status().text
    job = app.submit(request(), ANN)
    assert isinstance(to_end(app, job.id)[-1], Finished)


def test_a_missing_ray_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SetupError, match=r"requirements-cluster\.txt"):
        cluster.cluster_engines(Settings(cluster="auto"), tmp_path)


def test_ray_is_not_imported_unless_it_is_asked_for() -> None:
    code = "import sys, modules.service.app; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_the_tests_have_the_pins_of_the_cluster() -> None:
    cluster_pins, test_pins = (
        {line.split(";")[0] for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if "==" in line}
        for name in ("requirements-cluster.txt", "requirements-test.txt")
    )
    assert cluster_pins <= test_pins
