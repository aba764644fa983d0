"""The examination of a checkpoint, and its contact sheet."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from modules.schema.errors import ModelFileError
from tests.threads import one_thread_of_torch
from tools.miniature import evaluate, sheet
from tools.miniature.judging import JUDGE_FILE, Judge, JudgeNet, Pictures, save
from tools.miniature.painting import Painter, psnr
from tools.miniature.world.captions import caption
from tools.miniature.world.draw import draw
from tools.miniature.world.facts import KINDS, SCENES, STYLES, Facts
from tools.miniature.world.sampling import is_unseen, sample

MINIATURE = Path(__file__).resolve().parents[2] / "models/Stable-diffusion/miniature.safetensors"


class DrawingProgram:
    """Stands in for a checkpoint: it draws perfectly, `mistakes` of each ten prompts left out."""

    def __init__(self, mistakes: int = 0) -> None:
        self.model = SimpleNamespace(native_size=(128, 128))
        self.seconds, self.pictures = 0.0, 0
        self._mistakes = mistakes
        self._facts = {question.seed: question.facts for question in evaluate.questions(40)}

    def warm_up(self) -> None:
        pass

    def paint(self, prompt: str, seed: int) -> Pictures:
        self.seconds, self.pictures = self.seconds + 0.5, self.pictures + 1
        if self.pictures % 10 < self._mistakes:
            return np.full((1, 128, 128, 3), 255, np.uint8)
        return draw(self._facts[seed])[None]

    def round_trip(self, pictures: Pictures) -> Pictures:
        return pictures // 8 * 8


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with one_thread_of_torch():
        yield


@pytest.fixture(scope="module")
def judge() -> Judge:
    return evaluate.load_judge(JUDGE_FILE)


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(MINIATURE, "cpu", "fp32")


def test_questions_are_held_out_and_always_the_same() -> None:
    questions = evaluate.questions(60)
    assert questions == evaluate.questions(60)
    assert questions[:20] == evaluate.questions(20)
    assert questions != evaluate.questions(60, seed=1)
    assert [question.split for question in questions[:4]] == ["seen", "unseen"] * 2
    assert all(is_unseen(question.facts) == (question.split == "unseen") for question in questions)
    assert len({question.prompt for question in questions}) > 55


def resized(facts: Facts, size: float) -> Facts:
    return replace(facts, things=(replace(facts.things[0], size=size),))


def test_a_size_is_asked_for_only_where_it_is_named() -> None:
    named = 0
    for seed in range(300):
        facts = sample(seed, "seen", 0)
        small, large = (caption(resized(facts, size), random.Random(seed), complete=True) for size in (40, 92))
        asked = evaluate.told(resized(facts, 40), small)
        assert ("size" in asked) == (small != large)
        named += "size" in asked
    assert 60 < named < 150


def test_a_perfect_checkpoint_is_found_perfect(judge: Judge) -> None:
    said: list[int] = []
    report = evaluate.evaluate(DrawingProgram(), judge, evaluate.questions(40), said.append)  # type: ignore[arg-type]
    assert report.both["background"].percent > 90
    assert report.both["everything right"] == report.drawn["everything right"]
    assert report.seen["layout"].of == report.unseen["layout"].of == 20
    assert report.seconds == 0.5
    assert 30 < report.psnr < 45
    assert said == list(range(1, 41))
    assert len(report.answers) == 40
    text = report.text()
    assert "never seen" in text
    assert "two things, both right" in text
    json.dumps(report.to_json())


def test_mistakes_lower_the_shares_but_not_the_ceiling(judge: Judge) -> None:
    report = evaluate.evaluate(DrawingProgram(5), judge, evaluate.questions(40))  # type: ignore[arg-type]
    assert report.both["everything right"].percent < 60
    assert report.ceiling["background"].percent > 90


def test_a_judge_of_another_world_is_refused(tmp_path: Path) -> None:
    net = JudgeNet({"mood": ("good", "bad")}, (8, 8, 7), layers=1)
    net.fold()
    save(net, {"mood": ("good", "bad")}, tmp_path / "other.safetensors")
    with pytest.raises(ModelFileError, match="another world"):
        evaluate.load_judge(tmp_path / "other.safetensors")


def test_psnr() -> None:
    black = np.zeros((2, 8, 8, 3), np.uint8)
    assert psnr(black, black + 255) == pytest.approx(0)
    assert psnr(black, black + 16) == pytest.approx(24.05, abs=0.01)


@pytest.mark.engine
def test_the_engine_paints_and_the_autoencoder_gives_back(painter: Painter) -> None:
    pictures = painter.paint("a red circle on a white background", 3, steps=4, batch_size=2)
    assert pictures.shape == (2, 128, 128, 3)
    alone = painter.paint("a red circle on a white background", 4, steps=4)
    # Another batch size rounds in another order.
    assert np.abs(pictures[1:].astype(int) - alone).mean() < 0.5
    assert painter.pictures == 3
    drawn = np.stack([draw(sample(seed, "seen", 2)) for seed in range(3)])
    assert psnr(drawn, painter.round_trip(drawn)) > 15


@pytest.mark.engine
def test_the_table_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "report.json"
    evaluate.main(MINIATURE, 2, out, device="cpu")
    assert "miniature.safetensors, 2 held-out prompts" in capsys.readouterr().out
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["both"]["layout"]["of"] == 2
    assert {"split", "prompt", "asked", "read"} <= set(report["answers"][0])


def test_the_sheet_shows_the_whole_world() -> None:
    assert len(sheet.PROMPTS) == len(set(sheet.PROMPTS)) == 48
    everything = " ".join(sheet.PROMPTS)
    assert [word for word in (*KINDS, *SCENES, *STYLES[1:]) if word not in everything] == []


def test_a_sheet_is_composed_in_rows() -> None:
    pictures = [np.full((64, 96, 3), 20 * k, np.uint8) for k in range(9)]
    made = sheet.compose(pictures, ["some words that are long enough for several lines"] * 9)
    assert made.width == 8 * (96 + sheet.GAP) + sheet.GAP
    assert made.getpixel((sheet.GAP, made.height // 2 + sheet.GAP)) == (160, 160, 160)
    assert made.getpixel((sheet.GAP + 96 + sheet.GAP, sheet.GAP)) == (20, 20, 20)


@pytest.mark.engine
def test_a_sheet_is_drawn(tmp_path: Path) -> None:
    out = sheet.main(MINIATURE, tmp_path / "new" / "sheet.png", ("a red circle on white", ""), device="cpu")
    with Image.open(out) as image:
        assert image.width > 8 * 128
        assert image.height < 300
