"""What a saved picture says about the model files it was made with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from modules.schema.errors import UserError
from modules.schema.request import GenerationRequest
from modules.service.jobs import Job
from modules.service.resolve import CheckpointEntry, ModelEntry

log = logging.getLogger(__name__)


class Hashed(Protocol):
    """A catalog that knows its files' short hashes; computing one may take seconds."""

    @property
    def entries(self) -> Sequence[Any]: ...
    def short_hash(self, entry: Any) -> str: ...


class CatalogFacts:
    """Infotext facts of a job's checkpoint and VAE, hashes computed and cached by their catalogs, and of its
    `networks`."""

    def __init__(
        self, checkpoints: Hashed, vaes: Hashed, networks: Callable[[GenerationRequest], dict[str, Any]]
    ) -> None:
        self._checkpoints = checkpoints
        self._vaes = vaes
        self._networks = networks

    def __call__(self, job: Job) -> dict[str, Any]:
        """Model hash and Model; VAE hash and VAE where a file of its own is used."""
        facts: dict[str, Any] = {}
        checkpoint = Path(job.model.checkpoint)
        entry: CheckpointEntry | None = _entry_of(self._checkpoints, checkpoint)
        if entry is not None:
            facts |= _hash("Model hash", self._checkpoints, entry)
        facts["Model"] = entry.stem if entry is not None else checkpoint.stem
        if job.model.vae is not None:
            vae = Path(job.model.vae)
            vae_entry = _entry_of(self._vaes, vae)
            if vae_entry is not None:
                facts |= _hash("VAE hash", self._vaes, vae_entry)
            facts["VAE"] = vae.name
        if isinstance(job.request, GenerationRequest):
            facts |= self._networks(job.request)
        return facts


def _entry_of(catalog: Hashed, path: Path) -> Any | None:
    return next((entry for entry in catalog.entries if entry.path == path), None)


def _hash(key: str, catalog: Hashed, entry: ModelEntry) -> dict[str, str]:
    try:
        return {key: catalog.short_hash(entry)}
    except (OSError, UserError):
        log.warning("%s could not be read for its hash", entry.path)
        return {}
