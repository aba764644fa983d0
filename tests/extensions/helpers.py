"""Folders of extensions made for a test, and hosts that load them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

from modules.extensions.found import Found, read_folder
from modules.extensions.host import Host
from modules.extensions.names import registry_sink
from modules.schema.samplers import SAMPLERS

SAMPLES = Path(__file__).with_name("samples")


def write(folder: Path, name: str, **files: str) -> Path:
    """An extension's folder with those files; `extension="..."` is extension.py."""
    place = folder / name
    for file, text in files.items():
        path = place / (file if "." in file else f"{file}.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return place


def found(folder: Path, name: str, **files: str) -> Found:
    one = read_folder(write(folder, name, **files), "folder")
    assert one is not None
    return one


def web_host(**sinks: Any) -> Host:
    return Host("web", {"samplers": registry_sink(SAMPLERS), **sinks})


def sentences(host: Host, name: str) -> str:
    return " ".join(problem.sentence for problem in host.problems.of(name))
