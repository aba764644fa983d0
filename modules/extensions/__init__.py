"""What an extension is made with: `from modules.extensions import Options, hook, knob`. See docs/extensions.md."""

from __future__ import annotations

from modules.extensions.hooks import hook
from modules.extensions.values import (
    Call,
    Draw,
    Estimates,
    JobFacts,
    PassFacts,
    PictureFacts,
    Places,
    Prompts,
    SavedPicture,
    Script,
)
from modules.schema.errors import BadRequest, UserError
from modules.schema.events import TrainStep
from modules.schema.extension_options import Options
from modules.schema.knob import knob
from modules.schema.request import GenerationRequest
from modules.schema.samplers import SamplerFacts, ScheduleFacts

__all__ = [
    "BadRequest",
    "Call",
    "Draw",
    "Estimates",
    "GenerationRequest",
    "JobFacts",
    "Options",
    "PassFacts",
    "PictureFacts",
    "Places",
    "Prompts",
    "SamplerFacts",
    "SavedPicture",
    "ScheduleFacts",
    "Script",
    "TrainStep",
    "UserError",
    "hook",
    "knob",
]
