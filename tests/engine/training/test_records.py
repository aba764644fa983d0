"""What a run writes beside pictures: states, history, tables, TensorBoard."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch

from modules.engine.training.journal import Journal, Line
from modules.engine.training.state import State, load_state, previous
from modules.engine.training.tensorboard import EventFile, crc32c, masked

CPU = torch.device("cpu")


def line(step: int, **values: float | None) -> Line:
    given = {"loss": 0.5, "smooth": 0.5, "rate": 0.005, "norm": 0.4, "evaluation": None, "seconds": 0.1, **values}
    return Line(step, **given)  # type: ignore[arg-type]


def state(step: int) -> State:
    made = State.new(torch.randn(6, generator=torch.Generator().manual_seed(step)), averaged=True)
    made.course.step, made.course.evaluations = step, [(0, 1.0), (step, 0.5)]
    return made


def test_a_state_comes_back_bit_for_bit(tmp_path: Path) -> None:
    path, made = tmp_path / "state.safetensors", state(5)
    made.save(path)
    found = load_state(path, CPU, 6, averaged=True)
    assert found is not None
    assert found.course == made.course
    assert torch.equal(found.flat, made.flat)
    assert found.average is not None


def test_a_torn_state_gives_way_to_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    state(5).save(path)
    state(6).save(path)
    assert previous(path).exists()
    path.write_bytes(path.read_bytes()[:100])
    found = load_state(path, CPU, 6, averaged=True)
    assert found is not None
    assert found.course.step == 5


def test_a_kill_between_the_two_renames_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    state(6).save(path)
    path.rename(tmp_path / "state-new.safetensors")
    found = load_state(path, CPU, 6, averaged=True)
    assert found is not None
    assert found.course.step == 6


@pytest.mark.parametrize("spoil", ["missing", "other size", "not a number"])
def test_what_does_not_fit_is_no_state(tmp_path: Path, spoil: str) -> None:
    path, made = tmp_path / "state.safetensors", state(5)
    if spoil == "not a number":
        made.flat[0] = torch.nan
    if spoil != "missing":
        made.save(path)
    assert load_state(path, CPU, 7 if spoil == "other size" else 6, averaged=True) is None


def test_history_and_table_are_cut_to_the_state(tmp_path: Path) -> None:
    journal = Journal(tmp_path, lambda step: divmod(step - 1, 4))
    journal.cut(-1)
    for step in range(6):
        journal.add(line(step, **({"loss": None, "evaluation": 0.7} if step == 0 else {})))
    journal.flush()
    with (tmp_path / "history.jsonl").open("a") as file:
        file.write('{"step": 6, "lo')
    again = Journal(tmp_path, lambda step: divmod(step - 1, 4))
    again.cut(4)
    again.add(line(5, loss=0.25))
    again.flush()
    rows = [json.loads(row) for row in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert rows[-1]["loss"] == 0.25
    table = (tmp_path / "textual_inversion_loss.csv").read_text().splitlines()
    assert table[0] == "step,epoch,epoch_step,loss,learn_rate"
    assert table[1] == "1,0,0,0.5000000,0.005"
    assert table[5] == "5,1,0,0.2500000,0.005"


def test_notices_are_kept(tmp_path: Path) -> None:
    Journal(tmp_path, lambda step: (0, step)).note(3, "Gefallen — ja", "warning")
    assert json.loads((tmp_path / "notices.jsonl").read_text()) == {
        "step": 3, "text": "Gefallen — ja", "level": "warning",
    }  # fmt: skip


def test_the_checksum_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(b"") == 0


def test_an_event_file_is_a_chain_of_whole_frames(tmp_path: Path) -> None:
    events = EventFile(tmp_path)
    events.add(300, {"loss": 0.5})
    events.flush()
    (path,) = tmp_path.iterdir()
    data, messages = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked(data[:8])
        message = data[12 : 12 + length]
        assert struct.unpack("<I", data[12 + length : 16 + length])[0] == masked(message)
        messages.append(message)
        data = data[16 + length :]
    assert messages[0].endswith(b"\x1a\x0dbrain.Event:2")
    # Step 300 as a varint, then summary > value > tag and number.
    inner = b"\x0a\x04loss\x15" + struct.pack("<f", 0.5)
    assert messages[1][9:] == b"\x10\xac\x02\x2a" + bytes((len(inner) + 2,)) + b"\x0a" + bytes((len(inner),)) + inner
