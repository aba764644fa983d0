"""Which engine draws what of the jobs under way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from modules.schema.engine import Command, EngineJob
from modules.schema.errors import UserError
from modules.schema.events import Failed
from modules.service.deliveries import Delivery
from modules.service.engines import Engine, Engines
from modules.service.pictures import Pictures
from modules.service.pieces import Piece


class Placing:
    """Gives pieces of jobs to engines.

    `settle` ends a job of which nothing is left, `put_back` has one that has not begun wait again. `inputs` is the
    folder of input pictures.
    """

    def __init__(
        self,
        engines: Engines,
        pictures: Pictures,
        inputs: Path,
        previews_of: Callable[[str], float],
        *,
        settle: Callable[[Delivery], None],
        put_back: Callable[[Delivery], None],
    ) -> None:
        self._engines = engines
        self._pictures = pictures
        self._inputs = inputs
        self._previews_of = previews_of
        self._settle = settle
        self._put_back = put_back

    def housed(self, delivery: Delivery) -> bool:
        """Whether a job has an engine of its own, or needs none now; it is given one that is free."""
        if delivery.home or not delivery.course.has_next:
            return True
        find = self._engines.to_train if delivery.job.is_training else self._engines.to_draw
        engine = find(delivery.job.request, delivery.job.model.checkpoint)
        if engine is None:
            return False
        delivery.home = engine.name
        self.hand_out(delivery, engine)
        return True

    def go_on(self, delivery: Delivery, home: Engine) -> None:
        """Give a job's own engine its next piece; one that trains too is left for an idle one."""
        order, checkpoint = delivery.job.request, delivery.job.model.checkpoint
        better = self._engines.to_help(order, checkpoint) if home.training is not None else None
        if better is not None:
            delivery.home = better.name
        self.hand_out(delivery, better or home)

    def help(self, deliveries: list[Delivery]) -> None:
        """Give those that have nothing to do pieces of what others draw."""
        if not self._engines.are_several:
            return
        for delivery in deliveries:
            while delivery.home and not delivery.job.is_training and delivery.course.has_next:
                engine = self._engines.to_help(delivery.job.request, delivery.job.model.checkpoint)
                if engine is None:
                    return
                self.hand_out(delivery, engine)

    def hand_out(self, delivery: Delivery, engine: Engine) -> None:
        """Give `engine` what comes next of a job, if anything does."""
        course = delivery.course
        try:
            piece = course.next_piece()
        except UserError as error:
            course.stop(Failed(str(error), type(error).__name__))
            piece = None
        if piece is not None:
            self._give(delivery, piece, engine)
        elif delivery.home == engine.name:
            delivery.home = ""
        self._settle(delivery)

    def _give(self, delivery: Delivery, piece: Piece, engine: Engine) -> None:
        part = piece.order
        order = EngineJob(
            id=delivery.job.id,
            request=part.request,
            model=part.model,
            previews_per_second=self._previews_of(delivery.job.owner),
            inputs=str(self._inputs),
            upscalers=part.upscalers,
            files=part.files,
        )
        if not piece.start:
            self._pictures.prepare(piece.job)
        if self._engines.give(engine, piece, Command(name="run", job=order)):
            delivery.course.begun(piece, engine.name)
            return
        piece.lost = True
        if delivery.home == engine.name:
            delivery.home = ""
        if delivery.course.pieces == [piece]:
            self._put_back(delivery)
