"""JSON from outside, read strictly: what would not survive being stored or sent on is refused at the door.

Python reads more than JSON allows: NaN and Infinity, numbers beyond any float, halves of characters ("\\ud800") with
which no text can be written.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from modules.schema.errors import BadRequest

# Where none of these is found, nothing of the kind can be in a text.
_SUSPICIOUS = re.compile(rb"NaN|Infinity|\\u[dD][89a-fA-F]|[eE]\+?[0-9]{3}|[0-9]{300}")


def loads(data: bytes) -> Any:
    """The value; raises BadRequest with the reason."""
    try:
        value = json.loads(data, parse_constant=_refuse)
        if _SUSPICIOUS.search(data):
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError:
        raise BadRequest("A text in the body has half of a character in it (a lone surrogate).") from None
    except RecursionError:
        raise BadRequest("The body is nested too deeply to be read.") from None
    except BadRequest:
        raise
    except ValueError as error:
        if "JSON compliant" in str(error):
            raise BadRequest("A number in the body is too large for any number here.") from None
        raise BadRequest("The body is not JSON; send a JSON object.") from None
    return value


def check(data: bytes) -> None:
    """Raise BadRequest where somebody else who reads `data` as JSON would get what `loads` refuses."""
    if _SUSPICIOUS.search(data):
        loads(data)


def _refuse(name: str) -> NoReturn:
    raise BadRequest(f"{name} is not a number that can be used here, nor is it JSON.")
