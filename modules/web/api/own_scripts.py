"""/api/v1/scripts: which there are, and what one would draw, before it does."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from pydantic import ValidationError

from modules.schema.errors import BadRequest
from modules.schema.scripts import ScriptRequest
from modules.service.app import App
from modules.service.scripts.layout import layout_of
from modules.service.scripts.table import SCRIPTS, make_program, prepared
from modules.web.deps import Owner, TheApp, read_json
from modules.web.errors import bad_value

router = APIRouter(prefix="/api/v1")

_LIMIT = 2 << 20


@router.get("/scripts")
def scripts() -> list[dict[str, Any]]:
    """All scripts: where they are offered, and their options as a JSON schema."""
    return [
        {"name": one.name, "tabs": one.tabs, "options": one.options.model_json_schema()}
        for one in SCRIPTS
        if one.tabs
    ]


@router.post("/scripts/layout")
async def layout(request: Request, app: TheApp) -> dict[str, Any]:
    """What a script order would draw: `columns`, `rows` and `grids` by their titles, the `places` (x, y, z) of its
    cells in running order, the `sizes` of cells in pictures. Values that are not possible are a 422."""
    values = await read_json(request, _LIMIT)
    try:
        order = ScriptRequest.model_validate(values)
    except ValidationError as error:
        raise bad_value(error, ScriptRequest) from None
    return _layout(prepared(order)[0], app)


@router.get("/jobs/{job_id}/layout")
def job_layout(job_id: str, app: TheApp, owner: Owner) -> dict[str, Any]:
    """The same of a job."""
    order = app.job(job_id, owner).request
    if not isinstance(order, ScriptRequest):
        raise BadRequest("This job is no script: it has no layout.")
    return _layout(order, app)


def _layout(order: ScriptRequest, app: App) -> dict[str, Any]:
    program = make_program(order, app.inputs)
    found = layout_of(program)
    shape = asdict(found) if found else {"columns": [], "rows": [], "grids": [], "places": []}
    return {**shape, "sizes": [program.size(index) for index in range(program.cells)]}
