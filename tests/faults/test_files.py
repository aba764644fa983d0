"""Files that are not what they say: bombs, two kinds in one, damaged forms, and names of a megabyte."""

from __future__ import annotations

import base64
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from modules.service.app import App


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, extra: bytes = b"", pixels: bytes | None = None) -> bytes:
    """A PNG of one grey; `pixels` stands in for the compressed rows."""
    rows = zlib.compress(bytes(width + 1) * height) if pixels is None else pixels
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif_of(side: int) -> bytes:
    return (
        b"GIF89a" + struct.pack("<HHBBB", side, side, 0, 0, 0) + b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0)
    )


TEXT_BOMB = zlib.compress(b"a" * (80 << 20), 9)
BOMBS: dict[str, Callable[[], bytes]] = {
    "four thousand million pixels": lambda: png(65_000, 65_000, pixels=zlib.compress(b"\0" * 100)),
    "a line as wide as can be": lambda: png(2**31 - 1, 1, pixels=b""),
    "no pixels": lambda: png(0, 0),
    "a large GIF": lambda: gif_of(65_535),
    "text that unfolds": lambda: png(8, 8, chunk(b"zTXt", b"parameters\0\0" + TEXT_BOMB)),
    "international text that unfolds": lambda: png(8, 8, chunk(b"iTXt", b"parameters\0\1\0\0\0" + TEXT_BOMB)),
    "a colour profile that unfolds": lambda: png(8, 8, chunk(b"iCCP", b"p\0\0" + TEXT_BOMB)),
    "rows that unfold": lambda: png(8, 8, pixels=zlib.compress(b"\0" * (60 << 20), 9)),
    "cut off": lambda: png(64, 64)[:60],
    "a chunk of four gigabytes": lambda: b"\x89PNG\r\n\x1a\n" + b"\xff\xff\xff\xff" + b"IHDR" + b"\0" * 50,
    "TIFF that points at itself": lambda: b"II*\0\x08\0\0\0\x01\0" + b"\0" * 12 + struct.pack("<I", 8),
    "BMP of a negative size": lambda: b"BM"
    + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, -9, -9, 1, 24, *[0] * 6),
    "a script": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
    "a page": lambda: b"<html><script>alert(1)</script></html>",
    "PostScript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(r) run",
}  # fmt: skip


@pytest.mark.parametrize("name", list(BOMBS))
def test_pictures_that_are_bombs(client: TestClient, app: App, name: str) -> None:
    """Everywhere a picture is taken: a sentence or a small picture, never a failure."""
    data = BOMBS[name]()
    text = base64.b64encode(data).decode()
    answers = [
        client.post("/sdapi/v1/png-info", json={"image": text}),
        client.post("/sdapi/v1/extra-single-image", json={"image": text}),
        client.post("/sdapi/v1/img2img", json={"init_images": [text], "width": 16, "height": 16, "steps": 1}),
        client.post("/api/v1/png-info", content=data, headers={"content-type": "application/octet-stream"}),
        client.post("/api/v1/inputs", files={"file": ("a.png", data, "image/png")}),
    ]
    for answer in answers:
        assert answer.status_code < 500, answer.text[:300]
        assert len(answer.content) < 5 << 20
    kept = [path for path in app.inputs.folder.glob("*") if path.stat().st_size > 10 << 20]
    assert not kept


def two_kinds() -> dict[str, bytes]:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.html", "<script>alert(1)</script>")
    page = b"<html><script>alert(document.domain)</script></html>"
    jpeg = io.BytesIO()
    Image.new("RGB", (8, 8)).save(jpeg, "JPEG", comment=page)
    return {
        "a picture and a zip": png(8, 8) + archive.getvalue(),
        "a picture and a page": png(8, 8, chunk(b"tEXt", b"Comment\0" + page)) + page,
        "a JPEG and a page": jpeg.getvalue() + page,
        "a picture and a PDF": png(8, 8) + b"%PDF-1.7\n",
    }


@pytest.mark.parametrize("name", list(two_kinds()))
def test_what_is_two_kinds_at_once_comes_back_as_a_picture_alone(client: TestClient, name: str) -> None:
    data = two_kinds()[name]
    kept = client.post("/api/v1/inputs", files={"file": ("a.html", data, "text/html")})
    assert kept.status_code == 201
    answer = client.get(f"/api/v1/inputs/{kept.json()['picture']}")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for trace in (b"<script>", b"PK\x03\x04", b"%PDF"):
        assert trace not in answer.content


def zip_of(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def nested(depth: int) -> bytes:
    data = zip_of({"zeros.txt": bytes(1 << 20)})
    for _ in range(depth):
        data = zip_of({f"{number}.zip": data for number in range(10)})
    return data


def overlapping() -> bytes:
    """Entries that share the same bytes: little to send, much to unfold (as in Fifield's bomb)."""
    data = bytearray(zip_of({f"{number:03}.txt": bytes(900_000) for number in range(50)}))
    at = data.index(b"PK\x01\x02")
    while (at := data.find(b"PK\x01\x02", at)) >= 0:
        data[at + 42 : at + 46] = struct.pack("<I", 0)
        at += 46
    return bytes(data)


def linked() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        entry = zipfile.ZipInfo("link.png")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return file.getvalue()


def locked() -> bytes:
    data = bytearray(zip_of({"a.png": png(8, 8)}))
    for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    return bytes(data)


def disagreeing() -> bytes:
    data = zip_of({"inside.png": png(8, 8)}, zipfile.ZIP_STORED)
    return data.replace(b"inside.png", b"../../x.py", 1)


ZIPS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: zip_of({"a.txt": bytes(200 << 20)}),
    "a zip of zips": lambda: nested(3),
    "entries over each other": overlapping,
    "forty thousand files": lambda: zip_of({f"{number}.txt": b"" for number in range(40_000)}),
    "links": linked,
    "a password": locked,
    "two names for one entry": disagreeing,
    "a wrong sum": lambda: zip_of({"a.png": png(8, 8)}, zipfile.ZIP_STORED).replace(b"IHDR", b"IHDX", 1),
    "paths": lambda: zip_of(
        {name: png(8, 8) for name in ("../a.png", "/b.png", "c\\..\\d.png", "C:e.png", "f/../g.png")}
    ),
    "cut off": lambda: zip_of({"a.png": png(8, 8)})[:-30],
    "only its end": lambda: b"PK\x03\x04" + b"PK\x05\x06" + bytes(18),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ZIPS))
def test_zips_that_are_bombs(client: TestClient, app: App, name: str) -> None:
    client.post("/api/v1/datasets", json={"name": "zips"})
    folder = app.folders.data / "datasets" / "zips"
    before = {path.name for path in app.folders.data.iterdir()}
    answer = client.post(
        "/api/v1/datasets/zips/pictures", files={"files": ("a.zip", ZIPS[name](), "application/zip")}
    )
    assert answer.status_code < 500, answer.text[:300]
    assert {path.name for path in app.folders.data.iterdir()} == before
    assert sum(path.stat().st_size for path in folder.rglob("*")) < 5 << 20
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert all(path.suffix in (".png", ".txt", ".json") for path in folder.rglob("*"))


FORM = "multipart/form-data; boundary=x"
PART = b"--x\r\nContent-Disposition: form-data; name="
FORMS: dict[str, tuple[str, bytes]] = {
    "no boundary": ("multipart/form-data", b"--x\r\n"),
    "an empty boundary": ("multipart/form-data; boundary=", b"--\r\n\r\n--"),
    "a boundary of many letters": ("multipart/form-data; boundary=" + "b" * 60_000, b"--"),
    "never ends": (FORM, PART + b'"file"; filename="a"\r\n\r\na'),
    "headers that never end": (FORM, b"--x\r\n" + b"A: " + b"a" * 300_000),
    "many headers": (FORM, b"--x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n\r\n--x--"),
    "no name": (FORM, b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n"),
    "ten thousand parts": (FORM, (PART + b'"a"\r\n\r\n\r\n') * 10_000 + b"--x--"),
    "letters of no alphabet": (FORM, PART + b'"\xff\xfe"; filename="\xff"\r\n\r\na\r\n--x--\r\n'),
    "a name of a megabyte": (
        FORM,
        PART + b'"file"; filename="' + b"n" * (1 << 20) + b'"\r\n\r\n' + png(8, 8) + b"\r\n--x--\r\n",
    ),
    "another charset": (FORM + "; charset=utf-7", b"--x\r\n\r\n--x--"),
    "a form of the other kind": ("application/x-www-form-urlencoded", b"file=%ff&" * 1000),
    "nothing": (FORM, b""),
}


@pytest.mark.parametrize("name", list(FORMS))
def test_forms_that_are_damaged(client: TestClient, name: str) -> None:
    client.post("/api/v1/datasets", json={"name": "forms"})
    kind, body = FORMS[name]
    for path in ("/api/v1/inputs", "/api/v1/png-info", "/api/v1/datasets/forms/pictures"):
        answer = client.post(path, content=body, headers={"content-type": kind})
        assert answer.status_code < 500, f"{path}: {answer.text[:300]}"
        assert len(answer.content) < 10_000


def test_names_of_a_megabyte(client: TestClient) -> None:
    client.post("/api/v1/datasets", json={"name": "names"})
    for letter in ("n", "\N{GRINNING FACE}", "../", "."):
        name = letter * (1 << 20)
        for body in ({"name": name}, {"path": name}, {"path": f"/{name}"}):
            assert client.post("/api/v1/datasets", json=body).status_code == 422
        assert client.put("/api/v1/styles", json={"name": name}).status_code == 422
        assert client.post("/api/v1/checkpoint", json={"name": name}).status_code == 422
        assert client.post("/api/v1/training", json={"name": name, "data_root": name}).status_code in (413, 422)
        answer = client.post("/sdapi/v1/create/embedding", json={"name": name})
        assert (answer.status_code, len(answer.content) < 20_000) == (422, True)
        files = {"files": (f"{name}.png", png(8, 8), "image/png")}
        assert client.post("/api/v1/datasets/names/pictures", files=files).status_code < 500


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="there are no links here")
def test_links_in_a_training_folder_lead_nowhere(client: TestClient, app: App, tmp_path: Path) -> None:
    """Pictures of a folder may be links inside it; what lies outside is not shown and not trained."""
    outside = tmp_path / "private"
    outside.mkdir()
    (outside / "secret.png").write_bytes(png(64, 64))
    (outside / "secret.txt").write_text("the secret caption", encoding="utf-8")
    (outside / "plain.txt").write_text("the secret caption", encoding="utf-8")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "plain.png").write_bytes(png(64, 64, chunk(b"tEXt", b"a\0b")))
    (folder / "picture.png").symlink_to(outside / "secret.png")
    (folder / "plain.txt").symlink_to(outside / "plain.txt")
    (folder / "deep").symlink_to(outside, target_is_directory=True)
    (folder / "round").symlink_to(folder, target_is_directory=True)
    answer = client.post("/api/v1/datasets", json={"path": str(folder)})
    assert answer.status_code == 201
    assert [picture["file"] for picture in answer.json()["pictures"]] == ["plain.png"]
    assert "the secret caption" not in answer.text
    identifier = answer.json()["pictures"][0]["id"]
    name = answer.json()["name"]
    client.put(f"/api/v1/datasets/{name}/captions", json={identifier: "new words"})
    assert (outside / "plain.txt").read_text(encoding="utf-8") == "the secret caption"
    client.delete(f"/api/v1/datasets/{name}")
