"""POST /sdapi/v1/interrogate: A1111's look at one picture."""

from __future__ import annotations

from anyio import to_thread
from fastapi import APIRouter
from pydantic import BaseModel

from modules.schema.captioning import BLIP, TAGGER, InterrogateRequest
from modules.schema.events import Failed
from modules.service.app import App
from modules.service.jobs import Job
from modules.web import follow
from modules.web.api.own_captions import captions_of
from modules.web.api.pnginfo import keep_picture
from modules.web.deps import Owner, TheApp
from modules.web.errors import HttpProblem

router = APIRouter(prefix="/sdapi/v1")

_MODELS = {"clip": BLIP, "deepdanbooru": TAGGER, "deepbooru": TAGGER}


class InterrogateBody(BaseModel):
    image: str = ""
    model: str = "clip"


class InterrogateAnswer(BaseModel):
    caption: str


@router.post("/interrogate", response_model=InterrogateAnswer)
async def interrogate(body: InterrogateBody, app: TheApp, owner: Owner) -> InterrogateAnswer:
    """Look at one base64 picture and wait for the words: a sentence by BLIP (`clip`) or tags by a WD tagger
    (`deepdanbooru`); 409 says which model to put where."""
    if not body.image:
        raise HttpProblem(404, "Image not found")
    captioner = _MODELS.get(body.model)
    if captioner is None:
        raise HttpProblem(404, "Model not found")
    job = await to_thread.run_sync(_submit, app, body.image, captioner, owner)
    end = await follow.finish(app, job.id, owner)
    if isinstance(end, Failed):
        raise HttpProblem(500, end.message, end.kind)
    found = await to_thread.run_sync(captions_of, app, job)
    if not found:
        raise HttpProblem(500, "The job was interrupted before the picture was looked at.")
    return InterrogateAnswer(caption=found[0].text)


def _submit(app: App, image: str, captioner: str, owner: str) -> Job:
    app.captions.find(captioner, "model")
    return app.submit(InterrogateRequest(pictures=(keep_picture(app, image),), captioner=captioner), owner)
