"""What extensions add to the engine: functions by name, and their stages for a job."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any

from PIL import Image

from modules.catalog.families_facts import FamilyFacts, add_family
from modules.engine.captioning.added import add_captioner
from modules.engine.diffusion.sampling import add_sampler
from modules.engine.diffusion.sigmas import add_schedule
from modules.engine.diffusion.steps import Denoise, Noise, Plan, Sampler, Step
from modules.engine.families.detect import add_record
from modules.engine.families.family import Family
from modules.engine.postprocess.upscaler import AddedUpscaler, add_upscaler
from modules.extensions.found import from_argument
from modules.extensions.host import Host
from modules.extensions.names import Sink
from modules.extensions.problems import Problem, short
from modules.extensions.stages import SECONDS, JobStages
from modules.schema.errors import UserError
from modules.schema.events import ENDINGS, Event, ExtensionProblem
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS, SCHEDULES, SamplerFacts, ScheduleFacts

Events = Generator[Event, Any, None]
Undo = Callable[[], None]


class Extensions:
    """The extensions of an engine process. `arguments`: which there are, see `found.to_argument`; `seconds`: what one
    may take of a job."""

    def __init__(self, arguments: Sequence[str], seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._new: deque[Problem] = deque()
        self.host = Host("engine", _sinks(self._failed), self._new.append)
        self.host.load([found for text in arguments if (found := from_argument(text)) is not None])

    def stages(self, request: GenerationRequest) -> JobStages | None:
        """The stages of a job; None where it has no extension on."""
        if not request.extensions:
            return None
        return JobStages(self.host, request.extensions, files=("extension.py", "engine.py"), seconds=self._seconds)

    def news(self) -> Iterator[ExtensionProblem]:
        """What has gone wrong since it was asked last."""
        while self._new:
            problem = self._new.popleft()
            yield ExtensionProblem(problem.extension, problem.sentence, problem.log_id)

    def telling(self, events: Events) -> Events:
        """A job's events, and what goes wrong with extensions meanwhile before the next of them."""
        command: Any = None
        with closing(events):
            while True:
                try:
                    event = events.send(command)
                except StopIteration:
                    yield from self.news()
                    return
                command = None
                for problem in self.news():
                    command = (yield problem) or command
                if isinstance(event, ENDINGS):
                    yield event
                    return
                command = (yield event) or command

    def _failed(self, extension: str, what: str, error: Exception) -> UserError:
        """The sentence for a job that cannot go on without what failed."""
        problem = self.host.problems.report(extension, f"{what} of {extension} failed ({short(error)}).", error)
        return UserError(problem.sentence)


Failed = Callable[[str, str, Exception], UserError]


def _sinks(failed: Failed) -> dict[str, Sink]:
    return {
        "samplers": functools.partial(_take_sampler, failed),
        "schedules": functools.partial(_take_schedule, failed),
        "upscalers": functools.partial(_take_upscaler, failed),
        "captioners": functools.partial(_take_captioner, failed),
        "families": _take_family,
    }


def _take_sampler(failed: Failed, extension: str, facts: SamplerFacts, function: Sampler | None = None) -> Undo:
    SAMPLERS.add(facts)
    if function is None:
        return lambda: SAMPLERS.remove(facts)

    def guarded(denoise: Denoise, x: Any, plan: Plan, noise: Noise) -> Iterator[Step]:
        try:
            yield from function(denoise, x, plan, noise)
        except (UserError, MemoryError, RuntimeError):
            raise  # of the model, as much as of the sampler: main.py knows what to say
        except Exception as error:  # noqa: BLE001 - an extension's fault is told as such
            raise failed(extension, f"The sampler {facts.label}", error) from error

    undo = add_sampler(facts.name, guarded)
    return _one_by_one(undo, lambda: SAMPLERS.remove(facts))


def _take_schedule(failed: Failed, extension: str, facts: ScheduleFacts, function: Any = None) -> Undo:
    SCHEDULES.add(facts)
    if function is None:
        return lambda: SCHEDULES.remove(facts)
    undo = add_schedule(facts.name, _guarded(failed, extension, f"The schedule {facts.label}", function))
    return _one_by_one(undo, lambda: SCHEDULES.remove(facts))


def _take_upscaler(failed: Failed, extension: str, name: str, function: Any = None) -> Undo:
    if function is None:
        return lambda: None
    guarded: Callable[[Image.Image, int, int], Image.Image] = _guarded(
        failed, extension, f"The upscaler {name}", function
    )
    return add_upscaler(AddedUpscaler(name, guarded))


def _take_captioner(failed: Failed, extension: str, name: str, function: Any = None) -> Undo:
    if function is None:
        return lambda: None
    return add_captioner(name, _guarded(failed, extension, f"The captioner {name}", function))


def _take_family(_extension: str, facts: FamilyFacts, recognise: Any, record: Family | None = None) -> Undo:
    undo = add_family(facts, recognise)
    if record is None:
        return undo
    forget = add_record(record)
    return _one_by_one(forget, undo)


def _one_by_one(*undos: Undo) -> Undo:
    def undo() -> None:
        for one in undos:
            one()

    return undo


def _guarded(failed: Failed, extension: str, what: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, whose faults are told as the extension's."""

    @functools.wraps(function)
    def guarded(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except (UserError, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            raise failed(extension, what, error) from error

    return guarded
