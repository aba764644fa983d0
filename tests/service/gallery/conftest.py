from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.gallery.pictures import Opened

Begin = Callable[..., Opened]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    """Opens galleries of one data folder; each is closed at the end."""
    opened: list[Opened] = []

    def begin(**values: Any) -> Opened:
        opened.append(Opened(tmp_path, **values))
        return opened[-1]

    yield begin
    for tested in opened:
        tested.gallery.close()


@pytest.fixture
def tested(begin: Begin) -> Opened:
    return begin()
