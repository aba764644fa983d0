"""What people who are not the machine's owner may ask for, and how much: looked at in one place, by `App.submit`.

Limits are settings, and in the accounts file for a single account. Who has neither an account nor came by the access
link is the owner (who sits at the machine, the command line) and has none.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date

from PIL import Image

from modules.schema.captioning import CaptionRequest, InterrogateRequest
from modules.schema.errors import BadRequest, NotAllowed, NotFound, TooMuch, UserError
from modules.schema.extras import ExtrasRequest
from modules.schema.merge import MergeRequest
from modules.schema.orders import AnyOrder
from modules.schema.request import GenerationRequest
from modules.schema.scripts import ScriptRequest
from modules.schema.settings import Settings
from modules.schema.sizes import hires_size
from modules.schema.training import TrainingRequest
from modules.service.accounts import GUEST, PERSON, Accounts
from modules.service.inputs import InputPictures
from modules.service.jobs import Job, Jobs
from modules.service.scripts.table import make_program

_DRAWN = "drawn today: "
_HIGHER = "or ask the owner of this machine for more"


@dataclass(frozen=True)
class Bounds:
    """Of one person; 0 is no limit."""

    queue: int
    size: int
    steps: int
    batch: int
    pictures: int
    training_steps: int


class Drawn:
    """How many pictures each person was given today, also those that were deleted since. Safe for threads."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._lock = threading.Lock()

    def count(self, owner: str) -> int:
        """Pictures of `owner` since midnight."""
        day, _, count = (self._jobs.recall(_DRAWN + owner) or "").partition(" ")
        return int(count) if day == date.today().isoformat() else 0

    def add(self, owner: str) -> None:
        """One more; those without limits are not counted."""
        if is_named(owner):
            with self._lock:
                self._jobs.remember(_DRAWN + owner, f"{date.today().isoformat()} {self.count(owner) + 1}")


class Limits:
    """`owns_set(name, owner)` and `owns_run(id, owner)`: whose a data set and a training run are."""

    def __init__(
        self,
        settings: Settings,
        accounts: Accounts,
        jobs: Jobs,
        inputs: InputPictures,
        drawn: Drawn,
        *,
        owns_set: Callable[[str, str], bool],
        owns_run: Callable[[str, str], bool],
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._jobs = jobs
        self._inputs = inputs
        self._owns_set = owns_set
        self._owns_run = owns_run
        self._lock = threading.RLock()
        self._drawn = drawn

    def use(self, settings: Settings) -> None:
        """The limits of these settings from now on."""
        self._settings = settings

    def rules(self, owner: str) -> bool:
        """Whether that person is the machine's owner."""
        if not is_named(owner):
            return True
        account = self._accounts.of_person(owner)
        return account is not None and account.role == "owner"

    def of(self, owner: str) -> Bounds | None:
        """The limits of that person; None for the machine's owner. Raises NotAllowed for an account that is gone."""
        if self.rules(owner):
            return None
        settings = self._settings
        bounds = Bounds(
            settings.user_queue,
            settings.user_size,
            settings.user_steps,
            settings.user_batch,
            settings.user_pictures,
            settings.user_training_steps,
        )
        if owner.startswith(GUEST):
            return bounds
        account = self._accounts.of_person(owner)
        if account is None:
            raise NotAllowed("This account is no more; ask the owner of this machine.")
        return replace(bounds, **account.limits)

    def told(self, owner: str) -> dict[str, int] | None:
        """The limits as the page shows them, with what is used of the day's pictures."""
        bounds = self.of(owner)
        return None if bounds is None else {**asdict(bounds), "drawn": self._drawn.count(owner)}

    # At the door

    def check(self, order: AnyOrder, owner: str) -> None:
        """Before anything is done for an order. Raises NotAllowed, BadRequest or TooMuch with one sentence."""
        bounds = self.of(owner)
        if bounds is None:
            return
        self._check_room(order.image_count, owner, bounds)
        if isinstance(order, MergeRequest):
            raise NotAllowed("Only the owner of this machine may merge checkpoints; ask them.")
        if isinstance(order, TrainingRequest):
            self._check_training(order, owner, bounds)
        elif isinstance(order, CaptionRequest):
            self._check_set(order.data_set, owner)
        elif isinstance(order, ScriptRequest):
            _check_drawing(order.base, bounds)
        elif isinstance(order, ExtrasRequest):
            self._check_extras(order, bounds)
        elif not isinstance(order, InterrogateRequest):
            _check_drawing(order, bounds)

    @contextmanager
    def room(self, resolved: AnyOrder, owner: str) -> Iterator[None]:
        """Put the job into the queue inside: nobody else's order comes in between. Raises as `check`, and TooMuch."""
        bounds = self.of(owner)
        if bounds is None:
            yield
            return
        if isinstance(resolved, ScriptRequest):
            self._check_cells(resolved, bounds)
        elif isinstance(resolved, GenerationRequest):
            _check_drawing(resolved, bounds)  # an extension may have changed what was asked for
        with self._lock:
            self._check_room(self._pictures(resolved), owner, bounds)
            yield

    # Inside

    def _check_room(self, pictures: int, owner: str, bounds: Bounds) -> None:
        waiting = self._jobs.next_of(owner, max(bounds.queue, 1000))
        if bounds.queue and len(waiting) >= bounds.queue:
            raise TooMuch(
                f"You have {len(waiting)} jobs in the queue, and no more than {bounds.queue} are taken from one "
                "person: wait until one of them is done."
            )
        had = self._drawn.count(owner) + sum(self._left(job) for job in waiting)
        if bounds.pictures and had + pictures > bounds.pictures:
            raise TooMuch(
                f"You may draw {bounds.pictures} pictures a day, {had} of today's are drawn or ordered, and this "
                f"would be {pictures} more: ask for fewer, go on tomorrow, {_HIGHER}."
            )

    def _left(self, job: Job) -> int:
        """Pictures that a job will still bring."""
        return max(self._pictures(job.request) - len(job.images), 0)

    def _pictures(self, order: AnyOrder) -> int:
        """What comes out of an order: tiles that are put together are no pictures of their own."""
        if not isinstance(order, ScriptRequest):
            return order.image_count
        try:
            return order.image_count if make_program(order, self._inputs).saves_cells else order.base.image_count
        except UserError:
            return order.image_count  # what it begins with is gone: it will not run at all

    def _check_cells(self, order: ScriptRequest, bounds: Bounds) -> None:
        """An axis of steps or sizes goes beyond what its base says."""
        program = make_program(order, self._inputs)
        # What comes after the first of those in order is not known yet; it is no larger than that.
        known = 1 if program.in_order else program.cells
        for cell in (program.cell(index) for index in range(known)):
            if isinstance(cell, ExtrasRequest):
                self._check_extras(cell, bounds)
            else:
                _check_drawing(cell, bounds)

    def _check_extras(self, order: ExtrasRequest, bounds: Bounds) -> None:
        if order.upscaler_1 == "None" or not bounds.size:
            return
        for name in order.pictures:
            with Image.open(self._inputs.path(name)) as picture:
                _check_size(order.target(picture.size), bounds, "scale")

    def _check_training(self, order: TrainingRequest, owner: str, bounds: Bounds) -> None:
        if order.run and not self._owns_run(order.run, owner):
            raise NotFound(f"There is no training run {order.run!r} of yours.")
        if not order.run:
            self._check_set(order.data_root, owner)
        if order.overwrite_old and not order.run:
            raise NotAllowed("Only the owner of this machine may replace a file by a training; choose another name.")
        if order.log_directory != TrainingRequest.model_fields["log_directory"].default:
            raise NotAllowed("Only the owner of this machine may choose where runs are kept; leave it as it is.")
        if bounds.training_steps and order.steps > bounds.training_steps:
            raise BadRequest(
                f"A training of yours may have {bounds.training_steps} steps, and this would have {order.steps}: "
                f"lower them, {_HIGHER}.", "steps",
            )  # fmt: skip
        _check_drawing(order.preview, bounds)

    def _check_set(self, name: str, owner: str) -> None:
        if not self._owns_set(name, owner):
            raise NotAllowed(
                "Only the owner of this machine may name its folders and other people's data sets: make a data set "
                "of your own and put your pictures into it."
            )


def is_named(owner: str) -> bool:
    """Whether that person has an account or came by the access link: everybody else is the machine's owner."""
    return owner.startswith((PERSON, GUEST))


def _check_drawing(request: GenerationRequest, bounds: Bounds) -> None:
    steps = max(request.steps, request.hires.steps if request.hires else 0)
    if bounds.steps and steps > bounds.steps:
        raise BadRequest(
            f"You may draw with {bounds.steps} steps, and this would be {steps}: lower them, {_HIGHER}.", "steps"
        )
    if bounds.batch and request.batch_size > bounds.batch:
        raise BadRequest(
            f"You may draw {bounds.batch} pictures at the same time, and the batch size is {request.batch_size}: "
            f"lower it and raise the batch count, {_HIGHER}.", "batch_size",
        )  # fmt: skip
    _check_size((request.width, request.height), bounds, "width" if request.width >= request.height else "height")
    if request.hires is not None:
        size = hires_size(request.width, request.height, request.hires)
        _check_size((size.width, size.height), bounds, "hires.scale")


def _check_size(size: tuple[int, int], bounds: Bounds, field: str) -> None:
    if bounds.size and max(size) > bounds.size:
        raise BadRequest(
            f"Your pictures may be {bounds.size} pixels wide or high, and this would be {size[0]}x{size[1]}: make it "
            f"smaller, {_HIGHER}.", field,
        )  # fmt: skip
