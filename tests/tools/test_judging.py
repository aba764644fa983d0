"""The judge: how it is kept, and how well the one that is shipped reads drawings."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from modules.schema.errors import ModelFileError
from tests.threads import one_thread_of_torch
from tools.miniature import judge as training
from tools.miniature.fresh import ALIKE, CHUNK, NATIVE, OTHER_SIZES, Chunk, chunk_size, draw_chunk, fresh_facts
from tools.miniature.judging import JUDGE_FILE, Judge, JudgeNet, as_inputs, save
from tools.miniature.roughen import roughen
from tools.miniature.world.labels import ATTRIBUTES
from tools.miniature.world.sampling import is_unseen

LIMIT = 5_000_000  # bytes
SMALL = {"shape": ("round", "square"), "colour": ("red", "green", "blue")}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    with one_thread_of_torch():
        yield


@pytest.fixture(scope="module")
def drawings() -> Chunk:
    return draw_chunk(training.EXAM_SEED + 5000, NATIVE, 512)


@pytest.fixture(scope="module")
def shipped() -> Judge:
    return Judge.load()


def small_net() -> JudgeNet:
    torch.manual_seed(0)
    return JudgeNet(SMALL, (8, 16, 14), layers=1)


def random_pictures(count: int, height: int = 32, width: int = 48) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), np.uint8)


def test_folding_changes_no_answer() -> None:
    net = small_net()
    inputs = as_inputs(torch.from_numpy(random_pictures(16)))
    net.train()
    net(inputs)  # moves the running averages
    before = net.eval()(inputs)
    net.fold()
    after = net(inputs)
    assert all(torch.allclose(before[name], after[name], atol=1e-4) for name in SMALL)


def test_a_judge_comes_back_from_its_file(tmp_path: Path) -> None:
    net = small_net()
    net.fold()
    save(net, SMALL, tmp_path / "judge.safetensors", steps=3)
    judge = Judge.load(tmp_path / "judge.safetensors")
    assert judge.attributes == SMALL
    pictures = random_pictures(5)
    shares = judge.probabilities(pictures)
    expected = net(as_inputs(torch.from_numpy(pictures)))
    for name, values in SMALL.items():
        assert shares[name].shape == (5, len(values))
        assert np.allclose(shares[name].sum(1), 1, atol=1e-5)
        assert np.allclose(shares[name], expected[name].softmax(-1).detach(), atol=5e-3)
    facts = judge.read(pictures)
    assert [values["colour"] for values in facts] == [SMALL["colour"][k] for k in shares["colour"].argmax(1)]
    likely = judge.likelihood(pictures, shape="square", colour="blue")
    assert np.allclose(likely, shares["shape"][:, 1] * shares["colour"][:, 2])
    assert [path.name for path in tmp_path.iterdir()] == ["judge.safetensors"]


@pytest.mark.parametrize("content", [b"", b"no safetensors at all, but long enough"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=r"x\.safetensors"):
        Judge.load(path)
    with pytest.raises(ModelFileError):
        Judge.load(tmp_path / "missing.safetensors")


def test_only_pictures_are_read() -> None:
    net = small_net()
    net.fold()
    with pytest.raises(ValueError, match="uint8"):
        Judge(net, SMALL).read(random_pictures(2)[0])


def test_the_shipped_judge_is_small_and_of_this_world(shipped: Judge) -> None:
    assert JUDGE_FILE.stat().st_size <= LIMIT
    assert shipped.attributes == ATTRIBUTES


def accuracy(judge: Judge, pictures: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Share of right readings by attribute, where it shows."""
    shares = judge.probabilities(pictures)
    found = {name: (shares[name].argmax(1) == labels[:, k])[labels[:, k] >= 0] for k, name in enumerate(ATTRIBUTES)}
    return {name: float(right.mean()) for name, right in found.items()}


def test_the_shipped_judge_reads_fresh_drawings(shipped: Judge, drawings: Chunk) -> None:
    shares = accuracy(shipped, drawings.pictures, drawings.labels)
    assert min(shares[name] for name in ("kind1", "colour1", "background", "style")) >= 0.97, shares
    assert min(shares.values()) > 0.95, shares


def test_the_shipped_judge_reads_spoilt_drawings(shipped: Judge, drawings: Chunk) -> None:
    spoilt = roughen(drawings.pictures[:96], np.random.default_rng(0), torch.device("cpu"))
    pictures = ((spoilt.permute(0, 2, 3, 1) + 1) * 127.5).clamp(0, 255).byte().numpy()
    shares = accuracy(shipped, pictures, drawings.labels[:96])
    assert np.mean(list(shares.values())) > 0.93, shares


@pytest.mark.parametrize("size", OTHER_SIZES)
def test_the_shipped_judge_reads_other_sizes(shipped: Judge, size: tuple[int, int]) -> None:
    chunk = draw_chunk(training.EXAM_SEED + 7000, size, 32)
    assert chunk.size == size
    shares = accuracy(shipped, chunk.pictures, chunk.labels)
    assert np.mean(list(shares.values())) > 0.93, shares


def test_fresh_drawings_are_of_all_combinations() -> None:
    unseen = [is_unseen(fresh_facts(seed)) for seed in range(200)]
    assert 60 < sum(unseen) < 140
    assert {chunk_size(number) for number in range(64)} == {NATIVE, *OTHER_SIZES}


def test_a_twin_differs_in_style_alone() -> None:
    chunk = draw_chunk(training.EXAM_SEED + 6000, NATIVE, 24, twins=True)
    style = list(ATTRIBUTES).index("style")
    first, second = chunk.labels[::2], chunk.labels[1::2]
    assert (first[:, style] != second[:, style]).all()
    assert {ATTRIBUTES["style"][label] for label in second[:, style]} == set(ALIKE)
    assert (np.delete(first, style, 1) == np.delete(second, style, 1)).all()
    assert (chunk.pictures[::2] != chunk.pictures[1::2]).any((1, 2, 3)).all()


def test_rare_styles_come_beside_their_twins_until_none_are_asked_for() -> None:
    pool = training.Pool(np.random.default_rng(0))
    numbers = np.arange(CHUNK, dtype=np.int16)
    labels = np.zeros((CHUNK, len(ATTRIBUTES)), np.int16)
    labels[:, list(ATTRIBUTES).index("style")] = numbers % 2  # a twin's is another
    pool.add(Chunk(np.zeros((CHUNK, 16, 16, 3), np.uint8), labels, numbers[:, None, None]))
    rare, plain = (pool.batch(count).cells.flatten() for count in (16, 0))
    assert len(rare) == len(plain) == training.BATCH
    assert (rare[:8] ^ 1 == rare[8:16]).all()
    assert not (rare[16:] % 2).any()
    assert not (plain % 2).any()


def test_spoiling_is_slight(drawings: Chunk) -> None:
    spoilt = roughen(drawings.pictures[:32], np.random.default_rng(1), torch.device("cpu"))
    clean = as_inputs(torch.from_numpy(drawings.pictures[:32]))
    assert spoilt.shape == clean.shape
    away = (spoilt - clean).abs().mean((1, 2, 3))
    assert (away > 0).all()
    assert away.max() < 0.35


def test_what_does_not_show_is_not_learned() -> None:
    logits = {"a": torch.tensor([[9.0, 0.0], [0.0, 9.0]]), "b": torch.zeros(2, 3)}
    shown = training.loss_of(logits, torch.tensor([[0, -1], [-1, -1]]))
    assert float(shown) < 1e-3
    assert float(training.loss_of(logits, torch.tensor([[1, -1], [-1, -1]]))) > 8


def test_an_interrupted_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "BATCH", 4)
    file = training.train(tmp_path, 0.01, examined=8)
    assert Judge.load(file).attributes == ATTRIBUTES
    before = training.progress(tmp_path / "judge-state.safetensors")
    assert before.steps > 0
    training.train(tmp_path, 0.01, steps=before.steps + 3, examined=8)
    after = training.progress(tmp_path / "judge-state.safetensors")
    assert after.steps == before.steps + 3
    assert after.seconds > before.seconds
