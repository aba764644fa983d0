"""What scripts make of one request: their cells, and the order in which these run."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from modules.schema.errors import BadRequest, UnknownName
from modules.schema.parts import Hires
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.inputs import InputPictures
from modules.service.plans import Program
from modules.service.scripts.axes import AXES, axes_of, find_axis
from modules.service.scripts.legend import Words, block, grid, wrapped
from modules.service.scripts.prompts_file import line_values
from modules.service.scripts.table import SCRIPTS, make_program, prepared

BASE = GenerationRequest(prompt="a red cat", seed=5, width=64, height=64)


def _program(script: str, base: GenerationRequest = BASE, **options: Any) -> Program:
    order, _ = prepared(ScriptRequest(script=script, base=base, options=options))
    return make_program(order, InputPictures(None))  # type: ignore[arg-type]


def _cells(script: str, base: GenerationRequest = BASE, **options: Any) -> list[GenerationRequest]:
    program = _program(script, base, **options)
    return [program.cell(index) for index in range(program.cells)]


def _xyz(base: GenerationRequest = BASE, **options: Any) -> list[GenerationRequest]:
    return _cells("X/Y/Z plot", base, **options)


class Results:
    """Every part has one picture of its own grey."""

    def __init__(self, missing: tuple[int, ...] = ()) -> None:
        self._missing = missing

    def pictures(self, part: int) -> list[Image.Image]:
        return [] if part in self._missing else [Image.new("RGB", (64, 64), (part * 10 + 5,) * 3)]

    def infotext(self, part: int) -> str:
        return f"part {part}"


def test_every_combination_with_one_seed() -> None:
    cells = _xyz(x_type="Steps", x_values="5,10", y_type="CFG Scale", y_values="1-7(+3)")
    assert [(cell.cfg_scale, cell.steps) for cell in cells] == [(1, 5), (1, 10), (4, 5), (4, 10), (7, 5), (7, 10)]
    assert {cell.seed for cell in cells} == {5}


def test_slow_axes_change_rarely() -> None:
    cells = _xyz(x_type="Checkpoint name", x_values="a,b", y_type="Steps", y_values="1,2", z_type="Clip skip",
                 z_values="1,2")  # fmt: skip
    assert [cell.checkpoint for cell in cells] == ["a"] * 4 + ["b"] * 4
    assert [cell.clip_skip for cell in cells] == [1, 1, 2, 2] * 2


def test_search_and_replace_is_done_before_anything_else() -> None:
    base = BASE.replace(negative_prompt="red things")
    cells = _xyz(base, x_type="Prompt S/R", x_values='red, "green, ripe"', y_type="Styles", y_values="s")
    assert [cell.prompt for cell in cells] == ["a red cat", "a green, ripe cat"]
    assert cells[1].negative_prompt == "green, ripe things"
    assert cells[1].styles == ("s",)


def test_prompt_order_keeps_places() -> None:
    base = BASE.replace(prompt="one, two and three")
    prompts = [cell.prompt for cell in _xyz(base, x_type="prompt order", x_values="one, three")]
    assert prompts == ["one, two and three", "three, two and one"]


def test_other_axes() -> None:
    hires = BASE.replace(hires=Hires())
    assert [(c.width, c.height) for c in _xyz(x_type="Size", x_values="64x128, 96 x 32")] == [(64, 128), (96, 32)]
    assert [c.hires.steps for c in _xyz(hires, x_type="Hires steps", x_values="3,4") if c.hires] == [3, 4]
    assert [c.hires.denoising_strength for c in _xyz(hires, x_type="Denoising", x_values="0.5") if c.hires] == [0.5]
    assert [c.sgm_noise_multiplier for c in _xyz(x_type="SGM noise multiplier", x_values="True,false")] == [
        True,
        False,
    ]
    assert [c.tiling for c in _xyz(x_type="Tiling", x_values="True")] == [True]
    assert [c.hires.cfg_scale for c in _xyz(hires, x_type="Hires: Hires CFG scale", x_values="3") if c.hires] == [3]


def test_seeds() -> None:
    assert [cell.seed for cell in _xyz(x_type="Seed", x_values="1-3")] == [1, 2, 3]
    drawn = _xyz(x_type="Seed", x_values="-1,-1")
    assert drawn[0].seed != drawn[1].seed
    assert min(cell.seed for cell in drawn) >= 0
    varied = {"x_type": "Steps", "x_values": "1,2", "y_type": "CFG Scale", "y_values": "1,2", "vary_seeds_y": True}
    assert [cell.seed for cell in _xyz(**varied, vary_seeds_x=True)] == [5, 6, 7, 8]
    assert [cell.seed for cell in _xyz(x_type="Seed", x_values="-1", keep_random_seeds=True)] == [-1]


def test_drawn_seeds_are_in_the_order() -> None:
    order = ScriptRequest(script="x/y/z plot", base=BASE, options={"x_values": "-1"})
    first, _ = prepared(order)
    assert prepared(first)[0] == first
    assert first.options["fixed"]["x"][0] >= 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"x_type": "Stepz", "x_values": "1"}, "no axis named 'Stepz'. Did you mean 'Steps'"),
        ({"x_type": "Steps", "x_values": "5-1"}, r"axis X \(Steps\) has no values"),
        ({"x_type": "Steps", "x_values": "0"}, "axis Steps cannot have the value 0"),
        ({"x_type": "Prompt S/R", "x_values": "blue, red"}, "'blue' is neither"),
        ({"x_type": "Hires steps", "x_values": "1"}, "Hires fix: switch that on"),
        ({"x_type": "FP8 mode", "x_values": "Enable"}, "cannot vary 'FP8 mode' yet"),
        ({"x_type": "Size", "x_values": "64"}, "512x768"),
        ({"x_type": "Tiling", "x_values": "maybe"}, "True and False"),
        ({"x_type": "Seed", "x_values": "1-60000[9000]"}, "megapixels|cells"),
        ({"margin": -1}, "Grid margins"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_mistakes_are_told_in_a_sentence(options: dict[str, Any], sentence: str) -> None:
    base = BASE.replace(width=512, height=512)
    with pytest.raises(BadRequest, match=sentence):
        _xyz(base, **options)


def test_the_axes_have_a1111s_places() -> None:
    labels = [axis.label for axis in axes_of("txt2img")]
    assert [labels.index(name) for name in ("Nothing", "Seed", "Steps", "CFG Scale", "Sampler")] == [0, 1, 4, 6, 9]
    assert "Image CFG Scale" not in labels
    assert "Hires sampler" not in [axis.label for axis in axes_of("img2img")]
    assert find_axis("cfg scale", "x_type") in AXES


def test_grids() -> None:
    options = {"x_type": "Steps", "x_values": "1-3", "y_type": "CFG Scale", "y_values": "1,2"}
    program = _program("X/Y/Z plot", **options, draw_legend=False, margin=4)
    (sheet,) = program.sheets(Results())
    assert sheet.picture.size == (3 * 68 - 4, 2 * 68 - 4)
    assert sheet.picture.getpixel((68 + 10, 68 + 10)) == (45, 45, 45)
    assert sheet.facts == {"Script": "X/Y/Z plot", "X Type": "Steps", "X Values": "1-3", "Y Type": "CFG Scale",
                           "Y Values": "1,2"}  # fmt: skip
    with_legend = _program("X/Y/Z plot", **options).sheets(Results())[0].picture
    assert with_legend.width > 3 * 64
    assert with_legend.height > 2 * 64


def test_an_interrupted_grid_has_empty_places() -> None:
    program = _program("X/Y/Z plot", x_type="Steps", x_values="1,2", draw_legend=False)
    picture = program.sheets(Results(missing=(1,)))[0].picture
    assert picture.getpixel((10, 10)) == (5, 5, 5)
    assert picture.getpixel((100, 10)) == (255, 255, 255)


def test_a_grid_for_each_z() -> None:
    options = {"x_type": "Steps", "x_values": "1,2", "z_type": "Seed", "z_values": "1-3"}
    assert len(_program("X/Y/Z plot", **options).sheets(Results())) == 1
    assert len(_program("X/Y/Z plot", **options, include_sub_grids=True).sheets(Results())) == 4


@pytest.mark.parametrize("text", ["Checkpoint name: " + "averylongname" * 12, "many small words " * 20, "x"])
@pytest.mark.parametrize("width", [64, 512])
def test_legends_never_clip(text: str, width: int) -> None:
    laid = block([Words(text)], width, 14)
    assert laid.width <= width
    assert "".join(line for line, _ in laid.lines).replace(" ", "") == text.replace(" ", "")
    blank = Image.new("RGB", (width, 64), "white")
    sheet = grid([blank, blank], [[Words(text)]], [[Words(text)], [Words("b")]])
    border = [sheet.getpixel((x, y)) for x in range(sheet.width) for y in (0, sheet.height - 1)]
    border += [sheet.getpixel((x, y)) for y in range(sheet.height) for x in (0, sheet.width - 1)]
    assert set(border) == {(255, 255, 255)}


def test_wrapping_breaks_only_what_is_too_long() -> None:
    assert wrapped("one two", 500, 12) == ["one two"]
    assert wrapped("one\ntwo", 500, 12) == ["one", "two"]


def test_prompt_matrix() -> None:
    prompts = [cell.prompt for cell in _cells("prompt matrix", BASE.replace(prompt="a|b|c"))]
    assert prompts == ["a", "a, b", "a, c", "a, b, c"]
    first = _cells("Prompt matrix", BASE.replace(prompt="a|b"), put_at_start=True, delimiter="space")
    assert [cell.prompt for cell in first] == ["a", "b a"]
    assert [c.seed for c in _cells("Prompt matrix", BASE.replace(prompt="a|b"), different_seeds=True)] == [5, 6]
    with pytest.raises(BadRequest, match="divided by"):
        _cells("Prompt matrix")


def test_the_matrix_has_a_legend_of_struck_out_parts() -> None:
    program = _program("Prompt matrix", BASE.replace(prompt="a|b|c|d"))
    picture = program.sheets(Results())[0].picture
    assert picture.width > 4 * 64
    assert 2 * 64 < picture.height < 4 * 64


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a fox", {"prompt": "a fox"}),
        ("it's a fox", {"prompt": "it's a fox"}),
        ('--prompt "a fox" --steps 12', {"prompt": "a fox", "steps": 12}),
        ("--prompt a fox in snow --negative_prompt bad --width 64",
         {"prompt": "a fox in snow", "negative_prompt": "bad", "width": 64}),
        ("--prompt a fox's den --steps 3", {"prompt": "a fox's den", "steps": 3}),
        ('--prompt "a fox" --steps 12 --sampler_name "Euler a"',
         {"prompt": "a fox", "steps": 12, "sampler": "Euler a"}),
        ('--prompt "a fox" --steps 12 --sampler_name Euler a',
         {"prompt": '--prompt "a fox" --steps 12 --sampler_name Euler a'}),
        ("--tiling true --n_iter 2 --cfg_scale 3.5 --do_not_save_grid true",
         {"tiling": True, "batch_count": 2, "cfg_scale": 3.5}),
        ("a -- b", {"prompt": "a -- b"}),
        ("--steps many", {"prompt": "--steps many"}),
        ("--nothing 1", {"prompt": "--nothing 1"}),
    ],
)  # fmt: skip
def test_lines_of_prompts(line: str, expected: dict[str, Any]) -> None:
    assert line_values(line) == expected


def test_faces_on_an_axis_and_in_a_line() -> None:
    cells = _cells("X/Y/Z plot", x_type="Face restore", x_values="GFPGAN, true, no")
    assert [cell.face_restoration for cell in cells] == ["GFPGAN", "CodeFormer", "None"]
    assert line_values("--restore_faces true --steps 3") == {"face_restoration": "CodeFormer", "steps": 3}


def test_prompts_from_a_text() -> None:
    text = "one\n\n--prompt two --batch_size 2\n--steps 7"
    cells = _cells("Prompts from file or textbox", text=text, iterate_seed=True)
    assert [(c.prompt, c.seed, c.steps) for c in cells] == [
        ("one a red cat", 5, 20),
        ("two a red cat", 6, 20),
        ("a red cat", 8, 7),
    ]
    assert _cells("Prompts from file or textbox", text="one", position="end")[0].prompt == "a red cat one"
    with pytest.raises(BadRequest, match="width"):
        _cells("Prompts from file or textbox", text="--width 3")


def test_unknown_scripts() -> None:
    with pytest.raises(UnknownName, match="X/Y/Z plot"):
        _cells("X/Y plot")
    assert [script.name for script in SCRIPTS if "txt2img" in script.tabs][-1] == "X/Y/Z plot"
