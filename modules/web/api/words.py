"""/api/v1/words: the page's texts in the caller's language. Everything else that the API says is English."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from modules.schema.languages import LANGUAGES
from modules.service.app import App
from modules.service.languages import Languages, as_script, language_of
from modules.web.deps import Owner, TheApp

router = APIRouter(prefix="/api/v1")


def language_for(request: Request, app: App, person: str) -> str:
    """The one that somebody has chosen, or that their browser asks for."""
    choice = app.personal.setting(person, "language", app.settings)
    return language_of(choice, request.headers.get("accept-language", ""))


@router.get("/words")
def words(request: Request, app: TheApp, owner: Owner) -> dict[str, Any]:
    """The language that the caller has chosen, or their browser asks for; those there are; and every text in it."""
    language = language_for(request, app, owner)
    return {"language": language, "languages": LANGUAGES, "words": _languages(request).words(language)}


@router.get("/words.js", include_in_schema=False)
def words_script(request: Request, app: TheApp, owner: Owner) -> Response:
    """The same as a script that the page waits for, so that it is never seen in another language."""
    language = language_for(request, app, owner)
    script = as_script(language, _languages(request).words(language))
    tag = f'"{hashlib.sha256(script.encode()).hexdigest()[:24]}"'
    headers = {"Cache-Control": "no-cache, private", "ETag": tag, "Vary": "Accept-Language, Cookie"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(script, media_type="text/javascript", headers=headers)


def _languages(request: Request) -> Languages:
    return request.app.state.languages
