"""The written course of a run: history.jsonl, A1111's CSV, TensorBoard, and the notices.

Lines wait until the state is saved: what is on the disk is never ahead of what a run can go on from by more than the
lines that are cut then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from modules.engine.training.files import write_with
from modules.engine.training.tensorboard import EventFile

_COLUMNS = "step,epoch,epoch_step,loss,learn_rate\n"


@dataclass(frozen=True)
class Line:
    """A step: `evaluation` is None at steps without one, `seconds` the step's own. Step 0 has no loss: it is where
    the run began."""

    step: int
    loss: float | None
    smooth: float | None
    rate: float | None
    norm: float
    evaluation: float | None
    seconds: float


class Journal:
    """Of the run in `folder`. `place`: (epoch, step in it), from 0, of a step."""

    def __init__(self, folder: Path, place: Callable[[int], tuple[int, int]]) -> None:
        self._history = folder / "history.jsonl"
        self._notices = folder / "notices.jsonl"
        self._table = folder / "textual_inversion_loss.csv"
        self._place = place
        self._lines: list[Line] = []
        self._events = EventFile(folder / "tensorboard")

    def cut(self, step: int) -> None:
        """Forget what was written of steps after `step`; raises OSError."""
        self._lines.clear()
        kept = [line for line in _read(self._history) if line.step <= step]
        write_with(self._history, lambda part: part.write_text(_json(kept), encoding="utf-8"))
        write_with(self._table, lambda part: part.write_text(_COLUMNS + self._rows(kept), encoding="utf-8"))

    def add(self, line: Line) -> None:
        self._lines.append(line)
        shown = {"loss": line.loss, "loss/smooth": line.smooth, "learn_rate": line.rate, "norm": line.norm,
                 "evaluation": line.evaluation}  # fmt: skip
        self._events.add(line.step, {tag: value for tag, value in shown.items() if value is not None})

    def flush(self) -> None:
        """Write what waits; raises OSError, and then everything still waits."""
        if self._lines:
            with self._history.open("a", encoding="utf-8") as file:
                file.write(_json(self._lines))
            with self._table.open("a", encoding="utf-8") as file:
                file.write(self._rows(self._lines))
            self._lines.clear()
        self._events.flush()

    def note(self, step: int, text: str, level: str) -> None:
        """Keep a notice; raises OSError."""
        with self._notices.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, "text": text, "level": level}, ensure_ascii=False) + "\n")

    def _rows(self, lines: list[Line]) -> str:
        return "".join(
            "{},{},{},{:.7f},{}\n".format(line.step, *self._place(line.step), line.loss, line.rate)
            for line in lines
            if line.loss is not None
        )


def _json(lines: list[Line]) -> str:
    return "".join(json.dumps(asdict(line)) + "\n" for line in lines)


def _read(path: Path) -> Iterator[Line]:
    """The whole lines of a file; one that a power cut has torn is left out."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return
    for line in text.splitlines():
        try:
            yield Line(**json.loads(line))
        except (json.JSONDecodeError, TypeError):
            continue
