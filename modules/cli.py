"""The command line: `serve` (the page and the API), and jobs without a browser: `txt2img`, `img2img`, `extras`,
`interrogate`, `merge` and `train`. And `user`: who may come in.

A user's mistake is one sentence on stderr and exit code 2; results alone go to stdout.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
import shutil
import sys
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from modules.bootstrap import NO_CALLS_HOME
from modules.catalog.writing import write_whole
from modules.flags import (
    checked,
    data_folder,
    extras_flags,
    img2img_flags,
    interrogate_flags,
    lent_accounts,
    merge_flags,
    read_settings,
    serve_flags,
    take_parts,
    translate,
    txt2img_flags,
)
from modules.schema.captioning import InterrogateRequest
from modules.schema.errors import BadRequest, UserError
from modules.schema.events import Captioned, Event, Finished, ImageSaved, Progress
from modules.schema.extras import ExtrasRequest
from modules.schema.knob import knobs
from modules.schema.merge import MergeMethod, MergeRequest
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings
from modules.service.access_link import Place
from modules.service.app import App
from modules.service.extensions import Extensions
from modules.service.inputs import pictures_at
from modules.service.jobs import Job
from modules.terminal import (
    INTERRUPTED,
    OWNER,
    REFUSED,
    ProgressBar,
    Watch,
    open_app,
    say,
    show_code,
    start_log,
    tell,
)
from modules.training_command import train
from modules.user_command import user

COMMANDS = ("serve", "txt2img", "img2img", "merge", "extras", "interrogate", "train", "user")
PICTURES = {"image": "picture", "inpaint": "mask", "hires": "picture"}
"""The fields of a request's parts that are pictures, and so files here."""


def main(arguments: Sequence[str], program: Path) -> int:
    """Do what the arguments say; `program` is the folder of webui.py. Returns the exit code."""
    os.environ.update(NO_CALLS_HOME)
    command = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    rest = list(arguments[1:] if command else arguments)
    others = {"txt2img": _txt2img, "img2img": _img2img, "merge": _merge, "extras": _extras,
              "interrogate": _interrogate, "train": train, "user": user}  # fmt: skip
    run = others.get(command, _serve)
    try:
        return run(rest, program)
    except UserError as error:
        say(str(error))
        return REFUSED
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED


def _serve(arguments: list[str], program: Path) -> int:
    given = serve_flags().read(arguments)
    lent = lent_accounts(given)
    values, needless = translate(given)
    settings, notices = read_settings(values, program)
    start_log(settings.log_level)
    say(*needless, *notices, *_warnings(settings))
    app = App.start(settings, program)
    try:
        app.people.accounts.lend(lent)
        if settings.no_auth and app.people.accounts.exist():
            raise BadRequest("There are accounts, so --no-auth cannot be: remove them, or start without --no-auth.")
        app.desk.notices += notices
        say(*app.notices)
        from modules.web.server import serve  # while the engine process is starting already

        serve(app, settings, announce=lambda place: _announce(app, place))
    except KeyboardInterrupt:
        say("Stopping.")
    finally:
        app.close()
    return 0


def _warnings(settings: Settings) -> list[str]:
    warnings = []
    if settings.no_auth:
        warnings.append(
            f"Warning: --no-auth: everybody who reaches this machine at {settings.server_name} can draw on it, look "
            "at its lists of models and fill its disk. Do this only in a network you trust."
        )
    if settings.device == "auto" and shutil.which("nvidia-smi") and not torch_knows_cuda():
        warnings.append(
            "Warning: this machine has an NVIDIA card, but the PyTorch in .venv cannot use it, so pictures are drawn "
            "on the CPU: see 'Graphics cards' in README.md."
        )
    return warnings


def torch_knows_cuda() -> bool:
    """Whether the installed PyTorch was built for NVIDIA cards; read from its version file, without importing it."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    version = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    return re.search(r"^cuda\b.*= *['\"]", version, re.MULTILINE) is not None


def _announce(app: App, place: Place) -> None:
    say(f"The page is at {place.here()} (Ctrl+C ends it).")
    elsewhere = place.elsewhere()
    if elsewhere:
        _tell_others(app, elsewhere)
    if app.settings.autolaunch:
        webbrowser.open(place.here())


def _tell_others(app: App, addresses: list[str]) -> None:
    """How other devices get in. The link is a secret: a terminal may have it, a log may not."""
    if app.people.accounts.exist():
        say(f"Other devices: {' or '.join(addresses)}, with an account ('python webui.py user list').")
    elif app.settings.no_auth:
        say(f"Other devices: {' or '.join(addresses)}; nobody is asked who they are.")
    elif not sys.stderr.isatty():
        say(f"Other devices: {addresses[0]}, by the access link that 'python webui.py user link' shows.")
    else:
        links = [address + app.people.link.path() for address in addresses]
        say("Other devices come in by this link; give it to nobody else:", *(f"  {link}" for link in links))
        show_code(links[0])
        say("To have people log in by name instead: python webui.py user add NAME --owner")


def _txt2img(arguments: list[str], program: Path) -> int:
    extensions = Extensions.of(*data_folder(arguments, program))
    return _draw(txt2img_flags().read(arguments), program, extensions)


def _img2img(arguments: list[str], program: Path) -> int:
    extensions = Extensions.of(*data_folder(arguments, program))
    return _draw(img2img_flags().read(arguments), program, extensions)


def _draw(given: dict[str, Any], program: Path, extensions: Extensions) -> int:
    """A job that draws; its parts' pictures are files so far."""
    output = given.pop("output", None)
    parts: dict[str, Any] = take_parts(given)
    used = {name: parts.pop(name) for name in list(parts) if name.startswith("extensions.")}
    parts["extensions"] = {name.removeprefix("extensions."): values for name, values in used.items()}
    files = {name: part.pop(field) for name, field in PICTURES.items() if field in (part := parts.get(name, {}))}
    asked = {name: given.pop(name) for name in (*knobs(GenerationRequest), "styles") if name in given}
    request = checked(GenerationRequest, asked | parts)
    names = None if output is None else OutputNames(Path(output), request.image_count)
    with open_app(given, program, extensions=extensions) as app:
        for name, file in files.items():
            kept = app.inputs.add_file(Path(file))[0]
            request = request.replace(**{name: getattr(request, name).replace(**{PICTURES[name]: kept})})
        if not {"width", "height"} & set(asked):
            request = _at_native_size(app, request)
        job = app.submit(request, OWNER, save=False if names else None)
        return _Drawing(app, job, names, ProgressBar(sys.stderr)).run()


def _at_native_size(app: App, request: GenerationRequest) -> GenerationRequest:
    """As the form does: without a size on the command line, the size that the checkpoint was made for. A picture to
    begin with keeps its shape, at about as many pixels; a finished one to enlarge keeps its size."""
    if request.hires is not None and request.hires.picture:
        width, height = app.inputs.open(request.hires.picture).size
        return request.replace(width=width, height=height)
    entry = app.checkpoints.find(request.checkpoint or app.selected_checkpoint)
    if entry.native_size is None:
        return request
    width, height = entry.native_size
    if request.image is not None and (request.inpaint is None or request.inpaint.area == "Whole picture"):
        shape = app.inputs.open(request.image.picture).size
        factor = math.sqrt(width * height / (shape[0] * shape[1]))
        width, height = (max(round(side * factor / 8) * 8, 16) for side in shape)
    return request.replace(width=width, height=height)


def _merge(arguments: list[str], program: Path) -> int:
    given = merge_flags().read(arguments)
    names: list[str] = given.pop("checkpoints")
    asked = {name: given.pop(name) for name in knobs(MergeRequest) if name in given}
    if len(names) not in _METHODS:
        raise BadRequest(f"{len(names)} checkpoints were named; one, two or three can be merged.", "checkpoints")
    asked.setdefault("method", _METHODS[len(names)])
    asked |= dict(zip(("checkpoint_a", "checkpoint_b", "checkpoint_c"), names, strict=False))
    request = checked(MergeRequest, asked)
    with open_app(given, program) as app:
        job = app.submit(request, OWNER)
        code = _Drawing(app, job, None, ProgressBar(sys.stderr)).run()
        if code == 0 and isinstance(job.request, MergeRequest):
            tell(app.folders.checkpoints[0] / f"{job.request.name}.safetensors")
        return code


_METHODS: dict[int, MergeMethod] = {1: "No interpolation", 2: "Weighted sum", 3: "Add difference"}


def _extras(arguments: list[str], program: Path) -> int:
    given = extras_flags().read(arguments)
    files = [file for word in given.pop("pictures") for file in pictures_at(Path(word))]
    asked = {name: given.pop(name) for name in knobs(ExtrasRequest) if name in given}
    checked(ExtrasRequest, asked)
    with open_app(given, program) as app:
        kept = [app.inputs.add_file(file) for file in files]
        asked["pictures"] = tuple(name for name, _ in kept)
        asked["texts"] = tuple(text for _, text in kept)
        asked["names"] = tuple(file.name for file in files)
        request = checked(ExtrasRequest, asked)  # only what was asked for is set: the settings fill in the rest
        return _Drawing(app, app.submit(request, OWNER), None, ProgressBar(sys.stderr)).run()


def _interrogate(arguments: list[str], program: Path) -> int:
    given = interrogate_flags().read(arguments)
    files = [file for word in given.pop("pictures") for file in pictures_at(Path(word))]
    asked = {name: given.pop(name) for name in knobs(InterrogateRequest) if name in given}
    checked(InterrogateRequest, asked)
    with open_app(given, program) as app:
        app.captions.find(asked.get("captioner", ""))
        asked["pictures"] = tuple(app.inputs.add_file(file)[0] for file in files)
        return _Looking(app, app.submit(checked(InterrogateRequest, asked), OWNER), files).run()


class OutputNames:
    """Where `-o FILE` puts its pictures; raises BadRequest for what cannot be a PNG file's name."""

    def __init__(self, path: Path, count: int) -> None:
        if path.is_dir():
            raise BadRequest(f"-o {path} is a folder: name a file in it, such as {path / 'picture.png'}.", "output")
        if path.suffix.lower() not in ("", ".png"):
            raise BadRequest(f"-o {path}: pictures are written as PNG; end the name with .png.", "output")
        if not path.absolute().parent.is_dir():
            raise BadRequest(f"-o {path}: there is no folder {path.parent}; make it first.", "output")
        self._path = path if path.suffix else path.with_name(f"{path.name}.png")
        self._count = count

    def of(self, index: int) -> Path:
        """The file of picture `index` (from 0): FILE.png alone, else FILE-01.png and so on."""
        if self._count == 1:
            return self._path
        return self._path.with_name(f"{self._path.stem}-{index + 1:0{len(str(self._count))}d}{self._path.suffix}")

    def write(self, index: int, data: bytes) -> Path:
        """Write the file in one piece; raises UserError."""
        path = self.of(index)
        try:
            write_whole(path, data)
        except OSError as error:
            raise UserError(f"{path} could not be written ({error.strerror}); choose another place.") from error
        return path


class _Drawing(Watch):
    """A job that makes pictures or a file, in the terminal. Ctrl+C keeps what is done."""

    def __init__(self, app: App, job: Job, names: OutputNames | None, bar: ProgressBar) -> None:
        super().__init__(app, job, bar)
        self._names = names

    def _stop(self) -> str:
        self._app.interrupt(self._job.id, self._job.owner)
        return "Interrupting; what is drawn so far is kept."

    def _show(self, event: Event) -> None:
        if isinstance(event, Progress):
            self._bar.progress(event)
        elif isinstance(event, ImageSaved):
            path = self._place(event)
            self._bar.clear()
            tell(path)

    def _place(self, image: ImageSaved) -> Path:
        if self._names is None:
            return self._app.image_path(image.name, self._job.owner)
        return self._names.write(image.index, self._app.image_bytes(self._job.id, image.index, self._job.owner))

    def _finished(self, event: Finished) -> int:
        return 0 if event.reason == "done" else INTERRUPTED


class _Looking(_Drawing):
    """Pictures that are described, in the terminal: a line for each, with its file where there are several."""

    def __init__(self, app: App, job: Job, files: Sequence[Path]) -> None:
        super().__init__(app, job, None, ProgressBar(sys.stderr))
        self._files = files

    def _show(self, event: Event) -> None:
        if isinstance(event, Captioned):
            self._bar.clear()
            tell(event.text if len(self._files) == 1 else f"{self._files[event.index]}: {event.text}")
        else:
            super()._show(event)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path(__file__).resolve().parent.parent))
