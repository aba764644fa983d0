"""The exact description of a picture: the whole request as JSON, with its defaults, beside A1111's text.

Defaults are written too: should one change later, an old picture keeps its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import ValidationError

from modules.schema.errors import BadRequest
from modules.schema.json_object import parse_object
from modules.schema.request import GenerationRequest
from modules.version import VERSION

FORMAT = "webui-request"
SCHEMA = 1


@dataclass(frozen=True)
class Exact:
    """What a JSON chunk held; `notices` are sentences about what of it could not be used."""

    request: GenerationRequest
    facts: dict[str, Any] = field(default_factory=dict[str, Any])
    notices: list[str] = field(default_factory=list[str])


def write_json(request: GenerationRequest, facts: Mapping[str, Any]) -> str:
    """All of the request, and the facts (of plain JSON values), in one line."""
    data = {
        "format": FORMAT,
        "schema": SCHEMA,
        "version": VERSION,
        "request": request.model_dump(mode="json"),
        "facts": dict(facts),
    }
    return json.dumps(data, ensure_ascii=False, default=str)


def read_json(text: str) -> Exact:
    """What `write_json` wrote, by this version or another; raises BadRequest if the text is something else.

    Fields that this version does not know, or values that it refuses, are left out with a notice each.
    """
    data = parse_object(text)
    if data is None:
        raise BadRequest("The exact parameters in the picture are damaged.")
    values, facts = _object(data.get("request")), _object(data.get("facts"))
    if data.get("format") != FORMAT or values is None:
        raise BadRequest("The picture's exact parameters are of another program.")
    notices: list[str] = []
    schema = data.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        notices.append(f"The picture was made by a newer version ({data.get('version')}) of this program.")
    request = _request(values, notices)
    return Exact(request, facts or {}, notices)


def _object(data: object) -> dict[str, Any] | None:
    return cast("dict[str, Any]", data) if isinstance(data, dict) else None


def _request(values: dict[str, Any], notices: list[str]) -> GenerationRequest:
    unknown = [name for name in values if name not in GenerationRequest.model_fields]
    if unknown:
        notices.append(f"This version does not know, and left out: {', '.join(unknown)}.")
    known = {name: value for name, value in values.items() if name not in unknown}
    try:
        return GenerationRequest.model_validate(known)
    except ValidationError as error:
        refused = {str(problem["loc"][0]): problem["msg"] for problem in error.errors() if problem["loc"]}
    notices.extend(f"{name} was left out: {reason}." for name, reason in refused.items())
    return GenerationRequest.model_validate({name: v for name, v in known.items() if name not in refused})
