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
    all_opened: list[Opened] = []

    def begin(**values: Any) -> Opened:
        all_opened.append(Opened(tmp_path, **values))
        return all_opened[-1]

    yield begin
    for opened in all_opened:
        opened.gallery.close()


@pytest.fixture
def opened(begin: Begin) -> Opened:
    return begin()
