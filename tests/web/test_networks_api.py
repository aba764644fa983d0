"""Cards of networks over HTTP: listed, described, previewed; A1111's lists of the same."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.catalog.beside import write_preview
from modules.service.app import App
from tests.service.test_named import LORA, safetensors


@pytest.fixture
def files(app: App) -> Iterator[dict[str, Path]]:
    """A LoRA with side files, two of one name, an embedding and a broken file; gone afterwards."""
    loras, embeddings = app.folders.loras[0], app.folders.embeddings
    tags = json.dumps({"10_fox": {"fox": 12, "snow": 3}})
    made = {
        "fox": safetensors(loras / "animals/fox.safetensors", LORA, ss_output_name="fuchs", ss_tag_frequency=tags),
        "cat": safetensors(loras / "a/cat.safetensors", LORA),
        "cat 2": safetensors(loras / "b/cat.safetensors", LORA),
        "style": safetensors(
            embeddings / "my-style.safetensors", {"emb_params": (3, 768)}, sd_checkpoint_name="base"
        ),
        "note": loras / "animals/fox.json",
        "picture": loras / "animals/fox.preview.png",
        "broken": embeddings / "broken.pt",
    }
    made["note"].write_text(
        json.dumps({"description": "Foxes", "activation text": "fox", "preferred weight": 0.7, "x": 1})
    )
    Image.new("RGB", (8, 8), "red").save(made["picture"])
    made["broken"].write_bytes(b"nothing of the kind" * 400)
    app.refresh()
    yield made
    for path in made.values():
        path.unlink(missing_ok=True)
    app.refresh()


def cards(client: TestClient) -> dict[tuple[str, str], dict[str, object]]:
    return {(card["kind"], card["name"]): card for card in client.get("/api/v1/networks").json()["networks"]}


def test_cards_tell_what_headers_and_side_files_say(client: TestClient, files: dict[str, Path]) -> None:
    found = cards(client)
    fox = found["lora", "fox"]
    assert (fox["folder"], fox["alias"], fox["trigger"], fox["weight"]) == ("animals", "fuchs", "fox", 0.7)
    assert fox["description"] == "Foxes" and fox["problem"] is None
    assert {name for kind, name in found if kind == "lora"} == {"fox", "a/cat", "b/cat"}
    style = found["embedding", "my-style"]
    assert (style["vectors"], style["width"], style["family"], style["base"]) == (3, 768, "sd1", "base")
    assert "not a model file" in str(found["embedding", "broken"]["problem"])
    assert any(kind == "checkpoint" for kind, _ in found)


def test_previews_are_served_and_nothing_else(client: TestClient, files: dict[str, Path]) -> None:
    address = str(cards(client)["lora", "fox"]["preview"])
    answer = client.get(address)
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert answer.content == files["picture"].read_bytes()
    for path in ("../../etc/passwd", "animals/fox.json", "a/cat.safetensors"):
        assert client.get("/api/v1/networks/preview", params={"kind": "lora", "path": path}).status_code == 404


def test_a_preview_is_replaced_and_the_old_one_kept(client: TestClient, files: dict[str, Path]) -> None:
    before = cards(client)["lora", "fox"]["preview"]
    file = io.BytesIO()
    Image.new("RGB", (2000, 1000), "blue").save(file, "JPEG")
    where = {"kind": "lora", "path": "animals/fox.safetensors"}
    own, kept = files["fox"].with_suffix(".png"), files["fox"].with_suffix(".png.bak")
    try:
        for _ in range(2):
            answer = client.put("/api/v1/networks/preview", params=where, files={"file": ("x.jpg", file.getvalue())})
            assert answer.status_code == 200, answer.text
        with Image.open(own) as picture:
            assert (picture.format, picture.size) == ("PNG", (768, 384))
        assert kept.is_file()
        assert answer.json()["preview"] == cards(client)["lora", "fox"]["preview"] != before
        assert client.get(answer.json()["preview"]).content == own.read_bytes()
        answer = client.put("/api/v1/networks/preview", params=where, content=b"no picture")
        assert (answer.status_code, "not a picture" in answer.json()["detail"]) == (422, True)
    finally:
        own.unlink(missing_ok=True)
        kept.unlink(missing_ok=True)


def test_a_preview_never_overwrites_an_embedding_in_a_picture(tmp_path: Path) -> None:
    carrier, beside = tmp_path / "a.png", tmp_path / "a.pt"
    for path, avoiding in ((carrier, ()), (beside, (carrier,))):
        written = write_preview(path, Image.new("RGB", (8, 8)), avoiding=avoiding)
        assert written == tmp_path / "a.preview.png"


def test_the_vae_of_a_checkpoint_is_noted(client: TestClient, app: App) -> None:
    card = next(card for (kind, name), card in cards(client).items() if kind == "checkpoint")
    where = {"kind": "checkpoint", "path": card["path"]}
    note = app.checkpoints.entries[0].path.with_suffix(".json")
    refused = client.put("/api/v1/networks/note", params=where, json={"vae": "gone"})
    assert (refused.status_code, note.exists()) == (422, False)
    try:
        assert client.put("/api/v1/networks/note", params=where, json={"vae": "None"}).json()["vae"] == "None"
        assert json.loads(note.read_text())["vae"] == "None"
        assert app.vaes.side_file(app.checkpoints.entries[0]) is None
    finally:
        note.unlink(missing_ok=True)


def test_details_of_a_lora(client: TestClient, files: dict[str, Path]) -> None:
    where = {"kind": "lora", "path": "animals/fox.safetensors"}
    told = client.get("/api/v1/networks/details", params=where).json()
    assert told["tags"] == [["fox", 12], ["snow", 3]]
    assert told["metadata"]["ss_output_name"] == "fuchs"


def test_notes_are_written_beside_the_file_and_keep_what_is_there(client: TestClient, files: dict[str, Path]) -> None:
    where = {"kind": "lora", "path": "animals/fox.safetensors"}
    answer = client.put("/api/v1/networks/note", params=where, json={"trigger": "red fox", "weight": 0.5})
    assert answer.status_code == 200
    written = json.loads(files["note"].read_text())
    assert (written["activation text"], written["preferred weight"], written["x"]) == ("red fox", 0.5, 1)
    assert written["description"] == "Foxes"
    assert cards(client)["lora", "fox"]["trigger"] == "red fox"


def test_an_embedding_is_looked_into(client: TestClient, files: dict[str, Path]) -> None:
    where = {"kind": "embedding", "path": "my-style.safetensors"}
    told = client.get("/api/v1/networks/details", params=where).json()
    assert [vector["norm"] for vector in told["vectors"]] == [0.0] * 3
    assert told["convertible"] is False


def test_a1111s_lists(client: TestClient, files: dict[str, Path]) -> None:
    loras = {entry["name"]: entry for entry in client.get("/sdapi/v1/loras").json()}
    assert loras["fox"]["alias"] == "fuchs" and loras["fox"]["metadata"]["ss_output_name"] == "fuchs"
    found = client.get("/sdapi/v1/embeddings").json()
    assert found["loaded"]["my-style"]["vectors"] == 3 and found["loaded"]["my-style"]["shape"] == 768
    assert "broken" in found["skipped"]
    assert client.get("/sdapi/v1/hypernetworks").json() == []
