"""Request <-> text that travels with a picture: A1111's human text, and our exact JSON beside it.

The JSON is the truth; the text is for people and other programs. (A prompt with a line that begins with "Negative
prompt:" survives only in the JSON.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modules.schema.infotext_fields import KNOWN_KEYS, split_title, to_params, to_request
from modules.schema.infotext_format import Infotext, join, parse_lines, quote
from modules.schema.infotext_json import Exact, read_json, write_json
from modules.schema.request import GenerationRequest
from modules.version import VERSION

__all__ = [
    "Exact",
    "Infotext",
    "parse",
    "quote",
    "read_json",
    "split_title",
    "to_request",
    "write",
    "write_json",
]

# Not of the form "v1.2.3": A1111 would take that for one of its own old versions, and switch old behaviour on.
_VERSION_VALUE = f"webui {VERSION}"


def parse(text: str) -> Infotext:
    """A text's prompt, negative prompt and parameters; never fails."""
    return parse_lines(text, KNOWN_KEYS)


def write(request: GenerationRequest, facts: Mapping[str, Any]) -> str:
    """A1111's text of one picture. `facts`: further keys (Model, Model hash, VAE, ...); they go before the request's.

    A fact of None leaves its key out.
    """
    params = to_params(request, {"Version": _VERSION_VALUE, **facts})
    return join(request.prompt, request.negative_prompt, params)
