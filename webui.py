"""The door: `python webui.py` sets up what is missing, then serves the page; `python webui.py txt2img ...` draws."""

import sys
from pathlib import Path

from modules import bootstrap

PROGRAM = Path(__file__).resolve().parent


def main() -> int:
    """Set up, continue inside `.venv`, and do there what the command line says; the exit code."""
    bootstrap.enter(PROGRAM, ["webui.py"], sys.argv[1:])
    from modules.cli import main as run  # what it imports exists only inside .venv

    return run(sys.argv[1:], PROGRAM)


if __name__ == "__main__":
    sys.exit(main())
