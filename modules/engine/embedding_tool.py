"""A program of its own for tasks on an embedding file: tell what is in it, write it in another format; and for
reading the vectors of words from a checkpoint that cannot be read without torch.

It runs beside the engine, so that looking at a file never waits for a picture. Its output is one JSON object; an
`error` in it is a sentence for the user.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from modules.engine.loading.parts import read_checkpoint
from modules.engine.networks.embedding_files import (
    PAIR,
    convert,
    read_embedding,
    write_picture,
    write_pt,
    write_safetensors,
)
from modules.engine.training.card import card
from modules.engine.training.facts import Facts
from modules.prompts.tokens import BOS, read_merges, vocabulary
from modules.schema.errors import ModelFileError, UserError

_MOST_VECTORS = 75
_NEAREST = 6
_ROWS = "embeddings.token_embedding.weight"


def inspect(path: Path, checkpoint: Path | None) -> dict[str, Any]:
    """Of each vector its norm and, where `checkpoint` has words of the same width, the nearest ones by cosine.

    Raises `ModelFileError` for a file that cannot be read.
    """
    embedding = read_embedding(path)
    vectors = embedding.vectors.get("", embedding.vectors.get(PAIR[0]))
    assert vectors is not None
    words = _words_of(checkpoint) if checkpoint is not None else None
    fits = words is not None and words.shape[1] == vectors.shape[1]
    near = nearest(vectors[:_MOST_VECTORS], words) if words is not None and fits else [[]] * len(vectors)
    told = [
        {"norm": float(vector.norm()), "words": found}
        for vector, found in zip(vectors[:_MOST_VECTORS], near, strict=False)
    ]
    facts = {"step": embedding.step, "checkpoint": embedding.checkpoint, "checkpoint_hash": embedding.checkpoint_hash}
    usual = {"usual_norm": float(words.norm(dim=1).median())} if words is not None and fits else {}
    return {"vectors": told, "count": len(vectors), "width": embedding.width, **facts, **usual}


def nearest(vectors: Tensor, words: Tensor) -> list[list[dict[str, Any]]]:
    """For each of `vectors` [n, D] the rows of `words` [V, D] that point most nearly the same way, best first."""
    rows = words[:BOS]
    likeness = torch.nn.functional.normalize(vectors, dim=1) @ torch.nn.functional.normalize(rows, dim=1).T
    best = likeness.topk(min(_NEAREST, len(rows)), dim=1)
    names = {number: word for word, number in vocabulary(read_merges()).items()}
    return [
        [
            {"word": names.get(number, str(number)).removesuffix("</w>"), "similarity": value}
            for number, value in zip(numbers, values, strict=True)
        ]
        for numbers, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _words_of(checkpoint: Path) -> Tensor | None:
    """The vectors of a checkpoint's vocabulary, float32; None where it cannot be read."""
    try:
        text = read_checkpoint(checkpoint, None, False).text
        return text.file.get(text.names[_ROWS]).float()
    except (UserError, KeyError):
        return None


def rows(checkpoint: Path, tokens: list[int]) -> list[list[float]]:
    """The vectors of `tokens`; raises ModelFileError where the checkpoint has no vocabulary that can be read."""
    words = _words_of(checkpoint)
    if words is None:
        raise ModelFileError(f"The words of {checkpoint.name} cannot be read: select another checkpoint.")
    return words[tokens].tolist()


def export(path: Path, target: Path) -> str:
    """Write the embedding as .safetensors, .pt or a .png card, as the ending of `target` says."""
    embedding = replace(read_embedding(path), name=target.stem)
    if target.suffix == ".pt":
        write_pt(target, embedding)
    elif target.suffix == ".png":
        origin = Facts(embedding.name, embedding.step or 0, embedding.checkpoint, embedding.checkpoint_hash, {})
        write_picture(target, embedding, card(None, origin, embedding.count))
    else:
        write_safetensors(target, embedding)
    return target.name


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="modules.engine.embedding_tool", description=__doc__)
    parser.add_argument("task", choices=("inspect", "convert", "export", "rows"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--target", type=Path)
    parser.add_argument("--tokens", type=lambda text: [int(word) for word in text.split(",")])
    given = parser.parse_args(words)
    tasks: dict[str, Callable[[], dict[str, Any]]] = {
        "inspect": lambda: inspect(given.file, given.checkpoint),
        "convert": lambda: {"name": convert(given.file).name},
        "export": lambda: {"name": export(given.file, given.target)},
        "rows": lambda: {"rows": rows(given.file, given.tokens)},
    }
    try:
        told = tasks[given.task]()
    except UserError as error:
        told = {"error": str(error)}
    except OSError as error:
        told = {"error": f"{given.file.name} cannot be read or written: {error.strerror}."}
    sys.stdout.write(json.dumps(told))
    return 1 if "error" in told else 0


if __name__ == "__main__":
    sys.exit(main())
