"""Loads extensions of A1111's manner: their scripts become extensions of ours, their callbacks are kept."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from modules.extensions.a1111 import finder
from modules.extensions.a1111.callbacks import ImageSaveParams
from modules.extensions.a1111.components import arguments_of
from modules.extensions.a1111.plugin import AlwaysOn, selected
from modules.extensions.a1111.processing import StableDiffusionProcessing
from modules.extensions.a1111.reading import refusal, remarks
from modules.extensions.a1111.script import AlwaysVisible, Script
from modules.extensions.a1111.state import LOADING, OPTS, Loaded
from modules.extensions.found import Found
from modules.extensions.hooks import hook
from modules.extensions.host import Host
from modules.extensions.loading import package_of
from modules.extensions.problems import short
from modules.extensions.values import JobFacts, SavedPicture
from modules.extensions.values import Script as OurScript
from modules.schema.extension_options import ExtensionFacts, Options
from modules.schema.frozen import Frozen
from modules.schema.request import GenerationRequest

_SLUG = re.compile(r"[^a-z0-9]+")
_FILE = "web.py"  # by which the host knows hooks of the web process


class A1111Layer:
    """What has been loaded of such extensions in this process, by their names."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._loaded: dict[str, Loaded] = {}
        self._remarks: dict[str, list[str]] = {}
        self._parts: dict[str, list[str]] = {}

    def load(self, found: Found) -> None:
        """Run its scripts, each by itself, and take in what they are."""
        finder.install()
        loaded = self._loaded[found.name] = Loaded(found.folder)
        files = [found.folder / "scripts" / name for name in found.files("scripts", ".py")]
        files = [file for file in files if not file.name.startswith("__")]
        self._remarks[found.name] = remarks(found.folder, files)
        with _being_loaded(loaded, found.folder):
            for file in files:
                self._load_file(found, file)
            for callback in (*loaded.callbacks.get("before_ui", ()), *loaded.callbacks.get("ui_settings", ())):
                self._guarded(found.name, "A callback", callback)
            self._take_tabs(found, loaded)
        if loaded.callbacks.get("image_saved"):
            self._host.add(found, _Callbacks(loaded), "callbacks")
        unheard = ", ".join(sorted(loaded.not_called))
        if unheard:
            self._remarks[found.name].append(
                f"{unheard}: never called, for it works on A1111's model objects or its page."
            )

    def parts(self, name: str) -> list[str]:
        """The names of an extension's scripts as extensions of ours."""
        return self._parts.get(name, [])

    def remarks(self, name: str) -> list[str]:
        """What of it has no effect here."""
        return self._remarks.get(name, [])

    def settings(self, name: str) -> list[dict[str, Any]]:
        """The settings that it has added."""
        options = self._loaded[name].options if name in self._loaded else {}
        return [
            {"name": key, "label": info.label or key, "kind": info.kind, "value": OPTS.data.get(key, info.default),
             "choices": info.choices}
            for key, info in options.items()
        ]  # fmt: skip

    def restore(self, values: dict[str, Any]) -> None:
        """Settings as they were kept; those of extensions that are not there are passed over."""
        for key, value in values.items():
            if key in OPTS.data_labels:
                OPTS.data[key] = value

    def app_started(self, demo: Any, server: Any) -> None:
        """The page is built: tell those who wait for it."""
        for name, loaded in self._loaded.items():
            for callback in loaded.callbacks.get("app_started", ()):
                self._guarded(name, "on_app_started", lambda call=callback: call(demo, server))

    # Inside

    def _load_file(self, found: Found, file: Path) -> None:
        why_not = refusal(file)
        if why_not is not None:
            self._host.problems.report(found.name, why_not)
            return
        try:
            module = _run(found, file)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a script does, the program starts
            words = f"{file.name} cannot be loaded ({short(error)})."
            self._host.problems.report(found.name, words, error)
            return
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, Script) and kind.__module__ == module.__name__:
                what = f"{kind.__name__} in {file.name}"
                self._guarded(found.name, what, lambda kind=kind: self._take(found, kind, file))

    def _take(self, found: Found, kind: type[Script], file: Path) -> None:
        script = kind()
        script.filename = str(file)
        title = script.title()
        shown = {tab: script.show(tab == "img2img") for tab in ("txt2img", "img2img")}
        tabs = tuple(tab for tab, answer in shown.items() if answer is not False and answer is not None)
        script.alwayson = AlwaysVisible in shown.values()
        script.is_img2img = tabs == ("img2img",)
        script.is_txt2img = "txt2img" in tabs
        if not tabs:
            return
        components = _components(script, is_img2img="txt2img" not in tabs)
        base = Options if script.alwayson else Frozen
        options, arguments, notes = arguments_of(title, components, base)
        self._remarks[found.name] += notes
        if not script.alwayson:
            entry = OurScript(title, options, function=selected(script, arguments), tabs=tabs)
            self._host.names.register(found.name, "scripts")(entry)
            return
        name = self._free(found.name, title)
        works_later = getattr(script, "postprocess_image", None) is not None
        facts = ExtensionFacts(name, title, options, tabs, at_the_door=not works_later)  # type: ignore[arg-type]
        if self._host.add_facts(facts):
            self._parts.setdefault(found.name, []).append(name)
            self._host.add(_named(found, name), AlwaysOn(name, script, arguments), _FILE)
            self._host.names.note(found.name, f"always-on script {title}")

    def _free(self, folder: str, title: str) -> str:
        taken = self._parts.get(folder, [])
        name = folder if not taken else f"{folder}-{_SLUG.sub('-', title.lower()).strip('-')}"
        return name if name not in taken else f"{name}-{len(taken) + 1}"

    def _take_tabs(self, found: Found, loaded: Loaded) -> None:
        register = self._host.names.register(found.name, "tabs")
        for callback in loaded.callbacks.get("ui_tabs", ()):
            made: list[Any] = []
            self._guarded(found.name, "on_ui_tabs", lambda call=callback, made=made: made.extend(call() or ()))
            for block, title, _ in made:
                register(str(title), block.render)

    def _guarded(self, name: str, what: str, work: Callable[[], Any]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - as above
            self._host.problems.report(name, f"{what} failed ({short(error)}).", error)


class _Callbacks:
    """Callbacks of an extension behind our hooks."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    @hook
    def image_saved(self, job: JobFacts, picture: SavedPicture) -> None:
        """on_image_saved."""
        request = getattr(job.request, "base", job.request)
        p = StableDiffusionProcessing(request) if isinstance(request, GenerationRequest) else None
        texts = {"parameters": picture.infotext}
        for callback in self._loaded.callbacks.get("image_saved", ()):
            callback(ImageSaveParams(None, p, str(picture.path or ""), texts))


def _components(script: Script, *, is_img2img: bool) -> list[Any]:
    """What `ui` returns. Only a script that has imported Gradio can make components with it."""
    gradio: Any = sys.modules.get("gradio")
    with gradio.Blocks(analytics_enabled=False) if gradio is not None else contextlib.nullcontext():
        made = script.ui(is_img2img)
    return list(made) if isinstance(made, list | tuple) else ([made] if made is not None else [])


@contextlib.contextmanager
def _being_loaded(loaded: Loaded, folder: Path) -> Iterator[None]:
    """A1111 has an extension's folder on the path while it loads it; here only meanwhile."""
    token = LOADING.set(loaded)
    sys.path.insert(0, str(folder))
    before = set(sys.modules)
    try:
        yield
    finally:
        LOADING.reset(token)
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if name == "scripts" or name.startswith("scripts."):
                del sys.modules[name]


def _run(found: Found, file: Path) -> ModuleType:
    name = f"{package_of(found)}_{_SLUG.sub('_', file.stem.lower())}"
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _named(found: Found, name: str) -> Found:
    return found if found.name == name else Found(name, found.folder, found.source, found.kind, found.title)
