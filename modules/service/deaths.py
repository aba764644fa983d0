"""What is said, and tried again, when an engine process has died."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from modules.schema.events import EngineStatus, Failed, Finished
from modules.service.course import Course
from modules.service.jobs import Job
from modules.service.pieces import Piece
from modules.service.worker import Death

MOST_ATTEMPTS = 2
MOST_WITHOUT_PROGRESS = 3


@dataclass
class _Standstill:
    """The highest step that a training had reached at a death, and how many deaths it has not got beyond it."""

    step: int = -1
    deaths: int = 0


class Retries:
    """Which lost jobs are run again: a training as long as it gets on between deaths; others once, where wanted."""

    def __init__(self, *, retry_lost: bool) -> None:
        self.retry_lost = retry_lost
        self._trainings: dict[str, _Standstill] = {}

    def again(self, job: Job, step: int, death: Death) -> bool:
        """Whether `job`, which died at `step` (of a training), is to be run again; a machine that is switched off is
        not the job's fault."""
        if not job.is_training:
            return (self.retry_lost or bool(death.reason)) and job.attempts < MOST_ATTEMPTS
        known = self._trainings.setdefault(job.id, _Standstill())
        if step > known.step:
            known.step, known.deaths = step, 1
        else:
            known.deaths += 1
        return known.deaths < MOST_WITHOUT_PROGRESS

    def ended(self, job_id: str) -> None:
        self._trainings.pop(job_id, None)


def status_after(death: Death, log_file: Path) -> EngineStatus:
    if not death.gave_up:
        return EngineStatus("starting", "The engine process ended unexpectedly and is starting again.")
    words = f" Its last words: {death.last_words}." if death.last_words else ""
    return EngineStatus(
        "stopped",
        f"The engine could not be started ({death.cause}).{words} The file {log_file} has the details; press "
        "Generate to try again.",
    )


def lost(death: Death, job: Job, *, asked: bool = False) -> Failed | Finished:
    """How a lost job ends; a training that was `asked` to stop has its last saved state."""
    if job.is_training:
        return Finished("paused") if asked else _lost_training(death)
    request = job.drawing
    advice = ""
    if request is not None:
        size = f"width, height ({request.width}x{request.height}) or batch size ({request.batch_size})"
        advice = f", and lower {size} if memory was short"
    return Failed(
        f"The engine process ended in the middle of this job ({death.cause}); a new one is starting, so press "
        f"Generate to try again{advice}.",
        "EngineLost",
    )


def lost_piece(death: Death, piece: Piece, course: Course) -> Failed | Finished | None:
    """How a piece ends whose engine, one of several, has died; None: another engine draws it.

    Whatever the settings say of lost jobs: the rest of the job is under way. A piece that ends two engines at the
    same picture is given up.
    """
    if course.interrupted:
        return Finished("interrupted")
    if not piece.lose(course.delivered):
        return Finished("done")
    if piece.deaths < MOST_ATTEMPTS:
        return None
    piece.lost = False
    return lost(death, course.job)


def lost_sentence(job: Job, piece: Piece | None = None) -> str:
    """What the readers of a lost job, or of a lost `piece` of one, are told when it is run again."""
    if job.is_training:
        return "The engine process ended in the middle of this training; it goes on from its last saved state."
    if piece is not None:
        return "An engine process ended in the middle of this job; another one draws what it had not finished."
    return "The engine process ended in the middle of this job; it is run once more."


def no_engine(job: Job) -> Failed:
    """The end of a job that none of the engines can do."""
    what = "This training" if job.is_training else "This job"
    return Failed(
        f"{what} needs an engine on this machine, and the program was started without one: leave --gpus none away.",
        "EngineLost",
    )


def _lost_training(death: Death) -> Failed:
    return Failed(
        f"The engine process ended {MOST_WITHOUT_PROGRESS} times at the same place of this training ({death.cause}): "
        "lower the batch size or the size of the pictures if memory was short, then press Resume; the last saved "
        "state is kept.",
        "EngineLost",
    )
