"""The words of a model beside its own: embeddings from files, and those that come with a LoRA."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from modules.catalog.hashes import sha256_of_file
from modules.engine.loading.model import LoadedModel
from modules.engine.networks.embedding_files import PAIR, Embedding, from_table, read_embedding
from modules.prompts.chunks import EmbeddingMatch
from modules.prompts.embedding_names import EmbeddingNames
from modules.schema.errors import ModelFileError

# Vectors of trained embeddings are often a hundred times as long as words; beyond that the picture is spoilt.
_HUGE = 1000.0
_HASH_DIGITS = 12


@dataclass(frozen=True)
class Word:
    """`vectors` float32 [n, width] on the model's device; `stamp` tells the file's content, `hash` is A1111's for it.
    A word that came with a network is told by that network, and has no hash."""

    vectors: Tensor
    stamp: Hashable
    hash: str | None = None


class Vocabulary:
    """An `EmbeddingMatcher` that also has the vectors, and knows which words were found."""

    def __init__(self, words: Mapping[str, Word], notices: Sequence[str], encode: Callable[[str], list[int]]) -> None:
        self._words = words
        self._names = EmbeddingNames({name: len(word.vectors) for name, word in words.items()}, encode)
        self._found: dict[str, None] = {}
        self.notices = tuple(notices)

    def match(self, tokens: Sequence[int], position: int) -> EmbeddingMatch | None:
        """The longest word that begins at `position`, or None."""
        found = self._names.match(tokens, position)
        if found is not None:
            self._found[found.name] = None
        return found

    @property
    def vectors(self) -> dict[str, Tensor]:
        return {name: word.vectors for name, word in self._words.items()}

    @property
    def key(self) -> Hashable:
        """What tells this vocabulary from another."""
        return tuple((name, word.stamp) for name, word in self._words.items())

    @property
    def hashes(self) -> dict[str, str]:
        """A1111's hashes of the files whose words were found so far."""
        found = ((name, self._words[name].hash) for name in self._found)
        return {name: digits for name, digits in found if digits}


class Shelf:
    """The embeddings of one model, kept from job to job as long as their files stay the same."""

    def __init__(self, model: LoadedModel) -> None:
        self._model = model
        self._kept: dict[Hashable, tuple[Word, str]] = {}

    def vocabulary(
        self,
        files: Iterable[tuple[str, Path]],
        bundled: Mapping[str, Mapping[str, Tensor]],
        encode: Callable[[str], list[int]],
    ) -> Vocabulary:
        """The words of `files` (name, path) and of networks; a file goes before a network's word of its name.

        What cannot be used is told in the notices, and its name is then text.
        """
        words: dict[str, Word] = {}
        notices: list[str] = []
        kept: dict[Hashable, tuple[Word, str]] = {}
        for name, path in files:
            try:
                stamp = _stamp(path)
                word, warning = self._kept.get(stamp) or self._read(name, path, stamp)
            except (ModelFileError, OSError) as error:
                notices.append(f"The embedding {name!r} was left out: {_reason(error)}")
                continue
            kept[stamp] = (word, warning)
            words[name] = word
            notices += filter(None, [warning])
        for name, parts in bundled.items():
            if name not in words:
                try:
                    words[name] = Word(self._fitting(name, from_table(name, parts)), "bundled")
                except ModelFileError as error:
                    notices.append(f"The embedding {name!r} of a network was left out: {_reason(error)}")
        self._kept = kept
        return Vocabulary(words, notices, encode)

    def _read(self, name: str, path: Path, stamp: Hashable) -> tuple[Word, str]:
        """The word of a file, and a sentence about it where one is due."""
        vectors = self._fitting(path.name, read_embedding(path))
        longest, usual = float(vectors.norm(dim=1).max()), usual_length(self._model)
        warning = ""
        if longest > _HUGE * usual:
            warning = (
                f"The embedding {name!r} has vectors {longest / usual:.0f} times as long as those of words; the "
                "picture may be spoilt by it."
            )
        return Word(vectors, stamp, sha256_of_file(path)[:_HASH_DIGITS]), warning

    def _fitting(self, file: str, embedding: Embedding) -> Tensor:
        """The vectors for this model's text encoder; raises `ModelFileError` where they are of another width."""
        width = self._model.text_encoder.config.hidden_size
        if set(embedding.vectors) == set(PAIR):
            raise ModelFileError(f"{file} is made for SDXL's two text encoders; this checkpoint has one.")
        vectors = embedding.vectors[""]
        if vectors.shape[1] != width:
            raise ModelFileError(
                f"{file} has vectors of {vectors.shape[1]} numbers, and this checkpoint's text encoder takes "
                f"{width}: it is made for another kind of model."
            )
        with torch.inference_mode(False):
            return vectors.to(self._model.device)


def usual_length(model: LoadedModel) -> float:
    """The middle one of the lengths of (every fifth of) the words' vectors."""
    rows = model.text_encoder.embeddings.token_embedding.weight[::5].float()
    return float(rows.norm(dim=1).median()) or 1.0


def shelf_of(model: LoadedModel) -> Shelf:
    """The shelf that stays with the model."""
    shelf: Shelf = model.attached.setdefault(Shelf, Shelf(model))
    return shelf


def _stamp(path: Path) -> Hashable:
    status = path.stat()
    return (str(path), status.st_mtime_ns, status.st_size)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"its file cannot be read ({error.strerror})."
    return str(error)
