from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from modules.schema.engine import ModelRef
from modules.schema.events import Event, Finished, Notice, Preview, Progress
from modules.schema.request import GenerationRequest
from modules.service.jobs import Jobs
from modules.service.streams import Stream, Streams
from tests.asyncs import run


def progress(step: int) -> Progress:
    return Progress(step, 10, 1, 1)


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def new_job(jobs: Jobs) -> str:
    return jobs.add(GenerationRequest(), ModelRef(checkpoint="x"), "ann").id


def test_a_late_reader_gets_the_newest_commentary_only(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)
    stream = streams.of(job)
    stream.publish(Notice("first"))
    for step in range(1, 6):
        stream.publish(progress(step))
        stream.publish(Preview(step, 1, "jpeg", b"x"))
    late = list(streams.follow(job, 0, timeout=0))
    assert [event for _, event in late] == [Notice("first"), progress(5), Preview(5, 1, "jpeg", b"x")]
    numbers = [number for number, _ in late]
    assert numbers == sorted(numbers)
    assert list(streams.follow(job, numbers[-1], timeout=0)) == []


def test_after_the_end_everybody_reads_the_same(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)
    early: list[tuple[int, Event]] = []
    reader = threading.Thread(target=lambda: early.extend(streams.follow(job, 0, None)))
    reader.start()
    for event in (Notice("a"), progress(1), Notice("b"), Finished("done")):
        streams.of(job).publish(event)
    reader.join(5)
    assert not reader.is_alive()
    late = list(streams.follow(job, 0, None))
    assert [item for item in early if not isinstance(item[1], Progress)] == [
        item for item in late if not isinstance(item[1], Progress)
    ]
    streams.of(job).publish(Notice("too late"))
    assert list(streams.follow(job, 0, None)) == late
    assert [event for _, event in Streams(jobs).follow(job, 0, None)] == [Notice("a"), Notice("b"), Finished("done")]


def test_following_from_beyond_the_end_returns(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)
    streams.of(job).publish(Finished("done"))
    assert list(streams.follow(job, 10**9, None)) == []


def test_timeout_gives_control_back(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)
    began = time.monotonic()
    assert list(streams.follow(job, 0, timeout=0.1)) == []
    assert time.monotonic() - began > 0.05


def test_numbers_after_a_restart_lie_beyond_every_number_seen(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)
    jobs.claim_next()
    stream = streams.of(job)
    for step in range(50):
        stream.publish(progress(step))
    ((last, _),) = streams.follow(job, 0, timeout=0)
    time.sleep(0.06)
    again = Streams(jobs)
    again.of(job).publish(Finished("interrupted"))
    assert [event for _, event in again.follow(job, last, timeout=1)] == [Finished("interrupted")]


def test_async_readers_cost_no_thread_and_see_everything(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)

    async def read() -> list[Event]:
        return [event async for _, event in streams.async_follow(job, 0, None)]

    async def both() -> list[list[Event]]:
        before = threading.active_count()
        readers = [asyncio.create_task(read()) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert threading.active_count() == before
        sender = threading.Thread(
            target=lambda: [streams.of(job).publish(e) for e in (Notice("a"), Finished("done"))]
        )
        sender.start()
        return await asyncio.wait_for(asyncio.gather(*readers), 5)

    assert run(both()) == [[Notice("a"), Finished("done")]] * 20


def test_async_timeout_and_close(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)

    async def read(timeout: float | None) -> list[Event]:
        return [event async for _, event in streams.async_follow(job, 0, timeout)]

    async def closing() -> list[Event]:
        reader = asyncio.create_task(read(None))
        await asyncio.sleep(0.05)
        streams.close()
        return await asyncio.wait_for(reader, 5)

    assert run(read(0.05)) == []
    assert run(closing()) == []


def test_closing_ends_blocked_readers(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)
    reader = threading.Thread(target=lambda: list(streams.follow(job, 0, None)))
    reader.start()
    time.sleep(0.05)
    streams.close()
    reader.join(5)
    assert not reader.is_alive()


def test_a_full_disk_does_not_stop_the_stream(jobs: Jobs) -> None:
    streams, job = Streams(jobs), new_job(jobs)
    stream = streams.of(job)
    jobs.close()
    stream.publish(Notice("still told"))
    assert [event for _, event in stream.since(0)] == [Notice("still told")]


def test_many_readers_and_a_fast_writer_agree() -> None:
    stream = Stream([], lambda number, event: None)
    seen: list[list[str]] = [[] for _ in range(8)]

    def read(into: list[str]) -> None:
        after = 0
        while True:
            for number, event in stream.wait(after, 5):
                after = number
                if isinstance(event, Notice):
                    into.append(event.text)
                if isinstance(event, Finished):
                    return

    readers = [threading.Thread(target=read, args=(into,)) for into in seen]
    for reader in readers:
        reader.start()
    for number in range(300):
        stream.publish(Notice(str(number)))
        stream.publish(progress(number))
    stream.publish(Finished("done"))
    for reader in readers:
        reader.join(10)
    assert seen == [[str(n) for n in range(300)]] * 8
