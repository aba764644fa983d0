"""/api/v1/extensions: the list, on and off, installing, files of the page; and what extensions add to the API."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from modules.service.app import App
from modules.service.extension_install import pip_command
from modules.web.gate import Gate
from modules.web.server import create_server
from tests.extensions.helpers import write
from tests.service.helpers import make_app, until

WEB = """
    from fastapi import APIRouter
    from modules.extensions import hook

    router = APIRouter()

    @router.get("/hello")
    def hello():
        return {"hello": "there"}

    @router.get("/fault")
    def fault():
        raise KeyError("oh")

    @hook
    def register_routes(register):
        register(router)
"""
OPTIONS = """
    from modules.extensions import Options, Prompts, hook, knob

    class Mine(Options):
        word: str = knob("nice", "Word", "Put into the prompt.")
        times: int = knob(1, "Times", "How often.", ge=1, le=3, step=1)

    @hook
    def options():
        return Mine

    @hook
    def prompt(prompts, options):
        return Prompts(prompts.prompt + f" {options.word}" * options.times)
"""


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    data: Path = tmp_path_factory.mktemp("data")
    write(data / "extensions", "talker", web=WEB, **{
        "extension.toml": 'title = "The talker"\nversion = "1.2"', "requirements.txt": "no-such-thing-here==1\n",
        "javascript/a.mjs": "export {};", "locales/ru.json": "{}", "secret.txt": "x",
    })  # fmt: skip
    write(data / "extensions", "worder", extension=OPTIONS)
    write(data / "extensions", "broken", web="1 / 0")
    app = make_app(data)
    yield app
    app.close()


@pytest.fixture(scope="module")
def client(app: App) -> Iterator[TestClient]:
    server = create_server(app, Gate(app, "tests.web.small_page"))
    with TestClient(
        server, base_url="http://127.0.0.1:7860", client=("127.0.0.1", 5000), raise_server_exceptions=False
    ) as client:
        yield client


def test_the_list_tells_of_every_extension(client: TestClient) -> None:
    answer = client.get("/api/v1/extensions").json()
    seen = {one["name"]: one for one in answer["extensions"]}
    assert list(seen)[:2] == ["adaptive-projected-guidance", "dynamic-prompts"]
    talker = seen["talker"]
    assert (talker["title"], talker["version"], talker["active"]) == ("The talker", "1.2", True)
    assert (talker["missing"], talker["locales"]) == (["no-such-thing-here==1"], ["ru"])
    assert "ZeroDivisionError" in seen["broken"]["problems"][0]["sentence"]
    assert not seen["broken"]["active"]
    assert "word" in seen["worder"]["options"]["properties"]
    assert answer["may_switch"]
    assert answer["may_install"]


def test_routes_of_an_extension_lie_below_its_name_and_their_faults_are_told(client: TestClient, app: App) -> None:
    assert client.get("/api/v1/extensions/talker/hello").json() == {"hello": "there"}
    assert client.get("/api/v1/extensions/talker/fault").status_code == 500
    assert "KeyError: 'oh'" in app.extensions.view("talker").problems[-1].sentence
    foreign = client.get("/api/v1/extensions/talker/hello", headers={"Host": "evil.example"})
    assert foreign.status_code == 403


@pytest.mark.parametrize(
    "path", ["web.py", "secret.txt", "javascript/../web.py", "javascript/%2e%2e/web.py", "", "x", "%2e%2e/x"]
)
def test_only_files_of_the_page_are_served(client: TestClient, path: str) -> None:
    assert client.get("/static/extensions/talker/javascript/a.mjs").headers["content-type"].startswith("text/java")
    answer = client.get(f"/static/extensions/talker/{path}")
    assert answer.status_code == 404
    assert "KeyError" not in answer.text


def test_installing_is_for_the_owner_at_the_machine_only(client: TestClient, app: App) -> None:
    far = TestClient(client.app, base_url="http://127.0.0.1:7860", client=("192.168.0.9", 5000))
    answer = far.post("/api/v1/extensions/talker/install")
    assert answer.status_code == 403
    assert not far.get("/api/v1/extensions").json().get("may_install")
    refused = client.post("/api/v1/extensions/worder/install")
    assert refused.status_code == 422
    assert "names nothing to install" in refused.json()["detail"]
    command = pip_command(app.extensions.view("talker").found)
    assert "--constraint" in command
    assert command[-1].endswith("requirements.txt")


def test_options_go_through_the_api_and_into_the_pictures_text(client: TestClient, app: App) -> None:
    body = {"prompt": "a cat", "width": 64, "height": 64, "steps": 2, "seed": 1}
    wrong = client.post("/api/v1/jobs", json={**body, "extensions": {"worder": {"times": 7}}})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "extensions.worder.times")
    assert "less than or equal to 3" in wrong.json()["detail"]
    unknown = client.post("/api/v1/jobs", json={**body, "extensions": {"wordre": {}}})
    assert "Did you mean 'worder'" in unknown.json()["detail"]
    job = client.post("/api/v1/jobs", json={**body, "extensions": {"worder": {"times": 2}}}).json()
    assert job["request"]["prompt"] == "a cat nice nice"
    until(lambda: not app.queue())


def test_a1111s_clients_name_extensions_as_scripts_that_are_always_on(client: TestClient) -> None:
    scripts = {"worder": {"args": ["fine", 2]}}
    body = {"prompt": "a cat", "width": 64, "height": 64, "steps": 2, "alwayson_scripts": scripts}
    answer = client.post("/sdapi/v1/txt2img", json=body).json()
    assert "a cat fine fine" in answer["info"]
    assert "worder" in client.get("/sdapi/v1/scripts").json()["txt2img"]
    entry = next(one for one in client.get("/sdapi/v1/script-info").json() if one["name"] == "worder")
    assert (entry["is_alwayson"], [one["label"] for one in entry["args"]]) == (True, ["Word", "Times"])
    many = {"worder": {"args": [1, 2, 3]}}
    assert client.post("/sdapi/v1/txt2img", json={**body, "alwayson_scripts": many}).status_code == 422
    other = client.post("/sdapi/v1/txt2img", json={**body, "alwayson_scripts": {"nobody": {}}})
    assert other.status_code == 422


def test_switched_off_it_takes_no_part_from_then_on(client: TestClient, app: App) -> None:
    answer = client.post("/api/v1/extensions/worder/switch", json={"on": False})
    assert (answer.json()["on"], answer.json()["active"]) == (False, False)
    body = {"prompt": "a cat", "extensions": {"worder": {}}}
    assert client.post("/api/v1/jobs", json=body).status_code == 422
    client.post("/api/v1/extensions/talker/switch", json={"on": False})
    assert client.get("/api/v1/extensions/talker/hello").status_code == 404
    on = client.post("/api/v1/extensions/worder/switch", json={"on": True}).json()
    assert (on["on"], on["active"], on["restart"]) == (True, False, True)
    assert client.post("/api/v1/extensions/nobody/switch", json={"on": True}).status_code == 404
