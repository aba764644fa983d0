"""What a picture, or the text of one, says of its making, as data for the page."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from starlette.datastructures import UploadFile

from modules.catalog.styles import StyleFile
from modules.schema import infotext
from modules.schema.errors import BadRequest, UserError
from modules.schema.request import GenerationRequest
from modules.service.picture_text import read_picture_text
from modules.service.prompts import without_styles
from modules.web.deps import read_body
from modules.web.errors import HttpProblem

MOST_PICTURE_BYTES = 100 << 20
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}


async def sent_picture(request: Request) -> bytes:
    """The file in a request: its body, or the field `file` of a form. Raises BadRequest, or 413."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await read_body(request, MOST_PICTURE_BYTES)
    async with request.form(max_files=1, max_fields=4) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise BadRequest("Send the picture as the field 'file' of the form.", "file")
        data = await file.read(MOST_PICTURE_BYTES + 1)
    if len(data) > MOST_PICTURE_BYTES:
        raise HttpProblem(413, f"A picture may have {MOST_PICTURE_BYTES >> 20} MiB here.", "TooLarge")
    return data


def media_type(data: bytes) -> str:
    """Of a saved picture, by its first bytes."""
    if data.startswith(b"\xff\xd8"):
        return MEDIA_TYPES[".jpg"]
    return MEDIA_TYPES[".webp"] if data[8:12] == b"WEBP" else "image/png"


def read_picture(data: bytes, styles: StyleFile) -> dict[str, Any]:
    """`text`, `request` (None where there are no parameters), `items` (other texts), `notices`, and its size.

    `source` says what the request comes from: "exact" is our own chunk, "text" is A1111's. Raises BadRequest for what
    is no picture. `styles` that are found in the prompts are named in the request instead.
    """
    found = read_picture_text(data)
    answer = {
        "text": found.infotext,
        "items": found.items,
        "format": found.format,
        "width": found.width,
        "height": found.height,
    }
    if found.request is not None:
        return {**answer, **_reading(found.request, found.notices, "exact", styles)}
    reading = picture_text(found.infotext, styles)
    return {**answer, **reading, "notices": [*found.notices, *reading["notices"]]}


def picture_text(text: str, styles: StyleFile) -> dict[str, Any]:
    """A1111's text as a request; without parameters in it the request is None."""
    parsed = infotext.parse(text)
    if not parsed.params:
        return {"text": text, **_reading(None, [], None, styles)}
    request, notices = infotext.to_request(parsed, GenerationRequest())
    return {"text": text, **_reading(request, notices, "text", styles)}


def _reading(
    request: GenerationRequest | None, notices: list[str], source: str | None, styles: StyleFile
) -> dict[str, Any]:
    """`prompts` are those of the request with its styles in them."""
    if request is None:
        return {"request": None, "notices": notices, "source": source}
    prompts = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    try:
        request = without_styles(request, styles.entries)
    except UserError as error:
        notices = [*notices, str(error)]
    return {"request": request.model_dump(mode="json"), "prompts": prompts, "notices": notices, "source": source}
