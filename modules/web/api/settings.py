"""/api/v1/settings: the program's settings (the owner's), each person's own, their forms' defaults and presets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from modules.catalog.settings_file import KNOBS
from modules.schema.errors import UserError
from modules.schema.knob import Knob
from modules.schema.settings import PERSONAL, SECTIONS, Settings
from modules.service.app import App
from modules.service.personal import Own, Preset
from modules.service.posting import NotSent
from modules.service.settings import SettingView
from modules.web.api.option_table import PART_OPTIONS, REQUEST_OPTIONS
from modules.web.api.options import Options, TheOptions
from modules.web.api.settings_import import FORMAT, Found, read_file
from modules.web.deps import OWNER_ONLY, Owner, TheApp, read_json
from modules.web.errors import HttpProblem, bad_value

router = APIRouter(prefix="/api/v1/settings")

_IMPORT_LIMIT = 4 << 20
_ALONE = "only the owner of this machine changes it"

FormName = Annotated[str, Query(pattern=r"^[a-z0-9-]{1,32}$")]
Values = dict[str, Any]


class ValuesBody(BaseModel):
    values: Values = Field(description="By name; null is back to the default.")


class NamesBody(BaseModel):
    names: list[str] | None = Field(None, description="Which settings; null is all of them.")


class PresetBody(BaseModel):
    name: str
    form: str = Field(pattern=r"^[a-z0-9-]{1,32}$")
    values: Values


def _is_owner(request: Request) -> bool:
    return request.state.role == "owner"


def _facts(knob: Knob) -> dict[str, Any]:
    return {
        "name": knob.name,
        "label": knob.label,
        "help": knob.help,
        "kind": knob.kind.__name__,
        "choices": list(knob.choices) if knob.choices else None,
        "minimum": knob.minimum,
        "maximum": knob.maximum,
        "step": knob.step,
        "unit": knob.unit,
    }


def _global(view: SettingView) -> dict[str, Any]:
    knob = view.knob
    return {
        **_facts(knob),
        "default": knob.default,
        "value": view.value,
        "in_force": view.in_force,
        "changed": view.is_changed,
        "live": view.is_live,
        "waits": view.waits,
        "given": knob.flag if view.given else None,
    }


def _mine(app: App, own: Own) -> list[dict[str, Any]]:
    """The personal settings; the default of each is what everybody has."""
    everybody = app.settings
    return [
        {
            **_facts(KNOBS[name]),
            "default": getattr(everybody, name),
            "value": own.settings.get(name, getattr(everybody, name)),
            "changed": name in own.settings,
        }
        for name in PERSONAL
    ]


def _all(request: Request, app: App, person: str) -> dict[str, Any]:
    views = app.desk.views() if _is_owner(request) else []
    sections = [
        {"name": name, "title": title, "settings": [_global(view) for view in views if view.knob.section == name]}
        for name, title in SECTIONS.items()
    ]
    return {
        "mine": _mine(app, app.personal.of(person)),
        "sections": [section for section in sections if section["settings"]],
        "may_change": _is_owner(request),
        "notices": list(app.desk.notices) if _is_owner(request) else [],
        "file": str(app.folders.data / "config.json") if _is_owner(request) else None,
    }


def _checked(work: Callable[[], Any]) -> None:
    try:
        work()
    except ValidationError as error:
        raise bad_value(error, Settings) from None


@router.get("")
def settings(request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """The caller's own settings (`mine`) and, for the owner, all of the program's by section: their declarations,
    values and defaults; whether they count at once (`live`), wait for a restart (`waits`), or are given on the
    command line (`given`)."""
    return _all(request, app, owner)


@router.patch("", dependencies=[OWNER_ONLY])
def change(body: ValuesBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Change some of the program's settings, all or none; the answer is all of them."""
    _checked(lambda: app.desk.change(body.values))
    return _all(request, app, owner)


@router.post("/restore", dependencies=[OWNER_ONLY])
def restore(body: NamesBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Back to the defaults: some of the program's settings, or all."""
    app.desk.restore(body.names)
    return _all(request, app, owner)


@router.post("/webhook/test", dependencies=[OWNER_ONLY])
def test_webhook(app: TheApp) -> dict[str, str]:
    """Send a message to the webhook now. `said` is a sentence on it; 502 with a sentence where it did not arrive."""
    try:
        return {"said": app.webhook.test()}
    except NotSent as error:
        raise HttpProblem(502, str(error), "NotSent") from None


@router.get("/mine")
def mine(app: TheApp, owner: Owner) -> dict[str, Any]:
    """The caller's own settings as they count, what of the forms and presets is theirs, and everybody's theme."""
    own = app.personal.of(owner)
    return {
        "settings": {one["name"]: one["value"] for one in _mine(app, own)},
        "changed": sorted(own.settings),
        "forms": own.forms,
        "presets": [asdict(preset) for preset in own.presets],
    }


@router.patch("/mine")
def change_mine(body: ValuesBody, request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Change some of the caller's own settings; the answer is all settings."""
    _checked(lambda: app.personal.change_settings(owner, body.values))
    return _all(request, app, owner)


@router.put("/forms")
def set_default(body: ValuesBody, app: TheApp, owner: Owner, form: FormName) -> dict[str, Any]:
    """Make values the caller's defaults of a form, by their fields' paths; none is back to the program's."""
    app.personal.set_default(owner, form, body.values)
    return mine(app, owner)


@router.put("/presets")
def save_preset(body: PresetBody, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Keep named values of a form; a preset of the same name is replaced."""
    app.personal.save_preset(owner, Preset(body.name.strip(), body.form, body.values))
    return mine(app, owner)


@router.delete("/presets")
def delete_preset(app: TheApp, owner: Owner, name: str, form: FormName) -> dict[str, Any]:
    """Delete a preset; the answer is the deleted one."""
    return asdict(app.personal.delete_preset(owner, name, form))


@router.get("/export")
def export(request: Request, app: TheApp, owner: Owner) -> JSONResponse:
    """A file of what was changed: the caller's own and, for the owner, the program's settings."""
    own = app.personal.of(owner)
    content = {
        "format": FORMAT,
        "settings": app.desk.changed() if _is_owner(request) else {},
        "personal": own.settings,
        "forms": own.forms,
        "presets": [asdict(preset) for preset in own.presets],
    }
    return JSONResponse(content, headers={"Content-Disposition": 'attachment; filename="webui-settings.json"'})


@router.post("/import")
async def import_file(request: Request, app: TheApp, options: TheOptions, owner: Owner) -> dict[str, Any]:
    """Take over a settings file (the body): an export, A1111's `config.json` or its `ui-config.json`.

    The answer lists what was taken and, with a reason, what was left.
    """
    content = await read_json(request, _IMPORT_LIMIT)
    return await run_in_threadpool(_taken_over, app, options, owner, content, _is_owner(request))


def _taken_over(app: App, options: Options, person: str, content: Mapping[str, Any], rules: bool) -> dict[str, Any]:
    found = read_file(content)
    refused: dict[str, str] = {}

    def attempt(key: str, work: Callable[[], Any]) -> None:
        try:
            _checked(work)
        except UserError as error:
            refused[key] = str(error)

    for name, value in found.settings.items():
        if rules:
            attempt(found.keys[name], lambda n=name, v=value: app.desk.change({n: v}))
        else:
            refused[found.keys[name]] = _ALONE
    for name, value in found.options.items():
        if rules:
            attempt(name, lambda n=name, v=value: options.update({n: v}))
        elif name not in REQUEST_OPTIONS and name not in PART_OPTIONS:
            refused[name] = _ALONE
    for name, value in found.personal.items():
        attempt(f"{name} (yours)", lambda n=name, v=value: app.personal.change_settings(person, {n: v}))
    _take_forms(app, person, found, attempt)
    taken = [{"key": key, "what": what} for key, what in found.taken.items() if key not in refused]
    left = [{"key": key, "reason": reason} for key, reason in {**found.left, **refused}.items()]
    return {"taken": taken, "left": left}


def _take_forms(app: App, person: str, found: Found, attempt: Callable[[str, Callable[[], Any]], None]) -> None:
    """A form's other defaults stay."""
    before = app.personal.of(person).forms
    for form, values in found.forms.items():
        merged = {**before.get(form, {}), **values}
        attempt(f"defaults of {form}", lambda f=form, m=merged: app.personal.set_default(person, f, m))
    for preset in found.presets:
        attempt(f"preset {preset.name}", lambda p=preset: app.personal.save_preset(person, p))
