"""Whole runs of a tiny model: what they leave behind, and that nothing outside changes a bit of them."""

from __future__ import annotations

import errno
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from modules.engine.conditioning import PromptEncoder
from modules.engine.generate import generate
from modules.engine.loading.model import LoadedModel
from modules.engine.loading.store import Store
from modules.engine.training import files
from modules.engine.training.run import run_training
from modules.schema.engine import EngineJob
from modules.schema.errors import BadRequest
from modules.schema.events import Event, Finished, Notice, TrainFile, TrainStep
from modules.schema.request import GenerationRequest
from tests.engine.training.runs import learned, make_job, pictures, reason, train

Job = Callable[..., EngineJob]
WATCHED = {"evaluate_every": 4, "create_image_every": 4, "save_embedding_every": 4, "evaluation_pictures": 3}


@pytest.fixture
def job(tiny: Path, tmp_path: Path) -> Job:
    """Jobs in folders of this test, of six pictures."""

    def make(folder: str = "a", **values: object) -> EngineJob:
        return make_job(tmp_path / folder, values.pop("data", pictures(count=6)), checkpoint=tiny, **values)  # type: ignore[arg-type]

    return make


def numbers(job: EngineJob) -> torch.Tensor:
    """What was learned, with its moments."""
    tensors = learned(job)
    return torch.cat([tensors[name].flatten() for name in sorted(tensors)]).view(torch.int32)


def history(job: EngineJob) -> list[dict[str, float | None]]:
    rows = (Path(job.files["run"]) / "history.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(row).items() if key != "seconds"} for row in rows]


def test_a_run_from_folder_to_result(job: Job, store: Store) -> None:
    one = job(steps=8, **WATCHED)
    events = list(train(one, store))
    assert reason(events) == "done"
    folder = Path(one.files["run"])
    told = {(event.kind, event.step, event.index) for event in events if isinstance(event, TrainFile)}
    assert told == {("plain", 0, 0), ("copy", 4, 0), ("preview", 4, 0), ("copy", 8, 0), ("preview", 8, 0),
                    ("result", 8, 0)}  # fmt: skip
    for event in events:
        if isinstance(event, TrainFile) and event.kind != "result":
            assert (folder / event.name).is_file()
    assert Path(one.files["result"]).is_file()
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["steps"] == 8
    assert len(manifest["data_set"]["pictures"]) == 6
    assert [row["step"] for row in history(one)] == list(range(9))
    assert [row["step"] for row in history(one) if row["evaluation"] is not None] == [0, 4, 8]
    last = [event for event in events if isinstance(event, TrainStep)][-1]
    assert (last.step, last.steps, last.run) == (8, 8, "run")
    assert not [*folder.rglob("*.part"), *folder.rglob("*.tmp")]


def test_a_kill_at_any_moment_changes_no_bit(job: Job, store: Store) -> None:
    whole = job("whole", steps=12, **WATCHED)
    list(train(whole, store))
    torn = job("torn", steps=12, **WATCHED)
    for stop in random.Random(5).sample(range(3, 25), 3):
        # What is not asked for its next event any more is as good as killed: nothing is saved on the way out.
        for number, _ in enumerate(train(torn, store)):
            if number == stop:
                break
    list(train(torn, store))
    assert torch.equal(numbers(whole), numbers(torn))
    assert history(whole) == history(torn)
    results = [load_file(one.files["result"])["emb_params"] for one in (whole, torn)]
    assert torch.equal(*results)


def test_pause_saves_at_once_and_the_same_job_goes_on(job: Job, store: Store) -> None:
    whole, parts = job("whole", steps=8, save_embedding_every=2), job("parts", steps=8, save_embedding_every=2)
    list(train(whole, store))
    events = list(train(parts, store, lambda event: "pause" if is_at(event, 4) else None))
    assert reason(events) == "paused"
    assert not Path(parts.files["result"]).exists()
    assert json.loads((Path(parts.files["run"]) / "history.jsonl").read_text().splitlines()[-1])["step"] == 4
    assert reason(list(train(parts, store))) == "done"
    assert torch.equal(numbers(whole), numbers(parts))


def is_at(event: Event, step: int) -> bool:
    return isinstance(event, TrainFile | TrainStep) and event.step >= step


def test_interrupt_writes_the_result(job: Job, store: Store) -> None:
    one = job(steps=500, save_embedding_every=2)
    events = list(train(one, store, lambda event: "interrupt" if is_at(event, 2) else None))
    assert reason(events) == "interrupted"
    assert Path(one.files["result"]).is_file()


def test_more_steps_on_a_finished_run(job: Job, store: Store) -> None:
    whole = job("whole", steps=8)
    list(train(whole, store))
    list(train(job("parts", steps=5), store))
    more = job("parts", steps=8)
    assert reason(list(train(more, store))) == "done"
    assert torch.equal(numbers(whole), numbers(more))
    assert reason(list(train(more, store))) == "done"


def test_a_generation_in_between_changes_no_bit(job: Job, store: Store, tiny: Path) -> None:
    alone, disturbed = job("alone", steps=6, **WATCHED), job("disturbed", steps=6, **WATCHED)
    list(train(alone, store))
    sizes = iter([(64, 64), (128, 64), (64, 96), (192, 64)] * 10)

    def draw(event: Event) -> str | None:
        if isinstance(event, TrainStep) and event.state == "drawing":
            return None
        width, height = next(sizes)
        request = GenerationRequest(prompt="a (cat:1.3)", seed=3, subseed=3, steps=1, width=width, height=height,
                                    tiling=True, clip_skip=2)  # fmt: skip
        list(generate(request, store.get(disturbed.model, "fp32"), encoder=PromptEncoder()))
        torch.manual_seed(0)
        return None

    list(train(disturbed, store, draw))
    assert torch.equal(numbers(alone), numbers(disturbed))


def test_models_that_were_freed_meanwhile_are_loaded_again(job: Job, tiny: Path) -> None:
    alone, disturbed, store = job("alone", steps=5), job("disturbed", steps=5), Store(1, torch.device("cpu"))
    list(train(alone, store))
    list(train(disturbed, store, lambda event: store.clear() if is_at(event, 2) else None))
    assert torch.equal(numbers(alone), numbers(disturbed))


def test_a_preview_gives_way_and_is_drawn_again(job: Job, store: Store) -> None:
    one = job(steps=2, create_image_every=2)
    asked = iter([None, "border"] + [None] * 100)
    states: list[str] = []

    def answer(event: Event) -> str | None:
        if isinstance(event, TrainStep):
            states.append(event.state)
            return next(asked) if event.state == "drawing" else None
        return None

    events = list(train(one, store, answer))
    assert reason(events) == "done"
    after = states[states.index("drawing") :]
    assert after[:3] == ["drawing", "drawing", "training"]
    assert "drawing" in after[3:]


def test_not_a_number_goes_back_with_half_the_rate_and_three_times_is_the_end(
    job: Job, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = job(steps=30, create_image_every=0)
    list(train(job(steps=3), store))
    before = learned(one)["learned"]
    predict, calls = LoadedModel.predict, iter(range(10_000))

    def poisoned(self: LoadedModel, *given: object) -> torch.Tensor:
        return predict(self, *given) * (float("nan") if next(calls) > 3 else 1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(LoadedModel, "predict", poisoned)
    events = list(train(one, store))
    notices = [event.text for event in events if isinstance(event, Notice)]
    assert reason(events) == "interrupted"
    assert ["third time" in text for text in notices] == [False, False, True]
    assert "0.5 of the learning rate" in notices[0]
    assert "0.25 of the learning rate" in notices[1]
    state = learned(one)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in state.values())
    assert torch.equal(state["learned"], before)
    assert Path(one.files["result"]).is_file()
    monkeypatch.undo()
    assert reason(list(train(one, store))) == "done"


def test_one_poisoned_batch_is_survived(job: Job, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    predict, calls = LoadedModel.predict, iter(range(10_000))

    def poisoned(self: LoadedModel, *given: object) -> torch.Tensor:
        return predict(self, *given) * (float("inf") if next(calls) == 4 else 1.0)  # type: ignore[arg-type]

    monkeypatch.setattr(LoadedModel, "predict", poisoned)
    one = job(steps=6)
    events = list(train(one, store))
    assert reason(events) == "done"
    assert sum(isinstance(event, Notice) for event in events) == 1
    assert [row["step"] for row in history(one)] == list(range(1, 7))
    assert history(one)[-1]["rate"] == 0.0025


def test_a_full_disk_pauses_and_nothing_is_lost(job: Job, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = job("whole", steps=6, save_embedding_every=2)
    list(train(whole, store))
    one, write, calls = job("full", steps=6, save_embedding_every=2), files.write_with, iter(range(10_000))

    def full(path: Path, work: Callable[[Path], object]) -> None:
        if next(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, work)

    monkeypatch.setattr(files, "write_with", full)
    events = list(train(one, store))
    assert reason(events) == "paused"
    (notice,) = [event for event in events if isinstance(event, Notice)]
    assert "No space left on device" in notice.text
    monkeypatch.undo()
    assert reason(list(train(one, store))) == "done"
    assert torch.equal(numbers(whole), numbers(one))


def test_a_picture_that_is_gone_pauses_and_afterwards_none_is_needed(job: Job, store: Store, tmp_path: Path) -> None:
    given = pictures(count=2)
    copies = []
    for number, picture in enumerate(given):
        path = tmp_path / f"{number}.png"
        Image.open(picture.path).save(path)
        copies.append(picture.replace(path=str(path)))
    one = job(steps=4, data=tuple(copies), save_embedding_every=1)
    second = Path(copies[1].path)
    data = second.read_bytes()
    second.unlink()
    events = list(train(one, store))
    assert reason(events) == "paused"
    assert any(isinstance(event, Notice) and "not there any more" in event.text for event in events)
    second.write_bytes(data)
    assert reason(list(train(one, store, lambda event: "pause" if is_at(event, 1) else None))) == "paused"
    for picture in copies:
        Path(picture.path).unlink()
    assert reason(list(train(one, store))) == "done"


def test_a_word_that_stands_in_no_text_is_refused(tiny: Path, tmp_path: Path, store: Store) -> None:
    one = make_job(tmp_path, pictures(count=2), ("[filewords]",), checkpoint=tiny)
    with pytest.raises(BadRequest, match="stands in no text"):
        list(train(one, store))


@pytest.mark.parametrize(
    "values",
    [
        {"norm_control": "Free", "num_vectors_per_token": 2},
        {"norm_control": "Direction", "init_text": ""},
        {"ema": 0.9, "latent_sampling_method": "random"},
        {"batch_size": 3, "gradient_step": 2, "clip_grad_mode": "norm"},
        {"precision": "bf16", "latent_sampling_method": "deterministic"},
        {"learn_rate": "0.01:2, 0.001", "shuffle_tags": True, "tag_drop_out": 0.3},
        {"method": "LoRA", "lora_rank": 2},
        {"method": "LoRA", "lora_layers": "Attention and convolutions", "lora_text_encoder": False},
    ],
    ids=str,
)
def test_every_choice_learns_and_can_be_torn(job: Job, store: Store, values: dict[str, object]) -> None:
    whole, torn = job("whole", steps=4, evaluate_every=2, **values), job("torn", steps=4, evaluate_every=2, **values)
    list(train(whole, store))
    list(train(torn, store, lambda event: "pause" if is_at(event, 1) else None))
    list(train(torn, store))
    assert torch.equal(numbers(whole), numbers(torn))
    assert len(set(numbers(whole).tolist())) > 2


def test_checkpointing_gives_the_same_gradients(job: Job, store: Store) -> None:
    plain, saving = job("plain", steps=3), job("saving", steps=3, gradient_checkpointing=True)
    list(train(plain, store))
    list(train(saving, store))
    torch.testing.assert_close(learned(plain)["first"], learned(saving)["first"])


def test_the_rate_list_ends_the_run(job: Job, store: Store) -> None:
    one = job(steps=10, learn_rate="0.01:3")
    assert reason(list(train(one, store))) == "done"
    assert history(one)[-1]["step"] == 3


def test_events_are_not_more_than_a_few_a_second(job: Job, store: Store) -> None:
    events = list(run_training(job(steps=40), store, PromptEncoder()))
    seconds = next(event.seconds for event in events if isinstance(event, Finished))
    assert sum(isinstance(event, TrainStep) for event in events) < 5 * seconds + 16
