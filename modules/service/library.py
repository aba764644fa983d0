"""What is on disk and can be used or named: models, words, styles, data sets, pictures to begin with."""

from __future__ import annotations

from modules.catalog.checkpoints import CheckpointCatalog
from modules.catalog.embeddings import EmbeddingCatalog
from modules.catalog.networks import NetworkCatalog
from modules.catalog.settings_file import FILE
from modules.catalog.styles import StyleFile
from modules.catalog.upscalers import UpscalerCatalog
from modules.catalog.vae import VaeCatalog
from modules.prompts.chunks import TokenCount
from modules.prompts.prompt import count_prompt
from modules.schema.settings import Folders, Settings
from modules.service.captioning import CaptionDoor
from modules.service.datasets import Datasets
from modules.service.extensions import Extensions
from modules.service.inputs import InputPictures
from modules.service.models.files import Catalogs, ModelFiles
from modules.service.named import Named
from modules.service.personal import Personal
from modules.service.settings import SettingsDesk
from modules.service.webhook import Webhook


class Library:
    """The catalogs of one data folder; makes its folders. Raises OSError."""

    def __init__(self, settings: Settings, places: Folders, extensions: Extensions | None = None) -> None:
        self.settings = settings
        self.folders = places
        for folder in (
            places.checkpoints[0],
            places.vae[0],
            places.embeddings,
            places.loras[0],
            places.outputs,
            places.state,
        ):
            folder.mkdir(parents=True, exist_ok=True)
        self.desk = SettingsDesk(settings, places.data / FILE, self.use)
        self.personal = Personal(places.state / "people")
        self.webhook = Webhook(settings)
        self.extensions = extensions or Extensions.of(settings, places)
        self.checkpoints = CheckpointCatalog(places.checkpoints, places.state / "checkpoints.sqlite")
        self.vaes = VaeCatalog(places.vae, places.state / "vae.sqlite", places.checkpoints)
        self.upscalers = UpscalerCatalog(places.models)
        self.embeddings = EmbeddingCatalog((places.embeddings,), places.state / "embeddings.sqlite")
        folders = {"lora": places.loras, "hypernet": places.hypernetworks}
        self.networks = NetworkCatalog(folders, places.state / "networks.sqlite")
        catalogs = Catalogs(self.checkpoints, self.vaes, self.networks, self.embeddings, self.upscalers)
        self.model_files = ModelFiles(catalogs, places)
        self.named = Named(self.networks, self.embeddings)
        self.inputs = InputPictures(places.state / "inputs")
        self.styles = StyleFile(places.data / "styles.csv")
        self.datasets = Datasets.of(places, settings, self.named.tokenizer)
        self.captions = CaptionDoor(self.datasets, self.inputs, places.models, settings)

    def use(self, settings: Settings) -> None:
        """Take over settings that were changed while the program runs."""
        self.settings = settings
        self.datasets.use(settings)
        self.captions.use(settings)
        self.webhook.use(settings)

    def previews_of(self, owner: str) -> float:
        """Live previews a second in the jobs of that person; 0 for none."""
        wanted = self.settings.previews and self.personal.setting(owner, "previews", self.settings)
        return self.personal.setting(owner, "previews_per_second", self.settings) if wanted else 0.0

    def refresh(self) -> None:
        """Look for new and removed model files."""
        self.checkpoints.refresh()
        self.vaes.refresh()
        self.upscalers.refresh()
        self.embeddings.refresh()
        self.networks.refresh()

    def count_tokens(
        self,
        text: str,
        *,
        negative: bool = False,
        steps: int = 20,
        emphasis: str = "Original",
        comma_backtrack: int = 20,
    ) -> TokenCount:
        """Tokens of a prompt (its longest text over so many steps), the room in its chunks, where chunks begin."""
        return count_prompt(
            text,
            self.named.tokenizer(),
            negative=negative,
            steps=steps,
            emphasis=emphasis,
            comma_backtrack=comma_backtrack,
            embeddings=self.named.words() if self.embeddings.vectors else None,
        )
