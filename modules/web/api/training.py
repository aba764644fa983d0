"""/api/v1/training: ordering training runs, watching, pausing and ending them, and their files."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import FileResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from modules.schema.errors import BadRequest, NotFound
from modules.schema.parts import PARTS
from modules.schema.training import PRESETS, TrainingRequest
from modules.service.training.desk import Summary
from modules.service.training.files import RunFile
from modules.service.training.history import COLUMNS
from modules.web.api.own_jobs import event_stream
from modules.web.deps import KeyHeader, Owner, TheApp, read_json, submit_keyed
from modules.web.errors import bad_value


async def _own_run(request: Request, app: TheApp, owner: Owner) -> None:
    """Other people's runs are there for the machine's owner only."""
    run_id = request.path_params.get("run_id")
    if run_id is None or request.state.role == "owner":
        return
    if await run_in_threadpool(app.training.owner, run_id) != owner:
        raise NotFound(f"There is no training run {run_id!r} of yours.")


router = APIRouter(prefix="/api/v1/training", dependencies=[Depends(_own_run)])

_REQUEST_LIMIT = 1 << 20
_MOST_POINTS = 100_000
# What is in a copy or a preview never changes under its name, except where a run goes on from an earlier step.
_FILE_HEADERS = {"Cache-Control": "private, no-cache"}
_TYPES = {".png": "image/png", ".json": "application/json", ".csv": "text/csv"}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ResumeBody(_Body):
    """`steps`: where the run is to end now, counted from its beginning; None is where it was to end."""

    steps: int | None = Field(None, ge=1, le=1_000_000)


class StopBody(_Body):
    keep: Literal["best", "last"] = "last"


class KeepBody(_Body):
    step: int = Field(ge=0)


def read_request(values: dict[str, Any]) -> TrainingRequest:
    """A TrainingRequest from JSON; raises BadRequest that names the field."""
    try:
        return TrainingRequest.model_validate(values)
    except ValidationError as error:
        place = [str(step) for step in error.errors(include_url=False)[0]["loc"]]
        if place[:1] == ["preview"] and len(place) > 1 and place[1] not in PARTS:
            raise BadRequest(f"preview.{place[1]}: {error.errors(include_url=False)[0]['msg']}.", "preview") from None
        raise bad_value(error, TrainingRequest) from None


def run_json(summary: Summary) -> dict[str, Any]:
    """A run as it is listed; `job` is None where this program does not know its job."""
    return {**asdict(summary), "job": summary.job or None}


def _file_json(run_id: str, file: RunFile) -> dict[str, Any]:
    return {**asdict(file), "url": f"/api/v1/training/runs/{quote(run_id)}/files/{quote(file.name)}"}


def _summary(app: TheApp, run_id: str) -> dict[str, Any]:
    return run_json(app.training.summary(run_id))


@router.get("/presets")
def presets() -> dict[str, dict[str, Any]]:
    """Changes of a request by the preset's name."""
    return PRESETS


@router.post("", status_code=201)
async def order(request: Request, app: TheApp, owner: Owner, key: KeyHeader = None) -> dict[str, Any]:
    """Put a training (JSON, a TrainingRequest) into the queue; answers with its job's id and its run."""
    sent = await read_json(request, _REQUEST_LIMIT)
    job = await run_in_threadpool(submit_keyed, app, read_request(sent), owner, key, sent)
    assert isinstance(job.request, TrainingRequest)
    return {"job": job.id, "run": job.request.run}


@router.post("/check")
async def check(request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """What is worth knowing before the first step; an error where the training would be refused."""
    wanted = read_request(await read_json(request, _REQUEST_LIMIT))
    await run_in_threadpool(app.limits.check, wanted, owner)
    return asdict(await run_in_threadpool(app.training.check, wanted))


@router.get("/runs")
def runs(request: Request, app: TheApp, owner: Owner) -> list[dict[str, Any]]:
    """All runs, newest first; a user's own only."""
    is_owner = request.state.role == "owner"
    found = app.training.list()
    return [run_json(summary) for summary in found if is_owner or app.training.owner(summary.run) == owner]


@router.get("/runs/{run_id}")
def one_run(run_id: str, app: TheApp) -> dict[str, Any]:
    detail = app.training.detail(run_id)
    return {
        **run_json(detail.summary),
        "request": detail.request.model_dump(mode="json"),
        "best": detail.best,
        "best_step": detail.best_step,
        "files": [_file_json(run_id, file) for file in detail.files],
        "notices": detail.notices,
        "last": detail.last,
    }


@router.get("/runs/{run_id}/history")
def history(
    run_id: str,
    app: TheApp,
    after: Annotated[int, Query(ge=0)] = 0,
    points: Annotated[int, Query(ge=2, le=_MOST_POINTS)] = 1000,
) -> dict[str, Any]:
    """The curves above step `after`, thinned; steps with an evaluation and the newest one are always there."""
    return {"columns": list(COLUMNS), "rows": app.training.history(run_id, after, points)}


@router.get("/runs/{run_id}/events")
async def events(
    run_id: str,
    app: TheApp,
    after: Annotated[int, Query(ge=0)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """The events of the run's newest job, for whoever ordered it and anybody else; see /api/v1/jobs/ID/events."""
    return await event_stream(app, await run_in_threadpool(app.training.job, run_id), after, last_event_id)


@router.post("/runs/{run_id}/pause")
def pause(run_id: str, app: TheApp) -> dict[str, Any]:
    """Save the state at the next step and stop; Resume goes on with it."""
    app.training.pause(run_id)
    return _summary(app, run_id)


@router.post("/runs/{run_id}/resume", status_code=201)
def resume(run_id: str, app: TheApp, owner: Owner, body: ResumeBody | None = None) -> dict[str, Any]:
    """Put the run into the queue again, a finished one with more `steps`."""
    job = app.training.resume(run_id, owner, body.steps if body else None)
    return {**_summary(app, run_id), "job": job.id}


@router.post("/runs/{run_id}/stop")
def stop(run_id: str, app: TheApp, body: StopBody | None = None) -> dict[str, Any]:
    """End the run with what it has learned last, or at its best evaluation."""
    app.training.stop(run_id, (body or StopBody()).keep)
    return _summary(app, run_id)


@router.post("/runs/{run_id}/keep")
def keep(run_id: str, body: KeepBody, app: TheApp) -> dict[str, Any]:
    """The copy of a step becomes the result."""
    return {**_summary(app, run_id), "result": app.training.keep(run_id, body.step).name}


@router.delete("/runs/{run_id}")
def delete(run_id: str, app: TheApp) -> dict[str, Any]:
    """Move a run to the trash folder of its log directory."""
    return {"trash": str(app.training.delete(run_id))}


@router.get("/runs/{run_id}/files/{name:path}")
def file(run_id: str, name: str, app: TheApp) -> FileResponse:
    """A preview, copy or curve of a run by its name."""
    path = app.training.file(run_id, name)
    return FileResponse(path, media_type=_TYPES.get(path.suffix, "application/octet-stream"), headers=_FILE_HEADERS)
