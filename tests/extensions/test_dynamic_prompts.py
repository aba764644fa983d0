"""The grammar of dynamic prompts, and its pictures with words of their own."""

from __future__ import annotations

import importlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from modules.extensions.found import read_folder
from modules.extensions.loading import load_file
from modules.schema.errors import BadRequest
from modules.schema.infotext import parse, to_request
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from tests.service.helpers import ANN, ROOT, make_app, request, to_end

FOLDER = ROOT / "extensions-builtin" / "dynamic-prompts"
LINES = {"animals": ["cat", "dog"], "deep": ["{a|b} __animals__"]}


@pytest.fixture(scope="module")
def template() -> Any:
    found = read_folder(FOLDER, "built in")
    assert found is not None
    package = load_file(found, "extension.py").__package__
    return importlib.import_module(f"{package}.template")


def all_of(template: Any, text: str) -> list[str]:
    parsed = template.parse(text)
    count = template.nth(parsed, 0, LINES.__getitem__)[1]
    return [template.nth(parsed, index, LINES.__getitem__)[0] for index in range(count)]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("plain", ["plain"]),
        ("{a|b}", ["a", "b"]),
        ("{a|b} {c|d}", ["a c", "a d", "b c", "b d"]),
        ("{a|{b|c} d}", ["a", "b d", "c d"]),
        ("{2$$a|b|c}", ["a, b", "a, c", "b, c"]),
        ("{1-2$$ and $$a|b}", ["a", "b", "a and b"]),
        ("{9$$a|b}", ["a, b"]),
        ("{3::a|b}", ["a", "b"]),
        ("x __animals__", ["x cat", "x dog"]),
        ("__deep__", ["a cat", "a dog", "b cat", "b dog"]),
        (r"\{a|b\} \_\_x__", ["{a|b} __x__"]),
        ("{a|b", ["{a|b"]),
        ("a } b { c", ["a } b { c"]),
        ("{|a}", ["", "a"]),
        ("[a|b] (c:1.2) <lora:x:1>", ["[a|b] (c:1.2) <lora:x:1>"]),
    ],
)
def test_what_a_template_can_become(template: Any, text: str, texts: list[str]) -> None:
    assert all_of(template, text) == texts
    drawn = {template.chosen(template.parse(text), random.Random(seed), LINES.__getitem__) for seed in range(60)}
    assert {"".join(sorted(one)) for one in drawn} <= {"".join(sorted(one)) for one in texts}


def test_weights_count(template: Any) -> None:
    parsed = template.parse("{99::a|b}")
    drawn = [template.chosen(parsed, random.Random(seed), LINES.__getitem__) for seed in range(100)]
    assert drawn.count("a") > 90


@pytest.mark.parametrize("text", ["{" * 5000, "{" * 3000 + "}" * 3000, "\\" * 999 + "{a|b}", "{0$$a}", "{5-2$$a|b}"])
def test_nothing_that_is_typed_is_wrong_or_slow(template: Any, text: str) -> None:
    template.chosen(template.parse(text), random.Random(1), LINES.__getitem__)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data: Path = tmp_path_factory.mktemp("data")
    (data / "wildcards" / "nature").mkdir(parents=True)
    (data / "wildcards" / "nature" / "animals.txt").write_text("# a remark\ncat\ndog\n\n{big|small} bird\n")
    app = make_app(data)
    yield app
    app.close()


def drawn(app: App, **values: Any) -> list[str]:
    job = app.submit(request(**values), ANN)
    to_end(app, job.id)
    return [image.infotext for image in app.job(job.id, ANN).images]


def test_every_picture_gets_words_of_its_own_by_its_seed(app: App) -> None:
    values = {"prompt": "a __animals__", "batch_count": 6, "extensions": {"dynamic-prompts": {}}}
    texts = drawn(app, **values)
    words = [text.split("\n")[0] for text in texts]
    assert len(set(words)) > 1
    assert all("Template: a __animals__" in text for text in texts)
    assert drawn(app, **values) == texts
    alone = drawn(app, prompt="a __animals__", seed=7, extensions={"dynamic-prompts": {}})
    assert alone[0].split("\n")[0] == words[2]


def test_in_order_takes_one_combination_after_another(app: App) -> None:
    texts = drawn(app, prompt="{a|b|c}", batch_count=4, extensions={"dynamic-prompts": {"order": "In order"}})
    assert [text.split("\n")[0] for text in texts] == ["a", "b", "c", "a"]


def test_the_same_words_for_all_stay_one_job_of_one_part(app: App) -> None:
    options = {"dynamic-prompts": {"same": True}}
    job = app.submit(request("{a|b|c|d}", batch_count=3, batch_size=2, extensions=options), ANN)
    assert isinstance(job.request, GenerationRequest)
    to_end(app, job.id)
    assert len({image.infotext.split("\n")[0] for image in app.job(job.id, ANN).images}) == 1


def test_what_is_resolved_is_not_done_again(app: App) -> None:
    job = app.submit(request("{a|b} \\{x\\}", extensions={"dynamic-prompts": {}}), ANN)
    assert isinstance(job.request, GenerationRequest)
    assert job.request.prompt in ("a {x}", "b {x}")
    again = app.submit(job.request, ANN)
    assert again.request == job.request
    text = app.job(to_end(app, job.id) and job.id, ANN).images[0].infotext
    read, notices = to_request(parse(text), GenerationRequest())
    assert (read.prompt, read.extensions, notices) == (job.request.prompt, {}, [])


def test_a_wildcard_that_is_not_there_is_refused_with_the_nearest_name(app: App) -> None:
    with pytest.raises(BadRequest, match="no wildcard named 'animal'.*Did you mean __nature/animals__"):
        app.submit(request("__animal__", extensions={"dynamic-prompts": {}}), ANN)
    with pytest.raises(BadRequest, match="no wildcard named '../../secret'"):
        app.submit(request("__../../secret__", extensions={"dynamic-prompts": {}}), ANN)


def test_cells_of_a_script_have_their_words_too(app: App) -> None:
    base = request("a {cat|dog}", extensions={"dynamic-prompts": {"order": "In order"}})
    order = ScriptRequest(script="X/Y/Z plot", base=base, options={"x_type": "Steps", "x_values": "1, 2"})
    job = app.submit(order, ANN)
    to_end(app, job.id)
    assert {image.infotext.split("\n")[0] for image in app.job(job.id, ANN).images} == {"a cat"}
