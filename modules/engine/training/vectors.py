"""Textual inversion (Gal et al. 2022): what is learned are the vectors of a new word, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from modules.engine.loading.model import LoadedModel
from modules.engine.networks.embedding_files import (
    Embedding,
    read_embedding,
    write_picture,
    write_pt,
    write_safetensors,
)
from modules.engine.networks.embeddings import usual_length
from modules.engine.training.card import card
from modules.engine.training.facts import Facts
from modules.engine.training.norms import Rule, rule_for
from modules.engine.training.streams import Streams
from modules.prompts.tokens import ClipTokenizer
from modules.schema.engine import NamedFile
from modules.schema.errors import BadRequest
from modules.schema.training import TrainingRequest


class NewWord:
    """The vectors of a new word as one flat float32 tensor, n x width numbers."""

    file_kind = "embedding"
    folder = "embeddings"

    def __init__(self, request: TrainingRequest, model: LoadedModel, tokenizer: ClipTokenizer, start: str) -> None:
        self._request = request
        self._tokenizer = tokenizer
        self._start_file = start
        self.count = request.num_vectors_per_token
        self.width: int = model.text_encoder.config.hidden_size
        self._usual = usual_length(model)

    @property
    def word(self) -> tuple[str, int] | None:
        return self._request.name, self.count

    @property
    def learns_to_read(self) -> bool:
        """Whether the text encoder itself changes."""
        return False

    def start(self, model: LoadedModel, streams: Streams) -> Tensor:
        """The numbers that a run begins with, on the CPU; raises BadRequest."""
        rows = self._given() if self._start_file else self._from_words(model)
        if self._request.norm_control == "Direction":
            # Zeros point nowhere.
            random = streams.normal(rows.shape, "direction")
            rows = torch.where(rows.norm(dim=1, keepdim=True) > 0, rows, random)
        return rows.float().flatten()

    def rule(self, start: Tensor) -> Rule:
        """How a gradient changes the vectors."""
        return rule_for(self._request.norm_control, start.view(self.count, self.width), self._usual)

    def vectors(self, flat: Tensor) -> Tensor | None:
        """[n, width] for the text encoder."""
        return flat.view(self.count, self.width)

    def length(self, flat: Tensor) -> float:
        """The mean length of the vectors."""
        return float(flat.detach().view(self.count, self.width).norm(dim=1).mean())

    @contextmanager
    def acting(self, model: LoadedModel, encoder: torch.nn.Module, flat: Tensor) -> Iterator[None]:
        """The model is used as it is."""
        yield

    def prompt(self, prompt: str) -> str:
        """The previews' prompt with what is learned."""
        return prompt.replace("[name]", self._request.name)

    def plain(self, prompt: str) -> str:
        """The same without it: with the words it began with."""
        name = self._request.name
        return prompt.replace("[name]", self._request.init_text).replace(name, self._request.init_text)

    def named(self, path: Path) -> NamedFile:
        """How a prompt finds a written file."""
        return NamedFile(kind="embedding", name=self._request.name, path=str(path))

    def write(self, path: Path, flat: Tensor, facts: Facts, picture: Image.Image | None = None) -> None:
        """Write the embedding in the format that the ending of `path` says; atomic. Raises OSError."""
        embedding = Embedding(
            name=facts.name,
            vectors={"": flat.detach().cpu().view(self.count, self.width).clone()},
            step=facts.step,
            checkpoint=facts.checkpoint,
            checkpoint_hash=facts.checkpoint_hash,
        )
        if path.suffix == ".pt":
            write_pt(path, embedding)
        elif path.suffix == ".png":
            write_picture(path, embedding, card(picture, facts, self.count))
        else:
            write_safetensors(path, embedding)

    def write_on(self, path: Path, flat: Tensor, facts: Facts, picture: Image.Image) -> None:
        """Write a preview that carries the embedding it shows."""
        self.write(path.with_suffix(".png"), flat, facts, picture)

    def _given(self) -> Tensor:
        """The vectors of a file to go on from."""
        rows = read_embedding(Path(self._start_file)).vectors.get("")
        if rows is None or rows.shape != (self.count, self.width):
            found = "a pair" if rows is None else f"{rows.shape[0]} vectors of {rows.shape[1]} numbers"
            raise BadRequest(
                f"{Path(self._start_file).name} holds {found}; for this checkpoint and these options it has to be "
                f"{self.count} of {self.width}: change the number of vectors, or choose another name.",
                "num_vectors_per_token",
            )
        return rows

    def _from_words(self, model: LoadedModel) -> Tensor:
        """As in A1111: vector i is that of word i * L // n of the L words of the initialization text."""
        words = self._tokenizer.encode(self._request.init_text)[: self.count]
        if not words:
            return torch.zeros(self.count, self.width)
        chosen = [words[i * len(words) // self.count] for i in range(self.count)]
        table = model.text_encoder.embeddings.token_embedding.weight
        return table.detach()[chosen].float().cpu()
