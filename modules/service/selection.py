"""The checkpoint that is selected when the program starts."""

from __future__ import annotations

from modules.schema.errors import UserError
from modules.service.resolve import Checkpoints, find_checkpoint

SELECTED = "selected checkpoint"
"""Under this name it is remembered."""
_EMBEDDED = "miniature"


def first_selection(wanted: str, checkpoints: Checkpoints, last: str | None) -> tuple[str, list[str]]:
    """Name of the checkpoint to begin with: the settings', else the last used, the embedded, the first good; and
    sentences about it."""
    notices: list[str] = []
    if wanted:
        try:
            return find_checkpoint(wanted, checkpoints).name, notices
        except UserError as error:
            notices.append(f"The checkpoint of the settings was not selected: {error}")
    good = {entry.name: entry for entry in checkpoints.entries if not entry.problem}
    if last in good:
        return last, notices
    embedded = next((name for name, entry in good.items() if entry.stem == _EMBEDDED), None)
    return embedded or next(iter(good), ""), notices
