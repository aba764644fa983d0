"""Data sets over HTTP."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.service.app import App
from modules.web.api import datasets as api
from tests.service.helpers import ROOT

SAMPLES = ROOT / "docs" / "samples" / "uncle_hermann"
NAME = "test set"
ADDRESS = f"/api/v1/datasets/{NAME}"


def png(colour: str = "red", size: tuple[int, int] = (64, 64), **options: Any) -> bytes:
    file = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert("RGB").save(file, "PNG", **options)
    if colour != "red":
        file = io.BytesIO()
        Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def data_set(client: TestClient, app: App) -> Iterator[dict[str, Any]]:
    """A fresh data set with two captioned pictures."""
    assert client.post("/api/v1/datasets", json={"name": NAME}).status_code == 201
    files = [
        ("files", ("cat.png", png())),
        ("files", ("dog.png", png("blue"))),
        ("files", ("cat.txt", b"a cat, red")),
    ]
    answer = client.post(f"{ADDRESS}/pictures", files=files)
    assert answer.json() == {"added": 2, "captions": 1, "refused": []}
    yield client.get(ADDRESS).json()
    shutil.rmtree(app.datasets.folders.root / NAME)


def ids(info: dict[str, Any]) -> dict[str, str]:
    return {picture["file"]: picture["id"] for picture in info["pictures"]}


def test_what_a_page_gets(data_set: dict[str, Any], client: TestClient) -> None:
    cat, dog = data_set["pictures"]
    assert (cat["caption"], cat["source"], cat["tokens"], cat["over"]) == ("a cat, red", "txt", 4, None)
    assert (dog["caption"], dog["source"], dog["mask"], dog["excluded"]) == ("dog", "name", False, False)
    assert (cat["width"], cat["height"], cat["crop"]) == (64, 64, None)
    assert {"tag": "red", "count": 1} in data_set["tags"]
    assert {"tiny", "few"} <= {finding["kind"] for finding in data_set["doctor"]}
    assert "tiny" in cat["problems"]
    assert [one["name"] for one in client.get("/api/v1/datasets").json()] == [NAME]
    assert client.get(ADDRESS, params={"width": 64, "height": 64}).json()["pictures"][0]["problems"] == ["few"]


def test_a_folder_is_opened_by_its_path(client: TestClient) -> None:
    info = client.post("/api/v1/datasets", json={"path": str(SAMPLES)}).json()
    assert (len(info["pictures"]), info["path"]) == (24, str(SAMPLES))
    again = client.get(f"/api/v1/datasets/{info['name']}", params={"width": 128, "height": 128}).json()
    assert again["doctor"] == []
    assert client.delete(f"/api/v1/datasets/{info['name']}").status_code == 200
    assert client.get(f"/api/v1/datasets/{info['name']}").status_code == 404


@pytest.mark.parametrize("name", ["..", "models", "%2e%2e%2fmodels", "/etc", "..%2F..", "no such"])
def test_a_name_is_no_path(client: TestClient, name: str) -> None:
    assert client.get(f"/api/v1/datasets/{name}").status_code in (404, 405)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\\b", ".hidden", "nul", "x" * 150, "a\x00b"])
def test_names_that_cannot_be(client: TestClient, name: str) -> None:
    answer = client.post("/api/v1/datasets", json={"name": name})
    assert (answer.status_code, "A data set cannot be called" in answer.text) == (422, True)


def test_a_path_that_is_not_there(client: TestClient) -> None:
    answer = client.post("/api/v1/datasets", json={"path": "/no/such/folder"})
    assert (answer.status_code, answer.json()["field"]) == (422, "path")


def test_captions_edits_and_undo(data_set: dict[str, Any], client: TestClient, app: App) -> None:
    folder = app.datasets.folders.root / NAME
    known = ids(data_set)
    assert client.put(f"{ADDRESS}/captions", json={known["dog.png"]: "a dog, blue"}).json() == {"changed": 1}
    assert (folder / "dog.txt").read_text() == "a dog, blue"
    body = {"action": "replace", "find": "a ", "text": "my "}
    assert client.post(f"{ADDRESS}/edit", json=body).json() == {"changed": 2}
    assert (folder / "cat.txt").read_text() == "my cat, red"
    body = {"action": "prepend", "text": "art", "ids": [known["cat.png"]]}
    assert client.post(f"{ADDRESS}/edit", json=body).json() == {"changed": 1}
    assert (folder / "cat.txt").read_text() == "art, my cat, red"
    assert "art" in client.get(ADDRESS).json()["undo"]
    for _ in range(3):
        assert client.post(f"{ADDRESS}/undo").status_code == 200
    assert (folder / "cat.txt").read_text() == "a cat, red"
    assert not (folder / "dog.txt").exists()


def test_undo_ends(data_set: dict[str, Any], client: TestClient) -> None:
    assert client.post(f"{ADDRESS}/undo").json()["undone"].startswith("Captions of an upload")
    answer = client.post(f"{ADDRESS}/undo")
    assert (answer.status_code, answer.json()["detail"]) == (422, "There is nothing to undo in this data set.")


def test_crop_and_exclude(data_set: dict[str, Any], client: TestClient) -> None:
    cat, dog = ids(data_set)["cat.png"], ids(data_set)["dog.png"]
    assert client.post(f"{ADDRESS}/crop", json={"id": cat, "box": [10, 10, 500, 42]}).json()["crop"] == [
        10,
        10,
        64,
        42,
    ]
    fitted = client.get(f"{ADDRESS}/pictures/{cat}/fitted", params={"width": 128, "height": 128})
    assert fitted.headers["X-Size"] == "160x96"
    assert Image.open(io.BytesIO(fitted.content)).size == (160, 96)
    assert client.post(f"{ADDRESS}/crop", json={"id": cat, "box": [70, 0, 90, 20]}).status_code == 422
    assert client.post(f"{ADDRESS}/crop", json={"id": cat, "box": None}).json()["crop"] is None
    assert client.post(f"{ADDRESS}/exclude", json={"ids": [dog], "excluded": True}).json() == {"changed": 1}
    assert [one["excluded"] for one in client.get(ADDRESS).json()["pictures"]] == [False, True]
    client.post(f"{ADDRESS}/undo")
    assert [one["excluded"] for one in client.get(ADDRESS).json()["pictures"]] == [False, False]


def test_fixes(data_set: dict[str, Any], client: TestClient) -> None:
    cat = ids(data_set)["cat.png"]
    assert client.post(f"{ADDRESS}/fix", json={"kind": "tiny", "ids": [cat]}).json() == {"changed": 1}
    assert client.get(ADDRESS).json()["pictures"][0]["excluded"] is True
    assert client.post(f"{ADDRESS}/fix", json={"kind": "magic", "ids": [cat]}).status_code == 422
    assert client.post(f"{ADDRESS}/fix", json={"kind": "focus", "ids": ["0" * 16]}).status_code == 404


def test_thumbnails(data_set: dict[str, Any], client: TestClient) -> None:
    address = f"{ADDRESS}/pictures/{ids(data_set)['cat.png']}/thumbnail"
    for _ in range(2):
        answer = client.get(address, params={"size": 32})
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(answer.content)).size == (32, 32)
    assert client.get(f"{ADDRESS}/pictures/{'0' * 16}/thumbnail").status_code == 404
    assert client.get(address, params={"size": 9999}).status_code == 422


def test_a_zip(data_set: dict[str, Any], client: TestClient, app: App) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("pictures/../../evil.png", png("green"))
        archive.writestr("pictures/evil.txt", "a green field")
        archive.writestr("pictures/run.exe", b"MZ")
        archive.writestr("__MACOSX/._evil.png", b"x")
    answer = client.post(f"{ADDRESS}/pictures", files={"files": ("all.zip", file.getvalue())}).json()
    assert (answer["added"], answer["captions"]) == (1, 1)
    assert [one["file"] for one in answer["refused"]] == ["run.exe"]
    folder = app.datasets.folders.root / NAME
    assert (folder / "evil.txt").read_text() == "a green field"
    assert {path.name for path in folder.iterdir()} >= {"evil.png"}
    assert not list(folder.parent.glob("*.png"))


def test_bodies_that_are_no_upload(data_set: dict[str, Any], client: TestClient) -> None:
    assert client.post(f"{ADDRESS}/pictures", content=png()).status_code == 422
    assert client.post(f"{ADDRESS}/pictures", data={"x": "y"}, files={}).status_code == 422
    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(1 << 40)}
    assert client.post(f"{ADDRESS}/pictures", content=b"", headers=headers).status_code == 413
    answer = client.post(f"{ADDRESS}/pictures", content=b"x", headers={"content-type": "multipart/form-data"})
    assert (answer.status_code, "boundary" in answer.json()["detail"]) == (400, True)


def test_captioner_says_what_to_put_where(data_set: dict[str, Any], client: TestClient) -> None:
    answer = client.post(f"{ADDRESS}/captioner", json={"ids": list(ids(data_set).values())})
    assert (answer.status_code, "BLIP" in answer.json()["detail"]) == (409, True)


def test_templates(client: TestClient, app: App) -> None:
    templates = {one["name"]: one["lines"] for one in client.get("/api/v1/training/templates").json()}
    assert {"style.txt", "style_filewords.txt", "subject.txt", "subject_filewords.txt", "none.txt"} <= set(templates)
    assert all("[name]" in line for line in templates["style.txt"])
    own = Path(app.folders.data / "textual_inversion_templates" / "own.txt")
    own.write_text("just [name]\n\n")
    assert {"name": "own.txt", "lines": ["just [name]"]} in client.get("/api/v1/training/templates").json()


def test_another_site_may_not_change_anything(client: TestClient) -> None:
    headers = {"origin": "http://evil.example"}
    assert client.post("/api/v1/datasets", json={"name": "x"}, headers=headers).status_code == 403


def test_an_endless_upload_is_ended(
    data_set: dict[str, Any], client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "MOST_BYTES", 100_000)

    def body() -> Iterator[bytes]:

        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.png"\r\n\r\n'
        for _ in range(1000):
            yield b"\0" * 1000

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = client.post(f"{ADDRESS}/pictures", content=body(), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "TooLarge")


def test_with_a_captioning_model_there_is_a_job(data_set: dict[str, Any], client: TestClient, app: App) -> None:
    folder = app.folders.models / "BLIP"
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (folder / name).write_text('{"model_type": "blip"}')
    body = {"ids": list(ids(data_set).values()), "existing": "Keep"}
    options = {"captioner": "clip", "interrogate_clip_num_beams": 2}
    answer = client.post(f"{ADDRESS}/captioner", json={**body, **options})
    refused = ({"data_set": "x"}, {"captioner": "?"})
    wrong = [client.post(f"{ADDRESS}/captioner", json={**body, **one}) for one in refused]
    shutil.rmtree(folder)
    assert answer.status_code == 201
    assert [one.status_code for one in wrong] == [422, 422]
    asked = answer.json()["request"]
    assert (asked["kind"], asked["captioner"], asked["interrogate_clip_num_beams"]) == ("caption", "BLIP", 2)
    assert client.post(f"{ADDRESS}/undo").json()["undone"] == "Automatic captions (2)"
