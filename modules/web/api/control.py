"""A1111's calls that end the program or move its model."""

from __future__ import annotations

import signal
from typing import Any, NoReturn

from fastapi import APIRouter, BackgroundTasks, Request

from modules.web.deps import OWNER_ONLY, TheApp
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/sdapi/v1", dependencies=[OWNER_ONLY])


async def stop_program() -> None:
    """End the program as Ctrl+C does: open answers are sent, jobs are put away."""
    signal.raise_signal(signal.SIGINT)


@router.post("/server-kill")
@router.post("/server-stop")
async def stop(request: Request, app: TheApp, tasks: BackgroundTasks) -> None:
    """End the program; both names end it in order here."""
    if not app.settings.api_server_stop:
        raise HttpProblem(403, "This program is not stopped over the API: start it with --api-server-stop for that.")
    tasks.add_task(request.app.state.stop)


@router.post("/server-restart", response_model=None)
async def restart() -> NoReturn:
    """Nothing supervises this program, as A1111 says where that is so."""
    raise HttpProblem(501, "Nothing here starts this program again: stop it and start it by hand.")


@router.post("/unload-checkpoint")
def unload_checkpoint() -> dict[str, Any]:
    """Nothing: a model is put aside by itself as soon as another needs its room."""
    return {}


@router.post("/reload-checkpoint")
def reload_checkpoint(app: TheApp) -> dict[str, Any]:
    """Have the selected checkpoint at hand again."""
    app.select_checkpoint(app.selected_checkpoint)
    return {}
