"""The files of a run that may be seen from outside: previews, copies, curves; and a copy made the result."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from modules.catalog.writing import replacing
from modules.schema.errors import NotFound, UserError
from modules.schema.training import TrainingRequest
from modules.service.training.runs import COPIES, REQUEST, Run

BEST = "best.safetensors"
CSV = "textual_inversion_loss.csv"
_SINGLE = {CSV: "csv", "manifest.json": "manifest", REQUEST: "request", "history.jsonl": "history", BEST: "best"}
_FOLDERS = {"images": "preview", "image_embeddings": "card", "embeddings": "copy", "loras": "copy"}
_PLAIN = re.compile(r"plain-(\d+)\.png")
_PREVIEW = re.compile(r".*-(\d+)-(\d+)\.png")
_NUMBERED = re.compile(r".*-(\d+)\.(?:png|safetensors|pt)")


@dataclass(frozen=True)
class RunFile:
    """A file of a run; `name` is its place below the run's folder, with slashes.

    `kind`: "preview" (picture `index` after `step`), "plain" (the same without the word), "card" (a preview that
    carries the word), "copy" (what was learned after `step`), or "csv", "manifest", "request", "history", "best".
    """

    kind: str
    name: str
    step: int = 0
    index: int = 0


def run_files(run: Run) -> list[RunFile]:
    """All files of a run that may be seen, by kind, step and index."""
    found = [RunFile(kind, name) for name, kind in _SINGLE.items() if run.path(name).is_file()]
    for folder in _FOLDERS:
        try:
            names = sorted(path.name for path in run.path(folder).iterdir() if path.is_file())
        except OSError:
            continue
        found += [file for name in names if (file := _told(f"{folder}/{name}")) is not None]
    return sorted(found, key=lambda file: (file.kind, file.step, file.index, file.name))


def _told(name: str) -> RunFile | None:
    """What the name of a file says; None for one that is none of ours."""
    if name in _SINGLE:
        return RunFile(_SINGLE[name], name)
    folder, _, base = name.partition("/")
    if folder not in _FOLDERS or "/" in base or "\\" in base:
        return None
    if folder == "images":
        if match := _PLAIN.fullmatch(base):
            return RunFile("plain", name, 0, int(match[1]))
        match = _PREVIEW.fullmatch(base)
        return RunFile("preview", name, int(match[1]), int(match[2])) if match else None
    if folder == "image_embeddings" and (match := _PREVIEW.fullmatch(base)):
        return RunFile("card", name, int(match[1]), int(match[2]))
    match = _NUMBERED.fullmatch(base)
    return RunFile(_FOLDERS[folder], name, int(match[1])) if match else None


def run_file(run: Run, name: str) -> Path:
    """The path of a run's file by its name; raises NotFound for what may not be seen or is not there."""
    path = run.path(*PurePosixPath(name).parts)
    if _told(name) is None or not path.is_file() or path.resolve().parent != path.parent.resolve():
        raise NotFound(f"The run {run.id} has no file {name!r}.")
    return path


def copy_of(run: Run, request: TrainingRequest, step: int) -> Path:
    """The copy that was saved after `step`; raises NotFound."""
    path = run.path(COPIES[request.method], f"{request.name}-{step}.safetensors")
    if not path.is_file():
        steps = [str(file.step) for file in run_files(run) if file.kind == "copy"]
        there = f"there are those of steps {', '.join(steps)}" if steps else "none was saved yet"
        raise NotFound(f"The run {run.id} has no copy of step {step}: {there}.")
    return path


def keep(source: Path, result: Path) -> None:
    """Make `source` the file `result`, in one piece; raises UserError."""
    try:
        result.parent.mkdir(parents=True, exist_ok=True)
        with replacing(result) as draft:
            shutil.copyfile(source, draft)
    except OSError as error:
        raise UserError(f"{result} could not be written ({error.strerror}): make room and try again.") from error
