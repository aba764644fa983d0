"""/api/v1/access: who is asking, how much they may ask for, and for the owner what brings others in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool

from modules.service.access_link import qr_svg
from modules.web.access import Access
from modules.web.deps import OWNER_ONLY, Owner, TheApp
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/api/v1/access")


def _access(request: Request) -> Access:
    return request.app.state.access


@router.get("")
def whoami(request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """`name` is empty for somebody without an account; `limits` are None for the machine's owner; `session` says
    whether there is one to log out of; `shares`: whether others could be let in from here."""
    state = request.state
    return {
        "name": state.name,
        "role": state.role,
        "mode": _access(request).mode,
        "session": state.session is not None,
        "limits": app.limits.told(owner),
        "shares": state.role == "owner",
    }


@router.get("/share", dependencies=[OWNER_ONLY])
def share(request: Request, app: TheApp) -> dict[str, Any]:
    """The addresses for other devices, the most likely first, with the access link in them where there are no
    accounts; and a QR code of the first as SVG. No addresses: this server listens to this machine alone."""
    mode = _access(request).mode
    tail = app.people.link.path() if mode == "link" else "/"
    addresses = [address + tail for address in request.app.state.place.elsewhere()]
    return {"mode": mode, "addresses": addresses, "qr": qr_svg(addresses[0]) if addresses else None}


@router.post("/link", dependencies=[OWNER_ONLY])
async def new_link(request: Request, app: TheApp) -> dict[str, Any]:
    """Make a new access link; the old one and everybody who came by it are out."""
    if _access(request).mode != "link":
        raise HttpProblem(409, "There is no access link here: people log in, or are not asked.", "NoLink")
    await run_in_threadpool(app.people.link.renew)
    await run_in_threadpool(app.people.sessions.close_guests)
    return await run_in_threadpool(share, request, app)
