"""Running extensions' stages for one job: what fails or takes too long is told, and off for the rest of the job."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

from modules.extensions.host import Host, Implementation
from modules.extensions.problems import short
from modules.schema.errors import UserError
from modules.schema.extension_options import Options, options_of

T = TypeVar("T")
Fits = Callable[[Any], bool]
SECONDS = 60.0


class JobStages:
    """The extensions that a request has on. `say` gets a sentence for the user; `seconds` is what one may take."""

    def __init__(
        self,
        host: Host,
        extensions: Mapping[str, Any],
        say: Callable[[str], None] = lambda sentence: None,
        *,
        files: Sequence[str] = (),
        seconds: float = SECONDS,
    ) -> None:
        self._host = host
        self._say = say
        self._files = files
        self._limit = seconds
        self._options: dict[str, Options] = {}
        for name in extensions:
            found = options_of(extensions, name) if host.facts(name) is not None else None
            if found is not None:
                self._options[name] = found
        self._spent = dict.fromkeys(self._options, 0.0)
        self._off: set[str] = set()
        self._known: dict[str, list[Implementation]] = {}

    def has(self, *stages: str) -> bool:
        """Whether any of these stages has something to do."""
        return any(self._of(stage) for stage in stages)

    def through(self, stage: str, name: str, value: T, fits: Fits | None = None, **more: Any) -> T:
        """The value after every extension's turn; `name` is what the hook calls it.

        `fits` says whether a new value can stand for the old one; without it, one of the same type does.
        """
        for one in self._of(stage):
            value = self._turn(one, name, value, fits or (lambda new, old=value: isinstance(new, type(old))), more)
        return value

    def inside(self, stage: str, name: str, value: Any, **more: Any) -> AbstractContextManager[None]:
        """All of a stage's contexts, entered one after another."""
        return _Contexts(self, self._of(stage), {name: value, **more})

    def options(self, name: str) -> Options:
        """Those of an extension that is on."""
        return self._options[name]

    def is_on(self, name: str) -> bool:
        return name in self._options and name not in self._off

    def drop(self, one: Implementation, error: BaseException) -> None:
        """Have done with an extension for this job."""
        self._end(one, f"failed in {one.function.__name__} ({short(error)})", error)

    def _of(self, stage: str) -> list[Implementation]:
        if stage not in self._known:
            self._known[stage] = [
                one for one in self._host.find(stage, self._files) if one.extension in self._options
            ]
        return [one for one in self._known[stage] if one.extension not in self._off]

    def _turn(self, one: Implementation, name: str, value: T, fits: Fits, more: Mapping[str, Any]) -> T:
        began = time.monotonic()
        try:
            new = one.call({name: value, "options": self._options[one.extension], **more})
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - an extension's fault ends the extension, not the job
            self.drop(one, error)
            return value
        self._count(one, time.monotonic() - began)
        if new is None:
            return value
        if not fits(new):
            self._end(one, f"gave {type(new).__name__} of the wrong kind or shape in {one.function.__name__}")
            return value
        return new

    def _count(self, one: Implementation, seconds: float) -> None:
        self._spent[one.extension] += seconds
        if self._spent[one.extension] > self._limit:
            self._end(one, f"took {self._spent[one.extension]:.0f} s of this job in {one.function.__name__}")

    def _end(self, one: Implementation, what: str, error: BaseException | None = None) -> None:
        self._off.add(one.extension)
        problem = self._host.problems.report(
            one.extension, f"The extension {one.extension} {what}; it was switched off for the job.", error
        )
        self._say(problem.sentence)


class _Contexts(AbstractContextManager[None]):
    """Enters what extensions give to change a model; whatever one does, the others are left in order."""

    def __init__(self, stages: JobStages, ones: list[Implementation], values: dict[str, Any]) -> None:
        self._stages = stages
        self._ones = ones
        self._values = values
        self._stack = ExitStack()

    def __enter__(self) -> None:
        for one in self._ones:
            try:
                context = one.call({**self._values, "options": self._stages.options(one.extension)})
                if context is not None:
                    context.__enter__()
                    self._stack.callback(self._leave, one, context)
            except UserError:
                raise
            except Exception as error:  # noqa: BLE001 - as above
                self._stages.drop(one, error)

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def _leave(self, one: Implementation, context: AbstractContextManager[Any]) -> None:
        try:
            context.__exit__(None, None, None)
        except Exception as error:  # noqa: BLE001 - as above
            self._stages.drop(one, error)
