"""What a job says while it runs: small frozen values, no tensors; they cross the process border as JSON + bytes.

An event's one `bytes` field (if any) travels beside the JSON. `pack` and `unpack` are the wire format.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args


@dataclass(frozen=True)
class Progress:
    """`step` of `steps` of picture batch `image` (1-based first picture) of `images`; times in seconds."""

    step: int
    steps: int
    image: int
    images: int
    stage: str = "sampling"
    fraction: float = 0.0
    seconds_left: float | None = None


@dataclass(frozen=True)
class Preview:
    """The picture as it stands: `data` is an encoded `format` picture of the running batch."""

    step: int
    image: int
    format: str
    data: bytes


@dataclass(frozen=True)
class ImageDone:
    """A finished picture: RGB `pixels` of height x width x 3 bytes.

    `request`: the resolved request of this picture alone, as JSON data. `facts`: what the engine knows beside it, by
    infotext key (Model, Model hash, VAE, ...), in writing order. `partial`: interrupted before its last step.
    `caption`: what is seen in it, where that was asked for.
    """

    index: int
    width: int
    height: int
    request: dict[str, Any]
    facts: dict[str, Any]
    partial: bool
    pixels: bytes
    caption: str = ""


@dataclass(frozen=True)
class ImageSaved:
    """Follows `ImageDone` for readers of the job: `name` is the picture's address below the outputs folder.

    `sheet`: it was not drawn but made of the job's pictures (a grid).
    """

    index: int
    name: str
    width: int
    height: int
    infotext: str
    partial: bool = False
    sheet: bool = False
    caption: str = ""


@dataclass(frozen=True)
class Captioned:
    """What `captioner` sees in picture `index` of those that it was asked to look at."""

    index: int
    captioner: str
    text: str


@dataclass(frozen=True)
class TrainStep:
    """Where a training stands: after `step` of `steps`; `run` names its folder.

    `state` is "preparing", "training", "drawing" (a preview: the models are not free) or "evaluating". `loss` is the
    step's own, `smooth` its running mean; `norm` the mean length of the vectors (0 for a LoRA). `evaluation`: the
    newest loss on the fixed pictures, `best` the lowest and `best_step` its step. Times in seconds; `memory` in MB,
    on the device or, on a CPU, of the process.
    """

    run: str
    step: int
    steps: int
    state: str = "training"
    loss: float | None = None
    smooth: float | None = None
    rate: float | None = None
    norm: float | None = None
    evaluation: float | None = None
    best: float | None = None
    best_step: int | None = None
    seconds_per_step: float | None = None
    seconds_left: float | None = None
    memory: float | None = None

    @property
    def progress(self) -> Progress:
        """For whoever asks every kind of job the same."""
        return Progress(self.step, self.steps, 1, 1, "training", self.step / self.steps, self.seconds_left)


@dataclass(frozen=True)
class TrainFile:
    """A file of a run is there: `name` below the run's folder.

    `kind` is "preview" (picture `index` with the new word), "plain" (the same without it), "copy" (what was learned
    after `step`, usable as it is) or "result" (the final file, `name` below the embeddings or LoRA folder).
    """

    run: str
    step: int
    kind: str
    name: str
    index: int = 0


@dataclass(frozen=True)
class Notice:
    """One sentence the user should read; `level` is "info" or "warning"."""

    text: str
    level: str = "info"


@dataclass(frozen=True)
class ExtensionProblem:
    """What an extension did wrong in the engine process, in one sentence; `log_id` names the traceback in its log."""

    extension: str
    sentence: str
    log_id: str | None = None


@dataclass(frozen=True)
class Failed:
    """The job ended with an error: one sentence; `log_id` names the traceback in the log, for bugs."""

    message: str
    kind: str = "Error"
    log_id: str | None = None


@dataclass(frozen=True)
class Finished:
    """The job ended. `reason` is "done", "interrupted", "cancelled" or, of a training, "paused"."""

    reason: str = "done"
    seconds: float = 0.0
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EngineStatus:
    """State of the engine process itself: "starting", "loading", "ready", "busy", "stopped"; not part of a job."""

    state: str
    text: str = ""
    device: str = ""
    checkpoint: str = ""


Event = (
    Progress
    | Preview
    | ImageDone
    | ImageSaved
    | Captioned
    | TrainStep
    | TrainFile
    | Notice
    | ExtensionProblem
    | Failed
    | Finished
    | EngineStatus
)

EVENT_TYPES: dict[str, type[Event]] = {kind.__name__: kind for kind in get_args(Event)}
ENDINGS = (Failed, Finished)


def _blob_name(kind: type[Event]) -> str | None:
    return next((f.name for f in fields(kind) if f.type == "bytes"), None)


def to_json(event: Event) -> dict[str, Any]:
    """The event as JSON data with its type under "event"; without its bytes."""
    blob = _blob_name(type(event))
    values = {k: v for k, v in asdict(event).items() if k != blob}
    return {"event": type(event).__name__, **values}


def from_json(data: dict[str, Any], blob: bytes = b"") -> Event:
    values = dict(data)
    kind = EVENT_TYPES[values.pop("event")]
    name = _blob_name(kind)
    if name is not None:
        values[name] = blob
    return kind(**values)


def pack(event: Event) -> tuple[bytes, bytes]:
    """(JSON header, blob) for the wire."""
    name = _blob_name(type(event))
    blob: bytes = getattr(event, name) if name else b""
    return json.dumps(to_json(event), ensure_ascii=False).encode(), blob


def unpack(header: bytes, blob: bytes) -> Event:
    return from_json(json.loads(header), blob)
