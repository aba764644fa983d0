from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from modules.schema.errors import BadRequest, ModelFileError, UnknownName
from modules.schema.request import GenerationRequest
from modules.service.resolve import resolve


@dataclass
class Entry:
    name: str
    problem: str | None = None

    @property
    def path(self) -> Path:
        return Path("/models") / self.name

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def title(self) -> str:
        return f"{self.name} [0123456789]"


@dataclass
class Catalog:
    entries: list[Entry] = field(default_factory=list)
    side: Entry | None = None

    def find(self, name: str) -> Entry:
        for entry in self.entries:
            if name in (entry.name, entry.title, entry.stem):
                return entry
        raise UnknownName("model", name, [e.name for e in self.entries])

    def side_file(self, checkpoint: Entry) -> Entry | None:
        return self.side


CHECKPOINTS = Catalog([Entry("a.safetensors"), Entry("b.ckpt"), Entry("bad.ckpt", "bad.ckpt is cut off.")])
VAES = Catalog([Entry("soft.pt"), Entry("broken.pt", "broken.pt is not a VAE.")])


def run(default: str = "a", vaes: Catalog = VAES, **values: Any) -> Any:
    return resolve(GenerationRequest(**values), checkpoints=CHECKPOINTS, vaes=vaes, default_checkpoint=default)


def test_the_default_checkpoint_and_a_named_one() -> None:
    assert run()[0].checkpoint == "a.safetensors [0123456789]"
    request, model, entry = run(checkpoint="b", use_ema=True)
    assert (request.checkpoint, model.checkpoint, model.use_ema) == (entry.title, "/models/b.ckpt", True)


def test_resolving_twice_changes_nothing() -> None:
    once = run(vae="soft.pt", sampler="k_dpmpp_2m", width=515)[0]
    again = resolve(once, checkpoints=CHECKPOINTS, vaes=VAES, default_checkpoint="b")[0]
    assert again == once


def test_seeds_are_drawn_once_and_lie_in_a1111_s_range() -> None:
    drawn = [run()[0] for _ in range(50)]
    assert all(0 <= request.seed <= 4294967293 and 0 <= request.subseed <= 4294967293 for request in drawn)
    assert len({request.seed for request in drawn}) > 40
    assert run(seed=7, subseed=0)[0].seed == 7
    assert run(seed=7, subseed=0)[0].subseed == 0


@pytest.mark.parametrize(("asked", "given"), [(16, 16), (19, 16), (20, 24), (512, 512), (8189, 8192), (513, 512)])
def test_sizes_become_multiples_of_8(asked: int, given: int) -> None:
    request = run(width=asked, height=asked)[0]
    assert (request.width, request.height) == (given, given)


@pytest.mark.parametrize(
    ("sampler", "scheduler", "expected"),
    [
        ("euler_a", "Automatic", ("Euler a", "Automatic")),
        ("k_euler", "karras", ("Euler", "Karras")),
        ("Euler", "", ("Euler", "Automatic")),
        ("DPM++ 2M Karras", "Automatic", ("DPM++ 2M", "Karras")),
        ("DPM++ 2M SDE", "Automatic", ("DPM++ 2M SDE", "Exponential")),
        ("DDIM", "Automatic", ("DDIM", "Automatic")),
        ("DPM++ 2M Exponential", "Karras", ("DPM++ 2M", "Exponential")),
        ("Euler Karras", "Automatic", ("Euler", "Karras")),
    ],
)
def test_samplers_and_schedules_get_their_labels(sampler: str, scheduler: str, expected: tuple[str, str]) -> None:
    request = run(sampler=sampler, scheduler=scheduler)[0]
    assert (request.sampler, request.scheduler) == expected


@pytest.mark.parametrize(
    ("values", "field_name"),
    [
        ({"sampler": "Oiler"}, "sampler"),
        ({"scheduler": "Karas"}, "scheduler"),
        ({"checkpoint": "zzz"}, None),
        ({"vae": "zzz"}, None),
        ({"extensions": {"soft": {}}}, "extensions"),
    ],
)
def test_unknown_names_are_refused(values: dict[str, Any], field_name: str | None) -> None:
    with pytest.raises(UnknownName) as caught:
        run(**values)
    assert caught.value.field == field_name


def test_near_names_are_suggested() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'Karras'"):
        run(scheduler="Karas")


def test_files_with_a_problem_are_refused_with_their_reason() -> None:
    with pytest.raises(ModelFileError, match="cut off"):
        run(checkpoint="bad.ckpt")
    with pytest.raises(ModelFileError, match="not a VAE"):
        run(vae="broken.pt")


def test_no_checkpoint_at_all() -> None:
    with pytest.raises(BadRequest, match="no checkpoint yet"):
        resolve(GenerationRequest(), checkpoints=Catalog(), vaes=VAES, default_checkpoint="")


@pytest.mark.parametrize(
    ("asked", "side", "name", "path"),
    [
        ("Automatic", None, "None", None),
        ("", None, "None", None),
        ("Automatic", Entry("a.vae.pt"), "a.vae.pt", "/models/a.vae.pt"),
        ("None", Entry("a.vae.pt"), "None", None),
        ("none", None, "None", None),
        ("soft", None, "soft.pt", "/models/soft.pt"),
    ],
)
def test_vae(asked: str, side: Entry | None, name: str, path: str | None) -> None:
    request, model, _ = run(vae=asked, vaes=Catalog(VAES.entries, side))
    assert (request.vae, model.vae) == (name, path)


def test_an_empty_prompt_is_fine() -> None:
    assert run(prompt="", negative_prompt="")[0].prompt == ""


def test_parts_find_their_models_and_resolving_again_changes_nothing() -> None:
    request, model, _ = run(
        hires={"checkpoint": "b", "sampler": "Euler a", "width": 101}, refiner={"checkpoint": "a"}, sampler="DPM++ 2M"
    )
    assert (request.hires.checkpoint, request.hires.width) == ("b.ckpt [0123456789]", 104)
    assert request.hires.scheduler == "Automatic", "the new sampler's own, not that of the first pass"
    assert {role: ref.checkpoint for role, ref in model.others.items()} == {
        "hires": "/models/b.ckpt",
        "refiner": "/models/a.safetensors",
    }
    again = resolve(request, checkpoints=CHECKPOINTS, vaes=VAES, default_checkpoint="b")
    assert (again[0], again[1]) == (request, model)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"inpaint": {"mask": "a" * 64}}, "needs a picture"),
        ({"image": {}}, "no picture"),
        ({"image": {"picture": "a" * 64}, "inpaint": {}}, "no mask"),
        ({"image": {"picture": "a" * 64}, "soft_inpaint": {}}, "needs a mask"),
        ({"image": {"picture": "a" * 64}, "hires": {}}, "larger size"),
        ({"refiner": {}}, "names no checkpoint"),
        ({"refiner": {"checkpoint": "none"}}, "none"),
    ],
)
def test_parts_that_cannot_be_are_told(parts: dict[str, Any], words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        run(**parts)
