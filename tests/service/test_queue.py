"""The queue as people see it and what they may do to it: places, estimates, pause, restarts, ten thousand jobs."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from modules.schema.engine import ModelRef
from modules.schema.errors import BadRequest, NotFound
from modules.schema.events import Finished, Notice
from modules.schema.extras import ExtrasRequest
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.training import TrainingRequest
from modules.service.app import App
from modules.service.estimates import Estimates
from modules.service.jobs import Job, Jobs
from modules.service.line import Line
from modules.service.measures import measure
from modules.service.streams import Streams
from tests.service.helpers import ANN, BOB, request, running, to_end, until
from tests.service.training.helpers import training as long_training

MODEL = ModelRef(checkpoint="/models/a.safetensors")
NEW_COLUMNS = ("training", "what", "units", "cost", "tag")
Start = Callable[..., App]


def add(jobs: Jobs, owner: str = ANN, **values: object) -> Job:
    return jobs.add(GenerationRequest(**{"seed": 1, **values}), MODEL, owner)  # type: ignore[arg-type]


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


# Estimates


def test_each_kind_of_work_is_learned_by_itself(jobs: Jobs) -> None:
    estimates = Estimates(jobs)
    drawing = add(jobs, steps=10)
    extras = jobs.add(ExtrasRequest(pictures=("a" * 64, "b" * 64), upscaler_1="Lanczos"), MODEL, ANN)
    assert [estimates.seconds(job) for job in (drawing, extras)] == [None, None]
    estimates.learn(drawing, Finished("done", 12.0, {"load": 2.0}))
    estimates.learn(extras, Finished("done", 6.0))
    assert estimates.seconds(add(jobs, steps=20)) == pytest.approx(20.0)
    assert estimates.seconds(extras) == pytest.approx(6.0)
    other = jobs.add(ExtrasRequest(pictures=("a" * 64,), upscaler_1="Nearest"), MODEL, ANN)
    assert estimates.seconds(other) is None, "upscalers differ too much"


def test_interrupted_jobs_and_scripts_teach_nothing(jobs: Jobs) -> None:
    estimates = Estimates(jobs)
    drawing = add(jobs)
    estimates.learn(drawing, Finished("interrupted", 1.0))
    script = jobs.add(ScriptRequest(script="x", base=drawing.request, cells=4, images=4), MODEL, ANN)  # type: ignore[arg-type]
    estimates.learn(script, Finished("done", 1.0))
    assert estimates.seconds(drawing) is None
    estimates.learn(drawing, Finished("done", 5.0))
    assert estimates.seconds(script) == pytest.approx(20.0)


def seconds_of(jobs: Jobs, said: float | None = 3.0, **options: object) -> list[float | None]:
    items = Estimates(jobs).queue(jobs.line(), lambda _: said, **options)  # type: ignore[arg-type]
    return [item.seconds for item in items]


def test_times_add_up_in_the_fair_order(jobs: Jobs) -> None:
    jobs.add_speed(measure(GenerationRequest(), MODEL).what, 1 / measure(GenerationRequest(steps=1), MODEL).units)
    for owner, steps in ((ANN, 10), (ANN, 20), (ANN, 30), (BOB, 5)):
        add(jobs, owner, steps=steps)
    jobs.claim_next()
    assert seconds_of(jobs) == pytest.approx([3, 8, 28, 58]), "bob's comes after what runs"
    assert seconds_of(jobs, None) == pytest.approx([10, 15, 35, 65])
    assert seconds_of(jobs, engines=2) == pytest.approx([3, 5, 23, 35])
    assert seconds_of(jobs, paused=True) == [3, None, None, None]


def test_what_is_not_known_is_not_told(jobs: Jobs) -> None:
    jobs.add_speed(measure(GenerationRequest(), MODEL).what, 1e-6)
    first = add(jobs)
    jobs.add(GenerationRequest(seed=1), ModelRef(checkpoint="/models/new.safetensors"), ANN)
    add(jobs)
    training = jobs.add(TrainingRequest(name="word", data_root="set", seed=1), MODEL, BOB)
    items = Estimates(jobs).queue(jobs.line(), lambda _: None)
    assert [item.seconds is None for item in items] == [False, True, True, True]
    assert [item.takes is None for item in items] == [False, True, False, True]
    assert (items[0].job_id, items[-1].job_id, items[-1].training) == (first.id, training.id, True)


# Everybody's queue


def test_people_see_places_and_times_but_no_content(app: App) -> None:
    long = app.submit(request("slow", steps=400), ANN)
    running(app, long.id)
    second = app.submit(request("my secret prompt"), ANN)
    bobs = app.submit(request(), BOB)
    assert [(item.job_id, item.position) for item in app.queue()] == [(long.id, 0), (bobs.id, 1), (second.id, 2)]
    assert app.line.place(app.job(second.id, ANN)) == (2, 2)
    assert "secret" not in repr(app.queue())
    assert [job.item.job_id for job in app.line.own(ANN, 10)] == [long.id, second.id]
    assert app.line.own(ANN, 10)[0].progress is not None
    assert [job.order for job in app.line.own(BOB, 10)] == [bobs.request]
    assert [job.id for job in app.open_jobs(ANN)] == [long.id, second.id]
    app.interrupt(long.id, ANN)
    until(lambda: not app.queue())


def test_whoever_drew_less_comes_first(app: App) -> None:
    jobs = [app.submit(request("slow", steps=4), ANN) for _ in range(3)]
    late = app.submit(request(), BOB)
    for job, owner in (*((job, ANN) for job in jobs), (late, BOB)):
        to_end(app, job.id, owner)
    started = sorted((app.job(job.id, job.owner).started or 0, job.id) for job in (*jobs, late))
    assert [job_id for _, job_id in started].index(late.id) == 1


def test_own_jobs_are_moved_and_others_are_not_found(app: App) -> None:
    app.line.pause()
    first, second, third = (app.submit(request(), ANN) for _ in range(3))
    bobs = app.submit(request(), BOB)
    assert app.line.move(third.id, ANN, "front").position == 1
    assert [item.job_id for item in app.queue()] == [third.id, bobs.id, first.id, second.id]
    app.line.move(third.id, ANN, 2)
    assert [item.job_id for item in app.queue() if item.owner == ANN] == [first.id, third.id, second.id]
    with pytest.raises(NotFound):
        app.line.move(bobs.id, ANN, "front")
    app.cancel(first.id, ANN)
    with pytest.raises(BadRequest, match="Only a job that waits"):
        app.line.move(first.id, ANN, "front")


def test_repeated_with_the_same_seed_or_another(app: App) -> None:
    job = app.submit(request("a cat", seed=77), ANN, save=False)
    to_end(app, job.id)
    app.line.repeat(job.id, ANN)  # the checkpoint's name has its hash from the first job on
    asked = app.recent(ANN, 1)[0].request
    same, other = app.line.repeat(job.id, ANN), app.line.repeat(job.id, ANN, new_seed=True)
    assert isinstance(asked, GenerationRequest)
    assert isinstance(other.request, GenerationRequest)
    assert asked.seed == 77
    assert (same.request, same.save) == (asked, False)
    assert other.request.seed not in (77, -1)
    assert other.request.replace(seed=77, subseed=asked.subseed) == asked
    with pytest.raises(NotFound):
        app.line.repeat(job.id, BOB)


# The machine's owner


def test_a_pause_lets_nothing_begin_and_outlives_a_restart(start: Start) -> None:
    app = start()
    app.line.pause()
    since = app.line.paused
    jobs = [app.submit(request(), owner) for owner in (ANN, ANN, BOB)]
    app.line.move(jobs[1].id, ANN, "front")
    before = [(item.job_id, item.position) for item in app.queue()]
    assert [item.seconds for item in app.queue()] == [None] * 3
    app.close()
    again = start()
    until(lambda: again.engine_status().state == "ready")
    assert again.line.paused == since
    assert [(item.job_id, item.position) for item in again.queue()] == before == [
        (jobs[1].id, 1), (jobs[2].id, 2), (jobs[0].id, 3)
    ]  # fmt: skip
    assert all(again.job(job.id, job.owner).state == "waiting" for job in jobs)
    again.line.resume()
    for job in jobs:
        to_end(again, job.id, job.owner)
    started = {again.job(job.id, job.owner).started: job.id for job in jobs}
    assert [started[when] for when in sorted(started)] == [job_id for job_id, _ in before]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_order_and_pause_outlive_a_kill(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from modules.service.jobs import Jobs
from tests.service.test_queue import add
jobs = Jobs(Path(sys.argv[1]))
first, second, third = (add(jobs, owner) for owner in ("ann", "ann", "bob"))
jobs.move(second.id, "ann", "front")
jobs.pause(True)
print(second.id, third.id, first.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    jobs = Jobs(tmp_path)
    assert [place.job_id for place in jobs.line()] == killed.stdout.split()
    assert jobs.claim_next() is None, "it is still paused"
    jobs.pause(False)
    claimed = jobs.claim_next()
    assert claimed is not None
    assert claimed.id == killed.stdout.split()[0]


def test_what_runs_goes_on_in_a_pause(app: App) -> None:
    job = app.submit(request("slow", steps=20), ANN)
    running(app, job.id)
    app.line.pause()
    assert to_end(app, job.id)[-1].reason == "done"  # type: ignore[union-attr]


def test_anybodys_job_is_cancelled_by_its_number_and_its_person_is_told(app: App) -> None:
    app.line.pause()
    job = app.submit(request(), BOB)
    (item,) = app.queue()
    app.line.cancel(item.number)
    told = to_end(app, job.id, BOB)
    assert told == [Notice("The owner of this machine stopped this job.", "warning"), Finished("cancelled")]
    app.line.cancel(item.number)
    with pytest.raises(NotFound):
        app.line.cancel(9999)


# A training beside it


def test_short_jobs_pass_a_training_at_its_step_borders(app: App, tmp_path: Path) -> None:
    """A training in the other lane keeps nobody waiting: drawings are done while it runs, and it goes on."""
    training = app.submit(long_training(tmp_path, "slow", steps=5000), ANN)
    until(lambda: app.job(training.id, ANN).state == "running")
    for owner in (ANN, BOB):
        drawn = app.submit(request(), owner)
        assert drawn.position == 1
        assert to_end(app, drawn.id, owner)[-1].reason == "done"  # type: ignore[union-attr]
        assert app.job(training.id, ANN).state == "running"
    app.interrupt(training.id, ANN)
    to_end(app, training.id)


# Files of older versions


def test_a_queue_of_the_version_before_goes_on_in_its_order(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    ids = [add(jobs, owner).id for owner in (ANN, ANN, BOB)]
    training = jobs.add(TrainingRequest(name="word", data_root="set", seed=1), MODEL, BOB)
    jobs.close()
    with sqlite3.connect(tmp_path / "jobs.sqlite") as old:
        old.executescript(
            "DROP INDEX jobs_in_line; DROP INDEX jobs_in_own_line; DROP TABLE turns; DROP TABLE clocks; "
            + "".join(
                f"ALTER TABLE jobs DROP COLUMN {name}; " for name in ("training", "what", "units", "cost", "tag")
            )
            + "PRAGMA user_version = 1"
        )
    old.close()
    again = Jobs(tmp_path)
    assert again.notice is None
    assert [place.job_id for place in again.line()] == [*ids, training.id]
    assert [place.training for place in again.line()] == [False, False, False, True]
    newer = add(again, "carl")
    assert newer.position is not None
    assert [again.get(job_id).state for job_id in ids] == ["waiting"] * 3


# Ten thousand jobs


def filled(folder: Path, count: int, people: int = 100) -> Jobs:
    """So many waiting jobs of so many people, as `add` would have written them."""
    jobs = Jobs(folder)
    template = add(jobs, "person 0")
    row = jobs._read("SELECT request, model, what, units FROM jobs WHERE id = ?", (template.id,))[0]
    jobs.cancel_waiting(template.id)
    rows = [(f"{n:032x}", f"person {n % people}", *row, float(20 * (n // people))) for n in range(count)]
    with jobs._db:
        jobs._db.executemany(
            "INSERT INTO jobs (id, owner, request, model, what, units, tag, cost, save, created, state) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, 20, 1, 0, 'waiting')",
            rows,
        )
        ends = 20.0 * -(-count // people)
        jobs._db.executemany(
            "INSERT OR REPLACE INTO turns VALUES (0, ?, ?)", [(f"person {n}", ends) for n in range(people)]
        )
    return jobs


class Work:
    """Counts the steps of SQLite's machine, which no busy computer changes, and its statements."""

    def __init__(self, jobs: Jobs) -> None:
        self.steps = 0
        self.statements: list[str] = []
        jobs._db.set_progress_handler(self._step, 1)
        jobs._db.set_trace_callback(self.statements.append)

    def _step(self) -> int:
        self.steps += 1
        return 0

    def of(self, call: Callable[[], object]) -> int:
        before = self.steps
        call()
        return self.steps - before


def test_claiming_and_ending_cost_the_same_however_long_the_queue_is(tmp_path: Path) -> None:
    def claim_and_end(jobs: Jobs) -> None:
        job = jobs.claim_next()
        assert job is not None
        jobs.end(job.id, "cancelled")

    steps = {}
    for count in (1_000, 10_000):
        jobs = filled(tmp_path / str(count), count, people=count // 100)
        work = Work(jobs)
        steps[count] = work.of(lambda jobs=jobs: claim_and_end(jobs))
        assert len(work.statements) < 20
    # What ends corrects its person's other jobs (as many in both) and counts those who wait (10 and 100 people).
    assert steps[10_000] < 3 * steps[1_000]


def test_the_next_job_is_the_first_of_an_index(tmp_path: Path) -> None:
    jobs = filled(tmp_path, 10_000)
    work = Work(jobs)
    assert work.of(lambda: jobs.has_waiting()) < 100
    (statement,) = work.statements
    plan = " ".join(row[3] for row in jobs._db.execute(f"EXPLAIN QUERY PLAN {statement}"))
    assert "SEARCH jobs USING" in plan
    assert "TEMP B-TREE" not in plan


def test_a_start_with_a_long_queue_looks_at_each_job_once(tmp_path: Path) -> None:
    jobs = filled(tmp_path, 2_000)
    jobs.claim_next()
    training = jobs.add(TrainingRequest(name="word", data_root="set", seed=1), MODEL, BOB)
    work = Work(jobs)
    jobs.end_unreadable()
    assert len(work.statements) == 1
    assert [(job.state, job.id == training.id) for job in jobs.left_over()] == [("running", False), ("waiting", True)]
    assert len(work.statements) < 10


def test_a_hundred_who_look_cost_as_much_as_one(tmp_path: Path) -> None:
    """The long list is read once, and each person's own few jobs by their ids."""
    jobs = filled(tmp_path, 10_000)
    line = Line(jobs, Streams(jobs), Estimates(jobs), submit=add, cancel=lambda *_: None, wake=lambda: None)  # type: ignore[arg-type]
    line.items()
    work = Work(jobs)
    for person in range(100):
        own = line.own(f"person {person}", 10)
        assert [job.item.position for job in own[:2]] == [person + 1, person + 101]
    whole = [statement for statement in work.statements if "IN ('running', 'waiting')" in statement]
    assert len(whole) <= 1, "it may be looked at again after a while"
    assert len(work.statements) <= 100 + 2 * len(whole) + 2


def test_a_new_job_finds_its_place_without_reading_the_others(tmp_path: Path) -> None:
    jobs = filled(tmp_path, 10_000)
    work = Work(jobs)
    place = add(jobs, "somebody new").position
    assert place == 101, "after one job of each"
    assert not any("request" in text and "FROM jobs WHERE state" in text for text in work.statements)
    assert json.loads(jobs.orders([f"{5:032x}"])[f"{5:032x}"].model_dump_json())["seed"] == 1
