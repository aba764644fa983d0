"""Pictures on the disk: names and numbers, whole files only, and the text in pictures of all sorts."""

from __future__ import annotations

import errno
import io
import json
import os
import random
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from modules.schema.errors import BadRequest, NotFound, UserError
from modules.schema.infotext import parse, write
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings, folders
from modules.service.outputs import Outputs, SavedImage
from modules.service.picture_files import encode
from modules.service.picture_text import decode_user_comment, read_picture_text

SIZE = (4, 2)
PIXELS = bytes(range(24))
REQUEST = GenerationRequest(prompt="a fox, 狐\nNegative prompt: no", seed=5, width=4 * 8, height=2 * 8)
FACTS = {"Model hash": "0123456789", "Model": "art"}


def _outputs(tmp_path: Path, **changes: Any) -> Outputs:
    made = Settings(output_dir=str(tmp_path / "out"), **changes)
    return Outputs(folders(made, tmp_path), made)


def _save(outputs: Outputs, request: GenerationRequest = REQUEST, **more: Any) -> SavedImage:
    return outputs.save(PIXELS, *SIZE, request, FACTS, **more)


# Writing


def test_a_saved_picture(tmp_path: Path) -> None:
    outputs = _outputs(tmp_path)
    saved = _save(outputs)
    folder, day, name = saved.name.split("/")
    assert (folder, len(day), name) == ("txt2img-images", 10, "00000-5.png")
    assert saved.path == tmp_path / "out" / saved.name == outputs.path(saved.name)
    with Image.open(saved.path) as image:
        assert (image.format, image.size, image.mode, image.tobytes()) == ("PNG", SIZE, "RGB", PIXELS)
        assert image.info["parameters"] == saved.infotext == write(REQUEST, FACTS)
        assert json.loads(image.info["webui-request"])["request"]["prompt"] == REQUEST.prompt
    assert os.listdir(saved.path.parent) == [saved.path.name]


def test_reading_it_again_gives_the_exact_request(tmp_path: Path) -> None:
    outputs = _outputs(tmp_path)
    for source in (_save(outputs).path, _save(outputs).path.read_bytes()):
        read = outputs.read(source)
        assert (read.request, read.facts, read.notices) == (REQUEST, FACTS, [])
        assert (read.infotext, read.format, read.width, read.height) == (write(REQUEST, FACTS), "PNG", *SIZE)


def test_a_picture_without_text(tmp_path: Path) -> None:
    outputs = _outputs(tmp_path, write_infotext=False)
    saved = _save(outputs)
    assert saved.infotext == write(REQUEST, FACTS)
    read = outputs.read(saved.path)
    assert (read.infotext, read.request, read.items) == ("", None, {})


def test_encode_is_what_save_writes(tmp_path: Path) -> None:
    outputs = _outputs(tmp_path)
    data, ending, infotext = outputs.encode(PIXELS, *SIZE, REQUEST, FACTS)
    assert ending == ".png"
    saved = _save(outputs)
    assert (saved.path.read_bytes(), saved.infotext) == (data, infotext)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"save_to_dirs": False}, "txt2img-images/00000-5-a fox, 狐_Negative prompt_ no.png"),
        (
            {"samples_filename_pattern": "[steps]/../[seed]", "save_to_dirs": False},
            "txt2img-images/00000-20_.._5.png",
        ),
        ({"samples_filename_pattern": "[none]", "save_to_dirs": False}, "txt2img-images/00000.png"),
        ({"directories_filename_pattern": "../[model_name]/[none]/x"}, "txt2img-images/art/x/00000-5.png"),
        ({"directories_filename_pattern": "[none]"}, "txt2img-images/00000-5.png"),
    ],
)
def test_patterns(tmp_path: Path, changes: dict[str, Any], name: str) -> None:
    assert _save(_outputs(tmp_path, **changes)).name == name


def test_a_long_name_fits_the_file_system(tmp_path: Path) -> None:
    outputs = _outputs(tmp_path, save_to_dirs=False, filenames_max_length=240)
    for prompt in ("狐" * 500, "x" * 500, "🦊" * 500):
        assert _save(outputs, GenerationRequest(prompt=prompt)).path.is_file()


@pytest.mark.parametrize("kind", ["../../etc", "/etc", "a/../../b", "temporary/123"])
def test_no_kind_leads_out_of_the_folder(tmp_path: Path, kind: str) -> None:
    saved = _save(_outputs(tmp_path), kind=kind)
    assert saved.path.resolve().is_relative_to((tmp_path / "out").resolve())


@pytest.mark.parametrize(
    ("existing", "number"),
    [
        ([], 0),
        (["00000-1.png"], 1),
        (["00007-1.png", "00003-1.png"], 8),
        (["99999-1.png"], 100000),
        (["00004.jpg"], 5),
        (["00004-1.txt", "00009-folder", "x00009-1.png", "20260304050607-1.png", "grid-0007.png"], 0),
    ],
)
def test_numbers(tmp_path: Path, existing: list[str], number: int) -> None:
    outputs = _outputs(tmp_path, save_to_dirs=False, samples_filename_pattern="[seed]")
    (tmp_path / "out" / "txt2img-images").mkdir(parents=True)
    for name in existing:
        (tmp_path / "out" / "txt2img-images" / name).touch()
    assert _save(outputs).path.name == f"{number:05}-5.png"


def test_threads_get_different_numbers(tmp_path: Path) -> None:
    outputs = _outputs(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: _save(outputs).name, range(40)))
    assert sorted(name[-11:-4] for name in names) == [f"{number:05}-5" for number in range(40)]


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (errno.ENOSPC, "is full: make room"),
        (errno.EROFS, "may not be written to"),
        (errno.EACCES, "may not be written to"),
        (errno.EIO, "could not be written to"),
    ],
)
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, sentence: str) -> None:
    def refuse(path: Path, data: bytes) -> int:
        with path.open("wb") as file:
            file.write(data[:10])
        raise OSError(code, os.strerror(code))

    outputs = _outputs(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", refuse)
        with pytest.raises(UserError, match=sentence) as failure:
            _save(outputs)
    assert str(failure.value).endswith(".")
    assert [name for _, _, names in os.walk(tmp_path) for name in names] == []
    assert _save(outputs).path.name == "00000-5.png"


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(UserError, match="could not be written"):
        _save(_outputs(tmp_path))


def test_wrong_number_of_pixels_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="24 bytes are not a picture of 5x5"):
        _outputs(tmp_path).save(PIXELS, 5, 5, REQUEST, FACTS)


@pytest.mark.parametrize(
    "name",
    [
        *("", "/etc/passwd", "../x.png", "txt2img-images/../../x.png", "txt2img-images", "notes.txt", "gone.png"),
        *("a\\b.png", "a\0.png", "C:x.png"),
    ],
)
def test_only_pictures_below_the_folder_have_an_address(tmp_path: Path, name: str) -> None:
    outputs = _outputs(tmp_path)
    _save(outputs)
    (tmp_path / "x.png").touch()
    (tmp_path / "out" / "notes.txt").touch()
    with pytest.raises(NotFound):
        outputs.path(name)


# Other formats

TEXT = 'a fox, 狐🦊\nNegative prompt: é\nSteps: 9, Sampler: Euler, Seed: 7, Note: "a, b"'


@pytest.mark.parametrize(("format", "pillow"), [("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP")])
@pytest.mark.parametrize("text", [TEXT, "plain ascii", ""])
def test_formats_keep_the_text(format: str, pillow: str, text: str) -> None:
    data, used = encode(PIXELS, *SIZE, format=format, infotext=text)
    read = read_picture_text(data)
    assert (used, read.infotext, read.format, read.width) == (format, text, pillow, 4)


@pytest.mark.parametrize(("format", "ending"), [("jpeg", ".jpg"), ("webp", ".webp")])
def test_the_settings_choose_the_format(tmp_path: Path, format: str, ending: str) -> None:
    """And the exact request is in every one."""
    outputs = _outputs(tmp_path, samples_format=format, jpeg_quality=90, save_txt=True)
    saved = _save(outputs)
    assert saved.path.name == f"00000-5{ending}"
    read = outputs.read(saved.path)
    assert (read.request, read.facts, read.infotext) == (REQUEST, FACTS, saved.infotext)
    assert saved.path.with_suffix(".txt").read_text(encoding="utf-8") == f"{saved.infotext}\n"
    assert outputs.path(saved.name) == saved.path
    lossless = _save(outputs, lossless=True)
    assert lossless.path.name == "00001-5.png"
    with Image.open(lossless.path) as image:
        assert image.tobytes() == PIXELS


def test_better_quality_is_larger(tmp_path: Path) -> None:
    sizes = []
    noise = random.Random(1).randbytes(64 * 64 * 3)
    for quality in (30, 95):
        outputs = _outputs(tmp_path, samples_format="jpeg", jpeg_quality=quality)
        sizes.append(outputs.save(noise, 64, 64, REQUEST, FACTS).path.stat().st_size)
    assert sizes[0] < 0.7 * sizes[1]


def test_what_a_format_cannot_hold_becomes_png() -> None:
    wide = bytes(70_000 * 3)
    assert encode(wide, 70_000, 1, format="jpeg")[1] == "png"
    assert encode(wide[: 17_000 * 3], 17_000, 1, format="webp")[1] == "png"
    data, used = encode(PIXELS, *SIZE, format="jpeg", infotext="x" * 60_000)
    assert (used, read_picture_text(data).infotext) == ("png", "x" * 60_000)


def test_gif_comment() -> None:
    file = io.BytesIO()
    Image.new("RGB", SIZE).save(file, "GIF", comment=TEXT.encode())
    assert read_picture_text(file.getvalue()).infotext == TEXT


@pytest.mark.parametrize(
    "comment",
    [
        b"UNICODE\0" + TEXT.encode("utf-16-be"),
        b"UNICODE\0" + TEXT.encode("utf-16-le"),
        b"UNICODE\0" + TEXT.encode("utf-16"),
        b"\0" * 8 + TEXT.encode(),
        b"ASCII\0\0\0" + TEXT.encode() + b"\0",
        TEXT.encode(),
    ],
)
def test_user_comments(comment: bytes) -> None:
    assert decode_user_comment(comment) == TEXT


def _png(**texts: str) -> bytes:
    chunks = PngImagePlugin.PngInfo()
    for key, text in texts.items():
        chunks.add_text(key, text)
    file = io.BytesIO()
    Image.new("RGB", SIZE).save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


def test_a_picture_of_a1111() -> None:
    read = read_picture_text(_png(parameters=TEXT, postprocessing="Postprocess upscale by: 4"))
    assert (read.infotext, read.request, read.notices) == (TEXT, None, [])
    assert read.items == {"postprocessing": "Postprocess upscale by: 4"}


def test_damaged_json_leaves_the_text() -> None:
    read = read_picture_text(_png(**{"parameters": TEXT, "webui-request": "{"}))
    assert (read.infotext, read.request) == (TEXT, None)
    assert read.notices == ["The exact parameters in the picture are damaged."]


def test_novelai() -> None:
    comment = json.dumps({"steps": 28, "sampler": "k_euler_ancestral", "seed": 3, "scale": 11.0, "uc": "bad, hands"})
    read = read_picture_text(_png(Software="NovelAI", Description="1girl", Comment=comment))
    found = parse(read.infotext)
    assert (found.prompt, found.negative_prompt) == ("1girl", "bad, hands")
    assert found.params == {
        "Steps": "28", "Sampler": "Euler a", "CFG scale": "11.0", "Seed": "3", "Size-1": "4", "Size-2": "2",
        "Clip skip": "2", "ENSD": "31337",
    }  # fmt: skip


@pytest.mark.parametrize("comment", ["", "{", "[]", "7", '{"steps": [1]}'])
def test_odd_novelai(comment: str) -> None:
    assert isinstance(read_picture_text(_png(Software="NovelAI", Comment=comment)).infotext, str)


# Hostile and damaged files


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _raw_png(width: int, height: int, *chunks: bytes) -> bytes:
    start = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n" + start + b"".join(chunks) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")
    )


def _bomb() -> bytes:
    return _chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * 100_000_000))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not a picture that can be read"),
        (b"hello", "not a picture that can be read"),
        (b"\x89PNG\r\n\x1a\n", "not a picture that can be read|damaged"),
        (_raw_png(2**20, 2**20), "so many pixels"),
        (_raw_png(1, 1, _bomb()), "damaged|not a picture"),
    ],
)
def test_bad_files_get_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        read_picture_text(data)


def test_a_picture_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="not there"):
        read_picture_text(tmp_path / "gone.png")


def test_pixels_are_not_decoded() -> None:
    assert read_picture_text(_raw_png(9000, 9000)).width == 9000


def test_a_cut_file_still_tells_its_text() -> None:
    data = _png(parameters=TEXT)
    assert read_picture_text(data[: data.index(b"IDAT") + 8]).infotext == TEXT


GOOD = {
    "png": _png(parameters=TEXT, Software="NovelAI"),
    "jpeg": encode(PIXELS, *SIZE, format="jpeg", infotext=TEXT)[0],
    "webp": encode(PIXELS, *SIZE, format="webp", infotext=TEXT)[0],
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("format", GOOD)
@given(st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=8), st.integers(1, 2000))
@settings(max_examples=80, deadline=None)
def test_damaged_files_are_read_or_refused(format: str, changes: list[tuple[int, int]], length: int) -> None:
    data = bytearray(GOOD[format])
    for at, byte in changes:
        data[at % len(data)] = byte
    try:
        read_picture_text(bytes(data[: max(length, len(data) // 2)]))
    except BadRequest as error:
        assert str(error).endswith(".")
