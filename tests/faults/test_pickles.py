"""Model files that want to be run: every known shape is refused in one sentence, and nothing in it is executed.

Each payload would make a file, if it were run. It is given to all that reads model files: the engine's reader, the
catalogs (which list files of strangers by themselves), the embedding and hypernetwork readers.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from modules.catalog.checkpoints import CheckpointCatalog
from modules.catalog.embeddings import EmbeddingCatalog
from modules.catalog.networks import NetworkCatalog
from modules.catalog.upscalers import UpscalerCatalog
from modules.catalog.vae import VaeCatalog
from modules.engine.loading.readers import open_tensors, read_pickle
from modules.schema.errors import ModelFileError, UserError

Make = Callable[[str], bytes]


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def short(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def stack_global(module: str, name: str) -> bytes:
    return short(module) + short(name) + b"\x93"


def opened(mark: str) -> bytes:
    """Arguments of open(): the file that would show that it was run."""
    return b"(" + text(mark) + text("w") + b"t"


SHAPES: dict[str, Make] = {
    "REDUCE": lambda m: b"\x80\x02cio\nopen\n" + opened(m) + b"R.",
    "REDUCE by system": lambda m: b"\x80\x02cos\nsystem\n(" + text(f"touch {m}") + b"tR.",
    "INST": lambda m: b"(" + text(m) + text("w") + b"iio\nopen\n.",
    "OBJ": lambda m: b"(cio\nopen\n" + text(m) + text("w") + b"o.",
    "NEWOBJ": lambda m: b"\x80\x02cio\nFileIO\n" + opened(m) + b"\x81.",
    "NEWOBJ_EX": lambda m: b"\x80\x04" + stack_global("io", "FileIO") + opened(m) + b"}\x92.",
    "BUILD": lambda m: b"\x80\x02ctypes\nSimpleNamespace\n)R}" + text("a") + b"cio\nopen\n" + opened(m) + b"Rsb.",
    "BUILD by __setstate__": lambda m: b"\x80\x02cfunctools\npartial\ncio\nopen\n\x85R(cio\nopen\n" + opened(m)
    + b"}Ntb)R.",
    "STACK_GLOBAL": lambda m: b"\x80\x04" + stack_global("io", "open") + opened(m) + b"R.",
    "STACK_GLOBAL out of the memo": lambda m: b"\x80\x04" + short("open") + b"\x940" + short("io") + b"\x940"
    + b"h\x01h\x00\x93" + opened(m) + b"R.",
    "STACK_GLOBAL with far memo numbers": lambda m: b"\x80\x04" + short("io") + b"r\xff\xff\xff\x00" + b"0"
    + short("open") + b"q\x05" + b"0j\xff\xff\xff\x00h\x05\x93" + opened(m) + b"R.",
    "a dotted name": lambda m: b"\x80\x04" + stack_global("pathlib", "Path.touch") + b"cpathlib\nPath\n" + text(m)
    + b"\x85R\x85R.",
    "eval": lambda m: b"\x80\x02cbuiltins\neval\n" + text(f"open({m!r}, 'w')") + b"\x85R.",
    "operator.attrgetter": lambda m: b"\x80\x02coperator\nattrgetter\n" + text("system") + b"\x85Rcos\nsystem\n\x85R"
    + text(f"touch {m}") + b"\x85R.",
    "pkgutil.resolve_name": lambda m: b"\x80\x02cpkgutil\nresolve_name\n" + text("io:open") + b"\x85R" + opened(m)
    + b"R.",
    "pydoc.locate": lambda m: b"\x80\x02cpydoc\nlocate\n" + text("io.open") + b"\x85R" + opened(m) + b"R.",
    "importlib": lambda m: b"\x80\x02cimportlib\nimport_module\n" + text("antigravity") + b"\x85R.",
    "getattr of an allowed class": lambda m: b"\x80\x02cbuiltins\ngetattr\nccollections\nOrderedDict\n"
    + text("__subclasses__") + b"\x86R)R.",
    "torch.load inside": lambda m: b"\x80\x02ctorch\nload\n" + text(m) + b"\x85R.",
    "torch.serialization.load inside": lambda m: b"\x80\x02ctorch.serialization\nload\n" + text(m) + b"\x85R.",
    "torch.storage": lambda m: b"\x80\x02ctorch.storage\n_load_from_bytes\nC\x20" + b"\0" * 32 + b"\x85R.",
    "torch.hub": lambda m: b"\x80\x02ctorch.hub\nload_state_dict_from_url\n" + text("http://127.0.0.1/") + b"\x85R.",
    "torch jit": lambda m: b"\x80\x02ctorch.jit\nload\n" + text(m) + b"\x85R.",
    "numpy object array": lambda m: pickle.dumps(np.array([object], dtype=object)),
    "a persistent id": lambda m: b"\x80\x02" + text(m) + b"Q.",
    "an extension code": lambda m: b"\x80\x02\x82\x01)R.",
    "several pickles": lambda m: pickle.dumps({"a": 1}, 2) + b"\x80\x02cio\nopen\n" + opened(m) + b"R.",
    "a pickle, then garbage": lambda m: b"\x80\x02cio\nopen\n" + opened(m) + b"R." + b"\xff" * 100,
    "garbage in front": lambda m: b"\xff" * 7 + b"\x80\x02cio\nopen\n" + opened(m) + b"R.",
    "protocol 0": lambda m: b"cio\nopen\n(V" + m.encode() + b"\nVw\ntR.",
    "an unknown protocol": lambda m: b"\x80\xffcio\nopen\n" + opened(m) + b"R.",
    "a payload in a dictionary": lambda m: b"\x80\x02}" + text("state_dict") + b"}" + text("w") + b"cio\nopen\n"
    + opened(m) + b"Rss.",
    "a frame that lies": lambda m: b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7f" + stack_global("io", "open")
    + opened(m) + b"R.",
    "deep": lambda m: b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "a doubling memo": lambda m: b"\x80\x02]q\0" + b"(h\0h\0h\0h\0h\0h\0h\0h\0tq\0" * 40 + b".",
}  # fmt: skip


def bare(path: Path, payload: bytes) -> None:
    path.write_bytes(payload)


def zipped(path: Path, payload: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", payload)
        archive.writestr("archive/version", "3\n")
        archive.writestr("archive/data/0", bytes(16))


def two_entries(path: Path, payload: bytes) -> None:
    """The harmless pickle is seen by who reads the first entry, the other by who reads the last."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({}, 2))
        archive.writestr("archive/version", "3\n")
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("archive/data.pkl", payload)


def other_name_inside(path: Path, payload: bytes) -> None:
    """The list at the end names another file than the entry itself."""
    zipped(path, payload)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"archive/data.pkl", b"archive/DATA.pkl", 1))


def wrong_sum(path: Path, payload: bytes) -> None:
    zipped(path, payload)
    data = bytearray(path.read_bytes())
    data[data.index(payload[:8]) + len(payload) - 1] ^= 0xFF
    path.write_bytes(bytes(data))


def behind_something(path: Path, payload: bytes) -> None:
    """A zip behind other bytes is still a zip to most readers."""
    zipped(path, payload)
    path.write_bytes(b"\x80\x02}q\0." + path.read_bytes())


PACKINGS = [bare, zipped, two_entries, other_name_inside, wrong_sum, behind_something]


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pack", PACKINGS, ids=lambda pack: pack.__name__)
@pytest.mark.parametrize("shape", list(SHAPES))
def test_refused_by_the_reader_and_nothing_is_run(tmp_path: Path, mark: Path, shape: str, pack: Callable) -> None:
    path = tmp_path / "model.ckpt"
    pack(path, SHAPES[shape](str(mark)))
    for read in (open_tensors, read_pickle):
        try:
            read(path)
        except UserError as error:
            assert isinstance(error, ModelFileError)
            sentence = str(error)
            assert "model.ckpt" in sentence
            assert "\n" not in sentence
            assert len(sentence) < 1000
        else:
            assert shape in ("deep", "several pickles", "a doubling memo") or pack in (two_entries, behind_something)
    assert not mark.exists()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ending", ["ckpt", "pt", "bin", "safetensors", "pth", "png", "vae.pt"])
@pytest.mark.parametrize("pack", [bare, zipped], ids=lambda pack: pack.__name__)
def test_listing_a_folder_of_them_runs_nothing(tmp_path: Path, mark: Path, ending: str, pack: Callable) -> None:
    for number, make in enumerate(SHAPES.values()):
        pack(tmp_path / f"m{number}.{ending}", make(str(mark)))
    cache = tmp_path / "cache"
    cache.mkdir()
    CheckpointCatalog((tmp_path,), cache / "c.sqlite").refresh()
    VaeCatalog((tmp_path,), cache / "v.sqlite", (tmp_path,)).refresh()
    UpscalerCatalog(tmp_path).refresh()
    embeddings = EmbeddingCatalog((tmp_path,), cache / "e.sqlite")
    embeddings.refresh()
    assert not [entry.stem for entry in embeddings.entries if not entry.problem]
    networks = NetworkCatalog({"lora": (tmp_path,), "hypernet": (tmp_path,)}, cache / "n.sqlite")
    networks.refresh()
    for kind in ("lora", "hypernet"):
        for entry in networks.of_kind(kind):
            networks.metadata(entry)  # what cannot be told from outside is refused when it is used
    assert not mark.exists()


def test_files_under_a_wrong_ending(tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "PNG")
    (tmp_path / "picture.pt").write_bytes(picture.getvalue())
    np.save(tmp_path / "objects", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (tmp_path / "objects.npy").rename(tmp_path / "objects.pt")
    np.save(tmp_path / "numbers", np.zeros(3))
    (tmp_path / "numbers.npy").rename(tmp_path / "numbers.ckpt")
    for name in ("picture.pt", "objects.pt", "numbers.ckpt"):
        with pytest.raises(ModelFileError, match=name):
            open_tensors(tmp_path / name)
    torch.save({"a": torch.zeros(2)}, tmp_path / "pickle.safetensors")
    save_file({"a": torch.zeros(2)}, tmp_path / "safe.ckpt")
    assert open_tensors(tmp_path / "safe.ckpt").shapes == {"a": (2,)}
    try:
        assert open_tensors(tmp_path / "pickle.safetensors").shapes == {"a": (2,)}
    except ModelFileError as error:
        assert "pickle.safetensors" in str(error)
