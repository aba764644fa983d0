"""An example to train with: the drawings that come with the program, as a data set of whoever asks for it."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from modules.schema.errors import NotFound, UserError
from modules.service.datasets import Datasets
from modules.service.limits import is_named

NAME = "uncle_aharon"
_SAMPLES = Path(__file__).resolve().parents[2] / "docs" / "samples" / NAME
_MOST = 1000


def example_set(datasets: Datasets, owner: str, samples: Path = _SAMPLES) -> str:
    """The name of a data set with copies of the drawings: that person's own, made at the first time.

    Copies, so that captions and crops that are changed stay out of the program's folder. Raises UserError.
    """
    files = sorted(samples.glob("*.png"))
    if not files:
        raise NotFound(f"The example's pictures are not in {samples}: they come with the program's documentation.")
    person = owner if is_named(owner) else ""
    for number in range(1, _MOST):
        name = NAME if number == 1 else f"{NAME} {number}"
        is_new = not (datasets.folders.root / name).exists()
        if is_new:
            datasets.folders.create(name, person)
        elif person and not datasets.folders.belongs_to(name, person):
            continue
        if not datasets.pictures(name):
            _copy(datasets, name, files)
        return name
    raise UserError(f"There are {_MOST} data sets of that name already: remove some of them.")


def _copy(datasets: Datasets, name: str, files: list[Path]) -> None:
    with ExitStack() as stack:
        datasets.add_pictures(name, [(path.name, stack.enter_context(path.open("rb"))) for path in files])
