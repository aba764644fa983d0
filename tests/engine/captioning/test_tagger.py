"""Tags by a tiny model in the WD taggers' format, and what a hostile or broken one may not do."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from modules.engine.captioning.onnx_file import check_onnx
from modules.engine.captioning.tagger import Tagger, to_square
from modules.schema.captioning import CaptionOptions
from modules.schema.errors import ModelFileError, NotANumber
from tests.captioners import SIDE, make_tagger, tagger_graph

RED, BLUE = Image.new("RGB", (40, 40), (255, 0, 0)), Image.new("RGB", (40, 40), (0, 0, 255))


@pytest.fixture(scope="module")
def tagger(tmp_path_factory: pytest.TempPathFactory) -> Tagger:
    return Tagger(make_tagger(tmp_path_factory.mktemp("tagger")))


def test_a_picture_is_seen_in_bgr(tagger: Tagger) -> None:
    options = CaptionOptions()
    assert tagger.caption(RED, options) == "^_^, a hero, red theme, solo"
    assert tagger.caption(BLUE, options) == "^_^, a hero, blue sky \\(sky\\), solo"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"deepbooru_sort_alpha": False}, "red theme, a hero, ^_^, solo"),
        ({"deepbooru_use_spaces": False}, "^_^, a_hero, red_theme, solo"),
        ({"deepbooru_ratings": True}, "general, ^_^, a hero, red theme, solo"),
        ({"deepbooru_filter_tags": "a hero, ^_^ ,general", "deepbooru_ratings": True}, "explicit, red theme, solo"),
        ({"interrogate_deepbooru_score_threshold": 0.7}, "^_^, a hero, red theme"),
        ({"deepbooru_character_threshold": 0.7}, "^_^, a fox \\(tale\\), a hero, red theme, solo"),
        ({"deepbooru_character_threshold": 0.7, "deepbooru_escape": False},
         "^_^, a fox (tale), a hero, red theme, solo"),
        ({"interrogate_return_ranks": True, "interrogate_deepbooru_score_threshold": 0.9},
         "(^_^:0.953), (a hero:0.982), (red theme:1.000)"),
        ({"interrogate_deepbooru_score_threshold": 1.0, "deepbooru_character_threshold": 1.0}, ""),
    ],
)  # fmt: skip
def test_how_it_speaks(tagger: Tagger, options: dict[str, object], words: str) -> None:
    assert tagger.caption(RED, CaptionOptions(**options)) == words


def test_the_whole_picture_stands_on_white() -> None:
    square = to_square(Image.new("RGB", (20, 40), (10, 20, 30)), 40)
    assert square.shape == (1, 40, 40, 3) and square.dtype == np.float32
    assert square[0, 20, 20].tolist() == [30, 20, 10]
    assert square[0, 20, 2].tolist() == square[0, 20, 37].tolist() == [255, 255, 255]
    assert to_square(Image.new("RGB", (500, 300)), SIDE).shape == (1, SIDE, SIDE, 3)


def outside(model: onnx.ModelProto, place: str) -> onnx.ModelProto:
    """Its weights are in another file."""
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", place
    return model


def inside_a_node(model: onnx.ModelProto) -> onnx.ModelProto:
    """A constant whose values are elsewhere, in a branch of a node."""
    constant = helper.make_node("Constant", [], ["c"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.0]))
    constant.attribute[0].t.ClearField("float_data")
    entry = constant.attribute[0].t.external_data.add()
    entry.key, entry.value = "location", "secret"
    body = helper.make_graph([constant], "branch", [], [helper.make_tensor_value_info("c", TensorProto.FLOAT, [1])])
    model.graph.node.append(helper.make_node("If", ["x"], ["y"], then_branch=body, else_branch=body))
    return model


@pytest.mark.parametrize("place", ["../secret", "secret", "/etc/passwd", "secret/../../x"])
def test_weights_in_other_files_are_never_read(tmp_path: Path, place: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(1000))
    folder = make_tagger(tmp_path / "tagger", outside(tagger_graph(), place))
    with pytest.raises(ModelFileError, match="further files, which are not read"):
        Tagger(folder)
    (folder / "model.onnx").write_bytes(inside_a_node(tagger_graph()).SerializeToString())
    with pytest.raises(ModelFileError, match="further files"):
        check_onnx(folder / "model.onnx")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: b"x" * 1000,
        lambda data: b"\xff" * 1000,
        lambda data: b"\x08\x07",
        lambda data: b"\x3a\xff\xff\xff\xff\x0f" + data,
        lambda data: b"\x00\x01" + data,
    ],
)
def test_a_damaged_model_is_a_sentence(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    folder = make_tagger(tmp_path)
    (folder / "model.onnx").write_bytes(spoil(tagger_graph().SerializeToString()))
    with pytest.raises(ModelFileError, match=r"model\.onnx.*\.$"):
        Tagger(folder)


@pytest.mark.parametrize("shape", [("n", 3, SIDE, SIDE), (1, SIDE, 8, 3), (4, SIDE, SIDE, 3), ("n", "a", "b", 3)])
def test_another_layout_is_a_sentence(tmp_path: Path, shape: tuple[int | str, ...]) -> None:
    with pytest.raises(ModelFileError, match="no WD tagger"):
        Tagger(make_tagger(tmp_path, reshaped(shape)))


def reshaped(shape: tuple[int | str, ...]) -> onnx.ModelProto:
    """It accepts that shape and answers with a number for each tag."""
    model = tagger_graph(shape)
    flat = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], keepdims=0),
        helper.make_node("Add", ["mean", "biases"], ["scores"]),
    ]
    del model.graph.node[:]
    model.graph.node.extend(flat)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("scores", TensorProto.FLOAT, None))
    return model


@pytest.mark.parametrize("lines", [3, 20])
def test_a_list_of_another_length_is_a_sentence(tmp_path: Path, lines: int) -> None:
    folder = make_tagger(tmp_path)
    rows = "".join(f"{number},tag{number},0,1\n" for number in range(lines))
    (folder / "selected_tags.csv").write_text(f"tag_id,name,category,count\n{rows}")
    with pytest.raises(ModelFileError, match=rf"lists {lines} tags, and the model beside it knows 8"):
        Tagger(folder)
    (folder / "model.onnx").write_bytes(reshaped((1, SIDE, SIDE, 3)).SerializeToString())
    with pytest.raises(ModelFileError, match=rf"lists {lines} tags, and the model beside it knows 8"):
        Tagger(folder).caption(RED, CaptionOptions())


@pytest.mark.parametrize(
    "text", ["", "tag_id,name\n1,a\n", "tag_id,name,category,count\n1,a,no,1\n", "name,category\n,0\n",
             "name,category\nshort\n", "\x00\x01", f"name,category\n{'x' * 200_000},0\n"],
)  # fmt: skip
def test_what_is_no_list_is_a_sentence(tmp_path: Path, text: str) -> None:
    folder = make_tagger(tmp_path)
    (folder / "selected_tags.csv").write_text(text)
    with pytest.raises(ModelFileError, match=r"selected_tags\.csv"):
        Tagger(folder)
    (folder / "selected_tags.csv").write_bytes(b"name,category\n\xff\xfe,0\n")
    with pytest.raises(ModelFileError, match=r"selected_tags\.csv cannot be read"):
        Tagger(folder)


def test_no_numbers_are_a_sentence(tmp_path: Path) -> None:
    model = tagger_graph()
    model.graph.initializer[1].raw_data = np.full(8, np.nan, np.float32).tobytes()
    tagger = Tagger(make_tagger(tmp_path, model))
    with pytest.raises(NotANumber, match="no numbers"):
        tagger.caption(RED, CaptionOptions())


def test_a_tensor_that_claims_to_be_huge_is_a_sentence(tmp_path: Path) -> None:
    model = tagger_graph()
    model.graph.initializer[0].dims[0] = 1 << 40
    with pytest.raises(ModelFileError, match="cannot be loaded"):
        Tagger(make_tagger(tmp_path, model))


def test_nothing_is_written_beside_the_model(tmp_path: Path) -> None:
    Tagger(make_tagger(tmp_path)).caption(BLUE, CaptionOptions())
    assert sorted(os.listdir(tmp_path)) == ["model.onnx", "selected_tags.csv"]
