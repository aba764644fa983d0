"""The extensions of the web process: which there are, which are on, and what they do with a job here.

Their stages of the drawing run in the engine process; what goes wrong with them there arrives here as events.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from PIL import Image

from modules.catalog.families_facts import add_family
from modules.catalog.upscalers import ADDED, UpscalerEntry
from modules.catalog.writing import write_whole
from modules.extensions import hooks
from modules.extensions.a1111.layer import A1111Layer
from modules.extensions.a1111.state import OPTS
from modules.extensions.found import FILES, Found, find_all, hooks_in, missing, to_argument
from modules.extensions.host import Host
from modules.extensions.names import Sink, registry_sink
from modules.extensions.problems import Problem
from modules.extensions.stages import SECONDS, JobStages
from modules.extensions.values import PictureFacts, Places, Prompts
from modules.schema.captioning import CAPTIONERS, CaptionerFacts
from modules.schema.errors import NotFound
from modules.schema.events import Event, ExtensionProblem, ImageDone, Notice
from modules.schema.extension_options import checked_options
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SAMPLERS, SCHEDULES
from modules.schema.scripts import ScriptRequest
from modules.schema.settings import Folders, Settings
from modules.service.extension_events import Listeners
from modules.service.scripts.axes import MORE_AXES
from modules.service.scripts.several import PROMPTS
from modules.service.scripts.table import SCRIPTS

PROGRAM = Path(__file__).resolve().parents[2]
BUILT_IN = "extensions-builtin"
FOLDER = "extensions"
_STATE = "extensions.json"
_ENGINE = "modules.engine.main"
_LARGEST_SEED = 4294967293
_HERE = ("extension.py", "web.py")

OnEvent = Callable[[str | None, Event], None]


@dataclass(frozen=True)
class ExtensionView:
    """An extension as its page shows it. `active`: loaded in this run of the program; `on`: at the next start."""

    found: Found
    on: bool
    active: bool
    registers: list[str]
    missing: list[str]
    problems: list[Problem]


class Extensions:
    """Loads those that are on. `data` holds the user's folder of them, `state` what is switched off, `program` those
    that come with the program. `seconds`: what one may take of a job."""

    def __init__(self, program: Path, data: Path, state: Path, models: Path, seconds: float = SECONDS) -> None:
        self._seconds = seconds
        self._state = state / _STATE
        self.tabs: list[tuple[str, str, Callable[[], None]]] = []
        self.routes: list[tuple[str, Any]] = []
        self.found = find_all(program / BUILT_IN, data / FOLDER)
        self._off = set(self._read().get("off", ()))
        self.host = Host("web", self._sinks())
        self.a1111 = A1111Layer(self.host)
        for one in self.found:
            if one.name not in self._off and self.host.load_one(one) and one.kind == "a1111":
                self.a1111.load(one)
        self.a1111.restore(self._read().get("settings", {}))
        self.listeners = Listeners(self.host)
        self.listeners.started(Places(data, state, models))

    @classmethod
    def of(cls, settings: Settings, places: Folders) -> Self:
        """Those of the program and of a data folder."""
        return cls(PROGRAM, places.data, places.state, places.models, settings.extension_seconds)

    def close(self) -> None:
        """Take back every name that was added."""
        self.listeners.close()
        self.host.close()

    # What there is

    def views(self) -> list[ExtensionView]:
        """All extensions, those that come with the program first."""
        return [self.view(one.name) for one in self.found]

    def view(self, name: str) -> ExtensionView:
        """One extension; raises NotFound."""
        found = next((one for one in self.found if one.name == name), None)
        if found is None:
            raise NotFound(f"There is no extension named {name!r}.")
        active = any(one.name == name for one in self.host.loaded)
        return ExtensionView(
            found,
            name not in self._off,
            active,
            [*self.host.names.labels(name), *_stages(found)] if active else [],
            missing(found.requirements),
            [
                problem
                for part in dict.fromkeys((name, *self.a1111.parts(name)))
                for problem in self.host.problems.of(part)
            ],
        )

    @property
    def active(self) -> list[Found]:
        """Those that are loaded."""
        return [one for one in self.found if one in self.host.loaded]

    def switch(self, name: str, on: bool) -> ExtensionView:
        """Switch one off, at once for new jobs, or on from the next start; raises NotFound."""
        self.view(name)
        self._off = self._off - {name} if on else self._off | {name}
        if not on:
            for part in (*self.a1111.parts(name), name):
                self.host.unload(part)
            self.listeners.look()
        write_whole(self._state, json.dumps({**self._read(), "off": sorted(self._off)}, indent=1).encode())
        return self.view(name)

    def remarks(self, name: str) -> list[str]:
        """What else the owner should know of an extension."""
        return self.a1111.remarks(name)

    def settings(self, name: str) -> list[dict[str, Any]]:
        """The settings that it has added: `name`, `label`, `kind`, `value`, `choices` each."""
        return self.a1111.settings(name)

    def keep_settings(self, name: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Set some of them; gives all back."""
        for key, value in values.items():
            OPTS.set(key, value)
        kept = {**self._read().get("settings", {}), **values}
        write_whole(self._state, json.dumps({**self._read(), "settings": kept}, indent=1).encode())
        return self.settings(name)

    def engine_arguments(self) -> list[str]:
        """What an engine process is told on its command line."""
        words = [word for one in self.active if one.kind == "own" for word in ("--extension", to_argument(one))]
        return [*words, "--extension-seconds", str(self._seconds)]

    def on_engines(self, commands: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """The engines' command lines with the extensions that each is to load."""
        words = self.engine_arguments()
        return {name: [*line, *words] if _ENGINE in line else line for name, line in commands.items()}

    # A job

    def at_the_door(self, order: AnyOrder) -> tuple[AnyOrder, list[Notice]]:
        """An order with its prompts as extensions make them, and what was wrong meanwhile.

        Pictures that get prompts of their own become cells of a script. Raises what an extension refuses.
        """
        if not isinstance(order, GenerationRequest) or not order.extensions:
            return order, []
        said: list[str] = []
        stages = self._stages(order, said.append)
        if not stages.has(*hooks.AT_THE_DOOR):
            return order, []
        order = order.replace(seed=_drawn(order.seed), subseed=_drawn(order.subseed))
        texts: dict[str, str] = {}
        order = stages.through("request", "request", order, texts=texts)
        made = [self._prompts(stages, order, index) for index in range(order.image_count)]
        notices = [Notice(sentence, "warning") for sentence in said]
        if all(one == made[0] for one in made):
            prompts, more = made[0]
            return self._settled(order, stages, prompts, {**texts, **more}), notices
        base = self._settled(order, stages, Prompts(order.prompt, order.negative_prompt), texts)
        options = {
            "prompts": [prompts.prompt for prompts, _ in made],
            "negative_prompts": [prompts.negative_prompt for prompts, _ in made],
            "texts": [more for _, more in made],
        }
        return ScriptRequest(script=PROMPTS, base=base, options=options), notices

    def prompted(self, request: GenerationRequest) -> GenerationRequest:
        """A script's cell with its prompts as extensions make them for its first picture."""
        if not request.extensions:
            return request
        stages = self._stages(request)
        if not stages.has(*hooks.AT_THE_DOOR):
            return request
        texts: dict[str, str] = {}
        request = stages.through("request", "request", request, texts=texts)
        prompts, more = self._prompts(stages, request, 0)
        return self._settled(request, stages, prompts, {**texts, **more})

    def finished(self, request: GenerationRequest, done: ImageDone) -> ImageDone:
        """A drawn picture as extensions of this process make it, before it is saved."""
        if not request.extensions or not self.host.find("image", ("web.py",)):
            return done
        stages = JobStages(self.host, self._known(request), files=("web.py",), seconds=self._seconds)
        facts = PictureFacts(done.index, request.image_seeds(0)[0], request)
        drawn = Image.frombytes("RGB", (done.width, done.height), done.pixels)
        new = stages.through("image", "image", drawn, lambda one: isinstance(one, Image.Image), picture=facts)
        new = new.convert("RGB")
        return replace(done, width=new.width, height=new.height, pixels=new.tobytes())

    def heard(self, makers: Mapping[str, Callable[[OnEvent, Any], Any]]) -> dict[str, Callable[[OnEvent, Any], Any]]:
        """Makers of engine handles whose extensions' problems arrive here."""
        return {name: self._hearing(make) for name, make in makers.items()}

    # Inside

    def _hearing(self, make: Callable[[OnEvent, Any], Any]) -> Callable[[OnEvent, Any], Any]:
        def made(on_event: OnEvent, on_death: Any) -> Any:
            def hear(job_id: str | None, event: Event) -> None:
                if not isinstance(event, ExtensionProblem):
                    on_event(job_id, event)
                    return
                self.host.problems.take(Problem(event.extension, event.sentence, event.log_id))
                if job_id is not None:
                    on_event(job_id, Notice(event.sentence, "warning"))

            return make(hear, on_death)

        return made

    def _stages(self, request: GenerationRequest, say: Callable[[str], None] = lambda sentence: None) -> JobStages:
        """Of those extensions whose work at the door is still to be done."""
        options = checked_options(self._known(request))
        waiting = {name: given for name, given in options.items() if not given["settled"]}
        return JobStages(self.host, waiting, say, files=_HERE, seconds=self._seconds)

    def _known(self, request: GenerationRequest) -> dict[str, Any]:
        return {name: given for name, given in request.extensions.items() if self.host.facts(name) is not None}

    def _prompts(self, stages: JobStages, request: GenerationRequest, index: int) -> tuple[Prompts, dict[str, str]]:
        seed, subseed = request.image_seeds(index)
        facts = PictureFacts(index, subseed if request.subseed_strength else seed, request)
        texts: dict[str, str] = {}
        before = Prompts(request.prompt, request.negative_prompt)
        return stages.through("prompt", "prompts", before, picture=facts, texts=texts), texts

    def _settled(
        self, request: GenerationRequest, stages: JobStages, prompts: Prompts, texts: dict[str, str]
    ) -> GenerationRequest:
        options = checked_options(request.extensions)
        worked = [one.extension for stage in hooks.AT_THE_DOOR for one in self.host.find(stage, _HERE)]
        done = [name for name in options if name in worked and stages.is_on(name)]
        for name in done:
            options[name] = {**options[name], "settled": True}
        if done:
            options[done[0]] = {**options[done[0]], "texts": texts}
        return request.replace(prompt=prompts.prompt, negative_prompt=prompts.negative_prompt, extensions=options)

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._state.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def _sinks(self) -> dict[str, Sink]:
        return {
            "samplers": registry_sink(SAMPLERS),
            "schedules": registry_sink(SCHEDULES),
            "axes": registry_sink(MORE_AXES),
            "scripts": registry_sink(SCRIPTS),
            "upscalers": lambda _, name, *__: registry_sink(ADDED)("", UpscalerEntry(name)),
            "captioners": lambda _, name, *__: registry_sink(CAPTIONERS)("", CaptionerFacts(name)),
            "families": lambda _, facts, recognise, *__: add_family(facts, recognise),
            "tabs": self._take_tab,
            "routes": self._take_routes,
        }

    def _take_tab(self, extension: str, title: str, build: Callable[[], None]) -> Callable[[], None]:
        entry = (extension, title, build)
        self.tabs.append(entry)
        return lambda: self.tabs.remove(entry)

    def _take_routes(self, extension: str, router: Any) -> Callable[[], None]:
        entry = (extension, router)
        self.routes.append(entry)
        return lambda: self.routes.remove(entry)


def _stages(found: Found) -> Iterable[str]:
    """The stages and events in its files, in words."""
    named = [hook for file in FILES for hook in hooks_in(found.folder / file)]
    known = (*hooks.AT_THE_DOOR, *hooks.ENGINE_STAGES, *hooks.EVENTS)
    words = {**dict.fromkeys(known, "stage"), **dict.fromkeys(hooks.EVENTS, "event")}
    return dict.fromkeys(f"{words[hook]} {hook}" for hook in named if hook in words)


def _drawn(seed: int) -> int:
    return secrets.randbelow(_LARGEST_SEED + 1) if seed == -1 else seed
