"""The curves of a run: read as they grow, read anew when the run goes back, thinned."""

from __future__ import annotations

import json
from pathlib import Path

from modules.service.training.history import Histories, History, read_notices


def _lines(first: int, last: int, every: int = 10, loss: float = 0.5) -> str:
    return "".join(
        json.dumps({"step": n, "loss": loss, "smooth": loss, "rate": 1e-3, "norm": 1.0,
                    "evaluation": 0.25 if n % every == 0 else None, "seconds": 0.1}) + "\n"
        for n in range(first, last + 1)
    )  # fmt: skip


def test_it_grows_and_a_half_written_line_waits(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    history = History(path)
    assert history.rows() == []
    assert history.last() is None
    path.write_text(_lines(1, 20) + '{"step": 21, "lo')
    assert [row[0] for row in history.rows()] == list(range(1, 21))
    path.write_text(_lines(1, 25))
    assert history.last() == [25, 0.5, 0.5, 0.001, 1.0, None]
    assert [row[0] for row in history.rows(after=22)] == [23, 24, 25]


def test_a_run_that_went_back_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(_lines(1, 20))
    history = History(path)
    assert len(history.rows()) == 20
    path.write_text(_lines(1, 10))
    assert len(history.rows()) == 10
    path.write_text(_lines(1, 8) + _lines(9, 30, loss=0.125))
    assert history.rows()[9][1] == 0.125
    path.unlink()
    assert history.rows() == []


def test_thinning_keeps_evaluations_and_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    path.write_text(_lines(0, 99_999, every=5000))
    rows = History(path).rows(points=500)
    steps = [row[0] for row in rows]
    assert 500 <= len(rows) <= 530
    assert {0, 5000, 95_000, 99_999} <= set(steps)
    assert steps == sorted(set(steps))


def test_damaged_lines_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").write_text('nonsense\n[1]\n{"step": "x"}\n' + _lines(1, 2))
    (tmp_path / "notices.jsonl").write_text('nonsense\n{"step": 1, "text": "Look.", "level": "info"}\n')
    histories = Histories()
    assert [row[0] for row in histories.of(tmp_path).rows()] == [1, 2]
    assert histories.of(tmp_path) is histories.of(tmp_path)
    assert read_notices(tmp_path) == [{"step": 1, "text": "Look.", "level": "info"}]
    assert read_notices(tmp_path / "nowhere") == []
