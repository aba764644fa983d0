from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from modules.schema.engine import ModelRef
from modules.schema.errors import NotFound
from modules.schema.events import Finished, ImageSaved, Notice
from modules.schema.request import GenerationRequest
from modules.service.jobs import Job, Jobs

MODEL = ModelRef(checkpoint="/models/a.safetensors")


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def add(jobs: Jobs, prompt: str = "", owner: str = "ann", **values: object) -> Job:
    return jobs.add(GenerationRequest(prompt=prompt, seed=1), MODEL, owner, **values)  # type: ignore[arg-type]


def test_a_job_comes_back_as_it_was_given(jobs: Jobs) -> None:
    job = add(jobs, "a cat, ünïcode\nNegative prompt: x", name="task(1)", save=False)
    assert jobs.get(job.id) == job
    assert (job.state, job.position, job.name, job.save, job.model) == ("waiting", 1, "task(1)", False, MODEL)
    assert job.request.prompt == "a cat, ünïcode\nNegative prompt: x"


def test_first_come_first_served(jobs: Jobs) -> None:
    order = [add(jobs, owner=owner).id for owner in ("ann", "bob", "ann")]
    assert [jobs.get(i).position for i in order] == [1, 2, 3]
    first = jobs.claim_next()
    assert first is not None
    assert (first.id, first.state, first.position, first.attempts) == (order[0], "running", 0, 1)
    assert [jobs.get(i).position for i in order] == [0, 1, 2]
    assert [job.id for job in jobs.open_jobs()] == order


def test_a_job_put_back_is_the_next_one(jobs: Jobs) -> None:
    first, second = add(jobs), add(jobs)
    claimed = jobs.claim_next()
    assert claimed is not None
    jobs.put_back(claimed.id)
    again = jobs.claim_next()
    assert again is not None
    assert (again.id, again.attempts) == (first.id, 2)
    assert jobs.get(second.id).state == "waiting"


def test_only_a_waiting_job_is_cancelled(jobs: Jobs) -> None:
    first, second = add(jobs), add(jobs)
    jobs.claim_next()
    assert not jobs.cancel_waiting(first.id)
    assert jobs.cancel_waiting(second.id)
    assert not jobs.cancel_waiting(second.id)
    assert jobs.get(second.id).state == "cancelled"
    assert jobs.claim_next() is None


def test_owners_do_not_find_each_others_jobs(jobs: Jobs) -> None:
    job = add(jobs, owner="ann", name="mine")
    add(jobs, owner="bob")
    assert jobs.find(job.id, "ann").id == job.id
    assert jobs.find("mine", "ann").id == job.id
    for asked in (job.id, "mine"):
        with pytest.raises(NotFound):
            jobs.find(asked, "bob")
    assert [j.id for j in jobs.recent("ann", 20)] == [job.id]


def test_the_newest_of_several_jobs_of_one_name_is_found(jobs: Jobs) -> None:
    add(jobs, name="task(7)")
    newest = add(jobs, name="task(7)")
    assert jobs.find("task(7)", "ann").id == newest.id


def test_events_and_pictures_are_kept(jobs: Jobs, tmp_path: Path) -> None:
    job = add(jobs)
    saved = ImageSaved(0, "a/b.png", 16, 24, "text: ü")
    jobs.add_event(job.id, 3, saved)
    jobs.add_event(job.id, 9, Finished("done", 1.5, {"vae": 0.5}))
    assert jobs.events(job.id) == [(3, saved), (9, Finished("done", 1.5, {"vae": 0.5}))]
    assert jobs.get(job.id).images == [saved]
    jobs.add_picture("a/b.png", job, tmp_path / "b.png")
    assert jobs.picture("a/b.png") == (job.id, "ann", tmp_path / "b.png")
    jobs.remove([job.id])
    assert jobs.picture("a/b.png") is None
    assert jobs.events(job.id) == []


def test_old_and_unsaved_jobs_are_outdated(jobs: Jobs) -> None:
    waiting, done, unsaved, newer = add(jobs), add(jobs), add(jobs, save=False), add(jobs, save=False)
    for job in (done, unsaved, newer):
        jobs.end(job.id, "done")
        time.sleep(0.01)
    assert jobs.outdated(30, 1, 200) == []
    assert jobs.outdated(30, 1, 1) == [unsaved.id]
    assert set(jobs.outdated(30, 0, 200)) == {unsaved.id, newer.id}
    assert set(jobs.outdated(0, 1, 200)) == {done.id, unsaved.id, newer.id}
    assert waiting.id not in jobs.outdated(0, 0, 0)


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    first = Jobs(tmp_path)
    job = add(first)
    first.remember("selected", "x")
    first.add_event(job.id, 1, Notice("hello"))
    first.close()
    second = Jobs(tmp_path)
    assert second.get(job.id) == job
    assert second.recall("selected") == "x"
    assert second.events(job.id) == [(1, Notice("hello"))]
    assert second.notice is None


@pytest.mark.parametrize("damage", [b"this is no database at all" * 100, b"SQLite format 3\x00" + b"\xff" * 5000])
def test_a_broken_file_is_moved_aside_with_a_sentence(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "jobs.sqlite").write_bytes(damage)
    jobs = Jobs(tmp_path)
    assert jobs.notice is not None
    assert "moved to jobs.broken-" in jobs.notice
    (aside,) = tmp_path.glob("jobs.broken-*")
    assert aside.read_bytes() == damage
    assert add(jobs).state == "waiting"


def test_a_file_of_a_newer_version_is_moved_aside(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    jobs._db.execute("PRAGMA user_version = 99")
    jobs.close()
    assert "version 99" in (Jobs(tmp_path).notice or "")


def test_a_job_with_unknown_parameters_fails_instead_of_blocking_the_queue(jobs: Jobs) -> None:
    bad, good = add(jobs), add(jobs)
    jobs._write("UPDATE jobs SET request = '{\"from_the_future\": 1}' WHERE id = ?", (bad.id,))
    jobs.end_unreadable()
    claimed = jobs.claim_next()
    assert claimed is not None
    assert claimed.id == good.id
    assert [job.id for job in jobs.recent("ann", 5)] == [good.id]


def test_two_processes_do_not_share_a_file(tmp_path: Path) -> None:
    code = (
        f"from modules.service.jobs import Jobs; from pathlib import Path; print(Jobs(Path({str(tmp_path)!r})).slot)"
    )
    jobs = Jobs(tmp_path)
    add(jobs)
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (jobs.slot, other.stdout.strip()) == ("jobs", "jobs-2")


def test_only_the_newest_speeds_count(jobs: Jobs) -> None:
    for number in range(20):
        jobs.add_speed("a", float(number))
    jobs.add_speed("b", 100.0)
    assert sorted(jobs.speeds("a")) == [float(n) for n in range(11, 20)]
