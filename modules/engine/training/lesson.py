"""One step's gradient, and the evaluation: everything that is computed with the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from modules.engine.conditioning import tokenizer
from modules.engine.loading.model import LoadedModel
from modules.engine.ready import training_schedule
from modules.engine.training.encoding import TrainingText
from modules.engine.training.evaluation import Evaluation, fixed_draws
from modules.engine.training.latents import Album, Encoded
from modules.engine.training.loss import Draw, loss_of
from modules.engine.training.low_rank import LowRank
from modules.engine.training.model import for_gradients, loss_scale
from modules.engine.training.order import Order
from modules.engine.training.shares import WHOLE, Share
from modules.engine.training.streams import Streams
from modules.engine.training.texts import NAME, Texts
from modules.engine.training.vectors import NewWord
from modules.schema.engine import NamedFile
from modules.schema.errors import BadRequest
from modules.schema.training import TrainingRequest, TrainingSet

Learned = NewWord | LowRank
"""What can be learned; see either for what is asked of it."""


@dataclass(frozen=True)
class Gradient:
    """Of the numbers that are learned, flat; `loss` is the step's."""

    loss: float
    values: Tensor

    @property
    def is_sound(self) -> bool:
        """Whether all of it is finite."""
        return self.loss == self.loss and abs(self.loss) != float("inf") and bool(torch.isfinite(self.values).all())


@dataclass(frozen=True)
class _Piece:
    """Some pictures of a batch; `weight`: their share of it."""

    draw: Draw
    texts: list[str]
    weight: float


def learned_of(request: TrainingRequest, model: LoadedModel, start: str) -> Learned:
    """What `request` asks to be learned; `start`: a file to begin with, or empty."""
    return LowRank(request, model) if request.method == "LoRA" else NewWord(request, model, tokenizer(), start)


class Lesson:
    """Draws batches and asks `model` about them."""

    def __init__(
        self,
        request: TrainingRequest,
        data: TrainingSet,
        pictures: Sequence[Encoded],
        learned: Learned,
        named: Sequence[NamedFile],
    ) -> None:
        self._request, self._data, self._pictures = request, data, pictures
        self._learned, self._named = learned, named
        fixed = Streams(request.seed)
        self._fixed_album = Album(pictures, request.latent_sampling_method, fixed)
        self._evaluation: Evaluation | None = None
        self.fell(0)

    def fell(self, falls: int) -> None:
        """Draw other numbers from now on than those that led to a fall."""
        request = self._request
        self._streams = Streams(request.seed, falls)
        album = request.latent_sampling_method
        self._album = Album(self._pictures, album, self._streams if album == "random" else Streams(request.seed))
        self.order = Order([one.size for one in self._pictures], request.batch_size, self._streams)
        captions = [picture.caption for picture in self._data.pictures]
        self._texts = Texts(
            self._data.template, captions, request.name, self._streams, request.shuffle_tags, request.tag_drop_out
        )

    def take(self, model: LoadedModel) -> None:
        """Work with `model` from now on; raises BadRequest where the new word stands in no text."""
        self._model = model
        self._schedule = training_schedule(model, self._request.preview)
        self._text = TrainingText(
            model, tokenizer(), self._request.preview, self._named, self._learned.word, self._learned.learns_to_read
        )
        if self._learned.word and not any(self._text.has_word(text) for text in self._texts.samples()):
            raise BadRequest(
                f"The new word {self._request.name!r} stands in no text that the pictures are trained with: write "
                f"{NAME} into the template or the captions.",
                "template_filename",
            )

    def place(self, step: int) -> tuple[int, int]:
        """(epoch, step in it) of step `step` (from 1), both from 0."""
        epoch, batch = self.order.place((step - 1) * self._request.gradient_step)
        return epoch, batch // self._request.gradient_step

    def gradient(self, flat: Tensor, step: int, share: Share = WHOLE) -> Gradient:
        """That of step `step` (from 1), the mean over its batches; of a `share`, its part of that mean."""
        parts = self._request.gradient_step
        numbers = range((step - 1) * parts, step * parts)
        pieces = share.of([len(self.order.batch(number)) for number in numbers])
        return self._gradient(flat, [self._piece(numbers[k], pictures) for k, pictures in pieces], parts)

    def dry_step(self, flat: Tensor) -> None:
        """A step with the largest batch there is, of which nothing is kept: it shows whether the memory is enough."""
        epoch = (self.order.batch(number) for number in range(self.order.batches))
        largest = max(epoch, key=lambda chosen: len(chosen) * self._pictures[chosen[0]].mean.numel())
        draw, texts = self._drawn(largest, -1)
        self._gradient(flat, [_Piece(draw, texts, 1.0)], 1)

    def evaluate(self, flat: Tensor) -> float:
        """The loss of the numbers `flat` on the fixed draws."""
        if self._evaluation is None:
            fixed, times = Streams(self._request.seed), len(self._schedule.alphas_cumprod)
            count = self._request.evaluation_pictures
            self._evaluation = fixed_draws(count, self._fixed_album, self._texts, fixed, times)
        with torch.no_grad(), self._learned.acting(self._model, self._text.encoder, flat):
            vectors = self._learned.vectors(flat)
            return self._evaluation.loss(self._model, self._schedule, lambda texts: self._text.encode(texts, vectors))

    def _gradient(self, flat: Tensor, pieces: Sequence[_Piece], batches: int) -> Gradient:
        leaf = flat.detach().requires_grad_()
        scale, total = loss_scale(self._model), 0.0
        with (
            for_gradients(self._model, self._request.gradient_checkpointing),
            self._learned.acting(self._model, self._text.encoder, leaf),
        ):
            for piece in pieces:
                words = self._text.encode(piece.texts, self._learned.vectors(leaf))
                loss = loss_of(self._model, self._schedule, piece.draw, words) * piece.weight / batches
                # Without the new word in its texts a batch teaches nothing.
                if loss.requires_grad:
                    (loss * scale).backward()
                total += float(loss.detach())
        return Gradient(total, torch.zeros_like(flat) if leaf.grad is None else leaf.grad / scale)

    def _piece(self, batch: int, pictures: slice) -> _Piece:
        """Some pictures of a batch, drawn as in the whole of it."""
        draw, texts = self._drawn(self.order.batch(batch), batch)
        chosen = texts[pictures]
        return _Piece(draw.part(pictures), chosen, len(chosen) / len(texts))

    def _drawn(self, chosen: Sequence[int], batch: int) -> tuple[Draw, list[str]]:
        latents = torch.stack([self._album.latent(picture, batch) for picture in chosen])
        noise = self._streams.normal(latents.shape, "noise", batch)
        times = self._streams.below(len(self._schedule.alphas_cumprod), len(chosen), "times", batch)
        texts = [self._texts.text(picture, "text", batch) for picture in chosen]
        return Draw(latents, noise, times, self._album.weights(chosen)), texts
