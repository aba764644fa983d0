"""Which engines there are on this machine: `--gpus` as names and command lines of engine processes."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from modules.schema.errors import BadRequest
from modules.schema.settings import Settings
from modules.service.engines import MakeHandle
from modules.service.worker import Worker

NONE = "none"
_CARD = re.compile(r"\d{1,3}")
_DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d{1,3})?")


def engine_commands(settings: Settings, always: list[str] | None = None) -> dict[str, list[str]]:
    """The command line of every engine process on this machine by its name; raises BadRequest for `--gpus`.

    `always` stands in for all of them.
        Engines that draw on the CPU share its cores, unless `--threads` says how many each has.
    """
    devices = _devices(settings.gpus, "gpus")
    if devices is None:
        return {"the engine": always or engine_command(settings)}
    if not devices and not settings.cluster:
        raise BadRequest("--gpus none leaves no engine to draw: it goes with --cluster only.", "gpus")
    on_cpu = devices.count("cpu")
    shared = settings.threads or (max((os.cpu_count() or 1) // on_cpu, 1) if on_cpu > 1 else 0)
    return {
        f"engine {number} ({device})": always
        or engine_command(settings.replace(device=device, threads=shared if device == "cpu" else settings.threads))
        for number, device in enumerate(devices, 1)
    }


def local_engines(commands: Mapping[str, list[str]], program: Path, log: Path) -> dict[str, MakeHandle]:
    """What makes the handles of the engines with those command lines; their logs are LOG.log, LOG-2.log ..."""

    def maker(number: int, command: list[str]) -> MakeHandle:
        log_file = log.with_name(f"{log.name}-{number}.log" if number > 1 else f"{log.name}.log")
        return lambda on_event, on_death: Worker(
            command, folder=program, log_file=log_file, on_event=on_event, on_death=on_death
        )

    return {name: maker(number, command) for number, (name, command) in enumerate(commands.items(), 1)}


def engine_command(settings: Settings) -> list[str]:
    """The command line of an engine process on the settings' device."""
    return [
        sys.executable,
        "-m",
        "modules.engine.main",
        "--device",
        settings.device,
        "--threads",
        str(settings.threads),
        "--attention",
        settings.attention,
        "--capacity",
        str(settings.checkpoints_in_ram),
        *(word for device in training_devices(settings) for word in ("--training-device", device)),
    ]


def training_devices(settings: Settings) -> list[str]:
    """The cards of `training_devices` (or cpu, again and again: for a test); raises BadRequest."""
    found = _devices(settings.training_devices, "training_devices") or []
    for device in found:
        if device != "cpu" and not device.startswith("cuda:"):
            raise _unreadable(device, "training_devices")
    return found


def _devices(named: str, setting: str) -> list[str] | None:
    """The devices named with commas between; None where nothing is named."""
    if not named.strip():
        return None
    if named.strip().lower() == NONE:
        return []
    return [_device(entry.strip().lower(), setting) for entry in named.split(",")]


def _device(entry: str, setting: str) -> str:
    if _CARD.fullmatch(entry):
        return f"cuda:{int(entry)}"
    if _DEVICE.fullmatch(entry):
        return entry
    raise _unreadable(entry, setting)


def _unreadable(entry: str, setting: str) -> BadRequest:
    flag, example = f"--{setting.replace('_', '-')}", "1,2" if setting == "training_devices" else "0,1"
    others = "" if setting == "training_devices" else "; cpu and mps are possible too"
    return BadRequest(
        f"{flag} cannot be read at {entry!r}: name cards by their numbers with commas between, as in {flag} "
        f"{example}{others}.",
        setting,
    )
