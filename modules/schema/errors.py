"""All errors that a user can cause or meet, as a tree.

UserError                 a sentence for the user: what, where, what to do
├── BadRequest            a value in the request cannot be used (422)
│   ├── UnknownName       a name that nothing answers to; suggests near ones
│   └── NoCaptioner       what describes pictures has no model on this machine (409)
├── NotFound              a job, file or page that is not there (404)
├── NotAllowed            what only the machine's owner may do (403)
├── TooMuch               a limit of this person is reached; later there is room again (429)
├── KeyTaken              an order's key was used for another order (409)
├── ModelFileError        a model file that cannot be read, is of the wrong kind or refused
├── OutOfMemory           the device has no room for the job
├── NotANumber            the model gave NaN
├── EngineLost            the engine process died during the job
└── SetupError            installation or start-up could not go on

Anything else that is raised is a bug: its traceback goes to the log, and the user gets its log id.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LONGEST_NAME = 200


class UserError(Exception):
    """A failure whose message is one sentence for the user, with the remedy."""


class BadRequest(UserError):
    """A value in a request cannot be used; `field` names it where known."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnknownName(BadRequest):
    """`name` is not among `known`; the message suggests the nearest ones, or gives the `reason` it cannot be told."""

    def __init__(
        self, what: str, name: str, known: Iterable[str], field: str | None = None, *, reason: str = ""
    ) -> None:
        name = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}..."
        near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.4)
        hint = f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
        told = f"The {what} {name!r} cannot be told: {reason}." if reason else f"There is no {what} named {name!r}."
        super().__init__(told + hint, field)
        self.name = name


class NoCaptioner(BadRequest):
    """What is to describe pictures has no model on this machine; the message says which files belong where."""


class NotFound(UserError):
    """Something asked for by its id or address does not exist, or belongs to somebody else."""


class KeyTaken(UserError):
    """An order came under a key that its sender has used for another order."""


class NotAllowed(UserError):
    """Only the owner of the machine may do this."""


class TooMuch(UserError):
    """A limit of this person is reached for now."""


class ModelFileError(UserError):
    """A model file cannot be used; the message names the file and the reason."""


class OutOfMemory(UserError):
    """The device has no room; the message says what to lower."""


class NotANumber(UserError):
    """The network or the decoder gave NaN; the message says what to change."""


class EngineLost(UserError):
    """The engine process ended in the middle of a job."""


class SetupError(UserError):
    """Installation or start-up could not go on; the message says how to recover."""
