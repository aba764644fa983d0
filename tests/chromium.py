"""Finds the browser of the browser tests, or installs it where that is possible. Standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from modules.bootstrap import say

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "msedge",
)
ELSEWHERE = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)
PACKAGES = ("chromium", "chromium-browser")
SECONDS = 600


def find() -> str | None:
    """Path of a Chromium, Chrome or Edge of this machine; the variable CHROMIUM names another one."""
    named = os.environ.get("CHROMIUM")
    if named:
        return shutil.which(named)
    on_path = (shutil.which(name) for name in NAMES)
    return next((path for path in on_path if path), None) or next((p for p in ELSEWHERE if Path(p).is_file()), None)


def find_or_install() -> str | None:
    """As `find`, after installing the system's package where this is Debian or Ubuntu and we are its root."""
    found = find()
    if found or not shutil.which("apt-get") or os.name != "posix" or os.geteuid() != 0:
        return found
    say("Installing Chromium for the browser tests with apt-get")
    if _apt("update"):
        for package in PACKAGES:
            if _apt("install", "-y", "--no-install-recommends", package):
                break
    return find()


def _apt(*arguments: str) -> bool:
    surroundings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        result = subprocess.run(
            ["apt-get", "-q", *arguments], stdout=2, env=surroundings, timeout=SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0
