"""Flags made from knobs, settings from flags and config.json, names for `-o`, the bar, and the command as a whole."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from modules import cli
from modules.cli import OutputNames, ProgressBar
from modules.flags import (
    checked,
    img2img_flags,
    read_settings,
    serve_flags,
    take_parts,
    translate,
    txt2img_flags,
)
from modules.schema.errors import BadRequest, UserError
from modules.schema.events import Progress
from modules.schema.knob import Knob, knobs
from modules.schema.parts import PARTS
from modules.schema.request import GenerationRequest
from modules.schema.settings import Settings
from tests.sources import ROOT


def _other_value(knob: Knob) -> Any:
    """A value that the knob allows and that is not its default."""
    if knob.kind is bool:
        return not knob.default
    if knob.kind is str:
        text = "https://example.org/x" if knob.name == "webhook_url" else "something"
        return next((choice for choice in knob.choices or (text,) if choice != knob.default), None)
    low = knob.minimum if knob.minimum is not None else 0
    return (
        knob.kind(low + 1 if low + 1 != knob.default else low + 2) if (knob.maximum or 9) > 2 else knob.kind(low or 1)
    )


def _words(knob: Knob, value: Any) -> list[str]:
    if knob.kind is bool:
        return [knob.flag if value else f"--no{knob.flag[1:]}"]
    return [knob.flag, str(value)]


@pytest.mark.parametrize("name", [name for name in knobs(GenerationRequest) if name != "prompt"])
def test_every_parameter_has_its_flag(name: str) -> None:
    knob = knobs(GenerationRequest)[name]
    value = _other_value(knob)
    given = txt2img_flags().read(["a prompt", *_words(knob, value)])
    assert given == {"prompt": "a prompt", name: value}
    assert getattr(checked(GenerationRequest, given), name) == value


def test_styles_may_be_given_several_times() -> None:
    given = txt2img_flags().read(["a fox", "--style", "oil", "--style", "large print"])
    assert checked(GenerationRequest, given).styles == ("oil", "large print")


@pytest.mark.parametrize("name", list(knobs(Settings)))
def test_every_setting_has_its_flag(name: str) -> None:
    knob = knobs(Settings)[name]
    value = _other_value(knob)
    given = serve_flags().read(_words(knob, value))
    assert given == {name: value}
    assert getattr(checked(Settings, given), name) == value


def _visible(part: str) -> list[Knob]:
    return [knob for knob in knobs(PARTS[part]).values() if not knob.hidden]


@pytest.mark.parametrize(("part", "name"), [(part, knob.name) for part in PARTS for knob in _visible(part)])
def test_every_parameter_of_a_part_has_its_flag(part: str, name: str) -> None:
    knob = knobs(PARTS[part])[name]
    value = "#102030" if name == "background_color" else _other_value(knob)
    picture = part in ("image", "inpaint", "soft_inpaint")
    words = ["a prompt", *(("--image", "a.png") if picture else ()), *_words(knob, value)]
    given = (img2img_flags() if picture else txt2img_flags()).read(words)
    parts = take_parts(given)
    assert parts[part] == ({"picture": "a.png"} if part == "image" else {}) | {name: value}
    assert given == {"prompt": "a prompt"}
    assert getattr(PARTS[part](**{name: value}), name) == value


def test_parts_are_switched_on_as_they_are() -> None:
    assert take_parts(txt2img_flags().read(["a", "--hires"])) == {"hires": {}}
    given = img2img_flags().read(["a", "--image", "b.png", "--mask", "c.png", "--soft-inpaint"])
    assert take_parts(given) == {"image": {"picture": "b.png"}, "inpaint": {"mask": "c.png"}, "soft_inpaint": {}}


def test_wrong_values_of_parts_name_their_flag() -> None:
    with pytest.raises(BadRequest, match=r"^--hires-scale cannot be 99"):
        checked(GenerationRequest, {"hires": {"scale": 99}})


def test_img2img_needs_a_picture_that_is_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert cli.main(["img2img", "a"], ROOT) == cli.REFUSED
    assert "--image" in capsys.readouterr().err
    words = ["img2img", "a", "--image", str(tmp_path / "none.png"), "--data-dir", str(tmp_path)]
    assert cli.main(words, ROOT) == cli.REFUSED
    assert "none.png cannot be read" in capsys.readouterr().err


def test_no_flag_serves_two_knobs() -> None:
    assert not set(knobs(Settings)) & set(knobs(GenerationRequest))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--listen"], {"server_name": "0.0.0.0"}),
        (["--listen", "--server-name", "10.0.0.2"], {"server_name": "10.0.0.2"}),
        (["--xformers"], {"attention": "xformers"}),
        (["--use-cpu"], {"device": "cpu"}),
        (["--use-cpu", "all"], {"device": "cpu"}),
        (["--device-id", "1"], {"device": "cuda:1"}),
        (["--loglevel", "WARNING"], {"log_level": "warning"}),
        (["--theme", "dark", "--autolaunch", "--api"], {"theme": "dark", "autolaunch": True, "api": True}),
        (["--nowebui"], {}),
    ],
)
def test_flags_of_a1111(words: list[str], expected: dict[str, Any]) -> None:
    values, notices = translate(serve_flags().read(words))
    assert values == expected
    assert len(notices) == ("--nowebui" in words)
    checked(Settings, values)


def test_short_spellings() -> None:
    given = txt2img_flags().read(["a", "--negative", "b", "--cfg", "3", "-o", "x.png"])
    assert given == {"prompt": "a", "negative_prompt": "b", "cfg_scale": 3.0, "output": "x.png"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["a", "cat"], "put a text of several words into quotes"),
        ([], "required: prompt"),
        (["a", "--stepz", "3"], "Did you mean '--steps'"),
        (["a", "--steps", "many"], "--steps: invalid int value: 'many'"),
    ],
)
def test_wrong_words_are_sentences(words: list[str], sentence: str) -> None:
    with pytest.raises(UserError, match=".") as error:
        txt2img_flags().read(words)
    assert sentence in str(error.value)


def test_wrong_values_name_their_flag() -> None:
    with pytest.raises(BadRequest, match=r"^--steps cannot be 0: it should be greater than or equal to 1\.$"):
        checked(GenerationRequest, {"steps": 0})


def test_help_names_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    for command, model in (([], Settings), (["txt2img"], GenerationRequest)):
        with pytest.raises(SystemExit) as end:
            cli.main([*command, "--help"], ROOT)
        assert end.value.code == 0
        text = capsys.readouterr().out
        assert not [knob.flag for knob in knobs(model).values() if knob.flag not in text and knob.name != "prompt"]


def test_settings_come_from_flags_over_config_over_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        json.dumps({"port": 7000, "theme": "dark", "sd_model_checkpoint": "theirs"})
    )
    settings, notices = read_settings({"port": 8000}, tmp_path)
    assert (settings.port, settings.theme, settings.server_name, notices) == (8000, "dark", "127.0.0.1", [])
    assert settings.model_fields_set == {"port", "theme"}, "the server asks whether a port was named"


def test_config_of_the_data_folder_is_the_one_that_counts(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/config.json").write_text('{"port": 7000}')
    (tmp_path / "config.json").write_text('{"port": 6000}')
    assert read_settings({"data_dir": str(tmp_path / "data")}, tmp_path)[0].port == 7000


def test_a_wrong_value_in_config_costs_only_itself_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"port": "many", "theme": "dark", "data_dir": "/elsewhere"}')
    settings, notices = read_settings({}, tmp_path)
    assert (settings.port, settings.theme, settings.data_dir) == (7860, "dark", "")
    assert "data_dir is given on the command line" in notices[0]
    assert notices[1].startswith("config.json: port cannot be 'many'")


@pytest.mark.parametrize("content", ["{cut off", "[]", "\x00\x00"])
def test_broken_config_is_moved_aside_and_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    settings, notices = read_settings({}, tmp_path)
    assert settings == Settings()
    assert "moved to config.json.broken" in notices[0]
    assert (tmp_path / "config.json.broken").read_text() == content
    assert not (tmp_path / "config.json").exists()


def test_output_names(tmp_path: Path) -> None:
    assert OutputNames(tmp_path / "a.png", 1).of(0).name == "a.png"
    assert OutputNames(tmp_path / "a", 1).of(0).name == "a.png"
    assert [OutputNames(tmp_path / "a.png", 12).of(i).name for i in (0, 11)] == ["a-01.png", "a-12.png"]
    written = OutputNames(tmp_path / "a.png", 2).write(1, b"data")
    assert written.read_bytes() == b"data"
    assert [path.name for path in tmp_path.iterdir()] == ["a-2.png"], "no draft is left"


@pytest.mark.parametrize(("name", "why"), [(".", "is a folder"), ("a.jpg", "as PNG"), ("no/a.png", "no folder")])
def test_output_names_that_cannot_be(tmp_path: Path, name: str, why: str) -> None:
    with pytest.raises(BadRequest, match=why):
        OutputNames(tmp_path / name, 1)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_in_a_terminal_is_one_line() -> None:
    stream = _Terminal()
    bar = ProgressBar(stream)
    bar.waiting("Loading.")
    bar.progress(Progress(5, 10, 1, 2, fraction=0.25, seconds_left=7.2))
    bar.waiting("not shown any more")
    bar.line("A sentence.")
    assert "\n" not in stream.getvalue().removesuffix("A sentence.\n")
    assert "step 5 of 10, picture 1 of 2, 7 s left" in stream.getvalue()
    assert f"[{'#' * 8}{'.' * 22}]" in stream.getvalue()
    assert "not shown" not in stream.getvalue()


def test_bar_in_a_file_is_a_line_every_tenth() -> None:
    stream = io.StringIO()
    bar = ProgressBar(stream)
    for step in range(100):
        bar.progress(Progress(step, 100, 1, 1, fraction=step / 100))
    assert len(stream.getvalue().splitlines()) == 10


@pytest.mark.parametrize(("line", "knows"), [("cuda: str | None = '13.0'", True), ("cuda: str | None = None", False),
                                             ('cuda = "12.8"', True), ("", False)])  # fmt: skip
def test_torch_is_asked_for_cuda_without_importing_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, knows: bool
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch/__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "torch/version.py").write_text(f"__version__ = '2.13.0'\n{line}\nhip = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert cli.torch_knows_cuda() is knows


def _txt2img(folder: Path, *words: str) -> list[str]:
    places = ["--data-dir", str(folder)]
    return [sys.executable, "-m", "modules.cli", "txt2img", "a red circle", *words, *places]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


def test_refusals_are_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    result = _run(_txt2img(tmp_path, "--sampler", "Eulr"))
    assert result.returncode == 2
    assert result.stderr.strip() == "There is no sampler named 'Eulr'. Did you mean 'Euler' or 'Euler a'?"


@pytest.mark.engine
def test_batch_is_numbered_and_in_the_checkpoints_size(tmp_path: Path) -> None:
    result = _run(
        _txt2img(tmp_path, "--steps", "1", "--seed", "5", "--batch-size", "2", "-o", str(tmp_path / "x.png"))
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == [str(tmp_path / "x-1.png"), str(tmp_path / "x-2.png")]
    sizes = [(tmp_path / name).read_bytes()[16:24] for name in ("x-1.png", "x-2.png")]
    assert sizes == [(128).to_bytes(4, "big") * 2] * 2
    assert not list((tmp_path / "outputs").rglob("*.png")), "-o is where they go, and nowhere else"


@pytest.mark.engine
@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_without_output_they_go_to_the_outputs_folder_and_ctrl_c_keeps_what_is_done(tmp_path: Path) -> None:
    command = _txt2img(tmp_path, "--steps", "8", "--batch-count", "50")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes) as process:
        first = Path(process.stdout.readline().strip())
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=120)
    assert process.returncode == cli.INTERRUPTED, errors
    assert len(rest.split()) < 49, "it did not go on to the end"
    assert "Traceback" not in errors
    assert "Interrupting; what is drawn so far is kept." in errors
    assert first.parent.parent == tmp_path / "outputs/txt2img-images"
    assert first.read_bytes().startswith(b"\x89PNG")
