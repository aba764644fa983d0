"""Installing what an extension needs, on the owner's click: pip over its requirements, held to our own versions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from modules.extensions.found import Found
from modules.schema.errors import BadRequest, UserError

_PINS = Path(__file__).resolve().parents[2] / "requirements.txt"
_SECONDS = 1800
_LAST = 3


def pip_command(found: Found) -> list[str]:
    """pip's command line; the program's own packages keep their versions."""
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    return [*pip, "--constraint", str(_PINS), "--requirement", str(found.folder / "requirements.txt")]


def install(found: Found) -> None:
    """Install an extension's requirements into the program's environment; raises UserError with pip's last words."""
    if not found.requirements:
        raise BadRequest(f"{found.title} names nothing to install: it has no requirements.txt.")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(
            pip_command(found), capture_output=True, text=True, timeout=_SECONDS, env=environment, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UserError(f"The packages of {found.title} could not be installed ({error}).") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith("ERROR")]
        words = " ".join(lines[-_LAST:]) or f"pip ended with {done.returncode}"
        raise UserError(f"The packages of {found.title} could not be installed: {words}")
