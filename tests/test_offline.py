"""Nothing is asked of any other machine: a server with a page and a generation, and a generation without a browser.

Every Python process of the run gets an audit hook that notes, and refuses, what leaves this machine.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources import ROOT

pytestmark = [pytest.mark.live, pytest.mark.engine]

SECONDS = 300
HOOK = """
import os, sys

HERE = ("127.", "::1", "localhost", "0.0.0.0", "::ffff:127.")

def note(*words):
    with open(os.environ["WATCHED"], "a") as file:
        print(*words, file=file)

def watch(event, arguments):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        host = arguments[1][0] if isinstance(arguments[1], tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"):
        host = arguments[0]
    else:
        return
    host = host.decode() if isinstance(host, bytes) else host
    if host and not host.startswith(HERE):
        note("asked", event, host)
        raise OSError("no network in this test")

note("watching", *sys.orig_argv)
sys.addaudithook(watch)
"""


@pytest.fixture
def watched(tmp_path: Path) -> dict[str, str]:
    """The surroundings of a process whose attempts to reach another machine are noted in `tmp_path/watched`."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook/sitecustomize.py").write_text(HOOK)
    return {**os.environ, "PYTHONPATH": str(tmp_path / "hook"), "WATCHED": str(tmp_path / "watched")}


def _command(folder: Path, *arguments: str) -> list[str]:
    places = ["--data-dir", str(folder / "data")]
    return [sys.executable, "-m", "modules.cli", *arguments, *places]


def _assert_nothing_was_asked(folder: Path) -> None:
    lines = (folder / "watched").read_text().splitlines()
    assert any(line.startswith("watching") and "modules.cli" in line for line in lines)
    assert any(line.startswith("watching") and "modules.engine.main" in line for line in lines)
    assert not [line for line in lines if line.startswith("asked")]


def test_the_hook_sees_and_refuses(tmp_path: Path, watched: dict[str, str]) -> None:
    script = "import socket\nsocket.create_connection(('192.0.2.1', 80), timeout=1)"
    result = subprocess.run([sys.executable, "-c", script], env=watched, capture_output=True, check=False)
    assert result.returncode == 1
    assert "asked socket.getaddrinfo 192.0.2.1" in (tmp_path / "watched").read_text()


def test_generation_without_a_browser(tmp_path: Path, watched: dict[str, str]) -> None:
    picture = tmp_path / "picture.png"
    command = _command(tmp_path, "txt2img", "a red circle", "--steps", "2", "--seed", "1", "-o", str(picture))
    result = subprocess.run(
        command, cwd=ROOT, env=watched, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{picture}\n"
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "step 0 of 2" in result.stderr
    _assert_nothing_was_asked(tmp_path)


@pytest.fixture
def server(tmp_path: Path, watched: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A running server and its address."""
    log = tmp_path / "log"
    command = _command(tmp_path, "serve", "--port", "0")
    with log.open("w") as file, subprocess.Popen(
        command, cwd=ROOT, env=watched, stdout=file, stderr=file, text=True, start_new_session=True
    ) as process:  # fmt: skip
        try:
            yield process, _address(process, log)
        finally:
            process.kill()


def _address(process: subprocess.Popen[str], log: Path) -> str:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and process.poll() is None:
        words = log.read_text().partition("The page is at ")[2].split()
        if words:
            return words[0]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def _fetch(url: str, body: dict[str, object] | None = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=SECONDS) as response:
        return response.read()


def test_server_with_page_and_generation(tmp_path: Path, server: tuple[subprocess.Popen[str], str]) -> None:
    process, address = server
    end = time.monotonic() + SECONDS
    while b"gradio" not in _fetch(address + "/") and time.monotonic() < end:
        time.sleep(0.5)
    answer = json.loads(_fetch(address + "/sdapi/v1/txt2img", {"prompt": "a red circle", "steps": 2, "width": 128,
                                                               "height": 128, "seed": 1}))  # fmt: skip
    assert len(answer["images"]) == 1
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=60) == 0
    assert "Traceback" not in (tmp_path / "log").read_text()
    _assert_nothing_was_asked(tmp_path)
