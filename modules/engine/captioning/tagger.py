"""Tags by a model in the format of the WD taggers (SmilingWolf's, of Danbooru's tags): a folder with two files.

`model.onnx`: one input [N, side, side, 3], BGR floats of 0 to 255, a picture on a white square; the first output
[N, tags], how likely each tag is. `selected_tags.csv`: a line a tag in the output's order, with the columns name and
category (0 general, 4 character, 9 rating).
"""

from __future__ import annotations

import csv
import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from modules.engine.captioning.onnx_file import check_onnx
from modules.schema.captioning import CaptionOptions
from modules.schema.errors import ModelFileError, NotANumber, SetupError

MODEL, TAGS = "model.onnx", "selected_tags.csv"
_CHARACTER, _RATING = 4, 9
_LARGEST_LIST = 64 << 20
_LARGEST_SIDE = 2048
_COLOURS = 3
_ERRORS_ONLY = 4  # ONNX Runtime's "fatal": what it refuses is told in a sentence
_BRACKETS = re.compile(r"([\\()])")


@dataclass(frozen=True)
class Tag:
    """A tag as the model's list writes it, with underscores."""

    name: str
    category: int


class Tagger:
    """A loaded model, on the CPU. Raises ModelFileError for a folder that does not hold one."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / MODEL
        self._tags = read_tags(folder / TAGS)
        check_onnx(self._file)
        try:
            self._session: Any = _session(self._file)
        except Exception as error:  # noqa: BLE001 - the runtime has no common class of its exceptions
            if isinstance(error, MemoryError | SetupError):
                raise
            raise ModelFileError(f"The tagger {self._file} cannot be loaded: {_short(error)}") from None
        self._input, self._side = self._checked_input()
        self._output = self._checked_output()

    def caption(self, picture: Image.Image, options: CaptionOptions) -> str:
        """The tags of an RGB picture, with commas between them."""
        try:
            found = self._session.run([self._output], {self._input: to_square(picture, self._side)})[0]
        except Exception as error:  # noqa: BLE001 - as above
            raise ModelFileError(f"The tagger {self._file} failed on a picture: {_short(error)}") from None
        scores = np.asarray(found)
        if scores.shape != (1, len(self._tags)):
            raise self._other_count(scores.shape[-1] if scores.ndim else 1)
        if not np.isfinite(scores).all():
            raise NotANumber(f"The tagger {self._file} gives no numbers for this picture: use another model.")
        return ", ".join(chosen(self._tags, scores[0].astype(np.float64).tolist(), options))

    def _checked_input(self) -> tuple[str, int]:
        """Its name, and the side of the pictures that it sees."""
        inputs = self._session.get_inputs()
        shape = list(inputs[0].shape) if len(inputs) == 1 else []
        square = len(shape) == 4 and shape[3] == _COLOURS and isinstance(shape[1], int) and shape[1] == shape[2]
        one = square and (not isinstance(shape[0], int) or shape[0] == 1)
        if not one or not 0 < shape[1] <= _LARGEST_SIDE or inputs[0].type != "tensor(float)":
            raise ModelFileError(
                f"{self._file} is no WD tagger: its input is {shape or 'not one picture'}, and should be "
                "[1, side, side, 3]."
            )
        return str(inputs[0].name), int(shape[1])

    def _checked_output(self) -> str:
        output = self._session.get_outputs()[0]
        count = output.shape[-1] if output.shape else 1
        if isinstance(count, int) and count != len(self._tags):
            raise self._other_count(count)
        return str(output.name)

    def _other_count(self, count: int) -> ModelFileError:
        return ModelFileError(
            f"{self._file.with_name(TAGS)} lists {len(self._tags)} tags, and the model beside it knows {count}: put "
            "the list here that belongs to the model."
        )


def read_tags(path: Path) -> list[Tag]:
    """The list of a model's tags; raises ModelFileError."""
    try:
        if path.stat().st_size > _LARGEST_LIST:
            raise ModelFileError(f"{path} is too large for a list of tags: put the model's own list here.")
        with path.open(encoding="utf-8-sig", newline="") as file:
            tags = [Tag(row["name"], int(row["category"])) for row in csv.DictReader(file)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelFileError(f"{path} cannot be read: {error}.") from None
    except (KeyError, TypeError, ValueError):
        raise ModelFileError(
            f"{path} is no list of tags: it should have the columns name and category, with a number there."
        ) from None
    if not tags or not all(tag.name for tag in tags):
        raise ModelFileError(f"{path} is no list of tags: it should have a line for each, with its name.")
    return tags


def chosen(tags: list[Tag], scores: list[float], options: CaptionOptions) -> list[str]:
    """The tags that are likely enough, in the order and the spelling that `options` ask for."""
    thresholds = {_CHARACTER: options.deepbooru_character_threshold}
    usual = options.interrogate_deepbooru_score_threshold
    left_out = {word.strip().replace(" ", "_") for word in options.deepbooru_filter_tags.split(",")}
    ranked = [(tag, score) for tag, score in zip(tags, scores, strict=True) if tag.name not in left_out]
    likely = [
        (tag, score)
        for tag, score in ranked
        if tag.category != _RATING and score >= thresholds.get(tag.category, usual)
    ]
    likely.sort(key=lambda one: one[0].name if options.deepbooru_sort_alpha else -one[1])
    ratings = [one for one in ranked if one[0].category == _RATING]
    if options.deepbooru_ratings and ratings:
        likely.insert(0, max(ratings, key=lambda one: one[1]))
    return [_spelt(tag.name, score, options) for tag, score in likely]


def _spelt(name: str, score: float, options: CaptionOptions) -> str:
    if options.deepbooru_use_spaces and not _is_face(name):
        name = name.replace("_", " ")
    if options.deepbooru_escape:
        name = _BRACKETS.sub(r"\\\1", name)
    return f"({name}:{score:.3f})" if options.interrogate_return_ranks else name


def _is_face(name: str) -> bool:
    """Signs that look like one, as ^_^ and 0_0: they keep their underscore."""
    return all(sum(sign.isalnum() for sign in part) <= 1 for part in name.split("_"))


def to_square(picture: Image.Image, side: int) -> NDArray[np.float32]:
    """[1, side, side, 3] in BGR, 0 to 255: the whole picture in the middle of a white square."""
    longest = max(picture.size)
    square = Image.new("RGB", (longest, longest), "white")
    square.paste(picture, ((longest - picture.width) // 2, (longest - picture.height) // 2))
    sized = square.resize((side, side), Image.Resampling.BICUBIC)
    return np.ascontiguousarray(np.asarray(sized, np.float32)[None, :, :, ::-1])


def _session(path: Path) -> Any:
    """The runtime is imported with the first tagger: it costs memory, and there is not one for every machine."""
    try:
        runtime: Any = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise SetupError(f"Tags need onnxruntime, which cannot be used on this machine ({error}).") from None
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _short(error: Exception) -> str:
    """The first line of what the runtime says."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{first[:300].rstrip('.')}."
