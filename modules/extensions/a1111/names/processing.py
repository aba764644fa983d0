"""A1111's modules.processing: `p`, and drawing through our queue."""

from __future__ import annotations

from modules.extensions.a1111.processing import Processed, StableDiffusionProcessing, process_images

__all__ = [
    "Processed",
    "StableDiffusionProcessing",
    "StableDiffusionProcessingImg2Img",
    "StableDiffusionProcessingTxt2Img",
    "process_images",
]

StableDiffusionProcessingTxt2Img = StableDiffusionProcessing
StableDiffusionProcessingImg2Img = StableDiffusionProcessing
