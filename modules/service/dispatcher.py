"""Brings the queue and the engines together: the next job to a free engine, what it says to the job's readers.

An engine is given up to two things: a training, and beside it what is to be drawn, which it does between two steps.
A job has one engine that stays with it to its end; others that have nothing to do draw pieces of it meanwhile.

One thread owns all of it. Whatever happens elsewhere (an event, a death, a click) comes in as a call put into its
inbox, so nothing here needs a lock.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from modules.schema.engine import Command, ModelRef
from modules.schema.events import (
    ENDINGS,
    EngineStatus,
    Event,
    Failed,
    Finished,
    Notice,
    Preview,
    Progress,
    TrainStep,
)
from modules.schema.settings import Settings
from modules.service.course import Course
from modules.service.deaths import Retries, lost, lost_piece, lost_sentence, no_engine, status_after
from modules.service.deliveries import Delivery, goes_on_later
from modules.service.engines import Engine, Engines, MakeHandle
from modules.service.estimates import Estimates
from modules.service.jobs import Job, Jobs
from modules.service.pictures import Pictures
from modules.service.pieces import Piece
from modules.service.placing import Placing
from modules.service.planner import Planner
from modules.service.readers import Marks, Readers
from modules.service.streams import Streams
from modules.service.worker import Death

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 10.0
_MOST_UNHOUSED = 4


class Dispatcher:
    """Runs waiting jobs on the engines of `makers`, each as soon as one is free, and one training beside them.

    `planner` tells what a job is made of; `inputs` is the folder of input pictures; `merged` is told of new models.
    `preload` says which model to load while nothing waits; `settings`: how many checkpoints an engine holds, whether
    a job whose engine died runs once more, and whether trainings go on at the next start. `previews_of` says how many
    previews a second an owner gets. `marks` is told of trainings; `trains` False leaves them waiting.
    """

    def __init__(
        self,
        jobs: Jobs,
        streams: Streams,
        pictures: Pictures,
        estimates: Estimates,
        *,
        planner: Planner,
        inputs: Path,
        merged: Callable[[], object],
        makers: Mapping[str, MakeHandle],
        preload: Callable[[], ModelRef | None],
        settings: Settings,
        previews_of: Callable[[str], float],
        marks: Marks,
        trains: bool = True,
    ) -> None:
        self._jobs = jobs
        self._streams = streams
        self._pictures = pictures
        self._planner = planner
        self._preload = preload
        self._retries = Retries(retry_lost=settings.retry_lost_jobs)
        self._marks = marks
        self._trains = trains
        self._resumes = settings.resume_training
        self._leaving: threading.Event | None = None
        self._closed = False
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._deliveries: dict[str, Delivery] = {}
        self.engines = Engines(
            makers,
            lambda engine, job_id, event: self._later(lambda: self._on_event(engine, job_id, event)),
            lambda engine, death: self._later(lambda: self._on_death(engine, death)),
            settings.checkpoints_in_ram,
        )
        self._readers = Readers(
            jobs,
            streams,
            pictures,
            estimates,
            merged=merged,
            marks=marks,
            ended=self._forget,
            later=self._later,
        )
        self._placing = Placing(
            self.engines,
            pictures,
            inputs,
            previews_of,
            settle=self._settle,
            put_back=self._put_back,
        )
        self._thread = threading.Thread(target=self._serve, name="dispatcher", daemon=True)

    def use(self, settings: Settings) -> None:
        """What these settings say becomes of lost jobs and of trainings, from now on."""
        self._retries.retry_lost = settings.retry_lost_jobs
        self._resumes = settings.resume_training

    @property
    def status(self) -> EngineStatus:
        if self._closed:
            return EngineStatus("stopped", "The program is closing.")
        return self.engines.status

    def start(self) -> None:
        self._thread.start()
        self.engines.start()

    def close(self) -> None:
        """Stop the engines, finish saving, and leave running jobs marked as interrupted, a training paused."""
        left = threading.Event()
        self._later(lambda: self._leave(left))
        if self._thread.is_alive():
            left.wait(_PAUSE_SECONDS)
        self.engines.close()
        self._later(self._interrupt_all)
        self._inbox.put(None)
        self._thread.join(30)
        self._closed = True

    def submitted(self) -> None:
        """A job was added; an engine that was given up is tried again."""
        self._later(self.engines.revive)

    def select(self, model: ModelRef) -> None:
        """Load `model` now where nothing runs, so that the next picture comes sooner."""
        self._later(lambda: self._load(self.engines.to_load(model), model))

    def interrupt(self, job_id: str) -> None:
        self._later(lambda: self._tell(job_id, Command(name="interrupt", job_id=job_id)))

    def skip(self, job_id: str) -> None:
        self._later(lambda: self._tell(job_id, Command(name="skip", job_id=job_id)))

    def pause(self, job_id: str) -> None:
        """Have a training save its state and leave the engine."""
        self._later(lambda: self._tell(job_id, Command(name="pause", job_id=job_id)))

    def _later(self, call: Callable[[], None]) -> None:
        self._inbox.put(call)

    def _serve(self) -> None:
        while (call := self._inbox.get()) is not None:
            try:
                call()
                self._next()
            except Exception:  # noqa: BLE001 - the one thread that keeps the queue going must survive any bug
                log.exception("the dispatcher met an error")

    # Giving out work

    def _next(self) -> None:
        """Jobs without an engine come first, then waiting ones, then a training; who is idle then helps a job."""
        while self._unhoused() < _MOST_UNHOUSED and self.engines.any_free:
            job = self._jobs.claim_next()
            if job is None:
                break
            self._begin(job)
        if self._trains and self._leaving is None and not self._has_training:
            job = self._jobs.claim_next(training=True) if any(e.up for e in self.engines.all) else None
            if job is not None:
                self._begin(job)
        self._placing.help(self._under_way())

    def _unhoused(self) -> int:
        """How many jobs under way have no engine, beside trainings; each of them is given one, if one is free.

        With one free these are jobs that only other engines can do, and there is no need to wait for those.
        """
        return sum(not self._placing.housed(one) and not one.job.is_training for one in self._under_way())

    @property
    def _has_training(self) -> bool:
        return any(one.job.is_training and not one.over for one in self._deliveries.values())

    def _under_way(self) -> list[Delivery]:
        return [one for one in self._deliveries.values() if not one.over]

    def _begin(self, job: Job) -> None:
        course = Course(job, self._planner, self._pictures, len(self.engines.all))
        delivery = Delivery(job, course)
        self._deliveries[job.id] = delivery
        self._marks.began(job)
        if not self.engines.can_take(job.request):
            course.stop(no_engine(job))
            self._settle(delivery)
            return
        self._placing.housed(delivery)

    def _put_back(self, delivery: Delivery) -> None:
        """It waits again, at its old place."""
        delivery.over = True
        del self._deliveries[delivery.job.id]
        self._jobs.put_back(delivery.job.id)
        self._marks.waits(delivery.job)

    def _load(self, engine: Engine | None, model: ModelRef) -> None:
        if engine is not None and engine.is_idle and model != engine.refused:
            engine.loading = model
            engine.handle.send(Command(name="load", model=model))

    # Telling the engines

    def _tell(self, job_id: str, command: Command) -> None:
        """Hand a command to every engine that works on the job."""
        delivery = self._deliveries.get(job_id)
        if delivery is None or delivery.over:
            return
        for engine in self.engines.all:
            if engine.piece_of(job_id) is not None:
                engine.handle.send(command)
        delivery.asked = delivery.asked or command.name in ("interrupt", "pause")
        if command.name == "interrupt":
            delivery.course.interrupt()
            self._settle(delivery)

    def _leave(self, left: threading.Event) -> None:
        """The program ends: a training saves its state first, for which what is drawn beside it must stop."""
        self._leaving = left
        trains = next((engine for engine in self.engines.all if engine.up and engine.training is not None), None)
        if trains is None or trains.training is None:
            left.set()
            return
        trains.handle.send(Command(name="pause", job_id=trains.training.job.id))
        if trains.drawing is not None:
            job_id = trains.drawing.job.id
            self._tell(job_id, Command(name="interrupt", job_id=job_id))

    # Hearing from them

    def _on_event(self, engine: Engine, job_id: str | None, event: Event) -> None:
        if job_id is None:
            if isinstance(event, EngineStatus):
                self._on_status(engine, event)
            return
        piece, delivery = engine.piece_of(job_id), self._deliveries.get(job_id)
        if piece is None or delivery is None:
            return
        if isinstance(event, Progress | Preview):
            news = delivery.course.placed(piece, event)
            if news is not None:
                self._streams.of(job_id).publish(news)
        elif isinstance(event, TrainStep):
            self._streams.of(job_id).publish(event)
        elif isinstance(event, ENDINGS):
            self._piece_ended(engine, delivery, piece, event)
        else:
            delivery.take(piece, event)
            self._readers.deliver(delivery)

    def _on_status(self, engine: Engine, status: EngineStatus) -> None:
        engine.told(status)
        if status.state != "ready":
            return
        first, engine.up = not engine.up, True
        if not first:
            engine.loading = None
            engine.handle.succeeded()
            return
        model = self._preload()
        if model is not None and not self._jobs.has_waiting():
            self._load(engine, model)

    def _piece_ended(self, engine: Engine, delivery: Delivery, piece: Piece, ending: Failed | Finished) -> None:
        """Go on with the job's next piece, or end the job."""
        if self.engines.are_several and isinstance(ending, Failed) and ending.kind == "DeviceError":
            # The process is about to end by itself; then what it was drawing goes to another one.
            return
        engine.release(piece)
        engine.handle.succeeded()
        delivery.course.ended(piece, ending)
        self._readers.deliver(delivery)
        if delivery.home == engine.name:
            self._placing.go_on(delivery, engine)
        else:
            self._settle(delivery)

    def _on_death(self, engine: Engine, death: Death) -> None:
        log.warning("%s: the process ended: %s; %s", engine.name, death.cause, death.last_words)
        pieces = engine.pieces
        engine.ended(status_after(death, engine.handle.log_file), gave_up=death.gave_up)
        for piece in pieces:
            engine.release(piece)
            delivery = self._deliveries[piece.job.id]
            delivery.home = "" if delivery.home == engine.name else delivery.home
            if self.engines.are_several and not piece.job.is_training:
                self._lost_piece(delivery, piece, death)
            else:
                self._lost(delivery, piece, death)
        if self._leaving is not None:
            self._leaving.set()
        if self.engines.all_gave_up:
            for delivery in self._under_way():
                self._run_again(delivery)

    def _lost(self, delivery: Delivery, piece: Piece, death: Death) -> None:
        """Its engine has died."""
        now = self._streams.of(delivery.job.id).newest(TrainStep)
        step = now.step if isinstance(now, TrainStep) else 0
        if not delivery.asked and self._retries.again(delivery.job, step, death):
            self._run_again(delivery)
            self._streams.of(delivery.job.id).publish(Notice(lost_sentence(delivery.job), "warning"))
            return
        delivery.course.stop(lost(death, delivery.job, asked=delivery.asked))
        delivery.course.pieces.clear()
        self._finish(delivery, delivery.course.ending)

    def _lost_piece(self, delivery: Delivery, piece: Piece, death: Death) -> None:
        """One of several engines has died; the others go on, and another one draws its piece."""
        ending = lost_piece(death, piece, delivery.course)
        if ending is not None:
            delivery.course.ended(piece, ending)
        else:
            delivery.line.append(Notice(lost_sentence(delivery.job, piece), "warning"))
        self._readers.deliver(delivery)
        self._settle(delivery)

    def _run_again(self, delivery: Delivery) -> None:
        """Wait for its pictures that are being saved, then queue it again; those pictures are not drawn twice."""
        self._readers.move_up(delivery, all_of_it=True)
        self._pictures.flush()
        self._readers.deliver(delivery)
        self._put_back(delivery)

    # The ends of jobs

    def _settle(self, delivery: Delivery) -> None:
        """End a job of which nothing is left to be drawn."""
        self._readers.move_up(delivery)
        if not delivery.over and delivery.course.is_over:
            self._finish(delivery, delivery.course.ending)

    def _finish(self, delivery: Delivery, ending: Failed | Finished) -> None:
        if self._leaving is not None and delivery.job.is_training:
            self._leaving.set()
            if goes_on_later(delivery, ending) and self._resumes:
                self._put_back(delivery)
                return
        self._readers.finish(delivery, ending)

    def _forget(self, job: Job) -> None:
        self._deliveries.pop(job.id, None)
        self._retries.ended(job.id)

    def _interrupt_all(self) -> None:
        """At the end of the program: what is not ended is interrupted; what was drawn gets saved."""
        for engine in self.engines.all:
            engine.up = False
        for delivery in self._deliveries.values():
            self._readers.move_up(delivery, all_of_it=True)
        self._pictures.close()
        for delivery in list(self._deliveries.values()):
            if delivery.job.is_training and not delivery.asked and self._resumes:
                self._put_back(delivery)
                continue
            if not delivery.over:
                delivery.line.append(Finished("interrupted"))
            self._readers.deliver(delivery)
