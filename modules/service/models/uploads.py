"""A model file that is being sent: written as it comes, and gone again where its sender breaks off."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from modules.catalog.model_places import ModelKind
from modules.schema.errors import BadRequest, UserError
from modules.service.models.arrivals import Arrivals, Arrived, check_sha256, verify


class Upload:
    """Used as `with`: what was not finished at the end of the block leaves nothing behind."""

    def __init__(self, arrivals: Arrivals, name: str, kind: ModelKind | None, size: int | None, sha256: str) -> None:
        """`size` in bytes where it was announced. Raises BadRequest, or UserError where nothing can be written."""
        self._arrivals = arrivals
        self._kind = kind
        self._size = size
        self._wanted = check_sha256(sha256)
        self._draft = Path(arrivals.check_name(name, kind))
        self._folder = arrivals.new_folder(kind)
        self._digest = hashlib.sha256()
        self._done = 0
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._arrivals.check_size(self._size or 0, self._folder)
            self._draft = self._folder / self._draft.name
            self._file = self._draft.open("wb")
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    @property
    def sha256(self) -> str:
        """Of what has come so far."""
        return self._digest.hexdigest()

    def write(self, data: bytes) -> None:
        """Take the next bytes; raises BadRequest for too many, UserError where the disk refuses."""
        self._done += len(data)
        self._arrivals.check_growth(self._done)
        self._digest.update(data)
        try:
            if self._file is not None:
                self._file.write(data)
        except OSError as error:
            raise UserError(
                f"{self._draft.name} could not be written ({error.strerror}): make room first."
            ) from error

    def finish(self) -> Arrived:
        """All has come: look at it and put it in its place. Raises UserErrors."""
        if self._size is not None and self._done != self._size:
            raise BadRequest(
                f"Only {self._done} of {self._size} bytes of {self._draft.name} have come: send it again."
            )
        self._close()
        verify(self._draft.name, self._wanted, self.sha256)
        return self._arrivals.settle(self._draft, self._kind)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _discard(self) -> None:
        self._close()
        shutil.rmtree(self._folder, ignore_errors=True)
