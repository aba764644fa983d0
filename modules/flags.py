"""Command-line flags, made from knobs, and the settings that they and `config.json` decide together.

A knob alone declares its flag; flags of A1111 that mean the same under another name are translated. Everything wrong
is a `UserError` that names the flag or the key.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from modules.catalog.settings_file import FILE, read_config, usable
from modules.schema.captioning import InterrogateRequest
from modules.schema.errors import BadRequest, UnknownName
from modules.schema.extension_options import EXTENSIONS, ExtensionFacts
from modules.schema.extras import ExtrasRequest
from modules.schema.knob import Knob, knobs
from modules.schema.merge import MergeRequest
from modules.schema.parts import PARTS
from modules.schema.request import GenerationRequest
from modules.schema.settings import Folders, Settings, folders
from modules.schema.training import PRESETS, TrainingRequest

ALIASES = {"negative_prompt": ("--negative",), "cfg_scale": ("--cfg",), "log_level": ("--loglevel",),
           "data_root": ("--data",)}  # fmt: skip
NEEDLESS = {
    "--nowebui": "The page is served beside the API.",
    "--opt-sdp-attention": "This is the standard here; nothing to switch on.",
    "--opt-channelslast": "This is the standard here; nothing to switch on.",
    "--no-half-vae": "A picture that fails in half precision is decoded again in a higher one by itself.",
    "--no-download-sd-model": "Nothing is ever downloaded.",
    "--skip-torch-cuda-test": "There is no such test.",
}

Model = TypeVar("Model", bound=BaseModel)


class Flags(argparse.ArgumentParser):
    """argparse whose complaints are sentences."""

    def error(self, message: str) -> NoReturn:
        raise BadRequest(f"{message[:1].upper()}{message[1:]}; '{self.prog} --help' lists what can be given.")

    def spellings(self) -> tuple[str, ...]:
        """Every flag it knows."""
        return tuple(self._option_string_actions)

    def read(self, arguments: Sequence[str]) -> dict[str, Any]:
        """The given values (and only those) by their names; raises UserError."""
        values, rest = self.parse_known_args(arguments)
        unknown = [word for word in rest if word.startswith("-")]
        if unknown:
            raise UnknownName("option", unknown[0].split("=")[0], self.spellings())
        if rest:
            raise BadRequest(f"{rest[0]!r} is one word too many: put a text of several words into quotes.")
        return vars(values)


def serve_flags() -> Flags:
    """All settings, and A1111's flags for them."""
    parser = _flags("python webui.py", "Serve the page and the API. 'python webui.py txt2img --help': no browser.")
    _add_settings(parser, list(knobs(Settings).values()))
    group = parser.add_argument_group("as in A1111")
    group.add_argument("--listen", action="store_true", help="listen to the whole network: --server-name 0.0.0.0")
    access = parser.add_argument_group("access")
    access.add_argument(
        "--no-auth", action="store_true", help="ask nobody who they are: whoever reaches this machine may use it"
    )
    access.add_argument(
        "--api-auth", "--gradio-auth", action="append", dest="lent", metavar="NAME:PASSWORD", help="accounts of this "
        "start alone, several with commas; other users of this machine can see them here, so better make some with "
        "'python webui.py user add'",
    )  # fmt: skip
    access.add_argument("--gradio-auth-path", metavar="FILE", help="the same from a file, with commas or one a line")
    for flag, why in NEEDLESS.items():
        group.add_argument(flag, action="append_const", const=f"{flag}: {why}", dest="needless", help=why)
    return parser


def txt2img_flags() -> Flags:
    """The prompt, one flag for every other parameter, `--output`, and the settings that matter without a page."""
    parser = _flags("python webui.py txt2img", "Draw pictures from a prompt; prints the files' names.")
    _add_drawing(parser)
    _add_part(parser, "hires", "--hires", "a second pass at a larger size; any --hires-... flag does it too")
    group = parser.add_argument_group("hires picture")
    group.add_argument("--hires-image", dest="hires.picture", metavar="FILE", help="a finished picture to enlarge")
    _add_settings(parser, _useful_settings())
    return parser


def img2img_flags() -> Flags:
    """The prompt, the picture and its mask, one flag for every other parameter."""
    parser = _flags("python webui.py img2img", "Draw pictures from a prompt and a picture; prints the files' names.")
    _add_drawing(parser)
    group = parser.add_argument_group("picture")
    group.add_argument(
        "--image", dest="image.picture", metavar="FILE", required=True, help="the picture to begin with"
    )
    group.add_argument("--mask", dest="inpaint.mask", metavar="FILE", help="white is drawn anew, black is kept")
    _add_part(parser, "image")
    _add_part(parser, "inpaint")
    _add_part(parser, "soft_inpaint", "--soft-inpaint", "blend by how much each place has changed")
    _add_settings(parser, _useful_settings())
    return parser


def _add_drawing(parser: Flags) -> None:
    """What both ways of drawing take."""
    parser.add_argument("prompt", help="what the picture shows, in quotes")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="PNG file to write; several pictures are numbered (FILE-1.png ...). Without it they go to the outputs "
        "folder.",
    )
    parser.add_argument(
        "--style", action="append", dest="styles", metavar="NAME", help="a saved style to put into the prompts; may "
        "be given several times",
    )  # fmt: skip
    _add_knobs(parser, [knob for knob in knobs(GenerationRequest).values() if knob.name != "prompt"])
    _add_part(parser, "refiner")
    for facts in EXTENSIONS:
        _add_extension(parser, facts)


def _add_extension(parser: Flags, facts: ExtensionFacts) -> None:
    """A switch, and a flag for each of an extension's options; flags that are taken are left out."""
    part, flag = f"extensions.{facts.name}", facts.name.lower().replace("_", "-")
    group = parser.add_argument_group(f"{facts.label}, an extension")
    wanted = [replace(knob, prefix=f"{flag}-", section=group.title or "") for knob in facts.knobs.values()]
    free = [knob for knob in wanted if not knob.hidden and knob.flag not in parser.spellings()]
    if f"--{flag}" not in parser.spellings():
        group.add_argument(f"--{flag}", dest=f"{part}.", action="store_true", help=f"{facts.help} Any flag does it.")
    _add_knobs(parser, free, part)


def data_folder(arguments: Sequence[str], program: Path) -> tuple[Settings, Folders]:
    """The data folder that a command line names, before all of it can be read."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--data-dir", default="")
    parser.add_argument("--models-dir", default="")
    settings = Settings(**vars(parser.parse_known_args(list(arguments))[0]))
    return settings, folders(settings, program)


def _add_part(parser: Flags, part: str, switch: str = "", help: str = "") -> None:
    """Flags of an optional part of the request; `switch` turns it on as it is."""
    visible = [knob for knob in knobs(PARTS[part]).values() if not knob.hidden]
    _add_knobs(parser, visible, part)
    if switch:
        group = parser.add_argument_group(f"{visible[0].section}, all in all")
        group.add_argument(switch, dest=f"{part}.", action="store_true", help=help)


def _useful_settings() -> list[Knob]:
    needless = ("server", "preview", "limits", "news")
    return [k for k in knobs(Settings).values() if k.section not in needless or k.name == "log_level"]


def take_parts(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The values of a request's parts, taken out of what was given; a part that is only switched on has none."""
    parts: dict[str, dict[str, Any]] = {}
    for name in [name for name in given if "." in name]:
        part, _, field = name.rpartition(".")
        value = given.pop(name)
        parts.setdefault(part, {}).update({field: value} if field else {})
    return parts


def merge_flags() -> Flags:
    """The checkpoints to merge, how, and where they are."""
    parser = _flags("python webui.py merge", "Merge checkpoints into a new one: A, A and B, or A, B and C.")
    parser.add_argument(
        "checkpoints",
        nargs="+",
        metavar="CHECKPOINT",
        help="names or hashes of A, B and C; two are a weighted sum, three add the difference of B and C to A",
    )
    _add_knobs(parser, [knob for name, knob in knobs(MergeRequest).items() if not name.startswith("checkpoint_")])
    _add_settings(parser, [knob for knob in knobs(Settings).values() if knob.section == "folders"])
    return parser


def train_flags() -> Flags:
    """What is learned from which pictures, one flag for every parameter, and those of the model and the previews."""
    parser = _flags(
        "python webui.py train",
        "Train a word or a LoRA from a folder of pictures. Ctrl+C pauses; the same command goes on.",
    )
    parser.add_argument("--preset", choices=tuple(PRESETS), help="begin with the values of a preset")
    parser.add_argument("--new", action="store_true", help="begin anew beside an unfinished run of that name")
    own = knobs(TrainingRequest)
    _add_knobs(parser, list(own.values()))
    drawing = [knob for knob in knobs(GenerationRequest).values() if not knob.hidden]
    model = [knob for knob in drawing if knob.section == "model" and knob.name not in own]
    _add_knobs(parser, model, "preview")
    previews = [replace(knob, prefix="preview_", section="previews") for knob in drawing if knob not in model]
    _add_knobs(parser, previews, "preview")
    _add_settings(parser, [knob for knob in knobs(Settings).values() if knob.section in ("folders", "engine")])
    return parser


def extras_flags() -> Flags:
    """The pictures to enlarge, and how."""
    parser = _flags("python webui.py extras", "Enlarge pictures and restore faces in them; prints the files' names.")
    parser.add_argument("pictures", nargs="+", metavar="FILE", help="pictures, or folders of them")
    _add_knobs(parser, list(knobs(ExtrasRequest).values()))
    _add_settings(parser, [knob for knob in knobs(Settings).values() if knob.section in ("folders", "engine")])
    return parser


def interrogate_flags() -> Flags:
    """The pictures to describe, by whom, and how."""
    parser = _flags("python webui.py interrogate", "Say what is in pictures: prints a line for each.")
    parser.add_argument("pictures", nargs="+", metavar="FILE", help="pictures, or folders of them")
    _add_knobs(parser, list(knobs(InterrogateRequest).values()))
    _add_settings(parser, [knob for knob in knobs(Settings).values() if knob.section in ("folders", "engine")])
    return parser


def user_flags() -> Flags:
    """What is done with which account."""
    parser = _flags("python webui.py user", "Accounts of those who may use the page, and the access link.")
    parser.usage = "python webui.py user ACTION [NAME] [LIMIT ...] [options]"
    parser.add_argument(
        "action",
        metavar="ACTION",
        choices=("add", "list", "remove", "password", "token", "limit", "link"),
        help="add, list, remove; password: a new one; token: make one for a program; limit: how much one account "
        "may ask for; link: show the access link, which is used while there are no accounts",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the account's name")
    parser.add_argument(
        "limits", nargs="*", default=[], metavar="LIMIT", help="as queue=5, size=1024, steps=50, pictures=100"
    )
    parser.add_argument(
        "--owner", action="store_true", help="add: this person owns the machine and may do everything"
    )
    parser.add_argument("--stdin", action="store_true", help="add, password: read the password from stdin")
    parser.add_argument("--revoke", action="store_true", help="token: end all tokens of the account")
    parser.add_argument("--new", action="store_true", help="link: make a new one, which ends the old one")
    _add_knobs(parser, [knob for knob in knobs(Settings).values() if knob.name in ("data_dir", "log_level")])
    return parser


def lent_accounts(given: dict[str, Any]) -> list[tuple[str, str]]:
    """(name, password) pairs of A1111's flags, taken out of what was given. Raises BadRequest."""
    texts: list[str] = given.pop("lent", [])
    path = given.pop("gradio_auth_path", None)
    if path is not None:
        try:
            texts = [*texts, *Path(path).read_text(encoding="utf-8").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            raise BadRequest(f"--gradio-auth-path: {path} cannot be read ({error}).") from None
    pairs = [word.strip().partition(":") for text in texts for word in text.split(",") if word.strip()]
    if any(not name or not password for name, _, password in pairs):
        raise BadRequest("--api-auth and --gradio-auth are given as NAME:PASSWORD, several with commas.")
    return [(name, password) for name, _, password in pairs]


def _flags(program: str, description: str) -> Flags:
    return Flags(
        prog=program,
        usage=f"{program} [options]",
        description=description,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )


def _add_settings(parser: argparse.ArgumentParser, settings: list[Knob]) -> None:
    _add_knobs(parser, settings)
    group = parser.add_argument_group("device, as in A1111")
    group.add_argument("--use-cpu", nargs="*", metavar="all", help="draw on the CPU: --device cpu")
    group.add_argument("--device-id", type=int, metavar="N", help="draw on NVIDIA card N: --device cuda:N")
    group.add_argument("--xformers", action="store_true", help="xformers' attention: --attention xformers")


def _add_knobs(parser: argparse.ArgumentParser, wanted: list[Knob], part: str = "") -> None:
    """A flag for every knob, grouped by section; bounds are checked by the request itself.

    Values of a request's `part` are called "part.name".
    """
    groups: dict[str, argparse._ArgumentGroup] = {}
    for knob in wanted:
        if knob.section not in groups:
            groups[knob.section] = parser.add_argument_group(knob.section)
        options: dict[str, Any] = {"dest": f"{part}.{knob.name}" if part else knob.name, "help": _help(knob)}
        if knob.kind is bool:
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["type"] = str.lower if knob.name == "log_level" else knob.kind
            options["metavar"] = knob.kind.__name__.upper()
        aliases = () if part else ALIASES.get(knob.name, ())
        groups[knob.section].add_argument(knob.flag, *aliases, **options)


def _help(knob: Knob) -> str:
    choices = f" One of: {', '.join(knob.choices)}." if knob.choices else ""
    default = "" if knob.default in (None, "") else f" [{knob.default}]"
    return f"{knob.help}{choices}{default}".replace("%", "%%")


def translate(given: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A1111's spellings as settings, and sentences about those that do nothing here."""
    values = dict(given)
    notices: list[str] = values.pop("needless", [])
    parts = values.pop("use_cpu", None)
    if parts is not None:
        if set(parts) - {"all"}:
            raise BadRequest("--use-cpu can only take everything to the CPU here: leave the names of parts away.")
        values["device"] = "cpu"
    if "device_id" in values:
        values["device"] = f"cuda:{values.pop('device_id')}"
    if values.pop("xformers", False):
        values["attention"] = "xformers"
    if values.pop("listen", False):
        values.setdefault("server_name", "0.0.0.0")
    return values, notices


def checked(model: type[Model], values: dict[str, Any], source: str = "") -> Model:
    """`values` as a request or settings; raises BadRequest that names the flag, or the key of `source`."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = [str(step) for step in first["loc"]]
        owner, name = (PARTS[place[0]], place[1]) if len(place) > 1 and place[0] in PARTS else (model, place[0])
        spelt = f"{source}: {name}" if source else knobs(owner)[name].flag
        reason = first["msg"].replace("Input should be", "it should be")
        raise BadRequest(f"{spelt} cannot be {first['input']!r}: {reason}.", name) from None


def read_settings(given: dict[str, Any], program: Path) -> tuple[Settings, list[str]]:
    """Settings from the flags over `config.json` of the data folder over the defaults, and sentences about them.

    Keys of config.json that are not ours (an A1111 folder's) are left alone; what is wrong there costs only itself.
    Raises UserError.
    """
    path = folders(checked(Settings, given), program).data / FILE
    content, notices = read_config(path)
    stored, wrong = usable(content, path)
    return checked(Settings, {**stored, **given}), [*notices, *wrong]
