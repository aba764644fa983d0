"""A1111's /sdapi/v1/create/* and /train/*: embeddings made and trained, the call waiting for the end.

Failures have real status codes; A1111 puts them into `info` of a 200.
"""

from __future__ import annotations

from typing import NoReturn

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from modules.schema.errors import BadRequest
from modules.schema.events import Failed
from modules.schema.training import TrainingRequest
from modules.service.app import App
from modules.service.jobs import Job
from modules.web import follow
from modules.web.api.training import read_request
from modules.web.deps import Owner, TheApp
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/sdapi/v1")

_SAME = (
    "learn_rate", "batch_size", "gradient_step", "data_root", "log_directory", "training_width", "training_height",
    "clip_grad_mode", "clip_grad_value", "shuffle_tags", "tag_drop_out", "latent_sampling_method", "use_weight",
    "create_image_every", "save_embedding_every", "template_filename", "save_image_with_stored_embedding",
)  # fmt: skip
_PREVIEW = {
    "preview_prompt": "prompt", "preview_negative_prompt": "negative_prompt", "preview_steps": "steps",
    "preview_sampler_name": "sampler", "preview_cfg_scale": "cfg_scale", "preview_seed": "seed",
    "preview_width": "width", "preview_height": "height",
}  # fmt: skip


class CreateBody(BaseModel):
    """POST /sdapi/v1/create/embedding."""

    name: str
    num_vectors_per_token: int = 1
    overwrite_old: bool = False
    init_text: str = "*"


class TrainBody(BaseModel):
    """POST /sdapi/v1/train/embedding: A1111's arguments, all but the name and the data set optional here. Those of
    ours (`norm_control`, `seed`, ...) are taken too."""

    model_config = ConfigDict(extra="allow")

    embedding_name: str
    data_root: str
    steps: int = 1000
    varsize: bool = False
    learn_rate: str | float = "0.005"
    clip_grad_value: str | float = "0.1"
    preview_from_txt2img: bool = False


class Answer(BaseModel):
    info: str


@router.post("/create/embedding")
async def create_embedding(body: CreateBody, request: Request, app: TheApp) -> Answer:
    """An embedding at step 0, of the words of `init_text`."""
    if body.overwrite_old and request.state.role != "owner":
        raise HttpProblem(403, "Only the owner of this machine may replace an embedding; choose another name.")
    path = await run_in_threadpool(
        app.words.create,
        body.name,
        body.num_vectors_per_token,
        overwrite=body.overwrite_old,
        init_text=body.init_text,
    )
    return Answer(info=f"create embedding filename: {path}")


@router.post("/train/embedding")
async def train_embedding(body: TrainBody, app: TheApp, owner: Owner) -> Answer:
    """Train an embedding that exists, and wait for the end. `steps` includes those that the file has."""
    job = await run_in_threadpool(_submit, app, body, owner)
    end = await follow.finish(app, job.id, owner)
    if isinstance(end, Failed):
        raise HttpProblem(500, end.message, end.kind)
    if end.reason in ("paused", "cancelled"):
        raise HttpProblem(409, f"The training was {end.reason} before its end.", "NotFinished")
    return Answer(info=f"train embedding complete: filename: {_result(app, body.embedding_name)} error: None")


def _submit(app: App, body: TrainBody, owner: str) -> Job:
    entry = app.embeddings.find(body.embedding_name)
    steps = body.steps - (entry.step or 0)
    if steps < 1:
        raise BadRequest(f"{entry.stem!r} has been trained for {entry.step} steps already: ask for more.", "steps")
    return app.submit(_request(body, entry.stem, entry.vectors, steps), owner)


def _request(body: TrainBody, word: str, vectors: int, steps: int) -> TrainingRequest:
    given = {**body.model_dump(), **(body.model_extra or {})}
    values = {name: given[name] for name in _SAME if given.get(name) is not None}
    values |= {name: value for name, value in given.items() if name in _OURS}
    values |= {name: str(values[name]) for name in ("learn_rate", "clip_grad_value") if name in values}
    if body.varsize:
        values["fit"] = "Original size"
    preview = {ours: given[theirs] for theirs, ours in _PREVIEW.items() if given.get(theirs) is not None}
    if body.preview_from_txt2img:
        values["preview"] = preview
    fixed = {"name": word, "start": word, "num_vectors_per_token": vectors, "overwrite_old": True, "steps": steps}
    return read_request({**values, **fixed})


_OURS = frozenset(TrainingRequest.model_fields) - {
    "kind", "method", "name", "start", "run", "steps", "num_vectors_per_token", "overwrite_old", "init_text",
}  # fmt: skip


def _result(app: App, word: str) -> str:
    app.embeddings.refresh_if_changed()
    return str(app.embeddings.find(word).path)


@router.post("/create/hypernetwork", response_model=None)
@router.post("/train/hypernetwork", response_model=None)
def no_hypernetworks() -> NoReturn:
    """Not here."""
    raise HttpProblem(
        501,
        "Hypernetworks are drawn with here but not made or trained: train a LoRA instead, which learns the same and "
        "more (POST /api/v1/training with method 'LoRA').",
        "NotImplemented",
    )
