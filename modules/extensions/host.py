"""The extensions of one process: loaded one by one, so that what one does wrong is told and the rest works."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pluggy

from modules.extensions import hooks
from modules.extensions.found import Found, heavy_import, hooks_in
from modules.extensions.loading import forget, load_file
from modules.extensions.names import Names, Sink
from modules.extensions.problems import Problem, Problems, short
from modules.schema.errors import BadRequest, UserError
from modules.schema.extension_options import EXTENSIONS, ExtensionFacts, Options

Process = Literal["web", "engine"]
_FILES: dict[Process, tuple[str, ...]] = {"web": ("extension.py", "web.py"), "engine": ("extension.py", "engine.py")}
_REGISTERING = "register_"


@dataclass(frozen=True)
class Implementation:
    """A hook of an extension; `file` is where it was found."""

    extension: str
    file: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]

    def call(self, values: Mapping[str, Any]) -> Any:
        """Call it with those of the values that it takes."""
        return self.function(**{name: values[name] for name in self.arguments})


class Host:
    """Loads extensions and finds their hooks. `sinks`: where names go, see `Names`. `told` hears of each problem."""

    def __init__(
        self, process: Process, sinks: Mapping[str, Sink], told: Callable[[Problem], None] | None = None
    ) -> None:
        self._process = process
        self.problems = Problems(told)
        self.names = Names(sinks, lambda extension, sentence: self._report(extension, sentence))
        self._manager = pluggy.PluginManager(hooks.PROJECT)
        self._manager.add_hookspecs(hooks)
        self._loaded: dict[str, Found] = {}
        self._facts: dict[str, ExtensionFacts] = {}

    @property
    def loaded(self) -> tuple[Found, ...]:
        return tuple(self._loaded.values())

    def load(self, found: Sequence[Found]) -> None:
        """Bring them in, each by itself; those that cannot be are told."""
        for one in found:
            self.load_one(one)

    def load_one(self, found: Found) -> bool:
        """Bring one in with all of its files; whether it is there."""
        if found.problem:
            self._report(found.name, found.problem)
            return False
        for file in _FILES[self._process]:
            if found.kind == "own" and found.has(file) and not self._load_file(found, file):
                self.unload(found.name)
                forget(found)
                return False
        self._loaded[found.name] = found
        if found.kind == "own" and not self._register_options(found):
            self.unload(found.name)
            return False
        return True

    def add(self, found: Found, plugin: object, file: str = "") -> bool:
        """Take in an object or module with hooks as part of an extension; whether it could be."""
        try:
            self._manager.register(plugin, name=f"{found.name}/{file}")
        except (pluggy.PluginValidationError, ValueError) as error:
            self._report(found.name, f"{file} is not loaded: {_mismatch(error)}", error)
            return False
        self._loaded.setdefault(found.name, found)
        self._complain_of_unknown_hooks(found, file)
        return self._register_options(found) and self._register_names(found, file)

    def unload(self, name: str) -> None:
        """Take an extension out, with everything it has registered."""
        for plugin_name, _ in list(self._manager.list_name_plugin()):
            if plugin_name.startswith(f"{name}/"):
                self._manager.unregister(name=plugin_name)
        self.names.undo(name)
        facts = self._facts.pop(name, None)
        if facts is not None:
            EXTENSIONS.remove(facts)
        self._loaded.pop(name, None)

    def close(self) -> None:
        """Take all of them out."""
        for name in list(self._loaded):
            self.unload(name)
        self.names.undo_all()

    def find(self, hook: str, files: Sequence[str] = ()) -> list[Implementation]:
        """All of a hook in the order of their loading; only those of certain `files` where these are named."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        found: list[Implementation] = []
        for one in sorted(caller.get_hookimpls(), key=lambda one: one.trylast - one.tryfirst):
            extension, _, file = one.plugin_name.partition("/")
            if not files or file in files:
                found.append(Implementation(extension, file, one.function, tuple(one.argnames)))
        return found

    def facts(self, name: str) -> ExtensionFacts | None:
        """What is known of an extension's options, None where it has none."""
        return self._facts.get(name)

    def add_facts(self, facts: ExtensionFacts) -> bool:
        """Let an extension have options; whether its name was free."""
        try:
            EXTENSIONS.add(facts)
        except BadRequest as error:
            self._report(facts.name, f"{str(error).rstrip('.')}; the options of {facts.name} are left out.")
            return False
        self._facts[facts.name] = facts
        self.names.note(facts.name, "options")
        return True

    # Inside

    def _load_file(self, found: Found, file: str) -> bool:
        heavy = heavy_import(found.folder / file) if file != "engine.py" else None
        if heavy is not None:
            self._report(
                found.name,
                f"{file} imports {heavy} at its top, which the web process must not have: put what needs it into "
                "engine.py. The extension is not loaded.",
            )
            return False
        try:
            module = load_file(found, file)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an extension does, the program starts
            words = f"{file} cannot be imported ({short(error)}). The extension is not loaded."
            self._report(found.name, words, error)
            return False
        return self.add(found, module, file)

    def _report(self, extension: str, sentence: str, error: BaseException | None = None) -> None:
        self.problems.report(extension, sentence, error)

    def _complain_of_unknown_hooks(self, found: Found, file: str) -> None:
        """A misspelt hook would be silent for ever."""
        for name, caller in vars(self._manager.hook).items():
            if name.startswith("_") or caller.has_spec():
                continue
            if any(one.plugin_name == f"{found.name}/{file}" for one in caller.get_hookimpls()):
                near = difflib.get_close_matches(name, hooks.HOOKS, n=1)
                hint = f"; is {near[0]!r} meant?" if near else "."
                self._report(found.name, f"{file} has a hook named {name!r}, which does not exist{hint}")

    def _own(self, hook: str, found: Found, file: str) -> Iterator[Implementation]:
        return (one for one in self.find(hook) if (one.extension, one.file) == (found.name, file))

    def _register_options(self, found: Found) -> bool:
        if found.name in self._facts:
            return True
        one = next((one for one in self.find("options") if one.extension == found.name), None)
        model = self._called(found, one, {}) if one is not None else Options
        if model is None:
            return False
        if not (inspect.isclass(model) and issubclass(model, Options)):
            self._report(found.name, "options() must return a class made from Options. The extension is not loaded.")
            return False
        in_the_engine = found.kind == "own" and set(hooks_in(found.folder / "engine.py")) & set(hooks.ENGINE_STAGES)
        if one is None and not self._stages(found.name) and not in_the_engine:
            return True
        return self.add_facts(
            ExtensionFacts(
                found.name,
                found.title,
                model,
                tabs=getattr(model, "TABS", ("txt2img", "img2img")),
                at_the_door=self._works_at_the_door(found),
                help=found.description,
            )
        )

    def _stages(self, name: str) -> list[Implementation]:
        stages = (*hooks.AT_THE_DOOR, *hooks.ENGINE_STAGES)
        return [one for stage in stages for one in self.find(stage) if one.extension == name]

    def _works_at_the_door(self, found: Found) -> bool:
        """Whether nothing of it is left to be done when its job is drawn."""
        inside = any(one.extension == found.name for stage in hooks.ENGINE_STAGES for one in self.find(stage))
        return not inside and not found.has("engine.py") and bool(self._stages(found.name))

    def _register_names(self, found: Found, file: str) -> bool:
        for hook in hooks.HOOKS:
            if not hook.startswith(_REGISTERING):
                continue
            register = self.names.register(found.name, hook.removeprefix(_REGISTERING))
            for one in self._own(hook, found, file):
                if self._called(found, one, {"register": register}, default=True) is None:
                    return False
        return True

    def _called(self, found: Found, one: Implementation, values: Mapping[str, Any], *, default: object = None) -> Any:
        """What a hook returns (or `default`); None when it fails, which is told."""
        try:
            answer = one.call(values)
        except UserError as error:
            self._report(found.name, f"{one.file}: {error} The extension is not loaded.")
        except Exception as error:  # noqa: BLE001 - as above
            words = f"{one.file}: {one.function.__name__} failed ({short(error)}). The extension is not loaded."
            self._report(found.name, words, error)
        else:
            return default if answer is None else answer
        return None


def _mismatch(error: Exception) -> str:
    """What pluggy says of a hook whose arguments are wrong, in its last line."""
    return " ".join(str(error).split("\n")[-1].split()) + "."
