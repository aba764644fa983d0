"""What a picture is trained with: a line of the template with the new word and the picture's caption in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from modules.engine.training.streams import Streams

NAME, CAPTION = "[name]", "[filewords]"


@dataclass(frozen=True)
class Texts:
    """Texts by picture and by where in the run they are used. `shuffle` and `drop` act on a caption's tags."""

    template: Sequence[str]
    captions: Sequence[str]
    name: str
    streams: Streams
    shuffle: bool = False
    drop: float = 0.0

    def text(self, picture: int, purpose: str, *where: int) -> str:
        """The text of `picture` at a place of the run."""
        (line,) = self.streams.below(len(self.template), 1, f"{purpose} line", picture, *where)
        return self._filled(self.template[line], self._caption(picture, purpose, *where))

    def plain(self, picture: int, number: int) -> str:
        """The text of `picture` in the evaluation: line `number` of the template, the caption as it is."""
        return self._filled(self.template[number % len(self.template)], self.captions[picture])

    def samples(self) -> list[str]:
        """Every line of the template and every caption, each once or more."""
        lines = [self._filled(line, self.captions[0]) for line in self.template]
        return lines + [self._filled(self.template[0], caption) for caption in dict.fromkeys(self.captions)]

    def _filled(self, line: str, caption: str) -> str:
        return line.replace(CAPTION, caption).replace(NAME, self.name)

    def _caption(self, picture: int, purpose: str, *where: int) -> str:
        caption = self.captions[picture]
        if not self.shuffle and not self.drop:
            return caption
        tags = [tag.strip() for tag in caption.split(",") if tag.strip()]
        generator = self.streams.generator(f"{purpose} tags", picture, *where)
        kept = torch.rand(len(tags), generator=generator) >= self.drop
        tags = [tag for tag, keep in zip(tags, kept.tolist(), strict=True) if keep]
        if self.shuffle:
            tags = [tags[k] for k in torch.randperm(len(tags), generator=generator).tolist()]
        return ", ".join(tags)
