"""Makes `.venv` and keeps it as the requirement files say: the first thing that runs on a fresh machine.

Standard library only, in syntax that Python 3.8 can read, so that an old Python gets a sentence instead of a
SyntaxError. What a start may find, and what it does:

    installed.json fits        nothing: no install, no network
    installed.json is old      pip install, on top of what is there
    no installed.json          the last install did not end: left-overs are cleared, pip install goes on
    being-made is there        the environment itself is half-made: it is made again
    no working Python or pip   it is made again

installed.json is written last and in one piece; a lock keeps a second start waiting meanwhile.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, NoReturn, Sequence  # noqa: UP035 - Python 3.8 must get as far as the sentence

from modules.schema.errors import SetupError

if os.name == "nt":
    import msvcrt
else:
    import fcntl

OLDEST_PYTHON = (3, 11)
OWN_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
PROBE = "import sys; print(f'{sys.version_info[0]}.{sys.version_info[1]}')"
ROOM_NEEDED = 8 * 1000**3
TAIL_LINES = 400
LOCK_WAIT = 0.5

# Libraries that would like to ask or tell their hosts something while the program runs; child processes inherit this.
NO_CALLS_HOME = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
}


@dataclass(frozen=True)
class Environment:
    """The `.venv` of the program folder and the requirement files (names in that folder) it must hold."""

    program: Path
    requirements: tuple[str, ...] = ("requirements.txt",)

    @property
    def folder(self) -> Path:
        return self.program / ".venv"

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def stamp(self) -> Path:
        return self.folder / "installed.json"

    @property
    def being_made(self) -> Path:
        return self.folder / "being-made"

    def wanted(self) -> dict[str, str]:
        """SHA-256 of every requirement file."""
        return {name: hashlib.sha256((self.program / name).read_bytes()).hexdigest() for name in self.requirements}

    def installed(self) -> dict[str, str]:
        """What the stamp says: file name -> hash, and "python" -> its version; empty without a readable stamp."""
        try:
            content = json.loads(self.stamp.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}

    def is_inside(self) -> bool:
        """Whether this very process runs on the environment's Python."""
        return self.folder.exists() and Path(sys.prefix).resolve() == self.folder.resolve()

    def version(self) -> str | None:
        """ "3.11" as its Python tells it; None when that does not run."""
        if self.is_inside():
            return OWN_VERSION
        answer = _ask(self.python, "-I", "-S", "-c", PROBE)
        return answer.strip() if answer else None

    def is_ready(self) -> bool:
        installed = self.installed()
        fits = all(installed.get(name) == digest for name, digest in self.wanted().items())
        return fits and installed.get("python") == self.version()

    def is_usable(self) -> bool:
        """Whether pip can install into it as it stands: complete, not too old, of one and the same Python."""
        version = self.version()
        if self.being_made.exists() or version is None:
            return False
        if tuple(int(part) for part in version.split(".")) < OLDEST_PYTHON:
            return False
        return self.installed().get("python", version) == version and _ask(self.python, "-m", "pip", "-V") is not None


def enter(program: Path, script: Sequence[str], arguments: Sequence[str]) -> None:
    """Bring `.venv` up and continue there with `script` and `arguments`; returns only when already inside it.

    A failure is one sentence on stderr and exit code 2.
    """
    environment = Environment(program)
    with sentences():
        prepare(environment)
    if not environment.is_inside():
        hand_over(environment, [str(program / script[0]), *script[1:], *arguments])


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn failures of the set-up into a sentence and an exit code."""
    try:
        yield
    except SetupError as error:
        say(str(error))
        sys.exit(2)
    except KeyboardInterrupt:
        say("Stopped. The next start goes on from here.")
        sys.exit(130)


def say(text: str) -> None:
    """One line on stderr: stdout is kept for results."""
    print(text, file=sys.stderr, flush=True)


def prepare(environment: Environment) -> None:
    """Make and fill the environment where needed; raises SetupError."""
    check_python()
    if environment.is_ready():
        return
    with _writing(environment.program), _lock(environment.program / ".venv.lock"):
        if environment.is_ready():
            return
        say("Setting up; this happens once and after updates.")
        if not environment.is_usable():
            _make(environment)
        installed = environment.installed()
        environment.stamp.unlink(missing_ok=True)
        _install(environment)
        _write_stamp(environment, installed)
        say("Set-up is done.")


def check_python() -> None:
    """Refuse a Python that the pinned packages do not exist for."""
    if sys.version_info < OLDEST_PYTHON:
        raise SetupError(
            f"This program needs Python 3.11 or newer and was started with {OWN_VERSION} ({sys.executable}): "
            "install a newer Python and start again with it, for example with 'python3.12 webui.py'."
        )
    if sys.maxsize < 2**32:
        raise SetupError(
            f"This program needs a 64-bit Python and was started with a 32-bit one ({sys.executable}): "
            "install the 64-bit Python and start again."
        )


def hand_over(environment: Environment, arguments: Sequence[str]) -> NoReturn:
    """Run the environment's Python with `arguments` in place of this process."""
    command = [str(environment.python), *arguments]
    sys.stdout.flush()
    sys.stderr.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    with subprocess.Popen(command) as process:
        while True:
            try:
                sys.exit(process.wait())
            except KeyboardInterrupt:
                continue  # the child has got the same Ctrl+C and ends in its own way


def _ask(python: Path, *arguments: str) -> str | None:
    """What a Python prints, or None when it cannot be run."""
    try:
        result = subprocess.run([str(python), *arguments], capture_output=True, text=True, timeout=120, env=_clean())
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def _clean() -> dict[str, str]:
    """The surroundings without what would make pip look at, or install into, another place."""
    unwanted = {"PYTHONPATH", "PYTHONHOME", "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "__PYVENV_LAUNCHER__"}
    return {name: value for name, value in os.environ.items() if name not in unwanted}


@contextlib.contextmanager
def _writing(program: Path) -> Iterator[None]:
    """Explain what the file system may answer while the environment is written."""
    try:
        yield
    except PermissionError as error:
        raise SetupError(
            f"{error.filename or program} cannot be written: move the program to a folder of your own, "
            "or make that one writable, and start again."
        ) from error
    except OSError as error:
        raise SetupError(
            f"The set-up could not go on ({error.strerror or error}, {error.filename or program}): "
            "mend that and start again."
        ) from error


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock file; the system lets go of it when the process dies."""
    with open(path, "a+b") as file:
        waiting = False
        while not _try_lock(file.fileno()):
            if not waiting:
                say("Another start is setting up already; waiting for it.")
            waiting = True
            time.sleep(LOCK_WAIT)
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        if os.name == "nt":
            os.lseek(descriptor, 0, os.SEEK_SET)
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _make(environment: Environment) -> None:
    """A new, empty environment in place of whatever is there."""
    say("Step 1 of 2: making the Python environment in .venv")
    _remove(environment)
    environment.folder.mkdir()
    environment.being_made.write_text("This environment is not complete; the next start makes it again.\n")
    command = [sys.executable, "-m", "venv", str(environment.folder)]
    result = subprocess.run(command, capture_output=True, text=True, env=_clean())
    if result.returncode:
        raise SetupError(explain_venv(result.stdout + result.stderr))
    environment.being_made.unlink()


def _remove(environment: Environment) -> None:
    if environment.is_inside():
        raise SetupError(
            "The environment in .venv is broken and in use by this very start: leave it ('deactivate'), "
            "then start again with the system's Python."
        )
    if environment.folder.is_symlink() or environment.folder.is_file():
        environment.folder.unlink()
    elif environment.folder.exists():
        shutil.rmtree(environment.folder)


def explain_venv(output: str) -> str:
    """One sentence about a `python -m venv` that failed."""
    if "ensurepip" in output or "No module named venv" in output:
        return (
            "This Python cannot make environments because its venv package is not installed: run "
            f"'sudo apt install python{OWN_VERSION}-venv' on Debian or Ubuntu, elsewhere install the full Python, "
            "then start again."
        )
    return _explain_common(output) or (
        f"The Python environment could not be made ({_last_line(output)}): start again, with another Python if it "
        "comes back."
    )


def _install(environment: Environment) -> None:
    """Run the environment's pip over the requirement files; its own progress goes to stderr as it comes."""
    say("Step 2 of 2: installing packages; the first time this takes minutes and up to several GB of download")
    _warn_of_little_room(environment.program)
    _clear_half_installed(environment.folder)
    command = [str(environment.python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    for name in environment.requirements:
        command += ["-r", str(environment.program / name)]
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    with subprocess.Popen(
        command, stdout=2, stderr=subprocess.PIPE, text=True, errors="replace", env=_clean()
    ) as pip:
        assert pip.stderr is not None  # noqa: S101 - for the type checker: PIPE was asked for
        for line in pip.stderr:
            tail.append(line)
            sys.stderr.write(line)
            sys.stderr.flush()
    if pip.returncode:
        raise SetupError(explain_pip("".join(tail)))


def _warn_of_little_room(program: Path) -> None:
    free = shutil.disk_usage(program).free
    if free < ROOM_NEEDED:
        say(f"Only {free / 1000**3:.1f} GB are free here; the packages may need up to {ROOM_NEEDED // 1000**3} GB.")


def _clear_half_installed(folder: Path) -> None:
    """Forget packages whose unpacking was cut off: pip would take them for installed.

    pip writes INSTALLER into a package's record only after all of its files are there; without the record it unpacks
    the package again, over what is there.
    """
    packages = "Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages"
    for record in folder.glob(f"{packages}/*.dist-info"):
        if not (record / "INSTALLER").exists():
            shutil.rmtree(record)


def explain_pip(output: str) -> str:
    """One sentence about a `pip install` that failed, from what it wrote on stderr."""
    common = _explain_common(output)
    if common:
        return common
    missing = re.search(r"No matching distribution found for ([^\s;(]+)", output)
    if missing:
        return (
            f"There is no {missing.group(1)} for this Python ({platform.python_version()} on {platform.system()} "
            f"{platform.machine()}): start again with a 64-bit Python 3.11 to 3.14."
        )
    return (
        f"The packages could not be installed ({_last_line(output)}): start again, and delete the folder .venv first "
        "if it comes back."
    )


def _explain_common(output: str) -> str | None:
    """What a full disk, a missing network and a locked folder look like in others' words."""
    for pattern, sentence in COMMON_FAILURES:
        if re.search(pattern, output, re.IGNORECASE):
            return sentence
    return None


COMMON_FAILURES = (
    (
        r"No space left on device|Errno 28\b|WinError 112\b|not enough space|Disk quota exceeded",
        "The disk is full: make room (several GB, in the folder for temporary files too) and start again; "
        "what is installed already is kept.",
    ),
    (
        r"NewConnectionError|NameResolutionError|ConnectTimeout|ReadTimeout|Read timed out|getaddrinfo failed|"
        r"Name or service not known|name resolution|Network is unreachable|Max retries exceeded|ProxyError|"
        r"Connection (refused|reset|aborted|broken)|ConnectionResetError|IncompleteRead|RemoteDisconnected|SSLError",
        "The packages could not be downloaded because the network does not answer: connect this machine (or mend its "
        "proxy) and start again; what is installed already is kept.",
    ),
    (
        r"Permission denied|WinError 5\b|Access is denied|Read-only file system",
        "The folder .venv cannot be written, or a program still uses it: close other starts of this program, make "
        "the folder writable and start again.",
    ),
)


def _last_line(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or ["no message"])[-1].removeprefix("ERROR: ").rstrip(".")


def _write_stamp(environment: Environment, earlier: dict[str, str]) -> None:
    """Say in one atomic write what is installed now, beside what `earlier` installs brought."""
    content = {**earlier, **environment.wanted(), "python": environment.version()}
    draft = environment.stamp.with_suffix(f".{os.getpid()}.tmp")
    draft.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.replace(draft, environment.stamp)
