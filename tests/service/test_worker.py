from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from modules.schema.engine import Command, EngineJob, ModelRef
from modules.schema.events import EngineStatus, Event, Failed, Finished, ImageDone, Progress
from modules.service.worker import MOST_DEATHS, Death, Worker
from tests.service.helpers import FAKE, ROOT, request, until


class Watched:
    """A worker whose words are written down."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.events: list[tuple[str | None, Event]] = []
        self.deaths: list[Death] = []
        self.log = folder / "engine.log"
        self.worker = Worker(
            command,
            folder=ROOT,
            log_file=self.log,
            on_event=lambda job, event: self.events.append((job, event)),
            on_death=self.deaths.append,
            backoff=0.01,
        )
        self.worker.start()

    def count(self, state: str) -> int:
        return sum(isinstance(e, EngineStatus) and e.state == state for _, e in self.events)

    def of(self, job_id: str) -> list[Event]:
        return [event for job, event in self.events if job == job_id]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    one = Watched(tmp_path, FAKE)
    until(lambda: one.count("ready") == 1)
    yield one
    one.worker.close()


def run(job_id: str, prompt: str = "", **values: object) -> Command:
    job = EngineJob(id=job_id, request=request(prompt, **values), model=ModelRef(checkpoint="x"))
    return Command(name="run", job=job)


def test_a_job_s_events_arrive_in_order_with_their_bytes(watched: Watched) -> None:
    assert watched.worker.send(run("j", batch_count=2))
    until(lambda: any(isinstance(e, Finished) for e in watched.of("j")))
    events = watched.of("j")
    assert [e.step for e in events if isinstance(e, Progress)] == [1, 2, 3, 1, 2, 3]
    pictures = [e for e in events if isinstance(e, ImageDone)]
    assert [p.pixels for p in pictures] == [bytes([i]) * (16 * 16 * 3) for i in (0, 1)]
    assert isinstance(events[-1], Finished)


def test_a_killed_process_is_told_and_replaced(watched: Watched) -> None:
    pid = watched.worker.pid
    assert pid is not None
    psutil.Process(pid).kill()
    until(lambda: watched.count("ready") == 2)
    assert len(watched.deaths) == 1
    assert not watched.deaths[0].gave_up
    assert watched.worker.pid not in (None, pid)
    assert not psutil.pid_exists(pid)


def test_a_process_that_never_starts_is_given_up_and_can_be_revived(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [*FAKE, "--crash"])
    until(lambda: len(watched.deaths) == MOST_DEATHS)
    time.sleep(0.2)
    assert [death.gave_up for death in watched.deaths] == [False] * (MOST_DEATHS - 1) + [True]
    assert watched.deaths[-1].last_words == "no such device"
    assert watched.deaths[-1].code == 3
    assert watched.worker.pid is None
    assert not watched.worker.send(run("j"))
    watched.worker.revive()
    until(lambda: len(watched.deaths) > MOST_DEATHS)
    watched.worker.close()


def test_a_program_that_is_not_there_counts_as_a_death(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [str(tmp_path / "no-such-program")])
    until(lambda: len(watched.deaths) == MOST_DEATHS)
    assert "no-such-program" in watched.deaths[0].last_words
    watched.worker.close()


def test_deaths_in_the_middle_of_jobs_do_not_add_up(watched: Watched) -> None:
    for number in range(MOST_DEATHS + 1):
        until(lambda number=number: watched.count("ready") == number + 1)
        watched.worker.send(run(f"j{number}", "die"))
        until(lambda number=number: len(watched.deaths) == number + 1)
    assert not any(death.gave_up for death in watched.deaths)


def test_much_output_on_stderr_does_not_block_and_reaches_the_log(watched: Watched) -> None:
    watched.worker.send(run("j", "chatty"))
    until(lambda: any(isinstance(e, Finished) for e in watched.of("j")))
    until(lambda: watched.log.exists() and "a line of the log" in watched.log.read_text())


def test_a_program_that_talks_nonsense_is_ended(tmp_path: Path) -> None:
    code = (
        "import sys, time; sys.stdout.buffer.write(b'\\0\\0\\0\\2\\0\\0\\0\\0{]'); sys.stdout.flush(); time.sleep(60)"
    )
    watched = Watched(tmp_path, [sys.executable, "-c", code])
    until(lambda: len(watched.deaths) == MOST_DEATHS)
    watched.worker.close()


def test_close_ends_the_process(watched: Watched) -> None:
    pid = watched.worker.pid
    assert pid is not None
    watched.worker.send(run("j", "slow", steps=500))
    until(lambda: bool(watched.of("j")))
    watched.worker.close()
    assert not psutil.pid_exists(pid)
    assert watched.deaths == []


def test_the_engine_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.service.test_worker import Watched, FAKE, until\n"
        f"w = Watched(Path({str(tmp_path)!r}), FAKE); until(lambda: w.count('ready') == 1)\n"
        "print(w.worker.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def test_failures_arrive_as_events(watched: Watched) -> None:
    watched.worker.send(run("j", "oom"))
    until(lambda: any(isinstance(e, Failed) for e in watched.of("j")))
