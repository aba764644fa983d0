"""Model files over HTTP: listed, renamed, deleted with a way back, hashed; nothing leads out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.testclient import TestClient

from modules.service.app import App
from tests.catalog.model_files import header
from tests.service.gallery.pictures import draw_own
from tests.service.helpers import make_app, until
from tests.service.test_named import LORA, safetensors
from tests.web.models.conftest import FOX, ROUTE, finished, listed, paths, sentence
from tests.web.visitors import BOB, logged_in, server_of, with_accounts

# Looking


def test_every_kind_is_listed_with_what_is_known(client: TestClient) -> None:
    answer = listed(client)
    counts = {"checkpoint": 1, "vae": 1, "lora": 2, "embedding": 2, "hypernet": 0, "upscaler": 2, "face": 1}
    assert answer["counts"] == counts | {"captioner": 1}
    assert (answer["total"], answer["unusable"], answer["may_change"]) == (10, 2, True)
    files = {(file["kind"], file["path"]): file for file in answer["files"]}
    fox = files["lora", "animals/fox.safetensors"]
    assert (fox["trigger"], fox["description"], fox["hash"], fox["movable"]) == ("red fox", "Foxes", None, True)
    assert client.get(fox["preview"]).status_code == 200
    assert files["checkpoint", "miniature.safetensors"]["family"] == "sd1"
    assert "not a model file" in files["embedding", "broken.pt"]["problem"]
    assert "is a LoRA: move it to models/Lora" in files["upscaler", "ESRGAN/wrong.safetensors"]["problem"]
    assert files["upscaler", "ESRGAN/4x.safetensors"]["problem"] is None
    assert files["captioner", "BLIP"]["movable"] is False


def test_search_order_filter_and_pages(client: TestClient) -> None:
    assert paths(client, kind="lora") == ["animals/fox.safetensors", "cat.safetensors"]
    assert paths(client, search="RED animals") == ["animals/fox.safetensors"]
    assert paths(client, search="sd1", kind="embedding") == ["style.safetensors"]
    assert sorted(paths(client, broken=True)) == ["ESRGAN/wrong.safetensors", "broken.pt"]
    sizes = [file["size"] for file in listed(client, order="size")["files"]]
    assert sizes == sorted(sizes, reverse=True)
    every = paths(client, order="kind")
    assert [*paths(client, order="kind", limit=4), *paths(client, order="kind", limit=100, offset=4)] == every
    assert listed(client, offset=50) | {"files": []} == listed(client) | {"files": []}
    for wrong in ({"kind": "x"}, {"order": "x"}, {"limit": 100_000}, {"offset": -1}):
        assert client.get(ROUTE, params=wrong).status_code == 422


def test_notes_and_previews_are_there_for_every_kind(client: TestClient, app: App) -> None:
    where = {"kind": "upscaler", "path": "ESRGAN/4x.safetensors"}
    assert client.put("/api/v1/networks/note", params=where, json={"description": "Sharp"}).status_code == 200
    assert json.loads((app.folders.models / "ESRGAN/4x.json").read_text())["description"] == "Sharp"
    (file,) = (one for one in listed(client, kind="upscaler")["files"] if one["path"] == where["path"])
    assert file["description"] == "Sharp"
    assert client.get("/api/v1/networks/details", params=where).json() == {"metadata": {}}


def test_the_pictures_of_a_model_are_found_by_hash_and_name(client: TestClient, app: App) -> None:
    outputs = app.folders.outputs / "txt2img-images"
    digits = client.get("/sdapi/v1/loras").json() and app.networks.short_hash(app.networks.find("lora", "fox"))
    for number, prompt in enumerate(("a <lora:fox:1> b", "<lora:foxy:1>", "plain")):
        draw_own(outputs / f"{number}.png", prompt=prompt, seed=number, at=1_700_000_000.0 + number)
    text = f'b\nSteps: 1, Seed: 1, Size: 8x8, Lora hashes: "renamed: {digits}"'
    Image.new("RGB", (8, 8)).save(outputs / "3.png", pnginfo=_text(text))
    app.gallery.scan_now()
    found = client.get(f"{ROUTE}/pictures", params=FOX).json()
    assert [(uses["by"], uses["count"]) for uses in found] == [("hash", 1), ("name", 1)]
    for uses in found:
        shown = client.get("/api/v1/gallery", params={"search": uses["search"]}).json()
        assert len(shown["pictures"]) == uses["count"]


def _text(text: str) -> Any:
    info = PngInfo()
    info.add_text("parameters", text)
    return info


# Renaming and deleting


def test_a_file_is_renamed_with_what_is_beside_it(client: TestClient, app: App) -> None:
    assert (
        finished(client, client.post(f"{ROUTE}/hash", json={"files": [FOX]}).json()["task"]["id"])["state"] == "done"
    )
    before = listed(client, search="fox")["files"][0]["sha256"]
    answer = client.post(f"{ROUTE}/rename", json=FOX | {"name": "vixen"})
    assert answer.status_code == 200, answer.text
    assert (answer.json()["path"], answer.json()["sha256"]) == ("animals/vixen.safetensors", before)
    folder = app.folders.loras[0] / "animals"
    assert sorted(path.name for path in folder.iterdir()) == ["vixen.json", "vixen.preview.png", "vixen.safetensors"]
    assert answer.json()["trigger"] == "red fox"
    again = client.post(
        f"{ROUTE}/rename", json=FOX | {"path": "animals/vixen.safetensors", "name": "fox.safetensors"}
    )
    assert again.json()["path"] == "animals/fox.safetensors"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "/etc/x", "   ", ".safetensors", "\0"])
def test_hostile_names_are_refused(client: TestClient, app: App, name: str) -> None:
    assert sentence(client.post(f"{ROUTE}/rename", json=FOX | {"name": name}))
    assert paths(client, kind="lora") == ["animals/fox.safetensors", "cat.safetensors"]


def test_odd_names_become_names(client: TestClient, app: App) -> None:
    answer = client.post(f"{ROUTE}/rename", json=FOX | {"name": "  ..a<b>:c\u202e?\n .safetensors"})
    assert answer.json()["path"] == "animals/a_b__c_.safetensors"
    answer = client.post(f"{ROUTE}/rename", json=FOX | {"path": answer.json()["path"], "name": "con"})
    assert answer.json()["path"] == "animals/con_.safetensors"


def test_a_taken_name_and_a_taken_side_file_stop_a_rename(client: TestClient, app: App) -> None:
    loras = app.folders.loras[0]
    safetensors(loras / "animals/wolf.safetensors", LORA)
    assert "already" in sentence(client.post(f"{ROUTE}/rename", json=FOX | {"name": "wolf"}))
    (loras / "animals/owl.json").write_text("{}")
    assert "owl.json already" in sentence(client.post(f"{ROUTE}/rename", json=FOX | {"name": "owl"}))
    assert (loras / "animals/fox.safetensors").exists() and (loras / "animals/fox.json").exists()


@pytest.mark.parametrize(
    "path", ["../../x.safetensors", "/etc/passwd", "animals/fox.json", "", "animals/../cat.safetensors"]
)
def test_only_what_is_listed_is_touched(client: TestClient, path: str) -> None:
    meant = {"kind": "lora", "path": path}
    assert sentence(client.post(f"{ROUTE}/trash", json=meant))
    assert sentence(client.post(f"{ROUTE}/rename", json=meant | {"name": "x"}))
    assert sentence(client.post(f"{ROUTE}/hash", json={"files": [meant]}))
    assert client.get(f"{ROUTE}/pictures", params=meant).status_code == 404


def test_deleted_and_brought_back(client: TestClient, app: App) -> None:
    folder = app.folders.loras[0] / "animals"
    before = sorted(path.name for path in folder.iterdir())
    trashed = client.post(f"{ROUTE}/trash", json=FOX).json()
    assert list(folder.iterdir()) == [] and paths(client, kind="lora") == ["cat.safetensors"]
    (found,) = client.get(f"{ROUTE}/trash").json()["files"]
    assert found == trashed and found["path"] == FOX["path"]
    back = client.post(f"{ROUTE}/trash/{trashed['id']}/restore")
    assert back.json()["path"] == FOX["path"] and back.json()["trigger"] == "red fox"
    assert sorted(path.name for path in folder.iterdir()) == before
    assert client.post(f"{ROUTE}/trash/{trashed['id']}/restore").status_code == 404


def test_brought_back_beside_a_new_one_of_its_name_and_deleted_for_good(client: TestClient, app: App) -> None:
    trashed = client.post(f"{ROUTE}/trash", json=FOX).json()
    safetensors(app.folders.loras[0] / "animals/fox.safetensors", LORA)
    back = client.post(f"{ROUTE}/trash/{trashed['id']}/restore").json()
    assert back["path"] == "animals/fox-2.safetensors" and back["trigger"] == "red fox"
    again = client.post(f"{ROUTE}/trash", json={"kind": "lora", "path": back["path"]}).json()
    assert client.delete(f"{ROUTE}/trash/{again['id']}").status_code == 200
    assert client.get(f"{ROUTE}/trash").json()["files"] == []
    for odd in ("x", "0" * 16, again["id"]):
        assert client.delete(f"{ROUTE}/trash/{odd}").status_code in (404, 405)


def test_the_trash_is_emptied_after_its_days(client: TestClient, app: App) -> None:
    trashed = client.post(f"{ROUTE}/trash", json=FOX).json()
    facts = app.folders.loras[0] / ".trash" / trashed["id"] / "trashed.json"
    facts.write_text(json.dumps(json.loads(facts.read_text()) | {"since": 0}))
    app.models.tidy()
    assert client.get(f"{ROUTE}/trash").json()["files"] == [] and not facts.exists()


def test_facts_of_the_trash_lead_nowhere_else(client: TestClient, app: App, tmp_path: Path) -> None:
    trashed = client.post(f"{ROUTE}/trash", json=FOX).json()
    facts = app.folders.loras[0] / ".trash" / trashed["id"] / "trashed.json"
    for files in (["../../../../x"], ["/etc/passwd"], [], "x", None):
        facts.write_text(json.dumps({"kind": "lora", "files": files, "since": 1, "size": 1}))
        assert client.get(f"{ROUTE}/trash").json()["files"] == []
        assert client.post(f"{ROUTE}/trash/{trashed['id']}/restore").status_code == 404


def test_links_are_moved_themselves_and_not_what_they_lead_to(client: TestClient, app: App, tmp_path: Path) -> None:
    elsewhere = safetensors(tmp_path / "elsewhere/real.safetensors", LORA)
    link = app.folders.loras[0] / "linked.safetensors"
    link.symlink_to(elsewhere)
    app.refresh()
    trashed = client.post(f"{ROUTE}/trash", json={"kind": "lora", "path": "linked.safetensors"}).json()
    assert elsewhere.is_file() and not link.is_symlink()
    client.post(f"{ROUTE}/trash/{trashed['id']}/restore")
    assert link.is_symlink() and elsewhere.is_file()
    trashed = client.post(f"{ROUTE}/trash", json={"kind": "lora", "path": "linked.safetensors"}).json()
    client.delete(f"{ROUTE}/trash/{trashed['id']}")
    assert elsewhere.is_file()


def test_a_file_in_use_stays(client: TestClient, app: App) -> None:
    job = client.post("/api/v1/jobs", json={"prompt": "slow", "width": 64, "height": 64, "steps": 100}).json()
    until(lambda: client.get(f"/api/v1/jobs/{job['id']}").json()["state"] == "running")
    meant = {"kind": "checkpoint", "path": "miniature.safetensors"}
    assert "is being used by the engine" in sentence(client.post(f"{ROUTE}/trash", json=meant))
    waiting = {"prompt": "<lora:cat:1>", "width": 64, "height": 64, "steps": 3}
    client.post("/api/v1/jobs", json=waiting)
    cat = {"kind": "lora", "path": "cat.safetensors"}
    assert "job in the queue" in sentence(client.post(f"{ROUTE}/rename", json=cat | {"name": "dog"}))
    client.post(f"/api/v1/jobs/{job['id']}/interrupt")
    until(lambda: not app.queue())
    assert client.post(f"{ROUTE}/rename", json=cat | {"name": "dog"}).status_code == 200


def test_a_renamed_checkpoint_stays_selected(client: TestClient, app: App) -> None:
    safetensors(app.folders.checkpoints[0] / "mine.safetensors", {})
    source = next(entry.path for entry in app.checkpoints.entries if entry.stem == "miniature")
    (app.folders.checkpoints[0] / "mine.safetensors").write_bytes(source.read_bytes())
    app.refresh()
    app.select_checkpoint("mine.safetensors")
    until(lambda: app.engine_status().state == "ready")
    meant = {"kind": "checkpoint", "path": "mine.safetensors"}
    assert client.post(f"{ROUTE}/rename", json=meant | {"name": "ours"}).status_code == 200
    assert app.selected_checkpoint.startswith("ours.safetensors")


# Hashes


def test_hashes_are_computed_once_in_the_background(client: TestClient, app: App) -> None:
    task = client.post(f"{ROUTE}/hash", json={"files": [FOX]}).json()["task"]
    assert finished(client, task["id"])["done"] == task["total"]
    expected = hashlib.sha256((app.folders.loras[0] / "animals/fox.safetensors").read_bytes()).hexdigest()
    (fox,) = listed(client, search=expected[:10])["files"]
    assert (fox["sha256"], fox["hash"]) == (expected, expected[:10])
    assert client.post(f"{ROUTE}/hash", json={"files": [FOX]}).json() == {"task": None}
    rest = client.post(f"{ROUTE}/hash", json={}).json()["task"]
    assert finished(client, rest["id"])["state"] == "done"
    assert all(file["sha256"] for file in listed(client)["files"] if not file["problem"])
    (app.folders.loras[0] / "animals/fox.safetensors").write_bytes(header(LORA) + b"\1" * 64)
    app.refresh()
    assert listed(client, search="fox")["files"][0]["sha256"] is None
    assert client.delete(f"{ROUTE}/tasks/{rest['id']}").status_code == 200
    assert rest["id"] not in {one["id"] for one in client.get(f"{ROUTE}/tasks").json()}


# Who may


def test_people_look_and_do_not_touch(tmp_path: Path) -> None:
    app = make_app(tmp_path, server_name="0.0.0.0")
    with_accounts(app)
    safetensors(app.folders.loras[0] / "cat.safetensors", LORA)
    app.refresh()
    try:
        bob = logged_in(server_of(app), BOB)
        seen = bob.get(ROUTE).json()
        assert (seen["total"], seen["may_change"]) == (2, False)
        assert str(tmp_path) not in bob.get(ROUTE).text
        cat = {"kind": "lora", "path": "cat.safetensors"}
        assert bob.get(f"{ROUTE}/pictures", params=cat).status_code == 200
        calls = [
            ("POST", "/rename", cat | {"name": "dog"}),
            ("POST", "/trash", cat),
            ("GET", "/trash", None),
            ("POST", "/trash/0/restore", None),
            ("DELETE", "/trash/0", None),
            ("POST", "/hash", {}),
            ("POST", "/import", {"path": "/etc/passwd"}),
            ("POST", "/download", {"url": "http://127.0.0.1/x"}),
            ("POST", "/check", {"name": "x.safetensors"}),
            ("PUT", "/upload?name=x.safetensors", None),
            ("GET", "/tasks", None),
            ("POST", "/tasks/0/pause", None),
            ("POST", "/tasks/0/resume", None),
            ("DELETE", "/tasks/0", None),
        ]
        for method, path, body in calls:
            assert bob.request(method, ROUTE + path, json=body).status_code == 403, path
        assert bob.put("/api/v1/networks/note", params=cat, json={"notes": "x"}).status_code == 403
    finally:
        app.close()
