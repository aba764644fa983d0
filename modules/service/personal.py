"""What each person has set for themselves: some settings, their forms' defaults, and presets. Kept on the server."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from modules.catalog.writing import write_whole
from modules.schema.errors import BadRequest, NotFound, UserError
from modules.schema.settings import PERSONAL, Settings

Values = dict[str, Any]
"""Fields of a form by their path ("steps", "hires.scale"): plain values, or lists of texts."""

MOST_PRESETS = 200
_MOST_FIELDS = 400
_LONGEST_NAME = 100
_MOST_BYTES = 1 << 20
_MOST_PEOPLE = 5000


@dataclass(frozen=True)
class Preset:
    """Named values of a form."""

    name: str
    form: str
    values: Values


@dataclass(frozen=True)
class Own:
    """All that one person has set. `forms`: the defaults of each form by its name."""

    settings: Values = field(default_factory=dict)
    forms: dict[str, Values] = field(default_factory=dict)
    presets: list[Preset] = field(default_factory=list)


class Personal:
    """One JSON file a person below `folder`, those unused for longest removed beyond a few thousand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()

    def of(self, person: str) -> Own:
        """What a person has set; nothing where it cannot be read."""
        try:
            found = json.loads(self._path(person).read_text(encoding="utf-8"))
            presets = [Preset(one["name"], one["form"], dict(one["values"])) for one in found["presets"]]
            forms = {name: dict(values) for name, values in found["forms"].items()}
            return Own(_usable(found["settings"]), forms, presets)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return Own()

    def setting(self, person: str, name: str, everybody: Settings) -> Any:
        """A personal setting's value for that person: their own, else everybody's."""
        return self.of(person).settings.get(name, getattr(everybody, name))

    def change_settings(self, person: str, changes: Mapping[str, Any]) -> Own:
        """Set some, all or none; None is "as everybody has it". Raises ValidationError, or BadRequest for a name."""
        unknown = next((name for name in changes if name not in PERSONAL), None)
        if unknown is not None:
            raise BadRequest(f"{unknown!r} is not a setting that each person has for themselves.", unknown)
        given = {name: value for name, value in changes.items() if value is not None}
        checked = Settings.model_validate(given)
        wanted = {name: getattr(checked, name) for name in given}

        def changed(own: Own) -> Own:
            kept = {name: value for name, value in own.settings.items() if name not in changes}
            return Own({**kept, **wanted}, own.forms, own.presets)

        return self._change(person, changed)

    def set_default(self, person: str, form: str, values: Values) -> Own:
        """Make `values` the form's defaults; none is back to the program's."""
        _check_values(form, values)

        def changed(own: Own) -> Own:
            others = {name: kept for name, kept in own.forms.items() if name != form}
            return Own(own.settings, {**others, form: values} if values else others, own.presets)

        return self._change(person, changed)

    def save_preset(self, person: str, preset: Preset) -> Own:
        """Keep a preset; one of the same name and form is replaced."""
        _check_name(preset.name)
        _check_values(preset.form, preset.values)
        if not preset.values:
            raise BadRequest("There is nothing in this preset: choose what it is to keep.", "values")

        def changed(own: Own) -> Own:
            others = [one for one in own.presets if (one.name, one.form) != (preset.name, preset.form)]
            if len(others) >= MOST_PRESETS:
                raise BadRequest(f"There are {MOST_PRESETS} presets already: delete one of them.")
            return Own(own.settings, own.forms, sorted([*others, preset], key=lambda one: one.name.casefold()))

        return self._change(person, changed)

    def delete_preset(self, person: str, name: str, form: str) -> Preset:
        """Returns it, so that it can be put back; raises NotFound."""
        found = next((one for one in self.of(person).presets if (one.name, one.form) == (name, form)), None)
        if found is None:
            raise NotFound(f"There is no preset named {name!r}.")
        self._change(person, lambda own: Own(own.settings, own.forms, [one for one in own.presets if one != found]))
        return found

    def _change(self, person: str, how: Callable[[Own], Own]) -> Own:
        with self._lock:
            own = how(self.of(person))
            data = json.dumps(asdict(own), ensure_ascii=False).encode()
            if len(data) > _MOST_BYTES:
                raise BadRequest("This is more than is kept for one person: delete some presets.")
            path = self._path(person)
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
                is_new = not path.exists()
                write_whole(path, data)
                if is_new:
                    self._remove_old()
            except OSError as error:
                raise UserError(f"This could not be kept in {self._folder} ({error.strerror}).") from error
            return own

    def _path(self, person: str) -> Path:
        """A person's id may be a secret: the file is named by its hash."""
        return self._folder / f"{hashlib.sha256(person.encode()).hexdigest()[:32]}.json"

    def _remove_old(self) -> None:
        files = sorted(self._folder.glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True)
        for path in files[_MOST_PEOPLE:]:
            path.unlink(missing_ok=True)


def _usable(values: Mapping[str, Any]) -> Values:
    """Personal settings as a file has them; nothing of a file that has others. Raises ValueError."""
    known = {name: value for name, value in values.items() if name in PERSONAL}
    checked = Settings.model_validate(known)
    return {name: getattr(checked, name) for name in known}


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise BadRequest(f"Give the preset a name of up to {_LONGEST_NAME} letters.", "name")


def _check_values(form: str, values: Values) -> None:
    _check_name(form)
    if len(values) > _MOST_FIELDS:
        raise BadRequest(f"A form has no more than {_MOST_FIELDS} fields.", "values")
    for name, value in values.items():
        texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
        if len(name) > _LONGEST_NAME or not (texts or value is None or isinstance(value, str | int | float)):
            raise BadRequest(f"The field {name[:_LONGEST_NAME]!r} has a value that no form has.", "values")
