"""One shape for every error of the HTTP API: A1111's `{error, detail, body, errors}`, with `detail` a sentence.

(A body that does not fit its declared types is the framework's 422 with a list, as A1111's is.)
"""

from __future__ import annotations

import logging
import reprlib
import secrets
from collections.abc import Collection, Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from modules.schema.errors import BadRequest, KeyTaken, NoCaptioner, NotAllowed, NotFound, TooMuch, UserError
from modules.schema.knob import knobs
from modules.schema.parts import PARTS

_LOG = logging.getLogger(__name__)
_STATUSES: dict[type[UserError], int] = {
    NoCaptioner: 409, BadRequest: 422, NotAllowed: 403, NotFound: 404, KeyTaken: 409, TooMuch: 429,
}  # fmt: skip
_MOST_COMPLAINTS = 20
_LONGEST_SENTENCE = 2000


class HttpProblem(UserError):
    """A failure with a status of its own and an A1111 name where clients look for one."""

    def __init__(self, status: int, message: str, error: str = "HTTPException") -> None:
        super().__init__(message)
        self.status = status
        self.error = error


def error_response(status: int, error: str, detail: str, field: str | None = None) -> JSONResponse:
    """`field` names the request's parameter that is at fault, in the spelling that the client used."""
    detail = detail if len(detail) <= _LONGEST_SENTENCE else f"{detail[:_LONGEST_SENTENCE]}..."
    content = {"error": error, "detail": detail, "body": "", "errors": detail}
    return JSONResponse(content if field is None else {**content, "field": field}, status)


def status_of(error: UserError) -> int:
    if isinstance(error, HttpProblem):
        return error.status
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)


def bad_value(error: ValidationError, model: type[BaseModel], names: Mapping[str, str] | None = None) -> BadRequest:
    """pydantic's first complaint as one sentence with the parameter's label; `names` respells its field."""
    first = error.errors(include_url=False)[0]
    place = [str(step) for step in first["loc"]]
    field = ".".join(place[:2] if place[:1] and place[0] in PARTS else place[:1])
    if first["type"] == "extra_forbidden":
        return BadRequest(f"There is no parameter named {field!r}.", field)
    owner, name = (PARTS[place[0]], place[1]) if "." in field else (model, field)
    known = knobs(owner).get(name)
    label = known.label if known else field
    text = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    spelt = (names or {}).get(field, field)
    return BadRequest(f"{label} ({spelt}) is {_shown(first['input'])} but should be {text}.", spelt)


def _shown(value: object) -> str:
    if isinstance(value, str | bytes):
        text = repr(value[:60])
    else:
        text = reprlib.repr(value) if isinstance(value, Collection) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def install(server: FastAPI) -> None:
    """Make `server` answer every failure in this shape."""
    server.add_exception_handler(UserError, _user_error)
    server.add_exception_handler(RequestValidationError, _misfit)
    server.add_exception_handler(HTTPException, _http_error)
    server.add_exception_handler(Exception, _bug)


async def _user_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, UserError)
    kind = error.error if isinstance(error, HttpProblem) else type(error).__name__
    return error_response(status_of(error), kind, str(error), getattr(error, "field", None))


async def _misfit(_request: Request, error: Exception) -> JSONResponse:
    """FastAPI's own list, but what was sent is shown in short: it may be megabytes, or no JSON at all."""
    assert isinstance(error, RequestValidationError)
    found = list(error.errors())[:_MOST_COMPLAINTS]
    told = [{**{key: one[key] for key in ("type", "loc", "msg")}, "input": _shown(one.get("input"))} for one in found]
    return JSONResponse({"detail": told}, 422)


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = error_response(error.status_code, "HTTPException", str(error.detail))
    response.headers.update(error.headers or {})
    return response


async def _bug(request: Request, error: Exception) -> JSONResponse:
    log_id = secrets.token_hex(4)
    _LOG.error("[%s] %s %s failed", log_id, request.method, request.url.path, exc_info=error)
    detail = f"The program has a fault here ({type(error).__name__}); the log says more under {log_id}."
    return error_response(500, type(error).__name__, detail)
