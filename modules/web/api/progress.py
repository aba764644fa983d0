"""How far jobs are, and stopping them: A1111's calls know no job id, so each means the caller's own newest job."""

from __future__ import annotations

import base64
import time
from typing import Any

from fastapi import APIRouter

from modules.schema.errors import NotFound
from modules.schema.events import Preview, Progress
from modules.schema.request import GenerationRequest
from modules.service.app import App
from modules.service.jobs import Job
from modules.web.api.models import TaskProgressBody
from modules.web.deps import Owner, TheApp

router = APIRouter()

_LEAST = 0.01  # what A1111 says as soon as a job has begun


def _open_job(app: App, owner: str) -> Job | None:
    """The owner's running job, else the owner's next waiting one; a training only where nothing else is open."""
    return next(iter(app.open_jobs(owner, 1)), None)


@router.get("/sdapi/v1/progress")
def progress(app: TheApp, owner: Owner, skip_current_image: bool = False) -> dict[str, Any]:
    """Of the caller's own job; `current_image` is the live preview as base64."""
    job = _open_job(app, owner)
    if job is None:
        return _idle(app.recent(owner, 1))
    now, preview = app.progress(job.id, owner)
    image = None if skip_current_image or preview is None else base64.b64encode(preview.data).decode("ascii")
    return {
        "progress": _fraction(job, now),
        "eta_relative": (now.seconds_left if now else None) or 0.0,
        "state": _state(job, now),
        "current_image": image,
        "textinfo": _text(app, job),
        "current_task": job.name or job.id,
    }


def _fraction(job: Job, now: Progress | None) -> float:
    return 0.0 if job.state == "waiting" else max(_LEAST, now.fraction if now else 0.0)


def _text(app: App, job: Job) -> str | None:
    if job.state != "waiting":
        return None
    place, waiting = app.line.place(job)
    return f"In queue: {place}/{waiting}"


def _state(job: Job, now: Progress | None) -> dict[str, Any]:
    request = job.drawing or GenerationRequest()
    done = ((now.image - 1) // request.batch_size if now else 0) if job.state == "running" else 0
    return {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": job.name or job.id,
        "job_count": request.batch_count,
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.started or job.created)),
        "job_no": done,
        "sampling_step": now.step if now else 0,
        "sampling_steps": now.steps if now else request.steps,
    }


def _idle(last: list[Job]) -> dict[str, Any]:
    """A1111 keeps saying "interrupted" until the next job begins."""
    state = {
        "skipped": False,
        "interrupted": bool(last) and last[0].state == "interrupted",
        "stopping_generation": False,
        "job": "",
        "job_count": 0,
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
    }
    return {
        "progress": 0.0,
        "eta_relative": 0.0,
        "state": state,
        "current_image": None,
        "textinfo": None,
        "current_task": None,
    }


@router.post("/sdapi/v1/interrupt")
def interrupt(app: TheApp, owner: Owner) -> dict[str, Any]:
    """Stop the caller's running job after this step; what is drawn is kept."""
    job = _open_job(app, owner)
    if job is not None:
        app.interrupt(job.id, owner)
    return {}


@router.post("/sdapi/v1/skip")
def skip(app: TheApp, owner: Owner) -> None:
    """Go on with the next picture of the caller's running job."""
    job = _open_job(app, owner)
    if job is not None:
        app.skip(job.id, owner)


@router.get("/internal/ping")
def ping() -> dict[str, Any]:
    return {}


@router.get("/internal/pending-tasks")
def pending_tasks(app: TheApp, owner: Owner) -> dict[str, Any]:
    """The caller's own waiting jobs, next one first."""
    waiting = [job for job in app.open_jobs(owner) if job.state == "waiting"]
    return {"size": len(waiting), "tasks": [job.name or job.id for job in waiting]}


@router.post("/internal/progress")
def task_progress(body: TaskProgressBody, app: TheApp, owner: Owner) -> dict[str, Any]:
    """Of one task by its id (A1111's task id, or a job's id)."""
    try:
        job = app.job(body.id_task or "", owner)
    except NotFound:
        return _task(active=False, queued=False, completed=False, textinfo="Waiting...")
    if job.state == "waiting":
        return _task(active=False, queued=True, completed=False, textinfo=_text(app, job))
    if job.state != "running":
        return _task(active=False, queued=False, completed=True, textinfo=None)
    now, preview = app.progress(job.id, owner)
    eta = now.seconds_left if now else None
    answer = _task(active=True, queued=False, completed=False, textinfo=None, progress=_fraction(job, now), eta=eta)
    if preview is not None and body.live_preview and _preview_id(preview) != body.id_live_preview:
        answer |= {"live_preview": data_uri(preview), "id_live_preview": _preview_id(preview)}
    return answer


def _preview_id(preview: Preview) -> int:
    return preview.image * 10_000 + preview.step


def data_uri(preview: Preview) -> str:
    return f"data:image/{preview.format};base64,{base64.b64encode(preview.data).decode('ascii')}"


def _task(
    *,
    active: bool,
    queued: bool,
    completed: bool,
    textinfo: str | None,
    progress: float | None = None,
    eta: float | None = None,
) -> dict[str, Any]:
    return {
        "active": active,
        "queued": queued,
        "completed": completed,
        "progress": progress,
        "eta": eta,
        "live_preview": None,
        "id_live_preview": -1,
        "textinfo": textinfo,
    }
