"""Model files that are sent or brought by their path: looked at, put in their place, or gone without a trace."""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from modules.service.app import App
from tests.asyncs import run
from tests.catalog.model_files import checkpoint_zip, header, pickled
from tests.service.test_named import LORA, safetensors
from tests.web.models.conftest import ROUTE, finished, leftovers, listed, paths, sentence

# Sending


def send(client: TestClient, name: str, data: bytes, **more: str) -> Any:
    return client.put(f"{ROUTE}/upload", params={"name": name, **more}, content=data)


def lora_bytes(fill: bytes = b"\0") -> bytes:
    return header(LORA) + fill * 32


def test_a_file_is_sent_and_finds_its_place(client: TestClient, app: App) -> None:
    data = lora_bytes()
    answer = send(client, "C:\\fake\\wolf.safetensors", data, sha256=hashlib.sha256(data).hexdigest())
    assert answer.status_code == 201, answer.text
    assert (answer.json()["kind"], answer.json()["path"]) == ("lora", "wolf.safetensors")
    assert answer.json()["sha256"] == hashlib.sha256(data).hexdigest()
    assert (app.folders.loras[0] / "wolf.safetensors").read_bytes() == data
    assert not leftovers(app)


@pytest.mark.parametrize(
    ("name", "data", "more", "reason"),
    [
        ("cat.safetensors", lora_bytes(), {"kind": "lora"}, "already"),
        ("new.exe", lora_bytes(), {}, "must end in"),
        ("..", lora_bytes(), {}, "cannot be called"),
        ("new.safetensors", lora_bytes(), {"kind": "vae"}, "is a LoRA, not what was chosen"),
        ("new.safetensors", lora_bytes(), {"sha256": "0" * 64}, "not the file that was meant"),
        ("new.safetensors", lora_bytes(), {"sha256": "xyz"}, "has 64 digits"),
        ("new.safetensors", lora_bytes()[:-1], {}, "not complete"),
        ("new.safetensors", b"", {}, "is empty"),
        ("new.safetensors", b"<html>log in</html>", {}, "is a web page"),
        ("new.safetensors", b"\xff" * 9000, {}, "is not a safetensors file"),
        ("new.safetensors", header({"something": (2, 2), "other": (2,)}) + bytes(12), {}, "choose what kind"),
        ("new.ckpt", lora_bytes(), {}, "safetensors file in truth"),
    ],
)
def test_what_is_no_model_leaves_nothing(
    client: TestClient, app: App, name: str, data: bytes, more: dict[str, str], reason: str
) -> None:
    answer = send(client, name, data, **more)
    assert answer.status_code == 422, answer.text
    assert reason in answer.json()["detail"]
    assert not leftovers(app) and "new" not in " ".join(paths(client))


def test_pickles_are_looked_at_and_never_run(client: TestClient, app: App, tmp_path: Path) -> None:
    harmless = checkpoint_zip(tmp_path / "x.pt", LORA).read_bytes()
    assert send(client, "harmless.pt", harmless).json()["kind"] == "lora"
    witness = tmp_path / "witness"
    call = (
        b"cposix\nsystem\nX" + len(f"touch {witness}").to_bytes(4, "little") + f"touch {witness}".encode() + b"\x85R0"
    )
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as archive:
        archive.writestr("archive/data.pkl", pickled(LORA)[:2] + call + pickled(LORA)[2:])
    answer = send(client, "evil.pt", (tmp_path / "evil.pt").read_bytes())
    assert answer.status_code == 422 and "would run posix.system" in answer.json()["detail"]
    assert not witness.exists() and not leftovers(app)


def test_a_huge_file_is_refused_before_it_is_sent(client: TestClient, app: App) -> None:
    body = {"name": "huge.safetensors", "size": 1 << 50}
    assert "Largest model file" in sentence(client.post(f"{ROUTE}/check", json=body))
    answer = client.put(
        f"{ROUTE}/upload", params={"name": "huge.safetensors"}, content=b"x", headers={"Content-Length": str(1 << 50)}
    )
    assert "Largest model file" in sentence(answer)
    app.models.use(app.settings.replace(model_gib=0.001))
    assert "Largest model file" in sentence(send(client, "big.safetensors", bytes(1_200_000)))
    assert not leftovers(app)
    assert client.post(f"{ROUTE}/check", json={"name": "small.safetensors", "size": 100}).json() == {}


def test_what_breaks_off_leaves_nothing(client: TestClient, app: App) -> None:
    sent: list[dict[str, Any]] = []
    messages = iter(
        [
            {"type": "http.request", "body": lora_bytes()[:50], "more_body": True},
            {"type": "http.disconnect"},
        ]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def note(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "PUT", "path": f"{ROUTE}/upload", "raw_path": b"", "root_path": "",
        "query_string": b"name=wolf.safetensors", "scheme": "http", "http_version": "1.1",
        "headers": [(b"host", b"127.0.0.1:7860"), (b"content-length", b"10000")],
        "client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 7860), "state": {},
    }  # fmt: skip
    run(client.app(scope, receive, note))  # type: ignore[arg-type]
    assert sent[0]["status"] == 400
    assert not leftovers(app) and "wolf.safetensors" not in paths(client)


# By path


def test_a_file_of_the_machine_is_copied_or_moved(client: TestClient, app: App, tmp_path: Path) -> None:
    source = safetensors(tmp_path / "else/wolf.safetensors", LORA)
    source.with_suffix(".json").write_text(json.dumps({"activation text": "wolf"}))
    task = client.post(f"{ROUTE}/import", json={"path": str(source)}).json()
    assert (task["what"], finished(client, task["id"])["state"]) == ("copy", "done")
    assert source.exists() and listed(client, search="wolf")["files"][0]["trigger"] == "wolf"
    moved = client.post(
        f"{ROUTE}/import", json={"path": str(source), "name": "grey.safetensors", "keep": False}
    ).json()
    assert (moved["what"], finished(client, moved["id"])["state"]) == ("move", "done")
    assert list(source.parent.iterdir()) == []
    assert listed(client, search="grey")["files"][0]["trigger"] == "wolf"
    assert not leftovers(app)


def test_paths_that_cannot_be_brought(client: TestClient, app: App, tmp_path: Path) -> None:
    text = tmp_path / "notes.safetensors"
    text.write_text("a shopping list")
    os.mkfifo(tmp_path / "pipe.safetensors")
    loop = tmp_path / "loop.safetensors"
    loop.symlink_to(loop)
    cases = {
        "": "whole path",
        "relative.safetensors": "whole path",
        str(tmp_path): "is a folder",
        str(tmp_path / "gone.safetensors"): "There is no file",
        str(text): "holds a text",
        str(tmp_path / "pipe.safetensors"): "no ordinary file",
        str(loop): "There is no file",
        "/dev/zero": "no ordinary file",
        "/etc/passwd\0": "There is no file",
        str(app.folders.loras[0] / "cat.safetensors"): "already",
    }
    for path, reason in cases.items():
        answer = client.post(f"{ROUTE}/import", json={"path": path})
        assert answer.status_code == 422 and reason in answer.json()["detail"], path
    assert not leftovers(app) and text.exists()
