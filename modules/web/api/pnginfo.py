"""POST /sdapi/v1/png-info."""

from __future__ import annotations

import base64
import binascii

from fastapi import APIRouter

from modules.schema import infotext
from modules.schema.errors import BadRequest
from modules.schema.settings import Settings
from modules.service.app import App
from modules.service.picture_text import read_picture_text
from modules.web.api.models import PngInfo, PngInfoBody
from modules.web.deps import TheApp
from modules.web.errors import HttpProblem
from modules.web.fetching import fetch_picture

router = APIRouter(prefix="/sdapi/v1")


@router.post("/png-info", response_model=PngInfo)
def png_info(body: PngInfoBody, app: TheApp) -> PngInfo:
    """The text in a base64 picture (with or without a data URI's prefix); 404 for what is no picture, as A1111."""
    try:
        found = read_picture_text(decode_picture(body.image, app.settings))
    except BadRequest as error:
        raise HttpProblem(404, f"Invalid image. {error}") from None
    parsed = infotext.parse(found.infotext)
    words = {"Prompt": parsed.prompt, "Negative prompt": parsed.negative_prompt} if parsed.params else {}
    return PngInfo(info=found.infotext, items=found.items, parameters={**words, **parsed.params})


def keep_picture(app: App, text: str) -> str:
    """Keep a picture that was sent as text; returns its name. Raises BadRequest."""
    return app.inputs.add(decode_picture(text, app.settings))


def decode_picture(text: str, settings: Settings) -> bytes:
    """The file in a base64 text, or at the address that the text is where that is allowed; raises BadRequest."""
    if text[:8].casefold().startswith(("http://", "https://")):
        if settings.api_enable_requests:
            return fetch_picture(text)
        raise BadRequest(
            "Pictures are not fetched from addresses here: send the picture itself as base64, or start with "
            "--api-enable-requests."
        )
    data = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        raise BadRequest("The picture is not base64.") from None
