"""Asks the small program that looks for faces; without an answer there are none."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from modules.catalog.datasets.focus import Point

log = logging.getLogger(__name__)

_PROGRAM = Path(__file__).resolve().parents[2]
_COMMAND = (sys.executable, "-m", "modules.catalog.datasets.faces")
_SECONDS = 60.0
_SECONDS_EACH = 2.0


def find_faces(paths: Sequence[Path], command: Sequence[str] = _COMMAND) -> dict[Path, list[Point]]:
    """The points to look at of the faces in each picture."""
    if not paths:
        return {}
    try:
        answer = subprocess.run(
            command,
            input=json.dumps([str(path) for path in paths]),
            capture_output=True,
            text=True,
            check=True,
            cwd=_PROGRAM,
            timeout=_SECONDS + _SECONDS_EACH * len(paths),
        ).stdout
        table = json.loads(answer)
        return {Path(path): [(float(x), float(y)) for x, y in points] for path, points in table.items()}
    except (OSError, subprocess.SubprocessError, ValueError, TypeError, AttributeError) as error:
        log.warning("no faces are looked for: %s", error)
        return {}
