"""Many sessions at once on one real server: what they wait for, whether anything is lost, who gets how much.

    python -m benchmarks.load [--sessions 100] [--seconds 90] [--kill-every 20] [--parts calm,killed]

Each session is a person with a cookie: it opens the page, orders pictures of the embedded model one after another
under keys of its own, follows each job's event stream, asks for the queue meanwhile and fetches the picture. One
person orders ten at a time. The second part does the same while the engine process is killed every so many seconds.
Prints a table; ends with 1 where something was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.startup import free_port

ROOT = Path(__file__).resolve().parents[1]
GREEDY = 10
SIZE = 128
_ARRIVING = 20.0
_POLL_SECONDS = 5.0
_PATIENCE = 400.0
_MIB = 1 << 20


@dataclass
class Ordered:
    """A job that the server has taken, and what its session heard of it."""

    session: int
    job: str
    taken: float
    pictures: int = 0
    ended: str = ""
    message: str = ""
    seconds: float = 0.0
    out_of_order: int = 0

    def heard(self, event: dict[str, Any]) -> None:
        """Note an event of the stream."""
        self.pictures += event["event"] == "ImageSaved"
        if event["event"] in ("Finished", "Failed"):
            self.ended = event.get("reason") or "failed"
            self.message = event.get("message", "")
            self.seconds = time.monotonic() - self.taken


@dataclass
class Record:
    """Everything that was seen."""

    waits: dict[str, list[float]] = field(default_factory=dict)
    jobs: list[Ordered] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)
    kills: int = 0
    lost_lines: int = 0

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.waits.setdefault(what, []).append(time.perf_counter() - began)


class Session:
    """One person's browser."""

    def __init__(self, number: int, address: str, record: Record, until: float) -> None:
        self.number = number
        self._record = record
        self._until = until
        self._dice = random.Random(number)
        self._client = httpx.AsyncClient(
            base_url=address,
            cookies={"owner": secrets.token_urlsafe(24)},
            timeout=httpx.Timeout(60, read=_PATIENCE),
            limits=httpx.Limits(max_connections=40),
            trust_env=False,
            verify=False,  # plain http: reading the list of certificates a hundred times would be measured too
        )

    async def run(self, at_a_time: int) -> None:
        """Order and watch until the time is over, to the end of what was ordered; then ask once more for it all."""
        await asyncio.sleep(self._dice.uniform(0, _ARRIVING))
        async with self._client:
            await self._get("page", "/")
            while time.monotonic() < self._until:
                async with asyncio.TaskGroup() as group:
                    for _ in range(at_a_time):
                        group.create_task(self._one())
                await asyncio.sleep(self._dice.uniform(0, 0.5))
            for one in [job for job in self._record.jobs if job.session == self.number]:
                await self._check(one)

    async def _one(self) -> None:
        ordered = await self._order()
        if ordered is None:
            return
        watching = asyncio.create_task(self._poll())
        try:
            await self._follow(ordered)
        finally:
            watching.cancel()
        if ordered.ended == "done":
            await self._get("picture", f"/api/v1/jobs/{ordered.job}/images/0")

    async def _order(self) -> Ordered | None:
        """Ordered twice under one key now and then, as by a client whose answer was lost."""
        key = secrets.token_hex(16)
        body = {"prompt": f"a boat {self.number}", "width": SIZE, "height": SIZE, "steps": 4, "cfg_scale": 5}
        answer = await self._send(body, key)
        if answer.status_code != 201:
            self._record.refused.append(f"{answer.status_code} {answer.text[:200]}")
            return None
        job = answer.json()["id"]
        if self._dice.random() < 0.1:
            again = await self._client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": key})
            if again.json().get("id") != job:
                self._record.wrong.append("a retried order made a second job")
        ordered = Ordered(self.number, job, time.monotonic())
        self._record.jobs.append(ordered)
        return ordered

    async def _send(self, body: dict[str, Any], key: str) -> httpx.Response:
        """The key makes it safe to send again what was not answered."""
        while True:
            try:
                with self._record.timed("order"):
                    return await self._client.post("/api/v1/jobs", json=body, headers={"Idempotency-Key": key})
            except httpx.TransportError:
                self._record.lost_lines += 1
                await asyncio.sleep(1)

    async def _follow(self, ordered: Ordered) -> None:
        """The job's events; a stream that ends early is opened again where it was, as browsers do."""
        last = 0
        end = time.monotonic() + _PATIENCE
        while not ordered.ended and time.monotonic() < end:
            try:
                async for number, event in self._events(ordered.job, last):
                    ordered.out_of_order += number <= last
                    last = number
                    ordered.heard(event)
            except httpx.TransportError:
                self._record.lost_lines += 1
                await asyncio.sleep(1)

    async def _events(self, job: str, after: int) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        path = f"/api/v1/jobs/{job}/events"
        async with self._client.stream("GET", path, headers={"Last-Event-ID": str(after)}) as stream:
            number = 0
            async for line in stream.aiter_lines():
                if line.startswith("id: "):
                    number = int(line[4:])
                elif line.startswith("data: "):
                    yield number, json.loads(line[6:])

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._dice.uniform(0.5, 1.5) * _POLL_SECONDS)
            await self._get("queue", "/api/v1/queue")
            await self._get("status", "/api/v1/status")

    async def _get(self, what: str, path: str) -> None:
        try:
            with self._record.timed(what):
                answer = await self._client.get(path)
        except httpx.TransportError:
            self._record.lost_lines += 1
            return
        if answer.status_code != 200:
            self._record.wrong.append(f"{path} answered {answer.status_code}")

    async def _check(self, one: Ordered) -> None:
        answer = await self._client.get(f"/api/v1/jobs/{one.job}")
        if answer.status_code != 200:
            self._record.wrong.append(f"job {one.job} vanished")
            return
        state, images = answer.json()["state"], len(answer.json()["images"])
        if state == "done" and (images, one.pictures) != (1, 1):
            self._record.wrong.append(f"job {one.job} is done with {images} pictures, {one.pictures} were told")
        if state == "failed" and not answer.json()["message"].endswith("."):
            self._record.wrong.append(f"job {one.job} failed without a sentence")
        if state not in ("done", "failed") or state != one.ended:
            self._record.wrong.append(f"job {one.job} is {state}, its stream said {one.ended or 'nothing'}")


@contextlib.contextmanager
def server() -> Iterator[tuple[str, psutil.Process]]:
    """A server on an empty data folder; its output goes to a file."""
    with tempfile.TemporaryDirectory() as data:
        address = f"http://127.0.0.1:{(port := free_port())}"
        command = [sys.executable, "webui.py", "--port", str(port), "--data-dir", data]
        with open(Path(data) / "log.txt", "wb") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        try:
            _wait_until_ready(address)
            yield address, psutil.Process(process.pid)
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_ready(address: str) -> None:
    while True:
        time.sleep(0.5)
        with contextlib.suppress(httpx.TransportError):
            status = httpx.get(f"{address}/api/v1/status", timeout=10, trust_env=False).json()
            if status["page"] == "ready" and status["engine"]["state"] == "ready":
                return


def engines(web: psutil.Process) -> list[psutil.Process]:
    """The engine processes of a server."""
    return [child for child in web.children(recursive=True) if "modules.engine.main" in " ".join(child.cmdline())]


async def _watch_memory(web: psutil.Process, record: Record) -> None:
    while True:
        record.memory.append((time.monotonic(), web.memory_info().rss / _MIB))
        await asyncio.sleep(1)


async def _kill(web: psutil.Process, record: Record, every: float, until: float) -> None:
    while time.monotonic() + every < until:
        await asyncio.sleep(every)
        for engine in engines(web):
            with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
                os.kill(engine.pid, signal.SIGKILL)
                record.kills += 1


async def _part(address: str, web: psutil.Process, sessions: int, seconds: float, every: float) -> Record:
    record = Record()
    until = time.monotonic() + seconds
    people = [Session(number, address, record, until) for number in range(sessions)]
    beside = [asyncio.create_task(_watch_memory(web, record))]
    if every:
        beside.append(asyncio.create_task(_kill(web, record, every, until)))
    try:
        async with asyncio.timeout(seconds + _PATIENCE):
            await asyncio.gather(*(one.run(GREEDY if one.number == 0 else 1) for one in people))
    finally:
        for task in beside:
            task.cancel()
    return record


def report(name: str, record: Record, sessions: int, seconds: float) -> bool:
    """Print the part's table; False where something was lost."""
    done = [job for job in record.jobs if job.ended == "done"]
    failed = [job for job in record.jobs if job.ended == "failed"]
    open_jobs = [job for job in record.jobs if not job.ended]
    shares = sorted(sum(job.session == number for job in done) for number in range(1, sessions))
    print(f"\n{name}: {sessions} sessions, {seconds:.0f} s, engine killed {record.kills} times\n")
    print("| | |\n|---|---|")
    print(f"| jobs accepted | {len(record.jobs)} |")
    print(f"| done / failed with a sentence / neither | {len(done)} / {len(failed)} / {len(open_jobs)} |")
    print(f"| orders refused | {len(record.refused)} |")
    print(f"| connections lost and made again | {record.lost_lines} |")
    print(f"| events out of order | {sum(job.out_of_order for job in record.jobs)} |")
    print(f"| vanished, done twice, told otherwise | {len(record.wrong)} |")
    waits = sorted(job.seconds for job in done) or [0.0]
    print(f"| order to picture, median / longest | {waits[len(waits) // 2]:.1f} s / {waits[-1]:.1f} s |")
    greedy = sum(job.session == 0 for job in done)
    print(f"| pictures a person, fewest to most | {shares[0]} to {shares[-1]} |")
    print(f"| pictures of the one who orders {GREEDY} at a time | {greedy} |")
    third = max(len(record.memory) // 3, 1)
    early, late = (max(m for _, m in part) for part in (record.memory[:third], record.memory[-third:]))
    print(f"| web process, most memory in the first / last third | {early:.0f} / {late:.0f} MiB |")
    print("\n| answer | count | median | 95 % | longest |\n|---|---|---|---|---|")
    for what, found in sorted(record.waits.items()):
        values = sorted(found)
        p95 = values[min(int(len(values) * 0.95), len(values) - 1)]
        middle = values[len(values) // 2]
        print(
            f"| {what} | {len(values)} | {middle * 1000:.0f} ms | {p95 * 1000:.0f} ms | {values[-1] * 1000:.0f} ms |"
        )
    for text in [*record.wrong, *record.refused][:10]:
        print(f"- {text}")
    return not (record.wrong or open_jobs)


def main() -> int:
    """Run the parts that are asked for, each on a server of its own."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sessions", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--kill-every", type=float, default=20)
    parser.add_argument("--parts", default="calm,killed")
    given = parser.parse_args()
    whole = True
    for part in given.parts.split(","):
        every = given.kill_every if part == "killed" else 0.0
        with server() as (address, web):
            record = asyncio.run(_part(address, web, given.sessions, given.seconds, every))
        whole &= report(part, record, given.sessions, given.seconds)
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
