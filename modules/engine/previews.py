"""Pictures of a job under way, made from the x0 estimate by the model's latent-to-RGB matrix."""

from __future__ import annotations

import io
import time

import torch
from PIL import Image

from modules.engine.diffusion.sampling import Step
from modules.engine.loading.model import LoadedModel
from modules.engine.pace import Pace
from modules.schema.events import Preview

# A preview may cost at most this part of the time spent in steps.
SHARE = 0.03
JPEG_QUALITY = 80


class Previews:
    """Gives a preview of a step when one is due: at most `per_second`, and within `SHARE` of the sampling time."""

    def __init__(self, per_second: float) -> None:
        self._interval = 1.0 / per_second if per_second > 0 else None
        self._last = float("-inf")
        self._spent = 0.0
        self._cost = 0.0

    def of(self, step: Step, pace: Pace, model: LoadedModel) -> Preview | None:
        """The preview of `step` of `model`, batch side by side; None when none is due or it would cost too much."""
        began = time.monotonic()
        if self._interval is None or began - self._last < self._interval or step.index >= step.total:
            return None
        if self._spent + self._cost > SHARE * pace.sampling_seconds:
            return None
        picture = model.preview_rgb(step.denoised)
        data = _jpeg(picture)
        self._last = time.monotonic()
        self._cost = self._last - began
        self._spent += self._cost
        return Preview(step.index, pace.progress().image, "jpeg", data)


def _jpeg(pixels: torch.Tensor) -> bytes:
    """uint8 [B,h,w,3] as one JPEG, the batch side by side; small, the page scales it up."""
    strip = torch.cat(list(pixels.cpu()), dim=1).numpy()
    buffer = io.BytesIO()
    Image.fromarray(strip).save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
