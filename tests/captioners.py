"""Tiny captioners of random weights in the real formats: what they say means nothing, but they say it where they
should."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders
from tokenizers.models import WordPiece

from modules.engine.torchvision_ops import declare_missing_ops

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[DEC]", *(f"word{number}" for number in range(27))]

# (name, category, what the tiny tagger makes of a picture: weights of its mean blue, green and red, and a bias)
TAGS: Sequence[tuple[str, int, tuple[float, float, float], float]] = (
    ("general", 9, (0, 0, 0), 1.0),
    ("explicit", 9, (0, 0, 0), -1.0),
    ("red_theme", 0, (-8, -8, 8), 0.0),
    ("blue_sky_(sky)", 0, (8, -8, -8), 0.0),
    ("^_^", 0, (0, 0, 0), 3.0),
    ("solo", 0, (0, 0, 0), 0.5),
    ("a_fox_(tale)", 4, (0, 0, 0), 1.0),
    ("a_hero", 4, (0, 0, 0), 4.0),
)
SIDE = 16


def make_blip(folder: Path) -> Path:
    """A folder of a BLIP model as transformers writes it."""
    folder.mkdir(parents=True, exist_ok=True)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    ids = {"pad_token_id": 0, "bos_token_id": 4, "eos_token_id": 2, "sep_token_id": 3}
    text = {**small, **ids, "vocab_size": len(WORDS), "encoder_hidden_size": 16, "max_position_embeddings": 64}
    torch.manual_seed(0)
    declare_missing_ops()
    transformers: Any = importlib.import_module("transformers")
    config = transformers.BlipConfig(
        text_config=text, vision_config={**small, "image_size": 32, "patch_size": 16}, projection_dim=16
    )
    transformers.BlipForConditionalGeneration(config).save_pretrained(folder)
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.add_special_tokens(WORDS[:5])
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.5, 0.5, 0.5]}))
    return folder


def tagger_graph(shape: Sequence[int | str] = ("batch", SIDE, SIDE, 3)) -> onnx.ModelProto:
    """The mean colour of a picture, a matrix and a sigmoid: NHWC, BGR of 0 to 255."""
    weights = np.array([weights for _, _, weights, _ in TAGS], np.float32).T
    biases = np.array([bias for *_, bias in TAGS], np.float32)
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["sum"], axes=[1, 2], keepdims=0),
        helper.make_node("Div", ["sum", "largest"], ["mean"]),
        helper.make_node("Gemm", ["mean", "weights", "biases"], ["logits"]),
        helper.make_node("Sigmoid", ["logits"], ["scores"]),
    ]
    held = {"weights": weights, "biases": biases, "largest": np.array(255, np.float32)}
    graph = helper.make_graph(
        nodes,
        "tagger",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [shape[0], len(TAGS)])],
        [numpy_helper.from_array(values, name) for name, values in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def make_tagger(folder: Path, model: onnx.ModelProto | None = None) -> Path:
    """A folder of a tagger's two files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes((model or tagger_graph()).SerializeToString())
    lines = [f"{number},{name},{category},1" for number, (name, category, *_) in enumerate(TAGS)]
    (folder / "selected_tags.csv").write_text("\n".join(["tag_id,name,category,count", *lines]), encoding="utf-8")
    return folder
