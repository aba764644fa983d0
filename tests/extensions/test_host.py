"""Loading: each extension by itself, and what is wrong with one is told on its page, while the others run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from modules.extensions.found import find_all, hooks_in, missing
from modules.extensions.host import Host
from modules.schema.extension_options import EXTENSIONS
from modules.schema.samplers import SAMPLERS
from tests.extensions.helpers import found, sentences, web_host, write

GOOD = """
    from modules.extensions import Options, hook, knob

    class Mine(Options):
        amount: float = knob(1.0, "Amount", "How much.", ge=0, le=2)

    @hook
    def options():
        return Mine

    @hook
    def denoised(denoised, options):
        return denoised * options.amount
"""


@pytest.fixture
def host() -> Iterator[Host]:
    host = web_host()
    yield host
    host.close()


def test_an_extension_in_one_file_is_there_with_its_options_and_gone_when_unloaded(
    tmp_path: Path, host: Host
) -> None:
    host.load([found(tmp_path, "good", extension=GOOD)])
    assert [one.name for one in host.loaded] == ["good"]
    assert [knob.label for knob in EXTENSIONS.get("good").knobs.values()] == ["Amount"]
    assert [one.extension for one in host.find("denoised")] == ["good"]
    assert host.problems.of("good") == []
    host.unload("good")
    assert "good" not in EXTENSIONS
    assert host.find("denoised") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_library_at_all", "cannot be imported (ModuleNotFoundError: No module named 'no_such_l"),
        ("1 / 0", "cannot be imported (ZeroDivisionError"),
        ("raise SystemExit('enough')", "cannot be imported (SystemExit: enough"),
        ("def broken(:", "cannot be imported (SyntaxError"),
        ("import torch", "imports torch at its top, which the web process must not have"),
        ("try:\n    from diffusers import X\nexcept ImportError:\n    X = None", "imports diffusers at its top"),
        ("from modules.extensions import hook\n@hook\ndef prompt(prompts, colour):\n    return None", "colour"),
        (
            "from modules.extensions import hook\n@hook\ndef options():\n    return dict",
            "must return a class made from",
        ),
        (
            "from modules.extensions import hook\n@hook\ndef options():\n    raise KeyError('x')",
            "options failed (Key",
        ),
    ],
)
def test_one_that_cannot_be_loaded_is_told_and_the_next_one_works(
    tmp_path: Path, host: Host, text: str, said: str
) -> None:
    host.load([found(tmp_path, "bad", extension=text), found(tmp_path, "good", extension=GOOD)])
    assert said in sentences(host, "bad")
    assert [one.name for one in host.loaded] == ["good"]
    assert "bad" not in EXTENSIONS


def test_a_misspelt_hook_is_told_with_the_one_that_was_meant(tmp_path: Path, host: Host) -> None:
    text = "from modules.extensions import hook\n@hook\ndef denoise(denoised):\n    return None"
    host.load([found(tmp_path, "misspelt", extension=text)])
    assert "'denoise', which does not exist; is 'denoised' meant?" in sentences(host, "misspelt")
    assert [one.name for one in host.loaded] == ["misspelt"]


def test_a_taken_name_is_told_and_the_rest_of_the_extension_works(tmp_path: Path, host: Host) -> None:
    text = """
        from modules.extensions import SamplerFacts, hook

        @hook
        def register_samplers(register):
            register(SamplerFacts("my_euler", "Euler"))
            register(SamplerFacts("my_own", "My own"))
    """
    host.load([found(tmp_path, "taken", extension=text)])
    assert "There is a sampler named 'Euler' already; this one of taken is left out." in sentences(host, "taken")
    assert host.names.labels("taken") == ["sampler My own"]
    assert SAMPLERS.get("My own").name == "my_own"
    host.close()
    assert "My own" not in SAMPLERS
    assert SAMPLERS.get("Euler").name == "euler"


def test_two_programs_in_one_process_may_load_the_same_extension(tmp_path: Path, host: Host) -> None:
    one = found(tmp_path, "good", extension=GOOD)
    host.load([one])
    other = web_host()
    other.load([one])
    assert other.problems.of("good") == []
    other.close()
    assert "good" in EXTENSIONS


def test_files_of_a_folder_import_one_another(tmp_path: Path, host: Host) -> None:
    text = "from modules.extensions import hook\nfrom .words import WORD\nassert WORD == 'hello'"
    host.load([found(tmp_path, "parts", extension=text, words="WORD = 'hello'")])
    assert host.problems.of("parts") == []


def test_the_engine_process_loads_engine_py_and_not_web_py(tmp_path: Path) -> None:
    one = found(tmp_path, "both", engine="import torch", web="raise RuntimeError")
    engine = Host("engine", {})
    engine.load([one])
    assert engine.problems.of("both") == []
    engine.close()


def test_stages_in_engine_py_alone_can_be_switched_on(tmp_path: Path, host: Host) -> None:
    text = "import torch\nfrom modules.extensions import hook\n@hook\ndef denoised(denoised):\n    return None"
    host.load([found(tmp_path, "inside", engine=text)])
    assert EXTENSIONS.get("inside").knobs == {}
    assert not EXTENSIONS.get("inside").at_the_door


def test_what_is_found_and_what_is_said_of_it_without_running_it(tmp_path: Path) -> None:
    write(
        tmp_path / "user",
        "nice",
        extension="raise RuntimeError",
        **{"extension.toml": 'title = "Nice"\nversion = "2"'},
    )
    write(tmp_path / "user", "bad name!", extension="")
    write(tmp_path / "user", "broken", extension="", **{"extension.toml": "title ="})
    write(tmp_path / "user", ".git", extension="")
    write(tmp_path / "user", "looks", **{"style.css": ""})
    (tmp_path / "user" / "no-extension").mkdir()
    write(tmp_path / "own", "nice", extension="")
    seen = {one.name: one for one in find_all(tmp_path / "own", tmp_path / "user")}
    assert set(seen) == {"nice", "nice (folder)", "bad name!", "broken", "looks"}
    assert "rename it" in seen["bad name!"].problem
    assert "extension.toml cannot be read" in seen["broken"].problem
    assert "Another extension is named nice too" in seen["nice (folder)"].problem
    assert (seen["nice (folder)"].title, seen["nice (folder)"].version) == ("Nice", "2")
    assert seen["looks"].kind == "page"


def test_an_installed_package_with_an_entry_point_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = write(tmp_path, "test_package_of_extensions", __init__="", extension=GOOD)
    info = tmp_path / "test_package_of_extensions-3.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: test_package_of_extensions\nVersion: 3.1\n")
    (info / "entry_points.txt").write_text(f"[webui.extensions]\npacked = {package.name}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    (one,) = [found for found in find_all(tmp_path / "none", tmp_path / "none") if found.name == "packed"]
    assert (one.source, one.version, one.package) == ("package", "3.1", package.name)
    host = web_host()
    host.load([one])
    assert "packed" in EXTENSIONS
    host.close()
    for name in [name for name in sys.modules if name.startswith(package.name)]:
        del sys.modules[name]


def test_requirements_are_compared_with_what_is_installed() -> None:
    assert missing(
        ["pydantic>=2", "no-such-thing-here", "pluggy==0.0.1", "odd ! line", 'x; python_version < "3"']
    ) == [
        "no-such-thing-here",
        "pluggy==0.0.1",
        "odd ! line",
    ]


def test_hooks_are_read_without_running_the_file(tmp_path: Path) -> None:
    place = write(
        tmp_path, "x", engine="raise RuntimeError\n@hook\ndef denoised(): ...\n@hook(tryfirst=True)\ndef model(): ..."
    )
    assert hooks_in(place / "engine.py") == ["denoised", "model"]
