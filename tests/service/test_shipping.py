"""Files on their way to an engine on another machine."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from modules.catalog.cache import FileCache
from modules.catalog.hashes import Hashes
from modules.schema.engine import Command, EngineJob, ModelRef, NamedFile
from modules.schema.errors import ModelFileError
from modules.schema.parts import ImageInput
from modules.service.shipping import Freight, Ship, Store, freight_of, relocated, send
from tests.service.helpers import request

PICTURE = "a" * 64


@pytest.fixture
def hashes(tmp_path: Path) -> Hashes:
    return Hashes(FileCache(tmp_path / "hashes.sqlite"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "far", Hashes(FileCache(tmp_path / "far.sqlite")))


def files(folder: Path) -> dict[str, Path]:
    """One file of every kind that a job can name, each with other bytes; the VAE is a folder."""
    names = ("a.safetensors", "hires.ckpt", "lora/one.safetensors", "up.pth", "vae/config.json", "vae/sub/w.bin",
             f"inputs/{PICTURE}.png")  # fmt: skip
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode() * 1000)
    return {name: folder / name for name in (*names, "vae")}


def command(of: dict[str, Path]) -> Command:
    model = ModelRef(
        checkpoint=str(of["a.safetensors"]),
        vae=str(of["vae"]),
        named=(NamedFile(kind="lora", name="one", path=str(of["lora/one.safetensors"])),),
        others={"hires": ModelRef(checkpoint=str(of["hires.ckpt"]))},
    )
    job = EngineJob(
        id="j",
        request=request(image=ImageInput(picture=PICTURE)),
        model=model,
        inputs=str(of["vae"].parent / "inputs"),
        upscalers={"Up": str(of["up.pth"])},
    )
    return Command(name="run", job=job)


def elsewhere(freight: Freight) -> Freight:
    """As it looks to a machine that has no such folder."""
    ships = tuple(Ship(f"/nowhere{ship.path}", ship.sha256, ship.size, ship.place) for ship in freight.ships)
    return Freight(f"/nowhere{freight.root}", ships, freight.kind)


def arrive(store: Store, freight: Freight, *, spoil: bool = False) -> list[bool]:
    """Send what is missing of freight from `elsewhere`; whether each file was right."""
    right = []
    for ship in store.missing(freight):
        transfer = store.begin(freight, ship)
        real = Ship(ship.path.removeprefix("/nowhere"), ship.sha256, ship.size, ship.place)
        assert send(real, lambda data, transfer=transfer: store.write(transfer, data + b"!" * spoil), lambda _: True)
        right.append(store.finish(transfer, freight))
    return right


def test_everything_a_job_names_arrives_and_is_found_there(tmp_path: Path, hashes: Hashes, store: Store) -> None:
    here = files(tmp_path / "head")
    order = command(here)
    freight = freight_of(order, hashes)
    away = [elsewhere(one) for one in freight]
    assert all(all(arrive(store, one)) for one in away)
    assert [store.missing(one) for one in away] == [[]] * len(away)
    places = {original.root: store.place(one) for original, one in zip(freight, away, strict=True)}
    moved = relocated(order, places, store.inputs).job
    assert moved is not None
    there = [moved.model.checkpoint, moved.model.named[0].path, moved.model.others["hires"].checkpoint]
    assert [Path(path).name for path in there] == ["a.safetensors", "one.safetensors", "hires.ckpt"]
    assert all(Path(path).is_relative_to(tmp_path / "far" / "models") for path in there)
    assert Path(there[0]).read_bytes() == here["a.safetensors"].read_bytes()
    assert (Path(moved.model.vae or "") / "sub" / "w.bin").read_bytes() == here["vae/sub/w.bin"].read_bytes()
    assert Path(moved.upscalers["Up"]).read_bytes() == here["up.pth"].read_bytes()
    assert (Path(moved.inputs) / f"{PICTURE}.png").is_file()
    assert not list((tmp_path / "far").rglob("*.tmp"))


def test_the_same_file_at_the_same_place_is_not_sent(tmp_path: Path, hashes: Hashes, store: Store) -> None:
    here = files(tmp_path / "shared")
    (model,) = freight_of(Command(name="load", model=ModelRef(checkpoint=str(here["a.safetensors"]))), hashes)
    assert store.missing(model) == []
    assert store.place(model) == str(here["a.safetensors"])


def test_another_file_at_the_same_place_is_not_taken_for_it(tmp_path: Path, hashes: Hashes, store: Store) -> None:
    here = files(tmp_path / "shared")
    (model,) = freight_of(Command(name="load", model=ModelRef(checkpoint=str(here["a.safetensors"]))), hashes)
    content = here["a.safetensors"].read_bytes()
    here["a.safetensors"].write_bytes(content[::-1])
    assert len(store.missing(model)) == 1
    here["a.safetensors"].unlink()
    assert len(store.missing(model)) == 1


def test_what_arrives_spoiled_is_thrown_away(tmp_path: Path, hashes: Hashes, store: Store) -> None:
    here = files(tmp_path / "head")
    freight = elsewhere(freight_of(command(here), hashes)[0])
    assert arrive(store, freight, spoil=True) == [False]
    assert len(store.missing(freight)) == 1
    assert not [path for path in (tmp_path / "far").rglob("*") if path.is_file()]
    assert arrive(store, freight) == [True]


def test_a_transfer_that_is_broken_off_leaves_nothing(tmp_path: Path, hashes: Hashes, store: Store) -> None:
    freight = elsewhere(freight_of(command(files(tmp_path / "head")), hashes)[0])
    (ship,) = freight.ships
    transfer = store.begin(freight, ship)
    real = Ship(ship.path.removeprefix("/nowhere"), ship.sha256, ship.size, ship.place)
    assert not send(real, lambda data: store.write(transfer, data), lambda _: False)
    assert not store.finish(transfer, freight, keep=False)
    assert not [path for path in (tmp_path / "far").rglob("*") if path.is_file()]


@pytest.mark.parametrize("place", ["../../evil", "/etc/evil", "a/../../../evil", "..", "./../evil"])
def test_nothing_is_written_outside_the_cache_folder(tmp_path: Path, store: Store, place: str) -> None:
    data = b"x"
    ship = Ship("/nowhere/x", hashlib.sha256(data).hexdigest(), 1, f"{place}/file")
    freight = Freight("/nowhere/x", (ship,))
    transfer = store.begin(freight, ship)
    store.write(transfer, data)
    assert store.finish(transfer, freight)
    assert Path(store.place(freight)).is_relative_to(tmp_path / "far")
    assert [path for path in tmp_path.rglob("file") if not path.is_relative_to(tmp_path / "far")] == []


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path, hashes: Hashes) -> None:
    with pytest.raises(ModelFileError, match=r"gone\.safetensors"):
        freight_of(Command(name="load", model=ModelRef(checkpoint=str(tmp_path / "gone.safetensors"))), hashes)
    here = files(tmp_path / "head")
    here[f"inputs/{PICTURE}.png"].unlink()
    with pytest.raises(ModelFileError):
        freight_of(command(here), hashes)
