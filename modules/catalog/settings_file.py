"""The settings' file, `config.json` of the data folder: what is ours in it, and how it is read when it is broken.

The file may be A1111's own: keys that are not ours are left alone, here and when it is written again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from modules.catalog.writing import write_whole
from modules.schema.errors import SetupError
from modules.schema.knob import knobs
from modules.schema.settings import NOT_IN_FILE, SECRET, Settings

FILE = "config.json"
KNOBS = {name: knob for name, knob in knobs(Settings).items() if name not in NOT_IN_FILE}
"""The settings that the file may say."""


def read_config(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The JSON object in the file; one that cannot be read as such is moved aside, which the sentence says.

    Raises SetupError where the file can neither be read nor moved.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        raise SetupError(f"{path} cannot be read ({error.strerror}): mend that and start again.") from error
    except (ValueError, RecursionError):
        content = None
    if isinstance(content, dict):
        return content, []
    aside = path.with_name(path.name + ".broken")
    try:
        os.replace(path, aside)
    except OSError as error:
        raise SetupError(f"{path} is not JSON and cannot be moved aside ({error.strerror}): remove it.") from error
    return {}, [f"The settings in {path} could not be read and were moved to {aside.name}; the defaults are used."]


def usable(content: Mapping[str, Any], path: Path) -> tuple[dict[str, Any], list[str]]:
    """The settings in a file's content, as they are there; and a sentence on each that cannot be, whose default is
    used."""
    values = {name: value for name, value in content.items() if name in KNOBS}
    apart = [f"{path.name}: {name} is given on the command line alone." for name in NOT_IN_FILE if content.get(name)]
    try:
        Settings.model_validate(values)
    except ValidationError as error:
        reasons = {str(one["loc"][0]): one["msg"] for one in error.errors()}
        sentences = [f"{path.name}: {_wrong(name, values[name], reason)}" for name, reason in reasons.items()]
        return {name: value for name, value in values.items() if name not in reasons}, [*apart, *sentences]
    return values, apart


def _wrong(name: str, value: Any, reason: str) -> str:
    shown = "what it is" if name in SECRET else repr(value)
    should = reason.removeprefix("Value error, ").replace("Input should be", "it should be")
    return f"{name} cannot be {shown} ({should}); its default is used."


def write_config(path: Path, content: Mapping[str, Any]) -> None:
    """Write the whole file, readable to people. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, (json.dumps(content, indent=4, ensure_ascii=False) + "\n").encode())
