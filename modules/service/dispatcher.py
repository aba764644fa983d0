"""Brings the queue and the engine together: the next job to an idle engine, what it says to the job's readers.

The engine is given up to two jobs: a training, and beside it what is to be drawn, which it does between two steps.

One thread owns all of it. Whatever happens elsewhere (an event, a death, a click) comes in as a call put into its
inbox, so nothing here needs a lock.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

from modules.schema.engine import Command, EngineJob, ModelRef
from modules.schema.errors import UserError
from modules.schema.events import (
    ENDINGS,
    EngineStatus,
    Event,
    Failed,
    Finished,
    ImageDone,
    Notice,
    Preview,
    Progress,
    TrainStep,
)
from modules.schema.merge import MergeRequest
from modules.service.course import Course
from modules.service.deaths import Retries, lost, status_after
from modules.service.deliveries import Delivery, goes_on_later, result_of
from modules.service.estimates import Estimates
from modules.service.jobs import DatabaseError, Job, Jobs, State
from modules.service.pictures import Pictures
from modules.service.planner import Planner
from modules.service.streams import Streams
from modules.service.worker import Death, Worker

log = logging.getLogger(__name__)

_ENDINGS: dict[str, State] = {
    "done": "done", "interrupted": "interrupted", "cancelled": "cancelled", "paused": "paused",
}  # fmt: skip
_PAUSE_SECONDS = 10.0


class Marks(Protocol):
    """Is told what becomes of trainings."""

    def began(self, job: Job) -> None: ...
    def waits(self, job: Job) -> None: ...
    def ended(self, job: Job, ending: Failed | Finished) -> None: ...


class Dispatcher:
    """Runs waiting jobs one after another on `worker`, and one training beside them.

    `planner` tells what a job is made of; `inputs` is the folder of input pictures; `merged` is told of new models.
    `preload` says which model to load while nothing waits. `retry_lost`: a job whose engine died runs once more.
    `marks` is told of trainings; `trains` False leaves them waiting; `resumes`: they go on at the next start.
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
        merged: Callable[[], None],
        make_worker: Callable[[Callable[[str | None, Event], None], Callable[[Death], None]], Worker],
        preload: Callable[[], ModelRef | None],
        previews_per_second: float,
        retry_lost: bool,
        marks: Marks,
        trains: bool = True,
        resumes: bool = True,
    ) -> None:
        self._jobs = jobs
        self._streams = streams
        self._pictures = pictures
        self._estimates = estimates
        self._planner = planner
        self._inputs = inputs
        self._merged = merged
        self._preload = preload
        self._previews_per_second = previews_per_second
        self._retries = Retries(retry_lost=retry_lost)
        self._marks = marks
        self._trains = trains
        self._resumes = resumes
        self._leaving: threading.Event | None = None
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._deliveries: dict[str, Delivery] = {}
        self._at_work: dict[bool, str] = {}  # by whether it is a training
        self._loading: ModelRef | None = None
        self._refused: ModelRef | None = None
        self._up = False
        self._gave_up = False
        self._status = EngineStatus("starting", "The engine is starting.")
        self.worker = make_worker(
            lambda job_id, event: self._later(lambda: self._on_event(job_id, event)),
            lambda death: self._later(lambda: self._on_death(death)),
        )
        self._thread = threading.Thread(target=self._serve, name="dispatcher", daemon=True)

    @property
    def status(self) -> EngineStatus:
        return self._status

    @property
    def running(self) -> str | None:
        """Id of the job that the engine works on, other than a training."""
        return self._at_work.get(False)

    def start(self) -> None:
        self._thread.start()
        self.worker.start()

    def close(self) -> None:
        """Stop the engine, finish saving, and leave the running job marked as interrupted, a training paused."""
        left = threading.Event()
        self._later(lambda: self._leave(left))
        if self._thread.is_alive():
            left.wait(_PAUSE_SECONDS)
        self.worker.close()
        self._later(self._interrupt_all)
        self._inbox.put(None)
        self._thread.join(30)
        self._status = EngineStatus("stopped", "The program is closing.")

    def submitted(self) -> None:
        """A job was added; an engine that was given up is tried again."""
        self._later(self._revive)

    def select(self, model: ModelRef) -> None:
        """Load `model` now if nothing runs, so that the next picture comes sooner."""
        self._later(lambda: self._load(model))

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

    def _next(self) -> None:
        """Give the engine the first waiting job, where it has none, and the first training."""
        for training in (False, True):
            wanted = not training or (self._trains and self._leaving is None)
            if self._up and wanted and training not in self._at_work:
                self._begin(self._jobs.claim_next(training=training))

    def _begin(self, job: Job | None) -> None:
        if job is None:
            return
        course = Course(job, self._planner, self._pictures)
        delivery = Delivery(job, course, delivered={image.index for image in job.images})
        self._at_work[job.is_training] = job.id
        self._deliveries[job.id] = delivery
        self._marks.began(job)
        self._run_part(delivery)

    def _run_part(self, delivery: Delivery) -> bool:
        """Give the engine the next part of a job that has something left to draw; False: there is none."""
        course, job = delivery.course, delivery.job
        try:
            part = course.next_part(delivery.delivered)
        except UserError as error:
            self._finish(delivery, Failed(str(error), type(error).__name__))
            return True
        if part is None:
            return False
        order = EngineJob(
            id=job.id,
            request=part.request,
            model=part.model,
            previews_per_second=self._previews_per_second,
            inputs=str(self._inputs),
            upscalers=part.upscalers,
            files=part.files,
        )
        self._pictures.prepare(course.part_job)
        if not self.worker.send(Command(name="run", job=order)):
            self._up = False
            self._put_back(delivery)
        return True

    def _put_back(self, delivery: Delivery) -> None:
        """It waits again, at its old place."""
        self._at_work.pop(delivery.job.is_training, None)
        del self._deliveries[delivery.job.id]
        self._jobs.put_back(delivery.job.id)
        self._marks.waits(delivery.job)

    def _tell(self, job_id: str, command: Command) -> None:
        if job_id in self._at_work.values():
            self.worker.send(command)
            delivery = self._deliveries[job_id]
            delivery.asked = delivery.asked or command.name in ("interrupt", "pause")
            if command.name == "interrupt":
                delivery.course.interrupted = True

    def _leave(self, left: threading.Event) -> None:
        """The program ends: a training saves its state first, for which what is drawn beside it must stop."""
        self._leaving = left
        training = self._at_work.get(True)
        if training is None or not self._up:
            left.set()
            return
        self.worker.send(Command(name="pause", job_id=training))
        if False in self._at_work:
            self._tell(self._at_work[False], Command(name="interrupt", job_id=self._at_work[False]))

    def _revive(self) -> None:
        if self._gave_up:
            self._gave_up = False
            self._refused = None
            self._status = EngineStatus("starting", "The engine is starting again.")
            self.worker.revive()

    def _load(self, model: ModelRef) -> None:
        if self._up and not self._at_work and model != self._refused:
            self._loading = model
            self.worker.send(Command(name="load", model=model))

    def _on_event(self, job_id: str | None, event: Event) -> None:
        if job_id is None:
            if isinstance(event, EngineStatus):
                self._on_status(event)
            return
        delivery = self._deliveries.get(job_id)
        if delivery is None:
            return
        if isinstance(event, Progress | Preview):
            self._streams.of(job_id).publish(delivery.course.placed(event))
        elif isinstance(event, TrainStep):
            self._streams.of(job_id).publish(event)
        elif isinstance(event, ENDINGS):
            self._part_ended(delivery, event)
        else:
            if isinstance(event, ImageDone):
                self._picture_done(delivery, event)
            else:
                delivery.line.append(event)
            self._deliver(delivery)

    def _part_ended(self, delivery: Delivery, ending: Failed | Finished) -> None:
        """Go on with the job's next part, or end the job."""
        self.worker.succeeded()
        ending = delivery.course.ended(ending)
        if isinstance(ending, Finished) and ending.reason == "done" and self._run_part(delivery):
            return
        self._finish(delivery, ending)

    def _finish(self, delivery: Delivery, ending: Failed | Finished) -> None:
        if self._leaving is not None and delivery.job.is_training:
            self._leaving.set()
            if goes_on_later(delivery, ending) and self._resumes:
                self._put_back(delivery)
                return
        self._at_work.pop(delivery.job.is_training, None)
        if isinstance(ending, Finished) and delivery.course.has_sheets:
            future = self._pictures.submit_files(delivery.job, delivery.course.sheets)
            delivery.line.append(future)
            future.add_done_callback(lambda _: self._later(lambda: self._deliver(delivery)))
        delivery.line.append(ending)
        self._deliver(delivery)

    def _on_status(self, status: EngineStatus) -> None:
        self._status = status
        if status.state != "ready":
            return
        first, self._up = not self._up, True
        if not first:
            self._loading = None
            self.worker.succeeded()
            return
        model = self._preload()
        if model is not None and not any(job.state == "waiting" for job in self._jobs.open_jobs()):
            self._load(model)

    def _picture_done(self, delivery: Delivery, event: ImageDone) -> None:
        course = delivery.course
        index = course.first + event.index
        if index in delivery.delivered:
            return
        delivery.delivered.add(index)
        future = self._pictures.submit(course.part_job, event, course.first)
        course.saved.append(future)
        delivery.line.append(future)
        future.add_done_callback(lambda _: self._later(lambda: self._deliver(delivery)))

    def _deliver(self, delivery: Delivery) -> None:
        """Hand on everything up to the first picture that is still being saved."""
        stream = self._streams.of(delivery.job.id)
        while delivery.line:
            head = delivery.line[0]
            if isinstance(head, Future):
                if not head.done():
                    return
                for event in result_of(head):
                    stream.publish(event)
            elif isinstance(head, ENDINGS):
                self._end(delivery.job, head)
            else:
                stream.publish(head)
            delivery.line.popleft()

    def _end(self, job: Job, ending: Failed | Finished) -> None:
        """The state is written first: who reads the ending finds the job ended."""
        self._deliveries.pop(job.id, None)
        self._retries.ended(job.id)
        state: State = "failed" if isinstance(ending, Failed) else _ENDINGS.get(ending.reason, "done")
        try:
            self._jobs.end(job.id, state, ending.message if isinstance(ending, Failed) else "")
            if isinstance(ending, Finished):
                self._estimates.learn(job, ending)
            if isinstance(job.request, MergeRequest):
                self._merged()
            self._marks.ended(job, ending)
        except DatabaseError:
            log.exception("the end of job %s could not be stored", job.id)
        self._streams.of(job.id).publish(ending)

    def _on_death(self, death: Death) -> None:
        log.warning("the engine process ended: %s; %s", death.cause, death.last_words)
        self._up = False
        self._refused, self._loading = self._loading, None
        self._gave_up = death.gave_up
        self._status = status_after(death, self.worker.log_file)
        for job_id in list(self._at_work.values()):
            self._lost(self._deliveries[job_id], death)
        self._at_work.clear()
        if self._leaving is not None:
            self._leaving.set()

    def _lost(self, delivery: Delivery, death: Death) -> None:
        """Its engine has died."""
        now = self._streams.of(delivery.job.id).newest(TrainStep)
        step = now.step if isinstance(now, TrainStep) else 0
        if not delivery.asked and self._retries.again(delivery.job, step):
            self._run_again(delivery)
            return
        delivery.line.append(lost(death, delivery.job, asked=delivery.asked))
        self._deliver(delivery)

    def _run_again(self, delivery: Delivery) -> None:
        """Wait for its pictures that are being saved, then queue it again; those pictures are not drawn twice."""
        self._pictures.flush()
        self._deliver(delivery)
        self._put_back(delivery)
        self._streams.of(delivery.job.id).publish(
            Notice(
                "The engine process ended in the middle of this training; it goes on from its last saved state."
                if delivery.job.is_training
                else "The engine process ended in the middle of this job; it is run once more.",
                "warning",
            )
        )

    def _interrupt_all(self) -> None:
        """At the end of the program: what is not ended is interrupted; what was drawn gets saved."""
        self._up = False
        self._at_work.clear()
        self._pictures.close()
        for delivery in list(self._deliveries.values()):
            if delivery.job.is_training and not delivery.asked and self._resumes:
                self._put_back(delivery)
                continue
            if not any(isinstance(item, ENDINGS) for item in delivery.line):
                delivery.line.append(Finished("interrupted"))
            self._deliver(delivery)
