"""`python -m tests`: sets up `.venv` with the test packages, and a browser, then runs pytest with the arguments.

Without arguments everything runs, in as many processes as there are cores (four at most); each file stays in one, so
that its fixtures are made once. `python -m tests quick` leaves out what needs a browser, a server or the model: the
run for every day.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from modules import bootstrap
from tests import chromium

PROGRAM = Path(__file__).resolve().parent.parent
EVERYTHING = ("-n", "auto", "--maxprocesses", "4", "--dist", "loadfile")
QUICK = (*EVERYTHING, "-m", "not browser and not live and not engine")


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
    bootstrap.hand_over(environment, ["-m", "pytest", *pytest_arguments(sys.argv[1:])])


def pytest_arguments(given: list[str]) -> tuple[str, ...]:
    """What pytest is told for what stands after `python -m tests`."""
    if given == ["quick"]:
        return QUICK
    return tuple(given) or EVERYTHING


if __name__ == "__main__":
    main()
