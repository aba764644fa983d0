"""Whose turn it is: shown by what people get of an engine, for any orders that hypothesis thinks of."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from modules.schema.engine import ModelRef
from modules.schema.request import GenerationRequest
from modules.schema.training import TrainingRequest
from modules.service.jobs import Job, Jobs
from modules.service.measures import measure

MODEL = ModelRef(checkpoint="/models/a.safetensors")
PEOPLE = ("ann", "bob", "cat", "dan")
SECONDS = st.integers(1, 40)
# (what it is estimated at, what it takes)
LENGTHS = st.tuples(SECONDS, SECONDS)


class Queue:
    """Jobs and an engine whose time is told: a job is estimated at as many seconds as its steps."""

    def __init__(self, folder: Path) -> None:
        self.now = 100.0
        self.folder = folder
        self.jobs = Jobs(folder, lambda: self.now)
        size = measure(GenerationRequest(width=16, height=16, steps=1, sampler="Euler"), MODEL)
        self.jobs.add_speed(size.what, 1 / size.units)
        self.takes: dict[str, float] = {}
        self.had: dict[str, float] = defaultdict(float)

    def reopen(self) -> None:
        self.jobs.close()
        self.jobs = Jobs(self.folder, lambda: self.now)

    def send(self, owner: str, estimate: float = 1, takes: float | None = None) -> Job:
        request = GenerationRequest(width=16, height=16, steps=int(estimate), sampler="Euler", seed=1)
        job = self.jobs.add(request, MODEL, owner)
        self.takes[job.id] = estimate if takes is None else takes
        return job

    def run(self, job: Job) -> None:
        self.now += self.takes[job.id]
        self.had[job.owner] += self.takes[job.id]
        self.jobs.end(job.id, "done")

    def step(self) -> Job | None:
        """The next job, drawn to its end."""
        job = self.jobs.claim_next()
        if job is not None:
            self.run(job)
        return job

    def order(self) -> list[str]:
        return [place.job_id for place in self.jobs.line() if place.state == "waiting"]

    def waiting(self) -> set[str]:
        return {place.owner for place in self.jobs.line() if place.state == "waiting"}


@contextmanager
def queued() -> Iterator[Queue]:
    with TemporaryDirectory() as folder:
        queue = Queue(Path(folder))
        yield queue
        queue.jobs.close()


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path)


def test_one_job_comes_before_a_thousand(queue: Queue) -> None:
    for _ in range(30):
        queue.send("ann", 10)
    queue.jobs.claim_next()
    assert queue.send("bob", 10).position == 1
    assert queue.send("cat", 10).position == 2
    assert queue.send("bob", 10).position == 4, "after one of ann's, bob's first and cat's"


def test_short_jobs_take_more_turns_than_long_ones(queue: Queue) -> None:
    for _ in range(3):
        queue.send("ann", 12)
    for _ in range(12):
        queue.send("bob", 3)
    order = [job.owner for job in iter(queue.step, None)]
    assert order[:6] == ["ann", "bob", "bob", "bob", "bob", "ann"]
    assert order.index("ann", 6) - 5 == 5, "one long for four short ones, again and again"


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(PEOPLE), st.lists(LENGTHS, min_size=1, max_size=8), min_size=2))
def test_two_who_wait_never_differ_by_more_than_their_longest_jobs(sent: dict[str, list[tuple[int, int]]]) -> None:
    """The bound of start-time fair queueing, with what jobs really take however they were estimated."""
    longest = {owner: max(takes for _, takes in jobs) for owner, jobs in sent.items()}
    with queued() as queue:
        for turn in itertools.zip_longest(*([(owner, *job) for job in jobs] for owner, jobs in sent.items())):
            for owner, estimate, takes in filter(None, turn):
                queue.send(owner, estimate, takes)
        while (waiting := queue.waiting()) and queue.step():
            for one, other in itertools.combinations(waiting & queue.waiting(), 2):
                assert abs(queue.had[one] - queue.had[other]) <= longest[one] + longest[other] + 0.1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PEOPLE[1:]), LENGTHS), min_size=1, max_size=25),
    st.integers(0, 20),
    LENGTHS,
)
def test_a_newcomer_waits_for_a_turn_of_each_and_not_for_what_they_sent(
    sent: list[tuple[str, tuple[int, int]]], done: int, own: tuple[int, int]
) -> None:
    with queued() as queue:
        for owner, (estimate, takes) in sent:
            queue.send(owner, estimate, takes)
        for _ in range(done):
            queue.step()
        newcomer, came = queue.send("ann", *own), queue.now
        while (job := queue.jobs.claim_next()) is not None and job.id != newcomer.id:
            queue.run(job)
        longest = max(max(lengths) for _, lengths in sent)
        assert queue.now - came <= 2 * longest * len(PEOPLE[1:])


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3), st.integers(10, 30), st.integers(1, 3))
def test_newcomers_without_end_starve_nobody(own: int, theirs: int, at_once: int) -> None:
    """More come than can be served, and each has had nothing yet; the second job of whoever waits comes all the
    same."""
    with queued() as queue:
        queue.send("ann", own)
        second = queue.send("ann", own)
        for number in range(200):
            for sibling in range(at_once):
                queue.send(f"new {number} {sibling}", theirs)
            queue.step()
            if queue.jobs.get(second.id).state == "done":
                break
        assert queue.jobs.get(second.id).state == "done"


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(PEOPLE), SECONDS), min_size=1, max_size=25))
def test_the_order_that_is_told_is_the_order_that_comes(sent: list[tuple[str, int]]) -> None:
    with queued() as queue:
        for owner, takes in sent:
            queue.send(owner, takes)
        told = queue.order()
        assert [queue.jobs.get(job_id).position for job_id in told] == list(range(1, len(told) + 1))
        assert [job.id for job in iter(queue.step, None)] == told


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PEOPLE), SECONDS), min_size=2, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.sampled_from(["front", "up", "down", "back", 1, 2, 9])), max_size=8),
)
def test_moving_ones_own_jobs_moves_nobody_elses(
    sent: list[tuple[str, int]], moves: list[tuple[int, str | int]]
) -> None:
    with queued() as queue:
        jobs = [queue.send(owner, takes) for owner, takes in sent]
        for index, to in moves:
            job = jobs[index % len(jobs)]
            before = queue.order()
            own = [job_id for job_id in before if queue.jobs.get(job_id).owner == job.owner]
            assert queue.jobs.move(job.id, job.owner, to)
            assert _of_others(queue, job.owner) == [job_id for job_id in before if job_id not in own]
            at = own.index(job.id)
            own.remove(job.id)
            places = {"front": 0, "up": max(at - 1, 0), "down": at + 1, "back": len(own)}
            own.insert(places[to] if isinstance(to, str) else to - 1, job.id)
            assert [job_id for job_id in queue.order() if queue.jobs.get(job_id).owner == job.owner] == own
        told = queue.order()
        assert [job.id for job in iter(queue.step, None)] == told


def _of_others(queue: Queue, owner: str) -> list[str]:
    return [job_id for job_id in queue.order() if queue.jobs.get(job_id).owner != owner]


def test_a_job_that_began_is_not_moved(queue: Queue) -> None:
    first, second = queue.send("ann"), queue.send("ann")
    queue.jobs.claim_next()
    assert not queue.jobs.move(first.id, "ann", "back")
    assert queue.jobs.move(second.id, "ann", "front")
    assert not queue.jobs.move("nowhere", "ann", "front")


def test_what_an_engine_lost_is_not_charged_and_comes_next(queue: Queue) -> None:
    first = queue.send("ann", 10)
    second = queue.send("bob", 10)
    claimed = queue.jobs.claim_next()
    assert claimed is not None
    queue.now += 1000
    queue.jobs.put_back(first.id)
    assert queue.order() == [first.id, second.id]


def test_several_engines_are_given_to_several_people(queue: Queue) -> None:
    for _ in range(5):
        queue.send("ann", 10)
    queue.send("bob", 10)
    queue.send("cat", 10)
    claimed = [queue.jobs.claim_next() for _ in range(3)]
    assert [job and job.owner for job in claimed] == ["ann", "bob", "cat"]


def test_a_job_split_over_engines_is_charged_for_all_of_them(queue: Queue) -> None:
    for _ in range(3):
        queue.send("ann", 10)
        queue.send("bob", 10)
    first = queue.jobs.claim_next()
    assert first is not None
    queue.now += 5
    queue.jobs.end(first.id, "done", used=30)
    assert [queue.jobs.get(job_id).owner for job_id in queue.order()] == ["bob", "bob", "bob", "ann", "ann"]


def test_when_all_is_done_all_is_forgotten(queue: Queue) -> None:
    queue.send("ann", 40)
    queue.step()
    first = queue.send("ann", 1)
    queue.send("bob", 1)
    assert queue.order()[0] == first.id, "who used an idle engine owes nothing for it"


def test_trainings_have_turns_of_their_own(queue: Queue) -> None:
    training = queue.jobs.add(TrainingRequest(name="word", data_root="set", seed=1), MODEL, "ann")
    other = queue.jobs.add(TrainingRequest(name="other", data_root="set", seed=1), MODEL, "bob")
    drawing = queue.send("ann", 5)
    assert [training.position, other.position, drawing.position] == [1, 2, 1]
    claimed = [queue.jobs.claim_next(training=True), queue.jobs.claim_next()]
    assert [job and job.id for job in claimed] == [training.id, drawing.id]
    queue.now += 10_000
    queue.jobs.put_back(training.id)
    queue.jobs.end(drawing.id, "done")
    again, bobs = queue.send("ann", 5), queue.send("bob", 5)
    assert queue.order()[:2] == [again.id, bobs.id], "a night of training costs no turn at drawing"


class AnyQueue(RuleBasedStateMachine):
    """Whatever is done to the queue, and whenever the program starts again: each person's order is theirs, places
    are what comes, and nothing is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.room = TemporaryDirectory()
        self.queue = Queue(Path(self.room.name))
        self.own: dict[str, list[str]] = defaultdict(list)
        self.running: list[Job] = []

    def teardown(self) -> None:
        self.queue.jobs.close()
        self.room.cleanup()

    @rule(owner=st.sampled_from(PEOPLE), lengths=LENGTHS)
    def send(self, owner: str, lengths: tuple[int, int]) -> None:
        self.own[owner].append(self.queue.send(owner, *lengths).id)

    @rule()
    def claim(self) -> None:
        order = self.queue.order()
        job = self.queue.jobs.claim_next()
        assert (job.id if job else None) == (order[0] if order else None)
        if job is not None:
            assert self.own[job.owner].pop(0) == job.id
            self.running.append(job)

    @precondition(lambda self: self.running)
    @rule(index=st.integers(0, 9), lost=st.booleans())
    def end(self, index: int, lost: bool) -> None:
        job = self.running.pop(index % len(self.running))
        self.queue.now += self.queue.takes[job.id]
        if lost:
            self.queue.jobs.put_back(job.id)
            self._found_again(job)
        else:
            self.queue.jobs.end(job.id, "done")

    def _found_again(self, job: Job) -> None:
        """It is before what came, or was moved, behind it."""
        mine = [place.job_id for place in self.queue.jobs.line() if place.owner == job.owner and place.position]
        assert [job_id for job_id in mine if job_id != job.id] == self.own[job.owner]
        self.own[job.owner] = mine

    @rule(owner=st.sampled_from(PEOPLE), index=st.integers(0, 9))
    def cancel(self, owner: str, index: int) -> None:
        if own := self.own[owner]:
            assert self.queue.jobs.cancel_waiting(own.pop(index % len(own)))

    @rule(owner=st.sampled_from(PEOPLE), index=st.integers(0, 9), place=st.integers(1, 9))
    def move(self, owner: str, index: int, place: int) -> None:
        if own := self.own[owner]:
            job_id = own.pop(index % len(own))
            own.insert(place - 1, job_id)
            assert self.queue.jobs.move(job_id, owner, place)

    @rule()
    def restart(self) -> None:
        before = self.queue.jobs.line()
        self.queue.reopen()
        assert self.queue.jobs.line() == before

    @invariant()
    def everybody_has_their_order(self) -> None:
        line = [place for place in self.queue.jobs.line() if place.position]
        assert [place.position for place in line] == list(range(1, len(line) + 1))
        for owner in PEOPLE:
            assert [place.job_id for place in line if place.owner == owner] == self.own[owner]


TestAnyQueue = AnyQueue.TestCase
TestAnyQueue.settings = settings(max_examples=20, stateful_step_count=30, deadline=None)
