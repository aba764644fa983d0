"""The settings while the program runs: what each is, what it will be at the next start, and how they are changed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modules.catalog.settings_file import KNOBS, read_config, usable, write_config
from modules.schema.errors import BadRequest, UserError
from modules.schema.knob import Knob
from modules.schema.settings import LIVE, Settings

_PATTERNS = ("dataset_filename_word_regex", "cors_allow_origins_regex")


@dataclass(frozen=True)
class SettingView:
    """A setting as its page shows it. `value` is what the file says, and what counts from the next start on;
    `in_force` what counts now. `given`: the command line says it, which wins over the file."""

    knob: Knob
    value: Any
    in_force: Any
    given: bool

    @property
    def is_live(self) -> bool:
        return self.knob.name in LIVE

    @property
    def is_changed(self) -> bool:
        return self.value != self.knob.default

    @property
    def waits(self) -> bool:
        """Whether it is to be another one after a restart."""
        return self.value != self.in_force


class SettingsDesk:
    """Reads and changes the settings. Safe for threads. `notices`: what was wrong with their file, for the owner.

    `settings` are those that the program began with; `path` is their file; `use` is told of every new whole of them
    that counts at once.
    """

    def __init__(self, settings: Settings, path: Path, use: Callable[[Settings], None]) -> None:
        self._path = path
        self._use = use
        self._lock = threading.Lock()
        self._now = settings
        self.notices: list[str] = []
        self._stored, _ = usable(read_config(path)[0], path)
        stored = Settings.model_validate(self._stored)
        said = settings.model_fields_set & KNOBS.keys()
        self._given = frozenset(name for name in said if getattr(settings, name) != getattr(stored, name))

    def views(self) -> list[SettingView]:
        """All of them, in the order of their declaration."""
        with self._lock:
            chosen = Settings.model_validate(self._stored)
            return [self._view(knob, chosen) for knob in KNOBS.values()]

    def value(self, name: str) -> Any:
        """What a setting is, or will be at the next start."""
        with self._lock:
            return self._view(KNOBS[name], Settings.model_validate(self._stored)).value

    def changed(self) -> dict[str, Any]:
        """The values in the file that are not the defaults."""
        return {view.knob.name: view.value for view in self.views() if view.is_changed and not view.given}

    def check(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """What `change` would have the file say of them; raises what it raises."""
        unknown = next((name for name in changes if name not in KNOBS), None)
        if unknown is not None:
            raise BadRequest(f"There is no setting named {unknown!r}.", unknown)
        self._refuse_given(changes)
        given = {name: value for name, value in changes.items() if value is not None}
        checked = Settings.model_validate(given)
        _check_patterns(checked, changes)
        return {name: getattr(checked, name) for name in given}

    def change(self, changes: Mapping[str, Any]) -> None:
        """Set some settings, all or (when one is wrong) none; None is back to the default. They are kept in the file,
        and take effect where they can.

        Raises pydantic's ValidationError for a value that cannot be, BadRequest for a name, a pattern that cannot be,
        or a setting that the command line says; UserError where the file cannot be written.
        """
        wanted = self.check(changes)
        with self._lock:
            content, broken = read_config(self._path)
            self.notices += broken
            for name in changes:
                if name not in wanted or wanted[name] == KNOBS[name].default:
                    content.pop(name, None)
                else:
                    content[name] = wanted[name]
            try:
                write_config(self._path, content)
            except OSError as error:
                raise UserError(
                    f"The settings could not be written to {self._path} ({error.strerror}): make room there, or "
                    "make the folder writable."
                ) from error
            self._stored, _ = usable(content, self._path)
            live = {name: wanted.get(name, KNOBS[name].default) for name in changes if name in LIVE}
            self._now = self._now.replace(**live)
            if live:
                self._use(self._now)

    def restore(self, names: list[str] | None = None) -> None:
        """Back to the defaults: some, or all that the command line does not say."""
        if names is None:
            names = [name for name in KNOBS if name not in self._given]
        self.change(dict.fromkeys(names))

    def _view(self, knob: Knob, chosen: Settings) -> SettingView:
        given = knob.name in self._given
        in_force = getattr(self._now, knob.name)
        return SettingView(knob, in_force if given else getattr(chosen, knob.name), in_force, given)

    def _refuse_given(self, changes: Mapping[str, Any]) -> None:
        given = next((name for name in changes if name in self._given), None)
        if given is not None:
            knob = KNOBS[given]
            raise BadRequest(
                f"{knob.label} was given at the start ({knob.flag}), which wins over the file: leave it away "
                "there to set it here.",
                given,
            )


def _check_patterns(checked: Settings, changes: Mapping[str, Any]) -> None:
    for name in _PATTERNS:
        if name not in changes:
            continue
        try:
            re.compile(getattr(checked, name))
        except re.error as error:
            raise BadRequest(f"{KNOBS[name].label} is no regular expression ({error}).", name) from None
