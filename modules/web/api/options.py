"""Options: A1111's flat dictionary of global values, kept for its API.

They fill what a request of `/sdapi` leaves open. The page does not use them: all that decides its pictures is in its
own requests.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError

from modules.catalog.writing import write_whole
from modules.schema.errors import BadRequest, UserError
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings
from modules.service.app import App
from modules.web.api.option_table import (
    CHECKPOINT,
    FIXED_OPTIONS,
    OF_ONE_REQUEST,
    OWN_DEFAULTS,
    REQUEST_OPTIONS,
    RESTRICTED,
    SETTING_OPTIONS,
    SPELLINGS,
    STORED_OPTIONS,
)
from modules.web.deps import OWNER_ONLY, TheApp
from modules.web.errors import HttpProblem, bad_value

_LOG = logging.getLogger(__name__)
_NAMES = {field: key for key, field in REQUEST_OPTIONS.items()}
_FALLBACK = GenerationRequest()
_UNSET = object()

router = APIRouter(prefix="/sdapi/v1")


class Options:
    """The options' values: defaults, changed by what clients have set; safe for many threads.

    What was set is kept in `options.json` of the state folder.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._path: Path = app.folders.state / "options.json"
        self._lock = threading.Lock()
        self._set = self._load()

    def values(self) -> dict[str, Any]:
        """Every option and its value now."""
        fields = {key: getattr(_FALLBACK, field) for key, field in REQUEST_OPTIONS.items()}
        known = {view.knob.name: view.value for view in self._app.desk.views()}
        settings = {key: known[field] for key, field in SETTING_OPTIONS.items()}
        start = {CHECKPOINT: self._app.selected_checkpoint, **fields, **OWN_DEFAULTS, **STORED_OPTIONS}
        with self._lock:
            return {**start, **settings, **FIXED_OPTIONS, **self._set}

    def checked(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """All values with `changes`, for one request; raises for an unknown key, a wrong type, or a value that cannot
        be had."""
        merged = self._merged(changes)
        now = self.values()
        for key in SETTING_OPTIONS:
            if merged[key] != now[key] and key not in OF_ONE_REQUEST:
                raise BadRequest(
                    f"The option {key!r} is a setting of the whole program: the owner changes it for all requests, "
                    "with /sdapi/v1/options or on the Settings page.",
                    key,
                )
        return merged

    def _merged(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        now = self.values()
        changes = _ours(changes)
        for key, value in changes.items():
            if key not in now:
                raise HttpProblem(500, f"There is no option named {key!r}.", "KeyError")
            if value != now[key] or type(value) is not type(now[key]):
                self._check(key, value, now[key])
        merged = {**now, **changes}
        try:
            request_fields(merged)
        except ValidationError as error:
            raise bad_value(error, GenerationRequest, _NAMES) from None
        return merged

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set values and keep them; nothing is changed when one of them is wrong."""
        self._merged(changes)
        changes = _ours(changes)
        now = self.values()
        settings = {SETTING_OPTIONS[k]: v for k, v in changes.items() if k in SETTING_OPTIONS and v != now[k]}
        checkpoint = changes.get(CHECKPOINT)
        if checkpoint and checkpoint != self._app.selected_checkpoint:
            self._select(checkpoint)
        if settings:
            self._app.desk.change(settings)
        kept = {k: v for k, v in changes.items() if k in REQUEST_OPTIONS or k in STORED_OPTIONS}
        with self._lock:
            self._set = {**self._set, **kept}
            self._save()

    def _select(self, checkpoint: Any) -> None:
        try:
            self._app.select_checkpoint(str(checkpoint))
        except UserError as error:
            raise HttpProblem(500, str(error), "RuntimeError") from None

    def _check(self, key: str, value: Any, now: Any) -> None:
        if key in SETTING_OPTIONS and value != now:
            try:
                self._app.desk.check({SETTING_OPTIONS[key]: value})
            except ValidationError as error:
                raise bad_value(error, Settings, {SETTING_OPTIONS[key]: key}) from None
        if key in FIXED_OPTIONS and value != now:
            raise BadRequest(f"The option {key!r} can only be {FIXED_OPTIONS[key]!r} here.", key)
        if (key in STORED_OPTIONS or key in SETTING_OPTIONS) and type(value) is not type(now):
            raise BadRequest(f"The option {key!r} is {value!r} but should be like {now!r}.", key)
        if key == "sd_vae" and str(value).casefold() not in ("automatic", "none"):
            self._app.vaes.find(str(value))

    def _load(self) -> dict[str, Any]:
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
            known = {k: v for k, v in found.items() if k in REQUEST_OPTIONS or k in STORED_OPTIONS}
            request_fields(known)
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError) as error:
            _LOG.warning("%s cannot be used (%s); the options are at their defaults", self._path, error)
            return {}
        return known

    def _save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._path, json.dumps(self._set, indent=1, ensure_ascii=False).encode())


def _ours(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is never changed over the API, and with our spellings."""
    wanted = {key: value for key, value in changes.items() if not key.startswith(RESTRICTED)}
    for key in wanted.keys() & SPELLINGS.keys():
        if isinstance(wanted[key], str):
            wanted[key] = SPELLINGS[key].get(wanted[key], wanted[key])
    return wanted


def request_fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of a request from option values; raises ValidationError for a value that cannot be."""
    fields = {
        field: values[key]
        for key, field in REQUEST_OPTIONS.items()
        if key in values and values[key] != OWN_DEFAULTS.get(key, _UNSET)
    }
    _FALLBACK.replace(**fields)
    return fields


async def _options(request: Request) -> Options:
    return request.app.state.options


TheOptions = Annotated[Options, Depends(_options)]


@router.get("/options")
def get_options(options: TheOptions) -> dict[str, Any]:
    """Every option and its value."""
    return options.values()


@router.post("/options", dependencies=[OWNER_ONLY])
def set_options(changes: dict[str, Any], options: TheOptions) -> None:
    """Change some options; all of them or, when one is wrong, none."""
    options.update(changes)


@router.get("/cmd-flags")
def flags(app: TheApp) -> dict[str, Any]:
    """What the server was started with, under our names and A1111's."""
    settings = app.settings
    return {
        **settings.model_dump(),
        "listen": settings.server_name not in ("127.0.0.1", "localhost", "::1"),
        "nowebui": False,
        "ckpt_dirs": [str(folder) for folder in app.folders.checkpoints],
    }
