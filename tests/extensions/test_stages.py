"""Stages of one job: what fails, returns nonsense or takes too long ends the extension for the job, not the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from modules.extensions.found import Found
from modules.extensions.hooks import hook
from modules.extensions.host import Host
from modules.extensions.stages import JobStages
from modules.extensions.values import Prompts
from modules.schema.errors import BadRequest
from tests.extensions.helpers import sentences, web_host

Add = Callable[..., None]


@pytest.fixture
def host() -> Iterator[Host]:
    host = web_host()
    yield host
    host.close()


def add(host: Host, name: str, **hooks: Any) -> None:
    marked = {key: staticmethod(hook(function)) for key, function in hooks.items()}
    plugin = type(f"Plugin_{name}", (), marked)()
    assert host.add(Found(name, Path(), "folder", "own", name), plugin, "extension.py")


def run(stages: JobStages, words: str = "a cat") -> str:
    return stages.through("prompt", "prompts", Prompts(words), picture=None, texts={}).prompt


def test_values_go_from_one_extension_to_the_next(host: Host) -> None:
    add(host, "one", prompt=lambda prompts, options: Prompts(prompts.prompt + " one"))
    add(host, "two", prompt=lambda prompts, options: Prompts(prompts.prompt + " two"))
    assert run(JobStages(host, {"one": {}, "two": {}})) == "a cat one two"
    assert run(JobStages(host, {"two": {}})) == "a cat two"
    assert not JobStages(host, {}).has("prompt")


def test_none_leaves_the_value_as_it_is(host: Host) -> None:
    add(host, "silent", prompt=lambda prompts: None)
    assert run(JobStages(host, {"silent": {}})) == "a cat"


def test_one_that_raises_is_off_for_the_job_and_told(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def broken(prompts: Prompts) -> Prompts:
        calls.append(1)
        raise ZeroDivisionError("oh")

    add(host, "broken", prompt=broken)
    add(host, "fine", prompt=lambda prompts: Prompts(prompts.prompt + " fine"))
    said: list[str] = []
    stages = JobStages(host, {"broken": {}, "fine": {}}, said.append)
    assert [run(stages), run(stages)] == ["a cat fine", "a cat fine"]
    assert len(calls) == 1
    assert said == [sentences(host, "broken")]
    assert "ZeroDivisionError: oh); it was switched off for the job" in said[0]
    assert "in broken" in caplog.text  # the traceback
    assert run(JobStages(host, {"broken": {}})) == "a cat"
    assert len(calls) == 2


def test_what_it_refuses_with_a_sentence_reaches_the_user(host: Host) -> None:
    def refuses(prompts: Prompts) -> Prompts:
        raise BadRequest("There is no cat.", "prompt")

    add(host, "strict", prompt=refuses)
    with pytest.raises(BadRequest, match="There is no cat"):
        run(JobStages(host, {"strict": {}}))


def test_one_that_gives_back_something_else_is_off(host: Host) -> None:
    add(host, "odd", prompt=lambda prompts: "just text")
    assert run(JobStages(host, {"odd": {}})) == "a cat"
    assert "gave str of the wrong kind" in sentences(host, "odd")


def test_one_that_is_slow_is_off_for_the_rest_of_the_job(host: Host) -> None:
    def slow(prompts: Prompts) -> Prompts:
        time.sleep(0.02)
        return Prompts(prompts.prompt + " slow")

    add(host, "slow", prompt=slow)
    stages = JobStages(host, {"slow": {}}, seconds=0.01)
    assert [run(stages), run(stages)] == ["a cat slow", "a cat"]
    assert "of this job" in sentences(host, "slow")


def test_models_are_changed_inside_a_with_and_put_back_whatever_happens(host: Host) -> None:
    model = SimpleNamespace(changed=[])

    def changing(name: str) -> Callable[..., Any]:
        @contextmanager
        def change(model: Any) -> Iterator[None]:
            model.changed.append(name)
            yield
            model.changed.remove(name)

        return change

    @contextmanager
    def never(model: Any) -> Iterator[None]:
        raise RuntimeError("no")
        yield

    add(host, "one", model=changing("one"))
    add(host, "broken", model=never)
    add(host, "two", model=changing("two"))
    stages = JobStages(host, {"one": {}, "broken": {}, "two": {}})
    with stages.inside("model", "model", model, facts=None):
        assert model.changed == ["one", "two"]
    assert model.changed == []
    assert "RuntimeError: no" in sentences(host, "broken")
    with pytest.raises(KeyError), stages.inside("model", "model", model, facts=None):
        raise KeyError
    assert model.changed == []
