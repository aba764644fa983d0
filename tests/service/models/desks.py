"""A desk over real catalogs and folders, with neither engine nor server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from modules.catalog.checkpoints import CheckpointCatalog
from modules.catalog.embeddings import EmbeddingCatalog
from modules.catalog.networks import NetworkCatalog
from modules.catalog.upscalers import UpscalerCatalog
from modules.catalog.vae import VaeCatalog
from modules.schema.settings import Settings, folders
from modules.service.models.desk import ModelDesk
from modules.service.models.files import Catalogs, ModelFiles
from modules.service.models.remote import Token


class Nothing:
    """Uses no file, until a test says which."""

    used = ""

    def reason(self, path: Path) -> str | None:
        return f"{path.name} is being used." if path.name == self.used else None


def make_desk(data: Path, token: Token | None = None, use: Nothing | None = None, **values: Any) -> ModelDesk:
    """A desk on the folder `data`, whose program has no models of its own."""
    settings = Settings(data_dir=str(data), **values)
    places = folders(settings, data)
    for folder in (*places.checkpoints, *places.vae, *places.loras, places.embeddings, places.state):
        folder.mkdir(parents=True, exist_ok=True)
    catalogs = Catalogs(
        CheckpointCatalog(places.checkpoints, places.state / "checkpoints.sqlite"),
        VaeCatalog(places.vae, places.state / "vae.sqlite", places.checkpoints),
        NetworkCatalog({"lora": places.loras, "hypernet": places.hypernetworks}, places.state / "networks.sqlite"),
        EmbeddingCatalog((places.embeddings,), places.state / "embeddings.sqlite"),
        UpscalerCatalog(places.models),
    )
    for catalog in catalogs:
        catalog.refresh()
    files = ModelFiles(catalogs, places)
    desk = ModelDesk(files, use or Nothing(), settings, lambda old, new: None, token)  # type: ignore[arg-type]
    desk.start()
    return desk
