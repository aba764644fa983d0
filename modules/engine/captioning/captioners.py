"""Whoever says what is in a picture, by name: BLIP, a tagger, or one of an extension."""

from __future__ import annotations

from pathlib import Path

import torch

from modules.engine.captioning.added import Caption, added_captioner
from modules.engine.captioning.blip import Blip
from modules.engine.captioning.tagger import Tagger
from modules.schema.captioning import BLIP, TAGGER, CaptionOptions

SEPARATOR = ", "


class Captioners:
    """Loads captioners for one device. A model is loaded for each job and let go after it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def get(self, name: str, folder: str, options: CaptionOptions) -> Caption:
        """The captioner of a resolved name; `folder` holds its model's files. Raises UserErrors."""
        if not folder:
            return added_captioner(name)
        model: Blip | Tagger = Tagger(Path(folder)) if kind_of(name) == TAGGER else Blip(Path(folder), self._device)
        return lambda picture: model.caption(picture, options)


def kind_of(name: str) -> str:
    """BLIP or TAGGER, for the name of one of several models too ("WD tagger: vit")."""
    return TAGGER if name.partition(":")[0] == TAGGER else BLIP
