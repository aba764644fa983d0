"""`python -m tests`: sets up `.venv` with the test packages, and a browser, then runs pytest with the arguments.

Without arguments everything runs, in as many processes as there are cores (four at most); each file stays in one, so
that its fixtures are made once.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modules import bootstrap
from tests import chromium

PROGRAM = Path(__file__).resolve().parent.parent
EVERYTHING = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")


def main() -> None:
    """Never returns: ends with pytest's exit code, or 2 after a sentence when the set-up cannot go on."""
    environment = bootstrap.Environment(PROGRAM, ("requirements.txt", "requirements-test.txt"))
    with bootstrap.sentences():
        bootstrap.prepare(environment)
        if chromium.find_or_install() is None:
            bootstrap.say(
                "There is no Chromium, Chrome or Edge on this machine: the browser tests will fail. Install one, "
                "or name it in the variable CHROMIUM."
            )
    os.chdir(PROGRAM)
    bootstrap.hand_over(environment, ["-m", "pytest", *(sys.argv[1:] or EVERYTHING)])


if __name__ == "__main__":
    main()
