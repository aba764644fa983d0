"""The folder of input pictures is kept small: what nobody used for long goes, what a job needs stays."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from modules.schema.parts import ImageInput
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.service.inputs import InputPictures

DAY = 86400
MIB = 1 / 1024


@pytest.fixture
def inputs(tmp_path: Path) -> InputPictures:
    return InputPictures(tmp_path)


def _added(inputs: InputPictures, days_ago: float, seed: int) -> str:
    """The name of a picture of about 0.75 MiB that was used so long ago."""
    pixels = np.random.default_rng(seed).integers(0, 256, (512, 512, 3), dtype=np.uint8)
    name = inputs.add_picture(Image.fromarray(pixels))
    when = time.time() - days_ago * DAY
    os.utime(inputs.path(name), (when, when))
    return name


def _left(inputs: InputPictures) -> set[str]:
    return {path.stem for path in inputs.folder.glob("*.png")}


def test_pictures_of_long_ago_go(inputs: InputPictures) -> None:
    old, new = _added(inputs, 31, 1), _added(inputs, 29, 2)
    inputs.prune(30, 1)
    assert _left(inputs) == {new}
    inputs.use(new)
    inputs.prune(0.0001, 1)
    assert _left(inputs) == {new}, "what is in use is not old"
    assert old not in _left(inputs)


def test_where_there_is_too_much_the_longest_unused_go(inputs: InputPictures) -> None:
    names = [_added(inputs, days, days) for days in (1, 2, 3, 4)]
    inputs.prune(30, 10 * MIB)
    assert _left(inputs) == set(names)
    inputs.prune(30, 2 * MIB)
    assert _left(inputs) == set(names[:2])


def test_what_is_needed_or_just_used_stays(inputs: InputPictures) -> None:
    """Names are found wherever an order has them."""
    names = [_added(inputs, days, seed) for seed, days in enumerate((0, 1, 50, 60))]
    plain = GenerationRequest(image=ImageInput(picture=names[2]))
    script = ScriptRequest(script="several pictures", base=GenerationRequest(), options={"pictures": [names[3]]})
    inputs.prune(30, 0.1 * MIB, [order.model_dump_json() for order in (plain, script)])
    assert _left(inputs) == {names[0], *names[2:]}
