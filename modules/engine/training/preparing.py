"""Before the first step: the pictures as latents; and how a run leaves before its last one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Literal

from modules.catalog.hashes import sha256_of_file, sha256_of_folder
from modules.engine.training.latents import Encoded, encode_pictures, read_latents
from modules.engine.training.model import TrainingModel
from modules.schema.errors import UserError
from modules.schema.events import Event, Notice, TrainStep
from modules.schema.training import TrainingRequest, TrainingSet

Command = Literal["interrupt", "pause", "stop", "skip", "border"] | None
Events = Generator[Event, Command, None]


class Leave(Exception):
    """The run ends before its last step: "interrupted" (with a result) or "paused"."""

    def __init__(self, reason: Literal["interrupted", "paused"]) -> None:
        super().__init__(reason)
        self.reason: Literal["interrupted", "paused"] = reason


def latents_of(
    folder: Path, data: TrainingSet, keys: Sequence[str], source: TrainingModel, request: TrainingRequest
) -> Generator[Event, Command, list[Encoded]]:
    """The pictures encoded, from the run's file where it has them; raises Leave and OSError."""
    path = folder / "latents.safetensors"
    found = read_latents(path, keys)
    if found is not None:
        return found
    model, _ = source.claim()
    work = encode_pictures(path, data.pictures, keys, model)
    try:
        next(work)
        while True:
            command = yield TrainStep(request.run, 0, request.steps, "preparing")
            if command in ("pause", "interrupt", "stop"):
                raise Leave("paused")
            model, _ = source.claim()
            work.send(model)
    except StopIteration as end:
        return end.value
    except UserError as error:
        # Of a picture, not of the request: with the picture repaired the run can go on.
        if type(error) is not UserError:
            raise
        yield Notice(f"{error} The training is paused.", "warning")
        raise Leave("paused") from None


def sha256_of(path: Path) -> str:
    return sha256_of_folder(path) if path.is_dir() else sha256_of_file(path)


def of_disk(error: OSError) -> str:
    """The sentence about files that cannot be written or read."""
    where = f" ({Path(error.filename).name})" if error.filename else ""
    return (
        f"The training is paused, because its files cannot be written or read{where}: "
        f"{error.strerror or error}. Make room or bring the folder back, then press Resume; at most the last seconds "
        "are learned again."
    )
