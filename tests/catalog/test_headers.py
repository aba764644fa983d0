"""Headers of good, damaged and hostile model files."""

from __future__ import annotations

import collections
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modules.catalog.headers import read_header
from modules.catalog.pickle_scan import Malformed, scan_legacy, scan_pickle
from modules.schema.errors import ModelFileError
from tests.catalog.model_files import SD1, checkpoint_zip, header, pickled, safetensors


def test_safetensors(tmp_path: Path) -> None:
    found = read_header(safetensors(tmp_path / "a.safetensors", SD1, {"modelspec.title": "A"}))
    assert (found.format, found.shapes, found.metadata) == ("safetensors", SD1, {"modelspec.title": "A"})


def test_pickle_in_a_zip(tmp_path: Path) -> None:
    found = read_header(checkpoint_zip(tmp_path / "a.ckpt"))
    assert (found.format, found.shapes) == ("zip", SD1)


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_files_as_torch_writes_them(tmp_path: Path, modern: bool, protocol: int) -> None:
    torch = pytest.importorskip("torch")
    tensors = {name: torch.zeros(shape, dtype=torch.half) for name, shape in SD1.items()}
    tensors["scalar"] = torch.tensor(1.0)
    path = tmp_path / "a.ckpt"
    wrapped = {"epoch": 3, "state_dict": collections.OrderedDict(tensors), "loops": {"a": [1, 2]}}
    torch.save(wrapped, path, _use_new_zipfile_serialization=modern, pickle_protocol=protocol)
    assert read_header(path).shapes == {**SD1, "scalar": ()}


def test_embedding_pickle_is_marked(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "a.pt"
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": torch.zeros(2, 768)}, "name": "a"}, path)
    assert read_header(path).shapes == {"string_to_token": (), "string_to_param": (), "*": (2, 768)}


def _bad(data: dict[str, object], tail: bytes = b"") -> bytes:
    text = json.dumps(data).encode()
    return struct.pack("<Q", len(text)) + text + tail


WHOLE = header({"a": (1000,)}) + b"\0" * 2000
DAMAGED = {
    "empty": (b"", "is empty (0 bytes)"),
    "web page": (b"\n<!DOCTYPE html><html>" + b" " * 9000, "is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
    "message": (b"Entry not found", "'Entry not found'"),
    "gguf": (b"GGUF" + b"\0" * 99, "GGUF"),
    "cut in the data": (WHOLE[:-1], "is not complete"),
    "cut in the header": (WHOLE[:40], "cut off in its header"),
    "seven bytes": (WHOLE[:7], "is not a safetensors file"),
    "zeros": (b"\0" * 5000, "is not a safetensors file"),
    "huge header": (struct.pack("<Q", 2**60) + b"\0" * 5000, "is not a safetensors file"),
    "not json": (struct.pack("<Q", 4) + b"{\xff\xff}", "damaged safetensors header"),
    "a list": (struct.pack("<Q", 2) + b"[]", "damaged safetensors header"),
    "deep": (struct.pack("<Q", 90_000) + b'{"a":' + b"[" * 89_995, "damaged safetensors header"),
    "no shape": (_bad({"a": {}}), "damaged safetensors header"),
    "negative": (_bad({"a": {"shape": [-1], "data_offsets": [0, 0]}}), "damaged safetensors header"),
    "infinite": (_bad({"a": {"shape": [float("inf")], "data_offsets": [0, 0]}}), "damaged safetensors header"),
    "backwards": (_bad({"a": {"shape": [1], "data_offsets": [2, 0]}}), "damaged safetensors header"),
    "overlong": (_bad({"a": {"shape": [1], "data_offsets": [0, 99]}}, b"\0" * 99), "damaged safetensors header"),
    "pickle": (b"\x80\x02}.", "rename it to end in .ckpt"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_safetensors_has_one_sentence(tmp_path: Path, name: str) -> None:
    data, reason = DAMAGED[name]
    path = tmp_path / "model.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelFileError) as failure:
        read_header(path)
    sentence = str(failure.value)
    assert reason in sentence
    assert sentence.startswith("model.safetensors ") and sentence.endswith(".") and "\n" not in sentence


def _other_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")


def test_zip_of_something_else(tmp_path: Path) -> None:
    _other_zip(tmp_path / "a.ckpt")
    with pytest.raises(ModelFileError, match="zip archive but not a model"):
        read_header(tmp_path / "a.ckpt")


def test_cut_zip(tmp_path: Path) -> None:
    path = checkpoint_zip(tmp_path / "a.ckpt")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ModelFileError, match="is not complete, or damaged"):
        read_header(path)


def test_safetensors_named_ckpt(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"rename it to end in \.safetensors"):
        read_header(safetensors(tmp_path / "a.ckpt"))


def test_garbage_named_ckpt(tmp_path: Path) -> None:
    (tmp_path / "a.ckpt").write_bytes(b"\x01\x02\xff" * 99)
    with pytest.raises(ModelFileError, match="not a model file"):
        read_header(tmp_path / "a.ckpt")


class _Trap:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> object:
        return Path.touch, (self._path,)


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": _Trap(trap)}))
    read_header(path)
    (tmp_path / "b.ckpt").write_bytes(pickle.dumps({"a": _Trap(trap)}, protocol=2))
    with pytest.raises(ModelFileError, match="something else"):
        read_header(tmp_path / "b.ckpt")
    assert not trap.exists()


def test_impossible_length_claims_no_memory(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb+") as file:
        file.write(b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b"x.")
        file.seek(0)
        with pytest.raises(Malformed):
            scan_pickle(file)


@given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
def test_scanning_anything_gives_shapes_or_malformed(tail: bytes, at: int, byte: int) -> None:
    data = bytearray(pickled({"a.b": (2, 3)}) + tail)
    data[at % len(data)] = byte
    for scan in (scan_pickle, scan_legacy):
        try:
            assert isinstance(scan(io.BytesIO(bytes(data))).shapes, dict)
        except Malformed as reason:
            assert str(reason)
