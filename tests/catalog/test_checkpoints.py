"""The catalog of checkpoints: what is listed, what is said of it, how often files are opened, and names."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.catalog.checkpoints import CheckpointCatalog, CheckpointEntry
from modules.schema.errors import UnknownName
from tests.catalog.model_files import SD1, UNET_ONLY, changed, checkpoint_zip, diffusers_folder, header, safetensors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    return tmp_path / "models"


@pytest.fixture
def listing(folder: Path, tmp_path: Path) -> Callable[..., CheckpointCatalog]:
    """A refreshed catalog of `folder` (and others), with its cache in a file."""

    def make(*more: Path) -> CheckpointCatalog:
        catalog = CheckpointCatalog((folder, *more), tmp_path / "cache" / "facts")
        catalog.refresh()
        return catalog

    return make


Listing = Callable[..., CheckpointCatalog]


def _only(catalog: CheckpointCatalog) -> CheckpointEntry:
    assert len(catalog.entries) == 1
    return catalog.entries[0]


def test_entry_of_a_good_file(folder: Path, listing: Listing) -> None:
    path = safetensors(folder / "sub" / "Model.v2.safetensors", SD1, {"modelspec.title": "A title"})
    entry = _only(listing())
    assert (entry.name, entry.stem, entry.title) == (
        "sub/Model.v2.safetensors",
        "Model.v2",
        "sub/Model.v2.safetensors",
    )
    assert (entry.path, entry.size, entry.kind, entry.family) == (path, path.stat().st_size, "safetensors", "sd1")
    assert (entry.problem, entry.native_size, entry.inpainting, entry.hash) == (None, (512, 512), False, None)
    assert entry.metadata == {"modelspec.title": "A title"}
    assert entry.mtime == pytest.approx(path.stat().st_mtime)


@pytest.mark.parametrize(
    ("resolution", "size"),
    [
        ("128x128", (128, 128)),
        ("768x512", (768, 512)),
        ("640", (640, 640)),
        ("nonsense", (512, 512)),
        ("3x3", (512,) * 2),
    ],
)
def test_native_size_from_the_metadata(
    folder: Path, listing: Listing, resolution: str, size: tuple[int, int]
) -> None:
    safetensors(folder / "a.safetensors", SD1, {"modelspec.resolution": resolution})
    assert _only(listing()).native_size == size


def test_pickle_and_inpainting(folder: Path, listing: Listing) -> None:
    wide = {**SD1, "model.diffusion_model.input_blocks.0.0.weight": (8, 9, 3, 3)}
    checkpoint_zip(folder / "a.CKPT", wide)
    entry = _only(listing())
    assert (entry.kind, entry.family, entry.inpainting, entry.problem) == ("pickle", "sd1", True, None)


def test_diffusers_folder_is_one_entry(folder: Path, listing: Listing) -> None:
    diffusers_folder(folder / "sub" / "photo.v1", sample_size=16)
    entry = _only(listing())
    assert (entry.name, entry.stem, entry.kind, entry.family) == ("sub/photo.v1", "photo.v1", "diffusers", "sd1")
    assert (entry.native_size, entry.problem) == ((128, 128), None)


def test_diffusers_folder_without_weights(folder: Path, listing: Listing) -> None:
    diffusers_folder(folder / "photo")
    (folder / "photo" / "vae" / "model.safetensors").unlink()
    assert "no weights in its folder vae" in str(_only(listing()).problem)


def test_diffusers_sd2_is_told_apart(folder: Path, listing: Listing) -> None:
    diffusers_folder(folder / "photo", linear=True, sample_size=96)
    entry = _only(listing())
    assert (entry.family, entry.native_size) == ("sd2", (768, 768))
    assert "Stable Diffusion 2 checkpoint" in str(entry.problem)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty.safetensors": (lambda p: p.write_bytes(b""), "is empty"),
    "page.safetensors": (lambda p: p.write_text("<html>" + " " * 9000), "is a web page"),
    "cut.safetensors": (lambda p: p.write_bytes(header(SD1)), "is not complete"),
    "lora.safetensors": (lambda p: safetensors(p, {"lora_unet_a.lora_up.weight": (1,)}), "move it to models/Lora"),
    "vae.safetensors": (lambda p: safetensors(p, {"decoder.conv_in.weight": (1, 4, 3, 3)}), "move it to models/VAE"),
    "word.safetensors": (lambda p: safetensors(p, {"emb_params": (2, 768)}), "move it to embeddings"),
    "unet.safetensors": (lambda p: safetensors(p, UNET_ONLY), "has no text encoder"),
    "odd.safetensors": (lambda p: safetensors(p, {"a": (1,), "b": (2,)}), "not a kind of model that is known"),
    "xl.safetensors": (
        lambda p: safetensors(p, changed(conditioner__embedders__1__model__ln_final__weight=(1280,))),
        "is a Stable Diffusion XL checkpoint",
    ),
    "cut.ckpt": (lambda p: p.write_bytes(b"PK\x03\x04" + b"\0" * 99), "is not complete, or damaged"),
    "a.safetensors.part": (lambda p: p.write_bytes(b"x"), "half-finished download"),
    "Unconfirmed 1.crdownload": (lambda p: p.write_bytes(b"x"), "half-finished download"),
    "a.ckpt.tmp": (lambda p: p.write_bytes(b"x"), "half-finished download"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_listed_with_a_sentence(folder: Path, listing: Listing, name: str) -> None:
    make, reason = BAD[name]
    make(folder / name)
    problem = _only(listing()).problem
    assert problem is not None and reason in problem
    assert problem.startswith(name) and problem.endswith(".") and "\n" not in problem


@pytest.mark.parametrize("name", ["a.vae.safetensors", "a.VAE.pt", "notes.txt", "a.yaml", ".hidden.ckpt", "x.tmp"])
def test_what_is_no_checkpoint_is_not_listed(folder: Path, listing: Listing, name: str) -> None:
    (folder / name).write_bytes(b"x")
    assert listing().entries == []


def test_odd_things_in_the_folder_break_nothing(folder: Path, listing: Listing) -> None:
    good = safetensors(folder / "good.safetensors")
    (folder / "folder.safetensors").mkdir()
    (folder / "loop").symlink_to(folder)
    (folder / "gone.ckpt").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.ckpt")
    assert [entry.path for entry in listing().entries] == [good]


def test_missing_folder_is_empty(tmp_path: Path) -> None:
    assert CheckpointCatalog((tmp_path / "no",), tmp_path / "cache").refresh() == []


def test_name_that_is_not_text(folder: Path, listing: Listing) -> None:
    safetensors(Path(os.fsdecode(os.fsencode(folder) + b"/\xff.safetensors")))
    entry = _only(listing())
    entry.title.encode()
    assert "rename it" in str(entry.problem)


def test_two_folders(folder: Path, tmp_path: Path, listing: Listing) -> None:
    mine, other = safetensors(folder / "a.safetensors"), safetensors(tmp_path / "more" / "a.safetensors")
    catalog = listing(tmp_path / "more", folder)
    assert {entry.name: entry.path for entry in catalog.entries} == {
        "a.safetensors": mine,
        "more/a.safetensors": other,
    }


def test_huge_metadata_is_left_out(folder: Path, listing: Listing) -> None:
    safetensors(folder / "a.safetensors", SD1, {"modelspec.thumbnail": "x" * 100_000, "b": "c"})
    assert _only(listing()).metadata == {"b": "c"}


# Cache


def test_a_thousand_files_are_opened_once(folder: Path, listing: Listing) -> None:
    for index in range(1000):
        safetensors(folder / f"{index:04}.safetensors", SD1)
    assert listing().headers_read == 1000
    again = listing()
    assert (again.headers_read, len(again.entries)) == (0, 1000)
    assert {entry.family for entry in again.entries} == {"sd1"}
    again.refresh()
    assert again.headers_read == 0


def test_a_changed_file_is_read_again(folder: Path, listing: Listing) -> None:
    path = folder / "a.safetensors"
    path.write_bytes(b"")
    catalog = listing()
    assert _only(catalog).problem
    safetensors(path)
    catalog.refresh()
    assert (catalog.headers_read, _only(catalog).problem) == (2, None)
    os.utime(path, ns=(0, 0))
    catalog.refresh()
    assert catalog.headers_read == 3


@pytest.mark.parametrize("damage", [b"", b"not a database at all" * 99, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_damaged_cache_is_built_anew(folder: Path, tmp_path: Path, listing: Listing, damage: bytes) -> None:
    safetensors(folder / "a.safetensors")
    listing()
    (tmp_path / "cache" / "facts").write_bytes(damage)
    assert listing().headers_read == 1
    assert listing().headers_read == 0


def test_a_damaged_row_is_read_anew(folder: Path, tmp_path: Path, listing: Listing) -> None:
    safetensors(folder / "a.safetensors")
    listing()
    with sqlite3.connect(tmp_path / "cache" / "facts") as connection:
        connection.execute("UPDATE facts SET facts = '{'")
    connection.close()
    assert listing().headers_read == 1


def test_a_cache_that_cannot_be_written(folder: Path, tmp_path: Path) -> None:
    safetensors(folder / "a.safetensors")
    (tmp_path / "blocked").write_text("a file where a folder should be")
    catalog = CheckpointCatalog((folder,), tmp_path / "blocked" / "facts")
    catalog.refresh()
    catalog.refresh()
    assert (catalog.headers_read, len(catalog.entries)) == (1, 1)


# Hashes


def test_hash_is_part_of_the_title_once_known(folder: Path, listing: Listing) -> None:
    path = safetensors(folder / "a.safetensors")
    catalog = listing()
    digits = hashlib.sha256(path.read_bytes()).hexdigest()
    entry = _only(catalog)
    assert catalog.short_hash(entry) == digits[:10]
    assert catalog.sha256(entry) == digits
    assert _only(catalog).title == f"a.safetensors [{digits[:10]}]"
    assert _only(listing()).sha256 == digits


def test_hash_is_computed_once(folder: Path, listing: Listing, monkeypatch: pytest.MonkeyPatch) -> None:
    safetensors(folder / "a.safetensors")
    first = listing()
    known = first.short_hash(_only(first))
    monkeypatch.setattr("modules.catalog.hashes.sha256_of_file", lambda path: pytest.fail(f"read {path} again"))
    again = listing()
    assert again.short_hash(_only(again)) == known


def test_hash_follows_a_changed_file(folder: Path, listing: Listing) -> None:
    path = safetensors(folder / "a.safetensors")
    catalog = listing()
    old = catalog.short_hash(_only(catalog))
    safetensors(path, SD1, fill=b"\1")
    os.utime(path, ns=(1, 1))
    catalog.refresh()
    assert _only(catalog).hash is None
    assert catalog.short_hash(_only(catalog)) != old


def test_hash_of_a_diffusers_folder_covers_its_files(folder: Path, listing: Listing) -> None:
    diffusers_folder(folder / "photo")
    catalog = listing()
    old = catalog.short_hash(_only(catalog))
    (folder / "photo" / "unet" / "model.safetensors").write_bytes(b"other")
    catalog.refresh()
    assert catalog.short_hash(_only(catalog)) not in ("", old)


# Names


@pytest.fixture
def named(folder: Path, listing: Listing) -> CheckpointCatalog:
    for index, name in enumerate(
        ("sd15.safetensors", "sd15-inpainting.safetensors", "dir/Fox Art.ckpt", "[v2].ckpt")
    ):
        if name.endswith(".ckpt"):
            checkpoint_zip(folder / name, {**SD1, f"extra{index}": (1,)})
        else:
            safetensors(folder / name, SD1, fill=bytes([index]))
    (folder / "sd15.safetensors.part").write_bytes(b"")
    catalog = listing()
    for entry in catalog.entries:
        if entry.stem.startswith("sd15-"):
            catalog.short_hash(entry)
    return catalog


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("sd15.safetensors", "sd15.safetensors"),
        ("sd15", "sd15.safetensors"),
        ("SD15", "sd15.safetensors"),
        (" sd15 ", "sd15.safetensors"),
        ("dir/Fox Art.ckpt", "dir/Fox Art.ckpt"),
        ("dir\\Fox Art.ckpt", "dir/Fox Art.ckpt"),
        ("dir/Fox Art", "dir/Fox Art.ckpt"),
        ("Fox Art.ckpt", "dir/Fox Art.ckpt"),
        ("fox art", "dir/Fox Art.ckpt"),
        ("fox", "dir/Fox Art.ckpt"),
        ("inpaint", "sd15-inpainting.safetensors"),
        ("[v2]", "[v2].ckpt"),
    ],
)
def test_find(named: CheckpointCatalog, name: str, found: str) -> None:
    assert named.find(name).name == found


def test_find_by_hashes_and_titles(named: CheckpointCatalog) -> None:
    entry = named.find("sd15-inpainting")
    assert entry.sha256 is not None and entry.hash is not None
    for name in (entry.sha256, entry.hash, entry.hash.upper(), entry.title, f"renamed [{entry.hash}]"):
        assert named.find(name) == entry
    unhashed = named.find("sd15")
    assert named.find(f"sd15 [{hashlib.sha256(unhashed.path.read_bytes()).hexdigest()[:10]}]").path == unhashed.path


def test_find_by_the_old_hash(folder: Path, listing: Listing) -> None:
    for name, fill in (("a", b"\1"), ("b", b"\2")):
        safetensors(folder / f"{name}.safetensors", {**SD1, "big": (600_000,)}, fill=fill)
    old = hashlib.sha256(b"\2" * 0x10000).hexdigest()[:8]
    assert listing().find(old).name == "b.safetensors"
    assert listing().find(f"b [{old}]").name == "b.safetensors"
    assert listing().find(f"renamed [{old}]").name == "b.safetensors"


@pytest.mark.parametrize(
    "name", ["", "nothing", "0123456789", "fox [0123456789]", "x" * 100_000, " " * 100_000 + "]"]
)
def test_unknown_name(named: CheckpointCatalog, name: str) -> None:
    with pytest.raises(UnknownName):
        named.find(name)


def test_misspelt_name_gets_a_hint(named: CheckpointCatalog) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'sd15'"):
        named.find("sd51")


def test_ambiguous_name_lists_what_it_fits(named: CheckpointCatalog) -> None:
    with pytest.raises(UnknownName, match=r"fits 2 files \('sd15-inpainting.*'sd15\.safetensors'\)"):
        named.find("sd1")


def test_same_name_other_weights_is_refused(named: CheckpointCatalog) -> None:
    with pytest.raises(UnknownName, match="that name but other weights"):
        named.find("Fox Art [0123456789]")


def test_same_stem_twice_is_told_by_the_hash(folder: Path, listing: Listing) -> None:
    safetensors(folder / "one" / "a.safetensors")
    second = safetensors(folder / "two" / "a.safetensors", fill=b"\1")
    with pytest.raises(UnknownName, match="fits 2 files"):
        listing().find("a")
    digits = hashlib.sha256(second.read_bytes()).hexdigest()[:10]
    assert listing().find(f"a [{digits}]").path == second


def test_copies_of_one_file_are_one_model(folder: Path, listing: Listing) -> None:
    safetensors(folder / "one" / "a.safetensors")
    safetensors(folder / "two" / "a.safetensors")
    catalog = listing()
    for entry in catalog.entries:
        catalog.short_hash(entry)
    assert catalog.find("a").stem == "a"
