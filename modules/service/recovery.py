"""What the last run of the program left behind: jobs that were running when it ended."""

from __future__ import annotations

from modules.schema.events import Event, Finished, Notice
from modules.service.jobs import Job, Jobs, State
from modules.service.streams import Streams
from modules.service.training.states import RunMarks

_ENDED = "The program ended while this job was running"


def recover(jobs: Jobs, streams: Streams, marks: RunMarks, *, resumes: bool) -> None:
    """End what was running; a training goes back to its place in the queue where it `resumes`, else it is paused."""
    jobs.end_unreadable()
    for job in jobs.left_over():
        if job.state == "waiting":
            marks.waits(job)
        elif not job.is_training:
            _end(jobs, streams, job, "interrupted", f"{_ENDED}; pictures that were done are kept.")
        elif resumes:
            jobs.put_back(job.id)
            marks.waits(job)
            streams.of(job.id).publish(Notice(f"{_ENDED}; it goes on from its last saved state."))
        else:
            _end(jobs, streams, job, "paused", f"{_ENDED}; press Resume to go on from its last saved state.")
            marks.ended(job, Finished("paused"))


def _end(jobs: Jobs, streams: Streams, job: Job, state: State, sentence: str) -> None:
    jobs.end(job.id, state, f"{_ENDED}.")
    told: tuple[Event, ...] = (Notice(sentence), Finished(state))
    for event in told:
        streams.of(job.id).publish(event)
