"""/api/v1/gallery: whose pictures are found, what is served how, and what is refused."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.service.app import App
from tests.service.gallery.pictures import A1111, draw, draw_own
from tests.service.helpers import make_app, until
from tests.web.conftest import Connect, body
from tests.web.visitors import ANN, BOB, logged_in, server_of, with_accounts

GALLERY = "/api/v1/gallery"


@pytest.fixture
def ann(connect: Connect) -> Iterator[TestClient]:
    """Somebody with a browser, who has two pictures."""
    client = connect()
    client.get("/")
    _draw(client, "a red boat")
    _draw(client, "a blue fox")
    yield client
    client.post(f"{GALLERY}/trash", json={"ids": _ids(client)})


def _draw(client: TestClient, prompt: str) -> dict[str, Any]:
    job = client.post("/api/v1/jobs", json=body(prompt)).json()
    until(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "done")
    return job


def _pictures(client: TestClient, **wanted: Any) -> list[dict[str, Any]]:
    answer = client.get(GALLERY, params=wanted)
    assert answer.status_code == 200, answer.text
    return answer.json()["pictures"]


def _ids(client: TestClient, **wanted: Any) -> list[str]:
    return [picture["id"] for picture in _pictures(client, **wanted)]


# --- finding ---


def test_a_saved_picture_is_found_at_once_by_its_words(ann: TestClient) -> None:
    prompts = [picture["prompt"] for picture in _pictures(ann)]
    assert prompts == ["a blue fox", "a red boat"]
    (boat,) = _pictures(ann, search="red bo")
    assert boat["seed"] == "5"
    assert (boat["width"], boat["height"], boat["kind"]) == (64, 64, "txt2img")
    assert _pictures(ann, search='"boat red"') == []
    assert [p["id"] for p in _pictures(ann, kind="txt2img", model=boat["model"], day=boat["day"])] == _ids(ann)
    assert _pictures(ann, kind="grids") == []


def test_pages_and_their_outline(ann: TestClient) -> None:
    first = ann.get(GALLERY, params={"limit": 1}).json()
    second = ann.get(GALLERY, params={"limit": 1, "before": first["next"]}).json()
    assert [*first["pictures"], *second["pictures"]] == _pictures(ann)
    outline = ann.get(f"{GALLERY}/outline").json()
    assert outline["total"] == 2
    assert sum(day["count"] for day in outline["days"]) == 2
    assert ann.get(GALLERY, params={"before": outline["starts"][0], "limit": 2}).json()["pictures"] == _pictures(ann)
    choices = ann.get(f"{GALLERY}/choices").json()
    assert choices["kinds"] == [{"name": "txt2img", "count": 2}]
    assert choices["trash_days"] == 30
    assert choices["reading"] is False


def test_others_find_nothing_of_it(ann: TestClient, connect: Connect, app: App) -> None:
    bob = connect()
    bob.get("/")
    picture = _ids(ann)[0]
    assert _ids(bob) == []
    assert bob.get(f"{GALLERY}/outline").json()["total"] == 0
    for path in ("", "/file", "/thumbnail"):
        assert bob.get(f"{GALLERY}/pictures/{picture}{path}").status_code == 404
    assert bob.post(f"{GALLERY}/favourite", json={"ids": [picture]}).json() == {"changed": 0}
    for change in ("trash", "restore", "delete"):
        assert bob.post(f"{GALLERY}/{change}", json={"ids": [picture]}).json() == {"done": [], "refused": []}
    assert bob.post(f"{GALLERY}/zip", json={"ids": [picture]}).status_code == 404
    assert picture in _ids(ann)


def test_the_machines_owner_sees_what_is_nobodys_and_may_ask_for_everybodys(
    ann: TestClient, connect: Connect, app: App
) -> None:
    old = draw(app.folders.outputs / "txt2img-images" / "old.png", text=A1111)
    app.gallery.saved(old, "")
    bob = connect()
    bob.get("/")
    assert [picture["model"] for picture in _pictures(bob, search="calm sea")] == ["oldart"]
    fox = _ids(ann, search="fox")[0]
    assert fox not in _ids(bob)
    assert fox in _ids(bob, whose="everybody")
    assert bob.get(f"{GALLERY}/choices").json()["others"]
    bob.post(f"{GALLERY}/trash", json={"ids": _ids(bob, search="calm sea")})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An App with an owner, ann, and a user, bob, and a picture of nobody known."""
    shared = make_app(tmp_path_factory.mktemp("shared"), server_name="0.0.0.0")
    with_accounts(shared)
    shared.gallery.saved(draw(shared.folders.outputs / "txt2img-images" / "old.png", text=A1111), "")
    yield shared
    shared.close()


def test_a_user_sees_their_own_and_nothing_of_the_machine(shared: App) -> None:
    server = server_of(shared)
    bob, ann = logged_in(server, BOB), logged_in(server, ANN)
    _draw(bob, "a lighthouse")
    assert [picture["prompt"] for picture in _pictures(bob)] == ["a lighthouse"]
    assert [picture["model"] for picture in _pictures(ann)] == ["oldart"]
    assert len(_ids(ann, whose="everybody")) == 2
    assert bob.get(GALLERY, params={"whose": "everybody"}).status_code == 403
    answer = bob.post(f"{GALLERY}/trash", json={"ids": _ids(ann), "whose": "everybody"})
    assert answer.status_code == 403
    assert bob.get(f"{GALLERY}/pictures/{_ids(ann)[0]}/file", params={"whose": "everybody"}).status_code == 403
    assert bob.get(f"{GALLERY}/folders").status_code == 403
    assert bob.post(f"{GALLERY}/folders", json={"path": "/"}).status_code == 403
    assert bob.get(f"{GALLERY}/choices").json()["folders"] is False


# --- serving ---


def test_files_keep_for_ever_under_their_version(ann: TestClient) -> None:
    picture = _pictures(ann)[0]
    address = f"{GALLERY}/pictures/{picture['id']}/file"
    answer = ann.get(address, params={"v": picture["version"]})
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-disposition" not in answer.headers
    assert "immutable" not in ann.get(address, params={"v": "other"}).headers["cache-control"]
    again = ann.get(address, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert ann.get(address, params={"download": 1}).headers["content-disposition"].startswith("attachment")


def test_thumbnails_are_webp_of_two_sizes(ann: TestClient) -> None:
    picture = _ids(ann)[0]
    answer = ann.get(f"{GALLERY}/pictures/{picture}/thumbnail")
    assert answer.headers["content-type"] == "image/webp"
    with Image.open(io.BytesIO(answer.content)) as small:
        assert small.size == (64, 64)
    etag = {"If-None-Match": answer.headers["etag"]}
    assert ann.get(f"{GALLERY}/pictures/{picture}/thumbnail", headers=etag).status_code == 304
    assert ann.get(f"{GALLERY}/pictures/{picture}/thumbnail?size=100").status_code == 422


def test_details_hold_the_text(ann: TestClient) -> None:
    details = ann.get(f"{GALLERY}/pictures/{_ids(ann)[0]}").json()
    assert details["text"].startswith("a blue fox\nSteps: 3, ")
    assert details["bytes"] > 100
    assert "/" not in details["file"]


@pytest.mark.parametrize("name", ["page.png", "drawing.png"])
def test_what_is_no_picture_is_never_served(ann: TestClient, app: App, name: str) -> None:
    """A page or a drawing under a picture's name, put in place of one that was indexed."""
    path = draw_own(app.folders.outputs / "txt2img-images" / name, prompt="to be replaced")
    app.gallery.saved(path, "")
    (picture,) = _ids(ann, search="to be replaced")
    path.write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>")
    answer = ann.get(f"{GALLERY}/pictures/{picture}/file")
    assert answer.status_code == 422
    assert "is not a picture" in answer.json()["detail"]
    assert ann.get(f"{GALLERY}/pictures/{picture}/thumbnail").status_code >= 400
    ann.post(f"{GALLERY}/trash", json={"ids": [picture]})


@pytest.mark.parametrize("name", ["..%2f..%2fsecret", "%2fetc%2fpasswd", "a" * 32, "0" * 32 + "%00", "C:%5Cx"])
@pytest.mark.parametrize("path", ["", "/file", "/thumbnail"])
def test_ids_are_never_paths(client: TestClient, name: str, path: str) -> None:
    assert client.get(f"{GALLERY}/pictures/{name}{path}").status_code == 404


# --- changing ---


def test_favourites(ann: TestClient) -> None:
    boat = _ids(ann, search="boat")
    assert ann.post(f"{GALLERY}/favourite", json={"ids": boat}).json() == {"changed": 1}
    assert _ids(ann, favourite=True) == boat
    ann.post(f"{GALLERY}/favourite", json={"ids": boat, "favourite": False})
    assert _ids(ann, favourite=True) == []


def test_the_trash_gives_back_what_was_put_in(ann: TestClient, app: App) -> None:
    boat = _ids(ann, search="boat")
    before = ann.get(f"{GALLERY}/pictures/{boat[0]}/file").content
    assert ann.post(f"{GALLERY}/trash", json={"ids": boat}).json() == {"done": boat, "refused": []}
    assert boat[0] not in _ids(ann)
    assert boat[0] in _ids(ann, trash=True)
    assert ann.get(f"{GALLERY}/pictures/{boat[0]}/file").content == before
    assert ann.post(f"{GALLERY}/restore", json={"ids": boat}).json()["done"] == boat
    assert _ids(ann, search="boat") == boat
    assert ann.get(f"{GALLERY}/pictures/{boat[0]}/file").content == before


def test_deleting_for_good_needs_the_trash_first(ann: TestClient) -> None:
    boat = _ids(ann, search="boat")
    assert ann.post(f"{GALLERY}/delete", json={"ids": boat}).json()["done"] == []
    ann.post(f"{GALLERY}/trash", json={"ids": boat})
    assert ann.post(f"{GALLERY}/delete", json={"ids": boat}).json()["done"] == boat
    assert ann.get(f"{GALLERY}/pictures/{boat[0]}").status_code == 404


def test_several_pictures_in_one_zip(ann: TestClient) -> None:
    ids = _ids(ann)
    order = ann.post(f"{GALLERY}/zip", json={"ids": [*ids, "0" * 32]}).json()
    assert order["pictures"] == 2
    answer = ann.get(f"/api/v1/{order['url']}")
    assert answer.headers["content-disposition"] == 'attachment; filename="pictures.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 2
        sent = {archive.read(name) for name in archive.namelist()}
    assert sent == {ann.get(f"{GALLERY}/pictures/{one}/file").content for one in ids}
    assert ann.get(f"{GALLERY}/zip/nothing").status_code == 404


@pytest.mark.parametrize(
    ("path", "values"),
    [
        ("", {"kind": "sculpture"}),
        ("", {"day": "yesterday"}),
        ("", {"day": "0001-01-01"}),
        ("/outline", {"day": "9999-12-31"}),
        ("", {"before": "1' OR 1=1"}),
        ("", {"limit": 100_000}),
        ("", {"search": "x" * 2000}),
        ("/outline", {"page": 1}),
    ],
)
def test_what_cannot_be_asked(client: TestClient, path: str, values: dict[str, Any]) -> None:
    assert client.get(f"{GALLERY}{path}", params=values).status_code == 422


@pytest.mark.parametrize("ids", [[], ["x"], ["../../etc/passwd"], ["0" * 32] * 5001])
def test_what_cannot_be_changed(client: TestClient, ids: list[str]) -> None:
    for change in ("favourite", "trash", "restore", "delete", "zip"):
        assert client.post(f"{GALLERY}/{change}", json={"ids": ids}).status_code == 422


# --- folders of others ---


def test_an_old_folder_is_shown_and_never_changed(ann: TestClient, tmp_path: Path) -> None:
    old = tmp_path / "old"
    draw(old / "txt2img-images" / "2023-01-02" / "00001-77.png", text=A1111)
    (old / "txt2img-images" / "note.html").write_text("<script>")
    before = _files(old)
    folder = ann.post(f"{GALLERY}/folders", json={"path": str(old)}).json()
    until(lambda: ann.get(f"{GALLERY}/folders").json()[0]["state"] == "done")
    (picture,) = _pictures(ann, search="calm sea")
    assert (picture["day"], picture["seed"], picture["removable"]) == ("2023-01-02", "77", False)
    ann.post(f"{GALLERY}/favourite", json={"ids": [picture["id"]]})
    refused = ann.post(f"{GALLERY}/trash", json={"ids": [picture["id"]]}).json()["refused"]
    assert "only read" in refused[0]["sentence"]
    assert ann.get(f"{GALLERY}/pictures/{picture['id']}/thumbnail").status_code == 200
    assert ann.post(f"{GALLERY}/folders/{folder['number']}/scan").status_code == 200
    assert ann.delete(f"{GALLERY}/folders/{folder['number']}").status_code == 200
    assert _pictures(ann, search="calm sea") == []
    assert ann.delete(f"{GALLERY}/folders/{folder['number']}").status_code == 404
    assert _files(old) == before


def _files(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize(
    ("path", "sentence"),
    [("", "by its path"), ("pictures", "no whole path"), ("{tmp}/none", "cannot be read"), ("{out}", "already")],
)
def test_folders_that_cannot_be_shown(client: TestClient, app: App, tmp_path: Path, path: str, sentence: str) -> None:
    wanted = path.format(tmp=tmp_path, out=app.folders.outputs)
    answer = client.post(f"{GALLERY}/folders", json={"path": wanted})
    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]
