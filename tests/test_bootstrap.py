"""The set-up, run for real: a copy of the door in a temporary folder, tiny requirements, no network.

The packages of the requirement files are wheels written here, or a source with its build backend beside it, so that
pip needs nobody for them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from modules import bootstrap
from modules.bootstrap import Environment, explain_pip, explain_venv
from tests.__main__ import EVERYTHING, QUICK, pytest_arguments
from tests.sources import ROOT

CLI = """
import sys
from importlib import metadata

def main(arguments, program):
    installed = [d.metadata["Name"] for d in metadata.distributions() if d.metadata["Name"].startswith("tiny")]
    print("inside", sys.prefix == str(program / ".venv"), sorted(installed), list(arguments))
    return 7
"""

WHEEL = {
    "NAME.py": "value = 1",
    "NAME-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: NAME\nVersion: 1.0\n",
    "NAME-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "NAME-1.0.dist-info/RECORD": "NAME.py,,\nNAME-1.0.dist-info/METADATA,,\nNAME-1.0.dist-info/WHEEL,,\n"
    "NAME-1.0.dist-info/RECORD,,\n",
}
BACKEND = """
import shutil, time

def build_wheel(folder, config_settings=None, metadata_directory=None):
    SLOW
    shutil.copy(WHEEL, folder)
    return "tiny-1.0-py3-none-any.whl"
"""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the paths and signals in these tests are POSIX")


def _wheel(folder: Path, name: str) -> Path:
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for member, text in WHEEL.items():
            wheel.writestr(member.replace("NAME", name), text.replace("NAME", name))
    return path


def _requirement(folder: Path, name: str) -> str:
    """The requirement line of a package that pip installs at once."""
    return f"{name} @ {_wheel(folder, name).as_uri()}\n"


def _slow_requirement(folder: Path, slow: str) -> str:
    """The requirement line of the package "tiny" as a source whose build first does `slow`."""
    source = folder / "source"
    source.mkdir()
    backend = BACKEND.replace("SLOW", slow).replace("WHEEL", repr(str(_wheel(folder, "tiny"))))
    (source / "backend.py").write_text(backend)
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    return f"tiny @ {source.as_uri()}\n"


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A program folder with the real door and bootstrap, one tiny requirement and a cli that says where it runs."""
    return _program(tmp_path)


def _program(parent: Path) -> Path:
    folder = parent / "with a space"
    for name in ("webui.py", "modules/__init__.py", "modules/bootstrap.py", "modules/schema/__init__.py",
                 "modules/schema/errors.py"):  # fmt: skip
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    (folder / "modules/cli.py").write_text(CLI)
    (folder / "requirements.txt").write_text(_requirement(parent, "tiny"))
    return folder


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A program folder after its first start, and what that start said."""
    folder = _program(tmp_path_factory.mktemp("first"))
    return folder, _start(folder, "txt2img", "a red circle")


@pytest.fixture
def program(first: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path) -> Path:
    """A copy of that folder: set up, and free to be damaged."""
    return shutil.copytree(first[0], tmp_path / "program", symlinks=True)


def _surroundings(**more: str) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    return {**clean, "PIP_NO_INDEX": "1", **more}


def _start(program: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(program / "webui.py"), *arguments]
    return subprocess.run(
        command,
        cwd=program.parent,
        env=_surroundings(**more),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _python(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script in the folder with this very Python."""
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env=_surroundings(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _works(result: subprocess.CompletedProcess[str], *names: str) -> bool:
    return result.returncode == 7 and f"inside True {list(names)!r}" in result.stdout


def _one_sentence(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()[-1]


def test_first_start_installs(first: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    result = first[1]
    assert _works(result, "tiny"), result.stderr
    assert result.stdout == "inside True ['tiny'] ['txt2img', 'a red circle']\n", "the set-up keeps off stdout"
    for words in ("Step 1 of 2", "Step 2 of 2", "Set-up is done."):
        assert words in result.stderr


def test_unchanged_start_does_nothing(program: Path) -> None:
    shutil.rmtree(next((program / ".venv").glob("lib/python*/site-packages/pip")))
    result = _start(program)
    assert _works(result, "tiny"), "an unchanged start does not even look at pip"
    assert result.stderr == ""


def test_changed_requirements_are_installed_into_what_is_there(program: Path, tmp_path: Path) -> None:
    with (program / "requirements.txt").open("a") as file:
        file.write(_requirement(tmp_path, "tinytoo"))
    result = _start(program)
    assert _works(result, "tiny", "tinytoo")
    assert "Step 1" not in result.stderr


def test_failed_install_is_a_sentence_and_the_next_start_goes_on(program: Path) -> None:
    good = (program / "requirements.txt").read_text()
    (program / "requirements.txt").write_text(good + "nowhere-to-be-found==1.0\n")
    sentence = _one_sentence(_start(program))
    assert sentence.startswith("There is no nowhere-to-be-found==1.0 for this Python")
    assert not Environment(program).installed()
    (program / "requirements.txt").write_text(good)
    result = _start(program)
    assert _works(result, "tiny")
    assert "Step 1" not in result.stderr, "the environment itself was good and is not made again"


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_install_ended_in_the_middle_is_taken_up_again(program: Path, tmp_path: Path, end: signal.Signals) -> None:
    flag = tmp_path / "building"
    good = (program / "requirements.txt").read_text()
    slow = f"open({str(flag)!r}, 'w').close(); time.sleep(60)"
    (program / "requirements.txt").write_text(_slow_requirement(tmp_path, slow))
    shutil.rmtree(next((program / ".venv").glob("lib/python*/site-packages/tiny-1.0.dist-info")))
    command = [sys.executable, str(program / "webui.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=_surroundings(), start_new_session=True, **pipes) as start:
        _wait_for(flag.exists)
        os.killpg(start.pid, end)
        _, errors = start.communicate(timeout=60)
    if end == signal.SIGINT:
        assert start.returncode == 130
        assert errors.strip().endswith("Stopped. The next start goes on from here.")
        assert "bootstrap.py" not in errors, "no traceback of ours"
    assert not Environment(program).installed()
    (program / "requirements.txt").write_text(good)
    assert _works(_start(program), "tiny")


def test_package_whose_unpacking_was_cut_off_is_unpacked_again(program: Path) -> None:
    record = next((program / ".venv").glob("lib/python*/site-packages/tiny-1.0.dist-info"))
    (record / "INSTALLER").unlink()
    (record.parent / "tiny.py").unlink()
    Environment(program).stamp.unlink()
    assert _works(_start(program), "tiny")
    assert (record.parent / "tiny.py").exists()


@pytest.mark.parametrize("damage", ["python gone", "python does not run", "pip gone", "half-made", "other version"])
def test_damage_is_noticed(program: Path, damage: str) -> None:
    environment = Environment(program)
    assert environment.is_ready()
    assert environment.is_usable()
    if damage == "python gone":
        environment.python.unlink()
    elif damage == "python does not run":
        environment.python.unlink()
        environment.python.write_text("#!/bin/sh\nexit 1\n")
        environment.python.chmod(0o755)
    elif damage == "pip gone":
        shutil.rmtree(next(environment.folder.glob("lib/python*/site-packages/pip")))
        environment.stamp.write_text("cut off: {")
    elif damage == "half-made":
        environment.being_made.write_text("")
        environment.stamp.unlink()
    else:
        environment.stamp.write_text(json.dumps({**environment.installed(), "python": "3.9"}))
    assert not environment.is_ready()
    assert not environment.is_usable()


def test_broken_environment_is_made_again(program: Path) -> None:
    environment = Environment(program)
    environment.python.unlink()
    environment.being_made.write_text("")
    result = _start(program)
    assert _works(result, "tiny"), result.stderr
    assert "Step 1 of 2" in result.stderr
    assert not environment.being_made.exists()


def test_environment_somebody_else_made_is_filled_not_replaced(program: Path) -> None:
    Environment(program).stamp.unlink()
    shutil.rmtree(next((program / ".venv").glob("lib/python*/site-packages/tiny-1.0.dist-info")))
    result = _start(program)
    assert _works(result, "tiny")
    assert "Step 1" not in result.stderr


def test_two_starts_at_once_install_once(program: Path, tmp_path: Path) -> None:
    log = tmp_path / "builds"
    slow = f"open({str(log)!r}, 'a').write('built '); time.sleep(3)"
    (program / "requirements.txt").write_text(_slow_requirement(tmp_path, slow))
    command = [sys.executable, str(program / "webui.py")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    starts = [subprocess.Popen(command, env=_surroundings(), **pipes)]
    _wait_for(log.exists)
    starts.append(subprocess.Popen(command, env=_surroundings(), **pipes))
    outcomes = [start.communicate(timeout=120) for start in starts]
    assert [start.returncode for start in starts] == [7, 7]
    assert log.read_text().split() == ["built"]
    assert "Another start is setting up already" in outcomes[1][1]


def test_venv_module_missing(fresh: Path, tmp_path: Path) -> None:
    fake = tmp_path / "python-without-venv"
    message = "The virtual environment was not created successfully because ensurepip is not available."
    fake.write_text(f'#!/bin/sh\necho "{message}"\nexit 1\n')
    fake.chmod(0o755)
    script = "import sys; from pathlib import Path; from modules import bootstrap\n"
    script += f"sys.executable = {str(fake)!r}\nbootstrap.enter(Path({str(fresh)!r}), ['webui.py'], [])"
    result = _python(fresh, script)
    assert re.search(r"sudo apt install python3\.\d+-venv", _one_sentence(result))
    assert not Environment(fresh).is_usable(), "what the failure left is not taken for an environment"


def test_old_python_gets_a_sentence(fresh: Path) -> None:
    script = "import sys; from pathlib import Path; sys.version_info = (3, 9, 2); from modules import bootstrap\n"
    script += f"bootstrap.enter(Path({str(fresh)!r}), ['webui.py'], [])"
    sentence = _one_sentence(_python(fresh, script))
    assert sentence.startswith("This program needs Python 3.11 or newer and was started with 3.9")
    assert not (fresh / ".venv").exists()


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_cannot_be_written(fresh: Path) -> None:
    fresh.chmod(0o500)
    try:
        assert "cannot be written" in _one_sentence(_start(fresh))
    finally:
        fresh.chmod(0o700)


def test_surroundings_of_the_user_do_not_lead_pip_astray(program: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with (program / "requirements.txt").open("a") as file:
        file.write(_requirement(tmp_path, "tinytoo"))
    assert _works(_start(program, PIP_TARGET=str(elsewhere), PIP_USER="1"), "tiny", "tinytoo")
    assert not elsewhere.exists()


def test_stamp_keeps_what_other_commands_installed(program: Path, tmp_path: Path) -> None:
    (program / "requirements-test.txt").write_text(_requirement(tmp_path, "tinytest"))
    script = "import sys; from pathlib import Path; from modules import bootstrap\n"
    script += f"e = bootstrap.Environment(Path({str(program)!r}), ('requirements.txt', 'requirements-test.txt'))\n"
    script += "bootstrap.prepare(e); print(e.is_ready())"
    result = _python(program, script)
    assert result.stdout.strip() == "True", result.stderr
    assert _start(program).stderr == "", "the test packages are more than a start needs"
    assert set(Environment(program).installed()) == {"requirements.txt", "requirements-test.txt", "python"}


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        (
            "WARNING: Retrying ... NewConnectionError\nERROR: No matching distribution found for torch==2.13.0",
            "network",
        ),
        ("ERROR: No matching distribution found for torch==2.13.0", "no torch==2.13.0 for this Python"),
        (
            "ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'x'",
            "cannot be written",
        ),
        ("ERROR: something new happened.\n[notice] x", "(something new happened)"),
        ("", "(no message)"),
    ],
)
def test_what_pip_says_becomes_one_sentence(output: str, words: str) -> None:
    sentence = explain_pip(output)
    assert words in sentence
    assert "start again" in sentence
    assert "\n" not in sentence


def test_what_venv_says_becomes_one_sentence() -> None:
    assert "sudo apt install" in explain_venv("/usr/bin/python3: No module named venv")
    assert "disk is full" in explain_venv("Error: [Errno 28] No space left on device: 'x'")
    assert "(Error: odd)" in explain_venv("Error: odd\n")


def test_little_room_is_said_before_the_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                 capsys: pytest.CaptureFixture[str]) -> None:  # fmt: skip
    monkeypatch.setattr(bootstrap, "ROOM_NEEDED", shutil.disk_usage(tmp_path).total * 2)
    bootstrap._warn_of_little_room(tmp_path)
    assert "GB are free here" in capsys.readouterr().err


def _wait_for(condition: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("given", "told"),
    [([], EVERYTHING), (["quick"], QUICK), (["-k", "quick"], ("-k", "quick")), (["tests/x.py"], ("tests/x.py",))],
)
def test_what_stands_after_the_test_command(given: list[str], told: tuple[str, ...]) -> None:
    assert pytest_arguments(given) == told
